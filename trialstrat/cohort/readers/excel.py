"""Excel workbooks: one sheet, the values as typed, dates as ISO dates."""

from __future__ import annotations

import datetime as dt
import io
import zipfile
from typing import Any

import numpy as np
import openpyxl

from trialstrat.cohort.readers.table import Payload, RawTable, checked_names, number_text, text_frame
from trialstrat.cohort.rules import RefusedError, finding
from trialstrat.protocol.model import Source
from trialstrat.results import Finding


def is_workbook(data: bytes) -> bool:
    """Whether the bytes are an Office Open XML archive."""
    return data[:4] == b"PK\x03\x04" and b"[Content_Types].xml" in data


def read_excel(payload: Payload, source: Source) -> RawTable:
    """Read one sheet of a workbook as text; line numbers are the sheet's row numbers.

    Raises
    ------
    RefusedError
        When the workbook is damaged, has no such sheet, or holds formula errors.
    """
    file = payload.name
    try:
        book = openpyxl.load_workbook(io.BytesIO(payload.data), read_only=True, data_only=True)
        if source.sheet is not None and source.sheet not in book.sheetnames:
            detail = f"no sheet {source.sheet!r}; it has {', '.join(book.sheetnames)}"
            raise RefusedError(finding("E-FILE-READ", source=file, detail=detail))
        if source.sheet is None and len(book.sheetnames) > 1:
            detail = f"{len(book.sheetnames)} sheets ({', '.join(book.sheetnames[:5])}); declare sheet:"
            raise RefusedError(finding("E-FILE-READ", source=file, detail=detail))
        sheet = book[source.sheet or book.sheetnames[0]]
        rows = [tuple(row) for row in sheet.iter_rows(values_only=True)]
    except (zipfile.BadZipFile, KeyError, ValueError, OSError, AttributeError) as fault:
        raise RefusedError(finding("E-FILE-DAMAGED", source=file, detail=str(fault)[:80])) from None
    return _table(rows, payload)


def _table(rows: list[tuple[Any, ...]], payload: Payload) -> RawTable:
    file = payload.name
    filled = [at for at, row in enumerate(rows) if any(cell is not None for cell in row)]
    if not filled:
        raise RefusedError(finding("E-FILE-EMPTY", source=file))
    header = rows[filled[0]]
    width = max(len(rows[at]) for at in filled)
    cells = [list(rows[at]) + [None] * (width - len(rows[at])) for at in filled[1:]]
    names = ["" if cell is None else str(_text(cell)) for cell in (*header, *[None] * (width - len(header)))]
    keep = [at for at in range(width) if names[at].strip() or any(row[at] is not None for row in cells)]
    checked = checked_names([names[at] for at in keep], file)
    if not cells:
        raise RefusedError(finding("E-ROWS-NONE", source=file, detail=f"0 rows, {len(checked)} columns"))
    lines = np.array(filled[1:], dtype=np.int64) + 1
    columns = [[_text(row[at]) for row in cells] for at in keep]
    faults = [
        fault for column, name in zip(columns, checked, strict=True) for fault in _errors(column, name, lines, file)
    ]
    if faults:
        raise RefusedError(*faults)
    note = finding("I-FILE-FORMAT", source=file, detail="Excel; lines are the sheet's rows")
    return RawTable(
        frame=text_frame(checked, columns),
        file=file,
        lines=lines,
        sha256=payload.sha256,
        format="excel",
        findings=(note,),
    )


def _errors(column: list[str | None], name: str, lines: np.ndarray, file: str) -> list[Finding]:
    """Cells such as #DIV/0! and #N/A are failed computations, not values."""
    mask = np.array([cell is not None and cell.startswith("#") and cell.rstrip("!?").isupper() for cell in column])
    if not mask.any():
        return []
    bad = int(mask.sum())
    return [
        finding(
            "E-VALUE-TEXT",
            source=file,
            column=name,
            detail="spreadsheet errors",
            bad=bad,
            total=len(column),
            lines=lines[mask],
        )
    ]


def _text(cell: Any) -> str | None:
    if cell is None or isinstance(cell, str):
        return cell
    if isinstance(cell, bool):
        return str(cell)
    if isinstance(cell, int | float):
        return number_text(cell)
    if isinstance(cell, dt.datetime):
        return cell.date().isoformat() if cell.time() == dt.time() else cell.isoformat(sep="T")
    return cell.isoformat() if isinstance(cell, dt.date | dt.time) else str(cell)
