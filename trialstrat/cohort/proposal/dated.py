"""Endpoints that are written as dates: a start, a last contact, and the date of an event that is empty without one."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from trialstrat.cohort.proposal.coding import EventGuess
from trialstrat.cohort.proposal.endpoints import EndpointGuess
from trialstrat.cohort.proposal.facts import Facts
from trialstrat.protocol.source_model import DateFormat

_DEATH = re.compile(r"death|died|deceas|dth|dod|tod|todes|sterbe|verst", re.IGNORECASE)
_LAST = re.compile(r"last|lst|contact|follow|fup|letzt|kontakt|nachsorge|end", re.IGNORECASE)
_START = re.compile(r"diag|random|enrol|start|incl|einschlu|beginn|baseline|index|erst", re.IGNORECASE)
#: Share of the rows that a last contact or a start must have, and the most that may have an event of their own.
_MOSTLY, _EVENTS = 0.8, 0.98
_MONTHS = "jan|feb|mar|mär|mrz|apr|may|mai|jun|jul|aug|sep|oct|okt|nov|dec|dez"
_FORMS: tuple[tuple[DateFormat, re.Pattern[str]], ...] = (
    ("DD.MM.YYYY", re.compile(r"\d{1,2}\.\d{1,2}\.\d{4}")),
    ("YYYY/MM/DD", re.compile(r"\d{4}/\d{1,2}/\d{1,2}")),
    ("DD-MMM-YYYY", re.compile(rf"\d{{1,2}}-(?:{_MONTHS})\w*-\d{{4}}", re.IGNORECASE)),
    ("DDMMMYYYY", re.compile(rf"\d{{1,2}}(?:{_MONTHS})\d{{4}}", re.IGNORECASE)),
)
_SLASHES = re.compile(r"(\d{1,2})/(\d{1,2})/\d{4}")


def dated_endpoint(columns: Sequence[Facts], patients: int) -> EndpointGuess | None:
    """Survival from dates, where three columns of dates (of one table or several) are named for it."""
    dates = [facts for facts in columns if facts.dates]
    known = {facts.name: int((~facts.missing).sum()) / max(1, patients) for facts in dates}
    event = next((facts for facts in dates if _DEATH.search(facts.name) and known[facts.name] < _EVENTS), None)
    full = [facts for facts in dates if known[facts.name] >= _MOSTLY and facts is not event]
    last = next((facts for facts in full if _LAST.search(facts.name) and not _START.search(facts.name)), None)
    start = next((facts for facts in full if _START.search(facts.name) and facts is not last), None)
    if event is None or last is None or start is None:
        return None
    lost = int((start.missing | (last.missing & event.missing)).sum()) if _same_rows(start, last, event) else 0
    rules = [("missing_outcome", "drop", f"{lost} rows have no start or no end")] if lost else []
    return EndpointGuess(
        name="os",
        label="Overall survival",
        time="",
        time_evidence=f"{start.name} and {last.name} hold dates in nearly every row",
        event=EventGuess(
            column=event.name,
            style="dated",
            known=True,
            evidence=f"a date in {int((~event.missing).sum())} rows, empty in the others",
        ),
        unit="days",
        unit_evidence="days between dates",
        rules=(*rules, ("zero_time", "half_day", "an event on the first day counts as half a day")),
        start=start.name,
        end=last.name,
    )


def date_format(facts: Facts) -> DateFormat | str | None:
    """The format of a column of dates: None for ISO dates; empty where nothing says which number is the month."""
    texts = [str(text).strip() for text in np.unique(facts.text[~facts.missing].astype(str))]
    for name, form in _FORMS:
        if texts and all(form.fullmatch(text) for text in texts):
            return name
    parts = [found for found in map(_SLASHES.fullmatch, texts) if found]
    if len(parts) < len(texts) or not parts:
        return None
    first, second = max(int(found[1]) for found in parts), max(int(found[2]) for found in parts)
    return "DD/MM/YYYY" if first > 12 >= second else "MM/DD/YYYY" if second > 12 >= first else ""


def _same_rows(*columns: Facts) -> bool:
    return len({len(facts.missing) for facts in columns}) == 1
