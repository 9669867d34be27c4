"""How the models do in each group that was left out: the table of ``models.outer: groups``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.special import ndtri

from trialstrat.results import Cell, Column, Table

if TYPE_CHECKING:
    from trialstrat.models.evaluate import HeldOutScore
    from trialstrat.models.record import Record


def left_out_groups(record: Record) -> Table:
    """Uno's C and the index of prediction accuracy of every model in every group, predicted by a model of the others.

    Limits are normal, from the influence values of the group's own patients with the predictions held fixed: they say
    how well the score is known in this group, not how groups differ. Groups in the order of their names.
    """
    plan = record.plan
    groups = np.asarray(plan.cohort.groups, dtype=object)
    spread = float(ndtri(0.5 + plan.cohort.protocol.analysis.level / 2))
    rows: list[tuple[Cell, ...]] = []
    for name, scores in record.scores.items():
        concordance, accuracy = scores.get("uno_c"), scores.get("ipa")
        for at, fold in sorted(enumerate(plan.judged), key=lambda entry: str(groups[entry[1].test[0]])):
            head = (name, str(groups[fold.test[0]]), int(fold.test.size), int(plan.event[fold.test].sum()))
            value, error = _in_fold(concordance, at, fold.test)
            limits = (
                (None, None) if error is None else (max(0.0, value - spread * error), min(1.0, value + spread * error))
            )
            rows.append((*head, _cell(value), *limits, _cell(accuracy.fold_values[at])))
    columns = (
        Column(key="model", label="Model"),
        Column(key="group", label="Group left out"),
        Column(key="n", label="Patients", kind="count"),
        Column(key="events", label="Events", kind="count"),
        Column(key="uno_c", label="Uno's C", kind="number"),
        Column(key="lower", label="Lower limit", kind="number"),
        Column(key="upper", label="Upper limit", kind="number"),
        Column(key="ipa", label="Index of prediction accuracy", kind="number"),
    )
    note = (
        f"Every group of {plan.cohort.protocol.models.group_by} is predicted by a model made from the other groups; "
        "the limits are those of the group's own patients."
    )
    return Table(
        name="models.groups", title="Each group left out in turn", columns=columns, rows=tuple(rows), note=note
    )


def _in_fold(score: HeldOutScore, at: int, test: np.ndarray) -> tuple[float, float | None]:
    """The score of one fold and its standard error; None where there is none."""
    value = score.fold_values[at]
    if score.influence is None or not np.isfinite(value):
        return value, None
    # the influence values are those on the mean over the folds that gave a value
    counted = sum(bool(np.isfinite(entry)) for entry in score.fold_values)
    return value, float(np.sqrt(np.sum((score.influence[test] * counted) ** 2)))


def _cell(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
