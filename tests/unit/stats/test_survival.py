import math
from itertools import pairwise

import numpy as np
import pytest

from trialstrat.errors import InvalidInputError
from trialstrat.stats.survival import (
    kaplan_meier,
    kaplan_meier_by_group,
    nelson_aalen,
    reverse_kaplan_meier,
)

# Freireich et al. (1963): 6-mercaptopurine, weeks in remission
DRUG_TIME = [6, 6, 6, 6, 7, 9, 10, 10, 11, 13, 16, 17, 19, 20, 22, 23, 25, 32, 32, 34, 35]
DRUG_EVENT = [1, 1, 1, 0, 1, 0, 1, 0, 0, 1, 1, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0]


def naive(time, event, entry=None, weights=None):
    """The definitions, one time at a time: rows of (t, n, d, c, S, Greenwood, H, V of H)."""
    n = len(time)
    entry = [-1.0] * n if entry is None else entry
    weights = [1.0] * n if weights is None else weights
    rows, s, v, h, vh = [], 1.0, 0.0, 0.0, 0.0
    for t in sorted(set(time)):
        risk = sum(w for w, a, b in zip(weights, entry, time, strict=True) if a < t <= b)
        d = sum(w for w, b, e in zip(weights, time, event, strict=True) if b == t and e)
        c = sum(w for w, b, e in zip(weights, time, event, strict=True) if b == t and not e)
        if d > 0:
            s *= 1 - d / risk
            v += d / (risk * (risk - d)) if risk > d else math.inf
            h += d / risk
            vh += d / risk**2
        rows.append((t, risk, d, c, s, v, h, vh))
    return np.array(rows).T


def test_published_curve_of_the_remission_trial():
    curve = kaplan_meier(DRUG_TIME, DRUG_EVENT)
    shown = curve.at([6, 7, 10, 13, 16, 22, 23])
    assert shown.survival == pytest.approx([0.8571, 0.8067, 0.7529, 0.6902, 0.6275, 0.5378, 0.4482], abs=5e-5)
    assert shown.std_error == pytest.approx([0.0764, 0.0869, 0.0963, 0.1068, 0.1141, 0.1282, 0.1346], abs=5e-5)
    assert shown.n_risk.tolist() == [21, 17, 15, 12, 11, 7, 6]
    assert curve.quantile(0.5).estimate == 23
    assert (curve.n, curve.events) == (21, 9)


def test_curve_against_the_definitions_with_entry_and_weights():
    rng = np.random.default_rng(5)
    time = rng.integers(2, 15, 60).astype(float)
    event = rng.integers(0, 2, 60)
    entry = np.floor(rng.random(60) * time)
    weights = rng.choice([0.25, 1.0, 3.0], 60)
    expected = naive(time, event, entry, weights)
    curve = kaplan_meier(time, event, entry=entry, weights=weights)
    found = [curve.time, curve.n_risk, curve.n_event, curve.n_censor, curve.survival]
    np.testing.assert_allclose(found, expected[:5], rtol=1e-12)
    positive = expected[4] > 0
    np.testing.assert_allclose(curve.std_error[positive], (expected[4] * np.sqrt(expected[5]))[positive], rtol=1e-12)
    hazard = nelson_aalen(time, event, entry=entry, weights=weights)
    np.testing.assert_allclose(hazard.cumulative_hazard, expected[6], rtol=1e-12)
    np.testing.assert_allclose(hazard.std_error, np.sqrt(expected[7]), rtol=1e-12)


def test_limits_on_the_three_scales():
    time, event = [1, 2, 3, 4, 5, 6], [1, 0, 1, 0, 1, 0]
    s = (5 / 6) * (3 / 4)
    root = math.sqrt(1 / 30 + 1 / 12)
    z = 1.959963984540054
    log = kaplan_meier(time, event).at(3)
    assert log.lower[0] == pytest.approx(s * math.exp(-z * root), rel=1e-12)
    assert log.upper[0] == 1.0
    loglog = kaplan_meier(time, event, conf_type="log-log").at(3)
    shift = z * root / math.log(s)
    assert loglog.lower[0] == pytest.approx(s ** math.exp(-shift), rel=1e-12)
    assert loglog.upper[0] == pytest.approx(s ** math.exp(shift), rel=1e-12)
    assert loglog.lower[0] < s < loglog.upper[0]
    plain = kaplan_meier(time, event, conf_type="plain", level=0.5).at(3)
    half = 0.6744897501960817 * s * root
    assert [plain.lower[0], plain.upper[0]] == pytest.approx([s - half, s + half], rel=1e-12)


def test_where_the_curve_is_zero_error_and_limits_are_missing():
    curve = kaplan_meier([1, 2], [1, 1])
    assert curve.survival.tolist() == [0.5, 0.0]
    assert np.isnan([curve.std_error[1], curve.lower[1], curve.upper[1]]).all()
    assert curve.at(5).survival[0] == 0.0


def test_before_the_first_event():
    time, event = [1, 2, 3, 4], [0, 1, 0, 1]
    for conf_type in ("log", "plain"):
        curve = kaplan_meier(time, event, conf_type=conf_type)
        assert (curve.survival[0], curve.std_error[0], curve.lower[0], curve.upper[0]) == (1.0, 0.0, 1.0, 1.0)
    loglog = kaplan_meier(time, event, conf_type="log-log")
    assert np.isnan([loglog.lower[0], loglog.upper[0]]).all()
    before = loglog.at(0.5)
    assert (before.survival[0], before.lower[0], before.upper[0], before.n_risk[0]) == (1.0, 1.0, 1.0, 4.0)


def test_the_curve_stays_at_zero_when_others_enter_later():
    curve = kaplan_meier([2, 5, 6], [1, 1, 0], entry=[0, 3, 3])
    assert curve.survival.tolist() == [0.0, 0.0, 0.0]
    assert curve.n_risk.tolist() == [1.0, 2.0, 1.0]


def test_fractional_weights_reach_exactly_zero():
    weights = [0.1, 0.2, 0.3, 0.7, 1.1]
    curve = kaplan_meier([1, 2, 3, 4, 4], [1, 1, 1, 1, 1], weights=weights)
    assert curve.survival[-1] == 0.0
    entered = kaplan_meier([1, 2, 3, 4, 4], [1, 1, 1, 1, 1], weights=weights, entry=[0, 0.5, 0.5, 1.5, 2.5])
    assert entered.survival[-1] == 0.0


def test_number_at_risk_between_times_with_delayed_entry():
    curve = kaplan_meier([4, 6, 9], [1, 0, 1], entry=[0, 2, 7], weights=[1.0, 2.0, 0.5])
    at = curve.at([0, 1, 2, 2.5, 4, 4.5, 6, 6.5, 7, 7.5, 9, 10])
    assert at.n_risk.tolist() == [0.0, 1.0, 1.0, 3.0, 3.0, 2.0, 2.0, 0.0, 0.0, 0.5, 0.5, 0.0]


def test_quantile_on_a_flat_piece_is_its_middle():
    curve = kaplan_meier([1, 2, 3, 4], [1, 1, 1, 1])
    assert curve.quantile(0.5).estimate == 2.5
    assert curve.quantile(0.25).estimate == 1.5
    assert curve.quantile(0.4).estimate == 2


def test_quantile_when_the_curve_ends_flat_goes_to_the_last_time():
    curve = kaplan_meier([1, 2, 6, 10], [1, 1, 0, 0])
    assert curve.quantile(0.5).estimate == 6.0


def test_quantile_not_reached_says_so():
    found = kaplan_meier([1, 2, 3], [1, 0, 0]).quantile(0.5)
    assert np.isnan(found.estimate)
    assert found.status == "not_estimable"
    assert "does not fall to 0.5" in found.reason


def test_quantile_limits_come_from_the_limits_of_the_curve():
    curve = kaplan_meier(DRUG_TIME, DRUG_EVENT, level=0.5)
    found = curve.quantile(0.25)
    for limit, at in ((curve.lower, found.lower), (curve.survival, found.estimate), (curve.upper, found.upper)):
        assert at == curve.time[np.flatnonzero(limit <= 0.75)[0]]
    assert found.lower < found.estimate < found.upper
    assert found.status == "ok"


def test_quantile_limit_not_reached_is_missing():
    found = kaplan_meier(DRUG_TIME, DRUG_EVENT).quantile(0.5)
    assert (found.estimate, found.lower) == (23.0, 16.0)
    assert np.isnan(found.upper)
    assert found.status == "ok"


@pytest.mark.parametrize("p", [0.0, 1.0, -0.5, np.nan])
def test_quantiles_outside_the_unit_interval_are_refused(p):
    with pytest.raises(InvalidInputError):
        kaplan_meier([1, 2], [1, 1]).quantile(p)


def test_reverse_kaplan_meier_counts_tied_events_as_still_at_risk():
    # at time 2: one event, one censoring; the event is at risk of being censored
    curve = kaplan_meier([2, 2, 3, 4], [0, 1, 0, 1])
    assert curve.n_risk[0] == 4
    found = reverse_kaplan_meier([2, 2, 3, 4], [1, 0, 1, 0])
    assert found.estimate == 4.0
    assert reverse_kaplan_meier([1, 2], [1, 1]).status == "not_estimable"


def test_groups_share_the_merging_of_times():
    time = [0.3, 0.1 + 0.2, 1.0, 2.0]
    curves = kaplan_meier_by_group(time, [1, 1, 0, 1], ["b", "a", "b", "a"])
    assert list(curves) == ["a", "b"]
    assert curves["a"].time[0] == curves["b"].time[0] == 0.3


def test_hazard_limits_are_missing_while_nothing_happened():
    curve = nelson_aalen([1, 2, 3], [0, 1, 0])
    assert np.isnan(curve.lower[0])
    assert curve.lower[1] < curve.cumulative_hazard[1] < curve.upper[1]
    assert curve.upper[1] * curve.lower[1] == pytest.approx(curve.cumulative_hazard[1] ** 2)


def test_unknown_scale_is_refused():
    with pytest.raises(InvalidInputError, match="conf_type"):
        kaplan_meier([1, 2], [1, 1], conf_type="logit")  # pyright: ignore[reportArgumentType]


def test_arguments_are_not_changed():
    time, event = np.array([3.0, 1.0, 2.0]), np.array([1, 0, 1])
    copies = time.copy(), event.copy()
    kaplan_meier(time, event)
    assert (time == copies[0]).all()
    assert (event == copies[1]).all()


def test_rows_are_in_time_order_and_counts_add_up():
    rng = np.random.default_rng(8)
    time, event = rng.integers(0, 30, 200), rng.integers(0, 2, 200)
    curve = kaplan_meier(time, event)
    assert all(a < b for a, b in pairwise(curve.time))
    assert curve.n_event.sum() == curve.events == event.sum()
    assert curve.n_event.sum() + curve.n_censor.sum() == curve.n == 200
