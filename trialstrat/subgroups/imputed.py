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
from trialstrat.results import Estimate, Finding, StageResult, Table
from trialstrat.stats.imputation import CYCLES
from trialstrat.subgroups.adjusted import AdjustedModel, adjusted_model
from trialstrat.subgroups.comparison import Comparison, comparisons, question_not_asked
from trialstrat.subgroups.completion import Imputation, completed, plan
from trialstrat.subgroups.effect import outcome_effect
from trialstrat.subgroups.forest import Factor, divide, factors
from trialstrat.subgroups.imputed_model import pooled_model
from trialstrat.subgroups.imputed_pooling import pool_scale, pooled_estimate
from trialstrat.subgroups.imputed_subgroups import Levels, pooled_subgroups
from trialstrat.subgroups.scales import Effect, EffectOptions
from trialstrat.subgroups.weighting import NO_MODEL, TARGET, comparison_weights, effect_scales, without_model

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Copy:
    """What one completed data set gives: the adjusted model, and per comparison its weighted and subgroup effects."""

    model: AdjustedModel | None
    weighted: tuple[Effect | None, ...]
    levels: Levels


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
        finding = Finding(
            code="W-IMPUTED-REFUSED", severity="warning", message=f"nothing is imputed: {made.reason}",
            remedy="Leave out variables with many gaps, or read the effects of complete cases",
        )  # fmt: skip
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
        found, table = pooled_model(cohort, outcome, compared, [copy.model for copy in copies if copy.model], shared)
        estimates += found
        tables += [table] if table is not None else []
    arms = cohort.protocol.arms
    if arms is not None and asked & set(arms.confounders):
        for at, comparison in enumerate(compared):
            effects = [copy.weighted[at] for copy in copies]
            estimates += _weighted(outcome, comparison, effects, shared)
    if divisions:
        tables.append(pooled_subgroups(cohort, outcome, compared, divisions, [copy.levels for copy in copies]))
    return StageResult(
        stage="imputed",
        estimates=tuple(estimates),
        tables=tuple(tables),
        findings=(*_findings(cohort, made, number), *_unweighted(compared, copies)),
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


def _unweighted(compared: Sequence[Comparison], copies: Sequence[_Copy]) -> list[Finding]:
    """A finding for every comparison of chosen arms that some copy cannot weight."""
    found = []
    for at, comparison in enumerate(compared):
        effects = [copy.weighted[at] for copy in copies]
        why = next((e.relative.reason for e in effects if e and e.relative.reason.startswith(NO_MODEL)), "")
        if why:
            found.append(
                Finding(
                    code="W-IMPUTED-NO-MODEL",
                    severity="warning",
                    message=f"{comparison.label}: no effect with imputed covariates; {why}",
                    remedy="Declare fewer confounders, or those in which the arms overlap",
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
        weights, reason = comparison_weights(cohort, comparison)
        rows = comparison.rows if weights is None else comparison.rows & (weights > 0)
        if reason:  # arms that were chosen and cannot be weighted: no effect, and none in a subgroup
            refused = without_model(reason)
            weighted.append(refused)
            levels.append(tuple((refused,) * len(factor.levels) for factor in divisions))
            continue
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
    refused = [effect for effect in found if effect.relative.reason.startswith(NO_MODEL)]
    reason = refused[0].relative.reason if refused else ""
    counted = found[0]
    freedom = max((counted.events if outcome.kind != "continuous" else counted.n) - 1, 1)
    out = []
    for stem, label, first in effect_scales(outcome, counted):
        scales = [next(s for name, _, s in effect_scales(outcome, effect) if name == stem) for effect in found]
        pooled = pool_scale(scales, freedom, float(shared["level"]))
        rest = {**shared, "population": TARGET, "n": counted.n, "unit": first.unit}
        rest["method"] = f"{first.method or 'propensity overlap weights'}; {shared['method']}"
        if outcome.kind != "continuous":
            rest["events"] = counted.events
        name = f"imputed.weighted.{stem}.{comparison.pair}"
        text = f"Weighted {label}, imputed, {comparison.label}"
        out.append(pooled_estimate(name, text, pooled, ratio=first.ratio, rest=rest, reason=reason))
    return out
