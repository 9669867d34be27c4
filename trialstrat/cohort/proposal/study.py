"""The whole study as it seems to be: sources, arms, endpoints, covariates, markers, and what only people can know."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from trialstrat.cohort.proposal.endpoints import EndpointGuess, endpoints, timelike
from trialstrat.cohort.proposal.facts import Facts
from trialstrat.cohort.proposal.link import Linked, Seen, link_main, link_other
from trialstrat.cohort.proposal.roles import ArmGuess, Guess, arm_column, guess_role

#: More numeric columns than this in one table are a block of markers, not covariates one by one.
MOST_SINGLE = 60
#: Fewest numbers in a row for a table to be one of markers.
_MARKERS_FROM = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceGuess:
    """A table as it would be declared; ``block`` where its columns are markers by their number."""

    linked: Linked
    missing: tuple[str, ...] = ()
    normalise: bool = False
    block: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """Everything that a protocol would declare, each guess with its evidence; ``skipped`` are files not used."""

    sources: tuple[SourceGuess, ...]
    arm: ArmGuess | None
    endpoints: tuple[EndpointGuess, ...]
    dates: tuple[str, ...]
    columns: tuple[Guess, ...]
    skipped: tuple[tuple[str, str], ...] = ()
    questions: tuple[str, ...] = field(default=())


def propose(tables: Sequence[Seen], skipped: Sequence[tuple[str, str]] = ()) -> Proposal:
    """Guess what the tables hold together; the table with the most outcomes is that of the patients."""
    main_seen = max(tables, key=lambda seen: (_outcomes(seen), -tables.index(seen)))
    others = [seen for seen in tables if seen is not main_seen]
    main = link_main(main_seen, others)
    left = list(skipped)
    joined: list[Linked] = []
    for seen in others:
        found = link_other(seen, main)
        if isinstance(found, str):
            left.append((seen.raw.file, found))
        else:
            joined.append(found)
    columns = main.columns
    pairs = endpoints(columns)
    by_name = {facts.name: facts for facts in columns}
    arm = arm_column(columns)
    arm_facts = by_name[arm.column] if arm else None
    outcomes = [(guess, by_name[guess.time], by_name[guess.event.column]) for guess in pairs]
    taken = {name for guess in pairs for name in (guess.time, guess.event.column)} | ({arm.column} if arm else set())
    sources = [_source(main, columns, [by_name[guess.time] for guess in pairs])]
    guesses = _guesses(sources[0], columns, taken, arm_facts, outcomes)
    seen_names = {facts.name for facts in columns} | {main.id or ""}
    for entry in joined:
        own = [facts for facts in entry.columns if facts.name not in seen_names] if entry.layout == "patients" else []
        seen_names |= {facts.name for facts in own}
        sources.append(_source(entry, own, []))
        guesses += _guesses(sources[-1], own, set(), None, [])
    questions = [text for source in sources for text in source.linked.questions]
    return Proposal(
        sources=tuple(sources),
        arm=arm,
        endpoints=pairs,
        dates=tuple(facts.name for facts in columns if facts.dates),
        columns=tuple(guesses),
        skipped=tuple(left),
        questions=tuple(questions),
    )


def _outcomes(seen: Seen) -> int:
    """How many endpoints a table seems to hold."""
    labels = seen.raw.labels
    names = [str(name) for name in seen.raw.frame.columns]
    if len(names) > _MARKERS_FROM:
        names = [name for name in names if len(name) < 40][:_MARKERS_FROM]
    return len(endpoints([Facts(seen.raw.frame, name, labels.get(name, "")) for name in names]))


def _source(linked: Linked, columns: Sequence[Facts], times: Sequence[Facts]) -> SourceGuess:
    if linked.layout == "markers":
        return SourceGuess(linked=linked, block=True)
    wide = sum(facts.numeric for facts in columns) > MOST_SINGLE
    codes = {code for facts in columns if facts.numeric for code in facts.codes}
    codes |= {code for facts in times for code in facts.codes}
    twins = not wide and any(facts.spelled_twice for facts in columns)
    return SourceGuess(linked=linked, missing=tuple(sorted(codes)), normalise=twins, block=wide)


def _guesses(
    source: SourceGuess,
    columns: Sequence[Facts],
    taken: set[str],
    arm: Facts | None,
    outcomes: Sequence[tuple[EndpointGuess, Facts, Facts]],
) -> list[Guess]:
    """Roles of the columns that nothing else uses; numbers of a wide table are left to its block of markers."""
    free = [facts for facts in columns if facts.name not in taken]
    if source.block:
        free = [facts for facts in free if not facts.numeric or len(np.unique(facts.values)) <= 2 or timelike(facts)]
    return [guess_role(facts, columns, arm, outcomes) for facts in free]
