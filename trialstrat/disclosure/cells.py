"""Small questions about cells and tables that both kinds of protection ask."""

from __future__ import annotations

from collections import defaultdict

from trialstrat.results import Cell, Table


def is_small(value: object, minimum: int) -> bool:
    """Whether a value is a count that must not be shown: above 0 and below ``minimum``."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value < minimum


def as_number(cell: Cell) -> float:
    """The number in a cell, 0 where there is none."""
    return float(cell) if isinstance(cell, (int, float)) else 0.0


def has_column(table: Table, *keys: str) -> bool:
    """Whether a table has all these columns."""
    return set(keys) <= {column.key for column in table.columns}


def rows_by(table: Table, *keys: str) -> dict[tuple[Cell, ...], list[int]]:
    """Row numbers that share their cells in the columns ``keys`` (absent columns count as one value), in order."""
    at = [place for place, column in enumerate(table.columns) if column.key in keys]
    groups: dict[tuple[Cell, ...], list[int]] = defaultdict(list)
    for row, cells in enumerate(table.rows):
        groups[tuple(cells[place] for place in at)].append(row)
    return groups


def text_keys(table: Table) -> tuple[str, ...]:
    """Keys of the text columns: what tells one curve from another."""
    return tuple(column.key for column in table.columns if column.kind == "text")
