"""Ways to write a criterion: dropped, as it stands, or with one of its thresholds moved.

A threshold is a bound of a condition that decides: of a plain condition or a molecular event with a value, inside
*and*, *or* and *not*, of what is asked of records, and of the last step of a linked question. Conditions that only
choose rows (windows, names of analytes) stay as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from trialstrat.cohort.columns import column, numbers
from trialstrat.cohort.language.tables import Tables
from trialstrat.criteria.emulation import Judged
from trialstrat.errors import InvalidInputError
from trialstrat.protocol.language.model import Alteration, Condition, Keep, Linked, Records
from trialstrat.protocol.language.schema import PATIENTS, ColumnSchema
from trialstrat.protocol.ucum import convert

Mask = NDArray[np.bool_]
#: Where a condition stands: names of fields and places in lists, from the criterion down.
Path = tuple[str | int, ...]

BOUNDS = ("at_least", "at_most", "above", "below")
#: Fields that lead to conditions that decide.
_INSIDE = ("when", "all", "any", "negated", "has")
_DECILES = np.arange(0.1, 0.95, 0.1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Threshold:
    """One bound of one condition: where it stands, which it is, its value, unit and column.

    ``table`` is whose column it is, "" where rows of several tables are joined; of a molecular event (``event``) it is
    where the schema says.
    """

    path: Path
    bound: str
    value: float
    column: str
    unit: str = ""
    table: str = PATIENTS
    event: str = ""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Option:
    """One way to write a criterion: what it says, who passes (n), whether it costs what the criterion costs."""

    label: str
    admits: Mask
    active: bool


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Dimension:
    """A criterion with its options; ``start`` is the one in force."""

    id: str
    options: tuple[Option, ...]
    start: int


def thresholds(node: Any, path: Path = (), table: str = PATIENTS) -> Iterator[Threshold]:
    """Every bound that can be moved, in the order of the criterion; ``table`` is that of its plain conditions."""
    if isinstance(node, Condition | Alteration):
        for bound in BOUNDS:
            value = getattr(node, bound)
            if value is not None:
                event = "" if isinstance(node, Condition) else node.event
                words = {"column": _named(node), "unit": node.unit, "table": table, "event": event}
                yield Threshold(path=path, bound=bound, value=float(value), **words)
        return
    if isinstance(node, Linked):
        at = len(node.linked) - 1
        question = cast("Keep", node.linked[at])  # the model holds the last step to be one
        yield from thresholds(question.keep, (*path, "linked", at, "keep"), "")
    if isinstance(node, Records):
        table = node.records
    for name in _INSIDE:
        inner = getattr(node, name, None)
        if isinstance(inner, tuple):
            for at, part in enumerate(inner):
                yield from thresholds(part, (*path, name, at), table)
        elif inner is not None:
            yield from thresholds(inner, (*path, name), table)


def _named(node: Condition | Alteration) -> str:
    """What is compared: a column, or a molecular event that has a value."""
    if isinstance(node, Condition):
        return node.column
    return f"{node.event} of {node.gene}" if node.gene else node.event


def moved(node: Any, threshold: Threshold, value: float, path: Path | None = None) -> Any:
    """The criterion with one threshold at another value."""
    rest = threshold.path if path is None else path
    if not rest:
        return node.model_copy(update={threshold.bound: value})
    name, *further = rest
    inner = getattr(node, str(name))
    if isinstance(inner, tuple):
        at, *deeper = further
        changed = moved(inner[int(at)], threshold, value, tuple(deeper))
        new = tuple(changed if place == at else entry for place, entry in enumerate(inner))
        return node.model_copy(update={str(name): new})
    return node.model_copy(update={str(name): moved(inner, threshold, value, tuple(further))})


def candidates(threshold: Threshold, tables: Tables, factors: Sequence[float]) -> tuple[float, ...]:
    """Values to try, in the condition's unit: deciles where patients have the column, multiples elsewhere.

    Elsewhere are rows of other tables, and columns in which every patient has a unit of their own. Deciles are rounded
    to three significant digits, as a protocol would write them; one that falls on the threshold is left out.
    """
    known = _known(threshold, tables)
    if known is None:
        found = [float(f"{threshold.value * factor:.6g}") for factor in factors]
    else:
        found = [float(f"{value:.3g}") for value in known]
    return tuple(sorted({value for value in found if value != threshold.value}))


def _known(threshold: Threshold, tables: Tables) -> list[float] | None:
    """Deciles of the column in the condition's unit, none where it has no numbers; None where it is no column."""
    name = {"": threshold.column, "tmb": tables.schema.molecular.tmb}.get(threshold.event, "")
    if threshold.table != PATIENTS or name not in tables.patients.columns:
        return None
    declared = tables.schema.tables[PATIENTS].columns.get(name) if PATIENTS in tables.schema.tables else None
    declared = declared or ColumnSchema(kind="number")
    if threshold.unit and declared.unit_column:
        return None
    values, bad = numbers(column(tables.patients, name))
    known = values[np.isfinite(values)]
    if bad.any() or not known.size:
        return []
    unit = threshold.unit or declared.unit
    deciles = np.quantile(known, _DECILES)
    return [convert(float(value), declared.unit or unit, unit, declared.analyte) for value in deciles]


def dimension(
    criterion: Any,
    current: Judged,
    judge: Callable[[Any], Judged],
    tables: Tables,
    factors: Sequence[float],
    *,
    fixed: bool,
) -> Dimension:
    """A criterion's options; a fixed one has only that in force.

    Options that admit the same patients are one: nothing is dropped where the criterion removes nobody.
    """
    written = Option(label="as written", admits=current.admits, active=True)
    if fixed:
        return Dimension(id=current.id, options=(written,), start=0)
    dropped = Option(label="dropped", admits=np.ones(len(current.admits), dtype=np.bool_), active=False)
    options = [written] if current.admits.all() else [dropped, written]
    start = len(options) - 1
    seen = {dropped.admits.tobytes(), written.admits.tobytes()}
    for threshold in thresholds(criterion):
        for value in candidates(threshold, tables, factors):
            try:
                admits = judge(moved(criterion, threshold, value)).admits
            except (InvalidInputError, ValueError):
                continue  # a bound beyond the other end of its range
            if admits.tobytes() not in seen:
                seen.add(admits.tobytes())
                options.append(Option(label=_said(threshold, value), admits=admits, active=True))
    return Dimension(id=current.id, options=tuple(options), start=start)


_SIGNS = {"at_least": "≥", "at_most": "≤", "above": ">", "below": "<"}


def _said(threshold: Threshold, value: float) -> str:
    return f"{threshold.column} {_SIGNS[threshold.bound]} {value:g} {threshold.unit}".rstrip()
