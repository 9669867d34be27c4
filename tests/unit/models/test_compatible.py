"""Medians ten times apart, of what is measured on a scale that has a zero."""

from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pandas as pd
import pytest

from trialstrat.features.spec import VariableSpec
from trialstrat.models.compatible import mismatches

VALUES = np.array([180.0, 200.0, 240.0, np.nan])


def codes(values: Any, spec: VariableSpec, unit: str = "") -> list[str]:
    frame = pd.DataFrame({"ldh": values})
    disclosure = SimpleNamespace(minimum_cell=2)
    variables = [SimpleNamespace(column="ldh", unit=unit)]
    cohort = SimpleNamespace(
        frame=frame, markers=frame.iloc[:, :0], protocol=SimpleNamespace(disclosure=disclosure, variables=variables)
    )
    frozen = SimpleNamespace(spec=SimpleNamespace(variables=(spec,)))
    found = mismatches(cast("Any", cohort), cast("Any", frozen), {}, ("new.csv", "run (old.csv)"))
    assert all(entry.source == "new.csv" and "run (old.csv)" in entry.message for entry in found)
    return [entry.code for entry in found]


@pytest.mark.parametrize(
    ("factor", "expected"),
    [(1.0, []), (9.9, []), (1 / 9.9, []), (10.1, ["E-VALID-UNIT"]), (1 / 10.1, ["E-VALID-UNIT"])],
)
def test_a_median_more_than_ten_times_apart_is_another_unit(factor, expected):
    assert codes(VALUES * factor, VariableSpec(column="ldh", label="LDH", fill=200.0)) == expected


def test_where_zero_means_nothing_medians_are_not_compared():
    assert codes(VALUES, VariableSpec(column="ldh", label="LDH", fill=-0.3)) == []
    assert codes(VALUES, VariableSpec(column="ldh", label="LDH", fill=0.1, coding="marker")) == []


def test_units_that_both_declare_must_be_one():
    spec = VariableSpec(column="ldh", label="LDH", fill=200.0, unit="U/L")
    assert codes(VALUES, spec, "U/L") == []
    assert codes(VALUES, spec, "ukat/L") == ["E-VALID-UNIT"]


def test_levels_that_few_hold_are_counted_and_not_named():
    spec = VariableSpec(column="ldh", label="LDH", coding="categorical", levels=("low", "high"))
    assert codes(pd.Categorical(["low", "high", "rare"]), spec) == ["E-VALID-LEVEL"]
    assert codes(pd.Categorical(["low", None, "high"]), spec) == []
    assert codes(VALUES, spec) == ["E-VALID-KIND"]
