"""``trialstrat report``: the report of a run folder again, from its stored results, without refitting."""

from __future__ import annotations

from pathlib import Path

from trialstrat import store
from trialstrat.pipeline.record import record_of
from trialstrat.report.build import build_report
from trialstrat.report.render import render


def rebuild(folder: Path) -> Path:
    """Render the report of a run folder from ``results.json`` and put it in place.

    Raises
    ------
    IntegrityError
        The stored results were changed after the run, or are of another schema.
    """
    stored = store.read_run(folder)
    store.replace_report(folder, render(build_report(record_of(stored.study, stored.stages))))
    return folder / store.REPORT
