"""The upper tail of the largest of several correlated standard normal variables, in absolute value.

Writing Z = L X with X standard normal of dimension r (the rank of the correlation) and X = R u with a direction u,
max |Z_j| = R h(u), h(u) = max |(L u)_j|, and R^2 is chi-square with r degrees of freedom, independent of u. Hence
P(max |Z_j| >= c) is the mean over all directions of P(R^2 >= c^2 / h(u)^2): a smooth, positive integrand on a sphere. A
singular correlation is no special case, small probabilities keep their relative precision, and nothing is random.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from scipy.special import chdtrc, gammaln, ndtr, ndtri

FloatArray = npt.NDArray[np.float64]

_NODES = 16
_CIRCLE = 512
_LOG2_LATTICE = 12


def maximum_tail(correlation: FloatArray, bound: float) -> float:
    """P(max_j |Z_j| >= bound) for standard normal Z with this correlation.

    Parameters
    ----------
    correlation : array of shape (m, m)
        Correlation matrix, possibly singular.
    bound : float
        Positive bound.

    Returns
    -------
    float
        The probability, with a relative error below 2e-6 up to rank 3, below 1e-4 for rank 4, and below 1e-2 above
        (where it is worst for the smallest probabilities).

    References
    ----------
    Genz A, Bretz F (2009). Computation of Multivariate Normal and t Probabilities, section 4.1 (spherical-radial form).
    """
    if not bound > 0.0:
        return 1.0
    values, vectors = np.linalg.eigh(correlation)
    kept = values > 1e-10 * values[-1]
    loadings = vectors[:, kept] * np.sqrt(values[kept])
    loadings /= np.linalg.norm(loadings, axis=1, keepdims=True)
    rank = loadings.shape[1]
    if rank == 1:
        return 2.0 * float(ndtr(-bound))
    loadings = loadings @ _turn(rank)
    directions, masses = _directions(rank - 1)
    total = 0.0
    # slices bound the memory: the half circles of one slice are evaluated together
    step = max(1, 200_000 // (_NODES * loadings.shape[0] ** 2))
    for first in range(0, directions.shape[0], step):
        part = slice(first, first + step)
        total += float(masses[part] @ _half_circles(loadings, directions[part], bound))
    return min(1.0, total)


def _half_circles(loadings: FloatArray, directions: FloatArray, bound: float) -> FloatArray:
    """Mean tail over the half circle through the last axis and each direction, weighted by the measure of the sphere.

    On such a circle every component is a cos t + b sin t; the integral is split where the largest one changes.
    """
    rank = loadings.shape[1]
    a = np.broadcast_to(loadings[:, -1], (directions.shape[0], loadings.shape[0]))
    b = directions @ loadings[:, :-1].T
    i, j = np.triu_indices(loadings.shape[0], k=1)
    kinks = np.concatenate(
        [np.arctan2(-(a[:, i] - s * a[:, j]), b[:, i] - s * b[:, j]) % np.pi for s in (1.0, -1.0)], axis=1
    )
    edge = np.zeros((directions.shape[0], 1))
    edges = np.sort(np.concatenate((edge, kinks, edge + np.pi), axis=1), axis=1)
    x, w = np.polynomial.legendre.leggauss(_NODES)
    half = np.diff(edges, axis=1)[:, :, None] / 2.0
    t = edges[:, :-1, None] + half * (1.0 + x)
    largest = np.zeros_like(t)
    for k in range(loadings.shape[0]):
        component = a[:, k, None, None] * np.cos(t) + b[:, k, None, None] * np.sin(t)
        np.maximum(largest, np.abs(component), out=largest)
    tail = _chi_tail(rank, bound / np.maximum(largest, 1e-150))
    mean = np.sum(tail * np.sin(t) ** (rank - 2) * half * w, axis=(1, 2))
    return mean / _sine_integral(rank - 2)


def _chi_tail(rank: int, radius: FloatArray) -> FloatArray:
    """P(R >= radius) for R^2 chi-square with ``rank`` degrees of freedom; closed forms where they are much faster."""
    if rank == 2:
        return np.exp(-0.5 * radius**2)
    if rank == 3:
        return 2.0 * ndtr(-radius) + math.sqrt(2.0 / math.pi) * radius * np.exp(-0.5 * radius**2)
    return chdtrc(rank, radius**2)


def _directions(dimension: int) -> tuple[FloatArray, FloatArray]:
    """Directions in a space of this dimension with masses that sum to 1; opposite directions count as one."""
    if dimension == 1:
        return np.ones((1, 1)), np.ones(1)
    if dimension == 2:
        angle = (np.arange(_CIRCLE) + 0.5) * np.pi / _CIRCLE
        return np.column_stack((np.cos(angle), np.sin(angle))), np.full(_CIRCLE, 1.0 / _CIRCLE)
    if dimension == 3:
        return _sphere(40, 80)
    return _lattice(dimension)


def _sphere(heights: int, angles: int) -> tuple[FloatArray, FloatArray]:
    """Product rule on the half sphere: Gauss-Legendre in the height, equal steps in the angle."""
    x, w = np.polynomial.legendre.leggauss(heights)
    angle = (np.arange(angles) + 0.5) * np.pi / angles
    height, turn = np.meshgrid(x, angle, indexing="ij")
    ring = np.sqrt(1.0 - height**2)
    points = np.stack((ring * np.cos(turn), ring * np.sin(turn), height), axis=-1).reshape(-1, 3)
    return points, np.repeat(w / 2.0 / angles, angles)


def _lattice(dimension: int) -> tuple[FloatArray, FloatArray]:
    """Unscrambled Sobol points pushed to the sphere through the normal distribution."""
    from scipy.stats.qmc import Sobol

    points = Sobol(dimension, scramble=False).random_base2(_LOG2_LATTICE)
    normal = ndtri(points + 0.5 / points.shape[0])
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    return normal, np.full(normal.shape[0], 1.0 / normal.shape[0])


def _turn(rank: int) -> FloatArray:
    """A fixed rotation: edges of the integrand that lie along the axes would slow the outer sum down."""
    row, column = np.meshgrid(np.arange(1, rank + 1), np.arange(1, rank + 1), indexing="ij")
    return np.linalg.qr(np.cos(1.0 + row * column + 0.7 * row**2))[0]


def _sine_integral(power: int) -> float:
    """Integral of sin^power over [0, pi]."""
    return math.sqrt(math.pi) * math.exp(float(gammaln((power + 1) / 2.0) - gammaln(power / 2.0 + 1.0)))
