"""Which markers change what the treatment does: the screen, the effect curves and the declared subgroups together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from trialstrat.cohort.cohort import Cohort
from trialstrat.cohort.shown import ShownOutcome, shown_outcome
from trialstrat.results import Finding, StageResult
from trialstrat.subgroups.candidates import Candidates, candidates
from trialstrat.subgroups.comparison import Comparison, comparisons, question_not_asked
from trialstrat.subgroups.curve_study import continuous_markers, effect_curves
from trialstrat.subgroups.cutpoints import cutpoint_study
from trialstrat.subgroups.forest import subgroup_forest
from trialstrat.subgroups.scales import counts_by_arm
from trialstrat.subgroups.screen import MOST_ADJUSTED, screen_markers
from trialstrat.subgroups.weighting import comparison_weights

Floats = NDArray[np.float64]

#: Most undeclared markers whose effect curve is drawn (those that pass the adjusted test).
MOST_CURVES = 6


def marker_study(cohort: Cohort, *, rng: np.random.Generator, jobs: int = 1) -> tuple[StageResult, ...]:
    """Screen, effect curves, cut-points and declared subgroups: stages "screen", "curves", "cutpoints", "forest".

    Empty where no effect of treatment can be asked (no arms, a single arm, observational arms without confounders).
    Comparisons with fewer than ``analysis.minimum_events`` events in an arm are left out with a finding that says how
    many would suffice; when none remains the only result is a "screen" that says so. Observational arms are balanced
    with overlap weights from the declared confounders.
    """
    if question_not_asked(cohort):
        return ()
    outcome = shown_outcome(cohort)
    compared, findings = _usable(cohort, outcome)
    found = candidates(cohort)
    if not compared or not found.columns:
        reason = findings[0].message if findings else "no candidate marker measured before time zero is declared"
        return (StageResult(stage="screen", findings=tuple(findings), facts={"refused": reason}),)
    if outcome.cluster is not None and len(found.columns) > MOST_ADJUSTED:
        reason = f"more than {MOST_ADJUSTED} markers are not screened where rows lie in clusters"
        return (StageResult(stage="screen", findings=tuple(findings), facts={"refused": reason}),)
    weights, lost = _weights(cohort, compared)
    usable = [(c, w) for c, w, reason in zip(compared, weights, lost, strict=True) if not reason]
    findings += [_no_weights(c, reason) for c, reason in zip(compared, lost, strict=True) if reason]
    if not usable:
        return (StageResult(stage="screen", findings=tuple(findings), facts={"refused": findings[-1].message}),)
    kept, mass = [c for c, _ in usable], [w for _, w in usable]
    screened = screen_markers(cohort, outcome, kept, found, weights=mass, rng=rng, jobs=jobs)
    screened = replace(screened, findings=(*screened.findings, *findings, *_partly(cohort)))
    markers = continuous_markers(cohort, _striking(screened, found))
    results = [screened]
    if markers:
        results.append(effect_curves(cohort, outcome, kept, markers, weights=mass, rng=rng))
        scanned = cutpoint_study(cohort, outcome, kept, markers, weights=mass, rng=rng)
        results += [] if scanned is None else [scanned]
    results.append(subgroup_forest(cohort, outcome, kept, weights=mass))
    return tuple(results)


def _usable(cohort: Cohort, outcome: ShownOutcome) -> tuple[list[Comparison], list[Finding]]:
    """Comparisons with enough events in both arms."""
    fewest = cohort.protocol.analysis.minimum_events
    kept: list[Comparison] = []
    findings: list[Finding] = []
    for comparison in comparisons(cohort):
        counts = counts_by_arm(comparison.treated[comparison.rows], outcome.of_interest[comparison.rows])
        low = min(counts["events_control"], counts["events_treated"])
        if outcome.kind == "continuous" or low >= fewest:
            kept.append(comparison)
            continue
        findings.append(
            Finding(
                code="W-SCREEN-EVENTS",
                severity="warning",
                message=(
                    f"{comparison.label}: fewer than {fewest} events in an arm, markers are not screened; at least "
                    f"{fewest} per arm are needed"
                ),
                remedy="Wait for more events, or lower analysis.minimum_events knowing what it costs",
            )
        )
    return kept, findings


def _weights(cohort: Cohort, compared: Sequence[Comparison]) -> tuple[list[Floats | None], list[str]]:
    """Overlap weights (n,) per comparison for observational arms, 0 outside it or where a confounder is unknown."""
    arms = cohort.protocol.arms
    if arms is None or arms.allocation != "observational":
        return [None] * len(compared), [""] * len(compared)
    found = [comparison_weights(cohort, comparison) for comparison in compared]
    return [weights for weights, _ in found], [reason for _, reason in found]


def _partly(cohort: Cohort) -> list[Finding]:
    """Arms that were partly chosen are compared as they are: said, because weights are for arms that all were."""
    arms = cohort.protocol.arms
    if arms is None or arms.allocation != "partly_randomised":
        return []
    return [
        Finding(
            code="W-SCREEN-PARTLY",
            severity="note",
            message="treatment was only partly randomised: effects by marker are not adjusted for who chose it",
            remedy="Declare allocation: observational to have all effects weighted",
        )
    ]


def _no_weights(comparison: Comparison, reason: str) -> Finding:
    return Finding(
        code="W-SCREEN-PROPENSITY",
        severity="warning",
        message=f"{comparison.label}: no propensity model ({reason}), markers are not screened",
        remedy="Declare confounders that overlap between the arms",
    )


def _striking(screened: StageResult, found: Candidates) -> list[str]:
    """Markers of the wide blocks that pass the adjusted test, the strongest first."""
    wide = {column.name for column in found.columns if not column.declared}
    table = screened.table("screen.markers")
    passed = [
        str(row["marker"])
        for row in table.records()
        if row["marker"] in wide and isinstance(row["p_maxt"], float) and row["p_maxt"] < 0.05
    ]
    return list(dict.fromkeys(passed))[:MOST_CURVES]
