"""Blocks of many numeric markers, and gene symbols that spreadsheets or renaming have spoiled."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from trialstrat.cohort.columns import LARGEST, column, numbers
from trialstrat.cohort.integrate import Joined
from trialstrat.cohort.rules import finding, visible
from trialstrat.protocol.model import MarkerBlock
from trialstrat.results import Finding

_MONTHS = "jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec|mär|mai|okt|dez"
_GENE_DATE = re.compile(
    rf"(\d{{1,2}}-({_MONTHS})|({_MONTHS})-\d{{1,2}}|\d{{4}}-\d{{2}}-\d{{2}}.*|[34]\d{{4}})", re.IGNORECASE
)
_RENAMED = {
    **{f"SEPT{at}": f"SEPTIN{at}" for at in range(1, 15)},
    **{f"MARCH{at}": f"MARCHF{at}" for at in range(1, 12)},
    "MARC1": "MTARC1",
    "MARC2": "MTARC2",
    "DEC1": "DELEC1",
}


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


def gene_findings(names: Sequence[str], file: str) -> list[Finding]:
    """Gene symbols that a spreadsheet turned into dates, and old and new symbols of one gene side by side."""
    dates = [name for name in names if _GENE_DATE.fullmatch(name)]
    found = []
    if dates:
        detail = ", ".join(visible(name) for name in dict.fromkeys(dates))
        found.append(finding("E-GENE-DATE", source=file, detail=detail, bad=len(dates), total=len(names)))
    present = set(names)
    found += [
        finding("E-GENE-ALIAS", source=file, column=old, detail=f"{old} and {new}")
        for old, new in _RENAMED.items()
        if old in present and new in present
    ]
    return found
