"""From paths to tables: a file is one table, a folder all the tables in it, a study folder its parts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from trialstrat.cohort.proposal.databases import parts_of, tables_of
from trialstrat.cohort.proposal.link import Seen
from trialstrat.cohort.proposal.molecular import SeenAssay, SeenMatrix
from trialstrat.cohort.readers import cbioportal
from trialstrat.cohort.readers.duckdb_file import is_duckdb
from trialstrat.cohort.readers.h5ad import is_hdf5
from trialstrat.cohort.readers.locate import read_payload
from trialstrat.cohort.readers.registry import read_assay, read_file
from trialstrat.cohort.readers.table import RawTable
from trialstrat.cohort.rules import RefusedError, finding
from trialstrat.protocol.model import Source

#: Files that stand beside tables and are none.
_BESIDE = ("readme", "license", "licence", "changelog", "meta_", "case")
_NO_TABLES = {".md", ".yaml", ".yml", ".xml", ".pdf", ".html", ".py", ".r", ".json5", ".toml", ".docx"}


@dataclass(slots=True)
class Look:
    """What was found: tables, variants, matrices, and files that are not used with the reason."""

    tables: list[Seen] = field(default_factory=list)
    assays: list[SeenAssay] = field(default_factory=list)
    matrices: list[SeenMatrix] = field(default_factory=list)
    skipped: list[tuple[str, str]] = field(default_factory=list)

    @property
    def paths(self) -> list[Path]:
        """The files and study folders that a protocol would name."""
        return [*(seen.path for seen in self.tables), *(seen.path for seen in (*self.assays, *self.matrices))]


def look(paths: Sequence[Path]) -> Look:
    """Read everything; files of a folder that are no tables are listed with the reason.

    Raises
    ------
    RefusedError
        A file that was named cannot be read, a study folder has faults, or nothing holds a table.
    """
    found = Look()
    for path in paths:
        if not path.is_dir():
            _file(path, found)
        elif cbioportal.is_study(path):
            _study(path, found)
        else:
            _folder(path, found)
    if not found.tables:
        names = ", ".join(path.name for path in paths)
        raise RefusedError(finding("E-FILE-MISSING", source=names, detail="no table of patients"))
    return found


def _file(path: Path, found: Look) -> None:
    payload = read_payload(path, path.name)
    if is_duckdb(payload.data):
        tables, skipped = tables_of(path, payload)
        found.tables += tables
        found.skipped += skipped
        return
    if is_hdf5(payload.data):
        tables, matrix = parts_of(path, payload)
        found.tables += tables
        found.matrices.append(matrix)
        return
    raw: RawTable = read_file(path, Source(name="table", file=path.name))
    if raw.format not in ("maf", "vcf"):
        found.tables.append(Seen(path=path, raw=raw))
        return
    assay = read_assay(Source(name="variants", file=path.name, layout="variants"), path.parent)
    found.assays.append(SeenAssay(path=path, assay=assay))


def _study(folder: Path, found: Look) -> None:
    """The parts of a cBioPortal study: its clinical tables and mutations; the rest is named."""
    study = cbioportal.read_study(folder, several=True)
    if study.patients is not None:
        found.tables.append(Seen(path=folder, raw=study.patients, declared={"table": "patients"}))
    found.tables.append(Seen(path=folder, raw=study.samples, declared={"table": "samples"}, sample="SAMPLE_ID"))
    used = {"patients", "samples", "mutations"}
    mutations = cbioportal.study_assay(study, "mutations")
    if mutations is not None:
        found.assays.append(SeenAssay(path=folder, assay=mutations, declared={"table": "mutations"}))
    more = [part for part in cbioportal.parts_of(study) if part not in used]
    found.skipped += [(f"{folder.name}: {part}", "declare it as a source of its own to use it") for part in more]


def _folder(folder: Path, found: Look) -> None:
    """The tables of a folder, in the order of their names; what cannot be read is said, not refused."""
    for path in sorted(folder.iterdir()):
        beside = path.name.lower().startswith(_BESIDE) or path.suffix.lower() in _NO_TABLES or path.name.startswith(".")
        if path.is_dir() or beside:
            continue
        try:
            _file(path, found)
        except RefusedError as fault:
            found.skipped.append((path.name, fault.findings[0].text()))
