"""The whole study as it seems to be: sources, arms, endpoints, covariates, markers, and what only people can know."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from trialstrat.cohort.columns import as_text, column
from trialstrat.cohort.proposal.databases import is_person
from trialstrat.cohort.proposal.dated import date_format, dated_endpoint
from trialstrat.cohort.proposal.endpoints import EndpointGuess, endpoints, timelike
from trialstrat.cohort.proposal.facts import Facts
from trialstrat.cohort.proposal.link import Linked, Seen, link_main, link_other
from trialstrat.cohort.proposal.look import Look
from trialstrat.cohort.proposal.molecular import AssayGuess, MatrixGuess, link_assay, link_matrix
from trialstrat.cohort.proposal.persons import persons_beside, without_persons
from trialstrat.cohort.proposal.roles import ArmGuess, Guess, arm_column, guess_role
from trialstrat.cohort.readers.adam import describe_adam, is_adsl, is_adtte

#: More numeric columns than this in one table are a block of markers, not covariates one by one.
MOST_SINGLE = 60
#: Fewest numbers in a row for a table to be one of markers.
_MARKERS_FROM = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceGuess:
    """A table as it would be declared; ``block`` where its columns are markers by their number.

    ``columns`` are those to be taken where the main table has columns of the same names, ``dates`` the formats of the
    dates of an endpoint that are not ISO dates (empty where it has to be asked).
    """

    linked: Linked
    missing: tuple[str, ...] = ()
    normalise: bool = False
    block: bool = False
    columns: tuple[str, ...] = ()
    dates: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """Everything that a protocol would declare, each guess with its evidence; ``skipped`` are files not used."""

    sources: tuple[SourceGuess, ...]
    assays: tuple[AssayGuess, ...]
    matrices: tuple[MatrixGuess, ...]
    arm: ArmGuess | None
    endpoints: tuple[EndpointGuess, ...]
    dates: tuple[str, ...]
    columns: tuple[Guess, ...]
    skipped: tuple[tuple[str, str], ...] = ()
    questions: tuple[str, ...] = field(default=())


def propose(found: Look) -> Proposal:
    """Guess what the tables hold together; the table with the most outcomes (or ADSL) is that of the patients."""
    tables = [without_persons(seen) for seen in found.tables]
    known = next((seen for seen in tables if is_adsl(seen.raw) or is_person(seen.raw)), None)
    main_seen = known or max(tables, key=lambda seen: (_outcomes(seen), -tables.index(seen)))
    # ADTTE before other tables of parameters: all of them call their values AVAL
    others = sorted((seen for seen in tables if seen is not main_seen), key=lambda seen: not is_adtte(seen.raw))
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
    dated = None if pairs else dated_endpoint([facts for entry in own for facts in entry], len(linked[0].frame))
    by_dates = set(dated.columns) if dated is not None else set()
    sources, guesses = [], []
    for at, (entry, facts) in enumerate(zip(linked, own, strict=True)):
        here = {fact.name: fact for fact in facts}
        outcomes = [(g, here[g.time], here[g.event.column]) for g, place in pairs if place == at]
        taken = (
            {name for g, _, _ in outcomes for name in (g.time, g.event.column)}
            | ({arm.column} if arm else set())
            | by_dates
        )
        source = replace(_source(entry, facts, [time for _, time, _ in outcomes]), dates=_formats(facts, by_dates))
        arm_facts = here.get(arm.column) if arm else None
        new = _guesses(source, facts, taken, arm_facts, outcomes, compared=arm is not None)
        before = {name for earlier in linked[:at] if earlier.layout != "markers" for name in earlier.frame.columns}
        shared = at > 0 and set(entry.frame.columns) & before - {entry.id}
        if shared and entry.layout != "markers":
            used = [guess.column for guess in new if guess.role != "left out"]
            source = replace(source, columns=(*sorted(taken & set(here)), *used))
            # a table that repeats the patients and gives nothing more is not needed
            if not source.columns:
                skipped.append((entry.seen.raw.file, "it has nothing that the main table has not"))
                continue
        sources.append(source)
        guesses += new
    assays, matrices, asked = _molecular(found, linked, skipped)
    guesses += _altered(assays, {guess.column for guess in guesses})
    return Proposal(
        sources=tuple(sources),
        assays=tuple(assays),
        matrices=tuple(matrices),
        arm=arm,
        endpoints=tuple(guess for guess, _ in pairs) if dated is None else (dated,),
        dates=tuple(facts.name for facts in own[0] if facts.dates),
        columns=tuple(guesses),
        skipped=tuple(skipped),
        questions=(*(text for source in sources for text in source.linked.questions), *asked),
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


def _formats(columns: Sequence[Facts], used: set[str]) -> tuple[tuple[str, str], ...]:
    """How the dates of an endpoint are written, where that is not the ISO way."""
    forms = {facts.name: date_format(facts) for facts in columns if facts.name in used}
    return tuple((name, form) for name, form in forms.items() if form is not None)


def _molecular(
    found: Look, linked: Sequence[Linked], skipped: list[tuple[str, str]]
) -> tuple[list[AssayGuess], list[MatrixGuess], list[str]]:
    """Variants and matrices of the patients, with what they need to pass the door, and questions."""
    main = linked[0]
    if main.id is None:
        return [], [], []
    patients = set(as_text(column(main.frame, main.id)).dropna())
    samples = next((entry for entry in linked if entry.layout == "samples"), None)
    owner = None
    if samples is not None and samples.id is not None:
        raw = samples.seen.raw.frame
        owner = dict(zip(as_text(column(raw, samples.seen.sample)), as_text(column(raw, samples.id)), strict=True))
    assays: list[AssayGuess] = []
    matrices: list[MatrixGuess] = []
    asked: list[str] = []
    for seen in found.assays:
        dropped, more = persons_beside(seen.assay.variants.beside, sorted(seen.assay.listed), seen.file)
        guess = link_assay(replace(seen, dropped=dropped), patients, owner)
        if isinstance(guess, str):
            skipped.append((seen.file, guess))
        else:
            assays.append(guess)
            asked += more
    for block in found.matrices:
        dropped, more = persons_beside(block.matrix.beside, block.matrix.samples, block.matrix.file)
        whose = link_matrix(replace(block, dropped=dropped), patients, owner)
        if isinstance(whose, str):
            skipped.append((block.matrix.file, whose))
        else:
            matrices.append(whose)
            asked += more
    return assays, matrices, asked


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
