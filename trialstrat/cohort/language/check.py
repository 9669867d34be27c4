"""Criteria that nobody or everybody passes in the data at hand."""

from __future__ import annotations

from collections.abc import Sequence

from trialstrat.cohort.language.evaluate import decided, passes, state_of
from trialstrat.cohort.language.states import UNKNOWN
from trialstrat.cohort.language.tables import Tables
from trialstrat.cohort.rules import finding
from trialstrat.protocol.language.criterion import Criterion
from trialstrat.results import Finding


def findings_on(criteria: Sequence[Criterion], tables: Tables, source: str = "") -> tuple[Finding, ...]:
    """What only data show of criteria that have no error, their missing policy applied."""
    out: list[Finding] = []
    for criterion in criteria:
        if not criterion.when or not len(tables.patients):
            continue
        state = state_of(criterion, tables)
        passing = passes(criterion, decided(criterion, state))
        if (state == UNKNOWN).all():
            out.append(finding("W-CRIT-UNKNOWN", source=source, detail=criterion.id))
        elif not passing.any():
            out.append(finding("W-CRIT-EMPTY", source=source, detail=criterion.id))
        elif passing.all():
            out.append(finding("I-CRIT-ALWAYS", source=source, detail=criterion.id))
    return tuple(out)
