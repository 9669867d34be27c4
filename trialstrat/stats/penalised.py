"""Elastic-net Cox regression: the whole path of penalties by coordinate descent, every solution checked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trialstrat.errors import InvalidInputError
from trialstrat.results import Status
from trialstrat.stats.checks import check_values
from trialstrat.stats.cox_data import CoxData, cox_data
from trialstrat.stats.cox_solution import LARGEST_LOG_HAZARD_RATIO
from trialstrat.stats.kernels.penalised import gradients, linear_predictor, sweep_coordinates
from trialstrat.stats.partial_likelihood import sweep

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
#: Single precision is enough for the curvature: every approximation starts from an exact gradient.
Singles = NDArray[np.float32]

#: Smallest mixing parameter used to find the largest penalty; with pure ridge no finite penalty removes everything.
SMALLEST_ALPHA = 1e-3
#: The automatic path ends when a step explains less than this share more of the log-likelihood.
NEGLIGIBLE_GAIN = 1e-5
MAX_ROUNDS = 200
#: Share of the mismatch left by a round above which the curvature is made anew.
STALE = 0.2
#: Share of the first pass's mismatch to which a quadratic approximation is solved.
INNER_GOAL = 0.05
#: Passes between two extrapolations.
MEMORY = 5


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PenalisedCoxPath:
    """Solutions along a path of penalties; k penalties, p covariates.

    Attributes
    ----------
    lambdas : (k,)
        Penalties, in the order given (an automatic path falls).
    coef : (k, p)
        Coefficients on the scale of the covariates as given; exact zeros where not selected.
    objective, loglik : (k,)
        Penalised objective ``-l / W + penalty`` and log partial likelihood (Breslow's ties).
    kkt_violation : (k,)
        Largest departure from the optimality conditions, per unit weight and SD.
    selected : (k,)
        Number of nonzero coefficients.
    converged : (k,)
        Whether the violation is within the tolerance and no coefficient is on its way to infinity.
    """

    lambdas: Floats
    alpha: float
    coef: Floats
    objective: Floats
    loglik: Floats
    loglik_null: float
    kkt_violation: Floats
    selected: Ints
    converged: NDArray[np.bool_]
    names: tuple[str, ...]
    n: int
    events: int
    status: Status
    reason: str


def penalised_cox(
    time: ArrayLike,
    event: ArrayLike,
    X: ArrayLike,
    *,
    lambdas: ArrayLike | None = None,
    alpha: float = 1.0,
    standardize: bool = True,
    penalty_factor: ArrayLike | None = None,
    strata: ArrayLike | Sequence[ArrayLike] | None = None,
    weights: ArrayLike | None = None,
    entry: ArrayLike | None = None,
    offset: ArrayLike | None = None,
    n_lambdas: int = 100,
    min_ratio: float | None = None,
    tolerance: float | None = None,
    names: Sequence[str] | None = None,
) -> PenalisedCoxPath:
    """Minimise ``-l(b) / W + lambda sum_j v_j ((1 - alpha) / 2 s_j^2 b_j^2 + alpha s_j |b_j|)`` along a path.

    l is Breslow's log partial likelihood, W the sum of the weights, s_j the weighted standard deviation (denominator
    W) of column j (1 without ``standardize``), v_j the penalty factors rescaled to sum to p.

    Parameters
    ----------
    time, event, X, strata, weights, entry, offset, names
        As in :func:`~trialstrat.stats.cox.cox`. Constant columns get the coefficient 0.
    lambdas : array of shape (k,), optional
        Penalties. None makes a path from the smallest penalty at which nothing (penalised) is selected down to
        ``min_ratio`` times it, in ``n_lambdas`` equal steps of the logarithm; it ends early once a step gains less than
        1e-5 of the log-likelihood explained, or everything is explained.
    alpha : float
        1 the lasso, 0 ridge, between them the elastic net.
    standardize : bool
        Whether the penalty is on the scale of standardised covariates.
    penalty_factor : array of shape (p,), optional
        Relative penalties; 0 leaves a covariate unpenalised.
    min_ratio : float, optional
        By default 1e-4 with more rows than columns, else 0.01.
    tolerance : float, optional
        Largest violation of the optimality conditions, per unit weight and SD, that is accepted: by default 1e-7 for
        given penalties and 1e-5 for an automatic path, where the next penalty is a larger step than that.

    Returns
    -------
    PenalisedCoxPath
        ``not_estimable`` without an event.

    Raises
    ------
    InvalidInputError
        Negative penalties, alpha outside [0, 1], bad penalty factors, and what :func:`cox` refuses.

    References
    ----------
    Simon, Friedman, Hastie & Tibshirani (2011), J Stat Softw 39(5). Tibshirani et al. (2012), JRSS B 74:245
    (strong rules). Lee, Sun & Saunders (2014), SIAM J Optim 24:1420 (proximal Newton). Anderson (1965), J ACM 12:547.
    """
    data = cox_data(
        time, event, X, entry=entry, strata=strata, weights=weights, offset=offset, ties="breslow", names=names
    )
    factor = _checked(data, alpha, penalty_factor, n_lambdas, min_ratio)
    grid = None if lambdas is None else _checked_lambdas(lambdas)
    if data.events == 0:
        return _nothing(data, grid, alpha)
    limit = tolerance if tolerance is not None else (1e-5 if grid is None else 1e-7)
    solver = _Solver(data, factor, alpha, standardize, limit)
    if grid is not None:
        # from large to small, whatever the order asked for: each solution starts the next
        order = np.argsort(-grid, kind="stable")
        found = solver.path(grid[order], stop_early=False)
        back = np.argsort(order, kind="stable")
        return _collect(data, grid, alpha, [found[k] for k in back], solver)
    ratio = min_ratio if min_ratio is not None else (1e-4 if data.n > data.x.shape[1] else 1e-2)
    top = solver.largest_lambda()
    grid = top * np.exp(np.linspace(0.0, np.log(ratio), n_lambdas)) if top > 0 else np.zeros(1)
    found = solver.path(grid, stop_early=True)
    return _collect(data, grid[: len(found)], alpha, found, solver)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Point:
    coef: Floats
    objective: float
    loglik: float
    violation: float


class _Solver:
    """State of a path: standardised columns, current coefficients, current gradient."""

    def __init__(self, data: CoxData, factor: Floats, alpha: float, standardize: bool, tolerance: float) -> None:
        sets = data.sets
        self.sets, self.alpha, self.tolerance = sets, alpha, tolerance
        self.mass = float(data.weights.sum())
        centre = np.average(data.x, axis=0, weights=data.weights)
        sd = np.sqrt(np.average((data.x - centre) ** 2, axis=0, weights=data.weights))
        self.varies = sd > 1e-13 * np.maximum(np.abs(centre), 1e-300)
        self.sd = np.where(self.varies, sd, 1.0)
        self.z = np.ascontiguousarray((((data.x - centre) / self.sd)[sets.order]).T)
        self.z[~self.varies] = 0.0
        self.offset = data.offset[sets.order]
        # penalties of the standardised coefficients; without standardisation they are on the scale as given
        scale = np.ones_like(sd) if standardize else 1.0 / self.sd
        total = factor.sum()
        self.factor = factor * factor.size / total if total > 0 else factor
        self.lasso = self.mass * alpha * self.factor * scale
        self.ridge = self.mass * (1.0 - alpha) * self.factor * scale**2
        self.unit = 1.0 / (self.mass * scale)
        self.scratch = np.empty(sets.first.size)
        self.coef = np.zeros(sd.size)
        self.empty = np.zeros((sets.order.size, 0))
        self._evaluate(self.coef)
        self.loglik_null = self.loglik
        self.strong: NDArray[np.bool_] = np.zeros(sd.size, dtype=bool)
        self.gradient = self._full_gradient()

    def _evaluate(self, coef: Floats) -> None:
        """Log-likelihood, its gradient by linear predictor, and what the curvature is made of, at ``coef``."""
        sets = self.sets
        eta = np.empty(sets.order.size)
        linear_predictor(self.z, coef, eta)
        at = sweep(sets, self.empty, eta + self.offset)
        self.loglik = at.loglik(sets)
        self.risk, self.hazard = sets.weight * at.risk, at.hazard
        self.step = at.increment / at.denominator
        self.residual = sets.weight * sets.dies - self.risk * at.hazard

    def _full_gradient(self) -> Floats:
        out = np.empty(self.coef.size)
        gradients(self.z, self.residual, out)
        return out

    def objective(self, coef: Floats, lam: float) -> float:
        """The objective times W, without the terms the coefficients do not move."""
        return -self.loglik + lam * float(np.sum(self.ridge * coef**2 / 2.0 + self.lasso * np.abs(coef)))

    def largest_lambda(self) -> float:
        """Smallest penalty at which no penalised column enters, after fitting the unpenalised ones."""
        free = self.varies & (self.factor == 0)
        if free.any():
            accepted, self.tolerance = self.tolerance, min(self.tolerance, 1e-9)
            self._solve(np.inf, free)
            self.tolerance = accepted
            self.gradient = self._full_gradient()
        held = self.varies & ~free
        if not held.any():
            return 0.0
        alpha = max(self.alpha, SMALLEST_ALPHA)
        bar = self.mass * alpha * self.factor * (self.unit * self.mass) ** -1
        return float(np.max(np.abs(self.gradient[held]) / bar[held])) * (1.0 + 1e-9)

    def path(self, grid: Floats, *, stop_early: bool) -> list[_Point]:
        """Solve for falling penalties, each from the one before."""
        found: list[_Point] = []
        before = np.inf
        for k, lam in enumerate(grid):
            if len(found) > 1:
                self._predict(found, grid[k - 2 : k + 1])
            found.append(self._at(float(lam), before))
            before = float(lam)
            if stop_early and k >= 5 and self._enough(found):
                break
        return found

    def _predict(self, found: list[_Point], lambdas: Floats) -> None:
        """Start from where the last two solutions point to, in the logarithm of the penalty, if that is better."""
        if not (lambdas[2] > 0 and lambdas[1] < lambdas[0]):
            return
        last, before = found[-1].coef, found[-2].coef
        along = np.log(lambdas[2] / lambdas[1]) / np.log(lambdas[1] / lambdas[0])
        guess = last + along * (last - before)
        guess[(np.sign(guess) != np.sign(last)) | (np.sign(before) != np.sign(last))] = 0.0
        guess = np.where((guess == 0.0) & (last != 0.0), last, guess)
        height = self.objective(last, float(lambdas[2]))
        self._evaluate(guess)
        if self.objective(guess, float(lambdas[2])) < height:
            self.coef = guess
        else:
            self._evaluate(last)

    def _enough(self, found: list[_Point]) -> bool:
        explained = 1.0 - found[-1].loglik / self.loglik_null if self.loglik_null < 0 else 1.0
        gained = (found[-1].loglik - found[-2].loglik) / max(abs(self.loglik_null), 1e-300)
        return explained > 0.999 or gained < NEGLIGIBLE_GAIN * explained

    def _at(self, lam: float, before: float) -> _Point:
        """Solve at one penalty: strong rule, descent on its columns, check of all columns, until none is violated."""
        bar = self.lasso * lam
        reach = 2.0 * bar - (self.lasso * before if np.isfinite(before) else bar)
        self.strong |= self.varies & ((np.abs(self.gradient) >= reach) | (self.lasso == 0))
        violation = np.inf
        for _ in range(50):
            violation = self._solve(lam, self.strong)
            self.gradient = self._full_gradient()
            outside = self.varies & ~self.strong
            wrong = outside & ((np.abs(self.gradient) - bar) * self.unit > self.tolerance)
            if not wrong.any():
                break
            self.strong |= wrong
        return _Point(
            coef=self.coef.copy(),
            objective=self.objective(self.coef, lam) / self.mass,
            loglik=self.loglik,
            violation=max(violation, self._violation(lam)),
        )

    def _violation(self, lam: float) -> float:
        """Largest departure from the optimality conditions at the current coefficients."""
        slope = self.gradient - lam * self.ridge * self.coef
        bar = lam * self.lasso
        active = self.coef != 0
        gap = np.where(active, np.abs(slope - bar * np.sign(self.coef)), np.maximum(np.abs(slope) - bar, 0.0))
        return float(np.max(gap * self.unit * self.varies, initial=0.0))

    def _solve(self, lam: float, allowed: NDArray[np.bool_]) -> float:
        """Newton's method over the ``allowed`` columns until one whole pass mends less than the tolerance."""
        columns = np.flatnonzero(allowed)
        finite = lam if np.isfinite(lam) else 0.0
        lasso, ridge = finite * self.lasso, finite * self.ridge
        products = np.empty((columns.size, self.residual.size), dtype=np.float32)
        diagonal = np.full(columns.size, -1.0)
        height = self.objective(self.coef, finite)
        mended = np.inf
        for _ in range(MAX_ROUNDS):
            start, before = self.coef.copy(), mended
            mended = self._pass(columns, products, diagonal, lasso, ridge)
            if mended > STALE * before:
                # the gradient is always exact; the curvature may lag behind as long as the rounds converge fast
                diagonal[:] = -1.0
            if mended > self.tolerance:
                self._descend(columns, products, diagonal, lasso, ridge, mended)
            height = self._accept(start, height, finite)
            if mended <= self.tolerance:
                break
        return mended

    def _descend(
        self, columns: Ints, products: Singles, diagonal: Floats, lasso: Floats, ridge: Floats, mended: float
    ) -> None:
        """Solve the quadratic approximation on the nonzero coefficients, then once over all, until nothing enters."""
        goal = max(INNER_GOAL * mended, 0.3 * self.tolerance)
        for _ in range(10):
            active = np.flatnonzero(self.coef[columns] != 0)
            own_columns, own_products, own_diagonal = columns[active], products[active], diagonal[active]
            history: list[tuple[Floats, Floats]] = []
            for _ in range(100):
                left = self._pass(own_columns, own_products, own_diagonal, lasso, ridge)
                if left <= goal:
                    break
                history.append((self.coef[own_columns], self.residual.copy()))
                if len(history) > MEMORY:
                    self._extrapolate(own_columns, history)
                    again = self._pass(own_columns, own_products, own_diagonal, lasso, ridge)
                    if again > left:
                        self.coef[own_columns], self.residual = history[-1][0], history[-1][1]
                    history.clear()
                    if again <= goal:
                        break
            if self._pass(columns, products, diagonal, lasso, ridge) <= goal:
                break

    def _extrapolate(self, columns: Ints, history: list[tuple[Floats, Floats]]) -> None:
        """Jump to the affine combination of the last iterates whose combined change is smallest (Anderson 1965)."""
        iterates = np.array([coef for coef, _ in history])
        change = np.diff(iterates, axis=0)
        square = np.einsum("ij,kj->ik", change, change)
        square += 1e-10 * np.trace(square) * np.eye(square.shape[0])
        mix = np.linalg.solve(square, np.ones(square.shape[0]))
        mix /= mix.sum()
        # einsum keeps to one order of summation, whatever the number of threads of the linear algebra library
        self.coef[columns] = np.einsum("k,kj->j", mix, iterates[1:])
        self.residual = np.einsum("k,kj->j", mix, np.array([residual for _, residual in history[1:]]))

    def _pass(self, columns: Ints, products: Singles, diagonal: Floats, lasso: Floats, ridge: Floats) -> float:
        sets = self.sets
        return sweep_coordinates(
            self.z, columns, self.residual, products, diagonal, lasso, ridge, self.unit, self.coef,
            self.risk, self.hazard, self.step, sets.first, sets.last, sets.opens, sets.leaving, sets.by_entry,
            sets.begin, sets.end, self.scratch,
        )  # fmt: skip

    def _accept(self, start: Floats, height: float, lam: float) -> float:
        """Evaluate the new coefficients; go back half the way while the objective has risen."""
        self._evaluate(self.coef)
        new = self.objective(self.coef, lam)
        for _ in range(30):
            if new <= height + 1e-12 * (1.0 + abs(height)):
                break
            self.coef = (self.coef + start) / 2.0
            self._evaluate(self.coef)
            new = self.objective(self.coef, lam)
        return new


def _checked(
    data: CoxData, alpha: float, penalty_factor: ArrayLike | None, n_lambdas: int, min_ratio: float | None
) -> Floats:
    """Refuse impossible settings; the penalty factors as given, ones by default."""
    if not 0.0 <= alpha <= 1.0:
        raise InvalidInputError("alpha: the mixing parameter lies between 0 (ridge) and 1 (lasso)")
    if n_lambdas < 1:
        raise InvalidInputError("n_lambdas: at least one penalty is needed")
    if min_ratio is not None and not 0.0 < min_ratio < 1.0:
        raise InvalidInputError("min_ratio: a share between 0 and 1 is needed")
    p = data.x.shape[1]
    if p == 0:
        raise InvalidInputError("X: there is no covariate")
    if penalty_factor is None:
        return np.ones(p)
    factor = check_values(penalty_factor, p, name="penalty_factor")
    if np.any(factor < 0):
        raise InvalidInputError(f"penalty_factor: {int(np.sum(factor < 0))} of {p} factors are negative")
    return factor


def _checked_lambdas(lambdas: ArrayLike) -> Floats:
    grid = check_values(np.atleast_1d(np.asarray(lambdas, dtype=np.float64)), name="lambdas")
    if grid.size == 0 or np.any(grid < 0):
        raise InvalidInputError("lambdas: penalties must not be negative, and there must be at least one")
    return grid


def _collect(data: CoxData, grid: Floats, alpha: float, found: list[_Point], solver: _Solver) -> PenalisedCoxPath:
    coef = np.array([point.coef for point in found])
    violation = np.array([point.violation for point in found])
    return PenalisedCoxPath(
        lambdas=grid, alpha=alpha, coef=coef / solver.sd,
        objective=np.array([point.objective for point in found]),
        loglik=np.array([point.loglik for point in found]), loglik_null=solver.loglik_null,
        kkt_violation=violation, selected=np.count_nonzero(coef, axis=1),
        converged=(violation <= 10.0 * solver.tolerance) & ~_infinite(data, coef / solver.sd),
        names=data.names, n=data.n, events=data.events,
        status="ok", reason="",
    )  # fmt: skip


def _infinite(data: CoxData, coef: Floats) -> NDArray[np.bool_]:
    """Penalties (k,) too small to hold a coefficient that the data would send to infinity."""
    lowest, highest = data.x.min(axis=0), data.x.max(axis=0)
    two = np.all((data.x == lowest) | (data.x == highest), axis=0)
    unit = np.where(two, highest - lowest, data.x.std(axis=0))
    return np.any(np.abs(coef) * unit > LARGEST_LOG_HAZARD_RATIO, axis=1)


def _nothing(data: CoxData, grid: Floats | None, alpha: float) -> PenalisedCoxPath:
    given = np.zeros(0) if grid is None else grid
    missing = np.full(given.size, np.nan)
    return PenalisedCoxPath(
        lambdas=given, alpha=alpha, coef=np.full((given.size, data.x.shape[1]), np.nan), objective=missing,
        loglik=missing, loglik_null=np.nan, kkt_violation=missing, selected=np.zeros(given.size, dtype=np.int64),
        converged=np.zeros(given.size, dtype=bool), names=data.names, n=data.n, events=0, status="not_estimable",
        reason="there is no event",
    )  # fmt: skip
