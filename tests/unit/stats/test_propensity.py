"""Propensity model against another library, weights against their formulas, E-values against the paper."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm

from trialstrat.errors import InvalidInputError
from trialstrat.stats.propensity import e_value, effective_sample_size, propensity, propensity_weights
from trialstrat.stats.weighted_effect import ipw_cox


@pytest.fixture(scope="module")
def arms():
    rng = np.random.default_rng(21)
    x = np.column_stack([rng.normal(60, 9, 400), rng.integers(0, 2, 400), rng.gamma(2.0, 100.0, 400)])
    treatment = (rng.uniform(size=400) < 1 / (1 + np.exp(-(x[:, 0] - 60) / 9 + x[:, 1]))).astype(int)
    return treatment, x, rng


def test_model_agrees_with_another_library(arms):
    treatment, x, _ = arms
    found = propensity(treatment, x, names=["age", "sex", "marker"])
    peer = sm.GLM(treatment, sm.add_constant(x), family=sm.families.Binomial()).fit(tol=1e-12)
    np.testing.assert_allclose(found.coef, peer.params, rtol=1e-7)
    np.testing.assert_allclose(found.std_error, peer.bse, rtol=1e-6)
    np.testing.assert_allclose(found.score, peer.fittedvalues, rtol=1e-7)
    assert found.log_likelihood == pytest.approx(peer.llf)
    assert found.treated == treatment.sum()


def test_scores_average_to_the_share_treated(arms):
    treatment, x, _ = arms
    assert propensity(treatment, x).score.mean() == pytest.approx(treatment.mean(), rel=1e-12)


@pytest.mark.parametrize(
    ("treatment", "x", "word"),
    [
        ([0, 0, 0, 1, 1, 1], [1.0, 2, 3, 4, 5, 6], "separate"),
        ([0, 0, 1, 0, 1, 1], [0.0, 0, 0, 0, 1, 1], "separate"),
        ([1, 1, 1, 1], [1.0, 2, 3, 4], "arm is empty"),
        ([0, 1, 0, 1], [[1.0, 1], [2, 1], [4, 1], [3, 1]], "constant"),
        ([0, 1, 0, 1, 1], [[1.0, 2], [2, 4], [4, 8], [3, 6], [0, 0]], "combination"),
    ],
)
def test_an_estimate_that_does_not_exist_is_said_to(treatment, x, word):
    found = propensity(treatment, x)
    assert found.status == "not_estimable"
    assert word in found.reason
    assert np.isnan(found.coef).all()


def test_strong_but_finite_association_is_estimated():
    """A large coefficient alone is no separation."""
    x = np.array([-30.0, -20, -10, -9, 10, 9, 20, 30, -0.5, 0.5])
    treatment = np.array([0, 0, 0, 0, 1, 1, 1, 1, 1, 0])
    assert propensity(treatment, x).status == "ok"


def test_weights_by_their_formulas():
    e, arm = np.array([0.2, 0.5, 0.8, 0.4]), np.array([0, 1, 1, 0])
    share = 0.5
    expected = {
        ("ate", False): [1 / 0.8, 2.0, 1 / 0.8, 1 / 0.6],
        ("ate", True): [share / 0.8, share * 2, share / 0.8, share / 0.6],
        ("att", False): [0.25, 1, 1, 0.4 / 0.6],
        ("att", True): [0.25, 1, 1, 0.4 / 0.6],
        ("overlap", False): [0.2, 0.5, 0.2, 0.4],
        ("overlap", True): [0.2, 0.5, 0.2, 0.4],
    }
    for (estimand, stabilised), weights in expected.items():
        found = propensity_weights(e, arm, estimand=estimand, stabilised=stabilised)
        np.testing.assert_allclose(found.weights, weights)
        assert found.ess_control == pytest.approx(effective_sample_size(np.array(weights)[arm == 0]))


def test_stabilised_att_weights_of_controls_sum_to_their_number_under_the_model(arms):
    """e / (1 - e) averages to share / (1 - share) among controls, which the stabilisation takes out."""
    treatment, x, _ = arms
    score = propensity(treatment, x).score
    found = propensity_weights(score, treatment, estimand="att", stabilised=True)
    assert found.weights[treatment == 0].mean() == pytest.approx(1.0, abs=0.15)


def test_truncation_cuts_at_quantiles(arms):
    treatment, x, _ = arms
    score = propensity(treatment, x).score
    full = propensity_weights(score, treatment, estimand="ate").weights
    cut = propensity_weights(score, treatment, estimand="ate", truncate=(0.05, 0.95))
    low, high = np.quantile(full, (0.05, 0.95))
    np.testing.assert_allclose(cut.weights, np.clip(full, low, high))
    assert (cut.minimum, cut.maximum) == (pytest.approx(low), pytest.approx(high))


def test_effective_sample_size():
    assert effective_sample_size(np.full(7, 3.0)) == pytest.approx(7.0)
    assert effective_sample_size([1.0, 0.0]) == 1.0
    assert effective_sample_size([0.0, 0.0]) == 0.0


def test_overlap_weights_balance_the_means_exactly(arms):
    treatment, x, rng = arms
    time, event = rng.exponential(10, 400), np.ones(400)
    found = ipw_cox(time, event, treatment, x, estimand="overlap")
    assert found.status == "ok"
    assert max(abs(difference.smd) for difference in found.smd_after.values()) < 1e-8
    assert max(abs(difference.smd) for difference in found.smd_before.values()) > 0.3


def test_weighting_removes_confounding(arms):
    """Without effect of treatment the crude hazard ratio is biased; the weighted one covers 1."""
    treatment, x, _ = arms
    rng = np.random.default_rng(5)
    time = rng.exponential(1 / np.exp((x[:, 0] - 60) / 12 - x[:, 1]))
    found = ipw_cox(time, np.ones(400), treatment, x, estimand="ate", stabilised=True)
    assert found.lower < 1 < found.upper
    assert found.hazard_ratio == pytest.approx(np.exp(found.coef))
    assert found.robust_std_error > 0
    assert found.p > 0.05


def test_separated_arms_have_no_weighted_effect():
    found = ipw_cox([1.0, 2, 3, 4], [1, 1, 0, 1], [0, 0, 1, 1], [[1.0], [2], [3], [4]], estimand="ate")
    assert found.status == "not_estimable"
    assert "separate" in found.reason


def test_no_event_has_no_weighted_effect(arms):
    treatment, x, rng = arms
    found = ipw_cox(rng.exponential(10, 400), np.zeros(400), treatment, x, estimand="ate")
    assert found.status == "not_estimable"
    assert found.reason


def test_e_values_of_the_paper():
    """VanderWeele & Ding 2017: a risk ratio of 3.9 (1.8 to 8.7) has E-values 7.2 and 3.0."""
    found = e_value(3.9, lower=1.8, upper=8.7, rare=True)
    assert found.estimate == pytest.approx(7.26, abs=0.01)
    assert found.limit == pytest.approx(3.0, abs=0.01)
    protective = e_value(1 / 3.9, lower=1 / 8.7, upper=1 / 1.8, rare=True)
    assert protective.estimate == pytest.approx(found.estimate)
    assert protective.limit == pytest.approx(found.limit)


def test_e_value_of_a_common_outcome_uses_the_approximate_risk_ratio():
    ratio = (1 - 0.5 ** np.sqrt(2)) / (1 - 0.5 ** np.sqrt(0.5))
    assert e_value(2.0).estimate == pytest.approx(ratio + np.sqrt(ratio * (ratio - 1)))
    assert e_value(2.0).estimate < e_value(2.0, rare=True).estimate


def test_e_value_of_an_interval_that_holds_one_is_one():
    found = e_value(0.8, lower=0.5, upper=1.1)
    assert found.limit == 1.0
    assert e_value(1.0).estimate == 1.0
    assert np.isnan(e_value(1.5).limit)


@pytest.mark.parametrize(
    "call",
    [
        lambda: propensity([0, 2, 1], [[1.0], [2], [3]]),
        lambda: propensity([0, 1], [[1.0], [np.nan]]),
        lambda: propensity([0, 1], [[1.0]]),
        lambda: propensity([0, 1], [[1.0], [2.0]], names=["a", "b"]),
        lambda: propensity_weights([0.0, 0.5], [0, 1], estimand="ate"),
        lambda: propensity_weights([0.2, 0.5], [0, 1], estimand="atc"),
        lambda: propensity_weights([0.2, 0.5], [0, 1], estimand="ate", truncate=(0.9, 0.1)),
        lambda: effective_sample_size([-1.0, 1.0]),
        lambda: e_value(-1.0),
        lambda: e_value(1.5, lower=1.6),
        lambda: ipw_cox([-1.0, 2], [1, 1], [0, 1], [[1.0], [2]], estimand="ate"),
    ],
)
def test_impossible_arguments_are_refused(call):
    with pytest.raises(InvalidInputError):
        call()
