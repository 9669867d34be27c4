"""Times and events that belong together, found by the words of their names; their unit and what their rows need."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from trialstrat.cohort.proposal.coding import EventGuess, event_coding
from trialstrat.cohort.proposal.facts import Facts
from trialstrat.protocol.model import TimeUnit

_UNITS: Mapping[str, TimeUnit] = {"day": "days", "week": "weeks", "month": "months", "year": "years"}
_SURVIVALS = {"os", "pfs", "rfs", "dfs", "efs", "ttp", "drfs", "css", "dss", "survival", "vital"}
#: Words of names of follow-up times.
TIMES = {"time", "times", "futime", "aval", "tstop", "stop", "fu", "followup", "duration", "surv", *_SURVIVALS}
_EVENTS = {
    "event", "events", "death", "died", "dead", "deceased", "relapse", "relapsed", "recur", "recurrence", "recurred",
    "progression", "cens", "censor", "censored", "cnsr", "fustat", "pstat", "dth", "delta",
}  # fmt: skip
#: Words of times that are no follow-up.
_NOT_FOLLOWED = {
    "age",
    "pack",
    "since",
    "diag",
    "diagtime",
    "prior",
    "pre",
    "start",
    "smoking",
    "visit",
    "entry",
    "tstart",
}
_PLAIN = {
    "time", "times", "days", "day", "months", "month", "weeks", "week", "years", "year", "event", "events", "status",
    "stat", "surv", "survival", "cens", "censor", "censored", "to", "last", "or", "of", "the", "in", "flag", "free",
}  # fmt: skip
_MOST_CODES, _FEWEST_TIMES = 6, 8


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointGuess:
    """One endpoint: columns, unit, coding, and the declared rules its rows need, each with why.

    ``time`` is empty where ``start`` and ``end`` are dates.
    """

    name: str
    label: str
    time: str
    time_evidence: str
    event: EventGuess
    unit: TimeUnit | None
    unit_evidence: str
    rules: tuple[tuple[str, str, str], ...]
    start: str = ""
    end: str = ""

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that it is read from."""
        return tuple(name for name in (self.time, self.start, self.end, self.event.column) if name)


def timelike(facts: Facts) -> int:
    """2 where a column is named like a follow-up time, 1 where only its unit says so, 0 elsewhere."""
    words = set(facts.words)
    known = facts.values[np.isfinite(facts.values)] if facts.numeric else np.empty(0)
    if not facts.numeric or len(np.unique(known)) < _FEWEST_TIMES or words & _NOT_FOLLOWED or facts.calendar:
        return 0
    if words & TIMES or any(word.endswith("time") for word in words):
        return 2
    return int(any(re.fullmatch(f"{unit}s?", word) for word in words for unit in _UNITS))


def eventlike(facts: Facts) -> int:
    """2 where a column is named like an event, 1 where it is some status, 0 elsewhere."""
    words = set(facts.words)
    if not 1 <= len(facts.levels) <= _MOST_CODES or facts.dates:
        return 0
    status = bool(words & {"status", "stat"})
    if words & _EVENTS or facts.name.lower() in ("status", "stat", "e", "d") or (status and words & _SURVIVALS):
        return 2
    return int(status)


def endpoints(columns: Sequence[Facts]) -> tuple[EndpointGuess, ...]:
    """Every pair of a time and an event, in the order of their events in the table."""
    at = {facts.name: place for place, facts in enumerate(columns)}
    times = [facts for facts in columns if timelike(facts)]
    named = {facts.name for facts in times if timelike(facts) == 2} or {facts.name for facts in times}
    events = [facts for facts in columns if eventlike(facts)]
    scored = sorted(
        (
            (_likeness(time, event, at), -at[event.name], -at[time.name], time, event)
            for time in times
            for event in events
            if time is not event and (_shared(time, event) or (eventlike(event) == 2 and time.name in named))
        ),
        key=lambda entry: entry[:3],
        reverse=True,
    )
    pairs: dict[str, tuple[Facts, Facts]] = {}
    used: set[str] = set()
    for _, _, _, time, event in scored:
        if event.name not in pairs and time.name not in used:
            pairs[event.name] = (time, event)
            used.add(time.name)
    ordered = sorted(pairs.values(), key=lambda pair: at[pair[1].name])
    names: set[str] = set()
    return tuple(_endpoint(time, event, names) for time, event in ordered)


def _shared(time: Facts, event: Facts) -> set[str]:
    return (set(time.words) & set(event.words)) - _PLAIN


def _likeness(time: Facts, event: Facts, at: Mapping[str, int]) -> float:
    """Words in common, the same first letter of short names, and how near the columns stand (the time first)."""
    own = [set(facts.words) - _PLAIN for facts in (time, event)]
    either = len(own[0] | own[1])
    words = 3 * len(own[0] & own[1]) / either if either else 1.0
    letter = float(len(time.words) == len(event.words) == 1 and time.name[:1].lower() == event.name[:1].lower())
    gap = at[event.name] - at[time.name]
    return words + letter + 1 / (abs(gap) + (0.5 if gap < 0 else 0)) + 0.5 * (timelike(time) + eventlike(event))


def _endpoint(time: Facts, event: Facts, names: set[str]) -> EndpointGuess:
    unit, why = _unit(time)
    words = [word for word in event.words if word not in ("status", "stat", "flag", "event", "cens")] or list(
        time.words
    )
    name = re.sub(r"[^a-z0-9]+", "-", "-".join(words)).strip("-") or "primary"
    name = name if name[0].isalpha() else f"e-{name}"
    while name in names:
        name += "2"
    names.add(name)
    return EndpointGuess(
        name=name[:60],
        label=event.label or " ".join(words).capitalize() or "Primary endpoint",
        time=time.name,
        time_evidence=f"numbers from {_lowest(time)}, named like a time and like {event.name}",
        event=event_coding(event),
        unit=unit,
        unit_evidence=why,
        rules=_rules(time, event),
    )


def _lowest(facts: Facts) -> str:
    return "0 up" if np.nanmin(facts.values) >= 0 else "below 0 up"


def _unit(facts: Facts) -> tuple[TimeUnit | None, str]:
    for text, words in (("name", facts.words), ("label", tuple(re.findall(r"[a-z]+", facts.label.lower())))):
        for unit, plural in _UNITS.items():
            if any(re.fullmatch(f"{unit}s?", word) for word in words):
                return plural, f"its {text} says so"
    known = facts.values[np.isfinite(facts.values)]
    if len(known) and float(np.median(known)) > 200:
        # no trial follows half of its patients for 200 weeks, months or years
        return "days", "half of the values are above 200"
    return None, ""


def _rules(time: Facts, event: Facts) -> tuple[tuple[str, str, str], ...]:
    """What check would refuse in these rows, and the rule that says what is done about it."""
    rows = len(time.values)
    with np.errstate(invalid="ignore"):
        infinite = np.isinf(time.values)
        negative, zero = int(((time.values < 0) & ~infinite).sum()), int((time.values == 0).sum())
    missing = int((time.unknown | event.unknown | infinite).sum())
    rules = []
    if missing:
        rules.append(("missing_outcome", "drop", f"{missing} of {rows} rows have no time or no event"))
    if negative:
        rules.append(("negative_time", "drop", f"{negative} of {rows} times are below 0"))
    if zero:
        rules.append(("zero_time", "half_day", f"{zero} of {rows} times are 0"))
    return tuple(rules)
