"""Which values are the event: taken from a standard, proposed where names say it, and asked everywhere else.

A swapped coding turns every result round in silence. So only CNSR and cBioPortal's ``1:DECEASED`` are taken as known.
Values whose words name their meaning in a column that names the event are proposed and marked as unconfirmed, so that
``check`` and the report say so until a person has looked. Anything else is a question.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from trialstrat.cohort.proposal.facts import Facts

#: Pairs whose meaning is in the words themselves: (event, censored).
_WORDS = (
    ("yes", "no"), ("true", "false"), ("dead", "alive"), ("died", "alive"), ("deceased", "living"),
    ("deceased", "alive"), ("dead", "living"), ("event", "censored"), ("1", "0"), ("y", "n"),
)  # fmt: skip
_NAMES_EVENT = {"event", "death", "died", "dead", "deceased", "relapse", "recur", "recurrence", "progression", "dth"}
_STATUS = {"status", "stat", "fustat"}
_WHOLE = re.compile(r"(\d+)\.0+")
_CENSORS = re.compile(r"cens|cnsr", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class EventGuess:
    """The coding of one column. ``known``: a standard says it; otherwise it was proposed, or there is a question."""

    column: str
    style: Literal["explicit", "cnsr", "cbioportal", "dated"] = "explicit"
    events: tuple[str, ...] = ()
    censored: tuple[str, ...] = ()
    known: bool = False
    evidence: str = ""
    question: str = ""


def event_coding(facts: Facts) -> EventGuess:
    """Read the coding of an event column from its name and its values."""
    name = facts.name
    held = facts.held()
    if name.upper() == "CNSR":
        return EventGuess(
            column=name, style="cnsr", known=True, evidence="CNSR of ADaM: 0 is the event, 1 and above censored"
        )
    if facts.levels and all(re.fullmatch(r"[01]:.*", level) for level in facts.levels):
        return EventGuess(
            column=name, style="cbioportal", known=True, evidence=f"cBioPortal: 1:... is the event; {held}"
        )
    asked = EventGuess(column=name, question=f"{name} holds {held}: which are the event, which censored?")
    if _CENSORS.search(name):
        return asked
    lowered = {_WHOLE.sub(r"\1", level.lower()): level for level in facts.levels}
    named = bool(_NAMES_EVENT & set(facts.words)) or facts.name.lower() in _NAMES_EVENT
    for event, censored in _WORDS:
        plain = (event, censored) in (("1", "0"), ("yes", "no"), ("y", "n"), ("true", "false"))
        if set(lowered) != {event, censored} or not (named or not plain or _STATUS & set(facts.words)):
            continue
        return EventGuess(
            column=name,
            events=(lowered[event],),
            censored=(lowered[censored],),
            evidence=f"{name} is named like an event and holds {held}",
        )
    return asked
