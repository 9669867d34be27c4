"""Survival curves whose every step stands for enough patients."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from trialstrat.disclosure.cells import as_number, has_column, rows_by, text_keys
from trialstrat.errors import DisclosureError
from trialstrat.results import Cell, Table

#: Fewest steps of the grid that the times of published curves lie on.
GRID = 250
#: Columns that a curve table brings along for its own protection; they never leave this package.
CURVE_HELPERS = ("at_risk", "events_since", "censored_since")


def is_marks(table: Table) -> bool:
    """Whether a curve table holds censoring marks (a count each) and not steps."""
    return has_column(table, "count")


def without_helpers(table: Table) -> Table:
    """A curve table without the columns that only serve its protection."""
    if table.protection != "curve":
        return table
    keep = [at for at, column in enumerate(table.columns) if column.key not in CURVE_HELPERS]
    return replace(
        table,
        columns=tuple(table.columns[at] for at in keep),
        rows=tuple(tuple(row[at] for at in keep) for row in table.rows),
    )


def pool_steps(table: Table, minimum: int) -> Table:
    """Steps pooled until each stands for ``minimum`` events; nothing where fewer than ``minimum`` are at risk.

    A pooled step stands at the next time of a grid, with the height of the curve there: the curve is exact on the
    grid, and no patient's own time is published.
    """
    if not has_column(table, "at_risk", "events_since"):
        raise DisclosureError(f"table {table.name} cannot be protected: a curve needs its numbers at risk and events")
    at_risk, events = table.index("at_risk"), table.index("events_since")
    step = grid_step(table)
    rows: list[tuple[Cell, ...]] = []
    for places in rows_by(table, *text_keys(table)).values():
        curve = _on_grid(table, [table.rows[place] for place in places], step)
        cut = next((at for at, row in enumerate(curve) if as_number(row[at_risk]) < minimum), len(curve))
        rows.extend(_pooled(curve[:cut], events, minimum))
    note = f"Steps stand for at least {minimum} events; cut where fewer than {minimum} are at risk."
    pooled = replace(table, rows=tuple(rows), note=f"{table.note} {note}".strip())
    return replace(without_helpers(pooled), protection="none")


def grid_step(table: Table) -> float:
    """Step of the grid of times: 1, 2 or 5 times a power of ten, at least ``GRID`` steps up to the last time."""
    return step_of(max((as_number(cell) for cell in table.column("time")), default=0.0))


def step_of(last: float) -> float:
    """The same for times up to ``last``."""
    if last <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(last / GRID))
    return max(factor * power for factor in (1, 2, 5) if factor * power <= last / GRID * (1 + 1e-9))


def to_grid(time: float, step: float) -> float:
    """The grid's first time that is not before ``time``."""
    return round(math.ceil(time / step - 1e-9) * step, 10)


def _on_grid(table: Table, curve: Sequence[tuple[Cell, ...]], step: float) -> list[tuple[Cell, ...]]:
    """Rows that share a time of the grid as one: the last of them, with all that happened since the row before."""
    time = table.index("time")
    sums = [at for at, column in enumerate(table.columns) if column.key in ("events_since", "censored_since")]
    out: list[tuple[Cell, ...]] = []
    for row in curve:
        cells = list(row)
        cells[time] = to_grid(as_number(row[time]), step)
        if out and cells[time] == out[-1][time]:
            for at in sums:
                cells[at] = as_number(cells[at]) + as_number(out[-1][at])
            out.pop()
        out.append(tuple(cells))
    return out


def _pooled(curve: Sequence[tuple[Cell, ...]], events: int, minimum: int) -> list[tuple[Cell, ...]]:
    """Time 0, the pooled steps, and the flat end of follow-up where there is one."""
    if not curve:
        return []
    steps = [row for row in curve[1:] if as_number(row[events]) > 0]
    kept = [curve[0], *(steps[last] for last, _ in full_bins([as_number(row[events]) for row in steps], minimum))]
    if len(kept) > 1 and as_number(curve[-1][events]) == 0:
        kept.append(curve[-1])
    return kept


def full_bins(sizes: Sequence[float], minimum: int) -> list[tuple[int, int]]:
    """Consecutive bins of about the same total, none below ``minimum``: position of the last entry, and the total.

    As many bins as the whole allows; none when the whole is smaller than ``minimum``.
    """
    whole = sum(sizes)
    wanted = int(whole // minimum)
    bins: list[tuple[int, int]] = []
    seen = taken = 0.0
    for at, size in enumerate(sizes):
        seen += size
        if seen - taken >= minimum and seen >= (len(bins) + 1) * whole / wanted - 1e-9:
            bins.append((at, int(seen - taken)))
            taken = seen
    if bins and seen > taken:  # ties left too little for a bin of its own
        bins[-1] = (len(sizes) - 1, bins[-1][1] + int(seen - taken))
    return bins


def pool_marks(table: Table, curve: Table | None, minimum: int) -> Table:
    """Censoring marks pooled to at least ``minimum`` patients and put on the pooled curve."""
    if curve is None:
        raise DisclosureError(f"table {table.name} cannot be protected: the curve it belongs to is not in the result")
    time, count, height = table.index("time"), table.index("count"), table.index("survival")
    drawn_time, drawn_height = curve.column("time"), curve.column("survival")
    steps = rows_by(curve, *text_keys(curve))
    rows: list[tuple[Cell, ...]] = []
    step = grid_step(curve)
    for key, places in rows_by(table, *text_keys(table)).items():
        drawn = [(as_number(drawn_time[place]), drawn_height[place]) for place in steps.get(key, [])]
        end = max((at for at, _ in drawn), default=-1.0)
        marks = [table.rows[place] for place in places if as_number(table.rows[place][time]) <= end]
        for last, total in full_bins([as_number(mark[count]) for mark in marks], minimum):
            mark = list(marks[last])
            mark[time] = to_grid(as_number(mark[time]), step)
            mark[height] = [level for at, level in drawn if at <= as_number(mark[time])][-1]
            mark[count] = total
            rows.append(tuple(mark))
    note = f"Marks stand for at least {minimum} censored patients."
    return replace(without_helpers(table), rows=tuple(rows), note=f"{table.note} {note}".strip(), protection="none")
