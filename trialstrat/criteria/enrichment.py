"""Stage "criteria": prognostic enrichment, a short rule distilled from the risk model and judged on held-out patients.

In every outer fold a rule is distilled from risks predicted for the fold's training patients; it then selects among
the patients that the fold held out. What is reported is the performance of those held-out selections. The final rule
is distilled the same way from the held-out risks of everybody.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import rankdata

from trialstrat.cohort.cohort import Cohort
from trialstrat.cohort.shown import ShownOutcome, shown_outcome, whole_horizon
from trialstrat.criteria.distil import DistilledRule, RuleOptions, distil, selected
from trialstrat.criteria.enrichment_tables import (
    curve_tables,
    folds_table,
    price_table,
    rule_table,
    rule_text,
    written_table,
)
from trialstrat.criteria.frozen import found_ids
from trialstrat.criteria.held_out import HeldOutRule, measure
from trialstrat.models.out_of_fold import OutOfFold
from trialstrat.protocol.model import Condition, Variable
from trialstrat.results import Estimate, StageResult
from trialstrat.subgroups.effect import outcome_effect
from trialstrat.subgroups.scales import EffectOptions

Mask = NDArray[np.bool_]

#: Markers of a wide block that may enter a rule: those most correlated with the training risk of the fold.
MARKERS_TRIED = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Enrichment:
    """The stage's result, and the proposed rule (empty when none is supported)."""

    result: StageResult
    rule: tuple[Condition, ...]


def enrich(cohort: Cohort, out_of_fold: OutOfFold, *, rng: np.random.Generator) -> Enrichment:
    """Distil an enrichment rule and say what it would cost and bring.

    A rule is proposed when the held-out patients it selects have the event by the horizon more often than those it
    leaves out, beyond the confidence interval. Intervals of the held-out values are bootstrap percentiles over
    patients within folds, with the rules as found.

    Parameters
    ----------
    cohort, out_of_fold
        Patients in the same order.
    rng
        For the bootstrap.

    Returns
    -------
    Enrichment
        ``rule`` runs through :func:`trialstrat.cohort.eligibility.evaluate_condition`. Patients with an unknown value
        are not selected.
    """
    outcome = shown_outcome(cohort)
    declared = cohort.protocol.enrichment
    options = RuleOptions(
        max_conditions=declared.max_conditions,
        target_share=declared.target_share,
        minimum_share=declared.minimum_share,
    )
    used = np.flatnonzero(out_of_fold.fold >= 0)
    final = _final_rule(cohort, out_of_fold, used, options)
    fold_rules = [
        _distil(cohort, np.asarray(rows), np.asarray(risk), options) for rows, risk in out_of_fold.fold_training_risk
    ]
    labels = _titles(cohort)
    (name,) = found_ids(1, cohort.protocol)
    tables = [written_table(cohort.protocol.eligibility), rule_table((), labels, name)]
    facts = {
        "kind": "prognostic enrichment",
        "model": out_of_fold.model,
        "model_label": out_of_fold.label,
        "horizon": whole_horizon(outcome.horizon),
        "unit": outcome.unit,
        "target_share": f"{declared.target_share:g}",
    }
    reason = _no_rule(final, fold_rules)
    if reason:
        facts |= {"rule_text": "", "status": "none", "reason": reason}
        return Enrichment(result=StageResult(stage="criteria", tables=tuple(tables), facts=facts), rule=())
    held_out = _held_out(cohort, out_of_fold, used, fold_rules, final)
    estimates = measure(held_out, outcome, cohort.protocol, rng)
    reason = _not_supported(cohort, outcome, held_out, options)
    rule = () if reason else final.conditions
    tables[1] = rule_table(rule, labels, name)
    tables += [
        folds_table(held_out, outcome, labels, fold_rules),
        *curve_tables(cohort, outcome, held_out),
        price_table(estimates, outcome),
    ]
    text = rule_text(final.conditions, labels)
    facts |= {"rule_text": text if rule else "", "status": "proposed" if rule else "none", "reason": reason}
    return Enrichment(
        result=StageResult(
            stage="criteria", estimates=tuple(_with_evidence(estimates, cohort)), tables=tuple(tables), facts=facts
        ),
        rule=rule,
    )


def _with_evidence(estimates: Mapping[str, Estimate], cohort: Cohort) -> list[Estimate]:
    return [replace(entry, evidence=cohort.protocol.status) for entry in estimates.values()]


# -- rules -----------------------------------------------------------------------------------------------------------


def _titles(cohort: Cohort) -> dict[str, str]:
    """Readable names of the columns a rule may use."""
    return {variable.column: variable.title for variable in cohort.protocol.variables}


def _distil(cohort: Cohort, rows: NDArray[Any], risk: NDArray[np.float64], options: RuleOptions) -> DistilledRule:
    """A rule from some patients and their risks."""
    # the cut of a signature means nothing without the patients it was standardised on
    variables = [entry for entry in cohort.protocol.variables if entry.column not in cohort.signatures]
    frame = cohort.frame.iloc[rows]
    if cohort.markers.shape[1]:
        block = cohort.markers.iloc[rows]
        names = _leading_markers(block, risk)
        variables += [Variable(column=name, kind="continuous") for name in names]
        frame = pd.concat([frame, block[names]], axis=1)
    return distil(frame, variables, risk, options)


def _leading_markers(block: pd.DataFrame, risk: NDArray[np.float64]) -> list[str]:
    """The markers with the largest absolute rank correlation with the risk among these patients, in block order."""
    values = block.to_numpy(dtype=np.float64)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a column without any value has no median
        middle = np.nanmedian(values, axis=0)
    values = np.where(np.isfinite(values), values, np.where(np.isfinite(middle), middle, 0.0))
    ranks = rankdata(values, axis=0) - (len(risk) + 1) / 2
    target = rankdata(risk) - (len(risk) + 1) / 2
    spread = np.sqrt((ranks**2).sum(axis=0))
    strength = np.abs(target @ ranks) / np.where(spread > 0, spread, np.inf)
    order = np.argsort(-strength, kind="stable")[:MARKERS_TRIED]
    return [str(block.columns[at]) for at in sorted(order) if strength[at] > 0]


def _final_rule(cohort: Cohort, held_out: OutOfFold, used: NDArray[Any], options: RuleOptions) -> DistilledRule:
    """The rule from everybody: risks of different folds are compared by their rank within the fold."""
    risk = np.full(cohort.n, np.nan)
    for fold in range(held_out.folds):
        rows = held_out.held_out(fold)
        if len(rows):
            risk[rows] = (rankdata(held_out.risk[rows]) - 0.5) / len(rows)
    return _distil(cohort, used, risk[used], options)


def _no_rule(final: DistilledRule, folds: Sequence[DistilledRule]) -> str:
    """Why there is nothing to judge; empty when there is."""
    without = sum(not rule.conditions for rule in folds)
    if not final.conditions:
        return "No rule of the measured columns selects enough patients of high predicted risk."
    if without:
        return f"In {without} of {len(folds)} folds no rule selects enough patients of high predicted risk."
    return ""


# -- what it is worth ------------------------------------------------------------------------------------------------


def _held_out(
    cohort: Cohort,
    out_of_fold: OutOfFold,
    used: NDArray[Any],
    folds: Sequence[DistilledRule],
    final: DistilledRule,
) -> HeldOutRule:
    """Who is selected by the rule of the fold that held the patient out, and by every rule."""
    columns = {condition.column for rule in (*folds, final) for condition in rule.conditions}
    names = [name for name in cohort.markers.columns if name in columns and name not in cohort.frame.columns]
    frame = pd.concat([cohort.frame, cohort.markers[names]], axis=1) if names else cohort.frame
    by_fold = np.array([selected(rule.conditions, frame) for rule in folds])
    fold = out_of_fold.fold[used]
    return HeldOutRule(
        rows=used,
        fold=fold,
        inside=by_fold[fold, used],
        by_fold=by_fold[:, used],
        final=selected(final.conditions, frame)[used],
        risk=out_of_fold.risk[used],
    )


def _not_supported(cohort: Cohort, outcome: ShownOutcome, held_out: HeldOutRule, options: RuleOptions) -> str:
    """Why the rule is not proposed; empty when held-out patients support it."""
    share = float(held_out.inside.mean())
    if share < options.minimum_share:
        return f"On held-out patients the rules select {share:.0%}, less than the smallest share declared."
    if share >= 1:
        return "On held-out patients the rules select everybody."
    rows = np.zeros(cohort.n, dtype=np.bool_)
    rows[held_out.rows] = True
    inside = np.zeros(cohort.n, dtype=np.int64)
    inside[held_out.rows] = held_out.inside
    asked = EffectOptions(tau=outcome.horizon, level=cohort.protocol.analysis.level, unit=outcome.unit)
    found = outcome_effect(outcome, inside, rows, asked).milestone
    if not found.ok:
        return f"The event rates inside and outside the rule cannot be compared: {found.reason}."
    # the milestone is survival, where selected patients must do worse, or the incidence of the event
    worse = found.lower > 0 if outcome.kind == "competing" else found.upper < 0
    if worse:
        return ""
    return (
        "Held-out patients selected by the rules do not have the event by the horizon more often than the others, "
        "beyond the confidence interval."
    )
