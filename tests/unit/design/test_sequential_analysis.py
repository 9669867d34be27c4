"""Inference of sequential trials: duality with the design, closed forms, and R's numbers of two more trials."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from trialstrat.design.sequential import group_sequential
from trialstrat.design.sequential_analysis import gs_analysis
from trialstrat.design.sequential_spending import BetaSpending, FutilityBounds
from trialstrat.errors import InvalidInputError

RATES = [0.4, 0.7, 1.0]
EVENTS = [80, 140, 200]


@pytest.fixture(scope="module")
def design():
    return group_sequential(RATES, shape="asHSD", parameter=-4.0)


@pytest.mark.parametrize("shape", ["OF", "P", "asOF", "asP"])
@pytest.mark.parametrize("sided", [1, 2])
def test_repeated_p_of_a_statistic_on_the_boundary_is_alpha(shape, sided):
    one = group_sequential(RATES, shape=shape, alpha=0.03, sided=sided)
    found = gs_analysis(one, EVENTS, one.critical_values, direction="above")
    np.testing.assert_allclose(found.repeated_p, 0.03, rtol=1e-6)


@pytest.mark.parametrize(
    "futility",
    [FutilityBounds(bounds=(0.0, 0.6), binding=True), BetaSpending(spending="bsOF", binding=True)],
)
@pytest.mark.parametrize("shape", ["asOF", "P"])
def test_repeated_p_counts_on_binding_futility(futility, shape):
    one = group_sequential(RATES, shape=shape, futility=futility)
    found = gs_analysis(one, EVENTS, one.critical_values, direction="above")
    np.testing.assert_allclose(found.repeated_p, 0.025, rtol=1e-5)


def test_repeated_interval_excludes_one_exactly_on_the_boundary(design):
    found = gs_analysis(design, EVENTS, -design.critical_values, direction="below")
    np.testing.assert_allclose(found.repeated_ci[:, 1], 1.0, rtol=1e-12)
    assert found.rejected
    assert found.final_look == 1


def test_final_inference_agrees_with_the_test_on_the_boundary(design):
    """At the final look on the boundary the adjusted p is alpha and the interval ends at a hazard ratio of 1."""
    statistics = [1.0, 1.5, design.critical_values[2]]
    found = gs_analysis(design, EVENTS, statistics, direction="above")
    assert found.final_look == 3
    assert found.adjusted_p == pytest.approx(0.025, rel=1e-8)
    assert found.final_ci[0] == pytest.approx(1.0, rel=1e-8)
    assert found.final_ci[0] < found.median_unbiased < found.final_ci[1]


def test_first_look_inference_is_that_of_a_fixed_design(design):
    found = gs_analysis(design, EVENTS[:1], [3.6], direction="above", allocation=2.0)
    scale = 3.0 / np.sqrt(2.0 * 80)
    assert found.adjusted_p == pytest.approx(norm.sf(3.6), rel=1e-9)
    assert found.median_unbiased == pytest.approx(np.exp(3.6 * scale))
    np.testing.assert_allclose(found.final_ci, np.exp((3.6 + np.array([-1, 1]) * norm.isf(0.025)) * scale))


def test_directions_mirror_each_other(design):
    above = gs_analysis(
        design, EVENTS[:2], [1.2, 2.0], direction="above", planned_events=[60], assumed_hazard_ratio=1.4
    )
    below = gs_analysis(
        design, EVENTS[:2], [-1.2, -2.0], direction="below", planned_events=[60], assumed_hazard_ratio=1 / 1.4
    )
    np.testing.assert_allclose(above.hazard_ratio, 1 / below.hazard_ratio)
    np.testing.assert_allclose(above.repeated_ci, 1 / below.repeated_ci[:, ::-1])
    np.testing.assert_allclose(above.repeated_p, below.repeated_p)
    np.testing.assert_allclose(above.conditional_power, below.conditional_power)


def test_two_sided_inference_does_not_depend_on_the_declared_direction():
    two = group_sequential(RATES, alpha=0.05, sided=2, shape="P")
    above = gs_analysis(two, EVENTS[:2], [-1.0, -2.6], direction="above")
    below = gs_analysis(two, EVENTS[:2], [-1.0, -2.6], direction="below")
    assert above.rejected
    assert above.final_look == 2
    assert above.adjusted_p == pytest.approx(below.adjusted_p)
    np.testing.assert_allclose(above.final_ci, below.final_ci)
    assert above.median_unbiased == pytest.approx(below.median_unbiased)


def test_going_on_has_no_final_inference(design):
    found = gs_analysis(design, EVENTS[:2], [0.5, 1.0], direction="above")
    assert found.final_look is None
    assert not found.rejected
    assert np.isnan(found.adjusted_p)
    assert np.isnan(found.final_ci).all()
    assert found.conditional_power is None


def test_conditional_power_of_one_future_look_in_closed_form(design):
    found = gs_analysis(
        design, EVENTS[:2], [-1.0, -1.8], direction="below", planned_events=[90], assumed_hazard_ratio=0.7
    )
    mean = -np.log(0.7) * np.sqrt(90) / 2
    needed = (design.critical_values[2] - 1.8 * np.sqrt(0.7)) / np.sqrt(0.3)
    assert found.conditional_power[0] == pytest.approx(norm.sf(needed - mean), rel=1e-10)
    assert found.conditional_rejection_probability[1] == pytest.approx(norm.sf(needed), rel=1e-10)


def test_conditional_power_uses_the_observed_effect_when_none_is_assumed(design):
    options = {"direction": "below", "planned_events": [60, 60]}
    observed = gs_analysis(design, EVENTS[:1], [-1.4], **options)
    ratio = float(observed.hazard_ratio[0])
    assumed = gs_analysis(design, EVENTS[:1], [-1.4], assumed_hazard_ratio=ratio, **options)
    np.testing.assert_allclose(observed.conditional_power, assumed.conditional_power)
    assert np.all(np.diff(observed.conditional_power) > 0)


def test_conditional_rejection_probabilities_average_to_the_rest_of_alpha(design):
    """Integrated over the first statistic under no effect they give the level that is left after the first look."""
    z, weight = np.polynomial.hermite_e.hermegauss(60)
    chance = [
        gs_analysis(design, EVENTS[:1], [one], direction="above").conditional_rejection_probability[0] if go else 0.0
        for one, go in zip(z, z < design.critical_values[0], strict=True)
    ]
    left = 0.025 - design.cumulative_alpha[0]
    assert weight @ chance / np.sqrt(2 * np.pi) == pytest.approx(left, abs=2e-4)


def test_binding_futility_ends_the_trial_and_leaves_no_chance():
    one = group_sequential(RATES, futility=FutilityBounds(bounds=(0.0, 0.6), binding=True))
    found = gs_analysis(one, EVENTS[:1], [-0.3], direction="above")
    assert found.final_look == 1
    assert not found.rejected
    assert found.conditional_rejection_probability.tolist() == [0.0]
    assert found.adjusted_p == pytest.approx(norm.sf(-0.3))


def test_no_level_up_to_one_half_is_missing(design):
    assert np.isnan(gs_analysis(design, EVENTS[:1], [-0.5], direction="above").repeated_p[0])
    user = group_sequential(RATES, shape="asUser", user_alpha=[0.005, 0.01, 0.025])
    assert np.isnan(gs_analysis(user, EVENTS[:1], [2.5], direction="above").repeated_p[0])


def test_an_overwhelming_statistic_has_a_tiny_p(design):
    found = gs_analysis(design, EVENTS[:1], [12.0], direction="above")
    assert 0 < found.repeated_p[0] <= 1e-14
    assert 0 < found.adjusted_p < 1e-30
    assert found.final_ci[0] > 1


@pytest.mark.parametrize(
    ("events", "statistics", "options"),
    [
        ([80, 140, 200, 260], [1, 1, 1, 1], {}),
        ([80, 80], [1, 1], {}),
        ([0, 80], [1, 1], {}),
        ([80], [1, 1], {}),
        ([80], [np.nan], {}),
        ([80], [1.0], {"direction": "up"}),
        ([80], [1.0], {"allocation": 0.0}),
        ([80], [1.0], {"planned_events": [60]}),
        ([80], [1.0], {"planned_events": [60, -1]}),
        ([80], [1.0], {"planned_events": [60, 60], "assumed_hazard_ratio": 0.0}),
        ([80, 140, 200], [1.0, 1.0, 1.0], {"planned_events": []}),
    ],
)
def test_impossible_arguments_are_refused(design, events, statistics, options):
    with pytest.raises(InvalidInputError):
        gs_analysis(design, events, statistics, **options)
