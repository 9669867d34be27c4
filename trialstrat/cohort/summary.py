"""Stage "cohort": who was read, who was left out and why, what is missing."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from trialstrat.cohort.anonymity import anonymity_table
from trialstrat.cohort.batches import batch_tables
from trialstrat.cohort.cohort import Cohort
from trialstrat.cohort.missingness import gaps
from trialstrat.results import Cell, Column, Estimate, Provenance, StageResult, Table

_MISSING_COLUMNS = (
    Column(key="variable", label="Variable"),
    Column(key="label", label="Characteristic"),
    Column(key="arm", label="Arm"),
    Column(key="n", label="Patients", kind="count"),
    Column(key="missing", label="Missing", kind="count"),
    Column(key="share", label="Share", kind="percent"),
)


def cohort_result(cohort: Cohort) -> StageResult:
    """Attrition, eligibility, missing values and sources of a cohort, with its findings."""
    protocol = cohort.protocol
    events = None if cohort.outcome.event is None else int((cohort.outcome.event == 1).sum())
    label = protocol.endpoint.label
    estimates = [
        Estimate(name="cohort.n", label="Patients analysed", value=float(cohort.n), unit="patients", n=cohort.n)
    ]
    if events is not None:
        estimates.append(
            Estimate(
                name="cohort.events",
                label=f"Events: {label}",
                value=float(events),
                unit="events",
                n=cohort.n,
                events=events,
            )
        )
    tables = [cohort.attrition, cohort.eligibility, _missing_table(cohort, events)]
    anonymity = anonymity_table(cohort)
    tables += [] if anonymity is None else [anonymity]
    if cohort.sources is not None:
        tables.append(cohort.sources)
    if cohort.derived is not None:
        tables.append(cohort.derived)
    tables += batch_tables(cohort)
    return StageResult(
        stage="cohort",
        estimates=tuple(estimates),
        tables=tuple(tables),
        findings=cohort.findings,
        facts={
            "n": str(cohort.n),
            "events": "" if events is None else str(events),
            "endpoint": label,
            "markers": str(cohort.markers.shape[1]),
            "population": protocol.estimand.population,
        },
        provenance=Provenance(data_hash=cohort.data_hash, seed=protocol.seed),
    )


def _missing_table(cohort: Cohort, events: int | None) -> Table:
    rows: list[tuple[Cell, ...]] = []
    groups: dict[str, NDArray[np.bool_]] = {"all": np.ones(cohort.n, dtype=bool), **_arms(cohort)}
    for entry in gaps(cohort):
        rows += [(entry.variable, entry.label, arm, *_counts(entry.absent, mask)) for arm, mask in groups.items()]
    counted = "" if events is None else f", {events} events"
    return Table(
        name="cohort.missing",
        title="Missing values",
        columns=_MISSING_COLUMNS,
        rows=tuple(rows),
        note=f"{cohort.n} analysed patients{counted}; values missing in the data, before any imputation.",
    )


def _arms(cohort: Cohort) -> dict[str, NDArray[np.bool_]]:
    """Patients of each declared arm, in declared order."""
    if cohort.arm is None or cohort.protocol.arms is None:
        return {}
    return {arm.name: np.asarray(cohort.arm == arm.name) for arm in cohort.protocol.arms.levels}


def _counts(absent: NDArray[np.bool_], rows: NDArray[np.bool_]) -> tuple[int, int, float | None]:
    n, missing = int(rows.sum()), int((absent & rows).sum())
    return n, missing, missing / n if n else None
