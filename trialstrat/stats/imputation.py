"""Multiple imputation by chained equations: every gap filled several times from what is known of the patient.

The outcome takes part: without it imputed covariates look unrelated to survival and every coefficient is drawn
towards 0 (White and Royston 2009). The caller passes it among the complete predictors, for a time to event by
:func:`hazard_predictors`. Imputing each arm by itself keeps every difference between arms in how a covariate and the
outcome hang together, so that interactions with treatment are not drawn towards 0 either.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trialstrat.errors import InvalidInputError
from trialstrat.stats.kernels.linear import row_products, weighted_cross, weighted_total
from trialstrat.stats.survival import nelson_aalen

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

#: Cycles through the incomplete variables before an imputation is kept; a single one needs no second.
CYCLES = 5
#: Patients nearest in prediction of whom one lends its value.
DONORS = 5
#: Ridge of the regressions, relative to the diagonal: keeps collinear predictors from breaking them.
RIDGE = 1e-5
_STEPS, _TOLERANCE, _LONGEST = 30, 1e-5, 5.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Incomplete:
    """One variable of the imputation model: ``values`` (n,), nan where missing.

    ``levels`` is 0 for a number (also an ordered score): predictive mean matching; else the codes 0 .. levels - 1 of
    a category: logistic or multinomial regression.
    """

    values: Floats
    levels: int = 0


def hazard_predictors(
    time: ArrayLike, event: ArrayLike, *, entry: ArrayLike | None = None, groups: ArrayLike | None = None
) -> Floats:
    """The outcome as predictors of missing covariates: event indicators and cumulative hazards (n, 2k) of k causes.

    ``event`` (n,) is 0 censored, 1 .. k causes; the Nelson-Aalen hazards at each patient's own time are those of the
    patient's group (n,), with delayed entry from the entry on.

    References
    ----------
    White IR, Royston P (2009). Imputing missing covariate values for the Cox model. Stat Med 28, 1982-1998.
    """
    times, codes = np.asarray(time, dtype=np.float64), np.asarray(event, dtype=np.int64)
    late = None if entry is None else np.asarray(entry, dtype=np.float64)
    group = np.zeros(len(times), dtype=np.int64) if groups is None else np.asarray(groups)
    columns: list[Floats] = []
    for cause in range(1, max(1, int(codes.max(initial=0))) + 1):
        own = (codes == cause).astype(np.int64)
        hazard = np.zeros(len(times))
        for label in np.unique(group):
            rows = group == label
            start = None if late is None else late[rows]
            curve = nelson_aalen(times[rows], own[rows], entry=start)
            hazard[rows] = _at(curve.time, curve.cumulative_hazard, times[rows])
            if start is not None:
                hazard[rows] -= _at(curve.time, curve.cumulative_hazard, start)
        columns += [own.astype(np.float64), hazard]
    return np.column_stack(columns)


def _at(steps: Floats, height: Floats, time: Floats) -> Floats:
    """A step function at given times, 0 before its first step; times that differ by rounding are one time."""
    place = np.searchsorted(steps, time * (1 + 1e-9), side="right")
    return np.concatenate([[0.0], height])[place]


def chained_imputations(
    variables: Sequence[Incomplete],
    complete: ArrayLike,
    *,
    imputations: int,
    rng: np.random.Generator,
    groups: ArrayLike | None = None,
    cycles: int = CYCLES,
) -> Floats:
    """Completed copies (m, n, v) of v variables.

    Parameters
    ----------
    variables
        The variables, complete ones too: each predicts the others.
    complete : array of shape (n, q)
        Predictors without gaps, among them the outcome; q = 0 is allowed.
    imputations
        Number m of completed copies; each has its own chain.
    rng
        Source of every draw, used in a fixed order.
    groups : array of shape (n,), optional
        Patients are imputed within their group (the arm).
    cycles
        Rounds through the incomplete variables; one is enough, and made, where only one variable has gaps.

    Returns
    -------
    array of shape (m, n, v)
        Known values are kept as they are; imputed numbers are values that some patient of the group has.

    Raises
    ------
    InvalidInputError
        Arrays of different length, gaps in ``complete``, or a group in which a variable is never known.

    References
    ----------
    van Buuren S, Groothuis-Oudshoorn K (2011). mice. J Stat Softw 45(3). Little RJA (1988). JBES 6, 287-296
    (predictive mean matching). White IR, Daniel R, Royston P (2010). CSDA 54, 2267-2275 (perfect prediction).
    """
    fixed = np.asarray(complete, dtype=np.float64)
    _check(variables, fixed, imputations)
    n = len(fixed)
    group = np.zeros(n, dtype=np.int64) if groups is None else np.unique(np.asarray(groups), return_inverse=True)[1]
    parts = [np.flatnonzero(group == label) for label in np.unique(group)]
    out = np.empty((imputations, n, len(variables)))
    for rows in parts:
        chain = _Chain.of(variables, fixed, rows)
        for copy in range(imputations):
            out[copy, rows] = chain.run(cycles, rng)
    return out


def _check(variables: Sequence[Incomplete], fixed: Floats, imputations: int) -> None:
    if imputations < 1:
        raise InvalidInputError(f"imputations: must be 1 or more, not {imputations}")
    if fixed.ndim != 2 or not np.isfinite(fixed).all():
        raise InvalidInputError("the complete predictors must be a matrix without missing values")
    if any(variable.values.shape != (len(fixed),) for variable in variables):
        raise InvalidInputError("every variable must have one value per row of the complete predictors")


@dataclass(slots=True, kw_only=True, eq=False)
class _Chain:
    """The patients of one group: their variables (n, v) with gaps, predictors without, in standard units."""

    values: Floats
    levels: tuple[int, ...]
    fixed: Floats
    centre: Floats
    spread: Floats

    @classmethod
    def of(cls, variables: Sequence[Incomplete], fixed: Floats, rows: NDArray[np.intp]) -> _Chain:
        values = np.column_stack([v.values[rows] for v in variables]) if variables else np.empty((len(rows), 0))
        if len(rows) and np.isnan(values).all(axis=0).any():
            raise InvalidInputError("a variable is never known in a group: it cannot be imputed there")
        part = fixed[rows]
        part = part[:, part.std(axis=0) > 1e-12]
        return cls(
            values=values,
            levels=tuple(v.levels for v in variables),
            fixed=(part - part.mean(axis=0)) / part.std(axis=0),
            centre=np.nanmean(values, axis=0) if len(rows) else np.zeros(values.shape[1]),
            spread=np.where((s := np.nanstd(values, axis=0)) > 0, s, 1.0),
        )

    def run(self, cycles: int, rng: np.random.Generator) -> Floats:
        """One completed copy: gaps filled at random from known values, then cycle by cycle from the others."""
        gaps = np.isnan(self.values)
        filled = self.values.copy()
        incomplete = [int(at) for at in np.argsort(gaps.sum(axis=0), kind="stable") if gaps[:, at].any()]
        for at in incomplete:
            known = self.values[~gaps[:, at], at]
            filled[gaps[:, at], at] = known[rng.integers(0, len(known), int(gaps[:, at].sum()))]
        for _ in range(cycles if len(incomplete) > 1 else 1):
            for at in incomplete:
                missing = gaps[:, at]
                x = self._predictors(filled, at, ~missing)
                draw = _match if self.levels[at] == 0 else _category
                filled[missing, at] = draw(x[~missing], self.values[~missing, at], x[missing], rng)
        return filled

    def _predictors(self, filled: Floats, target: int, known: NDArray[np.bool_]) -> Floats:
        """Intercept, complete predictors and the other variables, those that vary where the target is known.

        Categories are 0/1 columns.
        """
        parts = [np.ones((len(filled), 1)), self.fixed]
        for at, levels in enumerate(self.levels):
            if at == target:
                continue
            if levels == 0:
                parts.append(((filled[:, at] - self.centre[at]) / self.spread[at])[:, None])
            else:
                parts.append((filled[:, [at]] == np.arange(1, levels)).astype(np.float64))
        x = np.concatenate(parts, axis=1)
        varies = x[known].std(axis=0) > 1e-12
        varies[0] = True
        return np.ascontiguousarray(x[:, varies])


def _match(x: Floats, y: Floats, x_missing: Floats, rng: np.random.Generator) -> Floats:
    """Values of patients whose prediction is close to a drawn prediction of the missing (type 1 matching)."""
    inverse = _inverse(weighted_cross(x, np.ones(len(x))))
    coef = row_products(inverse, weighted_total(x, y))
    fitted = row_products(x, coef)
    residual = y - fitted
    freedom = max(len(y) - x.shape[1], 1)
    sigma = np.sqrt((residual**2).sum() / rng.chisquare(freedom))
    drawn = coef + sigma * row_products(np.linalg.cholesky(inverse), rng.standard_normal(len(coef)))
    return y[_donors(fitted, row_products(x_missing, drawn), rng)]


def _inverse(information: Floats) -> Floats:
    """The inverse of an information matrix with a light ridge, exactly symmetric."""
    ridged = information + np.diag(RIDGE * information.diagonal())
    inverse = np.linalg.inv(ridged)
    return (inverse + inverse.T) / 2


def _donors(known: Floats, wanted: Floats, rng: np.random.Generator) -> NDArray[np.intp]:
    """For each wanted prediction one of the ``DONORS`` nearest known ones, drawn at random; ties in random order."""
    count = min(DONORS, len(known))
    shuffled = rng.permutation(len(known))
    order = shuffled[np.argsort(known[shuffled], kind="stable")]
    ranked = known[order]
    start = np.searchsorted(ranked, wanted)
    window = start[:, None] + np.arange(-count, count)
    near = np.clip(window, 0, len(known) - 1)
    distance = np.where(window == near, np.abs(ranked[near] - wanted[:, None]), np.inf)
    nearest = np.argsort(distance, axis=1, kind="stable")[:, :count]
    chosen = nearest[np.arange(len(wanted)), rng.integers(0, count, len(wanted))]
    return order[near[np.arange(len(wanted)), chosen]]


def _category(x: Floats, y: Floats, x_missing: Floats, rng: np.random.Generator) -> Floats:
    """Levels drawn from a logistic (multinomial) regression whose coefficients are drawn from their distribution."""
    present, codes = np.unique(y, return_inverse=True)
    if len(present) == 1:
        return np.full(len(x_missing), present[0])
    coef, covariance = _multinomial(*_augmented(x, codes, len(present)), len(present))
    drawn = coef + row_products(np.linalg.cholesky(covariance), rng.standard_normal(len(coef)))
    chances = _chances(x_missing, drawn.reshape(x.shape[1], -1))
    picked = (chances.cumsum(axis=1) < rng.random(len(x_missing))[:, None]).sum(axis=1)
    return present[np.minimum(picked, len(present) - 1)]


def _augmented(x: Floats, codes: Ints, levels: int) -> tuple[Floats, Ints, Floats]:
    """Rows, codes and weights with a few light rows added, so that perfect prediction has finite coefficients.

    For each predictor and level two rows, one standard deviation off the mean; together they weigh as much as there
    are coefficients per level.
    """
    p = x.shape[1] - 1
    if p == 0:
        return x, codes, np.ones(len(x))
    centre, spread = x.mean(axis=0), x.std(axis=0)
    rows, labels = [], []
    for at in range(1, p + 1):
        for sign in (-1.0, 1.0):
            row = centre.copy()
            row[at] += sign * spread[at]
            rows += [row] * levels
            labels += range(levels)
    weight = (p + 1) / len(rows)
    return (
        np.vstack([x, rows]),
        np.concatenate([codes, labels]),
        np.concatenate([np.ones(len(x)), np.full(len(rows), weight)]),
    )


def _chances(x: Floats, coef: Floats) -> Floats:
    """Probabilities (n, levels) of the levels; the first is the reference."""
    scores = [row_products(x, np.ascontiguousarray(coef[:, at])) for at in range(coef.shape[1])]
    score = np.column_stack([np.zeros(len(x)), *scores])
    score = np.exp(score - score.max(axis=1, keepdims=True))
    return score / score.sum(axis=1, keepdims=True)


def _multinomial(x: Floats, codes: Ints, weight: Floats, levels: int) -> tuple[Floats, Floats]:
    """Newton's method: coefficients (p * (levels - 1),), predictor by predictor, and their covariance."""
    p, k = x.shape[1], levels - 1
    coef = np.zeros((p, k))
    hit = (codes[:, None] == np.arange(1, levels)).astype(np.float64)
    covariance = np.eye(p * k)
    for _ in range(_STEPS):
        chance = _chances(x, coef)[:, 1:]
        score = np.column_stack([weighted_total(x, weight * (hit[:, at] - chance[:, at])) for at in range(k)])
        information = np.empty((p, k, p, k))
        for a in range(k):
            for b in range(a + 1):
                part = weighted_cross(x, weight * chance[:, a] * ((a == b) - chance[:, b]))
                information[:, a, :, b] = information[:, b, :, a] = part
        covariance = _inverse(information.reshape(p * k, p * k))
        step = row_products(covariance, score.ravel())
        step *= min(1.0, _LONGEST / max(float(np.abs(step).max()), 1e-300))
        coef = coef + step.reshape(p, k)
        if float(np.abs(step).max()) < _TOLERANCE:
            break
    return coef.ravel(), covariance
