"""The log-rank family: weighted, stratified, with delayed entry, for two or more groups, for trend and for pairs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from scipy.special import chdtrc

from trialstrat.errors import InvalidInputError
from trialstrat.results import NAN, Status, TestResult
from trialstrat.stats.checks import (
    FloatArray,
    Groups,
    IntArray,
    Label,
    SurvivalData,
    check_groups,
    check_strata,
    check_survival,
    check_values,
)
from trialstrat.stats.kernels.logrank import risk_table
from trialstrat.stats.multiplicity import Adjustment, p_adjust

Weighting = Literal["gehan", "tarone-ware", "peto"]
WEIGHTINGS = ("gehan", "tarone-ware", "peto")
NULL_HYPOTHESIS = "the survival curves of all groups are equal (within every stratum, when there are strata)"
NO_EVENT = "there is no event; at least one is needed for a test, and many more for a useful one"
NO_INFORMATION = "no event happens while patients of more than one group are at risk"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EventTable:
    """Risk sets at the distinct event times of every stratum: one row per time, one column per group.

    ``survival_before`` is the pooled Kaplan-Meier curve of the stratum just before the time, ``peto`` the product of
    1 - d / (n + 1) up to and including it.
    """

    deaths: FloatArray
    at_risk: FloatArray
    survival_before: FloatArray
    peto: FloatArray

    def weights(self, rho: float, gamma: float) -> FloatArray:
        """Fleming-Harrington weights S(t-)^rho (1 - S(t-))^gamma."""
        with np.errstate(divide="ignore"):
            return self.survival_before**rho * (1.0 - self.survival_before) ** gamma


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LogRank:
    """A (weighted, stratified) log-rank test.

    Attributes
    ----------
    statistic, df, p
        Chi-square, degrees of freedom and its upper tail; nan when ``status`` is not ``ok``.
    z
        With two groups the signed root: positive when the second group has more events than expected. Else nan.
    groups, n, observed, expected
        Labels in sorted order, patients, and weighted observed and expected events by group.
    events
        Number of events in all groups.
    """

    statistic: float
    df: int
    p: float
    z: float
    groups: tuple[Label, ...]
    n: IntArray
    observed: FloatArray
    expected: FloatArray
    events: int
    method: str
    null_hypothesis: str = NULL_HYPOTHESIS
    status: Status = "ok"
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PairwiseLogRank:
    """Log-rank tests of all pairs of groups, each from its own rows.

    ``p`` is nan where a pair is not estimable; ``adjusted`` holds, by method, p adjusted over the pairs that are.
    """

    pairs: tuple[tuple[Label, Label], ...]
    p: FloatArray
    adjusted: Mapping[str, FloatArray]
    tests: tuple[LogRank, ...]


def logrank(
    time: npt.ArrayLike,
    event: npt.ArrayLike,
    group: npt.ArrayLike,
    *,
    strata: npt.ArrayLike | Sequence[npt.ArrayLike] | None = None,
    entry: npt.ArrayLike | None = None,
    rho: float = 0.0,
    gamma: float = 0.0,
    weighting: Weighting | None = None,
) -> LogRank:
    """Log-rank test of equal survival in two or more groups.

    At every event time with n at risk, d events and shares q = Y / n of the groups: U = sum w (d_k - d q_k) and
    V = sum w^2 d (n - d) / (n - 1) (diag(q) - q q'), summed over strata; the statistic is U' V^- U. A group that is
    never at risk at an event time is left out of the degrees of freedom.

    Parameters
    ----------
    time, event : arrays of shape (n,)
        Follow-up time and 0/1 event.
    group : array of shape (n,)
        Labels of at least two groups.
    strata : array or list of arrays, optional
        A stratum is a combination of their values.
    entry : array of shape (n,), optional
        Delayed entry: at risk at t when entry < t <= time.
    rho, gamma : float
        Fleming-Harrington weights S(t-)^rho (1 - S(t-))^gamma, S the pooled curve of the stratum.
    weighting : {"gehan", "tarone-ware", "peto"}, optional
        Weights n, sqrt(n), or the product of 1 - d / (n + 1), in place of rho and gamma.

    Raises
    ------
    InvalidInputError
        Impossible arrays, a single group, or an unknown weighting.

    References
    ----------
    Mantel N (1966). Cancer Chemotherapy Reports 50, 163-170. Harrington DP, Fleming TR (1982). Biometrika 69, 553-566.
    Tarone RE, Ware J (1977). Biometrika 64, 156-160.
    """
    if weighting is not None and weighting not in WEIGHTINGS:
        raise InvalidInputError(f"weighting: one of {', '.join(WEIGHTINGS)} is needed")
    if weighting is not None and (rho != 0.0 or gamma != 0.0):
        raise InvalidInputError("weighting: give either a weighting or rho and gamma, not both")
    data, groups, blocks = check_test(time, event, group, strata=strata, entry=entry)
    table = event_table(data, groups, blocks)
    weights = table.weights(rho, gamma) if weighting is None else _named_weights(table, weighting)
    return _test(data, groups, table, weights, method=_method(rho, gamma, weighting, strata is not None))


def logrank_trend(
    time: npt.ArrayLike,
    event: npt.ArrayLike,
    group: npt.ArrayLike,
    *,
    scores: npt.ArrayLike | None = None,
    strata: npt.ArrayLike | Sequence[npt.ArrayLike] | None = None,
) -> TestResult:
    """Log-rank test for trend over ordered groups, (c'U)^2 / c'Vc with 1 df.

    Parameters
    ----------
    time, event, group, strata
        As in :func:`logrank`; the groups in sorted order.
    scores : array of shape (groups,), optional
        Scores c of the sorted groups, 1, 2, ... without; any linear change of them gives the same test.

    Raises
    ------
    InvalidInputError
        Impossible arrays, a single group, or scores that are not one per group or all equal.

    References
    ----------
    Tarone RE (1975). Biometrika 62, 679-682.
    """
    data, groups, blocks = check_test(time, event, group, strata=strata)
    c = np.arange(1.0, groups.k + 1) if scores is None else check_values(scores, groups.k, name="scores")
    if np.ptp(c) == 0.0:
        raise InvalidInputError("scores: all scores are equal; a trend needs at least two different ones")
    table = event_table(data, groups, blocks)
    u, v, _, _ = _sums(table, np.ones(table.deaths.shape[0]))
    variance = float(c @ v @ c)
    events = int(data.event.sum())
    reason = "" if variance > 0.0 else (NO_INFORMATION if events else NO_EVENT)
    statistic = float(c @ u) ** 2 / variance if not reason else NAN
    return TestResult(
        statistic=statistic,
        df=1.0,
        p=float(chdtrc(1, statistic)) if not reason else NAN,
        null_hypothesis="the hazards of the ordered groups do not rise or fall with their scores",
        method="log-rank test for trend",
        n=data.n,
        events=events,
        status="not_estimable" if reason else "ok",
        reason=reason,
    )


def logrank_pairwise(
    time: npt.ArrayLike,
    event: npt.ArrayLike,
    group: npt.ArrayLike,
    *,
    adjust: Sequence[Adjustment] = ("holm",),
    strata: npt.ArrayLike | Sequence[npt.ArrayLike] | None = None,
) -> PairwiseLogRank:
    """Log-rank tests of the pairs (1,2), (1,3), ..., (2,3), ... of the sorted groups, each from its own rows.

    Parameters
    ----------
    time, event, group, strata
        As in :func:`logrank`.
    adjust : sequence of names
        Methods of :func:`~trialstrat.stats.multiplicity.p_adjust`.
    """
    data, groups, blocks = check_test(time, event, group, strata=strata)
    pairs: list[tuple[Label, Label]] = []
    tests: list[LogRank] = []
    for a in range(groups.k):
        for b in range(a + 1, groups.k):
            rows = (groups.codes == a) | (groups.codes == b)
            labels = (groups.labels[a], groups.labels[b])
            pair = Groups(labels=labels, codes=(groups.codes[rows] == b).astype(np.int64))
            part = data.subset(rows)
            table = event_table(part, pair, blocks[rows])
            pairs.append(labels)
            tests.append(_test(part, pair, table, table.weights(0.0, 0.0), method="log-rank test"))
    p = np.array([test.p for test in tests])
    return PairwiseLogRank(
        pairs=tuple(pairs), p=p, adjusted={method: p_adjust(p, method) for method in adjust}, tests=tuple(tests)
    )


def check_test(
    time: npt.ArrayLike,
    event: npt.ArrayLike,
    group: npt.ArrayLike,
    *,
    strata: Any = None,
    entry: npt.ArrayLike | None = None,
) -> tuple[SurvivalData, Groups, IntArray]:
    """Validate the arrays of a test between groups: data, coded groups (at least two), stratum numbers."""
    data = check_survival(time, event, entry=entry)
    groups = check_groups(group, data.n)
    if groups.k < 2:
        raise InvalidInputError("group: a single group occurs; a test needs at least two")
    return data, groups, check_strata(strata, data.n)


def event_table(data: SurvivalData, groups: Groups, blocks: IntArray) -> EventTable:
    """Event table of all strata (``blocks``: stratum number of every row)."""
    order = np.lexsort((data.time, blocks))
    edges = np.arange(int(blocks.max()) + 2)
    starts = np.searchsorted(blocks[order], edges)
    if data.entry is None:
        entry, entry_group, entry_starts = np.empty(0), np.empty(0, dtype=np.int64), np.zeros_like(starts)
    else:
        by_entry = np.lexsort((data.entry, blocks))
        entry, entry_group = data.entry[by_entry], groups.codes[by_entry]
        entry_starts = np.searchsorted(blocks[by_entry], edges)
    deaths, at_risk, survival_before, peto = risk_table(
        data.time[order],
        data.event[order],
        groups.codes[order],
        groups.k,
        starts,
        entry,
        entry_group,
        entry_starts,
    )
    return EventTable(deaths=deaths, at_risk=at_risk, survival_before=survival_before, peto=peto)


def _named_weights(table: EventTable, weighting: Weighting) -> FloatArray:
    if weighting == "peto":
        return table.peto
    at_risk = table.at_risk.sum(axis=1)
    return at_risk if weighting == "gehan" else np.sqrt(at_risk)


def _sums(table: EventTable, weights: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """U, V, and weighted observed and expected events by group."""
    d = table.deaths.sum(axis=1)
    share = table.at_risk / table.at_risk.sum(axis=1)[:, None]
    observed = weights @ table.deaths
    expected = (weights * d) @ share
    mass = weights**2 * information(table)
    v = np.diag(mass @ share) - (share * mass[:, None]).T @ share
    return weights @ (table.deaths - d[:, None] * share), v, observed, expected


def information(table: EventTable) -> FloatArray:
    """The hypergeometric factor d (n - d) / (n - 1) of every row, 0 where n = 1."""
    n = table.at_risk.sum(axis=1)
    d = table.deaths.sum(axis=1)
    return d * (n - d) / np.maximum(n - 1.0, 1.0)


def _test(data: SurvivalData, groups: Groups, table: EventTable, weights: FloatArray, *, method: str) -> LogRank:
    finite = bool(np.all(np.isfinite(weights)))
    u, v, observed, expected = _sums(table, weights if finite else np.full_like(weights, NAN))
    events = int(data.event.sum())
    kept = np.flatnonzero(expected > 0.0)
    df = max(kept.shape[0] - 1, 0)
    statistic, reason = NAN, ""
    if events == 0:
        reason = NO_EVENT
    elif not finite:
        reason = "a weight is infinite: the pooled curve has reached 0 and rho is negative"
    elif df == 0 or not v[kept, kept].max() > 0.0:
        reason = NO_INFORMATION
    else:
        statistic, df = _quadratic_form(u[kept], v[np.ix_(kept, kept)])
    z = float(u[1] / np.sqrt(v[1, 1])) if groups.k == 2 and not reason else NAN
    return LogRank(
        statistic=statistic,
        df=df,
        p=float(chdtrc(df, statistic)) if not reason else NAN,
        z=z,
        groups=groups.labels,
        n=np.bincount(groups.codes, minlength=groups.k),
        observed=observed,
        expected=expected,
        events=events,
        method=method,
        status="not_estimable" if reason else "ok",
        reason=reason,
    )


def _quadratic_form(u: FloatArray, v: FloatArray) -> tuple[float, int]:
    """U' V^- U and the rank of V, which is the number of groups less one unless groups never share a risk set."""
    if u.shape[0] == 2:
        return float(u[1] ** 2 / v[1, 1]), 1
    values, vectors = np.linalg.eigh(v)
    positive = values > values[-1] * 1e-10
    rotated = vectors.T @ u
    return float(np.sum(rotated[positive] ** 2 / values[positive])), int(np.count_nonzero(positive))


def _method(rho: float, gamma: float, weighting: Weighting | None, stratified: bool) -> str:
    names = {"gehan": "Gehan-Wilcoxon test", "tarone-ware": "Tarone-Ware test", "peto": "Peto-Prentice-Wilcoxon test"}
    if weighting is not None:
        name = names[weighting]
    elif rho == 0.0 and gamma == 0.0:
        name = "log-rank test"
    else:
        name = f"Fleming-Harrington ({rho:g}, {gamma:g}) weighted log-rank test"
    return f"stratified {name}" if stratified else name
