"""The weighted effect of treatment in many subsets of the same patients, one pass per subset.

Patients are sorted once; a subset is a bit mask (everybody whose bits contain it) and never copied. Propensity models
are fitted to counts by distinct covariate row (*cell*), so that a subset costs a count and a few small solves.
"""

from __future__ import annotations

import numpy as np
from numba import njit

#: Weights: none, overlap, stabilised inverse probability, the same from a class-balanced and penalised model.
NONE, OVERLAP, STABILISED, BALANCED = 0, 1, 2, 3
#: Outcomes: times with a restricted mean, times without one, 0/1, numbers.
TIMES, TIMES_ONLY, BINARY, NUMBERS = 0, 1, 2, 3
#: What a subset gave: an estimate; an arm without patients or events; no propensity model; an infinite estimate.
OK, EMPTY, NO_MODEL, MONOTONE = 0, 1, 2, 3
#: Log hazard ratio beyond which an estimate is called infinite.
LARGEST = 10.0
#: Columns of the output.
RELATIVE, ABSOLUTE, N, EVENTS_CONTROL, EVENTS_TREATED, CODE = range(6)
COLUMNS = 6
_TINY = 1e-12
#: A last step that moves a fitted log odds by more than this is no maximum: each of Newton's steps towards an infinite
#: one moves it by about 1, those near a finite one by less than the square of the one before.
_STILL_MOVING = 0.1


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
        rising while the coefficients go on (Albert & Anderson 1984): False, as in :func:`trialstrat.stats.propensity`.
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
            return _largest_move(design, treated, control, step) * scale < _STILL_MOVING
    return False


@njit(cache=True, nogil=True, error_model="numpy")
def _largest_move(design, treated, control, step):
    """The largest change of a fitted log odds by a step, over cells that are not empty."""
    largest = 0.0
    for c in range(design.shape[0]):
        if treated[c] + control[c] > 0.0:
            move = 0.0
            for j in range(design.shape[1]):
                move += design[c, j] * step[j]
            largest = max(largest, abs(move))
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


@njit(cache=True, nogil=True, error_model="numpy")
def _risk_sets(member, weight, arm, event, time, stratum, entry, late, at_risk, dying, deaths):
    """Weighted patients at risk and dying by arm, and the number of deaths, at every event time of every stratum.

    Returns how many rows were written.
    """
    used = 0
    row, e = arm.shape[0] - 1, late.shape[0] - 1
    running, falling = np.zeros(2), np.zeros(2)
    here = -1
    while row >= 0:
        if stratum[row] != here:
            here = stratum[row]
            running[:] = 0.0
            while e >= 0 and stratum[late[e]] != here:
                e -= 1
        now = time[row]
        falling[:] = 0.0
        count = 0.0
        while row >= 0 and time[row] == now and stratum[row] == here:
            if member[row] > 0.0:
                running[arm[row]] += weight[row]
                if event[row] == 1:
                    falling[arm[row]] += weight[row]
                    count += member[row]
            row -= 1
        while e >= 0 and stratum[late[e]] == here and entry[late[e]] >= now:
            if member[late[e]] > 0.0:
                running[arm[late[e]]] -= weight[late[e]]
            e -= 1
        if count > 0.0:
            at_risk[used] = running
            dying[used] = falling
            deaths[used] = count
            used += 1
    return used


@njit(cache=True, nogil=True, error_model="numpy")
def _terms(at_risk, dying, deaths, used, ratio):
    """Expected weighted deaths of the treated and information at a hazard ratio (Efron ties, mean weight)."""
    expected = variance = 0.0
    for g in range(used):
        d = deaths[g]
        mean = (dying[g, 0] + dying[g, 1]) / d
        for k in range(int(d)):
            one = ratio * (at_risk[g, 1] - k / d * dying[g, 1])
            size = one + at_risk[g, 0] - k / d * dying[g, 0]
            if size > 0.0:
                share = one / size
                expected += mean * share
                variance += mean * share * (1.0 - share)
    return expected, variance


@njit(cache=True, nogil=True, error_model="numpy")
def _log_hazard_ratio(at_risk, dying, deaths, used):
    """Maximum partial likelihood estimate by a bracketed Newton's method; nan when it is infinite."""
    observed = 0.0
    for g in range(used):
        observed += dying[g, 1]
    coef, low, high = 0.0, -LARGEST, LARGEST
    for _ in range(100):
        expected, variance = _terms(at_risk, dying, deaths, used, np.exp(coef))
        if not variance > 0.0:
            return np.nan
        score = observed - expected
        if score > 0.0:
            low = coef
        else:
            high = coef
        step = score / variance
        if abs(step) < 1e-10:
            return coef + step if abs(coef) < LARGEST - 1e-3 else np.nan
        new = coef + step
        coef = new if low < new < high else 0.5 * (low + high)
    return np.nan


@njit(cache=True, nogil=True, error_model="numpy")
def _restricted_mean(which, member, weight, arm, event, time, entry, by_time, late, tau):
    """Area under the weighted survival curve of one arm up to ``tau``; nan when follow-up ends before."""
    n = by_time.shape[0]
    height, at = np.empty(n), np.empty(n)
    used = 0
    row, e = n - 1, late.shape[0] - 1
    risk = 0.0
    last = -1.0
    while row >= 0:
        now = time[by_time[row]]
        dead = 0.0
        while row >= 0 and time[by_time[row]] == now:
            i = by_time[row]
            if member[i] > 0.0 and arm[i] == which and weight[i] > 0.0:
                risk += weight[i]
                last = max(last, now)
                if event[i] == 1:
                    dead += weight[i]
            row -= 1
        while e >= 0 and entry[late[e]] >= now:
            i = late[e]
            if member[i] > 0.0 and arm[i] == which:
                risk -= weight[i]
            e -= 1
        if dead > 0.0:
            height[used] = max(1.0 - dead / risk, 0.0) if risk > dead * (1.0 + 1e-12) else 0.0
            at[used] = now
            used += 1
    survival, area, left = 1.0, 0.0, 0.0
    for g in range(used - 1, -1, -1):
        if at[g] > tau:
            break
        area += survival * (at[g] - left)
        left = at[g]
        survival *= height[g]
    if last < 0.0 or (survival > 0.0 and tau - last > 1e-9 * max(1.0, last)):
        return np.nan
    return area + survival * (tau - left)


@njit(cache=True, nogil=True, error_model="numpy")
def _means(member, weight, arm, value):
    """Weighted mean of both arms."""
    total, mass = np.zeros(2), np.zeros(2)
    for i in range(arm.shape[0]):
        if member[i] > 0.0:
            total[arm[i]] += weight[i] * value[i]
            mass[arm[i]] += weight[i]
    return total[0] / mass[0], total[1] / mass[1]


@njit(cache=True, nogil=True, error_model="numpy")
def subset_effects(
    need, bits, count, arm, event, time, value, stratum, entry, late, by_time, late_by_time,
    cell, design, start, kind, outcome, tau, out,
):  # fmt: skip
    """Effect of treatment in every subset.

    Parameters
    ----------
    need : (s,) bit masks; a row belongs to a subset when its ``bits`` contain the mask
    bits : (n,) criteria each row meets; rows sorted by stratum, then time
    count : (n,) multiplicity of each row (1, or how often a bootstrap sample drew it; 0: not in the data)
    arm, event, stratum, cell : (n,) integers; cell numbers the distinct rows of ``design`` (c, q)
    time, value, entry : (n,)
    late, late_by_time : rows that enter late, by stratum and entry, and by entry; empty without delayed entry
    by_time : (n,) rows in order of time
    start : (q,) first coefficients of every propensity model
    kind, outcome : codes above; tau: horizon of the restricted means
    out : (s, 6) log ratio, difference, patients, events by arm, code
    """
    n = arm.shape[0]
    member, weight = np.zeros(n), np.zeros(n)
    at_risk, dying, deaths = np.empty((n, 2)), np.empty((n, 2)), np.empty(n)
    for s in range(need.shape[0]):
        size, events = np.zeros(2), np.zeros(2)
        for i in range(n):
            member[i] = count[i] if bits[i] & need[s] == need[s] else 0.0
            size[arm[i]] += member[i]
            events[arm[i]] += member[i] * event[i]
        out[s, RELATIVE] = out[s, ABSOLUTE] = np.nan
        out[s, N] = size[0] + size[1]
        out[s, EVENTS_CONTROL], out[s, EVENTS_TREATED] = events
        out[s, CODE] = EMPTY
        if size[0] == 0.0 or size[1] == 0.0:
            continue
        if not weigh(member, arm, cell, design, start, kind, weight):
            out[s, CODE] = NO_MODEL
            continue
        out[s, CODE] = OK
        if outcome in (NUMBERS, BINARY):
            first, second = _means(member, weight, arm, value)
            out[s, ABSOLUTE] = second - first
            if outcome == BINARY:
                if 0.0 < first < 1.0 and 0.0 < second < 1.0:
                    out[s, RELATIVE] = np.log(second / (1.0 - second)) - np.log(first / (1.0 - first))
                else:
                    out[s, CODE] = MONOTONE
            continue
        if events[0] == 0.0 or events[1] == 0.0:
            out[s, CODE] = EMPTY
            continue
        used = _risk_sets(member, weight, arm, event, time, stratum, entry, late, at_risk, dying, deaths)
        out[s, RELATIVE] = _log_hazard_ratio(at_risk, dying, deaths, used)
        if np.isnan(out[s, RELATIVE]):
            out[s, CODE] = MONOTONE
        if outcome == TIMES:
            means = np.empty(2)
            for which in range(2):
                means[which] = _restricted_mean(
                    which, member, weight, arm, event, time, entry, by_time, late_by_time, tau
                )
            out[s, ABSOLUTE] = means[1] - means[0]
