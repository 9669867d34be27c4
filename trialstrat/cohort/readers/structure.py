"""Where the rows of a delimited text are, found on the bytes: widths, first lines, open quotes, cuts."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trialstrat.cohort.rules import RefusedError, finding
from trialstrat.results import Finding

LONGEST_FIELD = 65_536
_QUOTE, _NEWLINE = 34, 10


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Structure:
    """The non-blank rows of a text: line where each starts and its number of fields.

    ``parsed`` holds the fields themselves when the quotes are too irregular for a parser that reads ahead.
    """

    lines: NDArray[np.int64]
    widths: NDArray[np.int64]
    parsed: list[list[str]] | None = None


def scan(data: bytes, delimiter: str, file: str) -> Structure:
    """Find the rows of a text with ``LF`` line ends.

    Raises
    ------
    RefusedError
        When a quote is never closed or a field is absurdly long.
    """
    if not data.endswith(b"\n"):
        data = data + b"\n"
    bytes_ = np.frombuffer(data, dtype=np.uint8)
    separators = (bytes_ == ord(delimiter)) | (bytes_ == _NEWLINE)
    quotes = bytes_ == _QUOTE
    if quotes.any():
        inside = np.logical_xor.accumulate(quotes)
        if _irregular(bytes_, quotes, inside, ord(delimiter)):
            return _scan_slowly(data, delimiter, file)
        if inside[-1]:
            raise RefusedError(finding("E-ROW-QUOTE", source=file, lines=[_opening_line(bytes_, quotes, inside)]))
        separators &= ~inside
    return _rows(bytes_, np.flatnonzero(separators), file)


def _rows(bytes_: NDArray[np.uint8], at: NDArray[np.int64], file: str) -> Structure:
    """Rows from the places of all separators outside quotes."""
    ends_row = bytes_[at] == _NEWLINE
    last = np.flatnonzero(ends_row)
    widths = np.diff(np.concatenate(([-1], last)))
    ends = at[last]
    starts = np.concatenate(([0], ends[:-1] + 1))
    newlines = np.flatnonzero(bytes_ == _NEWLINE)
    lines = np.searchsorted(newlines, starts) + 1
    lengths = np.diff(np.concatenate(([-1], at))) - 1
    if lengths.max(initial=0) > LONGEST_FIELD:
        line = int(np.searchsorted(newlines, at[int(lengths.argmax())]) + 1)
        raise RefusedError(finding("E-FIELD-LONG", source=file, lines=[line]))
    filled = ends > starts
    return Structure(lines=lines[filled].astype(np.int64), widths=widths[filled].astype(np.int64))


def _irregular(bytes_: NDArray[np.uint8], quotes: NDArray[np.bool_], inside: NDArray[np.bool_], delimiter: int) -> bool:
    """Whether a quote stands inside a field: only there does the meaning of quotes depend on the parser."""
    at = np.flatnonzero(quotes)
    opening = inside[at]
    before = np.concatenate(([_NEWLINE], bytes_))[at]
    after = np.concatenate((bytes_, [_NEWLINE]))[at + 1]
    edge = (_QUOTE, _NEWLINE, delimiter)
    return not (np.isin(before[opening], edge).all() and np.isin(after[~opening], edge).all())


def _opening_line(bytes_: NDArray[np.uint8], quotes: NDArray[np.bool_], inside: NDArray[np.bool_]) -> int:
    """The line of the quote that stays open: the first quoted text that runs over a line end."""
    newlines = np.flatnonzero(bytes_ == _NEWLINE)
    swallowed = newlines[inside[newlines]]
    end = swallowed[0] if len(swallowed) else len(bytes_)
    opened = np.flatnonzero(quotes[:end])[-1]
    return int(np.searchsorted(newlines, opened) + 1)


def _scan_slowly(data: bytes, delimiter: str, file: str) -> Structure:
    """Row by row with the standard parser, which knows quotes inside fields; strict, so that open ones are seen."""
    lines: list[int] = []
    rows: list[list[str]] = []
    reader = csv.reader(io.StringIO(data.decode("utf-8"), newline=""), delimiter=delimiter, strict=True)
    start = 1
    try:
        for row in reader:
            if any(len(cell) > LONGEST_FIELD for cell in row):
                raise RefusedError(finding("E-FIELD-LONG", source=file, lines=[start]))
            if row:
                lines.append(start)
                rows.append(row)
            start = reader.line_num + 1
    except csv.Error as fault:
        code = "E-FIELD-LONG" if "field larger" in str(fault) else "E-ROW-QUOTE"
        raise RefusedError(finding(code, source=file, lines=[start])) from None
    widths = np.array([len(row) for row in rows], dtype=np.int64)
    return Structure(lines=np.array(lines, dtype=np.int64), widths=widths, parsed=rows)


def width_findings(structure: Structure, cut: bool, file: str) -> tuple[Finding, ...]:
    """Rows that are wider or narrower than the header. ``cut``: the text has no line end after its last row."""
    header, widths, lines = int(structure.widths[0]), structure.widths[1:], structure.lines[1:]
    total = len(widths)
    if total and (widths == header + 1).all():
        detail = f"header {header} names, rows {header + 1} fields"
        return (finding("E-ROW-TRAILING", source=file, detail=detail, bad=total, total=total, lines=lines),)
    long, short = widths > header, widths < header
    found: list[Finding] = []
    if total and cut and short[-1]:
        detail = f"{int(widths[-1])} of {header} fields"
        found.append(finding("E-ROW-CUT", source=file, detail=detail, lines=lines[-1:]))
        short = short.copy()
        short[-1] = False
    for code, mask in (("E-ROW-LONG", long), ("E-ROW-SHORT", short)):
        if mask.any():
            found.append(finding(code, source=file, bad=int(mask.sum()), total=total, lines=lines[mask]))
    return tuple(found)
