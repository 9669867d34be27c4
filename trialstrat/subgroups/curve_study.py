"""Stage "curves": how the effect of treatment changes along every continuous marker, smooth and in sliding windows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trialstrat.cohort.cohort import Cohort
from trialstrat.cohort.shown import ShownOutcome, whole_horizon
from trialstrat.disclosure.curves import full_bins
from trialstrat.results import Cell, Column, StageResult, Table
from trialstrat.stats.multiplicity import p_adjust
from trialstrat.subgroups.candidates import variables_before_zero, wants_log
from trialstrat.subgroups.comparison import Comparison
from trialstrat.subgroups.effect import outcome_effect
from trialstrat.subgroups.effect_curve import (
    EffectCurve,
    absolute_curve,
    choose_axis,
    no_curve,
    relative_curve,
)
from trialstrat.subgroups.scales import EffectOptions

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

#: Sliding windows: how many at most, and the share of the patients in each.
WINDOWS, WINDOW_SHARE = 9, 0.25
BINS = 24


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DrawnMarker:
    """A continuous marker of the cohort: name, label, unit and values (n,), nan where unknown."""

    name: str
    label: str
    unit: str
    values: Floats


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Drawn:
    marker: DrawnMarker
    comparison: Comparison
    log: bool
    relative: EffectCurve
    absolute: EffectCurve


def continuous_markers(cohort: Cohort, more: Sequence[str] = ()) -> tuple[DrawnMarker, ...]:
    """Continuous variables known before time zero, and the columns ``more`` of the wide blocks."""
    single = [
        DrawnMarker(
            name=variable.column,
            label=variable.title,
            unit=variable.unit,
            values=cohort.frame[variable.column].to_numpy(dtype=np.float64),
        )
        for variable in variables_before_zero(cohort)
        if variable.kind == "continuous"
    ]
    wide = [
        DrawnMarker(name=name, label=name, unit="", values=cohort.markers[name].to_numpy(dtype=np.float64))
        for name in more
    ]
    return (*single, *wide)


def effect_curves(
    cohort: Cohort,
    outcome: ShownOutcome,
    compared: Sequence[Comparison],
    markers: Sequence[DrawnMarker],
    *,
    weights: Sequence[Floats | None],
    rng: np.random.Generator,
) -> StageResult:
    """The effect along every marker for every comparison, with windows and the distribution of the marker."""
    drawn: list[_Drawn] = []
    windows: list[tuple[Cell, ...]] = []
    for comparison, weight in zip(compared, weights, strict=True):
        rows = comparison.rows if weight is None else comparison.rows & (weight > 0)
        for marker in markers:
            known = rows & np.isfinite(marker.values)
            drawn.append(_draw(cohort, outcome, comparison, marker, known, weight, rng))
            windows += _windows(cohort, outcome, comparison, marker, known, weight)
    tables = [_summary(outcome, drawn), _effect(outcome, drawn)]
    tables += [_stepp(outcome, windows), _histogram(cohort, markers)]
    return StageResult(
        stage="curves",
        tables=tuple(table for table in tables if table.rows),
        facts={
            "unit": outcome.unit,
            "horizon": whole_horizon(outcome.horizon),
            "band": f"simultaneous {cohort.protocol.analysis.level:.0%} band",
            "absolute": _absolute_words(outcome),
            "comparison": compared[0].pair,
            "comparison_label": compared[0].label,
        },
    )


def _draw(
    cohort: Cohort,
    outcome: ShownOutcome,
    comparison: Comparison,
    marker: DrawnMarker,
    rows: Mask,
    weights: Floats | None,
    rng: np.random.Generator,
) -> _Drawn:
    level = cohort.protocol.analysis.level
    size = int(rows.sum()) if outcome.kind == "continuous" else int(outcome.of_interest[rows].sum())
    axis, reason = choose_axis(marker.values[rows], size) if rows.any() else (None, "no patient has a known value")
    fewest = min(int((rows & (comparison.treated == k)).sum()) for k in (0, 1))
    if axis is None or fewest < 10:
        reason = reason or "an arm has fewer than 10 patients with a known value"
        none = no_curve(ratio=True, reason=reason), no_curve(ratio=False, reason=reason)
        return _Drawn(marker=marker, comparison=comparison, log=False, relative=none[0], absolute=none[1])
    relative = relative_curve(
        outcome, rows, comparison.treated, marker.values, axis,
        strata=cohort.strata, weights=weights, level=level, rng=rng,
    )  # fmt: skip
    absolute = absolute_curve(
        outcome, rows, comparison.treated, marker.values, axis, weights=weights, level=level, rng=rng
    )
    return _Drawn(marker=marker, comparison=comparison, log=axis.log, relative=relative, absolute=absolute)


def _windows(
    cohort: Cohort,
    outcome: ShownOutcome,
    comparison: Comparison,
    marker: DrawnMarker,
    rows: Mask,
    weights: Floats | None,
) -> list[tuple[Cell, ...]]:
    """Effects in overlapping windows of equal size along the marker (STEPP).

    Consecutive windows differ by at least the minimum cell, so that no few patients can be told from the difference.
    """
    analysis, smallest = cohort.protocol.analysis, cohort.protocol.disclosure.minimum_cell
    x = marker.values
    order = np.flatnonzero(rows)[np.argsort(x[rows], kind="stable")]
    size = round(WINDOW_SHARE * len(order))
    step = max((len(order) - size) // max(WINDOWS - 1, 1), smallest, 1)
    if size < 2 * smallest or np.unique(x[rows]).size < 10:
        return []
    options = EffectOptions(
        tau=outcome.horizon, level=analysis.level, minimum_events=analysis.minimum_events, unit=outcome.unit
    )
    out: list[tuple[Cell, ...]] = []
    for number, start in enumerate(range(0, len(order) - size + 1, step), start=1):
        members = np.zeros(len(x), dtype=np.bool_)
        members[order[start : start + size]] = True
        found = outcome_effect(
            outcome, comparison.treated, members, options,
            strata=None if weights is not None else cohort.strata, weights=weights,
        )  # fmt: skip
        low, middle, high = np.quantile(x[members], (0.05, 0.5, 0.95))
        counts = (found.n, found.events, found.n_control, found.n_treated)
        limits = [
            _finite(value)
            for scale in (found.relative, found.absolute)
            for value in (scale.value, scale.lower, scale.upper)
        ]
        out.append((comparison.pair, marker.name, marker.label, number, low, middle, high, *counts, *limits))
    return out


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


# -- tables ----------------------------------------------------------------------------------------------------------


_KEYS = (
    Column(key="comparison", label="Comparison"),
    Column(key="marker", label="Marker"),
    Column(key="label", label="Marker"),
)


def _absolute_words(outcome: ShownOutcome) -> str:
    return {
        "time_to_event": "difference of restricted mean time",
        "competing": "difference of cumulative incidence",
        "binary": "risk difference",
        "continuous": "mean difference",
    }[outcome.kind]


def _summary(outcome: ShownOutcome, drawn: Sequence[_Drawn]) -> Table:
    """One row per marker with the interaction tests on both scales."""
    p = np.array([[one.relative.p, one.absolute.p] for one in drawn]).reshape(-1, 2)
    adjusted = np.column_stack([p_adjust(p[:, 0], "holm"), p_adjust(p[:, 1], "holm")])
    rows: list[tuple[Cell, ...]] = []
    for at, one in enumerate(drawn):
        curve = one.relative if one.relative.ok else one.absolute
        shape = "straight line" if curve.df == 1 else f"spline, {curve.df} df" if curve.ok else ""
        scale = "log(1 + x)" if one.log else "as measured"
        tests = (p[at, 0], adjusted[at, 0], p[at, 1], adjusted[at, 1])
        rows.append(
            (
                one.comparison.pair, one.marker.name, one.marker.label, one.marker.unit, scale, shape,
                curve.n, curve.events, *(_finite(x) for x in tests), one.relative.reason, one.absolute.reason,
            )
        )  # fmt: skip
    columns = (
        *_KEYS,
        Column(key="unit", label="Unit"),
        Column(key="scale", label="Modelled"),
        Column(key="shape", label="Shape"),
        Column(key="n", label="Known", kind="count"),
        Column(key="events", label="Events", kind="count"),
        Column(key="p_hazard_ratio", label="Interaction p, relative scale", kind="p"),
        Column(key="p_hazard_ratio_adjusted", label="adjusted", kind="p"),
        Column(key="p_rmst", label="Interaction p, absolute scale", kind="p"),
        Column(key="p_rmst_adjusted", label="adjusted", kind="p"),
        Column(key="reason", label="No relative curve because"),
        Column(key="reason_absolute", label="No absolute curve because"),
    )
    note = (
        f"Population: {outcome.population()}. Wald test that the effect is the same at every value of the marker; "
        f"adjusted by Holm over the {len(drawn)} curves. Absolute scale: {_absolute_words(outcome)}."
    )
    return Table(
        name="curves.summary", title="Effect along continuous markers", columns=columns, rows=tuple(rows), note=note
    )


def _effect(outcome: ShownOutcome, drawn: Sequence[_Drawn]) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for one in drawn:
        for scale, curve in (("hazard_ratio", one.relative), ("rmst_difference", one.absolute)):
            if not curve.ok:
                continue
            numbers = np.column_stack([curve.effect, curve.band_lower, curve.band_upper, curve.lower, curve.upper])
            with np.errstate(over="ignore"):
                shown = np.exp(numbers) if curve.ratio else numbers
            rows += [
                (
                    one.comparison.pair, one.marker.name, one.marker.label, scale, float(x),
                    *(_finite(value) for value in line),
                )
                for x, line in zip(curve.x, shown, strict=True)
            ]  # fmt: skip
    columns = (
        *_KEYS,
        Column(key="scale", label="Scale"),
        Column(key="x", label="Marker value", kind="number"),
        Column(key="effect", label="Effect", kind="effect"),
        Column(key="lower", label="Lower limit of the band", kind="effect"),
        Column(key="upper", label="Upper limit of the band", kind="effect"),
        Column(key="point_lower", label="Lower limit, pointwise", kind="effect"),
        Column(key="point_upper", label="Upper limit, pointwise", kind="effect"),
    )
    note = (
        f"Population: {outcome.population()}. Smooth effect of treatment between the 2.5% and the 97.5% quantile of "
        "the marker; the band covers the whole curve."
    )
    return Table(
        name="curves.effect", title="Effect curves", columns=columns, rows=tuple(rows), note=note, protection="none"
    )


def _stepp(outcome: ShownOutcome, rows: Sequence[tuple[Cell, ...]]) -> Table:
    columns = (
        *_KEYS,
        Column(key="window", label="Window", kind="number"),
        Column(key="low", label="From (5% quantile)", kind="number"),
        Column(key="middle", label="Median", kind="number"),
        Column(key="high", label="To (95% quantile)", kind="number"),
        Column(key="n", label="Patients", kind="count"),
        Column(key="events", label="Events", kind="count"),
        Column(key="n_control", label="Patients, control", kind="count"),
        Column(key="n_treated", label="Patients, treated", kind="count"),
        Column(key="hazard_ratio", label="Ratio", kind="effect"),
        Column(key="lower", label="Lower limit", kind="effect"),
        Column(key="upper", label="Upper limit", kind="effect"),
        Column(key="rmst_difference", label="Difference", kind="number"),
        Column(key="rmst_lower", label="Lower limit", kind="number"),
        Column(key="rmst_upper", label="Upper limit", kind="number"),
    )
    note = (
        f"Population: {outcome.population()}, in overlapping windows of {WINDOW_SHARE:.0%} of the patients along the "
        f"marker; pointwise limits. Ratio: relative scale. Difference: {_absolute_words(outcome)}."
    )
    return Table(name="curves.stepp", title="Sliding windows", columns=columns, rows=tuple(rows), note=note)


def _histogram(cohort: Cohort, markers: Sequence[DrawnMarker]) -> Table:
    """Counts in bins between the quantiles of the curve, sparse ones joined to their neighbours."""
    smallest = cohort.protocol.disclosure.minimum_cell
    rows: list[tuple[Cell, ...]] = []
    for marker in markers:
        x = marker.values[np.isfinite(marker.values)]
        if not x.size:
            continue
        log = wants_log(x)
        low, high = np.quantile(np.log1p(x) if log else x, (0.025, 0.975))
        edges = np.linspace(low, high, BINS + 1) if high > low else np.array([low, low + 1.0])
        edges = np.expm1(edges) if log else edges
        counts = np.histogram(np.clip(x, edges[0], edges[-1]), edges)[0]
        start = 0
        for last, total in full_bins([float(k) for k in counts], smallest):
            rows.append((marker.name, marker.label, float(edges[start]), float(edges[last + 1]), total))
            start = last + 1
    columns = (
        Column(key="marker", label="Marker"),
        Column(key="label", label="Marker"),
        Column(key="low", label="From", kind="number"),
        Column(key="high", label="To", kind="number"),
        Column(key="count", label="Patients", kind="count"),
    )
    note = "Patients by value of the marker; values beyond the 2.5% and 97.5% quantiles count in the outer bins."
    return Table(
        name="curves.histogram", title="Distribution of the markers", columns=columns, rows=tuple(rows), note=note
    )
