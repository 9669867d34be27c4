"""Stage "forest": the effect of treatment in every pre-declared subgroup, as estimated and shrunken."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from trialstrat.cohort.cohort import Cohort
from trialstrat.cohort.describe import coded_values
from trialstrat.cohort.shown import ShownOutcome, whole_horizon
from trialstrat.protocol.model import Variable
from trialstrat.results import NAN, Cell, Column, StageResult, Table, TestResult
from trialstrat.subgroups.candidates import variables_before_zero
from trialstrat.subgroups.comparison import Comparison
from trialstrat.subgroups.effect import outcome_effect
from trialstrat.subgroups.one_way import PRIOR_SCALE, shrink_levels
from trialstrat.subgroups.risk_groups import heterogeneity, relative_interaction, split_cluster
from trialstrat.subgroups.scales import Effect, EffectOptions, ScaleEffect

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

#: The level of a row for the patients in whom the variable is unknown.
NOT_KNOWN = "not known"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Factor:
    """A division of the patients into disjoint subgroups: ``code`` (n,) is -1 where the value is unknown.

    ``cut`` is where a continuous variable is divided (codes 0 up to it, 1 above).
    """

    variable: str
    label: str
    levels: tuple[str, ...]
    code: Ints
    cut: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Block:
    """A factor with the effects of its levels and the two interaction tests.

    ``unknown`` is the effect in the patients without a value: no level of the factor, and no part of its tests.
    """

    factor: Factor
    effects: tuple[Effect, ...]
    unknown: Effect | None
    relative: TestResult
    absolute: TestResult


def factors(cohort: Cohort) -> tuple[Factor, ...]:
    """Levels of every categorical variable known before time zero, continuous ones cut at their median.

    The cuts do not look at the outcome: the subgroups are those of the protocol.
    """
    found = (_factor(variable, cohort) for variable in variables_before_zero(cohort))
    return tuple(factor for factor in found if factor is not None)


def _factor(variable: Variable, cohort: Cohort) -> Factor | None:
    column = cohort.frame[variable.column]
    values = coded_values(variable, column)
    known = np.isfinite(values)
    if variable.kind == "continuous":
        if not known.any():
            return None
        cut = float(np.median(values[known]))
        unit = f" {variable.unit}" if variable.unit else ""
        levels = (f"at most {cut:.4g}{unit}", f"above {cut:.4g}{unit}")
    else:
        cut = None
        levels = tuple(str(level) for level in column.cat.categories)
    code = divide(values, cut)
    if len(np.unique(code[code >= 0])) < 2:
        return None
    return Factor(variable=variable.column, label=variable.title, levels=levels, code=code, cut=cut)


def divide(values: Floats, cut: float | None) -> Ints:
    """Codes (n,) of coded values: the levels as they are, numbers by their ``cut``; -1 where unknown."""
    known = np.isfinite(values)
    return np.where(known, values if cut is None else values > cut, -1).astype(np.int64)


def subgroup_forest(
    cohort: Cohort, outcome: ShownOutcome, compared: Sequence[Comparison], *, weights: Sequence[Floats | None]
) -> StageResult:
    """Effects in all declared subgroups with one interaction test per factor and scale, and shrunken effects.

    Patients in whom a variable is unknown are a population of their own, beside its levels, never one of them.
    A subgroup's own p says nothing about a difference between subgroups and is not given.
    """
    divisions = factors(cohort)
    rows: list[tuple[Cell, ...]] = []
    for comparison, weight in zip(compared, weights, strict=True):
        rows += _comparison(cohort, outcome, comparison, divisions, weight)
    return StageResult(
        stage="forest",
        tables=(_table(outcome, rows),) if rows else (),
        facts={
            "unit": outcome.unit,
            "horizon": whole_horizon(outcome.horizon),
            "factors": str(len(divisions)),
            "comparison": compared[0].pair,
            "comparison_label": compared[0].label,
            "shrinkage": f"one-way normal model, half-normal prior with scale {PRIOR_SCALE} on the spread",
        },
    )


def _comparison(
    cohort: Cohort,
    outcome: ShownOutcome,
    comparison: Comparison,
    divisions: Sequence[Factor],
    weights: Floats | None,
) -> list[tuple[Cell, ...]]:
    analysis = cohort.protocol.analysis
    options = EffectOptions(
        tau=outcome.horizon, level=analysis.level, minimum_events=analysis.minimum_events, unit=outcome.unit
    )
    strata = None if weights is not None else cohort.strata
    inside = comparison.rows if weights is None else comparison.rows & (weights > 0)

    def effect_in(mask: NDArray[np.bool_]) -> Effect:
        return outcome_effect(outcome, comparison.treated, mask & inside, options, strata=strata, weights=weights)

    overall = effect_in(np.ones(cohort.n, dtype=np.bool_))
    blocks = []
    for factor in divisions:
        code = np.where(inside, factor.code, -1)
        present = np.unique(code[code >= 0])
        effects = tuple(effect_in(code == k) for k in present)
        gaps = inside & (factor.code < 0)
        kept = Factor(
            variable=factor.variable,
            label=factor.label,
            levels=tuple(factor.levels[k] for k in present),
            code=code,
        )
        block = _block(cohort, outcome, comparison, kept, effects, weighted=weights is not None)
        blocks.append(replace(block, unknown=effect_in(gaps)) if gaps.any() else block)
    return _rows(comparison, overall, blocks, analysis.level)


def _block(
    cohort: Cohort,
    outcome: ShownOutcome,
    comparison: Comparison,
    factor: Factor,
    effects: tuple[Effect, ...],
    *,
    weighted: bool,
) -> _Block:
    """Test of arm by level in one model where there is one (unweighted times), else Cochran's Q."""
    if outcome.timed and not weighted:
        relative = relative_interaction(cohort, outcome, factor.code, comparison, effects)
    else:
        relative = heterogeneity([effect.relative for effect in effects], split_cluster(outcome, factor.code))
    absolute = heterogeneity([effect.absolute for effect in effects], split_cluster(outcome, factor.code))
    return _Block(factor=factor, effects=effects, unknown=None, relative=relative, absolute=absolute)


def _shrunken(blocks: Sequence[_Block], scale_of: str, prior: float, level: float) -> list[list[tuple[Cell, ...]]]:
    """Shrunken value and limits per factor and level; empty cells where the plain effect is not estimable."""
    scales: list[list[ScaleEffect]] = [[getattr(effect, scale_of) for effect in block.effects] for block in blocks]
    usable = [
        (number, at, scale)
        for number, entries in enumerate(scales)
        for at, scale in enumerate(entries)
        if scale.ok and np.isfinite(scale.std_error) and scale.std_error > 0
    ]
    out: list[list[tuple[Cell, ...]]] = [[(None, None, None)] * len(entries) for entries in scales]
    if not usable:
        return out
    ratio = usable[0][2].ratio
    value = np.array([np.log(scale.value) if ratio else scale.value for _, _, scale in usable])
    error = np.array([scale.std_error for _, _, scale in usable])
    found = shrink_levels(value, error, np.array([number for number, _, _ in usable]), scale=prior, level=level)
    numbers = np.column_stack([found.value, found.lower, found.upper])
    numbers = np.exp(numbers) if ratio else numbers
    for (number, at, _), line in zip(usable, numbers, strict=True):
        out[number][at] = tuple(float(x) for x in line)
    return out


def _rows(comparison: Comparison, overall: Effect, blocks: Sequence[_Block], level: float) -> list[tuple[Cell, ...]]:
    """All patients first, then factor by factor; tests stand in the first row of their factor."""
    relative = _shrunken(blocks, "relative", PRIOR_SCALE, level)
    # the same prior in the units of the absolute scale
    errors = (overall.absolute.std_error, overall.relative.std_error)
    usable = all(np.isfinite(error) and error > 0 for error in errors)
    own = PRIOR_SCALE * errors[0] / errors[1] if usable else 0.0
    if not usable and np.isfinite(errors[0]) and errors[0] > 0:  # a continuous outcome: two errors of the whole
        own = 2.0 * errors[0]
    empty: list[list[tuple[Cell, ...]]] = [[(None, None, None)] * len(block.effects) for block in blocks]
    absolute = _shrunken(blocks, "absolute", own, level) if own > 0 else empty
    none: tuple[Cell, ...] = (None, None, None)
    rows = [_row(comparison, "all", "All patients", "", overall, none, none, (None, None))]
    for number, block in enumerate(blocks):
        tests = tuple(_p(test) for test in (block.relative, block.absolute))
        for at, (name, effect) in enumerate(zip(block.factor.levels, block.effects, strict=True)):
            rows.append(
                _row(
                    comparison, block.factor.variable, block.factor.label, name, effect,
                    relative[number][at], absolute[number][at], tests if at == 0 else (None, None),
                )
            )  # fmt: skip
        if block.unknown is not None:
            names = (block.factor.variable, block.factor.label, NOT_KNOWN)
            rows.append(_row(comparison, *names, block.unknown, none, none, (None, None)))
    return rows


def _p(test: TestResult) -> float | None:
    return float(test.p) if test.status == "ok" and np.isfinite(test.p) else None


def _row(
    comparison: Comparison,
    variable: str,
    label: str,
    level: str,
    effect: Effect,
    relative: tuple[Cell, ...],
    absolute: tuple[Cell, ...],
    tests: tuple[Cell, ...],
) -> tuple[Cell, ...]:
    counts = (
        effect.n, effect.events, effect.n_control, effect.n_treated, effect.events_control, effect.events_treated,
    )  # fmt: skip
    limits = [
        [float(x) if np.isfinite(x) else None for x in (scale.value, scale.lower, scale.upper)]
        for scale in (effect.relative, effect.absolute)
    ]
    return (
        comparison.pair, variable, label, level, *counts, *limits[0], *relative, *limits[1], *absolute, *tests,
    )  # fmt: skip


def _table(outcome: ShownOutcome, rows: Sequence[tuple[Cell, ...]]) -> Table:
    ratio = {"competing": "Cause-specific hazard ratio", "binary": "Odds ratio"}.get(outcome.kind, "Hazard ratio")
    unit = outcome.unit if outcome.kind == "time_to_event" else ""
    difference = {
        "time_to_event": "RMST difference",
        "competing": "Difference of cumulative incidence",
        "binary": "Risk difference",
        "continuous": "Mean difference",
    }[outcome.kind]
    columns = (
        Column(key="comparison", label="Comparison"),
        Column(key="variable", label="Variable"),
        Column(key="label", label="Characteristic"),
        Column(key="level", label="Subgroup"),
        Column(key="n", label="Patients", kind="count"),
        Column(key="events", label="Events", kind="count"),
        Column(key="n_control", label="Patients, control", kind="count"),
        Column(key="n_treated", label="Patients, treated", kind="count"),
        Column(key="events_control", label="Events, control", kind="count"),
        Column(key="events_treated", label="Events, treated", kind="count"),
        Column(key="hazard_ratio", label=ratio, kind="effect"),
        Column(key="lower", label="Lower limit", kind="effect"),
        Column(key="upper", label="Upper limit", kind="effect"),
        Column(key="shrunken", label=f"{ratio}, shrunken", kind="effect"),
        Column(key="shrunken_lower", label="Lower limit", kind="effect"),
        Column(key="shrunken_upper", label="Upper limit", kind="effect"),
        Column(key="rmst_difference", label=difference, kind="number", unit=unit),
        Column(key="rmst_lower", label="Lower limit", kind="number", unit=unit),
        Column(key="rmst_upper", label="Upper limit", kind="number", unit=unit),
        Column(key="rmst_shrunken", label=f"{difference}, shrunken", kind="number", unit=unit),
        Column(key="rmst_shrunken_lower", label="Lower limit", kind="number", unit=unit),
        Column(key="rmst_shrunken_upper", label="Upper limit", kind="number", unit=unit),
        Column(key="interaction_p", label="Interaction p, relative scale", kind="p"),
        Column(key="interaction_p_rmst", label="Interaction p, absolute scale", kind="p"),
    )
    note = (
        f"Population: {outcome.population()}. Continuous variables are cut at their median. One interaction test per "
        "variable and scale, not adjusted for the number of variables; shrunken: drawn towards the mean of the "
        f"variable's subgroups (one-way normal model). {NOT_KNOWN.capitalize()}: patients without a value, a "
        "population of their own that takes no part in the tests."
    )
    return Table(name="forest.rows", title="Declared subgroups", columns=columns, rows=tuple(rows), note=note)


def smallest_p(table: Table) -> float:
    """The smallest interaction p of a forest, nan without one."""
    found = [float(p) for p in table.column("interaction_p") if isinstance(p, (int, float))]
    return min(found, default=NAN)
