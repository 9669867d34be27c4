"""``trialstrat screen``: frozen criteria applied to new patients."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from trialstrat import store
from trialstrat.cohort.build import read_patients
from trialstrat.cohort.language.tables import Tables
from trialstrat.criteria.frozen import FrozenCriteria, from_mapping
from trialstrat.criteria.screening import DECISIONS, STATES, Screening, attrition
from trialstrat.criteria.screening import screen as apply
from trialstrat.results import Table


@dataclass(frozen=True, slots=True, kw_only=True)
class ScreeningOutcome:
    """The decisions, how many each criterion removed, and where they were written."""

    screening: Screening
    attrition: Table
    out: Path

    def lines(self) -> list[str]:
        """What a terminal shows."""
        total = len(self.screening.ids)
        shown = [f"{kind}: {count} of {total}" for kind, count in self.screening.counts().items()]
        if self.screening.manual:
            names = ", ".join(entry.id for entry in self.screening.manual)
            shown.append(f"A person must still check: {names} (no condition a machine can apply).")
        return [*shown, f"Decisions: {self.out}"]

    def to_dict(self) -> dict[str, Any]:
        """JSON-safe form; one entry per patient under ``decisions``."""
        head = decision_head(self.screening)
        return {
            "out": str(self.out),
            "counts": self.screening.counts(),
            "manual": [entry.id for entry in self.screening.manual],
            "attrition": self.attrition.records(),
            "decisions": [dict(zip(head, row, strict=True)) for row in decision_rows(self.screening)],
        }


def decision_head(screening: Screening) -> tuple[str, ...]:
    """The column heads of :func:`decision_rows`."""
    return ("id", "decision", "deciding_criterion", "reason", *(entry.id for entry in screening.criteria))


def decision_rows(screening: Screening) -> list[tuple[str, ...]]:
    """One row per patient: id, decision, deciding criterion, its reason, then the state of every criterion."""
    decisions = np.array(DECISIONS, dtype=object)[screening.decision]
    names = np.array([*(entry.id for entry in screening.criteria), ""], dtype=object)[screening.deciding]
    words = np.array([STATES[1], STATES[0], STATES[-1]], dtype=object)
    codes = np.where(screening.state == -1, 2, 1 - screening.state)
    states = [words[codes[:, at]].tolist() for at in range(len(screening.criteria))]
    why = [
        screening.reasons[by][screening.reason[at, by]] if by >= 0 else ""
        for at, by in enumerate(screening.deciding.tolist())
    ]
    return list(zip(screening.ids, decisions.tolist(), names.tolist(), why, *states, strict=True))


def load_criteria(path: Path) -> FrozenCriteria:
    """The criteria of a run folder, or of a criteria file by itself."""
    file = path / store.CRITERIA if path.is_dir() else path
    return from_mapping(store.read_yaml(file), str(file))


def screen(criteria: Path, data: Path, *, out: Path | None = None, identifier: str | None = None) -> ScreeningOutcome:
    """Decide for every patient of ``data`` and write one row each beside the data (or to ``out``).

    Raises
    ------
    DataError
        A column that a criterion needs is missing, or holds values of another kind.
    IntegrityError
        The criteria file was edited after it was frozen.
    """
    frozen = load_criteria(criteria)
    frame = read_patients(data, frozen.variables, identifier or frozen.id_column)
    screening = apply(frozen.criteria, Tables(patients=frame, schema=frozen.schema_of_data))
    place = out or data.with_name(f"{data.stem}.screened.csv")
    store.write_file(place, store.rows_to_csv(decision_head(screening), decision_rows(screening)))
    return ScreeningOutcome(screening=screening, attrition=attrition(screening), out=place)
