"""Endpoints as declared: times, events and their rules. Nothing is guessed; what is dropped is a counted step."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from trialstrat.cohort.cohort import Outcome
from trialstrat.cohort.columns import (
    MISSING,
    UNMATCHED,
    by_level,
    column,
    common_levels,
    is_missing,
    match,
    number,
    numbers,
)
from trialstrat.cohort.integrate import Joined
from trialstrat.cohort.times import days_between, unit_findings
from trialstrat.protocol.model import Endpoint, EventCoding
from trialstrat.protocol.units import DAYS
from trialstrat.results import Finding

Mask = NDArray[np.bool_]
_DATE = re.compile(
    r"\s*(\d{4}-\d{1,2}(-\d{1,2})?([T ].*)?|\d{1,2}[./-]\d{1,2}[./-]\d{2,4}|\d{1,2}-?[A-Za-z]{3}-?\d{2,4})\s*"
)
_CBIOPORTAL = re.compile(r"([01]):.*")
#: Longest follow-up believed without a declared maximum, in years.
LONGEST_YEARS = 100.0
CNSR = "CNSR"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OutcomeRead:
    """An endpoint of every joined row; ``drops`` are (step id, text, rows) that the protocol says to leave out."""

    outcome: Outcome
    drops: tuple[tuple[str, str, Mask], ...]
    findings: tuple[Finding, ...]


def read_outcome(endpoint: Endpoint, joined: Joined, data_cut: str) -> OutcomeRead:
    """Read one endpoint for every row of the joined table; columns must be present."""
    if endpoint.kind in ("time_to_event", "competing"):
        return _read_times(endpoint, joined, data_cut)
    return _read_value(endpoint, joined)


def _read_times(endpoint: Endpoint, joined: Joined, data_cut: str) -> OutcomeRead:
    coding = endpoint.event
    unit = endpoint.unit
    if coding is None or unit is None:
        raise ValueError("a timed endpoint has event: and unit:")
    name, time, missing, findings = _time(endpoint, _until_events(endpoint, coding, joined), data_cut)
    event, unlabelled, event_findings = read_events(coding, joined)
    findings += event_findings
    limit = endpoint.maximum or LONGEST_YEARS * DAYS["years"] / DAYS[unit]
    with np.errstate(invalid="ignore"):
        negative, above = time < 0, (time > limit) & np.isfinite(time)
    unit_faults = unit_findings(time, unit, joined, name)
    findings += unit_faults
    if not any(entry.severity == "error" for entry in unit_faults):
        findings += joined.rows("E-TIME-MAX", name, above, f"{limit:g} {unit}")
    drops: list[tuple[str, str, Mask]] = []
    if endpoint.negative_time == "drop":
        drops.append((f"{endpoint.name}.negative_time", f"{endpoint.label}: time < 0, dropped as declared", negative))
        findings += joined.rows("W-TIME-DROPPED", name, negative, "time < 0")
    else:
        findings += joined.rows("E-TIME-NEG", name, negative)
    time = _zero_times(endpoint, joined, name, time, event, drops, findings)
    _missing_outcomes(endpoint, joined, name, coding, missing, unlabelled, drops, findings)
    entry = _entry(endpoint, joined, time, findings)
    outcome = Outcome(name=endpoint.name, time=time, event=event, entry=entry)
    return OutcomeRead(outcome=outcome, drops=tuple(drops), findings=tuple(findings))


def _until_events(endpoint: Endpoint, coding: EventCoding, joined: Joined) -> Joined:
    """Where the event has a date of its own, follow-up ends there, and at ``end:`` for everybody else."""
    if coding.style != "dated" or endpoint.end is None:
        return joined
    events, last = column(joined.frame, coding.column), column(joined.frame, endpoint.end)
    until = last.where(is_missing(events), events)
    return replace(joined, frame=joined.frame.assign(**{endpoint.end: until}))


def _time(endpoint: Endpoint, joined: Joined, data_cut: str) -> tuple[str, NDArray[np.float64], Mask, list[Finding]]:
    """Column name for messages, times in the declared unit, missing times, findings."""
    if endpoint.time is None:
        name = endpoint.end or ""
        time, missing, findings = days_between(endpoint.start or "", name, joined, data_cut)
        return name, time / DAYS[endpoint.unit or "days"], missing, findings
    name = endpoint.time
    series = column(joined.frame, name)
    missing = is_missing(series)
    infinite = by_level(series, lambda text: int(text.strip().lstrip("+-").lower() in ("inf", "infinity"))) == 1
    values, bad = numbers(series)
    infinite |= np.isinf(values)
    values[infinite] = np.nan
    bad &= ~infinite
    dates = bad & (by_level(series, lambda text: int(_DATE.fullmatch(text) is not None)) == 1)
    findings = [
        *joined.rows("E-TIME-DATE", name, dates),
        *joined.rows("E-TIME-TEXT", name, bad & ~dates),
        *joined.rows("E-TIME-INF", name, infinite),
    ]
    return name, values, missing, findings


def _zero_times(
    endpoint: Endpoint,
    joined: Joined,
    name: str,
    time: NDArray[np.float64],
    event: NDArray[np.int64],
    drops: list[tuple[str, str, Mask]],
    findings: list[Finding],
) -> NDArray[np.float64]:
    """Times of 0 by the declared rule; returns the times."""
    zero = time == 0
    if endpoint.zero_time == "refuse":
        findings += joined.rows("E-TIME-ZERO", name, zero & (event > 0))
        findings += joined.rows("W-TIME-ZERO", name, zero & (event <= 0))
    elif endpoint.zero_time == "drop":
        drops.append((f"{endpoint.name}.zero_time", f"{endpoint.label}: time 0, dropped as declared", zero))
        findings += joined.rows("W-TIME-DROPPED", name, zero, "time 0")
    elif endpoint.zero_time == "half_day":
        findings += joined.rows("I-TIME-HALF-DAY", name, zero)
        return np.where(zero, 0.5 / DAYS[endpoint.unit or "days"], time)
    return time


def _missing_outcomes(
    endpoint: Endpoint,
    joined: Joined,
    name: str,
    coding: EventCoding,
    no_time: Mask,
    no_event: Mask,
    drops: list[tuple[str, str, Mask]],
    findings: list[Finding],
) -> None:
    if endpoint.missing_outcome == "drop":
        missing = no_time | no_event
        text = f"{endpoint.label}: time or event missing, dropped as declared"
        drops.append((f"{endpoint.name}.missing", text, missing))
        findings += joined.rows("W-TIME-DROPPED", name, missing, "time or event missing")
        return
    findings += joined.rows("E-TIME-MISSING", name, no_time)
    findings += joined.rows("E-EVENT-MISSING", coding.column, no_event)


def _entry(
    endpoint: Endpoint, joined: Joined, time: NDArray[np.float64], findings: list[Finding]
) -> NDArray[np.float64] | None:
    if endpoint.entry is None:
        return None
    values, bad = numbers(column(joined.frame, endpoint.entry))
    bad |= ~np.isfinite(values) | (values < 0)
    findings += joined.rows("E-ENTRY-TEXT", endpoint.entry, bad, "missing, negative or no number")
    with np.errstate(invalid="ignore"):
        late = values >= time
    findings += joined.rows("E-ENTRY-EXIT", endpoint.entry, late, f"compared with {endpoint.time or endpoint.end}")
    return values


def read_events(coding: EventCoding, joined: Joined) -> tuple[NDArray[np.int64], Mask, list[Finding]]:
    """Events (n,): 0 censored, 1..k causes, -1 where missing or unknown; rows without a code; findings."""
    series = column(joined.frame, coding.column)
    missing = is_missing(series)
    if coding.style == "dated":
        return (~missing).astype(np.int64), np.zeros(len(missing), dtype=np.bool_), []
    codes = event_codes(coding, series)
    unknown = codes == UNMATCHED
    findings: list[Finding] = []
    if unknown.any():
        detail = _unknown_detail(coding, series, unknown, joined.minimum_cell)
        findings += joined.rows("E-EVENT-UNKNOWN", coding.column, unknown, detail)
    if coding.style == "cnsr":
        count = int((codes == 1).sum())
        findings.append(joined.about("I-EVENT-CNSR", coding.column, f"{count} events of {len(codes)}"))
    else:
        findings += _agreement(coding, joined, codes)
    return np.where(codes < 0, -1, codes), missing, findings


def event_codes(coding: EventCoding, series: pd.Series) -> NDArray[np.int64]:
    """Event codes (n,) by the declared style: 0 censored, 1.. causes, UNMATCHED for other values, MISSING for none."""
    if coding.style == "cnsr":
        return by_level(series, _cnsr)
    if coding.style == "cbioportal":
        return by_level(series, _cbioportal)
    declared = [(value, at) for at, value in enumerate(coding.causes.values(), start=1)]
    declared += [(value, 1) for value in coding.events] + [(value, 0) for value in coding.censored]
    places = match(series, [value for value, _ in declared])
    table = np.array([*(code for _, code in declared), MISSING, UNMATCHED], dtype=np.int64)
    return table[places]


def _cnsr(text: str) -> int:
    """CDISC: 0 is the event, whole numbers from 1 are reasons for censoring."""
    value = number(text)
    if value is None or value < 0 or not float(value).is_integer():
        return UNMATCHED
    return int(value == 0)


def _cbioportal(text: str) -> int:
    found = _CBIOPORTAL.fullmatch(text.strip())
    return UNMATCHED if found is None else int(found.group(1))


def _unknown_detail(coding: EventCoding, series: pd.Series, unknown: Mask, minimum_cell: int) -> str:
    """Which codes, as far as enough rows hold them, beside what is declared."""
    declared = ", ".join(str(value) for value in (*coding.events, *coding.causes.values(), *coding.censored))
    known = {
        "cnsr": "0 is the event, 1 and above censored",
        "cbioportal": "'1:...' is the event, '0:...' is not",
        "explicit": f"declared: {declared}",
    }[coding.style]
    return f"{common_levels(series, unknown, minimum_cell)}; {known}"


def _agreement(coding: EventCoding, joined: Joined, codes: NDArray[np.int64]) -> tuple[Finding, ...]:
    """A CNSR column beside another event column must say the same, upside down."""
    source = joined.origin[coding.column]
    if CNSR not in joined.columns[source] or coding.column == CNSR or joined.origin.get(CNSR) != source:
        return ()
    other = by_level(column(joined.frame, CNSR), _cnsr)
    both = (codes >= 0) & (other >= 0)
    return joined.rows("E-EVENT-CNSR", coding.column, both & ((codes > 0) != (other == 1)))


def _read_value(endpoint: Endpoint, joined: Joined) -> OutcomeRead:
    """Binary and continuous endpoints."""
    name = endpoint.value or ""
    series = column(joined.frame, name)
    missing = is_missing(series)
    findings: list[Finding] = []
    drops: list[tuple[str, str, Mask]] = []
    event: NDArray[np.int64] | None = None
    value: NDArray[np.float64] | None = None
    if endpoint.kind == "binary":
        declared = (*endpoint.positive, *endpoint.negative_values)
        places = match(series, declared)
        unknown = places == UNMATCHED
        findings += joined.rows("E-OUTCOME-UNKNOWN", name, unknown, f"declared: {', '.join(map(str, declared))}")
        event = np.where(places < 0, -1, places < len(endpoint.positive)).astype(np.int64)
    else:
        value, bad = numbers(series)
        bad |= np.isinf(value)
        findings += joined.rows("E-OUTCOME-TEXT", name, bad)
    if endpoint.missing_outcome == "drop":
        drops.append((f"{endpoint.name}.missing", f"{endpoint.label}: missing, dropped as declared", missing))
        findings += joined.rows("W-TIME-DROPPED", name, missing, "outcome missing")
    else:
        findings += joined.rows("E-OUTCOME-MISSING", name, missing)
    outcome = Outcome(name=endpoint.name, time=None, event=event, value=value)
    return OutcomeRead(outcome=outcome, drops=tuple(drops), findings=tuple(findings))
