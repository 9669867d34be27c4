"""Firth's penalised Cox regression: finite estimates where the partial likelihood is monotone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq
from scipy.special import chdtrc, chdtri

from trialstrat.results import Status, TestResult
from trialstrat.stats.checks import check_level
from trialstrat.stats.cox_data import CoxData, cox_data
from trialstrat.stats.kernels.linear import row_products, weighted_total
from trialstrat.stats.partial_likelihood import independent_columns, information, inverse, score, sweep
from trialstrat.stats.risk_sets import RiskSets

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
MAX_ITERATIONS = 100
#: Step of the central differences of the score, on the scale of standardised covariates.
DIFFERENCE = 1e-5


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FirthFit:
    """Cox model fitted by Firth's penalised likelihood, Breslow's ties. Arrays by covariate, (p,).

    ``lower`` and ``upper`` are profile penalised likelihood limits of the hazard ratio ``hazard_ratio`` (unless Wald
    limits were asked for); an infinite limit is one the data do not give. ``penalised_loglik`` is on the scale of the
    covariates as given. Collinear columns are nan and named in ``collinear``.
    """

    names: tuple[str, ...]
    coef: Floats
    std_error: Floats
    hazard_ratio: Floats
    lower: Floats
    upper: Floats
    level: float
    penalised_loglik: float
    likelihood_ratio: TestResult
    n: int
    events: int
    iterations: int
    converged: bool
    collinear: tuple[str, ...]
    status: Status
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Peak:
    coef: Floats
    value: float
    information: Floats
    iterations: int
    converged: bool


def cox_firth(
    time: ArrayLike,
    event: ArrayLike,
    X: ArrayLike,
    *,
    entry: ArrayLike | None = None,
    strata: ArrayLike | Sequence[ArrayLike] | None = None,
    names: Sequence[str] | None = None,
    level: float = 0.95,
    limits: Literal["profile", "wald"] = "profile",
) -> FirthFit:
    """Maximise ``l(b) + log det I(b) / 2``, the partial likelihood with Jeffreys' prior (Breslow's ties).

    The estimate is finite also when the events are separated by a covariate, and less biased with few events.
    Standard errors come from the inverse information at the estimate; the limits from the profile of the penalised
    likelihood, which is far from quadratic in just those cases. Null hypothesis of ``likelihood_ratio``: all
    coefficients are 0 (the value at 0 includes its own penalty).

    Parameters
    ----------
    time, event, X, entry, strata, names, level
        As in :func:`~trialstrat.stats.cox.cox`.
    limits
        ``wald``: normal limits from the standard errors, where there are so many covariates that the profiles (a
        maximisation over all others at every point looked at) would take hours, or where nobody reads the limits.

    Raises
    ------
    InvalidInputError
        Impossible arguments.

    References
    ----------
    Firth (1993), Biometrika 80:27. Heinze & Schemper (2001), Biometrics 57:114.
    """
    level = check_level(level)
    data = cox_data(time, event, X, entry=entry, strata=strata, names=names, ties="breslow")
    p = data.x.shape[1]
    if data.events == 0:
        return _missing(data, level, "there is no event", ())
    centre = data.x.mean(axis=0)
    scale = data.x.std(axis=0)
    scale = np.where(scale <= 1e-13 * np.abs(centre), np.inf, scale)
    x = ((data.x - centre) / scale)[data.sets.order]
    null = sweep(data.sets, x, np.zeros(x.shape[0]))
    keep = independent_columns(information(data.sets, x, null), float(data.sets.mass.sum()))
    collinear = tuple(data.names[j] for j in np.flatnonzero(~keep))
    if not keep.any():
        return _missing(data, level, "no covariate varies within the risk sets", collinear)
    used = _Penalised(data.sets, np.ascontiguousarray(x[:, keep]))
    peak = used.maximise(np.zeros(int(keep.sum())))
    if not peak.converged:
        return _missing(data, level, "the penalised likelihood did not converge", collinear)
    null_value = used.value(np.zeros(int(keep.sum())))
    half_drop = float(chdtri(1, 1.0 - level)) / 2.0
    kept = np.flatnonzero(keep)
    full = np.full((4, p), np.nan)
    full[0, kept] = peak.coef
    full[1, kept] = np.sqrt(inverse(peak.information).diagonal())
    if limits == "profile":
        full[2:, kept] = np.array([used.profile_limits(peak, j, half_drop) for j in range(kept.size)]).T
    else:
        width = float(np.sqrt(2.0 * half_drop)) * full[1, kept]
        full[2:, kept] = peak.coef - width, peak.coef + width
    full /= scale
    statistic = max(2.0 * (peak.value - null_value), 0.0)
    with np.errstate(over="ignore"):
        ratio, lower, upper = np.exp(full[0]), np.exp(full[2]), np.exp(full[3])
    return FirthFit(
        names=data.names, coef=full[0], std_error=full[1], hazard_ratio=ratio, lower=lower, upper=upper, level=level,
        penalised_loglik=peak.value + float(np.log(scale[kept]).sum()),
        likelihood_ratio=_ratio_test(data, statistic, kept.size, ""), n=data.n, events=data.events,
        iterations=peak.iterations, converged=True, collinear=collinear, status="ok",
        reason=f"no own information in {', '.join(collinear)}" if collinear else "",
    )  # fmt: skip


class _Penalised:
    """Penalised likelihood of scaled covariates ``x`` (n, p; sorted rows)."""

    def __init__(self, sets: RiskSets, x: Floats) -> None:
        self.sets, self.x = sets, x
        p = x.shape[1]
        products = (x[:, :, None] * x[:, None, :]).reshape(x.shape[0], p * p)
        self.wide = np.ascontiguousarray(np.hstack((x, products)))

    def value(self, coef: Floats) -> float:
        """Penalised log-likelihood; -inf where the information is singular."""
        at = sweep(self.sets, self.x, row_products(self.x, coef))
        sign, log_det = np.linalg.slogdet(information(self.sets, self.x, at))
        value = at.loglik(self.sets) + 0.5 * log_det
        return float(value) if sign > 0 and np.isfinite(value) else -np.inf

    def derivatives(self, coef: Floats) -> tuple[Floats, Floats]:
        """Modified score ``U_r + trace(I^-1 dI/db_r) / 2`` and information (without that of the penalty)."""
        sets, x, p = self.sets, self.x, self.x.shape[1]
        at = sweep(sets, self.wide, row_products(x, coef))
        mean = np.ascontiguousarray(at.mean[:, :p])
        second = at.mean[:, p:].reshape(-1, p, p)
        curvature = information(sets, x, replace(at, mean=mean))
        model = inverse(curvature)
        # third central moments of the risk sets, contracted with the inverse information
        distance = np.einsum("ij,jk,ik->i", x, model, x)
        bent = mean @ model
        raw = weighted_total(x, sets.weight * at.risk * at.hazard * distance)
        inner = np.einsum("kst,st->k", second, model) - 2.0 * np.einsum("ks,ks->k", bent, mean)
        lowered = mean * inner[:, None] + 2.0 * np.einsum("ks,ksr->kr", bent, second)
        return score(sets, x, at) + 0.5 * (raw - weighted_total(lowered, sets.mass)), curvature

    def maximise(self, start: Floats, fixed: int | None = None) -> _Peak:
        """Newton's method with the information as curvature; coordinate ``fixed`` stays where it starts."""
        free = np.array([j for j in range(start.size) if j != fixed], dtype=np.int64)
        coef, value, iterations, converged = start.copy(), self.value(start), 0, False
        gradient, curvature = self.derivatives(coef)
        while free.size and iterations < MAX_ITERATIONS:
            iterations += 1
            step = np.zeros_like(coef)
            step[free] = self._direction(coef, free, gradient, curvature)
            if not np.all(np.isfinite(step)):
                break
            step *= min(1.0, 2.0 / max(float(np.max(np.abs(step))), 1e-300))
            length = 1.0
            while (trial := self.value(coef + length * step)) < value - 1e-12 * (1.0 + abs(value)) and length > 1e-6:
                length /= 2.0
            coef, value = coef + length * step, trial
            gradient, curvature = self.derivatives(coef)
            if np.max(np.abs(length * step) / (1.0 + np.abs(coef))) < 1e-10:
                converged = True
                break
        return _Peak(
            coef=coef, value=value, information=curvature, iterations=iterations, converged=converged or not free.size
        )

    def _direction(self, coef: Floats, free: Ints, gradient: Floats, curvature: Floats) -> Floats:
        """Newton step with the curvature of the penalised likelihood by differences of its score.

        The information alone, without the curvature of the penalty, converges slowly or not at all with few events;
        it is the fallback where the penalised likelihood is not concave.
        """
        shifts = np.eye(coef.size)[free] * DIFFERENCE
        rises = [self.derivatives(coef + shift)[0] - self.derivatives(coef - shift)[0] for shift in shifts]
        hessian = -np.array(rises)[:, free] / (2.0 * DIFFERENCE)
        step = inverse((hessian + hessian.T) / 2.0) @ gradient[free]
        return step if np.all(np.isfinite(step)) else inverse(curvature[np.ix_(free, free)]) @ gradient[free]

    def profile_limits(self, peak: _Peak, j: int, half_drop: float) -> tuple[float, float]:
        """Where the profile of coefficient j has fallen by ``half_drop`` on either side of the peak."""
        width = float(np.sqrt(inverse(peak.information)[j, j] * 2.0 * half_drop))

        def height(value: float) -> float:
            start = peak.coef.copy()
            start[j] = value
            return self.maximise(start, fixed=j).value - peak.value + half_drop

        return self._crossing(height, peak.coef[j], -width), self._crossing(height, peak.coef[j], width)

    @staticmethod
    def _crossing(height: Callable[[float], float], start: float, width: float) -> float:
        near, far = start, start + width
        for _ in range(8):
            if height(far) < 0:
                return float(np.asarray(brentq(height, min(near, far), max(near, far), xtol=1e-8)))
            near, far = far, start + 2.0 * (far - start)
        return float(np.copysign(np.inf, width))


def _ratio_test(data: CoxData, statistic: float, df: int, reason: str) -> TestResult:
    ok = bool(np.isfinite(statistic))
    return TestResult(
        statistic=statistic,
        df=df,
        p=float(chdtrc(df, statistic)) if ok else np.nan,
        null_hypothesis="no covariate of the model is associated with the hazard (all coefficients are 0)",
        method="penalised likelihood ratio test, Cox model with Firth's penalty",
        n=data.n,
        events=data.events,
        status="ok" if ok else "not_estimable",
        reason=reason,
    )


def _missing(data: CoxData, level: float, reason: str, collinear: tuple[str, ...]) -> FirthFit:
    nan = np.full(data.x.shape[1], np.nan)
    return FirthFit(
        names=data.names, coef=nan, std_error=nan, hazard_ratio=nan, lower=nan, upper=nan, level=level,
        penalised_loglik=np.nan, likelihood_ratio=_ratio_test(data, np.nan, data.x.shape[1], reason), n=data.n,
        events=data.events, iterations=0, converged=False, collinear=collinear, status="not_estimable", reason=reason,
    )  # fmt: skip
