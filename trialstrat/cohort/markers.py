"""Blocks of many numeric markers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from trialstrat.cohort.columns import LARGEST, column, numbers, text_kinds
from trialstrat.cohort.genes import gene_findings
from trialstrat.cohort.integrate import Joined
from trialstrat.cohort.wide import Wide, gathered, wide_of
from trialstrat.protocol.model import MarkerBlock
from trialstrat.results import Finding


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Markers:
    """The markers of all blocks, where they were read: ``names`` (p,) in the order of the analysis table."""

    names: tuple[str, ...] = ()
    parts: tuple[Wide, ...] = ()

    def table(self, rows: NDArray[np.intp], index: pd.Index) -> pd.DataFrame:
        """The values (m, p) of some joined rows as float64, nan where missing."""
        return gathered([part.at(rows) for part in self.parts], self.names, index)

    def __add__(self, other: Markers) -> Markers:
        return Markers(names=(*self.names, *other.names), parts=(*self.parts, *other.parts))


def read_markers(block: MarkerBlock, joined: Joined, taken: set[str]) -> tuple[Markers, tuple[Finding, ...]]:
    """The numeric markers of a block, in column-name order.

    With a prefix every column of that name must be numeric; without one the numeric columns are taken. Columns with
    another role in the study (``taken``) are left out. So are constant markers and those above ``missing_limit``,
    which are counted.
    """
    names = [
        name
        for name in joined.columns.get(block.source, ())
        if name.startswith(block.prefix) and name not in block.exclude and name not in taken
    ]
    found = gene_findings(names, joined.files[block.source])
    parts, faults = _parts(block, joined, names)
    found += faults
    kept: list[Wide] = []
    huge: list[tuple[str, NDArray[np.bool_]]] = []
    total = 0
    for part in parts:
        useful, far = _judged(part, block.missing_limit)
        huge += [(name, np.abs(part.column(name)) >= LARGEST) for name in far]
        kept.append(part.only(useful))
        total += len(part.names)
    for name, mask in sorted(huge, key=lambda entry: entry[0]):
        found += joined.rows("E-VALUE-INF", name, mask)
    left = sorted(name for part in kept for name in part.names)
    if total > len(left):
        detail = f"{total - len(left)} of {total} in source {block.source}"
        found.append(joined.about("W-MARKERS-DROPPED", "", detail))
    if not left:
        found.append(joined.about("E-MARKERS-NONE", "", f"source {block.source}, prefix {block.prefix!r}"))
    return Markers(names=tuple(left), parts=tuple(kept)), tuple(found)


def _parts(block: MarkerBlock, joined: Joined, names: Sequence[str]) -> tuple[list[Wide], list[Finding]]:
    """The numbers of a block: columns of the joined table, those of them that hold text parsed, and a matrix."""
    beside = joined.wide.get(block.source)
    inside = [name for name in names if name in joined.frame]
    ready = [name for name in inside if pd.api.types.is_float_dtype(joined.frame[name].dtype)]
    found: list[Finding] = []
    parsed: dict[str, NDArray[np.float64]] = {}
    for name in sorted(set(inside) - set(ready)):
        series = column(joined.frame, name)
        values, bad = numbers(series)
        if not bad.any():
            parsed[name] = values
        elif block.prefix:
            found += joined.rows("E-VALUE-TEXT", name, bad, text_kinds(series, bad))
    parts: list[Wide] = []
    if ready:
        parts.append(wide_of(ready, cast("pd.DataFrame", joined.frame[ready]).to_numpy(dtype=np.float64)))
    if parsed:
        parts.append(wide_of(list(parsed), np.column_stack(list(parsed.values()))))
    held = frozenset(() if beside is None else beside.names)
    if beside is not None:
        parts.append(beside.only([name for name in names if name in held]))
    return parts, found


def _judged(part: Wide, missing_limit: float) -> tuple[list[str], list[str]]:
    """Markers with at least two different values and not too many missing ones; those with a value beyond any."""
    useful: list[str] = []
    huge: list[str] = []
    for start, values in part.blocks():
        low, high = np.fmin.reduce(values, axis=0), np.fmax.reduce(values, axis=0)
        known = len(values) - np.isnan(values).sum(axis=0)
        keep = (low < high) & (known >= (1 - missing_limit) * len(values))
        far = (high >= LARGEST) | (low <= -LARGEST)
        useful += [part.names[start + at] for at in np.flatnonzero(keep)]
        huge += [part.names[start + at] for at in np.flatnonzero(far)]
    return useful, huge
