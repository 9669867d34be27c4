"""Stage "criteria": prognostic enrichment judged on held-out patients."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from tests.helpers.cohorts import marker_cohort
from tests.helpers.predictions import held_out
from tests.helpers.synthetic import Trial, cohort, trial
from trialstrat.cohort.language.states import conjunction, evaluate_condition
from trialstrat.criteria.enrichment import Enrichment, enrich
from trialstrat.disclosure import protect
from trialstrat.stats.scores import uno_c
from trialstrat.stats.survival import kaplan_meier

NAMES = (
    "share", "event_rate_inside", "event_rate_outside", "event_rate_all", "c_rule", "c_model", "c_loss",
    "screened_per_enrolled", "events_gained_per_100", "stability",
)  # fmt: skip


def risk_of(source: Trial) -> np.ndarray:
    """The true log hazard, as a good model would predict it."""
    stage = np.searchsorted(["I", "II", "III"], source.stage.astype(str))
    return 2 * source.marker + 0.8 * stage + 0.3 * (source.site == "b")


def run(source: Trial, risk: np.ndarray | None = None, **changes) -> Enrichment:
    study = cohort(source, models={"bootstrap": 100}, **changes)
    return enrich(study, held_out(risk_of(source) if risk is None else risk), rng=np.random.default_rng(1))


def value(found: Enrichment, name: str) -> float:
    return found.result.estimate(f"criteria.enrichment.{name}").value


@pytest.fixture(scope="module")
def source() -> Trial:
    return trial(n=600, prognosis=2.0, seed=3)


@pytest.fixture(scope="module")
def found(source: Trial) -> Enrichment:
    return run(source)


def test_a_rule_is_proposed(found: Enrichment) -> None:
    facts = found.result.facts
    assert (facts["status"], facts["kind"], facts["reason"]) == ("proposed", "prognostic enrichment", "")
    assert 1 <= len(found.rule) <= 3
    rows = found.result.table("criteria.rule").records()
    assert [row["column"] for row in rows] == [condition.column for condition in found.rule]
    assert facts["rule_text"] == " and ".join(str(row["text"]) for row in rows)
    assert "predictive" not in " ".join(facts.values()).lower()


def test_the_contract(found: Enrichment) -> None:
    assert [entry.name for entry in found.result.estimates] == [f"criteria.enrichment.{name}" for name in NAMES]
    for entry in found.result.estimates:
        assert entry.status == "ok"
        assert entry.lower <= entry.value <= entry.upper
        assert entry.n is not None
    tables = {"written", "rule", "folds", "km", "at_risk", "price"}
    assert {table.name for table in found.result.tables} == {f"criteria.{name}" for name in tables}


def test_held_out_values_come_from_the_rules_of_the_folds(source: Trial, found: Enrichment) -> None:
    """Selections rebuilt from the published fold rules give the published numbers."""
    from trialstrat.criteria.distil import RuleOptions, distil, selected

    study, predictions = cohort(source), held_out(risk_of(source))
    options = RuleOptions(max_conditions=3, target_share=0.5, minimum_share=0.1)
    inside = np.zeros(600, dtype=bool)
    for fold, (rows, risk) in enumerate(predictions.fold_training_risk):
        rule = distil(study.frame.iloc[rows], study.protocol.variables, risk, options)
        mine = predictions.held_out(fold)
        inside[mine] = selected(rule.conditions, study.frame)[mine]
    assert value(found, "share") == inside.mean()
    rates = [
        1 - kaplan_meier(source.time[mask], source.event[mask]).at([24.0]).survival[0]
        for mask in (inside, ~inside, np.ones(600, dtype=bool))
    ]
    assert [value(found, f"event_rate_{who}") for who in ("inside", "outside", "all")] == pytest.approx(rates)
    assert value(found, "events_gained_per_100") == pytest.approx(100 * (rates[0] - rates[2]))
    assert value(found, "screened_per_enrolled") == pytest.approx(1 / inside.mean())
    c = uno_c(source.time, source.event, inside.astype(float), tau=24.0, strata=predictions.fold)
    assert value(found, "c_rule") == pytest.approx(c.value)
    assert value(found, "c_loss") == pytest.approx(value(found, "c_model") - value(found, "c_rule"))
    assert 0.5 < value(found, "c_rule") < value(found, "c_model")
    km = found.result.table("criteria.km").records()
    starts = {(row["population"], row["arm"]): row["at_risk"] for row in km if row["time"] == 0.0}
    assert starts["inside", "t1"] == (inside & (source.arm == "t1")).sum()
    assert starts["outside", "ctrl"] == (~inside & (source.arm == "ctrl")).sum()


def test_the_rule_runs_through_the_one_evaluator(source: Trial, found: Enrichment) -> None:
    states = [evaluate_condition(condition, cohort(source).frame) for condition in found.rule]
    share = (conjunction(states) == 1).mean()
    assert share == pytest.approx(0.5, abs=0.1)


def test_a_stable_rule_is_stable(found: Enrichment) -> None:
    assert value(found, "stability") > 0.8
    rules = found.result.table("criteria.folds").column("rule")
    assert len(rules) == 5
    assert sum("Marker" in str(rule) for rule in rules) == 5


def test_same_seed_same_numbers(source: Trial, found: Enrichment) -> None:
    again = run(source)
    assert again.result.estimates == found.result.estimates
    assert again.rule == found.rule


def test_noise_is_not_proposed() -> None:
    proposed = 0
    for seed in range(12):
        source = trial(n=300, prognosis=0.0, seed=seed)
        noise = np.random.default_rng(seed).normal(size=300) + source.marker
        study = cohort(source, models={"bootstrap": 0})
        made = enrich(study, held_out(noise), rng=np.random.default_rng(0))
        proposed += made.result.facts["status"] == "proposed"
        if made.result.facts["status"] == "none":
            assert made.rule == ()
            assert made.result.facts["reason"]
            assert made.result.table("criteria.rule").rows == ()
    assert proposed <= 2


def test_without_bootstrap_there_are_no_intervals(source: Trial) -> None:
    study = cohort(source, models={"bootstrap": 0})
    made = enrich(study, held_out(risk_of(source)), rng=np.random.default_rng(0))
    assert all(np.isnan([entry.lower, entry.upper]).all() for entry in made.result.estimates)
    assert made.result.facts["status"] == "proposed"


def test_nothing_to_select_by() -> None:
    source = trial(n=200, prognosis=1.0)
    source.marker[:] = 1.0
    source.stage[:] = "I"
    source.site[:] = "a"
    made = run(source, risk=np.random.default_rng(0).normal(size=200))
    assert made.rule == ()
    assert made.result.estimates == ()
    assert "No rule" in made.result.facts["reason"]
    assert made.result.table("criteria.rule").rows == ()


def test_patients_with_unknown_values_and_without_predictions(source: Trial) -> None:
    gaps = replace(source, marker=source.marker.copy())
    gaps.marker[:60] = np.nan
    predictions = held_out(risk_of(source))
    fold, risk = predictions.fold.copy(), predictions.risk.copy()
    fold[-20:], risk[-20:] = -1, np.nan
    part = tuple((rows[rows < 580], values[rows < 580]) for rows, values in predictions.fold_training_risk)
    study = cohort(gaps, models={"bootstrap": 0})
    made = enrich(
        study, replace(predictions, fold=fold, risk=risk, fold_training_risk=part), rng=np.random.default_rng(0)
    )
    assert made.result.estimate("criteria.enrichment.share").n == 580
    inside = [row for row in made.result.table("criteria.km").records() if row["time"] == 0.0]
    assert sum(row["at_risk"] for row in inside) == 580


def test_competing_endpoint_and_no_arms() -> None:
    source = trial(n=600, causes=2, prognosis=2.5, seed=3)
    event = {"column": "event", "causes": {"relapse": 1, "death": 2}, "censored": [0]}
    made = run(source, endpoint={"kind": "competing", "event": event}, arms=None)
    assert made.result.facts["status"] == "proposed"
    assert value(made, "event_rate_inside") > value(made, "event_rate_outside")
    assert value(made, "event_rate_all") < 0.6  # one of two causes
    assert {row["arm"] for row in made.result.table("criteria.km").records()} == {"all"}


def test_markers_of_a_block_may_enter_the_rule() -> None:
    study = marker_cohort(n=300, markers=40, signal=1.5, models={"bootstrap": 0})
    score = study.markers["g000"].to_numpy() - study.markers["g001"].to_numpy()
    made = enrich(study, held_out(score, horizon=10.0), rng=np.random.default_rng(0))
    assert made.result.facts["status"] == "proposed"
    assert {condition.column for condition in made.rule} <= {"g000", "g001"}
    frame = pd.concat([study.frame, study.markers], axis=1)
    assert all((evaluate_condition(condition, frame) >= 0).all() for condition in made.rule)


def test_small_cells_are_protected(source: Trial) -> None:
    few = trial(n=70, prognosis=2.0, seed=4)
    made = run(few)
    published = protect(made.result, 11)
    for row in published.table("criteria.folds").records():
        if isinstance(row["n"], str) or isinstance(row["events"], str):
            assert row["event_rate"] is None
        assert isinstance(row["fold"], int)
    price = {row["quantity"]: row for row in published.table("criteria.price").records()}
    events = made.result.estimate("criteria.enrichment.event_rate_outside").events
    if events < 11:
        assert price["event_rate"]["outside"] is None
