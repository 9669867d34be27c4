"""Compiled pair counts behind every concordance: O(n log n), with strata, delayed entry and weights.

A Fenwick tree over the ranks of the risk holds the weight of the rows currently at risk (first pass) or of the
events seen so far (second pass); each row asks it for the weight below and at its own rank.
"""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def _add(tree: np.ndarray, rank: int, weight: float) -> None:
    size = tree.shape[0]
    at = rank + 1
    while at < size:
        tree[at] += weight
        at += at & -at


@njit(cache=True, nogil=True)
def _below(tree: np.ndarray, rank: int) -> float:
    """Weight at ranks strictly below ``rank``."""
    total = 0.0
    at = rank
    while at > 0:
        total += tree[at]
        at -= at & -at
    return total


@njit(cache=True, nogil=True)
def pairs_as_event(
    time: np.ndarray,
    event: np.ndarray,
    rank: np.ndarray,
    weight: np.ndarray,
    entry: np.ndarray,
    by_entry: np.ndarray,
    concordant: np.ndarray,
    comparable: np.ndarray,
) -> None:
    """For every event of one stratum: the weight of the rows it is comparable and concordant with.

    Rows are sorted by time, events before censorings at equal times. ``by_entry`` lists the rows by descending
    entry (empty without delayed entry). Results are written into ``concordant`` and ``comparable``.
    """
    n = time.shape[0]
    tree = np.zeros(n + 1)
    at_rank = np.zeros(n)
    total = 0.0
    removed = 0
    last = n - 1
    while last >= 0:
        first = last
        while first > 0 and time[first - 1] == time[last]:
            first -= 1
        row: int = last
        while row >= first and not event[row]:
            _add(tree, rank[row], weight[row])
            at_rank[rank[row]] += weight[row]
            total += weight[row]
            row -= 1
        last_event = row
        while removed < by_entry.shape[0] and entry[by_entry[removed]] >= time[last]:
            gone = int(by_entry[removed])
            _add(tree, rank[gone], -weight[gone])
            at_rank[rank[gone]] -= weight[gone]
            total -= weight[gone]
            removed += 1
        for row in range(first, last_event + 1):
            concordant[row] = _below(tree, rank[row]) + 0.5 * at_rank[rank[row]]
            comparable[row] = total
        for row in range(first, last_event + 1):
            _add(tree, rank[row], weight[row])
            at_rank[rank[row]] += weight[row]
            total += weight[row]
        last = first - 1


@njit(cache=True, nogil=True)
def pairs_as_control(
    time: np.ndarray,
    event: np.ndarray,
    rank: np.ndarray,
    weight: np.ndarray,
    entry: np.ndarray,
    by_entry: np.ndarray,
    concordant: np.ndarray,
    comparable: np.ndarray,
) -> None:
    """For every row of one stratum: the weight of the earlier events it is comparable and concordant with.

    ``weight`` is the weight of a row as the event of a pair. Sorting and output as in :func:`pairs_as_event`;
    a row counts the events after its entry and before its time (or at it, when the row is censored).
    """
    n = time.shape[0]
    tree = np.zeros(n + 1)
    at_rank = np.zeros(n)
    total = 0.0
    entered = by_entry.shape[0] - 1
    first = 0
    while first < n:
        # rows that enter before this time have the events so far behind them: not theirs to be compared with
        while entered >= 0 and entry[by_entry[entered]] < time[first]:
            late = int(by_entry[entered])
            concordant[late] -= total - _below(tree, rank[late]) - 0.5 * at_rank[rank[late]]
            comparable[late] -= total
            entered -= 1
        row = first
        while row < n and time[row] == time[first] and event[row]:
            concordant[row] += total - _below(tree, rank[row]) - 0.5 * at_rank[rank[row]]
            comparable[row] += total
            row += 1
        for dead in range(first, row):
            _add(tree, rank[dead], weight[dead])
            at_rank[rank[dead]] += weight[dead]
            total += weight[dead]
        while row < n and time[row] == time[first]:
            concordant[row] += total - _below(tree, rank[row]) - 0.5 * at_rank[rank[row]]
            comparable[row] += total
            row += 1
        first = row
