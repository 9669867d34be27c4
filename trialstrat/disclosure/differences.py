"""Counts of two published runs that differ by so few that their difference is a small cell.

Each run alone shows no count below the minimum. Two that count nearly the same patients do, once one is taken from the
other: a patient who was added, corrected or excluded in between stands there alone.

References
----------
Hundepool A et al. Statistical Disclosure Control. Wiley 2012, section 4.2 (linked tables and differencing).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from trialstrat.disclosure.cells import has_column, is_small, rows_by, text_keys
from trialstrat.results import Cell, Estimate, StageResult, Table

#: Units of estimates whose value is itself a count of patients.
_COUNTS = ("patients", "events")
#: Columns of numbers that say what a row is about.
_TIMES = ("time",)


def small_differences(ours: Iterable[StageResult], theirs: Iterable[StageResult], minimum: int) -> tuple[str, ...]:
    """Names of estimates and tables with a count that differs by 1 to ``minimum - 1`` from the same count before.

    Counts are the same when they have one name: the estimate's, or the table's with the cells of the row that are no
    counts. Counts that either run withheld are not known and not compared. No count is returned, only where they are.
    """
    found = dict.fromkeys(_estimates(ours, theirs, minimum))
    before = {table.name: table for stage in theirs for table in stage.tables}
    for stage in ours:
        for table in stage.tables:
            other = before.get(table.name)
            if other is not None and _differ(table, other, minimum):
                found[table.name] = None
    return tuple(found)


def _estimates(ours: Iterable[StageResult], theirs: Iterable[StageResult], minimum: int) -> Iterator[str]:
    before = {entry.name: entry for stage in theirs for entry in stage.estimates}
    for stage in ours:
        for entry in stage.estimates:
            other = before.get(entry.name)
            if other is None:
                continue
            pairs = zip(_counts(entry), _counts(other), strict=True)
            if any(_close(first, second, minimum) for first, second in pairs):
                yield entry.name


def _counts(entry: Estimate) -> tuple[Cell, ...]:
    value = entry.value if entry.unit in _COUNTS and entry.status == "ok" else None
    return (entry.n, entry.events, value)


def _differ(table: Table, other: Table, minimum: int) -> bool:
    counted = [column.key for column in table.columns if column.kind == "count"]
    if not counted or any(not has_column(other, key) for key in counted):
        return False
    places, before = _rows(table), _rows(other)
    ours, theirs = table.records(), other.records()
    return any(
        _close(ours[here][key], theirs[there][key], minimum)
        for name, rows in places.items()
        # rows of one name, as bars of a histogram, stand in one order
        for here, there in zip(rows, before.get(name, ()), strict=False)
        for key in counted
    )


def _rows(table: Table) -> Mapping[tuple[Cell, ...], Sequence[int]]:
    """Rows by what they are about: their texts, and the time where they have one."""
    return rows_by(table, *text_keys(table), *_TIMES)


def _close(first: Cell | None, second: Cell | None, minimum: int) -> bool:
    numbers = isinstance(first, int | float) and isinstance(second, int | float)
    return numbers and is_small(abs(float(first) - float(second)), minimum)  # type: ignore[arg-type]
