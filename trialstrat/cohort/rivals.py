"""Competing events with a time of their own: another endpoint of the protocol, where it comes first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from trialstrat.cohort.cohort import Outcome
from trialstrat.cohort.outcomes import OutcomeRead
from trialstrat.protocol.model import Endpoint
from trialstrat.protocol.units import unit_factor
from trialstrat.stats.times import TOLERANCE


def with_rivals(endpoints: Sequence[Endpoint], read: Mapping[str, OutcomeRead]) -> dict[str, OutcomeRead]:
    """The endpoints with ``competing:``, their outcomes made of several others'.

    A patient's follow-up ends at the first event. At equal times (rounding apart) the endpoint's own event counts. A
    rival's event after the end of the endpoint's own follow-up is not counted: nobody looked for the endpoint's event
    until then. Steps that a rival declares to drop are dropped here too: what competes must be known.
    """
    declared = {entry.name: entry for entry in endpoints}
    return {
        name: _composed(entry, [declared[rival] for rival in entry.competing], read)
        for name, entry in declared.items()
        if entry.competing and {name, *entry.competing} <= read.keys()
    }


def _composed(endpoint: Endpoint, rivals: Sequence[Endpoint], read: Mapping[str, OutcomeRead]) -> OutcomeRead:
    found = read[endpoint.name]
    own = found.outcome
    if own.time is None or own.event is None or endpoint.unit is None:
        raise ValueError("a competing endpoint is a time")
    time, event = own.time.copy(), own.event.copy()
    drops = list(found.drops)
    for code, rival in enumerate(rivals, start=2):
        other = read[rival.name]
        drops += other.drops
        if other.outcome.time is None or other.outcome.event is None or rival.unit is None:
            raise ValueError("what competes is a time")
        until = other.outcome.time * unit_factor(rival.unit, endpoint.unit)
        slack = TOLERANCE * np.maximum(1.0, np.abs(time))
        with np.errstate(invalid="ignore"):
            first = np.where(event == 0, until <= time + slack, until < time - slack)
        first &= (other.outcome.event == 1) & (event >= 0)
        time[first], event[first] = np.minimum(until, time)[first], code
    return replace(found, outcome=Outcome(name=own.name, time=time, event=event, entry=own.entry), drops=tuple(drops))
