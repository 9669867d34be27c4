"""Stage "baseline": who was studied and for how long, by arm."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trialstrat.cohort.cohort import Cohort
from trialstrat.cohort.shown import ShownOutcome, arm_labels, arm_rows, shown_outcome
from trialstrat.protocol.model import Variable
from trialstrat.results import Cell, Column, Estimate, StageResult, Table
from trialstrat.stats.balance import smd
from trialstrat.stats.survival import reverse_kaplan_meier

Mask = NDArray[np.bool_]

_TABLE_ONE = (
    Column(key="variable", label="Variable"),
    Column(key="label", label="Characteristic"),
    Column(key="unit", label="Unit"),
    Column(key="kind", label="Kind"),
    Column(key="level", label="Level"),
    Column(key="arm", label="Arm"),
    Column(key="n", label="Known", kind="count"),
    Column(key="missing", label="Missing", kind="count"),
    Column(key="mean", label="Mean", kind="number"),
    Column(key="sd", label="SD", kind="number"),
    Column(key="median", label="Median", kind="number"),
    Column(key="q1", label="Lower quartile", kind="number"),
    Column(key="q3", label="Upper quartile", kind="number"),
    Column(key="count", label="Patients", kind="count"),
    Column(key="share", label="Share", kind="percent"),
)
_SMD = (
    Column(key="variable", label="Variable"),
    Column(key="label", label="Characteristic"),
    Column(key="comparison", label="Comparison"),
    Column(key="smd", label="Standardised mean difference", kind="number"),
)


def describe_cohort(cohort: Cohort) -> StageResult:
    """Table 1 by arm with standardised mean differences and missingness, follow-up and maturity.

    Summaries are of known values; quartiles interpolate linearly (R's type 7). Wide marker blocks are not tabulated,
    the fact ``markers`` says how many there are. Follow-up is the median of the reverse Kaplan-Meier curve, maturity
    the share of patients with the event of interest.
    """
    outcome = shown_outcome(cohort)
    groups = {"all": np.ones(cohort.n, dtype=np.bool_), **arm_rows(cohort)}
    tables = [_table_one(cohort, groups)]
    if (smd := _smd_table(cohort)) is not None:
        tables.append(smd)
    follow_up, estimates = _follow_up(cohort, outcome, groups)
    tables.append(follow_up)
    return StageResult(
        stage="baseline",
        estimates=estimates,
        tables=tuple(tables),
        facts={
            "unit": outcome.unit,
            "markers": str(cohort.markers.shape[1]),
            "endpoint": outcome.label,
            "follow_up_method": "reverse Kaplan-Meier" if outcome.timed else "",
        },
    )


# -- Table 1 ---------------------------------------------------------------------------------------------------------


def _table_one(cohort: Cohort, groups: Mapping[str, Mask]) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for variable in cohort.protocol.variables:
        for arm, mask in groups.items():
            rows.extend(_summaries(variable, cohort.frame[variable.column][mask], arm))
    note = (
        "Population: all analysed patients. Mean, standard deviation and quartiles of known values; "
        "shares are of the patients in whom the characteristic is known. No tests: arms are compared by "
        "standardised mean differences."
    )
    return Table(
        name="baseline.table_one", title="Baseline characteristics", columns=_TABLE_ONE, rows=tuple(rows), note=note
    )


def _summaries(variable: Variable, column: Any, arm: str) -> Iterator[tuple[Cell, ...]]:
    """One row for a continuous variable, one per level for a categorical one."""
    head = (variable.column, variable.title, variable.unit)
    known = int(column.notna().sum())
    missing = len(column) - known
    if variable.kind == "continuous":
        values = column.to_numpy(dtype=np.float64)
        values = values[np.isfinite(values)]
        known, missing = len(values), len(column) - len(values)
        summary: tuple[Cell, ...] = (None,) * 5
        if known:
            q1, median, q3 = (float(q) for q in np.quantile(values, (0.25, 0.5, 0.75)))
            sd = float(values.std(ddof=1)) if known > 1 else None
            summary = (float(values.mean()), sd, median, q1, q3)
        yield (*head, "continuous", None, arm, known, missing, *summary, None, None)
        return
    for level in column.cat.categories:
        count = int((column == level).sum())
        share = count / known if known else None
        yield (*head, "categorical", str(level), arm, known, missing, *(None,) * 5, count, share)


def _smd_table(cohort: Cohort) -> Table | None:
    """Standardised mean differences of every treatment against the control; None without a comparison."""
    arms = cohort.protocol.arms
    present = arm_rows(cohort)
    if arms is None or arms.control is None or arms.control.name not in present:
        return None
    control = present[arms.control.name]
    rows_of_table: list[tuple[Cell, ...]] = []
    for variable in cohort.protocol.variables:
        values = coded_values(variable, cohort.frame[variable.column])
        for arm in arms.treatments:
            if arm.name not in present:
                continue
            rows = control | present[arm.name]
            kind = "continuous" if variable.kind == "continuous" else "categorical"
            found = smd(values[rows], present[arm.name][rows].astype(np.int64), kind=kind)
            comparison = f"{arm.name}_vs_{arms.control.name}"
            value = found.smd if found.status == "ok" else None
            rows_of_table.append((variable.column, variable.title, comparison, value))
    note = (
        "Difference of means over the pooled standard deviation; for categorical characteristics the multivariate "
        "form over all levels (always positive). Known values only."
    )
    return Table(
        name="baseline.smd",
        title="Standardised mean differences",
        columns=_SMD,
        rows=tuple(rows_of_table),
        note=note,
        protection="none",
    )


def coded_values(variable: Variable, column: Any) -> NDArray[np.float64]:
    """A column as numbers: levels by their position in declared order, nan where it is not known."""
    if variable.kind == "continuous":
        return column.to_numpy(dtype=np.float64)
    codes = np.asarray(column.cat.codes, dtype=np.float64)
    return np.where(codes >= 0, codes, np.nan)


# -- follow-up -------------------------------------------------------------------------------------------------------


def _follow_up(cohort: Cohort, outcome: ShownOutcome, groups: Mapping[str, Mask]) -> tuple[Table, tuple[Estimate, ...]]:
    """Patients, events, maturity and median follow-up of everybody and of every arm."""
    labels = arm_labels(cohort)
    rows: list[tuple[Cell, ...]] = []
    estimates: list[Estimate] = []
    for arm, mask in groups.items():
        n, events = int(mask.sum()), int(outcome.of_interest[mask].sum())
        maturity = None if outcome.kind == "continuous" else events / n
        found = _median_follow_up(outcome, mask, arm, labels[arm])
        if found is None:
            limits: tuple[Cell, ...] = (None, None, None)
        else:
            estimates.append(found)
            limits = tuple(x if np.isfinite(x) else None for x in (found.value, found.lower, found.upper))
        rows.append((arm, labels[arm], n, None if maturity is None else events, maturity, *limits))
        if maturity is not None:
            estimates.append(_maturity(outcome, arm, labels[arm], n, events))
    method = " Median follow-up by reverse Kaplan-Meier, limits on the log scale." if outcome.timed else ""
    columns = (
        Column(key="arm", label="Arm"),
        Column(key="label", label="Arm"),
        Column(key="n", label="Patients", kind="count"),
        Column(key="events", label="Events", kind="count"),
        Column(key="maturity", label="With the event", kind="percent"),
        Column(key="median_follow_up", label="Median follow-up", kind="number", unit=outcome.unit),
        Column(key="lower", label="Lower limit", kind="number", unit=outcome.unit),
        Column(key="upper", label="Upper limit", kind="number", unit=outcome.unit),
    )
    table = Table(
        name="baseline.follow_up",
        title="Follow-up and maturity",
        columns=columns,
        rows=tuple(rows),
        note=f"Population: {outcome.population()} ({outcome.label}).{method}",
    )
    return table, tuple(estimates)


def _median_follow_up(outcome: ShownOutcome, mask: Mask, arm: str, label: str) -> Estimate | None:
    """The median of the time to censoring; any event ends the observation of it."""
    if outcome.time is None:
        return None
    found = reverse_kaplan_meier(outcome.time[mask], outcome.any_event[mask])
    rest: dict[str, Any] = {
        "level": found.level,
        "unit": outcome.unit,
        "method": "reverse Kaplan-Meier, limits on the log scale",
        "population": label,
        "n": int(mask.sum()),
        "events": int(outcome.of_interest[mask].sum()),
    }
    name, text = f"baseline.follow_up.median.{arm}", f"Median follow-up, {label.lower() if arm == 'all' else label}"
    if found.status != "ok":
        return Estimate.not_estimable(name, text, "fewer than half of the patients would be censored", **rest)
    return Estimate(name=name, label=text, value=found.estimate, lower=found.lower, upper=found.upper, **rest)


def _maturity(outcome: ShownOutcome, arm: str, label: str, n: int, events: int) -> Estimate:
    return Estimate(
        name=f"baseline.maturity.{arm}",
        label=f"Patients with the event, {label.lower() if arm == 'all' else label}",
        value=events / n,
        unit="probability",
        method="events of interest over patients",
        population=f"{label} ({outcome.label})",
        n=n,
        events=events,
    )
