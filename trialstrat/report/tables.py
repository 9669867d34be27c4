"""Tables of results into tables of text: formatting by the kind of a column, dashes with their reasons."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from string import ascii_lowercase

from trialstrat.report import format as fmt
from trialstrat.report.page import Cell, Head, Row, TableView
from trialstrat.results import Cell as Raw
from trialstrat.results import Column, Estimate, Table

Formatter = Callable[[float], str]
#: A count that is hidden only so that a smaller one cannot be computed.
WITHHELD = "withheld"


class Footnotes:
    """Reasons collected while a table is built: the same reason gets the same letter."""

    def __init__(self) -> None:
        self._reasons: list[str] = []

    def mark(self, reason: str) -> str:
        """The letter of a reason."""
        if reason not in self._reasons:
            self._reasons.append(reason)
        at = self._reasons.index(reason)
        return ascii_lowercase[at % 26] * (at // 26 + 1)

    def entries(self) -> tuple[tuple[str, str], ...]:
        """(letter, reason) in the order of appearance."""
        return tuple((self.mark(reason), fmt.sentence(reason)) for reason in self._reasons)


def text(value: Raw, *, header: bool = False, title: str = "", strong: bool = False) -> Cell:
    """A cell of words; an absent one is a dash."""
    return Cell(
        text=fmt.DASH if value is None or value == "" else str(value), header=header, title=title, strong=strong
    )


def missing(reason: str, notes: Footnotes) -> Cell:
    """A dash that says why: on hover and in a footnote."""
    return Cell(text=fmt.DASH, numeric=True, title=reason, mark=notes.mark(reason))


def value(raw: Raw, how: Formatter, reason: str = "", notes: Footnotes | None = None) -> Cell:
    """A number; a string in its place (a suppressed cell) is shown as it is."""
    if isinstance(raw, str) and raw:
        hidden = raw.startswith("<") or raw == WITHHELD
        title = "hidden: a small count is protected" if hidden else ""
        return Cell(text=fmt.marked(raw), numeric=True, title=title)
    if raw is None or raw == "" or not math.isfinite(float(raw)):
        return missing(reason, notes) if reason and notes else Cell(text=fmt.DASH, numeric=True, title=reason)
    return Cell(text=how(float(raw)), numeric=True)


def ranged(row: Mapping[str, Raw], keys: tuple[str, str, str], how: Formatter, reason: str, notes: Footnotes) -> Cell:
    """Value with interval from three cells of a record."""
    point, lower, upper = (row.get(key) for key in keys)
    if isinstance(point, str) and point:
        return value(point, how)
    if point is None or point == "":
        return missing(reason, notes)
    return Cell(text=fmt.interval(float(point), number_of(lower), number_of(upper), how), numeric=True)


def ratio(row: Mapping[str, Raw], reason: str, notes: Footnotes) -> Cell:
    """A hazard ratio with its interval; one close to 1 (per small unit of a covariate) gets the decimals it needs."""
    return ratio_of(row, ("hazard_ratio", "lower", "upper"), reason, notes)


def ratio_of(row: Mapping[str, Raw], keys: tuple[str, str, str], reason: str, notes: Footnotes) -> Cell:
    """The same by the columns of value and limits."""
    point, low, high = (number_of(row[key]) for key in keys)
    width = 0.0 if low is None or high is None else high - low
    places = 2 if point is None else fmt.ratio_places(point, width)
    return ranged(row, keys, lambda v: fmt.fixed(v, places), reason, notes)


def estimate(found: Estimate | None, how: Formatter, notes: Footnotes) -> Cell:
    """An estimate with its interval, or a dash with its reason."""
    if found is None:
        return missing("not computed in this run", notes)
    if found.status != "ok":
        return missing(found.reason, notes)
    return Cell(text=fmt.interval(found.value, found.lower, found.upper, how), numeric=True, title=found.method)


def number_of(raw: Raw) -> float | None:
    """A cell as a number; None for text, suppressed and missing cells."""
    return None if raw is None or isinstance(raw, str) else float(raw)


def heads(*columns: Head | str) -> tuple[tuple[Head, ...], ...]:
    """One row of column heads; plain strings are heads of words."""
    return (tuple(Head(text=column) if isinstance(column, str) else column for column in columns),)


def numeric(label: str, unit: str = "") -> Head:
    """Head of a column of numbers."""
    return Head(text=label, unit=unit, numeric=True)


def row(*cells: Cell, level: int = 0, muted: bool = False) -> Row:
    """A row whose first cell is its head."""
    return Row(cells=cells, level=level, muted=muted)


def divider(label: str, width: int) -> Row:
    """A heading that spans the table."""
    return Row(cells=(Cell(text=label, header=True, span=width),), divider=True)


def decimals(values: Iterable[Raw]) -> int:
    """Decimals that suit a column: none for whole numbers, more for small ones."""
    known = [abs(float(v)) for v in values if v is not None and not isinstance(v, str) and math.isfinite(float(v))]
    if not known or all(v.is_integer() for v in known):
        return 0
    largest = max(known)
    return 3 if largest < 1 else 2 if largest < 10 else 1


def formatter(column: Column, values: Sequence[Raw]) -> Formatter:
    """How the numbers of a column are written, by its kind."""
    if column.kind == "number":
        places = decimals(values)
        return lambda v: fmt.fixed(v, places)
    kinds: dict[str, Formatter] = {
        "count": fmt.count,
        "percent": fmt.percent,
        "p": fmt.p_value,
        "effect": fmt.effect,
    }
    return kinds.get(column.kind, fmt.number)


def view(table: Table, key: str, *, drop: Iterable[str] = (), caption: str = "", folded: str = "") -> TableView:
    """Any table as it stands, formatted by the kinds of its columns."""
    kept = [column for column in table.columns if column.key not in set(drop)]
    rows = []
    how = {column.key: formatter(column, table.column(column.key)) for column in kept}
    for record in table.records():
        cells = [
            text(record[column.key]) if column.kind == "text" else value(record[column.key], how[column.key])
            for column in kept
        ]
        rows.append(Row(cells=(_as_header(cells[0]), *cells[1:])))
    head = tuple(
        Head(text=column.label or column.key, unit=column.unit, numeric=column.kind != "text") for column in kept
    )
    return TableView(
        key=key, caption=caption or table.title, heads=(head,), rows=tuple(rows), note=table.note, folded=folded
    )


def _as_header(cell: Cell) -> Cell:
    return Cell(text=cell.text, numeric=cell.numeric, header=True, title=cell.title)
