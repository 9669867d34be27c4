"""A marker as the one-marker models need it: its rows and event times, in sorted order, centred and scaled."""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def compress(
    values: np.ndarray, event: np.ndarray, tie: np.ndarray, rows: np.ndarray, first: np.ndarray, deaths: np.ndarray
) -> tuple[int, int]:
    """Rows with a value, and their event times: first row and number of deaths. Returns rows and times used."""
    n = groups = 0
    last = -1
    for i in range(values.shape[0]):
        if np.isnan(values[i]):
            continue
        if event[i]:
            if tie[i] != last:
                first[groups] = n
                deaths[groups] = 0
                last = tie[i]
                groups += 1
            deaths[groups - 1] += 1
        rows[n] = i
        n += 1
    return n, groups


@njit(cache=True, nogil=True)
def has_gaps(values: np.ndarray) -> bool:
    """Whether a value is missing."""
    total = 0.0
    for i in range(values.shape[0]):
        total += values[i]
    return np.isnan(total)


@njit(cache=True, nogil=True, error_model="numpy")
def standardise(x: np.ndarray) -> tuple[float, float, float]:
    """Centre and scale in place; returns mean, SD and the unit: 1, or the scaled range of a two-valued marker."""
    n = x.shape[0]
    low, high, total = x[0], x[0], 0.0
    for i in range(n):
        total += x[i]
        low = min(low, x[i])
        high = max(high, x[i])
    mean = total / n
    square = 0.0
    two = True
    for i in range(n):
        two = two and (x[i] == low or x[i] == high)
        x[i] -= mean
        square += x[i] * x[i]
    sd = np.sqrt(square / n)
    if not sd > 1e-13 * abs(mean):
        return mean, 0.0, 1.0
    for i in range(n):
        x[i] /= sd
    return mean, sd, (high - low) / sd if two else 1.0


@njit(cache=True, nogil=True)
def gather(markers: np.ndarray, order: np.ndarray, low: int, high: int, block: np.ndarray) -> None:
    """Copy columns ``low`` to ``high`` of ``markers`` (n, p) into rows of ``block``, in sorted order, as float64."""
    for i in range(order.shape[0]):
        row = order[i]
        for j in range(low, high):
            block[j - low, i] = markers[row, j]
