"""Tables of the search stage: the front, what its points say, everything tried, what each option moves."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from trialstrat.criteria.candidates import Valued, Valuer
from trialstrat.criteria.emulation import Emulation
from trialstrat.criteria.pool import coarse, shown_shift
from trialstrat.criteria.search import Judged as Point
from trialstrat.criteria.search import Search
from trialstrat.criteria.thresholds import Dimension
from trialstrat.disclosure.cells import is_small
from trialstrat.results import Cell, Column, Table
from trialstrat.subgroups.effect import Effect

Rows = list[tuple[Cell, ...]]


def shown_share(share: float, emulation: Emulation, cell: int) -> float:
    """A share of the pool as a multiple of the minimum cell: similar sets must not differ by a few patients.

    It is written as a share of everybody where few have an unknown confounder: what it is divided by shows in it.
    """
    whole = emulation.n + (emulation.lost if emulation.few_lost else 0)
    return 1.0 if share >= 1.0 else min(1.0, coarse(round(share * whole), cell) / whole)


def _numbers(found: Effect) -> tuple[float | None, ...]:
    return tuple(
        float(value) if np.isfinite(value) else None
        for scale in (found.relative, found.absolute)
        for value in (scale.value, scale.lower, scale.upper)
    )


def _three(key: str, label: str, kind: str) -> tuple[Column, ...]:
    return (
        Column(key=key, label=label, kind=kind),  # type: ignore[arg-type]
        Column(key=f"{key}_lower", label="Lower limit", kind=kind),  # type: ignore[arg-type]
        Column(key=f"{key}_upper", label="Upper limit", kind=kind),  # type: ignore[arg-type]
    )


def front_table(points: Sequence[Point], found: Search, current: Effect, emulation: Emulation, cell: int) -> Table:
    """The front, the pick and what is in force: in sample and held out."""
    rows: Rows = []
    none = (None,) * 6
    if found.current is not None:
        now = found.current
        rows.append(
            (
                "current",
                "As written",
                shown_share(now.pool, emulation, cell),
                *_numbers(current),
                None,
                *none,
                coarse(int(now.events), cell),
                shown_shift(now.representativeness),
                now.cost,
            )
        )
    for point in points:
        valued = point.valued
        rows.append(
            (
                point.name,
                "Proposed by the utility" if point.name == "pick" else "On the front",
                shown_share(valued.pool, emulation, cell),
                *_numbers(point.effect),
                shown_share(point.held_out_pool, emulation, cell),
                *_numbers(point.held_out),
                coarse(int(valued.events), cell),
                _distance(valued, found.current, emulation, cell),
                valued.cost,
            )
        )
    rounded = f" Shares and events are rounded to multiples of {cell} patients." if cell > 1 else ""
    return Table(
        name="search.front",
        title="Rule sets that no other one beats on every objective",
        columns=(
            Column(key="point", label="Point"),
            Column(key="label", label="Rule set"),
            Column(key="pool", label="Pool", kind="percent"),
            *_three("ratio", "Ratio, in sample", "effect"),
            *_three("difference", "Difference, in sample", "number"),
            Column(key="held_out_pool", label="Pool, held out", kind="percent"),
            *_three("held_out_ratio", "Ratio, held out", "effect"),
            *_three("held_out_difference", "Difference, held out", "number"),
            Column(key="events", label="Events", kind="number"),
            Column(key="shift", label="Distance from all patients", kind="number"),
            Column(key="cost", label="Cost per enrolled", kind="number"),
        ),
        rows=tuple(rows),
        note="In sample: chosen and judged on the same patients. Held out: searched without a fold (the best effect at "
        f"the same pool; the pick by the utility) and judged on that fold.{rounded}",
        protection="none",
    )


def rules_table(points: Sequence[Point], dimensions: Sequence[Dimension]) -> Table:
    """How every point writes every criterion."""
    rows = tuple(
        (point.name, entry.id, entry.options[option].label)
        for point in points
        for entry, option in zip(dimensions, point.valued.choice, strict=True)
    )
    return Table(
        name="search.rules",
        title="What each point of the front says",
        columns=(
            Column(key="point", label="Point"),
            Column(key="criterion", label="Criterion"),
            Column(key="option", label="Written as"),
        ),
        rows=rows,
        protection="none",
    )


def moves_table(valuer: Valuer, dimensions: Sequence[Dimension], cell: int) -> Table:
    """What every option of one criterion would do, all others as written: pool, events and effect."""
    emulation = valuer.emulation
    written = tuple(entry.start for entry in dimensions)
    moved = [
        (at, option)
        for at, entry in enumerate(dimensions)
        for option in range(len(entry.options))
        if option != entry.start
    ]
    choices = [(*written[:at], option, *written[at + 1 :]) for at, option in moved]
    now, *others = valuer.value([written, *choices])
    rows: Rows = [("", "as written", *_moved(now, now, emulation, cell))]
    rows += [
        (dimensions[at].id, dimensions[at].options[option].label, *_moved(found, now, emulation, cell))
        for (at, option), found in zip(moved, others, strict=True)
    ]
    rounded = f" Shares and events are rounded to multiples of {cell} patients." if cell > 1 else ""
    return Table(
        name="search.moves",
        title="What each criterion and each of its thresholds moves, everything else as written",
        columns=(
            Column(key="criterion", label="Criterion"),
            Column(key="option", label="Written as"),
            Column(key="pool", label="Pool", kind="percent"),
            Column(key="events", label="Events", kind="number"),
            Column(key="effect", label="Effect, in sample", kind="effect"),
            Column(key="change", label="Change of the effect", kind="effect"),
            Column(key="shift", label="Distance from all patients", kind="number"),
        ),
        rows=tuple(rows),
        note="In sample, without limits: a description of these patients, and no reason to choose. Effects and their "
        f"changes are ratios, or differences where the outcome is a number.{rounded}",
        protection="none",
    )


def _moved(found: Valued | None, now: Valued | None, emulation: Emulation, cell: int) -> tuple[float | None, ...]:
    """Pool, events, effect, its change and the distance; without numbers where the effect cannot be estimated."""
    if found is None:
        return (None,) * 5
    continuous = emulation.outcome.kind == "continuous"

    def shown(value: float) -> float:
        return float(f"{value if continuous else np.exp(value):.3g}")

    change = None if now is None else shown(found.effect - now.effect)
    pool, events = shown_share(found.pool, emulation, cell), float(coarse(int(found.events), cell))
    return pool, events, shown(found.effect), change, _distance(found, now, emulation, cell)


def _distance(found: Valued, now: Valued | None, emulation: Emulation, cell: int) -> float | None:
    """Distance from all patients; none where the set differs by a small number of patients from that in force."""
    few = now is not None and is_small(abs(round((found.pool - now.pool) * emulation.n)), cell)
    return None if few else shown_shift(found.representativeness)


def tried_table(found: Search, emulation: Emulation, cell: int) -> Table:
    """Every rule set that was valued, for the pale dots of the chart."""
    continuous = emulation.outcome.kind == "continuous"
    rows = {
        (shown_share(entry.pool, emulation, cell), float(f"{entry.effect if continuous else np.exp(entry.effect):.3g}"))
        for entry in found.tried
    }
    return Table(
        name="search.tried",
        title="Rule sets tried",
        columns=(
            Column(key="pool", label="Pool", kind="percent"),
            Column(key="effect", label="Effect, in sample", kind="effect"),
        ),
        rows=tuple(sorted(rows)),
        protection="none",
    )
