"""Propensity scores, weights made from them, and what weighting achieved.

The logistic model is an own maximum-likelihood fit (Newton to full convergence): scikit-learn's is penalised by
default, and none of the libraries says when the estimate does not exist (separation).

References
----------
Rosenbaum & Rubin 1983, Biometrika 70, 41-55. Austin & Stuart 2015, Stat Med 34, 3661-3679 (weights, balance).
Li, Morgan & Zaslavsky 2018, JASA 113, 390-400 (overlap weights). Albert & Anderson 1984, Biometrika 71, 1-10
(separation).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy.optimize import linprog
from scipy.special import expit, log_expit

from trialstrat.errors import InvalidInputError
from trialstrat.results import Status
from trialstrat.stats.checks import FloatArray, IntArray, check_matrix, check_two_groups, check_values

NAN = float("nan")
WeightKind = Literal["ate", "att", "overlap"]
_MOST_STEPS = 100
#: A linear predictor beyond this (probability 6e-6) asks whether the estimate exists at all.
_SUSPICIOUS = 12.0
#: Beyond this a probability is 0 or 1 to the last digit (2^-52): no weight can be made from it, and how far out the
#: maximum lies, if there is one, depends on the order of additions.
_FARTHEST = 36.0
#: A last step that moves a log odds by more than this is no maximum: each of Newton's steps towards an infinite one
#: moves it by about 1.
_STILL_MOVING = 0.1


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PropensityModel:
    """Logistic regression of treatment on covariates.

    ``coef`` and ``std_error`` (p + 1,) with the intercept first, ``score`` (n,) the probability of treatment; nan with
    a reason when the estimate does not exist.
    """

    names: tuple[str, ...]
    coef: FloatArray
    std_error: FloatArray
    score: FloatArray
    log_likelihood: float
    n: int
    treated: int
    status: Status = "ok"
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PropensityWeights:
    """Weights (n,), their range and mean, and the effective sample size of each arm."""

    weights: FloatArray
    estimand: WeightKind
    minimum: float
    maximum: float
    mean: float
    ess_control: float
    ess_treated: float


@dataclass(frozen=True, slots=True, kw_only=True)
class EValue:
    """Strength of unmeasured confounding that would explain away the ``estimate`` and its nearer confidence ``limit``.

    Both are minimum risk ratios of the confounder with treatment and with outcome; 1 means nothing is needed. ``limit``
    is nan when no interval was given.
    """

    estimate: float
    limit: float


def propensity(
    treatment: npt.ArrayLike, covariates: npt.ArrayLike, *, names: Sequence[str] | None = None
) -> PropensityModel:
    """Probability of treatment given covariates, by logistic regression (maximum likelihood).

    Parameters
    ----------
    treatment : array of shape (n,)
        0 control, 1 treated.
    covariates : array of shape (n, p)
        Numeric and complete.
    names : sequence of p str, optional

    Returns
    -------
    PropensityModel
        Not estimable when an arm is empty, a column is a combination of others, or covariates separate the arms
        (completely or partly: the likelihood has no maximum) or all but do (a fitted probability is 0 or 1 to the
        last digit).

    Raises
    ------
    InvalidInputError
        Treatment other than 0 and 1, missing covariates, unequal lengths.

    References
    ----------
    Rosenbaum & Rubin 1983; McCullagh & Nelder 1989, chapter 4; Konis 2007 (linear programme for separation).
    """
    count = np.asarray(treatment).shape[0] if np.ndim(treatment) else 0
    arm = check_two_groups(treatment, count, name="treatment")
    matrix = check_matrix(covariates, count)
    labels = tuple(f"x{column + 1}" for column in range(matrix.shape[1])) if names is None else tuple(names)
    if len(labels) != matrix.shape[1]:
        raise InvalidInputError(f"names: {len(labels)} names for {matrix.shape[1]} covariates")
    if arm.min(initial=1) == arm.max(initial=0):
        return _no_model(labels, arm, "an arm is empty")
    centre, scale = matrix.mean(axis=0), matrix.std(axis=0)
    scale = np.where(scale > 1e-13 * np.maximum(np.abs(centre), 1e-300), scale, 1.0)
    design = np.column_stack([np.ones(count), (matrix - centre) / scale])
    if np.linalg.matrix_rank(design) < design.shape[1]:
        return _no_model(labels, arm, "a covariate is constant or a combination of the others")
    beta, converged = _maximise(design, arm)
    eta = design @ beta
    if (not converged or np.abs(eta).max() > _SUSPICIOUS) and _separated(design, arm):
        return _no_model(labels, arm, "the covariates separate the arms (the likelihood has no finite maximum)")
    if np.abs(eta).max() > _FARTHEST:
        return _no_model(labels, arm, "the covariates all but separate the arms (a fitted probability is 0 or 1)")
    if not converged:
        return _no_model(labels, arm, "Newton's method did not converge")
    to_original = np.zeros((beta.size, beta.size))
    to_original[0, 0] = 1.0
    to_original[0, 1:] = -centre / scale
    to_original[1:, 1:] = np.diag(1.0 / scale)
    score = expit(eta)
    covariance = np.linalg.inv((design * (score * (1.0 - score))[:, None]).T @ design)
    return PropensityModel(
        names=labels,
        coef=to_original @ beta,
        std_error=np.sqrt(np.diag(to_original @ covariance @ to_original.T)),
        score=score,
        log_likelihood=_log_likelihood(eta, arm),
        n=count,
        treated=int(arm.sum()),
    )


def propensity_weights(
    score: npt.ArrayLike,
    treatment: npt.ArrayLike,
    *,
    estimand: WeightKind,
    stabilised: bool = False,
    truncate: tuple[float, float] | None = None,
) -> PropensityWeights:
    """Inverse probability weights.

    Parameters
    ----------
    score : array of shape (n,)
        Probability e of treatment, strictly between 0 and 1.
    treatment : array of shape (n,)
        0 control, 1 treated.
    estimand : {"ate", "att", "overlap"}
        Whose effect: everybody's (1 / e, 1 / (1 - e)), that of the treated (1, e / (1 - e)), or that of those who could
        have got either (1 - e, e); treated and control in turn.
    stabilised : bool
        ate: times the share of the own arm; att: controls times (1 - share treated) / share treated. Overlap weights
        need none and stay as they are.
    truncate : (low, high), optional
        Cut all (stabilised) weights off at these quantiles (type 7).

    Raises
    ------
    InvalidInputError
        Scores outside (0, 1), treatment other than 0 and 1, quantiles not increasing within [0, 1], unknown estimand.

    References
    ----------
    Austin & Stuart 2015, section 2; Li, Morgan & Zaslavsky 2018, table 1; Cole & Hernan 2008, Am J Epidemiol 168,
    656-664 (truncation).
    """
    e = check_values(score, name="score")
    arm = check_two_groups(treatment, e.size, name="treatment")
    outside = int(((e <= 0) | (e >= 1)).sum())
    if outside:
        raise InvalidInputError(f"score: {outside} of {e.size} values are not strictly between 0 and 1")
    weights = _raw_weights(e, arm == 1, estimand, stabilised)
    if truncate is not None:
        low, high = truncate
        if not 0.0 <= low < high <= 1.0:
            raise InvalidInputError("truncate: two increasing quantiles from 0 to 1 are needed")
        weights = np.clip(weights, *np.quantile(weights, (low, high)))
    return PropensityWeights(
        weights=weights,
        estimand=estimand,
        minimum=float(weights.min()),
        maximum=float(weights.max()),
        mean=float(weights.mean()),
        ess_control=effective_sample_size(weights[arm == 0]),
        ess_treated=effective_sample_size(weights[arm == 1]),
    )


def effective_sample_size(weights: npt.ArrayLike) -> float:
    """Kish's (sum w)^2 / sum w^2: patients of equal weight that carry as much information; 0 for none.

    Raises
    ------
    InvalidInputError
        Weights negative or not finite.

    References
    ----------
    Kish 1965, Survey Sampling, section 11.7.
    """
    values = check_values(weights, name="weights")
    if np.any(values < 0):
        raise InvalidInputError(f"weights: {int((values < 0).sum())} of {values.size} weights are negative")
    squares = float(values @ values)
    return float(values.sum()) ** 2 / squares if squares > 0 else 0.0


def e_value(
    hazard_ratio: float, *, lower: float | None = None, upper: float | None = None, rare: bool = False
) -> EValue:
    """E-value of a hazard ratio: how strong unmeasured confounding must be to explain it away.

    Parameters
    ----------
    hazard_ratio : float
        Estimate, positive.
    lower, upper : float, optional
        Its confidence limits; the one nearer to 1 gets an E-value of its own (1 when the interval holds 1).
    rare : bool
        Outcome in fewer than 15% at the end of follow-up: the hazard ratio is taken as a risk ratio. Otherwise it is
        first turned into one by (1 - 0.5^sqrt(hr)) / (1 - 0.5^sqrt(1 / hr)).

    Raises
    ------
    InvalidInputError
        A ratio that is not positive, or limits that do not enclose the estimate.

    References
    ----------
    VanderWeele & Ding 2017, Ann Intern Med 167, 268-274, table 2.
    """
    given = [value for value in (hazard_ratio, lower, upper) if value is not None]
    if not all(np.isfinite(value) and value > 0 for value in given):
        raise InvalidInputError("hazard_ratio: the estimate and its limits must be positive and finite")
    if (lower is not None and lower > hazard_ratio) or (upper is not None and upper < hazard_ratio):
        raise InvalidInputError("lower, upper: the limits must enclose the estimate")
    nearest = lower if hazard_ratio >= 1 else upper
    limit = NAN
    if nearest is not None:
        crosses = nearest <= 1 if hazard_ratio >= 1 else nearest >= 1
        limit = 1.0 if crosses else _e_value(nearest, rare=rare)
    return EValue(estimate=_e_value(hazard_ratio, rare=rare), limit=limit)


def _e_value(ratio: float, *, rare: bool) -> float:
    away = max(ratio, 1.0 / ratio)
    if not rare:
        away = float((1.0 - 0.5 ** np.sqrt(away)) / (1.0 - 0.5 ** np.sqrt(1.0 / away)))
    return away + float(np.sqrt(away * (away - 1.0)))


def _raw_weights(e: FloatArray, treated: npt.NDArray[np.bool_], estimand: str, stabilised: bool) -> FloatArray:
    share = float(treated.mean())
    if estimand == "ate":
        own = np.where(treated, share, 1.0 - share) if stabilised else 1.0
        return own / np.where(treated, e, 1.0 - e)
    if estimand == "att":
        factor = (1.0 - share) / share if stabilised else 1.0
        return np.where(treated, 1.0, factor * e / (1.0 - e))
    if estimand == "overlap":
        return np.where(treated, 1.0 - e, e)
    raise InvalidInputError("estimand: must be ate, att or overlap")


def _maximise(design: FloatArray, arm: IntArray) -> tuple[FloatArray, bool]:
    """Newton's method with step halving on a scaled design."""
    beta, step = np.zeros(design.shape[1]), np.full(design.shape[1], np.inf)
    value = _log_likelihood(design @ beta, arm)
    for _ in range(_MOST_STEPS):
        fitted = expit(design @ beta)
        gradient = design.T @ (arm - fitted)
        information = (design * (fitted * (1.0 - fitted))[:, None]).T @ design
        step = np.linalg.lstsq(information, gradient, rcond=None)[0]
        factor = 1.0
        while _log_likelihood(design @ (beta + factor * step), arm) < value - 1e-10 * abs(value) and factor > 1e-6:
            factor /= 2.0
        beta = beta + factor * step
        value = _log_likelihood(design @ beta, arm)
        if np.abs(step).max() < 1e-11 * max(1.0, float(np.abs(beta).max())):
            return beta, True
    # what is left are steps of rounding, large in coefficients that are hardly determined, or a way to infinity
    return beta, bool(np.abs(design @ step).max() < _STILL_MOVING)


def _log_likelihood(eta: FloatArray, arm: IntArray) -> float:
    return float(log_expit(np.where(arm == 1, eta, -eta)).sum())


def _separated(design: FloatArray, arm: IntArray) -> bool:
    """Whether some direction never speaks against the observed arms and sometimes for them (Albert & Anderson)."""
    signed = design * np.where(arm == 1, 1.0, -1.0)[:, None]
    bounds = [(-1.0, 1.0)] * design.shape[1]
    best = linprog(-signed.sum(axis=0), A_ub=-signed, b_ub=np.zeros(arm.size), bounds=bounds, method="highs")
    return bool(best.status == 0 and -best.fun > 1e-6)


def _no_model(names: tuple[str, ...], arm: IntArray, reason: str) -> PropensityModel:
    missing = np.full(len(names) + 1, NAN)
    return PropensityModel(
        names=names,
        coef=missing,
        std_error=missing.copy(),
        score=np.full(arm.size, NAN),
        log_likelihood=NAN,
        n=arm.size,
        treated=int(arm.sum()),
        status="not_estimable",
        reason=reason,
    )
