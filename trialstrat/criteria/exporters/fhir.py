"""HL7 FHIR R5: a definitional Group whose characteristics must all hold, and the ResearchStudy that recruits it.

References
----------
HL7 FHIR Release 5 (5.0.0): Group.characteristic (code, value[x], exclude), ResearchStudy.recruitment.eligibility.
"""

from __future__ import annotations

import json
import re
import uuid
from typing import Any

from trialstrat.criteria.exporters.base import CannotCarryError, Export, Exportable, Loss, opposite, wanted
from trialstrat.protocol.base import Value
from trialstrat.protocol.language.criterion import Criterion
from trialstrat.protocol.language.model import AllOf, Alteration, AnyOf, Condition, Negation

#: LOINC code, where there is one, and the words for what is measured; a variant is 69548-6, Genetic variant assessment.
_EVENTS = {
    "tmb": ("94076-7", "tumour mutational burden"),
    "msi": ("81695-9", "microsatellite instability"),
    "copy_number": ("", "copy number of {gene}"),
    "expression": ("", "expression of {gene}"),
}
_UCUM = "http://unitsofmeasure.org"
#: Names of resources become addresses within this one.
_SPACE = uuid.uuid5(uuid.NAMESPACE_URL, "urn:trialstrat:criteria")
_ID = re.compile(r"[^A-Za-z0-9.-]")


def fhir(source: Exportable) -> Export:
    """A collection Bundle; criteria that a Group cannot state are in its description and among the losses."""
    identifier = _ID.sub("-", source.study)[:50] or "study"
    losses: list[Loss] = []
    characteristics: list[dict[str, Any]] = []
    for entry in source.criteria:
        try:
            characteristics += _characteristics(entry, source)
        except CannotCarryError as fault:
            losses.append(Loss(criterion=entry.id, reason=str(fault)))
            continue
        if entry.missing != "unknown":
            losses.append(
                Loss(criterion=entry.id, reason=f"a Group has no policy for missing values ({entry.missing})")
            )
    group = {
        "resourceType": "Group",
        "id": f"{identifier}-eligibility",
        "type": "person",
        "membership": "definitional",
        "name": f"Eligibility: {source.title or source.study}",
        "description": "\n".join(f"- {entry.id} ({entry.kind}): {entry.sentence}" for entry in source.criteria),
        "characteristic": characteristics,
    }
    study = {
        "resourceType": "ResearchStudy",
        "id": identifier,
        "status": "draft",
        "title": source.title or source.study,
        "recruitment": {"eligibility": {"reference": _address(group["id"]), "type": "Group"}},
    }
    if not characteristics:
        del group["characteristic"]
    entries = [{"fullUrl": _address(body["id"]), "resource": body} for body in (study, group)]
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": entries}
    return Export(
        content=json.dumps(bundle, indent=1, ensure_ascii=False) + "\n", suffix="fhir.json", losses=tuple(losses)
    )


def _address(name: str) -> str:
    """Where a resource is found inside the bundle; the same for the same name."""
    return uuid.uuid5(_SPACE, name).urn


def _characteristics(entry: Criterion, source: Exportable) -> list[dict[str, Any]]:
    node = wanted(entry)
    if node is None:
        raise CannotCarryError("text only: there is no condition a program can apply")
    parts = node.all if isinstance(node, AllOf) else (node,)
    out: list[dict[str, Any]] = []
    for part in parts:
        if isinstance(part, AnyOf):
            raise CannotCarryError("a Group of R5 joins its characteristics with and; 'or' cannot be stated")
        negated = isinstance(part, Negation)
        inner = part.negated if isinstance(part, Negation) else part
        if isinstance(inner, Alteration):
            out += _of_event(inner, negated=negated)
        elif isinstance(part, Condition):
            out += _of_condition(part, source)
        else:
            raise CannotCarryError("a Group of R5 cannot state dated records, nor compare columns")
    return [{**body, "extension": [{"url": "urn:trialstrat:criterion:id", "valueString": entry.id}]} for body in out]


def _of_event(node: Alteration, *, negated: bool) -> list[dict[str, Any]]:
    """A molecular event: a variant that was found, or the value or state of a named observation."""
    if node.event == "mutation":
        what = [f"{node.gene} variant", *node.classes, *([node.protein_change] if node.protein_change else [])]
        return [{"code": _coded("69548-6", ", ".join(what)), "valueBoolean": True, "exclude": negated}]
    asked = node.condition(_EVENTS[node.event][1].format(gene=node.gene))
    if negated and asked.one_of:
        asked = Condition(column=asked.column, none_of=asked.one_of)
    elif negated:
        turned = opposite(asked)
        if not isinstance(turned, Condition):
            raise CannotCarryError(f"a Group of R5 cannot state that {node.event} lies outside a range")
        asked = turned
    code = _coded(_EVENTS[node.event][0], asked.column)
    return [{**body, "code": code} for body in _values(asked, node.unit)]


def _coded(loinc: str, text: str) -> dict[str, Any]:
    return {"coding": [{"system": "http://loinc.org", "code": loinc}], "text": text} if loinc else {"text": text}


def _of_condition(node: Condition, source: Exportable) -> list[dict[str, Any]]:
    code = {"text": source.labels.get(node.column, node.column)}
    unit = node.unit or source.units.get(node.column, "")
    return [{"code": code, **body} for body in _values(node, unit)]


def _values(node: Condition, unit: str) -> list[dict[str, Any]]:
    """The values of a condition, one characteristic each, and whether having it excludes."""
    if node.present is not None:
        raise CannotCarryError("a Group cannot ask whether a value is known")
    if node.equals is not None or len(node.one_of) == 1:
        value = node.one_of[0] if node.one_of else node.equals
        return [{**_value(value), "exclude": False}]
    if node.none_of:
        return [{**_value(value), "exclude": True} for value in node.none_of]
    if node.one_of:
        raise CannotCarryError("a Group of R5 takes one value per characteristic; 'one of' several cannot be stated")
    if node.at_least is not None and node.at_most is not None:
        ends = {"low": _quantity(node.at_least, unit), "high": _quantity(node.at_most, unit)}
        return [{"valueRange": ends, "exclude": False}]
    ends = ((">=", node.at_least), (">", node.above), ("<=", node.at_most), ("<", node.below))
    return [
        {"valueQuantity": _quantity(bound, unit, sign), "exclude": False} for sign, bound in ends if bound is not None
    ]


def _quantity(value: float, unit: str, comparator: str = "") -> dict[str, Any]:
    body: dict[str, Any] = {"value": value}
    if comparator:
        body["comparator"] = comparator
    return body | ({"unit": unit, "system": _UCUM, "code": unit} if unit else {})


def _value(value: Value | None) -> dict[str, Any]:
    if isinstance(value, bool):
        return {"valueBoolean": value}
    if isinstance(value, int | float):
        return {"valueQuantity": {"value": value}}
    return {"valueCodeableConcept": {"text": str(value)}}
