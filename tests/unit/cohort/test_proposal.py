"""Guesses about tables: codings are taken from standards, proposed where names say them, and asked everywhere else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from trialstrat.cohort.proposal.coding import event_coding
from trialstrat.cohort.proposal.endpoints import endpoints
from trialstrat.cohort.proposal.facts import Facts
from trialstrat.cohort.proposal.link import Linked, Seen, link_main, link_other
from trialstrat.cohort.proposal.look import Look
from trialstrat.cohort.proposal.roles import arm_column, guess_role
from trialstrat.cohort.proposal.study import propose
from trialstrat.cohort.readers.table import RawTable, text_frame

N = 60
RNG = np.random.default_rng(5)


def facts(name: str, values: list[Any], label: str = "") -> Facts:
    return Facts(text_frame([name], [[None if value is None else str(value) for value in values]]), name, label)


def seen(file: str = "trial.csv", **columns: Any) -> Seen:
    texts = [[None if cell is None else str(cell) for cell in cells] for cells in columns.values()]
    frame = text_frame(list(columns), texts)
    lines = np.arange(2, len(frame) + 2)
    raw = RawTable(frame=frame, file=file, lines=lines, sha256="0" * 64, format="delimited")
    return Seen(path=Path(file), raw=raw)


def half(first: Any, second: Any) -> list[Any]:
    return [first if at % 3 else second for at in range(N)]


def times(scale: float = 10) -> list[Any]:
    return [round(float(value), 2) for value in scale * (1 + RNG.random(N))]


@pytest.mark.parametrize(
    ("name", "values", "expected"),
    [
        ("CNSR", (0, 1), ("cnsr", True, ())),
        ("OS_STATUS", ("1:DECEASED", "0:LIVING"), ("cbioportal", True, ())),
        ("death", (1, 0), ("explicit", False, ("1",))),
        ("Event", ("1.0", "0.0"), ("explicit", False, ("1.0",))),
        ("status", ("Dead", "Alive"), ("explicit", False, ("Dead",))),
        ("outcome", ("deceased", "living"), ("explicit", False, ("deceased",))),
        ("status", (1, 0), ("explicit", False, ("1",))),
    ],
)
def test_codings_that_say_themselves(name: str, values: tuple[Any, Any], expected: tuple[Any, ...]) -> None:
    guess = event_coding(facts(name, half(*values)))
    assert (guess.style, guess.known, guess.events) == expected
    assert guess.evidence
    assert not guess.question


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("cens", (0, 1)), ("censored", ("no", "yes")), ("status", (1, 2)), ("event", ("A", "B")), ("outcome", (0, 1)),
        ("CENSOR", ("TRUE", "FALSE")),
    ],
)  # fmt: skip
def test_codings_that_only_people_know(name: str, values: tuple[Any, Any]) -> None:
    guess = event_coding(facts(name, half(*values)))
    assert not guess.events
    assert not guess.known
    assert name in guess.question


def test_three_codes_are_asked() -> None:
    assert event_coding(facts("status", [at % 3 for at in range(N)])).question


def test_times_and_events_go_together_by_their_words() -> None:
    table = {
        "OS_MONTHS": times(), "OS_STATUS": half("1:DECEASED", "0:LIVING"),
        "PFS_MONTHS": times(), "PFS_STATUS": half("1:Progressed", "0:Not"),
        "AGE": times(60), "ER_STATUS": half("pos", "neg"),
    }  # fmt: skip
    found = endpoints([facts(name, values) for name, values in table.items()])
    pairs = [(guess.time, guess.event.column, guess.unit) for guess in found]
    assert pairs == [("OS_MONTHS", "OS_STATUS", "months"), ("PFS_MONTHS", "PFS_STATUS", "months")]


def test_short_names_go_together_by_their_first_letter() -> None:
    table = {"rtime": times(900), "recur": half(1, 0), "dtime": times(950), "death": half(1, 0)}
    found = endpoints([facts(name, values) for name, values in table.items()])
    assert [(guess.time, guess.event.column) for guess in found] == [("rtime", "recur"), ("dtime", "death")]
    assert {guess.unit for guess in found} == {"days"}  # the median says so


def test_what_check_would_refuse_in_a_time_becomes_a_declared_rule() -> None:
    values: list[Any] = times(10)
    values[:4] = [0, -1, None, "-Inf"]
    (guess,) = endpoints([facts("time", values), facts("death", half(1, 0))])
    assert [(key, rule) for key, rule, _ in guess.rules] == [
        ("missing_outcome", "drop"), ("negative_time", "drop"), ("zero_time", "half_day"),
    ]  # fmt: skip
    assert guess.unit is None


def test_arms_by_name_and_control_by_its_word() -> None:
    arm = arm_column([facts("treat", half(1, 0)), facts("TRT01P", half("Drug", "Placebo")), facts("group", half(1, 2))])
    assert arm is not None
    assert (arm.column, arm.control) == ("TRT01P", "Placebo")
    unknown = arm_column([facts("trt", half(1, 2))])
    assert unknown is not None
    assert unknown.control is None
    assert arm_column([facts("sex", half("f", "m"))]) is None


@pytest.mark.parametrize(
    ("column", "values", "reason"),
    [
        ("cd420", times(400), "cd40 at a later time"),
        ("visitdate", [f"2020-01-{1 + at % 28:02d}" for at in range(N)], "dates"),
        ("year", [2000 + at % 9 for at in range(N)], "calendar years"),
        ("sample_id", [f"s{at}" for at in range(N)], "an identifier"),
        ("site", ["x"] * N, "one value only"),
        ("lab", [None] * 40 + list(range(20)), "missing, above the limit"),
        ("PFS_STATUS", half("1:yes", "0:no"), "known only after time zero"),
        ("armcode", half("b", "a"), "told by arm"),
        ("vital", half("died", "lives"), "gives"),
        ("notes", [f"text {at}" for at in range(N)], "distinct values"),
    ],
)
def test_what_no_model_may_use_is_left_out_with_its_reason(column: str, values: list[Any], reason: str) -> None:
    rng = np.random.default_rng(9)
    arm = facts("arm", half(1, 0)) if column == "armcode" else None
    death = facts("death", half(1, 0) if column == "vital" else list(rng.integers(0, 2, N)))
    time = facts("time", times())
    (outcome,) = endpoints([time, death])
    own = facts(column, values)
    guess = guess_role(own, [own, facts("cd40", times(400))], arm, [(outcome, time, death)])
    assert guess.role == "left out"
    assert reason in guess.evidence


def test_numbers_levels_and_markers() -> None:
    others = [facts("age", times(60)), facts("TMB", times(9)), facts("sex", half("f", "m"))]
    karnofsky = facts("karnof", [70 + 10 * (at % 4) for at in range(N)])
    assert guess_role(others[0], others, None, []).role == "continuous"
    assert guess_role(karnofsky, others, None, []).role == "continuous"
    assert guess_role(others[1], others, None, []).marker
    sex = guess_role(others[2], others, None, [])
    assert (sex.role, sex.levels, sex.marker) == ("categorical", ("f", "m"), False)
    grade = guess_role(facts("grade", [1 + at % 3 for at in range(N)]), others, None, [])
    assert (grade.role, grade.levels) == ("categorical", ("1", "2", "3"))


def ids() -> list[str]:
    return [f"P{at:03d}" for at in range(N)]


def test_one_row_of_several_is_selected_and_asked() -> None:
    patients = [name for name in ids() for _ in (1, 2)]
    table = seen(id=patients, etype=[1, 2] * N, time=times() + times(), status=half(1, 0) * 2)
    linked = link_main(table, [])
    assert (linked.id, linked.where, len(linked.frame)) == ("id", {"etype": "1"}, N)
    assert "is that what you want?" in linked.questions[0]


def test_the_first_visit_of_many_is_selected() -> None:
    patients = [name for name in ids() for _ in range(3)]
    days = [day for at in range(N) for day in (0, 150 + at, 400 + 2 * at)]
    linked = link_main(seen(id=patients, futime=[9] * 3 * N, day=days, bili=times() * 3), [])
    assert (linked.id, linked.where, len(linked.frame)) == ("id", {"day": "0"}, N)
    late = [day + 1 for day in days]
    assert link_main(seen(id=patients, futime=[9] * 3 * N, day=late, bili=times() * 3), []).id is None


def test_treatment_within_patients_is_said() -> None:
    linked = link_main(seen(id=[name for name in ids() for _ in (1, 2)], trt=[0, 1] * N, time=times() + times()), [])
    assert (linked.id, linked.where, linked.repeated) == (None, {}, "id")
    assert "within patients" in linked.questions[0]


def test_ids_that_start_again_in_every_cohort_number_the_rows() -> None:
    linked = link_main(seen(SAMPLE_ID=[at % 30 for at in range(N)], cohort=half("x", "y"), time=times()), [])
    assert linked.id in (None, "SAMPLE_ID")
    linked = link_main(seen(SAMPLE_ID=[*range(30), *range(30)], cohort=["x"] * 30 + ["y"] * 30, time=times()), [])
    assert linked.id is None
    assert "unique only inside cohort" in linked.questions[0]


def test_other_tables_are_joined_by_the_ids_they_share() -> None:
    main = link_main(
        seen(subject=ids(), death=half(1, 0), time=times()), [seen("m.csv", who=ids()[:40], KRAS=[1] * 40)]
    )
    other = link_other(seen("m.csv", who=ids()[:40], KRAS=[1] * 40), main)
    assert isinstance(other, Linked)
    assert (other.id, other.layout) == ("who", "patients")
    matrix = seen("expr.csv", gene=["A", "B"], **{name: [1, 2] for name in ids()})
    wide = link_other(matrix, main)
    assert isinstance(wide, Linked)
    assert wide.layout == "markers"
    assert isinstance(link_other(seen("x.csv", a=[1, 2], b=["u", "v"]), main), str)


def test_the_same_numbers_are_not_the_same_patients() -> None:
    own = [str(at) for at in range(N)]
    main = link_main(seen(id=own, trt=half(1, 2), sex=half("f", "m"), time=times()), [])
    reason = link_other(seen("udca.csv", id=own, trt=half(0, 1), bili=times(2)), main)
    assert isinstance(reason, str)
    assert "other patients" in reason


def test_the_table_with_the_outcome_is_that_of_the_patients() -> None:
    genes = seen("genes.csv", subject=ids(), **{f"g{at:03d}": times() for at in range(80)})
    clinical = seen("clinical.csv", subject=ids(), death=half(1, 0), days=times(300), age=times(60))
    found = propose(Look(tables=[genes, clinical]))
    assert [source.linked.seen.raw.file for source in found.sources] == ["clinical.csv", "genes.csv"]
    assert [source.block for source in found.sources] == [False, True]
    assert [guess.column for guess in found.columns if guess.role != "left out"] == ["age"]


def test_codes_among_numbers_are_declared_missing() -> None:
    values: list[Any] = times(5)
    values[:12] = ["NA"] * 12
    found = propose(Look(tables=[seen(id=ids(), death=half(1, 0), days=times(300), psa=values)]))
    assert found.sources[0].missing == ("NA",)
    (psa,) = [guess for guess in found.columns if guess.column == "psa"]
    assert psa.role == "continuous"


def test_counts_of_few_rows_are_not_named() -> None:
    shown = facts("arm", ["a"] * 50 + ["rare"] * 2).held()
    assert shown == "a (50 rows), 1 rarer"


def test_pandas_is_not_asked_to_evaluate_names() -> None:
    table = seen(**{"__import__('os').system('true')": times(), "death": half(1, 0), "days": times(300)})
    found = propose(Look(tables=[table]))
    assert isinstance(found.columns[0].column, str)
    assert pd.notna(found.columns[0].evidence)
