"""Compiled bounds that rule out a near-perfect association of a marker with the outcome, without ranking the marker."""

from __future__ import annotations

import numpy as np
from numba import njit

#: Room for rounding: a bound must be beaten by more than this to count.
_ROOM = 1e-9


@njit(cache=True, nogil=True)
def _mid_ranks(target: np.ndarray, ranks: np.ndarray, n: int) -> float:
    """Mid-ranks of ascending values into ``ranks``; their sum of squares about the mean."""
    start = 0
    squares = 0.0
    middle = 0.5 * (n + 1)
    while start < n:
        end = start + 1
        while end < n and target[end] == target[start]:
            end += 1
        rank = 0.5 * (start + 1 + end)
        for at in range(start, end):
            ranks[at] = rank
        squares += (end - start) * (rank - middle) ** 2
        start = end
    return squares


@njit(cache=True, nogil=True)
def _weak_correlation(x: np.ndarray, ranks: np.ndarray, squares: float, n: int, rho: float) -> bool:
    """Whether pairs half the patients apart contradict a rank correlation beyond ``rho`` of either sign."""
    half = n // 2
    rising = 0.0
    falling = 0.0
    for at in range(half):
        gap = ranks[at + n - half] - ranks[at]
        first, second = x[at], x[at + n - half]
        if first >= second:
            rising += gap * gap
        if first <= second:
            falling += gap * gap
    return min(rising, falling) > 2.0 * squares * (2.0 - 2.0 * rho + _ROOM)


@njit(cache=True, nogil=True)
def _weak_separation(x: np.ndarray, event: np.ndarray, n: int, auc: float) -> bool:
    """Whether the patients on both sides of the mean contradict an AUC beyond ``auc`` in either direction."""
    cut = 0.0
    for at in range(n):
        cut += x[at] / n
    below = np.zeros(2)
    above = np.zeros(2)
    total = np.zeros(2)
    for at in range(n):
        group = 1 if event[at] else 0
        total[group] += 1.0
        if x[at] < cut:
            below[group] += 1.0
        elif x[at] > cut:
            above[group] += 1.0
    most = total[0] * total[1] * (1.0 - auc + _ROOM)
    return below[1] * above[0] > most and above[1] * below[0] > most


@njit(cache=True, nogil=True)
def may_be_strong(
    markers: np.ndarray,
    target: np.ndarray,
    event: np.ndarray,
    by_target: bool,
    by_event: bool,
    rho: float,
    auc: float,
    out: np.ndarray,
) -> None:
    """For each marker (row of p x n, patients by ascending target) whether its association may be beyond the limits."""
    p, n = markers.shape
    x, t, ranks = np.empty(n), np.empty(n), np.empty(n)
    e = np.empty(n, dtype=np.bool_)
    for marker in range(p):
        known = 0
        for at in range(n):
            value = markers[marker, at]
            if np.isfinite(value):
                x[known], t[known], e[known] = value, target[at], event[at]
                known += 1
        weak = True
        if by_target:
            squares = _mid_ranks(t, ranks, known)
            weak = _weak_correlation(x, ranks, squares, known, rho)
        if weak and by_event:
            weak = _weak_separation(x, e, known, auc)
        out[marker] = not weak
