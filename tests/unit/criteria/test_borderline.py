"""Near misses: by how much a threshold is missed, of a column, of the rows of a table, of a molecular event."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.cohort.language.test_evaluate import LINES, tables
from trialstrat.cohort.language.tables import Tables
from trialstrat.criteria.borderline import borderline
from trialstrat.criteria.screening import screen
from trialstrat.errors import InvalidInputError
from trialstrat.protocol.language.criterion import Criterion
from trialstrat.protocol.language.grammar import parse
from trialstrat.protocol.language.schema import ColumnSchema, Molecular, Schema, TableSchema

NUMBER, TEXT = ColumnSchema(kind="number"), ColumnSchema(kind="text")
LAB = pd.DataFrame(
    [
        ("a", -20, "HB", 9.5, "g/dL"),
        ("a", -3, "HB", 9.2, "g/dL"),
        ("a", -1, "HB", 85.0, "g/L"),
        ("a", -1, "K", 9.9, "mmol/L"),
        ("b", -2, "HB", 5.0, "g/dL"),
        ("c", -2, "HB", 9.9, None),
        ("d", -2, "HB", 12.0, "g/dL"),
    ],
    columns=["id", "day", "name", "value", "unit"],
)
COPIES = pd.DataFrame({"id": ["a", "b"], "gene": ["ERBB2", "ERBB2"], "copies": [1.9, 0.0]})
DATA = Tables(
    patients=pd.DataFrame(
        {"age": [17.0, 40.0, np.nan, 64.0], "TMB": [9.5, 2.0, 12.0, 10.0]}, index=pd.Index(["a", "b", "c", "d"])
    ),
    long={"lab": LAB, "copies": COPIES},
    schema=Schema(
        tables={
            "patients": TableSchema(columns={"age": ColumnSchema(kind="number", unit="a"), "TMB": NUMBER}),
            "lab": TableSchema(
                time="day",
                columns={
                    "day": NUMBER,
                    "name": TEXT,
                    "unit": TEXT,
                    "value": ColumnSchema(kind="number", unit_column="unit", analyte="hemoglobin"),
                },
            ),
            "copies": TableSchema(columns={"gene": TEXT, "copies": NUMBER}),
        },
        molecular=Molecular(copy_number="copies", copy_number_value="copies", tmb="TMB"),
    ),
)


def near(text: str, kind: str = "inclusion", margin: float = 0.2) -> dict[str, tuple[float, str]]:
    criterion = Criterion(id="C", kind=kind, when=parse(text))
    found = borderline(screen([criterion], DATA), DATA, margin)
    return {miss.id: (miss.missed_by, miss.unit) for miss in found}


HB = 'lab where name is "HB" from day -28 to day 0 has value'


@pytest.mark.parametrize(
    ("text", "kind", "expected"),
    [
        ("age >= 18", "inclusion", {"a": (1.0, "a")}),
        ('age >= 216 "mo"', "inclusion", {"a": (12.0, "mo")}),
        ("age >= 60", "exclusion", {"d": (4.0, "a")}),
        # one value that meets is enough: the nearest one, whatever its unit
        (f'(any {HB} >= 10 "g/dL")', "inclusion", {"a": (0.5, "g/dL")}),
        # every value must meet: the furthest one
        (f'(every {HB} >= 10 "g/dL")', "inclusion", {"a": (1.5, "g/dL")}),
        # the row that is taken decides
        (f'(latest {HB} >= 100 "g/L")', "inclusion", {"a": (15.0, "g/L")}),
        (f'(earliest {HB} >= 10 "g/dL")', "inclusion", {"a": (0.5, "g/dL")}),
        # excluded by any value: all of them must move, the furthest the most
        (f'(any {HB} < 8.6 "g/dL")', "exclusion", {"a": (0.1, "g/dL")}),
        (f'(any {HB} < 9.4 "g/dL")', "exclusion", {"a": (0.9, "g/dL")}),
        # excluded because every value is low: one that moves is enough
        (f'(every {HB} < 10 "g/dL")', "exclusion", {"a": (0.5, "g/dL")}),
        (f'not (any {HB} < 9.4 "g/dL")', "inclusion", {"a": (0.9, "g/dL")}),
        # counts of rows have no distance
        ('(count lab where name is "HB" >= 9)', "inclusion", {}),
        ("tmb >= 10", "inclusion", {"a": (0.5, "")}),
        ("copy_number of ERBB2 >= 2", "inclusion", {"a": (0.1, "")}),
        ("tmb >= 10 and age >= 65", "inclusion", {"d": (1.0, "a")}),
    ],
)
def test_by_how_much(text: str, kind: str, expected: dict[str, tuple[float, str]]) -> None:
    assert near(text, kind) == {key: (pytest.approx(by), unit) for key, (by, unit) in expected.items()}


def test_a_margin_is_a_share() -> None:
    with pytest.raises(InvalidInputError, match="share"):
        near("age >= 18", margin=1.5)


@settings(max_examples=60, deadline=None)
@given(
    tables(),
    st.lists(st.sampled_from([*LINES, 'not (any lab where name is "PLT" has value >= 100)']), min_size=1, max_size=3),
    st.sampled_from(["inclusion", "exclusion"]),
)
def test_only_who_is_kept_out_by_it_is_near(data: Tables, lines: list[str], kind: str) -> None:
    criteria = [Criterion(id=f"C{at}", kind=kind, when=parse(line)) for at, line in enumerate(lines)]
    screening = screen(criteria, data)
    fails = screening.fails()
    for miss in borderline(screening, data, 1.0):
        at, row = int(miss.criterion[1:]), screening.ids.index(miss.id)
        assert fails[row, at]
        assert miss.missed_by >= 0
        assert not miss.only or fails[row].sum() == 1
