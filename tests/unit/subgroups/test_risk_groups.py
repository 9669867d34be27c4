"""Stage "risk_groups": groups from held-out predictions, their outcome, and the effect within them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from lifelines.statistics import multivariate_logrank_test
from scipy import stats

from tests.helpers.predictions import held_out
from tests.helpers.synthetic import Trial, cohort, trial
from trialstrat.disclosure import protect
from trialstrat.errors import InvalidInputError
from trialstrat.results import StageResult
from trialstrat.stats.cox import cox
from trialstrat.subgroups.effect import EffectOptions, effect
from trialstrat.subgroups.risk_groups import heterogeneity, risk_groups
from trialstrat.subgroups.scales import ScaleEffect


def analyse(source: Trial, **changes) -> StageResult:
    return risk_groups(cohort(source, **changes), held_out(source.marker))


@pytest.fixture(scope="module")
def source() -> Trial:
    return trial(n=900, prognosis=2.0, seed=3)


@pytest.fixture(scope="module")
def result(source: Trial) -> StageResult:
    return analyse(source)


def test_groups_are_cut_by_their_own_fold(source: Trial, result: StageResult) -> None:
    predictions = held_out(source.marker)
    group = predictions.groups()
    for patient in range(0, 900, 37):
        cuts = predictions.training_quantiles[predictions.fold[patient]]
        assert group[patient] == int((source.marker[patient] > cuts).sum())
    records = result.table("risk_groups.summary").records()
    assert [row["group"] for row in records] == ["low", "intermediate", "high"]
    assert [row["n"] for row in records] == [int((group == k).sum()) for k in range(3)]
    assert sum(row["events"] for row in records) == int(source.event.sum())
    assert records[0]["observed"] < records[1]["observed"] < records[2]["observed"]
    assert all(row["lower"] < row["observed"] < row["upper"] for row in records)


def test_it_says_prognostic(result: StageResult) -> None:
    assert result.facts["kind"] == "prognostic"
    assert "prognostic" in result.table("risk_groups.summary").note
    text = " ".join(str(value) for value in result.facts.values()) + "".join(table.note for table in result.tables)
    assert "predictive" not in text.lower()


def test_predicted_is_the_mean_of_the_held_out_probabilities(source: Trial) -> None:
    probability = np.clip(source.marker, 0.01, 0.99)
    predictions = held_out(source.marker, event_probability=probability)
    table = risk_groups(cohort(source), predictions).table("risk_groups.summary")
    expected = [probability[predictions.groups() == k].mean() for k in range(3)]
    assert table.column("predicted") == pytest.approx(expected)


def test_log_rank_between_groups(source: Trial, result: StageResult) -> None:
    other = multivariate_logrank_test(source.time, held_out(source.marker).groups(), source.event)
    assert result.estimate("risk_groups.logrank.p").value == pytest.approx(other.p_value, rel=1e-6)


def test_effects_are_those_of_the_one_implementation(source: Trial, result: StageResult) -> None:
    group = held_out(source.marker).groups()
    for at, row in enumerate(result.table("risk_groups.effects").records()):
        rows = group == at
        alone = effect(
            source.time[rows], source.event[rows], source.treated[rows], EffectOptions(tau=24.0, minimum_events=10)
        )
        assert (row["hazard_ratio"], row["lower"], row["upper"]) == pytest.approx(
            (alone.relative.value, alone.relative.lower, alone.relative.upper)
        )
        assert (row["rmst_difference"], row["rmst_lower"], row["rmst_upper"]) == pytest.approx(
            (alone.absolute.value, alone.absolute.lower, alone.absolute.upper)
        )
        assert row["n"] == row["n_control"] + row["n_treated"]


def test_interaction_on_the_relative_scale_is_a_likelihood_ratio_test(source: Trial, result: StageResult) -> None:
    group, arm = held_out(source.marker).groups(), source.treated
    dummies = np.column_stack([group == 1, group == 2]).astype(float)
    small = cox(source.time, source.event, np.column_stack([arm, dummies]))
    large = cox(source.time, source.event, np.column_stack([arm, dummies, dummies * arm[:, None]]))
    expected = stats.chi2.sf(2 * (large.loglik - small.loglik), 2)
    found = result.estimate("risk_groups.interaction.hazard_ratio_scale.p")
    assert found.value == pytest.approx(expected, rel=1e-9)
    assert "same in all risk groups" in found.null_hypothesis


def test_interaction_on_the_absolute_scale_is_cochrans_q(result: StageResult) -> None:
    rows = result.table("risk_groups.effects").records()
    value = np.array([row["rmst_difference"] for row in rows])
    weight = np.array([(row["rmst_upper"] - row["rmst_lower"]) / (2 * stats.norm.ppf(0.975)) for row in rows]) ** -2
    q = (weight * (value - (weight * value).sum() / weight.sum()) ** 2).sum()
    found = result.estimate("risk_groups.interaction.rmst_scale.p")
    assert found.value == pytest.approx(stats.chi2.sf(q, 2), rel=1e-9)


def test_an_interaction_that_is_there_is_seen() -> None:
    strong = trial(n=1500, log_hr=(-0.3,), interaction=-2.5, seed=5)
    found = analyse(strong)
    assert found.estimate("risk_groups.interaction.hazard_ratio_scale.p").value < 0.001
    ratios = found.table("risk_groups.effects").column("hazard_ratio")
    assert ratios[0] > ratios[1] > ratios[2]


@pytest.mark.slow
def test_interaction_tests_keep_their_level_without_interaction() -> None:
    rejected = np.zeros(2)
    for seed in range(400):
        found = analyse(trial(n=600, prognosis=2.0, seed=seed))
        p = [found.estimate(f"risk_groups.interaction.{scale}_scale.p").value for scale in ("hazard_ratio", "rmst")]
        rejected += np.array(p) < 0.05
    relative, _ = rejected / 400
    assert relative < 0.08  # a constant hazard ratio is no constant difference: only this scale is null here


def test_heterogeneity_needs_two_groups() -> None:
    one = ScaleEffect(measure="RMST difference", ratio=False, value=1.0, std_error=0.5)
    gone = ScaleEffect(measure="RMST difference", ratio=False, status="not_estimable", reason="no events")
    assert heterogeneity([one, gone]).status == "not_estimable"
    assert heterogeneity([one, one, gone]).p == pytest.approx(1.0)
    ratio = ScaleEffect(measure="hazard ratio", ratio=True, value=0.5, std_error=0.2)
    other = ScaleEffect(measure="hazard ratio", ratio=True, value=1.0, std_error=0.2)
    assert heterogeneity([ratio, other]).statistic == pytest.approx(np.log(2) ** 2 / (2 * 0.04))


def test_groups_without_enough_events_take_no_part(source: Trial) -> None:
    few = replace(source, event=source.event.copy())
    low = np.flatnonzero((held_out(source.marker).groups() == 0) & (source.event == 1) & (source.treated == 1))
    few.event[low[3:]] = 0
    found = analyse(few)
    record = found.table("risk_groups.effects").records()[0]
    assert record["hazard_ratio"] is None
    assert record["events_treated"] == 3
    assert "Low risk: fewer than 10 events" in found.table("risk_groups.effects").note
    assert found.estimate("risk_groups.interaction.hazard_ratio_scale.p").status == "ok"  # of the two others
    published = protect(found, 11).table("risk_groups.effects").records()[0]
    assert published["events_treated"] == "<11"
    assert published["n"] == record["n"]
    assert isinstance(published["events_control"], str) or isinstance(published["events"], str)


def test_without_a_comparison_there_are_groups_and_no_effects(source: Trial) -> None:
    found = risk_groups(cohort(source, arms=None), held_out(source.marker))
    assert [table.name for table in found.tables] == ["risk_groups.summary", "risk_groups.km", "risk_groups.at_risk"]
    assert [entry.name for entry in found.estimates] == ["risk_groups.logrank.p"]


def test_further_treatments_get_tables_of_their_own() -> None:
    three = trial(n=900, log_hr=(-0.6, -0.2), seed=4)
    found = analyse(three, treatments=2)
    names = [table.name for table in found.tables]
    assert "risk_groups.effects" in names
    assert "risk_groups.effects.t2_vs_ctrl" in names
    assert found.facts["comparison"] == "t1_vs_ctrl"


def test_patients_without_a_prediction_are_in_no_group(source: Trial) -> None:
    predictions = held_out(source.marker)
    fold, risk = predictions.fold.copy(), predictions.risk.copy()
    fold[:50], risk[:50] = -1, np.nan
    found = risk_groups(cohort(source), replace(predictions, fold=fold, risk=risk))
    assert sum(found.table("risk_groups.summary").column("n")) == 850
    assert sum(row["n"] for row in found.table("risk_groups.effects").records()) == 850
    assert found.estimate("risk_groups.logrank.p").n == 850


def test_competing_endpoint(source: Trial) -> None:
    two = trial(n=900, causes=2, prognosis=2.0, seed=3)
    event = {"column": "event", "causes": {"relapse": 1, "death": 2}, "censored": [0]}
    found = risk_groups(cohort(two, endpoint={"kind": "competing", "event": event}), held_out(two.marker))
    records = found.table("risk_groups.summary").records()
    assert sum(row["events"] for row in records) == int((two.event == 1).sum())
    assert records[2]["observed"] < 0.75  # incidence of one cause, not one minus Kaplan-Meier
    labels = {column.key: column.label for column in found.table("risk_groups.effects").columns}
    assert "cause-specific" in labels["hazard_ratio"].lower()


def test_predictions_that_do_not_fit_are_refused(source: Trial) -> None:
    with pytest.raises(InvalidInputError, match="cut-offs"):
        risk_groups(cohort(source), held_out(source.marker, quantiles=(0.5,)))
    with pytest.raises(InvalidInputError, match="predictions of 100"):
        risk_groups(cohort(source), held_out(source.marker[:100]))
