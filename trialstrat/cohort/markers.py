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


def read_markers(block: MarkerBlock, joined: Joined, used: set[str]) -> tuple[pd.DataFrame, tuple[Finding, ...]]:
    """The numeric markers of a block (n x p, float64), in column-name order.

    With a prefix every column of that name must be numeric; without one the numeric columns that nothing else
    uses are taken. Constant markers and those above ``missing_limit`` are left out and counted.
    """
    prefixed = bool(block.prefix)
    names = [
        name
        for name in joined.columns.get(block.source, ())
        if name.startswith(block.prefix) and name not in block.exclude and (prefixed or name not in used)
    ]
    found = gene_findings(names, joined.files[block.source])
    words = [name for name in names if not pd.api.types.is_float_dtype(joined.frame[name].dtype)]
    for name in words if prefixed else ():
        parsed, bad = numbers(column(joined.frame, name))
        found += joined.rows("E-VALUE-TEXT", name, bad, text_kinds(column(joined.frame, name), bad))
        found += joined.rows("E-VALUE-INF", name, np.isinf(parsed))
    numeric = sorted(set(names) - set(words))
    values = cast("pd.DataFrame", joined.frame[numeric])
    matrix = values.to_numpy(dtype=np.float64)
    for name, huge in zip(numeric, (np.abs(matrix) >= LARGEST).T, strict=True):
        found += joined.rows("E-VALUE-INF", name, huge) if huge.any() else ()
    useful = _useful(matrix, block.missing_limit)
    dropped = len(numeric) - int(useful.sum())
    if dropped:
        found.append(joined.about("W-MARKERS-DROPPED", "", f"{dropped} of {len(names)} in source {block.source}"))
    if not useful.any():
        found.append(joined.about("E-MARKERS-NONE", "", f"source {block.source}, prefix {block.prefix!r}"))
    return cast("pd.DataFrame", values.loc[:, useful]), tuple(found)


def _useful(matrix: NDArray[np.float64], missing_limit: float) -> NDArray[np.bool_]:
    """Markers (columns of n x p) with at least two different values and not too many missing ones."""
    known = np.isfinite(matrix)
    low = np.where(known, matrix, np.inf).min(axis=0, initial=np.inf)
    high = np.where(known, matrix, -np.inf).max(axis=0, initial=-np.inf)
    return (low < high) & (known.sum(axis=0) >= (1 - missing_limit) * len(matrix))
