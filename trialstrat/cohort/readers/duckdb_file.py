"""A table of a DuckDB database (an OMOP CDM, for instance), read as text without any extension or network."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from trialstrat.cohort.readers.table import Payload, RawTable, checked_names, text_frame
from trialstrat.cohort.rules import RefusedError, finding, visible

#: Nothing is installed, loaded or fetched, and no other file is opened.
_SETTINGS: dict[str, Any] = {
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "enable_external_access": "false",
    "threads": "1",
}


def is_duckdb(data: bytes) -> bool:
    """Whether the bytes start as a DuckDB database."""
    return data[8:12] == b"DUCK"


def read_duckdb(payload: Payload, table: str | None) -> RawTable:
    """One table or view, its rows in the order of all its columns, every value as text.

    The bytes that were hashed are the ones that are read: from a private copy, so that the database itself is never
    locked or changed.

    Raises
    ------
    RefusedError
        When the package duckdb is absent, no table is declared or it is not there, or the file is damaged.
    """
    with _opened(payload) as database:
        schema, name = _named(_tables(database), table, payload.name)
        names, rows = _rows(database, schema, name)
    file = f"{payload.name}:{name}"
    if not rows:
        raise RefusedError(finding("E-ROWS-NONE", source=file, detail=f"0 rows, {len(names)} columns"))
    return RawTable(
        frame=text_frame(checked_names(names, file), [list(column) for column in zip(*rows, strict=True)]),
        file=file,
        lines=np.arange(1, len(rows) + 1, dtype=np.int64),
        sha256=payload.sha256,
        format="duckdb",
        findings=(finding("I-FILE-FORMAT", source=file, detail="DuckDB; lines are record numbers"),),
    )


def table_names(payload: Payload) -> dict[str, int]:
    """The tables and views of a database with their rows, named as ``table:`` takes them.

    Raises
    ------
    RefusedError
        When the package duckdb is absent or the file is damaged.
    """
    with _opened(payload) as database:
        found = _tables(database)
        several = {name for _, name in found if sum(other == name for _, other in found) > 1}
        counts: dict[str, int] = {}
        for schema, name in found:
            total = database.execute(f"select count(*) from {_quoted(schema)}.{_quoted(name)}").fetchone()
            counts[f"{schema}.{name}" if name in several else name] = int(total[0]) if total else 0
        return counts


@contextmanager
def _opened(payload: Payload) -> Iterator[Any]:
    """The database, opened from a private copy of its bytes."""
    try:
        import duckdb
    except ModuleNotFoundError:
        raise RefusedError(finding("E-FORMAT-EXTRA", source=payload.name, detail="duckdb, extra 'duckdb'")) from None
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "copy.duckdb"
        path.write_bytes(payload.data)
        try:
            with duckdb.connect(str(path), read_only=True, config=_SETTINGS) as database:
                yield database
        except duckdb.Error as fault:
            detail = str(fault).split("\n", 1)[0].replace(str(path), payload.name)[:80]
            raise RefusedError(finding("E-FILE-DAMAGED", source=payload.name, detail=detail)) from None


def _tables(database: Any) -> list[tuple[str, str]]:
    query = "select table_schema, table_name from information_schema.tables order by 1, 2"
    return [(str(schema), str(name)) for schema, name in database.execute(query).fetchall()]


def _quoted(word: str) -> str:
    return '"' + word.replace('"', '""') + '"'


def _named(found: list[tuple[str, str]], table: str | None, file: str) -> tuple[str, str]:
    """Schema and name of the table that ``table`` (name, or schema.name, in any case) means."""
    wanted = (table or "").casefold()
    matched = [(schema, name) for schema, name in found if wanted in (name.casefold(), f"{schema}.{name}".casefold())]
    if len(matched) != 1:
        there = ", ".join(visible(f"{schema}.{name}") for schema, name in found[:20])
        raise RefusedError(finding("E-SOURCE-TABLE", source=file, detail=f"it has {there or 'none'}"))
    return matched[0]


def _rows(database, schema: str, name: str) -> tuple[list[str], list[tuple[str | None, ...]]]:
    place = f"{_quoted(schema)}.{_quoted(name)}"
    names = [str(row[0]) for row in database.execute(f"describe select * from {place}").fetchall()]
    cells = ", ".join(f"cast({_quoted(column)} as varchar)" for column in names)
    order = ", ".join(str(at) for at in range(1, len(names) + 1))
    return names, database.execute(f"select {cells} from {place} order by {order}").fetchall()
