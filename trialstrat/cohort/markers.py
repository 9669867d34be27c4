"""Blocks of many numeric markers."""

from __future__ import annotations

from typing import cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from trialstrat.cohort.columns import LARGEST, column, numbers, text_kinds
from trialstrat.cohort.genes import gene_findings
from trialstrat.cohort.integrate import Joined
from trialstrat.protocol.model import MarkerBlock
from trialstrat.results import Finding


def read_markers(block: MarkerBlock, joined: Joined, taken: set[str]) -> tuple[pd.DataFrame, tuple[Finding, ...]]:
    """The numeric markers of a block (n x p, float64), in column-name order.

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
    ready = [name for name in names if pd.api.types.is_float_dtype(joined.frame[name].dtype)]
    parsed: dict[str, NDArray[np.float64]] = {}
    for name in sorted(set(names) - set(ready)):
        series = column(joined.frame, name)
        values, bad = numbers(series)
        if not bad.any():
            parsed[name] = values
        elif block.prefix:
            found += joined.rows("E-VALUE-TEXT", name, bad, text_kinds(series, bad))
    table = cast("pd.DataFrame", joined.frame[ready])
    table = table.assign(**parsed) if parsed else table
    table = table.reindex(columns=sorted(str(name) for name in table.columns))
    matrix = table.to_numpy(dtype=np.float64)
    for at in np.flatnonzero((np.abs(matrix) >= LARGEST).any(axis=0)):
        found += joined.rows("E-VALUE-INF", str(table.columns[at]), np.abs(matrix[:, at]) >= LARGEST)
    useful = _useful(matrix, block.missing_limit)
    dropped = len(useful) - int(useful.sum())
    if dropped:
        found.append(joined.about("W-MARKERS-DROPPED", "", f"{dropped} of {len(useful)} in source {block.source}"))
    if not useful.any():
        found.append(joined.about("E-MARKERS-NONE", "", f"source {block.source}, prefix {block.prefix!r}"))
    return cast("pd.DataFrame", table.loc[:, useful]), tuple(found)


def _useful(matrix: NDArray[np.float64], missing_limit: float) -> NDArray[np.bool_]:
    """Markers (columns of n x p) with at least two different values and not too many missing ones."""
    known = np.isfinite(matrix)
    low = np.where(known, matrix, np.inf).min(axis=0, initial=np.inf)
    high = np.where(known, matrix, -np.inf).max(axis=0, initial=-np.inf)
    return (low < high) & (known.sum(axis=0) >= (1 - missing_limit) * len(matrix))
