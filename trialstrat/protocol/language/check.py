"""What is wrong with criteria, said before anything runs: faults of a criterion against the schema and against itself.

Codes: ``E-CRIT-COLUMN`` (unknown table or column), ``E-CRIT-TYPE`` (a range of text, dates against numbers),
``E-CRIT-UNIT`` (a unit that cannot be converted), ``E-CRIT-OUTCOME`` (known only after time zero),
``E-CRIT-CONTRADICTION`` (no value can meet the conditions together), ``W-CRIT-UNIT`` (compared without a unit, although
the column has one), ``W-CRIT-ALWAYS`` (every known value meets it), ``W-CRIT-TWICE`` (asked already), ``I-CRIT-UNIT``
(compared without a unit, and none is declared). On data there are besides ``W-CRIT-EMPTY``, ``W-CRIT-UNKNOWN`` and
``I-CRIT-ALWAYS``.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from trialstrat.errors import InvalidInputError
from trialstrat.protocol.language.bounds import Allowed, allowed_by, always
from trialstrat.protocol.language.criterion import Criterion
from trialstrat.protocol.language.model import (
    AllOf,
    Alteration,
    AnyOf,
    Comparison,
    Condition,
    Linked,
    Pick,
    Records,
    parts,
    walk,
)
from trialstrat.protocol.language.molecular import alteration_as_records
from trialstrat.protocol.language.names import step_columns
from trialstrat.protocol.language.ranges import in_unit, ranged
from trialstrat.protocol.language.schema import PATIENTS, ColumnSchema, Schema
from trialstrat.protocol.language.text import write_all
from trialstrat.protocol.language.values import same
from trialstrat.protocol.ucum import convert
from trialstrat.results import Finding, Severity


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What is wrong with one criterion, or with two together; ``node``: position of the expression in ``when``."""

    code: str
    message: str
    remedy: str
    column: str = ""
    criteria: tuple[int, ...] = ()
    node: int | None = None

    @property
    def severity(self) -> Severity:
        """Decided by the first letter of the code."""
        return {"W": "warning", "I": "note"}.get(self.code[0], "error")  # type: ignore[return-value]


def faults(criteria: Sequence[Criterion], schema: Schema, *, complete: bool = True) -> tuple[Fault, ...]:
    """Faults that can be seen without a single patient.

    Parameters
    ----------
    criteria : sequence of Criterion
        As they will be applied together.
    schema : Schema
        Tables, columns, kinds and units.
    complete : bool
        Whether the schema lists every column of the patients; otherwise unlisted ones are left to whoever has the data.

    Returns
    -------
    tuple of Fault
        In the order of the criteria; contradictions between criteria last.
    """
    out: list[Fault] = []
    seen: dict[tuple[str, str], str] = {}
    checker = _Checker(schema, complete)
    for at, criterion in enumerate(criteria):
        found: list[Fault] = []
        for position, node in enumerate(criterion.when):
            raised = (*checker.faults(node, PATIENTS, checker.patients), *_tautologies(node))
            found += [replace(fault, node=position) for fault in raised]
        found += _impossible(criterion, schema)
        key = (criterion.kind, write_all(criterion.when))
        if criterion.when and key in seen:
            text = f"it asks the same as {seen[key]}"
            found.append(Fault(code="W-CRIT-TWICE", message=text, remedy="Remove one of the two"))
        seen.setdefault(key, criterion.id)
        out += [replace(fault, criteria=(at,)) for fault in dict.fromkeys(found)]
    return (*out, *_together(criteria, schema))


def check(
    criteria: Sequence[Criterion], schema: Schema, *, source: str = "", lines: Mapping[str, int] | None = None
) -> tuple[Finding, ...]:
    """:func:`faults` as findings.

    ``source`` is the file; ``lines`` has the line of each criterion by its id, and of its expressions by ``id.0``.
    """
    return tuple(finding(fault, criteria, source, lines or {}) for fault in faults(criteria, schema))


def finding(fault: Fault, criteria: Sequence[Criterion], source: str, lines: Mapping[str, int]) -> Finding:
    """A fault with the names of its criteria, its file and its lines."""
    about = [criteria[at].id for at in fault.criteria]
    found = [lines.get(f"{name}.{fault.node}", lines.get(name)) for name in about]
    return Finding(
        code=fault.code,
        severity=fault.severity,
        message=message(fault, criteria),
        remedy=f"{fault.remedy}.",
        source=source,
        column=fault.column,
        lines=tuple(line for line in found if line is not None),
    )


def message(fault: Fault, criteria: Sequence[Criterion]) -> str:
    """What is wrong, with the names of the criteria."""
    names = " and ".join(criteria[at].id for at in fault.criteria)
    return f"{'criteria' if len(fault.criteria) > 1 else 'criterion'} {names}: {fault.message}"


# -- against the schema ----------------------------------------------------------------------------------------------

_Columns = Mapping[str, ColumnSchema]


@dataclass(frozen=True, slots=True)
class _Checker:
    """Expressions against a schema; without ``complete``, unlisted columns of the patients may be anything."""

    schema: Schema
    complete: bool

    @property
    def patients(self) -> _Columns:
        return self.schema.tables[PATIENTS].columns if PATIENTS in self.schema.tables else {}

    def faults(self, node: Any, table: str, columns: _Columns) -> Iterator[Fault]:
        if isinstance(node, Condition):
            yield from self.condition(node, table, columns)
        elif isinstance(node, Comparison):
            yield from self.comparison(node, table, columns)
        elif isinstance(node, Records):
            yield from self.records(node)
        elif isinstance(node, Linked):
            yield from self.linked(node)
        elif isinstance(node, Alteration):
            try:
                asked = alteration_as_records(node, self.schema.molecular)
            except InvalidInputError as error:
                text = str(error).removeprefix("criterion: ")
                yield Fault(code="E-CRIT-COLUMN", message=text, remedy="Declare under molecular: where it is found")
            else:
                # what a matrix holds has no unit to declare
                yield from (fault for fault in self.faults(asked, table, columns) if fault.code != "I-CRIT-UNIT")
        else:
            for part in parts(node):
                yield from self.faults(part, table, columns)

    def known(self, name: str, table: str, columns: _Columns) -> Iterator[Fault]:
        if name not in columns:
            if self.complete or (table != PATIENTS and not name.startswith(f"{PATIENTS}.")):
                text = f"table {table} has no column {name!r}"
                mend = f"{_meant(name, columns)}Correct the name or declare the column"
                yield Fault(code="E-CRIT-COLUMN", message=text, remedy=mend, column=name)
        elif columns[name].outcome:
            text = f"{name} is known only after time zero, so it would look at the outcome"
            mend = "Ask for a value measured before time zero"
            yield Fault(code="E-CRIT-OUTCOME", message=text, remedy=mend, column=name)

    def condition(self, node: Condition, table: str, columns: _Columns) -> Iterator[Fault]:
        name = node.column
        yield from self.known(name, table, columns)
        if name not in columns or columns[name].outcome:
            return  # of an outcome nothing may be asked, whatever its kind
        declared = columns[name]
        if ranged(node):
            yield from _range(node, declared)
        asked = node.one_of if node.equals is None else (node.equals,)
        strange = [str(value) for value in asked if not any(same(value, level) for level in declared.levels)]
        if strange and declared.levels:
            text = f"{name} has no level {', '.join(strange)}; levels are {', '.join(declared.levels)}"
            mend = f"{_meant(strange[0], declared.levels)}Correct the level"
            yield Fault(code="E-CRIT-TYPE", message=text, remedy=mend, column=name)

    def comparison(self, node: Comparison, table: str, columns: _Columns) -> Iterator[Fault]:
        for name in (node.left, node.right):
            yield from self.known(name, table, columns)
        kinds = {columns[name].kind for name in (node.left, node.right) if name in columns}
        if len(kinds) > 1 or "text" in kinds:
            text = f"{node.left} and {node.right} cannot be compared: {' and '.join(sorted(kinds))}"
            mend = "Compare numbers with numbers and dates with dates"
            yield Fault(code="E-CRIT-TYPE", message=text, remedy=mend, column=node.left)

    def records(self, node: Records) -> Iterator[Fault]:
        table = self.schema.tables.get(node.records)
        if table is None:
            others = [name for name in self.schema.tables if name != PATIENTS]
            text = f"there is no long table {node.records!r}; long tables are {', '.join(others) or 'none'}"
            mend = (
                f"{_meant(node.records, others)}Declare a source with this name and layout: records (variants, matrix)"
            )
            yield Fault(code="E-CRIT-COLUMN", message=text, remedy=mend)
            return
        timed = node.window is not None or node.take in ("nearest", "latest", "earliest")
        if timed and not table.time:
            text = f"table {node.records} has no time column for a window or a choice by time"
            yield Fault(code="E-CRIT-COLUMN", message=text, remedy="Declare time: for the table")
        if timed and table.time and not self.schema.time_zero and _dated(table.columns.get(table.time)):
            text = f"table {node.records} has dates, and no time zero is declared to count days from"
            yield Fault(code="E-CRIT-COLUMN", message=text, remedy="Declare time_zero: (the column with its date)")
        last = None if node.window is None else node.window.last
        if (table.time or node.window is not None) and (last is None or last > 0):
            text = f"records of {node.records} after time zero count"
            mend = "End the window at day 0, or move time zero"
            yield Fault(code="E-CRIT-OUTCOME", message=text, remedy=mend)
        for part in parts(node):
            yield from self.faults(part, node.records, table.columns)

    def linked(self, node: Linked) -> Iterator[Fault]:
        columns = {
            f"{name}.{entry}": declared
            for name, table in self.schema.tables.items()
            for entry, declared in table.columns.items()
        }
        for step in node.linked:
            if isinstance(step, Pick):
                for name in step_columns(step):
                    yield from self.known(name, "joined", columns)
            else:
                yield from self.faults(step.keep, "joined", columns)


def _range(node: Condition, declared: ColumnSchema) -> Iterator[Fault]:
    name = node.column
    if declared.kind != "number":
        text = f"a range is asked of {name}, which is {declared.kind}"
        yield Fault(code="E-CRIT-TYPE", message=text, remedy="Use is or in (equals:, one_of:)", column=name)
    elif not node.unit and (declared.unit or declared.unit_column):
        text = f"{name} is compared without a unit; {declared.unit or 'that of each row'} is taken"
        yield Fault(code="W-CRIT-UNIT", message=text, remedy="Write the UCUM unit of the number", column=name)
    elif not node.unit and not declared.levels:
        text = f"{name} is compared without a unit, and none is declared"
        yield Fault(code="I-CRIT-UNIT", message=text, remedy='Declare it ("1" for counts and scores)', column=name)
    elif node.unit and declared.unit:
        try:
            convert(1.0, node.unit, declared.unit, declared.analyte)
        except InvalidInputError as error:
            yield Fault(code="E-CRIT-UNIT", message=str(error), remedy="Correct the unit", column=name)


def _dated(declared: ColumnSchema | None) -> bool:
    return declared is not None and declared.kind == "date"


def _meant(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f"Did you mean {near[0]}? " if near else ""


# -- against themselves ----------------------------------------------------------------------------------------------


def _tautologies(top: Any) -> Iterator[Fault]:
    for node in walk(top):
        name = always(node) if isinstance(node, AnyOf) else ""
        if name:
            text = f"every known value of {name} meets it"
            yield Fault(code="W-CRIT-ALWAYS", message=text, remedy="Drop it or correct the ends", column=name)


def _impossible(criterion: Criterion, schema: Schema) -> Iterator[Fault]:
    single = [(at, entry) for at, node in enumerate(criterion.when) for entry in _left((node,), schema)]
    alone = {entry.column: at for at, entry in single if entry.empty}
    for allowed in _left(criterion.when, schema):
        if allowed.empty:
            text = f"no value of {allowed.column} can meet it"
            mend = "Turn the ends round or drop one of them"
            at = alone.get(allowed.column)
            yield Fault(code="E-CRIT-CONTRADICTION", message=text, remedy=mend, column=allowed.column, node=at)


def _left(nodes: Sequence[Any], schema: Schema) -> list[Allowed]:
    """What the plain conditions of a conjunction leave of each column (by unit)."""
    found: dict[tuple[str, str], Allowed] = {}
    for node in nodes:
        for part in node.all if isinstance(node, AllOf) else (node,):
            if isinstance(part, Condition):
                new = allowed_by(_comparable(part, schema))
                key = (new.column, new.unit)
                found[key] = found[key].both(new) if key in found else new
    return list(found.values())


def _comparable(node: Condition, schema: Schema) -> Condition:
    """The condition in the unit of its column, where one is declared and can be reached."""
    columns = schema.tables[PATIENTS].columns if PATIENTS in schema.tables else {}
    declared = columns.get(node.column)
    if declared is None or not declared.unit:
        return node
    try:
        return in_unit(node, declared.unit, declared.analyte)
    except InvalidInputError:
        return node


def _together(criteria: Sequence[Criterion], schema: Schema) -> Iterator[Fault]:
    """Pairs of criteria that leave no value of a column."""
    left: list[dict[tuple[str, str], Allowed]] = []
    for at, criterion in enumerate(criteria):
        mine = {(entry.column, entry.unit): entry for entry in _passing(criterion, schema) if not entry.empty}
        for other, theirs in enumerate(left):
            for key in sorted(mine.keys() & theirs.keys()):
                if mine[key].both(theirs[key]).empty:
                    yield Fault(
                        code="E-CRIT-CONTRADICTION",
                        message=f"together they leave no value of {key[0]}",
                        remedy="Correct one of the two",
                        column=key[0],
                        criteria=(other, at),
                    )
        left.append(mine)


def _passing(criterion: Criterion, schema: Schema) -> list[Allowed]:
    if criterion.kind == "inclusion":
        return _left(criterion.when, schema)
    # an exclusion of one condition leaves its opposite; of several, it leaves no column by itself
    if len(criterion.when) == 1 and isinstance(criterion.when[0], Condition):
        return [allowed_by(_comparable(criterion.when[0], schema)).complement()]
    return []
