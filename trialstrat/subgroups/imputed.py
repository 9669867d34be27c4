"""Stage "imputed": the inferential analyses repeated on multiply imputed covariates and pooled by Rubin's rules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trialstrat.cohort.cohort import Cohort
from trialstrat.cohort.describe import coded_values
from trialstrat.cohort.shown import ShownOutcome, shown_outcome
from trialstrat.protocol.model import Variable
from trialstrat.results import Cell, Column, Estimate, Finding, StageResult, Table, TestResult
from trialstrat.stats.imputation import CYCLES
from trialstrat.stats.rubin import Pooled, pool, pool_wald
from trialstrat.subgroups.adjusted import AdjustedModel, adjusted_method, adjusted_model
from trialstrat.subgroups.comparison import Comparison, comparisons, question_not_asked
from trialstrat.subgroups.completion import Imputation, completed, plan
from trialstrat.subgroups.effect import outcome_effect
from trialstrat.subgroups.forest import Factor, divide, factors
from trialstrat.subgroups.scales import Effect, EffectOptions, ScaleEffect
from trialstrat.subgroups.weighting import TARGET, comparison_weights, effect_scales

Floats = NDArray[np.float64]

_MODEL = (
    Column(key="term", label="Term"),
    Column(key="label", label="Term"),
    Column(key="hazard_ratio", label="Hazard ratio, imputed", kind="effect"),
    Column(key="lower", label="Lower limit", kind="effect"),
    Column(key="upper", label="Upper limit", kind="effect"),
    Column(key="p", label="p", kind="p"),
    Column(key="df", label="df", kind="number"),
    Column(key="fmi", label="Missing information", kind="percent"),
    Column(key="complete", label="Hazard ratio, complete cases", kind="effect"),
    Column(key="complete_lower", label="Lower limit", kind="effect"),
    Column(key="complete_upper", label="Upper limit", kind="effect"),
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Copy:
    """What one completed data set gives: the adjusted model, and per comparison its weighted and subgroup effects."""

    model: AdjustedModel | None
    weighted: tuple[Effect | None, ...]
    levels: tuple[tuple[tuple[Effect, ...], ...], ...]


def imputed_analysis(cohort: Cohort, *, rng: np.random.Generator) -> StageResult | None:
    """Adjusted effect, weighted effect and declared subgroups with missing covariates imputed and the copies pooled.

    Every analysis is that of its complete-case section, made on ``missing_data.multiple_imputations`` completed
    copies (:mod:`trialstrat.subgroups.completion`) and pooled by Rubin's rules with Barnard and Rubin's degrees of
    freedom. Values are taken to be missing at random given everything in the imputation model.

    Returns
    -------
    StageResult or None
        None where nothing is missing, nothing is to be imputed, or no effect of treatment can be asked.

    References
    ----------
    White IR, Royston P (2009). Stat Med 28, 1982-1998. White IR, Royston P, Wood AM (2011). Stat Med 30, 377-399.
    """
    number = cohort.protocol.missing_data.multiple_imputations
    if number == 0 or question_not_asked(cohort):
        return None
    outcome = shown_outcome(cohort)
    compared = comparisons(cohort)
    made = plan(cohort, outcome)
    if not made.incomplete:
        return None
    facts = _facts(made, number)
    if made.reason:
        finding = Finding(code="W-IMPUTED-REFUSED", severity="warning", message=f"nothing is imputed: {made.reason}")
        return StageResult(stage="imputed", findings=(finding,), facts={**facts, "refused": made.reason})
    divisions = _incomplete_factors(cohort, made)
    asked = {entry.column for entry in made.incomplete}
    adjust = outcome.timed and bool(asked & set(cohort.protocol.analysis.adjust_for))
    copies = [
        _analyse(copy, outcome, compared, divisions, adjust=adjust)
        for copy in completed(cohort, outcome, made, imputations=number, rng=rng)
    ]
    shared = _shared(cohort, number)
    estimates: list[Estimate] = []
    tables: list[Table] = []
    if adjust:
        found, table = _adjusted(cohort, outcome, compared, [copy.model for copy in copies if copy.model], shared)
        estimates += found
        tables += [table] if table is not None else []
    arms = cohort.protocol.arms
    if arms is not None and asked & set(arms.confounders):
        for at, comparison in enumerate(compared):
            effects = [copy.weighted[at] for copy in copies]
            estimates += _weighted(outcome, comparison, effects, shared)
    if divisions:
        tables.append(_subgroups(cohort, outcome, compared, divisions, copies))
    return StageResult(
        stage="imputed",
        estimates=tuple(estimates),
        tables=tuple(tables),
        findings=tuple(_findings(cohort, made, number)),
        facts=facts,
    )


def _shared(cohort: Cohort, number: int) -> dict[str, Any]:
    return {
        "evidence": cohort.protocol.status,
        "level": cohort.protocol.analysis.level,
        "method": f"{number} imputations by chained equations, pooled by Rubin's rules",
    }


def _facts(made: Imputation, number: int) -> dict[str, str]:
    return {
        "imputations": str(number),
        "cycles": str(CYCLES if len(made.incomplete) > 1 else 1),
        "apart": "yes" if made.apart else "no",
        "variables": ", ".join(entry.title for entry in made.incomplete),
        "predictors": ", ".join(entry.title for entry in made.variables),
    }


def _findings(cohort: Cohort, made: Imputation, number: int) -> list[Finding]:
    found = []
    share = made.affected / cohort.n
    if number < 100 * share:  # White, Royston and Wood (2011), section 7.1
        found.append(
            Finding(
                code="I-IMPUTED-NUMBER",
                severity="note",
                message=f"{number} imputations are fewer than the percentage of patients with a gap ({share:.0%})",
                remedy="Raise missing_data.multiple_imputations for numbers that another seed repeats",
            )
        )
    if not made.apart:
        found.append(
            Finding(
                code="W-IMPUTED-TOGETHER",
                severity="warning",
                message="arms are imputed together: interactions of treatment with imputed variables are drawn to 0",
                remedy="Read subgroup effects of imputed variables beside those of complete cases",
            )
        )
    return found


def _incomplete_factors(cohort: Cohort, made: Imputation) -> tuple[Factor, ...]:
    """The declared subgroups whose variable has gaps, cut where the known values are cut."""
    names = {entry.column for entry in made.incomplete}
    return tuple(factor for factor in factors(cohort) if factor.variable in names)


def _analyse(
    cohort: Cohort,
    outcome: ShownOutcome,
    compared: Sequence[Comparison],
    divisions: Sequence[Factor],
    *,
    adjust: bool,
) -> _Copy:
    """Every analysis on one completed cohort."""
    variables = {entry.column: entry for entry in cohort.protocol.variables}
    codes = [_code(cohort, variables[factor.variable], factor) for factor in divisions]
    options = _options(cohort, outcome)
    observational = cohort.protocol.arms is not None and cohort.protocol.arms.allocation == "observational"
    weighted: list[Effect | None] = []
    levels = []
    for comparison in compared:
        weights, _ = comparison_weights(cohort, comparison)
        rows = comparison.rows if weights is None else comparison.rows & (weights > 0)
        effect = None if weights is None else outcome_effect(
            outcome, comparison.treated, rows, options, weights=weights
        )  # fmt: skip
        weighted.append(effect)
        # as in the forest of complete cases: weights where all arms were chosen, strata where they were drawn
        words: dict[str, Any] = {"weights": weights} if observational else {"strata": cohort.strata}
        inside = rows if observational else comparison.rows
        levels.append(
            tuple(
                tuple(
                    outcome_effect(outcome, comparison.treated, inside & (code == k), options, **words)
                    for k in range(len(factor.levels))
                )
                for factor, code in zip(divisions, codes, strict=True)
            )
        )
    model = adjusted_model(cohort, outcome, compared) if adjust else None
    return _Copy(model=model, weighted=tuple(weighted), levels=tuple(levels))


def _code(cohort: Cohort, variable: Variable, factor: Factor) -> NDArray[np.int64]:
    return divide(coded_values(variable, cohort.frame[variable.column]), factor.cut)


def _options(cohort: Cohort, outcome: ShownOutcome) -> EffectOptions:
    analysis = cohort.protocol.analysis
    return EffectOptions(
        tau=outcome.horizon, level=analysis.level, minimum_events=analysis.minimum_events, unit=outcome.unit
    )


# -- the adjusted model ----------------------------------------------------------------------------------------------


def _adjusted(
    cohort: Cohort,
    outcome: ShownOutcome,
    compared: Sequence[Comparison],
    models: Sequence[AdjustedModel],
    shared: Mapping[str, Any],
) -> tuple[list[Estimate], Table | None]:
    """Pooled hazard ratios of all terms beside those of complete cases."""
    rest = {**shared, "n": int(models[0].rows.sum()), "events": models[0].events, "unit": "hazard ratio"}
    rest["method"] = f"{adjusted_method(cohort)}; {shared['method']}"
    null = "given the covariates, treatment is not associated with the hazard"
    names = [
        (f"imputed.hazard_ratio.{pair.pair}", f"Adjusted hazard ratio, imputed, {pair.label}") for pair in compared
    ]
    fits = [model.fit for model in models if model.fit is not None]
    if len(fits) < len(models):
        return [Estimate.not_estimable(name, label, models[0].reason, **rest) for name, label in names], None
    complete = adjusted_model(cohort, outcome, compared).fit
    coef = np.array([fit.coef for fit in fits])
    variance = np.array([fit.covariance.diagonal() for fit in fits])
    freedom = max(fits[0].events - coef.shape[1], 1)
    rows: list[tuple[Cell, ...]] = []
    estimates: list[Estimate] = []
    for at, (term, label) in enumerate(zip(fits[0].names, models[0].labels, strict=True)):
        pooled = _pool(coef[:, at], variance[:, at], freedom, float(shared["level"]))
        own: tuple[Cell, ...] = (None,) * 6 if pooled is None else (*_ratio(pooled), pooled.p, pooled.df, pooled.fmi)
        alone: tuple[Cell, ...] = (None,) * 3
        if complete is not None and np.isfinite(complete.coef[at]):
            alone = tuple(float(x[at]) for x in (complete.hazard_ratio, complete.lower, complete.upper))
        rows.append((term, label, *own, *alone))
        if at < len(compared):
            words = {**rest, "population": compared[at].label, "null_hypothesis": null}
            estimates.append(_estimate(*names[at], pooled, ratio=True, rest=words))
    note = f"Population: all patients of the arms compared. {rest['method'][:1].upper()}{rest['method'][1:]}."
    table = Table(
        name="imputed.model",
        title="Adjusted treatment effect, missing covariates imputed",
        columns=_MODEL,
        rows=tuple(rows),
        note=f"{note} Missing information: share of the variance that is due to missing values.",
        protection="none",
    )
    return estimates, table


def _pool(value: Floats, variance: Floats, freedom: float, level: float) -> Pooled | None:
    """Pooled over the copies, None unless every copy has an estimate."""
    if not (np.isfinite(value).all() and np.isfinite(variance).all() and (variance > 0).all()):
        return None
    return pool(value, variance, complete_df=freedom, level=level)


def _ratio(pooled: Pooled) -> tuple[float, float, float]:
    return float(np.exp(pooled.value)), float(np.exp(pooled.lower)), float(np.exp(pooled.upper))


def _estimate(name: str, label: str, pooled: Pooled | None, *, ratio: bool, rest: Mapping[str, Any]) -> Estimate:
    if pooled is None:
        return Estimate.not_estimable(name, label, "not estimable in every imputed copy", **rest)
    value, lower, upper = _ratio(pooled) if ratio else (pooled.value, pooled.lower, pooled.upper)
    return Estimate(name=name, label=label, value=value, lower=lower, upper=upper, **rest)


# -- weighted effects ------------------------------------------------------------------------------------------------


def _scale(effects: Sequence[ScaleEffect], freedom: float, level: float) -> Pooled | None:
    """One scale of an effect pooled over the copies, ratios on the log scale."""
    if not all(effect.ok for effect in effects):
        return None
    value = np.array([np.log(effect.value) if effect.ratio else effect.value for effect in effects])
    return _pool(value, np.array([effect.std_error for effect in effects]) ** 2, freedom, level)


def _weighted(
    outcome: ShownOutcome, comparison: Comparison, effects: Sequence[Effect | None], shared: Mapping[str, Any]
) -> list[Estimate]:
    """The propensity-weighted effect with imputed confounders: weights estimated in every copy, effects pooled.

    References
    ----------
    Leyrat C et al. (2019). Propensity score analysis with partially observed covariates. SMMR 28, 3-19.
    """
    found = [effect for effect in effects if effect is not None]
    if not found:
        return []
    whole = len(found) == len(effects)
    counted = found[0]
    freedom = max((counted.events if outcome.kind != "continuous" else counted.n) - 1, 1)
    out = []
    for stem, label, first in effect_scales(outcome, counted):
        scales = [next(s for name, _, s in effect_scales(outcome, effect) if name == stem) for effect in found]
        pooled = _scale(scales, freedom, float(shared["level"])) if whole else None
        rest = {**shared, "population": TARGET, "n": counted.n, "unit": first.unit}
        rest["method"] = f"{first.method or 'propensity overlap weights'}; {shared['method']}"
        if outcome.kind != "continuous":
            rest["events"] = counted.events
        name = f"imputed.weighted.{stem}.{comparison.pair}"
        text = f"Weighted {label}, imputed, {comparison.label}"
        out.append(_estimate(name, text, pooled, ratio=first.ratio, rest=rest))
    return out


# -- subgroups -------------------------------------------------------------------------------------------------------


def _subgroups(
    cohort: Cohort,
    outcome: ShownOutcome,
    compared: Sequence[Comparison],
    divisions: Sequence[Factor],
    copies: Sequence[_Copy],
) -> Table:
    """Effects in the levels of every variable with gaps, all patients placed; one pooled interaction test each."""
    level = cohort.protocol.analysis.level
    rows: list[tuple[Cell, ...]] = []
    for pair, comparison in enumerate(compared):
        for number, factor in enumerate(divisions):
            by_copy = [copy.levels[pair][number] for copy in copies]
            tests = [_p(_interaction([[getattr(e, s) for e in found] for found in by_copy])) for s in _SCALES]
            for at, name in enumerate(factor.levels):
                effects = [found[at] for found in by_copy]
                cells: list[Cell] = []
                for scale in _SCALES:
                    cells += _cells(_scale([getattr(e, scale) for e in effects], _freedom(effects), level), scale)
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
    return [*(_ratio(pooled) if ratio else (pooled.value, pooled.lower, pooled.upper)), pooled.fmi]


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
