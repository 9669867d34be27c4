"""Kaplan-Meier steps, restricted mean and milestone survival on rows already sorted by time.

Every kernel walks the rows from the last to the first, so that the weighted number at risk is a sum of what is still
there and not a difference of large numbers.
"""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def count_distinct(time):
    """Number of distinct values of a sorted vector."""
    m = 0
    for i in range(time.shape[0]):
        if i == 0 or time[i] != time[i - 1]:
            m += 1
    return m


@njit(cache=True, nogil=True)
def km_steps(time, event, weight, entry, entry_weight):
    """Steps of the Kaplan-Meier and Nelson-Aalen curves, one row per distinct time.

    Parameters
    ----------
    time, event, weight : arrays of shape (n,)
        Rows sorted by time; event 0/1; weights not negative.
    entry, entry_weight : arrays of shape (e,)
        Entry times in increasing order with the weights of those who enter; empty without delayed entry.

    Returns
    -------
    tuple of arrays of shape (m,)
        time, number at risk, events, censorings, survival, the Greenwood sum of d / (n (n - d)) (infinite once the
        curve is 0), cumulative hazard, the sum of d / n^2.
    """
    n = time.shape[0]
    m = count_distinct(time)
    times = np.empty(m)
    at_risk = np.empty(m)
    events = np.empty(m)
    censored = np.empty(m)
    everybody = np.zeros(m, dtype=np.bool_)
    total = 0.0
    lost = 0.0
    people = 0
    i = n - 1
    e = entry.shape[0] - 1
    for row in range(m - 1, -1, -1):
        t = time[i]
        d = 0.0
        c = 0.0
        deaths = 0
        while i >= 0 and time[i] == t:
            if event[i] == 1:
                d += weight[i]
                deaths += weight[i] > 0.0
            else:
                c += weight[i]
            people += weight[i] > 0.0
            i -= 1
        total, lost = add_exactly(total, lost, d + c)
        while e >= 0 and entry[e] >= t:
            total, lost = add_exactly(total, lost, -entry_weight[e])
            people -= entry_weight[e] > 0.0
            e -= 1
        if people == 0:
            total = 0.0
            lost = 0.0
        times[row] = t
        at_risk[row] = total + lost
        events[row] = d
        censored[row] = c
        # counted in people: with fractional weights n - d may be 1e-17 instead of 0
        everybody[row] = deaths > 0 and deaths == people
    survival, greenwood, hazard, hazard_variance = _accumulate(at_risk, events, everybody)
    return times, at_risk, events, censored, survival, greenwood, hazard, hazard_variance


@njit(cache=True, nogil=True)
def add_exactly(total, lost, value):
    """One step of a compensated (Neumaier) sum: the new total and what rounding has lost so far."""
    new = total + value
    if abs(total) >= abs(value):
        lost += (total - new) + value
    else:
        lost += (value - new) + total
    return new, lost


@njit(cache=True, nogil=True)
def _accumulate(at_risk, events, everybody):
    """Products and sums over the steps in time order."""
    m = at_risk.shape[0]
    survival = np.empty(m)
    greenwood = np.empty(m)
    hazard = np.empty(m)
    hazard_variance = np.empty(m)
    s = 1.0
    v = 0.0
    h = 0.0
    hv = 0.0
    for row in range(m):
        d = events[row]
        r = at_risk[row]
        if d > 0.0:
            if everybody[row]:
                s = 0.0
                v = np.inf
            else:
                s *= 1.0 - d / r
                v += d / (r * (r - d))
            h += d / r
            hv += d / (r * r)
        survival[row] = s
        greenwood[row] = v
        hazard[row] = h
        hazard_variance[row] = hv
    return survival, greenwood, hazard, hazard_variance


@njit(cache=True, nogil=True)
def rmst_sorted(time, event, weight, tau):
    """Restricted mean survival time of the rows with positive weight.

    Parameters
    ----------
    time, event, weight : arrays of shape (n,)
        Rows sorted by time; event 0/1; weight: a mask, replicate counts or case weights.
    tau : float
        Restriction time.

    Returns
    -------
    tuple
        Area under the curve up to tau, its Greenwood variance, rows with positive weight, weighted events up to tau,
        last time of follow-up, survival at that time.
    """
    at_risk, events, everybody, times, people = _risk_rows(time, event, weight)
    m = times.shape[0]
    height = np.empty(m)
    s = 1.0
    for row in range(m):
        if events[row] > 0.0:
            s = 0.0 if everybody[row] else s * (1.0 - events[row] / at_risk[row])
        height[row] = s
    area = 0.0
    variance = 0.0
    total_events = 0.0
    right = tau
    for row in range(m - 1, -1, -1):
        t = times[row]
        if t > tau:
            continue
        area += height[row] * (right - t)
        right = t
        d = events[row]
        if d > 0.0:
            total_events += d
            if not everybody[row]:
                variance += area * area * d / (at_risk[row] * (at_risk[row] - d))
    area += right
    last = times[m - 1] if m else 0.0
    return area, variance, people, total_events, last, s


@njit(cache=True, nogil=True)
def milestone_sorted(time, event, weight, at):
    """Kaplan-Meier survival at one time for the rows with positive weight.

    Returns
    -------
    tuple
        Survival at ``at``, the Greenwood sum (infinite once the curve is 0), rows with positive weight, weighted events
        up to ``at``, last time of follow-up, survival at that time.
    """
    at_risk, events, everybody, times, people = _risk_rows(time, event, weight)
    s = 1.0
    survival = 1.0
    greenwood = 0.0
    total_events = 0.0
    for row in range(times.shape[0]):
        d = events[row]
        if d > 0.0:
            s = 0.0 if everybody[row] else s * (1.0 - d / at_risk[row])
        if times[row] <= at:
            survival = s
            if d > 0.0:
                total_events += d
                greenwood += np.inf if everybody[row] else d / (at_risk[row] * (at_risk[row] - d))
    last = times[times.shape[0] - 1] if times.shape[0] else 0.0
    return survival, greenwood, people, total_events, last, s


@njit(cache=True, nogil=True)
def _risk_rows(time, event, weight):
    """Weighted risk sets at the distinct times of the rows with positive weight, in time order."""
    n = time.shape[0]
    times = np.empty(n)
    at_risk = np.empty(n)
    events = np.empty(n)
    everybody = np.zeros(n, dtype=np.bool_)
    total = 0.0
    people = 0
    first = n
    i = n - 1
    while i >= 0:
        t = time[i]
        d = 0.0
        c = 0.0
        deaths = 0
        leaving = 0
        while i >= 0 and time[i] == t:
            w = weight[i]
            if w > 0:
                leaving += 1
                if event[i] == 1:
                    d += w
                    deaths += 1
                else:
                    c += w
            i -= 1
        if leaving == 0:
            continue
        total += d + c
        people += leaving
        first -= 1
        times[first] = t
        at_risk[first] = total
        events[first] = d
        everybody[first] = deaths == people
    return at_risk[first:], events[first:], everybody[first:], times[first:], people
