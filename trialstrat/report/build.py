"""Stored results to the typed page: the one entrance of the report, with ``render`` as its exit."""

from __future__ import annotations

from trialstrat.report import cover
from trialstrat.report.context import Context
from trialstrat.report.model import RunRecord
from trialstrat.report.page import ReportPage
from trialstrat.report.sections import registry


def build_report(record: RunRecord) -> ReportPage:
    """The page of one run; stages that are absent leave no trace but the sentences that say so.

    Parameters
    ----------
    record
        The run as the store hands it back. Its results must have passed disclosure control.
    """
    context = Context(record)
    front = cover.build(context)
    version = str(record.study.get("version") or "")
    made = str(record.manifest.get("generated") or "")
    software = str(record.manifest.get("trialstrat") or "")
    return ReportPage(
        title=front.title,
        cover=front,
        sections=registry.build(context),
        footer=" · ".join(part for part in (f"trialstrat {software}".strip(), made) if part),
        running_head=" · ".join(part for part in (front.title, f"version {version}" if version else "") if part),
    )
