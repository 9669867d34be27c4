"""What every section asks of a run: names of arms, units, the horizon, the word for the endpoint."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from trialstrat.report import format as fmt
from trialstrat.report.figures.curves import Step
from trialstrat.report.model import RunRecord
from trialstrat.results import Estimate

DEFAULT_MINIMUM_CELL = 11


@dataclass(frozen=True, slots=True)
class Context:
    """A run with the look-ups that sentences and tables share."""

    record: RunRecord

    @property
    def study(self) -> Mapping[str, Any]:
        """The declarations."""
        return self.record.study

    @property
    def endpoint(self) -> Mapping[str, Any]:
        """The endpoint's declaration, empty when it is not known."""
        return self.study.get("endpoint") or {}

    @property
    def endpoint_label(self) -> str:
        """The endpoint's name for people."""
        return str(self.endpoint.get("label") or "event-free survival")

    @property
    def unit(self) -> str:
        """Unit of time in the report."""
        found = self.record.fact("primary", "unit") or self.endpoint.get("display_unit") or self.endpoint.get("unit")
        return str(found or "days")

    @property
    def at_horizon(self) -> str:
        """The horizon with its unit: ``24 months``."""
        for stage in ("primary", "models", "risk_groups", "criteria"):
            found = self.record.fact(stage, "horizon")
            if found:
                return fmt.horizon(found, self.unit)
        return fmt.horizon(self.endpoint.get("horizon"), self.unit)

    @property
    def horizon(self) -> float | None:
        """The horizon in the unit of the report."""
        found = self.record.fact("primary", "horizon") or self.endpoint.get("horizon")
        return float(found) if found else None

    @property
    def time_zero(self) -> str:
        """What happened at time 0."""
        return str(self.endpoint.get("time_zero") or "time zero")

    @property
    def time_title(self) -> str:
        """Title of every time axis."""
        return f"{self.unit.capitalize()} since {self.time_zero}"

    @property
    def minimum_cell(self) -> int:
        """Counts from 1 to this less one are never shown."""
        return int(self.study.get("minimum_cell") or DEFAULT_MINIMUM_CELL)

    @property
    def arms(self) -> Sequence[Mapping[str, Any]]:
        """The declared arms, in declared order."""
        return self.study.get("arms") or ()

    @property
    def control(self) -> str | None:
        """Name of the control arm."""
        declared = next((str(arm["name"]) for arm in self.arms if arm.get("control")), None)
        return declared or self.record.fact("primary", "control") or None

    @property
    def treatments(self) -> tuple[str, ...]:
        """Names of the arms compared with the control; empty without one."""
        if self.control is None:
            return ()
        declared = tuple(str(arm["name"]) for arm in self.arms if str(arm["name"]) != self.control)
        first = self.record.fact("primary", "treatment")
        return declared or ((first,) if first else ())

    @property
    def pairs(self) -> tuple[tuple[str, str, str], ...]:
        """(suffix of the estimates, treatment, control) of every comparison."""
        control = self.control
        return tuple((f"{arm}_vs_{control}", arm, str(control)) for arm in self.treatments) if control else ()

    def pair_label(self, pair: str) -> str:
        """A comparison in words."""
        for suffix, treatment, control in self.pairs:
            if suffix == pair:
                return f"{self.arm_label(treatment)} against {fmt.lower_first(self.arm_label(control))}"
        return pair

    def arm_label(self, name: str) -> str:
        """The readable name of an arm."""
        for arm in self.arms:
            if str(arm.get("name")) == name:
                return str(arm.get("label") or name)
        return "All patients" if name == "all" else name

    @property
    def arm_order(self) -> tuple[str, ...]:
        """Treatments first, control last: the order of colours and of legends."""
        return (*self.treatments, *((self.control,) if self.control else ()))

    @property
    def arm_names(self) -> tuple[str, ...]:
        """Every group that estimates may carry in their names."""
        return self.arm_order or tuple(str(arm["name"]) for arm in self.arms) or ("all",)

    def medians(self) -> dict[str, float]:
        """Estimated medians by arm, where the curve reaches one half."""
        found = {arm: self.ok(f"primary.km.median.{arm}") for arm in self.arm_names}
        return {arm: estimate.value for arm, estimate in found.items() if estimate is not None}

    def exact_points(self) -> dict[str, Step]:
        """(horizon, survival, lower, upper) by arm, where it was estimated."""
        if self.horizon is None:
            return {}
        found = {arm: self.ok(f"primary.milestone.{arm}") for arm in self.arm_names}
        return {arm: (self.horizon, e.value, e.lower, e.upper) for arm, e in found.items() if e is not None}

    @property
    def free(self) -> str:
        """The word for not having had the event."""
        return "alive" if "overall survival" in self.endpoint_label.lower() else "event-free"

    @property
    def randomised(self) -> bool:
        """Whether the declared allocation allows causal words."""
        return self.study.get("allocation", "randomised") == "randomised"

    def ok(self, name: str) -> Estimate | None:
        """An estimate that has a value, None otherwise."""
        found = self.record.estimate(name)
        return found if found is not None and found.status == "ok" else None

    def population(self) -> str:
        """``686 patients, 299 events`` as far as they are known."""
        n, events = self.ok("cohort.n"), self.ok("cohort.events")
        parts = [f"{fmt.count(n.value)} patients" if n else "", f"{fmt.count(events.value)} events" if events else ""]
        return ", ".join(part for part in parts if part)
