"""What a lint rule says, before it is given a file and a line."""

from __future__ import annotations

from dataclasses import dataclass

from trialstrat.results import Severity


@dataclass(frozen=True, slots=True)
class Remark:
    """Code, severity, dotted path in the protocol, what is wrong, and the mend."""

    code: str
    severity: Severity
    path: str
    message: str
    remedy: str = ""
