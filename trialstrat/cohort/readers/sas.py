"""SAS transport files (version 5 and 8) and sas7bdat. Special missing values stay apart; lengths are checked."""

from __future__ import annotations

import codecs
import datetime as dt
import io
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyreadstat
from numpy.typing import NDArray

from trialstrat.cohort.readers.table import Payload, RawTable, checked_names, number_text, text_frame
from trialstrat.cohort.rules import RefusedError, finding
from trialstrat.protocol.model import Source

_RECORD = 80
_V5 = b"HEADER RECORD*******LIBRARY HEADER RECORD!!!!!!!"
_V8 = b"HEADER RECORD*******LIBV8   HEADER RECORD!!!!!!!"
_SAS7BDAT = bytes.fromhex("c2ea8160b31411cfbd92080009c7318c181f1011")
_NUMERIC = 1
#: Length of a variable's description, and where a header record carries its number.
_NAMESTR, _NUMBER = 140, 48


def is_xport(data: bytes) -> bool:
    """Whether the bytes start as a transport file of version 5 or 8."""
    return data.startswith((_V5, _V8))


def is_sas7bdat(data: bytes) -> bool:
    """Whether the bytes carry the magic number of sas7bdat."""
    return data[12:32] == _SAS7BDAT


@dataclass(frozen=True, slots=True)
class _Layout:
    """Where the observations of a transport file are: start, length of each, numeric fields."""

    start: int
    length: int
    numeric: tuple[tuple[int, int, int], ...]  # (column, offset, length)


def read_xport(payload: Payload, source: Source) -> RawTable:
    """Read a transport file: numbers in their shortest form, dates as ISO dates.

    Special missing values (.A to .Z, ._) become the texts ``.A`` to ``.Z`` and ``._`` and so stay apart.

    Raises
    ------
    RefusedError
        When the length is no multiple of 80 bytes, the last record is ragged, or the headers are damaged.
    """
    file = payload.name
    layout = _layout(payload.data, file)
    columns, meta = _read(pyreadstat.read_xport, payload, encoding=_encoding(source, payload.name))
    table = _table(columns, meta, payload, "SAS XPT; lines are record numbers")
    special = _special_missing(payload.data, layout, len(table.lines))
    frame = table.frame
    for at, codes in special.items():
        cells = frame.iloc[:, at].to_numpy(object, na_value=None)
        where = codes != ""
        cells[where] = codes[where]
        frame.isetitem(at, text_frame(["x"], [list(cells)])["x"])
    return table


def read_sas7bdat(payload: Payload, source: Source) -> RawTable:
    """Read a sas7bdat file as text.

    Raises
    ------
    RefusedError
        When the file is damaged.
    """
    columns, meta = _read(
        pyreadstat.read_sas7bdat, payload, encoding=_encoding(source, payload.name), user_missing=True
    )
    return _table(columns, meta, payload, "SAS data set; lines are record numbers")


def _read(reader: Any, payload: Payload, **options: Any) -> tuple[dict[str, Any], Any]:
    try:
        return reader(io.BytesIO(payload.data), output_format="dict", **options)
    except UnicodeDecodeError:
        raise RefusedError(finding("E-FILE-ENCODING", source=payload.name, detail="not UTF-8")) from None
    except (pyreadstat.ReadstatError, pyreadstat.PyreadstatError, ValueError, OverflowError) as fault:
        raise RefusedError(finding("E-FILE-DAMAGED", source=payload.name, detail=str(fault)[:80])) from None


def _encoding(source: Source, file: str) -> str | None:
    """The declared encoding as iconv calls it; without one the file's own declaration or UTF-8 holds."""
    if source.encoding == "utf-8":
        return None
    try:
        return codecs.lookup(source.encoding).name.upper()
    except LookupError:
        raise RefusedError(
            finding("E-FILE-ENCODING", source=file, detail=f"{source.encoding} is not supported")
        ) from None


def _table(columns: dict[str, Any], meta: Any, payload: Payload, detail: str) -> RawTable:
    file = payload.name
    names = checked_names(list(columns), file)
    count = len(next(iter(columns.values()))) if columns else 0
    if not count:
        raise RefusedError(finding("E-ROWS-NONE", source=file, detail=f"0 rows, {len(names)} columns"))
    note = finding("I-FILE-FORMAT", source=file, detail=detail)
    labels = {name: label for name, label in zip(names, meta.column_labels, strict=True) if label}
    return RawTable(
        frame=text_frame(names, [[_text(cell) for cell in column] for column in columns.values()]),
        file=file,
        lines=np.arange(1, count + 1, dtype=np.int64),
        sha256=payload.sha256,
        format="sas",
        findings=(note, finding("W-FILE-CHECKSUM", source=file)),
        labels=labels,
    )


def _text(cell: Any) -> str | None:
    if cell is None or (isinstance(cell, dt.date | dt.time) and cell != cell):
        return None
    if isinstance(cell, dt.date | dt.time):
        return cell.isoformat()
    if isinstance(cell, str):
        return cell if len(cell) != 1 or cell.strip() else ""
    return number_text(cell)


def _layout(data: bytes, file: str) -> _Layout:
    """Read the headers far enough to know the length of an observation (SAS TS-140 and its version 8 extension)."""
    if len(data) % _RECORD:
        detail = f"{len(data)} bytes are no multiple of {_RECORD}: the file was cut"
        raise RefusedError(finding("E-FILE-DAMAGED", source=file, detail=detail))
    try:
        names_at = data.index(b"HEADER RECORD*******NAM")  # NAMESTR in version 5, NAMSTV8 in version 8
        variables = int(data[names_at + _NUMBER : names_at + 58])
        fields = [_namestr(data[names_at + _RECORD + at * _NAMESTR :][:_NAMESTR]) for at in range(variables)]
        mark = data.index(b"HEADER RECORD*******OBS", names_at)
    except ValueError:
        raise RefusedError(finding("E-FILE-DAMAGED", source=file, detail="the headers are incomplete")) from None
    start = mark + _RECORD
    length = sum(width for _, width, _ in fields)
    body = data[start:]
    if not length or b"HEADER RECORD*******MEMB" in body:
        raise RefusedError(finding("E-FILE-MEMBERS", source=file, detail="several tables in one transport file"))
    _check_end(body, data[mark + _NUMBER : start].strip(), length, file)
    numeric = tuple((at, position, width) for at, (kind, width, position) in enumerate(fields) if kind == _NUMERIC)
    return _Layout(start, length, numeric)


def _namestr(record: bytes) -> tuple[int, int, int]:
    """Type (1 numeric, 2 character), length and position of a variable."""
    return (
        int.from_bytes(record[0:2], "big"),
        int.from_bytes(record[4:6], "big"),
        int.from_bytes(record[84:88], "big"),
    )


def _check_end(body: bytes, declared: bytes, length: int, file: str) -> None:
    """After the last whole observation only the blanks that fill a record of 80 bytes may follow.

    Version 8 declares the number of observations (version 5 has zeros there), which must be there.
    """
    used = len(body) // length * length
    rest = body[used:]
    if rest.strip(b" "):
        detail = f"the last observation has {len(rest)} of {length} bytes: the file was cut"
        raise RefusedError(finding("E-FILE-DAMAGED", source=file, detail=detail))
    count = int(declared) if declared.isdigit() else 0
    if count * length > len(body):
        detail = f"{len(body) // length} observations of {count}: the file was cut"
        raise RefusedError(finding("E-FILE-DAMAGED", source=file, detail=detail))


def _special_missing(data: bytes, layout: _Layout, rows: int) -> dict[int, NDArray[np.object_]]:
    """The special missing codes by column: a first byte A-Z or _ and zeros after it."""
    body = np.frombuffer(data, dtype=np.uint8, count=rows * layout.length, offset=layout.start)
    records = body.reshape(rows, layout.length)
    found: dict[int, NDArray[np.object_]] = {}
    for at, position, width in layout.numeric:
        cells = records[:, position : position + width]
        first = cells[:, 0]
        zeros = ~cells[:, 1:].any(axis=1)
        coded = zeros & (((first >= ord("A")) & (first <= ord("Z"))) | (first == ord("_")))
        if coded.any():
            codes = np.full(rows, "", dtype=object)
            codes[coded] = [f".{chr(int(byte))}" for byte in first[coded]]
            found[at] = codes
    return found
