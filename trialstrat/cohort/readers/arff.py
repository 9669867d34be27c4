"""Attribute-relation files (Weka), the format of scikit-survival's data sets: header of attributes, rows of values."""

from __future__ import annotations

import csv
import re

import numpy as np

from trialstrat.cohort.readers.table import Payload, RawTable, checked_names, text_frame
from trialstrat.cohort.rules import RefusedError, finding

_ATTRIBUTE = re.compile(r"@attribute\s+(?:'([^']*)'|\"([^\"]*)\"|(\S+))\s+(.+)", re.IGNORECASE)


def is_arff(data: bytes) -> bool:
    """Whether the first line that is no comment declares a relation."""
    for line in data[:65_536].decode("utf-8", "replace").splitlines():
        if line.strip() and not line.lstrip().startswith("%"):
            return line.strip().lower().startswith("@relation")
    return False


def read_arff(payload: Payload) -> RawTable:
    """Read a dense ARFF file as text; ``?`` is missing.

    Raises
    ------
    RefusedError
        When it is not UTF-8, has no data, or a row does not have one value per attribute.
    """
    file = payload.name
    try:
        text = payload.data.decode("utf-8")
    except UnicodeDecodeError as fault:
        raise RefusedError(finding("E-FILE-ENCODING", source=file, detail=f"not UTF-8 at byte {fault.start}")) from None
    names: list[str] = []
    rows: list[list[str]] = []
    lines: list[int] = []
    in_data = False
    for number, line in enumerate(text.splitlines(), start=1):
        stripped = line.strip()
        if not stripped or stripped.startswith("%"):
            continue
        if in_data:
            rows.append(_cells(stripped))
            lines.append(number)
        elif match := _ATTRIBUTE.match(stripped):
            names.append(next(part for part in match.groups()[:3] if part is not None))
        else:
            in_data = stripped.lower().startswith("@data")
    at = np.array(lines, dtype=np.int64)
    _check(rows, names, at, file)
    columns = [[None if cell == "?" else cell for cell in column] for column in zip(*rows, strict=True)]
    names = checked_names(names, file)
    note = finding("I-FILE-FORMAT", source=file, detail="ARFF")
    return RawTable(
        frame=text_frame(names, columns), file=file, lines=at, sha256=payload.sha256, format="arff", findings=(note,)
    )


def _cells(line: str) -> list[str]:
    quote = '"' if '"' in line and "'" not in line else "'"
    return [cell.strip() for cell in next(csv.reader([line], quotechar=quote, skipinitialspace=True))]


def _check(rows: list[list[str]], names: list[str], lines: np.ndarray, file: str) -> None:
    if not rows:
        raise RefusedError(finding("E-ROWS-NONE", source=file, detail=f"0 rows, {len(names)} columns"))
    widths = np.array([len(row) for row in rows])
    faults = [
        finding(code, source=file, bad=int(mask.sum()), total=len(rows), lines=lines[mask])
        for code, mask in (("E-ROW-LONG", widths > len(names)), ("E-ROW-SHORT", widths < len(names)))
        if mask.any()
    ]
    if faults:
        raise RefusedError(*faults)
