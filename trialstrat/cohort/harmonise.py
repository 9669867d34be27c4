"""Columns brought to one unit or to ISO dates: from a declared unit or format, or from the unit of each row."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from trialstrat.cohort.columns import as_text, column, is_missing, number, numbers
from trialstrat.cohort.readers.table import number_text, text_frame
from trialstrat.cohort.rules import finding, rows_finding, visible
from trialstrat.errors import InvalidInputError
from trialstrat.protocol.model import Source
from trialstrat.protocol.source_model import DateFormat, UnitRule
from trialstrat.protocol.ucum import convert
from trialstrat.results import Finding

_DAY, _MONTH, _NAMED, _YEAR = (
    r"(?P<day>\d{1,2})",
    r"(?P<month>\d{1,2})",
    r"(?P<month>[^\W\d_]{3,9})",
    r"(?P<year>\d{4})",
)
_DATE_FORMS: Mapping[DateFormat, re.Pattern[str]] = {
    "DD.MM.YYYY": re.compile(rf"{_DAY}\.{_MONTH}\.{_YEAR}"),
    "DD/MM/YYYY": re.compile(rf"{_DAY}/{_MONTH}/{_YEAR}"),
    "MM/DD/YYYY": re.compile(rf"{_MONTH}/{_DAY}/{_YEAR}"),
    "YYYY/MM/DD": re.compile(rf"{_YEAR}/{_MONTH}/{_DAY}"),
    "YYYYMMDD": re.compile(r"(?P<year>\d{4})(?P<month>\d{2})(?P<day>\d{2})"),
    "DD-MMM-YYYY": re.compile(rf"{_DAY}-{_NAMED}\.?-{_YEAR}"),
    "DDMMMYYYY": re.compile(rf"{_DAY}{_NAMED}{_YEAR}"),
}
_ENGLISH = "jan feb mar apr may jun jul aug sep oct nov dec"
_GERMAN = "jan feb mär apr mai jun jul aug sep okt nov dez"
_MONTHS = {name: at for names in (_ENGLISH, _GERMAN) for at, name in enumerate(names.split(), start=1)} | {"mrz": 3}


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


def in_dates(
    source: Source, frame: pd.DataFrame, lines: NDArray[np.int64], file: str
) -> tuple[pd.DataFrame, list[Finding]]:
    """The frame with the declared columns as ISO dates. What is no date of the declared format is a fault."""
    findings: list[Finding] = []
    out = frame
    for name, form in source.dates.items():
        if name not in frame.columns:
            continue
        series = column(frame, name)
        absent = is_missing(series) | series.isin(list(source.missing)).to_numpy(dtype=bool)
        codes, distinct = pd.factorize(as_text(series))
        iso = np.array([*(_iso(str(text).strip(), form) for text in distinct), None], dtype=object)[codes]
        bad = np.array([day is None for day in iso], dtype=bool) & ~absent
        findings += rows_finding("E-DATE-FORMAT", bad, lines, source=file, column=name, detail=f"declared as {form}")
        cells = np.where(absent, series.to_numpy(dtype=object, na_value=None), iso)
        out = out.assign(**{name: column(text_frame(["x"], [list(cells)]), "x").array})
    return out, findings


def _iso(text: str, form: DateFormat) -> str | None:
    """An ISO date, None for a text of another form or a day that does not exist."""
    found = _DATE_FORMS[form].fullmatch(text)
    if found is None:
        return None
    month = found["month"]
    number_of = int(month) if month.isdigit() else _MONTHS.get(month[:3].casefold(), 0)
    try:
        return dt.date(int(found["year"]), number_of, int(found["day"])).isoformat()
    except ValueError:
        return None


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
