"""Rule files of TrialPathfinder, unchanged: parsed into criteria and evaluated like any others.

A rule is a name, then blocks that start with ``#Inclusion`` or ``#Exclusion``. Each line keeps rows: a
``Table['column']`` against a value or against another column plus ``@DAYS(n)``, ``@MONTHS(n)`` (30 days) or
``@YEARS(n)`` (365 days), joined by ``AND`` and ``OR``; ``MIN(...)`` and ``MAX(...)``, with ``ABS`` inside, keep one row
per patient. The last line is the question. Patients without a row for the question are
admitted, unless the block says ``missing exclude``.

Where the peer differs by accident we do what the line says: it narrows the joined rows inside an ``OR``, so that the
second alternative only sees rows of the first; here both see all. A missing value never satisfies ``!=``.

References
----------
Liu R et al. Evaluating eligibility criteria of oncology trials using real-world data and AI. Nature 592 (2021) 629-633.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from pydantic import ValidationError

from trialstrat.cohort.columns import column, is_missing, numbers
from trialstrat.cohort.language.tables import Tables
from trialstrat.cohort.times import dates
from trialstrat.criteria.trialpathfinder_lines import parse_line
from trialstrat.errors import InvalidInputError
from trialstrat.protocol.language.criterion import Criterion, Missing
from trialstrat.protocol.language.model import Comparison, Keep, Linked, Negation, Pick, walk
from trialstrat.protocol.language.names import step_columns
from trialstrat.protocol.language.schema import PATIENTS, ColumnSchema, Schema, TableSchema

_UNUSUAL = re.compile(r"[^A-Za-z0-9_.-]")


LONGEST_CELL = 65_536


def parse_rules(text: str, source: str = "criteria.csv") -> tuple[Criterion, ...]:
    """The rules of a file, in its order.

    Parameters
    ----------
    text : str
        The file: one quoted cell per rule, with or without a byte order mark.
    source : str
        Its name, for messages.

    Raises
    ------
    InvalidInputError
        All rules that cannot be read, each with its place in the file and what was expected there.
    """
    out: list[Criterion] = []
    faults: list[str] = []
    for start, cell in _cells(text, source):
        try:
            out.append(_rule(cell, start))
        except InvalidInputError as error:
            faults.append(f"{source}: {error}")
    ids = [criterion.id for criterion in out]
    faults += [
        f"{source}: rule {name} is written twice; rename one" for name in dict.fromkeys(ids) if ids.count(name) > 1
    ]
    if faults:
        raise InvalidInputError(*faults)
    return tuple(out)


def _cells(text: str, source: str) -> list[tuple[int, str]]:
    """The first cell of every row that has one, with the line where the row starts."""
    reader = csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline=""))
    out: list[tuple[int, str]] = []
    start = 1
    try:
        for row in reader:
            # Checked here: the csv module's own limit belongs to the whole process and may be any.
            if any(len(cell) > LONGEST_CELL for cell in row):
                raise csv.Error(f"a cell of more than {LONGEST_CELL} characters")
            if row and row[0].strip():
                out.append((start, row[0]))
            start = reader.line_num + 1
    except csv.Error as error:
        raise InvalidInputError(f"{source}: line {start}: not a CSV file ({error})") from None
    return out


def _rule(cell: str, start: int) -> Criterion:
    lines = [(start + at, line.strip()) for at, line in enumerate(cell.splitlines()) if line.strip()]
    (_, name), *rest = lines
    blocks: list[tuple[str, list[tuple[int, str]]]] = []
    for at, line in rest:
        if line.startswith("#"):
            blocks.append((line[1:].strip().lower(), []))
        elif not blocks:
            raise InvalidInputError(f"line {at}: rule {name}: a rule starts with #Inclusion or #Exclusion")
        else:
            blocks[-1][1].append((at, line))
    if not blocks:
        raise InvalidInputError(f"line {start}: rule {name}: a rule needs #Inclusion or #Exclusion and a line after it")
    nodes = [_block(name, start, head, body) for head, body in blocks]
    kind = "exclusion" if len(nodes) == 1 and nodes[0][0] == "exclusion" else "inclusion"
    negated = [which == "exclusion" and kind == "inclusion" for which, _, _ in nodes]
    policies = {excludes for _, excludes, _ in nodes}
    if len(policies) > 1:
        raise InvalidInputError(f"line {start}: rule {name}: 'missing exclude' must stand in every block or in none")
    when = tuple(Negation(negated=node) if turn else node for (_, _, node), turn in zip(nodes, negated, strict=True))
    admits = (kind == "inclusion") != policies.pop()
    missing: Missing = "met" if admits else "not met"
    try:
        identifier = _UNUSUAL.sub("_", name)
        return Criterion(id=identifier, kind=kind, text=name, when=when, missing=missing)
    except ValidationError as error:
        raise InvalidInputError(f"line {start}: rule {name}: {error.errors()[0]['msg']}") from None


def _block(name: str, start: int, head: str, body: Sequence[tuple[int, str]]) -> tuple[str, bool, Linked]:
    """Kind, whether missing values exclude, and the steps of one block."""
    kind = {"in": "inclusion", "ex": "exclusion"}.get(head.replace(" ", "")[:2])
    if kind is None or not body:
        raise InvalidInputError(f"line {start}: rule {name}: a block is #Inclusion or #Exclusion and lines after it")
    steps = []
    for at, line in body:
        try:
            steps.append(parse_line(line))
        except InvalidInputError as error:
            raise InvalidInputError(f"line {at}: rule {name}: {error}") from None
    try:
        return kind, "missing exclude" in head, Linked(linked=tuple(steps))
    except ValidationError as error:
        raise InvalidInputError(f"line {start}: rule {name}: {error.errors()[0]['msg']}") from None


def rule_tables(
    rules: Sequence[Criterion], tables: Mapping[str, pd.DataFrame], patients: Sequence[Any], *, identifier: str
) -> Tables:
    """Tables for :func:`trialstrat.cohort.language.evaluate.evaluate`, kinds read off the rules and the cells.

    Parameters
    ----------
    rules : sequence of Criterion
        What :func:`parse_rules` returned.
    tables : mapping of str to DataFrame
        By name, in any case; every one holds the column ``identifier``.
    patients : sequence
        The patients to decide on, in order, each once.

    Raises
    ------
    InvalidInputError
        A patient twice.
    """
    index = pd.Index(list(patients))
    if index.has_duplicates:
        raise InvalidInputError(f"{int(index.duplicated().sum())} patients are listed twice; give each once")
    known = {name.lower(): frame for name, frame in tables.items()}
    dated = _date_columns(rules, known)
    schemas = {
        name: TableSchema(
            id=identifier,
            columns={str(entry): ColumnSchema(kind=_kind(name, entry, frame, dated)) for entry in frame.columns},
        )
        for name, frame in known.items()
    }
    schemas[PATIENTS] = TableSchema(columns={})
    return Tables(patients=pd.DataFrame(index=index), long=known, schema=Schema(tables=schemas))


def _date_columns(rules: Sequence[Criterion], tables: Mapping[str, pd.DataFrame]) -> set[str]:
    """Columns that are compared with a date: they are dates too, even where they hold a year alone."""
    pairs = [pair for rule in rules for node in rule.when for pair in _pairs(node)]
    dated: set[str] = set()
    for _ in range(len(pairs) + 1):
        before = len(dated)
        for pair in pairs:
            if any(name in dated or _looks_dated(name, tables) for name in pair):
                dated.update(pair)
        if len(dated) == before:
            break
    return dated


def _pairs(node: Any) -> list[tuple[str, ...]]:
    steps = [step for part in walk(node) if isinstance(part, Linked) for step in part.linked]
    found = [step_columns(step) for step in steps if isinstance(step, Pick)]
    inside = [part for step in steps if isinstance(step, Keep) for part in walk(step.keep)]
    return found + [(part.left, part.right) for part in inside if isinstance(part, Comparison)]


def _looks_dated(name: str, tables: Mapping[str, pd.DataFrame]) -> bool:
    table, _, entry = name.partition(".")
    if table not in tables or entry not in tables[table].columns:
        return False
    series = column(tables[table], entry)
    if pd.api.types.is_datetime64_any_dtype(series.dtype):
        return True
    if pd.api.types.is_numeric_dtype(series.dtype):
        return False
    return not dates(series)[1].any() and not is_missing(series).all()


def _kind(table: str, entry: Any, frame: pd.DataFrame, dated: set[str]) -> Any:
    if f"{table}.{entry}" in dated:
        return "date"
    return (
        "text"
        if pd.api.types.is_bool_dtype(column(frame, entry).dtype) or numbers(column(frame, entry))[1].any()
        else "number"
    )
