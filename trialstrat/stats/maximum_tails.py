"""P values of maximally selected rank statistics: approximations, the exact Gaussian limit, and permutations."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from trialstrat.stats.kernels.maxstat import gauss_exit_probability, sum_distribution

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

#: Values closer than this share of the bound are equal to it.
_EQUAL = 1e-9
_PANEL_NODES = 14


def lau92(bound: Floats, min_prop: float, max_prop: float) -> Floats:
    """Approximation for a marker without ties and many rows, of the shape of ``bound``.

    References
    ----------
    Lausen & Schumacher (1992), Biometrics 48:73, after Miller & Siegmund (1982), Biometrics 38:1011.
    """
    b = np.maximum(bound, 1.0)
    density = np.exp(-0.5 * b**2) / math.sqrt(2.0 * math.pi)
    width = math.log(max_prop * (1.0 - min_prop) / ((1.0 - max_prop) * min_prop))
    p = density * (4.0 / b + (b - 1.0 / b) * width)
    return np.where(np.asarray(bound) < 1.0, 1.0, np.clip(p, 0.0, 1.0))


def lau94(bound: Floats, first_power: Floats, third_power: Floats) -> Floats:
    """Improved Bonferroni bound from neighbouring cuts, of the shape of ``bound``.

    ``first_power`` and ``third_power`` are the sums of t and t^3 over neighbouring cuts, t = sqrt(1 - correlation^2).

    References
    ----------
    Lausen, Sauerbrei & Schumacher (1994), in Computational Statistics, after Worsley (1983).
    """
    b = np.asarray(bound, dtype=np.float64)
    neighbours = first_power - (b**2 / 4.0 - 1.0) * third_power / 6.0
    return np.clip(2.0 * ndtr(-b) + np.exp(-0.5 * b**2) / math.pi * neighbours, 0.0, 1.0)


def exact_gauss(bound: float, sizes: Integers, n: int) -> float:
    """P(max |Z_m| > bound) over the admissible cuts ``sizes``, for the Gaussian limit of the statistics.

    The Z_m form a Markov chain, so that the probability is a sequence of one-dimensional integrals; absolute and
    relative error are below 1e-9.

    References
    ----------
    Genz & Bretz (2009), Computation of Multivariate Normal and t Probabilities (the probability).
    """
    if not bound > 0.0:
        return 1.0
    low, high = sizes[:-1].astype(np.float64), sizes[1:].astype(np.float64)
    correlation = np.sqrt(low * (n - high) / ((n - low) * high))
    narrowest = float(np.sqrt(1.0 - correlation**2).min(initial=0.5))
    panels = max(2, math.ceil(2.0 * bound / min(4.0 * narrowest, 1.0)))
    points, weights = np.polynomial.legendre.leggauss(_PANEL_NODES)
    half = bound / panels
    centres = -bound + half * (2.0 * np.arange(panels) + 1.0)
    nodes = (centres[:, None] + half * points).ravel()
    masses = np.tile(half * weights, panels)
    return min(1.0, float(gauss_exit_probability(bound, correlation, nodes, masses)))


def hothorn_lausen(bound: float, scores: Integers, sizes: Integers) -> float:
    """Upper bound on the p value from the exact permutation distribution of the sums of integer scores.

    The sum over cuts of the probability to exceed, less the part that is certain to have exceeded one row before.

    Parameters
    ----------
    bound : float
        Observed maximum of the statistics of these scores.
    scores : array of shape (n,)
        Non-negative integers.
    sizes : array of shape (k,)
        Admissible numbers of rows at or below the cut, increasing.

    References
    ----------
    Hothorn & Lausen (2003), Computational Statistics & Data Analysis 43:121, section 3.
    """
    n, mean = scores.size, float(scores.mean())
    chance = sum_distribution(scores, int(sizes[-1]))
    sums = np.arange(chance.shape[1], dtype=np.float64)
    limit = bound * (1.0 + _EQUAL)
    spread = float(np.sum((scores - mean) ** 2)) / (n * (n - 1.0))

    def deviation(m: int, added: float = 0.0) -> Floats:
        return (sums + added - m * mean) / math.sqrt(m * (n - m) * spread)

    p = 0.0
    for k, m in enumerate(sizes.tolist()):
        p += float(chance[m][np.abs(deviation(m)) > limit].sum())
        # only where the cut one row before is admissible is what exceeded there already counted
        if k and sizes[k - 1] == m - 1:
            before = deviation(m - 1)
            low = (before < -limit) & (deviation(m, float(scores.max())) < -limit)
            high = (before > limit) & (deviation(m, float(scores.min())) > limit)
            p -= float(chance[m - 1][low | high].sum())
    return min(1.0, max(0.0, p))


def permutation_p(
    bound: float, scores: Floats, sizes: Integers, inverse_sd: Floats, draws: int, rng: np.random.Generator
) -> float:
    """P value from permuted scores: (maxima of at least ``bound`` + 1) / (draws + 1).

    Values equal up to rounding count as reached. Counting the data as one more permutation makes the p value valid.

    References
    ----------
    Phipson & Smyth (2010), Statistical Applications in Genetics and Molecular Biology 9:39.
    """
    reached, done = 0, 0
    block = max(1, 2_000_000 // scores.size)
    while done < draws:
        rows = min(block, draws - done)
        shuffled = rng.permuted(np.broadcast_to(scores, (rows, scores.size)), axis=1)
        sums = np.abs(np.cumsum(shuffled, axis=1)[:, sizes - 1]) * inverse_sd[sizes]
        reached += int(np.count_nonzero(sums.max(axis=1) >= bound * (1.0 - _EQUAL)))
        done += rows
    return (reached + 1.0) / (draws + 1.0)
