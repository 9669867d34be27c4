"""How well predictions tell patients apart: Harrell's and Uno's concordance, AUC over time.

A score that cannot be computed (no comparable pair, a horizon nobody reaches) is returned with status
``not_estimable``, a reason and nan values. Scores weighted by the inverse probability of censoring take the censoring
distribution from the rows themselves, or from elsewhere (the training data) as ``censoring``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri

from trialstrat.errors import InvalidInputError
from trialstrat.results import NAN, Status
from trialstrat.stats.censoring import CensoringSurvival, CensoringWeights, censoring_of, check_increasing_times, slack
from trialstrat.stats.checks import (
    SurvivalData,
    check_horizon,
    check_level,
    check_matrix,
    check_strata,
    check_survival,
    check_values,
)
from trialstrat.stats.concordance import concordance_sums

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """One score with its standard error and normal confidence interval (cut to [0, 1]).

    ``n`` rows and ``events`` that entered. Limits are nan when the standard error is 0 or unknown.
    """

    value: float
    std_error: float = NAN
    lower: float = NAN
    upper: float = NAN
    level: float = 0.95
    n: int = 0
    events: int = 0
    method: str = ""
    status: Status = "ok"
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AucScores:
    """Cumulative/dynamic AUC at ``times`` (m,) with standard errors and normal limits (cut to [0, 1]).

    ``cases`` had their event by then, ``controls`` were still under observation. Values that cannot be estimated are
    nan and ``reason`` says why; ``status`` is ``not_estimable`` when none can be.
    """

    times: Floats
    auc: Floats
    std_error: Floats
    lower: Floats
    upper: Floats
    level: float
    cases: NDArray[np.int64]
    controls: NDArray[np.int64]
    status: Status = "ok"
    reason: str = ""


def harrell_c(
    time: ArrayLike,
    event: ArrayLike,
    risk: ArrayLike,
    *,
    weights: ArrayLike | None = None,
    strata: ArrayLike | None = None,
    entry: ArrayLike | None = None,
    tau: float | None = None,
    level: float = 0.95,
) -> Score:
    """Harrell's C: the share of comparable pairs in which the patient with the earlier event has the higher risk.

    Parameters
    ----------
    time, event : array of shape (n,)
        Follow-up time; 1 event, 0 censored.
    risk : array of shape (n,)
        High values stand for early events; equal values count one half.
    weights, strata, entry : array of shape (n,), optional
        Case weights; strata within which pairs are formed; delayed entry.
    tau : float, optional
        Only events up to tau count.
    level : float
        Of the confidence interval.

    Returns
    -------
    Score
        With the infinitesimal jackknife standard error.

    Raises
    ------
    InvalidInputError
        Missing risks, impossible times, events, weights, tau or level.

    References
    ----------
    Harrell, Lee & Mark (1996), Statistics in Medicine 15:361.
    Therneau & Watson (2015), The concordance statistic and the Cox model, Mayo Clinic report 85.
    """
    rows = check_survival(time, event, entry=entry, weights=weights)
    return _concordance(
        rows, risk, strata, _events_until(rows, tau).astype(np.float64), check_level(level), "Harrell's C"
    )


def uno_c(
    time: ArrayLike,
    event: ArrayLike,
    risk: ArrayLike,
    *,
    tau: float | None = None,
    censoring: CensoringSurvival | None = None,
    weights: ArrayLike | None = None,
    strata: ArrayLike | None = None,
    level: float = 0.95,
) -> Score:
    """Uno's C: concordance with pairs weighted by 1 / G(t-)^2, free of the censoring distribution.

    Parameters
    ----------
    time, event, risk, weights, strata, level
        As in :func:`harrell_c`.
    tau : float, optional
        Only events up to tau count; choose a time at which enough patients are still followed.
    censoring : CensoringSurvival, optional
        The censoring distribution, of the training data for instance; by default estimated from these rows.

    Returns
    -------
    Score
        With the infinitesimal jackknife standard error, G held fixed.

    Raises
    ------
    InvalidInputError
        As :func:`harrell_c`.

    References
    ----------
    Uno, Cai, Pencina, D'Agostino & Wei (2011), Statistics in Medicine 30:1105, equation 6.
    """
    rows = check_survival(time, event, weights=weights)
    check_level(level)
    counted = _events_until(rows, tau)
    still_seen = (censoring or censoring_of(rows)).left(rows.time[counted])
    unknown = int(np.count_nonzero(~(still_seen > 0)))
    if unknown:
        reason = (
            f"{unknown} of {counted.sum()} events lie where the censoring distribution is 0 or unknown; set tau earlier"
        )
        return Score(
            value=NAN,
            level=level,
            n=rows.n,
            events=int(counted.sum()),
            method="Uno's C",
            status="not_estimable",
            reason=reason,
        )
    share = counted.astype(np.float64)
    share[counted] = still_seen**-2.0
    return _concordance(rows, risk, strata, share, level, "Uno's C")


def time_dependent_auc(
    time: ArrayLike,
    event: ArrayLike,
    risk: ArrayLike,
    times: ArrayLike,
    *,
    censoring: CensoringSurvival | None = None,
    level: float = 0.95,
) -> AucScores:
    """AUC of telling apart those with an event by t (weight 1 / G(T-)) and those still followed without one.

    Parameters
    ----------
    time, event : array of shape (n,)
        Follow-up time; 1 event, 0 censored.
    risk : array of shape (n,) or (n, m)
        One risk for all times, or one per time; equal values count one half.
    times : array of shape (m,)
        Increasing, positive.
    censoring : CensoringSurvival, optional
        The censoring distribution; by default estimated from these rows.
    level : float
        Of the pointwise confidence intervals.

    Returns
    -------
    AucScores
        Standard errors by the infinitesimal jackknife (including the estimation of G unless ``censoring`` is given).

    Raises
    ------
    InvalidInputError
        As :func:`harrell_c`, or times that do not increase.

    References
    ----------
    Uno, Cai, Tian & Wei (2007), JASA 102:527. Hung & Chiang (2010), Canadian Journal of Statistics 38:8.
    Blanche, Dartigues & Jacqmin-Gadda (2013), Statistics in Medicine 32:5381 (influence function).
    """
    rows = check_survival(time, event)
    horizons = check_increasing_times(times)
    risks = check_matrix(risk, rows.n, name="risk")
    if risks.shape[1] not in (1, horizons.size):
        raise InvalidInputError(f"risk: has {risks.shape[1]} columns; one, or one for each of {horizons.size} times")
    ranks = [np.unique(column, return_inverse=True)[1] for column in risks.T]
    z = float(ndtri(0.5 + check_level(level) / 2))
    weighting = CensoringWeights.of(rows, censoring)
    auc, error = np.full((2, horizons.size), np.nan)
    cases, controls = np.zeros((2, horizons.size), dtype=np.int64)
    reasons: list[str] = []
    for k, horizon in enumerate(horizons):
        case, control = weighting.cases(horizon), ~weighting.ended(horizon)
        cases[k], controls[k] = case.sum(), control.sum()
        reason = weighting.trouble(horizon, controls_weighted=False)
        if not reason and not (cases[k] and controls[k]):
            reason = f"{cases[k]} cases and {controls[k]} controls at one of the times; both are needed"
        if reason:
            reasons.append(reason)
            continue
        auc[k], error[k] = _auc_at(weighting, horizon, ranks[min(k, len(ranks) - 1)])
    spread = np.where(error > 0, z * error, np.nan)
    return AucScores(
        times=horizons,
        auc=auc,
        std_error=error,
        lower=np.maximum(auc - spread, 0.0),
        upper=np.minimum(auc + spread, 1.0),
        level=level,
        cases=cases,
        controls=controls,
        status="not_estimable" if len(reasons) == horizons.size else "ok",
        reason=reasons[0] if reasons else "",
    )


def _auc_at(weighting: CensoringWeights, horizon: float, rank: Integers) -> tuple[float, float]:
    """AUC at one time and its standard error; ``rank`` (n,) are the dense ranks of the risk."""
    case, control = weighting.cases(horizon), ~weighting.ended(horizon)
    weight = weighting.event_weight[case]
    beaten = _share_below(rank[control], np.ones(np.count_nonzero(control)), rank[case])
    auc = float(np.sum(weight * beaten) / np.sum(weight))
    losing = 1.0 - _share_below(rank[case], weight, rank[control])
    influence = np.zeros(rank.size)
    influence[case] = weight * (beaten - auc) / np.sum(weight)
    loads = influence.copy()
    influence[control] = (losing - auc) / np.count_nonzero(control)
    influence += weighting.influence(loads, weighting.positions)
    return auc, float(np.sqrt(np.sum(influence**2)))


def _share_below(rank: Integers, weight: Floats, at: Integers) -> Floats:
    """Share of the weight at ranks below each of ``at``, that at the same rank counted half."""
    mass = np.bincount(rank, weights=weight, minlength=int(max(rank.max(), at.max())) + 1)
    up_to = np.cumsum(mass)
    return ((up_to - mass / 2.0) / up_to[-1])[at]


def _concordance(
    rows: SurvivalData, risk: ArrayLike, strata: ArrayLike | None, share: Floats, level: float, method: str
) -> Score:
    """Score of the pairs in which row i as the earlier event has weight ``share[i]``."""
    values = check_values(risk, rows.n, name="risk")
    sums = concordance_sums(
        rows.time,
        rows.event,
        values,
        entry=rows.entry,
        strata=check_strata(strata, rows.n),
        weights=rows.weights,
        event_weights=share,
    )
    events = int(np.count_nonzero(share))
    if not sums.comparable > 0:
        reason = f"no comparable pair of patients: {events} events among {rows.n} patients"
        return Score(
            value=NAN, level=level, n=rows.n, events=events, method=method, status="not_estimable", reason=reason
        )
    value = min(max(sums.concordance, 0.0), 1.0)
    error = sums.std_error()
    spread = float(ndtri(0.5 + level / 2)) * error if error > 0 else NAN
    lower, upper = (max(value - spread, 0.0), min(value + spread, 1.0)) if error > 0 else (NAN, NAN)
    return Score(
        value=value,
        std_error=error,
        lower=lower,
        upper=upper,
        level=level,
        n=rows.n,
        events=events,
        method=method,
    )


def _events_until(rows: SurvivalData, tau: float | None) -> NDArray[np.bool_]:
    limit = np.inf if tau is None else check_horizon(tau, name="tau") + slack(np.unique(rows.time))
    return (rows.event == 1) & (rows.time <= limit)
