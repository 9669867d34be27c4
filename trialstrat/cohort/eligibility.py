"""Eligibility of a cohort: who passes the criteria, and how many each of them removes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from trialstrat.cohort.attrition import Step
from trialstrat.cohort.language.evaluate import decided, passes, state_of
from trialstrat.cohort.language.states import MET, NOT_MET, UNKNOWN
from trialstrat.cohort.language.tables import Tables
from trialstrat.protocol.language.criterion import Criterion
from trialstrat.results import Column, Table


def apply_criteria(criteria: Sequence[Criterion], tables: Tables) -> tuple[NDArray[np.bool_], tuple[Step, ...], Table]:
    """Apply criteria in order: who is eligible, the attrition, and each criterion's counts among everybody.

    A criterion without conditions is listed and removes nobody.
    """
    remaining = np.ones(len(tables.patients), dtype=bool)
    steps: list[Step] = []
    counts: list[tuple[str | int | None, ...]] = []
    for criterion in criteria:
        before = int(remaining.sum())
        head = (criterion.id, criterion.kind, criterion.sentence)
        if not criterion.when:
            steps.append(_step(criterion, before, 0, before))
            counts.append((*head, "no", None, None, None))
            continue
        state = state_of(criterion, tables)
        undecided = int((remaining & (state == UNKNOWN)).sum())
        remaining = remaining & passes(criterion, decided(criterion, state))
        steps.append(_step(criterion, before, undecided, int(remaining.sum())))
        counts.append((*head, "yes", *(int((state == value).sum()) for value in (MET, NOT_MET, UNKNOWN))))
    return remaining, tuple(steps), _eligibility_table(counts, len(remaining))


def _step(criterion: Criterion, before: int, unknown: int, remaining: int) -> Step:
    return Step(
        step=criterion.id,
        text=criterion.sentence,
        kind=criterion.kind,
        before=before,
        removed=before - remaining,
        unknown=unknown,
        remaining=remaining,
    )


def _eligibility_table(rows: list[tuple[str | int | None, ...]], n: int) -> Table:
    return Table(
        name="cohort.eligibility",
        title="Eligibility criteria, each applied to everybody",
        columns=(
            Column(key="id", label="Criterion"),
            Column(key="kind", label="Kind"),
            Column(key="text", label="Text"),
            Column(key="executable", label="Applied by program"),
            Column(key="met", label="Met", kind="count"),
            Column(key="not_met", label="Not met", kind="count"),
            Column(key="unknown", label="Unknown", kind="count"),
        ),
        rows=tuple(rows),
        note=f"{n} patients; each criterion counted by itself; unknown: a needed value is missing.",
    )
