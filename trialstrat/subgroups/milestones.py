"""Survival, or cumulative incidence, of every arm at the declared times."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from trialstrat.cohort.shown import ShownOutcome
from trialstrat.results import Cell, Column, Table
from trialstrat.stats.competing import cumulative_incidence
from trialstrat.stats.survival import kaplan_meier
from trialstrat.subgroups.curves import CONF_TYPE, CURVE_METHOD
from trialstrat.subgroups.incidence import METHOD

Mask = NDArray[np.bool_]

_HEAD = (Column(key="arm", label="Arm"), Column(key="label", label="Arm"))
_REASON = Column(key="reason", label="Not shown because")


def milestone_table(
    outcome: ShownOutcome, groups: Mapping[str, Mask], labels: Mapping[str, str], level: float, population: str
) -> Table | None:
    """``primary.milestones``: one row per arm and declared time; None without declared times.

    With competing events: the cumulative incidence of the cause of interest and of all others together, and one minus
    the Kaplan-Meier estimate that censors the others, which is larger and not the share of patients with the event.
    A row is empty, with the reason, beyond the follow-up and where fewer than the minimum cell are at risk or had an
    event since the row before: the difference of two rows would show them.
    """
    if not outcome.milestones or outcome.time is None or outcome.event is None:
        return None
    competing = outcome.kind == "competing"
    rows = [row for name, mask in groups.items() for row in _rows(outcome, mask, (name, labels[name]), level)]
    time = Column(key="time", label="Time", kind="number", unit=outcome.unit)
    limits = (
        Column(key="lower", label="Lower limit", kind="percent"),
        Column(key="upper", label="Upper limit", kind="percent"),
    )
    shown: tuple[Column, ...] = (Column(key="survival", label="Free of the event", kind="percent"), *limits)
    apart = "" if outcome.cluster is None else "; limits take rows as independent"
    note = f"{CURVE_METHOD}{apart}."
    if competing:
        shown = (
            Column(key="incidence", label="Cumulative incidence", kind="percent"),
            *limits,
            Column(key="others", label="Other events", kind="percent"),
            Column(key="naive", label="1 - Kaplan-Meier, others censored", kind="percent"),
        )
        note = (
            f"{METHOD}, pointwise limits on the log-log scale. One minus Kaplan-Meier, with the other events censored, "
            "is what would be seen if these did not exist and changed nothing else; it is no share of patients."
        )
    return Table(
        name="primary.milestones",
        title="Cumulative incidence at the declared times" if competing else f"{outcome.label} at the declared times",
        columns=(*_HEAD, time, *shown, _REASON),
        rows=tuple(rows),
        note=f"Population: {population}. {note}",
        protection="none",
    )


def _rows(outcome: ShownOutcome, mask: Mask, keys: tuple[str, str], level: float) -> list[tuple[Cell, ...]]:
    if outcome.time is None or outcome.event is None:
        raise ValueError("milestones are of times")
    time, event = outcome.time[mask], outcome.event[mask]
    entry = None if outcome.entry is None else outcome.entry[mask]
    curve = kaplan_meier(time, (event == 1).astype(np.int64), entry=entry, conf_type=CONF_TYPE, level=level)
    at = np.array(outcome.milestones)
    found = curve.at(at)
    values = np.column_stack([found.survival, found.lower, found.upper])
    if outcome.kind == "competing":
        first = cumulative_incidence(time, event, 1, entry=entry, level=level).at(at)
        free = kaplan_meier(time, (event > 0).astype(np.int64), entry=entry).at(at).survival
        others = 1.0 - free - first.incidence
        values = np.column_stack([first.incidence, first.lower, first.upper, others, 1.0 - found.survival])
    out: list[tuple[Cell, ...]] = []
    since = -np.inf
    for moment, row in zip(outcome.milestones, values, strict=True):
        reason = _hidden(time, event, entry, since, moment, outcome.minimum_cell)
        cells = [float(value) if np.isfinite(value) and not reason else None for value in row]
        out.append((*keys, moment, *cells, reason))
        since = since if reason else moment
    return out


def _hidden(
    time: NDArray[np.float64],
    event: NDArray[np.int64],
    entry: NDArray[np.float64] | None,
    since: float,
    at: float,
    cell: int,
) -> str:
    """Why the row at a time is not shown; empty when it is."""
    inside = time >= at if entry is None else (time >= at) & (entry < at)
    if not inside.any():
        return "follow-up ends before"
    few = f"fewer than {cell}"
    if int(inside.sum()) < cell:
        return f"{few} at risk"
    between = (time > since) & (time <= at)
    counts = (int((between & (event == 1)).sum()), int((between & (event > 1)).sum()))
    return f"{few} events since the row before" if any(0 < count < cell for count in counts) else ""
