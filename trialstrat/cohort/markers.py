"""Blocks of many numeric markers."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from trialstrat.cohort.columns import LARGEST, column, numbers
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
    values: dict[str, NDArray[np.float64]] = {}
    dropped = 0
    for name in sorted(names):
        parsed, bad = numbers(column(joined.frame, name))
        if bad.any() and not prefixed:
            continue
        found += joined.rows("E-VALUE-TEXT", name, bad)
        found += joined.rows("E-VALUE-INF", name, np.abs(parsed) >= LARGEST)
        known = parsed[np.isfinite(parsed)]
        if len(known) < (1 - block.missing_limit) * len(parsed) or not len(known) or (known == known[0]).all():
            dropped += 1
        else:
            values[name] = parsed
    if dropped:
        found.append(joined.about("W-MARKERS-DROPPED", "", f"{dropped} of {len(names)} in source {block.source}"))
    if not values:
        found.append(joined.about("E-MARKERS-NONE", "", f"source {block.source}, prefix {block.prefix!r}"))
    return pd.DataFrame(values, index=joined.frame.index), tuple(found)
