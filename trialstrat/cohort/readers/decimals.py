# pyright: reportAttributeAccessIssue=false
# pyarrow.compute makes its functions when it is imported
"""Decimal commas: recognised only where no other reading is possible, refused where there are two."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from trialstrat.cohort.rules import RefusedError, finding
from trialstrat.protocol.model import Source

_COMMA = r"^\s*[-+]?\d*,\d+([eE][-+]?\d+)?\s*$"
_NUMBER = r"^\s*[-+]?(\d+|\d*,\d+)([eE][-+]?\d+)?\s*$"
#: What thousands look like too: one to three digits not starting with 0, a comma, exactly three digits.
_AMBIGUOUS = r"^\s*[-+]?[1-9]\d{0,2},\d{3}\s*$"

Columns = list[Any]


def with_points(columns: Columns, names: list[str], source: Source, delimiter: str, file: str) -> tuple[Columns, bool]:
    """Columns whose numbers are written with a point, and whether any had a comma.

    A column counts as decimal when each of its cells is a number with a point-free comma, empty, or a declared
    missing code.

    Raises
    ------
    RefusedError
        When undeclared commas can be thousands signs as well.
    """
    declared = source.decimal
    if declared == "." or (declared is None and delimiter == ","):
        return columns, False
    commas = [at for at, column in enumerate(columns) if _decimal_comma(column, source.missing)]
    if not commas:
        return columns, False
    if declared is None and all(_ambiguous(columns[at]) for at in commas):
        raise RefusedError(
            *(
                finding("E-DECIMAL", source=file, column=names[at], bad=_count(columns[at]), total=len(columns[at]))
                for at in commas
            )
        )
    changed = set(commas)
    return [_pointed(column) if at in changed else column for at, column in enumerate(columns)], True


def _decimal_comma(column: pa.ChunkedArray, missing: tuple[str, ...]) -> bool:
    """Whether every filled cell is a number and at least one has a comma."""
    empty = pa.array(["", *missing], type=column.type)
    filled = column.filter(pc.invert(pc.is_in(pc.utf8_trim_whitespace(column), value_set=empty)))
    if not len(filled) or pc.any(pc.match_substring(filled, ",")).as_py() is not True:
        return False
    return bool(pc.all(pc.match_substring_regex(filled, _NUMBER)).as_py())


def _ambiguous(column: pa.ChunkedArray) -> bool:
    """Whether every cell with a comma could be a thousands sign."""
    cells = column.filter(pc.match_substring_regex(column, _COMMA))
    return bool(pc.all(pc.match_substring_regex(cells, _AMBIGUOUS)).as_py())


def _count(column: pa.ChunkedArray) -> int:
    return int(pc.sum(pc.match_substring_regex(column, _COMMA)).as_py() or 0)


def _pointed(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.replace_substring(column, ",", ".")  # type: ignore[return-value]
