"""Compiled sweeps over risk sets: everything the Cox model needs is a sum over risk sets or a sum over event times.

Rows are sorted by stratum and, within it, by time with events first. An event time of a stratum is a *group*; a group
has one *step* with Breslow's ties and one step per death with Efron's, the k-th (from 0) with the deaths counted at
``1 - k / d``. See :mod:`trialstrat.stats.risk_sets` for how the index arrays are made.
"""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def _add(total: np.ndarray, rest: np.ndarray, at: int, value: float) -> None:
    """Error-free addition: what rounding loses from ``total`` is kept in ``rest`` (Knuth's two-sum).

    Rows leave the risk set again under delayed entry; without the remainder a heavy row would take the
    digits of the light ones with it.
    """
    old = total[at]
    new = old + value
    part = new - old
    rest[at] += (old - (new - part)) + (value - part)
    total[at] = new


@njit(cache=True, nogil=True)
def _add_row(x: np.ndarray, row: int, risk: float, total: np.ndarray, rest: np.ndarray) -> None:
    """Add a row to the running sums: the covariates' first, the size of the risk set last."""
    p = x.shape[1]
    for j in range(p):
        _add(total, rest, j, risk * x[row, j])
    _add(total, rest, p, risk)


@njit(cache=True, nogil=True, error_model="numpy")
def risk_set_means(
    x: np.ndarray,
    risk: np.ndarray,
    first: np.ndarray,
    deaths: np.ndarray,
    last: np.ndarray,
    entered: np.ndarray,
    by_entry: np.ndarray,
    step: np.ndarray,
    share: np.ndarray,
    denominator: np.ndarray,
    mean: np.ndarray,
) -> None:
    """Weighted size of the risk set and weighted mean of the covariates at every step.

    Parameters
    ----------
    x : (n, p) covariates, sorted rows
    risk : (n,) weight times exp(linear predictor)
    first, deaths, last : (g,) first row of the group, number of deaths, end (exclusive) of the stratum's rows
    entered : (g, 2) range of ``by_entry`` that leaves the risk set on the way from the later group to this one
    by_entry : rows by stratum and descending entry
    step : (g + 1,) first step of each group
    share : (s,) how much of the deaths' risk is left in the risk set at each step, ``1 - k / d``
    denominator, mean : (s,) and (s, p), written
    """
    p = x.shape[1]
    total, rest, dying, unused = np.zeros(p + 1), np.zeros(p + 1), np.zeros(p + 1), np.zeros(p + 1)
    reached = -1
    for g in range(first.shape[0] - 1, -1, -1):
        if g == first.shape[0] - 1 or last[g] != last[g + 1]:
            reached = last[g]
            total[:] = 0.0
            rest[:] = 0.0
        dead_end = first[g] + deaths[g]
        for row in range(reached - 1, dead_end - 1, -1):
            _add_row(x, row, risk[row], total, rest)
        for at in range(entered[g, 0], entered[g, 1]):
            gone: int = by_entry[at]
            _add_row(x, gone, -risk[gone], total, rest)
        dying[:] = 0.0
        unused[:] = 0.0
        for row in range(first[g], dead_end):
            _add_row(x, row, risk[row], dying, unused)
        for k in range(step[g], step[g + 1]):
            denominator[k] = (total[p] + rest[p]) + share[k] * dying[p]
            for j in range(p):
                mean[k, j] = ((total[j] + rest[j]) + share[k] * dying[j]) / denominator[k]
        for row in range(first[g], dead_end):
            _add_row(x, row, risk[row], total, rest)
        reached = first[g]


@njit(cache=True, nogil=True, error_model="numpy")
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
    group of each stratum, where the running sum starts anew. ``increment`` is (s, q), ``out`` (n, q).
    """
    groups = step.shape[0] - 1
    q = increment.shape[1]
    total = np.zeros((groups, q))
    own = np.zeros((groups, q))
    for g in range(groups):
        for j in range(q):
            full = 0.0
            part = 0.0
            for k in range(step[g], step[g + 1]):
                full += increment[k, j]
                part += share[k] * increment[k, j]
            total[g, j] = full if opens[g] else total[g - 1, j] + full
            own[g, j] = part - full
    for row in range(begin.shape[0]):
        for j in range(q):
            out[row, j] = 0.0
        if end[row] <= begin[row]:
            continue
        for j in range(q):
            value = total[end[row] - 1, j]
            if not opens[begin[row]]:
                value -= total[begin[row] - 1, j]
            if dies[row]:
                value += own[end[row] - 1, j]
            out[row, j] = value
