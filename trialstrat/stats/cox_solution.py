"""The maximum of a Cox model on the scale of its covariates: what can be estimated, what cannot, and its covariance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trialstrat.stats.cox_data import CoxData
from trialstrat.stats.partial_likelihood import (
    Maximum,
    independent_columns,
    information,
    inverse,
    maximise,
    score_residuals,
    sweep,
)

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
NAN = float("nan")

#: A log hazard ratio beyond this (per unit of a two-valued covariate, else per SD) is a symptom, not an estimate.
LARGEST_LOG_HAZARD_RATIO = 10.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CoxSolution:
    """Arrays by covariate (p,), on the scale of the covariates; nan where not estimable.

    ``collinear`` marks columns without information of their own, ``monotone`` those whose coefficient is infinite.
    ``covariance`` is the sandwich when there are clusters (``robust`` its square-root diagonal), else model-based.
    """

    coef: Floats
    std_error: Floats
    robust: Floats | None
    covariance: Floats
    collinear: Bools
    monotone: Bools
    top: Maximum


def solve(data: CoxData) -> CoxSolution:
    """Maximise the partial likelihood of data with at least one event."""
    sets, p = data.sets, data.x.shape[1]
    centre, scale = _centre_and_scale(data)
    x = ((data.x - centre) / scale)[sets.order]
    offset = data.offset[sets.order]
    null = sweep(sets, x, offset)
    keep = independent_columns(information(sets, x, null), float(sets.mass.sum()))
    x = np.ascontiguousarray(x[:, keep])
    top = maximise(sets, x, offset)
    kept = np.flatnonzero(keep)
    wild = top.monotone | _wild(data, kept, top.coef / scale[kept])
    if wild.any():
        wild[~wild] |= ~_identified(data, top.information[np.ix_(~wild, ~wild)])
    fine = ~wild if top.converged else np.zeros(kept.size, dtype=bool)
    at = kept[fine]
    coef, covariance, robust = np.full(p, NAN), np.full((p, p), NAN), None
    coef[at] = top.coef[fine] / scale[at]
    covariance[np.ix_(at, at)] = inverse(top.information[np.ix_(fine, fine)]) / np.outer(scale[at], scale[at])
    std_error = np.sqrt(covariance.diagonal())
    if data.cluster is not None:
        residuals = score_residuals(sets, x, top.sweep)[:, fine] * scale[at]
        covariance[np.ix_(at, at)] = _sandwich(data, residuals, covariance[np.ix_(at, at)])
        robust = np.sqrt(covariance.diagonal())
    monotone = np.zeros(p, dtype=bool)
    monotone[kept[wild]] = True
    return CoxSolution(
        coef=coef,
        std_error=std_error,
        robust=robust,
        covariance=covariance,
        collinear=~keep,
        monotone=monotone,
        top=top,
    )


def _sandwich(data: CoxData, residuals: Floats, model: Floats) -> Floats:
    """Sum over clusters of the outer products of the summed, weighted score residuals, between two inverses."""
    if data.cluster is None:
        raise ValueError("the sandwich needs clusters")
    total = np.zeros((int(data.cluster.max()) + 1, residuals.shape[1]))
    np.add.at(total, data.cluster[data.sets.order], data.sets.weight[:, None] * residuals)
    influence = total @ model
    return influence.T @ influence


def _centre_and_scale(data: CoxData) -> tuple[Floats, Floats]:
    """Weighted means and standard deviations of the columns; an infinite one takes a column out of the model.

    Those are the constant columns, and those on a scale whose square a double cannot hold.
    """
    centre = np.average(data.x, axis=0, weights=data.weights)
    largest = np.maximum(np.abs(data.x - centre).max(axis=0), np.finfo(float).tiny)
    scale = largest * np.sqrt(np.average(((data.x - centre) / largest) ** 2, axis=0, weights=data.weights))
    useless = (scale <= 1e-13 * np.abs(centre)) | (scale < 1e-150) | (scale > 1e150)
    return centre, np.where(useless, np.inf, scale)


def _identified(data: CoxData, information: Floats) -> Bools:
    """Which of the other coefficients still have information once the infinite ones are at their limit."""
    return independent_columns(information, float(data.sets.mass.sum()), tolerance=1e-7)


def _wild(data: CoxData, kept: NDArray[np.int64], coef: Floats) -> Bools:
    """Coefficients too large to be presented, even where the likelihood has a maximum."""
    present = data.x[data.weights > 0][:, kept]
    unit = present.std(axis=0)
    for j in range(kept.size):
        values = present[:, j]
        if np.all((values == values.min()) | (values == values.max())):
            unit[j] = np.ptp(values)
    return np.abs(coef) * unit > LARGEST_LOG_HAZARD_RATIO
