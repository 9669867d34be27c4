"""Findings about a protocol that need no data."""

from __future__ import annotations

from trialstrat.protocol.load import LoadedProtocol
from trialstrat.protocol.model import Protocol
from trialstrat.results import Finding


def lint(declared: LoadedProtocol | Protocol) -> tuple[Finding, ...]:
    """Findings about a protocol that need no data."""
    return ()
