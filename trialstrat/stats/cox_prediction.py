"""Baseline hazard and predicted survival of a fitted Cox model."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri

from trialstrat.errors import InvalidInputError
from trialstrat.results import Status
from trialstrat.stats.checks import check_level, check_matrix, check_values
from trialstrat.stats.cox import CoxFit
from trialstrat.stats.cox_residuals import sweep_at_fit
from trialstrat.stats.kernels.linear import row_products

Floats = NDArray[np.float64]
CONFIDENCE_TYPES = ("log", "log-log", "plain")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BaselineHazard:
    """Cumulative hazard of one stratum at covariates 0 and offset 0, at every distinct time of the stratum."""

    stratum: str
    time: Floats
    cumulative_hazard: Floats
    status: Status = "ok"
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PredictedSurvival:
    """Predicted survival, (m, k): one row per new patient, one column per time; limits at ``level``."""

    times: Floats
    survival: Floats
    std_error: Floats
    lower: Floats
    upper: Floats
    level: float
    conf_type: str
    status: Status = "ok"
    reason: str = ""


def baseline_hazard(fit: CoxFit) -> tuple[BaselineHazard, ...]:
    """Cumulative baseline hazard of every stratum, in the order of the stratum codes.

    Covariates at 0, not at their mean; the increments follow the rule of ties of the fit (Breslow's or Efron's).
    Covariates that are not estimable are left out of the linear predictor.

    References
    ----------
    Breslow (1972), discussion of Cox, JRSS B 34:216. Therneau & Grambsch (2000), ch. 10.
    """
    data, sets = fit.data, fit.data.sets
    usable = fit.events > 0 and fit.converged
    curves = []
    steps = _Steps.of(fit) if usable else None
    for code, label in enumerate(data.stratum_labels):
        time = np.unique(data.time[(data.strata == code) & (data.weights > 0)])
        if steps is None:
            hazard = np.full(time.shape, np.nan)
        else:
            own = sets.group_stratum[sets.group_of_step] == code
            total = np.concatenate(([0.0], np.cumsum(steps.increment[own])))
            with np.errstate(over="ignore"):
                hazard = total[np.searchsorted(steps.time[own], time, side="right")] * np.exp(-steps.log_scale)
        curves.append(
            BaselineHazard(
                stratum=label,
                time=time,
                cumulative_hazard=hazard,
                status="ok" if usable else "not_estimable",
                reason="" if usable else fit.reason,
            )
        )
    return tuple(curves)


def predict_survival(
    fit: CoxFit,
    new: ArrayLike,
    times: ArrayLike,
    *,
    stratum: str | None = None,
    offset: ArrayLike | None = None,
    conf_type: str = "log",
    level: float = 0.95,
) -> PredictedSurvival:
    """Survival of new patients, ``exp(-H0(t) exp(x b))``, with pointwise limits.

    Parameters
    ----------
    fit : CoxFit
        A fit whose coefficients are all estimable; otherwise the status is ``not_estimable``.
    new : array of shape (m, p)
        Covariates in the order of ``fit.names``.
    times : array of shape (k,)
        Times; the step function is carried forward after the last event.
    stratum : str, optional
        Label of the baseline; needed with more than one stratum.
    offset : array of shape (m,), optional
        Added to the linear predictor of the new patients.
    conf_type : {"log", "log-log", "plain"}
        Scale on which the normal limits are made; limits are cut to [0, 1] and nan where the variance is 0 on log-log.
    level : float
        Confidence level.

    Notes
    -----
    Variance of the cumulative hazard: the sum of ``mass / denominator^2`` over the steps, plus ``q' V q`` with
    ``q`` the sum of ``(x - mean) dH``, both times ``exp(2 x b)`` (Tsiatis 1981, Annals of Statistics 9:93;
    Therneau & Grambsch 2000, eq. 10.13). V is the covariance of the fit (the sandwich with ``cluster``).

    Raises
    ------
    InvalidInputError
        Wrong shapes, an unknown ``conf_type`` or ``stratum``.
    """
    x = np.asarray(new, dtype=np.float64)
    x = check_matrix(x, x.shape[0] if x.ndim else 0, name="new")
    level, at = check_level(level), check_values(np.atleast_1d(times), name="times")
    if x.shape[1] != len(fit.names):
        raise InvalidInputError(f"new: {x.shape[1]} columns where the model has {len(fit.names)} covariates")
    if conf_type not in CONFIDENCE_TYPES:
        raise InvalidInputError(f"conf_type: choose one of {', '.join(CONFIDENCE_TYPES)}")
    code = _stratum_code(fit, stratum)
    if fit.events == 0 or not fit.converged or not fit.estimable.all():
        return _nothing(x.shape[0], at, level, conf_type, fit.reason)
    added = np.zeros(x.shape[0]) if offset is None else check_values(offset, x.shape[0], name="offset")
    hazard, variance = _hazard_and_variance(fit, x, added, at, code)
    survival, spread = np.exp(-hazard), np.sqrt(variance)
    lower, upper = _limits(survival, hazard, spread * float(ndtri(0.5 + level / 2)), conf_type)
    return PredictedSurvival(
        times=at, survival=survival, std_error=survival * spread, lower=lower, upper=upper, level=level,
        conf_type=conf_type,
    )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Steps:
    """Hazard steps for a patient whose linear predictor is ``log_scale`` (the largest of the data)."""

    time: Floats
    increment: Floats
    square: Floats
    mean: Floats
    centre: Floats
    log_scale: float

    @classmethod
    def of(cls, fit: CoxFit) -> _Steps:
        data, sets, used = fit.data, fit.data.sets, fit.estimable
        _, at = sweep_at_fit(fit)
        centre = np.average(data.x[:, used], axis=0, weights=data.weights)
        return cls(
            time=sets.time[sets.group_of_step],
            increment=at.increment,
            square=sets.mass / at.denominator**2,
            mean=at.mean,
            centre=centre,
            log_scale=at.shift + float(centre @ fit.coef[used]),
        )


def _hazard_and_variance(fit: CoxFit, x: Floats, offset: Floats, times: Floats, code: int) -> tuple[Floats, Floats]:
    """Cumulative hazard (m, k) and its variance."""
    sets, steps = fit.data.sets, _Steps.of(fit)
    own = sets.group_stratum[sets.group_of_step] == code
    reached = np.searchsorted(steps.time[own], times, side="right")
    base = np.concatenate(([0.0], np.cumsum(steps.increment[own])))[reached]
    square = np.concatenate(([0.0], np.cumsum(steps.square[own])))[reached]
    weighted = np.vstack((np.zeros(x.shape[1]), np.cumsum(steps.increment[own, None] * steps.mean[own], axis=0)))[
        reached
    ]
    with np.errstate(over="ignore"):
        ratio = np.exp(row_products(x, fit.coef) + offset - steps.log_scale)[:, None]
    q = (x - steps.centre)[:, None, :] * base[None, :, None] - weighted[None]
    slope = np.einsum("mkp,pr,mkr->mk", q, fit.covariance, q)
    return base * ratio, (square + slope) * ratio**2


def _limits(survival: Floats, hazard: Floats, half: Floats, conf_type: str) -> tuple[Floats, Floats]:
    if conf_type == "plain":
        lower, upper = survival - survival * half, survival + survival * half
    elif conf_type == "log":
        lower, upper = np.exp(-hazard - half), np.exp(-hazard + half)
    else:
        with np.errstate(divide="ignore", invalid="ignore"):
            factor = np.where(hazard > 0, np.exp(half / hazard), np.nan)
        lower, upper = np.exp(-hazard * factor), np.exp(-hazard / factor)
    return np.clip(lower, 0.0, 1.0), np.clip(upper, 0.0, 1.0)


def _stratum_code(fit: CoxFit, stratum: str | None) -> int:
    labels = fit.data.stratum_labels
    if stratum is None and len(labels) == 1:
        return 0
    if stratum not in labels:
        raise InvalidInputError(f"stratum: the model has {len(labels)} strata; name one of them")
    return labels.index(stratum)


def _nothing(m: int, times: Floats, level: float, conf_type: str, reason: str) -> PredictedSurvival:
    missing = np.full((m, times.size), np.nan)
    return PredictedSurvival(
        times=times, survival=missing, std_error=missing, lower=missing, upper=missing, level=level,
        conf_type=conf_type, status="not_estimable", reason=reason or "the model has no estimable coefficient",
    )  # fmt: skip
