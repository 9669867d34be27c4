"""Reporting checklists, filled from what the run knows; what it cannot know reads "not provided"."""

from __future__ import annotations

from collections.abc import Callable

from trialstrat.report import format as fmt
from trialstrat.report import tables
from trialstrat.report.context import Context
from trialstrat.report.page import Block, Section, TableView

Answer = Callable[[Context], str]


def _study(key: str) -> Answer:
    return lambda context: str(context.study.get(key) or "")


def _estimand(key: str) -> Answer:
    return lambda context: str((context.study.get("estimand") or {}).get(key) or "")


def _where(section: str, stage: str) -> Answer:
    return lambda context: f"section {section}" if context.record.stage(stage) is not None else ""


def _unknown(context: Context) -> str:
    del context
    return ""


def _allocation(context: Context) -> str:
    known = {
        "randomised": "randomised",
        "partly_randomised": "partly randomised",
        "observational": "observational, not randomised",
    }
    return known.get(str(context.study.get("allocation", "")), "")


def _variables(key: str) -> Answer:
    def answer(context: Context) -> str:
        entries = context.study.get(key) or ()
        return fmt.listing([str(entry.get("label") or entry.get("column")) for entry in entries])

    return answer


def _numbers(context: Context) -> str:
    return context.population()


def _limits(context: Context) -> str:
    return "page one, Beware" if context.study.get("limits") else ""


def _follow_up(context: Context) -> str:
    found = context.ok("baseline.follow_up.median.all")
    return f"median {fmt.fixed(found.value, 1)} {context.unit} (reverse Kaplan-Meier)" if found else ""


def _tuning(context: Context) -> str:
    folds = context.record.fact("models", "folds")
    return f"nested cross-validation with {folds} outer folds" if folds else ""


def _missing(context: Context) -> str:
    known = {"impute": "imputed inside the folds", "complete_cases": "complete cases"}
    return known.get(str((context.study.get("missing_data") or {}).get("covariates")), "")


def _endpoint(context: Context) -> str:
    return f"{context.endpoint_label}, from {context.time_zero}" if context.endpoint else ""


def _software(context: Context) -> str:
    version = context.record.manifest.get("trialstrat")
    return f"trialstrat {version}; section Provenance" if version else ""


CONSORT: tuple[tuple[str, str, Answer], ...] = (
    ("1a", "Title: identification of the study", _study("title")),
    ("2", "Trial registration", _unknown),
    ("3", "Protocol and statistical analysis plan", lambda c: f"protocol version {c.study.get('version')}"),
    ("5", "Funding and conflicts of interest", _unknown),
    ("7", "Objectives", _study("question")),
    ("9", "Trial design and allocation", _allocation),
    ("10", "Changes to the protocol", _unknown),
    ("11", "Setting", _unknown),
    ("12a", "Eligibility of participants", _where("Criteria", "criteria")),
    ("13", "Interventions", _estimand("treatment")),
    ("14", "Outcomes", _endpoint),
    ("16a", "Sample size", _unknown),
    ("17–19", "Sequence generation, concealment, implementation", _unknown),
    ("20", "Blinding", _unknown),
    ("21a", "Statistical methods", lambda c: "section Methods in words" if c.record.stages else ""),
    ("21b", "Who is in each analysis", _estimand("population")),
    ("21c", "Missing data", _missing),
    ("22a", "Flow of participants", _where("Patients and flow", "cohort")),
    ("23", "Recruitment and follow-up", _follow_up),
    ("25", "Baseline data", _where("Baseline", "baseline")),
    ("26", "Outcomes and estimation, with intervals", _where("Primary analysis", "primary")),
    ("27", "Harms", _unknown),
    ("28", "Ancillary analyses, declared or exploratory", lambda c: c.record.evidence),
    ("30", "Limitations", _limits),
)
TRIPOD: tuple[tuple[str, str, Answer], ...] = (
    ("1", "Title", _study("title")),
    ("5", "Source of data and dates", lambda c: f"data cut {c.study['data_cut']}" if c.study.get("data_cut") else ""),
    ("6", "Participants and eligibility", _where("Patients and flow", "cohort")),
    ("7", "Data preparation", _where("Patients and flow", "cohort")),
    ("8", "Outcome", _endpoint),
    ("9", "Predictors: clinical", _variables("covariates")),
    ("9", "Predictors: biomarkers", _variables("biomarkers")),
    ("10", "Sample size and number of events", _numbers),
    ("11", "Missing data", _missing),
    ("12a", "How data were split and models tuned", _tuning),
    ("12e", "Discrimination and calibration with intervals", _where("Risk model", "models")),
    ("14", "Fairness across sex, age or race", _unknown),
    ("18a", "Funding", _unknown),
    ("18e", "Data sharing", _unknown),
    ("18f", "Code and software", _software),
    ("22", "Full model", _where("Risk model, coefficients", "models")),
    ("23a", "Model performance", _where("Risk model", "models")),
    ("26", "Limitations", _limits),
    (
        "27",
        "Usability: what to do with missing or poor input",
        lambda c: "criteria.yaml" if c.record.stage("criteria") else "",
    ),
)
REMARK: tuple[tuple[str, str, Answer], ...] = (
    ("1", "Markers, hypotheses", _study("question")),
    ("2", "Patients and treatments", _estimand("population")),
    ("4", "Specimens and their storage", _unknown),
    ("5", "Assay methods", _unknown),
    ("6", "Study design, follow-up", _follow_up),
    ("7", "Endpoints", _endpoint),
    ("8", "Variables initially examined", _variables("biomarkers")),
    ("9", "Rationale of sample size", _unknown),
    ("10", "Statistical methods, cut points, missing data", _missing),
    ("12", "Flow of patients", _where("Patients and flow", "cohort")),
    ("13", "Characteristics of patients", _where("Baseline", "baseline")),
    ("15", "Marker and outcome, univariable", _unknown),
    ("16", "Multivariable models with intervals", _where("Risk model", "models")),
    ("19", "Interpretation and limits", _limits),
)
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
        answers = [answer(context) for _, _, answer in items]
        filled, total = filled + sum(bool(answer) for answer in answers), total + len(answers)
        blocks.append(_table(key, name, items, answers))
    lead = (
        f"{filled} of {total} items are filled from the run; the others read “{fmt.NOT_PROVIDED}” and are the "
        "authors' to complete."
    )
    return Section(key="checklists", title="Checklists", lead=lead, blocks=tuple(blocks))


def _table(key: str, name: str, items: tuple[tuple[str, str, Answer], ...], answers: list[str]) -> TableView:
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
        caption=f"{name}: items this software can fill",
        heads=tables.heads("Item", "What to report", "Where, or what"),
        rows=tuple(rows),
        folded=f"{name}: {done} of {len(answers)} items",
    )
