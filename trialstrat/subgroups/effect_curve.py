"""Treatment effect along a continuous marker: a spline with a simultaneous band, on the relative and absolute scale."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtrc, ndtri

from trialstrat.cohort.shown import ShownOutcome
from trialstrat.results import NAN
from trialstrat.stats.clustered import cluster_sums
from trialstrat.stats.cox import cox
from trialstrat.stats.spline import restricted_cubic_spline, spline_knots
from trialstrat.subgroups.candidates import wants_log
from trialstrat.subgroups.interactions import absolute_outcome

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]

KNOTS = 4
GRID = 41
#: The curve is drawn between these quantiles of the marker: beyond them single patients decide.
INNER = (0.025, 0.975)
#: Fewest events per parameter of the model with the spline; below it a straight line is used, then none.
EVENTS_PER_PARAMETER = 5
#: Draws from the estimates' normal distribution for the band.
DRAWS = 5000


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Axis:
    """How a marker is modelled: on ``log(1 + x)`` or as it is, with these knots (none: a straight line)."""

    log: bool
    knots: Floats

    def basis(self, x: Floats) -> Floats:
        """Spline columns (n, k)."""
        return restricted_cubic_spline(np.log1p(x) if self.log else x, self.knots)

    def grid(self, x: Floats) -> Floats:
        """Points of the curve, evenly spaced on the scale of the model."""
        inner = np.quantile(np.log1p(x) if self.log else x, INNER)
        points = np.linspace(inner[0], inner[1], GRID)
        return np.expm1(points) if self.log else points


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EffectCurve:
    """Effect at every ``x``, on the log scale for ratios (``ratio``), with pointwise and simultaneous limits.

    ``p`` is that of the Wald test of the interaction (``df`` columns); null hypothesis: on this scale the effect of
    treatment is the same at every value of the marker. Without a curve ``reason`` says why.
    """

    ratio: bool
    x: Floats
    effect: Floats
    std_error: Floats
    lower: Floats
    upper: Floats
    band_lower: Floats
    band_upper: Floats
    p: float
    df: int
    n: int
    events: int
    reason: str = ""

    @property
    def ok(self) -> bool:
        """Whether there is a curve."""
        return not self.reason


def choose_axis(x: Floats, events: int, *, parameters_per_column: int = 2) -> tuple[Axis | None, str]:
    """The axis that a marker's values (known ones) and the events allow, or the reason why there is none."""
    if np.unique(x).size < 3:
        return None, "the marker has fewer than three values"
    log = wants_log(x)
    knots = spline_knots(np.log1p(x) if log else x, KNOTS)
    for places in (knots, np.empty(0)):
        columns = max(1, places.size - 1)
        needed = EVENTS_PER_PARAMETER * (1 + parameters_per_column * columns)
        if events >= needed:
            return Axis(log=log, knots=places), ""
    return None, f"at least {EVENTS_PER_PARAMETER * (1 + parameters_per_column)} events are needed"


def relative_curve(
    outcome: ShownOutcome,
    rows: Mask,
    treated: Ints,
    x: Floats,
    axis: Axis,
    *,
    strata: NDArray[np.object_] | None,
    weights: Floats | None,
    level: float,
    rng: np.random.Generator,
) -> EffectCurve:
    """Log hazard ratio of treatment along the marker, from a Cox model with treatment, spline and their products.

    Parameters
    ----------
    rows : (n,)
        Patients of the comparison with a known marker; ``treated`` (n,), ``x`` (n,), ``strata`` and ``weights`` are of
        the whole cohort.

    References
    ----------
    Royston P, Sauerbrei W (2004). Stat Med 23, 2509-2525 (interaction with a smooth function). Hothorn T, Bretz F,
    Westfall P (2008). Biometrical Journal 50, 346-363 (simultaneous limits of linear functions).
    """
    if outcome.time is None:
        return no_curve(ratio=True, reason="a hazard ratio needs an endpoint that is a time")
    arm, basis = treated[rows].astype(np.float64), axis.basis(x[rows])
    design = np.column_stack([arm, arm[:, None] * basis, basis])
    fit = cox(
        outcome.time[rows],
        outcome.of_interest[rows],
        design,
        entry=None if outcome.entry is None else outcome.entry[rows],
        strata=None if strata is None else strata[rows],
        weights=None if weights is None else weights[rows],
        cluster=_cluster(outcome, rows, weights),
    )
    count = 1 + basis.shape[1]
    if not fit.estimable[:count].all():
        return no_curve(ratio=True, reason=fit.reason or "the model has no finite estimate")
    own = slice(0, count)
    grid = axis.grid(x[rows])
    counts = (int(rows.sum()), int(outcome.of_interest[rows].sum()))
    return _curve(True, grid, axis, fit.coef[own], fit.covariance[own, own], counts, level, rng)


def _cluster(outcome: ShownOutcome, rows: Mask, weights: Floats | None) -> Ints | None:
    """What the sandwich is summed over: declared clusters, single rows with weights, None without either."""
    if outcome.cluster is not None:
        return outcome.cluster[rows]
    return None if weights is None else np.arange(rows.sum())


def absolute_curve(
    outcome: ShownOutcome,
    rows: Mask,
    treated: Ints,
    x: Floats,
    axis: Axis,
    *,
    weights: Floats | None,
    level: float,
    rng: np.random.Generator,
) -> EffectCurve:
    """Difference of the restricted mean (risk, mean) along the marker: the spline regressed within each arm."""
    arm = treated[rows]
    value, reason = absolute_outcome(outcome, arm, rows)
    if reason:
        return no_curve(ratio=False, reason=reason)
    basis = np.column_stack([np.ones(len(arm)), axis.basis(x[rows])])
    mass = np.ones(len(arm)) if weights is None else weights[rows]
    influence = np.zeros_like(basis)
    parts = []
    for code, side in ((0, -1.0), (1, 1.0)):
        own = arm == code
        slope, contributions = _least_squares(basis[own], value[own], mass[own])
        parts.append(slope)
        influence[own] = side * contributions
    if any(not np.isfinite(part).all() for part in parts):
        return no_curve(ratio=False, reason="an arm has too few different values of the marker")
    total = cluster_sums(influence, None if outcome.cluster is None else outcome.cluster[rows])
    coef, covariance = parts[1] - parts[0], total.T @ total
    counts = (len(arm), int(outcome.of_interest[rows].sum()))
    return _curve(False, axis.grid(x[rows]), axis, coef, covariance, counts, level, rng)


def _least_squares(design: Floats, value: Floats, mass: Floats) -> tuple[Floats, Floats]:
    """Weighted least squares: coefficients (q,), and the rows' contributions (n, q) to their sandwich (HC3)."""
    size = design.shape[1]
    scale = np.abs(design).max(axis=0)
    scaled = design / np.where(scale > 0, scale, 1.0)
    root = np.sqrt(mass)[:, None] * scaled
    if np.linalg.matrix_rank(root) < size or len(value) <= size:
        return np.full(size, NAN), np.full(design.shape, NAN)
    bread = np.linalg.inv(root.T @ root)
    coef = bread @ (root.T @ (np.sqrt(mass) * value))
    leverage = np.minimum(np.einsum("ij,jk,ik->i", root, bread, root), 1 - 1e-6)
    residual = mass * (value - scaled @ coef) / (1 - leverage)
    half = (scaled * residual[:, None]) @ bread
    back = np.where(scale > 0, scale, 1.0)
    return coef / back, half / back


def _curve(
    ratio: bool,
    grid: Floats,
    axis: Axis,
    coef: Floats,
    covariance: Floats,
    counts: tuple[int, int],
    level: float,
    rng: np.random.Generator,
) -> EffectCurve:
    """The linear functions of the coefficients at the grid, their limits, and the test that only the first counts."""
    at = np.column_stack([np.ones(len(grid)), axis.basis(grid)])
    effect = at @ coef
    error = np.sqrt(np.einsum("ij,jk,ik->i", at, covariance, at))
    half = float(ndtri(0.5 + level / 2))
    critical = max(half, _critical(at / error[:, None], covariance, level, rng))
    slopes = coef[1:]
    statistic = float(slopes @ np.linalg.solve(covariance[1:, 1:], slopes))
    return EffectCurve(
        ratio=ratio,
        x=grid,
        effect=effect,
        std_error=error,
        lower=effect - half * error,
        upper=effect + half * error,
        band_lower=effect - critical * error,
        band_upper=effect + critical * error,
        p=float(chdtrc(slopes.size, statistic)),
        df=slopes.size,
        n=counts[0],
        events=counts[1],
    )


def _critical(at: Floats, covariance: Floats, level: float, rng: np.random.Generator) -> float:
    """Quantile of the largest standardised deviation along the curve, by simulation from its normal distribution."""
    values, vectors = np.linalg.eigh(covariance)
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    draws = rng.standard_normal((DRAWS, len(values)))
    return float(np.quantile(np.abs(draws @ (at @ root).T).max(axis=1), level))


def no_curve(*, ratio: bool, reason: str) -> EffectCurve:
    """The curve that cannot be estimated."""
    none = np.empty(0)
    return EffectCurve(
        ratio=ratio, x=none, effect=none, std_error=none, lower=none, upper=none, band_lower=none, band_upper=none,
        p=NAN, df=0, n=0, events=0, reason=reason,
    )  # fmt: skip
