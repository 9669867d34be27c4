"""OHDSI Circe cohort definition JSON, as ATLAS and CohortGenerator read it.

A person without a record of the declared concept in its window does not pass what is asked of its value.

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
    Age,
    Measured,
    Sex,
    carried,
    notes,
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
_OPPOSITE = {"at_least": "below", "above": "at_most", "at_most": "above", "below": "at_least"}
#: A person whose sex is not known.
_NO_SEX = 0
_SEX = {8507: ("M", "MALE"), 8532: ("F", "FEMALE"), _NO_SEX: ("No matching concept", "No matching concept")}


def circe(source: Exportable) -> Export:
    """One inclusion rule per criterion; exclusion criteria are rules that their opposite holds."""
    writer = _Writer(source=source)
    entry = source.concepts.entry
    first: dict[str, Any] = {"ObservationPeriod": {"First": True}}
    if entry is not None:
        first = {_DOMAINS[entry.domain]: {"CodesetId": writer.concept_set(entry)}}
    rules, losses = carried(source, writer.rule)
    losses += writer.losses
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
    return Export(
        content=json.dumps(body, indent=1, ensure_ascii=False) + "\n",
        suffix="circe.json",
        losses=tuple(losses),
        notes=notes(source),
    )


def _age(asked: Age, negated: bool) -> dict[str, Any]:
    """All bounds hold, or one of them does not."""
    bounds = [(_OPPOSITE[key] if negated else key, value) for key, value in asked.bounds]
    found = [{"Age": {"Value": int(value), "Op": _OPERATORS[key]}} for key, value in bounds]
    return _group("ANY" if negated else "ALL", DemographicCriteriaList=found)


def _values(bounds: dict[str, float]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Values within the bounds, and those that are not."""
    if set(bounds) == {"at_least", "at_most"}:
        ends = {"Value": bounds["at_least"], "Extent": bounds["at_most"]}
        return {**ends, "Op": "bt"}, {**ends, "Op": "!bt"}
    if len(bounds) != 1:
        raise CannotCarryError("Circe's between includes both ends; an open end cannot be asked of the same record")
    ((key, number),) = bounds.items()
    return {"Value": number, "Op": _OPERATORS[key]}, {"Value": number, "Op": _OPERATORS[_OPPOSITE[key]]}


def _four_decimals(value: float) -> bool:
    return abs(round(value, 4) - value) <= 1e-12 * abs(value)


def _none_of(**lists: list[Any]) -> dict[str, Any]:
    return _group("AT_MOST", Count=0, **lists)


def _group(kind: str = "ALL", **lists: Any) -> dict[str, Any]:
    return {"Type": kind, "CriteriaList": [], "DemographicCriteriaList": [], "Groups": [], **lists}


@dataclass(slots=True, eq=False)
class _Writer:
    """Collects concept sets, and what is rounded, while rules are written."""

    source: Exportable
    sets: list[dict[str, Any]] = field(default_factory=list)
    losses: list[Loss] = field(default_factory=list)
    rounded: list[str] = field(default_factory=list)

    def rule(self, entry: Criterion, node: Any) -> dict[str, Any]:
        self.rounded = []
        group = tree(node, self.leaf, lambda kind, parts: _group("ALL" if kind == "all" else "ANY", Groups=parts))
        self.losses += [Loss(criterion=entry.id, reason=reason) for reason in dict.fromkeys(self.rounded)]
        return {"name": f"{entry.id} ({entry.kind})", "description": entry.sentence, "expression": group}

    def leaf(self, node: Condition, negated: bool) -> dict[str, Any]:
        asked = question(node, self.source)
        if isinstance(asked, Age):
            return _age(asked, negated)
        if isinstance(asked, Sex):
            known = asked.excluded == negated
            concepts = asked.concepts if known else (*asked.concepts, _NO_SEX)
            found = [{"Gender": [_sex(concept) for concept in concepts]}]
            return _group(DemographicCriteriaList=found) if known else _none_of(DemographicCriteriaList=found)
        if isinstance(asked, Measured):
            return self.measured(asked, negated)
        return _group(CriteriaList=[self.criterion(asked.concept, {}, some=asked.present != negated)])

    def measured(self, asked: Measured, negated: bool) -> dict[str, Any]:
        unit = asked.concept.unit
        named = {
            "CONCEPT_ID": UNIT_CONCEPTS[unit],
            "CONCEPT_CODE": unit,
            "CONCEPT_NAME": unit,
            "DOMAIN_ID": "Unit",
            "VOCABULARY_ID": "UCUM",
        }
        meets, opposite = _values(dict(asked.bounds))
        found = [self.criterion(asked.concept, {"ValueAsNumber": meets, "Unit": [named]}, some=not negated)]
        if negated:
            found.append(self.criterion(asked.concept, {"ValueAsNumber": opposite, "Unit": [named]}, some=True))
        rounded = [value for _, value in asked.bounds if not _four_decimals(value)]
        if rounded:
            said = ", ".join(f"{value:.10g} is taken as {value:.4f}" for value in rounded)
            self.rounded.append(f"Circe compares values with four decimals: {said} {unit}")
        return _group(CriteriaList=found)

    def criterion(self, concept: Concept, fields: dict[str, Any], *, some: bool) -> dict[str, Any]:
        first, last = whole_days(concept)
        return {
            "Criteria": {_DOMAINS[concept.domain]: {"CodesetId": self.concept_set(concept), **fields}},
            "StartWindow": {"Start": _end(first, -1), "End": _end(last, 1), "UseEventEnd": False},
            # at least 1, or exactly 0
            "Occurrence": {"Type": 2, "Count": 1} if some else {"Type": 0, "Count": 0},
            "IgnoreObservationPeriod": True,
        }

    def concept_set(self, concept: Concept) -> int:
        for entry in self.sets:
            if entry["expression"]["items"][0]["concept"]["CONCEPT_ID"] == concept.concept:
                return entry["id"]
        name = self.name(concept)
        item = {
            "concept": {
                "CONCEPT_ID": concept.concept,
                "CONCEPT_NAME": name,
                "DOMAIN_ID": concept.domain.capitalize(),
            },
            "isExcluded": False,
            "includeDescendants": True,
            "includeMapped": False,
        }
        self.sets.append({"id": len(self.sets), "name": name, "expression": {"items": [item]}})
        return len(self.sets) - 1

    def name(self, concept: Concept) -> str:
        """What the study calls it: the first column that it stands for."""
        source = self.source
        mapped = source.concepts.columns.items()
        named = next((column for column, entry in mapped if entry.concept == concept.concept), "entry event")
        return source.labels.get(named, named)


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
