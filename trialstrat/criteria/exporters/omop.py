"""What both OMOP exporters share: a condition on a column as something asked of an OMOP person.

Time zero is the person's first entry record within an observation period, because Circe finds no other. A measurement
may have been repeated within its window: a condition on its value is met by any of the values, and what excludes
(or stands under *not*) is therefore that none of them meets it, and that there is one. A record without a value, or in
another unit, is no measurement here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from trialstrat.criteria.exporters.base import CannotCarryError, Exportable, Loss, negation, wanted
from trialstrat.criteria.exporters.concepts import AGE_COLUMNS, SEX_COLUMNS, SEX_CONCEPTS, YEARS, Concept
from trialstrat.errors import InvalidInputError
from trialstrat.protocol.language.criterion import Criterion
from trialstrat.protocol.language.model import AllOf, AnyOf, Condition, Negation
from trialstrat.protocol.ucum import convert

BOUNDS: Final = (("at_least", "gte", ">="), ("above", "gt", ">"), ("at_most", "lte", "<="), ("below", "lt", "<"))
_NO_ENTRY: Final = "No entry event is declared: time zero is the start of the first observation period."
_ENTRY: Final = "Time zero is the first entry record within an observation period; persons without one are not found."
_UNITS: Final = "Measurements count only in the unit of the concept map; one value that excludes is enough to exclude."


@dataclass(frozen=True, slots=True, kw_only=True)
class Age:
    """Bounds on the age in whole calendar years at time zero."""

    bounds: tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sex:
    """One of these OMOP gender concepts, or a known one that is none of them."""

    concepts: tuple[int, ...]
    excluded: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """A measurement of the concept in the window with a value, in the concept's unit, within the bounds."""

    concept: Concept
    bounds: tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """A record of the concept in the window, or none."""

    concept: Concept
    present: bool


Question = Age | Sex | Measured | Recorded


def question(node: Condition, source: Exportable) -> Question:
    """What a condition asks of an OMOP person; :class:`CannotCarryError` where nothing was declared to stand for it."""
    name = node.column.lower()
    declared = source.concepts.columns.get(node.column)
    bounds = tuple((key, value) for key, _, _ in BOUNDS if (value := getattr(node, key)) is not None)
    if declared is None and name in AGE_COLUMNS:
        return _age(node, bounds, node.unit or source.units.get(node.column, ""))
    levels = node.one_of or (() if node.equals is None else (node.equals,))
    sexes = [SEX_CONCEPTS.get(str(level).lower()) for level in levels or node.none_of]
    if declared is None and name in SEX_COLUMNS and sexes and None not in sexes:
        known = tuple(dict.fromkeys(concept for concept in sexes if concept is not None))
        return Sex(concepts=known, excluded=bool(node.none_of))
    if declared is None:
        raise CannotCarryError(f"no OMOP concept is declared for column {node.column}; add it to the concept map")
    if declared.domain == "measurement":
        return _measured(node, declared, bounds, source)
    return _recorded(node, declared, levels)


def _age(node: Condition, bounds: tuple[tuple[str, float], ...], unit: str) -> Age:
    if not bounds or unit not in YEARS:
        raise CannotCarryError(f"age ({node.column}) can only be compared with years")
    if any(not float(value).is_integer() for _, value in bounds):
        raise CannotCarryError("OMOP knows age in whole years")
    return Age(bounds=bounds)


def _measured(
    node: Condition, declared: Concept, bounds: tuple[tuple[str, float], ...], source: Exportable
) -> Measured:
    if not bounds:
        raise CannotCarryError(f"{node.column} is a measurement: only a range of its value can be asked")
    unit = node.unit or source.units.get(node.column, "")
    if not unit or not declared.unit:
        raise CannotCarryError(
            f"{node.column} is compared without a unit; declare it in the protocol and the concept map"
        )
    try:
        found = tuple((key, convert(value, unit, declared.unit, node.column)) for key, value in bounds)
    except InvalidInputError as error:
        raise CannotCarryError(str(error)) from None
    return Measured(concept=declared, bounds=found)


def _recorded(node: Condition, declared: Concept, levels: tuple[Any, ...]) -> Recorded:
    said = {str(level).lower() for level in levels}
    refused = {str(level).lower() for level in node.none_of}
    if said and said <= set(declared.yes):
        return Recorded(concept=declared, present=True)
    if said and said <= set(declared.no):
        return Recorded(concept=declared, present=False)
    if refused and refused <= set(declared.yes):
        return Recorded(concept=declared, present=False)
    raise CannotCarryError(f"{node.column} stands for a record: it can only be asked for one of its yes or no levels")


def tree(node: Any, leaf: Callable[[Condition, bool], Any], join: Callable[[str, list[Any]], Any]) -> Any:
    """Walk an expression: ``leaf`` of each condition and whether it must not hold, ``join`` of all or any parts."""
    if isinstance(node, AllOf):
        return join("all", [tree(part, leaf, join) for part in node.all])
    if isinstance(node, AnyOf):
        return join("any", [tree(part, leaf, join) for part in node.any])
    negated = isinstance(node, Negation)
    asked = node.negated if isinstance(node, Negation) else node
    if not isinstance(asked, Condition):
        raise CannotCarryError("OMOP has no place for molecular events, linked tables or rows of long tables")
    return leaf(asked, negated)


def carried(source: Exportable, write: Callable[[Criterion, Any], Any]) -> tuple[list[Any], list[Loss]]:
    """What ``write`` makes of each criterion that can be carried, and the losses of the others."""
    out: list[Any] = []
    losses: list[Loss] = []
    for entry in source.criteria:
        node = wanted(entry, negation)
        try:
            if node is None:
                raise CannotCarryError("text only: there is no condition a program can apply")
            out.append(write(entry, node))
        except CannotCarryError as fault:
            losses.append(Loss(criterion=entry.id, reason=str(fault)))
    return out, losses


def notes(source: Exportable) -> tuple[str, ...]:
    """What the reader of either export must know."""
    measured = any(concept.domain == "measurement" for concept in source.concepts.columns.values())
    return (_NO_ENTRY if source.concepts.entry is None else _ENTRY, *((_UNITS,) if measured else ()))


def whole_days(declared: Concept) -> tuple[int | None, int | None]:
    """First and last day of a concept's window."""
    ends = (declared.window.first, declared.window.last)
    if any(end is not None and not float(end).is_integer() for end in ends):
        raise CannotCarryError("OMOP dates are whole days; the window is not")
    first, last = (None if end is None else int(end) for end in ends)
    return first, last
