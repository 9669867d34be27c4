"""Shrinkage of a subgroup's difference of effects towards none, by how much effects differ over all declared splits."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

#: Scale of the half-normal prior of the typical size of differences, on the log hazard ratio scale.
PRIOR_SCALE = 0.5
_GLOBAL = np.linspace(0.01, 1.5, 75)
#: Local standard deviations, evenly spaced in the angle of a half-Cauchy distribution.
_LOCAL = np.tan(np.linspace(0.0, np.pi / 2, 202)[1:-1])


@dataclass(frozen=True, slots=True, kw_only=True)
class Shrinkage:
    """Share of the naive difference that is kept, and the posterior variance as a share of the naive one.

    ``scale`` is how much effects differ between the two sides of a split, typically.
    """

    share: float
    variance_share: float
    scale: float


def shrinkage(
    difference: Floats, variance: Floats, clusters: NDArray[np.int64], own: float, own_variance: float
) -> Shrinkage:
    """How far the difference ``own`` is shrunken, learned from the differences of many splits.

    Horseshoe: a difference is N(0, tau_s^2), its tau_s half-Cauchy with a scale that all splits share, so that most
    are shrunken hard and a large one little. The scale is estimated as if all splits had that one standard deviation;
    splits of one marker count as one observation together (the likelihood is divided by their number).

    Parameters
    ----------
    difference, variance : (s,)
        Estimated difference of effects between the two sides of each split, and its variance.
    clusters : (s,)
        Marker of each split.
    own, own_variance : float
        The difference that is to be shrunken, and its variance.

    References
    ----------
    Carvalho, Polson & Scott (2010), Biometrika 97:465 (horseshoe). Wolbers et al. (2025), Stat Med (shrinkage of
    treatment effects in subgroups). Jones et al. (2011), Clinical Trials 8:129.
    """
    used = np.isfinite(difference) & (variance > 0)
    d, v, c = difference[used], variance[used], clusters[used]
    log_posterior = -0.5 * (_GLOBAL / PRIOR_SCALE) ** 2
    if d.size:
        weight = 1.0 / np.bincount(c)[c]
        total = v[None, :] + _GLOBAL[:, None] ** 2
        log_posterior = log_posterior - 0.5 * (weight * (np.log(total) + d**2 / total)).sum(axis=1)
    scale = float(np.average(_GLOBAL, weights=np.exp(log_posterior - log_posterior.max())))
    spread = (scale * _LOCAL) ** 2
    total = spread + own_variance
    log_mass = -0.5 * (np.log(total) + own**2 / total)
    mass = np.exp(log_mass - log_mass.max())
    mass /= mass.sum()
    kept = spread / total
    share = float(mass @ kept)
    # law of total variance: within a local scale, and between them
    between = float(mass @ (kept - share) ** 2) * own**2 / own_variance
    return Shrinkage(share=share, variance_share=share + between, scale=scale)


def shrink(value: float, variance: float, by: Shrinkage) -> tuple[float, float]:
    """Posterior mean and variance of a difference."""
    return by.share * value, by.variance_share * variance
