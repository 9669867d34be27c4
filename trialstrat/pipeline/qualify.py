"""``trialstrat qualify``: show on this machine that the numbers agree with R, case by case.

Installation and operational qualification ask for evidence that the software computes here what it computed where it
was made. The cases are data (made once with R and its packages); no R is needed to run them.
"""

from __future__ import annotations

import math
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from trialstrat.pipeline.manifest import versions
from trialstrat.pipeline.reference import (
    CaseResult,
    TopicFile,
    TopicSummary,
    read_topics,
    run_folder,
    shipped_folder,
    summarise,
)
from trialstrat.results import Column, Estimate, Finding, Provenance, StageResult, Table

_TOLERANCE_NOTE = (
    "A number agrees when |found - expected| <= atol + rtol |expected|, with the tolerances each case carries; the "
    "largest deviation is the largest |found - expected| as a share of that allowance (1 is the limit)."
)


def qualify(cases: Path | None = None) -> StageResult:
    """Run reference cases and report what agrees.

    Parameters
    ----------
    cases : Path, optional
        A folder of cases; without it, those that come with the package.

    Returns
    -------
    StageResult
        Stage ``qualify``: estimates ``qualify.cases`` and ``qualify.passed``, tables ``qualify.topics`` and
        ``qualify.cases``, one finding of severity error for every topic with a failed case, and in ``facts`` the
        verdict, the R version, the R packages, the machine and the source of the cases.

    Raises
    ------
    DataError
        When the folder holds no topic file or one cannot be read.
    """
    folder = shipped_folder() if cases is None else cases
    topics = read_topics(folder)
    results = run_folder(folder)
    summaries = summarise(results)
    passed = sum(result.passed for result in results)
    return StageResult(
        stage="qualify",
        estimates=(
            _count("qualify.cases", "Reference cases run", len(results)),
            _count("qualify.passed", "Reference cases passed", passed),
        ),
        tables=(_topics_table(summaries, topics), _cases_table(results)),
        findings=tuple(_finding(summary) for summary in summaries if summary.passed < summary.cases),
        facts={
            "verdict": "qualified" if passed == len(results) else "not qualified",
            "cases": "those that come with the package" if cases is None else f"the folder {cases.name}",
            "r_version": _joined(topic.r_version for topic in topics),
            "r_packages": _joined(f"{name} {version}" for topic in topics for name, version in topic.packages.items()),
            "system": f"{platform.system()} {platform.release()}",
            "architecture": platform.machine(),
        },
        provenance=Provenance(versions=dict(versions())),
    )


def is_qualified(result: StageResult) -> bool:
    """Whether every case of a :func:`qualify` result passed."""
    return result.facts["verdict"] == "qualified"


def qualification(result: StageResult) -> dict[str, Any]:
    """The result of :func:`qualify` as one JSON-safe object: verdict, machine, versions, topics and cases."""
    return {
        "schema": 1,
        "verdict": result.facts["verdict"],
        "cases_run": int(result.estimate("qualify.cases").value),
        "cases_passed": int(result.estimate("qualify.passed").value),
        "source": result.facts["cases"],
        "r_version": result.facts["r_version"],
        "r_packages": result.facts["r_packages"],
        "machine": {"system": result.facts["system"], "architecture": result.facts["architecture"]},
        "versions": dict(result.provenance.versions),
        "topics": result.table("qualify.topics").records(),
        "cases": result.table("qualify.cases").records(),
    }


def summary(result: StageResult) -> str:
    """One line for the terminal."""
    counts = qualification(result)
    worst = [row["largest_deviation"] for row in counts["topics"]]
    finite = [value for value in worst if isinstance(value, float)]
    largest = f"; largest deviation {max(finite):.1e} of the tolerance" if len(finite) == len(worst) and finite else ""
    return f"{counts['verdict']}: {counts['cases_passed']} of {counts['cases_run']} reference cases agree{largest}."


def _count(name: str, label: str, value: int) -> Estimate:
    return Estimate(name=name, label=label, value=float(value), unit="cases")


def _topics_table(summaries: Sequence[TopicSummary], topics: Sequence[TopicFile]) -> Table:
    sources = {topic.topic: topic for topic in topics}
    rows = tuple(
        (
            summary.topic,
            summary.cases,
            summary.passed,
            _finite(summary.deviation),
            _joined(f"{name} {version}" for name, version in sources[summary.topic].packages.items()),
            sources[summary.topic].r_version,
        )
        for summary in summaries
    )
    return Table(
        name="qualify.topics",
        title="Agreement with R by topic",
        columns=(
            Column(key="topic", label="Topic"),
            Column(key="cases", label="Cases", kind="count"),
            Column(key="passed", label="Passed", kind="count"),
            Column(key="largest_deviation", label="Largest deviation", kind="number", unit="share of the tolerance"),
            Column(key="packages", label="R packages"),
            Column(key="r_version", label="R"),
        ),
        rows=rows,
        note=_TOLERANCE_NOTE,
        protection="none",
    )


def _cases_table(results: Sequence[CaseResult]) -> Table:
    rows = tuple(
        (
            result.id,
            result.topic,
            result.method,
            "yes" if result.passed else "no",
            _finite(result.deviation),
            result.compared,
            result.message,
        )
        for result in results
    )
    return Table(
        name="qualify.cases",
        title="Reference cases",
        columns=(
            Column(key="id", label="Case"),
            Column(key="topic", label="Topic"),
            Column(key="method", label="Method"),
            Column(key="passed", label="Passed"),
            Column(key="deviation", label="Deviation", kind="number", unit="share of the tolerance"),
            Column(key="compared", label="Values compared", kind="number"),
            Column(key="message", label="What differs"),
        ),
        rows=rows,
        note=_TOLERANCE_NOTE + " A case that must be refused or is not estimable has nothing to compare.",
        protection="none",
    )


def _finding(summary: TopicSummary) -> Finding:
    failed = summary.cases - summary.passed
    return Finding(
        code="E-QUALIFY-DIFFERS",
        severity="error",
        message=f"reference cases of the topic {summary.topic} do not agree with R",
        remedy="Do not use this installation for this topic; report the case ids with the versions shown.",
        source=summary.topic,
        bad=failed,
        total=summary.cases,
    )


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _joined(parts: Any) -> str:
    """Distinct parts in order of first appearance, separated by commas."""
    return ", ".join(dict.fromkeys(parts))
