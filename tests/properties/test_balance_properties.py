"""What must hold for any baseline table and any propensity weights; null distribution of the tests."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.stats import kstest

from trialstrat.stats.balance import describe, smd, table_test
from trialstrat.stats.exact_tests import fisher_p
from trialstrat.stats.propensity import propensity, propensity_weights
from trialstrat.stats.weighted_effect import ipw_cox

relaxed = settings(deadline=None, max_examples=50)


@st.composite
def two_samples(draw, least=3):
    n = draw(st.integers(2 * least, 30))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    group = np.concatenate([np.zeros(least, int), np.ones(least, int), rng.integers(0, 2, n - 2 * least)])
    value = np.round(rng.normal(size=n), draw(st.integers(0, 3)))
    return value, group, rng


def column(value, kind):
    if kind == "continuous":
        return value
    return (value > 0).astype(int) if kind == "binary" else np.digitize(value, [-0.5, 0.5]).astype(str)


@relaxed
@given(two_samples(), st.sampled_from(["continuous", "binary", "categorical"]))
def test_swapping_groups_turns_the_difference_around(data, kind):
    value, group, _ = data
    x = column(value, kind)
    there, back = smd(x, group, kind=kind), smd(x, 1 - group, kind=kind)
    assert there.status == back.status
    if there.status == "ok":
        sign = 1.0 if kind == "categorical" else -1.0
        assert there.smd == pytest.approx(sign * back.smd, abs=1e-10)


@relaxed
@given(two_samples(), st.sampled_from(["binary", "categorical"]))
def test_integer_weights_are_replication(data, kind):
    """For shares; the weighted variance of a continuous variable treats weights as precision, not as copies."""
    value, group, rng = data
    copies = rng.integers(1, 4, value.size)
    x = column(value, kind)
    weighted = smd(x, group, kind=kind, weights=copies)
    replicated = smd(np.repeat(x, copies), np.repeat(group, copies), kind=kind)
    assert weighted.status == replicated.status
    if weighted.status == "ok":
        assert weighted.smd == pytest.approx(replicated.smd, abs=1e-10)


@relaxed
@given(two_samples(), st.floats(0.1, 50.0))
def test_the_scale_of_weights_and_values_does_not_matter(data, factor):
    value, group, rng = data
    weights = rng.uniform(0.2, 3.0, value.size)
    plain = smd(value, group, kind="continuous", weights=weights)
    assume(plain.status == "ok")
    scaled = smd(value * factor + 3.0, group, kind="continuous", weights=weights * factor)
    assert scaled.smd == pytest.approx(plain.smd, rel=1e-6, abs=1e-9)


@relaxed
@given(two_samples(), st.sampled_from(["t", "welch", "wilcoxon", "kruskal", "anova", "chisq", "fisher"]))
def test_tests_know_no_order_of_patients_and_lie_in_range(data, kind):
    value, group, rng = data
    x = column(value, "categorical") if kind in ("chisq", "fisher") else value
    found = table_test(x, group, kind=kind)
    order = rng.permutation(value.size)
    again = table_test(x[order], group[order], kind=kind)
    assert found.status == again.status
    if found.status == "ok":
        assert 0 <= found.p <= 1
        assert again.p == pytest.approx(found.p, rel=1e-9)
        swapped = table_test(x, 1 - group, kind=kind)
        assert swapped.p == pytest.approx(found.p, rel=1e-9)


@relaxed
@given(two_samples())
def test_descriptions_by_group_add_up(data):
    value, group, _ = data
    labels = column(value, "categorical")
    overall, parts = describe(labels, kind="categorical")["all"], describe(labels, group, kind="categorical")
    for level, count in overall.counts.items():
        assert sum(part.counts[level] for part in parts.values()) == count
    numbers = describe(value, kind="continuous")["all"]
    assert numbers.q1 <= numbers.median <= numbers.q3


@settings(deadline=None, max_examples=25)
@given(st.lists(st.integers(0, 5), min_size=6, max_size=6))
def test_fisher_is_a_probability_and_reaches_one_for_the_most_likely_table(cells):
    table = np.array(cells).reshape(3, 2)
    assume(np.all(table.sum(axis=0) > 0) and np.all(table.sum(axis=1) > 0))
    assert 0 < fisher_p(table) <= 1
    assert fisher_p(np.full((3, 2), 2)) == pytest.approx(1.0)


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 2**32 - 1), st.sampled_from(["ate", "att", "overlap"]))
def test_weights_do_not_depend_on_the_units_of_covariates(seed, estimand):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(80, 2))
    arm = (rng.uniform(size=80) < 1 / (1 + np.exp(-x[:, 0]))).astype(int)
    one, other = propensity(arm, x), propensity(arm, x * [1000.0, 0.001] + [5.0, -2.0])
    assume(one.status == "ok")
    np.testing.assert_allclose(other.score, one.score, rtol=1e-7)
    weights = propensity_weights(one.score, arm, estimand=estimand)
    assert weights.ess_treated <= arm.sum() + 1e-9
    assert weights.ess_control <= (1 - arm).sum() + 1e-9


@settings(deadline=None, max_examples=10)
@given(st.integers(0, 2**32 - 1))
def test_swapping_arms_turns_the_weighted_effect_around(seed):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(90, 2))
    arm = (rng.uniform(size=90) < 1 / (1 + np.exp(-x[:, 0]))).astype(int)
    time, event = rng.exponential(np.exp(x[:, 0] - arm)), rng.integers(0, 2, 90)
    for estimand in ("ate", "overlap"):
        there = ipw_cox(time, event, arm, x, estimand=estimand)
        back = ipw_cox(time, event, 1 - arm, x, estimand=estimand)
        assert there.coef == pytest.approx(-back.coef, abs=1e-7)
        assert there.robust_std_error == pytest.approx(back.robust_std_error, rel=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["t", "welch", "wilcoxon", "kruskal", "anova"])
def test_p_values_are_uniform_without_a_difference(kind):
    rng = np.random.default_rng(13)
    group = np.repeat([0, 1], [25, 35])
    p = [table_test(rng.normal(size=60), group, kind=kind, exact=False).p for _ in range(2000)]
    assert kstest(p, "uniform").pvalue > 0.001


@pytest.mark.slow
def test_weighted_intervals_cover_the_null():
    """Confounded arms without effect: the 95% interval of the weighted Cox model covers a hazard ratio of 1."""
    rng = np.random.default_rng(17)
    covered = 0
    runs = 300
    for _ in range(runs):
        x = rng.normal(size=(300, 2))
        arm = (rng.uniform(size=300) < 1 / (1 + np.exp(-0.7 * x[:, 0]))).astype(int)
        time = rng.exponential(np.exp(-0.6 * x[:, 0]))
        found = ipw_cox(time, np.ones(300), arm, x, estimand="ate", stabilised=True)
        covered += found.lower < 1 < found.upper
    assert 0.92 <= covered / runs <= 1.0
