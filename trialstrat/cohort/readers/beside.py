"""What a molecular file says beside the values that are used: comments, names, annotation columns, as text.

Nothing of it is analysed. It is kept until the door has looked at it for identifiers of persons.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from trialstrat.cohort.readers.table import text_frame

#: Rows whose annotation is looked at cell by cell; addresses of e-mail are looked for in all of them.
LOOKED_AT = 20_000
_RUNS = 40
_MOST_COMMENTS, _LONGEST = 10_000, 4_000
_MOST_SIGNS = 100_000
_EMAIL = re.compile(rb"[\w.+-]+@[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9-]+)*\.[A-Za-z]{2,24}\b")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Beside:
    """``comments`` with their lines; ``frame`` of text columns (all rows or an even sample) with ``lines`` (n,).

    ``id_column`` holds ids of samples, which may be any code. ``mails`` are lines with an address of e-mail,
    ``names_line`` is the line of the column names.
    """

    comments: tuple[tuple[int, str], ...] = ()
    frame: pd.DataFrame = field(default_factory=pd.DataFrame)
    lines: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    id_column: str = ""
    mails: tuple[int, ...] = ()
    names_line: int = 1


def comments_of(data: bytes, mark: bytes = b"#") -> tuple[tuple[int, str], ...]:
    """The lines that a file starts with and that begin with ``mark``, by number and without control characters."""
    found: list[tuple[int, str]] = []
    start = 3 if data.startswith(b"\xef\xbb\xbf") else 0
    while data.startswith(mark, start) and len(found) < _MOST_COMMENTS:
        end = data.find(b"\n", start)
        end = len(data) if end < 0 else end
        found.append((len(found) + 1, data[start : min(end, start + _LONGEST)].decode("utf-8", "replace").strip()))
        start = end + 1
    return tuple(found)


def sampled(body: bytes, header: Sequence[str], skipped: int, delimiter: str = "\t") -> tuple[pd.DataFrame, NDArray]:
    """The columns of a table as text, with line numbers: every row, or evenly spread runs of a long table."""
    total = body.count(b"\n")
    spans = [(body.find(b"\n") + 1, len(body))] if total <= LOOKED_AT else _spans(body)
    rows: list[list[str]] = []
    lines: list[int] = []
    at, number = 0, skipped + 1
    for start, end in spans:
        number, at = number + body.count(b"\n", at, start), start
        texts = body[start:end].decode("utf-8", "replace").split("\n")
        for offset, text in enumerate(texts[: LOOKED_AT if len(spans) == 1 else LOOKED_AT // _RUNS]):
            if text:
                rows.append(text.split(delimiter))
                lines.append(number + offset)
    width = len(header)
    kept = [(row, line) for row, line in zip(rows, lines, strict=True) if len(row) == width]
    columns = [[row[place] for row, _ in kept] for place in range(width)]
    return text_frame(distinct(header), columns), np.array([line for _, line in kept], dtype=np.int64)


def _spans(body: bytes) -> list[tuple[int, int]]:
    """Evenly spread runs of whole lines, long enough for their share of the rows where lines are of usual length."""
    share = len(body) // _RUNS
    length = max(1, len(body) // max(1, body.count(b"\n")))
    spans: list[tuple[int, int]] = []
    for run in range(_RUNS):
        start = body.find(b"\n", run * share) + 1
        end = body.rfind(b"\n", start, min(start + 2 * length * LOOKED_AT // _RUNS, (run + 1) * share))
        if start > 0 and end > start:
            spans.append((start, end))
    return spans


def distinct(names: Sequence[str]) -> list[str]:
    """Names of columns that nobody checked: without blanks, and with their place where one is there twice."""
    trimmed = [name.strip() or "(blank)" for name in names]
    return [name if name not in trimmed[:at] else f"{name} ({at + 1})" for at, name in enumerate(trimmed)]


def mail_lines(data: bytes) -> tuple[int, ...]:
    """Numbers of the lines with an address of e-mail, whatever column it stands in."""
    found: list[int] = []
    at, seen, number = data.find(b"@"), 0, 1
    counted = 0
    while at >= 0 and seen < _MOST_SIGNS:
        if _EMAIL.search(data, max(0, at - 64), at + 256):
            number, counted = number + data.count(b"\n", counted, at), at
            if not found or found[-1] != number:
                found.append(number)
        at, seen = data.find(b"@", at + 1), seen + 1
    return tuple(found)


def of_columns(columns: Mapping[str, Sequence[str]], lines: NDArray[np.int64]) -> tuple[pd.DataFrame, NDArray]:
    """Whole columns of text with their lines."""
    return text_frame(list(columns), [list(cells) for cells in columns.values()]), lines
