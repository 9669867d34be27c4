"""Which columns and tables an expression names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from trialstrat.errors import InvalidInputError
from trialstrat.protocol.language.model import (
    Alteration,
    Comparison,
    Condition,
    Keep,
    Linked,
    Pick,
    Records,
    parts,
    walk,
)
from trialstrat.protocol.language.molecular import alteration_as_records
from trialstrat.protocol.language.ranges import ranged
from trialstrat.protocol.language.schema import PATIENTS, Kind, Molecular


def step_tables(step: Keep | Pick) -> tuple[str, ...]:
    """The tables a step names, in order of appearance."""
    return tuple(dict.fromkeys(name.partition(".")[0] for name in step_columns(step)))


def step_columns(step: Keep | Pick) -> tuple[str, ...]:
    """The columns a step names, as ``table.column``."""
    if isinstance(step, Pick):
        return (step.left,) if step.right is None else (step.left, step.right)
    return tuple(name for part in walk(step.keep) for name in _own(part))


def _own(node: Any) -> tuple[str, ...]:
    if isinstance(node, Condition):
        return (node.column,)
    return (node.left, node.right) if isinstance(node, Comparison) else ()


def _located(node: Alteration, layout: Molecular) -> Records | Condition | None:
    """Where a molecular event is found; None where that is not declared, which is a fault of its own."""
    try:
        return alteration_as_records(node, layout)
    except InvalidInputError:
        return None


def on_patients(nodes: Iterable[Any], layout: Molecular) -> Iterator[Condition | Comparison]:
    """The conditions and comparisons on columns of the patients, those that molecular events stand for among them."""
    for node in nodes:
        if isinstance(node, Alteration):
            asked = _located(node, layout)
            if isinstance(asked, Condition):
                yield asked
        elif isinstance(node, Condition | Comparison):
            yield node
        elif not isinstance(node, Records | Linked):
            yield from on_patients(parts(node), layout)


def kinds_asked(nodes: Iterable[Any], layout: Molecular) -> dict[str, Kind]:
    """What conditions take columns of the patients for: compared with numbers, or with text."""
    asked = [node for node in on_patients(nodes, layout) if isinstance(node, Condition)]
    kinds: dict[str, Kind] = {node.column: "text" for node in asked}
    for node in asked:
        if ranged(node):
            kinds[node.column] = "number"
    return kinds


def patient_columns(nodes: Iterable[Any], layout: Molecular) -> list[str]:
    """Columns of the patients that expressions name, once, in order of appearance."""
    nodes = tuple(nodes)
    names = [name for node in on_patients(nodes, layout) for name in _own(node)]
    everything = [part for node in nodes for part in walk(node)]
    steps = [step for part in everything if isinstance(part, Linked) for step in part.linked]
    linked = [name.partition(".") for step in steps for name in step_columns(step)]
    names += [column for table, _, column in linked if table == PATIENTS]
    if layout.assayed and any(isinstance(part, Alteration) and part.event == "mutation" for part in everything):
        names.append(layout.assayed)
    return list(dict.fromkeys(names))


def long_tables(nodes: Iterable[Any], layout: Molecular) -> list[str]:
    """Names of the long tables that expressions need, once, in order of appearance."""
    names: list[str] = []
    for part in (part for node in nodes for part in walk(node)):
        asked = _located(part, layout) if isinstance(part, Alteration) else part
        if isinstance(asked, Records):
            names.append(asked.records)
        elif isinstance(asked, Linked):
            names += [table for step in asked.linked for table in step_tables(step) if table != PATIENTS]
    return list(dict.fromkeys(names))
