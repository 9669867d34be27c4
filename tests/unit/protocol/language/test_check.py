"""Bad criteria are named before anything runs, with their line and the mend."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trialstrat.cohort.language.check import findings_on
from trialstrat.cohort.language.states import MET, evaluate_condition
from trialstrat.cohort.language.tables import Tables
from trialstrat.protocol.language.bounds import allowed_by
from trialstrat.protocol.language.check import check, faults
from trialstrat.protocol.language.criterion import Criterion
from trialstrat.protocol.language.grammar import parse
from trialstrat.protocol.language.model import Condition
from trialstrat.protocol.language.schema import ColumnSchema, Molecular, Schema, TableSchema
from trialstrat.results import Finding

SCHEMA = Schema(
    time_zero="start",
    tables={
        "patients": TableSchema(
            columns={
                "age": ColumnSchema(kind="number", unit="a"),
                "score": ColumnSchema(kind="number"),
                "start": ColumnSchema(kind="date"),
                "sex": ColumnSchema(kind="text", levels=("F", "M")),
                "response": ColumnSchema(kind="text", outcome=True),
            }
        ),
        "lab": TableSchema(
            time="day",
            columns={
                "day": ColumnSchema(kind="number"),
                "name": ColumnSchema(kind="text"),
                "value": ColumnSchema(kind="number", unit="mg/dL"),
            },
        ),
        "visits": TableSchema(columns={"date": ColumnSchema(kind="date"), "note": ColumnSchema(kind="text")}),
    },
    molecular=Molecular(),
)


def found(*lines: str, kinds: str = "") -> list[Finding]:
    criteria = [
        Criterion(id=f"C{at}", kind="exclusion" if kinds[at : at + 1] == "e" else "inclusion", when=parse(line))
        for at, line in enumerate(lines)
    ]
    every = check(criteria, SCHEMA, source="p.yaml", lines={f"C{at}": 10 + at for at in range(len(lines))})
    return [finding for finding in every if finding.severity != "note"]


@pytest.mark.parametrize(
    "text",
    [
        'age >= 18 "a"',
        'age >= 216 "mo"',
        'sex in ("F", "M")',
        "score >= 1 or score < 0",
        '(nearest lab where name is "x" from day -28 to day 0 has value <= 1.5 "mg/dL")',
        "linked (keep visits.date <= patients.start)",
        '(any visits where note is "x")',
    ],
)
def test_good_criteria_have_no_finding(text: str) -> None:
    assert found(text) == []


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("years >= 18", "E-CRIT-COLUMN"),
        ("(any labs)", "E-CRIT-COLUMN"),
        ("(any lab to day 0 has wert >= 1)", "E-CRIT-COLUMN"),
        ('(nearest visits has note is "x")', "E-CRIT-COLUMN"),
        ("linked (keep visits.day <= patients.start)", "E-CRIT-COLUMN"),
        ('linked (pick least lab.date; keep lab.value >= 1 "mg/dL")', "E-CRIT-COLUMN"),
        ("tmb >= 10", "E-CRIT-COLUMN"),
        ("sex >= 1", "E-CRIT-TYPE"),
        ('sex is "female"', "E-CRIT-TYPE"),
        ("start >= age", "E-CRIT-TYPE"),
        ('age >= 18 "mg"', "E-CRIT-UNIT"),
        ("age >= 18", "W-CRIT-UNIT"),
        ('response is "CR"', "E-CRIT-OUTCOME"),
        ('(any lab from day 1 to day 30 has value >= 1 "mg/dL")', "E-CRIT-OUTCOME"),
        ('(any lab from day -30 has value >= 1 "mg/dL")', "E-CRIT-OUTCOME"),
        ('(latest lab has value >= 1 "mg/dL")', "E-CRIT-OUTCOME"),
        ('(every lab has value >= 1 "mg/dL")', "E-CRIT-OUTCOME"),
        ("(count lab >= 2)", "E-CRIT-OUTCOME"),
        ("5 < score < 5", "E-CRIT-CONTRADICTION"),
        ("score >= 5 and score < 3", "E-CRIT-CONTRADICTION"),
        ("score >= 5; score < 3", "E-CRIT-CONTRADICTION"),
        ('sex is "F" and sex not in ("F")', "E-CRIT-CONTRADICTION"),
        ("score in (1, 2) and score >= 3", "E-CRIT-CONTRADICTION"),
        ("score >= 3 or score < 5", "W-CRIT-ALWAYS"),
        ('sex is "F" or sex not in ("F")', "W-CRIT-ALWAYS"),
    ],
)
def test_bad_criteria_are_named_with_line_and_mend(text: str, code: str) -> None:
    (finding,) = found(text)
    assert finding.code == code
    assert finding.severity == ("error" if code.startswith("E") else "warning")
    assert finding.lines == (10,)
    assert finding.remedy
    assert "criterion C0" in finding.text()
    assert finding.text().startswith(f"{code} p.yaml: ")


@pytest.mark.parametrize(
    ("lines", "kinds", "bad"),
    [
        (("score >= 5", "score < 5"), "ii", True),
        (("score >= 5", "score >= 5"), "ie", True),
        (("score >= 5", "score > 5"), "ie", False),
        (("score >= 5", "score <= 5"), "ii", False),
        (('sex is "F"', 'sex is "M"'), "ii", True),
        (('sex is "F"', 'sex is "M"'), "ie", False),
        (('age >= 18 "a"', 'age < 18 "mo"'), "ii", True),
        (('age >= 18 "a"', 'age < 900 "mo"'), "ii", False),
    ],
)
def test_criteria_that_contradict_each_other(lines: tuple, kinds: str, bad: bool) -> None:
    codes = [finding.code for finding in found(*lines, kinds=kinds)]
    assert codes == (["E-CRIT-CONTRADICTION"] if bad else [])
    if bad:
        assert found(*lines, kinds=kinds)[0].lines == (10, 11)


def test_criteria_that_nobody_or_everybody_passes_in_the_data() -> None:
    patients = pd.DataFrame({"age": [70.0, 60.0, np.nan], "score": [1.0, 2.0, 3.0], "lvef": np.nan})
    tables = Tables(patients=patients, schema=SCHEMA)
    criteria = [
        Criterion(id="none", kind="inclusion", when=parse("age >= 100")),
        Criterion(id="some", kind="inclusion", when=parse("score >= 2")),
        Criterion(id="all", kind="exclusion", when=parse("age < 18"), missing="not met"),
        Criterion(id="lost", kind="exclusion", when=parse("age < 18"), missing="met"),
        Criterion(id="open", kind="inclusion", when=parse("age < 90")),
        Criterion(id="unmeasured", kind="inclusion", when=parse("lvef >= 40"), missing="met"),
        Criterion(id="person", kind="inclusion", text="read by a person"),
    ]
    findings = findings_on(criteria, tables, "p.csv")
    assert [(finding.code, finding.severity) for finding in findings] == [
        ("W-CRIT-EMPTY", "warning"),
        ("I-CRIT-ALWAYS", "note"),
        ("W-CRIT-UNKNOWN", "warning"),
    ]
    assert [finding.text().split(": ")[2].split(".")[0] for finding in findings[:2]] == ["none", "all"]
    assert all(finding.remedy for finding in findings)
    placed = findings_on(criteria, tables, "p.csv", {"all": 57})
    assert "of these data: all (line 57 of the protocol). Nothing to do" in placed[1].text()


def test_a_number_without_any_unit_is_noted() -> None:
    criteria = [Criterion(id="a", kind="inclusion", when=parse("score >= 1"))]
    (finding,) = check(criteria, SCHEMA)
    assert (finding.code, finding.severity) == ("I-CRIT-UNIT", "note")
    assert check([Criterion(id="a", kind="inclusion", when=parse('score >= 1 "1"'))], SCHEMA) == ()


def test_near_names_are_offered() -> None:
    assert "Did you mean age?" in found("agee is known")[0].remedy
    assert "Did you mean lab?" in found("(any labs)")[0].remedy
    assert "Did you mean value?" in found("(any lab to day 0 has vlaue is known)")[0].remedy


def test_what_the_schema_does_not_list_is_left_to_the_data() -> None:
    criteria = [Criterion(id="a", kind="inclusion", when=parse("years is known; (any lab to day 0 has wert is known)"))]
    (fault,) = faults(criteria, SCHEMA, complete=False)
    assert (fault.code, fault.column, fault.node) == ("E-CRIT-COLUMN", "wert", 1)


ends = st.integers(-3, 3).map(float)
ranges = st.one_of(
    st.builds(lambda low: Condition(column="x", at_least=low), ends),
    st.builds(lambda low: Condition(column="x", above=low), ends),
    st.builds(lambda low, high: Condition(column="x", above=low, at_most=high), ends, ends),
    st.builds(lambda low, high: Condition(column="x", at_least=low, below=high), ends, ends),
    st.builds(lambda values: Condition(column="x", one_of=tuple(values)), st.lists(ends, min_size=1, max_size=3)),
    st.builds(lambda values: Condition(column="x", none_of=tuple(values)), st.lists(ends, min_size=1, max_size=3)),
)


@settings(max_examples=150, deadline=None)
@given(ranges, ranges)
def test_set_arithmetic_agrees_with_the_evaluator(first: Condition, second: Condition) -> None:
    grid = pd.DataFrame({"x": np.arange(-5, 5.25, 0.25)})
    one, two = (evaluate_condition(node, grid) == MET for node in (first, second))
    assert allowed_by(first).both(allowed_by(second)).empty == (not (one & two).any())
    if allowed_by(first).stretches:
        assert allowed_by(first).complement().both(allowed_by(second)).empty == (not (~one & two).any())
