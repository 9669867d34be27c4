"""Effects in declared subgroups, patients without a value placed by imputation, and their pooled interaction test."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from trialstrat.cohort.cohort import Cohort
from trialstrat.cohort.shown import ShownOutcome
from trialstrat.results import Cell, Column, Table, TestResult
from trialstrat.stats.rubin import Pooled, pool_wald
from trialstrat.subgroups.comparison import Comparison
from trialstrat.subgroups.forest import Factor
from trialstrat.subgroups.imputed_pooling import pool_scale, ratio_limits
from trialstrat.subgroups.scales import Effect, ScaleEffect

#: Per copy, comparison and factor: the effect in every level.
Levels = tuple[tuple[tuple[Effect, ...], ...], ...]


def pooled_subgroups(
    cohort: Cohort,
    outcome: ShownOutcome,
    compared: Sequence[Comparison],
    divisions: Sequence[Factor],
    copies: Sequence[Levels],
) -> Table:
    """Effects in the levels of every variable with gaps, all patients placed; one pooled interaction test each."""
    level = cohort.protocol.analysis.level
    rows: list[tuple[Cell, ...]] = []
    for pair, comparison in enumerate(compared):
        for number, factor in enumerate(divisions):
            by_copy = [levels[pair][number] for levels in copies]
            tests = [_p(_interaction([[getattr(e, s) for e in found] for found in by_copy])) for s in _SCALES]
            for at, name in enumerate(factor.levels):
                effects = [found[at] for found in by_copy]
                cells: list[Cell] = []
                for scale in _SCALES:
                    cells += _cells(pool_scale([getattr(e, scale) for e in effects], _freedom(effects), level), scale)
                shown = tests if at == 0 else [None, None]
                rows.append((comparison.pair, factor.variable, factor.label, name, *cells, *shown))
    ratio = {"competing": "Cause-specific hazard ratio", "binary": "Odds ratio"}.get(outcome.kind, "Hazard ratio")
    note = (
        f"All patients, those without a value placed by imputation ({len(copies)} copies, Rubin's rules). Cut-points "
        "are those of the known values. Interaction: pooled Wald test, null hypothesis: the effect is the same in all "
        "levels."
    )
    return Table(
        name="imputed.subgroups",
        title="Declared subgroups, missing values imputed",
        columns=_subgroup_columns(ratio, outcome.unit if outcome.kind == "time_to_event" else ""),
        rows=tuple(rows),
        note=note,
        protection="none",
    )


_SCALES = ("relative", "absolute")


def _subgroup_columns(ratio: str, unit: str) -> tuple[Column, ...]:
    return (
        Column(key="comparison", label="Comparison"),
        Column(key="variable", label="Variable"),
        Column(key="label", label="Characteristic"),
        Column(key="level", label="Subgroup"),
        Column(key="relative", label=ratio, kind="effect"),
        Column(key="lower", label="Lower limit", kind="effect"),
        Column(key="upper", label="Upper limit", kind="effect"),
        Column(key="fmi", label="Missing information", kind="percent"),
        Column(key="absolute", label="Absolute difference", kind="number", unit=unit),
        Column(key="absolute_lower", label="Lower limit", kind="number", unit=unit),
        Column(key="absolute_upper", label="Upper limit", kind="number", unit=unit),
        Column(key="absolute_fmi", label="Missing information", kind="percent"),
        Column(key="interaction_p", label="Interaction p, relative scale", kind="p"),
        Column(key="interaction_p_absolute", label="Interaction p, absolute scale", kind="p"),
    )


def _freedom(effects: Sequence[Effect]) -> float:
    """Degrees of freedom without missing values: events (patients without them) less one, the mean over the copies."""
    sizes = [effect.events or effect.n for effect in effects]
    return max(float(np.mean(sizes)) - 1, 1.0)


def _cells(pooled: Pooled | None, scale: str) -> list[Cell]:
    if pooled is None:
        return [None] * 4
    ratio = scale == "relative"
    return [*(ratio_limits(pooled) if ratio else (pooled.value, pooled.lower, pooled.upper)), pooled.fmi]


def _interaction(by_copy: Sequence[Sequence[ScaleEffect]]) -> TestResult:
    """Differences of the levels' effects from the first; levels are disjoint, their effects independent in a copy."""
    value = np.array([[np.log(e.value) if e.ratio else e.value for e in found] for found in by_copy])
    variance = np.array([[e.std_error**2 for e in found] for found in by_copy])
    usable = np.isfinite(value).all(axis=0) & np.isfinite(variance).all(axis=0)
    null = "the treatment effect on this scale is the same in all levels"
    if usable.sum() < 2:
        reason = "fewer than two levels have an effect in every imputed copy"
        nan = float("nan")
        return TestResult(
            statistic=nan, df=0, p=nan, null_hypothesis=null, method="", status="not_estimable", reason=reason
        )
    value, variance = value[:, usable], variance[:, usable]
    contrast = value[:, 1:] - value[:, :1]
    covariance = np.array([np.diag(row[1:]) + row[0] for row in variance])
    return pool_wald(contrast, covariance, null_hypothesis=null)


def _p(test: TestResult) -> Cell:
    return float(test.p) if test.status == "ok" and np.isfinite(test.p) else None
