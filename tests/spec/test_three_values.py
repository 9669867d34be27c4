"""Eligibility in three values: ``+`` met, ``-`` not met, ``?`` unknown."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from tests.spec.ascii import frame, rows
from trialstrat.cohort.language.states import conjunction, evaluate_condition
from trialstrat.protocol.model import Condition

SIGN = {1: "+", 0: "-", -1: "?"}

CONDITIONS: dict[str, dict[str, Any]] = {
    ">= 65": {"at_least": 65},
    "> 65": {"above": 65},
    "<= 65": {"at_most": 65},
    "< 65": {"below": 65},
    "18 to 65": {"at_least": 18, "at_most": 65},
    "= 65": {"equals": 65},
    "in 64, 65": {"one_of": [64, 65]},
    "not 65": {"none_of": [65]},
    "known": {"present": True},
    "missing": {"present": False},
}

NUMBERS = """
| AGE  | >= 65 | > 65 | <= 65 | < 65 | 18 to 65 | = 65 | in 64, 65 | not 65 | known | missing |
|------|-------|------|-------|------|----------|------|-----------|--------|-------|---------|
| 17   | -     | -    | +     | +    | -        | -    | -         | +      | +     | -       |
| 64   | -     | -    | +     | +    | +        | -    | +         | +      | +     | -       |
| 65   | +     | -    | +     | -    | +        | +    | +         | -      | +     | -       |
| 65.0 | +     | -    | +     | -    | +        | +    | +         | -      | +     | -       |
| 65.5 | +     | +    | -     | -    | -        | -    | -         | +      | +     | -       |
| 1e2  | +     | +    | -     | -    | -        | -    | -         | +      | +     | -       |
| .    | ?     | ?    | ?     | ?    | ?        | ?    | ?         | ?      | -     | +       |
"""

LEVELS: dict[str, dict[str, Any]] = {
    "= wild type": {"equals": "wild type"},
    "in II, III": {"one_of": ["II", "III"]},
    "not mutant": {"none_of": ["mutant"]},
    "= true": {"equals": True},
}

TEXTS = """
| KRAS      | = wild type | in II, III | not mutant | = true |
|-----------|-------------|------------|------------|--------|
| wild type | +           | -          | +          | -      |
| Wild type | -           | -          | +          | -      |
| mutant    | -           | -          | -          | -      |
| II        | -           | +          | +          | -      |
| TRUE      | -           | -          | +          | +      |
| .         | ?           | ?          | ?          | ?      |
"""

AND = """
| a | b | a and b |
|---|---|---------|
| + | + | +       |
| + | - | -       |
| + | ? | ?       |
| - | + | -       |
| - | - | -       |
| - | ? | -       |
| ? | + | ?       |
| ? | - | -       |
| ? | ? | ?       |
"""


def signs(condition: dict[str, Any], table: pd.DataFrame) -> list[str]:
    column = str(table.columns[0])
    states = evaluate_condition(Condition.model_validate({"column": column, **condition}), table)
    assert states.dtype == "int8"
    return [SIGN[int(state)] for state in states]


@pytest.mark.parametrize("name", CONDITIONS)
@pytest.mark.parametrize("kind", ["text", "string", "number"])
def test_numbers(name, kind):
    table = frame(NUMBERS)[["AGE"]]
    if kind == "number":
        table = table.astype(float)
    elif kind == "string":
        table = table.astype("string[pyarrow]")
    assert signs(CONDITIONS[name], table) == [row[name] for row in rows(NUMBERS)]


@pytest.mark.parametrize("name", LEVELS)
@pytest.mark.parametrize("kind", ["object", "string[pyarrow]", "category"])
def test_levels(name, kind):
    table = frame(TEXTS)[["KRAS"]].astype(kind)
    assert signs(LEVELS[name], table) == [row[name] for row in rows(TEXTS)]


def test_conjunction_is_kleenes():
    value = {"+": 1, "-": 0, "?": -1}
    table = rows(AND)
    a, b = (pd.Series([value[row[key]] for row in table]).to_numpy("int8") for key in ("a", "b"))
    assert [SIGN[int(state)] for state in conjunction([a, b])] == [row["a and b"] for row in table]
