"""Log-rank sums: the fast two-group statistic and the table of risk sets from which every weighted test is made."""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def logrank_two_groups_sorted(time, event, group, weight, starts):
    """Two-group (stratified) log-rank sums in one pass, made to be called many thousand times.

    Parameters
    ----------
    time, event, group : arrays of shape (n,)
        Rows sorted by stratum and, within it, by time (close times merged); event 0/1; group 0/1.
    weight : array of shape (n,)
        A boolean mask of the rows that count, or replicate counts (a bootstrap sample without copying rows).
    starts : integer array of shape (strata + 1,)
        First row of every stratum, and n: ``[0, n]`` without strata.

    Returns
    -------
    tuple of float
        Observed and expected events of group 1, hypergeometric variance of the difference, events of both groups. The
        chi-square with 1 df is (observed - expected)^2 / variance; without variance the test is not estimable.
    """
    observed = 0.0
    expected = 0.0
    variance = 0.0
    events = 0.0
    for stratum in range(starts.shape[0] - 1):
        first = starts[stratum]
        i = starts[stratum + 1] - 1
        at_risk = 0.0
        at_risk_1 = 0.0
        while i >= first:
            t = time[i]
            d = 0.0
            d_1 = 0.0
            while i >= first and time[i] == t:
                w = weight[i]
                w_1 = w * group[i]
                at_risk += w
                at_risk_1 += w_1
                d += w * event[i]
                d_1 += w_1 * event[i]
                i -= 1
            if d > 0.0:
                share = at_risk_1 / at_risk
                observed += d_1
                expected += d * share
                events += d
                if at_risk > 1.0:
                    variance += d * share * (1.0 - share) * (at_risk - d) / (at_risk - 1.0)
    return observed, expected, variance, events


@njit(cache=True, nogil=True)
def risk_table(time, event, group, n_groups, starts, entry, entry_group, entry_starts):
    """Risk sets by group at every distinct event time of every stratum.

    Parameters
    ----------
    time, event, group : arrays of shape (n,)
        Rows sorted by stratum and time; group codes 0 ... ``n_groups`` - 1.
    starts : integer array of shape (strata + 1,)
        First row of every stratum, and n.
    entry, entry_group, entry_starts
        Entry times with their group, sorted by stratum and entry, and the first entry of every stratum; without delayed
        entry the arrays are empty and the starts all 0.

    Returns
    -------
    tuple of arrays
        Events (rows, groups) and numbers at risk (rows, groups), the pooled Kaplan-Meier curve of the stratum just
        before the time, and the product of 1 - d / (n + 1) up to and including the time; rows in time order within
        strata.
    """
    rows = _count_event_times(time, event, starts)
    deaths = np.zeros((rows, n_groups))
    at_risk = np.empty((rows, n_groups))
    survival_before = np.empty(rows)
    peto = np.empty(rows)
    stop = rows
    for stratum in range(starts.shape[0] - 2, -1, -1):
        row = _fill_stratum(
            time[starts[stratum] : starts[stratum + 1]],
            event[starts[stratum] : starts[stratum + 1]],
            group[starts[stratum] : starts[stratum + 1]],
            entry[entry_starts[stratum] : entry_starts[stratum + 1]],
            entry_group[entry_starts[stratum] : entry_starts[stratum + 1]],
            deaths,
            at_risk,
            stop,
        )
        s = 1.0
        product = 1.0
        for at in range(row, stop):
            n = at_risk[at].sum()
            d = deaths[at].sum()
            survival_before[at] = s
            product *= 1.0 - d / (n + 1.0)
            peto[at] = product
            s *= 1.0 - d / n
        stop = row
    return deaths, at_risk, survival_before, peto


@njit(cache=True, nogil=True)
def _fill_stratum(time, event, group, entry, entry_group, deaths, at_risk, stop):
    """Fill the rows of one stratum from the last (``stop`` - 1) upwards; returns its first row."""
    now = np.zeros(at_risk.shape[1])
    row = stop
    i = time.shape[0] - 1
    e = entry.shape[0] - 1
    while i >= 0:
        t = time[i]
        any_death = False
        while i >= 0 and time[i] == t:
            now[group[i]] += 1.0
            if event[i] == 1:
                if not any_death:
                    any_death = True
                    row -= 1
                deaths[row, group[i]] += 1.0
            i -= 1
        while e >= 0 and entry[e] >= t:
            now[entry_group[e]] -= 1.0
            e -= 1
        if any_death:
            at_risk[row] = now
    return row


@njit(cache=True, nogil=True)
def _count_event_times(time, event, starts):
    """Number of distinct event times, summed over strata."""
    rows = 0
    for stratum in range(starts.shape[0] - 1):
        last = np.nan
        for i in range(starts[stratum], starts[stratum + 1]):
            if event[i] == 1 and time[i] != last:
                last = time[i]
                rows += 1
    return rows
