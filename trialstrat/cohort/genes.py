"""Gene symbols that spreadsheets or renaming have spoiled.

References
----------
Ziemann M, Eren Y, El-Osta A. Gene name errors are widespread in the scientific literature. Genome Biol 2016;17:177.
Bruford EA, et al. Guidelines for human gene nomenclature. Nat Genet 2020;52:754-758 (the renamed symbols).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from trialstrat.cohort.rules import finding, visible
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
