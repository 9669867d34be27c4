"""Test of proportional hazards: whether a coefficient of the Cox model changes with time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtrc
from scipy.stats import rankdata

from trialstrat.errors import InvalidInputError
from trialstrat.results import TestResult
from trialstrat.stats.cox import CoxFit
from trialstrat.stats.cox_residuals import sweep_at_fit
from trialstrat.stats.kernels.linear import weighted_cross, weighted_total
from trialstrat.stats.partial_likelihood import Sweep, information, inverse

Floats = NDArray[np.float64]
TimeTransform = Literal["km", "rank", "identity", "log"]
#: A covariate whose time-dependent part is, up to this share, explained by the model itself cannot be tested.
DEGENERATE = 1e-10


@dataclass(frozen=True, slots=True, kw_only=True)
class ProportionalHazardsTest:
    """Score tests that the effect of a covariate does not change with ``transform`` of time: one by one and jointly."""

    transform: TimeTransform
    covariates: dict[str, TestResult]
    overall: TestResult


def ph_test(fit: CoxFit, transform: TimeTransform = "km") -> ProportionalHazardsTest:
    """Score test of adding ``x g(t)`` to a fitted Cox model.

    Null hypothesis: the log hazard ratio of the covariate is constant over time (against a change linear in g).

    Parameters
    ----------
    fit : CoxFit
        Any fit of :func:`~trialstrat.stats.cox.cox`; covariates that are not estimable get no test.
    transform : {"km", "rank", "identity", "log"}
        g(t): one minus the Kaplan-Meier curve just before t (all rows, without weights and strata), the mid-rank of t
        among all times, t, or log t (not with an event at time 0).

    Raises
    ------
    InvalidInputError
        For an unknown transform, or ``log`` with an event at time 0.

    References
    ----------
    Grambsch & Therneau (1994), Biometrika 81:515. Therneau, survival 3.x, ``cox.zph`` (exact score test).
    """
    if transform not in get_args(TimeTransform):
        raise InvalidInputError(f"transform: choose one of {', '.join(get_args(TimeTransform))}")
    used = fit.estimable
    if fit.events == 0 or not fit.converged or not used.any():
        reason = fit.reason or "the model has no covariate"
        single = {name: _result(fit, transform, np.nan, 1, reason) for name in fit.names}
        return ProportionalHazardsTest(
            transform=transform, covariates=single, overall=_result(fit, transform, np.nan, len(fit.names), reason)
        )
    u, variance, bare = _augmented_score(fit, _time_function(fit, transform))
    tested = variance.diagonal() > DEGENERATE * bare
    covariates: dict[str, TestResult] = {}
    position = np.cumsum(used) - 1
    for j, name in enumerate(fit.names):
        k = int(position[j])
        known = bool(used[j]) and bool(tested[k])
        statistic = float(u[k] ** 2 / variance[k, k]) if known else np.nan
        covariates[name] = _result(fit, transform, statistic, 1, "the effect cannot be seen at two different times")
    at = np.flatnonzero(tested)
    statistic = float(u[at] @ inverse(variance[np.ix_(at, at)]) @ u[at]) if at.size else np.nan
    overall = _result(fit, transform, statistic, at.size, "the effects cannot be seen at two different times")
    return ProportionalHazardsTest(transform=transform, covariates=covariates, overall=overall)


def _augmented_score(fit: CoxFit, g: Floats) -> tuple[Floats, Floats, Floats]:
    """Score of the added terms, its variance given the fitted coefficients, and the diagonal without that adjustment.

    ``g`` (groups,) is centred first: the score of the model itself is 0, so only rounding depends on it.
    """
    sets = fit.data.sets
    x, at = sweep_at_fit(fit)
    mass = np.add.reduceat(sets.mass, sets.step[:-1])
    g = g - np.average(g, weights=mass)
    by_step = g[sets.group_of_step]
    own = np.where(sets.dies, g[np.maximum(sets.end - 1, 0)], 0.0)
    hazard = sets.exposure(at.increment * by_step)
    u = weighted_total(x, sets.weight * (own - at.risk * hazard))
    cross = _time_weighted_information(fit, x, at, by_step)
    square = _time_weighted_information(fit, x, at, by_step**2)
    return u, square - cross @ inverse(information(sets, x, at)) @ cross, square.diagonal()


def _time_weighted_information(fit: CoxFit, x: Floats, at: Sweep, by_step: Floats) -> Floats:
    """Sum over the steps of ``by_step`` times the covariance of the covariates in the risk set."""
    sets = fit.data.sets
    hazard = sets.exposure(at.increment * by_step)
    return weighted_cross(x, sets.weight * at.risk * hazard) - weighted_cross(at.mean, sets.mass * by_step)


def _time_function(fit: CoxFit, transform: TimeTransform) -> Floats:
    """G at the time of every group."""
    data, sets = fit.data, fit.data.sets
    if transform == "identity":
        return sets.time.copy()
    if transform == "log":
        if np.any(sets.time <= 0):
            raise InvalidInputError("transform: log is not defined for an event at time 0; choose km or rank")
        return np.log(sets.time)
    if transform == "rank":
        rank = rankdata(data.time)
        order = np.argsort(data.time, kind="stable")
        return rank[order][np.searchsorted(data.time[order], sets.time)]
    return _one_minus_survival(fit)


def _one_minus_survival(fit: CoxFit) -> Floats:
    """One minus the Kaplan-Meier curve of all rows just before the time of every group."""
    data = fit.data
    times = np.unique(data.time[data.event == 1])
    ends = np.sort(data.time)
    at_risk = ends.size - np.searchsorted(ends, times, side="left").astype(float)
    if data.entry is not None:
        starts = np.sort(data.entry)
        at_risk -= starts.size - np.searchsorted(starts, times, side="left")
    deaths = np.bincount(np.searchsorted(times, data.time[data.event == 1]), minlength=times.size)
    survival = np.concatenate(([1.0], np.cumprod(1.0 - deaths / at_risk)))
    return 1.0 - survival[np.searchsorted(times, data.sets.time)]


def _result(fit: CoxFit, transform: str, statistic: float, df: int, reason: str) -> TestResult:
    ok = bool(np.isfinite(statistic))
    return TestResult(
        statistic=statistic,
        df=df,
        p=float(chdtrc(df, max(statistic, 0.0))) if ok else np.nan,
        null_hypothesis="the log hazard ratio does not change with time",
        method=f"score test of proportional hazards, {transform} of time",
        n=fit.n,
        events=fit.events,
        status="ok" if ok else "not_estimable",
        reason="" if ok else reason,
    )
