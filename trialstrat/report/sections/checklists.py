"""Reporting checklists, filled from what the run knows; what it cannot know reads "not provided"."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from trialstrat.report import format as fmt
from trialstrat.report import tables
from trialstrat.report.context import Context
from trialstrat.report.page import Block, Section, TableView
from trialstrat.report.sections.checklist_items import CONSORT, REMARK, TRIPOD, Item

Answer = Callable[[Context], str]


def _study(key: str) -> Answer:
    return lambda context: str(context.study.get(key) or "")


def _estimand(key: str) -> Answer:
    return lambda context: str((context.study.get("estimand") or {}).get(key) or "")


def _where(*places: tuple[str, str]) -> Answer:
    """The sections, of those named, whose stage the run has."""

    def answer(context: Context) -> str:
        found = [section for stage, section in places if context.record.stage(stage) is not None]
        word = "section" if len(found) == 1 else "sections"
        return f"{word} {fmt.listing(found)}" if found else ""

    return answer


def _randomised_title(context: Context) -> str:
    """The title, only of a randomised trial: item 1a asks that it says so."""
    if context.study.get("allocation") != "randomised":
        return ""
    title = str(context.study.get("title") or "")
    return title if "randomi" in title.lower() else ""


def _protocol(context: Context) -> str:
    version = context.study.get("version")
    file = context.record.manifest.get("protocol_file")
    return f"protocol version {version}{f', file {file}' if file else ''}; section Provenance" if version else ""


def _allocation(context: Context) -> str:
    known = {
        "randomised": "randomised",
        "partly_randomised": "partly randomised",
        "observational": "observational, not randomised",
    }
    return known.get(str(context.study.get("allocation", "")), "")


def _variables(*keys: str) -> Answer:
    def answer(context: Context) -> str:
        entries = [entry for key in keys for entry in context.study.get(key) or ()]
        return fmt.listing([str(entry.get("label") or entry.get("column")) for entry in entries])

    return answer


def _limits(context: Context) -> str:
    return "page one, Beware" if context.study.get("limits") else ""


def _data_cut(context: Context) -> str:
    return f"data cut {context.study['data_cut']}" if context.study.get("data_cut") else ""


def _strata(context: Context) -> str:
    strata = context.record.fact("primary", "strata")
    return f"stratified by {strata}" if strata and context.study.get("allocation") == "randomised" else ""


def _follow_up(context: Context) -> str:
    found = context.ok("baseline.follow_up.median.all")
    return f"median {fmt.fixed(found.value, 1)} {context.unit} (reverse Kaplan-Meier)" if found else ""


def _tuning(context: Context) -> str:
    folds = context.record.fact("models", "folds")
    return f"nested cross-validation with {folds} outer folds" if folds else ""


def _missing(context: Context) -> str:
    """How missing covariates were handled, in the models and in the effects; where the numbers are."""
    known = {"impute": "in models imputed inside the folds", "complete_cases": "in models complete cases"}
    parts = [known.get(str((context.study.get("missing_data") or {}).get("covariates")), "")]
    number = context.record.fact("imputed", "imputations")
    if number and not context.record.fact("imputed", "refused"):
        parts.append(f"in effects {number} imputations pooled, beside complete cases")
    elif context.record.stage("missing") is not None:
        parts.append("in effects complete cases")
    parts.append("section Missing data" if context.record.stage("missing") is not None else "")
    return "; ".join(part for part in parts if part)


def _endpoint(context: Context) -> str:
    return f"{context.endpoint_label}, from {context.time_zero}" if context.endpoint else ""


def _software(context: Context) -> str:
    version = context.record.manifest.get("trialstrat")
    return f"trialstrat {version}; section Provenance" if version else ""


def _methods(context: Context) -> str:
    return "section Methods in words" if context.record.stages else ""


def _univariable(context: Context) -> str:
    return "section Heterogeneity, screen" if context.record.stage("screen") is not None else ""


def _unknown_input(context: Context) -> str:
    return "criteria.yaml" if context.record.stage("criteria") else ""


ANSWERS: Mapping[str, Answer] = {
    "title": _study("title"),
    "randomised_title": _randomised_title,
    "summary": lambda context: "page one" if context.record.stage("primary") is not None else "",
    "protocol": _protocol,
    "question": _study("question"),
    "allocation": _allocation,
    "eligibility": _where(("cohort", "Patients and flow"), ("criteria", "Criteria")),
    "treatment": _estimand("treatment"),
    "population": _estimand("population"),
    "endpoint": _endpoint,
    "strata": _strata,
    "methods": _methods,
    "missing": _missing,
    "additional": _where(("imputed", "Missing data"), ("screen", "Heterogeneity"), ("models", "Risk model")),
    "flow": _where(("cohort", "Patients and flow")),
    "follow_up": _follow_up,
    "baseline": _where(("baseline", "Baseline"), ("missing", "Missing data")),
    "primary": _where(("primary", "Primary analysis")),
    "ancillary": lambda context: str(context.record.evidence),
    "limits": _limits,
    "sources": _where(("cohort", "Patients and flow")),
    "data_cut": _data_cut,
    "predictors": _variables("covariates", "biomarkers"),
    "variables": _variables("covariates", "biomarkers"),
    "numbers": lambda context: context.population(),
    "tuning": _tuning,
    "handling": _where(("models", "Methods in words")),
    "performance": _where(("models", "Risk model")),
    "output": _where(("models", "Risk model"), ("risk_groups", "Risk groups")),
    "model": _where(("models", "Risk model, coefficients")),
    "unknown_input": _unknown_input,
    "software": _software,
    "marker_values": _where(("curves", "Heterogeneity, effect curves"), ("cutpoints", "Heterogeneity, cut-points")),
    "univariable": _univariable,
    "multivariable": _where(("models", "Risk model")),
}
CHECKLISTS = (
    ("consort", "CONSORT 2025", CONSORT, ()),
    ("tripod", "TRIPOD+AI 2024", TRIPOD, ("models",)),
    ("remark", "REMARK", REMARK, ("models", "criteria")),
)


def build(context: Context) -> Section | None:
    """The section."""
    blocks: list[Block] = []
    filled = total = 0
    for key, name, items, stages in CHECKLISTS:
        if stages and not any(context.record.stage(stage) for stage in stages):
            continue
        answers = [ANSWERS[item[2]](context) if item[2] else "" for item in items]
        filled, total = filled + sum(bool(answer) for answer in answers), total + len(answers)
        blocks.append(_table(key, name, items, answers))
    lead = (
        f"{filled} of {total} items are filled from the run; the others read “{fmt.NOT_PROVIDED}” and are the "
        "authors' to complete."
    )
    return Section(key="checklists", title="Checklists", lead=lead, blocks=tuple(blocks))


def _table(key: str, name: str, items: Sequence[Item], answers: list[str]) -> TableView:
    rows = [
        tables.row(
            tables.text(number),
            tables.text(text, header=True),
            tables.text(answer or fmt.NOT_PROVIDED),
            muted=not answer,
        )
        for (number, text, _), answer in zip(items, answers, strict=True)
    ]
    done = sum(bool(answer) for answer in answers)
    return TableView(
        key=f"checklist-{key}",
        caption=f"{name}: every item, and where the run answers it",
        heads=tables.heads("Item", "What to report", "Where, or what"),
        rows=tuple(rows),
        folded=f"{name}: {done} of {len(answers)} items",
    )
