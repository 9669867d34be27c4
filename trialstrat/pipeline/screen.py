"""``trialstrat screen``: criteria applied to new patients."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from trialstrat import store
from trialstrat.cohort.language.tables import Tables
from trialstrat.criteria.borderline import NearMiss, borderline
from trialstrat.criteria.screening import DECISIONS, STATES, Screening, attrition
from trialstrat.criteria.screening import screen as apply
from trialstrat.pipeline.screening_input import Written, patients_and_tables, read_criteria, read_rules, rule_data
from trialstrat.results import Table

#: Share of a threshold within which a patient who misses it is listed.
MARGIN = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class ScreenOptions:
    """What the command line says: long tables by name, the id column, where to write, how near is near."""

    tables: Mapping[str, Path] = field(default_factory=dict)
    identifier: str | None = None
    out: Path | None = None
    margin: float = MARGIN


@dataclass(frozen=True, slots=True, kw_only=True)
class ScreeningOutcome:
    """The decisions, who just misses, how many each criterion removed, and where it was written."""

    screening: Screening
    borderline: tuple[NearMiss, ...]
    attrition: Table
    margin: float
    out: Path

    def lines(self) -> list[str]:
        """What a terminal shows."""
        total = len(self.screening.ids)
        shown = [f"{kind}: {count} of {total}" for kind, count in self.screening.counts().items()]
        near = len({miss.id for miss in self.borderline if miss.only})
        shown.append(f"borderline (a threshold missed by at most {self.margin:.0%}, nothing else in the way): {near}")
        if self.screening.manual:
            names = ", ".join(entry.id for entry in self.screening.manual)
            shown.append(f"A person must still check: {names} (no condition a machine can apply).")
        return [*shown, f"Decisions: {self.out}"]

    def to_dict(self) -> dict[str, Any]:
        """JSON-safe form; one entry per patient under ``decisions``, with the reason per criterion."""
        head = decision_head(self.screening)
        rows = decision_rows(self.screening)
        reasons = [
            np.array(said, dtype=object)[self.screening.reason[:, at]].tolist()
            for at, said in enumerate(self.screening.reasons)
        ]
        names = [entry.id for entry in self.screening.criteria]
        return {
            "out": str(self.out),
            "counts": self.screening.counts(),
            "manual": [entry.id for entry in self.screening.manual],
            "attrition": self.attrition.records(),
            "margin": self.margin,
            "borderline": [asdict(miss) for miss in self.borderline],
            "decisions": [
                {**dict(zip(head, row, strict=True)), "reasons": dict(zip(names, why, strict=True))}
                for row, why in zip(rows, zip(*reasons, strict=True) if reasons else [()] * len(rows), strict=True)
            ],
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


def screen(criteria: Path, data: Path, options: ScreenOptions | None = None) -> ScreeningOutcome:
    """Decide for every patient of ``data`` by the criteria of a run folder, a frozen file or a file of their own.

    Decisions are written beside the data (or to ``options.out``): as JSON where that ends in ``.json``, otherwise as
    CSV with the near misses and the attrition in files beside it.

    Raises
    ------
    DataError
        A column or a long table that a criterion needs is missing, or holds values of another kind.
    ProtocolError
        Criteria that contradict themselves, name what is not there or look at the outcome; with the line.
    IntegrityError
        The criteria file was edited after it was frozen.
    """
    options = options or ScreenOptions()
    written = read_criteria(criteria)
    tables = patients_and_tables(written, data, options.tables, options.identifier)
    return _decided(written, tables, data, options)


def screen_by_rules(rules: Path, data: Path, options: ScreenOptions | None = None) -> ScreeningOutcome:
    """The same by a rule file of TrialPathfinder; ``data`` is a table too, by the name of its file."""
    options = options or ScreenOptions()
    written = read_rules(rules)
    return _decided(written, rule_data(written, data, options.tables, options.identifier), data, options)


def _decided(written: Written, tables: Tables, data: Path, options: ScreenOptions) -> ScreeningOutcome:
    screening = apply(written.criteria, tables)
    outcome = ScreeningOutcome(
        screening=screening,
        borderline=borderline(screening, tables, options.margin),
        attrition=attrition(screening),
        margin=options.margin,
        out=options.out or data.with_name(f"{data.stem}.screened.csv"),
    )
    _write(outcome)
    return outcome


def _write(outcome: ScreeningOutcome) -> None:
    place = outcome.out
    if place.suffix == ".json":
        store.write_file(place, json.dumps(outcome.to_dict(), ensure_ascii=False) + "\n")
        return
    head = ("id", "criterion", "condition", "missed_by", "unit", "only")
    near = [(m.id, m.criterion, m.condition, m.missed_by, m.unit, m.only) for m in outcome.borderline]
    stem = place.name.removesuffix(".csv").removesuffix(".screened")
    store.write_file(place.with_name(f"{stem}.borderline.csv"), store.rows_to_csv(head, near))
    store.write_file(place.with_name(f"{stem}.attrition.csv"), store.csv_text(outcome.attrition))
    screening = outcome.screening
    store.write_file(place, store.rows_to_csv(decision_head(screening), decision_rows(screening)))
