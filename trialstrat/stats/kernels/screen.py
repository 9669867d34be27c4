"""Compiled one-marker Cox models for screening thousands of markers on the same presorted rows.

Rows are sorted by time with deaths first; Efron's ties; no strata, weights or delayed entry. Memory for intermediate
values is handed in, once for a block of markers.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from trialstrat.stats.kernels.cox_cells import NO_INFORMATION, OK
from trialstrat.stats.kernels.interaction import fit_interaction
from trialstrat.stats.kernels.marker_rows import compress, gather, has_gaps, standardise
from trialstrat.stats.kernels.one_marker import fit_one


@njit(cache=True, nogil=True, error_model="numpy")
def _fit_marker(
    x: np.ndarray,
    arm: np.ndarray,
    first: np.ndarray,
    deaths: np.ndarray,
    start: float,
    scratch: np.ndarray,
    estimate: np.ndarray,
) -> int:
    """Fit one marker, alone when ``arm`` is empty; overwrites ``x``, writes ``estimate`` (6,), returns the outcome."""
    n = x.shape[0]
    if first.shape[0] == 0:
        return NO_INFORMATION
    _mean, sd, unit = standardise(x)
    if sd == 0.0:
        return NO_INFORMATION
    if arm.shape[0] == 0:
        slope, information, outcome = fit_one(x, first, deaths, unit, scratch[0, :n], scratch[1, :n])
        estimate[0] = slope / sd
        estimate[1] = 1.0 / np.sqrt(information) / sd
        return outcome
    coef, inverse = np.array([start, 0.0, 0.0]), np.zeros((3, 3))
    outcome = fit_interaction(x, arm[:n], first, deaths, unit, coef, inverse, scratch)
    if outcome == OK:
        estimate[0] = coef[2] / sd
        estimate[1] = np.sqrt(inverse[2, 2]) / sd
        estimate[2] = coef[1] / sd
        estimate[3] = np.sqrt(inverse[1, 1]) / sd
        estimate[4] = (coef[1] + coef[2]) / sd
        estimate[5] = np.sqrt(inverse[1, 1] + inverse[2, 2] + 2.0 * inverse[1, 2]) / sd
    return outcome


@njit(cache=True, nogil=True, error_model="numpy")
def screen_columns(
    markers: np.ndarray,
    order: np.ndarray,
    event: np.ndarray,
    tie: np.ndarray,
    arm: np.ndarray,
    start: float,
    low: int,
    high: int,
    estimates: np.ndarray,
    counts: np.ndarray,
) -> None:
    """Fit one model per column ``low`` to ``high`` of ``markers``.

    ``event``, ``tie`` and ``arm`` are sorted by ``order``; an empty ``arm`` asks for the marker alone. ``start`` is
    the log hazard ratio of the treatment alone. ``estimates`` (p, 6) gets effect and standard error of: the marker
    alone, or the interaction, the marker in arm 0, the marker in arm 1. ``counts`` (p, 3) gets rows, events, outcome.
    """
    n = order.shape[0]
    width = 16
    block, scratch = np.empty((width, n)), np.empty((3, n))
    rows, first, deaths = np.empty(n, np.int64), np.empty(n, np.int64), np.empty(n, np.int64)
    own_arm = np.empty(arm.shape[0])
    used, groups = -1, 0
    for j in range(low, high):
        at = (j - low) % width
        if at == 0:
            gather(markers, order, j, min(j + width, high), block)
        values = block[at]
        # complete markers share their event times: they are found again only after a marker with gaps
        if used != n or has_gaps(values):
            used, groups = compress(values, event, tie, rows, first, deaths)
            for i in range(used):
                values[i] = values[rows[i]]
            for i in range(min(used, arm.shape[0])):
                own_arm[i] = arm[rows[i]]
        estimates[j, :] = np.nan
        counts[j, 0] = used
        counts[j, 1] = deaths[:groups].sum()
        counts[j, 2] = _fit_marker(
            values[:used], own_arm, first[:groups], deaths[:groups], start, scratch, estimates[j]
        )
