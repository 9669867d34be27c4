"""Thresholds that move, fronts and picks by hand, a search that finds the cut and tells it honestly."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from tests.unit.criteria.test_impact import cohort_of, protocol
from trialstrat.cohort.language.evaluate import state_of
from trialstrat.cohort.language.tables import Tables
from trialstrat.criteria.candidates import Valued, Valuer, at_least, front, picked, utilities
from trialstrat.criteria.emulation import Judged, emulate
from trialstrat.criteria.impact import impact_study
from trialstrat.criteria.pool import represented
from trialstrat.criteria.search import search
from trialstrat.criteria.search_study import Written, search_study
from trialstrat.criteria.thresholds import candidates, dimension, moved, thresholds
from trialstrat.criteria.trialpathfinder import parse_rules
from trialstrat.protocol.criteria_model import SearchPlan, Utility
from trialstrat.protocol.language.criterion import Criterion
from trialstrat.protocol.language.grammar import parse
from trialstrat.protocol.language.schema import ColumnSchema, Schema, TableSchema
from trialstrat.protocol.language.text import write_all
from trialstrat.protocol.model import Condition
from trialstrat.subgroups.comparison import comparisons

RULE = "\"R\n#Inclusion\nlab['Name'] == 'ALT'\nlab['Value'] <= 2.5 * lab['Norm']\nlab['Value'] >= 100\""


def tables_of(frame: pd.DataFrame, **columns: ColumnSchema) -> Tables:
    return Tables(patients=frame, schema=Schema(tables={"patients": TableSchema(columns=columns)}))


def test_thresholds_of_what_decides_move_and_those_that_choose_rows_do_not():
    plain = Criterion(id="I", kind="inclusion", text="", when=(Condition(column="age", at_least=18, at_most=80),))
    found = list(thresholds(plain))
    assert [(entry.bound, entry.value) for entry in found] == [("at_least", 18), ("at_most", 80)]
    assert moved(plain, found[1], 70.0).when[0].at_most == 70.0
    assert plain.when[0].at_most == 80
    (rule,) = parse_rules(RULE)
    (only,) = thresholds(rule)
    assert (only.column, only.bound, only.value) == ("lab.Value", "at_least", 100.0)
    assert moved(rule, only, 75.0).when[0].linked[-1].keep.at_least == 75.0


def test_molecular_events_with_a_value_have_thresholds_too():
    when = parse('not (tmb >= 10 and copy_number of ERBB2 < 2) or mutation of EGFR or msi in ("MSS")')
    criterion = Criterion(id="E", kind="exclusion", when=when)
    found = list(thresholds(criterion))
    assert [(entry.column, entry.bound, entry.value) for entry in found] == [
        ("tmb", "at_least", 10.0),
        ("copy_number of ERBB2", "below", 2.0),
    ]
    assert write_all(moved(criterion, found[1], 1.5).when) == write_all(when).replace("ERBB2 < 2", "ERBB2 < 1.5")


def test_values_to_try_are_deciles_where_patients_have_the_column_and_multiples_elsewhere():
    (age,) = thresholds(Condition(column="age", above=50))
    frame = pd.DataFrame({"age": np.arange(101.0)})
    assert candidates(age, tables_of(frame), (0.5,)) == (10, 20, 30, 40, 60, 70, 80, 90)
    assert candidates(age, tables_of(frame[[]]), (0.5, 2.0)) == (25.0, 100.0)


def test_deciles_are_tried_in_the_unit_of_the_condition_and_said_with_it():
    hb = np.arange(80.0, 181.0)
    tables = tables_of(pd.DataFrame({"hb": hb}), hb=ColumnSchema(kind="number", unit="g/L"))
    criterion = Criterion(id="I", kind="inclusion", when=parse('hb >= 9.5 "g/dL"'))

    def judge(changed) -> Judged:
        state = state_of(changed, tables)
        return Judged(id="I", kind="inclusion", text="", admits=state == 1, unknown=state < 0)

    (threshold,) = thresholds(criterion)
    assert candidates(threshold, tables, ()) == (9, 10, 11, 12, 13, 14, 15, 16, 17)
    found = dimension(criterion, judge(criterion), judge, tables, (), fixed=False)
    assert {option.label: int(option.admits.sum()) for option in found.options} == {
        "dropped": 101, "as written": 86, **{f"hb ≥ {at} g/dL": 181 - 10 * at for at in range(9, 18)}
    }  # fmt: skip
    each = tables_of(pd.DataFrame({"hb": hb, "u": "g/L"}), hb=ColumnSchema(kind="number", unit_column="u"))
    assert candidates(threshold, each, (0.5, 2.0)) == (4.75, 19.0)


def test_values_of_a_long_table_are_not_those_of_a_column_of_the_patients():
    tables = tables_of(pd.DataFrame({"value": np.arange(100.0, 200.0)}))
    criterion = Criterion(id="L", kind="inclusion", when=parse("value >= 120; (any labs has value <= 1.5)"))
    own, long = thresholds(criterion)
    assert (own.table, long.table) == ("patients", "labs")
    assert candidates(long, tables, (0.5, 2.0)) == (0.75, 3.0)
    assert candidates(own, tables, ()) == (110, 130, 140, 150, 159, 169, 179, 189)


def test_options_that_admit_the_same_patients_are_one():
    frame = pd.DataFrame({"age": [10.0] * 50 + [60.0] * 50})
    criterion = Criterion(id="I", kind="inclusion", text="", when=(Condition(column="age", at_least=18),))

    def judge(changed) -> Judged:
        admits = frame["age"].to_numpy() >= changed.when[0].at_least
        return Judged(id="I", kind="inclusion", text="", admits=admits, unknown=~admits & False)

    found = dimension(criterion, judge(criterion), judge, tables_of(frame), (), fixed=False)
    assert [option.label for option in found.options] == ["dropped", "as written"]
    assert len(dimension(criterion, judge(criterion), judge, tables_of(frame), (), fixed=True).options) == 1
    everybody = replace(judge(criterion), admits=np.ones(100, dtype=bool))
    unchanged = dimension(criterion, everybody, judge, tables_of(frame), (), fixed=False)
    assert unchanged.options[unchanged.start].label == "as written"


def valued(*, choice: int, pool: float, effect: float, shift: float = 0.0) -> Valued:
    return Valued(choice=(choice,), pool=pool, effect=effect, events=1.0, representativeness=shift, cost=0.0)


def test_front_holds_what_nothing_beats():
    points = [
        valued(choice=0, pool=1.0, effect=-0.1),
        valued(choice=1, pool=0.5, effect=-0.5),
        valued(choice=2, pool=0.4, effect=-0.4),  # beaten by the one before
        valued(choice=3, pool=0.5, effect=-0.5),  # its twin
        valued(choice=4, pool=0.2, effect=-0.6),
    ]
    assert [entry.choice for entry in front(points, ("pool", "effect"), -1)] == [(0,), (1,), (4,)]
    assert at_least(points, 0.45, -1).choice == (1,)
    assert at_least(points[1:], 0.9, -1).pool == 0.5


def test_the_pick_follows_the_declared_utility():
    points = [valued(choice=0, pool=1.0, effect=-0.1), valued(choice=1, pool=0.2, effect=-0.9, shift=1.0)]
    wide = Utility(pool=1, effect=0, events=0, representativeness=0, cost=0)
    strong = Utility(pool=0, effect=1, events=0, representativeness=0, cost=0)
    assert picked(points, wide, -1).choice == (0,)
    assert picked(points, strong, -1).choice == (1,)
    assert utilities(points, Utility(pool=0, effect=0, representativeness=0, cost=0), -1).tolist() == [0.0, 0.0]


def studied(plan: dict | None = None, seed: int = 4):
    """Criterion M keeps the patients in whom the drug works; Z is noise; the drug works above 0 of the marker."""
    declared = protocol(criteria={"impact": {"bootstrap": 0, "repeats": 1}, "search": plan or {"trials": 120}})
    made, judged = cohort_of(declared, seed=seed)
    rng = np.random.default_rng(9)
    score = np.where(judged[1].admits, rng.uniform(0, 1, made.n), rng.uniform(-1, 0, made.n))
    frame = pd.DataFrame({"score": score}, index=made.frame.index)
    criterion = Criterion(id="M", kind="inclusion", text="", when=(Condition(column="score", at_least=-0.9),))

    def judge(changed) -> Judged:
        admits = score >= changed.when[0].at_least
        return Judged(id="M", kind="inclusion", text="", admits=admits, unknown=np.zeros(made.n, dtype=bool))

    noise = replace(judged[2], id="Z")
    written = (
        Written(criterion=criterion, judged=judge(criterion), judge=judge),
        Written(criterion=Criterion(id="Z", kind="inclusion", text=""), judged=noise, judge=lambda _: noise),
    )
    impact = impact_study(made, [entry.judged for entry in written], horizon=12.0, rng=np.random.default_rng(1))
    assert impact is not None
    return made, written, tables_of(frame), impact


def test_the_search_tightens_to_where_the_drug_works_and_held_out_values_agree():
    made, written, tables, impact = studied()
    utility = {"pool": 1.0, "effect": 1.0, "representativeness": 0.0, "cost": 0.0}
    declared = made.protocol.criteria.model_copy(update={"search": SearchPlan(trials=120, utility=Utility(**utility))})
    made = replace(made, protocol=made.protocol.model_copy(update={"criteria": declared}))
    result = search_study(made, written, tables, impact.compared[0], rng=np.random.default_rng(2))
    rules = {
        row["criterion"]: row["option"] for row in result.table("search.rules").records() if row["point"] == "pick"
    }
    assert rules["M"].startswith("score ≥")
    assert abs(float(rules["M"].split()[-1])) < 0.25
    held_out = result.estimate("search.pick.held_out.hazard_ratio.drug_vs_control")
    assert held_out.upper < 0.7
    current = result.table("search.front").records()[0]
    assert current["label"] == "As written"
    assert current["ratio"] > held_out.value
    assert int(result.facts["tried"]) > 10


def test_what_each_threshold_moves_with_everything_else_as_written():
    made, written, tables, impact = studied({"trials": 20})
    result = search_study(made, written, tables, impact.compared[0], rng=np.random.default_rng(2))
    emulation = impact.compared[0].emulation
    dims = [dimension(entry.criterion, entry.judged, entry.judge, tables, (), fixed=False) for entry in written]
    now, *rows = result.table("search.moves").records()
    assert (now["option"], now["change"]) == ("as written", 1.0)
    assert [(row["criterion"], row["option"]) for row in rows] == [
        (entry.id, option.label) for entry in dims for at, option in enumerate(entry.options) if at != entry.start
    ]
    assert {row["option"] for row in rows if row["criterion"] == "M"} >= {"dropped"}
    assert sum(str(row["option"]).startswith("score ≥") for row in rows) > 3
    other = dims[1].options[dims[1].start].admits
    for row in rows[:4]:
        option = next(entry for entry in dims[0].options if entry.label == row["option"])
        effect = emulation.effect(option.admits & other)
        assert row["effect"] == pytest.approx(effect.relative.value, rel=0.006)
        assert row["change"] == pytest.approx(row["effect"] / now["effect"], rel=0.011)
        assert row["pool"] == pytest.approx((option.admits & other & emulation.rows).sum() / emulation.n, abs=0.03)


def test_any_number_of_jobs_gives_the_same_search():
    made, written, tables, impact = studied({"trials": 40})
    one, two = (
        search_study(made, written, tables, impact.compared[0], rng=np.random.default_rng(2), jobs=jobs).to_dict()
        for jobs in (1, 3)
    )
    assert one == two


def unchangeable(entry: Judged, frame: pd.DataFrame):
    """A criterion without thresholds: kept or dropped."""
    criterion = Criterion(id=entry.id, kind="inclusion", text="")
    return dimension(criterion, entry, lambda _: entry, tables_of(frame), (), fixed=False)


def test_held_out_effects_of_a_search_through_noise_are_worse_than_they_looked():
    """Nothing is to be found: the best of many rule sets flatters itself, held out it does not."""
    flattery = []
    for seed in range(6):
        made, _ = cohort_of(protocol(), seed=seed, n=500)
        rng = np.random.default_rng(seed)
        shuffled = replace(made, arm=np.array(["control", "drug"], dtype=object)[rng.integers(0, 2, made.n)])
        nobody = np.zeros(made.n, dtype=bool)
        judged = [
            Judged(id=f"N{at}", kind="inclusion", text="", admits=rng.uniform(size=made.n) < 0.6, unknown=nobody)
            for at in range(5)
        ]
        emulation = emulate(shuffled, judged, comparisons(shuffled)[0], 12.0)
        dimensions = [unchangeable(entry, shuffled.frame) for entry in judged]
        valuer = Valuer(emulation, dimensions, represented(shuffled), {}, np.ones(made.n, dtype=bool))
        plan = SearchPlan(trials=40, objectives=("pool", "effect"), utility=Utility(pool=0, effect=1))
        found = search(valuer, [(1,) * 5, (0,) * 5], plan, folds=4, better=-1, rng=rng)
        assert found is not None
        flattery.append(np.log(found.pick.effect.relative.value / found.pick.held_out.relative.value))
    assert np.mean(flattery) < -0.1


def test_tpe_and_fixed_criteria():
    made, written, tables, impact = studied({"trials": 30, "sampler": "tpe", "fixed": ["Z"]})
    result = search_study(made, written, tables, impact.compared[0], rng=np.random.default_rng(2))
    options = {row["option"] for row in result.table("search.rules").records() if row["criterion"] == "Z"}
    assert options == {"as written"}


def test_costs_count_per_enrolled_patient_and_only_for_criteria_in_use():
    made, written, tables, impact = studied()
    dims = [dimension(entry.criterion, entry.judged, entry.judge, tables, (), fixed=False) for entry in written]
    valuer = Valuer(impact.compared[0].emulation, dims, represented(made), {"Z": 10.0}, np.ones(made.n, dtype=bool))
    with_, without = valuer.value([(0, 1), (0, 0)])
    assert with_ is not None
    assert with_.cost == pytest.approx(10.0 / with_.pool)
    assert without is not None
    assert without.cost == 0.0


@pytest.mark.parametrize(
    ("change", "reason"),
    [({"trials": 0}, "switched off"), ({"trials": 20, "fixed": ["M", "Z"]}, "can be changed")],
)
def test_a_search_that_cannot_be_made_says_why(change, reason):
    made, written, tables, impact = studied(change)
    result = search_study(made, written, tables, impact.compared[0], rng=np.random.default_rng(2))
    assert reason in result.facts["reason"]
    assert result.tables == ()
