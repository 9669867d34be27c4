"""Does the effect of treatment change with a marker? One model per marker, on both scales, and the largest of all."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, ndtr

from trialstrat.cohort.shown import ShownOutcome
from trialstrat.stats.clustered import cluster_sums
from trialstrat.stats.cox import cox
from trialstrat.stats.cox_residuals import cox_residuals
from trialstrat.stats.max_t import CLOSE
from trialstrat.stats.pseudo_values import incidence_pseudo_values, rmst_pseudo_values

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Signs = NDArray[np.float32]

#: Markers whose slopes are computed at once: bounds the memory.
_COLUMNS = 1000
#: Steps of Newton's method, and the largest log odds ratio per unit that counts as finite.
_STEPS, _LARGEST = 30, 15.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Effects:
    """Effects of p markers and their standard errors (p,), nan where not estimable.

    ``maxima`` (draws,) are the largest absolute statistics of all markers in every draw from the null distribution,
    empty where none were asked for.
    """

    effect: Floats
    std_error: Floats
    maxima: Floats = field(default_factory=lambda: np.empty(0))

    @property
    def adjusted_p(self) -> Floats:
        """Single-step max-T p (p,), nan without draws; null hypothesis: none of the markers has an effect."""
        size = np.abs(self.statistic)
        if not self.maxima.size:
            return np.full(size.shape, np.nan)
        exceed = self.maxima.size - np.searchsorted(np.sort(self.maxima), size * (1 - CLOSE), side="left")
        return np.where(np.isfinite(size), (1 + exceed) / (self.maxima.size + 1), np.nan)

    @property
    def statistic(self) -> Floats:
        """Wald statistics (p,)."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return self.effect / self.std_error

    @property
    def p(self) -> Floats:
        """Two-sided p (p,); null hypothesis: the effect is 0."""
        return 2.0 * ndtr(-np.abs(self.statistic))


def absolute_outcome(outcome: ShownOutcome, arm: Ints, rows: NDArray[np.bool_]) -> tuple[Floats, str]:
    """One uncensored number per patient of ``rows`` on the absolute scale, or why there is none.

    Pseudo-values within each arm of the restricted mean time or of the cumulative incidence at the horizon; the 0/1
    outcome; the value itself. ``arm`` is that of ``rows``.
    """
    if outcome.kind == "continuous" and outcome.value is not None:
        return outcome.value[rows], ""
    if outcome.event is None:
        return np.empty(0), "the outcome has no events"
    event = outcome.event[rows]
    if outcome.kind == "binary" or outcome.time is None:
        return event.astype(np.float64), ""
    if outcome.entry is not None:
        return np.empty(0), "pseudo-values are not available with delayed entry"
    if outcome.horizon is None:
        return np.empty(0), "no horizon is declared"
    time = outcome.time[rows]
    method = incidence_pseudo_values if outcome.kind == "competing" else rmst_pseudo_values
    values = np.empty(len(arm))
    for code in (0, 1):
        own = arm == code
        if not own.any() or time[own].max() < outcome.horizon * (1 - 1e-9):
            return np.empty(0), "follow-up of an arm ends before the horizon"
        values[own] = method(time[own], event[own], outcome.horizon)
    return values, ""


def random_signs(n: int, draws: int, rng: np.random.Generator) -> Signs:
    """Multipliers (n, draws) of the contributions of n patients (clusters): +1 or -1."""
    return rng.integers(0, 2, size=(n, draws), dtype=np.int8).astype(np.float32) * 2 - 1


def linear_interactions(
    markers: NDArray[np.floating],
    value: Floats,
    arm: Ints,
    weights: Floats | None,
    signs: Signs | None = None,
    cluster: Ints | None = None,
) -> Effects:
    """Difference between the arms of the slopes of ``value`` (n,) on every marker (n, p), treated minus control.

    Treatment, marker and their product make the model saturated in the arm, so that the slopes come from two simple
    regressions; weighted ones with ``weights`` (n,). Sandwich variance (HC3). Rows with an unknown marker are left out
    of that marker's model. With ``signs`` (n, draws) the null distribution of the largest statistic is drawn by
    multiplying every patient's contributions to all effects by one random sign. With ``cluster`` (n,) contributions
    are summed within clusters first.

    References
    ----------
    MacKinnon JG, White H (1985). Journal of Econometrics 29, 305-325. Lin DY (2005). Bioinformatics 21, 781-787.
    """
    mass = np.ones(len(arm)) if weights is None else weights
    count = markers.shape[1]
    effect, error = np.empty(count), np.empty(count)
    maxima = np.zeros(0 if signs is None else signs.shape[1])
    for start in range(0, count, _COLUMNS):
        part = slice(start, start + _COLUMNS)
        influence = np.zeros((len(arm), len(effect[part])))
        effect[part] = 0.0
        for code, side in ((0, -1.0), (1, 1.0)):
            own = arm == code
            if own.any():
                slope, influence[own] = _slopes(markers[own, part], value[own], mass[own])
                effect[part] += side * slope
                if cluster is not None:  # signs matter only where rows of both arms are added up
                    influence[own] *= side
        influence = cluster_sums(influence, cluster)
        error[part] = _root(influence)
        maxima = _largest(influence, error[part], signs, maxima)
    return Effects(effect=effect, std_error=error, maxima=maxima)


def _root(influence: Floats) -> Floats:
    """Sandwich standard error: the root of the sum of squares of the patients' contributions, nan where it is 0."""
    square = (influence**2).sum(axis=0)
    return np.sqrt(np.where(square > 0, square, np.nan))


def _largest(influence: Floats, error: Floats, signs: Signs | None, so_far: Floats) -> Floats:
    """The largest absolute statistic of every draw, over these markers and those before."""
    known = np.isfinite(error)
    if signs is None or not known.any():
        return so_far
    scaled = (influence[:, known] / error[known]).astype(np.float32)
    return np.maximum(so_far, np.abs(scaled.T @ signs).max(axis=0))


def _slopes(x: NDArray[np.floating], y: Floats, mass: Floats) -> tuple[Floats, Floats]:
    """Weighted least squares slope (p,) of y on each column of x, and the patients' HC3 contributions to it (n, p)."""
    known = np.isfinite(x)
    weight = known * mass[:, None]
    total = weight.sum(axis=0)
    filled = np.where(known, x, 0.0).astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        centred = np.where(known, filled - (weight * filled).sum(axis=0) / total, 0.0)
        deviation = y[:, None] - (weight * y[:, None]).sum(axis=0) / total
        spread = (weight * centred**2).sum(axis=0)
        spread[spread <= 1e-12 * np.maximum(total, 1.0)] = np.nan
        slope = (weight * centred * deviation).sum(axis=0) / spread
        leverage = np.minimum(weight / total + weight * centred**2 / spread, 1 - 1e-6)
        residual = (deviation - slope * centred) / (1 - leverage)
        return slope, weight * centred * residual / spread


def logistic_interactions(
    markers: NDArray[np.floating], event: Ints, arm: Ints, weights: Floats | None, signs: Signs | None = None
) -> tuple[Effects, Effects]:
    """Log odds ratios per unit of every marker: difference between the arms (treated minus control), and overall.

    The interaction comes from two regressions, one in each arm; the overall one from the marker alone. Sandwich
    variance; ``signs`` as in :func:`linear_interactions`.
    """
    mass = np.ones(len(arm)) if weights is None else weights
    effect, influence = np.zeros(markers.shape[1]), np.zeros(markers.shape)
    for code, side in ((0, -1.0), (1, 1.0)):
        own = arm == code
        slope, influence[own] = _logistic(markers[own], event[own], mass[own])
        effect += side * slope
    error = _root(influence)
    maxima = _largest(influence, error, signs, np.zeros(0 if signs is None else signs.shape[1]))
    alone, contributions = _logistic(markers, event, mass)
    return (
        Effects(effect=effect, std_error=error, maxima=maxima),
        Effects(effect=alone, std_error=_root(contributions)),
    )


def _logistic(x: NDArray[np.floating], y: Ints, mass: Floats) -> tuple[Floats, Floats]:
    """Slopes (p,) by Newton's method for all columns at once, and the patients' contributions to them (n, p).

    Both are nan where there is no finite maximum.
    """
    known = np.isfinite(x)
    weight = known * mass[:, None]
    filled = np.where(known, x, 0.0).astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        centred = np.where(known, filled - (weight * filled).sum(axis=0) / weight.sum(axis=0), 0.0)
        coef = np.zeros((2, x.shape[1]))
        step, at = np.ones_like(coef), _logistic_step(coef, centred, weight, y)
        for _ in range(_STEPS):
            step = at.step
            coef = coef + np.clip(step, -2, 2)
            at = _logistic_step(coef, centred, weight, y)
            if np.nanmax(np.abs(step), initial=0.0) < 1e-9:
                break
        bad = ~np.isfinite(coef[1]) | (np.abs(coef[1]) > _LARGEST) | ~(np.abs(step).max(axis=0) < 1e-6)
    return np.where(bad, np.nan, coef[1]), np.where(bad, np.nan, at.influence)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _LogisticStep:
    """Newton's step (2, p) at given coefficients, and the patients' contributions (n, p) to the slopes there."""

    step: Floats
    influence: Floats


def _logistic_step(coef: Floats, x: Floats, weight: Floats, y: Ints) -> _LogisticStep:
    risk = expit(np.clip(coef[0] + x * coef[1], -35, 35))
    score = weight * (y[:, None] - risk)
    info = weight * risk * (1 - risk)
    a, b, c = info.sum(axis=0), (info * x).sum(axis=0), (info * x**2).sum(axis=0)
    det = a * c - b * b
    u, v = score.sum(axis=0), (score * x).sum(axis=0)
    return _LogisticStep(
        step=np.array([(c * u - b * v) / det, (a * v - b * u) / det]),
        influence=score * (a * x - b) / det,
    )


def weighted_cox_interactions(
    outcome: ShownOutcome,
    rows: NDArray[np.bool_],
    arm: Ints,
    markers: NDArray[np.floating],
    weights: Floats,
    strata: NDArray[Any] | None,
    signs: Signs | None = None,
) -> Effects:
    """Log ratios of hazard ratios from weighted Cox models, one marker at a time, with sandwich variance by cluster.

    ``arm``, ``markers``, ``weights`` and ``strata`` are those of ``rows``; ``signs`` as in
    :func:`linear_interactions`.
    """
    if outcome.time is None:
        raise ValueError("this endpoint is not a time")
    time, event = outcome.time[rows], outcome.of_interest[rows]
    entry = None if outcome.entry is None else outcome.entry[rows]
    effect, influence = np.full(markers.shape[1], np.nan), np.full(markers.shape, np.nan)
    for j in range(markers.shape[1]):
        x = markers[:, j].astype(np.float64)
        known = np.isfinite(x)
        fit = cox(
            time[known],
            event[known],
            np.column_stack([arm, x, arm * x])[known],
            weights=weights[known],
            strata=None if strata is None else strata[known],
            entry=None if entry is None else entry[known],
        )
        if fit.estimable.all():
            effect[j] = fit.coef[2]
            influence[:, j] = 0.0
            influence[known, j] = cox_residuals(fit, "dfbeta").values[:, 2]
    influence = cluster_sums(influence, None if outcome.cluster is None else outcome.cluster[rows])
    error = _root(influence)
    maxima = _largest(influence, error, signs, np.zeros(0 if signs is None else signs.shape[1]))
    return Effects(effect=effect, std_error=error, maxima=maxima)
