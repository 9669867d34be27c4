"""Pure statistics on arrays; knows no protocol and imports no pandas.

Functions are imported from their modules (``from trialstrat.stats.cox import cox``); those named here are also
attributes of this package, loaded when first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_PUBLIC = {
    "cox_screen": "trialstrat.stats.screen",
    "cox_firth": "trialstrat.stats.firth",
    "penalised_cox": "trialstrat.stats.penalised",
    "interaction_cutpoint": "trialstrat.stats.interaction_cut",
}


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'trialstrat.stats' has no attribute {name!r}")
    return getattr(import_module(_PUBLIC[name]), name)
