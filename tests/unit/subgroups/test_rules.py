"""The search: its statistic, its permutations, its claims, and its exactness."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import statsmodels.api as sm
from scipy.special import expit, logsumexp, xlogy
from scipy.stats import multivariate_normal, norm

from tests.simulation.scorer import outcome_of
from tests.simulation.trials import trial
from trialstrat.cohort.shown import ShownOutcome
from trialstrat.stats.cox import cox
from trialstrat.stats.kernels.rule_scores import log_bayes_factors
from trialstrat.subgroups import rules as search_module
from trialstrat.subgroups.conjunctions import conjunctions
from trialstrat.subgroups.correction import Correction, correct, world
from trialstrat.subgroups.literals import markers_of, splits
from trialstrat.subgroups.null_model import NullFit, main_effects, normal_scores, null_fit
from trialstrat.subgroups.rule_prior import PROGNOSTIC, _beside, prognostic_prior
from trialstrat.subgroups.rules import (
    COMPONENTS,
    SIZE,
    SLOPE,
    Evidence,
    Trial,
    chosen_rules,
    evidence,
    labels,
    rule_differences,
    search,
    sums,
    together,
)
from trialstrat.subgroups.shrinkage import shrink, shrinkage
from trialstrat.subgroups.stability import stability


def parts(name: str = "spike12", n: int = 300, depth: int = 2, seed: int = 1):
    made = trial(np.random.default_rng(seed), name, n)
    markers = markers_of(made.frame, list(made.frame)[:7])
    rules = conjunctions(splits(made.frame, markers, 30), depth)
    size = rules.sums(np.ones(n))
    rules = rules.keep((size >= 30) & (size <= n - 30))
    prognosis = main_effects(made.frame, markers)
    fit = null_fit(outcome_of(made), made.treated, prognosis.columns)
    one = Trial(
        treated=made.treated, residual=fit.residual, expected=fit.expected, blocks=np.zeros(n, dtype=np.int64),
        counts=True,
    )  # fmt: skip
    known = np.ones(n, dtype=bool)
    scores = np.column_stack([normal_scores(made.frame[m.column].to_numpy(), known) for m in markers])
    alone = null_fit(outcome_of(made), made.treated, np.zeros((n, 0)))
    prior = prognostic_prior(rules, np.arange(7), alone, fit, prognosis.owner, size=SIZE, slope=SLOPE)
    return made, one, rules, scores, prior


def brute(one: Trial, members: np.ndarray, treated: np.ndarray) -> tuple[float, float]:
    """Difference of one-step effects and its variance, written out."""
    effect, variance, _ = zip(*(one_side(one, side, treated) for side in (members, ~members)), strict=True)
    return effect[0] - effect[1], variance[0] + variance[1]


def one_side(one: Trial, side: np.ndarray, treated: np.ndarray) -> tuple[float, float, float]:
    t, M, L = treated[side], one.residual[side], one.expected[side]
    share = (t * L).sum() / L.sum()
    information = ((M + L).sum() if one.counts else L.sum()) * share * (1 - share)
    return ((t * M).sum() - share * M.sum()) / information, 1 / information, share


def statistic(one: Trial, members: np.ndarray, treated: np.ndarray) -> tuple[float, float]:
    """Squared statistic and variance: for counts the likelihood ratio of two binomials where the score exceeds 1."""
    difference, variance = brute(one, members, treated)
    square = difference**2 / variance
    if not one.counts or square <= 1:
        return square, variance
    sides = [one_side(one, side, treated) for side in (members, ~members)]
    common = sum(e / v for e, v, _ in sides) / sum(1 / v for _, v, _ in sides)
    ratio = 0.0
    for side, (_, _, share) in zip((members, ~members), sides, strict=True):
        events = (one.residual + one.expected)[side]
        seen, of_treated = events.sum(), (events * treated[side]).sum()
        p = expit(np.log(share / (1 - share)) + common)
        ratio += 2 * (xlogy(of_treated, of_treated / (seen * p)))
        ratio += 2 * xlogy(seen - of_treated, (seen - of_treated) / (seen * (1 - p)))
    return ratio, variance


@pytest.mark.parametrize("counts", [True, False])
def test_the_evidence_is_the_one_of_the_definition(counts):
    _, one, rules, _, prior = parts(n=200)
    one = replace(one, counts=counts)
    label = labels(one, np.random.default_rng(2), 3)
    found = evidence(one, sums(one, rules.base, label), rules, prior, 0)
    for column in range(3):
        parts_of = np.array([statistic(one, rules.members(r), label[:, column]) for r in range(rules.size)])
        z, variance = np.sqrt(parts_of[:, 0]), parts_of[:, 1]
        seen = norm.logpdf(z * np.sqrt(variance), 0, np.sqrt(variance + SIZE**2))
        values = prior.rules + seen - norm.logpdf(z * np.sqrt(variance), 0, np.sqrt(variance))
        for of in (1, 2):
            own = rules.depth == of
            assert found.total[of - 1, column] == pytest.approx(logsumexp(values[own]), abs=0.01)
            assert found.top[of - 1, column] == pytest.approx(values[own].max(), abs=0.01)
            at = found.at[of - 1, column]
            assert own[at]
            assert values[at] == pytest.approx(values[own].max(), abs=0.01)


def test_a_bayes_factor_is_the_ratio_of_two_normal_densities():
    z, variance = np.array([0.0, 1.5, -3.0, 5.0]), np.array([0.1, 0.02, 0.3, 0.05])
    estimate = z * np.sqrt(variance)
    made = norm.logpdf(estimate, 0, np.sqrt(variance + 0.7**2)) - norm.logpdf(estimate, 0, np.sqrt(variance))
    np.testing.assert_allclose(log_bayes_factors(z, variance, 0.7), made, rtol=1e-12)
    assert log_bayes_factors(z, np.zeros(4), 0.7).tolist() == [0, 0, 0, 0]


def test_weights_add_to_one_and_favour_markers_that_carry_the_prognosis():
    made, _, rules, _, prior = parts("null07", 600)
    for depth in (1, 2):
        assert np.exp(prior.rules[rules.depth == depth]).sum() == pytest.approx(1)
    assert np.exp(prior.numeric).sum() == pytest.approx(1)
    weight = dict(zip(made.frame.columns, prior.markers, strict=False))
    assert weight["nodes"] > 0.99 * PROGNOSTIC
    # oestrogen has no prognosis of its own in the regression that makes these trials: it stands for progesterone
    assert 0.3 * PROGNOSTIC < weight["er"] < 0.7 * PROGNOSTIC
    assert weight["pgr"] > 0.8 * PROGNOSTIC
    assert all(1 <= w <= PROGNOSTIC for w in weight.values())


def test_weights_of_markers_without_prognosis_stay_near_one():
    made, _, rules, _, _ = parts("null07", 600)
    markers = markers_of(made.frame, list(made.frame)[:7])
    prognosis = main_effects(made.frame, markers)
    shuffled = np.random.default_rng(1).permutation(600)
    noise = replace(outcome_of(made), time=made.time[shuffled], event=made.event[shuffled])
    alone = null_fit(noise, made.treated, np.zeros((600, 0)))
    fit = null_fit(noise, made.treated, prognosis.columns)
    prior = prognostic_prior(rules, np.arange(7), alone, fit, prognosis.owner, size=SIZE, slope=SLOPE)
    assert np.median(prior.markers) < PROGNOSTIC / 8


def test_what_a_marker_adds_to_the_others_is_the_bayes_factor_of_its_coefficients():
    rng = np.random.default_rng(5)
    root = rng.normal(size=(5, 5))
    covariance = root @ root.T / 50 + np.eye(5) / 100
    coef = rng.normal(size=5) / 3
    fit = NullFit(
        residual=np.zeros(1), expected=np.ones(1), prognosis=np.zeros(1), effect=0.0, coef=coef,
        covariance=covariance, method="",
    )  # fmt: skip
    made = _beside(fit, np.array([0, 0, 2, 2, 2]), 3, 0.3)
    for marker, own in ((0, [0, 1]), (2, [2, 3, 4])):
        block = covariance[np.ix_(own, own)]
        wide, narrow = (multivariate_normal(cov=block + x * np.eye(len(own))) for x in (0.09, 0.0))
        assert made[marker] == pytest.approx(wide.logpdf(coef[own]) - narrow.logpdf(coef[own]))
    assert made[1] == -np.inf


def test_components_are_weighed_together_and_the_best_rule_is_the_likeliest():
    value = np.log([[4.0, 1.0], [2.0, 3.0], [1.0, 1.0]])
    made = together(("one_condition", "two_conditions", "continuous"), value)
    whole = 0.85 + 0.1 + 0.1
    np.testing.assert_allclose(np.exp(made), [(0.85 * 4 + 0.1 * 2 + 0.1) / whole, (0.85 + 0.1 * 3 + 0.1) / whole])
    found = Evidence(
        total=np.zeros((2, 3)), top=np.log([[4.0, 1.0, 1.0], [2.0, 3.0, 1.9]]), at=np.array([[5, 6, 4], [7, 8, 9]])
    )
    assert chosen_rules(found).tolist() == [5, 8, 4]
    assert list(COMPONENTS) == [1, 2, 3]


def test_sums_are_exact_whatever_the_order_of_addition():
    _, one, rules, _, _ = parts()
    label = labels(one, np.random.default_rng(3), 3)
    order = np.random.default_rng(4).permutation(one.n)
    turned = Trial(
        treated=one.treated[order], residual=one.residual[order], expected=one.expected[order], blocks=one.blocks[order]
    )
    a, b = sums(one, rules.base, label), sums(turned, np.ascontiguousarray(rules.base[:, order]), label[order])
    for name in ("tm", "m", "tl", "ls"):
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name))


def test_labels_keep_the_number_treated_in_every_block():
    _, one, _, _, _ = parts()
    blocks = np.arange(one.n) % 4
    made = labels(replace(one, blocks=blocks), np.random.default_rng(1), 20)
    assert set(np.unique(made)) == {0.0, 1.0}
    for block in range(4):
        assert (made[blocks == block].sum(axis=0) == one.treated[blocks == block].sum()).all()
    assert len({column.tobytes() for column in made.T}) == 20


def test_a_drift_moves_the_estimate_by_its_size():
    _, one, rules, _, _ = parts(n=600)
    inside = rules.members(0)
    label = labels(one, np.random.default_rng(5), 200)
    rule = np.zeros(200, dtype=np.int64)
    still = rule_differences(sums(one, rules.base, label), rules, rule)[0]
    moved = rule_differences(sums(one, rules.base, label, drift=np.where(inside, 0.5, 0.0)), rules, rule)[0]
    assert (moved - still).mean() == pytest.approx(0.5, abs=0.03)


def test_a_strong_rule_is_found_and_claimed_and_a_shuffled_one_is_not():
    made, one, rules, scores, prior = parts("spike12", 700, seed=3)
    rng = np.random.default_rng(6)
    found = search(one, rules, scores, prior, rng=rng, permutations=200)
    assert found.claimed
    assert 1.249 / 201 <= found.p <= 0.05
    truth = made.effect > 0
    members = rules.members(found.rule)
    overlap = max((m & truth).sum() / (m | truth).sum() for m in (members, ~members))
    assert overlap > 0.9
    shuffled = Trial(
        treated=rng.permutation(one.treated), residual=one.residual, expected=one.expected, blocks=one.blocks
    )
    assert search(shuffled, rules, scores, prior, rng=rng, permutations=200).p > 0.02


def test_the_smaller_the_error_rate_the_higher_the_bar():
    _, one, rules, scores, prior = parts(n=200)
    found = search(one, rules, scores, prior, rng=np.random.default_rng(1), permutations=100)
    assert found.at_level(0.01).critical >= found.critical
    assert found.at_level(0.01).p == found.p
    assert found.names == ("one_condition", "two_conditions", "continuous")
    assert found.joint.shape == (100,)


def test_direction_limits_rules_of_two_conditions():
    _, one, rules, _, prior = parts("two", 700)
    for direction in (-1, 1):
        own = sums(one, rules.base, one.treated[:, None].astype(float))
        found = evidence(one, own, rules, prior, direction)
        assert np.sign(rule_differences(own, rules, found.at[1])[0][0]) == direction
        every = rule_differences(own, rules, np.arange(rules.size))[0]
        wrong = rules.keep((rules.depth == 2) & (np.sign(every) == -direction))
        assert 0 < wrong.size < (rules.depth == 2).sum()
        none = evidence(one, own, wrong, replace(prior, rules=np.zeros(wrong.size)), direction)
        assert none.top[1, 0] == -np.inf


def test_null_model_of_times_is_the_cox_model():
    made, _, _, _, _ = parts(n=300)
    fit = null_fit(outcome_of(made), made.treated, np.zeros((300, 0)))
    reference = cox(made.time, made.event, made.treated, ties="breslow")
    assert fit.effect == pytest.approx(float(reference.coef[0]), abs=1e-6)
    assert fit.expected.sum() == pytest.approx(made.event.sum())
    assert (fit.residual * made.treated).sum() == pytest.approx(0, abs=1e-6)


def test_null_model_takes_delayed_entry():
    made, _, _, _, _ = parts(n=300)
    entry = np.random.default_rng(1).uniform(0, 0.5, 300) * made.time
    late = replace(outcome_of(made), entry=entry)
    fit = null_fit(late, made.treated, np.zeros((300, 0)))
    reference = cox(made.time, made.event, made.treated, entry=entry, ties="breslow")
    assert fit.effect == pytest.approx(float(reference.coef[0]), abs=1e-6)


@pytest.mark.parametrize("kind", ["binary", "continuous"])
def test_null_models_of_other_outcomes(kind):
    rng = np.random.default_rng(7)
    n = 400
    z, treated = rng.normal(size=(n, 2)), np.arange(n) % 2
    score = 0.8 * treated + z[:, 0]
    value = score + rng.normal(size=n) if kind == "continuous" else None
    event = (rng.random(n) < 1 / (1 + np.exp(-score))).astype(int) if kind == "binary" else None
    outcome = ShownOutcome(
        label="", kind=kind, unit="", time=None, event=event, entry=None, value=value, horizon=None,
        horizon_declared=False,
    )  # fmt: skip
    fit = null_fit(outcome, treated, z)
    assert fit.effect == pytest.approx(0.8, abs=0.4)
    assert (fit.residual * treated).sum() == pytest.approx(0, abs=1e-6)
    assert (fit.expected > 0).all()
    X = sm.add_constant(np.column_stack([treated, z]))
    peer = sm.OLS(value, X).fit() if kind == "continuous" else sm.Logit(event, X).fit(disp=0)
    # the ridge takes a share off both
    np.testing.assert_allclose(fit.coef, peer.params[2:], atol=0.13)
    np.testing.assert_allclose(fit.covariance, peer.cov_params()[2:, 2:], rtol=0.2, atol=3e-4)


def test_correction_takes_off_more_where_a_claim_was_close():
    made = []
    for seed in (2, 3):
        _, one, rules, scores, prior = parts("spike12", 700, seed=seed)
        rng = np.random.default_rng(8)
        found = search(one, rules, scores, prior, rng=rng, permutations=150)
        made.append((abs(found.z), correct(one, rules, scores, found, rng=rng, worlds=60)))
    (high, strong), (low, close) = made
    assert high > 6 > 4 > low
    assert strong.conditional
    assert close.conditional
    assert strong.bias < 0.45 < 0.5 < close.bias < low
    assert close.widening >= 1.0
    assert strong.power > 0.9 > close.power


def test_worlds_without_a_difference_hold_the_error_rate():
    _, one, rules, scores, prior = parts(n=300)
    rng = np.random.default_rng(9)
    found = search(one, rules, scores, prior, rng=rng, permutations=400)
    made = world(one, rules, scores, found, 0.0, rng=rng, count=400)
    assert made.claimed.mean() < 0.09
    assert made.error.mean() > 1.5


def test_applying_a_correction_never_passes_zero():
    made = Correction(bias=2.0, widening=1.5, conditional=True, worlds=10, power=0.5)
    assert made.apply(0.3, 0.2) == (0.0, pytest.approx(0.3))
    value, error = made.apply(-1.0, 0.2)
    assert value == pytest.approx(-0.6)
    assert error == pytest.approx(0.3)


def test_shrinkage_keeps_large_differences_and_removes_small_ones():
    rng = np.random.default_rng(10)
    variance = np.full(30, 0.04)
    noise = rng.normal(0, 0.2, 30)
    clusters = np.repeat(np.arange(10), 3)
    small, large = (shrinkage(noise, variance, clusters, d, 0.04) for d in (0.1, 1.5))
    assert small.share < 0.4 < 0.8 < large.share
    value, spread = shrink(1.5, 0.04, large)
    assert 1.2 < value < 1.5
    assert spread > 0


def test_a_true_rule_is_stable():
    _, one, rules, scores, prior = parts("spike12", 700, seed=2)
    rng = np.random.default_rng(11)
    found = search(one, rules, scores, prior, rng=rng, permutations=100)
    steady = stability(one, rules, found, rng=rng, resamples=50, halves=50)
    assert steady.same_markers > 0.6
    assert steady.agreement > 0.6
    assert steady.consistency > 0.9
    assert steady.conditions[0][0] == "er = 0"
    assert all(0 < share <= 1 for _, share in steady.conditions)


def test_batches_do_not_change_the_observed_search(monkeypatch):
    _, one, rules, scores, prior = parts(n=200)
    whole = search(one, rules, scores, prior, rng=np.random.default_rng(1), permutations=60)
    monkeypatch.setattr(search_module, "BATCH", 17)
    parted = search(one, rules, scores, prior, rng=np.random.default_rng(1), permutations=60)
    np.testing.assert_array_equal(whole.observed, parted.observed)
    np.testing.assert_allclose(whole.null[:2], parted.null[:2])
