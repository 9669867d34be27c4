"""``trialstrat init``: a commented protocol from a look at the files."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from trialstrat import store
from trialstrat.cohort.propose import Guess, TableProposal, control_of, propose
from trialstrat.errors import OutputError, UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class InitOutcome:
    """The protocol that was written, and what it could not know."""

    out: Path
    questions: tuple[str, ...]

    def lines(self) -> list[str]:
        """What a terminal shows."""
        asked = [f"question: {question}" for question in self.questions]
        todo = "Answer the questions in the file, then" if asked else "Read the guesses in the file, then"
        return [*asked, f"Wrote {self.out}. {todo}: trialstrat check {self.out}"]


def init(data: Sequence[Path], out: Path, *, replace: bool = False) -> InitOutcome:
    """Propose a protocol for the tables ``data`` and write it to ``out``.

    Raises
    ------
    UsageError
        No table was named.
    DataError
        A table cannot be read.
    OutputError
        ``out`` exists and ``replace`` is not set, or cannot be written.
    """
    if not data:
        raise UsageError("Name at least one table.")
    if out.exists() and not replace:
        raise OutputError(f"{out}: exists. Choose another --out or add --replace. Nothing was changed.")
    tables = propose(data)
    questions: list[str] = []
    text = _protocol(tables, data, out, questions)
    store.write_file(out, text)
    return InitOutcome(out=out, questions=tuple(questions))


def _protocol(tables: Sequence[TableProposal], data: Sequence[Path], out: Path, questions: list[str]) -> str:
    """The text of the protocol; every guess carries its evidence as a comment."""
    main = next((table for table in tables if table.first("time")), tables[0])
    name = re.sub(r"[^A-Za-z0-9_.-]+", "-", out.stem) or "study"
    name = name if name[0].isalpha() else f"study-{name}"
    parts = [
        "# Proposed by trialstrat init. Guesses are commented; correct what is wrong, then: trialstrat check",
        "trialstrat: 1",
        f"id: {name}",
        f"title: {_quoted(name)}",
        'question: "What does this study want to know?"',
        "status: exploratory",
        "",
        "sources:",
        *(_source(table, path, out) for table, path in zip(tables, data, strict=True)),
        *_arms(main, questions),
        *_endpoint(main, questions),
        "estimand:",
        '  population: "patients as in the table"',
        f'  treatment: "{"treatment against control" if main.first("arm") else "none: no arms declared"}"',
        "  endpoint: primary",
        "  # Say what happens to the outcome when treatment stops early, switches, ... (ICH E9(R1)):",
        "  intercurrent_events: []",
        "",
        "eligibility: []",
        "",
        *_covariates(tables),
    ]
    parts += [f"# QUESTION: {question}" for question in questions]
    return "\n".join(parts) + "\n"


def _source(table: TableProposal, path: Path, out: Path) -> str:
    identifier = table.first("id")
    why = identifier.evidence if identifier else "no column looks like an id: rows are numbered"
    place = path.resolve()
    beside = out.resolve().parent
    shown = place.relative_to(beside).as_posix() if place.is_relative_to(beside) else place.name
    stem = re.sub(r"[^A-Za-z0-9_.-]+", "_", path.stem) or "table"
    name = stem if stem[0].isalpha() else f"t{stem}"
    lines = [f"  - name: {name}", f"    file: {_quoted(shown)}  # {table.rows} rows"]
    if not place.is_relative_to(beside):
        lines.append(f"    # not below this file's folder: run with --data {place.parent.name}/ (its folder)")
    lines.append(f"    id: {_quoted(identifier.column if identifier else 'row')}  # {why}")
    return "\n".join(lines)


def _arms(table: TableProposal, questions: list[str]) -> list[str]:
    arm = table.first("arm")
    if arm is None:
        return ["", "# no column looks like an arm: nothing about treatment will be estimated"]
    control = control_of(arm.levels)
    if control is None:
        questions.append(f"{arm.column}: which of {', '.join(arm.levels)} is the control? The first was taken.")
    chosen = control or arm.levels[0]
    lines = ["", "arms:", f"  column: {_quoted(arm.column)}  # {arm.evidence}"]
    lines.append("  allocation: observational  # say randomised when it was; observational needs confounders:")
    lines.append(f"  confounders: [{', '.join(_quoted(g.column) for g in _usable(table))}]")
    lines.append("  levels:")
    for at, level in enumerate(arm.levels):
        mark = ", control: true" if level == chosen else ""
        lines.append(f"    - {{name: arm{at}, value: {_quoted(level)}, label: {_quoted(level)}{mark}}}")
    return lines


def _usable(table: TableProposal) -> list[Guess]:
    return [guess for guess in table.guesses if guess.role in ("continuous", "categorical")]


def _endpoint(table: TableProposal, questions: list[str]) -> list[str]:
    time, event = table.first("time"), table.event
    lines = ["", "endpoints:", "  - name: primary", '    label: "Primary endpoint"']
    if time is None:
        questions.append("which column is the time from time zero to the event or censoring? Set endpoints.0.time.")
        lines.append("    # time: COLUMN")
    else:
        lines.append(f"    time: {_quoted(time.column)}  # {time.evidence}")
    if table.time_unit is None:
        questions.append("in which unit is the time: days, weeks, months or years? Set endpoints.0.unit.")
        lines.append("    # unit: months")
    else:
        lines.append(f"    unit: {table.time_unit}  # {table.unit_evidence}")
    lines.append("    # horizon: the time at which restricted means and risks are compared, in this unit")
    if event is None:
        questions.append("which column says whether the event happened? Set endpoints.0.event.")
        lines.append("    # event: {column: COLUMN, events: [...], censored: [...]}")
    elif event.question:
        questions.append(event.question)
        lines.append(f"    # event: {{column: {_quoted(event.column)}, events: [...], censored: [...]}}")
    elif event.style != "explicit":
        lines.append(f"    event: {{column: {_quoted(event.column)}, style: {event.style}}}  # {event.evidence}")
    else:
        events, censored = (", ".join(_quoted(v) for v in values) for values in (event.events, event.censored))
        lines.append(f"    event:  # {event.evidence}")
        lines += [
            f"      column: {_quoted(event.column)}",
            f"      events: [{events}]",
            f"      censored: [{censored}]",
        ]
    return [*lines, ""]


def _covariates(tables: Sequence[TableProposal]) -> list[str]:
    lines = ["# Columns measured before time zero. Move markers to biomarkers: and give each its role and unit."]
    lines.append("covariates:")
    entries = 0
    for table in tables:
        for guess in _usable(table):
            levels = f", levels: [{', '.join(_quoted(v) for v in guess.levels)}]" if guess.role == "categorical" else ""
            entry = f"  - {{column: {_quoted(guess.column)}, kind: {guess.role}{levels}}}"
            lines.append(f"{entry}  # {guess.evidence}")
            entries += 1
    if not entries:
        lines[-1] = "covariates: []"
    left = [f"{guess.column} ({guess.evidence})" for table in tables for guess in table.all("left out")]
    return [*lines, *(f"# left out: {_comment(entry)}" for entry in left)]


def _quoted(text: str) -> str:
    """Any text as a double-quoted YAML scalar (JSON strings are YAML)."""
    return json.dumps(text, ensure_ascii=False)


def _comment(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text)
