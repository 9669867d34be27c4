"""``trialstrat qualify``: run the reference cases here and write the evidence as HTML and JSON."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trialstrat import store
from trialstrat.errors import EXIT_INTEGRITY, EXIT_OK
from trialstrat.pipeline.manifest import manifest, now, versions
from trialstrat.pipeline.qualify import is_qualified, qualification, qualify, summary
from trialstrat.report.model import RunRecord
from trialstrat.report.qualification import build_qualification
from trialstrat.report.render import render
from trialstrat.results import StageResult


@dataclass(frozen=True, slots=True, kw_only=True)
class QualificationOutcome:
    """The result and where its report is."""

    out: Path
    result: StageResult

    def exit_code(self) -> int:
        """0 when every case agrees, 8 otherwise: this installation must not be trusted."""
        return EXIT_OK if is_qualified(self.result) else EXIT_INTEGRITY

    def to_dict(self) -> dict[str, Any]:
        """JSON-safe form."""
        return qualification(self.result)

    def lines(self) -> list[str]:
        """What a terminal shows: one line per topic and the verdict."""
        rows = self.result.table("qualify.topics").records()
        width = max(len(str(row["topic"])) for row in rows)
        topics = [f"{row['topic']!s:<{width}}  {row['passed']} of {row['cases']} cases" for row in rows]
        return [*topics, summary(self.result), f"Report: {self.out / store.REPORT}"]


def write_qualification(out: Path, cases: Path | None = None, *, replace: bool = False) -> QualificationOutcome:
    """Run the cases that come with the package (or those of a folder) and write a qualification folder.

    Raises
    ------
    DataError
        The folder holds no readable cases.
    OutputError
        The output folder cannot be used.
    """
    started = now()
    with store.lock(out):
        result = qualify(cases)
        provenance = {"trialstrat": versions()["trialstrat"], "versions": dict(versions())}
        record = RunRecord(study={"id": "qualification"}, stages={"qualify": result}, manifest=provenance)
        files = {
            store.REPORT: render(build_qualification(record)).encode(),
            "qualification.json": store.json_text(qualification(result)).encode(),
        }
        about = manifest("trialstrat qualify", started=started, protocol_hash="", data_hash="", seed=None, sources={})
        store.write_run(out, files, about, replace=replace)
    return QualificationOutcome(out=out, result=result)
