"""Kaplan-Meier and Nelson-Aalen curves with their limits, quantiles and follow-up time.

The definitions are those of R's survival package: Greenwood variance, events before censorings at tied times, limits on
the log scale by default, a quantile that falls on a flat piece of the curve is the middle of that piece.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

from trialstrat.errors import InvalidInputError
from trialstrat.results import Status
from trialstrat.stats.checks import (
    FloatArray,
    Label,
    SurvivalData,
    check_groups,
    check_level,
    check_survival,
    check_values,
)
from trialstrat.stats.kernels.km import km_steps
from trialstrat.stats.times import TOLERANCE

ConfType = Literal["log", "log-log", "plain"]
CONF_TYPES = ("log", "log-log", "plain")
_NONE = np.empty(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantile:
    """A survival quantile in time units; nan where the curve or its limit does not reach it.

    ``status`` is ``not_estimable`` when the estimate itself is not reached, and ``reason`` says so.
    """

    p: float
    estimate: float
    lower: float
    upper: float
    level: float
    status: Status = "ok"
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CurveAt:
    """Values of a survival curve at chosen times, one entry per time (``n_risk``: entry < t <= time)."""

    times: FloatArray
    n_risk: FloatArray
    survival: FloatArray
    std_error: FloatArray
    lower: FloatArray
    upper: FloatArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SurvivalCurve:
    """A Kaplan-Meier curve: one row per distinct time with an event or a censoring.

    Attributes
    ----------
    time, n_risk, n_event, n_censor : arrays of shape (m,)
        Distinct times; (weighted) numbers at risk just before, with an event, and censored.
    survival, std_error, lower, upper : arrays of shape (m,)
        Estimate, Greenwood standard error and pointwise limits. Where the curve is 0 the error and the limits are nan;
        before the first event the limits are 1 (nan with log-log limits).
    level, conf_type
        Confidence level and scale of the limits.
    n, events
        Number of rows and of rows with an event (not weighted).
    """

    time: FloatArray
    n_risk: FloatArray
    n_event: FloatArray
    n_censor: FloatArray
    survival: FloatArray
    std_error: FloatArray
    lower: FloatArray
    upper: FloatArray
    level: float
    conf_type: ConfType
    n: int
    events: int
    entry: FloatArray = field(repr=False)
    entry_weight: FloatArray = field(repr=False)

    def at(self, times: npt.ArrayLike) -> CurveAt:
        """Read the curve off at ``times``.

        The value is that of the last row at or before t (1, error 0 and limits 1 before the first row); after the last
        row the curve is carried forward with nobody at risk.
        """
        t = check_values(np.atleast_1d(np.asarray(times, dtype=np.float64)), name="times")
        row = np.searchsorted(self.time, t, side="right")
        return CurveAt(
            times=t,
            n_risk=self._at_risk(t),
            survival=np.concatenate(([1.0], self.survival))[row],
            std_error=np.concatenate(([0.0], self.std_error))[row],
            lower=np.concatenate(([1.0], self.lower))[row],
            upper=np.concatenate(([1.0], self.upper))[row],
        )

    def quantile(self, p: float) -> Quantile:
        """The time by which a share ``p`` has had the event, with limits from the limits of the curve.

        First time with 1 - S(t) >= p; when 1 - S equals p on a flat piece, the middle of that piece (up to the last
        time when the curve ends in it). The limits apply the same rule to the lower and the upper limit of the curve;
        where a limit curve is not monotone, its level closest beyond p decides.
        """
        if not 0.0 < p < 1.0:
            raise InvalidInputError("p: a probability strictly between 0 and 1 is needed")
        estimate = _crossing(self.time, self.survival, p)
        reached = bool(np.isfinite(estimate))
        reason = "" if reached else f"the curve does not fall to {1 - p:.3g} within the follow-up"
        return Quantile(
            p=float(p),
            estimate=estimate,
            lower=_crossing(self.time, self.lower, p),
            upper=_crossing(self.time, self.upper, p),
            level=self.level,
            status="ok" if reached else "not_estimable",
            reason=reason,
        )

    def _at_risk(self, t: FloatArray) -> FloatArray:
        row = np.searchsorted(self.time, t, side="left")
        if self.entry.shape[0] == 0:
            return np.append(self.n_risk, 0.0)[row]
        leaving = (self.n_event + self.n_censor)[::-1].cumsum()[::-1]
        entering = self.entry_weight[::-1].cumsum()[::-1]
        still_there = np.append(leaving, 0.0)[row]
        to_come = np.append(entering, 0.0)[np.searchsorted(self.entry, t, side="left")]
        at_risk = still_there - to_come
        # a difference of sums: what is left of rounding when nobody is at risk is not a person
        return np.where(at_risk > 1e-12 * still_there, at_risk, 0.0)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class HazardCurve:
    """A Nelson-Aalen curve: rows as in :class:`SurvivalCurve`; limits on the log scale (nan before the first event)."""

    time: FloatArray
    n_risk: FloatArray
    n_event: FloatArray
    cumulative_hazard: FloatArray
    std_error: FloatArray
    lower: FloatArray
    upper: FloatArray
    level: float
    n: int
    events: int


def kaplan_meier(
    time: npt.ArrayLike,
    event: npt.ArrayLike,
    *,
    entry: npt.ArrayLike | None = None,
    weights: npt.ArrayLike | None = None,
    conf_type: ConfType = "log",
    level: float = 0.95,
) -> SurvivalCurve:
    """Kaplan-Meier curve with Greenwood's variance.

    Parameters
    ----------
    time, event : arrays of shape (n,)
        Follow-up time and 0 (censored) or 1 (event).
    entry : array of shape (n,), optional
        Delayed entry; a patient is at risk at t when entry < t <= time.
    weights : array of shape (n,), optional
        Case weights; risk sets and events are weighted sums and the variance is Greenwood's with these sums.
    conf_type : {"log", "log-log", "plain"}
        Scale of the pointwise limits, cut to [0, 1].
    level : float
        Confidence level.

    Raises
    ------
    InvalidInputError
        Negative, missing or infinite times, codes other than 0 and 1, negative weights, entry not before time.

    References
    ----------
    Kaplan EL, Meier P (1958). JASA 53, 457-481. Greenwood M (1926). Reports on Public Health 33.
    """
    data = check_survival(time, event, entry=entry, weights=weights)
    return curve_of(data, conf_type=conf_type, level=level)


def kaplan_meier_by_group(
    time: npt.ArrayLike,
    event: npt.ArrayLike,
    group: npt.ArrayLike,
    *,
    entry: npt.ArrayLike | None = None,
    weights: npt.ArrayLike | None = None,
    conf_type: ConfType = "log",
    level: float = 0.95,
) -> dict[Label, SurvivalCurve]:
    """One :func:`kaplan_meier` curve per group, in sorted order of the labels; close times are merged over all rows."""
    data = check_survival(time, event, entry=entry, weights=weights)
    groups = check_groups(group, data.n)
    return {
        label: curve_of(data.subset(groups.codes == code), conf_type=conf_type, level=level)
        for code, label in enumerate(groups.labels)
    }


def reverse_kaplan_meier(time: npt.ArrayLike, event: npt.ArrayLike, level: float = 0.95) -> Quantile:
    """Median follow-up by the reverse Kaplan-Meier method: censoring is the event, limits on the log scale.

    At a tied time those with an event are still at risk of being censored.

    References
    ----------
    Schemper M, Smith TL (1996). Controlled Clinical Trials 17, 343-346.
    """
    data = check_survival(time, event)
    reverse = SurvivalData(time=data.time, event=1 - data.event)
    return curve_of(reverse, conf_type="log", level=level).quantile(0.5)


def nelson_aalen(
    time: npt.ArrayLike,
    event: npt.ArrayLike,
    *,
    entry: npt.ArrayLike | None = None,
    weights: npt.ArrayLike | None = None,
    level: float = 0.95,
) -> HazardCurve:
    """Nelson-Aalen cumulative hazard, sum of d / n, with variance sum of d / n^2 (tied events are one step).

    Arguments and refusals are those of :func:`kaplan_meier`. Limits are H exp(-/+ z se / H), nan while H is 0.

    References
    ----------
    Aalen OO (1978). Annals of Statistics 6, 701-726.
    """
    check_level(level)
    data = check_survival(time, event, entry=entry, weights=weights)
    steps = _steps(data)
    hazard, std_error = steps[6], np.sqrt(steps[7])
    with np.errstate(divide="ignore", invalid="ignore"):
        factor = np.exp(_z(level) * std_error / hazard)
    factor[hazard == 0.0] = np.nan
    return HazardCurve(
        time=steps[0],
        n_risk=steps[1],
        n_event=steps[2],
        cumulative_hazard=hazard,
        std_error=std_error,
        lower=hazard / factor,
        upper=hazard * factor,
        level=float(level),
        n=data.n,
        events=int(data.event.sum()),
    )


def curve_of(data: SurvivalData, *, conf_type: ConfType = "log", level: float = 0.95) -> SurvivalCurve:
    """The curve of data already checked by ``check_survival`` (times are not merged again)."""
    if conf_type not in CONF_TYPES:
        raise InvalidInputError(f"conf_type: one of {', '.join(CONF_TYPES)} is needed")
    check_level(level)
    time, n_risk, n_event, n_censor, survival, greenwood, _, _ = _steps(data)
    with np.errstate(invalid="ignore"):
        std_error = survival * np.sqrt(greenwood)
    lower, upper = confidence_limits(survival, greenwood, conf_type=conf_type, level=level)
    entry, entry_weight = _entries(data)
    return SurvivalCurve(
        time=time,
        n_risk=n_risk,
        n_event=n_event,
        n_censor=n_censor,
        survival=survival,
        std_error=std_error,
        lower=lower,
        upper=upper,
        level=float(level),
        conf_type=conf_type,
        n=data.n,
        events=int(data.event.sum()),
        entry=entry,
        entry_weight=entry_weight,
    )


def confidence_limits(
    survival: npt.ArrayLike, variance: npt.ArrayLike, *, conf_type: ConfType, level: float
) -> tuple[FloatArray, FloatArray]:
    """Limits of survival probabilities from the variance of log S, cut to [0, 1].

    nan where S is 0, and with log-log limits also where S is 1.
    """
    s = np.asarray(survival, dtype=np.float64)
    z = _z(level)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        se = np.sqrt(np.asarray(variance, dtype=np.float64))
        if conf_type == "log":
            lower, upper = s * np.exp(-z * se), s * np.exp(z * se)
        elif conf_type == "log-log":
            shift = z * se / np.log(s)
            lower, upper = s ** np.exp(-shift), s ** np.exp(shift)
        else:
            lower, upper = s - z * s * se, s + z * s * se
    defined = (s > 0.0) & (s < 1.0) if conf_type == "log-log" else s > 0.0
    lower = np.where(defined, np.clip(lower, 0.0, 1.0), np.nan)
    upper = np.where(defined, np.clip(upper, 0.0, 1.0), np.nan)
    return lower, upper


def _z(level: float) -> float:
    return float(-ndtri((1.0 - level) / 2.0))


def _entries(data: SurvivalData) -> tuple[FloatArray, FloatArray]:
    """Entry times in increasing order and the weights entering; empty without delayed entry."""
    if data.entry is None:
        return _NONE, _NONE
    order = np.argsort(data.entry, kind="stable")
    weights = np.ones(data.n) if data.weights is None else data.weights
    return data.entry[order], weights[order]


def _steps(data: SurvivalData) -> tuple[FloatArray, ...]:
    order = np.argsort(data.time, kind="stable")
    weights = np.ones(data.n) if data.weights is None else data.weights[order]
    return km_steps(data.time[order], data.event[order], weights, *_entries(data))


def _crossing(time: FloatArray, survival: FloatArray, p: float) -> float:
    """The time at which 1 - survival reaches ``p``, with the middle of a flat piece; nan when it is not reached."""
    fallen = np.concatenate(([0.0], 1.0 - survival))
    times = np.concatenate(([0.0], time))
    known = ~np.isnan(fallen)
    levels, first = np.unique(fallen[known], return_index=True)
    times_of_level = times[known][first]
    reach = int(np.searchsorted(levels, p - TOLERANCE, side="left"))
    if reach == levels.shape[0]:
        return float("nan")
    start = times_of_level[reach]
    if abs(p - fallen[-1]) < TOLERANCE:
        return float(start + times[-1]) / 2.0
    beyond = int(np.searchsorted(levels, p + TOLERANCE, side="left"))
    if beyond == levels.shape[0]:
        return float("nan")
    return float(start + times_of_level[beyond]) / 2.0
