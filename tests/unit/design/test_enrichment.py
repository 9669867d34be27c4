"""Enrichment, stratified and all-comers designs: limits known in closed form, simulation, refusals."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import norm

from trialstrat.design.assumptions import Assay, BiomarkerAssumptions, Dropout, EffectPrior, PiecewiseHazard
from trialstrat.design.enrichment import (
    EnrichmentTest,
    compare_designs,
    evaluate_enrichment,
    shared_critical_values,
    size_enrichment,
)
from trialstrat.design.power import design_events
from trialstrat.errors import InvalidInputError
from trialstrat.stats.bivariate_normal import bivariate_normal_cdf
from trialstrat.stats.logrank import logrank

PLAN = BiomarkerAssumptions(
    assay=Assay(prevalence=0.4, sensitivity=0.9, specificity=0.85),
    control_positive=PiecewiseHazard.constant(0.08),
    control_negative=PiecewiseHazard.constant(0.05),
    hazard_ratio_positive=0.55,
    hazard_ratio_negative=0.95,
    arrival_rate=25.0,
    allocation=1.0,
    dropout=Dropout(treatment=0.05, control=0.05, time=12.0),
)


def test_shares_of_the_assay():
    assay = PLAN.assay
    assert assay.joint.sum() == pytest.approx(1.0)
    assert assay.positive_rate == pytest.approx(0.4 * 0.9 + 0.6 * 0.15)
    assert assay.predictive_value == pytest.approx(0.36 / 0.45)


def test_enrichment_with_a_perfect_assay_is_a_trial_in_positive_patients():
    plan = replace(PLAN, assay=Assay(prevalence=0.4))
    found = size_enrichment(plan, "enrichment", follow_up=12.0, power=0.9)
    assert found.events == pytest.approx(design_events(0.55, power=0.9), rel=1e-6)
    assert found.hazard_ratio == pytest.approx(0.55)
    assert found.screened == pytest.approx(found.randomised / 0.4)
    assert found.positive_share == 1.0


def test_efficiency_of_simon_and_maitournam():
    """Rare events at equal rates, no effect in negatives, perfect assay: 1 / prevalence^2 times the patients."""
    rare = PiecewiseHazard.constant(0.0005)
    plan = replace(
        PLAN,
        assay=Assay(prevalence=0.3),
        control_positive=rare,
        control_negative=rare,
        hazard_ratio_positive=0.98,
        hazard_ratio_negative=1.0,
        arrival_rate=1e11,
        dropout=None,
    )
    everybody = size_enrichment(plan, "all_comers", follow_up=10.0)
    positive = size_enrichment(plan, "enrichment", follow_up=10.0)
    assert everybody.randomised / positive.randomised == pytest.approx(1 / 0.3**2, rel=0.02)
    assert everybody.randomised / positive.screened == pytest.approx(1 / 0.3, rel=0.02)


def test_same_effect_in_everybody_makes_enrichment_a_waste_of_screening():
    plan = replace(PLAN, hazard_ratio_negative=0.55, control_negative=PLAN.control_positive)
    everybody = size_enrichment(plan, "all_comers", follow_up=12.0)
    positive = size_enrichment(plan, "enrichment", follow_up=12.0)
    assert everybody.events == pytest.approx(positive.events, rel=1e-6)
    assert positive.study_duration > everybody.study_duration
    assert everybody.screened == 0.0


def test_a_worse_assay_dilutes_the_effect_and_costs_patients():
    good = size_enrichment(replace(PLAN, assay=Assay(prevalence=0.4)), "enrichment", follow_up=12.0)
    poor = size_enrichment(
        replace(PLAN, assay=Assay(prevalence=0.4, sensitivity=0.8, specificity=0.6)), "enrichment", follow_up=12.0
    )
    assert good.hazard_ratio == pytest.approx(0.55)
    assert poor.hazard_ratio > good.hazard_ratio
    assert poor.randomised > good.randomised


def test_all_designs_reach_the_power():
    for found in compare_designs(PLAN, follow_up=12.0, power=0.85):
        assert found.status == "ok"
        assert found.power == pytest.approx(0.85, abs=1e-8)
        again = evaluate_enrichment(PLAN, found.design, accrual=found.accrual_duration, follow_up=12.0)
        assert again.power == found.power
        assert found.study_duration == pytest.approx(found.accrual_duration + 12.0)


def test_level_of_every_design_is_alpha():
    plan = replace(PLAN, hazard_ratio_positive=1.0, hazard_ratio_negative=1.0)
    for design in ("all_comers", "stratified", "enrichment"):
        found = evaluate_enrichment(plan, design, accrual=20.0, follow_up=12.0, test=EnrichmentTest(alpha=0.05))
        assert found.power == pytest.approx(0.05, abs=1e-9)


def test_stratified_power_lies_between_its_tests_and_their_sum():
    found = evaluate_enrichment(PLAN, "stratified", accrual=15.0, follow_up=12.0)
    assert max(found.power_overall, found.power_positive) <= found.power
    assert found.power <= found.power_overall + found.power_positive
    assert 0 < found.events_positive < found.events


@pytest.mark.parametrize("correlation", [0.0, 0.5, 0.9, 1.0])
def test_shared_critical_values_use_all_of_alpha(correlation):
    positive, overall = shared_critical_values(0.025, 0.01, correlation)
    assert norm.sf(positive) == pytest.approx(0.01)
    assert 1 - bivariate_normal_cdf(positive, overall, correlation) == pytest.approx(0.025, abs=1e-10)
    assert norm.isf(0.025) - 1e-6 <= overall <= norm.isf(0.015) + 1e-6


@pytest.mark.parametrize("design", ["all_comers", "stratified", "enrichment"])
def test_assurance_is_the_power_averaged_over_the_prior(design):
    prior = EffectPrior(sd_positive=0.25, sd_negative=0.15, correlation=0.4)
    found = evaluate_enrichment(replace(PLAN, prior=prior), design, accrual=14.0, follow_up=12.0)
    rng = np.random.default_rng(3)
    covariance = [[0.25**2, 0.4 * 0.25 * 0.15], [0.4 * 0.25 * 0.15, 0.15**2]]
    draws = np.exp(rng.multivariate_normal(np.log([0.55, 0.95]), covariance, 1500))
    power = [
        evaluate_enrichment(
            replace(PLAN, hazard_ratio_positive=positive, hazard_ratio_negative=negative),
            design,
            accrual=14.0,
            follow_up=12.0,
        ).power
        for positive, negative in draws
    ]
    assert found.assurance == pytest.approx(np.mean(power), abs=4 * np.std(power) / np.sqrt(1500))
    assert found.assurance != pytest.approx(found.power, abs=1e-3)


def test_a_prognostic_marker_brings_the_marginal_effect_closer_to_one():
    """The same hazard ratio within markers is diluted when they are tested together without strata."""
    plan = replace(PLAN, hazard_ratio_negative=0.55, control_positive=PiecewiseHazard.constant(0.2))
    everybody = evaluate_enrichment(plan, "all_comers", accrual=20.0, follow_up=12.0)
    perfect = replace(plan, assay=Assay(prevalence=0.4))
    stratified = evaluate_enrichment(perfect, "stratified", accrual=20.0, follow_up=12.0)
    assert stratified.hazard_ratio == pytest.approx(0.55, rel=1e-9)
    assert 0.56 < everybody.hazard_ratio < 0.7
    assert everybody.events == pytest.approx(stratified.events, rel=1e-9)


def test_piecewise_hazards_and_long_follow_up_are_integrated():
    """Equal hazard ratios and hazards give that ratio whatever the pieces and however long patients are watched."""
    pieces = PiecewiseHazard(starts=(0.0, 3.0, 9.0), rates=(0.02, 0.3, 0.01))
    plan = replace(PLAN, control_positive=pieces, control_negative=pieces, hazard_ratio_negative=0.55)
    for follow_up in (0.0, 12.0, 5000.0):
        found = evaluate_enrichment(plan, "all_comers", accrual=10.0, follow_up=follow_up)
        assert found.hazard_ratio == pytest.approx(0.55, rel=1e-9)


def test_a_certain_prior_gives_the_power_and_no_prior_no_assurance():
    certain = replace(PLAN, prior=EffectPrior(sd_positive=0.0, sd_negative=0.0))
    found = evaluate_enrichment(certain, "stratified", accrual=14.0, follow_up=12.0)
    assert found.assurance == pytest.approx(found.power)
    assert np.isnan(evaluate_enrichment(PLAN, "stratified", accrual=14.0, follow_up=12.0).assurance)


def test_harm_on_average_cannot_be_sized():
    plan = replace(PLAN, hazard_ratio_negative=2.0)
    found = size_enrichment(plan, "all_comers", follow_up=12.0)
    assert found.status == "not_estimable"
    assert found.reason
    assert np.isnan(found.randomised)
    assert size_enrichment(plan, "enrichment", follow_up=12.0).status == "ok"


@pytest.mark.slow
@pytest.mark.parametrize("design", ["all_comers", "stratified", "enrichment"])
def test_simulated_power(design):
    rng = np.random.default_rng(33)
    accrual, follow_up, runs = 16.0, 10.0, 1500
    computed = evaluate_enrichment(PLAN, design, accrual=accrual, follow_up=follow_up)
    wins = sum(_one_trial(rng, design, accrual, follow_up, computed) for _ in range(runs))
    assert wins / runs == pytest.approx(computed.power, abs=0.04)


def _one_trial(rng, design, accrual, follow_up, computed):
    """One simulated trial of independent patients, tested by log-rank (stratified by assay where there is one)."""
    n = rng.poisson(PLAN.arrival_rate * accrual)
    marker = rng.uniform(size=n) < 0.4
    assay = rng.uniform(size=n) < np.where(marker, 0.9, 0.15)
    keep = assay if design == "enrichment" else np.ones(n, dtype=bool)
    arm = rng.integers(0, 2, n)
    ratio = np.where(marker, 0.55, 0.95)
    time = rng.exponential(1 / (np.where(marker, 0.08, 0.05) * np.where(arm == 1, ratio, 1.0)))
    lost = rng.exponential(1 / PLAN.dropout.control_rate, n)
    end = accrual + follow_up - rng.uniform(0, accrual, n)
    seen, event = np.minimum(np.minimum(time, lost), end), (time <= np.minimum(lost, end)).astype(int)
    if design != "stratified":
        return -logrank(seen[keep], event[keep], arm[keep]).z >= norm.isf(0.025)
    overall = -logrank(seen, event, arm, strata=assay).z
    positive = -logrank(seen[assay], event[assay], arm[assay]).z
    correlation = np.sqrt(computed.events_positive / computed.events)
    critical = shared_critical_values(0.025, 0.0125, correlation)
    return positive >= critical[0] or overall >= critical[1]


@pytest.mark.parametrize(
    "call",
    [
        lambda: Assay(prevalence=0.0),
        lambda: Assay(prevalence=0.4, sensitivity=0.5, specificity=0.5),
        lambda: Assay(prevalence=0.4, sensitivity=1.2),
        lambda: EffectPrior(sd_positive=-1.0, sd_negative=0.1),
        lambda: EffectPrior(sd_positive=1.0, sd_negative=0.1, correlation=2.0),
        lambda: replace(PLAN, arrival_rate=0.0),
        lambda: replace(PLAN, hazard_ratio_positive=0.0),
        lambda: EnrichmentTest(alpha=0.6),
        lambda: EnrichmentTest(positive_share=1.0),
        lambda: size_enrichment(PLAN, "adaptive", follow_up=12.0),
        lambda: size_enrichment(PLAN, "enrichment", follow_up=-1.0),
        lambda: size_enrichment(PLAN, "enrichment", follow_up=12.0, power=0.01),
        lambda: evaluate_enrichment(PLAN, "enrichment", accrual=0.0, follow_up=12.0),
        lambda: shared_critical_values(0.025, 0.03, 0.5),
        lambda: shared_critical_values(0.025, 0.01, 1.5),
    ],
)
def test_impossible_arguments_are_refused(call):
    with pytest.raises(InvalidInputError):
        call()
