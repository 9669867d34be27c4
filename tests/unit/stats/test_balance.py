"""Standardised differences, table tests and descriptions against formulas, R and another library."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from trialstrat.errors import InvalidInputError
from trialstrat.stats.balance import describe, smd, table_test

RNG = np.random.default_rng(8)
X, Y = RNG.normal(size=31), RNG.normal(0.5, 2.0, 24)
VALUE = np.concatenate([X, Y])
GROUP = np.repeat(["a", "b"], [31, 24])


def test_smd_continuous_by_its_formula():
    expected = (Y.mean() - X.mean()) / np.sqrt((X.var(ddof=1) + Y.var(ddof=1)) / 2)
    assert smd(VALUE, GROUP, kind="continuous").smd == pytest.approx(expected, rel=1e-12)


def test_smd_leaves_out_missing_values_and_rows_of_weight_zero():
    value, weights = VALUE.copy(), np.ones(VALUE.size)
    value[3], weights[40] = np.nan, 0.0
    keep = np.delete(np.arange(VALUE.size), [3, 40])
    found = smd(value, GROUP, kind="continuous", weights=weights)
    assert found.smd == pytest.approx(smd(VALUE[keep], GROUP[keep], kind="continuous").smd)
    assert found.n == (30, 23)


def test_smd_of_two_levels_is_the_absolute_binary_one():
    value = (VALUE > 0.4).astype(int)
    binary = smd(value, GROUP, kind="binary").smd
    assert smd(np.where(value, "yes", "no"), GROUP, kind="categorical").smd == pytest.approx(abs(binary))


def test_smd_categorical_by_matrix_formula():
    value, group = np.array(list("xxyzzyxzyxxy")), np.repeat([0, 1], 6)
    shares = np.array([[np.mean(value[group == g] == level) for level in "yz"] for g in (0, 1)])
    pooled = sum(np.diag(p) - np.outer(p, p) for p in shares) / 2
    d = shares[1] - shares[0]
    assert smd(value, group, kind="categorical").smd == pytest.approx(np.sqrt(d @ np.linalg.inv(pooled) @ d))


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (np.ones(6), "continuous"),
        ([0.1, 0.1, 0.1, 0.7, 0.7, 0.7], "continuous"),
        (np.zeros(6), "binary"),
        (["u"] * 6, "categorical"),
        (["u", "u", "u", "v", "v", "v"], "categorical"),
        ([np.nan, np.nan, np.nan, 1.0, 2.0, 3.0], "continuous"),
    ],
)
def test_smd_without_variance_is_not_estimable(value, kind):
    found = smd(value, [0, 0, 0, 1, 1, 1], kind=kind)
    assert found.status == "not_estimable"
    assert np.isnan(found.smd)
    assert found.reason


@pytest.mark.parametrize(("kind", "equal"), [("t", True), ("welch", False)])
def test_t_tests(kind, equal):
    expected = stats.ttest_ind(X, Y, equal_var=equal)
    found = table_test(VALUE, GROUP, kind=kind)
    assert found.statistic == pytest.approx(expected.statistic, rel=1e-12)
    assert found.p == pytest.approx(expected.pvalue, rel=1e-12)
    assert found.df == pytest.approx(expected.df, rel=1e-12)


def test_anova_and_kruskal():
    group = np.arange(55) % 3
    samples = [VALUE[group == code] for code in range(3)]
    assert table_test(VALUE, group, kind="anova").p == pytest.approx(stats.f_oneway(*samples).pvalue, rel=1e-10)
    rounded = [np.round(sample) for sample in samples]
    found = table_test(np.round(VALUE), group, kind="kruskal")
    assert found.statistic == pytest.approx(stats.kruskal(*rounded).statistic, rel=1e-12)


def test_anova_of_two_groups_is_the_squared_t():
    t = table_test(VALUE, GROUP, kind="t")
    f = table_test(VALUE, GROUP, kind="anova")
    assert f.statistic == pytest.approx(t.statistic**2)
    assert f.p == pytest.approx(t.p)


@pytest.mark.parametrize("correct", [True, False])
def test_wilcoxon_normal_approximation_with_ties(correct):
    value = np.round(VALUE)
    expected = stats.mannwhitneyu(value[:31], value[31:], method="asymptotic", use_continuity=correct)
    found = table_test(value, GROUP, kind="wilcoxon", exact=False, correct=correct)
    assert found.statistic == expected.statistic
    assert found.p == pytest.approx(expected.pvalue, rel=1e-12)


def test_wilcoxon_is_exact_by_default_only_for_small_groups_without_ties():
    exact = stats.mannwhitneyu(X, Y, method="exact").pvalue
    assert table_test(VALUE, GROUP, kind="wilcoxon").p == pytest.approx(exact, rel=1e-10)
    assert "exact" not in table_test(np.round(VALUE), GROUP, kind="wilcoxon").method
    assert "exact" not in table_test(RNG.normal(size=120), np.repeat([0, 1], 60), kind="wilcoxon").method


@pytest.mark.parametrize("correct", [True, False])
def test_chi_square(correct):
    value, group = np.array(list("uuuvvvuuvuvv")), np.repeat([0, 1], 6)
    table = [[np.sum((value == level) & (group == code)) for code in (0, 1)] for level in "uv"]
    expected = stats.chi2_contingency(table, correction=correct)
    found = table_test(value, group, kind="chisq", correct=correct)
    assert found.statistic == pytest.approx(expected.statistic)
    assert found.p == pytest.approx(expected.pvalue)


def test_yates_is_for_two_by_two_tables_only():
    value, group = np.array(list("uvwuvwuuvwwv")), np.repeat([0, 1], 6)
    assert table_test(value, group, kind="chisq") == table_test(value, group, kind="chisq", correct=False)


@pytest.mark.parametrize("kind", ["t", "welch", "wilcoxon", "kruskal", "anova", "chisq", "fisher"])
def test_constant_values_are_not_estimable(kind):
    found = table_test(np.ones(8), np.repeat([0, 1], 4), kind=kind, exact=False)
    assert found.status == "not_estimable"
    assert found.reason


@pytest.mark.parametrize("kind", ["t", "welch", "wilcoxon", "kruskal", "anova", "chisq", "fisher"])
def test_a_group_without_values_is_not_estimable(kind):
    value = [1.0, 2.0, 3.0, np.nan, np.nan]
    assert table_test(value, [0, 0, 0, 1, 1], kind=kind).status == "not_estimable"


def test_describe_by_group_counts_missing_values_and_absent_levels():
    found = describe([1.0, 2.0, np.nan, 4.0, 5.0], ["b", "b", "b", "a", "a"], kind="continuous")
    assert list(found) == ["a", "b"]
    assert (found["b"].n, found["b"].missing, found["b"].mean, found["b"].median) == (2, 1, 1.5, 1.5)
    assert (found["b"].q1, found["b"].q3) == (1.25, 1.75)
    counts = describe(["x", None, "y", "x"], [1, 1, 2, 2], kind="categorical")
    assert dict(counts[1].counts) == {"x": 1, "y": 0}
    assert counts[1].missing == 1


def test_describe_of_nothing_has_no_numbers():
    found = describe([np.nan, np.nan], kind="continuous")["all"]
    assert (found.n, found.missing) == (0, 2)
    assert np.isnan(found.mean)
    assert np.isnan(describe([3.0], kind="continuous")["all"].sd)
    assert describe([None, None], kind="categorical")["all"].counts == {}


@pytest.mark.parametrize(
    "call",
    [
        lambda: smd(VALUE, np.arange(55) % 3, kind="continuous"),
        lambda: smd(VALUE, GROUP[:-1], kind="continuous"),
        lambda: smd(VALUE, GROUP, kind="binary"),
        lambda: smd(VALUE, GROUP, kind="continuous", weights=-np.ones(55)),
        lambda: smd(["a", "b"], [0, 1], kind="continuous"),
        lambda: smd([np.inf, 1.0], [0, 1], kind="continuous"),
        lambda: table_test(VALUE, np.zeros(55), kind="t"),
        lambda: table_test(VALUE, np.arange(55) % 3, kind="welch"),
        lambda: table_test(VALUE, GROUP, kind="median"),
        lambda: table_test(VALUE, [None, *GROUP[1:]], kind="t"),
        lambda: describe([], kind="continuous"),
    ],
)
def test_impossible_arguments_are_refused(call):
    with pytest.raises(InvalidInputError):
        call()
