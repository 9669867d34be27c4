"""Effects of the levels of factors, drawn towards their mean by as much as chance alone would spread them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from trialstrat.errors import InvalidInputError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

#: Scale of the half-normal prior of the standard deviation between subgroups, on the log hazard ratio scale: about
#: log(0.7), an effect most trials are planned for.
PRIOR_SCALE = 0.35
_GRID = 201


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Shrunken:
    """Posterior mean and equal-tailed limits (k,) of every effect, and the posterior mean of their spread."""

    value: Floats
    lower: Floats
    upper: Floats
    spread: float


def shrink_levels(
    value: Floats, std_error: Floats, factor: Ints, *, scale: float = PRIOR_SCALE, level: float = 0.95
) -> Shrunken:
    """Shrink subgroup effects towards the mean of their factor, with one spread for all factors.

    Within a factor the subgroups are disjoint and their estimates independent: y ~ N(theta, s^2), theta ~ N(m, t^2)
    with m flat and t half-normal with the given ``scale``; t is integrated out over all factors together (as if they
    were independent of each other: the same patients are in all of them, so that t is known less well than assumed).

    Parameters
    ----------
    value, std_error : arrays of shape (k,)
        Estimates and their standard errors, on the scale on which they are normal.
    factor : array of shape (k,)
        Which factor an estimate belongs to.

    Raises
    ------
    InvalidInputError
        A standard error that is not positive, or unequal lengths.

    References
    ----------
    Dixon DO, Simon R (1991). Biometrics 47, 871-881. Thomas M, Bornkamp B (2017). Statistics in Biopharmaceutical
    Research 9, 160-171. Wolbers M et al. (2025). Pharmaceutical Statistics 24, e2451.
    """
    if not (value.shape == std_error.shape == factor.shape):
        raise InvalidInputError(f"{value.size} effects, {std_error.size} errors, {factor.size} factors: must be equal")
    if not (np.isfinite(value).all() and (std_error > 0).all()):
        raise InvalidInputError("effects must be finite and their standard errors positive")
    spread = np.linspace(0.0, 4.0 * scale, _GRID)
    log_weight = -0.5 * (spread / scale) ** 2
    mean, deviation = np.empty((_GRID, value.size)), np.empty((_GRID, value.size))
    for code in np.unique(factor):
        own = factor == code
        y, s2 = value[own], std_error[own] ** 2
        total = s2 + spread[:, None] ** 2
        precision = (1 / total).sum(axis=1)
        centre = (y / total).sum(axis=1) / precision
        log_weight -= 0.5 * (np.log(total).sum(axis=1) + np.log(precision))
        log_weight -= 0.5 * ((y - centre[:, None]) ** 2 / total).sum(axis=1)
        kept = spread[:, None] ** 2 / total
        mean[:, own] = kept * y + (1 - kept) * centre[:, None]
        deviation[:, own] = np.sqrt(kept * s2 + (1 - kept) ** 2 / precision[:, None])
    weight = np.exp(log_weight - log_weight.max())
    weight /= weight.sum()
    tail = (1 - level) / 2
    return Shrunken(
        value=weight @ mean,
        lower=_quantile(tail, weight, mean, deviation),
        upper=_quantile(1 - tail, weight, mean, deviation),
        spread=float(weight @ spread),
    )


def _quantile(share: float, weight: Floats, mean: Floats, deviation: Floats) -> Floats:
    """Quantiles of mixtures of normals by bisection."""
    low = (mean - 8 * deviation).min(axis=0)
    high = (mean + 8 * deviation).max(axis=0)
    for _ in range(60):
        middle = (low + high) / 2
        below = weight @ ndtr((middle - mean) / deviation) < share
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return (low + high) / 2
