"""Criteria that nobody or everybody passes in the data at hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from trialstrat.cohort.language.evaluate import decided, passes, state_of
from trialstrat.cohort.language.states import UNKNOWN
from trialstrat.cohort.language.tables import Tables
from trialstrat.cohort.rules import finding
from trialstrat.protocol.language.criterion import Criterion
from trialstrat.results import Finding

NO_LINES: Mapping[str, int] = MappingProxyType({})


def findings_on(
    criteria: Sequence[Criterion], tables: Tables, source: str = "", lines: Mapping[str, int] = NO_LINES
) -> tuple[Finding, ...]:
    """What only data show of criteria that have no error, their missing policy applied.

    ``lines`` are those of the criteria in the protocol, by id.
    """
    out: list[Finding] = []
    for criterion in criteria:
        if not criterion.when or not len(tables.patients):
            continue
        state = state_of(criterion, tables)
        name = f"{criterion.id} (line {lines[criterion.id]} of the protocol)" if criterion.id in lines else criterion.id
        passing = passes(criterion, decided(criterion, state))
        if (state == UNKNOWN).all():
            out.append(finding("W-CRIT-UNKNOWN", source=source, detail=name))
        elif not passing.any():
            out.append(finding("W-CRIT-EMPTY", source=source, detail=name))
        elif passing.all():
            out.append(finding("I-CRIT-ALWAYS", source=source, detail=name))
    return tuple(out)
