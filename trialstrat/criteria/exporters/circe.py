"""OHDSI Circe cohort definition JSON, as ATLAS and CohortGenerator read it.

A criterion on a column is asked of any record of the declared concept in its window; a person without one does not
pass.

References
----------
OHDSI circe-be, CohortExpression: PrimaryCriteria, InclusionRules, CriteriaGroup, Occurrence (0 exactly, 1 at most, 2 at
least), Window.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from trialstrat.criteria.exporters.base import CannotCarryError, Export, Exportable, Loss
from trialstrat.criteria.exporters.concepts import UNIT_CONCEPTS, Concept
from trialstrat.criteria.exporters.omop import (
    BOUNDS,
    ENTRY_NOTE,
    Age,
    Measured,
    Sex,
    carried,
    question,
    tree,
    whole_days,
)
from trialstrat.protocol.language.criterion import Criterion
from trialstrat.protocol.language.model import Condition

_DOMAINS = {
    "measurement": "Measurement",
    "condition": "ConditionOccurrence",
    "drug": "DrugExposure",
    "procedure": "ProcedureOccurrence",
    "observation": "Observation",
}
_OPERATORS = {key: name for key, name, _ in BOUNDS}
_SEX = {8507: ("M", "MALE"), 8532: ("F", "FEMALE")}


def circe(source: Exportable) -> Export:
    """One inclusion rule per criterion; exclusion criteria are rules that their opposite holds."""
    writer = _Writer(source=source)
    entry = source.concepts.entry
    first: dict[str, Any] = {"ObservationPeriod": {"First": True}}
    if entry is not None:
        first = {_DOMAINS[entry.domain]: {"CodesetId": writer.concept_set(entry)}}
    rules, losses = carried(source, writer.rule)
    losses += [
        Loss(criterion=entry.id, reason="Circe cannot admit persons whose value is missing")
        for entry in source.criteria
        if entry.when and entry.admits_missing
    ]
    body = {
        "ConceptSets": writer.sets,
        "PrimaryCriteria": {
            "CriteriaList": [first],
            "ObservationWindow": {"PriorDays": 0, "PostDays": 0},
            "PrimaryCriteriaLimit": {"Type": "First"},
        },
        "QualifiedLimit": {"Type": "First"},
        "ExpressionLimit": {"Type": "First"},
        "InclusionRules": rules,
        "CensoringCriteria": [],
        "CollapseSettings": {"CollapseType": "ERA", "EraPad": 0},
        "CensorWindow": {},
        "cdmVersionRange": ">=5.0.0",
    }
    notes = () if entry is not None else (ENTRY_NOTE,)
    return Export(
        content=json.dumps(body, indent=1, ensure_ascii=False) + "\n",
        suffix="circe.json",
        losses=tuple(losses),
        notes=notes,
    )


def _group(kind: str = "ALL", **lists: list[Any]) -> dict[str, Any]:
    return {"Type": kind, "CriteriaList": [], "DemographicCriteriaList": [], "Groups": [], **lists}


@dataclass(slots=True, eq=False)
class _Writer:
    """Collects concept sets while rules are written."""

    source: Exportable
    sets: list[dict[str, Any]] = field(default_factory=list)

    def rule(self, entry: Criterion, node: Any) -> dict[str, Any]:
        group = tree(node, self.leaf, lambda kind, parts: _group("ALL" if kind == "all" else "ANY", Groups=parts))
        return {"name": f"{entry.id} ({entry.kind})", "description": entry.sentence, "expression": group}

    def leaf(self, node: Condition) -> dict[str, Any]:
        asked = question(node, self.source)
        if isinstance(asked, Age):
            found = [{"Age": {"Value": int(value), "Op": _OPERATORS[key]}} for key, value in asked.bounds]
            return _group(DemographicCriteriaList=found)
        if isinstance(asked, Sex):
            if asked.excluded:
                raise CannotCarryError("Circe cannot exclude a sex; write the criterion as an inclusion of the other")
            return _group(DemographicCriteriaList=[{"Gender": [_sex(concept) for concept in asked.concepts]}])
        if isinstance(asked, Measured):
            return self.measured(asked)
        # exactly 0, or at least 1
        occurrence = {"Type": 2, "Count": 1} if asked.present else {"Type": 0, "Count": 0}
        return _group(CriteriaList=[self.criterion(asked.concept, {}, occurrence)])

    def measured(self, asked: Measured) -> dict[str, Any]:
        unit = asked.concept.unit
        named = {"CONCEPT_ID": UNIT_CONCEPTS[unit], "CONCEPT_CODE": unit, "DOMAIN_ID": "Unit", "VOCABULARY_ID": "UCUM"}
        bounds = dict(asked.bounds)
        if set(bounds) == {"at_least", "at_most"}:
            value = {"Value": bounds["at_least"], "Op": "bt", "Extent": bounds["at_most"]}
        elif len(bounds) == 1:
            ((key, number),) = bounds.items()
            value = {"Value": number, "Op": _OPERATORS[key]}
        else:
            raise CannotCarryError("Circe's between includes both ends; an open end cannot be asked of the same record")
        fields = {"ValueAsNumber": value, "Unit": [named]}
        return _group(CriteriaList=[self.criterion(asked.concept, fields, {"Type": 2, "Count": 1})])

    def criterion(self, concept: Concept, fields: dict[str, Any], occurrence: dict[str, int]) -> dict[str, Any]:
        first, last = whole_days(concept)
        return {
            "Criteria": {_DOMAINS[concept.domain]: {"CodesetId": self.concept_set(concept), **fields}},
            "StartWindow": {"Start": _end(first, -1), "End": _end(last, 1), "UseEventEnd": False},
            "Occurrence": occurrence,
        }

    def concept_set(self, concept: Concept) -> int:
        for entry in self.sets:
            if entry["expression"]["items"][0]["concept"]["CONCEPT_ID"] == concept.concept:
                return entry["id"]
        item = {
            "concept": {"CONCEPT_ID": concept.concept, "DOMAIN_ID": concept.domain.capitalize()},
            "isExcluded": False,
            "includeDescendants": True,
            "includeMapped": False,
        }
        self.sets.append({"id": len(self.sets), "name": f"concept {concept.concept}", "expression": {"items": [item]}})
        return len(self.sets) - 1


def _end(day: int | None, open_side: int) -> dict[str, int]:
    """Days and direction of a window's end; without days it is open."""
    if day is None:
        return {"Coeff": open_side}
    return {"Days": abs(day), "Coeff": -1 if day < 0 or (day == 0 and open_side < 0) else 1}


def _sex(concept: int) -> dict[str, Any]:
    code, name = _SEX[concept]
    return {
        "CONCEPT_CODE": code,
        "CONCEPT_ID": concept,
        "CONCEPT_NAME": name,
        "DOMAIN_ID": "Gender",
        "VOCABULARY_ID": "Gender",
    }
