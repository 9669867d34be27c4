"""Tens of thousands of markers beside the joined table: one block, looked at in place and gathered once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

#: Markers that are looked at together.
_TOGETHER = 512


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Wide:
    """Markers of one source: a view of what was read, by patient.

    ``values`` (rows, columns) float64 with nan where missing, as read; ``names`` (p,) and ``columns`` (p,) are the
    markers and where they stand in it; ``taken`` (n,) is the row of each patient, -1 where the source has none.
    """

    names: tuple[str, ...]
    columns: NDArray[np.intp]
    values: NDArray[np.float64]
    taken: NDArray[np.intp]

    def only(self, names: Sequence[str]) -> Wide:
        """The same without the other markers."""
        if len(names) == len(self.names):
            return self
        wanted = set(names)
        kept = [at for at, name in enumerate(self.names) if name in wanted]
        return replace(self, names=tuple(self.names[at] for at in kept), columns=self.columns[kept])

    def at(self, rows: NDArray[np.intp]) -> Wide:
        """The patients in ``rows`` (m,), -1 for one who is absent."""
        taken = self.taken if len(self.taken) else np.array([-1], dtype=np.intp)
        return replace(self, taken=np.where(rows < 0, -1, taken[rows]))

    def blocks(self) -> Iterator[tuple[int, NDArray[np.float64]]]:
        """Runs of markers as (place of the first, (n, some) values); views where nothing is left out."""
        whole = np.array_equal(self.taken, np.arange(len(self.values)))
        absent = self.taken < 0
        for start in range(0, len(self.names), _TOGETHER):
            columns = self.columns[start : start + _TOGETHER]
            first, last = int(columns[0]), int(columns[-1])
            together = last - first + 1 == len(columns) and bool((np.diff(columns) == 1).all())
            part = self.values[:, first : last + 1] if together else self.values[:, columns]
            if not whole:
                part = part[self.taken]
                part[absent] = np.nan
            yield start, part

    def column(self, name: str) -> NDArray[np.float64]:
        """(n,) values of one marker."""
        values = self.values[self.taken, self.columns[self.names.index(name)]]
        values[self.taken < 0] = np.nan
        return values


def wide_of(names: Sequence[str], values: NDArray[np.float64]) -> Wide:
    """All columns of a block (rows, p), row by row."""
    return Wide(names=tuple(names), columns=np.arange(len(names)), values=values, taken=np.arange(len(values)))


def gathered(parts: Sequence[Wide], names: Sequence[str], index: pd.Index) -> pd.DataFrame:
    """One float64 frame (n, p) with the markers of several parts in the order of ``names``; copied once or not at all.

    ``index`` are the patients in the order of ``taken``; every name is a marker of exactly one part.
    """
    columns = pd.Index(list(names), dtype=object)
    if len(parts) == 1 and _as_it_is(parts[0], names):
        return pd.DataFrame(parts[0].values, index=index, columns=columns, copy=False)
    place = {name: at for at, name in enumerate(names)}
    by_marker = bool(parts) and _markers_contiguous(parts[0].values)
    out = np.empty((len(names), len(index))).T if by_marker else np.empty((len(index), len(names)))
    for part in parts:
        _fill(out, part, np.array([place[name] for name in part.names], dtype=np.intp))
    return pd.DataFrame(out, index=index, columns=columns, copy=False)


def _as_it_is(part: Wide, names: Sequence[str]) -> bool:
    rows, columns = part.values.shape
    return (
        tuple(names) == part.names
        and np.array_equal(part.taken, np.arange(rows))
        and np.array_equal(part.columns, np.arange(columns))
    )


def _markers_contiguous(values: NDArray[np.float64]) -> bool:
    return values.strides[0] < values.strides[1]


def _fill(out: NDArray[np.float64], part: Wide, into: NDArray[np.intp]) -> None:
    """Row by row or marker by marker, as the block lies in memory: no copy of more than one of them."""
    if _markers_contiguous(part.values):
        for source, target in zip(part.columns, into, strict=True):
            out[:, target] = part.values[part.taken, source]
        out[np.ix_(part.taken < 0, into)] = np.nan
        return
    for at, row in enumerate(part.taken):
        out[at, into] = np.nan if row < 0 else part.values[row, part.columns]
