"""Conversions of laboratory units against published factors."""

from __future__ import annotations

import math

import pytest

from trialstrat.errors import InvalidInputError
from trialstrat.protocol.ucum import convert, known


@pytest.mark.parametrize(
    ("value", "source", "target", "analyte", "expected", "digits"),
    [
        (1.0, "mg/dL", "umol/L", "creatinine", 88.4, 0.05),
        (1.0, "mg/dL", "umol/L", "bilirubin", 17.1, 0.05),
        (100.0, "mg/dL", "mmol/L", "Glucose", 5.55, 0.005),
        (9.0, "g/dL", "mmol/L", "hemoglobin", 5.59, 0.01),
        (5.18, "mmol/L", "mg/dL", "cholesterol", 200.0, 0.5),
        (100.0, "10*3/uL", "10*9/L", "", 100.0, 0.0),
        (1500.0, "/uL", "10*9/L", "", 1.5, 0.0),
        (1500.0, "{cells}/uL", "10*3/uL", "", 1.5, 0.0),
        (9.0, "g/dL", "g/L", "", 90.0, 0.0),
        (60.0, "ukat/L", "U/L", "", 3600.0, 1e-9),
        (18.0, "a", "d", "", 6574.5, 0.0),
        (760.0, "mm[Hg]", "kPa", "", 101.325, 0.001),
        (50.0, "%", "1", "", 0.5, 0.0),
    ],
)
def test_conversion(value, source, target, analyte, expected, digits) -> None:
    assert convert(value, source, target, analyte) == pytest.approx(expected, abs=digits)
    assert convert(convert(value, source, target, analyte), target, source, analyte) == pytest.approx(value, rel=1e-12)


@pytest.mark.parametrize(
    ("source", "target", "message"),
    [
        ("mg/dL", "mmol/L", "molar mass"),
        ("mg/dL", "U/L", "different things"),
        ("10^9/L", "giga/L", "not known"),
        ("mg/dL/h", "mg/dL", "fraction line"),
        ("mg", "mg/L", "different things"),
    ],
)
def test_what_cannot_be_converted(source: str, target: str, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        convert(1.0, source, target)


def test_missing_stays_missing_and_same_unit_needs_no_table() -> None:
    assert math.isnan(convert(math.nan, "g/L", "mg/dL"))
    assert convert(3.0, "smiles", "smiles") == 3.0
    assert known("10*9/L")
    assert not known("smiles")


def test_a_threshold_is_where_it_was_written_after_a_round_of_conversions() -> None:
    for tenths in range(1, 2000):
        assert convert(float(tenths), "g/L", "g/dL") == tenths / 10
        assert convert(tenths / 10, "g/dL", "g/L") == tenths
