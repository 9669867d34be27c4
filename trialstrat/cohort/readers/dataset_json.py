"""CDISC Dataset-JSON 1.1 and its line-by-line form (NDJSON): the same table as a transport file, with labels.

Decimal values are text and stay as they are written; NaN and infinities are no JSON and are refused.

References
----------
CDISC. Dataset-JSON Specification, version 1.1.0, 2024.
"""

from __future__ import annotations

import json
from typing import Any, NoReturn

import numpy as np

from trialstrat.cohort.readers.delimited import utf8_bytes
from trialstrat.cohort.readers.table import Payload, RawTable, checked_names, number_text, text_frame
from trialstrat.cohort.rules import RefusedError, finding

_VERSION = "datasetJSONVersion"
_REQUIRED = (_VERSION, "itemGroupOID", "records", "name", "label", "columns")
_VERSIONS = ("1.1",)
_TEXT = frozenset({"string", "decimal", "datetime", "date", "time", "URI"})
_NUMBERS = frozenset({"integer", "float", "double"})


class _NumberText(str):
    """A number as the file writes it: no rounding between the file and the table."""

    __slots__ = ()


def is_dataset_json(data: bytes) -> bool:
    """Whether the bytes are a JSON object that declares a version of Dataset-JSON near its beginning."""
    return data[:64].lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{") and f'"{_VERSION}"'.encode() in data[:65_536]


def read_dataset_json(payload: Payload) -> RawTable:
    """Read one Dataset-JSON document, or NDJSON (a line of metadata, then one array per line), as text.

    ``lines`` are record numbers, for NDJSON line numbers. ``null`` is missing.

    Raises
    ------
    RefusedError
        When it is no valid JSON (``NaN`` included), of another version, lacks required metadata, has records of
        another width, or values that do not fit their column's type.
    """
    file = payload.name
    text = utf8_bytes(payload.data, "utf-8", file)[0].decode("utf-8-sig")
    first, _, rest = text.partition("\n")
    head = _object(first)
    ndjson = head is not None and "rows" not in head and _VERSION in head
    document = head if ndjson and head is not None else _parsed(text, file, 1)
    columns = _columns(document, file)
    rows, lines = _line_rows(rest, file) if ndjson else _rows(document)
    names = checked_names([str(entry["name"]) for entry in columns], file)
    _check(document, rows, lines, len(names), file)
    cells = _cells(rows, columns, names, lines, file)
    detail = f"Dataset-JSON{' by lines' if ndjson else '; lines are record numbers'}"
    return RawTable(
        frame=text_frame(names, cells),
        file=file,
        lines=lines,
        sha256=payload.sha256,
        format="dataset-json",
        findings=(finding("I-FILE-FORMAT", source=file, detail=detail),),
        labels={name: str(entry["label"]) for name, entry in zip(names, columns, strict=True) if entry.get("label")},
    )


def _object(text: str) -> dict[str, Any] | None:
    """The JSON object of a line, None when the line is something else (a document over several lines)."""
    try:
        found = _loads(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _loads(text: str) -> Any:
    return json.loads(text, parse_constant=_no_constant, parse_float=_NumberText, parse_int=_NumberText)


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON value; missing values are null")


def _parsed(text: str, file: str, line: int) -> Any:
    try:
        return _loads(text)
    except json.JSONDecodeError as fault:
        at = line + fault.lineno - 1
        raise RefusedError(finding("E-FILE-DAMAGED", source=file, detail=f"JSON: {fault.msg}", lines=[at])) from None
    except (ValueError, RecursionError) as fault:
        detail = "nested too deeply" if isinstance(fault, RecursionError) else str(fault)
        raise RefusedError(finding("E-FILE-DAMAGED", source=file, detail=f"JSON: {detail}")) from None


def _columns(document: Any, file: str) -> list[dict[str, Any]]:
    """The descriptions of the columns, after a look at the version and the required keys."""
    if not isinstance(document, dict):
        raise RefusedError(finding("E-FILE-FORMAT", source=file, detail="Dataset-JSON is an object"))
    absent = [key for key in _REQUIRED if key not in document]
    if absent:
        detail = f"Dataset-JSON 1.1 without {', '.join(absent)}"
        raise RefusedError(finding("E-FILE-FORMAT", source=file, detail=detail))
    version = str(document[_VERSION])
    if version.rsplit(".", 1)[0] not in _VERSIONS and version not in _VERSIONS:
        detail = "Dataset-JSON of a version other than 1.1"
        raise RefusedError(finding("E-FILE-FORMAT", source=file, detail=detail))
    columns = document["columns"]
    sound = (
        isinstance(columns, list) and columns and all(isinstance(entry, dict) and "name" in entry for entry in columns)
    )
    if not sound:
        raise RefusedError(finding("E-FILE-FORMAT", source=file, detail="columns is no list of named columns"))
    return columns


def _rows(document: dict[str, Any]) -> tuple[list[Any], np.ndarray]:
    rows = document.get("rows", [])
    rows = rows if isinstance(rows, list) else []
    return rows, np.arange(1, len(rows) + 1, dtype=np.int64)


def _line_rows(text: str, file: str) -> tuple[list[Any], np.ndarray]:
    numbered = [(number, line) for number, line in enumerate(text.split("\n"), start=2) if line.strip()]
    rows = [_parsed(line, file, number) for number, line in numbered]
    return rows, np.array([number for number, _ in numbered], dtype=np.int64)


def _check(document: dict[str, Any], rows: list[Any], lines: np.ndarray, width: int, file: str) -> None:
    """Widths of the records, and their number against the declared one."""
    if not rows:
        raise RefusedError(finding("E-ROWS-NONE", source=file, detail=f"0 rows, {width} columns"))
    widths = np.array([len(row) if isinstance(row, list) else -1 for row in rows])
    faults = [
        finding(code, source=file, bad=int(mask.sum()), total=len(rows), lines=lines[mask])
        for code, mask in (("E-ROW-LONG", widths > width), ("E-ROW-SHORT", widths < width))
        if mask.any()
    ]
    if str(document["records"]) != str(len(rows)):
        detail = f"{len(rows)} records, {document['records']} declared in the file"
        faults.append(finding("E-FILE-DAMAGED", source=file, detail=detail))
    if faults:
        raise RefusedError(*faults)


def _cells(
    rows: list[Any], columns: list[dict[str, Any]], names: list[str], lines: np.ndarray, file: str
) -> list[list[str | None]]:
    """Each column as text; every column with values of another type than it declares is refused."""
    out: list[list[str | None]] = []
    faults = []
    for at, (entry, name) in enumerate(zip(columns, names, strict=True)):
        kind = str(entry.get("dataType", "string"))
        values = [row[at] for row in rows]
        bad = np.array([not _fits(value, kind) for value in values])
        if bad.any():
            detail = f"values that are no {kind}"
            faults.append(
                finding(
                    "E-VALUE-TEXT",
                    source=file,
                    column=name,
                    detail=detail,
                    bad=int(bad.sum()),
                    total=len(bad),
                    lines=lines[bad],
                )
            )
            continue
        out.append([_text(value) for value in values])
    if faults:
        raise RefusedError(*faults)
    return out


def _fits(value: Any, kind: str) -> bool:
    if value is None:
        return True
    if kind in _NUMBERS:
        return isinstance(value, _NumberText)
    if kind == "boolean":
        return isinstance(value, bool)
    if kind in _TEXT:
        return isinstance(value, str) and (kind == "decimal" or not isinstance(value, _NumberText))
    return False


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, bool):
        return None if value is None else str(value)
    if isinstance(value, _NumberText):
        # 65.0 and 65 are one number; integers beyond a float's precision keep every digit
        return str(value) if value.lstrip("-").isdigit() else number_text(float(value))
    return value
