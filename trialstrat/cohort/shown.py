"""The estimand's outcome as the report shows it: times in the display unit, with the horizon in the same unit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from trialstrat.cohort.cohort import Cohort
from trialstrat.protocol.units import natural_times, unit_factor

EndpointKind = Literal["time_to_event", "competing", "binary", "continuous"]

#: Share of patients whose observed time should reach the horizon when none is declared.
FOLLOWED_TO_HORIZON = 0.25


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ShownOutcome:
    """One endpoint of every patient, in the row order of the cohort.

    ``time`` and ``entry`` (n,) are in ``unit``, the unit of the report, as are ``horizon`` and ``milestones``.
    ``event`` (n,) is 0 censored, 1 the event of interest, 2.. competing causes; 0/1 for binary endpoints (no times).
    ``value`` (n,) is the outcome of a continuous endpoint. ``horizon_declared`` says whether the protocol named it.
    ``minimum_cell`` is the smallest count that a sentence may name. ``cluster`` (n,) are codes of what rows belong to
    when they are not independent, None when they are.
    """

    label: str
    kind: EndpointKind
    unit: str
    time: NDArray[np.float64] | None
    event: NDArray[np.int64] | None
    entry: NDArray[np.float64] | None
    value: NDArray[np.float64] | None
    horizon: float | None
    horizon_declared: bool
    causes: tuple[str, ...] = ()
    milestones: tuple[float, ...] = ()
    minimum_cell: int = 1
    cluster: NDArray[np.int64] | None = None

    @property
    def timed(self) -> bool:
        """Whether the outcome is a time."""
        return self.time is not None

    @property
    def of_interest(self) -> NDArray[np.int64]:
        """(n,) 1 for the event of interest, 0 otherwise; zeros for a continuous outcome."""
        if self.event is None:
            size = 0 if self.value is None else len(self.value)
            return np.zeros(size, dtype=np.int64)
        return (self.event == 1).astype(np.int64)

    def population(self, rows: NDArray[np.bool_] | None = None) -> str:
        """``686 patients, 299 events`` of everybody or of ``rows``; numbers below the minimum cell only as such.

        So that nobody subtracts, ``rows`` that leave out a few are said to be everybody less a few.
        """
        everybody = self.of_interest
        event = everybody if rows is None else everybody[rows]
        counts = [(len(event), len(everybody), "patients")]
        if self.kind != "continuous":
            counts.append((int(event.sum()), int(everybody.sum()), "events"))
        return ", ".join(self._said(count, whole, what) for count, whole, what in counts)

    def _said(self, count: int, whole: int, what: str) -> str:
        hidden = range(1, self.minimum_cell)
        if count in hidden:
            return f"fewer than {self.minimum_cell} {what}"
        if whole - count in hidden:
            return f"{whole} {what} less fewer than {self.minimum_cell}"
        return f"{count} {what}"

    @property
    def any_event(self) -> NDArray[np.int64]:
        """(n,) 1 for an event of any cause."""
        return np.zeros(0, dtype=np.int64) if self.event is None else (self.event > 0).astype(np.int64)


def shown_outcome(cohort: Cohort) -> ShownOutcome:
    """The outcome that the estimand names, in the unit of the report.

    Without a declared horizon the largest natural time that a quarter of the patients were observed to reach is used.
    """
    endpoint, outcome = cohort.protocol.endpoint, cohort.outcome
    factor = 1.0 if endpoint.unit is None else unit_factor(endpoint.unit, endpoint.shown_unit)
    time = None if outcome.time is None else np.asarray(outcome.time, dtype=np.float64) * factor
    horizon = None if endpoint.horizon is None else endpoint.horizon * factor
    if time is not None and horizon is None and len(time):
        reached = float(np.quantile(time, 1 - FOLLOWED_TO_HORIZON))
        horizon = natural_times(reached, endpoint.shown_unit, most=25)[-1] or reached
    return ShownOutcome(
        label=endpoint.label,
        kind=endpoint.kind,
        unit=endpoint.shown_unit if time is not None else "",
        time=time,
        event=None if outcome.event is None else np.asarray(outcome.event, dtype=np.int64),
        entry=None if outcome.entry is None else np.asarray(outcome.entry, dtype=np.float64) * factor,
        value=None if outcome.value is None else np.asarray(outcome.value, dtype=np.float64),
        horizon=horizon,
        horizon_declared=endpoint.horizon is not None,
        causes=endpoint.causes,
        milestones=tuple(value * factor for value in endpoint.milestones),
        minimum_cell=cohort.protocol.disclosure.minimum_cell,
        cluster=None if cohort.cluster is None else np.unique(cohort.cluster.astype(str), return_inverse=True)[1],
    )


def arm_rows(cohort: Cohort) -> dict[str, NDArray[np.bool_]]:
    """Patients of each declared arm that occurs, control first; empty without arms."""
    arms = cohort.protocol.arms
    if cohort.arm is None or arms is None:
        return {}
    control = arms.control
    ordered = (*([control] if control else []), *arms.treatments)
    rows = {arm.name: np.asarray(cohort.arm == arm.name, dtype=np.bool_) for arm in ordered}
    return {name: mask for name, mask in rows.items() if mask.any()}


def arm_labels(cohort: Cohort) -> dict[str, str]:
    """Readable names of the declared arms, with ``all`` for everybody."""
    arms = cohort.protocol.arms
    return {"all": "All patients", **({arm.name: arm.title for arm in arms.levels} if arms else {})}


def said_horizon(outcome: ShownOutcome) -> str:
    """The horizon with its unit as sentences and column heads say it: ``60 months`` for 59.96."""
    if outcome.horizon is None:
        return "the horizon"
    return f"{round(outcome.horizon, 1):g} {outcome.unit}"


def whole_horizon(value: float | None) -> str:
    """A horizon as the text of a fact: no decimals where it is whole up to rounding of the unit conversion."""
    if value is None:
        return ""
    rounded = round(value, 6)
    return f"{rounded:g}"
