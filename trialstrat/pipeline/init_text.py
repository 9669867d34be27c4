"""The text of a proposed protocol: one line for each thing declared, the evidence behind it in the comment.

What cannot be known is written as ``FILL`` or left empty, so that ``check`` refuses the very line that needs an answer.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

from trialstrat.cohort.columns import number
from trialstrat.cohort.proposal.coding import EventGuess
from trialstrat.cohort.proposal.endpoints import EndpointGuess
from trialstrat.cohort.proposal.molecular import LEAST_LOOKED_AT, AssayGuess, MatrixGuess
from trialstrat.cohort.proposal.roles import Guess
from trialstrat.cohort.proposal.study import Proposal, SourceGuess

#: Stands where only people know the answer; no column and no unit is called so.
FILL = "FILL"


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """The text and the questions that stand in it."""

    text: str
    questions: tuple[str, ...]


def protocol_text(found: Proposal, stem: str, root: Path, command: str) -> Written:
    """The protocol of a proposal; paths start from ``root``; ``command`` checks it where that is another folder."""
    questions = list(found.questions)
    name = re.sub(r"[^A-Za-z0-9_.-]+", "-", stem) or "study"
    name = name if name[0].isalpha() else f"study-{name}"
    lines = [
        "# Proposed by trialstrat init from a look at the files. Behind every guess stands what it rests on; correct",
        f"# what is wrong, answer what is asked ({FILL}), then: {command}",
        "trialstrat: 1",
        f"id: {name[:64]}",
        f"title: {quoted(name)}",
        'question: "What does this study want to know?"',
        "status: exploratory",
        "",
        "sources:",
        *(line for at, source in enumerate(found.sources) for line in _source(source, at, root)),
        *(line for at, assay in enumerate(found.assays) for line in _assay(found, assay, at, root, questions)),
        *(line for at, matrix in enumerate(found.matrices) for line in _matrix(found, matrix, at, root)),
        *_privacy(found),
        *_arms(found, questions),
        *_endpoints(found, questions),
        *_estimand(found),
        "",
        "# eligibility:  as the trial's protocol says it, one criterion each",
        "eligibility: []",
        "",
        *_features(found),
        *_columns(found),
        *_blocks(found),
        "",
        *_cluster(found),
        "seed: 20260101",
        *(f"# not used: {comment(f'{file}: {reason}')}" for file, reason in found.skipped),
        *(f"# QUESTION: {comment(question)}" for question in questions),
    ]
    return Written(text="\n".join(lines) + "\n", questions=tuple(questions))


def _cluster(found: Proposal) -> list[str]:
    """What numbered rows belong to, where the outcome is a time."""
    name = next((source.linked.cluster for source in found.sources if source.linked.cluster), "")
    if not name or not found.endpoints:
        return []
    return [f"analysis: {{cluster: {quoted(name)}}}  # several rows of a patient are not independent", ""]


def source_name(source: SourceGuess | AssayGuess | MatrixGuess, at: int) -> str:
    """A name for a source, from its file; unique by its position where the file's name says nothing."""
    seen = source.linked.seen if isinstance(source, SourceGuess) else source.seen
    parts = [seen.path.name.split(".")[0], *seen.declared.values()]
    name = re.sub(r"[^A-Za-z0-9_-]+", "_", "_".join(parts)).strip("_")[:50] or "table"
    return f"{name if name[0].isalpha() else 't' + name}{'' if at == 0 else f'_{at}'}"


def _source(source: SourceGuess, at: int, root: Path) -> list[str]:
    linked = source.linked
    place = linked.seen.path.resolve()
    shown = place.relative_to(root).as_posix() if place.is_relative_to(root) else place.name
    rows = len(linked.seen.raw.frame)
    lines = [f"  - name: {source_name(source, at)}", f"    file: {quoted(shown)}  # {rows} rows"]
    lines += [f"    {key}: {quoted(value)}" for key, value in linked.seen.declared.items()]
    if linked.layout == "markers":
        lines.append(f"    layout: markers  # one row per marker: {comment(linked.id_evidence)}")
    else:
        lines.append(f"    id: {quoted(linked.id or 'row')}  # {comment(linked.id_evidence)}")
    if linked.layout == "samples":
        lines.append(f"    layout: samples\n    sample: {quoted(linked.seen.sample)}")
        lines.append("    sample_rule: {choose: first}  # of several samples of a patient")
    if linked.where:
        kept = ", ".join(f"{quoted(key)}: {value_text(value)}" for key, value in linked.where.items())
        lines.append(f"    where: {{{kept}}}  # {comment(linked.where_evidence)}")
    if source.missing:
        codes = ", ".join(quoted(code) for code in source.missing)
        lines.append(f"    missing: [{codes}]  # stand among numbers")
    if source.columns:
        names = ", ".join(quoted(name) for name in source.columns)
        lines.append(f"    columns: [{names}]  # the rest stands in the first source")
    if source.dates:
        forms = ", ".join(f"{quoted(name)}: {form or FILL}" for name, form in source.dates)
        asked = "" if all(form for _, form in source.dates) else f"; {FILL}: DD/MM/YYYY or MM/DD/YYYY"
        lines.append(f"    dates: {{{forms}}}  # how dates are written{asked}")
    if source.normalise:
        lines.append("    normalise: true  # some levels are spelled in two ways (blanks, case)")
    return lines


def _assay(found: Proposal, assay: AssayGuess, at: int, root: Path, questions: list[str]) -> list[str]:
    place = assay.seen.path.resolve()
    shown = place.relative_to(root).as_posix() if place.is_relative_to(root) else place.name
    name = source_name(assay, len(found.sources) + at)
    lines = [f"  - name: {name}", f"    file: {quoted(shown)}  # {comment(assay.evidence)}"]
    lines += [f"    {key}: {quoted(value)}" for key, value in assay.seen.declared.items()]
    lines.append("    layout: variants")
    patients = len(found.sources[0].linked.frame)
    if assay.looked_at < LEAST_LOOKED_AT * patients:
        lines[1] += f"; {assay.looked_at} of {patients} patients were looked at: too few for a column of all"
    if assay.through_samples:
        return [*lines, f"    samples: {_samples_source(found)}"]
    if assay.looked_at < patients:
        questions.append(
            f"{name}: {assay.looked_at} of {patients} patients have a variant. Were the others looked at too? "
            "Then say assayed: patients."
        )
    return [
        *lines,
        "    assayed: listed  # CONFIRM: who has no variant is unknown, not wild type, unless assayed: patients",
    ]


def _matrix(found: Proposal, guess: MatrixGuess, at: int, root: Path) -> list[str]:
    place = guess.seen.path.resolve()
    shown = place.relative_to(root).as_posix() if place.is_relative_to(root) else place.name
    lines = [f"  - name: {_matrix_name(found, at)}", f"    file: {quoted(shown)}  # {comment(guess.evidence)}"]
    lines += [f"    {key}: {quoted(value)}" for key, value in guess.seen.declared.items()]
    lines.append("    layout: matrix")
    return [*lines, *([f"    samples: {_samples_source(found)}"] if guess.through_samples else [])]


def _matrix_name(found: Proposal, at: int) -> str:
    return source_name(found.matrices[at], len(found.sources) + len(found.assays) + at)


def _samples_source(found: Proposal) -> str:
    of = next(at for at, source in enumerate(found.sources) if source.linked.layout == "samples")
    return source_name(found.sources[of], of)


def _privacy(found: Proposal) -> list[str]:
    """Columns of direct identifiers, taken out as soon as a file is read."""
    named = [(source_name(source, at), source.linked.seen.dropped) for at, source in enumerate(found.sources)]
    count = len(found.sources)
    named += [(source_name(assay, count + at), assay.seen.dropped) for at, assay in enumerate(found.assays)]
    named += [(_matrix_name(found, at), matrix.seen.dropped) for at, matrix in enumerate(found.matrices)]
    lines = [
        f"    - {quoted(f'{name}.{column}')}  # {comment(why)}" for name, dropped in named for column, why in dropped
    ]
    return ["", "privacy:", "  drop:  # direct identifiers; allow: says that a column is none", *lines] if lines else []


def _features(found: Proposal) -> list[str]:
    """A feature for every gene altered often enough."""
    if not any(assay.genes for assay in found.assays):
        return []
    lines = ["features:  # genes altered in at least 5% of the patients looked at (and 11 of them)"]
    for at, assay in enumerate(found.assays):
        source = source_name(assay, len(found.sources) + at)
        for gene, count in assay.genes:
            entry = f"{{name: {quoted(gene)}, kind: alteration, genes: [{quoted(gene)}], mutations: {source}}}"
            lines.append(f"  - {entry}  # {count} of {assay.looked_at}")
    return [*lines, ""]


def _arms(found: Proposal, questions: list[str]) -> list[str]:
    arm = found.arm
    if arm is None:
        return ["", "# arms: no column looks like one, so that nothing about treatment is estimated"]
    where = f"arms.column {arm.column}"
    control = arm.control
    if control is None:
        questions.append(f"{where}: which of {', '.join(arm.levels)} is the control? Give it control: true.")
    questions.append(f"{where}: was treatment randomised? Then say allocation: randomised; observational was taken.")
    confounders = ", ".join(quoted(guess.column) for guess in found.columns if guess.role != "left out")
    levels = ", ".join(_level(at, level, control) for at, level in enumerate(arm.levels))
    lines = ["", "arms:", f"  column: {quoted(arm.column)}  # {comment(arm.evidence)}"]
    lines.append("  allocation: observational  # CONFIRM: say randomised when it was; observational is weighted by:")
    lines.append(f"  confounders: [{confounders}]")
    if arm.missing:
        lines.append(f"  missing: drop  # {arm.missing} rows have no arm: they are left out, and counted")
        questions.append(f"{where}: {arm.missing} rows have no arm and are left out: why have they none?")
    return [*lines, f"  levels: [{levels}]{'' if control else f'  # {FILL}: control: true for one of them'}"]


def _level(at: int, level: str, control: str | None) -> str:
    mark = ", control: true" if level == control else ""
    return f"{{name: arm{at}, value: {value_text(level)}, label: {quoted(level)}{mark}}}"


def _endpoints(found: Proposal, questions: list[str]) -> list[str]:
    lines = ["", "endpoints:"]
    for at, guess in enumerate(found.endpoints):
        lines += _endpoint(guess, at, questions)
    if found.endpoints:
        return [*lines, ""]
    dates = f" or start: and end: ({', '.join(found.dates[:4])} hold dates)" if found.dates else ""
    questions.append(
        "endpoints.0: no column looks like a time with its event. kind: time_to_event needs time:"
        f"{dates}, event: and unit:; binary needs value:, positive: and negative_values:; continuous needs value:."
    )
    return [
        *lines,
        "  - name: primary",
        '    label: "Primary endpoint"',
        f"    kind: {FILL}  # no column looks like a time with its event: time_to_event, binary or continuous",
        f"    value: {FILL}  # for binary and continuous: the column; see the question below",
        "",
    ]


def _endpoint(guess: EndpointGuess, at: int, questions: list[str]) -> list[str]:
    path = f"endpoints.{at} {guess.name}"
    lines = [f"  - name: {guess.name}", f"    label: {quoted(guess.label)}"]
    if guess.time:
        lines.append(f"    time: {quoted(guess.time)}  # {comment(guess.time_evidence)}")
    else:
        lines.append(f"    start: {quoted(guess.start)}  # CONFIRM time zero: {comment(guess.time_evidence)}")
        lines.append(f"    end: {quoted(guess.end)}")
        questions.append(f"{path}: does time start at {guess.start} for every patient?")
    if guess.unit is None:
        questions.append(f"{path}: in which unit is {guess.time}: days, weeks, months or years? Set unit:.")
        lines.append(f"    unit: {FILL}  # days, weeks, months or years: nothing says it")
    else:
        lines.append(f"    unit: {guess.unit}  # {comment(guess.unit_evidence)}")
    lines.append(f"    event: {_event(guess.event, path, questions)}")
    lines += [f"    {key}: {value}  # {comment(why)}" for key, value, why in guess.rules]
    return lines


def _event(guess: EventGuess, path: str, questions: list[str]) -> str:
    column = f"column: {quoted(guess.column)}"
    if guess.known:
        return f"{{{column}, style: {guess.style}}}  # {comment(guess.evidence)}"
    if guess.question:
        questions.append(f"{path}: {guess.question} List them under events: and censored:.")
        return f"{{{column}, events: [], censored: []}}  # {FILL}: {comment(guess.question)}"
    events, censored = (", ".join(value_text(v) for v in values) for values in (guess.events, guess.censored))
    questions.append(f"{path}: {guess.evidence}; {events} was taken as the event. Confirm, then remove proposed:.")
    return f"{{{column}, events: [{events}], censored: [{censored}], proposed: {quoted(guess.evidence)}}}  # CONFIRM"


def _estimand(found: Proposal) -> list[str]:
    name = next((guess.name for guess in found.endpoints if guess.name in ("os", "overall-survival")), None)
    name = name or (found.endpoints[0].name if found.endpoints else "primary")
    treatment = "treatment against control" if found.arm else "none: no arms declared"
    return [
        "estimand:",
        '  population: "patients as in the table"',
        f'  treatment: "{treatment}"',
        f"  endpoint: {name}",
        "  # what happens to the outcome when treatment stops early, is switched, ... (ICH E9(R1)):",
        "  intercurrent_events: []",
    ]


def _columns(found: Proposal) -> list[str]:
    compared = found.arm is not None
    used = [guess for guess in found.columns if guess.role != "left out"]
    plain, markers = [g for g in used if not g.marker], [g for g in used if g.marker]
    role = "predictive" if compared else "prognostic"
    lines = ["# Columns known before time zero."]
    lines += ["covariates:", *(_column(guess) for guess in plain)] if plain else ["covariates: []"]
    if markers:
        lines.append(
            f"biomarkers:  # named like markers; role: {role} because {'there are' if compared else 'no'} arms"
        )
        lines += [_column(guess, f", role: {role}") for guess in markers]
    else:
        lines.append("biomarkers: []  # no column is named like one; move columns here with a role: and a unit:")
    left = [f"# left out: {comment(f'{g.column} ({g.evidence})')}" for g in found.columns if g.role == "left out"]
    return [*lines, *left]


def _column(guess: Guess, more: str = "") -> str:
    levels = f", levels: [{', '.join(value_text(v) for v in guess.levels)}]" if guess.levels else ""
    label = f", label: {quoted(guess.label)}" if guess.label.lower() not in ("", guess.column.lower()) else ""
    entry = f"  - {{column: {quoted(guess.column)}, kind: {guess.role}{levels}{label}{more}}}"
    return f"{entry}  # {comment(guess.evidence)}"


def _blocks(found: Proposal) -> list[str]:
    blocks = [source_name(source, at) for at, source in enumerate(found.sources) if source.block]
    blocks += [_matrix_name(found, at) for at in range(len(found.matrices))]
    if not blocks:
        return []
    lines = ["", "marker_blocks:  # more numeric columns than can be covariates"]
    return [*lines, *(f"  - {{source: {name}, role: prognostic}}" for name in blocks)]


def quoted(text: str) -> str:
    """Any text as a double-quoted YAML scalar (JSON strings are YAML)."""
    return json.dumps(text, ensure_ascii=False)


def value_text(text: str) -> str:
    """A value of the data: a number where it is one and reads back the same, quoted text otherwise."""
    value = number(text)
    plain = value is not None and re.fullmatch(r"-?(0|[1-9]\d*)(\.\d+)?", text.strip()) is not None
    if not plain or value is None:
        return quoted(text)
    return str(int(value)) if value.is_integer() and abs(value) < 1e15 else text.strip()


def comment(text: str) -> str:
    """Text of data made safe for a comment: one line, nothing that steers a terminal."""
    return "".join(c if c.isprintable() else " " for c in text)
