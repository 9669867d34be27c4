"""Linear and logistic regression without penalty, as a published model is fitted again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit, ndtr, ndtri, stdtr, stdtrit

from trialstrat.errors import InvalidInputError
from trialstrat.results import Status
from trialstrat.stats.checks import check_events, check_level, check_matrix, check_values

Floats = NDArray[np.float64]

#: A log odds ratio beyond this per standard deviation is a sign of separation, not an estimate.
LARGEST = 15.0
_STEPS = 50


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RegressionFit:
    """Coefficients (p + 1,) with the intercept first, their standard errors, limits and two-sided p.

    nan with a ``reason`` where there is no estimate; null hypothesis of each p: this coefficient is 0.
    """

    names: tuple[str, ...]
    coef: Floats
    std_error: Floats
    lower: Floats
    upper: Floats
    p: Floats
    n: int
    status: Status = "ok"
    reason: str = ""


def linear_regression(x: ArrayLike, y: ArrayLike, names: Sequence[str], level: float = 0.95) -> RegressionFit:
    """Least squares of ``y`` (n,) on ``x`` (n, p) and an intercept, with t limits.

    Raises
    ------
    InvalidInputError
        Missing or infinite values, unequal lengths, a name too few or too many.
    """
    value = check_values(y, name="y")
    design, every = _design(x, value.size, names)
    freedom = value.size - design.shape[1]
    if freedom < 1 or np.linalg.matrix_rank(design / _scale(design)) < design.shape[1]:
        return _none(every, value.size, "the terms are collinear, or more than the patients")
    scale = _scale(design)
    coef, *_ = np.linalg.lstsq(design / scale, value, rcond=None)
    residual = value - design / scale @ coef
    bread = np.linalg.inv((design / scale).T @ (design / scale))
    error = np.sqrt(bread.diagonal() * float(residual @ residual) / freedom) / scale
    half = float(stdtrit(freedom, 0.5 + check_level(level) / 2)) * error
    coef = coef / scale
    p = 2.0 * stdtr(freedom, -np.abs(coef / error))
    return RegressionFit(
        names=every, coef=coef, std_error=error, lower=coef - half, upper=coef + half, p=p, n=value.size
    )


def logistic_regression(x: ArrayLike, y: ArrayLike, names: Sequence[str], level: float = 0.95) -> RegressionFit:
    """Maximum likelihood of 0/1 ``y`` (n,) given ``x`` (n, p) and an intercept: log odds ratios with normal limits.

    Not estimable under separation, where the likelihood rises for ever.

    Raises
    ------
    InvalidInputError
        Outcomes other than 0 and 1, missing values, unequal lengths.

    References
    ----------
    McCullagh P, Nelder JA (1989). Generalized Linear Models, 2.5 (iteratively reweighted least squares).
    """
    event = check_events(y, np.size(y))
    design, every = _design(x, event.size, names)
    scale = _scale(design)
    scaled = design / scale
    if event.size <= design.shape[1] or np.linalg.matrix_rank(scaled) < design.shape[1]:
        return _none(every, event.size, "the terms are collinear, or more than the patients")
    coef, step = np.zeros(design.shape[1]), np.full(design.shape[1], np.inf)
    information = np.eye(design.shape[1])
    for _ in range(_STEPS):
        risk = expit(scaled @ coef)
        information = scaled.T @ (scaled * (risk * (1 - risk))[:, None])
        try:
            step = np.linalg.solve(information, scaled.T @ (event - risk))
        except np.linalg.LinAlgError:
            break  # risks of 0 and 1 only: the step before was a long one
        coef = coef + np.clip(step, -2, 2)
        if np.abs(step).max() < 1e-10:
            break
    spread = np.append(1.0, scaled[:, 1:].std(axis=0))
    if not np.isfinite(coef).all() or np.abs(coef * spread).max() > LARGEST or np.abs(step).max() > 1e-6:
        return _none(every, event.size, "the likelihood has no finite maximum (separation)")
    error = np.sqrt(np.linalg.inv(information).diagonal()) / scale
    coef = coef / scale
    half = float(ndtri(0.5 + check_level(level) / 2)) * error
    return RegressionFit(
        names=every, coef=coef, std_error=error, lower=coef - half, upper=coef + half,
        p=2.0 * ndtr(-np.abs(coef / error)), n=event.size,
    )  # fmt: skip


def _design(x: ArrayLike, n: int, names: Sequence[str]) -> tuple[Floats, tuple[str, ...]]:
    matrix = check_matrix(x, n, name="x")
    if matrix.shape[1] != len(names):
        raise InvalidInputError(f"names: {len(names)} names for {matrix.shape[1]} columns; give one name per column")
    return np.column_stack([np.ones(n), matrix]), ("intercept", *names)


def _scale(design: Floats) -> Floats:
    largest = np.abs(design).max(axis=0, initial=0.0)
    return np.where(largest > 0, largest, 1.0)


def _none(names: tuple[str, ...], n: int, reason: str) -> RegressionFit:
    missing = np.full(len(names), np.nan)
    return RegressionFit(
        names=names, coef=missing, std_error=missing, lower=missing, upper=missing, p=missing, n=n,
        status="not_estimable", reason=reason,
    )  # fmt: skip
