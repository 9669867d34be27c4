"""From the stored survival tables to curves, and to the table of numbers that stands behind each figure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from trialstrat.report import format as fmt
from trialstrat.report import tables
from trialstrat.report.figures.curves import Curve, Step
from trialstrat.report.figures.theme import STYLES
from trialstrat.report.page import Head, TableView
from trialstrat.results import Cell, Table

Record = Mapping[str, Cell]
MEASURES = ("at_risk", "events", "censored")


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where the curves of one figure stand: ``key`` is the column that names the group, ``medians`` are estimates.

    ``exact`` are points of the curves that estimates give away anyhow (survival at the horizon): a pooled curve goes
    through them, so that the drawing agrees with the text.
    """

    km: Table
    at_risk: Table
    key: str
    censoring: Table | None = None
    only: Mapping[str, str] | None = None
    medians: Mapping[str, float] = field(default_factory=dict)
    exact: Mapping[str, Step] = field(default_factory=dict)

    def rows(self, table: Table) -> list[Record]:
        """The rows of this figure."""
        chosen = self.only or {}
        return [r for r in table.records() if all(str(r.get(k)) == v for k, v in chosen.items())]


def time_ticks(source: Source) -> tuple[float, ...]:
    """The times at which patients at risk are counted, as far as any curve goes."""
    found = sorted({float(row["time"]) for row in source.rows(source.at_risk)})  # type: ignore[arg-type]
    ends = [float(row["time"]) for row in source.rows(source.km)]  # type: ignore[arg-type]
    last = max(ends, default=0.0)
    kept = [tick for tick in found if tick < last]
    return (*kept, *[tick for tick in found if tick >= last][:1]) or (0.0, max(last, 1.0))


def curves(
    source: Source, order: Sequence[str], minimum: int, styles: Sequence[int] = tuple(range(STYLES))
) -> list[Curve]:
    """One curve per group, in the order given (others follow), cut where too few are at risk."""
    rows, risk = source.rows(source.km), source.rows(source.at_risk)
    present = list(dict.fromkeys(str(row[source.key]) for row in rows))
    names = [name for name in order if name in present] + [name for name in present if name not in order]
    out = []
    for style, name in enumerate(names):
        mine = [row for row in rows if str(row[source.key]) == name]
        counted = [row for row in risk if str(row[source.key]) == name]
        stop = _stop(counted, minimum)
        steps = tuple(
            (
                float(row["time"]),  # type: ignore[arg-type]
                float(row["survival"]),  # type: ignore[arg-type]
                tables.number_of(row["lower"]),
                tables.number_of(row["upper"]),
            )
            for row in mine
            if row["survival"] is not None and float(row["time"]) <= stop  # type: ignore[arg-type]
        )
        last = max((float(row["time"]) for row in mine), default=0.0)  # type: ignore[arg-type]
        end = min(stop, max(last, _last_tick(counted)))
        if minimum > 1 and name in source.exact and source.exact[name][0] < end:
            steps = tuple(sorted({step[0]: step for step in (*steps, source.exact[name])}.values()))
        steps = (*steps, (end, *steps[-1][1:])) if end > steps[-1][0] else steps
        out.append(
            Curve(
                label=str(mine[0].get("label") or name),
                style=styles[style % len(styles)],
                steps=steps,
                censored=_censored(source, name, end),
                pooled=minimum > 1,
                known_median=source.medians.get(name),
                risk={float(row["time"]): _counts(row, minimum) for row in counted},  # type: ignore[arg-type]
            )
        )
    return out


def _last_tick(counted: Sequence[Record]) -> float:
    """The last time at which enough patients were at risk for the curve still to stand."""
    return max((float(row["time"]) for row in counted if tables.number_of(row["at_risk"])), default=0.0)  # type: ignore[arg-type]


def _stop(counted: Sequence[Record], minimum: int) -> float:
    """The first counted time with fewer than the minimum at risk; infinity when there is none."""
    few = [float(row["time"]) for row in counted if _is_few(row["at_risk"], minimum)]  # type: ignore[arg-type]
    return min(few, default=float("inf"))


def _is_few(raw: Cell, minimum: int) -> bool:
    """Whether a number at risk is below the minimum, counted or hidden for that; what is withheld may be larger."""
    known = tables.number_of(raw)
    return known < minimum if known is not None else str(raw or "").startswith("<")


def _censored(source: Source, name: str, end: float) -> tuple[float, ...]:
    """Times of the censoring marks, as far as the curve goes."""
    if source.censoring is None:
        return ()
    rows = [row for row in source.censoring.records() if str(row.get(source.key, row.get("arm"))) == name]
    times = (tables.number_of(row["time"]) for row in rows)
    return tuple(time for time in times if time is not None and time <= end)


def _counts(row: Record, minimum: int) -> tuple[str, str, str]:
    return tuple(shown_count(row[measure], minimum) for measure in MEASURES)  # type: ignore[return-value]


def shown_count(raw: Cell, minimum: int) -> str:
    """A count as text; what was suppressed before it was stored reads ``< 11``."""
    if isinstance(raw, str):
        return fmt.marked(raw)
    return fmt.suppressed(minimum) if raw is None else fmt.count(float(raw))


def pooling(minimum: int) -> str:
    """The sentence that says how a protected curve is to be read."""
    if minimum <= 1:
        return ""
    return (
        f"To protect patients each step stands for at least {minimum} events; the curve is exact where the table of "
        "its numbers says so, and drawn with its steps midway between these times."
    )


def numbers(source: Source, shown: Sequence[Curve], *, key: str, unit: str, first: str) -> tuple[TableView, ...]:
    """The numbers behind a figure: where each curve is exact, and the counts below the axis."""
    head = tables.heads(first, tables.numeric("Time", unit), tables.numeric("Share (95% interval)"))
    rows = [
        tables.row(
            tables.text(curve.label, header=True),
            tables.value(step[0], lambda v: fmt.fixed(v, 1)),
            tables.value(fmt.interval(step[1], step[2], step[3], fmt.percent), fmt.percent),
        )
        for curve in shown
        for step in thinned(curve.steps)
    ]
    counted = [
        tables.row(
            tables.text(curve.label, header=True),
            tables.value(tick, fmt.number),
            *(tables.value(entry, fmt.count) for entry in counts),
        )
        for curve in shown
        for tick, counts in curve.risk.items()
    ]
    below = (Head(text=word, numeric=True) for word in ("At risk", "Events", "Censored"))
    return (
        TableView(key=f"{key}-curve", caption="The curves", heads=head, rows=tuple(rows), note=source.km.note),
        TableView(
            key=f"{key}-counts",
            caption="The counts below the axis",
            heads=tables.heads(first, tables.numeric("Time", unit), *below),
            rows=tuple(counted),
            note=source.at_risk.note,
        ),
    )


def thinned(steps: Sequence[Step], most: int = 40) -> list[Step]:
    """Every k-th step and the last, so that a table stays readable."""
    every = max(1, -(-len(steps) // most))
    kept = list(steps[::every])
    return kept if kept[-1] == steps[-1] else [*kept, steps[-1]]
