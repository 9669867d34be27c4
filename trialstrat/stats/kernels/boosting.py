"""The Cox partial likelihood of boosting in linear time: rows sorted by time once, for every stage."""

from __future__ import annotations

import math

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def partial_likelihood_loss(time: np.ndarray, event: np.ndarray, order: np.ndarray, risk: np.ndarray) -> float:
    """Negative log partial likelihood (Breslow's ties); ``order`` sorts ``time`` downwards."""
    n = time.shape[0]
    largest = risk.max()
    total = 0.0
    at_risk = 0.0
    start = 0
    while start < n:
        stop = start
        while stop < n and time[order[stop]] == time[order[start]]:
            at_risk += math.exp(risk[order[stop]] - largest)
            stop += 1
        for at in range(start, stop):
            if event[order[at]]:
                total += risk[order[at]] - largest - math.log(at_risk)
        start = stop
    return -total


@njit(cache=True, nogil=True)
def martingale_residuals(time: np.ndarray, event: np.ndarray, order: np.ndarray, risk: np.ndarray) -> np.ndarray:
    """(n,) event less the cumulative hazard of the row: the negative gradient of the loss above."""
    n = time.shape[0]
    largest = risk.max()
    at_risk = np.empty(n)
    total = 0.0
    start = 0
    while start < n:
        stop = start
        while stop < n and time[order[stop]] == time[order[start]]:
            total += math.exp(risk[order[stop]] - largest)
            stop += 1
        at_risk[start:stop] = total
        start = stop
    out = np.empty(n)
    hazard = 0.0
    stop = n
    while stop > 0:
        start = stop
        while start > 0 and time[order[start - 1]] == time[order[stop - 1]]:
            start -= 1
            if event[order[start]]:
                hazard += 1.0 / at_risk[start]
        for at in range(start, stop):
            row = order[at]
            out[row] = (1.0 if event[row] else 0.0) - math.exp(risk[row] - largest) * hazard
        stop = start
    return out
