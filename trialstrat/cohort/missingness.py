"""Stage "missing": which values are missing together, and whether they are missing more in an arm or with the event."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trialstrat.cohort.cohort import Cohort
from trialstrat.cohort.shown import ShownOutcome, arm_labels, arm_rows, shown_outcome
from trialstrat.results import Cell, Column, StageResult, Table
from trialstrat.stats.balance import smd, table_test
from trialstrat.stats.logrank import logrank

Mask = NDArray[np.bool_]

#: Joint patterns listed by name; the others stand together in one row.
MOST_PATTERNS = 10
OTHER = "other patterns"
COMPLETE = "nothing missing"
_HEAD = (Column(key="variable", label="Variable"), Column(key="label", label="Characteristic"))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Gaps:
    """One variable (or the wide markers together) and the patients (n,) in whom it is missing."""

    variable: str
    label: str
    absent: Mask


def gaps(cohort: Cohort) -> tuple[Gaps, ...]:
    """Every declared variable in declared order, then "any marker" where there are wide blocks."""
    found = [
        Gaps(
            variable=entry.column,
            label=entry.title,
            absent=np.asarray(cohort.frame[entry.column].isna(), dtype=np.bool_),
        )
        for entry in cohort.protocol.variables
    ]
    if cohort.markers.shape[1]:
        absent = np.asarray(cohort.markers.isna().to_numpy(dtype=bool).any(axis=1), dtype=np.bool_)
        found.append(Gaps(variable="markers", label=f"Any of {cohort.markers.shape[1]} markers", absent=absent))
    return tuple(found)


def missing_patterns(cohort: Cohort) -> StageResult | None:
    """Missing values by outcome, the commonest joint patterns, and how missingness hangs together with arm and outcome.

    None when no value is missing. Counts by arm stand in the table ``cohort.missing``.
    """
    incomplete = tuple(entry for entry in gaps(cohort) if entry.absent.any())
    if not incomplete:
        return None
    outcome = shown_outcome(cohort)
    tables = [_patterns(cohort, incomplete), _association(cohort, outcome, incomplete)]
    if outcome.kind != "continuous":
        tables.insert(0, _by_outcome(cohort, outcome, incomplete))
    anybody = np.any([entry.absent for entry in incomplete], axis=0)
    few = 0 < int((~anybody).sum()) < outcome.minimum_cell or 0 < int(anybody.sum()) < outcome.minimum_cell
    return StageResult(
        stage="missing",
        tables=tuple(tables),
        facts={
            "incomplete": str(len(incomplete)),
            "variables": str(len(gaps(cohort))),
            "complete_share": "" if few else f"{1 - float(anybody.mean()):.6g}",
        },
    )


# -- by outcome ------------------------------------------------------------------------------------------------------


def _by_outcome(cohort: Cohort, outcome: ShownOutcome, incomplete: tuple[Gaps, ...]) -> Table:
    event = outcome.of_interest == 1
    groups = {"all": np.ones(cohort.n, dtype=np.bool_), "event": event, "no_event": ~event}
    labels = {"all": "All patients", "event": "With the event", "no_event": "Without the event"}
    rows: list[tuple[Cell, ...]] = []
    for entry in incomplete:
        for name, mask in groups.items():
            n, missing = int(mask.sum()), int((entry.absent & mask).sum())
            share = missing / n if n else None
            rows.append((entry.variable, entry.label, name, labels[name], n, missing, share))
    return Table(
        name="missing.by_outcome",
        title="Missing values by outcome",
        columns=(
            *_HEAD,
            Column(key="outcome", label="Outcome"),
            Column(key="label_outcome", label="Outcome"),
            Column(key="n", label="Patients", kind="count"),
            Column(key="missing", label="Missing", kind="count"),
            Column(key="share", label="Share", kind="percent"),
        ),
        rows=tuple(rows),
        note=f"Population: {outcome.population()}. Event: {outcome.label}, during follow-up.",
    )


# -- joint patterns --------------------------------------------------------------------------------------------------


def _patterns(cohort: Cohort, incomplete: tuple[Gaps, ...]) -> Table:
    """Patterns that stand for enough patients; the others in one row."""
    absent = np.column_stack([entry.absent for entry in incomplete])
    counts = Counter(tuple(np.flatnonzero(row).tolist()) for row in absent)
    totals = {at: int(absent[:, at].sum()) for at in range(len(incomplete))}
    shown = shown_patterns(counts, totals, cohort.protocol.disclosure.minimum_cell)
    rows: list[tuple[Cell, ...]] = []
    for pattern, n in shown.items():
        names = ", ".join(incomplete[at].label for at in pattern) or COMPLETE
        rows.append((names, len(pattern), n, n / cohort.n))
    rest = cohort.n - sum(shown.values())
    if rest:
        kinds = len(counts) - len(shown)
        rows.append((OTHER, None, rest, rest / cohort.n))
    else:
        kinds = 0
    few = cohort.protocol.disclosure.minimum_cell
    named = (
        f"{kinds} other patterns, each rarer or held by fewer than {few} patients, stand together. " if kinds else ""
    )
    return Table(
        name="missing.patterns",
        title="What is missing together",
        columns=(
            Column(key="group", label="Missing"),
            Column(key="variables", label="Variables", kind="number"),
            Column(key="n", label="Patients", kind="count"),
            Column(key="share", label="Share", kind="percent"),
        ),
        rows=tuple(rows),
        note=f"{cohort.n} analysed patients. {named}".strip(),
    )


def shown_patterns(
    counts: Mapping[tuple[int, ...], int], totals: Mapping[int, int], minimum: int
) -> dict[tuple[int, ...], int]:
    """The commonest patterns, none of fewer than ``minimum`` patients, and no such number left as a difference.

    ``counts`` are patients by the variables missing in them, ``totals`` patients by missing variable. What is not
    shown stands in one row; a reader can subtract the shown patterns from a variable's total, or from all patients,
    so patterns are held back until these differences are 0 or at least ``minimum``.
    """
    ranked = sorted(counts.items(), key=lambda entry: (-entry[1], entry[0]))
    shown = {pattern: n for pattern, n in ranked[:MOST_PATTERNS] if n >= minimum}
    whole = sum(counts.values())

    def exposed() -> list[tuple[int, ...]] | None:
        if shown and 0 < whole - sum(shown.values()) < minimum:
            return list(shown)
        for at, total in totals.items():
            own = [pattern for pattern in shown if at in pattern]
            if 0 < total - sum(shown[pattern] for pattern in own) < minimum and own:
                return own
        return None

    while (candidates := exposed()) is not None:
        del shown[min(candidates, key=lambda pattern: (shown[pattern], pattern))]
    return shown


# -- what missingness hangs together with ----------------------------------------------------------------------------


def _association(cohort: Cohort, outcome: ShownOutcome, incomplete: tuple[Gaps, ...]) -> Table:
    """Standardised differences of the missing share between arms and by outcome, each with a test."""
    rows: list[tuple[Cell, ...]] = []
    labels, arms = arm_labels(cohort), arm_rows(cohort)
    declared = cohort.protocol.arms
    control = declared.control.name if declared and declared.control else ""
    for entry in incomplete:
        head = (entry.variable, entry.label)
        for name, mask in arms.items():
            if control in arms and name != control:
                both = arms[control] | mask
                found = _arms(entry.absent[both], mask[both], outcome.minimum_cell)
                rows.append((*head, f"{labels[name]} vs {labels[control]}", *found))
        rows.append((*head, "Outcome", *_outcome(cohort, outcome, entry.absent)))
    few = outcome.minimum_cell
    return Table(
        name="missing.association",
        title="Missingness against arm and outcome",
        columns=(
            *_HEAD,
            Column(key="against", label="Against"),
            Column(key="smd", label="Standardised difference", kind="number"),
            Column(key="p", label="p", kind="p"),
            Column(key="test", label="Test"),
        ),
        rows=tuple(rows),
        note=(
            "Standardised difference of the share missing: treated minus control, with minus without the event. Null "
            "hypotheses: the share missing is the same in both arms; the outcome is the same whether or not the value "
            f"is known. Not adjusted for the number of tests; left out where 1 to {few - 1} patients of a group lack "
            "the value."
        ),
        protection="none",
    )


def _few(absent: Mask, group: Mask, minimum: int) -> bool:
    """Whether a difference or a test would give away a count below the minimum: missing or known, in a group."""
    cells = [int((part & rows).sum()) for part in (absent, ~absent) for rows in (group, ~group)]
    return any(0 < cell < minimum for cell in cells)


def _arms(absent: Mask, treated: Mask, minimum: int) -> tuple[Cell, ...]:
    if _few(absent, treated, minimum):
        return None, None, "too few patients"
    found = smd(absent.astype(np.int64), treated.astype(np.int64), kind="binary")
    test = table_test(absent.astype(np.int64), treated.astype(np.int64), kind="chisq", correct=False)
    return _number(found.smd), _number(test.p), test.method


def _outcome(cohort: Cohort, outcome: ShownOutcome, absent: Mask) -> tuple[Cell, ...]:
    """Log-rank test within arms for times, chi-square for binary outcomes, rank sums for continuous ones."""
    arm = None if cohort.arm is None else np.asarray(cohort.arm).astype(str)
    if outcome.kind == "continuous" and outcome.value is not None:
        if absent.all() or 0 < min(int(absent.sum()), int((~absent).sum())) < outcome.minimum_cell:
            return None, None, "too few patients"
        difference = smd(outcome.value, absent.astype(np.int64), kind="continuous")
        test = table_test(outcome.value, absent.astype(np.int64), kind="wilcoxon", correct=True)
        return _number(difference.smd), _number(test.p), test.method
    event = outcome.of_interest == 1
    if absent.all() or event.all() or not event.any() or _few(absent, event, outcome.minimum_cell):
        return None, None, "too few patients"
    found = smd(absent.astype(np.int64), event.astype(np.int64), kind="binary")
    if outcome.time is None:
        test = table_test(absent.astype(np.int64), event.astype(np.int64), kind="chisq", correct=False)
        return _number(found.smd), _number(test.p), test.method
    ranks = logrank(outcome.time, outcome.of_interest, absent.astype(np.int64), strata=arm, entry=outcome.entry)
    return _number(found.smd), _number(ranks.p), ranks.method


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
