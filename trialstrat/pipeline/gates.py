"""Questions that the data cannot bear are declined before anything is fitted, with the number that would suffice."""

from __future__ import annotations

import numpy as np

from trialstrat.cohort.cohort import Cohort
from trialstrat.errors import NotEstimableError, StrictError
from trialstrat.results import Finding

#: Below this many events nothing about survival is worth printing, whatever the protocol says.
FEWEST_EVENTS = 2


def require_events(cohort: Cohort) -> None:
    """Refuse a cohort with too few patients, events, or events per arm.

    Raises
    ------
    NotEstimableError
        Names every arm that falls short, with its count and the number the protocol asks for.
    """
    protocol = cohort.protocol
    outcome = cohort.outcome
    needed = max(FEWEST_EVENTS, protocol.analysis.minimum_events)
    if cohort.n < 2 * needed:
        raise NotEstimableError(
            f"E-TOO-FEW {protocol.id}: {cohort.n} patients remain after eligibility; at least {2 * needed} are needed "
            f"for analysis.minimum_events: {needed}. Nothing written."
        )
    if outcome.event is None:
        return
    faults = []
    events = int(np.sum(outcome.event == 1))
    if events < needed:
        faults.append(
            f"E-TOO-FEW-EVENTS {protocol.id}: {events} events of {cohort.n} patients; at least {needed} are needed "
            "(analysis.minimum_events). Nothing written."
        )
    if cohort.arm is not None and protocol.arms is not None and len(protocol.arms.levels) > 1:
        for arm in protocol.arms.levels:
            here = cohort.arm == arm.name
            count = int(np.sum(outcome.event[here] == 1))
            if count < needed and protocol.endpoint.kind != "continuous":
                faults.append(
                    f"E-TOO-FEW-EVENTS {protocol.id}: arm {arm.name}: {count} events of {int(here.sum())} patients; at "
                    f"least {needed} are needed (analysis.minimum_events). Nothing written."
                )
    if faults:
        raise NotEstimableError(*faults)


def require_clean(findings: tuple[Finding, ...], *, strict: bool) -> None:
    """Under ``--strict`` a warning stops the run.

    Raises
    ------
    StrictError
        Holds the text of every warning.
    """
    warnings = [finding.text() for finding in findings if finding.severity == "warning"]
    if strict and warnings:
        raise StrictError(*warnings, f"{len(warnings)} warnings under --strict. Nothing written.")
