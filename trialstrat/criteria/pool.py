"""The eligible pool: what each criterion takes from it alone, after the others and in any order; whom it leaves."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from trialstrat.cohort.attrition import Step, attrition_table
from trialstrat.cohort.cohort import Cohort
from trialstrat.criteria.emulation import Judged
from trialstrat.protocol.model import Variable
from trialstrat.results import Cell, Column, Table
from trialstrat.stats.representation import Population, population

Mask = NDArray[np.bool_]
Floats = NDArray[np.float64]

#: Covariates in which a trial should be like its patients, by the words of their names.
_REPRESENTATIVE = re.compile(r"(^|[^a-z])(age|sex|gender|race|ethnic(ity|group)?)([^a-z]|$)", re.IGNORECASE)

_COLUMNS = (
    Column(key="criterion", label="Criterion"),
    Column(key="text", label="What is asked"),
    Column(key="kind", label="Kind"),
    Column(key="removed", label="Removed alone", kind="count"),
    Column(key="removed_only", label="Only by it", kind="count"),
    Column(key="removed_shared", label="Also by others", kind="count"),
    Column(key="unknown", label="Unknown", kind="count"),
    Column(key="remaining", label="Left by it alone", kind="count"),
    Column(key="without", label="Pool without it", kind="count"),
    Column(key="events_removed", label="Events removed alone", kind="count"),
    Column(key="events_only", label="Events only by it", kind="count"),
    Column(key="events_shared", label="Events also by others", kind="count"),
    Column(key="events_remaining", label="Events left by it alone", kind="count"),
    Column(key="events_without", label="Events without it", kind="count"),
    Column(key="taken", label="Patients taken, whatever the order", kind="number"),
    Column(key="taken_events", label="Events taken, whatever the order", kind="number"),
)


def representative(cohort: Cohort) -> tuple[Variable, ...]:
    """The declared variables, or those that are age, sex or race by name."""
    declared = cohort.protocol.criteria.representative
    if declared:
        return tuple(entry for entry in cohort.protocol.variables if entry.column in declared)
    return tuple(
        entry
        for entry in cohort.protocol.variables
        if _REPRESENTATIVE.search(entry.column) or _REPRESENTATIVE.search(entry.label)
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Represented:
    """Variables in which selections are compared with all patients."""

    variables: tuple[Variable, ...]
    scaled: tuple[Population, ...]

    def shifts(self, member: NDArray) -> Floats:
        """Distance of each selection (s, n) from everybody, by variable (s, v)."""
        member = np.atleast_2d(member)
        found = [entry.shift(member) for entry in self.scaled]
        return np.column_stack(found) if found else np.empty((len(member), 0))

    def furthest(self, member: NDArray) -> Floats:
        """The largest distance over the variables (s,); nan without variables."""
        shifts = self.shifts(member)
        return shifts.max(axis=1) if shifts.shape[1] else np.full(len(shifts), np.nan)


def represented(cohort: Cohort) -> Represented:
    """Scale the representative variables of all patients."""
    variables = representative(cohort)
    scaled = []
    for entry in variables:
        column = cohort.frame[entry.column]
        if entry.kind == "continuous":
            scaled.append(population(column.to_numpy(dtype=np.float64)))
        else:
            scaled.append(population(np.asarray(column.cat.codes, dtype=np.int64)))
    return Represented(variables=variables, scaled=tuple(scaled))


def coarse(count: int, cell: int) -> int:
    """The nearest multiple of the minimum cell: counts of similar sets must not differ by a small one."""
    return int(cell * round(count / cell))


def beside(count: int, known: int, cell: int) -> int:
    """A coarse count beside the exact one of all criteria: equal where it is equal, else on its own side."""
    if count == known:
        return count
    near = coarse(count, cell)
    if (near - known) * (count - known) > 0:
        return near
    return near + cell if count > known else max(0, near - cell)


def passing(judged: Sequence[Judged], n: int, leave_out: int | None = None) -> Mask:
    """Who meets every criterion, or every one but one (n,)."""
    inside = np.ones(n, dtype=np.bool_)
    for at, entry in enumerate(judged):
        if at != leave_out:
            inside &= entry.admits
    return inside


def pool_table(judged: Sequence[Judged], event: NDArray, taken: Mapping[str, Floats] | None, note: str) -> Table:
    """``impact.pool``: each criterion applied alone, after all others, and whatever the order.

    ``taken`` are the Shapley values of the numbers of patients and of events; None where they are not computed.
    """
    happened = event == 1
    rows: list[tuple[Cell, ...]] = []
    for at, entry in enumerate(judged):
        others = passing(judged, len(event), at)
        alone, only = ~entry.admits, others & ~entry.admits
        patients = [int(mask.sum()) for mask in (alone, only, alone & ~only, entry.unknown, entry.admits, others)]
        events = [int((mask & happened).sum()) for mask in (alone, only, alone & ~only, entry.admits, others)]
        free = (
            (None, None) if taken is None else tuple(_number(0.0 - taken[name][at]) for name in ("patients", "events"))
        )
        rows.append((entry.id, entry.text, entry.kind, *patients, *events, *free))
    return Table(
        name="impact.pool",
        title="What each criterion takes from the pool",
        columns=_COLUMNS,
        rows=tuple(rows),
        note=f"{note} Unknown: a needed value is missing; the criterion says whether such patients stay. Whatever the "
        "order: Shapley value of the count.",
    )


def sequence_table(judged: Sequence[Judged], note: str) -> Table:
    """``impact.attrition``: the criteria one after the other, in declared order; rows that remove nobody too."""
    remaining = np.ones(len(judged[0].admits), dtype=np.bool_)
    steps = []
    for entry in judged:
        before, unknown = int(remaining.sum()), int((remaining & entry.unknown).sum())
        remaining = remaining & entry.admits
        after = int(remaining.sum())
        counts = {"before": before, "removed": before - after, "unknown": unknown, "remaining": after}
        steps.append(Step(step=entry.id, text=entry.text, kind=entry.kind, **counts))
    made = attrition_table(steps, note)
    return replace(made, name="impact.attrition", title="Criteria one after the other")


def shown_shift(value: float) -> float | None:
    """A distance to a hundredth of a standard deviation: with all its digits it is a puzzle whose answer are counts."""
    return round(float(value), 2) if np.isfinite(value) else None


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def representation_table(shown: Represented, judged: Sequence[Judged], n: int) -> Table:
    """How far the pool moves away from all patients: with all criteria, and when one of them is dropped.

    The distance tells how many patients only a criterion removes (and of what kind they are): it goes where these do.
    """
    rows: list[tuple[Cell, ...]] = []
    every = passing(judged, n)
    sets: list[tuple[str, str, Mask, int | None]] = [("all", "All criteria", every, None)]
    for at, entry in enumerate(judged):
        others = passing(judged, n, at)
        sets.append((entry.id, f"Without {entry.id}", others, int((others & ~every).sum())))
    if shown.variables and judged:
        shifts = shown.shifts(np.array([mask for _, _, mask, _ in sets]))
        for (key, label, _, only), row in zip(sets, shifts, strict=True):
            rows += [
                (key, label, entry.column, entry.title, only, shown_shift(value))
                for entry, value in zip(shown.variables, row, strict=True)
            ]
    return Table(
        name="impact.representation",
        title="Distance of the eligible pool from all patients",
        columns=(
            Column(key="set", label="Set"),
            Column(key="label", label="Criteria applied"),
            Column(key="variable", label="Variable"),
            Column(key="title", label="Characteristic"),
            Column(key="removed_only", label="Only by it", kind="count"),
            Column(key="shift", label="Standardised distance", kind="number"),
        ),
        rows=tuple(rows),
        note="Difference of means in standard deviations of all patients; of a category the Mahalanobis distance. Only "
        "by it: patients whom no other criterion removes.",
    )
