"""Eligibility in three values: met, not met, unknown. Used for the cohort and, unchanged, for screening patients.

References
----------
Kleene SC. Introduction to Metamathematics (1952), section 64: a conjunction is false as soon as one part is false,
true when all parts are true, and unknown otherwise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from trialstrat.cohort.columns import column, is_missing, match, numbers
from trialstrat.errors import InvalidInputError
from trialstrat.protocol.model import Condition, EligibilityCriterion
from trialstrat.results import Column, Table

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
    return np.where((stacked == NOT_MET).any(axis=0), NOT_MET, np.where((stacked == UNKNOWN).any(axis=0), UNKNOWN, MET))


def evaluate_criterion(criterion: EligibilityCriterion, frame: pd.DataFrame) -> State:
    """Whether all conditions of a criterion hold for each row; an exclusion criterion that is met excludes.

    Raises
    ------
    InvalidInputError
        When the criterion has no condition that can be applied.
    """
    if not criterion.when:
        raise InvalidInputError(f"criterion {criterion.id} has no condition that a program can apply")
    return conjunction([evaluate_condition(condition, frame) for condition in criterion.when]).astype(np.int8)


def admitted(criterion: EligibilityCriterion, state: State) -> NDArray[np.bool_]:
    """Who passes a criterion; unknown passes only where the criterion says ``unknown: include``."""
    passing = state == (MET if criterion.kind == "inclusion" else NOT_MET)
    return passing | (state == UNKNOWN) if criterion.unknown == "include" else passing


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One row of the attrition: patients before, removed, undecided (a value was missing) and remaining."""

    step: str
    text: str
    kind: str
    before: int
    removed: int
    unknown: int
    remaining: int


def apply_criteria(
    criteria: Sequence[EligibilityCriterion], frame: pd.DataFrame
) -> tuple[NDArray[np.bool_], tuple[Step, ...], Table]:
    """Apply criteria in order: who is eligible, the attrition, and each criterion's counts among everybody.

    A criterion without conditions is listed and removes nobody.
    """
    remaining = np.ones(len(frame), dtype=bool)
    steps: list[Step] = []
    counts: list[tuple[str | int | None, ...]] = []
    for criterion in criteria:
        before = int(remaining.sum())
        head = (criterion.id, criterion.kind, criterion.text)
        if not criterion.when:
            steps.append(_step(criterion, before, 0, before))
            counts.append((*head, "no", None, None, None))
            continue
        state = evaluate_criterion(criterion, frame)
        undecided = int((remaining & (state == UNKNOWN)).sum())
        remaining = remaining & admitted(criterion, state)
        steps.append(_step(criterion, before, undecided, int(remaining.sum())))
        counts.append((*head, "yes", *(int((state == value).sum()) for value in (MET, NOT_MET, UNKNOWN))))
    return remaining, tuple(steps), _eligibility_table(counts, len(frame))


def _step(criterion: EligibilityCriterion, before: int, unknown: int, remaining: int) -> Step:
    return Step(
        step=criterion.id,
        text=criterion.text,
        kind=criterion.kind,
        before=before,
        removed=before - remaining,
        unknown=unknown,
        remaining=remaining,
    )


def _eligibility_table(rows: list[tuple[str | int | None, ...]], n: int) -> Table:
    return Table(
        name="cohort.eligibility",
        title="Eligibility criteria, each applied to everybody",
        columns=(
            Column(key="id", label="Criterion"),
            Column(key="kind", label="Kind"),
            Column(key="text", label="Text"),
            Column(key="executable", label="Applied by program"),
            Column(key="met", label="Met", kind="count"),
            Column(key="not_met", label="Not met", kind="count"),
            Column(key="unknown", label="Unknown", kind="count"),
        ),
        rows=tuple(rows),
        note=f"{n} patients; each criterion counted by itself; unknown: a needed value is missing.",
    )


def attrition_table(steps: Sequence[Step], note: str) -> Table:
    """The attrition as a table; steps that remove nobody are rows like the others."""
    return Table(
        name="cohort.attrition",
        title="From the file to the analysis",
        columns=(
            Column(key="step", label="Step"),
            Column(key="text", label="What is asked"),
            Column(key="kind", label="Kind"),
            Column(key="before", label="Before", kind="count"),
            Column(key="removed", label="Removed", kind="count"),
            Column(key="unknown", label="Unknown", kind="count"),
            Column(key="remaining", label="Remaining", kind="count"),
        ),
        rows=tuple((s.step, s.text, s.kind, s.before, s.removed, s.unknown, s.remaining) for s in steps),
        note=note,
    )
