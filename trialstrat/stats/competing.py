"""Competing events: cumulative incidence, Gray's test, cause-specific hazards.

Event codes: 0 censored, 1, 2, ... causes. Every code other than 0 and the cause of interest competes with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import chdtrc, ndtri

from trialstrat.errors import InvalidInputError
from trialstrat.results import NAN, TestResult
from trialstrat.stats.checks import (
    Label,
    SurvivalData,
    check_groups,
    check_level,
    check_strata,
    check_survival,
    check_values,
)
from trialstrat.stats.cox import CoxFit, cox
from trialstrat.stats.kernels.gray import gray_scores
from trialstrat.stats.survival import SurvivalCurve, curve_of

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class IncidenceAt:
    """Values of a cumulative incidence curve at chosen times, one entry per time."""

    times: Floats
    n_risk: Floats
    incidence: Floats
    std_error: Floats
    lower: Floats
    upper: Floats


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class IncidenceCurve:
    """Probability of an event of one cause by t, in the presence of the others.

    Attributes
    ----------
    time, n_risk, n_event, n_other, n_censor : arrays of shape (m,)
        Distinct times of events and censorings; (weighted) numbers at risk just before, with an event of the cause,
        with another, and censored.
    incidence, std_error, lower, upper : arrays of shape (m,)
        Aalen-Johansen estimate, infinitesimal jackknife standard error, and limits on the scale log(-log F)
        (nan where F is 0 or 1).
    n, events
        Number of rows and of rows with an event of the cause (not weighted).
    """

    cause: int
    time: Floats
    n_risk: Floats
    n_event: Floats
    n_other: Floats
    n_censor: Floats
    incidence: Floats
    std_error: Floats
    lower: Floats
    upper: Floats
    level: float
    n: int
    events: int

    def at(self, times: ArrayLike) -> IncidenceAt:
        """Read the curve off at ``times``: 0 before the first row, carried forward after the last."""
        t = check_values(np.atleast_1d(np.asarray(times, dtype=np.float64)), name="times")
        row = np.searchsorted(self.time, t, side="right")
        return IncidenceAt(
            times=t,
            n_risk=np.append(self.n_risk, 0.0)[np.searchsorted(self.time, t, side="left")],
            incidence=np.concatenate(([0.0], self.incidence))[row],
            std_error=np.concatenate(([0.0], self.std_error))[row],
            lower=np.concatenate(([NAN], self.lower))[row],
            upper=np.concatenate(([NAN], self.upper))[row],
        )


def cumulative_incidence(
    time: ArrayLike,
    event: ArrayLike,
    cause: int,
    *,
    entry: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    level: float = 0.95,
) -> IncidenceCurve:
    """Aalen-Johansen estimate of the cumulative incidence of one cause.

    Parameters
    ----------
    time, event : arrays of shape (n,)
        Follow-up time and code: 0 censored, 1, 2, ... causes.
    cause : int
        The cause of interest.
    entry : array of shape (n,), optional
        Delayed entry; a patient is at risk at t when entry < t <= time.
    weights : array of shape (n,), optional
        Case weights.
    level : float
        Confidence level of the pointwise limits.

    Returns
    -------
    IncidenceCurve
        The standard error is the infinitesimal jackknife, sqrt(sum_i (w_i dF / dw_i)^2).

    Raises
    ------
    InvalidInputError
        Impossible times, codes, weights, entry, cause or level.

    References
    ----------
    Aalen & Johansen (1978), Scandinavian Journal of Statistics 5:141.
    Choudhury (2002), Statistics in Medicine 21:1129 (limits).
    """
    check_level(level)
    rows = check_survival(time, event, entry=entry, weights=weights, competing=True)
    return incidence_of(rows, check_cause(cause), level=level)


def cumulative_incidence_by_group(
    time: ArrayLike,
    event: ArrayLike,
    cause: int,
    group: ArrayLike,
    *,
    entry: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    level: float = 0.95,
) -> dict[Label, IncidenceCurve]:
    """One :func:`cumulative_incidence` per group, in sorted order of the labels."""
    check_level(level)
    rows = check_survival(time, event, entry=entry, weights=weights, competing=True)
    groups = check_groups(group, rows.n)
    return {
        label: incidence_of(rows.subset(groups.codes == code), check_cause(cause), level=level)
        for code, label in enumerate(groups.labels)
    }


def incidence_of(rows: SurvivalData, cause: int, *, level: float = 0.95) -> IncidenceCurve:
    """The curve of data already checked by ``check_survival`` (times are not merged again)."""
    anything = SurvivalData(
        time=rows.time, event=(rows.event > 0).astype(np.int64), entry=rows.entry, weights=rows.weights
    )
    overall = curve_of(anything)
    index = np.searchsorted(overall.time, rows.time)
    weight = np.ones(rows.n) if rows.weights is None else rows.weights
    of_cause = rows.event == cause
    caused = np.bincount(index, weights=weight * of_cause, minlength=overall.time.size).astype(np.float64)
    before = np.concatenate(([1.0], overall.survival[:-1]))
    incidence = np.minimum(np.cumsum(before * _share(caused, overall.n_risk)), 1.0)
    error = np.sqrt(_jackknife_variance(rows, of_cause, overall, caused, incidence))
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        # a sum of increments may miss 1 by rounding
        inner = (incidence > 0) & (incidence < 1.0 - 1e-12)
        shift = float(ndtri(0.5 + level / 2)) * error / (incidence * np.log(incidence))
        lower = np.where(inner, incidence ** np.exp(-shift), NAN)
        upper = np.where(inner, incidence ** np.exp(shift), NAN)
    return IncidenceCurve(
        cause=cause,
        time=overall.time,
        n_risk=overall.n_risk,
        n_event=caused,
        n_other=overall.n_event - caused,
        n_censor=overall.n_censor,
        incidence=incidence,
        std_error=error,
        lower=lower,
        upper=upper,
        level=level,
        n=rows.n,
        events=int(of_cause.sum()),
    )


def gray_test(
    time: ArrayLike,
    event: ArrayLike,
    cause: int,
    group: ArrayLike,
    *,
    strata: ArrayLike | Sequence[ArrayLike] | None = None,
) -> TestResult:
    """Gray's test of equal cumulative incidence of one cause in all groups.

    Parameters
    ----------
    time, event, cause
        As in :func:`cumulative_incidence`.
    group : array of shape (n,)
        Labels of at least two groups.
    strata : array of shape (n,) or list of such, optional
        Scores and variances are summed over the combinations of their values.

    Returns
    -------
    TestResult
        Chi-square with groups - 1 degrees of freedom. Null hypothesis: the cumulative incidence of the cause is the
        same in all groups. ``not_estimable`` without an event of the cause.

    Raises
    ------
    InvalidInputError
        One group only, or impossible times, codes or labels.

    References
    ----------
    Gray (1988), Annals of Statistics 16:1141, with rho = 0.
    """
    rows = check_survival(time, event, competing=True)
    kind = np.where(rows.event == check_cause(cause), 1, np.where(rows.event > 0, 2, 0))
    groups = check_groups(group, rows.n)
    if groups.k < 2:
        raise InvalidInputError("group: all rows are in one group; a test compares at least two")
    stratum = check_strata(strata, rows.n)
    order = np.lexsort((rows.time, stratum))
    bounds = np.searchsorted(stratum[order], np.arange(int(stratum.max()) + 2))
    score, variance = gray_scores(rows.time[order], kind[order], groups.codes[order], bounds, groups.k)
    statistic, df, events = NAN, groups.k - 1, int(np.count_nonzero(kind == 1))
    if events:
        try:
            statistic = float(score[:-1] @ np.linalg.solve(variance[:-1, :-1], score[:-1]))
        except np.linalg.LinAlgError:
            statistic = NAN
    ok = np.isfinite(statistic) and statistic >= 0
    reason = "the groups share no time at which they could differ" if events else "there is no event of the cause"
    return TestResult(
        statistic=statistic if ok else NAN,
        df=df,
        p=float(chdtrc(df, statistic)) if ok else NAN,
        null_hypothesis="the cumulative incidence of the cause is the same in all groups",
        method="Gray's test" + (", stratified" if strata is not None else ""),
        n=rows.n,
        events=events,
        status="ok" if ok else "not_estimable",
        reason="" if ok else reason,
    )


def cause_specific(
    time: ArrayLike,
    event: ArrayLike,
    cause: int,
    X: ArrayLike,
    *,
    strata: ArrayLike | Sequence[ArrayLike] | None = None,
    names: Sequence[str] | None = None,
    level: float = 0.95,
) -> CoxFit:
    """Cox model of the cause-specific hazard: events of other causes are censorings. Arguments as in ``cox``."""
    rows = check_survival(time, event, competing=True)
    return cox(rows.time, rows.event == check_cause(cause), X, strata=strata, names=names, level=level)


def check_cause(cause: int) -> int:
    """An event code of at least 1."""
    if isinstance(cause, bool) or int(cause) != cause or cause < 1:
        raise InvalidInputError("cause: an event code 1, 2, ... is needed")
    return int(cause)


def _share(part: Floats, whole: Floats) -> Floats:
    return np.divide(part, whole, out=np.zeros_like(whole), where=part > 0)


def _jackknife_variance(
    rows: SurvivalData, of_cause: NDArray[np.bool_], overall: SurvivalCurve, caused: Floats, incidence: Floats
) -> Floats:
    """Sum over rows of (w_i dF(t) / dw_i)^2 at every distinct time, in O(n).

    With S(u-), the cause's and the overall hazard increments h_k and h, and Y at risk,

        dF(t) = sum over u <= t of S(u-) dh_k - (F(t) - F(u)) / (1 - h) dh,   dh_i = (dN_i - Y_i h) / Y,

    is A_i(t) - F(t) B_i(t) with A and B free of F(t). Both stay constant once the row has left, and are minus a sum
    common to all rows while it is at risk: the squares are therefore sums over rows that have left and polynomials in
    the common sums for those at risk.
    """
    m = overall.time.size
    index = np.searchsorted(overall.time, rows.time)
    one = np.divide(1.0, overall.n_risk, out=np.zeros(m), where=overall.n_risk > 0)
    hazard = _share(overall.n_event, overall.n_risk)
    of_any = np.divide(one, 1.0 - hazard, out=np.zeros(m), where=overall.survival > 0)
    direct = np.concatenate(([1.0], overall.survival[:-1])) * one
    common = np.cumsum([_share(caused, overall.n_risk) * direct + hazard * incidence * of_any, hazard * of_any], axis=1)
    entered = np.zeros(rows.n, dtype=np.int64)
    if rows.entry is not None:
        entered = np.searchsorted(overall.time, rows.entry, side="right")
    start = np.concatenate((np.zeros((2, 1)), common), axis=1)[:, entered]
    jump = np.stack([of_cause * direct[index] + (rows.event > 0) * (incidence * of_any)[index], of_any[index]])
    jump[1] *= rows.event > 0
    a, b = jump - (common[:, index] - start)
    weight = np.ones(rows.n) if rows.weights is None else rows.weights

    def left(values: Floats) -> Floats:
        return np.cumsum(np.bincount(index, weights=weight**2 * values, minlength=m), dtype=np.float64)

    def present(values: Floats) -> Floats:
        joined = np.bincount(entered, weights=weight**2 * values, minlength=m)[:m]
        return np.cumsum(joined, dtype=np.float64) - left(values)

    # while at risk A - F B is minus (common - start), linear in the row's start
    level = common[0] - incidence * common[1]
    variance = left(a * a) - 2.0 * incidence * left(a * b) + incidence**2 * left(b * b)
    variance += level**2 * present(np.ones(rows.n))
    if rows.entry is not None:
        variance -= 2.0 * level * (present(start[0]) - incidence * present(start[1]))
        variance += present(start[0] ** 2) - 2.0 * incidence * present(start[0] * start[1])
        variance += incidence**2 * present(start[1] ** 2)
    return np.where(incidence > 0, np.maximum(variance, 0.0), 0.0)
