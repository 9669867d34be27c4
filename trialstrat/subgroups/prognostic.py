"""Stage "prognostic": how each declared factor goes with the outcome, by itself and together with the others.

This is prognosis, whatever treatment was given: it says nothing about who benefits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from trialstrat.cohort.cohort import Cohort
from trialstrat.cohort.shown import ShownOutcome, shown_outcome
from trialstrat.protocol.model import Variable
from trialstrat.results import Cell, Column, Finding, StageResult, Table
from trialstrat.stats.cox import CoxFit, cox
from trialstrat.subgroups.adjusted import EVENTS_PER_PARAMETER, Coding, code_covariates
from trialstrat.subgroups.candidates import variables_before_zero
from trialstrat.subgroups.effect import outcome_effect
from trialstrat.subgroups.forest import factors
from trialstrat.subgroups.scales import EffectOptions

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]
_NONE: tuple[Cell, ...] = (None, None, None, None)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Term:
    """One row: a level against the reference of its factor, or a step of ``per`` units of a continuous one."""

    name: str
    level: str
    per: float
    rows: Mask
    reference: bool = False


def prognostic_study(cohort: Cohort) -> StageResult | None:
    """Associations of the declared covariates and biomarkers with the outcome; None where none are declared.

    Times: hazard ratios (cause-specific for competing events) of Cox models with Efron ties, stratified by arm and
    randomisation stratum, each factor alone and all in one model on complete cases. A continuous factor is compared
    between its quartiles. Without ``EVENTS_PER_PARAMETER`` events per parameter a model is refused with the number
    needed. Other outcomes: every level against the first (continuous factors cut at their median) by odds ratio or
    by difference of means.

    Null hypothesis of every row: the factor is not associated with the outcome. The p are not adjusted for their
    number; markers of wide blocks are left to the screen.

    References
    ----------
    Cox DR (1972). JRSS B 34, 187-220. Altman DG et al. (2012). REMARK: explanation and elaboration, items 14 to 16.
    Harrell FE (2015). Regression Modeling Strategies, 5.1 (interquartile-range effects).
    """
    variables = variables_before_zero(cohort)
    if not variables:
        return None
    outcome = shown_outcome(cohort)
    if outcome.time is None:
        rows = _by_level(cohort, outcome)
        return StageResult(
            stage="prognostic", tables=(_level_table(outcome, rows),) if rows else (), facts=_facts(rows)
        )
    found: list[Finding] = []
    rows = _by_model(cohort, outcome, variables, found)
    tables = (_model_table(cohort, outcome, rows),) if rows else ()
    return StageResult(stage="prognostic", tables=tables, findings=tuple(found), facts=_facts(rows))


def _facts(rows: Sequence[tuple[Cell, ...]]) -> dict[str, str]:
    count = len({row[0] for row in rows})
    lead = f"{count} factors were looked at; this is prognosis, not who benefits from treatment"
    return {"factors": str(count), "lead": lead}


def _strata(cohort: Cohort) -> NDArray[np.object_] | None:
    """Arm and randomisation stratum (n,) in one, None where there is neither: prognosis is compared inside them."""
    parts = [part for part in (cohort.arm, cohort.strata) if part is not None]
    return None if not parts else np.array(["|".join(map(str, row)) for row in zip(*parts, strict=True)], dtype=object)


# -- times -----------------------------------------------------------------------------------------------------------


def _by_model(
    cohort: Cohort, outcome: ShownOutcome, variables: Sequence[Variable], found: list[Finding]
) -> list[tuple[Cell, ...]]:
    every = code_covariates(cohort, [variable.column for variable in variables])
    together = _fit(cohort, outcome, every, "all factors together", found) if len(variables) > 1 else None
    rows: list[tuple[Cell, ...]] = []
    for variable in variables:
        coding = code_covariates(cohort, [variable.column])
        alone = _fit(cohort, outcome, coding, variable.title, found)
        for term in _terms(cohort, variable):
            events = int(outcome.of_interest[term.rows].sum())
            head = (variable.column, variable.title, term.level, int(term.rows.sum()), events)
            rows.append((*head, *_numbers(alone, term), *_numbers(together, term)))
    return rows


def _fit(cohort: Cohort, outcome: ShownOutcome, coding: Coding, what: str, found: list[Finding]) -> CoxFit | None:
    """One model of the patients whose factors are known; None with a finding where it is refused."""
    if outcome.time is None:
        raise ValueError("a model of times needs times")
    rows = coding.known
    events, parameters = int(outcome.of_interest[rows].sum()), len(coding.terms)
    needed = EVENTS_PER_PARAMETER * parameters
    if events < needed or not parameters:
        text = f"{what}: {parameters} parameters need at least {needed} events among patients with known values"
        found.append(
            Finding(code="W-PROGNOSTIC-EVENTS", severity="warning", message=text, remedy="Declare fewer factors.")
        )
        return None
    strata = _strata(cohort)
    fit = cox(
        outcome.time[rows],
        outcome.of_interest[rows],
        coding.values[rows],
        strata=None if strata is None else strata[rows],
        entry=None if outcome.entry is None else outcome.entry[rows],
        cluster=None if outcome.cluster is None else outcome.cluster[rows],
        names=coding.terms,
        level=cohort.protocol.analysis.level,
    )
    if fit.reason:
        text = f"{what}: {fit.reason}"
        found.append(Finding(code="W-PROGNOSTIC-FIT", severity="warning", message=text, remedy="Merge rare levels."))
    return fit


def _terms(cohort: Cohort, variable: Variable) -> list[_Term]:
    column = cohort.frame[variable.column]
    if variable.kind == "continuous":
        values = column.to_numpy(dtype=np.float64)
        known = np.isfinite(values)
        step = _step(values[known])
        unit = f" {variable.unit}" if variable.unit else ""
        return [_Term(name=variable.column, level=f"per {step:g}{unit}", per=step, rows=known)]
    codes = np.asarray(column.cat.codes)
    levels = [str(level) for level in column.cat.categories]
    return [
        _Term(
            name=f"{variable.column}={level}", level=level if at else f"{level} (reference)", per=1.0,
            rows=codes == at, reference=at == 0,
        )
        for at, level in enumerate(levels)
    ]  # fmt: skip


def _step(values: Floats) -> float:
    """The distance of the quartiles to three digits, of the standard deviation where the quartiles are equal."""
    low, high = np.quantile(values, (0.25, 0.75))
    width = high - low if high > low else np.std(values)
    return float(f"{width:.3g}")


def _numbers(fit: CoxFit | None, term: _Term) -> tuple[Cell, ...]:
    """Ratio, limits and p of a term; empty for a reference and where there is no estimate."""
    if fit is None or term.reference:
        return _NONE
    at = fit.names.index(term.name)
    # on the log scale: a ratio per unit may overflow where that per quartile distance does not
    error = fit.std_error if fit.robust_std_error is None else fit.robust_std_error
    half = float(-ndtri((1 - fit.level) / 2)) * error[at]
    middle = fit.coef[at]
    values = (*(np.exp(term.per * x) for x in (middle, middle - half, middle + half)), fit.p[at])
    return tuple(float(value) for value in values) if np.isfinite(values).all() else _NONE


def _model_table(cohort: Cohort, outcome: ShownOutcome, rows: Sequence[tuple[Cell, ...]]) -> Table:
    ratio = "Cause-specific hazard ratio" if outcome.kind == "competing" else "Hazard ratio"
    strata = "" if _strata(cohort) is None else ", stratified by arm and randomisation stratum"
    robust = "" if outcome.cluster is None else ", robust variance by cluster"
    columns = (
        *_HEAD,
        Column(key="hazard_ratio", label=f"{ratio}, alone", kind="effect"),
        Column(key="lower", label="Lower limit", kind="effect"),
        Column(key="upper", label="Upper limit", kind="effect"),
        Column(key="p", label="p", kind="p"),
        Column(key="adjusted_hazard_ratio", label=f"{ratio}, all together", kind="effect"),
        Column(key="adjusted_lower", label="Lower limit", kind="effect"),
        Column(key="adjusted_upper", label="Upper limit", kind="effect"),
        Column(key="adjusted_p", label="p", kind="p"),
    )
    note = (
        f"Population: {outcome.population()}. Cox models, Efron ties{strata}{robust}; alone: patients with a known "
        "value; all together: patients with all values known. Continuous factors: upper against lower quartile. "
        "Unadjusted p."
    )
    return Table(
        name="prognostic.factors", title="Factors and the outcome", columns=columns, rows=tuple(rows), note=note
    )


# -- other outcomes --------------------------------------------------------------------------------------------------


def _by_level(cohort: Cohort, outcome: ShownOutcome) -> list[tuple[Cell, ...]]:
    analysis = cohort.protocol.analysis
    options = EffectOptions(tau=None, level=analysis.level, minimum_events=analysis.minimum_events)
    rows: list[tuple[Cell, ...]] = []
    for factor in factors(cohort):
        for at, level in enumerate(factor.levels):
            inside = factor.code == at
            if not inside.any():
                continue
            head = (factor.variable, factor.label, level, int(inside.sum()))
            both = inside | (factor.code == 0)
            numbers = _NONE
            if at:
                compared = outcome_effect(outcome, inside.astype(np.int64), both, options, strata=_strata(cohort))
                scale = compared.absolute if outcome.kind == "continuous" else compared.relative
                numbers = (scale.value, scale.lower, scale.upper, scale.p) if scale.ok else _NONE
            rows.append((*head, *_described(outcome, inside), *numbers))
    return rows


def _described(outcome: ShownOutcome, rows: Mask) -> tuple[Cell, ...]:
    """Mean and median of a continuous outcome; patients with the event and their share of a binary one."""
    if outcome.value is not None:
        return float(np.mean(outcome.value[rows])), float(np.median(outcome.value[rows]))
    events = int(outcome.of_interest[rows].sum())
    return events, events / int(rows.sum())


def _level_table(outcome: ShownOutcome, rows: Sequence[tuple[Cell, ...]]) -> Table:
    continuous = outcome.kind == "continuous"
    described = (
        (Column(key="mean", label="Mean", kind="number"), Column(key="median", label="Median", kind="number"))
        if continuous
        else (
            Column(key="events", label="With the event", kind="count"),
            Column(key="risk", label="Risk", kind="percent"),
        )
    )
    kind = "number" if continuous else "effect"
    columns = (
        *_HEAD[:4],
        *described,
        Column(key="contrast", label="Difference of means" if continuous else "Odds ratio", kind=kind),
        Column(key="lower", label="Lower limit", kind=kind),
        Column(key="upper", label="Upper limit", kind=kind),
        Column(key="p", label="p", kind="p"),
    )
    note = (
        f"Population: {outcome.population()}. Every level against the first of its factor; continuous factors are cut "
        "at their median. Unadjusted p."
    )
    return Table(
        name="prognostic.factors", title="Factors and the outcome", columns=columns, rows=tuple(rows), note=note
    )


_HEAD = (
    Column(key="variable", label="Variable"),
    Column(key="label", label="Factor"),
    Column(key="level", label="Level or step"),
    Column(key="n", label="Patients", kind="count"),
    Column(key="events", label="Events", kind="count"),
)
