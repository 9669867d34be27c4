"""Compiled parts of the max-T procedure: contributions of patients to a marker's score, and the running maximum."""

from __future__ import annotations

import numpy as np
from numba import njit

from trialstrat.stats.kernels.interaction import three_pass, three_risks
from trialstrat.stats.kernels.linear import solve_positive
from trialstrat.stats.kernels.marker_rows import compress, gather, standardise

#: Newton step (per SD) below which the main effects are close enough to their maximum.
NEAR = 2e-3


@njit(cache=True, nogil=True, error_model="numpy")
def _main_effects(
    x: np.ndarray,
    arm: np.ndarray,
    first: np.ndarray,
    deaths: np.ndarray,
    coef: np.ndarray,
    curvature: np.ndarray,
    scratch: np.ndarray,
) -> bool:
    """Fit ``arm + x`` (the product's coefficient stays 0); leaves risks in ``scratch[1]`` and the (3, 3) information.

    The efficient score does not change to first order with the main effects, so that they need not be exact.
    """
    n = x.shape[0]
    observed, mean = np.zeros(2), np.zeros(3)
    for g in range(first.shape[0]):
        for i in range(first[g], first[g] + deaths[g]):
            observed[0] += arm[i]
            observed[1] += x[i]
    gradient, step = np.zeros((2, 1)), np.zeros((2, 1))
    previous = np.inf
    for _ in range(40):
        three_risks(x, arm, coef, scratch[0, :n], scratch[1, :n], scratch[2, :n])
        three_pass(x, arm, scratch[1, :n], first, deaths, mean, curvature)
        gradient[:, 0] = observed - mean[:2]
        if not solve_positive(curvature[:2, :2], gradient, step):
            return False
        longest = np.max(np.abs(step))
        if longest < NEAR:
            return True
        # an overshooting step shows as a longer next one
        scale = 0.5 if longest > previous else 1.0
        previous = longest
        coef[:2] += scale * step[:, 0]
        if np.max(np.abs(coef)) > 30.0:
            return False
    return False


@njit(cache=True, nogil=True, error_model="numpy")
def _score_residuals(
    z: np.ndarray, risk: np.ndarray, first: np.ndarray, deaths: np.ndarray, sums: np.ndarray, out: np.ndarray
) -> None:
    """Score residuals (n,) of covariate ``z`` at the fitted risks, Efron's ties.

    ``sums`` (2, n) is scratch: hazard, and hazard times mean, of every time.
    """
    n = z.shape[0]
    s0 = s1 = 0.0
    reached = n
    for g in range(first.shape[0] - 1, -1, -1):
        start, d = first[g], deaths[g]
        for i in range(start + d, reached):
            s0 += risk[i]
            s1 += risk[i] * z[i]
        d0 = d1 = 0.0
        for i in range(start, start + d):
            d0 += risk[i]
            d1 += risk[i] * z[i]
        full = full_mean = part = part_mean = average = 0.0
        for k in range(d):
            share = 1.0 - k / d
            scale = 1.0 / (s0 + share * d0)
            mean = (s1 + share * d1) * scale
            full += scale
            full_mean += scale * mean
            part += share * scale
            part_mean += share * scale * mean
            average += mean
        average /= d
        for i in range(start, start + d):
            out[i] = z[i] - average - risk[i] * (z[i] * part - part_mean)
        sums[0, g], sums[1, g] = full, full_mean
        s0 += d0
        s1 += d1
        reached = start
    hazard = hazard_mean = 0.0
    g = 0
    for i in range(n):
        while g < first.shape[0] and first[g] + deaths[g] <= i:
            hazard += sums[0, g]
            hazard_mean += sums[1, g]
            g += 1
        if g < first.shape[0] and first[g] <= i:
            out[i] -= risk[i] * (z[i] * hazard - hazard_mean)
        else:
            out[i] = -risk[i] * (z[i] * hazard - hazard_mean)


@njit(cache=True, nogil=True, error_model="numpy")
def _efficient_scores(
    x: np.ndarray,
    arm: np.ndarray,
    first: np.ndarray,
    deaths: np.ndarray,
    start: float,
    scratch: np.ndarray,
    sums: np.ndarray,
    own: np.ndarray,
) -> float:
    """Contributions (n,) to the score of ``arm * x`` given ``arm + x``; their sum of squares, 0 without any."""
    n = x.shape[0]
    coef, curvature, mix = np.zeros(3), np.zeros((3, 3)), np.zeros((2, 1))
    coef[0] = start
    if not _main_effects(x, arm, first, deaths, coef, curvature, scratch):
        return 0.0
    if not solve_positive(curvature[:2, :2], np.ascontiguousarray(curvature[:2, 2:]), mix):
        return 0.0
    efficient = curvature[2, 2] - curvature[0, 2] * mix[0, 0] - curvature[1, 2] * mix[1, 0]
    if not efficient > 1e-9 * curvature[2, 2]:
        return 0.0
    z = scratch[0, :n]
    for i in range(n):
        z[i] = arm[i] * x[i] - mix[0, 0] * arm[i] - mix[1, 0] * x[i]
    _score_residuals(z, scratch[1, :n], first, deaths, sums, own)
    square = 0.0
    for i in range(n):
        square += own[i] * own[i]
    return square


@njit(cache=True, nogil=True, error_model="numpy")
def interaction_contributions(
    markers: np.ndarray,
    order: np.ndarray,
    event: np.ndarray,
    tie: np.ndarray,
    arm: np.ndarray,
    start: float,
    low: int,
    high: int,
    out: np.ndarray,
    statistic: np.ndarray,
) -> None:
    """Efficient score contributions of ``arm x marker`` given ``arm + marker``, for columns ``low`` to ``high``.

    ``out`` (p, n) gets, in sorted order, contributions scaled to unit sum of squares (0 for a missing marker);
    ``statistic`` (p,) their sum, nan where the model cannot be fitted. Other arguments as in ``screen_columns``.
    """
    n = order.shape[0]
    width = 16
    block, scratch = np.empty((width, n)), np.empty((3, n))
    rows, first, deaths = np.empty(n, np.int64), np.empty(n, np.int64), np.empty(n, np.int64)
    own_arm, own, sums = np.empty(n), np.empty(n), np.empty((2, n))
    for j in range(low, high):
        at = (j - low) % width
        if at == 0:
            gather(markers, order, j, min(j + width, high), block)
        values = block[at]
        used, groups = compress(values, event, tie, rows, first, deaths)
        out[j, :] = 0.0
        statistic[j] = np.nan
        for i in range(used):
            values[i] = values[rows[i]]
            own_arm[i] = arm[rows[i]]
        if groups == 0 or standardise(values[:used])[1] == 0.0:
            continue
        square = _efficient_scores(
            values[:used], own_arm[:used], first[:groups], deaths[:groups], start, scratch, sums, own
        )
        if square > 0.0:
            size = 1.0 / np.sqrt(square)
            total = 0.0
            for i in range(used):
                total += own[i]
                out[j, rows[i]] = own[i] * size
            statistic[j] = total * size


@njit(cache=True, nogil=True)
def marker_contributions(markers: np.ndarray, order: np.ndarray, low: int, high: int, out: np.ndarray) -> None:
    """Columns ``low`` to ``high`` centred and scaled to unit sum of squares, as rows of ``out``; missing is 0."""
    n = order.shape[0]
    width = 16
    block = np.empty((width, n))
    for j in range(low, high):
        at = (j - low) % width
        if at == 0:
            gather(markers, order, j, min(j + width, high), block)
        total = square = 0.0
        used = 0
        for i in range(n):
            if not np.isnan(block[at, i]):
                total += block[at, i]
                used += 1
        mean = total / max(used, 1)
        for i in range(n):
            value = 0.0 if np.isnan(block[at, i]) else block[at, i] - mean
            block[at, i] = value
            square += value * value
        size = 1.0 / np.sqrt(square) if square > 1e-26 * mean * mean * n and square > 0.0 else 0.0
        for i in range(n):
            out[j, i] = block[at, i] * size


@njit(cache=True, nogil=True)
def step_down(drawn: np.ndarray, threshold: np.ndarray, running: np.ndarray, counts: np.ndarray) -> None:
    """Update the running maxima (draws,) with the absolute statistics of each marker, and count those that reach it.

    ``drawn`` (markers, draws); markers come in ascending order of ``threshold``, their absolute observed statistic
    (a little lowered, so that equal values count as reached).
    """
    for j in range(drawn.shape[0]):
        limit = threshold[j]
        reached = 0
        for b in range(running.shape[0]):
            value = max(running[b], abs(drawn[j, b]))
            running[b] = value
            reached += value >= limit
        counts[j] = reached
