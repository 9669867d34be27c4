"""Recognises analysis data sets of a submission (ADaM): subjects (ADSL) and times to event (ADTTE).

What is found is described with its evidence; nothing is chosen where the data leave a choice, it is asked.

References
----------
CDISC. Analysis Data Model Implementation Guide, version 1.3, 2021; ADaM Basic Data Structure for Time-to-Event
Analyses, version 1.0, 2012 (CNSR: 0 is the event, 1 and above are kinds of censoring).
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from trialstrat.cohort.readers.table import RawTable, floats_of_text
from trialstrat.protocol.model import TimeUnit

_FLAG = re.compile(r"(?:[A-Z0-9]+)FL$")
_STRATUM = re.compile(r"STRATA?\d*[A-Z]?|STRAT\d+[A-Z]*|STRATA[RV]\d*")
#: Planned before actual treatment: efficacy is analysed as randomised.
_ARMS = ("TRT01P", "TRTP", "ARM", "TRT01A", "TRTA", "ACTARM")
_POPULATIONS = ("ITTFL", "FASFL", "RANDFL", "SAFFL", "EFFFL", "PPROTFL")
_UNITS: dict[str, TimeUnit] = {
    "DAY": "days", "DAYS": "days", "WEEK": "weeks", "WEEKS": "weeks", "MONTH": "months", "MONTHS": "months",
    "YEAR": "years", "YEARS": "years",
}  # fmt: skip
_SAS_EPOCH = dt.date(1960, 1, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class AdamParameter:
    """One endpoint of ADTTE: a value of PARAMCD. ``unit`` is None where nothing says it."""

    code: str
    label: str
    patients: int
    rows: int
    events: int
    censored: int
    unit: TimeUnit | None
    unit_evidence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AdamFlag:
    """A population flag: how many of the rows of ADSL carry ``Y``."""

    column: str
    label: str
    yes: int
    rows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Adam:
    """What a submission's analysis data sets hold, in the words of a protocol.

    ``adsl`` and ``adtte`` are the files (empty when absent), ``id`` the subject column, ``arm`` the planned treatment
    with its levels and, where ``TRT01PN`` or the like gives an order, in that order. Event coding is always
    ``style: cnsr``. ``questions`` are what only people can decide.
    """

    adsl: str
    adtte: str
    id: str
    arm: str
    arm_levels: tuple[str, ...]
    arm_evidence: str
    strata: tuple[str, ...]
    flags: tuple[AdamFlag, ...]
    parameters: tuple[AdamParameter, ...]
    questions: tuple[str, ...]


def is_adsl(table: RawTable) -> bool:
    """One row per USUBJID with a treatment, and no analysis parameter."""
    names = {str(name).upper() for name in table.frame.columns}
    if "USUBJID" not in names or "PARAMCD" in names or not names & set(_ARMS):
        return False
    ids = texts(table, "USUBJID")
    return len(set(ids)) == len(ids)


def is_adtte(table: RawTable) -> bool:
    """Rows of an analysis parameter with a time and a censoring code."""
    names = {str(name).upper() for name in table.frame.columns}
    return {"USUBJID", "PARAMCD", "AVAL", "CNSR"} <= names


def describe_adam(tables: Sequence[RawTable]) -> Adam | None:
    """Describe the first ADSL and the first ADTTE among ``tables``; None when there is no ADTTE."""
    adtte = next((table for table in tables if is_adtte(table)), None)
    if adtte is None:
        return None
    adsl = next((table for table in tables if is_adsl(table)), None)
    subjects = adsl or adtte
    arm = next((name for name in _ARMS if _has(subjects, name)), "")
    parameters = tuple(_parameter(adtte, code) for code in sorted(set(texts(adtte, "PARAMCD")) - {""}))
    flags = _flags(subjects)
    return Adam(
        adsl=adsl.file if adsl else "",
        adtte=adtte.file,
        id="USUBJID",
        arm=arm,
        arm_levels=_levels(subjects, arm) if arm else (),
        arm_evidence=_arm_evidence(arm),
        strata=tuple(str(name) for name in subjects.frame.columns if _STRATUM.fullmatch(str(name).upper())),
        flags=flags,
        parameters=parameters,
        questions=_questions(adsl, adtte, arm, parameters, flags),
    )


def texts(table: RawTable, name: str) -> NDArray[np.object_]:
    """A column as trimmed text, empty where missing; the name in any case."""
    at = [str(column).upper() for column in table.frame.columns].index(name)
    cells = table.frame.iloc[:, at].to_numpy(object, na_value="")
    return np.array([str(cell).strip() for cell in cells], dtype=object)


def _has(table: RawTable, name: str) -> bool:
    return name in {str(column).upper() for column in table.frame.columns}


def _levels(table: RawTable, arm: str) -> tuple[str, ...]:
    """The arms, in the order of their numeric twin where there is one."""
    values = texts(table, arm)
    found = sorted(set(values) - {""})
    if not _has(table, f"{arm}N"):
        return tuple(found)
    order = dict(zip(values, _numbers(table, f"{arm}N"), strict=True))
    return tuple(sorted(found, key=lambda level: (order[level], level)))


def _numbers(table: RawTable, name: str) -> NDArray[np.float64]:
    values = floats_of_text(pd.Series(texts(table, name), dtype="string"))
    return np.full(len(table.lines), np.nan) if values is None else values


def _arm_evidence(arm: str) -> str:
    if not arm:
        return "no treatment column"
    return f"{arm}: {'planned treatment' if arm in ('TRT01P', 'TRTP', 'ARM') else 'actual treatment; no planned one'}"


def _flags(table: RawTable) -> tuple[AdamFlag, ...]:
    """Population flags, those that usually define the analysis first."""
    found = [str(name) for name in table.frame.columns if _FLAG.fullmatch(str(name).upper())]
    rank = {name: at for at, name in enumerate(_POPULATIONS)}
    found.sort(key=lambda name: rank.get(name.upper(), len(rank)))
    flags = []
    for name in found:
        values = texts(table, name.upper())
        if set(values) <= {"Y", "N", ""}:
            yes = int((values == "Y").sum())
            flags.append(AdamFlag(column=name, label=table.labels.get(name, ""), yes=yes, rows=len(values)))
    return tuple(flags)


def _parameter(table: RawTable, code: str) -> AdamParameter:
    mine = texts(table, "PARAMCD") == code
    censor = _numbers(table, "CNSR")[mine]
    ids = texts(table, "USUBJID")[mine]
    label = next(iter(texts(table, "PARAM")[mine]), "") if _has(table, "PARAM") else ""
    unit, evidence = _unit(table, mine, label)
    return AdamParameter(
        code=code,
        label=label or code,
        patients=len(set(ids)),
        rows=int(mine.sum()),
        events=int((censor == 0).sum()),
        censored=int((censor > 0).sum()),
        unit=unit,
        unit_evidence=evidence,
    )


def _unit(table: RawTable, mine: NDArray[np.bool_], label: str) -> tuple[TimeUnit | None, str]:
    """From AVALU, else from the dates (days count from 1), else from the parameter's words."""
    if _has(table, "AVALU"):
        named = set(texts(table, "AVALU")[mine]) - {""}
        units: set[TimeUnit] = {_UNITS[name.upper()] for name in named if name.upper() in _UNITS}
        if len(units) == 1 and all(name.upper() in _UNITS for name in named):
            unit = units.pop()
            return unit, f"AVALU says {unit}"
    if _has(table, "STARTDT") and _has(table, "ADT"):
        days = _days(texts(table, "ADT")[mine]) - _days(texts(table, "STARTDT")[mine])
        value = _numbers(table, "AVAL")[mine]
        known = ~np.isnan(days) & ~np.isnan(value)
        if known.any() and (value[known] == days[known] + 1).all():
            return "days", "AVAL = ADT - STARTDT + 1 in every row"
        if known.any() and (value[known] == days[known]).all():
            return "days", "AVAL = ADT - STARTDT in every row"
    word = re.search(r"\b(day|week|month|year)s?\b", label, re.IGNORECASE)
    if word is None:
        return None, ""
    return _UNITS[word[1].upper()], "named in PARAM"


def _days(cells: NDArray[np.object_]) -> NDArray[np.float64]:
    """Days since 1960 from ISO dates or SAS day numbers; nan for anything else."""
    out = np.full(len(cells), np.nan)
    for at, cell in enumerate(cells):
        if re.fullmatch(r"\d{4}-\d{2}-\d{2}.*", cell):
            try:
                out[at] = (dt.date.fromisoformat(cell[:10]) - _SAS_EPOCH).days
            except ValueError:
                continue
        elif re.fullmatch(r"-?\d+(\.0+)?", cell):
            out[at] = float(cell)
    return out


def _questions(
    adsl: RawTable | None,
    adtte: RawTable,
    arm: str,
    parameters: Sequence[AdamParameter],
    flags: Sequence[AdamFlag],
) -> tuple[str, ...]:
    asked = []
    if adsl is None:
        asked.append("No ADSL (one row per USUBJID): where are the baseline variables?")
    if not arm:
        asked.append("No planned treatment (TRT01P): which column holds the arm?")
    if len(parameters) > 1:
        asked.append(f"PARAMCD holds {', '.join(entry.code for entry in parameters)}: which is the primary endpoint?")
    for entry in parameters:
        if entry.rows > entry.patients:
            asked.append(f"{entry.code} has {entry.rows} rows for {entry.patients} patients: which row counts?")
        if entry.unit is None:
            asked.append(f"{entry.code}: in which unit is AVAL? There is no AVALU.")
        if entry.events + entry.censored < entry.rows:
            missing = entry.rows - entry.events - entry.censored
            asked.append(f"{entry.code}: {missing} rows without CNSR: what are they?")
    if adsl is not None:
        strangers = len(set(texts(adtte, "USUBJID")) - set(texts(adsl, "USUBJID")))
        if strangers:
            asked.append(f"{strangers} patients of ADTTE are not in ADSL: why?")
    partial = [flag for flag in flags if flag.column.upper() in _POPULATIONS and flag.yes < flag.rows]
    if partial:
        shown = ", ".join(f"{flag.column} ({flag.yes} of {flag.rows})" for flag in partial)
        asked.append(f"Which population is analysed? {shown}")
    return tuple(asked)
