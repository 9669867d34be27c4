"""Clinical Trial Markup Language as MatchMiner reads it: clinical and genomic criteria in an and / or tree.

References
----------
Klein H et al. MatchMiner: an open-source platform for cancer precision medicine. npj Precision Oncology 6 (2022) 69.
"""

from __future__ import annotations

from typing import Any

from trialstrat.criteria.exporters.base import CannotCarryError, Export, Exportable, Loss, wanted
from trialstrat.criteria.exporters.concepts import AGE_COLUMNS, SEX_COLUMNS, SEX_CONCEPTS, YEARS
from trialstrat.protocol.language.criterion import Criterion
from trialstrat.protocol.language.model import AllOf, Alteration, AnyOf, Condition, Negation
from trialstrat.protocol.language.text import number_text, value_text

_GENDER = {8507: "Male", 8532: "Female"}
_CALLS = {
    -2.0: "Homozygous Deletion", -1.0: "Heterozygous Deletion", 1.0: "Gain", 2.0: "High Amplification",
}  # fmt: skip
_MSI = {"msi-h": "MSI-H", "mss": "MSS"}


def ctml(source: Exportable) -> Export:
    """One step whose match every patient needs; age, sex, tmb, msi and mutations are what the language knows."""
    losses: list[Loss] = []
    match: list[dict[str, Any]] = []
    for entry in source.criteria:
        try:
            match.append(_criterion(entry))
        except CannotCarryError as fault:
            losses.append(Loss(criterion=entry.id, reason=str(fault)))
            continue
        if entry.missing != "unknown":
            losses.append(Loss(criterion=entry.id, reason=f"CTML has no policy for missing values ({entry.missing})"))
    tree: list[dict[str, Any]] = [{"and": match}] if len(match) > 1 else match
    body = {
        "protocol_no": source.study,
        "long_title": source.title,
        "eligibility": [{"id": entry.id, "kind": entry.kind, "text": entry.sentence} for entry in source.criteria],
        "treatment_list": {"step": [{"step_number": 1, "match": tree, "arm": []}]},
    }
    return Export(content="\n".join(_yaml(body, 0)) + "\n", suffix="ctml.yml", losses=tuple(losses))


def _criterion(entry: Criterion) -> dict[str, Any]:
    node = wanted(entry)
    if node is None:
        raise CannotCarryError("text only: there is no condition a program can apply")
    return _node(node)


def _node(node: Any) -> dict[str, Any]:
    if isinstance(node, AllOf | AnyOf):
        parts = node.all if isinstance(node, AllOf) else node.any
        return {"and" if isinstance(node, AllOf) else "or": [_node(part) for part in parts]}
    if isinstance(node, Condition):
        return _clinical(node)
    if isinstance(node, Negation) and isinstance(node.negated, Alteration):
        return _genomic(node.negated, negated=True)
    if isinstance(node, Alteration):
        return _genomic(node, negated=False)
    raise CannotCarryError("CTML cannot state dated records or comparisons of columns")


def _clinical(node: Condition) -> dict[str, Any]:
    name = node.column.lower()
    if name in AGE_COLUMNS and node.unit in YEARS:
        return _ranges("age_numerical", node)
    if name == "tmb":
        return _ranges("tmb_numerical", node)
    levels = node.one_of or (() if node.equals is None else (node.equals,))
    if name in SEX_COLUMNS and len(levels) == 1 and str(levels[0]).lower() in SEX_CONCEPTS:
        return {"clinical": {"gender": _GENDER[SEX_CONCEPTS[str(levels[0]).lower()]]}}
    raise CannotCarryError(f"CTML has no field for {node.column}")


def _ranges(key: str, node: Any) -> dict[str, Any]:
    ends = ((">=", node.at_least), (">", node.above), ("<=", node.at_most), ("<", node.below))
    found = [{"clinical": {key: f"{sign}{number_text(bound)}"}} for sign, bound in ends if bound is not None]
    if not found:
        raise CannotCarryError(f"CTML compares {key} with numbers only")
    return found[0] if len(found) == 1 else {"and": found}


def _genomic(node: Alteration, *, negated: bool) -> dict[str, Any]:
    if node.event == "mutation":
        base = {"hugo_symbol": node.gene, "variant_category": "!Mutation" if negated else "Mutation"}
        if node.protein_change:
            base["protein_change"] = node.protein_change
        if negated and (node.protein_change or node.classes):
            raise CannotCarryError("CTML negates a whole gene's mutation, not one of its changes or classes")
        if len(node.classes) <= 1:
            return {"genomic": base | ({"variant_classification": node.classes[0]} if node.classes else {})}
        return {"or": [{"genomic": {**base, "variant_classification": entry}} for entry in node.classes]}
    if node.event == "copy_number" and not negated:
        return _copies(node)
    if node.event == "tmb" and not negated:
        return _ranges("tmb_numerical", node)
    if node.event == "msi" and not negated:
        states = [_MSI.get(entry.lower()) for entry in node.one_of]
        if all(states):
            found = [{"genomic": {"ms_status": state}} for state in states]
            return found[0] if len(found) == 1 else {"or": found}
    raise CannotCarryError(f"CTML cannot state {'the absence of ' if negated else ''}{node.event} this way")


def _copies(node: Alteration) -> dict[str, Any]:
    """Discrete copy number (-2 to 2) from one end on, as the calls that MatchMiner knows."""
    ends = {key: getattr(node, key) for key in ("at_least", "above", "at_most", "below")}
    ((key, bound), *more) = [(key, end) for key, end in ends.items() if end is not None]
    held = {"at_least": float.__ge__, "above": float.__gt__, "at_most": float.__le__, "below": float.__lt__}[key]
    calls = [name for copies, name in _CALLS.items() if held(copies, float(bound))]
    neutral = held(0.0, float(bound))
    if more or neutral or not calls:
        raise CannotCarryError("CTML states copy number as gains from 1 on or losses from -1 on (discrete, -2 to 2)")
    base = {"hugo_symbol": node.gene, "variant_category": "Copy Number Variation"}
    found = [{"genomic": {**base, "cnv_call": name}} for name in calls]
    return found[0] if len(found) == 1 else {"or": found}


def _yaml(value: Any, depth: int) -> list[str]:
    """Block style YAML 1.2 of mappings, lists and text; every text is quoted, which is JSON's and YAML's alike."""
    pad = "  " * depth
    if isinstance(value, dict):
        out: list[str] = []
        for key, inner in value.items():
            if isinstance(inner, dict | list) and inner:
                out += [f"{pad}{key}:", *_yaml(inner, depth + 1)]
            else:
                out.append(f"{pad}{key}: {_scalar(inner)}")
        return out
    lines: list[str] = []
    for inner in value:
        first, *rest = _yaml(inner, depth + 1)
        lines += [f"{pad}- {first.lstrip()}", *rest]
    return lines


def _scalar(value: Any) -> str:
    return "[]" if value == [] else value_text(value)
