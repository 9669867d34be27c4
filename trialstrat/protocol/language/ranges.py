"""Ranges of numbers and the units they are in."""

from __future__ import annotations

from trialstrat.protocol.language.model import Condition
from trialstrat.protocol.ucum import convert

BOUNDS = ("at_least", "at_most", "above", "below")


def ranged(node: Condition) -> bool:
    """Whether a condition compares with numbers."""
    return any(getattr(node, bound) is not None for bound in BOUNDS)


def in_unit(node: Condition, unit: str, analyte: str = "") -> Condition:
    """The condition with its bounds in another unit; one without a unit is taken to be in it.

    Raises
    ------
    InvalidInputError
        A unit that is not known, or two that do not measure the same.
    """
    bounds = {
        bound: convert(value, node.unit or unit, unit, analyte)
        for bound in BOUNDS
        if (value := getattr(node, bound)) is not None
    }
    return node.model_copy(update={**bounds, "unit": unit})
