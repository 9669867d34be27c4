"""Features of repeated records and of scores: one value per patient, inside a window around time zero."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from trialstrat.cohort.columns import as_text, column, is_missing, match, number, numbers
from trialstrat.cohort.derived import Derived, FeatureFault, coded_levels
from trialstrat.cohort.integrate import Joined
from trialstrat.cohort.molecular import Molecular, Records
from trialstrat.cohort.prepare import missing_column
from trialstrat.cohort.rules import finding, rows_finding
from trialstrat.protocol.features_model import InstabilityFeature, MeasurementFeature
from trialstrat.results import Finding

STABILITY = ("stable", "indeterminate", "unstable")
_ISO = re.compile(r"\d{4}-\d{2}-\d{2}(?:T.*)?")
_PICKS: dict[str, Callable[[pd.DataFrame], Any]] = {
    "last": lambda table: table.sort_values("day", kind="stable").groupby("at")["value"].last(),
    "first": lambda table: table.sort_values("day", kind="stable").groupby("at")["value"].first(),
    "nearest": lambda table: (
        table.assign(far=table["day"].abs()).sort_values("far", kind="stable").groupby("at")["value"].first()
    ),
    "mean": lambda table: table.groupby("at")["value"].mean(),
    "highest": lambda table: table.groupby("at")["value"].max(),
    "lowest": lambda table: table.groupby("at")["value"].min(),
    "count": lambda table: table.groupby("at")["value"].size(),
}


def instability(feature: InstabilityFeature, joined: Joined, molecular: Molecular) -> Derived:  # noqa: ARG001
    """Microsatellite status from a score."""
    if feature.column not in joined.frame.columns:
        file = ", ".join(dict.fromkeys(joined.files.values()))
        raise FeatureFault(missing_column(feature.column, joined.found, file))
    values, bad = numbers(column(joined.frame, feature.column))
    if bad.any():
        raise FeatureFault(*joined.rows("E-VALUE-TEXT", feature.column, bad))
    low = feature.unstable_from if feature.stable_below is None else feature.stable_below
    codes = np.where(values >= feature.unstable_from, 2, np.where(values < low, 0, 1))
    codes = np.where(np.isnan(values), -1, codes)
    between = "" if low == feature.unstable_from else f", indeterminate from {low:g}"
    return Derived(
        values=coded_levels(codes.astype(np.int64), STABILITY),
        sources=(joined.origin.get(feature.column, ""),),
        rule=f"{feature.column}: unstable from {feature.unstable_from:g}{between}",
        levels=STABILITY,
    )


def measurement(feature: MeasurementFeature, joined: Joined, molecular: Molecular) -> Derived:
    """The picked value of the records inside the window; missing where a patient has none there.

    A count is 0 for patients with records, of whatever kind and day, of which none counts; it is missing only for
    those who have no record whose day is known, of whom nothing is known.
    """
    records = molecular.records[feature.source]
    asked = [
        feature.value,
        *feature.where,
        *([feature.day] if feature.day else []),
        *([feature.date] if feature.date else []),
    ]
    absent = [name for name in asked if name not in records.frame.columns]
    if absent:
        present = [str(name) for name in records.frame.columns]
        raise FeatureFault(*(missing_column(name, present, records.file) for name in absent))
    keep = np.ones(len(records.ids), dtype=bool)
    for name, value in feature.where.items():
        keep &= match(column(records.frame, name), (value,)) == 0
    at = pd.Index([str(entry) for entry in joined.ids]).get_indexer(pd.Index([str(entry) for entry in records.ids]))
    series = column(records.frame, feature.value)
    keep &= (at >= 0) & ~is_missing(series)
    day, notes = _days(feature, records, joined, at, keep)
    values, faults = _values(feature, records, series, keep)
    faults += [entry for entry in notes if entry.severity == "error"]
    if faults:
        raise FeatureFault(*faults)
    window = feature.window
    inside = keep & ~np.isnan(day)
    inside &= (day >= (-np.inf if window.start is None else window.start)) & (
        day <= (np.inf if window.end is None else window.end)
    )
    table = pd.DataFrame({"at": at[inside], "day": day[inside], "value": values[inside]})
    picked = _PICKS[feature.pick](table)
    out = np.full(len(joined.ids), np.nan if feature.numeric or feature.pick == "count" else None, dtype=object)
    if feature.pick == "count":
        out[np.unique(at[(at >= 0) & ~(keep & np.isnan(day))])] = 0
    out[picked.index.to_numpy(dtype=np.intp)] = picked.to_numpy(dtype=object)
    levels: tuple[str, ...] = ()
    if not feature.numeric and feature.pick != "count":
        levels = tuple(sorted({str(value) for value in out if value is not None}))
    return Derived(
        values=out if levels else out.astype(np.float64),
        sources=(feature.source,),
        rule=_rule(feature),
        levels=levels,
        findings=tuple(notes),
    )


def _rule(feature: MeasurementFeature) -> str:
    low = "any day before" if feature.window.start is None else f"day {feature.window.start:g}"
    high = "any day after" if feature.window.end is None else f"day {feature.window.end:g}"
    only = "".join(f", {name} = {value}" for name, value in feature.where.items())
    return f"{feature.pick} {feature.value}{only}; {low} to {high} of time zero"


def _values(
    feature: MeasurementFeature, records: Records, series: pd.Series, keep: NDArray[np.bool_]
) -> tuple[NDArray, list[Finding]]:
    if not feature.numeric or feature.pick == "count":
        return as_text(series).to_numpy(dtype=object), []
    values = np.array([np.nan if (found := number(str(cell))) is None else found for cell in as_text(series)])
    bad = keep & np.isnan(values)
    return values, list(rows_finding("E-VALUE-TEXT", bad, records.lines, source=records.file, column=feature.value))


def _days(
    feature: MeasurementFeature, records: Records, joined: Joined, at: NDArray[np.intp], keep: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], list[Finding]]:
    """(rows,) days from time zero, nan where not known: such records are left out and counted."""
    if feature.day is not None:
        values, bad = numbers(column(records.frame, feature.day))
        found = list(rows_finding("E-VALUE-TEXT", bad & keep, records.lines, source=records.file, column=feature.day))
        return values, [*found, *_undated(values, records, keep, feature.day)]
    zero = feature.zero or ""
    if zero not in joined.frame.columns:
        return np.full(len(at), np.nan), [missing_column(zero, joined.found, next(iter(joined.files.values())))]
    start = _dates(column(joined.frame, zero))
    end = _dates(column(records.frame, feature.date or ""))
    days = np.full(len(at), np.nan)
    known = at >= 0
    days[known] = end[known] - start[at[known]]
    return days, _undated(days, records, keep, feature.date or "")


def _undated(days: NDArray[np.float64], records: Records, keep: NDArray[np.bool_], name: str) -> list[Finding]:
    lost = keep & np.isnan(days)
    if not lost.any():
        return []
    return [finding("W-FEATURE-UNDATED", source=records.file, column=name, bad=int(lost.sum()), total=int(keep.sum()))]


def _dates(series: pd.Series) -> NDArray[np.float64]:
    """(n,) days since 1970 of full ISO dates, nan for anything else: a partial date is no day."""
    text = ["" if cell is None else str(cell) for cell in as_text(series)]
    whole = np.array([_ISO.fullmatch(cell) is not None for cell in text], dtype=bool)
    out = np.full(len(text), np.nan)
    if whole.any():
        days = [cell[:10] for cell, ok in zip(text, whole, strict=True) if ok]
        stamps = pd.to_datetime(days, format="%Y-%m-%d", errors="coerce").to_numpy().astype("datetime64[D]")
        out[whole] = np.where(np.isnat(stamps), np.nan, stamps.astype(np.int64).astype(np.float64))
    return out
