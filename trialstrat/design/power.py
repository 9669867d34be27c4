"""Events, subjects, follow-up and power of a survival trial, with one analysis or a group-sequential design.

References
----------
Schoenfeld 1981, Biometrika 68, 316-319; Schoenfeld 1983, Biometrics 39, 499-503 (events).
Freedman 1982, Stat Med 1, 121-129 (events). Lachin & Foulkes 1986, Biometrics 42, 507-519 (accrual and dropout).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy.stats import norm

from trialstrat.design.assumptions import SurvivalAssumptions
from trialstrat.design.checks import check_error_rates, check_hazard_ratio, check_positive, check_within
from trialstrat.design.event_times import overall_probability, time_of_events
from trialstrat.design.sequential import GroupSequentialDesign, SampleNumbers, group_sequential
from trialstrat.errors import InvalidInputError

FloatArray = npt.NDArray[np.float64]
EventsMethod = Literal["schoenfeld", "freedman"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SurvivalDesign:
    """A survival trial: how many, how long, with which power.

    ``events`` at full information; ``follow_up`` after the end of accrual (negative when the events come before it),
    ``study_duration`` the time of the last look, ``subjects`` enrolled by then (all that are planned unless the events
    come before the end of accrual). Per look (k,): ``events_per_stage``,
    ``analysis_times`` (when the events are expected under the alternative), ``subjects_per_stage`` (enrolled by then),
    ``critical_hazard_ratio``, ``rejection_probability``. ``power`` is their sum. ``expected_events`` under the
    alternative, half of it and no effect; ``expected_study_duration`` and ``expected_subjects`` under the alternative.
    Nothing is rounded.
    """

    design: GroupSequentialDesign
    events: float
    subjects: float
    follow_up: float
    study_duration: float
    power: float
    events_per_stage: FloatArray
    analysis_times: FloatArray
    subjects_per_stage: FloatArray
    critical_hazard_ratio: FloatArray
    rejection_probability: FloatArray
    expected_events: SampleNumbers
    expected_study_duration: float
    expected_subjects: float


def design_events(
    hazard_ratio: float,
    *,
    alpha: float = 0.025,
    power: float = 0.8,
    sided: int = 1,
    allocation: float = 1.0,
    method: EventsMethod = "schoenfeld",
) -> float:
    """Events that a log-rank test with one analysis needs (not rounded).

    schoenfeld: (z_alpha + z_power)^2 (1 + r)^2 / (r log(hr)^2); freedman: (z_alpha + z_power)^2 (1 + r hr)^2 /
    (r (1 - hr)^2), with r the ``allocation`` treatment : control and z_alpha at alpha / sided.

    Raises
    ------
    InvalidInputError
        A hazard ratio of 1 or not positive, alpha outside (0, 1/2), power not above alpha, sided other than 1, 2.

    References
    ----------
    Schoenfeld 1983, eq. 1; Freedman 1982, eq. 1.
    """
    check_error_rates(alpha, sided, power)
    effect = _effect_per_root_event(
        check_hazard_ratio(hazard_ratio), check_positive(allocation, name="allocation"), method
    )
    return float(((norm.isf(alpha / sided) + norm.ppf(power)) / effect) ** 2)


def fixed_design(*, alpha: float = 0.025, sided: int = 1, power: float = 0.8) -> GroupSequentialDesign:
    """The design with one analysis, as a group-sequential design of one look."""
    return group_sequential([1.0], alpha=alpha, sided=sided, shape="P", power=power)


def subjects_needed(
    assumptions: SurvivalAssumptions,
    design: GroupSequentialDesign,
    *,
    follow_up: float,
    method: EventsMethod = "schoenfeld",
) -> SurvivalDesign:
    """Subjects so that the events of the last look are expected ``follow_up`` after the end of accrual.

    Raises
    ------
    InvalidInputError
        A hazard ratio of 1, or a negative follow-up.
    """
    events = _total_events(assumptions, design, method)
    last = assumptions.accrual.duration + check_within(follow_up, 0.0, math.inf, name="follow_up")
    last_events = events * float(design.rule.times[-1])
    subjects = last_events / float(overall_probability(assumptions, np.array([last]))[0])
    return _survival_design(assumptions, design, subjects=subjects, events=events, drift=design.drift)


def follow_up_needed(
    assumptions: SurvivalAssumptions,
    design: GroupSequentialDesign,
    *,
    subjects: float,
    method: EventsMethod = "schoenfeld",
) -> SurvivalDesign:
    """Follow-up after accrual until ``subjects`` patients are expected to have had the events of the last look.

    Raises
    ------
    InvalidInputError
        A hazard ratio of 1, or more events needed than ever occur.
    """
    events = _total_events(assumptions, design, method)
    count = check_positive(subjects, name="subjects")
    return _survival_design(assumptions, design, subjects=count, events=events, drift=design.drift)


def power_of_trial(
    assumptions: SurvivalAssumptions,
    design: GroupSequentialDesign,
    *,
    subjects: float,
    events: float,
    method: EventsMethod = "schoenfeld",
) -> SurvivalDesign:
    """Power of rejecting in the direction of the hazard ratio with ``events`` at full information.

    The drift at information 1 is sqrt(r events) |log hr| / (1 + r) (schoenfeld) or sqrt(r events) |1 - hr| / (1 + r hr)
    (freedman).

    Raises
    ------
    InvalidInputError
        A hazard ratio of 1, or more events than ever occur.
    """
    ratio = check_hazard_ratio(assumptions.hazard_ratio)
    total = check_positive(events, name="events")
    drift = math.sqrt(total) * _effect_per_root_event(ratio, assumptions.allocation, method)
    count = check_positive(subjects, name="subjects")
    return _survival_design(assumptions, design, subjects=count, events=total, drift=drift)


def _total_events(assumptions: SurvivalAssumptions, design: GroupSequentialDesign, method: EventsMethod) -> float:
    rule = design.rule
    fixed = design_events(
        assumptions.hazard_ratio,
        alpha=rule.alpha,
        power=rule.power,
        sided=rule.sided,
        allocation=assumptions.allocation,
        method=method,
    )
    return fixed * design.inflation_factor


def _effect_per_root_event(hazard_ratio: float, allocation: float, method: str) -> float:
    """Mean of the log-rank statistic divided by the square root of the number of events, in absolute value."""
    if method == "schoenfeld":
        return math.sqrt(allocation) * abs(math.log(hazard_ratio)) / (1.0 + allocation)
    if method == "freedman":
        return math.sqrt(allocation) * abs(1.0 - hazard_ratio) / (1.0 + allocation * hazard_ratio)
    raise InvalidInputError("method: must be schoenfeld or freedman")


def _survival_design(
    assumptions: SurvivalAssumptions,
    design: GroupSequentialDesign,
    *,
    subjects: float,
    events: float,
    drift: float,
) -> SurvivalDesign:
    stages = events * design.rule.times
    times = np.array([time_of_events(assumptions, subjects=subjects, events=float(count)) for count in stages])
    enrolled = subjects * assumptions.accrual.enrolled(times)
    crossing = design.stopping(drift)
    ratio = assumptions.allocation
    direction = 1.0 if assumptions.hazard_ratio > 1.0 else -1.0
    critical = np.exp(direction * design.critical_values * (1.0 + ratio) / np.sqrt(ratio * stages))
    return SurvivalDesign(
        design=design,
        events=events,
        subjects=float(enrolled[-1]),
        follow_up=float(times[-1]) - assumptions.accrual.duration,
        study_duration=float(times[-1]),
        power=float(crossing.upper.sum()),
        events_per_stage=stages,
        analysis_times=times,
        subjects_per_stage=enrolled,
        critical_hazard_ratio=critical,
        rejection_probability=crossing.upper,
        expected_events=SampleNumbers(
            h1=events * design.expected_rate(drift),
            h01=events * design.expected_rate(0.5 * drift),
            h0=events * design.expected_rate(0.0),
        ),
        expected_study_duration=float(crossing.stop @ times),
        expected_subjects=float(crossing.stop @ enrolled),
    )
