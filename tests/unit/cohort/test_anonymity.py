"""k-anonymity of the analysis table: sizes of classes only, small ones hidden."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pandas as pd
import pytest

from tests.helpers.cohorts import build_cohort
from tests.helpers.synthetic import declaration
from trialstrat.cohort.anonymity import anonymity_table, is_age, quasi_identifiers
from trialstrat.cohort.cohort import Cohort
from trialstrat.cohort.summary import cohort_result
from trialstrat.disclosure import protect
from trialstrat.protocol.model import Protocol, Variable


def study(**changes: object) -> Cohort:
    rng = np.random.default_rng(3)
    n = 400
    frame = pd.DataFrame({"AGE": rng.integers(30, 70, n).astype(float), "sex": rng.choice(["f", "m"], n), "stage": "I"})
    frame.loc[:3, "AGE"] = [85, 86, np.nan, np.nan]
    covariates = [
        {"column": "AGE", "kind": "continuous", "unit": "years"},
        {"column": "sex", "kind": "categorical"},
        {"column": "stage", "kind": "categorical", "label": "Stage (age at entry is another column)"},
    ]
    declared = Protocol.model_validate({**declaration(), "covariates": covariates[:2], "biomarkers": [], **changes})
    return build_cohort(declared, frame, rng.exponential(10, n), rng.integers(0, 2, n), arm=np.array(["ctrl"] * n))


def test_classes_are_counted_as_by_hand() -> None:
    of = study()
    table = anonymity_table(of)
    assert table is not None
    exact, banded = table.records()
    held = Counter(zip(of.frame["AGE"].fillna(-1), of.frame["sex"], strict=True))
    assert (exact["classes"], exact["smallest"]) == (len(held), min(held.values()))
    assert exact["below"] == sum(size for size in held.values() if size < 11)
    bands = Counter(zip((of.frame["AGE"] // 10).fillna(-1), of.frame["sex"], strict=True))
    assert banded["below"] == sum(size for size in bands.values() if size < 11)
    assert banded["below"] < exact["below"]
    assert exact["share"] == pytest.approx(exact["below"] / 400)


def test_small_sizes_are_hidden_in_the_result() -> None:
    rows = protect(cohort_result(study()), 11).table("cohort.anonymity").records()
    assert rows[0]["smallest"] == "<11"
    assert rows[1]["below"] == "<11"
    assert rows[1]["share"] is None


def test_declared_before_guessed_and_none_without() -> None:
    assert [entry.column for entry in quasi_identifiers(study().protocol)] == ["AGE", "sex"]
    declared = study(privacy={"quasi_identifiers": ["sex"]})
    table = anonymity_table(declared)
    assert table is not None
    assert len(table.rows) == 1
    assert "declared: sex" in table.note
    without = study(covariates=[{"column": "stage", "kind": "categorical"}])
    assert anonymity_table(without) is None


@pytest.mark.parametrize(
    ("column", "unit", "kind", "wanted"),
    [
        ("age", "years", "continuous", True),
        ("AGE_AT_DIAGNOSIS", "", "continuous", True),
        ("patientAge", "a", "continuous", True),
        ("stage", "", "continuous", False),
        ("dosage", "", "continuous", False),
        ("age", "months", "continuous", False),
        ("age", "", "categorical", False),
    ],
)
def test_what_an_age_is(column: str, unit: str, kind: str, wanted: bool) -> None:
    assert is_age(Variable.model_validate({"column": column, "unit": unit, "kind": kind})) is wanted
