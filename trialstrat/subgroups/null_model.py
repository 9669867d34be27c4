"""The outcome without heterogeneity of effect: treatment and main effects of all markers, and what is left over."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import expit, ndtri
from scipy.stats import rankdata

from trialstrat.cohort.shown import ShownOutcome
from trialstrat.subgroups.literals import POINT_MASS, Marker

Floats = NDArray[np.float64]

#: Ridge penalty on standardised main effects, in units of the log-likelihood: they are expected to be around 0.3.
RIDGE = 10.0
UNPENALISED = 1e-8
_STEPS = 25


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class NullFit:
    """What each patient contributes to the score of a treatment effect: ``residual`` and ``expected`` (n,).

    ``prognosis`` (n,) is the linear predictor of the main effects (with intercept where there is one) under control,
    ``effect`` that of treatment in everybody. ``coef`` (p,) are the main effects, ``covariance`` (p, p) that of them.

    For times: martingale residuals and expected events (of the cause of interest); for binary outcomes y - p and
    p (1 - p); for continuous ones residual and 1, both over the residual variance. The effect of treatment in any
    group of patients is, to first order, the sum of residuals of the treated (centred) over the information.
    """

    residual: Floats
    expected: Floats
    prognosis: Floats
    effect: float
    coef: Floats
    covariance: Floats
    method: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MainEffects:
    """Standardised ``columns`` (n, p) for the prognosis, and the number of the marker that each is of (p,)."""

    columns: Floats
    owner: NDArray[np.int64]


def main_effects(frame: pd.DataFrame, markers: Sequence[Marker]) -> MainEffects:
    """Columns for the prognosis: normal scores and their squares, point masses, levels.

    Unknown values are at the average, with a column that says so.
    """
    columns: list[Floats] = []
    owner: list[int] = []
    for number, marker in enumerate(markers):
        values = frame[marker.column]
        known = values.notna().to_numpy()
        if not known.all():
            columns.append((~known).astype(np.float64))
        if marker.levels:
            text = values.astype(str).to_numpy()
            columns += [(known & (text == level)).astype(np.float64) for level in marker.levels[1:]]
        else:
            columns += _numeric(values.to_numpy(dtype=np.float64, na_value=np.nan), known)
        owner += [number] * (len(columns) - len(owner))
    kept = [at for at, x in enumerate(columns) if float(np.std(x)) > 0]
    made = np.column_stack([columns[at] for at in kept]) if kept else np.zeros((len(frame), 0))
    return MainEffects(
        columns=(made - made.mean(axis=0)) / made.std(axis=0),
        owner=np.array([owner[at] for at in kept], dtype=np.int64),
    )


def normal_scores(values: Floats, known: NDArray[np.bool_]) -> Floats:
    """Normal scores of the mid-ranks (n,); 0 where unknown."""
    out = np.zeros(len(values))
    out[known] = ndtri((rankdata(values[known]) - 0.5) / max(int(known.sum()), 1))
    return out


def _numeric(values: Floats, known: NDArray[np.bool_]) -> list[Floats]:
    score = normal_scores(values, known)
    distinct, counts = np.unique(values[known], return_counts=True)
    if len(distinct) <= 2:
        return [score]
    masses = distinct[counts >= POINT_MASS * len(values)] if len(distinct) > 10 else distinct[:0]
    return [score, score**2, *((values == x).astype(np.float64) for x in masses[:3])]


def null_fit(outcome: ShownOutcome, treated: NDArray[np.int64], Z: Floats, weights: Floats | None = None) -> NullFit:
    """Fit treatment (not penalised) and ``Z`` (n, p; ridge) to an outcome.

    Competing events are taken by their cause-specific hazard: other causes count as censored.

    References
    ----------
    Therneau, Grambsch & Fleming (1990), Biometrika 77:147 (martingale residuals). Verweij & van Houwelingen (1994),
    Stat Med 13:2427 (ridge Cox).
    """
    arm = treated.astype(np.float64)
    weight = np.ones(len(arm)) if weights is None else weights
    if outcome.time is not None:
        return _times(outcome, outcome.time, np.column_stack([arm, Z]), weight)
    A = np.column_stack([np.ones(len(arm)), arm, Z])
    penalty = np.concatenate([[UNPENALISED, UNPENALISED], np.full(Z.shape[1], RIDGE)])
    if outcome.value is not None and outcome.kind == "continuous":
        return _values(outcome.value, A, penalty, weight)
    return _binary(outcome.of_interest.astype(np.float64), A, penalty, weight)


def _times(outcome: ShownOutcome, time: Floats, X: Floats, weight: Floats) -> NullFit:
    hazard = CoxSums(time, outcome.of_interest, outcome.entry, weight)
    penalty = np.concatenate([[UNPENALISED], np.full(X.shape[1] - 1, RIDGE)])
    coef = _newton(lambda b: hazard.derivatives(X, b), penalty)
    expected = hazard.expected(X @ coef)
    covariance = _inverse(hazard.derivatives(X, coef)[1] + np.diag(penalty))
    return NullFit(
        residual=outcome.of_interest - expected, expected=expected, prognosis=X[:, 1:] @ coef[1:],
        effect=float(coef[0]), coef=coef[1:], covariance=covariance[1:, 1:],
        method="Cox model with ridge main effects",
    )  # fmt: skip


def _values(value: Floats, A: Floats, penalty: Floats, weight: Floats) -> NullFit:
    W = weight[:, None] * A
    information = W.T @ A + np.diag(penalty)
    coef: Floats = np.asarray(np.linalg.solve(information, W.T @ value), dtype=np.float64)
    rest = value - A @ coef
    variance = float(np.average(rest**2, weights=weight)) or 1.0
    return NullFit(
        residual=rest / variance, expected=np.full(len(rest), 1.0 / variance),
        prognosis=A @ coef - A[:, 1] * coef[1], effect=float(coef[1]), coef=coef[2:],
        covariance=variance * _inverse(information)[2:, 2:], method="linear model with ridge main effects",
    )  # fmt: skip


def _binary(y: Floats, A: Floats, penalty: Floats, weight: Floats) -> NullFit:
    def derivatives(b: Floats) -> tuple[Floats, Floats]:
        p = expit(A @ b)
        return A.T @ (weight * (y - p)), (A * (weight * p * (1 - p))[:, None]).T @ A

    coef = _newton(derivatives, penalty)
    risk = expit(A @ coef)
    return NullFit(
        residual=y - risk, expected=risk * (1 - risk), prognosis=A @ coef - A[:, 1] * coef[1],
        effect=float(coef[1]), coef=coef[2:],
        covariance=_inverse(derivatives(coef)[1] + np.diag(penalty))[2:, 2:],
        method="logistic model with ridge main effects",
    )  # fmt: skip


class CoxSums:
    """Breslow sums of a Cox model with delayed entry and weights, for fixed times."""

    def __init__(self, time: Floats, event: NDArray[np.int64], entry: Floats | None, weight: Floats) -> None:
        self.event = event.astype(np.float64) * weight
        self.weight = weight
        self.at = np.unique(time[event == 1])
        self.last = np.searchsorted(self.at, time, side="right")
        self.first = np.zeros(len(time), dtype=np.int64)
        if entry is not None:
            self.first = np.searchsorted(self.at, entry, side="right")
        self.died = np.bincount(self.last[event == 1] - 1, weights=self.event[event == 1], minlength=len(self.at))

    def _at_risk(self, values: Floats) -> Floats:
        """Sum of ``values`` (n, p) over those at risk at each event time (k, p)."""
        size = len(self.at) + 1
        total = np.zeros((size, values.shape[1]))
        np.add.at(total, self.first, values)
        np.subtract.at(total, self.last, values)
        return np.cumsum(total, axis=0)[:-1]

    def expected(self, score: Floats) -> Floats:
        """Expected events (n,) given the linear predictor."""
        risk = np.exp(score)
        hazard = self.died / self._at_risk((risk * self.weight)[:, None])[:, 0]
        cumulative = np.concatenate([[0.0], np.cumsum(hazard)])
        return (cumulative[self.last] - cumulative[self.first]) * risk

    def cumulative(self, score: Floats) -> Floats:
        """Cumulative baseline hazard just after each event time ``at`` (k,), given the linear predictor."""
        return np.cumsum(self.died / self._at_risk((np.exp(score) * self.weight)[:, None])[:, 0])

    def derivatives(self, X: Floats, coef: Floats) -> tuple[Floats, Floats]:
        """Gradient (p,) and information (p, p) of the log partial likelihood."""
        risk = np.exp(X @ coef) * self.weight
        mean = self._at_risk(risk[:, None] * X)
        total = self._at_risk(risk[:, None])
        mean /= total
        expected = self.expected(X @ coef) * self.weight
        information = (X * expected[:, None]).T @ X - (mean * self.died[:, None]).T @ mean
        return X.T @ (self.event - expected), information


def _inverse(information: Floats) -> Floats:
    return np.asarray(np.linalg.inv(information), dtype=np.float64)


def _newton(derivatives: Callable[[Floats], tuple[Floats, Floats]], penalty: Floats) -> Floats:
    """Maximise a penalised log-likelihood from 0; steps are cut to length 2 so that none overshoots."""
    coef = np.zeros(len(penalty))
    for _ in range(_STEPS):
        gradient, information = derivatives(coef)
        step = np.linalg.solve(information + np.diag(penalty), gradient - penalty * coef)
        largest = float(np.abs(step).max(initial=0.0))
        coef = coef + step * min(1.0, 2.0 / largest) if largest > 0 else coef
        if largest < 1e-7:
            break
    return coef
