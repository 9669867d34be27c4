"""Numbers, levels and equality of cells, for every kind of column that carries them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trialstrat.cohort.columns import (
    MISSING,
    UNMATCHED,
    common_levels,
    is_missing,
    levels,
    match,
    number,
    numbers,
    same,
    text_kinds,
    twins,
)
from trialstrat.cohort.readers.table import number_text

KINDS = ["object", "string[pyarrow]"]


def series(*cells: object, kind: str = "object") -> pd.Series:
    return pd.Series(list(cells), dtype=object).astype(kind)


@pytest.mark.parametrize(
    ("text", "value"),
    [("1", 1), (" -2.5 ", -2.5), ("+3", 3), (".5", 0.5), ("5.", 5), ("1e-3", 0.001), ("1E5", 1e5), ("007", 7)],
)
def test_numbers_are_plain_decimals(text, value):
    assert number(text) == value


@pytest.mark.parametrize("text", ["", "1_000", "1,5", "0x1F", "inf", "nan", "1 2", "1e", "--1", "١٢", "1.2.3", "TRUE"])
def test_nothing_else_is_a_number(text):
    assert number(text) is None


@pytest.mark.parametrize("kind", KINDS)
def test_values_missing_and_bad_cells_are_told_apart(kind):
    values, bad = numbers(series("1.5", "", None, " ", "x", "inf", "nan", "1e999", "2", kind=kind))
    assert bad.tolist() == [False, False, False, False, True, True, True, False, False]
    assert values[[0, 8]].tolist() == [1.5, 2.0]
    assert np.isnan(values[[1, 2, 3, 4, 5, 6]]).all()
    assert np.isinf(values[7])


def test_typed_columns_are_numbers_already():
    values, bad = numbers(pd.Series([1, 2, np.nan]))
    assert (values[:2].tolist(), bad.any()) == ([1.0, 2.0], False)
    values, bad = numbers(pd.Series(pd.Categorical(["1", "x", None])))
    assert (values[0], bad.tolist()) == (1.0, [False, True, False])
    assert numbers(pd.Series([1, None], dtype="Int64"))[0][0] == 1.0


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_survives_the_way_through_text(value):
    text = number_text(value)
    assert text is not None
    values, bad = numbers(series(text))
    assert not bad.any()
    assert values[0] == value


@pytest.mark.parametrize(
    ("declared", "text", "equal"),
    [
        (1, "1.0", True),
        (1.0, "1", True),
        (1, "01", True),
        (1, "one", False),
        ("1", "1.0", False),
        ("1", "1", True),
        (True, "TRUE", True),
        (True, "1", False),
        (False, "false", True),
        ("EXP", "EXP ", False),
        ("EXP", "exp", False),
        ("NA", "NA", True),
    ],
)
def test_equality_of_declared_values_and_cells(declared, text, equal):
    assert same(declared, text) is equal


@pytest.mark.parametrize("kind", [*KINDS, "category"])
def test_match(kind):
    places = match(series("a", "2.0", None, "b", "a", kind=kind), ("a", 2))
    assert places.tolist() == [0, 1, MISSING, UNMATCHED, 0]


def test_match_of_numbers_in_a_typed_column():
    assert match(pd.Series([1.0, np.nan, 2.5]), (1, 2.5)).tolist() == [0, MISSING, 1]


@pytest.mark.parametrize("kind", KINDS)
def test_levels_are_canonical_and_in_natural_order(kind):
    codes, names = levels(series("10", "9.0", None, "10.0", " ", kind=kind))
    assert names == ["9", "10"]
    assert codes.tolist() == [1, 0, -1, 1, -1]
    codes, names = levels(series("10", "9.5", "007", kind=kind))
    assert names == ["007", "9.5", "10"]
    assert levels(series("b", "a", "2", "10", kind=kind))[1] == ["2", "10", "a", "b"]


@pytest.mark.parametrize("kind", KINDS)
def test_blank_cells_are_missing(kind):
    assert is_missing(series("", " ", "\t", None, "0", kind=kind)).tolist() == [True, True, True, True, False]


def test_twins_differ_only_in_what_people_do_not_see():
    assert twins(["EXP", "CTRL", "Exp"]) == [["EXP", "Exp"]]
    assert twins(["EXP", "EXP "]) == [["EXP", "EXP "]]
    assert twins(["a b", "a  b"]) == [["a b", "a  b"]]
    assert twins(["a b", "a\u00a0b"]) == [["a b", "a\u00a0b"]]
    assert twins(["\u00c9", "E\u0301"]) == [["\u00c9", "E\u0301"]]
    assert twins(["7", "007", "70"]) == []
    assert twins([]) == []


def test_messages_name_common_levels_only():
    cells = series(*["common"] * 11, *["rare"] * 10, "single")
    everybody = np.ones(22, dtype=bool)
    assert common_levels(cells, everybody, 11) == "common (11 rows); 2 levels held by fewer than 11 rows"
    assert "rare" not in common_levels(cells, everybody, 11)


def test_bad_cells_are_described_and_not_shown():
    cells = series("1,234.5", "<1", ">=89", "67 yr", "8,5", "Infinity", "unk", "12")
    bad = np.array([True] * 7 + [False])
    assert text_kinds(cells, bad) == (
        "1 with thousands signs, 1 with a decimal comma, 2 limits (< or >), 1 numbers with a unit, 1 infinite, 1 text"
    )
