"""Stage "primary": the treatment effect that the estimand asks for, or why it cannot be asked of these data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trialstrat.cohort.cohort import Cohort
from trialstrat.cohort.shown import ShownOutcome, arm_labels, arm_rows, shown_outcome, whole_horizon
from trialstrat.results import Cell, Column, Estimate, Finding, StageResult, Table
from trialstrat.stats.multiplicity import p_adjust
from trialstrat.subgroups.adjusted import adjusted_analysis
from trialstrat.subgroups.arms import arm_tables, curves_by_arm, plain_arm_estimates, timed_arm_estimates
from trialstrat.subgroups.comparison import (
    PH_METHOD,
    Compared,
    Comparison,
    compare,
    comparisons,
    logrank_of,
    question_not_asked,
)
from trialstrat.subgroups.incidence import incidence_table
from trialstrat.subgroups.milestones import milestone_table
from trialstrat.subgroups.scales import p_estimate
from trialstrat.subgroups.weighting import weighted_analysis

Mask = NDArray[np.bool_]

_PH_COLUMNS = (
    Column(key="term", label="Term"),
    Column(key="label", label="Term"),
    Column(key="statistic", label="Chi-square", kind="number"),
    Column(key="df", label="df", kind="number"),
    Column(key="p", label="p", kind="p"),
)


def primary_analysis(cohort: Cohort) -> StageResult:
    """The outcome by arm and the effect of each treatment against the control.

    Every comparison uses the patients of its two arms and, where declared, the randomisation strata. With more than
    two arms the log-rank p are also adjusted by Holm. When the proportional hazards test rejects, the declared
    alternative (RMST or MaxCombo) leads: the fact ``leading`` is ``cox``, ``rmst``, ``maxcombo`` or ``none``. Without
    a comparison the fact ``question_not_asked`` says what cannot be asked. Arms that were not randomised get an
    unadjusted and a propensity-weighted effect, or none where no confounders are declared.
    """
    outcome = shown_outcome(cohort)
    labels = arm_labels(cohort)
    groups = arm_rows(cohort) or {"all": np.ones(cohort.n, dtype=np.bool_)}
    compared = comparisons(cohort)
    not_asked, findings = question_not_asked(cohort), _refusals(cohort)
    shared: dict[str, Any] = {"level": cohort.protocol.analysis.level}
    tables, estimates = _by_arm(outcome, groups, labels, shared)
    shared["evidence"] = cohort.protocol.status
    leading = "none"
    if not not_asked:
        results = [compare(cohort, outcome, comparison, shared) for comparison in compared]
        adjusted = adjusted_analysis(cohort, outcome, compared, shared)
        weighted = weighted_analysis(cohort, outcome, compared, shared)
        leading = _leading(results)
        estimates += [entry for result in results for entry in _unadjusted(cohort, result.estimates)]
        estimates += _several_arms(cohort, outcome, compared, results, shared)
        estimates += [*adjusted.estimates, *weighted.estimates]
        ph_rows = [*(row for result in results for row in result.ph_rows), *adjusted.ph_rows]
        tables += [table for table in (_ph_table(ph_rows), adjusted.table, *weighted.tables) if table is not None]
        findings += [*adjusted.findings, *weighted.findings]
        findings += _ph_findings(compared, results)
    return StageResult(
        stage="primary",
        estimates=tuple(estimates),
        tables=tuple(tables),
        findings=tuple(findings),
        facts=_facts(cohort, outcome, compared, leading=leading, not_asked=not_asked),
    )


def _refusals(cohort: Cohort) -> list[Finding]:
    """A finding where arms were not randomised and nothing says why patients got them."""
    arms = cohort.protocol.arms
    if arms is None or not comparisons(cohort) or arms.allocation != "observational" or arms.confounders:
        return []
    return [
        Finding(
            code="W-PRIMARY-CONFOUNDERS",
            severity="warning",
            message="arms were not randomised and no confounders are declared: no treatment effect is estimated",
            remedy="Declare arms.confounders: the columns that decided who got which treatment",
        )
    ]


def _by_arm(
    outcome: ShownOutcome, groups: Mapping[str, Mask], labels: Mapping[str, str], shared: Mapping[str, Any]
) -> tuple[list[Table], list[Estimate]]:
    """Curves and estimates of every arm."""
    if not outcome.timed:
        return [], plain_arm_estimates(outcome, groups, labels, shared)
    level = float(shared["level"])
    population = outcome.population()
    curves = curves_by_arm(outcome, groups, labels, level)
    tables = arm_tables(outcome, curves, population)
    if outcome.kind == "competing":
        tables.append(incidence_table(outcome, groups, labels, level, population))
    milestones = milestone_table(outcome, groups, labels, level, population)
    tables += [] if milestones is None else [milestones]
    return tables, timed_arm_estimates(outcome, groups, curves, shared)


def _unadjusted(cohort: Cohort, estimates: Sequence[Estimate]) -> list[Estimate]:
    """Without randomisation a plain comparison says "unadjusted" in its label."""
    from dataclasses import replace

    arms = cohort.protocol.arms
    if arms is None or arms.allocation == "randomised":
        return list(estimates)
    return [replace(entry, label=f"Unadjusted: {entry.label[:1].lower()}{entry.label[1:]}") for entry in estimates]


def _several_arms(
    cohort: Cohort,
    outcome: ShownOutcome,
    compared: Sequence[Comparison],
    results: Sequence[Compared],
    shared: Mapping[str, Any],
) -> list[Estimate]:
    """With more than two arms: the overall log-rank test, and the pairwise p adjusted by Holm."""
    if len(compared) < 2 or outcome.time is None:
        return []
    named = {entry.name: entry for result in results for entry in result.estimates}
    plain = [named[f"primary.logrank.p.{comparison.pair}"] for comparison in compared]
    adjusted = p_adjust(np.array([entry.value for entry in plain]), "holm")
    estimates = []
    for comparison, entry, p in zip(compared, plain, adjusted, strict=True):
        rest = {**shared, "n": entry.n, "events": entry.events, "population": comparison.label}
        rest["method"] = f"{entry.method}, Holm over {len(compared)} comparisons"
        name, label = f"primary.logrank.adjusted_p.{comparison.pair}", f"Log-rank test, Holm, {comparison.label}"
        estimates.append(p_estimate(name, label, float(p), entry.status, entry.reason, entry.null_hypothesis, rest))
    rows = np.any([comparison.rows for comparison in compared], axis=0)
    strata = None if cohort.strata is None else cohort.strata[rows]
    test = logrank_of(outcome, rows, np.asarray(cohort.arm), strata)
    events = int(outcome.of_interest[rows].sum())
    rest = {**shared, "n": int(rows.sum()), "events": events, "population": "all arms", "method": test.method}
    overall = p_estimate(
        "primary.logrank.p.all", "Log-rank test, all arms", test.p, test.status, test.reason, test.null_hypothesis, rest
    )
    return [*estimates, overall]


def _leading(results: Sequence[Compared]) -> str:
    """The analysis that answers the question: the declared alternative as soon as one comparison needs it."""
    found = [result.leading for result in results]
    return next((entry for entry in found if entry in ("rmst", "maxcombo")), "cox" if "cox" in found else "none")


def _ph_findings(compared: Sequence[Comparison], results: Sequence[Compared]) -> list[Finding]:
    names = {"rmst": "the difference of restricted means", "maxcombo": "the MaxCombo test with restricted means"}
    return [
        Finding(
            code="I-PRIMARY-PH",
            severity="note",
            message=f"hazards are not proportional for {comparison.label}: {names[result.leading]} leads",
            remedy="Read the hazard ratio as an average over time that depends on follow-up",
        )
        for comparison, result in zip(compared, results, strict=True)
        if result.leading in names
    ]


def _ph_table(rows: Sequence[tuple[Cell, ...]]) -> Table | None:
    if not rows:
        return None
    return Table(
        name="primary.ph_test",
        title="Proportional hazards",
        columns=_PH_COLUMNS,
        rows=tuple(rows),
        note=f"{PH_METHOD[:1].upper()}{PH_METHOD[1:]}. Null hypothesis: the log hazard ratio is constant.",
        protection="none",
    )


def _facts(
    cohort: Cohort, outcome: ShownOutcome, compared: Sequence[Comparison], *, leading: str, not_asked: str
) -> dict[str, str]:
    arms = cohort.protocol.arms
    control = arms.control.name if arms and arms.control else ""
    return {
        "endpoint": outcome.label,
        "kind": outcome.kind,
        "unit": outcome.unit,
        "horizon": whole_horizon(outcome.horizon),
        "horizon_declared": "yes" if outcome.horizon_declared else "no",
        "ties": "Efron",
        "conf_type": "log-log",
        "strata": ", ".join(arms.strata) if arms and cohort.strata is not None else "",
        "allocation": arms.allocation if arms else "",
        "cluster": cohort.protocol.analysis.cluster or "",
        "clusters": "" if outcome.cluster is None else str(len(np.unique(outcome.cluster))),
        "leading": leading,
        "question_not_asked": not_asked,
        "control": control if compared else "",
        "treatment": compared[0].treatment if compared else "",
    }
