"""What must hold for every data set, whatever its times, ties, weights and entries."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2, norm

from trialstrat.stats.logrank import logrank, logrank_trend
from trialstrat.stats.maxcombo import maxcombo
from trialstrat.stats.milestone import milestone_difference
from trialstrat.stats.rmst import rmst_difference
from trialstrat.stats.survival import kaplan_meier, nelson_aalen

CONF_TYPES = st.sampled_from(["log", "log-log", "plain"])


@st.composite
def trials(draw, delayed=False, weighted=False, k=2, least=4):
    """Small trials with many ties: time, event, group, and entry or weights or None."""
    n = draw(st.integers(least, 25))
    column = lambda values: np.array(draw(st.lists(values, min_size=n, max_size=n)))  # noqa: E731
    time = column(st.integers(1, 12)).astype(float)
    event = column(st.integers(0, 1))
    group = column(st.integers(0, k - 1))
    entry = np.floor(time * column(st.integers(0, 9)) / 10.0) if delayed else None
    weights = column(st.integers(0, 3)).astype(float) if weighted else None
    return time, event, group, entry, weights


def same(a, b):
    np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)


@given(trials(delayed=True), CONF_TYPES)
def test_curves_stay_in_the_unit_interval_and_never_rise(trial, conf_type):
    time, event, _, entry, _ = trial
    curve = kaplan_meier(time, event, entry=entry, conf_type=conf_type)
    assert np.all((curve.survival >= 0) & (curve.survival <= 1))
    assert np.all(np.diff(curve.survival) <= 0)
    assert np.all(np.diff(curve.time) > 0)
    known = ~np.isnan(curve.lower)
    assert np.all(curve.lower[known] <= curve.survival[known] + 1e-12)
    assert np.all(curve.upper[known] >= curve.survival[known] - 1e-12)
    assert np.all((curve.lower[known] >= 0) & (curve.upper[known] <= 1))
    assert np.all(np.isnan(curve.std_error) == (curve.survival == 0))


@given(trials(delayed=True), st.randoms(use_true_random=False))
def test_the_order_of_patients_changes_nothing(trial, random):
    time, event, group, entry, _ = trial
    order = list(range(time.shape[0]))
    random.shuffle(order)
    one = kaplan_meier(time, event, entry=entry)
    other = kaplan_meier(time[order], event[order], entry=entry[order])
    same(one.survival, other.survival)
    same(one.std_error, other.std_error)
    if np.ptp(group) > 0:
        test, again = (
            logrank(time, event, group, entry=entry),
            logrank(time[order], event[order], group[order], entry=entry[order]),
        )
        same(test.statistic, again.statistic)
        same(test.expected, again.expected)


@given(trials(weighted=True))
def test_integer_weights_are_repeated_patients(trial):
    time, event, _, _, weights = trial
    if weights.sum() == 0:
        return
    rows = np.repeat(np.arange(time.shape[0]), weights.astype(int))
    repeated = kaplan_meier(time[rows], event[rows])
    weighted = kaplan_meier(time, event, weights=weights).at(repeated.time)
    same(weighted.survival, repeated.survival)
    same(weighted.std_error, repeated.std_error)
    same(weighted.n_risk, repeated.n_risk)
    hazard = nelson_aalen(time, event, weights=weights)
    again = nelson_aalen(time[rows], event[rows])
    same(hazard.cumulative_hazard[-1], again.cumulative_hazard[-1])


@given(trials(), st.sampled_from([1.0, 2.5, 8.0, 12.0]))
def test_swapping_the_arms_turns_every_contrast(trial, at):
    time, event, group, _, _ = trial
    one, other = rmst_difference(time, event, group, at), rmst_difference(time, event, 1 - group, at)
    assert one.status == other.status
    same(one.difference.estimate, -other.difference.estimate)
    same(one.difference.lower, -other.difference.upper)
    same(one.ratio.lower, 1 / other.ratio.upper)
    same([one.difference.p, one.ratio.p], [other.difference.p, other.ratio.p])
    first, second = milestone_difference(time, event, group, at), milestone_difference(time, event, 1 - group, at)
    assert first.status == second.status
    same(first.difference.estimate, -second.difference.estimate)
    same(first.difference.p, second.difference.p)
    if np.ptp(group) > 0:
        test, turned = logrank(time, event, group), logrank(time, event, 1 - group)
        same(test.z, -turned.z)
        same(test.p, turned.p)


@given(trials(k=4), st.sampled_from([0.0, 0.5, 1.0]), st.sampled_from([0.0, 1.0]))
def test_tails_observed_and_expected(trial, rho, gamma):
    time, event, group, _, _ = trial
    if np.ptp(group) == 0:
        return
    found = logrank(time, event, group, rho=rho, gamma=gamma)
    same(found.observed.sum(), found.expected.sum())
    if found.status == "ok":
        assert found.p == pytest.approx(chi2.sf(found.statistic, found.df), rel=1e-12)
        assert found.statistic >= -1e-12
        assert 1 <= found.df <= len(found.groups) - 1
    else:
        assert found.reason
        assert np.isnan([found.statistic, found.p]).all()


@given(trials())
def test_labels_and_scale_of_time_do_not_matter(trial):
    time, event, group, _, _ = trial
    if np.ptp(group) == 0:
        return
    plain = logrank(time, event, group)
    renamed = logrank(time * 30.4375, event, np.where(group == 1, "treated", "control"))
    same(plain.statistic, renamed.statistic)
    same(plain.z, renamed.z)
    if plain.status == "ok":
        assert plain.p == pytest.approx(2 * norm.sf(abs(plain.z)), rel=1e-9)
        same(logrank_trend(time, event, group).statistic, plain.statistic)


@given(trials())
def test_a_copy_of_the_trial_as_second_stratum_doubles_the_statistic(trial):
    time, event, group, _, _ = trial
    if np.ptp(group) == 0:
        return
    one = logrank(time, event, group)
    strata = np.repeat([0, 1], time.shape[0])
    both = logrank(np.tile(time, 2), np.tile(event, 2), np.tile(group, 2), strata=strata)
    same(both.statistic, 2 * one.statistic)


@settings(max_examples=25, deadline=None)
@given(trials(least=8))
def test_maxcombo_lies_between_the_smallest_p_and_its_bonferroni_bound(trial):
    time, event, group, _, _ = trial
    if np.ptp(group) == 0:
        return
    found = maxcombo(time, event, group)
    if found.status != "ok":
        assert np.isnan(found.p)
        return
    smallest = 2 * norm.sf(found.max_abs_z)
    assert smallest * (1 - 1e-6) <= found.p <= min(1.0, 4 * smallest) * (1 + 1e-6)
    same(np.diag(found.correlation), 1.0)


@given(trials(), st.floats(0.01, 0.99))
def test_quantiles_invert_the_curve(trial, p):
    time, event, _, _, _ = trial
    curve = kaplan_meier(time, event)
    found = curve.quantile(p)
    if found.status == "ok":
        assert curve.at(found.estimate).survival[0] <= 1 - p + 1e-7
        assert found.estimate <= time.max()
    else:
        assert curve.survival[-1] > 1 - p - 1e-7
