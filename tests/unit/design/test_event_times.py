"""Event probabilities under staggered entry: numerical integration, simulation, limits."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from scipy.integrate import quad

from trialstrat.design.assumptions import Accrual, Dropout, PiecewiseHazard, SurvivalAssumptions, hazard_pair
from trialstrat.design.event_times import event_probability, events_at, final_probability, time_of_events
from trialstrat.errors import InvalidInputError

RAMP = Accrual(times=(0.0, 4.0, 10.0), intensity=(1.0, 3.0))
HAZARD = PiecewiseHazard(starts=(0.0, 3.0, 8.0), rates=(0.03, 0.0, 0.12))


def plan(**changes):
    values = {"accrual": RAMP, "control": HAZARD, "hazard_ratio": 0.6, "allocation": 2.0}
    return SurvivalAssumptions(**(values | changes))


def incidence(hazard, dropout, until):
    """P(event observed within ``until`` of entry) by quadrature of hazard times survival times retention."""
    starts, rates = np.array(hazard.starts), np.array(hazard.rates)

    def density(time):
        rate = rates[np.searchsorted(starts, time, side="right") - 1]
        spent = np.clip(time - starts, 0, np.append(np.diff(starts), np.inf))
        return rate * np.exp(-rates @ spent - dropout * time)

    edges = [0.0, *[s for s in starts[1:] if s < until], until]
    return sum(quad(density, a, b, epsabs=1e-13)[0] for a, b in pairwise(edges))


@pytest.mark.parametrize("dropout", [0.0, 0.02])
@pytest.mark.parametrize("at", [0.0, 2.5, 6.0, 10.0, 27.0])
def test_closed_form_agrees_with_quadrature(at, dropout):
    found = event_probability(HAZARD, dropout, RAMP, np.array([at]))[0]
    expected = 0.0
    for start, end, share in zip(RAMP.times[:-1], RAMP.times[1:], RAMP.shares, strict=True):
        kinks = sorted({start, min(end, at), *[min(max(at - s, start), end) for s in HAZARD.starts]})
        for a, b in pairwise(kinks):
            area = quad(lambda entry: incidence(HAZARD, dropout, max(at - entry, 0.0)), a, b, epsabs=1e-11)[0]
            expected += share / (end - start) * area
    assert found == pytest.approx(expected, abs=1e-9)


def test_dropout_probability_is_reached_at_its_time():
    rates = Dropout(treatment=0.1, control=0.3, time=6.0)
    assert np.exp(-6 * rates.treatment_rate) == pytest.approx(0.9)
    assert np.exp(-6 * rates.control_rate) == pytest.approx(0.7)


def test_arms_are_combined_by_allocation():
    found = events_at(plan(), subjects=300, at=[12.0])
    expected = (2 * found.event_probability_treatment + found.event_probability_control) / 3
    np.testing.assert_allclose(found.event_probability, expected)
    np.testing.assert_allclose(found.events, 300 * expected)


def test_enrolment_follows_the_intensities():
    found = events_at(plan(), subjects=220, at=[0.0, 4.0, 7.0, 10.0, 30.0])
    np.testing.assert_allclose(found.subjects, [0, 40, 130, 220, 220])


def test_only_ratios_of_intensities_matter():
    scaled = plan(accrual=Accrual(times=(0.0, 4.0, 10.0), intensity=(10.0, 30.0)))
    at = [3.0, 11.0]
    np.testing.assert_allclose(
        events_at(plan(), subjects=9, at=at).events, events_at(scaled, subjects=9, at=at).events, rtol=1e-12
    )


@pytest.mark.parametrize("dropout", [None, Dropout(treatment=0.1, control=0.2, time=12)])
def test_probabilities_rise_to_their_limit(dropout):
    assumptions = plan(dropout=dropout)
    found = events_at(assumptions, subjects=1, at=[1.0, 5.0, 20.0, 80.0, 1e4]).event_probability
    assert np.all(np.diff(found) > 0)
    assert found[-1] == pytest.approx(final_probability(assumptions), abs=1e-9)


def test_time_of_events_inverts_the_probability():
    assumptions = plan(dropout=Dropout(treatment=0.05, control=0.1, time=12))
    time = time_of_events(assumptions, subjects=400, events=150)
    assert events_at(assumptions, subjects=400, at=[time]).events[0] == pytest.approx(150, abs=1e-6)


def test_events_that_never_occur_are_refused_with_a_number():
    assumptions = plan(dropout=Dropout(treatment=0.5, control=0.5, time=2))
    with pytest.raises(InvalidInputError, match="at most"):
        time_of_events(assumptions, subjects=100, events=90)


def test_a_simulated_trial_has_as_many_events():
    rng = np.random.default_rng(99)
    assumptions = plan(dropout=Dropout(treatment=0.1, control=0.2, time=12), hazard_ratio=0.5)
    n = 400_000
    entry = np.where(rng.uniform(size=n) < RAMP.shares[0], rng.uniform(0, 4, n), rng.uniform(4, 10, n))
    treated = rng.uniform(size=n) < 2 / 3
    target = rng.exponential(size=n) / np.where(treated, 0.5, 1.0)
    hazard_to = np.array([0.0, 0.09, 0.09])
    time = np.where(target < 0.09, target / 0.03, 8 + (target - hazard_to[-1]) / 0.12)
    rate = np.where(treated, assumptions.dropout.treatment_rate, assumptions.dropout.control_rate)
    seen = (time < rng.exponential(size=n) / rate) & (entry + time <= 18)
    expected = events_at(assumptions, subjects=1, at=[18.0])
    assert seen.mean() == pytest.approx(expected.event_probability[0], abs=4e-3)
    assert seen[treated].mean() == pytest.approx(expected.event_probability_treatment[0], abs=5e-3)


def test_ways_to_state_the_hazards_agree():
    control, ratio = hazard_pair(median_control=10.0, median_treatment=16.0)
    assert ratio == pytest.approx(10 / 16)
    assert control.rates[0] == pytest.approx(np.log(2) / 10)
    same, again = hazard_pair(lambda_control=control.rates[0], lambda_treatment=control.rates[0] * ratio)
    assert (same, again) == (control, pytest.approx(ratio))
    assert hazard_pair(piecewise=([0, 3], [0.1, 0.2]), hazard_ratio=0.5)[0].rates == (0.1, 0.2)


@pytest.mark.parametrize(
    "call",
    [
        lambda: Accrual(times=(0.0,)),
        lambda: Accrual(times=(1.0, 2.0)),
        lambda: Accrual(times=(0.0, 2.0, 2.0)),
        lambda: Accrual(times=(0.0, 2.0), intensity=(1.0, 2.0)),
        lambda: Accrual(times=(0.0, 2.0), intensity=(0.0,)),
        lambda: PiecewiseHazard(starts=(1.0,), rates=(0.1,)),
        lambda: PiecewiseHazard(starts=(0.0, 1.0), rates=(0.1,)),
        lambda: PiecewiseHazard(starts=(0.0,), rates=(0.0,)),
        lambda: PiecewiseHazard(starts=(0.0,), rates=(-0.1,)),
        lambda: PiecewiseHazard.from_median(0.0),
        lambda: Dropout(treatment=1.0, control=0.1, time=12.0),
        lambda: Dropout(treatment=0.1, control=-0.1, time=12.0),
        lambda: Dropout(treatment=0.1, control=0.1, time=0.0),
        lambda: plan(hazard_ratio=-1.0),
        lambda: plan(allocation=0.0),
        lambda: events_at(plan(), subjects=0, at=[1.0]),
        lambda: events_at(plan(), subjects=10, at=[-1.0]),
        lambda: hazard_pair(lambda_control=0.1),
        lambda: hazard_pair(lambda_control=0.1, median_control=3.0, hazard_ratio=0.5),
        lambda: hazard_pair(piecewise=([0, 1], [0.1, 0.2]), lambda_treatment=0.1),
    ],
)
def test_impossible_assumptions_are_refused(call):
    with pytest.raises(InvalidInputError):
        call()
