"""The page of ``trialstrat qualify``: the evidence that this installation computes what R computes."""

from __future__ import annotations

from trialstrat.report import format as fmt
from trialstrat.report import tables
from trialstrat.report.context import Context
from trialstrat.report.model import RunRecord
from trialstrat.report.page import Answer, Card, Cover, ReportPage, Section
from trialstrat.report.sections import provenance
from trialstrat.results import StageResult

BADGES = {
    "qualified": ("Qualified", "Every reference case agrees within its tolerance."),
    "not qualified": ("Unqualified", "At least one reference case does not agree."),
}


def build_qualification(record: RunRecord) -> ReportPage:
    """The page from the stage ``qualify`` (and nothing else).

    Raises
    ------
    KeyError
        The record has no such stage.
    """
    result = record.stages["qualify"]
    title = f"Qualification of trialstrat {record.manifest.get('trialstrat', '')}".strip()
    return ReportPage(
        title=title,
        cover=_cover(title, result),
        sections=tuple(section for section in (*_sections(result), provenance.build(Context(record))) if section),
        footer=title,
        running_head=title,
    )


def _cover(title: str, result: StageResult) -> Cover:
    verdict = result.facts["verdict"]
    run, passed = (int(result.estimate(f"qualify.{name}").value) for name in ("cases", "passed"))
    failed = [finding.source for finding in result.findings]
    badge, meaning = BADGES[verdict]
    topics = result.table("qualify.topics").records()
    worst = max(((tables.number_of(row["largest_deviation"]), row["topic"]) for row in topics), key=_size)
    largest = (
        f" The largest deviation is {fmt.percent(worst[0], 2)} of the tolerance ({worst[1]})."
        if worst[0] is not None
        else ""
    )
    answer = f"{passed} of {run} reference cases agree with R within the tolerance each carries.{largest}"
    use = "Use it for every topic listed." if not failed else f"Do not use it for {fmt.listing(failed)}."
    facts = (("Verdict", verdict), ("R", result.facts["r_version"]), ("System", result.facts["system"]))
    return Cover(
        title=title,
        question="Does this installation compute what R computes?",
        facts=facts,
        badge=badge,
        badge_text=meaning,
        answers=(
            Answer(label="Verdict", text=f"{verdict.capitalize()}. {answer}"),
            Answer(label="What to do", text=use),
        ),
        cards=(
            Card(key="enrol", title="Compared", facts=tuple((str(row["cases"]), str(row["topic"])) for row in topics)),
            Card(key="expect", title="Against", lines=tuple(result.facts["r_packages"].split(", "))),
            Card(key="beware", title="Beware", lines=tuple(finding.text() for finding in result.findings) or _LIMITS),
        ),
        not_shown=("That a method suits your question.", "Anything about another machine or another version."),
    )


_LIMITS = ("Agreement on these cases does not prove agreement on all data.",)


def _size(entry: tuple[float | None, object]) -> float:
    return -1.0 if entry[0] is None else entry[0]


def _sections(result: StageResult) -> tuple[Section, Section]:
    topics, cases = result.table("qualify.topics"), result.table("qualify.cases")
    lead = "Each topic with its number of cases and the largest deviation as a share of the tolerance (1 is the limit)."
    return (
        Section(key="topics", title="By topic", lead=lead, blocks=(tables.view(topics, "topics"),)),
        Section(
            key="cases",
            title="Every case",
            lead="Each case was computed once with R; here its numbers are computed again.",
            blocks=(tables.view(cases, "cases"),),
        ),
    )
