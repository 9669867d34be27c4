"""Who is at risk when: the index arrays shared by every function of the Cox model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from trialstrat.stats.kernels.cox import exposure, risk_set_means, risk_set_means_late

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Ties = Literal["efron", "breslow"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RiskSets:
    """Risk sets of right-censored, possibly stratified and left-truncated data, for one rule of ties.

    Arrays by row are in *sorted* order: ``order`` sorts the caller's rows by stratum, time and deaths first. A group is
    an event time of a stratum; a step is a denominator of the partial likelihood (one per group with Breslow's ties,
    one per death with Efron's). Rows of weight 0 are never deaths and add nothing.

    Attributes
    ----------
    order, weight, dies, stratum : (n,)
        Sorting permutation; case weight (0 for a row at risk at no event time), whether the row is a counted death,
        and stratum code of sorted rows.
    begin, end : (n,)
        A row lives through the groups ``begin`` to ``end`` (exclusive).
    time, group_stratum, first, deaths, last, opens : (g,)
        Per group: time, stratum code, first row, number of deaths, end of the stratum's rows, first of its stratum.
    by_entry, leaving : (m,), (g, 2)
        Rows by descending entry, and the part of them that leaves the risk set on the way from the later group to this
        one; empty without delayed entry.
    origin, entry_rank, entered : (g,), (n,), (g,)
        First row of the group's stratum; place of a row in the order of entry of its stratum; how many rows of the
        stratum have entered before the group's time. Only with delayed entry.
    step : (g + 1,)
        First step of each group.
    share, mass, group_of_step : (s,)
        Part of the deaths' risk left at the step, weight of deaths the step stands for, and its group.
    """

    order: Ints
    weight: Floats
    dies: Bools
    stratum: Ints
    begin: Ints
    end: Ints
    time: Floats
    group_stratum: Ints
    first: Ints
    deaths: Ints
    last: Ints
    opens: Bools
    by_entry: Ints
    leaving: Ints
    origin: Ints
    entry_rank: Ints
    entered: Ints
    step: Ints
    share: Floats
    mass: Floats
    group_of_step: Ints

    @property
    def events(self) -> int:
        """Number of deaths."""
        return int(self.deaths.sum())

    def means(self, x: Floats, risk: Floats) -> tuple[Floats, Floats]:
        """Denominator (s,) and weighted covariate mean (s, p) of every step; ``risk`` is weight times exp(eta)."""
        steps = self.share.shape[0]
        denominator = np.empty(steps)
        mean = np.empty((steps, x.shape[1]))
        arguments = (x, risk, self.first, self.deaths, self.last, self.step, self.share, denominator, mean)
        if self.by_entry.size == 0:
            risk_set_means(*arguments)
        else:
            risk_set_means_late(*arguments, self.origin, self.entry_rank, self.entered)
        return denominator, mean

    def exposure(self, increment: Floats) -> Floats:
        """Sum over the steps each row lives through; increments (s,) or (s, q) give (n,) or (n, q)."""
        wide = increment.reshape(increment.shape[0], -1)
        out = np.empty((self.order.shape[0], wide.shape[1]))
        exposure(np.ascontiguousarray(wide), self.share, self.step, self.opens, self.begin, self.end, self.dies, out)
        return out.reshape((out.shape[0], *increment.shape[1:]))

    def unsort(self, values: Floats) -> Floats:
        """Values by sorted row, back in the caller's order."""
        out = np.empty_like(values)
        out[self.order] = values
        return out


def risk_sets(
    time: Floats, event: Ints, *, entry: Floats | None, strata: Ints, weights: Floats, ties: Ties
) -> RiskSets:
    """Build the index arrays from checked data (close times merged; ``strata`` are codes 0, 1, ...)."""
    counted = (event == 1) & (weights > 0)
    order = np.lexsort((~counted, time, strata))
    t, s, dies, weight = time[order], strata[order], counted[order], weights[order]
    opening = np.empty(t.shape[0], dtype=bool)
    opening[:1] = True
    opening[1:] = (t[1:] != t[:-1]) | (s[1:] != s[:-1])
    first = np.flatnonzero(opening & dies)
    point = np.cumsum(opening) - 1
    deaths = np.bincount(point[dies], minlength=int(point[-1]) + 1)[point[first]]
    group_time, group_stratum = t[first], s[first]
    opens = np.ones(first.shape[0], dtype=bool)
    opens[1:] = group_stratum[1:] != group_stratum[:-1]
    before = np.cumsum(opening & dies)
    base = np.searchsorted(group_stratum, s, side="left")
    end = np.maximum(before, base)
    begin, by_entry, leaving = base.copy(), np.zeros(0, dtype=np.int64), np.zeros((first.shape[0], 2), dtype=np.int64)
    if entry is not None:
        begin, by_entry, leaving = _entries(entry[order], s, group_time, group_stratum)
    last = np.searchsorted(s, group_stratum, side="right")
    # a row that sees no event time would only blur the sums it enters and leaves again
    weight = np.where(end > begin, weight, 0.0)
    step, share, mass = _steps(np.where(dies, weight, 0.0), first, deaths, ties)
    return RiskSets(
        order=order, weight=weight, dies=dies, stratum=s, begin=begin, end=end,
        time=group_time, group_stratum=group_stratum, first=first, deaths=deaths,
        last=last, opens=opens, by_entry=by_entry, leaving=leaving,
        origin=np.searchsorted(s, group_stratum, side="left"), entry_rank=_entry_rank(by_entry, s),
        entered=last - leaving[:, 1],
        step=step, share=share, mass=mass, group_of_step=np.repeat(np.arange(first.shape[0]), np.diff(step)),
    )  # fmt: skip


def _entries(entry: Floats, stratum: Ints, group_time: Floats, group_stratum: Ints) -> tuple[Ints, Ints, Ints]:
    """First group after each row's entry; rows by descending entry; the range of them that leaves at each group."""
    n, groups = entry.shape[0], group_time.shape[0]
    begin = np.empty(n, dtype=np.int64)
    by_entry = np.lexsort((-entry, stratum))
    leaving = np.zeros((groups, 2), dtype=np.int64)
    for code in np.unique(stratum):
        rows = slice(*np.searchsorted(stratum, [code, code + 1]))
        own = slice(*np.searchsorted(group_stratum, [code, code + 1]))
        begin[rows] = own.start + np.searchsorted(group_time[own], entry[rows], side="right")
        descending = -entry[by_entry[rows]]
        gone = rows.start + np.searchsorted(descending, -group_time[own], side="right")
        leaving[own, 1] = gone
        leaving[own, 0] = np.append(gone[1:], rows.start)
    return begin, by_entry, leaving


def _entry_rank(by_entry: Ints, stratum: Ints) -> Ints:
    """Place of each row in the ascending order of entry of its stratum; empty without delayed entry."""
    rank = np.empty(by_entry.shape[0], dtype=np.int64)
    if by_entry.shape[0]:
        rank[by_entry] = np.searchsorted(stratum, stratum[by_entry], side="right") - 1 - np.arange(by_entry.shape[0])
    return rank


def _steps(dying: Floats, first: Ints, deaths: Ints, ties: Ties) -> tuple[Ints, Floats, Floats]:
    """Steps of each group: their first index, the deaths' share and the weight of deaths each stands for."""
    total = np.add.reduceat(dying, first) if first.size else np.zeros(0)
    if ties == "breslow":
        return np.arange(first.shape[0] + 1), np.ones(first.shape[0]), total
    step = np.concatenate(([0], np.cumsum(deaths)))
    position = np.arange(step[-1]) - np.repeat(step[:-1], deaths)
    count = np.repeat(deaths, deaths)
    return step, 1.0 - position / count, np.repeat(total, deaths) / count
