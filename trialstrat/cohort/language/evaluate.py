"""Criteria on patients and their long tables: met, not met or unknown for each patient.

References
----------
Kleene SC. Introduction to Metamathematics (1952), section 64 (three-valued logic).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from trialstrat.cohort.columns import as_text, column
from trialstrat.cohort.language.conditions import combine, day_numbers, row_state, values
from trialstrat.cohort.language.linked import linked_state
from trialstrat.cohort.language.states import MET, NOT_MET, UNKNOWN, State, conjunction
from trialstrat.cohort.language.tables import Tables
from trialstrat.cohort.protein import protein_change
from trialstrat.errors import InvalidInputError
from trialstrat.protocol.language.criterion import Criterion
from trialstrat.protocol.language.model import AllOf, Alteration, AnyOf, Condition, Linked, Negation, Records
from trialstrat.protocol.language.molecular import alteration_as_records
from trialstrat.protocol.language.schema import PATIENTS, ColumnSchema, TableSchema

_DECIDED = {"met": MET, "not met": NOT_MET, "unknown": UNKNOWN}
_EMPTY = TableSchema(columns={})
#: Takes of one row of each patient.
_ONE = ("nearest", "latest", "earliest")


def state_of(criterion: Criterion, tables: Tables) -> State:
    """Whether the conditions of a criterion hold for each patient, before its missing policy.

    Parameters
    ----------
    criterion : Criterion
        All its expressions must hold; an exclusion criterion that is met excludes.
    tables : Tables
        Patients (n rows, index = patient) and long tables.

    Returns
    -------
    ndarray of int8, (n,)
        1 met, 0 not met, -1 unknown.

    Raises
    ------
    InvalidInputError
        No expression, an unknown table or column, a unit that cannot be converted, or text where numbers are needed.
    """
    if not criterion.when:
        raise InvalidInputError(f"criterion {criterion.id} has no condition that a program can apply")
    return conjunction([expression_state(node, tables) for node in criterion.when])


def decided(criterion: Criterion, state: State) -> State:
    """The states with the criterion's missing policy applied to the unknown ones."""
    return np.where(state == UNKNOWN, _DECIDED[criterion.missing], state).astype(np.int8)


def passes(criterion: Criterion, state: State) -> NDArray[np.bool_]:
    """Who passes a criterion: an inclusion that is met, an exclusion that is not; unknown does not pass."""
    return state == (MET if criterion.kind == "inclusion" else NOT_MET)


def evaluate(criterion: Criterion, tables: Tables) -> State:
    """:func:`state_of` with the missing policy applied."""
    return decided(criterion, state_of(criterion, tables))


def admitted(criteria: Sequence[Criterion], tables: Tables) -> NDArray[np.bool_]:
    """Who meets every inclusion criterion and no exclusion criterion (n,); what stays unknown is not admitted."""
    keep = np.ones(len(tables.patients), dtype=bool)
    for criterion in criteria:
        if criterion.when:
            keep &= passes(criterion, evaluate(criterion, tables))
    return keep


def expression_state(node: Any, tables: Tables) -> State:
    """The state of one expression for each patient (n,)."""
    if isinstance(node, AllOf | AnyOf | Negation):
        return combine(node, lambda part: expression_state(part, tables))
    if isinstance(node, Records):
        return _records(node, tables)
    if isinstance(node, Linked):
        return linked_state(node, tables)
    if isinstance(node, Alteration):
        return _alteration(node, tables)
    return row_state(node, tables.patients, tables.schema.tables.get(PATIENTS, _EMPTY).columns)


def _alteration(node: Alteration, tables: Tables) -> State:
    """A patient without the mutation is *not met* only where it is known that the gene was looked at in the patient."""
    if node.protein_change:
        node, tables = _one_spelling(node, tables)
    layout = tables.schema.molecular
    state = expression_state(alteration_as_records(node, layout), tables)
    if node.event == "mutation" and layout.found:
        gene = Records(records=layout.mutations, where=(Condition(column=layout.gene, equals=node.gene),))
        state = np.where((state == NOT_MET) & (expression_state(gene, tables) != MET), UNKNOWN, state).astype(np.int8)
    assayed = layout.assayed
    if node.event != "mutation" or not assayed:
        return state
    if assayed not in tables.patients.columns:
        raise InvalidInputError(f"criterion: there is no column {assayed!r} (molecular: assayed); correct the schema")
    text = column(tables.patients, assayed).astype(str).str.strip().str.lower()
    sequenced = text.isin(("true", "1", "1.0", "yes", "y")).to_numpy(dtype=bool)
    return np.where((state == NOT_MET) & ~sequenced, UNKNOWN, state).astype(np.int8)


def _one_spelling(node: Alteration, tables: Tables) -> tuple[Alteration, Tables]:
    """Protein changes in one spelling, in the criterion and in the table: V600E and p.Val600Glu are one change."""
    layout = tables.schema.molecular
    node = node.model_copy(update={"protein_change": protein_change(node.protein_change)})
    frame = tables.long.get(layout.mutations)
    if frame is None or layout.protein_change not in frame.columns:
        return node, tables
    codes, levels = pd.factorize(as_text(column(frame, layout.protein_change)))
    spelt = np.array([*(protein_change(str(level)) for level in levels), None], dtype=object)
    named = frame.assign(**{layout.protein_change: spelt[codes]})
    return node, replace(tables, long={**tables.long, layout.mutations: named})


# -- rows of one table -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Counted:
    """The rows of the patients (m,): of whom, whether they count, their days from time zero, and who has any (n,)."""

    frame: pd.DataFrame
    columns: Mapping[str, ColumnSchema]
    owner: NDArray[np.int64]
    rows: State
    days: NDArray[np.float64]
    listed: NDArray[np.bool_]


def _counted(node: Records, tables: Tables) -> _Counted:
    """Rows that may count are certain (all known) or possible (a value is missing)."""
    frame, declared = _table(node.records, tables)
    owner = tables.patients.index.get_indexer(pd.Index(column(frame, declared.id)))
    frame, owner = frame.loc[owner >= 0], owner[owner >= 0]
    counts = [row_state(part, frame, declared.columns) for part in node.where]
    days = _days(frame, declared, owner, tables) if _timed(node) else np.zeros(len(frame))
    if node.window is not None:
        counts.append(_inside(node.window.first, node.window.last, days))
    return _Counted(
        frame=frame,
        columns=declared.columns,
        owner=owner,
        rows=conjunction(counts) if counts else np.full(len(frame), MET),
        days=days,
        listed=np.bincount(owner, minlength=len(tables.patients)) > 0,
    )


def taken_rows(node: Records, tables: Tables) -> tuple[pd.DataFrame, NDArray[np.int64]]:
    """The rows that count for certain, of which the question is asked, and the position of the patient of each."""
    found = _counted(node, tables)
    at = _chosen(node, found) if node.take in _ONE else np.flatnonzero(found.rows == MET)
    return found.frame.iloc[at], found.owner[at]


def _records(node: Records, tables: Tables) -> State:
    """A patient is decided by the rows that count for certain and those that may."""
    found = _counted(node, tables)
    n = len(tables.patients)
    rows, owner = found.rows, found.owner
    asked = np.full(len(rows), MET)
    if node.has is not None:
        # only the rows that may count: those of another analyte may be in units that cannot be converted
        counted = rows != NOT_MET
        asked[counted] = row_state(node.has, found.frame.loc[counted], found.columns)
    if node.take in _ONE:
        at = _chosen(node, found)
        state = np.full(n, UNKNOWN, dtype=np.int8)
        state[owner[at]] = asked[at]
        return _absent(node, state, found.listed)
    certain, possible = _tally(owner, rows, asked, n)
    if node.take == "count":
        state = _within(node, certain, possible)
    elif node.take == "any":
        state = np.where(certain > 0, MET, np.where(possible > 0, UNKNOWN, NOT_MET))
        if node.has is not None:
            # nothing measured is no measurement that fails
            state[(state == NOT_MET) & (np.bincount(owner[rows != NOT_MET], minlength=n) == 0)] = UNKNOWN
    else:
        failing, perhaps = _tally(owner, rows, np.where(asked == UNKNOWN, UNKNOWN, MET - asked), n)
        measured = np.bincount(owner[rows == MET], minlength=n) > 0
        state = np.where(failing > 0, NOT_MET, np.where((perhaps > 0) | ~measured, UNKNOWN, MET))
    return _absent(node, state, found.listed)


def _absent(node: Records, state: NDArray[Any], listed: NDArray[np.bool_]) -> State:
    """A patient without a row in the table: unknown, or what no row at all makes of it."""
    none = UNKNOWN
    if node.absent == "none":
        none = MET if node.take == "count" and not node.at_least else NOT_MET
    return np.where(listed, state, none).astype(np.int8)


def _tally(owner: NDArray[np.int64], rows: State, asked: State, n: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows per patient that count for certain, and those that may in addition."""
    both = conjunction([rows, asked])
    return np.bincount(owner[both == MET], minlength=n), np.bincount(owner[both == UNKNOWN], minlength=n)


def _within(node: Records, certain: NDArray[np.int64], possible: NDArray[np.int64]) -> State:
    """Whether the number of rows lies within the ends, whatever the missing values are."""
    low = -1 if node.at_least is None else node.at_least
    high = np.inf if node.at_most is None else node.at_most
    most = certain + possible
    sure = (certain >= low) & (most <= high)
    never = (most < low) | (certain > high)
    return np.where(sure, MET, np.where(never, NOT_MET, UNKNOWN)).astype(np.int8)


def _chosen(node: Records, found: _Counted) -> NDArray[np.int64]:
    """Of each patient the row next to time zero (the earlier of two at equal distance), or the last or first.

    File order breaks ties. Rows without a date cannot be placed and are left out.
    """
    at = np.flatnonzero((found.rows == MET) & np.isfinite(found.days))
    owner, days = found.owner[at], found.days[at]
    distance = {"nearest": np.abs(days), "latest": -days, "earliest": days}[node.take]
    order = np.lexsort((at, days, distance, owner))
    first = np.unique(owner[order], return_index=True)[1]
    return at[order][first]


def _inside(first: float | None, last: float | None, days: NDArray[np.float64]) -> State:
    inside = np.ones(len(days), dtype=bool)
    with np.errstate(invalid="ignore"):
        if first is not None:
            inside &= days >= first
        if last is not None:
            inside &= days <= last
    return np.where(np.isnan(days), UNKNOWN, inside).astype(np.int8)


def _timed(node: Records) -> bool:
    return node.window is not None or node.take in _ONE


def _days(frame: pd.DataFrame, declared: TableSchema, owner: NDArray[np.int64], tables: Tables) -> NDArray[np.float64]:
    """Days from time zero of each row: the column itself, or its date less the patient's time zero."""
    if not declared.time or declared.time not in frame.columns:
        raise InvalidInputError(f"criterion: the time column {declared.time!r} is not there; declare time:")
    described = declared.columns.get(declared.time)
    if described is None or described.kind != "date":
        return values(frame, declared.time, described)
    zero = tables.schema.time_zero
    if zero not in tables.patients.columns:
        raise InvalidInputError(f"criterion: patients have no time zero column {zero!r}; declare time_zero:")
    return day_numbers(column(frame, declared.time)) - day_numbers(column(tables.patients, zero))[owner]


def _table(name: str, tables: Tables) -> tuple[pd.DataFrame, TableSchema]:
    if name not in tables.long or name not in tables.schema.tables:
        known = ", ".join(sorted(tables.long)) or "none"
        raise InvalidInputError(f"criterion: there is no table {name!r}; long tables are: {known}")
    declared, frame = tables.schema.tables[name], tables.long[name]
    if declared.id not in frame.columns:
        raise InvalidInputError(f"criterion: table {name} has no patient column {declared.id!r}; correct the schema")
    return frame, declared
