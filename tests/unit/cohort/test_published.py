"""Terms of published models as they are read from the data."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.unit.cohort.conftest import codes, table
from trialstrat.cohort.build import check, read_cohort

TERMS = [
    {"column": "A", "label": "log A, at most 8", "transform": "log2", "maximum": 8, "coefficient": 1.0},
    {"column": "A", "at_least": 4, "coefficient": 1.0},
    {"column": "A", "also": ["B"], "label": "the larger", "missing": 0, "coefficient": 1.0},
    {"column": "L", "scores": {"one": 1, "two": 2}, "other": 9, "missing": -1, "coefficient": 1.0},
    {"column": "L", "label": "L, known", "scores": {"one": 1}, "other": None, "coefficient": 1.0},
]


def published(terms: list[dict[str, Any]]) -> dict[str, Any]:
    return {"published_models": [{"name": "m", "reference": "r", "predicts": "log_hazard", "terms": terms}]}


def test_terms_are_read_as_written(small):
    text = table(A=[1, 4, 16, 2], B=[3, 2, "", 5], L=["one", "two", "three", ""])
    cohort = read_cohort(small(text, **published(TERMS)))
    assert cohort.published["m"].T.tolist() == [
        [0.0, 2.0, 3.0, 1.0],
        [0.0, 1.0, 1.0, 0.0],
        [3.0, 4.0, 16.0, 5.0],
        [1.0, 2.0, 9.0, -1.0],
        pytest.approx([1.0, np.nan, np.nan, np.nan], nan_ok=True),
    ]


def test_cells_that_a_term_cannot_read_are_refused(small):
    text = table(A=[1, "x", 0, 2], B=[1] * 4, L=["one"] * 4)
    assert codes(check(small(text, **published(TERMS)))) == {
        "E-VALUE-TEXT": ("A", 1, 4, (3,)),
        "E-TERM-RANGE": ("A", 1, 4, (4,)),
    }
    assert codes(check(small(table(A=[1, 2, 3, 4], B=[1] * 4), **published(TERMS))))["E-COLUMN-MISSING"][0] == "L"
