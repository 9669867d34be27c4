"""Columns brought to one unit: from a declared unit, or from the unit that stands in each row."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from trialstrat.cohort.columns import as_text, column, is_missing, number, numbers
from trialstrat.cohort.readers.table import number_text, text_frame
from trialstrat.cohort.rules import finding, rows_finding, visible
from trialstrat.errors import InvalidInputError
from trialstrat.protocol.model import Source
from trialstrat.protocol.source_model import UnitRule
from trialstrat.protocol.ucum import convert
from trialstrat.results import Finding


def in_units(
    source: Source, frame: pd.DataFrame, lines: NDArray[np.int64], file: str
) -> tuple[pd.DataFrame, list[Finding]]:
    """The frame with the declared columns converted. A value without a known unit is a fault, never kept as it is."""
    findings: list[Finding] = []
    out = frame
    for name, rule in source.units.items():
        if name not in frame.columns or (rule.unit_column is not None and rule.unit_column not in frame.columns):
            continue
        converted, found = _converted(column(frame, name), rule, frame, lines, (file, name), source.missing)
        findings += found
        if converted is not None:
            out = out.assign(**{name: converted.array})
    return out, findings


def _converted(
    series: pd.Series,
    rule: UnitRule,
    frame: pd.DataFrame,
    lines: NDArray[np.int64],
    place: tuple[str, str],
    missing: Sequence[str],
) -> tuple[pd.Series | None, list[Finding]]:
    file, name = place
    values, bad = numbers(series)
    codes = [value for code in missing if (value := number(code)) is not None]
    known = ~is_missing(series) & ~bad & ~np.isin(values, codes)
    units = _units(rule, frame, len(series))
    factors = {unit: _factor(unit, rule) for unit in dict.fromkeys(units[known])}
    lost = known & np.array([factors.get(unit) is None for unit in units], dtype=bool)
    if lost.any():
        detail = ", ".join(visible(unit) or "(none)" for unit, factor in factors.items() if factor is None)
        detail = f"{detail} to {rule.to}"
        return None, list(rows_finding("E-UNIT-UNKNOWN", lost, lines, source=file, column=name, detail=detail))
    cells = [None if gone else str(cell) for cell, gone in zip(as_text(series), is_missing(series), strict=True)]
    changed = 0
    for at in np.flatnonzero(known):
        factor = factors[units[at]]
        if factor is not None and factor != 1.0:
            # fifteen digits: a product of powers of ten carries rounding in its last digit
            cells[at] = number_text(float(f"{values[at] * factor:.15g}"))
            changed += 1
    said = [
        finding("I-UNIT-CONVERTED", source=file, column=name, detail=f"to {rule.to}", bad=changed, total=len(cells))
    ]
    return column(text_frame(["x"], [cells]), "x"), said if changed else []


def _units(rule: UnitRule, frame: pd.DataFrame, rows: int) -> NDArray[np.object_]:
    """(n,) UCUM code of each row, empty where the row names none."""
    if rule.unit_column is None:
        return np.full(rows, rule.unit, dtype=object)
    cells = column(frame, rule.unit_column)
    absent = is_missing(cells)
    texts = ["" if gone else str(cell).strip() for cell, gone in zip(as_text(cells), absent, strict=True)]
    return np.array([rule.codes.get(text, text) for text in texts], dtype=object)


def _factor(unit: str, rule: UnitRule) -> float | None:
    if not unit:
        return None
    try:
        return convert(1.0, unit, rule.to, rule.analyte)
    except InvalidInputError:
        return None
