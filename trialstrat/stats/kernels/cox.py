"""Compiled sweeps over risk sets: everything the Cox model needs is a sum over risk sets or a sum over event times.

Rows are sorted by stratum and, within it, by time with events first. An event time of a stratum is a *group*; a group
has one *step* with Breslow's ties and one step per death with Efron's, the k-th (from 0) with the deaths counted at
``1 - k / d``. See :mod:`trialstrat.stats.risk_sets` for how the index arrays are made.
"""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def _add_row(x: np.ndarray, row: int, risk: float, total: np.ndarray) -> None:
    """Add a row to the sums: the covariates' first, the size of the risk set last."""
    p = x.shape[1]
    for j in range(p):
        total[j] += risk * x[row, j]
    total[p] += risk


@njit(cache=True, nogil=True, error_model="numpy")
def _step_means(
    total: np.ndarray, dying: np.ndarray, share: np.ndarray, low: int, high: int, size: np.ndarray, mean: np.ndarray
) -> None:
    """Denominator and mean of the steps ``low`` to ``high`` of one group, from the sums of survivors and dying."""
    p = mean.shape[1]
    for k in range(low, high):
        size[k] = total[p] + share[k] * dying[p]
        for j in range(p):
            mean[k, j] = (total[j] + share[k] * dying[j]) / size[k]


@njit(cache=True, nogil=True)
def risk_set_means(
    x: np.ndarray,
    risk: np.ndarray,
    first: np.ndarray,
    deaths: np.ndarray,
    last: np.ndarray,
    step: np.ndarray,
    share: np.ndarray,
    size: np.ndarray,
    mean: np.ndarray,
) -> None:
    """Weighted size of the risk set and weighted mean of the covariates at every step; nobody enters late.

    Parameters
    ----------
    x : (n, p) covariates, sorted rows
    risk : (n,) weight times exp(linear predictor)
    first, deaths, last : (g,) first row of the group, number of deaths, end (exclusive) of the stratum's rows
    step : (g + 1,) first step of each group
    share : (s,) how much of the deaths' risk is left in the risk set at each step, ``1 - k / d``
    size, mean : (s,) and (s, p), written
    """
    p = x.shape[1]
    total, dying = np.zeros(p + 1), np.zeros(p + 1)
    reached = -1
    for g in range(first.shape[0] - 1, -1, -1):
        if g == first.shape[0] - 1 or last[g] != last[g + 1]:
            reached = last[g]
            total[:] = 0.0
        dead_end = first[g] + deaths[g]
        for row in range(reached - 1, dead_end - 1, -1):
            _add_row(x, row, risk[row], total)
        dying[:] = 0.0
        for row in range(first[g], dead_end):
            _add_row(x, row, risk[row], dying)
        _step_means(total, dying, share, step[g], step[g + 1], size, mean)
        for j in range(p + 1):
            total[j] += dying[j]
        reached = first[g]


@njit(cache=True, nogil=True)
def _plant(x: np.ndarray, row: int, risk: float, tree: np.ndarray, low: int, high: int, rank: int) -> None:
    """Add a row to the Fenwick tree of its stratum (nodes ``low`` to ``high``), at its place in the order of entry."""
    at = rank + 1
    while at <= high - low:
        _add_row(x, row, risk, tree[low + at - 1])
        at += at & -at


@njit(cache=True, nogil=True)
def risk_set_means_late(
    x: np.ndarray,
    risk: np.ndarray,
    first: np.ndarray,
    deaths: np.ndarray,
    last: np.ndarray,
    step: np.ndarray,
    share: np.ndarray,
    size: np.ndarray,
    mean: np.ndarray,
    origin: np.ndarray,
    entry_rank: np.ndarray,
    entered: np.ndarray,
) -> None:
    """As :func:`risk_set_means`, with delayed entry.

    ``origin`` (g,) is the first row of the group's stratum, ``entry_rank`` (n,) the place of a row in the order of
    entry of its stratum, ``entered`` (g,) how many rows of the stratum have entered before the group's time. The rows
    reached so far are kept in a Fenwick tree by entry, so that a risk set is a sum of positive parts: subtracting
    those who have not entered yet would lose the digits of light rows to heavy ones.
    """
    p = x.shape[1]
    tree = np.zeros((x.shape[0], p + 1))
    total, dying = np.zeros(p + 1), np.zeros(p + 1)
    reached = -1
    for g in range(first.shape[0] - 1, -1, -1):
        low, high = origin[g], last[g]
        if g == first.shape[0] - 1 or last[g] != last[g + 1]:
            reached = high
        dead_end = first[g] + deaths[g]
        for row in range(reached - 1, dead_end - 1, -1):
            _plant(x, row, risk[row], tree, low, high, entry_rank[row])
        total[:] = 0.0
        at = entered[g]
        while at > 0:
            for j in range(p + 1):
                total[j] += tree[low + at - 1, j]
            at -= at & -at
        dying[:] = 0.0
        for row in range(first[g], dead_end):
            _add_row(x, row, risk[row], dying)
        _step_means(total, dying, share, step[g], step[g + 1], size, mean)
        for row in range(first[g], dead_end):
            _plant(x, row, risk[row], tree, low, high, entry_rank[row])
        reached = first[g]


@njit(cache=True, nogil=True)
def _group_sums(
    increment: np.ndarray, share: np.ndarray, step: np.ndarray, opens: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sums (g, q) of a group's steps: from the stratum's start, in the share of those who die, and as a sum tree.

    The tree has 2 g nodes, the groups themselves last, every other node the sum of its two children.
    """
    groups, q = step.shape[0] - 1, increment.shape[1]
    total, own, tree = np.zeros((groups, q)), np.zeros((groups, q)), np.zeros((2 * groups, q))
    for g in range(groups):
        for k in range(step[g], step[g + 1]):
            for j in range(q):
                tree[groups + g, j] += increment[k, j]
                own[g, j] += share[k] * increment[k, j]
        for j in range(q):
            total[g, j] = tree[groups + g, j] + (0.0 if opens[g] else total[g - 1, j])
    for node in range(groups - 1, 0, -1):
        for j in range(q):
            tree[node, j] = tree[2 * node, j] + tree[2 * node + 1, j]
    return total, own, tree


@njit(cache=True, nogil=True)
def _range_sum(tree: np.ndarray, low: int, high: int, out: np.ndarray) -> None:
    """Add the groups ``low`` to ``high`` (exclusive) to ``out`` by disjoint nodes of the tree."""
    groups = tree.shape[0] // 2
    low += groups
    high += groups
    while low < high:
        if low & 1:
            out += tree[low]
            low += 1
        if high & 1:
            high -= 1
            out += tree[high]
        low >>= 1
        high >>= 1


@njit(cache=True, nogil=True)
def exposure(
    increment: np.ndarray,
    share: np.ndarray,
    step: np.ndarray,
    opens: np.ndarray,
    begin: np.ndarray,
    end: np.ndarray,
    dies: np.ndarray,
    out: np.ndarray,
) -> None:
    """Sum of the increments a row lives through: over the groups ``begin`` to ``end`` (exclusive) of its stratum.

    A row that dies (``dies``) takes the steps of its own, last group at their ``share``. ``opens`` marks the first
    group of each stratum, where the running sum starts anew; a row that enters later has its groups summed by
    themselves, not as a difference of running sums. ``increment`` is (s, q), ``out`` (n, q).
    """
    total, own, tree = _group_sums(increment, share, step, opens)
    out[:] = 0.0
    for row in range(begin.shape[0]):
        low = begin[row]
        high = end[row] - 1 if dies[row] else end[row]
        if high > low:
            if opens[low]:
                out[row] += total[high - 1]
            else:
                _range_sum(tree, low, high, out[row])
        if dies[row]:
            out[row] += own[high]
