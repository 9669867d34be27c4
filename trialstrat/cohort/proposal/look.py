"""From paths to tables: a file is one table, a folder all the tables in it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from trialstrat.cohort.proposal.link import Seen
from trialstrat.cohort.readers.registry import read_file
from trialstrat.cohort.rules import RefusedError, finding
from trialstrat.protocol.model import Source

#: Files that stand beside tables and are none.
_BESIDE = ("readme", "license", "licence", "changelog", "meta_", "case")
_NO_TABLES = {".md", ".yaml", ".yml", ".xml", ".pdf", ".html", ".py", ".r", ".json5", ".toml", ".docx"}


def look(paths: Sequence[Path]) -> tuple[list[Seen], list[tuple[str, str]]]:
    """Read every table; files of a folder that are none come back with the reason.

    Raises
    ------
    RefusedError
        A file that was named cannot be read, or a folder holds no table.
    """
    tables: list[Seen] = []
    skipped: list[tuple[str, str]] = []
    for path in paths:
        if not path.is_dir():
            tables.append(Seen(path=path, raw=read_file(path, Source(name="table", file=path.name))))
            continue
        found, left = _folder(path)
        if not found:
            raise RefusedError(finding("E-FILE-MISSING", source=path.name, detail="no table in this folder"))
        tables += found
        skipped += left
    return tables, skipped


def _folder(folder: Path) -> tuple[list[Seen], list[tuple[str, str]]]:
    """The tables of a folder, in the order of their names; what cannot be read is said, not refused."""
    found: list[Seen] = []
    left: list[tuple[str, str]] = []
    for path in sorted(folder.iterdir()):
        beside = path.name.lower().startswith(_BESIDE) or path.suffix.lower() in _NO_TABLES or path.name.startswith(".")
        if path.is_dir() or beside:
            continue
        try:
            found.append(Seen(path=path, raw=read_file(path, Source(name="table", file=path.name))))
        except RefusedError as fault:
            left.append((path.name, fault.findings[0].text()))
    return found, left
