"""Frozen criteria applied to new patients: a decision each, with the criterion that decided."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from trialstrat.cohort.eligibility import evaluate_criterion
from trialstrat.criteria.frozen import FrozenCriteria, FrozenCriterion
from trialstrat.results import Column, Table

if TYPE_CHECKING:
    import pandas as pd

Decision = Literal["eligible", "not eligible", "unknown"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Screening:
    """``ids`` (n,), ``decision`` (n,), ``deciding`` (n,) criterion id or "", ``state`` (n, k) 1 met, 0 not, -1 unknown.

    ``state`` says whether the criterion's *conditions* hold; an exclusion criterion that is met excludes.
    """

    ids: tuple[str, ...]
    decision: tuple[Decision, ...]
    deciding: tuple[str, ...]
    criteria: tuple[FrozenCriterion, ...]
    state: NDArray[np.int8]
    manual: tuple[FrozenCriterion, ...]

    def rows(self) -> list[tuple[str, ...]]:
        """One row per patient: id, decision, deciding criterion, its text, then the state of every criterion."""
        texts = {criterion.id: criterion.text for criterion in self.criteria}
        words = {1: "met", 0: "not met", -1: "unknown"}
        return [
            (name, decision, deciding, texts.get(deciding, ""), *(words[int(value)] for value in states))
            for name, decision, deciding, states in zip(self.ids, self.decision, self.deciding, self.state, strict=True)
        ]

    def head(self) -> tuple[str, ...]:
        """The column heads of :meth:`rows`."""
        return ("id", "decision", "deciding_criterion", "criterion_text", *(entry.id for entry in self.criteria))


def screen(criteria: FrozenCriteria, frame: pd.DataFrame) -> Screening:
    """Decide for every row of ``frame`` (index = patient id, columns typed as ``criteria.variables`` say).

    A patient is *not eligible* as soon as one inclusion criterion is not met or one exclusion criterion is; the first
    such criterion in file order decides. Otherwise the patient is *unknown* when a criterion could not be evaluated
    (unless that criterion declares ``unknown: include``), and *eligible* when nothing is left open. Missing values
    therefore never exclude silently and never admit silently (three-valued logic of Kleene).
    """
    executable = tuple(entry for entry in criteria.criteria if entry.when)
    state = np.empty((len(frame), len(executable)), dtype=np.int8)
    for at, criterion in enumerate(executable):
        state[:, at] = evaluate_criterion(criterion, frame)
    decisions: list[Decision] = []
    deciding: list[str] = []
    for row in state:
        decision, by = _decide(executable, row)
        decisions.append(decision)
        deciding.append(by)
    return Screening(
        ids=tuple(str(name) for name in frame.index),
        decision=tuple(decisions),
        deciding=tuple(deciding),
        criteria=executable,
        state=state,
        manual=tuple(entry for entry in criteria.criteria if not entry.when),
    )


def _decide(criteria: tuple[FrozenCriterion, ...], states: NDArray[np.int8]) -> tuple[Decision, str]:
    undecided = ""
    for criterion, state in zip(criteria, states, strict=True):
        failing = 0 if criterion.kind == "inclusion" else 1
        if state == failing:
            return "not eligible", criterion.id
        if state == -1 and criterion.unknown == "exclude" and not undecided:
            undecided = criterion.id
    return ("unknown", undecided) if undecided else ("eligible", "")


def attrition(screening: Screening) -> Table:
    """How many patients each criterion removes, one after the other and alone; n = 0 rows are shown."""
    rows: list[tuple[str | int, ...]] = []
    remaining = np.ones(len(screening.ids), dtype=bool)
    for at, criterion in enumerate(screening.criteria):
        state = screening.state[:, at]
        fails = state == (0 if criterion.kind == "inclusion" else 1)
        before = int(remaining.sum())
        removed = int((remaining & fails).sum())
        open_ = int((remaining & (state == -1)).sum())
        remaining &= ~fails
        rows.append(
            (
                criterion.id,
                criterion.kind,
                criterion.text,
                before,
                removed,
                open_,
                int(remaining.sum()),
                int(fails.sum()),
            )
        )
    return Table(
        name="screening.attrition",
        title="Screening: who is removed by which criterion",
        columns=(
            Column(key="id", label="Criterion"),
            Column(key="kind", label="Kind"),
            Column(key="text", label="Text"),
            Column(key="before", label="Before", kind="count"),
            Column(key="removed", label="Removed", kind="count"),
            Column(key="unknown", label="Unknown", kind="count"),
            Column(key="remaining", label="Remaining", kind="count"),
            Column(key="removed_alone", label="Would remove alone", kind="count"),
        ),
        rows=tuple(rows),
        note=f"{len(screening.ids)} patients screened; criteria applied in file order.",
    )
