"""What is a number, and when a cell of a file is a declared value."""

from __future__ import annotations

import re

from trialstrat.protocol.base import Value

_NUMBER = re.compile(r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?")


def number(text: str) -> float | None:
    """The number that a text is, or None. Only plain decimal forms count: no ``inf``, ``0x1F`` or ``1_000``."""
    trimmed = text.strip()
    return float(trimmed) if _NUMBER.fullmatch(trimmed) else None


def same(declared: Value, text: str) -> bool:
    """Whether a cell holds a declared value: numbers compare as numbers, text exactly, true/false in any case."""
    if isinstance(declared, bool):
        return text.strip().lower() == str(declared).lower()
    if isinstance(declared, int | float):
        return number(text) == float(declared)
    return text == declared
