"""Criteria on long tables: windows, which row decides, units, molecular events and what missing values make of them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trialstrat.cohort.language.evaluate import admitted, evaluate, state_of
from trialstrat.cohort.language.states import conjunction, evaluate_condition
from trialstrat.cohort.language.tables import Tables
from trialstrat.errors import InvalidInputError
from trialstrat.protocol.language.criterion import Criterion
from trialstrat.protocol.language.grammar import parse
from trialstrat.protocol.language.schema import ColumnSchema, Molecular, Schema, TableSchema
from trialstrat.protocol.model import Condition

NUMBER, TEXT, DATE = (ColumnSchema(kind=kind) for kind in ("number", "text", "date"))
PATIENTS = pd.DataFrame(
    {"age": [70.0, 17.0, np.nan, 50.0], "start": ["2020-03-01"] * 4, "assayed": ["true", "true", "false", ""],
     "TMB": [12.0, 3.0, np.nan, 10.0], "MSI": ["MSI-H", "MSS", "", "MSS"]},
    index=["a", "b", "c", "d"],
)  # fmt: skip
LAB = pd.DataFrame(
    {
        "id": ["a", "a", "a", "b", "b", "c", "x"],
        "name": ["PLT", "PLT", "HGB", "PLT", "PLT", "PLT", "PLT"],
        "value": [90.0, 120.0, 9.5, 150.0, 80.0, np.nan, 1.0],
        "unit": ["10*9/L", "10*9/L", "g/dL", "10*3/uL", "10*3/uL", "10*9/L", "10*9/L"],
        "date": ["2020-02-20", "2020-02-28", "2020-02-20", "2019-10-01", "2020-03-03", "2020-02-25", "2020-02-25"],
    }
)
MUTATIONS = pd.DataFrame(
    {
        "id": ["a", "a", "b"],
        "gene": ["EGFR", "KRAS", "EGFR"],
        "variant_class": ["Missense_Mutation", "Silent", "In_Frame_Del"],
        "protein_change": ["p.L858R", "p.G13G", "p.E746_A750del"],
    }
)
COPIES = pd.DataFrame({"id": ["a", "b"], "gene": ["ERBB2", "ERBB2"], "copy_number": [8.0, 2.0]})
SCHEMA = Schema(
    time_zero="start",
    tables={
        "patients": TableSchema(
            columns={"age": ColumnSchema(kind="number", unit="a"), "start": DATE, "assayed": TEXT, "TMB": NUMBER}
        ),
        "lab": TableSchema(
            time="date",
            columns={
                "name": TEXT,
                "value": ColumnSchema(kind="number", unit_column="unit"),
                "unit": TEXT,
                "date": DATE,
            },
        ),
        "mutations": TableSchema(columns={"gene": TEXT, "variant_class": TEXT, "protein_change": TEXT}),
        "copies": TableSchema(columns={"gene": TEXT, "copy_number": NUMBER}),
    },
    molecular=Molecular(mutations="mutations", copy_number="copies", assayed="assayed", tmb="TMB", msi="MSI"),
)
TABLES = Tables(patients=PATIENTS, long={"lab": LAB, "mutations": MUTATIONS, "copies": COPIES}, schema=SCHEMA)


def state(text: str, missing: str = "unknown", tables: Tables = TABLES) -> list[int]:
    return evaluate(Criterion(id="a", kind="inclusion", when=parse(text), missing=missing), tables).tolist()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("age >= 18", [1, 0, -1, 1]),
        ('age >= 216 "mo"', [1, 0, -1, 1]),
        ("not age >= 18", [0, 1, -1, 0]),
        ('age >= 18 or MSI is "MSI-H"', [1, 0, -1, 1]),
        ("age >= 18 and TMB >= 10", [1, 0, -1, 1]),
        # one record too low in the window, one high enough; b's only measurements lie outside; c was measured without a
        # value; d has no record
        ('(any lab where name is "PLT" from day -28 to day 0 has value >= 100 "10*9/L")', [1, -1, -1, -1]),
        ('(every lab where name is "PLT" from day -28 to day 0 has value >= 100 "10*9/L")', [0, -1, -1, -1]),
        ('(nearest lab where name is "PLT" has value >= 100 "10*9/L")', [1, 0, -1, -1]),
        ('(latest lab where name is "PLT" has value < 100 "10*3/uL")', [0, 1, -1, -1]),
        ('(earliest lab where name is "PLT" has value < 100 "10*3/uL")', [1, 0, -1, -1]),
        ('(count lab where name is "PLT" from day -28 to day 7 >= 2)', [1, 0, 0, -1]),
        ('(count lab where name is "PLT" has value >= 50 "10*9/L" <= 1)', [0, 0, 1, -1]),
        ('(any lab where name is "HGB")', [1, 0, 0, -1]),
        ('(any lab where name is "HGB" absent none)', [1, 0, 0, 0]),
        ('(any lab where name is "HGB" has value >= 90 "g/L")', [1, -1, -1, -1]),
        ("mutation of EGFR", [1, 1, -1, -1]),
        ('mutation of EGFR class ("In_Frame_Del")', [0, 1, -1, -1]),
        ('mutation of EGFR change "p.L858R"', [1, 0, -1, -1]),
        ("not mutation of KRAS", [0, 1, -1, -1]),
        ("copy_number of ERBB2 >= 6", [1, 0, -1, -1]),
        ("tmb >= 10", [1, 0, -1, 1]),
        ('msi in ("MSI-H")', [1, 0, -1, 0]),
        ("linked (keep patients.age >= 18)", [1, 0, 0, 1]),
        ("linked (keep lab.date <= patients.start - 5; pick greatest lab.date; keep lab.value >= 100)", [0, 1, 0, -1]),
    ],
)
def test_state_of_each_patient(text: str, expected: list[int]) -> None:
    assert state(text) == expected


def test_missing_policy_decides_only_what_is_unknown() -> None:
    assert state("age >= 18", "met") == [1, 0, 1, 1]
    assert state("age >= 18", "not met") == [1, 0, 0, 1]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("years >= 18", "no column 'years'"),
        ("(any labs has value >= 1)", "no table 'labs'"),
        ("(any copies from day 0 has `copy_number` >= 1)", "time column"),
        ('age >= 18 "mg"', "different things"),
        ("expression of CD274 >= 50", "add molecular: expression"),
        ("linked (keep labs.value >= 1)", "no table 'labs'"),
        ("(any lab has (any lab))", "inside the rows"),
        ("start >= age", "like with like"),
    ],
)
def test_what_cannot_be_evaluated_says_why(text: str, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        state(text)


def test_a_criterion_without_conditions_cannot_be_evaluated() -> None:
    with pytest.raises(InvalidInputError, match="no condition"):
        evaluate(Criterion(id="a", kind="inclusion"), TABLES)


# -- properties ------------------------------------------------------------------------------------------------------

LINES = [
    "age >= 18",
    'MSI is "MSS"',
    "tmb >= 10",
    "mutation of EGFR",
    "copy_number of ERBB2 >= 6",
    '(any lab where name is "PLT" from day -28 to day 0 has value >= 100)',
    '(every lab where name is "PLT" has value >= 100)',
    '(nearest lab where name is "PLT" has value >= 100)',
    '(count lab where name is "PLT" <= 5)',
    "linked (keep lab.date <= patients.start; keep lab.value >= 1)",
]
criterion = st.builds(
    lambda line, kind: Criterion(id="a", kind=kind, when=parse(line)),
    st.sampled_from(LINES),
    st.sampled_from(["inclusion", "exclusion"]),
)


@st.composite
def tables(draw: st.DrawFn) -> Tables:
    n = draw(st.integers(1, 6))
    patient = st.sampled_from([f"p{at}" for at in range(n)])
    number = st.sampled_from([1.0, 20.0, 100.0, np.nan])
    row = st.tuples(patient, st.sampled_from(["PLT", "HGB", None]), number, st.sampled_from(["2020-02-20", None]))
    lab = pd.DataFrame(draw(st.lists(row, max_size=12)), columns=["id", "name", "value", "date"]).astype(
        {"value": float, "id": object, "name": object, "date": object}
    )
    mutated = draw(st.lists(patient, max_size=3))
    patients = pd.DataFrame(
        {
            "age": draw(st.lists(number, min_size=n, max_size=n)),
            "TMB": draw(st.lists(number, min_size=n, max_size=n)),
            "MSI": draw(st.lists(st.sampled_from(["MSS", "MSI-H", ""]), min_size=n, max_size=n)),
            "start": ["2020-03-01"] * n,
            "assayed": draw(st.lists(st.sampled_from(["true", ""]), min_size=n, max_size=n)),
        },
        index=[f"p{at}" for at in range(n)],
    )
    events = MUTATIONS.iloc[:1].loc[[0] * len(mutated)].assign(id=mutated)
    return Tables(patients=patients, long={"lab": lab, "mutations": events, "copies": COPIES}, schema=SCHEMA)


@settings(max_examples=60, deadline=None)
@given(tables(), st.lists(criterion, max_size=3), criterion)
def test_one_more_criterion_never_enlarges_a_cohort(data: Tables, criteria: list, more: Criterion) -> None:
    before = admitted(criteria, data)
    assert not (admitted([*criteria, more], data) & ~before).any()


@pytest.mark.parametrize("line", LINES)
def test_an_empty_record_satisfies_no_inclusion(line: str) -> None:
    empty = pd.DataFrame({name: [None] for name in PATIENTS}, index=["nobody"]).assign(age=np.nan, TMB=np.nan)
    nothing = {"lab": LAB.iloc[:0], "mutations": MUTATIONS.iloc[:0], "copies": COPIES.iloc[:0]}
    assert not admitted(
        [Criterion(id="a", kind="inclusion", when=parse(line))], Tables(patients=empty, long=nothing, schema=SCHEMA)
    ).any()


@settings(max_examples=60, deadline=None)
@given(tables(), st.sampled_from(["inclusion", "exclusion"]), st.sampled_from(["met", "not met", "unknown"]))
def test_the_missing_policy_touches_only_what_is_unknown(data: Tables, kind: str, missing: str) -> None:
    when = (Condition(column="age", at_least=18), Condition(column="MSI", one_of=("MSS",)))
    criterion = Criterion(id="a", kind=kind, when=when, missing=missing)
    before, after = state_of(criterion, data), evaluate(criterion, data)
    assert (before == conjunction([evaluate_condition(node, data.patients) for node in when])).all()
    assert (after[before >= 0] == before[before >= 0]).all()
    assert (after[before < 0] == {"met": 1, "not met": 0, "unknown": -1}[missing]).all()
