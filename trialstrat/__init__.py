"""Executable trial stratification: from a cohort to risk strata, honest effects, criteria and a report.

``import trialstrat as ts`` costs nothing: every public name loads what it needs when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

#: Public name -> (module, attribute); an empty attribute is the module itself.
_PUBLIC = {
    "load_protocol": ("trialstrat.protocol.load", "load_protocol"),
    "read_cohort": ("trialstrat.cohort.build", "read_cohort"),
    "run": ("trialstrat.pipeline.run", "run"),
    "RunOptions": ("trialstrat.pipeline.run", "RunOptions"),
    "screen": ("trialstrat.pipeline.screen", "screen"),
    "ScreenOptions": ("trialstrat.pipeline.screen", "ScreenOptions"),
    "export": ("trialstrat.pipeline.export", "export"),
    "validate": ("trialstrat.pipeline.validate", "validate"),
    "ValidateOptions": ("trialstrat.pipeline.validate", "ValidateOptions"),
    "find_rule": ("trialstrat.pipeline.find", "find_rule"),
    "stats": ("trialstrat.stats", ""),
    "design": ("trialstrat.design", ""),
}

__all__ = sorted(_PUBLIC)  # noqa: PLE0605 - derived, so that the two cannot differ


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'trialstrat' has no attribute {name!r}")
    module, attribute = _PUBLIC[name]
    value = import_module(module)
    return getattr(value, attribute) if attribute else value


def __dir__() -> list[str]:
    return sorted(_PUBLIC)
