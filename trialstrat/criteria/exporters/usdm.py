"""CDISC USDM v4 JSON: the part of a study definition that holds its eligibility criteria.

References
----------
CDISC Digital Data Flow, Unified Study Definitions Model v4.0: EligibilityCriterion, EligibilityCriterionItem,
StudyDesignPopulation, Range, Code. Codes are concepts of the NCI Thesaurus in CDISC controlled terminology.
"""

from __future__ import annotations

import html
import json
from typing import Any

from trialstrat.criteria.exporters.base import Export, Exportable, wanted
from trialstrat.criteria.exporters.concepts import AGE_COLUMNS, SEX_COLUMNS, SEX_CONCEPTS, YEARS
from trialstrat.protocol.language.criterion import Criterion
from trialstrat.protocol.language.model import AllOf, Condition
from trialstrat.protocol.language.text import write_all

_CATEGORY = {"inclusion": ("C25532", "Inclusion Criteria"), "exclusion": ("C25370", "Exclusion Criteria")}
_SEXES = {(8507,): ("C20197", "Male"), (8532,): ("C16576", "Female"), (8507, 8532): ("C49636", "Both")}
_URL = "urn:trialstrat:criterion:"
_NOTE = (
    "Criteria say nothing of sponsor, phase, blinding, arms, epochs, objectives and timeline: add them in the study "
    "builder. The intervention model, which a design must have, is given as unknown."
)
_AGE_NOTE = "The planned age needs both ends, which the criteria do not state: add it in the study builder."


def usdm(source: Exportable) -> Export:
    """Every criterion as text, with its executable condition, missing policy and evidence as extension attributes.

    The population's planned age and sex are what all criteria together leave, as far as they state it.
    """
    items = [_item(at, entry) for at, entry in enumerate(source.criteria, start=1)]
    criteria = [_criterion(at, entry, source) for at, entry in enumerate(source.criteria, start=1)]
    for at, entry in enumerate(criteria):
        entry["previousId"] = criteria[at - 1]["id"] if at else None
        entry["nextId"] = criteria[at + 1]["id"] if at + 1 < len(criteria) else None
    title = source.title or source.study
    age = _planned_age(source)
    population = _object(
        "StudyDesignPopulation",
        1,
        name="POP1",
        label="",
        description=source.title,
        includesHealthySubjects=False,
        plannedSex=[_planned_sex(source)],
        plannedAge=age,
        criterionIds=[entry["id"] for entry in criteria],
    )
    design = _object(
        "InterventionalStudyDesign",
        1,
        name=source.study,
        rationale=title,
        studyType=_code("studyType", "C98388", "Interventional Study"),
        model=_code("model", "C17998", "Unknown"),
        arms=[],
        epochs=[],
        studyCells=[],
        population=population,
        eligibilityCriteria=criteria,
    )
    official = _code("title", "C207616", "Official Study Title")
    version = _object(
        "StudyVersion",
        1,
        versionIdentifier=source.version or "1",
        rationale=title,
        titles=[_object("StudyTitle", 1, text=title, type=official)],
        studyIdentifiers=[],
        studyDesigns=[design],
        eligibilityCriterionItems=items,
    )
    study = {"id": None, "name": source.study, "versions": [version], "documentedBy": [], "instanceType": "Study"}
    body = {"study": study, "usdmVersion": "4.0.0", "systemName": "trialstrat", "systemVersion": ""}
    return Export(
        content=json.dumps(body, indent=1, ensure_ascii=False) + "\n",
        suffix="usdm.json",
        notes=(_NOTE, *((_AGE_NOTE,) if age is None else ())),
    )


def _object(kind: str, at: str | int, **fields: Any) -> dict[str, Any]:
    return {"id": f"{kind}_{at}", "extensionAttributes": [], **fields, "instanceType": kind}


def _code(at: str, code: str, decode: str) -> dict[str, Any]:
    system = {"codeSystem": "http://www.cdisc.org", "codeSystemVersion": "2024-09-27"}
    return _object("Code", at, code=code, **system, decode=decode)


def _conditions(source: Exportable) -> list[Condition]:
    """Conditions on columns that every eligible patient meets."""
    nodes = [wanted(entry) for entry in source.criteria if not entry.admits_missing]
    parts = [part for node in nodes for part in (node.all if isinstance(node, AllOf) else (node,))]
    return [part for part in parts if isinstance(part, Condition)]


def _planned_sex(source: Exportable) -> dict[str, Any]:
    sexes = {8507, 8532}
    for node in _conditions(source):
        levels = node.one_of or (() if node.equals is None else (node.equals,))
        if node.column.lower() in SEX_COLUMNS and (levels or node.none_of):
            named = {SEX_CONCEPTS.get(str(level).lower()) for level in levels or node.none_of}
            sexes = sexes & named if levels else sexes - named
    return _code("sex", *_SEXES.get(tuple(sorted(sexes)), _SEXES[8507, 8532]))


def _planned_age(source: Exportable) -> dict[str, Any] | None:
    """Whole years, both ends included; None where the criteria leave an end open."""
    asked = [
        node
        for node in _conditions(source)
        if node.column.lower() in AGE_COLUMNS and (node.unit or source.units.get(node.column, "")) in YEARS
    ]
    low = max((node.at_least for node in asked if node.at_least is not None), default=None)
    high = min((node.at_most for node in asked if node.at_most is not None), default=None)
    if low is None or high is None or any(node.above is not None or node.below is not None for node in asked):
        return None
    ends = {
        name: _object("Quantity", name, value=value, unit=_years(name))
        for name, value in (("minValue", low), ("maxValue", high))
    }
    return _object("Range", 1, **ends, isApproximate=False)


def _years(at: str) -> dict[str, Any]:
    return _object("AliasCode", at, standardCode=_code(at, "C29848", "Year"), standardCodeAliases=[])


def _item(at: int, entry: Criterion) -> dict[str, Any]:
    return _object(
        "EligibilityCriterionItem",
        at,
        name=entry.id,
        label=None,
        description=None,
        text=f"<p>{html.escape(entry.sentence, quote=False)}</p>",
        dictionaryId=None,
        notes=[],
    )


def _criterion(at: int, entry: Criterion, source: Exportable) -> dict[str, Any]:
    facts = {
        "condition": write_all(entry.when),
        "missing": entry.missing if entry.when else "",
        "evidence": source.evidence.get(entry.id, ""),
    }
    extensions = [
        _object("ExtensionAttribute", f"{at}_{name}", url=_URL + name, valueString=value)
        for name, value in facts.items()
        if value
    ]
    made = _object(
        "EligibilityCriterion",
        at,
        name=entry.id,
        label=entry.sentence,
        description="",
        category=_code(str(at), *_CATEGORY[entry.kind]),
        identifier=f"{at:02d}",
        criterionItemId=f"EligibilityCriterionItem_{at}",
        notes=[],
    )
    return {**made, "extensionAttributes": extensions}
