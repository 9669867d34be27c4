"""Assays by hand: predictive values, patients tested per enrolled, the diluted effect."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.unit.criteria.test_impact import cohort_of, protocol
from trialstrat.criteria.assays import assay_results, diluted, predictive_values
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


def assayed(judged, made, *, cell: int = 1, **assay):
    """Estimates of one assay of the criterion M by the last part of their names, table and findings."""
    emulation = emulate(made, judged, comparisons(made)[0], 12.0)
    words = {"n": made.n, "level": 0.95, "turnaround": 1.0, "cell": cell}
    found = assay_results([Assay(criterion="M", **assay)], judged, emulation, **words)
    return {entry.name.removeprefix("impact.assay.M."): entry for entry in found.estimates}, found


@pytest.mark.parametrize("admitted", [True, False])
def test_patients_in_whom_the_marker_is_unknown_are_neither_positive_nor_negative(admitted):
    made, (everybody, marker, noise) = cohort_of(protocol())
    unknown = np.random.default_rng(1).uniform(size=made.n) < 0.2
    asked = replace(marker, admits=np.where(unknown, admitted, marker.admits), unknown=unknown)
    known = noise.admits & ~unknown
    found, whole = assayed((everybody, asked, noise), made, sensitivity=0.9, specificity=0.9)
    assert found["prevalence"].value == pytest.approx(marker.admits[known].mean())
    assert found["prevalence"].n == known.sum()
    (finding,) = whole.findings
    assert (finding.code, finding.bad) == ("I-ASSAY-UNKNOWN", (noise.admits & unknown).sum())
    emulation = emulate(made, (everybody, marker, noise), comparisons(made)[0], 12.0)
    alone = diluted(emulation, Assay(criterion="M", sensitivity=0.9, specificity=0.9), marker.admits, known).relative
    assert found["effect.ratio.drug_vs_control"].value == pytest.approx(alone.value)
    nobody = replace(asked, unknown=np.ones(made.n, dtype=bool))
    none, _ = assayed((everybody, nobody, noise), made)
    assert {entry.status for entry in none.values()} == {"not_estimable"}
    assert "known in no patient" in none["ppv"].reason


def test_a_result_that_comes_after_the_end_of_follow_up_has_no_share_of_events_before_it():
    made, judged = cohort_of(protocol())
    late = made.outcome.time.max() * 1.01
    found, _ = assayed(judged, made, turnaround=float(late))
    assert found["event_before_result"].status == "not_estimable"
    assert "follow-up ends" in found["event_before_result"].reason
    assert assayed(judged, made, turnaround=12.0)[0]["event_before_result"].status == "ok"


def test_no_small_count_can_be_computed_from_an_assay():
    made, (everybody, _, noise) = cohort_of(protocol())
    few = np.ones(made.n, dtype=bool)
    few[np.flatnonzero(noise.admits)[:7]] = False
    found, whole = assayed((everybody, replace(everybody, id="M", admits=few), noise), made, cell=11, turnaround=0.05)
    for key in ("prevalence", "called_positive", "ppv", "npv", "screened_per_enrolled", "event_before_result"):
        assert found[key].status == "suppressed"
    assert whole.table.rows[0][2:7] == (None,) * 5
    assert all(entry.n % 11 == 0 for entry in found.values())
    half, _ = assayed(cohort_of(protocol())[1], made, cell=11)
    positives = half["prevalence"].value * half["prevalence"].n
    assert positives == pytest.approx(11 * round(positives / 11)), "shares of rounded counts"
