"""Rows of several tables followed step by step, joined by patient where a step compares two of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
import pandas as pd

from trialstrat.cohort.columns import column
from trialstrat.cohort.language.conditions import row_state, values
from trialstrat.cohort.language.states import MET, NOT_MET, UNKNOWN, State
from trialstrat.cohort.language.tables import Tables
from trialstrat.errors import InvalidInputError
from trialstrat.protocol.language.model import Keep, Linked, Pick
from trialstrat.protocol.language.names import step_tables
from trialstrat.protocol.language.schema import PATIENTS, ColumnSchema

#: Position of the patient in the frame of patients, in every joined frame.
_OWNER = "\0owner"
#: Most rows a join may have; a product of long tables without a condition between them would exceed memory.
MAXIMUM_ROWS = 50_000_000


def linked_state(node: Linked, tables: Tables) -> State:
    """The state of each patient (n,): met when a row that is left answers the question.

    Not met as soon as a table without link to the question has no row left, or no row left answers it; unknown when a
    table of the question has no row left before it (nothing was recorded).
    """
    work = _Work(tables=tables)
    *steps, question = node.linked
    gone = np.zeros(len(tables.patients), dtype=bool)
    for step in steps:
        group = work.joined(step_tables(step))
        work.keep(group, _rows(step, work.frames[group], work.columns))
        gone |= ~work.present(group)
    asked = step_tables(question)
    unmeasured = np.zeros(len(gone), dtype=bool)
    for group in {work.group(table) for table in asked}:
        unmeasured |= ~work.present(group)
    group = work.joined(asked)
    unmeasured |= ~work.present(group)
    work.keep(group, _rows(question, work.frames[group], work.columns))
    met = work.present(group) & ~gone
    return np.where(unmeasured, UNKNOWN, np.where(met, MET, NOT_MET)).astype(np.int8)


def _rows(step: Keep | Pick, frame: pd.DataFrame, columns: dict[str, ColumnSchema]) -> Any:
    """Rows that stay (mask)."""
    if isinstance(step, Keep):
        return row_state(step.keep, frame, columns) == MET
    found = values(frame, step.left, columns.get(step.left))
    if step.right is not None:
        found = found - values(frame, step.right, columns.get(step.right))
    if step.absolute:
        found = np.abs(found)
    found = found if step.pick == "least" else -found
    owner = frame[_OWNER].to_numpy()
    order = np.lexsort((np.arange(len(owner)), found, owner))
    order = order[np.isfinite(found[order])]
    keep = np.zeros(len(owner), dtype=bool)
    keep[order[np.unique(owner[order], return_index=True)[1]]] = True
    return keep


@dataclass(slots=True, eq=False)
class _Work:
    """Tables grouped by the joins made so far; a group is named by its first table."""

    tables: Tables
    frames: dict[str, pd.DataFrame] = field(default_factory=dict)
    columns: dict[str, ColumnSchema] = field(default_factory=dict)
    groups: dict[str, str] = field(default_factory=dict)

    def group(self, table: str) -> str:
        """The group of a table, which is read when it is named first."""
        if table not in self.groups:
            frame, declared, identifier = self._read(table)
            owner = self.tables.patients.index.get_indexer(identifier)
            frame = frame.add_prefix(f"{table}.")
            frame[_OWNER] = owner
            self.frames[table] = cast("pd.DataFrame", frame[owner >= 0]).reset_index(drop=True)
            self.columns |= {f"{table}.{name}": entry for name, entry in declared.items()}
            self.groups[table] = table
        return self.groups[table]

    def _read(self, table: str) -> tuple[pd.DataFrame, dict[str, ColumnSchema], pd.Index]:
        schema = self.tables.schema.tables.get(table)
        if schema is None or (table != PATIENTS and table not in self.tables.long):
            known = ", ".join(sorted({PATIENTS, *self.tables.long}))
            raise InvalidInputError(f"criterion: there is no table {table!r}; tables are: {known}")
        if table == PATIENTS:
            return self.tables.patients.copy(), schema.columns, self.tables.patients.index
        frame = self.tables.long[table].copy()
        if schema.id not in frame.columns:
            raise InvalidInputError(f"criterion: table {table} has no patient column {schema.id!r}; correct the schema")
        return frame, schema.columns, pd.Index(column(frame, schema.id))

    def joined(self, tables: tuple[str, ...]) -> str:
        """One group of all these tables, joined by patient where they were apart."""
        first, *others = dict.fromkeys(self.group(table) for table in tables)
        for other in others:
            left, right = self.frames[first], self.frames.pop(other)
            rows = np.bincount(left[_OWNER], minlength=1)
            more = np.bincount(right[_OWNER], minlength=len(rows))
            if int(rows @ more[: len(rows)]) > MAXIMUM_ROWS:
                raise InvalidInputError(f"criterion: joining {first} and {other} makes too many rows; filter first")
            self.frames[first] = left.merge(right, on=_OWNER)
            self.groups.update({table: first for table, group in self.groups.items() if group == other})
        return first

    def keep(self, group: str, mask: Any) -> None:
        """Leave only these rows of a group."""
        self.frames[group] = cast("pd.DataFrame", self.frames[group][mask]).reset_index(drop=True)

    def present(self, group: str) -> Any:
        """Which patients have a row left (n,)."""
        return np.bincount(self.frames[group][_OWNER], minlength=len(self.tables.patients)) > 0
