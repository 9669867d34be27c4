"""What stops a run before anything is fitted; questions that the data cannot bear are declined by ``cohort``."""

from __future__ import annotations

from trialstrat.errors import StrictError
from trialstrat.results import Finding


def require_clean(findings: tuple[Finding, ...], *, strict: bool) -> None:
    """Under ``--strict`` a warning stops the run.

    Raises
    ------
    StrictError
        Holds the text of every warning.
    """
    warnings = [finding.text() for finding in findings if finding.severity == "warning"]
    if strict and warnings:
        raise StrictError(*warnings, f"{len(warnings)} warnings under --strict. Nothing written.")
