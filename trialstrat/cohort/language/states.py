"""Three values: met, not met, unknown; one condition on a column, and how conditions join.

References
----------
Kleene SC. Introduction to Metamathematics (1952), section 64: a conjunction is false as soon as one part is false,
true when all parts are true, and unknown otherwise.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from trialstrat.cohort.columns import column, is_missing, match, numbers
from trialstrat.errors import InvalidInputError
from trialstrat.protocol.language.model import Condition

MET, NOT_MET, UNKNOWN = 1, 0, -1
State = NDArray[np.int8]


def evaluate_condition(condition: Condition, frame: pd.DataFrame) -> State:
    """Whether a condition holds for each row.

    Parameters
    ----------
    condition : Condition
        One operator on one column. Numbers compare as numbers, text exactly.
    frame : DataFrame
        Columns of text, numbers or categories; missing is NA, nan or empty text.

    Returns
    -------
    ndarray of int8, (n,)
        1 met, 0 not met, -1 unknown (the value is missing). ``present`` is never unknown.

    Raises
    ------
    InvalidInputError
        When the column is absent, or a range is asked of cells that are no numbers.
    """
    if condition.column not in frame.columns:
        raise InvalidInputError(f"criterion: there is no column {condition.column!r}; correct its name")
    series = column(frame, condition.column)
    missing = is_missing(series)
    if condition.present is not None:
        return (missing != condition.present).astype(np.int8)
    if condition.equals is not None:
        holds = match(series, (condition.equals,)) == 0
    elif condition.one_of:
        holds = match(series, condition.one_of) >= 0
    elif condition.none_of:
        holds = match(series, condition.none_of) < 0
    else:
        holds = _in_range(condition, series)
    return np.where(missing, UNKNOWN, holds).astype(np.int8)


def _in_range(condition: Condition, series: pd.Series) -> NDArray[np.bool_]:
    values, bad = numbers(series)
    if bad.any():
        raise InvalidInputError(
            f"criterion on {condition.column}: {int(bad.sum())} of {len(bad)} values are not numeric; "
            "declare missing: codes or use equals / one_of"
        )
    holds = np.ones(len(values), dtype=bool)
    with np.errstate(invalid="ignore"):
        if condition.at_least is not None:
            holds &= values >= condition.at_least
        if condition.at_most is not None:
            holds &= values <= condition.at_most
        if condition.above is not None:
            holds &= values > condition.above
        if condition.below is not None:
            holds &= values < condition.below
    return holds


def conjunction(states: Sequence[State]) -> State:
    """All parts hold (Kleene): 0 where any is 0, else -1 where any is -1, else 1. Needs at least one part."""
    stacked = np.stack(states)
    unknown = np.where((stacked == UNKNOWN).any(axis=0), UNKNOWN, MET)
    return np.where((stacked == NOT_MET).any(axis=0), NOT_MET, unknown).astype(np.int8)
