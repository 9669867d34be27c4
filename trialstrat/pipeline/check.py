"""``trialstrat check``: protocol and data looked at together, every finding at once, nothing written."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trialstrat.cohort.build import check as check_data
from trialstrat.errors import EXIT_INPUT, EXIT_INTEGRITY, EXIT_NOT_ESTIMABLE, EXIT_OK, EXIT_STRICT, TrialstratError
from trialstrat.pipeline.rule_file import read_rules
from trialstrat.protocol.lint import lint
from trialstrat.protocol.load import LoadedProtocol, load_protocol
from trialstrat.results import Finding


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckOutcome:
    """The findings of protocol and data, errors first."""

    protocol: str
    findings: tuple[Finding, ...]

    def count(self, severity: str) -> int:
        """How many findings have this severity."""
        return sum(finding.severity == severity for finding in self.findings)

    def exit_code(self, *, strict: bool) -> int:
        """As ``run`` would end: 3 for refused input, 8 for another file than declared, 5 for too few data, 4, or 0."""
        first = {finding.code[:2] for finding in self.findings if finding.severity == "error"}
        if first:
            return EXIT_INPUT if first - {"N-", "X-"} else EXIT_INTEGRITY if "X-" in first else EXIT_NOT_ESTIMABLE
        return EXIT_STRICT if strict and self.count("warning") else EXIT_OK

    def summary(self) -> str:
        """One line."""
        errors, warnings, notes = (self.count(kind) for kind in ("error", "warning", "note"))
        return f"{self.protocol}: {errors} errors, {warnings} warnings, {notes} notes."

    def to_dict(self) -> dict[str, Any]:
        """JSON-safe form."""
        return {"protocol": self.protocol, "findings": [finding.to_dict() for finding in self.findings]}


def check(path: Path, data: Path | None = None) -> CheckOutcome:
    """All findings about a protocol and the data it names.

    Raises
    ------
    ProtocolError
        The protocol itself cannot be read; holds one line per fault.
    """
    loaded = load_protocol(path)
    findings = (*lint(loaded), *check_data(loaded, data), *_rules(loaded, data))
    order = {"error": 0, "warning": 1, "note": 2}
    return CheckOutcome(protocol=path.name, findings=tuple(sorted(findings, key=lambda entry: order[entry.severity])))


def _rules(loaded: LoadedProtocol, data: Path | None) -> tuple[Finding, ...]:
    """What is wrong with the rule file that the protocol names; its application is tried by a run."""
    try:
        read_rules(loaded, None, data or loaded.folder)
    except TrialstratError as fault:
        return tuple(Finding(code="E-RULES", severity="error", message=message) for message in fault.messages)
    return ()
