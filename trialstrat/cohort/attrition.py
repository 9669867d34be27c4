"""How many patients each step from the file to the analysis leaves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from trialstrat.results import Column, Table


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One row of the attrition: patients before, removed, undecided (a value was missing) and remaining."""

    step: str
    text: str
    kind: str
    before: int
    removed: int
    unknown: int
    remaining: int


def attrition_table(steps: Sequence[Step], note: str) -> Table:
    """The attrition as a table; steps that remove nobody are rows like the others."""
    return Table(
        name="cohort.attrition",
        title="From the file to the analysis",
        columns=(
            Column(key="step", label="Step"),
            Column(key="text", label="What is asked"),
            Column(key="kind", label="Kind"),
            Column(key="before", label="Before", kind="count"),
            Column(key="removed", label="Removed", kind="count"),
            Column(key="unknown", label="Unknown", kind="count"),
            Column(key="remaining", label="Remaining", kind="count"),
        ),
        rows=tuple((s.step, s.text, s.kind, s.before, s.removed, s.unknown, s.remaining) for s in steps),
        note=note,
    )
