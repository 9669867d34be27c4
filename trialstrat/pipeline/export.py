"""``trialstrat export``: criteria of a run, or of a file, for another system."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from trialstrat import store
from trialstrat.criteria.exporters import EXPORTERS
from trialstrat.criteria.exporters.base import Export, exportable
from trialstrat.criteria.exporters.concepts import ConceptMap
from trialstrat.criteria.frozen import FrozenCriteria, from_mapping
from trialstrat.errors import IntegrityError, StrictError, UsageError
from trialstrat.protocol.language.criterion import CriteriaSet
from trialstrat.protocol.load import load_criteria


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportOutcome:
    """What was written and where."""

    export: Export
    to: str
    out: Path

    def lines(self) -> list[str]:
        """What a terminal shows."""
        lost = [f"Not carried: {loss.text()}" for loss in self.export.losses]
        return [*lost, *(f"Note: {note}" for note in self.export.notes), f"Written: {self.out}"]

    def to_dict(self) -> dict[str, Any]:
        """JSON-safe form."""
        return {
            "to": self.to,
            "out": str(self.out),
            "losses": [{"criterion": loss.criterion, "reason": loss.reason} for loss in self.export.losses],
            "notes": list(self.export.notes),
        }


def export(
    run_or_criteria: Path, to: str, out: Path | None = None, strict: bool = False, *, concepts: Path | None = None
) -> ExportOutcome:
    """Write the criteria of a run folder or of a criteria file for another system.

    Parameters
    ----------
    run_or_criteria : Path
        A run folder, its ``criteria.yaml``, or a criteria file in the language of its own.
    to : str
        One of text, csv, usdm, circe, sql, fhir, ctml.
    out : Path, optional
        The file; by default beside the run folder or the criteria file, named after it.
    strict : bool
        Refuse, and write nothing, when something of the criteria cannot be carried.
    concepts : Path, optional
        YAML that says which OMOP concept each column is (circe and sql).

    Raises
    ------
    UsageError
        A format that is not one of these.
    StrictError
        Under ``strict``: everything that cannot be carried.
    IntegrityError
        A criteria file that was edited after it was frozen, or a file that is none.
    """
    if to not in EXPORTERS:
        raise UsageError(f"--to {to}: no such format. Use one of {', '.join(EXPORTERS)}.")
    source = _criteria(run_or_criteria)
    mapping = ConceptMap() if concepts is None else _concepts(concepts)
    made = EXPORTERS[to](exportable(source, mapping))
    if strict and made.losses:
        raise StrictError(*(f"{to}: {loss.text()}. Nothing written (--strict)." for loss in made.losses))
    place = out or run_or_criteria.resolve().with_name(f"{run_or_criteria.resolve().stem}.{made.suffix}")
    store.write_file(place, made.content)
    return ExportOutcome(export=made, to=to, out=place)


def _criteria(path: Path) -> FrozenCriteria | CriteriaSet:
    file = path / store.CRITERIA if path.is_dir() else path
    data = store.read_yaml(file)
    if isinstance(data, Mapping) and "criteria" in data and "trialstrat_criteria" not in data:
        return load_criteria(file)[0]
    return from_mapping(data, str(file))


def _concepts(path: Path) -> ConceptMap:
    try:
        return ConceptMap.model_validate(store.read_yaml(path))
    except ValidationError as error:
        faults = "; ".join(".".join(map(str, fault["loc"])) + ": " + fault["msg"] for fault in error.errors())
        raise IntegrityError(f"{path}: {faults}") from None
