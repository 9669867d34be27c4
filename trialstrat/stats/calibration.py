"""Calibration: do as many patients have the event as a model predicts, on average, by risk group and along the risk."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri

from trialstrat.errors import InvalidInputError
from trialstrat.results import NAN, Status
from trialstrat.stats.censoring import slack
from trialstrat.stats.checks import SurvivalData, check_horizon, check_level, check_probabilities, check_survival
from trialstrat.stats.cox import cox
from trialstrat.stats.survival import curve_of

Floats = NDArray[np.float64]
_BEYOND = "the horizon lies beyond the last follow-up; choose an earlier one"


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservedExpected:
    """Observed (Kaplan-Meier) and expected (mean prediction) probability of an event, and their ratio.

    Limits of the ratio are on the log scale and take the predictions as given.
    """

    observed: float
    std_error: float
    expected: float
    ratio: float
    lower: float
    upper: float
    level: float
    n: int
    events: int
    status: Status = "ok"
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrationSlope:
    """Log hazard ratio per unit of log(-log(1 - predicted)): 1 is right, below 1 predictions are too extreme.

    ``moved`` counts predictions of exactly 0 or 1, which were moved to the nearest one inside (0, 1).
    """

    slope: float
    std_error: float
    lower: float
    upper: float
    level: float
    n: int
    events: int
    moved: int
    status: Status = "ok"
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CalibrationGroups:
    """Groups of rising predicted risk (arrays (g,)): mean prediction and observed probability of an event by ``at``.

    ``observed`` is 1 - Kaplan-Meier at the horizon (carried forward where a group's follow-up ends earlier) with
    Greenwood's standard error and log-log limits (nan where a group has no event, or nobody left).
    """

    n: NDArray[np.int64]
    events: NDArray[np.int64]
    mean_predicted: Floats
    observed: Floats
    std_error: Floats
    lower: Floats
    upper: Floats
    level: float
    status: Status = "ok"
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """The three summaries of calibration at one horizon; each has its own status."""

    at: float
    observed_expected: ObservedExpected
    slope: CalibrationSlope
    groups: CalibrationGroups


def calibration(
    time: ArrayLike, event: ArrayLike, predicted: ArrayLike, at: float, *, groups: int = 10, level: float = 0.95
) -> Calibration:
    """Calibration in the large, slope and groups of predicted probabilities of an event by ``at``.

    Parameters
    ----------
    time, event : array of shape (n,)
        Follow-up time; 1 event, 0 censored.
    predicted : array of shape (n,)
        Predicted probability of an event by ``at``.
    at : float
        Horizon. The slope uses the whole follow-up.
    groups : int
        Number of groups, cut at equidistant quantiles of the prediction; ties may leave fewer.
    level : float
        Of the confidence intervals.

    Raises
    ------
    InvalidInputError
        Probabilities outside [0, 1], impossible times, events, horizon or number of groups.

    References
    ----------
    Royston & Altman (2013), BMC Medical Research Methodology 13:33.
    van Houwelingen (2000), Statistics in Medicine 19:3401 (slope on the complementary log-log scale).
    """
    rows = check_survival(time, event)
    risk = check_probabilities(predicted, rows.n)[:, 0]
    horizon = check_horizon(at, name="at")
    check_level(level)
    if groups < 1:
        raise InvalidInputError("groups: at least one group is needed")
    return Calibration(
        at=horizon,
        observed_expected=_observed_expected(rows, risk, horizon, level),
        slope=_slope(rows, risk, level),
        groups=_by_groups(rows, risk, horizon, groups, level),
    )


def _observed_expected(rows: SurvivalData, risk: Floats, at: float, level: float) -> ObservedExpected:
    expected, events = float(risk.mean()), int(rows.event.sum())
    observed, error, reason = NAN, NAN, ""
    if _reached(rows, at):
        curve = curve_of(rows).at(at + _slack(rows))
        observed, error = 1.0 - float(curve.survival[0]), float(curve.std_error[0])
        if not expected > 0:
            reason = "all predicted probabilities are 0; there is no ratio to them"
    else:
        reason = _BEYOND
    ratio = NAN if reason else observed / expected
    factor = float(np.exp(_z(level) * error / observed)) if observed > 0 else NAN
    return ObservedExpected(
        observed=observed,
        std_error=error,
        expected=expected,
        ratio=ratio,
        lower=ratio / factor,
        upper=ratio * factor,
        level=level,
        n=rows.n,
        events=events,
        status="not_estimable" if reason else "ok",
        reason=reason,
    )


def _by_groups(rows: SurvivalData, risk: Floats, at: float, groups: int, level: float) -> CalibrationGroups:
    breaks = np.unique(np.quantile(risk, np.linspace(0.0, 1.0, groups + 1)))
    code = np.searchsorted(breaks[1:-1], risk, side="left")
    members = [code == k for k in np.unique(code)]
    reached = _reached(rows, at)
    shown = [curve_of(rows.subset(mask), conf_type="log-log", level=level).at(at + _slack(rows)) for mask in members]

    def column(name: str) -> Floats:
        values = np.concatenate([getattr(curve, name) for curve in shown])
        return values if reached else np.full(values.shape, np.nan)

    return CalibrationGroups(
        n=np.array([mask.sum() for mask in members], dtype=np.int64),
        events=np.array([rows.event[mask].sum() for mask in members], dtype=np.int64),
        mean_predicted=np.array([risk[mask].mean() for mask in members]),
        observed=1.0 - column("survival"),
        std_error=column("std_error"),
        lower=1.0 - column("upper"),
        upper=1.0 - column("lower"),
        level=level,
        status="ok" if reached else "not_estimable",
        reason="" if reached else _BEYOND,
    )


def _slope(rows: SurvivalData, risk: Floats, level: float) -> CalibrationSlope:
    moved_risk, moved = inside_unit_interval(risk)
    if np.isnan(moved_risk).any():
        slope, error, reason = NAN, NAN, "all predicted probabilities are 0 or 1"
    else:
        fit = cox(rows.time, rows.event, log_cumulative_hazard(moved_risk), names=["log(-log(1 - predicted))"])
        slope, error, reason = float(fit.coef[0]), float(fit.std_error[0]), fit.reason
    half = _z(level) * error
    return CalibrationSlope(
        slope=slope,
        std_error=error,
        lower=slope - half,
        upper=slope + half,
        level=level,
        n=rows.n,
        events=int(rows.event.sum()),
        moved=moved,
        status="ok" if np.isfinite(slope) else "not_estimable",
        reason="" if np.isfinite(slope) else reason,
    )


def inside_unit_interval(risk: Floats) -> tuple[Floats, int]:
    """Predictions of exactly 0 or 1 moved to the nearest prediction inside (0, 1), and how many were moved.

    Their complementary log-log is infinite; moved, they stay tied with the most extreme finite prediction.
    """
    inner = risk[(risk > 0) & (risk < 1)]
    if inner.size == 0:
        return np.full(risk.size, np.nan), risk.size
    return np.clip(risk, inner.min(), inner.max()), risk.size - inner.size


def log_cumulative_hazard(risk: Floats) -> Floats:
    """log(-log(1 - p)) of probabilities inside (0, 1)."""
    return np.log(-np.log1p(-risk))


def _reached(rows: SurvivalData, at: float) -> bool:
    return bool(at <= rows.time.max() + _slack(rows))


def _slack(rows: SurvivalData) -> float:
    return slack(np.unique(rows.time))


def _z(level: float) -> float:
    return float(ndtri(0.5 + level / 2))
