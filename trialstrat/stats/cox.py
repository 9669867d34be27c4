"""Cox's proportional hazards regression: Newton to full convergence, the three tests, concordance, honest failures."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import chdtrc, ndtr, ndtri

from trialstrat.errors import InvalidInputError
from trialstrat.results import Status, TestResult
from trialstrat.stats.checks import check_level
from trialstrat.stats.concordance import concordance_sums
from trialstrat.stats.cox_data import CoxData, cox_data
from trialstrat.stats.cox_solution import solve
from trialstrat.stats.kernels.linear import row_products
from trialstrat.stats.partial_likelihood import Maximum, inverse

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
NAN = float("nan")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CoxFit:
    """A fitted Cox model. Arrays by covariate are in the order of ``names``.

    Attributes
    ----------
    coef, std_error, robust_std_error : (p,)
        Log hazard ratios and their model-based and sandwich standard errors (None without ``cluster``). nan where not
        estimable: ``collinear`` columns (a combination of the columns before them) and ``monotone``
        ones (infinite, or beyond 10 per SD).
    covariance : (p, p)
        The covariance used by ``wald`` and the limits: the sandwich with ``cluster``, else the inverse information.
    loglik_null, loglik : float
        Log partial likelihood at coefficients 0 (offset kept) and at the maximum (its limit when monotone).
    wald, score, likelihood_ratio : TestResult
        Tests that all coefficients are 0.
    hazard_ratio, lower, upper : (p,)
        exp(coef) with its normal limits at ``level``.
    concordance, concordance_se : float
        Share of comparable pairs that the linear predictor orders correctly, in sample; nan when nothing is estimable.
    status, reason
        ``not_estimable`` when no coefficient can be estimated; ``reason`` also names single columns that cannot.
    data : CoxData
        The checked input, for residuals, tests and predictions.
    """

    names: tuple[str, ...]
    coef: Floats
    std_error: Floats
    robust_std_error: Floats | None
    covariance: Floats
    loglik_null: float
    loglik: float
    wald: TestResult
    score: TestResult
    likelihood_ratio: TestResult
    hazard_ratio: Floats
    lower: Floats
    upper: Floats
    level: float
    concordance: float
    concordance_se: float
    n: int
    events: int
    iterations: int
    converged: bool
    collinear: tuple[str, ...]
    monotone: tuple[str, ...]
    status: Status
    reason: str
    data: CoxData

    @property
    def z(self) -> Floats:
        """Wald statistics of the single coefficients (p,)."""
        return self.coef / np.sqrt(self.covariance.diagonal())

    @property
    def p(self) -> Floats:
        """Two-sided p of the single coefficients (p,); null hypothesis: this coefficient is 0."""
        return 2.0 * ndtr(-np.abs(self.z))

    @property
    def estimable(self) -> Bools:
        """Which coefficients were estimated (p,)."""
        return np.isfinite(self.coef)

    def linear_predictor(self, x: Floats) -> Floats:
        """``x @ coef`` (n,) without offset; coefficients that are not estimable count as 0."""
        return row_products(np.ascontiguousarray(x, dtype=np.float64), np.nan_to_num(self.coef))


def cox(
    time: ArrayLike,
    event: ArrayLike,
    X: ArrayLike,
    *,
    entry: ArrayLike | None = None,
    strata: ArrayLike | Sequence[ArrayLike] | None = None,
    weights: ArrayLike | None = None,
    cluster: ArrayLike | None = None,
    offset: ArrayLike | None = None,
    ties: str = "efron",
    names: Sequence[str] | None = None,
    level: float = 0.95,
) -> CoxFit:
    """Fit a Cox proportional hazards model by maximum partial likelihood.

    Parameters
    ----------
    time, event : array of shape (n,)
        End of follow-up, and 1 for an event or 0 for censored. Times equal up to rounding are one time.
    X : array of shape (n, p)
        Covariates, numeric and complete; a vector is one covariate; p = 0 is allowed.
    entry : array of shape (n,), optional
        Delayed entry: a row is at risk when ``entry < t <= time``.
    strata : array of shape (n,) or list of such, optional
        Each stratum (a combination of values) has its own baseline hazard.
    weights : array of shape (n,), optional
        Case weights, used as given; a row of weight 0 counts as absent.
    cluster : array of shape (n,), optional
        Labels; asks for the sandwich covariance summed within cluster (row ids give the plain robust one).
    offset : array of shape (n,), optional
        Added to the linear predictor with coefficient 1.
    ties : {"efron", "breslow"}
        Approximation for tied events.
    names : sequence of str, optional
        Names of the covariates, used in reasons.
    level : float
        Confidence level of the hazard ratio's limits.

    Returns
    -------
    CoxFit
        Without any event ``status`` is ``not_estimable``. A likelihood that rises for ever in some direction
        (separation) has no maximum: its coefficients are nan, named in ``monotone``; :func:`cox_firth` is the remedy.

    Raises
    ------
    InvalidInputError
        Impossible times, events, weights; missing covariates; unequal lengths.

    References
    ----------
    Cox (1972), JRSS B 34:187. Efron (1977), JASA 72:557. Lin & Wei (1989), JASA 84:1074 (sandwich).
    Therneau & Grambsch (2000), Modeling Survival Data. Bryson & Johnson (1981), Technometrics 23:381 (monotone).
    """
    level = check_level(level)
    data = cox_data(
        time, event, X, entry=entry, strata=strata, weights=weights, cluster=cluster, offset=offset, ties=ties,
        names=names,
    )  # fmt: skip
    return fit_cox(data, level)


def fit_cox(data: CoxData, level: float = 0.95) -> CoxFit:
    """Fit checked data; see :func:`cox`."""
    if data.events == 0:
        return _no_event(data, level)
    found = solve(data)
    coef, covariance, top = found.coef, found.covariance, found.top
    collinear = tuple(data.names[j] for j in np.flatnonzero(found.collinear))
    monotone = tuple(data.names[j] for j in np.flatnonzero(found.monotone))
    reason = _reason(collinear, monotone, top)
    status: Status = "ok" if np.isfinite(coef).any() or coef.size == 0 else "not_estimable"
    rank = coef.size - len(collinear)
    half = float(ndtri(0.5 + level / 2.0)) * np.sqrt(covariance.diagonal())
    with np.errstate(over="ignore"):
        ratio, lower, upper = np.exp(coef), np.exp(coef - half), np.exp(coef + half)
    score_statistic = float(top.score_null @ inverse(top.information_null) @ top.score_null)
    ratio_statistic = max(2.0 * (top.loglik - top.loglik_null), 0.0)
    wald_statistic = _wald(coef, covariance) if top.converged and not monotone else NAN
    pairs = _concordance(data, coef) if status == "ok" else (NAN, NAN)
    return CoxFit(
        names=data.names, coef=coef, std_error=found.std_error, robust_std_error=found.robust,
        covariance=covariance,
        loglik_null=top.loglik_null, loglik=top.loglik,
        wald=_test(data, wald_statistic, rank, "Wald test", reason),
        score=_test(data, score_statistic, rank, "score test", reason),
        likelihood_ratio=_test(data, ratio_statistic if top.converged else NAN, rank, "likelihood ratio test", reason),
        hazard_ratio=ratio, lower=lower, upper=upper, level=level,
        concordance=pairs[0], concordance_se=pairs[1], n=data.n, events=data.events, iterations=top.iterations,
        converged=top.converged, collinear=collinear, monotone=monotone, status=status, reason=reason, data=data,
    )  # fmt: skip


def _reason(collinear: tuple[str, ...], monotone: tuple[str, ...], top: Maximum) -> str:
    parts = []
    if collinear:
        parts.append(f"no own information in {', '.join(collinear)} (constant, or a combination of earlier columns)")
    if monotone and (top.monotone.any() or not top.converged):
        parts.append(f"the likelihood has no finite maximum in {', '.join(monotone)} (separation)")
    elif monotone:
        parts.append(f"no credible estimate of {', '.join(monotone)} (all but separated, or nearly collinear)")
    if not top.converged:
        parts.append("Newton's method did not converge")
    return "; ".join(parts)


def _wald(coef: Floats, covariance: Floats) -> float:
    """Quadratic form of the estimable coefficients; generalised inverse where clusters are fewer than covariates."""
    at = np.isfinite(coef)
    used = covariance[np.ix_(at, at)]
    sd = np.sqrt(used.diagonal())
    if not np.all(sd > 0):
        return NAN
    z = coef[at] / sd
    return float(z @ np.linalg.lstsq(used / np.outer(sd, sd), z, rcond=1e-11)[0])


def _test(data: CoxData, statistic: float, df: int, method: str, reason: str) -> TestResult:
    ok = df > 0 and np.isfinite(statistic)
    return TestResult(
        statistic=statistic if ok else NAN,
        df=df,
        p=float(chdtrc(df, max(statistic, 0.0))) if ok else NAN,
        null_hypothesis="no covariate of the model is associated with the hazard (all coefficients are 0)",
        method=f"{method}, Cox model",
        n=data.n,
        events=data.events,
        status="ok" if ok else "not_estimable",
        reason="" if ok else (reason or "the model has no covariate"),
    )


def _concordance(data: CoxData, coef: Floats) -> tuple[float, float]:
    """Concordance of the linear predictor (offset included) and its infinitesimal jackknife standard error."""
    risk = data.offset + row_products(data.x, np.nan_to_num(coef))
    sums = concordance_sums(data.time, data.event, risk, entry=data.entry, strata=data.strata, weights=data.weights)
    return sums.concordance, sums.std_error(data.cluster)


def _no_event(data: CoxData, level: float) -> CoxFit:
    """The result of a model without any event."""
    p, reason = data.x.shape[1], "there is no event"
    missing = np.full(p, NAN)
    nothing = _test(data, NAN, p, "no test", reason)
    return CoxFit(
        names=data.names, coef=missing, std_error=missing, robust_std_error=None if data.cluster is None else missing,
        covariance=np.full((p, p), NAN), loglik_null=NAN, loglik=NAN, wald=nothing, score=nothing,
        likelihood_ratio=nothing, hazard_ratio=missing, lower=missing, upper=missing, level=level, concordance=NAN,
        concordance_se=NAN, n=data.n, events=0, iterations=0, converged=False, collinear=(), monotone=(),
        status="not_estimable", reason=reason, data=data,
    )  # fmt: skip


def cox_compare(small: CoxFit, large: CoxFit) -> TestResult:
    """Likelihood ratio test of nested Cox models fitted to the same rows.

    Null hypothesis: the covariates that ``large`` adds to ``small`` have coefficients 0. The statistic is
    ``2 (l(large) - l(small))``; df is the difference of the numbers of independent columns.

    Raises
    ------
    InvalidInputError
        When the models are not of the same rows, strata, ties and weights, or not nested.
    """
    one, two = small.data, large.data
    same = (
        one.time.shape == two.time.shape
        and one.ties == two.ties
        and all(
            np.array_equal(getattr(one, key), getattr(two, key))
            for key in ("time", "event", "strata", "weights", "offset")
        )
        and (one.entry is None) == (two.entry is None)
        and (one.entry is None or two.entry is None or np.array_equal(one.entry, two.entry))
    )
    if not same:
        raise InvalidInputError("cox_compare: the models must share rows, strata, weights, offset and ties")
    if not _nested(one.x, two.x):
        raise InvalidInputError("cox_compare: the covariates of the small model are not all in the large one")
    df = len(large.names) - len(large.collinear) - (len(small.names) - len(small.collinear))
    statistic = 2.0 * (large.loglik - small.loglik)
    reason = "; ".join(part for part in (small.reason, large.reason) if part)
    known = small.converged and large.converged
    added = ", ".join(name for name in large.names if name not in small.names)
    return replace(
        _test(two, max(statistic, 0.0) if known else NAN, df, "likelihood ratio test of nested models", reason),
        null_hypothesis=f"the added covariates have no effect on the hazard ({added})",
    )


def wald_test(fit: CoxFit, terms: Iterable[int]) -> TestResult:
    """Wald test that the coefficients at the positions ``terms`` are all 0, with the covariance of the fit.

    With ``cluster`` that is the sandwich, where a likelihood ratio would take rows as independent. Not estimable when
    one of them is not.
    """
    at = np.array(list(terms), dtype=np.intp)
    known = fit.converged and bool(fit.estimable[at].all())
    statistic = _wald(fit.coef[at], fit.covariance[np.ix_(at, at)]) if known else NAN
    tested = ", ".join(fit.names[j] for j in at)
    return replace(
        _test(fit.data, statistic, at.size, "Wald test", fit.reason),
        null_hypothesis=f"the coefficients of these covariates are 0 ({tested})",
    )


def _nested(small: Floats, large: Floats) -> bool:
    """Whether the columns of ``small`` lie in the span of those of ``large``."""
    if small.shape[1] == 0:
        return True
    if large.shape[1] == 0:
        return False
    scale = np.maximum(np.abs(large).max(axis=0), 1e-300)
    basis = np.column_stack((np.ones(large.shape[0]), large / scale))
    norm = np.maximum(np.abs(small).max(axis=0), 1e-300)
    rest = small / norm - basis @ np.linalg.lstsq(basis, small / norm, rcond=None)[0]
    return bool(np.max(np.abs(rest)) < 1e-6)
