"""The weighted effect of treatment in many subsets of the same patients, one pass per subset.

Patients are sorted once; a subset is a bit mask (everybody whose bits contain it) and never copied.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from trialstrat.stats.kernels.balancing import weigh

#: Outcomes: times with a restricted mean, times without one, 0/1, numbers.
TIMES, TIMES_ONLY, BINARY, NUMBERS = 0, 1, 2, 3
#: What a subset gave: an estimate; an arm without patients or events; no propensity model; an infinite estimate.
OK, EMPTY, NO_MODEL, MONOTONE = 0, 1, 2, 3
#: Log hazard ratio beyond which an estimate is called infinite.
LARGEST = 10.0
#: Columns of the output.
RELATIVE, ABSOLUTE, N, EVENTS_CONTROL, EVENTS_TREATED, CODE = range(6)
COLUMNS = 6


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
