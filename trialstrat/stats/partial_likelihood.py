"""Cox's partial likelihood, its derivatives, and its maximum by Newton's method."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trialstrat.stats.kernels.linear import row_products, solve_positive, weighted_cross, weighted_total
from trialstrat.stats.risk_sets import RiskSets

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

#: A pivot of the information below this share of the largest diagonal entry marks a collinear column (2^-39).
COLLINEAR = 2.0**-39
#: Gain still expected, relative to the log-likelihood, below which a maximum that keeps moving away is infinite.
GAIN = 1e-13
MAX_ITERATIONS = 80
SHORTEST_STEP = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sweep:
    """One pass over the risk sets at a linear predictor; arrays in sorted order.

    ``eta`` (n,) is shifted so that its largest value is 0 (the partial likelihood does not mind); ``risk`` is
    ``exp(eta)``; ``denominator`` (s,), ``mean`` (s, p) and ``increment`` (s,) are the risk-set sum, the covariate mean
    and the hazard increment of every step; ``hazard`` (n,) is the sum of increments each row lives through.
    """

    eta: Floats
    shift: float
    risk: Floats
    denominator: Floats
    mean: Floats
    increment: Floats
    hazard: Floats

    def loglik(self, sets: RiskSets) -> float:
        """Log partial likelihood."""
        deaths = sets.dies
        with np.errstate(divide="ignore", invalid="ignore"):
            return float(sets.weight[deaths] @ self.eta[deaths] - sets.mass @ np.log(self.denominator))


def sweep(sets: RiskSets, x: Floats, eta: Floats) -> Sweep:
    """Evaluate the risk sets for covariates ``x`` (n, p) and linear predictor ``eta`` (n,), both sorted."""
    shift = float(eta[sets.weight > 0].max())
    shifted = eta - shift
    with np.errstate(over="ignore", under="ignore", divide="ignore", invalid="ignore"):
        risk = np.exp(shifted)
        denominator, mean = sets.means(x, sets.weight * risk)
        increment = sets.mass / denominator
        hazard = sets.exposure(increment)
    return Sweep(
        eta=shifted, shift=shift, risk=risk, denominator=denominator, mean=mean, increment=increment, hazard=hazard
    )


def score(sets: RiskSets, x: Floats, at: Sweep) -> Floats:
    """First derivative (p,) of the log partial likelihood."""
    return weighted_total(x, sets.weight * (sets.dies - at.risk * at.hazard))


def score_residuals(sets: RiskSets, x: Floats, at: Sweep) -> Floats:
    """Contribution of every row to the score (n, p; sorted, not multiplied by the weights).

    With Efron's ties the residual is the average over the steps of the tied time.
    """
    steps = np.diff(sets.step)[:, None]
    mean_at_death = np.add.reduceat(at.mean, sets.step[:-1], axis=0) / steps
    own = np.where(sets.dies, sets.end - 1, 0)
    seen = x * at.hazard[:, None] - sets.exposure(at.increment[:, None] * at.mean)
    return sets.dies[:, None] * (x - mean_at_death[own]) - at.risk[:, None] * seen


def information(sets: RiskSets, x: Floats, at: Sweep) -> Floats:
    """Minus the second derivative (p, p): the sum over steps of the covariance of the covariates in the risk set."""
    return weighted_cross(x, sets.weight * at.risk * at.hazard) - weighted_cross(at.mean, sets.mass)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Maximum:
    """Where Newton's method ended, on the scale of the covariates it was given.

    ``monotone`` (p,) marks coefficients that grow without bound while the likelihood rises to its limit ``loglik``.
    """

    coef: Floats
    loglik: float
    loglik_null: float
    score_null: Floats
    information_null: Floats
    information: Floats
    sweep: Sweep
    iterations: int
    converged: bool
    monotone: NDArray[np.bool_]


def independent_columns(information_null: Floats, mass: float, tolerance: float = COLLINEAR) -> NDArray[np.bool_]:
    """Columns (of unit variance) that are not a combination of the columns before them; ``mass`` is that of all deaths.

    A Cholesky factorisation in the order of the columns: a column that adds no information to those before it, or that
    does not vary within any risk set, has a pivot of 0.
    """
    p = information_null.shape[0]
    keep = np.zeros(p, dtype=bool)
    rest = information_null.copy()
    limit = tolerance * max(float(rest.diagonal().max(initial=0.0)), mass)
    for j in range(p):
        pivot = rest[j, j]
        if not pivot > limit:
            continue
        keep[j] = True
        rest -= np.outer(rest[:, j], rest[j]) / pivot
    return keep


def maximise(sets: RiskSets, x: Floats, offset: Floats) -> Maximum:
    """Maximise the partial likelihood over columns ``x`` (n, p; sorted rows, scaled, not collinear) from 0.

    Newton's method with step-halving, to full convergence: until the step is negligible, not until the likelihood
    stops changing. A likelihood that has stopped changing while the steps stay long has its maximum at infinity.
    """
    p = x.shape[1]
    coef = np.zeros(p)
    at = sweep(sets, x, offset)
    value = null = at.loglik(sets)
    gradient, curvature = score(sets, x, at), information(sets, x, at)
    score_null, information_null = gradient, curvature
    spread = np.ptp(x[sets.weight > 0], axis=0) if p else np.zeros(0)
    monotone = np.zeros(p, dtype=bool)
    converged, iterations = p == 0, 0
    while not converged and iterations < MAX_ITERATIONS:
        iterations += 1
        step = _solve(curvature, gradient)
        if step is None:
            break
        gain, tiny = float(gradient @ step), GAIN * (100.0 + abs(value))
        converged = bool(np.max(np.abs(step) / (1.0 + np.abs(coef))) < 1e-9)
        if not converged and gain < tiny and _keeps_rising(sets, row_products(x, step)):
            monotone = np.abs(step) * spread > 1e-3
            break
        trial, height, scale = _raise(sets, x, offset, coef, step, value)
        if not np.isfinite(height):
            converged = False
            break
        stuck = scale <= SHORTEST_STEP
        coef, at, value = coef + scale * step, trial, height
        gradient, curvature = score(sets, x, at), information(sets, x, at)
        # rounding noise of an ill-conditioned problem: the steps no longer shrink, the error is far below the SE
        converged = converged or (gain < 1e-18 * (1.0 + abs(value))) or (stuck and gain < tiny)
        if stuck and not converged:
            break
    return Maximum(
        coef=coef, loglik=value, loglik_null=null, score_null=score_null, information_null=information_null,
        information=curvature, sweep=at, iterations=iterations, converged=converged or bool(monotone.any()),
        monotone=monotone,
    )  # fmt: skip


def _raise(
    sets: RiskSets, x: Floats, offset: Floats, coef: Floats, step: Floats, value: float
) -> tuple[Sweep, float, float]:
    """Halve the step until the log-likelihood is not below ``value``: the sweep there, its height, the part taken."""
    scale = 1.0
    while True:
        trial = sweep(sets, x, offset + row_products(x, coef + scale * step))
        height = trial.loglik(sets)
        if height >= value - 1e-13 * (1.0 + abs(value)) or scale <= SHORTEST_STEP:
            return trial, height, scale
        scale /= 2.0


def _solve(curvature: Floats, gradient: Floats) -> Floats | None:
    """Newton step, or None when the information is no longer positive definite."""
    out = np.empty((gradient.shape[0], 1))
    return out[:, 0] if solve_positive(curvature, gradient[:, None], out) else None


def _keeps_rising(sets: RiskSets, direction: Floats) -> bool:
    """Whether every death has the largest value of ``direction`` (n,) in its risk set, up to a thousandth of its range.

    Along such a direction the partial likelihood never falls, whatever the distance (Bryson & Johnson 1981).
    """
    spread = float(np.ptp(direction[sets.weight > 0]))
    if not spread > 0.05:
        return False
    value = np.where(sets.weight > 0, direction, -np.inf)
    lowest_death = np.minimum.reduceat(np.where(sets.dies, value, np.inf), sets.first)
    if sets.by_entry.size == 0:
        groups = np.arange(sets.first.shape[0])
        highest = np.array([value[sets.first[g] : sets.last[g]].max() for g in groups])
    else:
        highest = np.array(
            [value[(sets.begin <= g) & (sets.end > g)].max(initial=-np.inf) for g in range(sets.first.shape[0])]
        )
    return bool(np.all(lowest_death >= highest - 1e-3 * spread))


def inverse(matrix: Floats) -> Floats:
    """Inverse of a positive definite matrix; nan when it is not."""
    out = np.empty_like(matrix)
    if not solve_positive(matrix, np.eye(matrix.shape[0]), out):
        return np.full_like(matrix, np.nan)
    return (out + out.T) / 2.0
