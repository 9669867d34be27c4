"""Assays by hand: predictive values, patients tested per enrolled, the diluted effect."""

from __future__ import annotations

import numpy as np
import pytest

from tests.unit.criteria.test_impact import cohort_of, protocol
from trialstrat.criteria.assays import diluted, predictive_values
from trialstrat.criteria.emulation import emulate
from trialstrat.criteria.impact import impact_study
from trialstrat.protocol.criteria_model import Assay
from trialstrat.subgroups.comparison import comparisons


def test_predictive_values_by_hand():
    assay = Assay(criterion="M", sensitivity=0.9, specificity=0.8, failure_rate=0.1)
    found = predictive_values(assay, 300, 1000, 0.95)
    assert found.positive[0] == pytest.approx(0.9 * 0.3 + 0.2 * 0.7)
    assert found.ppv[0] == pytest.approx(0.27 / 0.41)
    assert found.npv[0] == pytest.approx(0.56 / 0.59)
    assert found.screened[0] == pytest.approx(1 / (0.9 * 0.41))
    for values in (found.prevalence, found.ppv, found.npv, found.screened):
        assert values[1] < values[0] < values[2]


def test_a_perfect_assay_changes_nothing_and_a_declared_prevalence_has_no_limits():
    perfect = predictive_values(Assay(criterion="M"), 300, 1000, 0.95)
    assert (perfect.ppv[0], perfect.npv[0]) == (1.0, 1.0)
    assert perfect.screened[0] == pytest.approx(1 / 0.3)
    declared = predictive_values(Assay(criterion="M", prevalence=0.2, sensitivity=0.9), 300, 1000, 0.95)
    assert declared.prevalence[0] == 0.2
    assert np.isnan(declared.ppv[1])


def test_the_effect_is_diluted_towards_that_of_everybody():
    made, judged = cohort_of(protocol())
    emulation = emulate(made, judged, comparisons(made)[0], 12.0)
    others = np.ones(made.n, dtype=bool)
    perfect = diluted(emulation, Assay(criterion="M"), judged[1].admits, others).relative
    inside = emulation.effect(judged[1].admits).relative
    assert perfect.value == pytest.approx(inside.value)
    poor = diluted(emulation, Assay(criterion="M", sensitivity=0.8, specificity=0.6), judged[1].admits, others).relative
    assert inside.value < poor.value < emulation.effect(others).relative.value


def test_the_stage_reports_assays_with_waiting_time():
    plan = {
        "impact": {"bootstrap": 0, "repeats": 1},
        "assays": [{"criterion": "M", "name": "IHC", "sensitivity": 0.9, "specificity": 0.9, "turnaround": 1.0}],
    }
    made, judged = cohort_of(protocol(criteria=plan))
    impact = impact_study(made, judged, horizon=12.0, rng=np.random.default_rng(1))
    assert impact is not None
    found = impact.result.estimate("impact.assay.M.ppv")
    assert 0.85 < found.value < 0.95
    assert found.lower < found.value < found.upper
    waiting = impact.result.estimate("impact.assay.M.event_before_result")
    outcome = made.outcome
    assert outcome.time is not None
    early = (outcome.time <= 1.0).mean()
    assert waiting.value == pytest.approx(early, abs=0.02)
    assert impact.result.estimate("impact.assay.M.effect.ratio.drug_vs_control").status == "ok"
    assert impact.result.table("impact.assays").rows[0][0] == "M"
