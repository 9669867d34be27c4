"""Scans of all cuts of a marker, and the distributions of their maximum."""

from __future__ import annotations

import math

import numpy as np
from numba import njit

#: Statistics that differ by rounding only are tied: the smallest cut wins.
TIED = 1.0 + 1e-12
#: Rows per tile of a transposition, so that a tile stays in the processor's first cache.
TILE = 16


@njit(cache=True, nogil=True)
def neighbour_roots(n):
    """sqrt(1 - correlation^2) between the cuts with m - 1 and m of n rows below, at index m."""
    root = np.zeros(n + 1)
    for m in range(2, n):
        root[m] = math.sqrt(n / ((n - m + 1.0) * m))
    return root


@njit(cache=True, nogil=True)
def scan_cuts(same_as_next, order, scores, inverse_sd, root, lowest, highest):
    """Largest standardised |sum of scores| over the admissible cuts of one marker.

    Parameters
    ----------
    same_as_next : array of shape (n,)
        Whether the marker of the i-th row in order equals that of the next one.
    order : array of shape (n,)
        Rows by increasing marker.
    scores : array of shape (n,)
        Scores with mean 0.
    inverse_sd : array of shape (n + 1,)
        1 / standard deviation of the sum of m scores at index m.
    root : array of shape (n + 1,)
        :func:`neighbour_roots`.
    lowest, highest : int
        Admissible numbers of rows at or below the cut.

    Returns
    -------
    tuple
        Statistic (-1 without an admissible cut), rows at or below the best cut, and for the neighbouring admissible
        cuts the sums of t and of t^3, t = sqrt(1 - correlation^2).
    """
    n = order.size
    total = 0.0
    for m in range(1, lowest):
        total += scores[order[m - 1]]
    best = -1.0
    at = 0
    previous = 0
    first_power = 0.0
    third_power = 0.0
    for m in range(lowest, min(highest, n - 1) + 1):
        total += scores[order[m - 1]]
        if same_as_next[m - 1]:
            continue
        statistic = abs(total) * inverse_sd[m]
        if statistic > best * TIED:
            best = statistic
            at = m
        if previous > 0:
            t = root[m] if previous == m - 1 else math.sqrt(n * (m - previous) / ((n - previous) * float(m)))
            first_power += t
            third_power += t * t * t
        previous = m
    return best, at, first_power, third_power


@njit(cache=True, nogil=True)
def pack_keys(markers, first, bits, keys):
    """Sortable integers for the columns of ``markers`` (n, p) from ``first`` on, one column per row of ``keys``.

    A key holds the leading bits of the marker, then the row number. The order of doubles is that of their bits once
    negative ones are mirrored. Rows go in blocks so that both sides stay in the processor's cache.
    """
    numbers = markers.view(np.uint64)
    n = markers.shape[0]
    sign = np.uint64(1) << np.uint64(63)
    low = (np.uint64(1) << np.uint64(bits)) - np.uint64(1)
    for begin in range(0, n, TILE):
        for gene in range(keys.shape[0]):
            for i in range(begin, min(begin + TILE, n)):
                value = numbers[i, first + gene]
                value *= np.uint64(value != sign)
                # without a branch: signs are random; all bits flip for a negative number, else the sign only
                mirror = (~(value >> np.uint64(63)) + np.uint64(1)) | sign
                keys[gene, i] = ((value ^ mirror) & ~low) | np.uint64(i)


@njit(cache=True, nogil=True)
def scan_markers(markers, first, keys, bits, scores, inverse_sd, root, lowest, highest, out):
    """:func:`scan_cuts` of the columns of ``markers`` from ``first`` on, from their sorted keys.

    ``out`` (columns, 5): statistic, cut, rows at or below it, sums of t and of t^3; nan without an admissible cut.
    """
    n = markers.shape[0]
    low = (np.uint64(1) << np.uint64(bits)) - np.uint64(1)
    order = np.empty(n, dtype=np.int64)
    same = np.zeros(n, dtype=np.bool_)
    for gene in range(keys.shape[0]):
        for i in range(n):
            order[i] = np.int64(keys[gene, i] & low)
        for i in range(n - 1):
            same[i] = (keys[gene, i] ^ keys[gene, i + 1]) <= low
        _settle_near_ties(markers, first + gene, order, same)
        found = scan_cuts(same, order, scores, inverse_sd, root, lowest, highest)
        if found[1] == 0:
            out[gene, :] = np.nan
        else:
            out[gene, 0] = found[0]
            out[gene, 1] = markers[order[found[1] - 1], first + gene]
            out[gene, 2] = found[1]
            out[gene, 3] = found[2]
            out[gene, 4] = found[3]


@njit(cache=True, nogil=True)
def _settle_near_ties(markers, column, order, same):
    """Put rows that share their leading bits in the order of their full values, and find the true ties among them."""
    n = order.size
    begin = 0
    while begin < n - 1:
        if not same[begin]:
            begin += 1
            continue
        end = begin + 1
        while end < n and same[end - 1]:
            end += 1
        run = order[begin:end].copy()
        values = np.empty(run.size)
        for i in range(run.size):
            values[i] = markers[run[i], column]
        if values.min() < values.max():
            inner = np.argsort(values, kind="mergesort")
            for i in range(run.size):
                order[begin + i] = run[inner[i]]
            for i in range(run.size - 1):
                same[begin + i] = values[inner[i]] == values[inner[i + 1]]
        begin = end


@njit(cache=True, nogil=True)
def gauss_exit_probability(bound, correlation, nodes, masses):
    """P(max |Z_k| > bound) of a stationary Gaussian Markov chain, by propagating its density inside the bounds.

    Parameters
    ----------
    bound : float
        Positive.
    correlation : array of shape (k - 1,)
        Correlations of neighbours.
    nodes, masses : arrays of shape (q,)
        Quadrature on [-bound, bound], symmetric about 0, nodes increasing.

    Returns
    -------
    float
        The sum over k of the probability to leave at k for the first time.
    """
    q = nodes.size
    root = math.sqrt(2.0)
    density = np.exp(-0.5 * nodes**2) / math.sqrt(2.0 * math.pi)
    following = np.empty(q)
    leaving = math.erfc(bound / root)
    for k in range(correlation.size):
        rho = correlation[k]
        sigma = math.sqrt(max(1.0 - rho * rho, 0.0))
        if sigma == 0.0:
            continue
        reach = 9.0 * sigma if sigma < 0.2 else 1e300
        for i in range(q):
            gone = math.erfc((bound - rho * nodes[i]) / (root * sigma))
            gone += math.erfc((bound + rho * nodes[i]) / (root * sigma))
            leaving += 0.5 * density[i] * masses[i] * gone
        scale = 1.0 / (sigma * math.sqrt(2.0 * math.pi))
        first = 0
        for j in range(q // 2, q):
            while first < q and rho * nodes[first] < nodes[j] - reach:
                first += 1
            total = 0.0
            i = first
            while i < q and rho * nodes[i] <= nodes[j] + reach:
                distance = (nodes[j] - rho * nodes[i]) / sigma
                total += density[i] * masses[i] * math.exp(-0.5 * distance * distance)
                i += 1
            following[j] = total * scale
            following[q - 1 - j] = total * scale
        density[:] = following
    return leaving


@njit(cache=True, nogil=True)
def sum_distribution(scores, largest):
    """Distribution of the sum of m scores drawn without replacement, for m = 0 to ``largest``.

    ``scores`` (n,) are non-negative integers. Row m of the result, shape (largest + 1, sum of scores + 1), holds the
    probabilities of the sums. Rows are taken in one by one: a sample of m of j rows holds row j with probability m / j.
    """
    total = scores.sum()
    chance = np.zeros((largest + 1, total + 1))
    chance[0, 0] = 1.0
    reached = 0
    for j in range(1, scores.size + 1):
        score = scores[j - 1]
        reached += score
        for m in range(min(j, largest), 0, -1):
            with_it = m / j
            for s in range(reached, score - 1, -1):
                chance[m, s] = (1.0 - with_it) * chance[m, s] + with_it * chance[m - 1, s - score]
            for s in range(score - 1, -1, -1):
                chance[m, s] *= 1.0 - with_it
    return chance
