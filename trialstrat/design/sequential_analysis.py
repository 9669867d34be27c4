"""Analysis of a group-sequential survival trial at the looks done so far.

All statistics are on the scale of the standardised log-rank statistic; hazard ratios follow from
log(hazard ratio) = Z (1 + r) / sqrt(r events), r the allocation ratio treatment : control (Schoenfeld 1981).

References
----------
Jennison & Turnbull 1989, JRSS B 51, 305-361 (repeated confidence intervals and p-values).
Tsiatis, Rosner & Mehta 1984, Biometrics 40, 797-803 (stage-wise ordering: exact interval, median unbiased estimate).
Proschan & Hunsberger 1995, Biometrics 51, 1315-1324; Mueller & Schaefer 2001, Biometrics 57, 886-891 (conditional
power and conditional rejection probability).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from trialstrat.design.checks import check_increasing, check_positive
from trialstrat.design.root import find_root
from trialstrat.design.sequential import GroupSequentialDesign
from trialstrat.design.sequential_bounds import Boundaries, critical_values, find_boundaries, rejection_level
from trialstrat.design.sequential_integration import beginning, crossing
from trialstrat.design.sequential_spending import FutilityBounds, SequentialRule, constant_factor
from trialstrat.errors import InvalidInputError

FloatArray = npt.NDArray[np.float64]
_LARGEST_LEVEL = 0.5
#: Levels among which the repeated p-value is bracketed, from the largest down; below the last it is not resolved.
_LEVELS = (_LARGEST_LEVEL, 0.4, 0.3, 0.2, 0.1, 0.05, 0.02, 0.01, 1e-3, 1e-4, 1e-6, 1e-8, 1e-10, 1e-12, 1e-15)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SequentialAnalysis:
    """What the looks done so far (l of k) say.

    Per look: ``hazard_ratio`` (l,), ``repeated_ci`` (l, 2), ``repeated_p`` (l,) (nan where no level up to 1/2 would
    reject, and for user-defined spending, which has no other level). ``final_look`` (from 1) is the look at which the
    trial stopped or the last possible one, None while it goes on; only then ``adjusted_p``, ``median_unbiased`` and
    ``final_ci`` (2,) are numbers, else nan. ``conditional_power`` (k - l,), cumulative over the future looks, is None
    without planned events. ``conditional_rejection_probability`` has one value per look done but the last possible.
    """

    hazard_ratio: FloatArray
    repeated_ci: FloatArray
    repeated_p: FloatArray
    rejected: bool
    final_look: int | None
    adjusted_p: float
    median_unbiased: float
    final_ci: FloatArray
    conditional_power: FloatArray | None
    conditional_rejection_probability: FloatArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Looks:
    """The looks done: statistic towards the alternative ``z`` (l,) and the factor (l,) from Z to log hazard ratio."""

    design: GroupSequentialDesign
    z: FloatArray
    scale: FloatArray
    sign: float

    @property
    def done(self) -> int:
        return self.z.size

    @property
    def times(self) -> FloatArray:
        return self.design.rule.times


def gs_analysis(
    design: GroupSequentialDesign,
    events: Sequence[float],
    log_rank: Sequence[float],
    *,
    allocation: float = 1.0,
    direction: Literal["above", "below"] = "below",
    planned_events: Sequence[float] | None = None,
    assumed_hazard_ratio: float | None = None,
) -> SequentialAnalysis:
    """Repeated and final inference, conditional power and conditional rejection probabilities.

    The null hypothesis is a hazard ratio of 1 (one-sided designs: no effect in ``direction``).

    Parameters
    ----------
    design : GroupSequentialDesign
    events : sequence of l numbers
        Cumulative events at the looks done, in the ratio of the design's information rates.
    log_rank : sequence of l numbers
        Standardised log-rank statistic of all data up to each look, positive when the treatment hazard is higher.
    allocation : float
        Treatment : control.
    direction : {"above", "below"}
        Whether the alternative is a hazard ratio above or below 1.
    planned_events : sequence of k - l numbers, optional
        Further events of each future look; asks for conditional power.
    assumed_hazard_ratio : float, optional
        For the conditional power; without it the one observed at the last look.

    Returns
    -------
    SequentialAnalysis
        The final interval has level 1 - 2 alpha for one-sided and 1 - alpha for two-sided designs. Non-binding futility
        bounds count in the conditional power only, binding ones everywhere.

    Raises
    ------
    InvalidInputError
        More looks than the design has, lengths that differ, events not increasing, planned events that do not cover
        the future looks.

    References
    ----------
    See the module; final inference by stage-wise ordering (Tsiatis, Rosner & Mehta 1984, section 2).
    """
    looks = _check_looks(design, events, log_rank, allocation, direction)
    half_width = design.critical_values[: looks.done]
    signed = looks.sign * looks.z
    interval = np.exp(np.column_stack([signed - half_width, signed + half_width]) * looks.scale[:, None])
    final, rejected = _final_look(looks)
    adjusted, median, limits = _final_inference(looks, final)
    return SequentialAnalysis(
        hazard_ratio=np.exp(signed * looks.scale),
        repeated_ci=interval,
        repeated_p=np.array([_repeated_p(design.rule, look, looks.z[look]) for look in range(looks.done)]),
        rejected=rejected,
        final_look=None if final is None else final + 1,
        adjusted_p=adjusted,
        median_unbiased=median,
        final_ci=limits,
        conditional_power=_conditional_power(looks, planned_events, allocation, assumed_hazard_ratio),
        conditional_rejection_probability=_conditional_rejection(looks),
    )


def _check_looks(
    design: GroupSequentialDesign,
    events: Sequence[float],
    log_rank: Sequence[float],
    allocation: float,
    direction: str,
) -> _Looks:
    counts = check_increasing(events, name="events")
    z = np.asarray(log_rank, dtype=np.float64)
    if counts[0] <= 0:
        raise InvalidInputError("events: the number of events must be above 0 at every look")
    if z.shape != counts.shape or not np.isfinite(z).all():
        raise InvalidInputError("log_rank: one finite statistic per look is needed, as many as events")
    if counts.size > design.rule.times.size:
        raise InvalidInputError(f"events: {counts.size} looks, the design has {design.rule.times.size}")
    if direction not in ("above", "below"):
        raise InvalidInputError("direction: must be above or below")
    ratio = check_positive(allocation, name="allocation")
    sign = 1.0 if direction == "above" else -1.0
    return _Looks(design=design, z=sign * z, scale=(1.0 + ratio) / np.sqrt(ratio * counts), sign=sign)


def _final_look(looks: _Looks) -> tuple[int | None, bool]:
    """The look (from 0) at which the trial ended by the design's rule, and whether by rejection."""
    design = looks.design
    statistic = np.abs(looks.z) if design.rule.sided == 2 else looks.z
    for look in range(looks.done):
        if statistic[look] >= design.critical_values[look]:
            return look, True
        futility = design.futility
        if design.rule.binding and futility is not None and look < futility.size and looks.z[look] <= futility[look]:
            return look, False
    return (looks.done - 1 if looks.done == looks.times.size else None), False


def _final_inference(looks: _Looks, final: int | None) -> tuple[float, float, FloatArray]:
    """Stage-wise adjusted p, median unbiased hazard ratio and final interval; nan while the trial goes on."""
    if final is None:
        return float("nan"), float("nan"), np.full(2, np.nan)
    rule = looks.design.rule
    upper_tail = _stagewise_p(looks, final, 0.0)
    adjusted = upper_tail if rule.sided == 1 else min(1.0, 2.0 * min(upper_tail, 1.0 - upper_tail))
    to_log_ratio = looks.sign * float(np.sqrt(looks.times[final]) * looks.scale[final])

    def hazard_ratio(level: float) -> float:
        return float(np.exp(to_log_ratio * _drift_at(looks, final, level)))

    limits = sorted(hazard_ratio(level) for level in (rule.side_alpha, 1.0 - rule.side_alpha))
    return adjusted, hazard_ratio(0.5), np.array(limits)


def _stagewise_p(looks: _Looks, final: int, drift: float) -> float:
    """Probability under a drift of rejecting above earlier, or of at least the final statistic at its look."""
    rule, bounds = looks.design.rule, looks.design.boundaries
    upper = np.append(bounds.critical[:final], looks.z[final])
    lower = bounds.lower(sided=rule.sided, counted=rule.binding)[: final + 1].copy()
    lower[final] = -np.inf
    return float(crossing(drift, rule.times[: final + 1], lower, upper).upper.sum())


def _drift_at(looks: _Looks, final: int, level: float) -> float:
    """The drift under which the stage-wise p-value equals ``level``."""
    time = looks.times[final]
    centre, reach = looks.z[final] / np.sqrt(time), (8.0 + abs(looks.z[final])) / np.sqrt(looks.times[0])
    return find_root(lambda drift: _stagewise_p(looks, final, drift) - level, centre - reach, centre + reach)


def _repeated_p(rule: SequentialRule, look: int, z: float) -> float:
    """Smallest total level at which the same kind of design rejects at this look; nan when above 1/2."""
    statistic = abs(z) if rule.sided == 2 else z
    if rule.shape == "asUser":
        return float("nan")
    bounds = rule.futility
    none = np.full(rule.times.size - 1, -np.inf)
    futility = np.asarray(bounds.bounds) if rule.binding and isinstance(bounds, FutilityBounds) else none
    if rule.is_constant and (isinstance(bounds, FutilityBounds) or not rule.binding):
        return _constant_repeated_p(rule, look, statistic, futility)

    def critical(level: float) -> float:
        at_level = replace(rule, alpha=level)
        if rule.binding and not isinstance(bounds, FutilityBounds):
            return float(find_boundaries(at_level).critical[look])
        short = replace(at_level, information_rates=rule.information_rates[: look + 1])
        return float(critical_values(short, futility[:look])[look])

    return _smallest_level(critical, statistic)


def _constant_repeated_p(rule: SequentialRule, look: int, statistic: float, futility: FloatArray) -> float:
    """For a boundary that is a constant times a known factor the level follows from the constant that just rejects."""
    factor = constant_factor(rule)
    critical = statistic / factor[look] * factor
    if statistic <= 0:
        return float("nan")
    level = rejection_level(rule, critical, futility)
    return level if level <= _LARGEST_LEVEL else float("nan")


def _smallest_level(critical: Callable[[float], float], statistic: float) -> float:
    """Level at which the critical value equals the statistic; critical values fall as the level rises."""

    def excess(log_level: float) -> float:
        return min(critical(float(np.exp(log_level))), 1e3) - statistic

    rejecting = None
    for log_level in np.log(_LEVELS):
        try:
            gap = excess(log_level)
        except InvalidInputError:
            continue  # so much, or so little, cannot be spent with these futility bounds
        if gap > 0:
            if rejecting is None:
                return float("nan")
            return float(np.exp(find_root(excess, log_level, rejecting, tolerance=1e-11)))
        rejecting = float(log_level)
    return float("nan") if rejecting is None else float(np.exp(rejecting))


def _future_bounds(looks: _Looks, look: int, *, counted: bool) -> Boundaries:
    """Lower (as ``futility``, one per future look) and upper bounds of the looks after ``look``."""
    rule, bounds = looks.design.rule, looks.design.boundaries
    lower = bounds.lower(sided=rule.sided, counted=counted)
    return Boundaries(critical=bounds.critical[look + 1 :], futility=lower[look + 1 :])


def _conditional_rejection(looks: _Looks) -> FloatArray:
    """P(rejection at any future look | Z at the look) without an effect; 0 after a binding futility stop."""
    rule, bounds = looks.design.rule, looks.design.boundaries
    count = min(looks.done, looks.times.size - 1)
    out = np.zeros(count)
    for look in range(count):
        if rule.binding and looks.z[look] <= bounds.futility[look]:
            break
        future = _future_bounds(looks, look, counted=rule.binding)
        start = beginning(float(looks.z[look] * np.sqrt(looks.times[look])), float(looks.times[look]))
        chance = crossing(0.0, looks.times[look + 1 :], future.futility, future.critical, start=start)
        out[look] = chance.upper.sum() + (chance.lower.sum() if rule.sided == 2 else 0.0)
    return out


def _conditional_power(
    looks: _Looks, planned_events: Sequence[float] | None, allocation: float, assumed: float | None
) -> FloatArray | None:
    """Cumulative P(rejection in the declared direction by each future look | last Z) under the assumed hazard ratio."""
    if planned_events is None:
        return None
    planned = np.asarray(planned_events, dtype=np.float64)
    last, times = looks.done - 1, looks.times
    if planned.shape != (times.size - looks.done,) or planned.size == 0:
        raise InvalidInputError(f"planned_events: {times.size - looks.done} future looks need as many values")
    if not (np.isfinite(planned).all() and np.all(planned > 0)):
        raise InvalidInputError("planned_events: must be above 0 for every future look")
    if assumed is None:
        effect = float(looks.z[last] * looks.scale[last])
    else:
        effect = looks.sign * float(np.log(check_positive(assumed, name="assumed_hazard_ratio")))
    steps = np.diff(times[last:])
    shift = np.cumsum(np.sqrt(steps * allocation * planned)) * effect / (1.0 + allocation)
    future = _future_bounds(looks, last, counted=True)
    root = np.sqrt(times[last + 1 :])
    start = beginning(float(looks.z[last] * np.sqrt(times[last])), float(times[last]))
    chance = crossing(
        0.0, times[last + 1 :], future.futility - shift / root, future.critical - shift / root, start=start
    )
    return np.cumsum(chance.upper)
