"""Survival designs: published sizes, consistency of the ways to solve, and what must be refused."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from trialstrat.design.assumptions import Accrual, Dropout, PiecewiseHazard, SurvivalAssumptions
from trialstrat.design.event_times import events_at
from trialstrat.design.power import design_events, fixed_design, follow_up_needed, power_of_trial, subjects_needed
from trialstrat.design.sequential import group_sequential
from trialstrat.design.sequential_spending import FutilityBounds
from trialstrat.errors import InvalidInputError

ASSUMPTIONS = SurvivalAssumptions(
    accrual=Accrual(times=(0.0, 6.0, 18.0), intensity=(1.0, 2.0)),
    control=PiecewiseHazard(starts=(0.0, 6.0), rates=(0.06, 0.04)),
    hazard_ratio=0.68,
    allocation=2.0,
    dropout=Dropout(treatment=0.05, control=0.1, time=12.0),
)


def test_numbers_of_events_by_hand():
    """z = 1.959964 + 1.281552, hazard ratio 1/2: z^2 4 / log(2)^2 = 87.48 and z^2 (1.5 / 0.5)^2 = 94.57."""
    assert design_events(0.5, alpha=0.05, sided=2, power=0.9) == pytest.approx(87.48, abs=0.01)
    assert design_events(0.5, alpha=0.05, sided=2, power=0.9, method="freedman") == pytest.approx(94.57, abs=0.01)


@pytest.mark.parametrize("method", ["schoenfeld", "freedman"])
@pytest.mark.parametrize("hazard_ratio", [0.6, 1.5])
def test_events_and_power_are_inverse(method, hazard_ratio):
    assumptions = SurvivalAssumptions(
        accrual=ASSUMPTIONS.accrual, control=ASSUMPTIONS.control, hazard_ratio=hazard_ratio, allocation=2.0
    )
    design = fixed_design(power=0.87)
    events = design_events(hazard_ratio, power=0.87, allocation=2.0, method=method)
    found = power_of_trial(assumptions, design, subjects=5000, events=events, method=method)
    assert found.power == pytest.approx(0.87, abs=1e-9)


def test_methods_agree_for_small_effects():
    near = design_events(0.97) / design_events(0.97, method="freedman")
    assert near == pytest.approx(1.0, abs=0.01)


@pytest.mark.parametrize(
    "design",
    [
        fixed_design(power=0.9),
        group_sequential([0.4, 0.7, 1.0], shape="asOF", power=0.9),
        group_sequential([0.5, 1.0], shape="P", alpha=0.05, sided=2),
        group_sequential([0.3, 0.6, 1.0], futility=FutilityBounds(bounds=(-0.2, 0.6))),
    ],
)
def test_subjects_follow_up_and_power_are_one_trial(design):
    sized = subjects_needed(ASSUMPTIONS, design, follow_up=9.0)
    assert sized.study_duration == pytest.approx(27.0, abs=1e-8)
    assert sized.power == pytest.approx(design.rule.power, abs=1e-8)
    again = follow_up_needed(ASSUMPTIONS, design, subjects=sized.subjects)
    assert again.follow_up == pytest.approx(9.0, abs=1e-7)
    power = power_of_trial(ASSUMPTIONS, design, subjects=sized.subjects, events=sized.events)
    assert power.power == pytest.approx(design.rule.power, abs=1e-8)
    np.testing.assert_allclose(power.analysis_times, sized.analysis_times)
    assert power.expected_events.h1 == pytest.approx(sized.expected_events.h1)


def test_looks_happen_when_their_events_are_expected():
    design = group_sequential([0.4, 0.7, 1.0])
    found = subjects_needed(ASSUMPTIONS, design, follow_up=9.0)
    forecast = events_at(ASSUMPTIONS, subjects=found.subjects, at=found.analysis_times)
    np.testing.assert_allclose(forecast.events, found.events_per_stage, rtol=1e-8)
    np.testing.assert_allclose(forecast.subjects, found.subjects_per_stage)
    stop = design.stopping(design.drift).stop
    assert found.expected_study_duration == pytest.approx(stop @ found.analysis_times)
    assert found.expected_events.h1 == pytest.approx(stop @ found.events_per_stage)


def test_critical_hazard_ratio_turns_back_into_the_critical_value():
    found = subjects_needed(ASSUMPTIONS, group_sequential([0.5, 1.0]), follow_up=9.0)
    z = -np.log(found.critical_hazard_ratio) * np.sqrt(2.0 * found.events_per_stage) / 3.0
    np.testing.assert_allclose(z, found.design.critical_values)


def test_fixed_power_in_closed_form():
    found = power_of_trial(ASSUMPTIONS, fixed_design(), subjects=900, events=250)
    drift = -np.log(0.68) * np.sqrt(2.0 * 250) / 3.0
    assert found.power == pytest.approx(norm.cdf(drift - norm.isf(0.025)), rel=1e-10)


def test_two_sided_power_counts_the_right_direction_only():
    found = power_of_trial(ASSUMPTIONS, fixed_design(alpha=0.05, sided=2), subjects=900, events=10)
    drift = -np.log(0.68) * np.sqrt(20.0) / 3.0
    assert found.power == pytest.approx(norm.cdf(drift - norm.isf(0.025)), rel=1e-10)


def test_events_before_the_end_of_accrual_end_the_trial_early():
    found = follow_up_needed(ASSUMPTIONS, fixed_design(), subjects=20_000)
    assert found.follow_up < 0
    assert found.subjects < 20_000
    assert found.study_duration == pytest.approx(18.0 + found.follow_up)


@pytest.mark.parametrize(
    "call",
    [
        lambda: design_events(1.0),
        lambda: design_events(-0.5),
        lambda: design_events(0.7, alpha=0.0),
        lambda: design_events(0.7, alpha=0.6),
        lambda: design_events(0.7, power=0.02),
        lambda: design_events(0.7, power=1.0),
        lambda: design_events(0.7, sided=0),
        lambda: design_events(0.7, allocation=0.0),
        lambda: design_events(0.7, method="lakatos"),
        lambda: follow_up_needed(ASSUMPTIONS, fixed_design(), subjects=150),
        lambda: power_of_trial(ASSUMPTIONS, fixed_design(), subjects=100, events=120),
        lambda: power_of_trial(ASSUMPTIONS, fixed_design(), subjects=100, events=0),
        lambda: subjects_needed(ASSUMPTIONS, fixed_design(), follow_up=-1.0),
    ],
)
def test_impossible_designs_are_refused(call):
    with pytest.raises(InvalidInputError):
        call()
