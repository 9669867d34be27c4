"""The search on whole studies: GBSG2's known rule, every kind of endpoint, refusals, several treatments."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from tests.simulation.scorer import outcome_of
from tests.simulation.trials import trial
from trialstrat.cohort.build import read_cohort
from trialstrat.cohort.shown import ShownOutcome
from trialstrat.disclosure import protect
from trialstrat.errors import InvalidInputError, NotEstimableError
from trialstrat.protocol.load import load_protocol
from trialstrat.stats.prediction_error import proportion
from trialstrat.subgroups.literals import markers_of
from trialstrat.subgroups.operating import null_world, rule_world, simulate_trial, summarise
from trialstrat.subgroups.rule_search import RuleOptions, SearchInput, find_best, search_rule
from trialstrat.subgroups.rule_study import rule_study, study_markers
from trialstrat.subgroups.rule_worlds import outcome_model
from trialstrat.subgroups.scales import EffectOptions

FAST = RuleOptions(permutations=120, worlds=40, resamples=30)


@pytest.fixture(scope="module")
def cohort():
    from pathlib import Path

    return read_cohort(load_protocol(Path(__file__).parents[3] / "protocols" / "gbsg2.yaml"), None)


@pytest.fixture(scope="module")
def study(cohort):
    return rule_study(cohort, rng=np.random.default_rng(1), options=replace(FAST, worlds=150))


def test_gbsg2_finds_the_receptor_rule_with_all_three_effects(study):
    result = study.results[1]
    assert result.table("rule.conditions").column("text") == ["Oestrogen receptor = 0 fmol/mg"]
    naive = result.estimate("subgroups.rule.1.hazard_ratio.naive")
    assert (naive.n, naive.events) == (82, 45)
    assert [naive.value, naive.lower, naive.upper] == pytest.approx([1.95, 1.05, 3.61], abs=0.006)
    other = result.estimate("subgroups.complement.1.hazard_ratio.naive")
    assert [other.value, other.lower, other.upper] == pytest.approx([0.615, 0.470, 0.804], abs=0.001)
    corrected = result.estimate("subgroups.rule.1.hazard_ratio.corrected")
    assert 1.25 < corrected.value < 1.75
    assert corrected.lower < 1 < corrected.upper
    assert result.estimate("subgroups.complement.1.hazard_ratio.corrected").value == pytest.approx(0.64, abs=0.03)
    assert 1.0 < result.estimate("subgroups.rule.1.hazard_ratio.shrunken").value < 1.8


def test_gbsg2_does_not_claim_it(study):
    assert not study.claimed
    assert study.rule == ()
    assert study.results[0].estimate("heterogeneity.global.p").value > 0.05
    assert study.results[1].facts["sentence"].startswith("No rule is supported")


def test_the_stages_hold_the_promised_tables_and_survive_disclosure(study, cohort):
    first, second = (protect(result, cohort.protocol.disclosure.minimum_cell) for result in study.results)
    assert (first.stage, second.stage) == ("heterogeneity", "rule")
    names = {table.name for table in second.tables}
    assert {
        "rule.conditions", "rule.effects", "rule.searched", "rule.weights", "rule.stability",
        "rule.selection_frequency", "rule.cutpoints", "rule.top", "rule.km", "rule.at_risk",
    } <= names  # fmt: skip
    rows = {(row["set"], row["kind"], row["scale"]) for row in second.table("rule.effects").records()}
    assert len(rows) == 18
    weights = second.table("rule.weights")
    assert sum(weights.column("share")) == pytest.approx(1)
    # of these markers nodes and progesterone carry the prognosis
    assert set(weights.column("marker")[:2]) == {"Positive lymph nodes", "Progesterone receptor"}
    assert {entry.name for entry in first.estimates} >= {
        "heterogeneity.global.p",
        "heterogeneity.components.one_condition.p",
        "heterogeneity.components.continuous.p",
    }
    assert all(entry.null_hypothesis for entry in first.estimates)


def test_the_same_seed_gives_the_same_study(cohort):
    one, two = (rule_study(cohort, rng=np.random.default_rng(5), options=FAST) for _ in range(2))
    assert [r.to_dict() for r in one.results] == [r.to_dict() for r in two.results]


def test_without_markers_nothing_is_searched(cohort):
    plan = cohort.protocol.rule_search.model_copy(update={"markers": ()})
    bare = replace(cohort, protocol=cohort.protocol.model_copy(update={"rule_search": plan, "biomarkers": ()}))
    assert study_markers(bare) == ()
    assert rule_study(bare, rng=np.random.default_rng(1)).results == ()


def test_a_signature_standardised_on_these_patients_is_no_marker(cohort):
    names = [entry.column for entry in study_markers(cohort)]
    learned = replace(cohort, signatures={"estrec": cohort.frame[["estrec"]]})
    assert "estrec" in names
    assert [entry.column for entry in study_markers(learned)] == [name for name in names if name != "estrec"]
    found = rule_study(learned, rng=np.random.default_rng(1), options=FAST).results[0].findings
    assert [(entry.code, entry.column) for entry in found if entry.code == "W-RULE-LEARNED"] == [
        ("W-RULE-LEARNED", "estrec")
    ]


def test_a_single_arm_is_not_asked(cohort):
    arms = cohort.protocol.arms.model_copy(update={"levels": cohort.protocol.arms.levels[1:]})
    single = replace(cohort, protocol=cohort.protocol.model_copy(update={"arms": arms}))
    (result,) = rule_study(single, rng=np.random.default_rng(1)).results
    assert result.estimate("heterogeneity.global.p").status == "not_estimable"
    assert "single arm" in result.facts["refused"]


def test_several_treatments_are_adjusted_by_holm(cohort):
    arm = cohort.arm.copy()
    arm[np.flatnonzero(arm == "yes")[::2]] = "more"
    levels = cohort.protocol.arms.levels
    third = levels[1].model_copy(update={"name": "more", "value": "more", "label": "More"})
    arms = cohort.protocol.arms.model_copy(update={"levels": (*levels, third)})
    made = replace(cohort, arm=arm, protocol=cohort.protocol.model_copy(update={"arms": arms}))
    heterogeneity, rule = rule_study(made, rng=np.random.default_rng(1), options=FAST).results
    plain = [heterogeneity.estimate(f"heterogeneity.global.p.{pair}").value for pair in ("yes_vs_no", "more_vs_no")]
    adjusted = [
        heterogeneity.estimate(f"heterogeneity.global.adjusted_p.{pair}").value for pair in ("yes_vs_no", "more_vs_no")
    ]
    assert min(adjusted) == pytest.approx(min(1.0, 2 * min(plain)))
    assert all(a >= p for a, p in zip(adjusted, plain, strict=True))
    assert len(rule.table("rule.comparisons").rows) == 2
    assert rule.estimate("subgroups.rule.2.hazard_ratio.naive")


def observed(name: str, n: int, seed: int = 1) -> tuple[SearchInput, np.ndarray]:
    made = trial(np.random.default_rng(seed), name, n)
    markers = markers_of(made.frame, list(made.frame)[:7])
    data = SearchInput(frame=made.frame, markers=markers, outcome=outcome_of(made), treated=made.treated)
    return data, made.effect


@pytest.mark.parametrize("kind", ["binary", "continuous", "competing"])
def test_other_endpoints_find_a_planted_rule(kind):
    data, _ = observed("null1", 600)
    rng = np.random.default_rng(2)
    inside = data.frame["age"].to_numpy() > 53
    score = np.where(inside, 1.6, -0.3) * data.treated
    none = {"label": "", "unit": "", "entry": None, "horizon": None, "horizon_declared": False}
    if kind == "continuous":
        outcome = ShownOutcome(kind=kind, time=None, event=None, value=score + rng.normal(size=600), **none)
    elif kind == "binary":
        event = (rng.random(600) < 1 / (1 + np.exp(-score))).astype(np.int64)
        outcome = ShownOutcome(kind=kind, time=None, event=event, value=None, **none)
    else:
        own, other = rng.exponential(size=600) / np.exp(score), rng.exponential(size=600) / 0.5
        event = np.where(own < other, 1, 2)
        outcome = ShownOutcome(kind=kind, time=np.minimum(own, other), event=event, value=None, **none)
    found = search_rule(replace(data, outcome=outcome), EffectOptions(tau=None), FAST, rng=rng)
    assert found.claimed
    assert found.conditions[0].column == "age"
    overlap = max((m & inside).sum() / (m | inside).sum() for m in (found.members, found.others))
    assert overlap > 0.7
    scale = {"binary": "odds_ratio", "continuous": "mean_difference", "competing": "hazard_ratio"}[kind]
    shown = [entry for entry in found.effects if entry.scale == scale and entry.status == "ok"]
    assert len(shown) == 9
    between = {entry.kind: entry.value for entry in shown if entry.set == "interaction"}
    gap = {key: abs(np.log(value) if "ratio" in scale else value) for key, value in between.items()}
    assert gap["corrected"] <= gap["naive"]


def test_weights_remove_confounding_by_the_marker_of_treatment():
    data, _ = observed("null1", 800)
    rng = np.random.default_rng(3)
    score = 1 / (1 + np.exp(-(data.frame["age"].to_numpy() - 53) / 8))
    treated = (rng.random(800) < score).astype(np.int64)
    weighted = replace(data, treated=treated, propensity=score)
    found = search_rule(weighted, EffectOptions(tau=None), replace(FAST, resamples=20), rng=rng)
    assert found.search.p > 0.01
    assert found.effects[0].value == pytest.approx(1.0, abs=0.9)


def test_too_few_events_are_refused_with_a_number():
    data, _ = observed("null1", 60)
    with pytest.raises(NotEstimableError, match="80 per arm are the least"):
        find_best(data, replace(FAST, minimum_events=40), rng=np.random.default_rng(1))


@pytest.mark.parametrize(
    ("change", "message"),
    [({"max_conditions": 4}, "must be 1, 2 or 3"), ({"minimum_size": 0.6}, "between 0 and 0.5")],
)
def test_impossible_options_are_refused(change, message):
    data, _ = observed("null1", 200)
    with pytest.raises(InvalidInputError, match=message):
        find_best(data, replace(FAST, **change), rng=np.random.default_rng(1))


def test_unknown_values_belong_to_neither_side():
    data, _ = observed("spike12", 500, seed=3)
    frame = data.frame.copy()
    lost = np.random.default_rng(1).random(500) < 0.1
    frame.loc[lost, "er"] = np.nan
    found = search_rule(
        replace(data, frame=frame), EffectOptions(tau=None), replace(FAST, max_conditions=1),
        rng=np.random.default_rng(2),
    )  # fmt: skip
    if found.conditions[0].column == "er":
        assert not (found.members | found.others)[lost].any()
    assert not (found.members & found.others).any()


def test_three_conditions_are_searched_when_asked():
    data, _ = observed("null1", 300)
    found = search_rule(data, EffectOptions(tau=None), replace(FAST, max_conditions=3), rng=np.random.default_rng(1))
    assert len(found.tested) == 3
    assert found.search.names[2] == "three_conditions"
    assert found.tested[2] > 0


# -- operating characteristics ---------------------------------------------------------------------------------------


def test_simulated_outcomes_look_like_the_study():
    data, _ = observed("null07", 600)
    model = outcome_model(data)
    rng = np.random.default_rng(4)
    made = [model.simulate(data.treated, np.full(600, model.effect), rng) for _ in range(20)]
    assert np.mean([o.event.mean() for o in made]) == pytest.approx(data.outcome.event.mean(), abs=0.03)
    assert np.mean([np.median(o.time) for o in made]) == pytest.approx(np.median(data.outcome.time), rel=0.1)
    assert all((o.time > 0).all() for o in made)


def test_a_strong_alternative_is_found_and_scored():
    data, _ = observed("null1", 500)
    model = outcome_model(data)
    rule = find_conditions(data.frame)
    world = rule_world("age", data.frame, rule, 3.0, 0.4, ratio=True)
    assert set(np.round(np.exp(world.effect), 6)) == {3.0, 0.4}
    records = [
        simulate_trial(data, model, world, replace(FAST, resamples=0), rng=np.random.default_rng(k)) for k in range(3)
    ]
    records += [
        simulate_trial(data, model, null_world(model), replace(FAST, resamples=0), rng=np.random.default_rng(9))
    ]
    assert all(record["claimed"] for record in records[:3])
    assert np.mean([record["sensitivity"] for record in records[:3]]) > 0.7
    stage = summarise(records, ["null", "age"], ratio=True, level=0.95)
    worlds = {row["world"]: row for row in stage.table("calibration.worlds").records()}
    assert worlds["age"]["claimed"] == 1.0
    assert worlds["null"]["power"] is None
    shown = {(row["world"], row["set"], row["kind"]) for row in stage.table("calibration.effects").records()}
    assert ("age", "rule", "corrected") in shown


def find_conditions(frame: pd.DataFrame):
    from trialstrat.protocol.model import Condition

    return (Condition(column="age", above=float(frame["age"].median())),)


def test_proportions_have_wilsons_limits():
    assert proportion(5, 100, 0.95) == pytest.approx((0.05, 0.0215, 0.1118), abs=2e-4)
