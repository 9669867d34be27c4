"""Batches: how much of the main variation is theirs, and their location and scale, shrunken across markers.

References
----------
Johnson WE, Li C, Rabinovic A. Adjusting batch effects in microarray expression data using empirical Bayes methods.
Biostatistics 2007;8:118-127 (sections 3.1-3.2; parametric prior, without covariates).
Leek JT, et al. Tackling the widespread and critical impact of batch effects in high-throughput data. Nat Rev Genet
2010;11:733-739 (association of principal components with batch).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from trialstrat.errors import InvalidInputError

_TOLERANCE, _STEPS = 1e-8, 500
#: Share of a variance that is rounding and nothing else.
_NOTHING = 1e-12


@dataclass(frozen=True, slots=True, kw_only=True)
class ComponentAssociation:
    """One principal component: its share of the variance, the share of it that batches explain, and the F test.

    Null hypothesis of ``p``: the component has the same mean in every batch. nan where it cannot be tested.
    """

    component: int
    variance: float
    explained: float
    p: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LocationScale:
    """``multiply`` and ``add`` (batches, markers): a value x of a batch becomes ``x * multiply + add``."""

    batches: tuple[str, ...]
    multiply: NDArray[np.float64]
    add: NDArray[np.float64]

    def apply(self, values: NDArray[np.float64], batch: NDArray[np.object_]) -> NDArray[np.float64]:
        """(n, p) corrected values; those of a batch that was not learned stay as they are."""
        place = {name: at for at, name in enumerate(self.batches)}
        at = np.array([place.get(str(label), -1) for label in batch], dtype=np.int64)
        multiply = np.vstack([self.multiply, np.ones((1, values.shape[1]))])
        add = np.vstack([self.add, np.zeros((1, values.shape[1]))])
        return values * multiply[at] + add[at]


def component_association(
    values: NDArray[np.float64], batch: NDArray[np.object_], components: int = 5
) -> tuple[ComponentAssociation, ...]:
    """Association of the first principal components of standardised markers with batch.

    Parameters
    ----------
    values : (n, p)
        Markers; missing values count as the marker's mean. Constant markers are left out.
    batch : (n,)
        Labels.
    components : int
        How many components at most.

    Raises
    ------
    InvalidInputError
        When the two differ in length.
    """
    if len(values) != len(batch):
        raise InvalidInputError(f"{len(values)} rows of markers, {len(batch)} batch labels")
    scaled = _standardised(values)
    if not scaled.size or len(scaled) < 3:
        return ()
    # the n x n products have the components of a matrix with far more markers than patients
    variances, vectors = np.linalg.eigh(scaled @ scaled.T)
    order = np.argsort(variances)[::-1][:components]
    total = float(variances[variances > 0].sum())
    out = []
    for number, at in enumerate(order, start=1):
        if variances[at] <= _NOTHING * total:
            break
        explained, p = _one_way(vectors[:, at], batch)
        out.append(
            ComponentAssociation(component=number, variance=float(variances[at] / total), explained=explained, p=p)
        )
    return tuple(out)


def fit_location_scale(values: NDArray[np.float64], batch: NDArray[np.object_]) -> LocationScale:
    """Location and scale of each batch by empirical Bayes across markers (ComBat without covariates).

    Missing values are left out. A batch of one patient gets its location and the scale 1; with a single batch, or a
    marker that is constant, nothing changes.
    """
    names = tuple(sorted({str(label) for label in batch}))
    rows = [np.array([str(label) == name for label in batch], dtype=bool) for name in names]
    p = values.shape[1]
    multiply, add = np.ones((len(names), p)), np.zeros((len(names), p))
    if len(names) < 2 or not p:
        return LocationScale(batches=names, multiply=multiply, add=add)
    means = np.array([_mean(values[mask]) for mask in rows])
    sizes = np.array([(~np.isnan(values[mask])).sum(axis=0) for mask in rows])
    grand = np.nansum(sizes * means, axis=0) / np.maximum(sizes.sum(axis=0), 1)
    residual = np.empty_like(values)
    for mask, mean in zip(rows, means, strict=True):
        residual[mask] = values[mask] - mean
    spread = np.sqrt(np.nansum(residual**2, axis=0) / np.maximum(sizes.sum(axis=0), 1))
    usable = (spread > 0) & np.isfinite(grand)
    for at, mask in enumerate(rows):
        good = usable & (sizes[at] > 0)
        if good.sum() < 2:
            continue
        z = (values[mask][:, good] - grand[good]) / spread[good]
        gamma, delta = _shrunken(z)
        root = np.sqrt(delta)
        multiply[at, good] = 1 / root
        add[at, good] = grand[good] - (grand[good] + spread[good] * gamma) / root
    return LocationScale(batches=names, multiply=multiply, add=add)


def _shrunken(z: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Posterior location and variance of one batch's standardised markers (equations 3.1 and the iteration after)."""
    known = ~np.isnan(z)
    size = known.sum(axis=0).astype(np.float64)
    location = _mean(z)
    middle, tau2 = float(location.mean()), float(location.var(ddof=1))
    variance = np.nansum((z - location) ** 2, axis=0) / np.maximum(size - 1, 1)
    wide = size > 1
    if wide.sum() < 2 or not variance[wide].var(ddof=1) > 0 or not tau2 > 0:
        return location, np.ones_like(location)
    mean, spread = float(variance[wide].mean()), float(variance[wide].var(ddof=1))
    shape, rate = (2 * spread + mean**2) / spread, (mean * spread + mean**3) / spread
    gamma, delta = location.copy(), np.where(wide & (variance > 0), variance, 1.0)
    for _ in range(_STEPS):
        new_gamma = (size * tau2 * location + delta * middle) / (size * tau2 + delta)
        squares = np.nansum((z - new_gamma) ** 2, axis=0)
        new_delta = (rate + squares / 2) / (size / 2 + shape - 1)
        change = max(
            float(np.abs((new_gamma - gamma) / np.where(gamma == 0, 1.0, gamma)).max()),
            float(np.abs((new_delta - delta) / delta).max()),
        )
        gamma, delta = new_gamma, new_delta
        if change < _TOLERANCE:
            break
    return gamma, np.where(wide, delta, 1.0)


def _standardised(values: NDArray[np.float64]) -> NDArray[np.float64]:
    mean = _mean(values)
    filled = np.where(np.isnan(values), mean, values)
    spread = filled.std(axis=0)
    good = np.isfinite(spread) & (spread > 0)
    return (filled[:, good] - mean[good]) / spread[good]


def _mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Means of the known values by column, nan where there are none."""
    count = (~np.isnan(values)).sum(axis=0)
    return np.where(count > 0, np.nansum(values, axis=0) / np.maximum(count, 1), np.nan)


def _one_way(values: NDArray[np.float64], batch: NDArray[np.object_]) -> tuple[float, float]:
    """Share of the variance between batches, and the p of the F test of no difference.

    The p is nan where nothing varies within batches, or nothing is left to estimate it from: there is no F then.
    """
    labels = np.array([str(label) for label in batch])
    groups = [values[labels == name] for name in sorted(set(labels))]
    between = sum(len(group) * (group.mean() - values.mean()) ** 2 for group in groups)
    total = float(((values - values.mean()) ** 2).sum())
    inner = len(values) - len(groups)
    if len(groups) < 2 or inner < 1 or not total > 0:
        return float("nan"), float("nan")
    share = min(float(between / total), 1.0)
    # what rounding leaves within batches is no variance
    if share >= 1 - _NOTHING:
        return share, float("nan")
    f = (share / (len(groups) - 1)) / ((1 - share) / inner)
    return share, float(stats.f.sf(f, len(groups) - 1, inner))
