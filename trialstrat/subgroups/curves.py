"""Kaplan-Meier curves as tables: steps, numbers under the curve, censoring marks; one shape for every stage."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trialstrat.protocol.units import natural_times
from trialstrat.results import Cell, Column, Table
from trialstrat.stats.survival import SurvivalCurve, kaplan_meier

#: Limits of every curve in a report.
CONF_TYPE = "log-log"
CURVE_METHOD = "Kaplan-Meier, pointwise limits on the log-log scale"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DrawnCurve:
    """A curve with the text cells that name it (one per key column)."""

    keys: tuple[Cell, ...]
    curve: SurvivalCurve


def draw(
    keys: tuple[Cell, ...],
    time: NDArray[np.float64],
    event: NDArray[np.int64],
    *,
    entry: NDArray[np.float64] | None,
    level: float,
) -> DrawnCurve:
    """The Kaplan-Meier curve of some patients."""
    curve = kaplan_meier(time, event, entry=entry, conf_type=CONF_TYPE, level=level)
    return DrawnCurve(keys=keys, curve=curve)


def km_table(name: str, title: str, key_columns: Sequence[Column], curves: Iterable[DrawnCurve], note: str) -> Table:
    """Step values from time 0: a row per event time and one at the end of follow-up.

    The helper columns ``at_risk``, ``events_since`` and ``censored_since`` (since the row before) let disclosure
    control pool the steps; it drops them.
    """
    rows = [(*drawn.keys, *step) for drawn in curves for step in _steps(drawn.curve)]
    columns = (
        *key_columns,
        Column(key="time", label="Time", kind="number"),
        Column(key="survival", label="Survival", kind="percent"),
        Column(key="lower", label="Lower limit", kind="percent"),
        Column(key="upper", label="Upper limit", kind="percent"),
        Column(key="at_risk", label="At risk", kind="count"),
        Column(key="events_since", label="Events", kind="count"),
        Column(key="censored_since", label="Censored", kind="count"),
    )
    return Table(name=name, title=title, columns=columns, rows=tuple(rows), note=note, protection="curve")


def _steps(curve: SurvivalCurve) -> list[tuple[Cell, ...]]:
    start = int(curve.at([0.0]).n_risk[0]) if not len(curve.entry) else int(curve.n_risk[0])
    rows: list[tuple[Cell, ...]] = [(0.0, 1.0, 1.0, 1.0, start, 0, 0)]
    censored = 0
    last = len(curve.time) - 1
    for at, time in enumerate(curve.time):
        censored += int(curve.n_censor[at])
        events = int(curve.n_event[at])
        if time == 0.0 and events == 0:
            continue
        if events or at == last:
            limits = (_known(curve.lower[at]), _known(curve.upper[at]))
            value = float(curve.survival[at])
            rows.append((float(time), value, *limits, int(curve.n_risk[at]), events, censored))
            censored = 0
    return rows


def _known(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def at_risk_table(
    name: str, title: str, key_columns: Sequence[Column], curves: Sequence[DrawnCurve], *, unit: str, note: str
) -> Table:
    """Numbers at risk just before, and events and censorings up to, whole natural times of the unit."""
    last = max((float(drawn.curve.time[-1]) for drawn in curves if len(drawn.curve.time)), default=0.0)
    marks = natural_times(last, unit)  # type: ignore[arg-type]
    rows: list[tuple[Cell, ...]] = []
    for drawn in curves:
        curve = drawn.curve
        at_risk = curve.at(marks).n_risk
        upto = np.searchsorted(curve.time, marks, side="right")
        events = np.concatenate(([0.0], np.cumsum(curve.n_event)))[upto]
        censored = np.concatenate(([0.0], np.cumsum(curve.n_censor)))[upto]
        rows.extend(
            (*drawn.keys, mark, int(at_risk[at]), int(events[at]), int(censored[at])) for at, mark in enumerate(marks)
        )
    columns = (
        *key_columns,
        Column(key="time", label="Time", kind="number", unit=unit),
        Column(key="at_risk", label="At risk", kind="count"),
        Column(key="events", label="Events", kind="count"),
        Column(key="censored", label="Censored", kind="count"),
    )
    return Table(name=name, title=title, columns=columns, rows=tuple(rows), note=note)


def censoring_table(
    name: str, title: str, key_columns: Sequence[Column], curves: Iterable[DrawnCurve], note: str
) -> Table:
    """Marks where patients were censored, with the height of the curve there."""
    rows = [
        (*drawn.keys, float(drawn.curve.time[at]), float(drawn.curve.survival[at]), int(drawn.curve.n_censor[at]))
        for drawn in curves
        for at in np.flatnonzero(drawn.curve.n_censor > 0)
    ]
    columns = (
        *key_columns,
        Column(key="time", label="Time", kind="number"),
        Column(key="survival", label="Survival", kind="percent"),
        Column(key="count", label="Censored", kind="count"),
    )
    return Table(name=name, title=title, columns=columns, rows=tuple(rows), note=note, protection="curve")
