"""CDISC USDM v4 JSON: the part of a study definition that holds its eligibility criteria.

References
----------
CDISC Digital Data Flow, Unified Study Definitions Model v4.0: EligibilityCriterion, EligibilityCriterionItem,
StudyDesignPopulation. Codes C25532 and C25370 are the NCI Thesaurus concepts of the criterion's category.
"""

from __future__ import annotations

import html
import json
from typing import Any

from trialstrat.criteria.exporters.base import Export, Exportable
from trialstrat.protocol.language.criterion import Criterion
from trialstrat.protocol.language.text import write_all

_CATEGORY = {"inclusion": ("C25532", "Inclusion Criteria"), "exclusion": ("C25370", "Exclusion Criteria")}
_URL = "urn:trialstrat:criterion:"
_NOTE = "Arms, epochs, cells, objectives and identifiers are no part of criteria; add them in the study builder."


def usdm(source: Exportable) -> Export:
    """Every criterion as text, with its executable condition, missing policy and evidence as extension attributes."""
    items = [_item(at, entry) for at, entry in enumerate(source.criteria, start=1)]
    criteria = [_criterion(at, entry, source) for at, entry in enumerate(source.criteria, start=1)]
    for at, entry in enumerate(criteria):
        entry["previousId"] = criteria[at - 1]["id"] if at else None
        entry["nextId"] = criteria[at + 1]["id"] if at + 1 < len(criteria) else None
    population = {
        "id": "StudyDesignPopulation_1",
        "extensionAttributes": [],
        "name": "POP1",
        "label": "",
        "description": source.title,
        "includesHealthySubjects": False,
        "criterionIds": [entry["id"] for entry in criteria],
        "instanceType": "StudyDesignPopulation",
    }
    design = {
        "id": "InterventionalStudyDesign_1",
        "extensionAttributes": [],
        "name": source.study,
        "rationale": source.title,
        "arms": [],
        "epochs": [],
        "studyCells": [],
        "population": population,
        "eligibilityCriteria": criteria,
        "instanceType": "InterventionalStudyDesign",
    }
    version = {
        "id": "StudyVersion_1",
        "extensionAttributes": [],
        "versionIdentifier": source.version or "1",
        "rationale": source.title,
        "titles": [],
        "studyIdentifiers": [],
        "studyDesigns": [design],
        "eligibilityCriterionItems": items,
        "instanceType": "StudyVersion",
    }
    study = {"id": None, "name": source.study, "versions": [version], "documentedBy": [], "instanceType": "Study"}
    body = {"study": study, "usdmVersion": "4.0.0", "systemName": "trialstrat", "systemVersion": ""}
    return Export(content=json.dumps(body, indent=1, ensure_ascii=False) + "\n", suffix="usdm.json", notes=(_NOTE,))


def _item(at: int, entry: Criterion) -> dict[str, Any]:
    return {
        "id": f"EligibilityCriterionItem_{at}",
        "extensionAttributes": [],
        "name": entry.id,
        "label": None,
        "description": None,
        "text": f"<p>{html.escape(entry.sentence, quote=False)}</p>",
        "dictionaryId": None,
        "notes": [],
        "instanceType": "EligibilityCriterionItem",
    }


def _criterion(at: int, entry: Criterion, source: Exportable) -> dict[str, Any]:
    code, decode = _CATEGORY[entry.kind]
    facts = {
        "condition": write_all(entry.when),
        "missing": entry.missing if entry.when else "",
        "evidence": source.evidence.get(entry.id, ""),
    }
    extensions = [
        {
            "id": f"ExtensionAttribute_{at}_{name}",
            "url": _URL + name,
            "valueString": value,
            "extensionAttributes": [],
            "instanceType": "ExtensionAttribute",
        }
        for name, value in facts.items()
        if value
    ]
    return {
        "id": f"EligibilityCriterion_{at}",
        "extensionAttributes": extensions,
        "name": entry.id,
        "label": entry.sentence,
        "description": "",
        "category": {
            "id": f"Code_{at}",
            "extensionAttributes": [],
            "code": code,
            "codeSystem": "http://www.cdisc.org",
            "codeSystemVersion": "2024-09-27",
            "decode": decode,
            "instanceType": "Code",
        },
        "identifier": f"{at:02d}",
        "criterionItemId": f"EligibilityCriterionItem_{at}",
        "notes": [],
        "instanceType": "EligibilityCriterion",
    }
