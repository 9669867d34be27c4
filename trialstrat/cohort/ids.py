"""Declared normalisation of patient and sample ids: how two files write one patient in one way.

References
----------
National Cancer Institute, Genomic Data Commons. TCGA Barcode: project, tissue source site and participant are the
patient (TCGA-02-0001), the two digits of the sample type make it a sample (TCGA-02-0001-01).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from trialstrat.protocol.language.schema import IdRule

_TCGA = re.compile(r"([A-Za-z]+-[A-Za-z0-9]{2}-[A-Za-z0-9]{4})(?:-(\d{2}))?(?:[A-Za-z]?)(?:-.*)?")

_RULES: dict[IdRule, Callable[[str], str]] = {
    "trim": str.strip,
    "upper": str.upper,
    "lower": str.lower,
    "dots_to_dashes": lambda text: text.replace(".", "-"),
    "tcga_patient": lambda text: _tcga(text, sample=False),
    "tcga_sample": lambda text: _tcga(text, sample=True),
}
#: Rules that name the patient of a sample; they are not applied to the samples of a table that has both.
_OF_PATIENTS = ("tcga_patient",)


def normalised(texts: Iterable[str | None], rules: Sequence[IdRule]) -> NDArray[np.object_]:
    """(n,) ids after the rules in their order; None and blank stay as they are.

    A barcode rule leaves an id that is no TCGA barcode as it is: it then matches nothing and is counted as unmatched.
    """
    cells = list(texts)
    if not rules:
        return np.array(cells, dtype=object)
    known = {cell for cell in cells if cell is not None and cell.strip()}
    new = {text: _applied(text, rules) for text in known}
    return np.array([cell if cell is None else new.get(cell, cell) for cell in cells], dtype=object)


def sample_rules(rules: Sequence[IdRule]) -> tuple[IdRule, ...]:
    """The rules that also hold for sample ids in a table of samples and their patients."""
    return tuple(rule for rule in rules if rule not in _OF_PATIENTS)


def _applied(text: str, rules: Sequence[IdRule]) -> str:
    for rule in rules:
        text = _RULES[rule](text)
    return text


def _tcga(text: str, *, sample: bool) -> str:
    match = _TCGA.fullmatch(text.strip())
    if match is None or (sample and match[2] is None):
        return text
    return f"{match[1]}-{match[2]}" if sample else match[1]
