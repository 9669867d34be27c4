"""Whether the selected patients can answer the question at all."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from trialstrat.cohort.attrition import Step
from trialstrat.cohort.cohort import Outcome
from trialstrat.cohort.integrate import Joined
from trialstrat.cohort.rules import finding
from trialstrat.protocol.model import Protocol
from trialstrat.results import Finding

Mask = NDArray[np.bool_]


def too_few(
    protocol: Protocol,
    joined: Joined,
    arm: NDArray[np.object_] | None,
    outcome: Outcome,
    keep: Mask,
    steps: Sequence[Step],
) -> list[Finding]:
    """Nobody left, a single patient, an arm without patients, or too few events: named with the counts."""
    file = next(iter(joined.files.values()))
    n = int(keep.sum())
    total = len(keep)
    if n < 2:
        empties = next((step for step in steps if not step.remaining and step.before), None)
        if empties is not None and empties.kind in ("inclusion", "exclusion"):
            detail = (
                f"{empties.step}: {empties.removed} of {empties.before} patients removed, {empties.unknown} unknown"
            )
            return [finding("N-CRITERION-NONE", source=file, detail=detail)]
        return [finding("N-PATIENTS", source=file, detail=f"{n} of {total} rows left, at least 2 needed")]
    sizes = _sizes(protocol, arm, keep)
    name = protocol.arms.column if protocol.arms is not None else ""
    found = [
        finding(
            "N-ARM-ONE" if mask.any() else "N-ARM-EMPTY",
            source=joined.place(name)[0],
            column=name,
            detail=f"{who}: {int(mask.sum())} of {n} patients",
        )
        for who, mask in sizes
        if mask.sum() < 2
    ]
    return found or _few_events(protocol, joined, sizes, outcome, keep)


def _sizes(protocol: Protocol, arm: NDArray[np.object_] | None, keep: Mask) -> list[tuple[str, Mask]]:
    """Patients of each declared arm, or everybody where there are no two arms."""
    if protocol.arms is None or arm is None or len(protocol.arms.levels) < 2:
        return [("all patients", keep)]
    return [(f"arm {level.name}", keep & (arm == level.name)) for level in protocol.arms.levels]


def _few_events(
    protocol: Protocol, joined: Joined, groups: list[tuple[str, Mask]], outcome: Outcome, keep: Mask
) -> list[Finding]:
    if outcome.event is None:
        return []
    needed = protocol.analysis.minimum_events
    of_interest = (outcome.event == 1) & keep
    coding = protocol.endpoint.event
    name = coding.column if coding is not None else protocol.endpoint.value or ""
    return [
        finding(
            "N-EVENTS",
            source=joined.place(name)[0],
            column=name,
            detail=f"{who}: {int((of_interest & mask).sum())} events of {int(mask.sum())} patients, {needed} needed",
        )
        for who, mask in groups
        if int((of_interest & mask).sum()) < needed
    ]
