"""The treatment effect adjusted for declared covariates: a Cox model on complete cases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trialstrat.cohort.cohort import Cohort
from trialstrat.cohort.shown import ShownOutcome
from trialstrat.results import Cell, Column, Estimate, Finding, Table
from trialstrat.stats.cox import CoxFit, cox
from trialstrat.stats.proportional_hazards import ph_test
from trialstrat.subgroups.comparison import Comparison

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

#: Fewest events per parameter for an adjusted model to be fitted (Vittinghoff & McCulloch 2007, AJE 165:710).
EVENTS_PER_PARAMETER = 5

_COLUMNS = (
    Column(key="term", label="Term"),
    Column(key="label", label="Term"),
    Column(key="hazard_ratio", label="Hazard ratio", kind="effect"),
    Column(key="lower", label="Lower limit", kind="effect"),
    Column(key="upper", label="Upper limit", kind="effect"),
    Column(key="p", label="p", kind="p"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Adjusted:
    """What the adjusted model gave; ``table`` is None when it was not fitted."""

    table: Table | None
    estimates: tuple[Estimate, ...]
    ph_rows: tuple[tuple[Cell, ...], ...] = ()
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Coding:
    """Covariates as numbers: ``values`` (n, p), where all are ``known`` (n,), and names of the p columns."""

    values: Floats
    known: Mask
    terms: tuple[str, ...]
    labels: tuple[str, ...]


def code_covariates(cohort: Cohort, columns: Sequence[str]) -> Coding:
    """Declared variables as model columns: continuous as they are, others one 0/1 column per level but the first."""
    variables = {variable.column: variable for variable in cohort.protocol.variables}
    parts: list[Floats] = []
    known = np.ones(cohort.n, dtype=np.bool_)
    terms: list[str] = []
    labels: list[str] = []
    for name in columns:
        variable, column = variables[name], cohort.frame[name]
        if variable.kind == "continuous":
            values = column.to_numpy(dtype=np.float64)
            known &= np.isfinite(values)
            parts.append(values)
            terms.append(name)
            labels.append(f"{variable.title} (per unit{', ' + variable.unit if variable.unit else ''})")
            continue
        codes = np.asarray(column.cat.codes)
        known &= codes >= 0
        reference = column.cat.categories[0]
        for level in range(1, len(column.cat.categories)):
            parts.append((codes == level).astype(np.float64))
            terms.append(f"{name}={column.cat.categories[level]}")
            labels.append(f"{variable.title}, {column.cat.categories[level]} vs {reference}")
    values = np.column_stack(parts) if parts else np.empty((cohort.n, 0))
    return Coding(values=values, known=known, terms=tuple(terms), labels=tuple(labels))


def adjusted_analysis(
    cohort: Cohort, outcome: ShownOutcome, compared: Sequence[Comparison], shared: Mapping[str, Any]
) -> Adjusted:
    """Every treatment against the control in one Cox model with the covariates of ``analysis.adjust_for``.

    Patients with an unknown covariate are left out; strata keep their own baseline hazards. With fewer than
    ``EVENTS_PER_PARAMETER`` events per parameter the model is refused. For endpoints that are not times there is no
    adjusted analysis (a finding says so).
    """
    analysis = cohort.protocol.analysis
    if not compared or not analysis.adjust_for:
        return Adjusted(table=None, estimates=())
    if outcome.time is None:
        message = f"adjust_for is not used: no adjusted analysis of a {outcome.kind} endpoint is made"
        return Adjusted(
            table=None, estimates=(), findings=(Finding(code="W-PRIMARY-ADJUST", severity="warning", message=message),)
        )
    model = adjusted_model(cohort, outcome, compared)
    rest = {**shared, "n": int(model.rows.sum()), "events": model.events, "unit": "hazard ratio"}
    rest["method"] = f"{adjusted_method(cohort)}, complete cases"
    if model.fit is None:
        return Adjusted(table=None, estimates=tuple(_refused(pair, model.reason, rest) for pair in compared))
    fit, labels = model.fit, model.labels
    note = f"Population: patients with known covariates ({outcome.population(model.rows)}). {rest['method']}."
    return Adjusted(
        table=_table(fit, labels, note),
        estimates=tuple(_estimate(fit, at, comparison, rest) for at, comparison in enumerate(compared)),
        ph_rows=_ph_rows(fit, labels),
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AdjustedModel:
    """One Cox model of all treatments (its first coefficients) and the covariates; ``fit`` is None with a ``reason``.

    ``rows`` (n,) are the patients of the comparisons in whom every covariate is known.
    """

    fit: CoxFit | None
    rows: Mask
    events: int
    labels: tuple[str, ...]
    reason: str = ""


def adjusted_model(cohort: Cohort, outcome: ShownOutcome, compared: Sequence[Comparison]) -> AdjustedModel:
    """The model on the patients with known covariates, refused with too few events per parameter."""
    if outcome.time is None:
        raise ValueError("this endpoint is not a time")
    coding = code_covariates(cohort, cohort.protocol.analysis.adjust_for)
    rows = coding.known & np.any([comparison.rows for comparison in compared], axis=0)
    design = np.column_stack([*(comparison.treated for comparison in compared), coding.values])
    events, parameters = int(outcome.of_interest[rows].sum()), design.shape[1]
    labels = (*(comparison.label for comparison in compared), *coding.labels)
    needed = EVENTS_PER_PARAMETER * parameters
    if events < max(needed, 1):
        reason = f"{events} events for {parameters} parameters; at least {needed} are needed"
        return AdjustedModel(fit=None, rows=rows, events=events, labels=labels, reason=reason)
    fit = cox(
        outcome.time[rows],
        outcome.of_interest[rows],
        design[rows],
        strata=None if cohort.strata is None else cohort.strata[rows],
        entry=None if outcome.entry is None else outcome.entry[rows],
        cluster=None if outcome.cluster is None else outcome.cluster[rows],
        names=(*(comparison.treatment for comparison in compared), *coding.terms),
        level=cohort.protocol.analysis.level,
    )
    return AdjustedModel(fit=fit, rows=rows, events=events, labels=labels)


def adjusted_method(cohort: Cohort) -> str:
    """The model in words."""
    model = "Cox model" if cohort.strata is None else "Stratified Cox model"
    variables = {variable.column: variable.title for variable in cohort.protocol.variables}
    covariates = ", ".join(variables[name] for name in cohort.protocol.analysis.adjust_for)
    robust = "" if cohort.cluster is None else ", robust variance by cluster"
    return f"{model} adjusted for {covariates}; Efron ties{robust}"


def _name(comparison: Comparison) -> tuple[str, str]:
    return f"primary.cox.adjusted_hazard_ratio.{comparison.pair}", f"Adjusted hazard ratio, {comparison.label}"


def _refused(comparison: Comparison, reason: str, rest: Mapping[str, Any]) -> Estimate:
    return Estimate.not_estimable(*_name(comparison), reason, **rest, population=comparison.label)


def _estimate(fit: CoxFit, at: int, comparison: Comparison, rest: Mapping[str, Any]) -> Estimate:
    name, label = _name(comparison)
    words = {**rest, "population": comparison.label}
    if not np.isfinite(fit.coef[at]):
        return Estimate.not_estimable(name, label, fit.reason, **words)
    return Estimate(
        name=name,
        label=label,
        value=float(fit.hazard_ratio[at]),
        lower=float(fit.lower[at]),
        upper=float(fit.upper[at]),
        null_hypothesis="given the covariates, treatment is not associated with the hazard",
        **words,
    )


def _table(fit: CoxFit, labels: Sequence[str], note: str) -> Table:
    numbers = zip(fit.names, labels, fit.hazard_ratio, fit.lower, fit.upper, fit.p, strict=True)
    rows = tuple(
        (term, label, *(float(x) if np.isfinite(x) else None for x in (ratio, low, high, p)))
        for term, label, ratio, low, high, p in numbers
    )
    return Table(
        name="primary.adjusted",
        title="Adjusted treatment effect",
        columns=_COLUMNS,
        rows=rows,
        note=note,
        protection="none",
    )


def _ph_rows(fit: CoxFit, labels: Sequence[str]) -> tuple[tuple[Cell, ...], ...]:
    """Proportional hazards of every term of the adjusted model, and of all together."""
    if fit.status != "ok":
        return ()
    test = ph_test(fit, transform="km")
    rows: list[tuple[Cell, ...]] = []
    named = [(f"adjusted:{term}", f"Adjusted model: {label}") for term, label in zip(fit.names, labels, strict=True)]
    for (term, label), one in zip(named, test.covariates.values(), strict=True):
        if one.status == "ok":
            rows.append((term, label, one.statistic, one.df, one.p))
    overall = test.overall
    if overall.status == "ok":
        rows.append(("adjusted:global", "Adjusted model: all terms", overall.statistic, overall.df, overall.p))
    return tuple(rows)
