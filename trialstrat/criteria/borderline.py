"""Who just misses a criterion: by how much, in the unit of the threshold."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from trialstrat.cohort.columns import as_text, column
from trialstrat.cohort.language.conditions import row_state, values
from trialstrat.cohort.language.evaluate import expression_state, taken_rows
from trialstrat.cohort.language.states import MET
from trialstrat.cohort.language.tables import Tables
from trialstrat.criteria.exporters.base import opposite, wanted
from trialstrat.criteria.screening import Screening
from trialstrat.errors import InvalidInputError
from trialstrat.protocol.language.criterion import Criterion
from trialstrat.protocol.language.model import AllOf, Alteration, AnyOf, Condition, Negation, Records
from trialstrat.protocol.language.molecular import alteration_as_records
from trialstrat.protocol.language.ranges import BOUNDS, in_unit, ranged
from trialstrat.protocol.language.schema import PATIENTS, ColumnSchema, Molecular
from trialstrat.protocol.language.text import write

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class NearMiss:
    """A patient whom a threshold keeps out, although the value misses it by no more than the margin.

    ``only`` says that nothing else stands against the patient or is left open.
    """

    id: str
    criterion: str
    condition: str
    missed_by: float
    unit: str
    only: bool


@dataclass(frozen=True, slots=True, eq=False)
class _Shortfall:
    """Per patient: the share of the threshold by which the value misses (0 where met, inf where nothing near helps)."""

    share: NDArray[np.float64]
    amount: NDArray[np.float64]
    leaf: NDArray[np.int64]


def borderline(screening: Screening, tables: Tables, margin: float) -> tuple[NearMiss, ...]:
    """Patients who are not eligible and miss a numeric threshold by at most ``margin`` times the threshold.

    Of a criterion with several thresholds the largest shortfall is listed where all must be met, the smallest where
    one is enough; of records the rows that count, by the same rule. A threshold of 0 has a margin of ``margin`` in its
    own unit. Of molecular events those with a value have thresholds too.

    Raises
    ------
    InvalidInputError
        A margin that is no share.
    """
    if not 0 <= margin <= 1:
        raise InvalidInputError(f"margin {margin}: a share of the threshold, from 0 to 1")
    fails = screening.fails()
    found: list[tuple[int, int, NearMiss]] = []
    for at, criterion in enumerate(screening.criteria):
        node = _located(wanted(criterion), tables.schema.molecular)
        leaves = tuple(_leaves(node))
        if not leaves or not fails[:, at].any():
            continue
        short = _shortfall(node, leaves, tables)
        near = fails[:, at] & (short.share > 0) & (short.share <= margin * (1 + 1e-12))
        alone = (fails.sum(axis=1) == 1) & _nothing_open(screening, criterion)
        for row in np.flatnonzero(near).tolist():
            leaf = leaves[int(short.leaf[row])]
            miss = NearMiss(
                id=screening.ids[row],
                criterion=criterion.id,
                condition=write(leaf),
                missed_by=float(f"{short.amount[row]:.12g}"),
                unit=_unit(leaf, tables),
                only=bool(alone[row]),
            )
            found.append((row, at, miss))
    return tuple(miss for _, _, miss in sorted(found, key=lambda entry: entry[:2]))


def _nothing_open(screening: Screening, criterion: Criterion) -> NDArray[np.bool_]:
    """Whether no other criterion stays unknown."""
    undecided = [at for at, entry in enumerate(screening.criteria) if entry.missing == "unknown"]
    others = [at for at in undecided if screening.criteria[at] is not criterion]
    return np.all(screening.state[:, others] >= 0, axis=1)


#: A threshold: on a column of the patients, or in the rows of a table, which may have to fail it.
_Leaf = Condition | Records | Negation


def _located(node: Any, layout: Molecular) -> Any:
    """The expression with molecular events that have a value where these are found."""
    if isinstance(node, AllOf):
        return AllOf(all=tuple(_located(part, layout) for part in node.all))
    if isinstance(node, AnyOf):
        return AnyOf(any=tuple(_located(part, layout) for part in node.any))
    negated = isinstance(node, Negation)
    inner = node.negated if isinstance(node, Negation) else node
    if not isinstance(inner, Alteration) or inner.event == "mutation":
        return node
    found = alteration_as_records(inner, layout)
    return opposite(found) if negated else found


def _leaves(node: Any) -> Iterator[_Leaf]:
    if isinstance(node, AllOf | AnyOf):
        for part in node.all if isinstance(node, AllOf) else node.any:
            yield from _leaves(part)
    elif _asked(node) is not None:
        yield node


def _asked(node: Any) -> Condition | None:
    """The range that a threshold is about; None where the expression has none of its own."""
    inner = node.negated if isinstance(node, Negation) else node
    if isinstance(inner, Records):
        inner = inner.has if inner.take != "count" else None
    return inner if isinstance(inner, Condition) and ranged(inner) else None


def _unit(leaf: _Leaf, tables: Tables) -> str:
    asked = _asked(leaf)
    return "" if asked is None else asked.unit or _declared(leaf, asked, tables).unit


def _declared(leaf: _Leaf, asked: Condition, tables: Tables) -> ColumnSchema:
    inner = leaf.negated if isinstance(leaf, Negation) else leaf
    table = tables.schema.tables.get(inner.records if isinstance(inner, Records) else PATIENTS)
    known = table.columns if table is not None else {}
    return known.get(asked.column, ColumnSchema(kind="number"))


def _shortfall(node: Any, leaves: tuple[_Leaf, ...], tables: Tables) -> _Shortfall:
    if isinstance(node, AllOf | AnyOf):
        parts = [_shortfall(part, leaves, tables) for part in (node.all if isinstance(node, AllOf) else node.any)]
        shares = np.stack([part.share for part in parts])
        chosen = shares.argmax(axis=0) if isinstance(node, AllOf) else shares.argmin(axis=0)
        rows = np.arange(shares.shape[1])
        return _Shortfall(
            share=shares[chosen, rows],
            amount=np.stack([part.amount for part in parts])[chosen, rows],
            leaf=np.stack([part.leaf for part in parts])[chosen, rows],
        )
    met = expression_state(node, tables) == MET
    asked = _asked(node)
    if asked is None:
        return _Shortfall(np.where(met, 0.0, np.inf), np.zeros(len(met)), np.zeros(len(met), dtype=np.int64))
    declared = _declared(node, asked, tables)
    if isinstance(node, Condition):
        share, amount = _distance(node, tables.patients, declared)
    else:
        share, amount = _of_records(node, asked, declared, tables)
    leaf = np.full(len(met), leaves.index(node), dtype=np.int64)
    return _Shortfall(np.where(met, 0.0, share), amount, leaf)


def _of_records(
    node: Records | Negation, asked: Condition, declared: ColumnSchema, tables: Tables
) -> tuple[Floats, Floats]:
    """Of each patient the row that decides: the nearest where one that meets is enough, else the furthest."""
    negated = isinstance(node, Negation)
    inner = cast("Records", node.negated if isinstance(node, Negation) else node)
    frame, owner = taken_rows(inner, tables)
    turned = opposite(asked) if negated else asked
    ends = cast("tuple[Condition, ...]", turned.any if isinstance(turned, AnyOf) else (turned,))
    ways = [_distance(end, frame, declared) for end in ends]
    nearest = np.stack([share for share, _ in ways]).argmin(axis=0)
    at = np.arange(len(frame))
    share, amount = (np.stack([way[which] for way in ways])[nearest, at] for which in (0, 1))
    furthest = (inner.take == "every") != negated
    order = np.lexsort((-share if furthest else share, owner))
    first = np.unique(owner[order], return_index=True)[1]
    out = np.full(len(tables.patients), np.inf), np.zeros(len(tables.patients))
    for filled, found in zip(out, (share, amount), strict=True):
        filled[owner[order][first]] = found[order][first]
    return out


def _distance(node: Condition, frame: pd.DataFrame, declared: ColumnSchema) -> tuple[Floats, Floats]:
    """Share and amount by which each row (m,) misses the nearer end, in the unit of the condition; 0 where it is met.

    The open end itself misses by next to nothing.
    """
    found = values(frame, node.column, declared) * _steps(node, frame, declared)
    met = row_state(node, frame, {node.column: declared}) == MET
    share = np.where(met, 0.0, np.inf)
    amount = np.zeros(len(found))
    for bound in BOUNDS:
        end = getattr(node, bound)
        if end is None:
            continue
        short = end - found if bound in ("at_least", "above") else found - end
        with np.errstate(invalid="ignore"):
            misses = ~met & (short >= 0)
        share = np.where(misses, np.maximum(short, np.finfo(float).tiny) / (abs(end) or 1.0), share)
        amount = np.where(misses, short, amount)
    return share, amount


def _steps(node: Condition, frame: pd.DataFrame, declared: ColumnSchema) -> Floats:
    """One step of each row's unit (m,), in that of the condition: conversions are proportional."""
    out = np.ones(len(frame))
    if not node.unit:
        return out
    units: Mapping[Any, Any] = {declared.unit: np.ones(len(frame), dtype=bool)}
    if declared.unit_column:
        texts = as_text(column(frame, declared.unit_column)).to_numpy(dtype=object)
        out[pd.isna(texts)] = np.nan
        units = {unit: texts == unit for unit in dict.fromkeys(texts) if unit is not None}
    for unit, rows in units.items():
        if unit and unit != node.unit:
            step = in_unit(Condition(column=node.column, at_least=1.0, unit=unit), node.unit, declared.analyte).at_least
            out[rows] = float(step or 1.0)
    return out
