"""Fine and Gray's regression of the subdistribution hazard, the effect of covariates on cumulative incidence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import chdtrc, ndtr, ndtri

from trialstrat.errors import InvalidInputError
from trialstrat.results import NAN, Status, TestResult
from trialstrat.stats.checks import SurvivalData, check_level, check_matrix, check_survival
from trialstrat.stats.competing import check_cause
from trialstrat.stats.partial_likelihood import independent_columns, inverse

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

MAX_ITERATIONS = 50
#: A log hazard ratio per standard deviation beyond this is a symptom of separation, not an estimate.
LARGEST_COEFFICIENT = 10.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FineGrayFit:
    """A fitted subdistribution hazard model; arrays by covariate in the order of ``names``.

    ``coef`` are log subdistribution hazard ratios, ``std_error`` and ``covariance`` the sandwich including the term for
    the estimation of the censoring distribution. nan where not estimable: columns in ``collinear``, or everything when
    ``status`` is ``not_estimable``. ``wald`` tests that all coefficients are 0.
    """

    names: tuple[str, ...]
    cause: int
    coef: Floats
    std_error: Floats
    covariance: Floats
    hazard_ratio: Floats
    lower: Floats
    upper: Floats
    level: float
    loglik_null: float
    loglik: float
    wald: TestResult
    n: int
    events: int
    competing: int
    iterations: int
    converged: bool
    collinear: tuple[str, ...]
    status: Status = "ok"
    reason: str = ""

    @property
    def z(self) -> Floats:
        """Wald statistics of the single coefficients (p,)."""
        return self.coef / self.std_error

    @property
    def p(self) -> Floats:
        """Two-sided p of the single coefficients (p,); null hypothesis: this coefficient is 0."""
        return 2.0 * ndtr(-np.abs(self.z))


def fine_gray(
    time: ArrayLike,
    event: ArrayLike,
    cause: int,
    X: ArrayLike,
    *,
    names: Sequence[str] | None = None,
    level: float = 0.95,
) -> FineGrayFit:
    """Fit the proportional subdistribution hazards model of one cause.

    A patient with a competing event at T stays in the risk sets of t > T with weight G(t-) / G(T-), G the Kaplan-Meier
    curve of the censoring times in which everybody with time >= t is at risk. Tied events count as in Breslow's form.

    Parameters
    ----------
    time, event : arrays of shape (n,)
        Follow-up time and code: 0 censored, 1, 2, ... causes.
    cause : int
        The cause of interest.
    X : array of shape (n, p)
        Covariates, numeric and complete; a vector is one covariate.
    names : sequence of str, optional
        Names of the covariates.
    level : float
        Of the hazard ratios' limits.

    Returns
    -------
    FineGrayFit
        ``not_estimable`` without an event of the cause, and when the likelihood has no finite maximum.

    Raises
    ------
    InvalidInputError
        Impossible times, codes, covariates, cause or level.

    References
    ----------
    Fine & Gray (1999), JASA 94:496, equations 6 to 8.
    """
    rows = check_survival(time, event, competing=True)
    matrix = check_matrix(X, rows.n, name="X")
    check_level(level)
    labels = tuple(names) if names is not None else tuple(f"x{j + 1}" for j in range(matrix.shape[1]))
    if len(labels) != matrix.shape[1]:
        raise InvalidInputError(f"names: {len(labels)} names for {matrix.shape[1]} columns; give one name per column")
    kind = np.where(rows.event == check_cause(cause), 1, np.where(rows.event > 0, 2, 0))
    if not np.any(kind == 1):
        return _report(labels, cause, level, kind, None, "there is no event of the cause")
    return _fit(rows, kind, matrix, labels, cause, level)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Design:
    """Rows sorted by time with the index arrays of every risk set.

    ``start`` (g,): first row still under observation at each event time; ``deaths`` (g,) events there; ``until`` (n,):
    number of event times at or before each row's time; ``still_seen`` (g,) is G(t-) at the event times, ``seen`` (n,)
    G(T-) of the rows.
    """

    x: Floats
    time: Floats
    kind: Integers
    start: Integers
    deaths: Floats
    until: Integers
    still_seen: Floats
    seen: Floats

    def risk_sets(self, values: Floats) -> Floats:
        """Sums over every risk set of ``values`` (n, q), competing events with their weight; shape (g, q)."""
        under = np.cumsum(values[::-1], axis=0)[::-1][self.start]
        lost = np.where((self.kind == 2)[:, None], values / self.seen[:, None], 0.0)
        gone = np.concatenate((np.zeros((1, values.shape[1])), np.cumsum(lost, axis=0)))[self.start]
        return under + self.still_seen[:, None] * gone

    def exposure(self, increments: Floats) -> Floats:
        """Sum of ``increments`` (g, q) over the event times each row is at risk, with its weight; shape (n, q)."""
        nothing = np.zeros((1, increments.shape[1]))
        so_far = np.concatenate((nothing, np.cumsum(increments, axis=0)))
        later = np.concatenate((np.cumsum((increments * self.still_seen[:, None])[::-1], axis=0)[::-1], nothing))
        tail = np.where((self.kind == 2)[:, None], later[self.until] / self.seen[:, None], 0.0)
        return so_far[self.until] + tail


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Step:
    """The weighted partial likelihood and its derivatives at one coefficient."""

    loglik: float
    score: Floats
    information: Floats
    risk: Floats
    mean: Floats
    increment: Floats
    hazard: Floats


def _design(rows: SurvivalData, kind: Integers, x: Floats) -> _Design:
    order = np.argsort(rows.time, kind="stable")
    time, codes = rows.time[order], kind[order]
    points = np.unique(time[codes == 1])
    distinct, first = np.unique(time, return_index=True)
    at_risk = time.size - first
    lost = np.bincount(np.searchsorted(distinct, time), weights=codes == 0)
    left = np.concatenate(([1.0], np.cumprod(1.0 - lost / at_risk)[:-1]))
    return _Design(
        x=np.ascontiguousarray(x[order]),
        time=time,
        kind=codes,
        start=np.searchsorted(time, points, side="left"),
        deaths=np.bincount(np.searchsorted(points, time[codes == 1])).astype(np.float64),
        until=np.searchsorted(points, time, side="right"),
        still_seen=left[np.searchsorted(distinct, points)],
        seen=left[np.searchsorted(distinct, time)],
    )


def _evaluate(design: _Design, coef: Floats) -> _Step:
    eta = design.x @ coef
    eta -= eta.max()
    risk = np.exp(eta)
    sums = design.risk_sets(np.column_stack((risk, risk[:, None] * design.x)))
    denominator, mean = sums[:, 0], sums[:, 1:] / sums[:, :1]
    increment = design.deaths / denominator
    hazard = design.exposure(increment[:, None])[:, 0]
    dead = design.kind == 1
    raw = design.x.T @ (design.x * (risk * hazard)[:, None])
    return _Step(
        loglik=float(eta[dead].sum() - design.deaths @ np.log(denominator)),
        score=design.x[dead].sum(axis=0) - design.deaths @ mean,
        information=raw - mean.T @ (mean * design.deaths[:, None]),
        risk=risk,
        mean=mean,
        increment=increment,
        hazard=hazard,
    )


def _fit(
    rows: SurvivalData, kind: Integers, matrix: Floats, names: tuple[str, ...], cause: int, level: float
) -> FineGrayFit:
    centre, scale = matrix.mean(axis=0), matrix.std(axis=0)
    varies = scale > 1e-13 * np.abs(centre)
    x = (matrix - centre) / np.where(varies, scale, 1.0) * varies
    whole = _design(rows, kind, x)
    null = _evaluate(whole, np.zeros(x.shape[1]))
    keep = independent_columns(null.information, float(whole.deaths.sum()))
    if not keep.any():
        return _report(names, cause, level, kind, None, "no covariate varies where events happen")
    design = _design(rows, kind, x[:, keep])
    coef, step, iterations, converged = _newton(design)
    if not converged or np.any(np.abs(coef) > LARGEST_COEFFICIENT):
        reason = "the likelihood has no finite maximum (a covariate separates those with and without the event)"
        return _report(names, cause, level, kind, None, reason)
    covariance = _sandwich(design, step) / np.outer(scale[keep], scale[keep])
    found = (keep, coef / scale[keep], covariance, null.loglik, step.loglik, iterations)
    return _report(names, cause, level, kind, found, "")


def _newton(design: _Design) -> tuple[Floats, _Step, int, bool]:
    """Newton's method with step-halving from 0."""
    coef = np.zeros(design.x.shape[1])
    step = _evaluate(design, coef)
    for iteration in range(1, MAX_ITERATIONS + 1):
        move = inverse(step.information) @ step.score
        if not np.isfinite(move).all() or np.any(np.abs(coef) > 2.0 * LARGEST_COEFFICIENT):
            return coef, step, iteration, False
        trial = _evaluate(design, coef + move)
        while trial.loglik < step.loglik - 1e-12 * abs(step.loglik) and np.abs(move).max() > 1e-12:
            move /= 2.0
            trial = _evaluate(design, coef + move)
        coef, step = coef + move, trial
        if np.abs(move).max() < 1e-10 * (1.0 + np.abs(coef).max()):
            return coef, step, iteration, True
    return coef, step, MAX_ITERATIONS, False


def _sandwich(design: _Design, step: _Step) -> Floats:
    """Inverse information times the variance of (eta_i + psi_i) times inverse information."""
    residual = _score_residuals(design, step) + _censoring_residuals(design, step)
    bread = inverse(step.information)
    return bread @ (residual.T @ residual) @ bread


def _score_residuals(design: _Design, step: _Step) -> Floats:
    """eta_i: the integral of (x_i - mean) over the weighted martingale of the row."""
    weighted = design.exposure(step.mean * step.increment[:, None])
    expected = step.risk[:, None] * (design.x * step.hazard[:, None] - weighted)
    dead = design.kind == 1
    observed = np.zeros_like(design.x)
    observed[dead] = design.x[dead] - step.mean[design.until[dead] - 1]
    return observed - expected


def _censoring_residuals(design: _Design, step: _Step) -> Floats:
    """psi_i: what the estimation of G by the row's own censoring adds.

    With q(u) the effect of the censoring increment at u on the score, psi_i is q(u) / (number at risk) integrated over
    the row's censoring martingale.
    """
    distinct, first, index = np.unique(design.time, return_index=True, return_inverse=True)
    at_risk = (design.time.size - first).astype(np.float64)
    lost = np.bincount(index, weights=design.kind == 0)
    later = step.increment * design.still_seen
    sums = np.column_stack((later, later[:, None] * step.mean))
    nothing = np.zeros((1, sums.shape[1]))
    after = np.concatenate((np.cumsum(sums[::-1], axis=0)[::-1], nothing))
    after = after[np.searchsorted(design.time[design.start], distinct, side="left")]
    share = np.where(design.kind == 2, step.risk / design.seen, 0.0)[:, None]
    before = np.concatenate((nothing, np.cumsum(np.column_stack((share, share * design.x)), axis=0)))
    before = before[np.searchsorted(design.time, distinct, side="left")]
    effect = (before[:, 1:] * after[:, :1] - before[:, :1] * after[:, 1:]) / at_risk[:, None]
    compensator = np.cumsum(effect * (lost / at_risk)[:, None], axis=0)
    return np.where((design.kind == 0)[:, None], effect[index], 0.0) - compensator[index]


def _report(
    names: tuple[str, ...],
    cause: int,
    level: float,
    kind: Integers,
    found: tuple[NDArray[np.bool_], Floats, Floats, float, float, int] | None,
    reason: str,
) -> FineGrayFit:
    p, n, events = len(names), kind.size, int(np.count_nonzero(kind == 1))
    coef, covariance = np.full(p, NAN), np.full((p, p), NAN)
    statistic, loglik_null, loglik, iterations, df, collinear = NAN, NAN, NAN, 0, p, ()
    if found is not None:
        keep, estimates, block, loglik_null, loglik, iterations = found
        coef[keep], covariance[np.ix_(keep, keep)] = estimates, block
        df, collinear = int(keep.sum()), tuple(name for name, kept in zip(names, keep, strict=True) if not kept)
        statistic = float(estimates @ inverse(block) @ estimates)
        if collinear:
            reason = f"no own information in {', '.join(collinear)} (constant, or a combination of earlier columns)"
    status: Status = "ok" if found is not None else "not_estimable"
    error = np.sqrt(covariance.diagonal())
    half = float(ndtri(0.5 + level / 2)) * error
    ok = np.isfinite(statistic)
    return FineGrayFit(
        names=names,
        cause=cause,
        coef=coef,
        std_error=error,
        covariance=covariance,
        hazard_ratio=np.exp(coef),
        lower=np.exp(coef - half),
        upper=np.exp(coef + half),
        level=level,
        loglik_null=loglik_null,
        loglik=loglik,
        wald=TestResult(
            statistic=statistic,
            df=df,
            p=float(chdtrc(df, statistic)) if ok else NAN,
            null_hypothesis="no covariate changes the cumulative incidence of the cause (all coefficients are 0)",
            method="Wald test, Fine-Gray model",
            n=n,
            events=events,
            status="ok" if ok else "not_estimable",
            reason="" if ok else reason or "the covariance is singular",
        ),
        n=n,
        events=events,
        competing=int(np.count_nonzero(kind == 2)),
        iterations=iterations,
        converged=found is not None,
        collinear=collinear,
        status=status,
        reason=reason,
    )
