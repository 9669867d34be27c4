"""Conditions and comparisons on the rows of one frame, with units; the comparison itself is the cohort's own."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from trialstrat.cohort.columns import as_text, column, numbers
from trialstrat.cohort.language.states import MET, UNKNOWN, State, conjunction, evaluate_condition
from trialstrat.cohort.times import dates
from trialstrat.errors import InvalidInputError
from trialstrat.protocol.language.model import AllOf, AnyOf, Comparison, Condition, Negation
from trialstrat.protocol.language.ranges import in_unit, ranged
from trialstrat.protocol.language.schema import ColumnSchema

_YEAR = re.compile(r"\d{4}")
_AGAINST_ZERO: Mapping[str, Mapping[str, Any]] = {
    "<": {"below": 0},
    "<=": {"at_most": 0},
    ">": {"above": 0},
    ">=": {"at_least": 0},
    "==": {"equals": 0},
    "!=": {"none_of": (0,)},
}


def negation(state: State) -> State:
    """Met becomes not met and the reverse; unknown stays."""
    return np.where(state == UNKNOWN, UNKNOWN, MET - state).astype(np.int8)


def combine(node: AllOf | AnyOf | Negation, evaluate: Callable[[Any], State]) -> State:
    """And, or, not of three-valued parts; a disjunction is the negated conjunction of the negated parts."""
    if isinstance(node, Negation):
        return negation(evaluate(node.negated))
    if isinstance(node, AllOf):
        return conjunction([evaluate(part) for part in node.all]).astype(np.int8)
    return negation(conjunction([negation(evaluate(part)) for part in node.any]))


def row_state(node: Any, frame: pd.DataFrame, columns: Mapping[str, ColumnSchema]) -> State:
    """The state of every row of a frame.

    Raises
    ------
    InvalidInputError
        A column that is not there, a unit that cannot be converted, or rows of a table asked for inside rows.
    """
    if isinstance(node, Condition):
        return condition_state(node, frame, columns.get(node.column))
    if isinstance(node, Comparison):
        return _comparison(node, frame, columns)
    if isinstance(node, AllOf | AnyOf | Negation):
        return combine(node, lambda part: row_state(part, frame, columns))
    raise InvalidInputError(f"{type(node).__name__.lower()} cannot stand inside the rows of a table")


def condition_state(node: Condition, frame: pd.DataFrame, declared: ColumnSchema | None) -> State:
    """A condition, its bounds in the column's unit, or in that of each row where the unit is a column."""
    if not node.unit or declared is None or not ranged(node):
        return evaluate_condition(node, frame)
    if not declared.unit_column:
        return evaluate_condition(in_unit(node, declared.unit or node.unit, declared.analyte), frame)
    if declared.unit_column not in frame.columns:
        raise InvalidInputError(f"criterion: there is no unit column {declared.unit_column!r}; correct the schema")
    codes, units = pd.factorize(as_text(column(frame, declared.unit_column)))
    state = np.full(len(frame), UNKNOWN, dtype=np.int8)
    for code, unit in enumerate(units):
        rows = codes == code
        state[rows] = evaluate_condition(in_unit(node, str(unit), declared.analyte), frame.loc[rows])
    return state


def _comparison(node: Comparison, frame: pd.DataFrame, columns: Mapping[str, ColumnSchema]) -> State:
    """``left - (times x right + plus)`` against zero; the sign of a difference of two doubles is exact."""
    for name in (node.left, node.right):
        if name not in frame.columns:
            raise InvalidInputError(f"criterion: there is no column {name!r}; correct its name")
    kinds = {columns[name].kind for name in (node.left, node.right) if name in columns}
    if len(kinds) > 1 and "date" in kinds:
        raise InvalidInputError(
            f"criterion: {node.left} and {node.right} are a date and no date; compare like with like"
        )
    left, right = (values(frame, name, columns.get(name)) for name in (node.left, node.right))
    difference = pd.DataFrame({"difference": left - (node.times * right + node.plus)})
    return evaluate_condition(Condition(column="difference", **_AGAINST_ZERO[node.operator]), difference)


def values(frame: pd.DataFrame, name: str, declared: ColumnSchema | None) -> NDArray[np.float64]:
    """A column as numbers, dates as days since 1970; a date of a year alone is its first day."""
    series = column(frame, name)
    if declared is not None and declared.kind == "date":
        return day_numbers(series)
    found, bad = numbers(series)
    if bad.any():
        raise InvalidInputError(
            f"criterion on {name}: {int(bad.sum())} of {len(bad)} values are not numeric; "
            "declare kind: date or mend them"
        )
    return found


def days_of(series: pd.Series) -> tuple[NDArray[np.datetime64], NDArray[np.bool_]]:
    """ISO dates as days, a year alone as its first day, NaT where missing; and which cells are no such date."""
    if pd.api.types.is_datetime64_any_dtype(series.dtype):
        return series.to_numpy(dtype="datetime64[D]"), np.zeros(len(series), dtype=bool)
    codes, levels = pd.factorize(as_text(series))
    full = [f"{level}-01-01" if _YEAR.fullmatch(str(level).strip()) else str(level) for level in levels]
    days, bad = dates(pd.Series([*full, None], dtype=object))
    return days[codes], bad[codes]


def day_numbers(series: pd.Series) -> NDArray[np.float64]:
    """Dates as days since 1970, nan where missing.

    Raises
    ------
    InvalidInputError
        When cells hold something that is no date.
    """
    days, bad = days_of(series)
    if bad.any():
        raise InvalidInputError(
            f"criterion on {series.name}: {int(bad.sum())} of {len(bad)} values are no dates; write YYYY-MM-DD or YYYY"
        )
    out = days.astype(np.float64)
    out[np.isnat(days)] = np.nan
    return out
