"""The treatment effect where arms were not randomised: propensity weights, what they balanced, and what may remain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trialstrat.cohort.cohort import Cohort
from trialstrat.cohort.describe import coded_values
from trialstrat.cohort.shown import ShownOutcome, arm_labels, said_horizon
from trialstrat.results import Cell, Column, Estimate, Finding, Table
from trialstrat.stats.balance import smd
from trialstrat.stats.propensity import PropensityWeights, e_value, propensity, propensity_weights
from trialstrat.subgroups.adjusted import code_covariates
from trialstrat.subgroups.comparison import Comparison
from trialstrat.subgroups.effect import outcome_effect
from trialstrat.subgroups.scales import Effect, EffectOptions, ScaleEffect

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

METHOD = "propensity overlap weights"
#: How the reason of an effect without a propensity model begins.
NO_MODEL = "no propensity model: "
TARGET = "patients who could have received either treatment (overlap population)"
#: Below this share of patients with the event a hazard ratio is read as a risk ratio (VanderWeele & Ding 2017).
RARE = 0.15
#: A standardised mean difference that remains above this after weighting is reported.
BALANCED = 0.1
_BINS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Weighted:
    """Estimates, tables and findings of the weighted analysis; all empty for randomised arms."""

    estimates: tuple[Estimate, ...] = ()
    tables: tuple[Table, ...] = ()
    findings: tuple[Finding, ...] = ()


def weighted_analysis(
    cohort: Cohort, outcome: ShownOutcome, compared: Sequence[Comparison], shared: Mapping[str, Any]
) -> Weighted:
    """Every treatment against the control with overlap weights from the declared confounders.

    The propensity model is a logistic regression on the confounders among patients in whom all are known; weights
    are 1 - e for the treated and e for controls. Standard errors take the weights as known. Estimates say how strong
    unmeasured confounding would have to be (E-value).

    References
    ----------
    Li F, Morgan KL, Zaslavsky AM (2018). JASA 113, 390-400. Austin PC, Stuart EA (2015). Stat Med 34, 3661-3679.
    VanderWeele TJ, Ding P (2017). Ann Intern Med 167, 268-274.
    """
    arms = cohort.protocol.arms
    if arms is None or arms.allocation == "randomised" or not arms.confounders:
        return Weighted()
    coding = code_covariates(cohort, arms.confounders)
    estimates: list[Estimate] = []
    findings: list[Finding] = []
    balance: list[tuple[Cell, ...]] = []
    overlap: list[tuple[Cell, ...]] = []
    for comparison in compared:
        rows = comparison.rows & coding.known
        if lost := int((comparison.rows & ~coding.known).sum()):
            findings.append(_lost(comparison, lost, int(comparison.rows.sum())))
        arm = comparison.treated[rows]
        model = propensity(arm, coding.values[rows], names=coding.terms)
        if model.status != "ok":
            estimates += _refused(outcome, comparison, model.reason, {**shared, "n": int(rows.sum())})
            continue
        made = propensity_weights(model.score, arm, estimand="overlap")
        weights = np.zeros(cohort.n)
        weights[rows] = made.weights
        estimates += _estimates(cohort, outcome, comparison, rows, weights, shared)
        estimates += _sample_sizes(comparison, made, arm, shared)
        rows_of_balance = _balance(cohort, comparison, rows, weights)
        balance += rows_of_balance
        findings += _unbalanced(comparison, rows_of_balance)
        overlap += _overlap(cohort, comparison, model.score, arm)
    tables = [table for table in (_balance_table(balance), _overlap_table(overlap)) if table.rows]
    return Weighted(estimates=tuple(estimates), tables=tuple(tables), findings=tuple(findings))


def comparison_weights(cohort: Cohort, comparison: Comparison) -> tuple[Floats | None, str]:
    """Overlap weights (n,) of one comparison, 0 outside it and where a confounder is unknown; or None and why.

    Without a reason there is nothing to weight: arms were randomised, or no confounders are declared.
    """
    arms = cohort.protocol.arms
    if arms is None or arms.allocation == "randomised" or not arms.confounders:
        return None, ""
    coding = code_covariates(cohort, arms.confounders)
    rows = comparison.rows & coding.known
    model = propensity(comparison.treated[rows], coding.values[rows], names=coding.terms)
    if model.status != "ok":
        return None, model.reason
    weights = np.zeros(cohort.n)
    weights[rows] = propensity_weights(model.score, comparison.treated[rows], estimand="overlap").weights
    return weights, ""


def _lost(comparison: Comparison, lost: int, total: int) -> Finding:
    return Finding(
        code="W-PRIMARY-CONFOUNDER-MISSING",
        severity="warning",
        message=f"of {comparison.label} have an unknown confounder and are left out of the weighted analysis",
        remedy="Complete the confounders, or read the weighted effect as that of complete cases",
        bad=lost,
        total=total,
    )


def _unbalanced(comparison: Comparison, rows: Sequence[tuple[Cell, ...]]) -> list[Finding]:
    left = [str(row[1]) for row in rows if isinstance(row[-1], float) and abs(row[-1]) > BALANCED]
    if not left:
        return []
    return [
        Finding(
            code="W-PRIMARY-BALANCE",
            severity="warning",
            message=f"{comparison.label}: after weighting the arms still differ in {', '.join(left)}",
            remedy="Declare these as confounders, or read the weighted effect with this difference in mind",
        )
    ]


def _options(cohort: Cohort, outcome: ShownOutcome) -> EffectOptions:
    analysis = cohort.protocol.analysis
    return EffectOptions(
        tau=outcome.horizon, level=analysis.level, minimum_events=analysis.minimum_events, unit=outcome.unit
    )


def effect_scales(outcome: ShownOutcome, found: Effect) -> list[tuple[str, str, ScaleEffect]]:
    """What is reported of an effect: last part of the name, label, value."""
    until = said_horizon(outcome)
    if outcome.kind == "continuous":
        return [("mean_difference", "mean difference", found.absolute)]
    if outcome.kind == "binary":
        return [("risk_difference", "risk difference", found.absolute), ("odds_ratio", "odds ratio", found.relative)]
    if outcome.kind == "competing":
        label = f"difference of cumulative incidence at {until}"
        return [
            ("hazard_ratio", "cause-specific hazard ratio", found.relative),
            ("cif.difference", label, found.absolute),
        ]
    return [
        ("hazard_ratio", "hazard ratio", found.relative),
        ("rmst.difference", f"difference of restricted mean time up to {until}", found.absolute),
        ("milestone.difference", f"difference of survival at {until}", found.milestone),
    ]


def without_model(reason: str) -> Effect:
    """The effect of arms that were chosen and cannot be weighted: not estimable on any scale, and why."""
    none = ScaleEffect(measure="", ratio=False, status="not_estimable", reason=f"{NO_MODEL}{reason}")
    return Effect(
        relative=none, absolute=none, milestone=none, n_control=0, n_treated=0, events_control=0, events_treated=0
    )


def _refused(outcome: ShownOutcome, comparison: Comparison, reason: str, rest: Mapping[str, Any]) -> list[Estimate]:
    words = {key: value for key, value in rest.items() if key != "level"}
    empty = without_model(reason)
    return [
        scale.estimate(
            f"primary.weighted.{stem}.{comparison.pair}",
            f"Weighted {label}, {comparison.label}",
            population=TARGET,
            **words,
        )
        for stem, label, scale in effect_scales(outcome, empty)
    ]


def _estimates(
    cohort: Cohort,
    outcome: ShownOutcome,
    comparison: Comparison,
    rows: Mask,
    weights: Floats,
    shared: Mapping[str, Any],
) -> list[Estimate]:
    """The weighted effect on its scales, and the E-value of the hazard ratio."""
    found = outcome_effect(outcome, comparison.treated, rows, _options(cohort, outcome), weights=weights)
    rest = {key: value for key, value in shared.items() if key != "level"}
    rest |= {"n": found.n, "population": TARGET}
    if outcome.kind != "continuous":
        rest["events"] = found.events
    estimates = [
        scale.estimate(f"primary.weighted.{stem}.{comparison.pair}", f"Weighted {label}, {comparison.label}", **rest)
        for stem, label, scale in effect_scales(outcome, found)
    ]
    ratio = found.relative
    if outcome.timed and ratio.ok:
        rare = found.events / found.n < RARE
        needed = e_value(ratio.value, lower=ratio.lower, upper=ratio.upper, rare=rare)
        for stem, label, value in (
            ("e_value", "E-value of the weighted hazard ratio", needed.estimate),
            ("e_value_limit", "E-value of its confidence limit nearer to 1", needed.limit),
        ):
            name = f"primary.weighted.{stem}.{comparison.pair}"
            method = "E-value (VanderWeele and Ding)"
            text = f"{label}, {comparison.label}"
            estimates.append(Estimate(name=name, label=text, value=value, unit="risk ratio", method=method, **rest))
    return estimates


def _sample_sizes(
    comparison: Comparison, made: PropensityWeights, arm: NDArray[np.int64], shared: Mapping[str, Any]
) -> list[Estimate]:
    """Patients of equal weight that carry as much information as the weighted arms."""
    rest = {key: value for key, value in shared.items() if key != "level"}
    return [
        Estimate(
            name=f"primary.weighted.ess.{comparison.pair}.{name}",
            label=f"Effective sample size, {who} arm, {comparison.label}",
            value=value,
            unit="effective patients",
            method=METHOD,
            population=TARGET,
            n=int((arm == code).sum()),
            **rest,
        )
        for name, who, value, code in (
            (comparison.control, "control", made.ess_control, 0),
            (comparison.treatment, "treated", made.ess_treated, 1),
        )
    ]


def _balance(cohort: Cohort, comparison: Comparison, rows: Mask, weights: Floats) -> list[tuple[Cell, ...]]:
    """Standardised mean differences of every declared variable before and after weighting."""
    out: list[tuple[Cell, ...]] = []
    arm = comparison.treated[rows]
    for variable in cohort.protocol.variables:
        values = coded_values(variable, cohort.frame[variable.column])
        kind = "continuous" if variable.kind == "continuous" else "categorical"
        before = smd(values[rows], arm, kind=kind).smd
        after = smd(values[rows], arm, kind=kind, weights=weights[rows]).smd
        shown = (float(x) if np.isfinite(x) else None for x in (before, after))
        out.append((variable.column, variable.title, comparison.pair, *shown))
    return out


def _balance_table(rows: Sequence[tuple[Cell, ...]]) -> Table:
    return Table(
        name="primary.balance",
        title="Balance before and after weighting",
        columns=(
            Column(key="variable", label="Variable"),
            Column(key="label", label="Characteristic"),
            Column(key="comparison", label="Comparison"),
            Column(key="before", label="SMD before", kind="number"),
            Column(key="after", label="SMD after", kind="number"),
        ),
        rows=tuple(rows),
        note=f"Standardised mean differences among patients with known confounders; after: {METHOD}.",
        protection="none",
    )


def _overlap(cohort: Cohort, comparison: Comparison, score: Floats, arm: NDArray[np.int64]) -> list[tuple[Cell, ...]]:
    """Histogram of the propensity score by arm."""
    labels = arm_labels(cohort)
    edges = np.linspace(0, 1, _BINS + 1)
    out: list[tuple[Cell, ...]] = []
    for name, code in ((comparison.control, 0), (comparison.treatment, 1)):
        counts = np.histogram(score[arm == code], edges)[0]
        out.extend(
            (comparison.pair, name, labels[name], float(low), float(high), int(count))
            for low, high, count in zip(edges[:-1], edges[1:], counts, strict=True)
        )
    return out


def _overlap_table(rows: Sequence[tuple[Cell, ...]]) -> Table:
    return Table(
        name="primary.overlap",
        title="Overlap of the propensity scores",
        columns=(
            Column(key="comparison", label="Comparison"),
            Column(key="arm", label="Arm"),
            Column(key="label", label="Arm"),
            Column(key="low", label="From", kind="percent"),
            Column(key="high", label="To", kind="percent"),
            Column(key="count", label="Patients", kind="count"),
        ),
        rows=tuple(rows),
        note="Probability of treatment by logistic regression on the declared confounders.",
    )
