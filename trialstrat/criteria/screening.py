"""Criteria applied to new patients: a decision each, with the criterion that decided and the reason per criterion."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from trialstrat.cohort.language.evaluate import decided, expression_state, passes
from trialstrat.cohort.language.states import MET, NOT_MET, UNKNOWN, State, conjunction
from trialstrat.cohort.language.tables import Tables
from trialstrat.protocol.language.criterion import Criterion
from trialstrat.protocol.language.text import write
from trialstrat.results import Column, Table

Decision = Literal["eligible", "not eligible", "unknown"]
#: By the codes of :attr:`Screening.decision`.
DECISIONS: Final[tuple[Decision, ...]] = ("eligible", "not eligible", "unknown")
STATES: Final = {MET: "met", NOT_MET: "not met", UNKNOWN: "unknown"}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Screening:
    """What was decided for n patients by k criteria that a program can apply.

    ``decision`` (n,) indexes :data:`DECISIONS`; ``deciding`` (n,) is the position of the criterion that decided, -1
    where none did; ``state`` (n, k) says whether a criterion's *conditions* hold (1, 0, -1 unknown) before its missing
    policy: an exclusion criterion that is met excludes. ``reason`` (n, k) indexes ``reasons`` of each criterion.
    """

    ids: tuple[str, ...]
    criteria: tuple[Criterion, ...]
    manual: tuple[Criterion, ...]
    decision: NDArray[np.int8]
    deciding: NDArray[np.int16]
    state: State
    reason: NDArray[np.int16]
    reasons: tuple[tuple[str, ...], ...]

    def counts(self) -> dict[str, int]:
        """Patients by decision."""
        found = np.bincount(self.decision, minlength=len(DECISIONS))
        return {name: int(count) for name, count in zip(DECISIONS, found, strict=True)}

    def fails(self) -> NDArray[np.bool_]:
        """Which criteria stand against a patient (n, k), missing policies applied."""
        return _against(self.criteria, self.state)[0]


def screen(criteria: Sequence[Criterion], tables: Tables) -> Screening:
    """Decide for every patient of ``tables``.

    A patient is *not eligible* as soon as one inclusion criterion is not met or one exclusion criterion is; the first
    such criterion in file order decides. Otherwise the patient is *unknown* when a criterion could not be decided (and
    its missing policy leaves it so), and *eligible* when nothing is left open. Missing values therefore never exclude
    silently and never admit silently (three-valued logic of Kleene), and no decision depends on the order of criteria.

    Raises
    ------
    InvalidInputError
        A criterion that the tables cannot answer.
    """
    executable = tuple(entry for entry in criteria if entry.when)
    n = len(tables.patients)
    state = np.empty((n, len(executable)), dtype=np.int8)
    reason = np.empty((n, len(executable)), dtype=np.int16)
    reasons: list[tuple[str, ...]] = []
    for at, criterion in enumerate(executable):
        parts = [expression_state(node, tables) for node in criterion.when]
        state[:, at] = conjunction(parts)
        reason[:, at], said = _reasons(criterion, parts, state[:, at])
        reasons.append(said)
    fails, open_ = _against(executable, state)
    decision = np.where(fails.any(axis=1), 1, np.where(open_.any(axis=1), 2, 0)).astype(np.int8)
    return Screening(
        ids=tuple(str(name) for name in tables.patients.index),
        criteria=executable,
        manual=tuple(entry for entry in criteria if not entry.when),
        decision=decision,
        deciding=_first(fails, open_, decision),
        state=state,
        reason=reason,
        reasons=tuple(reasons),
    )


def _against(criteria: Sequence[Criterion], state: State) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which criteria stand against a patient, and which are left open (n, k)."""
    fails = np.zeros(state.shape, dtype=bool)
    open_ = np.zeros(state.shape, dtype=bool)
    for at, criterion in enumerate(criteria):
        final = decided(criterion, state[:, at])
        open_[:, at] = final == UNKNOWN
        fails[:, at] = ~passes(criterion, final) & ~open_[:, at]
    return fails, open_


def _first(fails: NDArray[np.bool_], open_: NDArray[np.bool_], decision: NDArray[np.int8]) -> NDArray[np.int16]:
    """The first criterion that stands against a patient, or the first left open, by what was decided."""
    if not fails.shape[1]:
        return np.full(len(fails), -1, dtype=np.int16)
    by = np.where(decision == 1, fails.argmax(axis=1), open_.argmax(axis=1))
    return np.where(decision == 0, -1, by).astype(np.int16)


def _reasons(criterion: Criterion, parts: Sequence[State], state: State) -> tuple[NDArray[np.int16], tuple[str, ...]]:
    """Code and wording: met, or the first condition that is not met, or that a missing value leaves open."""
    texts = [write(node) for node in criterion.when]
    said = [
        "met",
        *(f"not met: {text}" for text in texts),
        *(f"unknown (a value is missing): {text}" for text in texts),
    ]
    code = np.zeros(len(state), dtype=np.int16)
    for at in reversed(range(len(parts))):
        code[(state == NOT_MET) & (parts[at] == NOT_MET)] = 1 + at
        code[(state == UNKNOWN) & (parts[at] == UNKNOWN)] = 1 + len(texts) + at
    return code, tuple(said)


def attrition(screening: Screening) -> Table:
    """How many patients each criterion removes, one after the other and alone; n = 0 rows are shown."""
    fails = screening.fails()
    remaining = np.ones(len(screening.ids), dtype=bool)
    rows: list[tuple[str | int, ...]] = []
    for at, criterion in enumerate(screening.criteria):
        before = int(remaining.sum())
        open_ = int((remaining & (screening.state[:, at] == UNKNOWN)).sum())
        alone = int((fails[:, at] & (fails.sum(axis=1) == 1)).sum())
        remaining &= ~fails[:, at]
        after = int(remaining.sum())
        head = (criterion.id, criterion.kind, criterion.sentence)
        rows.append((*head, before, before - after, open_, after, int(fails[:, at].sum()), alone))
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
            Column(key="only_obstacle", label="Only obstacle", kind="count"),
        ),
        rows=tuple(rows),
        note=f"{len(screening.ids)} patients screened; criteria applied in file order.",
    )
