"""Looks at tables and guesses what their columns are, each guess with its evidence; what cannot be known is asked.

Event codings are proposed only where the column names its own meaning (``0``/``1`` under ``event`` or ``death``,
``CNSR``, ``1:DECEASED``); anything else becomes a question: a swapped coding turns every result round in silence.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from trialstrat.cohort.columns import column, is_missing, numbers
from trialstrat.cohort.readers.registry import read_file
from trialstrat.cohort.readers.table import RawTable
from trialstrat.protocol.model import Source, TimeUnit

Role = Literal["id", "time", "event", "arm", "continuous", "categorical", "left out"]

_ID = re.compile(r"^(id|pid|.*(patient|subj|usubjid|sample|case).*|.*[_ ]id|row_?id)$", re.IGNORECASE)
_TIME = re.compile(r"(time|days|months|years|^os$|^pfs$|^rfs$|^dfs$|surv|follow|fu$|^aval$|duration)", re.IGNORECASE)
_EVENT = re.compile(r"(event|status|death|died|dead|relapse|recur|progress|^fustat$|^delta$|^e$|_d$)", re.IGNORECASE)
_CENSOR = re.compile(r"cens|^cnsr$", re.IGNORECASE)
_ARM = re.compile(r"^(arm|trt\w*|treat\w*|rx|tx|therapy|group|actarm|horth|randomi[sz]\w*)$", re.IGNORECASE)
_CONTROL = re.compile(r"^(placebo|control|ctrl|no|none|obs\w*|standard\w*|soc|0|false|p)$", re.IGNORECASE)
_UNITS: tuple[tuple[str, TimeUnit], ...] = (("day", "days"), ("week", "weeks"), ("month", "months"), ("year", "years"))
#: Pairs whose meaning is in the words themselves: (events, censored).
_WORDS: tuple[tuple[frozenset[str], str], ...] = (
    (frozenset({"yes", "no"}), "yes"),
    (frozenset({"true", "false"}), "true"),
    (frozenset({"dead", "alive"}), "dead"),
    (frozenset({"deceased", "living"}), "deceased"),
    (frozenset({"1", "0"}), "1"),
)
_FEW = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Guess:
    """What one column seems to be, and why."""

    column: str
    role: Role
    evidence: str
    levels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class EventGuess:
    """The proposed coding, or a question where the data do not say it."""

    column: str
    events: tuple[str, ...] = ()
    censored: tuple[str, ...] = ()
    style: Literal["explicit", "cnsr", "cbioportal"] = "explicit"
    evidence: str = ""
    question: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TableProposal:
    """One table with a guess for every column."""

    file: str
    rows: int
    guesses: tuple[Guess, ...]
    event: EventGuess | None
    time_unit: TimeUnit | None
    unit_evidence: str
    questions: tuple[str, ...] = field(default=())

    def first(self, role: Role) -> Guess | None:
        """The first column with this role."""
        return next((guess for guess in self.guesses if guess.role == role), None)

    def all(self, role: Role) -> tuple[Guess, ...]:
        """Every column with this role."""
        return tuple(guess for guess in self.guesses if guess.role == role)


def propose(paths: Sequence[Path]) -> tuple[TableProposal, ...]:
    """Read every table and guess the roles of its columns.

    Raises
    ------
    DataError
        A file cannot be read; holds every fault of that file.
    """
    return tuple(_propose(read_file(path, Source(name="table", file=path.name))) for path in paths)


def _propose(table: RawTable) -> TableProposal:
    frame = table.frame
    guesses: list[Guess] = []
    taken: set[Role] = set()
    for name in frame.columns:
        guess = _guess(str(name), column(frame, name), taken)
        taken.add(guess.role)
        guesses.append(guess)
    event = next((guess for guess in guesses if guess.role == "event"), None)
    time = next((guess for guess in guesses if guess.role == "time"), None)
    unit, why = _time_unit(time.column, column(frame, time.column)) if time else (None, "")
    coding = _event_coding(event.column, column(frame, event.column)) if event else None
    return TableProposal(
        file=table.file, rows=len(frame), guesses=tuple(guesses), event=coding, time_unit=unit, unit_evidence=why
    )


def _guess(name: str, series: pd.Series, taken: set[Role]) -> Guess:
    present = series[~is_missing(series)]
    distinct = sorted(set(present.astype(str)))
    values, bad = numbers(series)
    numeric = len(present) > 0 and not bad.any()
    if len(distinct) <= 1:
        return Guess(column=name, role="left out", evidence="one value only" if distinct else "no value")
    if "id" not in taken and _ID.match(name) and len(distinct) == len(series):
        return Guess(column=name, role="id", evidence="named like an id, a different value in every row")
    if "arm" not in taken and _ARM.match(name) and 2 <= len(distinct) <= 4:
        return Guess(
            column=name, role="arm", evidence=f"named like an arm, {len(distinct)} levels", levels=tuple(distinct)
        )
    eventful = _EVENT.search(name) or _CENSOR.search(name)
    if "event" not in taken and eventful and len(distinct) <= 3 and not (numeric and _TIME.search(name)):
        return Guess(column=name, role="event", evidence=f"named like an event, {len(distinct)} values")
    if "time" not in taken and numeric and _TIME.search(name) and len(distinct) > _FEW and np.nanmin(values) >= 0:
        return Guess(column=name, role="time", evidence="named like a time, numbers from 0 up")
    if numeric and len(distinct) > _FEW:
        return Guess(column=name, role="continuous", evidence=f"numbers, {len(distinct)} distinct")
    if len(distinct) <= _FEW:
        return Guess(column=name, role="categorical", evidence=f"{len(distinct)} levels", levels=tuple(distinct))
    return Guess(column=name, role="left out", evidence=f"text with {len(distinct)} distinct values")


def _event_coding(name: str, series: pd.Series) -> EventGuess:
    levels = sorted(set(series[~is_missing(series)].astype(str)))
    lowered = {level.lower(): level for level in levels}
    if name.upper() == "CNSR":
        return EventGuess(column=name, style="cnsr", evidence="CNSR of ADaM: 0 is the event, 1 and above censored")
    if all(re.fullmatch(r"[01]:.*", level) for level in levels):
        return EventGuess(column=name, style="cbioportal", evidence="cBioPortal: 1:... is the event")
    if _CENSOR.search(name):
        return EventGuess(
            column=name, question=f"{name} holds {' and '.join(levels)}: which value means that the event happened?"
        )
    for words, event in _WORDS:
        if set(lowered) == words:
            other = next(iter(words - {event}))
            return EventGuess(
                column=name,
                events=(lowered[event],),
                censored=(lowered[other],),
                evidence=f"{name} is named like an event and holds {' and '.join(levels)}",
            )
    return EventGuess(
        column=name, question=f"{name} holds {', '.join(levels[:5])}: which of these values are events, which censored?"
    )


def _time_unit(name: str, series: pd.Series) -> tuple[TimeUnit | None, str]:
    for part, unit in _UNITS:
        if part in name.lower():
            return unit, f"the column is named {name}"
    values, _ = numbers(series)
    if float(np.nanmedian(values)) > 200:  # no trial follows half of its patients for 200 weeks, months or years
        return "days", "half of the values are above 200"
    return None, ""


def control_of(levels: Sequence[str]) -> str | None:
    """The level that names itself a control, None when none or several do."""
    found = [level for level in levels if _CONTROL.match(level)]
    return found[0] if len(found) == 1 else None
