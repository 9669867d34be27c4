"""When events are expected: event probabilities under staggered entry, in closed form.

For a hazard and a dropout rate that are constant between the starts of pieces, the probability F(u) of an event
observed within u of entry and its integral G(u) are sums of exponentials; with uniform entry on [a, b] the probability
of an event by calendar time s is (G(s - a) - G(s - b)) / (b - a).

References
----------
Lachin & Foulkes 1986, Biometrics 42, 507-519, section 3. Collett 2015, Modelling Survival Data in Medical Research,
chapter on sample size.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from trialstrat.design.assumptions import Accrual, PiecewiseHazard, SurvivalAssumptions
from trialstrat.design.checks import check_positive
from trialstrat.design.root import find_root
from trialstrat.errors import InvalidInputError

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EventForecast:
    """At each calendar time (t,): event probability per subject of the plan, overall and by arm; subjects, events.

    A subject not yet enrolled counts as without event.
    """

    event_probability: FloatArray
    event_probability_treatment: FloatArray
    event_probability_control: FloatArray
    subjects: FloatArray
    events: FloatArray


def events_at(assumptions: SurvivalAssumptions, *, subjects: float, at: Sequence[float] | FloatArray) -> EventForecast:
    """Expected events and enrolment at calendar times counted from the first enrolment.

    Parameters
    ----------
    assumptions : SurvivalAssumptions
    subjects : float
        Subjects to be enrolled in total.
    at : sequence of t numbers
        Calendar times, not negative.

    Raises
    ------
    InvalidInputError
        A negative time, or no subject.
    """
    total = check_positive(subjects, name="subjects")
    times = np.asarray(at, dtype=np.float64)
    if times.ndim != 1 or not np.isfinite(times).all() or np.any(times < 0):
        raise InvalidInputError("at: calendar times must be finite and not negative")
    treatment, control = arm_probabilities(assumptions, times)
    share = assumptions.treatment_share
    overall = share * treatment + (1.0 - share) * control
    return EventForecast(
        event_probability=overall,
        event_probability_treatment=treatment,
        event_probability_control=control,
        subjects=total * assumptions.accrual.enrolled(times),
        events=total * overall,
    )


def arm_probabilities(assumptions: SurvivalAssumptions, times: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Event probability at calendar times (t,) in the treatment and in the control arm."""
    dropout = assumptions.dropout
    treatment_rate, control_rate = (0.0, 0.0) if dropout is None else (dropout.treatment_rate, dropout.control_rate)
    return (
        event_probability(assumptions.treatment, treatment_rate, assumptions.accrual, times),
        event_probability(assumptions.control, control_rate, assumptions.accrual, times),
    )


def overall_probability(assumptions: SurvivalAssumptions, times: FloatArray) -> FloatArray:
    """Event probability at calendar times (t,), arms combined by allocation."""
    treatment, control = arm_probabilities(assumptions, times)
    share = assumptions.treatment_share
    return share * treatment + (1.0 - share) * control


def event_probability(hazard: PiecewiseHazard, dropout_rate: float, accrual: Accrual, times: FloatArray) -> FloatArray:
    """Probability (t,) that a subject of the plan has had an observed event by calendar times ``times``."""
    starts = np.asarray(accrual.times, dtype=np.float64)
    since = np.maximum(np.asarray(times, dtype=np.float64)[:, None] - starts[None, :], 0.0)
    integral = _integrated_incidence(hazard, dropout_rate, since)
    return (integral[:, :-1] - integral[:, 1:]) @ (accrual.shares / np.diff(starts))


def final_probability(assumptions: SurvivalAssumptions) -> float:
    """Event probability of a subject followed for ever, arms combined."""
    dropout = assumptions.dropout
    treatment_rate, control_rate = (0.0, 0.0) if dropout is None else (dropout.treatment_rate, dropout.control_rate)
    share = assumptions.treatment_share
    return share * _final_incidence(assumptions.treatment, treatment_rate) + (1.0 - share) * _final_incidence(
        assumptions.control, control_rate
    )


def time_of_events(assumptions: SurvivalAssumptions, *, subjects: float, events: float) -> float:
    """Calendar time at which this number of events is expected.

    Raises
    ------
    InvalidInputError
        If that many events never occur.
    """
    needed = events / subjects
    reachable = final_probability(assumptions)
    if needed >= reachable:
        raise InvalidInputError(
            f"events: {events:.1f} are needed but at most {subjects * reachable:.1f} of {subjects:.1f} subjects ever "
            "have one; enrol more subjects or accept fewer events"
        )

    def shortfall(time: float) -> float:
        return float(overall_probability(assumptions, np.array([time]))[0]) - needed

    return _first_root(shortfall, assumptions.accrual.duration)


def _first_root(shortfall: Callable[[float], float], guess: float) -> float:
    high = guess
    for _ in range(200):
        if shortfall(high) >= 0:
            return find_root(shortfall, 0.0, high, tolerance=1e-12)
        high *= 2.0
    raise InvalidInputError("events: the number of events is reached only after an unlimited time")


def _integrated_incidence(hazard: PiecewiseHazard, dropout_rate: float, since: FloatArray) -> FloatArray:
    """G(u), the integral of the observed-event probability F from 0 to u, for u of any shape."""
    starts = np.asarray(hazard.starts, dtype=np.float64)
    ends = np.append(starts[1:], np.inf)
    incidence, at_risk = 0.0, 1.0
    total = np.zeros_like(since)
    for start, end, rate in zip(starts, ends, hazard.rates, strict=True):
        within = np.clip(since - start, 0.0, end - start)
        leaving = rate + dropout_rate
        total += incidence * within
        if rate > 0:
            total += at_risk * rate / leaving * (within + np.expm1(-leaving * within) / leaving)
        if np.isfinite(end):
            left = -np.expm1(-leaving * (end - start))
            incidence += at_risk * rate / leaving * left if rate > 0 else 0.0
            at_risk *= 1.0 - left
    return total


def _final_incidence(hazard: PiecewiseHazard, dropout_rate: float) -> float:
    """Probability of an observed event with unlimited follow-up."""
    incidence, at_risk = 0.0, 1.0
    lengths = np.append(np.diff(np.asarray(hazard.starts, dtype=np.float64)), np.inf)
    for length, rate in zip(lengths, hazard.rates, strict=True):
        leaving = rate + dropout_rate
        if leaving == 0:
            continue
        left = -np.expm1(-leaving * length)
        incidence += at_risk * rate / leaving * left
        at_risk *= 1.0 - left
    return float(incidence)
