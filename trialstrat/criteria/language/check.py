"""What is wrong with criteria, said before anything runs: faults of a criterion against the schema and against itself.

Codes: ``E-CRIT-COLUMN`` (unknown table or column), ``E-CRIT-TYPE`` (a range of text, dates against numbers),
``E-CRIT-UNIT`` (a unit that cannot be converted), ``E-CRIT-OUTCOME`` (known only after time zero),
``E-CRIT-CONTRADICTION`` (no value can meet the conditions together), ``W-CRIT-UNIT`` (compared without a unit),
``W-CRIT-ALWAYS`` (every known value meets it), ``W-CRIT-EMPTY`` (no patient of these data does).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from trialstrat.cohort.columns import same
from trialstrat.cohort.eligibility import MET, NOT_MET
from trialstrat.criteria.language.bounds import Allowed, allowed_by, always
from trialstrat.criteria.language.evaluate import evaluate
from trialstrat.criteria.language.linked import step_columns
from trialstrat.criteria.language.model import (
    AllOf,
    Alteration,
    AnyOf,
    Comparison,
    Criterion,
    Linked,
    Pick,
    Records,
    parts,
    walk,
)
from trialstrat.criteria.language.molecular import alteration_as_records
from trialstrat.criteria.language.schema import PATIENTS, ColumnSchema, Schema, Tables
from trialstrat.errors import InvalidInputError
from trialstrat.protocol.model import Condition
from trialstrat.protocol.ucum import convert
from trialstrat.results import Finding, Severity

_RANGE = ("at_least", "at_most", "above", "below")


@dataclass(frozen=True, slots=True)
class _Fault:
    code: str
    message: str
    remedy: str
    column: str = ""


def check(
    criteria: Sequence[Criterion], schema: Schema, *, source: str = "", lines: Mapping[str, int] | None = None
) -> tuple[Finding, ...]:
    """Faults that can be seen without a single patient.

    Parameters
    ----------
    criteria : sequence of Criterion
        As they will be applied together.
    schema : Schema
        Tables, columns, kinds and units.
    source, lines
        The file, and the line of each criterion by its id.

    Returns
    -------
    tuple of Finding
        In the order of the criteria; contradictions between criteria last.
    """
    out: list[Finding] = []
    for criterion in criteria:
        columns = schema.tables[PATIENTS].columns if PATIENTS in schema.tables else {}
        found = [fault for node in criterion.when for fault in _faults(node, schema, PATIENTS, columns)]
        found += _itself(criterion)
        out += [_finding(fault, (criterion,), source, lines or {}) for fault in dict.fromkeys(found)]
    out += [_finding(fault, pair, source, lines or {}) for fault, pair in _together(criteria)]
    return tuple(out)


def check_on(
    criteria: Sequence[Criterion], tables: Tables, *, source: str = "", lines: Mapping[str, int] | None = None
) -> tuple[Finding, ...]:
    """Criteria that nobody or everybody passes in these data; for criteria in which :func:`check` found no error."""
    out: list[Finding] = []
    for criterion in criteria:
        if not criterion.when:
            continue
        state = evaluate(criterion.model_copy(update={"missing": "unknown"}), tables)
        passing, failing = (MET, NOT_MET) if criterion.kind == "inclusion" else (NOT_MET, MET)
        if not (state == passing).any():
            fault = _Fault("W-CRIT-EMPTY", "no patient passes it", "Correct the threshold, the level or the unit")
        elif not (state == failing).any():
            fault = _Fault("W-CRIT-ALWAYS", "it removes no patient", "Drop it, or correct the threshold or the unit")
        else:
            continue
        out.append(_finding(fault, (criterion,), source, lines or {}))
    return tuple(out)


def _finding(fault: _Fault, about: Sequence[Criterion], source: str, lines: Mapping[str, int]) -> Finding:
    severity: Severity = "error" if fault.code.startswith("E") else "warning"
    names = " and ".join(criterion.id for criterion in about)
    where = tuple(lines[criterion.id] for criterion in about if criterion.id in lines)
    return Finding(
        code=fault.code,
        severity=severity,
        message=f"criterion {names}: {fault.message}",
        remedy=f"{fault.remedy}.",
        source=source,
        column=fault.column,
        lines=where,
    )


# -- against the schema ----------------------------------------------------------------------------------------------


def _faults(node: Any, schema: Schema, table: str, columns: Mapping[str, ColumnSchema]) -> Iterator[_Fault]:
    if isinstance(node, Condition):
        yield from _condition(node, table, columns)
    elif isinstance(node, Comparison):
        yield from _comparison(node, table, columns)
    elif isinstance(node, Records):
        yield from _records(node, schema)
    elif isinstance(node, Linked):
        yield from _linked(node, schema)
    elif isinstance(node, Alteration):
        try:
            yield from _faults(alteration_as_records(node, schema.molecular), schema, table, columns)
        except InvalidInputError as error:
            yield _Fault("E-CRIT-COLUMN", str(error).removeprefix("criterion: "), "Declare where it is found")
    else:
        for part in parts(node):
            yield from _faults(part, schema, table, columns)


def _known(name: str, table: str, columns: Mapping[str, ColumnSchema]) -> _Fault | None:
    if name not in columns:
        message = f"table {table} has no column {name!r}"
        return _Fault("E-CRIT-COLUMN", message, "Correct the name or declare the column", name)
    if columns[name].outcome:
        message = f"{name} is known only after time zero, so it would look at the outcome"
        return _Fault("E-CRIT-OUTCOME", message, "Ask for a value measured before time zero", name)
    return None


def _condition(node: Condition, table: str, columns: Mapping[str, ColumnSchema]) -> Iterator[_Fault]:
    name = node.column
    unknown = _known(name, table, columns)
    if unknown is not None:
        yield unknown
    if name not in columns:
        return
    declared = columns[name]
    ranged = any(getattr(node, bound) is not None for bound in _RANGE)
    if ranged and declared.kind != "number":
        yield _Fault("E-CRIT-TYPE", f"a range is asked of {name}, which is {declared.kind}", "Use is or in", name)
    if ranged and declared.kind == "number" and not node.unit and (declared.unit or declared.unit_column):
        yield _Fault("W-CRIT-UNIT", f"{name} is compared without a unit", "Write the UCUM unit after the number", name)
    if ranged and node.unit and declared.unit:
        try:
            convert(1.0, node.unit, declared.unit, declared.analyte)
        except InvalidInputError as error:
            yield _Fault("E-CRIT-UNIT", str(error), "Correct the unit", name)
    asked = node.one_of if node.equals is None else (node.equals,)
    strange = [str(value) for value in asked if not any(same(value, level) for level in declared.levels)]
    if strange and declared.levels:
        message = f"{name} has no level {', '.join(strange)}; levels are {', '.join(declared.levels)}"
        yield _Fault("E-CRIT-TYPE", message, "Correct the level", name)


def _comparison(node: Comparison, table: str, columns: Mapping[str, ColumnSchema]) -> Iterator[_Fault]:
    for name in (node.left, node.right):
        fault = _known(name, table, columns)
        if fault is not None:
            yield fault
    kinds = {columns[name].kind for name in (node.left, node.right) if name in columns}
    if len(kinds) > 1 or "text" in kinds:
        message = f"{node.left} and {node.right} cannot be compared: {' and '.join(sorted(kinds))}"
        yield _Fault("E-CRIT-TYPE", message, "Compare numbers with numbers and dates with dates", node.left)


def _records(node: Records, schema: Schema) -> Iterator[_Fault]:
    table = schema.tables.get(node.records)
    if table is None:
        known = ", ".join(schema.tables)
        yield _Fault("E-CRIT-COLUMN", f"there is no table {node.records!r}; tables are {known}", "Correct the name")
        return
    timed = node.window is not None or node.take in ("nearest", "latest", "earliest")
    if timed and not table.time:
        message = f"table {node.records} has no time column for a window or a choice by time"
        yield _Fault("E-CRIT-COLUMN", message, "Declare time: for the table")
    if timed and node.window is not None and (node.window.last is None or node.window.last > 0):
        message = f"records of {node.records} after time zero count"
        yield _Fault("E-CRIT-OUTCOME", message, "End the window at day 0, or move time zero")
    for part in parts(node):
        yield from _faults(part, schema, node.records, table.columns)


def _linked(node: Linked, schema: Schema) -> Iterator[_Fault]:
    columns = {
        f"{name}.{entry}": declared
        for name, table in schema.tables.items()
        for entry, declared in table.columns.items()
    }
    for step in node.linked:
        if isinstance(step, Pick):
            yield from (fault for name in step_columns(step) if (fault := _known(name, "joined", columns)) is not None)
        else:
            yield from _faults(step.keep, schema, "joined", columns)


# -- against themselves ----------------------------------------------------------------------------------------------


def _itself(criterion: Criterion) -> Iterator[_Fault]:
    """Contradictions, and what every known value meets, inside one criterion."""
    for allowed in _left(criterion.when):
        if allowed.empty:
            message = f"no value of {allowed.column} can meet it"
            yield _Fault("E-CRIT-CONTRADICTION", message, "Turn the ends round or drop one of them", allowed.column)
    for node in (part for top in criterion.when for part in walk(top)):
        name = always(node) if isinstance(node, AnyOf) else ""
        if name:
            yield _Fault("W-CRIT-ALWAYS", f"every known value of {name} meets it", "Drop it or correct the ends", name)


def _left(nodes: Sequence[Any]) -> list[Allowed]:
    """What the plain conditions of a conjunction leave of each column (by unit)."""
    found: dict[tuple[str, str], Allowed] = {}
    for node in nodes:
        for part in node.all if isinstance(node, AllOf) else (node,):
            if isinstance(part, Condition):
                key, new = (part.column, part.unit), allowed_by(part)
                found[key] = found[key].both(new) if key in found else new
    return list(found.values())


def _together(criteria: Sequence[Criterion]) -> Iterator[tuple[_Fault, tuple[Criterion, Criterion]]]:
    """Pairs of criteria that leave no value of a column."""
    left: list[tuple[Criterion, dict[tuple[str, str], Allowed]]] = []
    for criterion in criteria:
        mine = {(entry.column, entry.unit): entry for entry in _passing(criterion) if not entry.empty}
        for other, theirs in left:
            for key in sorted(mine.keys() & theirs.keys()):
                if mine[key].both(theirs[key]).empty:
                    message = f"together they leave no value of {key[0]}"
                    yield _Fault("E-CRIT-CONTRADICTION", message, "Correct one of the two", key[0]), (other, criterion)
        left.append((criterion, mine))


def _passing(criterion: Criterion) -> list[Allowed]:
    if criterion.kind == "inclusion":
        return _left(criterion.when)
    # an exclusion of one condition leaves its opposite; of several, it leaves no column by itself
    if len(criterion.when) == 1 and isinstance(criterion.when[0], Condition):
        return [allowed_by(criterion.when[0]).complement()]
    return []
