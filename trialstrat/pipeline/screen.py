"""``trialstrat screen``: frozen criteria applied to new patients."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trialstrat import store
from trialstrat.cohort.build import read_patients
from trialstrat.criteria.frozen import FrozenCriteria, from_mapping
from trialstrat.criteria.screening import Screening, attrition
from trialstrat.criteria.screening import screen as apply
from trialstrat.results import Table


@dataclass(frozen=True, slots=True, kw_only=True)
class ScreeningOutcome:
    """The decisions, how many each criterion removed, and where they were written."""

    screening: Screening
    attrition: Table
    out: Path

    def counts(self) -> dict[str, int]:
        """Patients by decision."""
        decisions = self.screening.decision
        return {kind: decisions.count(kind) for kind in ("eligible", "not eligible", "unknown")}

    def lines(self) -> list[str]:
        """What a terminal shows."""
        total = len(self.screening.ids)
        shown = [f"{kind}: {count} of {total}" for kind, count in self.counts().items()]
        if self.screening.manual:
            names = ", ".join(entry.id for entry in self.screening.manual)
            shown.append(f"A person must still check: {names} (no condition a machine can apply).")
        return [*shown, f"Decisions: {self.out}"]

    def to_dict(self) -> dict[str, Any]:
        """JSON-safe form; one entry per patient under ``decisions``."""
        head = self.screening.head()
        return {
            "out": str(self.out),
            "counts": self.counts(),
            "manual": [entry.id for entry in self.screening.manual],
            "attrition": self.attrition.records(),
            "decisions": [dict(zip(head, row, strict=True)) for row in self.screening.rows()],
        }


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
    screening = apply(frozen, frame)
    place = out or data.with_name(f"{data.stem}.screened.csv")
    store.write_file(place, store.rows_to_csv(screening.head(), screening.rows()))
    return ScreeningOutcome(screening=screening, attrition=attrition(screening), out=place)
