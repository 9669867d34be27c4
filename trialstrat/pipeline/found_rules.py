"""Which rules of a run enter ``criteria.yaml``, as inclusion or exclusion, and with which evidence."""

from __future__ import annotations

from trialstrat.cohort.cohort import Cohort
from trialstrat.criteria.enrichment import Enrichment
from trialstrat.criteria.frozen import FoundRule
from trialstrat.results import Table
from trialstrat.subgroups.rule_study import RuleStudy


def prognostic_rule(enrichment: Enrichment) -> tuple[FoundRule, ...]:
    """The enrichment rule, when held-out patients support one."""
    if not enrichment.rule:
        return ()
    return (
        FoundRule(
            conditions=enrichment.rule,
            kind="inclusion",
            origin="prognostic_enrichment",
            text=f"Prognostic enrichment: {enrichment.result.facts['rule_text']}",
            evidence="prognostic enrichment, learned inside folds and judged on held-out patients",
        ),
    )


def predictive_rule(cohort: Cohort, study: RuleStudy) -> tuple[FoundRule, ...]:
    """The predictive rule, when (and only when) the global test supports one.

    Patients in whom the corrected effect is the better one are to be enrolled: the rule includes when that is inside
    it and excludes when it is outside.
    """
    if not study.claimed:
        return ()
    effects = next(result for result in study.results if result.stage == "rule").table("rule.effects")
    better = _better_inside(effects, cohort.protocol.endpoint.favourable)
    status = cohort.protocol.status
    return (
        FoundRule(
            conditions=study.rule,
            kind="inclusion" if better else "exclusion",
            origin="predictive_rule",
            text=f"Predictive rule: {study.rule_text}",
            evidence=f"{status}: the global test of heterogeneity passed; corrected effects are in the report",
        ),
    )


def _better_inside(effects: Table, favourable: str) -> bool:
    """Whether the corrected absolute effect inside the rule beats the one outside it.

    A longer restricted mean is better whatever the endpoint; differences of risk or of means follow ``favourable``.
    """
    corrected = {
        str(row["set"]): float(str(row["value"]))
        for row in effects.records()
        if row["kind"] == "corrected" and row["scale"] == _absolute_scale(effects) and row["value"] is not None
    }
    difference = corrected["rule"] - corrected["complement"]
    longer_is_better = _absolute_scale(effects) == "rmst_difference"
    return difference > 0 if longer_is_better or favourable == "higher" else difference < 0


def _absolute_scale(effects: Table) -> str:
    """The difference scale of the endpoint; ratios are the relative one."""
    scales = [str(scale) for scale in effects.column("scale")]
    return next((scale for scale in scales if "difference" in scale), scales[0])
