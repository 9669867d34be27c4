"""The whole study as it seems to be: sources, arms, endpoints, covariates, markers, and what only people can know."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from trialstrat.cohort.columns import as_text, column
from trialstrat.cohort.proposal.endpoints import EndpointGuess, endpoints, timelike
from trialstrat.cohort.proposal.facts import Facts
from trialstrat.cohort.proposal.link import Linked, Seen, link_main, link_other
from trialstrat.cohort.proposal.look import Look
from trialstrat.cohort.proposal.molecular import AssayGuess, link_assay
from trialstrat.cohort.proposal.roles import ArmGuess, Guess, arm_column, guess_role
from trialstrat.cohort.readers.adam import describe_adam, is_adsl, is_adtte

#: More numeric columns than this in one table are a block of markers, not covariates one by one.
MOST_SINGLE = 60
#: Fewest numbers in a row for a table to be one of markers.
_MARKERS_FROM = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceGuess:
    """A table as it would be declared; ``block`` where its columns are markers by their number.

    ``columns`` are those to be taken where the main table has columns of the same names.
    """

    linked: Linked
    missing: tuple[str, ...] = ()
    normalise: bool = False
    block: bool = False
    columns: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """Everything that a protocol would declare, each guess with its evidence; ``skipped`` are files not used."""

    sources: tuple[SourceGuess, ...]
    assays: tuple[AssayGuess, ...]
    arm: ArmGuess | None
    endpoints: tuple[EndpointGuess, ...]
    dates: tuple[str, ...]
    columns: tuple[Guess, ...]
    skipped: tuple[tuple[str, str], ...] = ()
    questions: tuple[str, ...] = field(default=())


def propose(found: Look) -> Proposal:
    """Guess what the tables hold together; the table with the most outcomes (or ADSL) is that of the patients."""
    adsl = next((seen for seen in found.tables if is_adsl(seen.raw)), None)
    main_seen = adsl or max(found.tables, key=lambda seen: (_outcomes(seen), -found.tables.index(seen)))
    others = [seen for seen in found.tables if seen is not main_seen]
    linked = [link_main(main_seen, others)]
    skipped = list(found.skipped)
    for seen in others:
        other = link_other(seen, linked[0])
        if isinstance(other, str):
            skipped.append((seen.raw.file, other))
        else:
            linked.append(other)
    own = _own_columns(linked)
    pairs = [(guess, at) for at, facts in enumerate(own) for guess in _endpoints(linked[at], facts, len(own))]
    arm = next((guess for facts in own if (guess := arm_column(facts)) is not None), None)
    sources, guesses = [], []
    for at, (entry, facts) in enumerate(zip(linked, own, strict=True)):
        here = {fact.name: fact for fact in facts}
        outcomes = [(g, here[g.time], here[g.event.column]) for g, place in pairs if place == at]
        taken = {name for g, _, _ in outcomes for name in (g.time, g.event.column)} | ({arm.column} if arm else set())
        source = _source(entry, facts, [time for _, time, _ in outcomes])
        arm_facts = here.get(arm.column) if arm else None
        new = _guesses(source, facts, taken, arm_facts, outcomes, compared=arm is not None)
        shared = at > 0 and set(entry.frame.columns) & set(linked[0].frame.columns) - {entry.id}
        if shared and entry.layout != "markers":
            used = [guess.column for guess in new if guess.role != "left out"]
            source = replace(source, columns=(*sorted(taken & set(here)), *used))
            # a table that repeats the patients and gives nothing more is not needed
            if not source.columns:
                skipped.append((entry.seen.raw.file, "it has nothing that the main table has not"))
                continue
        sources.append(source)
        guesses += new
    assays = _assays(found, linked, skipped)
    guesses += _altered(assays, {guess.column for guess in guesses})
    return Proposal(
        sources=tuple(sources),
        assays=tuple(assays),
        arm=arm,
        endpoints=tuple(guess for guess, _ in pairs),
        dates=tuple(facts.name for facts in own[0] if facts.dates),
        columns=tuple(guesses),
        skipped=tuple(skipped),
        questions=tuple(text for source in sources for text in source.linked.questions),
    )


def _own_columns(linked: Sequence[Linked]) -> list[list[Facts]]:
    """The columns of every table that no table before it has; a table of markers has none by name."""
    seen: set[str] = {linked[0].id or ""}
    out: list[list[Facts]] = []
    for entry in linked:
        facts = [fact for fact in entry.columns if fact.name not in seen] if entry.layout != "markers" else []
        seen |= {fact.name for fact in facts}
        out.append(facts)
    return out


def _endpoints(linked: Linked, columns: Sequence[Facts], tables: int) -> list[EndpointGuess]:
    """The endpoints of one table; the unit of ADTTE from its dates or its words, where AVALU does not say it."""
    if linked.layout == "markers" or (tables > 1 and len(columns) > _MARKERS_FROM):
        return []
    pairs = list(endpoints(columns))
    if not is_adtte(linked.seen.raw):
        return pairs
    adam = describe_adam([linked.seen.raw])
    code = linked.where.get("PARAMCD", "")
    known = [entry for entry in (adam.parameters if adam else ()) if code in ("", entry.code)]
    if len(known) != 1:
        return pairs
    label, unit, why = known[0].label, known[0].unit, known[0].unit_evidence
    return [
        replace(guess, label=label, unit=guess.unit or unit, unit_evidence=guess.unit_evidence or why)
        for guess in pairs
    ]


def _assays(found: Look, linked: Sequence[Linked], skipped: list[tuple[str, str]]) -> list[AssayGuess]:
    main = linked[0]
    if main.id is None:
        return []
    patients = set(as_text(column(main.frame, main.id)).dropna())
    samples = next((entry for entry in linked if entry.layout == "samples"), None)
    owner = None
    if samples is not None and samples.id is not None:
        raw = samples.seen.raw.frame
        owner = dict(zip(as_text(column(raw, samples.seen.sample)), as_text(column(raw, samples.id)), strict=True))
    out = []
    for seen in found.assays:
        guess = link_assay(seen, patients, owner)
        if isinstance(guess, str):
            skipped.append((seen.file, guess))
        else:
            out.append(guess)
    return out


def _altered(assays: Sequence[AssayGuess], taken: set[str]) -> list[Guess]:
    """A marker for every gene that is altered often enough."""
    return [
        Guess(
            column=gene,
            role="categorical",
            evidence=f"altered in {count} of {assay.looked_at} patients looked at",
            levels=("not altered", "altered"),
            marker=True,
        )
        for assay in assays
        for gene, count in assay.genes
        if gene not in taken
    ]


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
    *,
    compared: bool,
) -> list[Guess]:
    """Roles of the columns that nothing else uses; numbers of a wide table are left to its block of markers."""
    free = [facts for facts in columns if facts.name not in taken]
    if source.block:
        free = [facts for facts in free if not facts.numeric or len(np.unique(facts.values)) <= 2 or timelike(facts)]
    return [guess_role(facts, columns, arm, outcomes, compared=compared) for facts in free]
