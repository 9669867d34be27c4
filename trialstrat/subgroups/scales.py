"""What every treatment effect is made of: a value on one scale, the effect on several, and why there may be none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypedDict

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from trialstrat.errors import InvalidInputError
from trialstrat.results import NAN, Estimate, Status

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class ScaleEffect:
    """Treated against control on one scale.

    ``std_error`` is on the scale on which limits are symmetric: the logarithm for ratios (``ratio``), else the
    natural one; nan where the limits come from another construction. ``p`` is two-sided, null hypothesis: no
    difference between the arms on this scale. Without a value ``status`` and ``reason`` say why.
    """

    measure: str
    ratio: bool
    value: float = NAN
    lower: float = NAN
    upper: float = NAN
    std_error: float = NAN
    p: float = NAN
    level: float = 0.95
    unit: str = ""
    method: str = ""
    status: Status = "ok"
    reason: str = ""

    @property
    def ok(self) -> bool:
        """Whether there is a value."""
        return self.status == "ok"

    def estimate(self, name: str, label: str, **rest: Any) -> Estimate:
        """The contrast as an :class:`~trialstrat.results.Estimate`."""
        shared = {"level": self.level, "unit": self.unit, "method": self.method, **rest}
        if not self.ok:
            return Estimate.not_estimable(name, label, self.reason, **shared)
        return Estimate(name=name, label=label, value=self.value, lower=self.lower, upper=self.upper, **shared)


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """Treatment effect in a set of patients on two scales, with who and how many it comes from.

    For continuous outcomes events are 0. ``status`` is that of the whole question: ``not_estimable`` when an arm is
    empty or has too few events, and then every contrast carries the same ``reason``.
    """

    relative: ScaleEffect
    absolute: ScaleEffect
    milestone: ScaleEffect
    n_control: int
    n_treated: int
    events_control: int
    events_treated: int
    status: Status = "ok"
    reason: str = ""

    @property
    def n(self) -> int:
        """Patients."""
        return self.n_control + self.n_treated

    @property
    def events(self) -> int:
        """Events of interest."""
        return self.events_control + self.events_treated

    @property
    def hazard_ratio(self) -> ScaleEffect:
        """The relative scale of a time-to-event or competing endpoint."""
        return self.relative

    @property
    def rmst_difference(self) -> ScaleEffect:
        """The absolute scale of a time-to-event endpoint."""
        return self.absolute

    @property
    def milestone_difference(self) -> ScaleEffect:
        """The difference at the horizon."""
        return self.milestone


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectOptions:
    """What is asked of every set of patients alike.

    ``tau`` is the horizon in the unit of the times (``unit``, for labels only); None leaves the absolute scale of
    timed endpoints out. ``minimum_events`` is the fewest events per arm for an effect to be estimated.
    """

    tau: float | None
    level: float = 0.95
    minimum_events: int = 1
    unit: str = ""


#: What an effect holds by kind of endpoint: its measures on the relative and absolute scale and at the horizon.
MEASURES: dict[str, tuple[str, str, str]] = {
    "time_to_event": ("hazard ratio", "RMST difference", "survival difference"),
    "competing": (
        "cause-specific hazard ratio",
        "cumulative incidence difference",
        "cumulative incidence difference",
    ),
    "binary": ("odds ratio", "risk difference", "risk difference"),
    "continuous": ("ratio", "mean difference", "mean difference"),
}


class ArmCounts(TypedDict):
    """Patients and events by arm, by the names of the fields of :class:`Effect`."""

    n_control: int
    n_treated: int
    events_control: int
    events_treated: int


def counts_by_arm(arm: Ints, event: Ints) -> ArmCounts:
    """Count them; ``event`` (n,) is 0 or 1."""
    if arm.shape != event.shape:
        raise InvalidInputError(f"event has {len(event)} rows where {len(arm)} are needed")
    return {
        "n_control": int((arm == 0).sum()),
        "n_treated": int((arm == 1).sum()),
        "events_control": int(event[arm == 0].sum()),
        "events_treated": int(event[arm == 1].sum()),
    }


def gate(counts: ArmCounts, minimum_events: int) -> str:
    """Why no effect can be estimated (and how many events would suffice), empty when it can."""
    for arm, n in (("control", counts["n_control"]), ("treated", counts["n_treated"])):
        if n == 0:
            return f"there is no {arm} patient; at least {max(1, minimum_events)} events per arm are needed"
    if min(counts["events_control"], counts["events_treated"]) < minimum_events:
        # how many there are is not said: a reason is shown where the small count itself is hidden
        return f"fewer than {minimum_events} events in an arm; at least {minimum_events} per arm are needed"
    return ""


def no_effect(
    kind: str,
    counts: ArmCounts,
    level: float,
    reason: str,
) -> Effect:
    """The effect of a ``kind`` of endpoint that cannot be estimated on any scale, for one reason."""
    contrasts = [
        ScaleEffect(measure=measure, ratio=ratio, level=level, status="not_estimable", reason=reason)
        for measure, ratio in zip(MEASURES[kind], (True, False, False), strict=True)
    ]
    return Effect(
        relative=contrasts[0],
        absolute=contrasts[1],
        milestone=contrasts[2],
        status="not_estimable",
        reason=reason,
        **counts,
    )


def normal_effect(value: float, std_error: float, *, ratio: bool, level: float, **words: str) -> ScaleEffect:
    """A contrast with normal limits and Wald p; for a ``ratio`` the arguments are on the log scale.

    ``words`` are ``measure``, ``unit``, ``method``. Without a finite value or error it is not estimable.
    """
    if not (np.isfinite(value) and np.isfinite(std_error) and std_error > 0):
        reason = words.pop("reason", "") or "the difference has no finite standard error"
        return ScaleEffect(ratio=ratio, level=level, status="not_estimable", reason=reason, **words)  # type: ignore[arg-type]
    words.pop("reason", None)
    half = float(-ndtri((1 - level) / 2)) * std_error
    limits = (value, value - half, value + half)
    shown = [float(np.exp(x)) for x in limits] if ratio else [float(x) for x in limits]
    return ScaleEffect(
        ratio=ratio,
        value=shown[0],
        lower=shown[1],
        upper=shown[2],
        std_error=float(std_error),
        p=float(2 * ndtr(-abs(value / std_error))),
        level=level,
        **words,  # type: ignore[arg-type]
    )


def p_estimate(
    name: str, label: str, p: float, status: Status, reason: str, null: str, rest: Mapping[str, Any]
) -> Estimate:
    """A p-value as an estimate, with its null hypothesis in words."""
    words = {**rest, "unit": "p", "null_hypothesis": null}
    if status != "ok" or not np.isfinite(p):
        return Estimate.not_estimable(name, label, reason or "the test has no finite statistic", **words)
    return Estimate(name=name, label=label, value=float(p), **words)
