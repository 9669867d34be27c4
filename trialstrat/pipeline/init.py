"""``trialstrat init``: a commented protocol from a look at the files."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from trialstrat import store
from trialstrat.cohort.proposal.look import look
from trialstrat.cohort.proposal.study import propose
from trialstrat.errors import OutputError, UsageError
from trialstrat.pipeline.init_text import protocol_text


@dataclass(frozen=True, slots=True, kw_only=True)
class InitOutcome:
    """The protocol that was written, the folder of its data, and what it could not know."""

    out: Path
    data: Path | None
    questions: tuple[str, ...]
    skipped: tuple[tuple[str, str], ...]

    def lines(self) -> list[str]:
        """What a terminal shows."""
        left = [f"not used: {name}: {reason}" for name, reason in self.skipped]
        asked = [f"question: {question}" for question in self.questions]
        todo = "Answer the questions in the file, then" if asked else "Read the guesses in the file, then"
        data = f" --data {self.data}" if self.data else ""
        return [*left, *asked, f"Wrote {self.out}. {todo}: trialstrat check {self.out}{data}"]


def init(data: Sequence[Path], out: Path, *, replace: bool = False) -> InitOutcome:
    """Propose a protocol for the files and folders ``data`` and write it to ``out``.

    Raises
    ------
    UsageError
        No file was named.
    DataError
        A file cannot be read; holds every fault of it.
    OutputError
        ``out`` exists and ``replace`` is not set, or cannot be written.
    """
    if not data:
        raise UsageError("Name at least one file or folder.")
    if out.exists() and not replace:
        raise OutputError(f"{out}: exists. Choose another --out or add --replace. Nothing was changed.")
    seen = look(data)
    found = propose(seen)
    root = _root(seen.paths, out)
    beside = root == out.resolve().parent
    command = f"trialstrat check {out.name}" + ("" if beside else f" --data {root.name}/")
    written = protocol_text(found, out.stem, root, command)
    store.write_file(out, written.text)
    return InitOutcome(out=out, data=None if beside else root, questions=written.questions, skipped=found.skipped)


def _root(paths: Sequence[Path], out: Path) -> Path:
    """The folder that paths start from: that of ``out`` where all files lie below it, else the one they share."""
    beside = out.resolve().parent
    places = [path.resolve() for path in paths]
    if all(place.is_relative_to(beside) for place in places):
        return beside
    return Path(os.path.commonpath([str(place.parent) for place in places]))
