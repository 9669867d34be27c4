"""Who just misses a criterion: by how much, in the unit of the threshold."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trialstrat.cohort.language.conditions import values
from trialstrat.cohort.language.evaluate import expression_state
from trialstrat.cohort.language.states import MET
from trialstrat.cohort.language.tables import Tables
from trialstrat.criteria.exporters.base import wanted
from trialstrat.criteria.screening import Screening
from trialstrat.errors import InvalidInputError
from trialstrat.protocol.language.criterion import Criterion
from trialstrat.protocol.language.model import AllOf, AnyOf, Condition
from trialstrat.protocol.language.ranges import BOUNDS, in_unit, ranged
from trialstrat.protocol.language.schema import PATIENTS, ColumnSchema
from trialstrat.protocol.language.text import condition_text


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
    one is enough. A threshold of 0 has a margin of ``margin`` in its own unit. Thresholds inside long tables are not
    looked at.

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
        leaves = tuple(_leaves(wanted(criterion)))
        if not leaves or not fails[:, at].any():
            continue
        short = _shortfall(wanted(criterion), leaves, tables)
        near = fails[:, at] & (short.share > 0) & (short.share <= margin * (1 + 1e-12))
        alone = (fails.sum(axis=1) == 1) & _nothing_open(screening, criterion)
        for row in np.flatnonzero(near).tolist():
            leaf = leaves[int(short.leaf[row])]
            miss = NearMiss(
                id=screening.ids[row],
                criterion=criterion.id,
                condition=condition_text(leaf),
                missed_by=float(f"{short.amount[row]:.12g}"),
                unit=leaf.unit or _declared(leaf, tables).unit,
                only=bool(alone[row]),
            )
            found.append((row, at, miss))
    return tuple(miss for _, _, miss in sorted(found, key=lambda entry: entry[:2]))


def _nothing_open(screening: Screening, criterion: Criterion) -> NDArray[np.bool_]:
    """Whether no other criterion stays unknown."""
    undecided = [at for at, entry in enumerate(screening.criteria) if entry.missing == "unknown"]
    others = [at for at in undecided if screening.criteria[at] is not criterion]
    return np.all(screening.state[:, others] >= 0, axis=1)


def _leaves(node: Any) -> Iterator[Condition]:
    if isinstance(node, AllOf | AnyOf):
        for part in node.all if isinstance(node, AllOf) else node.any:
            yield from _leaves(part)
    elif isinstance(node, Condition) and ranged(node):
        yield node


def _shortfall(node: Any, leaves: tuple[Condition, ...], tables: Tables) -> _Shortfall:
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
    if isinstance(node, Condition) and ranged(node):
        return _of_range(node, leaves.index(node), tables)
    met = expression_state(node, tables) == MET
    return _Shortfall(np.where(met, 0.0, np.inf), np.zeros(len(met)), np.zeros(len(met), dtype=np.int64))


def _declared(node: Condition, tables: Tables) -> ColumnSchema:
    known = tables.schema.tables[PATIENTS].columns if PATIENTS in tables.schema.tables else {}
    return known.get(node.column, ColumnSchema(kind="number"))


def _of_range(node: Condition, leaf: int, tables: Tables) -> _Shortfall:
    """Distance to the nearer end of the range, in the unit of the condition; the open end itself misses by nothing."""
    declared = _declared(node, tables)
    found = values(tables.patients, node.column, declared)
    unit, asked = node.unit, declared.unit
    if unit and asked and unit != asked:
        # one step of the column's unit, in that of the condition: conversions are proportional
        step = in_unit(Condition(column=node.column, at_least=1.0, unit=asked), unit, declared.analyte).at_least
        found = found * float(step or 1.0)
    share = np.full(len(found), np.inf)
    amount = np.zeros(len(found))
    met = expression_state(node, tables) == MET
    for bound in BOUNDS:
        end = getattr(node, bound)
        if end is None:
            continue
        short = end - found if bound in ("at_least", "above") else found - end
        with np.errstate(invalid="ignore"):
            misses = ~met & (short >= 0)
        size = np.maximum(short, np.finfo(float).tiny) / (abs(end) or 1.0)
        share = np.where(misses, size, share)
        amount = np.where(misses, short, amount)
    return _Shortfall(np.where(met, 0.0, share), amount, np.full(len(found), leaf, dtype=np.int64))
