"""Adjusted p-values, closed tests and graphs against published examples, another library and brute force."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from scipy.stats import chi2
from statsmodels.stats.multitest import multipletests

from trialstrat.errors import InvalidInputError
from trialstrat.stats.multiplicity import closed_test, graphical, p_adjust

P = np.array([0.01, 0.02, 0.03, 0.04, 0.05, 0.001, 0.3])


@pytest.mark.parametrize(
    ("method", "peer"),
    [
        ("bonferroni", "bonferroni"),
        ("holm", "holm"),
        ("hochberg", "simes-hochberg"),
        ("hommel", "hommel"),
        ("BH", "fdr_bh"),
        ("BY", "fdr_by"),
    ],
)
def test_p_adjust_agrees_with_another_library(method, peer):
    rng = np.random.default_rng(3)
    for size in (1, 2, 3, 7, 20):
        p = rng.uniform(0, 0.3, size)
        np.testing.assert_allclose(p_adjust(p, method), multipletests(p, method=peer)[1], rtol=1e-12)


def test_missing_p_values_stay_missing_and_do_not_count():
    adjusted = p_adjust([0.01, np.nan, 0.04, 0.2], "holm")
    np.testing.assert_allclose(adjusted, [0.03, np.nan, 0.08, 0.2])
    assert np.isnan(p_adjust([np.nan, np.nan], "BH")).all()


def test_hommel_is_the_closure_of_simes():
    rng = np.random.default_rng(11)
    for size in (2, 3, 5, 8):
        p = rng.uniform(0, 0.2, size)
        np.testing.assert_allclose(p_adjust(p, "hommel"), closed_test(p, kind="simes").adjusted, rtol=1e-12)


@pytest.mark.parametrize("kind", ["bonferroni", "simes", "fisher"])
def test_closed_test_by_brute_force(kind):
    p = np.array([0.012, 0.03, 0.2, 0.004])
    weights = np.array([0.4, 0.3, 0.0, 0.3]) if kind != "fisher" else None
    expected = np.zeros(4)
    for size in range(1, 5):
        for members in combinations(range(4), size):
            at = list(members)
            expected[at] = np.maximum(
                expected[at], intersection_p(p[at], None if weights is None else weights[at], kind)
            )
    found = closed_test(p, kind=kind, weights=weights)
    np.testing.assert_allclose(found.adjusted, np.minimum(expected, 1.0), rtol=1e-12)
    np.testing.assert_array_equal(found.rejected, found.adjusted <= 0.05)


def intersection_p(p, weights, kind):
    if kind == "fisher":
        return chi2.sf(-2 * np.log(p).sum(), 2 * p.size)
    if weights.sum() == 0:
        return 1.0
    share = weights / weights.sum()
    order = np.argsort(p)
    used = np.cumsum(share[order]) if kind == "simes" else share[order]
    return min([one / of for one, of in zip(p[order], used, strict=True) if of > 0])


def test_graph_of_a_fixed_sequence_stops_at_the_first_failure():
    found = graphical(
        [0.01, 0.03, 0.001], weights=[1, 0, 0], transitions=[[0, 1, 0], [0, 0, 1], [0, 0, 0]], alpha=0.025
    )
    np.testing.assert_allclose(found.adjusted, [0.01, 0.03, 0.03])
    assert found.rejected.tolist() == [True, False, False]


def test_graph_without_incoming_edge_never_tests_a_hypothesis_without_weight():
    found = graphical([0.01, 0.0], weights=[1, 0], transitions=np.zeros((2, 2)))
    assert found.adjusted.tolist() == [0.01, 1.0]


def test_two_hypotheses_that_pass_on_everything():
    """The loop of weight 1 that closes when both pass all their level to each other must not divide by zero."""
    found = graphical([0.01, 0.04], weights=[0.5, 0.5], transitions=[[0, 1], [1, 0]])
    np.testing.assert_allclose(found.adjusted, [0.02, 0.04])


def test_p_value_zero():
    assert p_adjust([0.0, 0.5], "holm").tolist() == [0.0, 0.5]
    assert closed_test([0.0, 0.5], kind="fisher").adjusted[0] == 0.0


@pytest.mark.parametrize(
    "call",
    [
        lambda: p_adjust([0.1, 1.2], "holm"),
        lambda: p_adjust([-0.1], "holm"),
        lambda: p_adjust([], "holm"),
        lambda: p_adjust(["a"], "holm"),
        lambda: p_adjust([0.1], "sidak"),
        lambda: closed_test([0.1, np.nan], kind="simes"),
        lambda: closed_test([0.1], kind="tippett"),
        lambda: closed_test(np.full(19, 0.1), kind="simes"),
        lambda: closed_test([0.1, 0.2], kind="simes", weights=[1.0]),
        lambda: closed_test([0.1, 0.2], kind="simes", weights=[0.0, 0.0]),
        lambda: closed_test([0.1, 0.2], kind="fisher", weights=[1.0, 1.0]),
        lambda: closed_test([0.1], kind="simes", alpha=0.0),
        lambda: graphical([0.1, 0.2], weights=[0.7, 0.7], transitions=np.zeros((2, 2))),
        lambda: graphical([0.1, 0.2], weights=[0.5, 0.5], transitions=np.zeros((2, 3))),
        lambda: graphical([0.1, 0.2], weights=[0.5, 0.5], transitions=[[0, 1.2], [0, 0]]),
        lambda: graphical([0.1, 0.2], weights=[0.5, 0.5], transitions=[[0.5, 0.5], [0, 0]]),
    ],
)
def test_impossible_arguments_are_refused(call):
    with pytest.raises(InvalidInputError):
        call()
