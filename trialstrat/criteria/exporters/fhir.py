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

from trialstrat.criteria.exporters.base import CannotCarryError, Export, Exportable, Loss, wanted
from trialstrat.protocol.base import Value
from trialstrat.protocol.language.criterion import Criterion
from trialstrat.protocol.language.model import AllOf, AnyOf, Condition

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
        "recruitment": {"eligibility": {"reference": _address(group["id"])}},
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
        if not isinstance(part, Condition):
            raise CannotCarryError("a Group of R5 cannot state dated records or molecular events of this kind")
        out += _of_condition(part, source)
    return [{**body, "extension": [{"url": "urn:trialstrat:criterion:id", "valueString": entry.id}]} for body in out]


def _of_condition(node: Condition, source: Exportable) -> list[dict[str, Any]]:
    code = {"text": source.labels.get(node.column, node.column)}
    unit = node.unit or source.units.get(node.column, "")
    if node.present is not None:
        raise CannotCarryError("a Group cannot ask whether a value is known")
    if node.equals is not None or len(node.one_of) == 1:
        value = node.one_of[0] if node.one_of else node.equals
        return [{"code": code, **_value(value), "exclude": False}]
    if node.none_of:
        return [{"code": code, **_value(value), "exclude": True} for value in node.none_of]
    if node.one_of:
        raise CannotCarryError("a Group of R5 takes one value per characteristic; 'one of' several cannot be stated")
    if node.at_least is not None and node.at_most is not None:
        ends = {"low": _quantity(node.at_least, unit), "high": _quantity(node.at_most, unit)}
        return [{"code": code, "valueRange": ends, "exclude": False}]
    ends = ((">=", node.at_least), (">", node.above), ("<=", node.at_most), ("<", node.below))
    return [
        {"code": code, "valueQuantity": _quantity(bound, unit, sign), "exclude": False}
        for sign, bound in ends
        if bound is not None
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
