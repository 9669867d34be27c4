import math

import numpy as np
import pytest

from trialstrat.errors import InvalidInputError
from trialstrat.stats.kernels.km import milestone_sorted, rmst_sorted
from trialstrat.stats.milestone import milestone, milestone_difference
from trialstrat.stats.rmst import rmst, rmst_difference
from trialstrat.stats.survival import kaplan_meier

TIME = np.array([2.0, 3.0, 3.0, 5.0, 7.0, 8.0, 9.0, 9.0])
EVENT = np.array([1, 1, 0, 1, 0, 1, 1, 0])


def area(time, event, start, stop):
    """Area under the curve between two times, by its corners."""
    curve = kaplan_meier(time, event)
    corners = np.unique(np.concatenate(([start, stop], curve.time[(curve.time > start) & (curve.time < stop)])))
    return float(np.sum(np.diff(corners) * curve.at(corners[:-1]).survival))


@pytest.mark.parametrize("tau", [1.0, 3.0, 6.5, 8.0, 9.0])
def test_area_and_variance_by_hand(tau):
    found = rmst(TIME, EVENT, tau)
    assert found.rmst == pytest.approx(area(TIME, EVENT, 0.0, tau), rel=1e-12)
    curve = kaplan_meier(TIME, EVENT)
    variance = 0.0
    for t, n, d in zip(curve.time, curve.n_risk, curve.n_event, strict=True):
        if d > 0 and t <= tau and n > d:
            variance += area(TIME, EVENT, t, tau) ** 2 * d / (n * (n - d)) if t < tau else 0.0
    assert found.std_error == pytest.approx(math.sqrt(variance), rel=1e-12, abs=1e-15)
    assert found.events == int(sum(e for t, e in zip(TIME, EVENT, strict=True) if t <= tau))


def test_everybody_dead_before_tau_is_estimable():
    found = rmst([1.0, 2.0, 3.0], [1, 1, 1], 10.0)
    assert found.rmst == pytest.approx(2.0)
    assert found.status == "ok"


def test_follow_up_that_ends_before_tau_is_not_estimable():
    found = rmst([1.0, 2.0, 3.0], [1, 1, 0], 3.1)
    assert found.status == "not_estimable"
    assert "follow-up ends before tau" in found.reason
    assert np.isnan(found.rmst)
    assert rmst([1.0, 2.0, 3.0], [1, 1, 0], 3.0).status == "ok"


def test_limits_stay_between_zero_and_tau():
    found = rmst([1.0, 5.0, 5.0], [1, 0, 0], 5.0)
    assert 0.0 <= found.lower < found.rmst < found.upper <= 5.0


def test_contrasts_of_two_groups():
    rng = np.random.default_rng(3)
    time = rng.exponential(10, 80)
    event = (rng.random(80) < 0.8).astype(int)
    group = rng.integers(0, 2, 80)
    tau = 8.0
    one, two = (rmst(time[group == k], event[group == k], tau) for k in (0, 1))
    found = rmst_difference(time, event, group, tau, level=0.9)
    error = math.hypot(one.std_error, two.std_error)
    assert found.difference.estimate == pytest.approx(two.rmst - one.rmst)
    assert found.difference.std_error == pytest.approx(error)
    assert found.difference.upper - found.difference.lower == pytest.approx(2 * 1.6448536269514722 * error)
    assert found.difference.p == pytest.approx(math.erfc(abs(found.difference.z) / math.sqrt(2)))
    log_error = math.hypot(one.std_error / one.rmst, two.std_error / two.rmst)
    assert found.ratio.estimate == pytest.approx(two.rmst / one.rmst)
    assert found.ratio.z == pytest.approx(math.log(two.rmst / one.rmst) / log_error)
    assert math.log(found.ratio.upper * found.ratio.lower) == pytest.approx(2 * math.log(found.ratio.estimate))


@pytest.mark.parametrize(
    ("group", "tau", "reason"),
    [
        ([0, 0, 0, 0], 1.5, "second group: the group is empty"),
        ([0, 0, 1, 1], 3.5, "first group: follow-up ends before tau"),
        ([0, 1, 0, 1], 0.5, "neither group has an event"),
    ],
)
def test_contrasts_that_cannot_be_estimated_say_why(group, tau, reason):
    found = rmst_difference([1.0, 2.0, 3.0, 4.0], [1, 0, 1, 0], group, tau)
    assert found.status == "not_estimable"
    assert reason in found.reason
    assert np.isnan([found.difference.estimate, found.difference.p, found.ratio.estimate]).all()


def test_restricted_mean_of_zero_has_no_ratio():
    found = rmst_difference([0.0, 0.0, 3.0, 4.0], [1, 1, 1, 0], [0, 0, 1, 1], 2.0)
    assert found.status == "not_estimable"
    assert "restricted mean is 0" in found.reason


def test_milestone_is_the_curve_and_its_greenwood_error():
    found = milestone(TIME, EVENT, 6.0)
    at = kaplan_meier(TIME, EVENT).at(6.0)
    assert (found.survival, found.std_error) == pytest.approx((at.survival[0], at.std_error[0]))
    assert (found.lower, found.upper) == pytest.approx((at.lower[0], at.upper[0]))
    assert (found.n, found.events) == (8, 3)


def test_milestone_difference_by_hand():
    time = [1.0, 2.0, 3.0, 4.0, 1.0, 2.5, 3.5, 4.0]
    event = [1, 0, 1, 0, 1, 1, 0, 0]
    group = [0, 0, 0, 0, 1, 1, 1, 1]
    found = milestone_difference(time, event, group, 2.7)
    s0, s1 = 0.75, 0.5
    error = math.sqrt(s0**2 * (1 / 12) + s1**2 * (1 / 12 + 1 / 6))
    assert found.difference.estimate == pytest.approx(s1 - s0)
    assert found.difference.std_error == pytest.approx(error)


def test_milestone_where_a_curve_is_zero_has_no_variance():
    single = milestone([1.0, 2.0], [1, 1], 3.0)
    assert single.survival == 0.0
    assert np.isnan([single.std_error, single.lower, single.upper]).all()
    found = milestone_difference([1.0, 2.0, 1.0, 5.0], [1, 1, 1, 0], [0, 0, 1, 1], 3.0)
    assert found.status == "not_estimable"
    assert "nobody survives" in found.reason


def test_milestone_beyond_follow_up_is_not_estimable():
    found = milestone([1.0, 2.0], [1, 0], 3.0)
    assert found.status == "not_estimable"
    assert "follow-up ends before the milestone" in found.reason


@pytest.mark.parametrize("function", [rmst, milestone])
def test_horizon_must_be_positive(function):
    with pytest.raises(InvalidInputError):
        function(TIME, EVENT, -1.0)


def test_kernels_take_masks_and_replicate_counts():
    mask = np.array([True, False, True, True, False, True, True, True])
    ones = np.ones(int(mask.sum()), dtype=bool)
    assert rmst_sorted(TIME, EVENT, mask, 8.0) == rmst_sorted(TIME[mask], EVENT[mask], ones, 8.0)
    assert milestone_sorted(TIME, EVENT, mask, 6.0) == milestone_sorted(TIME[mask], EVENT[mask], ones, 6.0)
    counts = np.array([2, 0, 1, 3, 1, 0, 2, 1])
    repeated = np.repeat(np.arange(8), counts)
    ones = np.ones(repeated.shape[0], dtype=bool)
    by_count = rmst_sorted(TIME, EVENT, counts, 8.0)
    by_row = rmst_sorted(TIME[repeated], EVENT[repeated], ones, 8.0)
    assert by_count[:2] == pytest.approx(by_row[:2], rel=1e-12)
