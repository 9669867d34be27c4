"""What every exporter takes and returns: criteria in one model, a file, and the list of what the file does not hold."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from trialstrat.criteria.exporters.concepts import ConceptMap
from trialstrat.criteria.frozen import FrozenCriteria
from trialstrat.protocol.language.criterion import CriteriaSet, Criterion
from trialstrat.protocol.language.model import AllOf, AnyOf, Condition, Negation


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """Something of a criterion that the format cannot hold; empty ``criterion`` where it concerns all."""

    criterion: str
    reason: str

    def text(self) -> str:
        """One line."""
        return f"{self.criterion}: {self.reason}" if self.criterion else self.reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """The file, its ending, what it could not carry, and what its reader must add."""

    content: str
    suffix: str
    losses: tuple[Loss, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Exportable:
    """Criteria with what exporters say about them; ``labels`` and ``units`` are by column."""

    study: str
    version: str
    title: str
    criteria: tuple[Criterion, ...]
    evidence: dict[str, str] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    units: dict[str, str] = field(default_factory=dict)
    concepts: ConceptMap = field(default_factory=ConceptMap)


def exportable(source: FrozenCriteria | CriteriaSet, concepts: ConceptMap | None = None) -> Exportable:
    """Frozen or written criteria in the form exporters take."""
    concepts = concepts or ConceptMap()
    if isinstance(source, CriteriaSet):
        return Exportable(
            study=source.study,
            version="",
            title=source.title,
            criteria=source.criteria,
            units={name: entry.unit for name, entry in source.columns.items()},
            concepts=concepts,
        )
    return Exportable(
        study=source.study,
        version=source.version,
        title=source.title,
        criteria=source.criteria,
        evidence={entry.id: entry.evidence for entry in source.criteria if entry.evidence},
        labels={variable.column: variable.title for variable in source.variables},
        units={variable.column: variable.unit for variable in source.variables},
        concepts=concepts,
    )


def opposite(node: Any) -> Any:
    """What holds where this does not, for known values: of a condition, another; of anything else, its negation."""
    if not isinstance(node, Condition):
        return Negation(negated=node)
    name, unit = node.column, node.unit
    if node.present is not None:
        return Condition(column=name, present=not node.present, unit=unit)
    if node.equals is not None:
        return Condition(column=name, none_of=(node.equals,), unit=unit)
    if node.one_of:
        return Condition(column=name, none_of=node.one_of, unit=unit)
    if node.none_of:
        return Condition(column=name, one_of=node.none_of, unit=unit)
    ends = []
    if node.at_least is not None:
        ends.append(Condition(column=name, below=node.at_least, unit=unit))
    if node.above is not None:
        ends.append(Condition(column=name, at_most=node.above, unit=unit))
    if node.at_most is not None:
        ends.append(Condition(column=name, above=node.at_most, unit=unit))
    if node.below is not None:
        ends.append(Condition(column=name, at_least=node.below, unit=unit))
    return ends[0] if len(ends) == 1 else AnyOf(any=tuple(ends))


def negation(node: Any) -> Any:
    """The negation itself: of a question that is asked of several records, the opposite is another question."""
    return Negation(negated=node)


def wanted(criterion: Criterion, turned: Callable[[Any], Any] = opposite) -> Any:
    """What must hold for a patient to pass, without negation above the leaves; None without conditions.

    ``turned`` makes the leaf that holds where a leaf does not.
    """
    if not criterion.when:
        return None
    node = criterion.when[0] if len(criterion.when) == 1 else AllOf(all=criterion.when)
    return _pushed(node, criterion.kind == "exclusion", turned)


def _pushed(node: Any, negate: bool, turned: Callable[[Any], Any]) -> Any:
    """The expression with negation pushed to its leaves (De Morgan; valid in three values too)."""
    if isinstance(node, Negation):
        return _pushed(node.negated, not negate, turned)
    if isinstance(node, AllOf | AnyOf):
        inner = tuple(_pushed(part, negate, turned) for part in (node.all if isinstance(node, AllOf) else node.any))
        return AllOf(all=inner) if isinstance(node, AllOf) != negate else AnyOf(any=inner)
    return turned(node) if negate else node


class CannotCarryError(Exception):
    """Raised inside an exporter by what its format cannot hold; turned into a :class:`Loss`, never seen outside."""
