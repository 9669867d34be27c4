"""Cox models whose covariates take few distinct values: patients in a risk set are counted by cell, not visited.

Rows are presorted by time. ``tie`` numbers their distinct times 0, 1, ... in ascending order; Efron's ties; no weights,
strata or delayed entry. Meant for searches that fit many small models on the same rows.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from trialstrat.stats.kernels.linear import solve_positive

#: Outcome of a fit: estimated; no information (an arm, or the events, absent); infinite estimate; not converged.
OK, NO_INFORMATION, MONOTONE, NOT_CONVERGED = 0, 1, 2, 3
#: Log hazard ratio of a 0/1 covariate beyond which an estimate is called infinite.
LARGEST = 10.0


@njit(cache=True, nogil=True)
def count_cells(cell: np.ndarray, event: np.ndarray, tie: np.ndarray, at_risk: np.ndarray, dying: np.ndarray) -> int:
    """Count patients at risk and dying, by cell, at every event time; rows of a negative cell are left out.

    ``at_risk`` and ``dying`` (times, cells) are written from row 0, latest time first; returns the number of rows used.
    """
    cells = at_risk.shape[1]
    running = np.zeros(cells)
    deaths = np.zeros(cells)
    used = 0
    row = cell.shape[0] - 1
    while row >= 0:
        deaths[:] = 0.0
        total = 0
        now = tie[row]
        while row >= 0 and tie[row] == now:
            c = cell[row]
            if c >= 0:
                running[c] += 1.0
                if event[row]:
                    deaths[c] += 1.0
                    total += 1
            row -= 1
        if total > 0:
            for c in range(cells):
                at_risk[used, c] = running[c]
                dying[used, c] = deaths[c]
            used += 1
    return used


@njit(cache=True, nogil=True, error_model="numpy")
def _binary_terms(at_risk: np.ndarray, dying: np.ndarray, used: int, ratio: float) -> tuple[float, float, float]:
    """Expected events of cell 1, information and its derivative at hazard ratio ``ratio``."""
    expected = variance = skew = 0.0
    for g in range(used):
        d = dying[g, 0] + dying[g, 1]
        for k in range(int(d)):
            part = k / d
            one = ratio * (at_risk[g, 1] - part * dying[g, 1])
            share = one / (one + at_risk[g, 0] - part * dying[g, 0])
            spread = share * (1.0 - share)
            expected += share
            variance += spread
            skew += spread * (1.0 - 2.0 * share)
    return expected, variance, skew


@njit(cache=True, nogil=True, error_model="numpy")
def cox_binary_sorted(cell: np.ndarray, event: np.ndarray, tie: np.ndarray) -> tuple[float, float, float, float, int]:
    """Cox model with one 0/1 covariate, presorted rows.

    Parameters
    ----------
    cell : (n,) integers: 0 or 1 the value of the covariate (the arm), negative: not in the subset
    event : (n,) booleans
    tie : (n,) number of the row's distinct time, ascending

    Returns
    -------
    log hazard ratio, standard error, score at 0 (observed minus expected events of cell 1), information at 0, and
    the outcome code (``OK``, ``NO_INFORMATION``, ``MONOTONE``, ``NOT_CONVERGED``); estimates are nan unless OK.
    """
    n = cell.shape[0]
    at_risk = np.empty((n, 2))
    dying = np.empty((n, 2))
    used = count_cells(cell, event, tie, at_risk, dying)
    observed = 0.0
    for g in range(used):
        observed += dying[g, 1]
    expected, variance, skew = _binary_terms(at_risk, dying, used, 1.0)
    score_null, information_null = observed - expected, variance
    if not variance > 0.0:
        return np.nan, np.nan, score_null, information_null, NO_INFORMATION
    coef, low, high = 0.0, -LARGEST, LARGEST
    for _ in range(100):
        score = observed - expected
        if score > 0.0:
            low = coef
        else:
            high = coef
        first = score / variance
        step = first - 0.5 * skew / variance * first * first
        if abs(step) > abs(first) * 2.0 or step * first <= 0.0:
            step = first
        if abs(first) < 1e-4:
            coef += step
            if abs(coef) >= LARGEST - 1e-3:
                break
            return coef, 1.0 / np.sqrt(variance + skew * step), score_null, information_null, OK
        new = coef + step
        if not low < new < high:
            new = 0.5 * (low + high)
        coef = new
        if high - low < 1e-3 and (high == LARGEST or low == -LARGEST):
            break
        expected, variance, skew = _binary_terms(at_risk, dying, used, np.exp(coef))
    return np.nan, np.nan, score_null, information_null, MONOTONE


@njit(cache=True, nogil=True, error_model="numpy")
def _add_steps(
    at_risk: np.ndarray, dying: np.ndarray, risk: np.ndarray, share: np.ndarray, weight: np.ndarray, cross: np.ndarray
) -> float:
    """Go through the steps of one event time; returns the logs of the denominators.

    The part of each cell in every denominator is added to ``weight`` (cells,), its products to ``cross``.
    """
    cells = risk.shape[0]
    d = dying.sum()
    product, logs = 1.0, 0.0
    for k in range(int(d)):
        size = 0.0
        for c in range(cells):
            share[c] = risk[c] * (at_risk[c] - k / d * dying[c])
            size += share[c]
        for c in range(cells):
            share[c] /= size
            weight[c] += share[c]
            for m in range(c + 1):
                cross[c, m] += share[c] * share[m]
        product *= size
        if not 1e-150 < product < 1e150:
            logs += np.log(product)
            product = 1.0
    return logs + np.log(product)


@njit(cache=True, nogil=True, error_model="numpy")
def _cells_loglik(
    at_risk: np.ndarray,
    dying: np.ndarray,
    used: int,
    eta: np.ndarray,
    design: np.ndarray,
    gradient: np.ndarray,
    curvature: np.ndarray,
) -> float:
    """Log partial likelihood at the linear predictors ``eta`` (cells,); writes gradient and information."""
    cells, q = design.shape
    risk = np.exp(eta)
    share, weight = np.zeros(cells), np.zeros(cells)
    cross = np.zeros((cells, cells))
    value = 0.0
    for g in range(used):
        value -= _add_steps(at_risk[g], dying[g], risk, share, weight, cross)
    gradient[:] = 0.0
    for c in range(cells):
        observed = dying[:used, c].sum()
        value += observed * eta[c]
        for m in range(c + 1):
            cross[c, m] = (weight[c] if c == m else 0.0) - cross[c, m]
            cross[m, c] = cross[c, m]
        for j in range(q):
            gradient[j] += (observed - weight[c]) * design[c, j]
    curvature[:] = 0.0
    for c in range(cells):
        for m in range(cells):
            for j in range(q):
                for i in range(q):
                    curvature[j, i] += cross[c, m] * design[c, j] * design[m, i]
    return value


@njit(cache=True, nogil=True, error_model="numpy")
def maximise_cells(
    at_risk: np.ndarray, dying: np.ndarray, used: int, design: np.ndarray, coef: np.ndarray, inverse: np.ndarray
) -> tuple[float, int]:
    """Maximum log partial likelihood over ``design @ coef`` (cells, q): value (its limit when monotone) and outcome.

    ``coef`` is the start and is overwritten; ``inverse`` (q, q) gets the inverse information when the outcome is OK.
    """
    q = design.shape[1]
    gradient, curvature, step = np.zeros(q), np.zeros((q, q)), np.zeros((q, 1))
    trial_gradient, trial_curvature = np.zeros(q), np.zeros((q, q))
    value = _cells_loglik(at_risk, dying, used, design @ coef, design, gradient, curvature)
    identity = np.eye(q)
    for _ in range(80):
        if not solve_positive(curvature, gradient.reshape(q, 1), step):
            return value, MONOTONE if np.max(np.abs(coef)) > LARGEST else NO_INFORMATION
        gain = 0.0
        longest = 0.0
        for j in range(q):
            gain += gradient[j] * step[j, 0]
            longest = max(longest, abs(step[j, 0]))
        if gain < 1e-11 and longest > 1e-2:
            return value, MONOTONE
        scale = 1.0
        trial = coef + step[:, 0]
        height = _cells_loglik(at_risk, dying, used, design @ trial, design, trial_gradient, trial_curvature)
        while not height >= value - 1e-12 * (1.0 + abs(value)) and scale > 1e-6:
            scale *= 0.5
            trial = coef + scale * step[:, 0]
            height = _cells_loglik(at_risk, dying, used, design @ trial, design, trial_gradient, trial_curvature)
        if not np.isfinite(height):
            return value, NOT_CONVERGED
        coef[:] = trial
        value = height
        gradient[:] = trial_gradient
        curvature[:] = trial_curvature
        if longest < 1e-7:
            solved = solve_positive(curvature, identity, inverse)
            return value, OK if solved else NO_INFORMATION
    return value, NOT_CONVERGED


@njit(cache=True, nogil=True)
def interaction_lr_sorted(
    arm: np.ndarray, high: np.ndarray, event: np.ndarray, tie: np.ndarray
) -> tuple[float, float, float, int]:
    """Likelihood ratio of arm x h in the Cox model arm + h + arm x h, presorted rows.

    Parameters
    ----------
    arm, high : (n,) 0/1 integers; a row with a negative ``high`` is left out
    event, tie : as in :func:`cox_binary_sorted`

    Returns
    -------
    The statistic ``2 (l(full) - l(main effects))`` (a monotone likelihood has its limit), the interaction's log hazard
    ratio and standard error (nan unless the outcome is OK), and the outcome.
    """
    n = arm.shape[0]
    cell = np.empty(n, dtype=np.int64)
    for i in range(n):
        cell[i] = -1 if high[i] < 0 else arm[i] + 2 * high[i]
    at_risk = np.empty((n, 4))
    dying = np.empty((n, 4))
    used = count_cells(cell, event, tie, at_risk, dying)
    design = np.zeros((4, 3))
    for c in range(4):
        design[c, 0] = c % 2
        design[c, 1] = c // 2
        design[c, 2] = (c % 2) * (c // 2)
    main = np.zeros(2)
    unused = np.zeros((2, 2))
    null, outcome = maximise_cells(at_risk, dying, used, np.ascontiguousarray(design[:, :2]), main, unused)
    if outcome in (NO_INFORMATION, NOT_CONVERGED):
        return np.nan, np.nan, np.nan, outcome
    coef = np.zeros(3)
    if outcome == OK:
        coef[0], coef[1] = main[0], main[1]
    inverse = np.zeros((3, 3))
    value, outcome = maximise_cells(at_risk, dying, used, design, coef, inverse)
    if outcome in (NO_INFORMATION, NOT_CONVERGED):
        return np.nan, np.nan, np.nan, outcome
    statistic = max(2.0 * (value - null), 0.0)
    if outcome == OK and abs(coef[2]) < LARGEST:
        return statistic, coef[2], np.sqrt(inverse[2, 2]), OK
    return statistic, np.nan, np.nan, MONOTONE
