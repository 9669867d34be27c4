"""Impact of criteria on a cohort with known truth: contributions, held-out effects, benchmark, refusals."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from trialstrat.cohort.cohort import Cohort, Outcome
from trialstrat.criteria.benchmark import benchmark
from trialstrat.criteria.cross_fitting import held_out
from trialstrat.criteria.emulation import Judged, emulate
from trialstrat.criteria.impact import impact_study
from trialstrat.criteria.pool import beside, coarse, sequence_table
from trialstrat.criteria.ranking import rank
from trialstrat.disclosure import protect, protect_together
from trialstrat.errors import InvalidInputError
from trialstrat.protocol.criteria_model import ImpactPlan, PublishedEffect
from trialstrat.protocol.model import Protocol
from trialstrat.results import StageResult, Table
from trialstrat.subgroups.comparison import comparisons
from trialstrat.subgroups.scales import normal_effect

N = 900


def protocol(**changes) -> Protocol:
    base = {
        "trialstrat": 1,
        "id": "made",
        "title": "Made",
        "question": "?",
        "sources": [{"name": "x", "file": "x.csv", "id": "id"}],
        "arms": {
            "column": "arm",
            "levels": [{"name": "control", "value": 0, "control": True}, {"name": "drug", "value": 1}],
        },
        "endpoints": [
            {
                "name": "os",
                "label": "Overall survival",
                "time": "t",
                "event": {"column": "e", "events": [1], "censored": [0]},
                "unit": "months",
                "horizon": 12,
            }
        ],
        "estimand": {"population": "all", "treatment": "drug", "endpoint": "os"},
        "covariates": [
            {"column": "age", "kind": "continuous"},
            {"column": "sex", "kind": "categorical", "levels": ["f", "m"]},
        ],
        "criteria": {"impact": {"bootstrap": 100, "repeats": 2}},
        "disclosure": {"minimum_cell": 1},
    }
    return Protocol.model_validate({**base, **changes})


def cohort_of(declared: Protocol, seed: int = 4, n: int = N) -> tuple[Cohort, tuple[Judged, ...]]:
    """The drug works only with the marker; criterion M keeps these, Z is noise, A removes nobody."""
    rng = np.random.default_rng(seed)
    marker, noise = rng.uniform(size=n) < 0.5, rng.uniform(size=n) < 0.6
    age, sex = rng.normal(60, 8, n), rng.integers(0, 2, n)
    arm = (rng.uniform(size=n) < 1 / (1 + np.exp(-(age - 60) / 12))).astype(int)
    hazard = 0.08 * np.exp(0.03 * (age - 60) + np.where(marker, -1.0, 0.3) * arm)
    death, censoring = rng.exponential(1 / hazard), rng.uniform(6, 30, n)
    time, event = np.minimum(death, censoring), (death <= censoring).astype(np.int64)
    frame = pd.DataFrame(
        {"age": age, "sex": pd.Categorical.from_codes(sex, ["f", "m"])}, index=[f"p{at:04d}" for at in range(n)]
    )
    nothing = Table(name="x", title="", columns=(), rows=())
    made = Cohort(
        protocol=declared,
        frame=frame,
        markers=frame.iloc[:, :0],
        arm=np.array(["control", "drug"], dtype=object)[arm],
        strata=None,
        outcomes={"os": Outcome(name="os", time=time, event=event)},
        attrition=nothing,
        eligibility=nothing,
        findings=(),
        data_hash="",
    )
    nobody, everybody = np.zeros(n, dtype=bool), np.ones(n, dtype=bool)
    judged = tuple(
        Judged(id=name, kind="inclusion", text=name, admits=mask, unknown=nobody)
        for name, mask in (("A", everybody), ("M", marker), ("Z", noise))
    )
    return made, judged


OBSERVED = {
    "arms": {
        "column": "arm",
        "allocation": "observational",
        "confounders": ["age", "sex"],
        "levels": [{"name": "control", "value": 0, "control": True}, {"name": "drug", "value": 1}],
    }
}


@pytest.fixture(scope="module")
def studied():
    made, judged = cohort_of(protocol(**OBSERVED))
    impact = impact_study(made, judged, horizon=12.0, rng=np.random.default_rng(1))
    assert impact is not None
    return impact, made, judged


def test_the_criterion_that_matters_is_found_and_the_interval_holds_what_was_drawn(studied):
    impact, _, _ = studied
    found = {name: impact.result.estimate(f"impact.shapley.log_hazard_ratio.drug_vs_control.{name}") for name in "AMZ"}
    assert found["M"].upper < -0.3
    assert found["Z"].lower < 0 < found["Z"].upper
    assert found["A"].value == 0.0
    assert np.isnan(found["A"].lower)
    whole = [impact.result.estimate(f"impact.{name}.hazard_ratio.drug_vs_control").value for name in ("none", "all")]
    assert sum(entry.value for entry in found.values()) == pytest.approx(np.log(whole[1] / whole[0]), abs=1e-6)


def test_restricted_means_point_the_other_way(studied):
    impact, _, _ = studied
    assert impact.result.estimate("impact.shapley.absolute.drug_vs_control.M").value > 0.5


def test_held_out_effect_stands_beside_the_in_sample_one(studied):
    impact, _, _ = studied
    ranking = impact.compared[0].ranking
    assert 1 in ranking.keep
    assert ranking.kept_share[1] == 1.0
    crossed = impact.result.estimate("impact.cross_fitted.hazard_ratio.drug_vs_control")
    assert crossed.status == "ok"
    assert crossed.lower < np.exp(-1.0) * 1.3
    assert crossed.value < 0.65


def test_counts_are_shared_out(studied):
    impact, made, judged = studied
    rows = {row["criterion"]: row for row in impact.result.table("impact.pool").records()}
    both = judged[1].admits & judged[2].admits
    assert rows["M"]["removed"] == int((~judged[1].admits).sum())
    assert rows["M"]["removed_only"] == int((judged[2].admits & ~judged[1].admits).sum())
    assert sum(row["taken"] for row in rows.values()) == pytest.approx(made.n - both.sum())
    assert rows["A"]["removed"] == 0
    assert rows["A"]["without"] == both.sum()


def test_balance_improves_and_sample_sizes_are_effective(studied):
    impact, _, _ = studied
    age = impact.result.table("impact.balance").records()[0]
    assert abs(age["before"]) > 0.3
    assert abs(age["after"]) < 1e-6
    size = impact.result.estimate("impact.all.ess.drug_vs_control.drug")
    assert 0 < size.value < size.n


def test_any_number_of_jobs_gives_the_same_numbers():
    made, judged = cohort_of(protocol(**OBSERVED), n=300)
    results = [
        impact_study(made, judged, horizon=12.0, rng=np.random.default_rng(7), jobs=jobs).result.to_dict()  # type: ignore[union-attr]
        for jobs in (1, 2)
    ]
    assert results[0] == results[1]


def test_sampled_values_agree_with_exact_ones_within_their_error():
    made, judged = cohort_of(protocol(criteria={"impact": {"bootstrap": 0}}))
    extra = np.random.default_rng(3).uniform(size=(4, made.n)) < 0.9
    judged = (
        *judged,
        *(replace(judged[0], id=f"R{at}", admits=mask) for at, mask in enumerate(extra)),
    )
    emulation = emulate(made, judged, comparisons(made)[0], 12.0)
    words = {"favourable": "lower", "level": 0.95}
    exact = rank(emulation, ImpactPlan(bootstrap=0, repeats=1), rng=np.random.default_rng(1), **words)
    plan = ImpactPlan(exact=2, permutations=300, bootstrap=0, repeats=1)
    sampled = rank(emulation, plan, rng=np.random.default_rng(1), **words)
    assert sampled.orders == 300
    one, two = (found.shapley["log_hazard_ratio"] for found in (exact, sampled))
    assert np.all(np.abs(one.value - two.value) <= 5 * two.error + 1e-12)
    assert two.error[1] > 0


def test_the_relaxed_set_of_noise_looks_better_in_sample_than_held_out():
    """With nothing to find, keeping what looks good flatters the effect; held out the flattery is gone."""
    gain = []
    for seed in range(12):
        made, judged = cohort_of(protocol(), seed=seed, n=500)
        rng = np.random.default_rng(seed)
        noise = tuple(replace(judged[0], id=f"N{at}", admits=rng.uniform(size=made.n) < 0.6) for at in range(4))
        arm = np.array(["control", "drug"], dtype=object)[rng.integers(0, 2, made.n)]
        shuffled = replace(made, arm=arm)
        emulation = emulate(shuffled, noise, comparisons(shuffled)[0], 12.0)
        plan = ImpactPlan(bootstrap=0, repeats=3)
        ranking = rank(emulation, plan, favourable="lower", level=0.95, rng=rng)
        if not ranking.keep or "relative" not in ranking.crossed:
            continue
        kept = np.all([noise[at].admits for at in ranking.keep], axis=0)
        gain.append(np.log(emulation.effect(kept).relative.value / ranking.crossed["relative"].value))
    assert len(gain) >= 8
    assert np.mean(gain) < -0.05


def test_held_out_patients_meet_what_others_chose(studied):
    impact, made, judged = studied
    emulation = impact.compared[0].emulation
    label = np.arange(made.n) % 2
    inside = held_out(emulation, label, [(1,), ()])
    assert (inside == np.where(label == 0, judged[1].admits, True)).all()


def test_a_published_effect_that_is_not_reproduced_withholds_the_ranking():
    far = {"published": {"hazard_ratio": 0.3, "lower": 0.25, "upper": 0.36}, "impact": {"bootstrap": 100}}
    made, judged = cohort_of(protocol(criteria=far))
    impact = impact_study(made, judged, horizon=12.0, rng=np.random.default_rng(1))
    assert impact is not None
    result = impact.result
    assert result.facts["benchmark_agrees"] == "no"
    hidden = result.estimate("impact.shapley.log_hazard_ratio.drug_vs_control.M")
    assert hidden.status == "not_estimable"
    assert "disagrees with the published" in hidden.reason
    assert [entry.code for entry in result.findings] == ["W-IMPACT-BENCHMARK"]
    assert result.estimate("impact.benchmark.difference.drug_vs_control").lower > 0
    names = [table.name for table in result.tables]
    assert "impact.shapley" not in names
    assert "impact.pool" in names
    kept = result.estimate("impact.kept.hazard_ratio.drug_vs_control")
    assert kept.status == "not_estimable"


def test_agreement_needs_both_the_interval_and_the_difference():
    published = PublishedEffect(hazard_ratio=0.7, lower=0.6, upper=0.82)
    close = normal_effect(np.log(0.75), 0.1, ratio=True, level=0.95, measure="hazard ratio")
    assert benchmark(close, published, 0.95).agrees
    outside = normal_effect(np.log(0.9), 0.3, ratio=True, level=0.95, measure="hazard ratio")
    found = benchmark(outside, published, 0.95)
    assert not found.agrees
    assert abs(found.z) < 1.96
    assert not found.inside
    none = normal_effect(np.nan, np.nan, ratio=True, level=0.95, measure="hazard ratio", reason="too few")
    assert "too few" in benchmark(none, published, 0.95).reason


def test_too_few_events_under_all_criteria_is_said(studied):
    _, made, judged = studied
    few = np.zeros(made.n, dtype=bool)
    few[:12] = True
    judged = (*judged, replace(judged[0], id="F", admits=few))
    impact = impact_study(made, judged, horizon=12.0, rng=np.random.default_rng(1))
    assert impact is not None
    found = impact.result.estimate("impact.shapley.log_hazard_ratio.drug_vs_control.M")
    assert found.status == "not_estimable"
    assert "10 events in an arm" in found.reason
    assert impact.result.estimate("impact.none.hazard_ratio.drug_vs_control").status == "ok"


def test_arms_that_a_confounder_separates_are_not_ranked(studied):
    _, made, judged = studied
    apart = replace(made, frame=made.frame.assign(age=np.where(made.arm == "drug", 70.0, 50.0)))
    impact = impact_study(apart, judged, horizon=12.0, rng=np.random.default_rng(1))
    assert impact is not None
    for estimate in impact.result.estimates:
        if "shapley" in estimate.name or "cross_fitted" in estimate.name:
            assert estimate.status == "not_estimable"
            assert "separate the arms" in estimate.reason
    assert impact.result.facts["keep"] == ""
    assert impact.compared[0].ranking.keep == ()


def test_without_arms_only_the_pool_is_described():
    made, judged = cohort_of(protocol(arms=None))
    impact = impact_study(replace(made, arm=None), judged, horizon=12.0, rng=np.random.default_rng(1))
    assert impact is not None
    assert impact.compared == ()
    assert {table.name for table in impact.result.tables} == {"impact.pool", "impact.representation"}
    assert "cannot be asked" in impact.result.facts["question_not_asked"]


def test_no_small_count_can_be_computed_from_the_pool_table():
    made, judged = cohort_of(protocol(disclosure={"minimum_cell": 11}))
    rare = np.ones(made.n, dtype=bool)
    rare[:4] = False
    judged = (*judged[1:], replace(judged[0], id="S", admits=rare))
    impact = impact_study(made, judged, horizon=12.0, rng=np.random.default_rng(1))
    assert impact is not None
    stage: StageResult = protect(impact.result, 11)
    row = next(row for row in stage.table("impact.pool").records() if row["criterion"] == "S")
    assert row["removed"] == "<11"
    assert not isinstance(row["remaining"], int)  # with the number of all patients it would give the count away
    assert row["taken"] is None
    every = {entry.n for entry in stage.estimates if entry.name.startswith("impact.all.")}
    for entry in stage.estimates:
        if entry.name.startswith(("impact.kept", "impact.none", "impact.cross_fitted")):
            assert entry.n is None or entry.n % 11 == 0 or entry.n in every, "coarse, or the very same patients"
    assert coarse(1053, 11) == 1056
    assert coarse(1053, 1) == 1053
    assert beside(686, 686, 5) == 686, "the same patients are the same count"
    assert beside(687, 686, 5) == 690, "more patients are never shown as fewer"
    assert beside(685, 686, 5) == 685
    assert beside(684, 685, 11) == 682
    assert beside(3, 2, 5) == 5


def test_more_criteria_than_a_mask_holds_are_refused_and_never_left_out():
    made, judged = cohort_of(protocol(), n=200)
    many = tuple(replace(judged[1], id=f"C{at}", admits=np.arange(made.n) != at) for at in range(61))
    with pytest.raises(InvalidInputError, match="61 criteria"):
        emulate(made, many, comparisons(made)[0], 12.0)


def other_outcome(kind: str, **changes) -> tuple[Cohort, tuple[Judged, ...]]:
    """The drug brings a response (or 3 units more) with the marker M only; Z is noise. More is better."""
    endpoint: dict = {"name": "r", "label": "Response", "kind": kind, "value": "r", "favourable": "higher"}
    endpoint |= {"positive": [1], "negative_values": [0]} if kind == "binary" else {}
    estimand = {"population": "all", "treatment": "drug", "endpoint": "r"}
    declared = protocol(endpoints=[endpoint], estimand=estimand, **changes)
    made, judged = cohort_of(declared)
    rng = np.random.default_rng(2)
    better = judged[1].admits & (made.arm == "drug")
    event = (rng.uniform(size=made.n) < np.where(better, 0.7, 0.3)).astype(np.int64)
    value = rng.normal(np.where(better, 3.0, 0.0), 2.0)
    outcome = Outcome(name="r", time=None, event=event) if kind == "binary" else None
    outcome = outcome or Outcome(name="r", time=None, event=None, value=value)
    return replace(made, outcomes={"r": outcome}), judged


@pytest.mark.parametrize(
    ("kind", "stem", "units", "side"),
    [
        ("binary", "odds_ratio", ("odds ratio", "probability"), "A positive value on a ratio scale means"),
        ("continuous", "mean_difference", ("", ""), "A positive value means"),
    ],
)
def test_units_and_direction_are_those_of_the_endpoint(kind, stem, units, side):
    made, judged = other_outcome(kind)
    impact = impact_study(made, judged, horizon=None, rng=np.random.default_rng(1))
    assert impact is not None
    result = impact.result
    assert result.facts["better"] == "higher"
    assert "M" in result.facts["keep"].split(", ")
    note = result.table("impact.shapley").note
    assert side in note
    assert "propensity" not in note
    assert "100 bootstrap samples" in note
    crossed = result.estimate(f"impact.cross_fitted.{stem}.drug_vs_control")
    every = result.estimate(f"impact.all.{stem}.drug_vs_control")
    assert crossed.status == "ok"
    assert crossed.unit == every.unit == units[0]
    assert result.estimate("impact.shapley.absolute.drug_vs_control.M").unit == units[1]
    if kind == "binary":
        difference = result.estimate("impact.cross_fitted.risk_difference.drug_vs_control")
        assert difference.unit == "probability"


def test_an_effect_without_a_model_is_called_by_its_own_name():
    made, judged = other_outcome("binary", **OBSERVED)
    apart = replace(made, frame=made.frame.assign(age=np.where(made.arm == "drug", 70.0, 50.0)))
    found = emulate(apart, judged, comparisons(apart)[0], None).effect(judged[1].admits)
    assert found.status == "not_estimable"
    assert [found.relative.measure, found.absolute.measure] == ["odds ratio", "risk difference"]


def test_limits_are_not_spoken_of_where_there_are_none():
    made, judged = cohort_of(protocol(criteria={"impact": {"bootstrap": 0, "repeats": 1}}), n=300)
    impact = impact_study(made, judged, horizon=12.0, rng=np.random.default_rng(1))
    assert impact is not None
    assert "No limits: no bootstrap was declared. A negative value" in impact.result.table("impact.shapley").note


def small_cells(cell: int = 5):
    """Of 60 patients I1 removes 2 alone, I2 removes 10 alone, E1 16 alone and 4 together with I2."""
    made, judged = cohort_of(protocol(disclosure={"minimum_cell": cell}), n=60)
    masks = {name: np.ones(60, dtype=bool) for name in ("I1", "I2", "E1")}
    masks["I1"][:2] = masks["I2"][2:16] = masks["E1"][12:32] = False
    entries = tuple(replace(judged[0], id=name, text=name, admits=mask) for name, mask in masks.items())
    impact = impact_study(made, entries, horizon=12.0, rng=np.random.default_rng(1))
    assert impact is not None
    return impact.result, replace(sequence_table(entries, ""), name="cohort.attrition")


def test_the_distance_of_the_pool_goes_where_the_count_it_tells_is_hidden():
    result, _ = small_cells()
    stage = protect(result, 5)
    hidden = {
        row["criterion"]: not isinstance(row["removed_only"], int) for row in stage.table("impact.pool").records()
    }
    assert hidden["I1"]
    rows = stage.table("impact.representation").records()
    for row in rows:
        if row["set"] == "all" or not hidden[row["set"]]:
            assert row["shift"] == round(row["shift"], 2)
        else:
            assert row["shift"] is None
    assert {row["set"] for row in rows if row["shift"] is not None} >= {"all"}
    shown = result.table("impact.representation").records()
    assert all(row["shift"] == round(row["shift"], 2) for row in shown)


def test_an_attrition_does_not_give_back_what_the_pool_hides():
    """Patients whom E1 shares with I2 (4): those it removes alone (20) less those it removes last (16)."""
    result, attrition = small_cells()
    cohort_stage = StageResult(stage="cohort", tables=(attrition,))
    together = {table.name: table for stage in protect_together([result, cohort_stage], 5) for table in stage.tables}
    pool = {row["criterion"]: row for row in together["impact.pool"].records()}
    assert pool["E1"]["removed_shared"] == "<5"
    steps = {row["step"]: row for row in together["cohort.attrition"].records()}
    assert not (isinstance(pool["E1"]["removed"], int) and isinstance(steps["E1"]["removed"], int))
    # one step back: before the last less what is left
    assert not all(isinstance(steps["E1"][key], int) for key in ("before", "remaining"))
    # and from the steps before: nobody can add up to where the last one starts
    known = [isinstance(steps["I2"][key], int) for key in ("before", "removed")]
    assert not (all(known) and isinstance(steps["E1"]["remaining"], int))


def test_few_patients_without_a_confounder_do_not_show_as_a_difference_of_sizes():
    made, judged = cohort_of(protocol(**OBSERVED, disclosure={"minimum_cell": 5}), n=300)
    frame = made.frame.assign(age=made.frame["age"].where(np.arange(made.n) >= 3))
    impact = impact_study(replace(made, frame=frame), judged, horizon=12.0, rng=np.random.default_rng(1))
    assert impact is not None
    found = [entry for entry in impact.result.estimates if "shapley" in entry.name]
    assert {entry.n for entry in found} == {None}
    whole = impact_study(made, judged, horizon=12.0, rng=np.random.default_rng(1))
    assert whole is not None
    assert whole.result.estimate("impact.shapley.log_hazard_ratio.drug_vs_control.M").n == 300


@pytest.mark.parametrize("left", [("m", "x"), ("x",)])
def test_criteria_that_leave_a_confounder_without_levels_still_have_an_effect(left):
    """Without the reference level the others add up to one; with one level nothing varies. As in the batch."""
    sexes = {"column": "sex", "kind": "categorical", "levels": ["f", "m", "x"]}
    arms = {**OBSERVED["arms"], "confounders": ["sex"]}
    made, judged = cohort_of(protocol(arms=arms, covariates=[sexes, {"column": "age", "kind": "continuous"}]))
    rng = np.random.default_rng(3)
    sex = pd.Categorical.from_codes(rng.integers(0, 3, made.n), ["f", "m", "x"])
    made = replace(made, frame=made.frame.assign(sex=sex))
    inside = np.isin(np.asarray(sex), left)
    judged = (*judged, replace(judged[0], id="S", admits=inside))
    emulation = emulate(made, judged, comparisons(made)[0], 12.0)
    found = emulation.effect(inside)
    assert found.status == "ok"
    mask = 1 << emulation.players.index(3)
    batch = emulation.evaluate(np.array([mask]))
    assert np.log(found.relative.value) == pytest.approx(batch.relative[0], abs=1e-7)
    assert found.absolute.value == pytest.approx(batch.absolute[0], abs=1e-7)
