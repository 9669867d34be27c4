"""Propensity models on counts by covariate cell, and the balancing weights made from them, for many subsets.

A model is fitted to counts by distinct covariate row (*cell*), so that a subset costs a count and a few small solves.
"""

from __future__ import annotations

import numpy as np
from numba import njit

#: Weights: none, overlap, stabilised inverse probability, the same from a class-balanced and penalised model.
NONE, OVERLAP, STABILISED, BALANCED = 0, 1, 2, 3
_TINY = 1e-12
#: A last step that moves a fitted log odds by more than this is no maximum: each of Newton's steps towards an infinite
#: one moves it by about 1, those near a finite one by less than the square of the one before.
_STILL_MOVING = 0.1
#: Log odds beyond which a probability is 0 or 1 to the last digit, as in :mod:`trialstrat.stats.propensity`.
_FARTHEST = 36.0


@njit(cache=True, nogil=True, error_model="numpy")
def _solve_aliased(matrix, right, out):
    """Solve for a positive semi-definite matrix; columns that depend on earlier ones get 0. How many do not."""
    p = matrix.shape[0]
    factor = np.zeros((p, p))
    alive = np.zeros(p, dtype=np.bool_)
    for j in range(p):
        value = matrix[j, j]
        for m in range(j):
            value -= factor[j, m] * factor[j, m]
        alive[j] = value > 1e-10 * matrix[j, j] and matrix[j, j] > _TINY
        factor[j, j] = np.sqrt(value) if alive[j] else 1.0
        for i in range(j + 1, p):
            value = matrix[i, j]
            for m in range(j):
                value -= factor[i, m] * factor[j, m]
            factor[i, j] = value / factor[j, j] if alive[j] else 0.0
    for j in range(p):
        value = right[j] if alive[j] else 0.0
        for m in range(j):
            value -= factor[j, m] * out[m]
        out[j] = value / factor[j, j] if alive[j] else 0.0
    for j in range(p - 1, -1, -1):
        value = out[j]
        for m in range(j + 1, p):
            value -= factor[m, j] * out[m]
        out[j] = value / factor[j, j] if alive[j] else 0.0
    return np.sum(alive)


@njit(cache=True, nogil=True, error_model="numpy")
def _height(design, treated, control, coef, ridge, probability):
    """Penalised log-likelihood; writes the fitted probabilities."""
    value = 0.0
    for c in range(design.shape[0]):
        if treated[c] + control[c] > 0.0:
            eta = 0.0
            for j in range(design.shape[1]):
                eta += design[c, j] * coef[j]
            tail = np.log1p(np.exp(-abs(eta)))
            value -= treated[c] * (tail + max(-eta, 0.0)) + control[c] * (tail + max(eta, 0.0))
            probability[c] = 1.0 / (1.0 + np.exp(-eta))
    for j in range(1, design.shape[1]):
        value -= 0.5 * ridge * coef[j] * coef[j]
    return value


@njit(cache=True, nogil=True, error_model="numpy")
def _slope(design, treated, control, coef, ridge, probability, gradient, information):
    """Gradient and information of the penalised log-likelihood, overwritten."""
    cells, q = design.shape
    gradient[:] = 0.0
    information[:] = 0.0
    for c in range(cells):
        total = treated[c] + control[c]
        if total > 0.0:
            miss = treated[c] - total * probability[c]
            spread = total * probability[c] * (1.0 - probability[c])
            for j in range(q):
                gradient[j] += miss * design[c, j]
                for m in range(j + 1):
                    information[j, m] += spread * design[c, j] * design[c, m]
    for j in range(q):
        if j > 0:
            gradient[j] -= ridge * coef[j]
            information[j, j] += ridge
        for m in range(j):
            information[m, j] = information[j, m]


@njit(cache=True, nogil=True, error_model="numpy")
def fit_logistic(design, treated, control, ridge, coef, probability):
    """Logistic regression on counts by covariate cell, Newton's method with step halving.

    Parameters
    ----------
    design : (c, q) one row per cell, the intercept first
    treated, control : (c,) how many of each arm, 0 where the subset has nobody
    ridge : penalty ``ridge / 2`` times the squared coefficients but the intercept
    coef : (q,) the start, overwritten; columns that depend on earlier ones keep a step of 0
    probability : (c,) overwritten with the fitted probability of treatment, where the cell is not empty

    Returns
    -------
    bool
        Whether there is a maximum. Where covariates separate the arms, completely or in part, the likelihood stops
        rising while the coefficients go on (Albert & Anderson 1984): False, as in :func:`trialstrat.stats.propensity`;
        False too where a maximum lies so far out (log odds beyond 36) that probabilities are 0 or 1 to the last digit.
    """
    q = design.shape[1]
    gradient, step = np.zeros(q), np.zeros(q)
    information = np.zeros((q, q))
    free = 0
    value = _height(design, treated, control, coef, ridge, probability)
    for _ in range(60):
        _slope(design, treated, control, coef, ridge, probability, gradient, information)
        solved = _solve_aliased(information, gradient, step)
        free = max(free, solved)
        if solved < free:
            return False  # a column that could be told apart no longer is: its fitted probabilities are at 0 and 1
        before = value
        scale = 1.0
        value = _height(design, treated, control, coef + step, ridge, probability)
        while not value >= before - 1e-12 * (1.0 + abs(before)) and scale > 1e-8:
            scale *= 0.5
            value = _height(design, treated, control, coef + scale * step, ridge, probability)
        coef += scale * step
        if not np.isfinite(value):
            return False
        if np.max(np.abs(step)) * scale < 1e-9 or abs(value - before) < 1e-13 * (1.0 + abs(value)):
            moving = _largest(design, treated, control, step) * scale
            return moving < _STILL_MOVING and _largest(design, treated, control, coef) < _FARTHEST
    return False


@njit(cache=True, nogil=True, error_model="numpy")
def _largest(design, treated, control, coef):
    """The largest log odds in size for coefficients, or change of them for a step, over cells that are not empty."""
    largest = 0.0
    for c in range(design.shape[0]):
        if treated[c] + control[c] > 0.0:
            odds = 0.0
            for j in range(design.shape[1]):
                odds += design[c, j] * coef[j]
            largest = max(largest, abs(odds))
    return largest


@njit(cache=True, nogil=True, error_model="numpy")
def weigh(member, arm, cell, design, start, kind, weight):
    """Balancing weights of the members (times their multiplicity), 0 for the others; whether a model was found.

    Both arms must have members. Writes ``weight`` (n,); the other arguments are those of :func:`subset_effects`.
    """
    cells = design.shape[0]
    treated, control = np.zeros(cells), np.zeros(cells)
    sums = np.zeros(2)
    for i in range(arm.shape[0]):
        if member[i] > 0.0:
            sums[arm[i]] += member[i]
            if arm[i] == 1:
                treated[cell[i]] += member[i]
            else:
                control[cell[i]] += member[i]
    if kind == NONE:
        weight[:] = member
        return True
    total = sums[0] + sums[1]
    ridge = 0.0
    if kind == BALANCED:
        treated *= total / (2.0 * sums[1])
        control *= total / (2.0 * sums[0])
        ridge = 1.0
    coef, probability = start.copy(), np.zeros(cells)
    if not fit_logistic(design, treated, control, ridge, coef, probability):
        return False
    share = sums[1] / total
    for i in range(arm.shape[0]):
        weight[i] = 0.0
        if member[i] > 0.0:
            e = min(max(probability[cell[i]], _TINY), 1.0 - _TINY)
            own = e if arm[i] == 1 else 1.0 - e
            part = share if arm[i] == 1 else 1.0 - share
            weight[i] = member[i] * ((1.0 - own) if kind == OVERLAP else part / own)
    return True
