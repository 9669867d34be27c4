"""Scores and variances of Gray's test, one pass over the event times of every stratum."""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def gray_scores(time, kind, group, bounds, groups):
    """Sum of the scores and of their covariances over strata.

    Parameters
    ----------
    time, kind, group : arrays of shape (n,)
        Rows sorted by stratum and time; ``kind`` 1 event of the cause, 2 competing event, 0 censored; group codes.
    bounds : array of shape (s + 1,)
        First row of every stratum, and n.
    groups : int
        Number of groups.

    Returns
    -------
    (score, covariance)
        Shapes (groups,) and (groups, groups).
    """
    score = np.zeros(groups)
    covariance = np.zeros((groups, groups))
    for stratum in range(bounds.size - 1):
        lo, hi = bounds[stratum], bounds[stratum + 1]
        _one_stratum(time[lo:hi], kind[lo:hi], group[lo:hi], groups, score, covariance)
    return score, covariance


@njit(cache=True, nogil=True)
def _one_stratum(time, kind, group, groups, score, covariance):
    """Add the score and covariance of one stratum.

    ``survival`` and ``incidence`` are each group's curves just before the time, ``pooled`` the incidence under the null
    hypothesis. The score is a martingale integral; replacing the unknown incidence by its estimate makes every event
    of group k act on all scores through ``drift``, hence the sums ``second`` and ``cross`` that are closed at the end.
    """
    at_risk = np.zeros(groups)
    for i in range(time.size):
        at_risk[group[i]] += 1.0
    survival = np.ones(groups)
    incidence = np.zeros(groups)
    drift = np.zeros((groups, groups))
    cross = np.zeros((groups, groups))
    second = np.zeros(groups)
    pooled = 0.0
    first = 0
    while first < time.size:
        last = first
        counts = np.zeros((3, groups))
        while last < time.size and time[last] == time[first]:
            counts[kind[last], group[last]] += 1.0
            last += 1
        if counts[1:].sum() > 0.0:
            pooled = _one_time(counts, at_risk, survival, incidence, pooled, score, covariance, drift, cross, second)
        at_risk -= counts[0] + counts[1] + counts[2]
        first = last
    for k in range(groups):
        for i in range(groups):
            for j in range(groups):
                covariance[i, j] += (
                    drift[i, k] * drift[j, k] * second[k] + drift[i, k] * cross[j, k] + drift[j, k] * cross[i, k]
                )


@njit(cache=True, nogil=True)
def _one_time(counts, at_risk, survival, incidence, pooled, score, covariance, drift, cross, second):
    """Add one event time; updates the curves and returns the pooled incidence after it."""
    groups = at_risk.size
    events = counts[1].sum()
    # at risk for the subdistribution, as if nobody had been lost to competing events
    exposure = np.zeros(groups)
    still = np.zeros(groups)
    after = survival.copy()
    for k in range(groups):
        if at_risk[k] > 0.0:
            exposure[k] = at_risk[k] / survival[k]
            still[k] = exposure[k] * (1.0 - incidence[k])
            after[k] = survival[k] * (at_risk[k] - counts[1, k] - counts[2, k]) / at_risk[k]
            incidence[k] += survival[k] * counts[1, k] / at_risk[k]
    total = exposure.sum()
    step = events / total
    now = pooled + step
    weight = np.zeros((groups, groups))
    for i in range(groups):
        if at_risk[i] > 0.0:
            score[i] += counts[1, i] - events * still[i] / still.sum()
            for k in range(groups):
                weight[i, k] = exposure[i] * ((1.0 if i == k else 0.0) - exposure[k] / total)
                drift[i, k] += weight[i, k] * step / (1.0 - pooled)
    for k in range(groups):
        if at_risk[k] <= 0.0:
            continue
        ratio = (1.0 - now) / after[k] if after[k] > 0.0 else 0.0
        if events > 0.0:
            ties = 1.0 - (events - 1.0) / (total * survival[k] - 1.0) if events > 1.0 else 1.0
            own = 1.0 - ratio
            _spread(
                k,
                weight[:, k] - own * drift[:, k],
                own,
                ties * step * survival[k] / at_risk[k],
                covariance,
                cross,
                second,
            )
        if counts[2, k] > 0.0 and after[k] > 0.0:
            ties = 1.0 - (counts[2, k] - 1.0) / (at_risk[k] - 1.0) if counts[2, k] > 1.0 else 1.0
            jump = ties * (survival[k] / at_risk[k]) ** 2 * counts[2, k]
            _spread(k, -ratio * drift[:, k], ratio, jump, covariance, cross, second)
    for k in range(groups):
        survival[k] = after[k]
    return now


@njit(cache=True, nogil=True)
def _spread(k, effect, own, jump, covariance, cross, second):
    """Add the variance of one jump in group k, whose effect on score i so far is ``effect[i]``."""
    second[k] += own * own * jump
    for i in range(effect.size):
        cross[i, k] += effect[i] * own * jump
        for j in range(effect.size):
            covariance[i, j] += effect[i] * effect[j] * jump
