"""The parts of a cBioPortal study folder that are no data: meta files, gene panels, lists of cases.

References
----------
cBioPortal for Cancer Genomics. File Formats (meta files, case lists, gene panels, gene panel matrix).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from trialstrat.cohort.readers.delimited import utf8_bytes
from trialstrat.cohort.readers.locate import locate, read_payload
from trialstrat.cohort.readers.table import Payload
from trialstrat.cohort.rules import RefusedError, finding
from trialstrat.results import Finding

STUDY = "meta_study.txt"
_PANEL_FILES = ("data_gene_panel_*.txt", "gene_panel_*.txt")
_SEQUENCED = "_sequenced"


@dataclass(frozen=True, slots=True, kw_only=True)
class Meta:
    """One meta file: its name, and its keys and values as they are written."""

    file: str
    fields: Mapping[str, str]

    @property
    def kind(self) -> tuple[str, str]:
        """Alteration type and datatype, upper case."""
        return self.get("genetic_alteration_type").upper(), self.get("datatype").upper()

    @property
    def data(self) -> str:
        """The data file that it describes, empty for the study itself."""
        return self.get("data_filename")

    def get(self, key: str) -> str:
        """The value of a key, empty when absent."""
        return self.fields.get(key, "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Panels:
    """Which genes were looked at in whom.

    ``genes`` are the genes of each panel; ``of`` the panel of each sample by molecular profile, empty for a sample
    without a panel (whole exome: every gene).
    """

    genes: Mapping[str, frozenset[str]]
    of: Mapping[str, Mapping[str, str]]


def payload_of(folder: Path, name: str) -> Payload:
    """A file inside the folder, called by folder and name in messages.

    Raises
    ------
    RefusedError
        When it is missing, unreadable, or leads outside the folder.
    """
    return read_payload(locate(name, folder), f"{folder.name}/{name}")


def read_keys(payload: Payload) -> dict[str, str]:
    """The ``key: value`` lines of a meta file, a case list or a gene panel.

    Raises
    ------
    RefusedError
        With the lines that have no colon, or repeat a key.
    """
    text = utf8_bytes(payload.data, "utf-8", payload.name)[0].decode("utf-8-sig")
    found: dict[str, str] = {}
    bad: list[int] = []
    lines = text.split("\n")
    for number, line in enumerate(lines, start=1):
        if not line.strip() or line.startswith("#"):
            continue
        key, colon, value = line.partition(":")
        if not colon or not key.strip() or key.strip() in found:
            bad.append(number)
        else:
            found[key.strip()] = value.strip()
    if bad:
        detail = "lines that are no key: value, or repeat a key"
        raise RefusedError(
            finding("E-STUDY-META", source=payload.name, detail=detail, bad=len(bad), total=len(lines), lines=bad)
        )
    return found


def read_metas(folder: Path) -> tuple[list[Meta], list[Finding]]:
    """Every meta file of a folder, and what is wrong with them together with the data files that none describes."""
    names = sorted(path.name for path in folder.glob("meta_*.txt"))
    faults: list[Finding] = []
    metas: list[Meta] = []
    if STUDY not in names:
        faults.append(finding("E-STUDY-META", source=f"{folder.name}/{STUDY}", detail="the study has none"))
    for name in names:
        try:
            metas.append(Meta(file=name, fields=read_keys(payload_of(folder, name))))
        except RefusedError as fault:
            faults += fault.findings
    identifier = next((meta.get("cancer_study_identifier") for meta in metas if meta.file == STUDY), "")
    for meta in metas:
        own = meta.get("cancer_study_identifier")
        where = f"{folder.name}/{meta.file}"
        if identifier and own and own != identifier:
            faults.append(finding("E-STUDY-META", source=where, detail="another cancer_study_identifier"))
        if meta.file != STUDY and not meta.data:
            faults.append(finding("E-STUDY-META", source=where, detail="no data_filename"))
    return metas, [*faults, *_undescribed(folder, metas)]


def _undescribed(folder: Path, metas: Sequence[Meta]) -> list[Finding]:
    """Data files that no meta file names; gene panels need none."""
    described = {meta.data for meta in metas}
    panels = {path.name for pattern in _PANEL_FILES for path in folder.glob(pattern)}
    names = sorted(path.name for path in folder.glob("data_*") if path.is_file())
    return [
        finding("E-STUDY-META", source=f"{folder.name}/{name}", detail="no meta file describes this one")
        for name in names
        if name not in described and (name not in panels or name == "data_gene_panel_matrix.txt")
    ]


def read_panels(folder: Path, metas: Sequence[Meta], samples: Sequence[str]) -> tuple[Panels, list[Finding]]:
    """Gene panels, the panel of each sample, and the faults: unknown samples, panels without a file."""
    faults: list[Finding] = []
    genes: dict[str, frozenset[str]] = {}
    for name in sorted({path.name for pattern in _PANEL_FILES for path in folder.glob(pattern)}):
        if name in {meta.data for meta in metas}:
            continue
        try:
            keys = read_keys(payload_of(folder, name))
        except RefusedError as fault:
            faults += fault.findings
            continue
        if "stable_id" in keys:
            genes[keys["stable_id"]] = frozenset(keys.get("gene_list", "").split("\t")) - {""}
    of: dict[str, dict[str, str]] = {}
    for meta in metas:
        if meta.kind[0] == "GENE_PANEL_MATRIX":
            found, bad = _panel_matrix(folder, meta, set(samples), genes)
            of |= found
            faults += bad
    for meta in metas:
        panel = meta.get("gene_panel")
        if panel and panel not in genes:
            faults.append(_no_panel(f"{folder.name}/{meta.file}", panel, ()))
        elif panel:
            of[meta.get("stable_id")] = {**dict.fromkeys(samples, panel), **of.get(meta.get("stable_id"), {})}
    return Panels(genes=genes, of=of), faults


def _panel_matrix(
    folder: Path, meta: Meta, samples: set[str], genes: Mapping[str, frozenset[str]]
) -> tuple[dict[str, dict[str, str]], list[Finding]]:
    where = f"{folder.name}/{meta.data}"
    text = utf8_bytes(payload_of(folder, meta.data).data, "utf-8", where)[0].decode("utf-8-sig")
    rows = [(number, line.split("\t")) for number, line in enumerate(text.split("\n"), start=1) if line.strip()]
    header = [name.strip() for name in rows[0][1]] if rows else []
    if not header or header[0].upper() != "SAMPLE_ID":
        return {}, [finding("E-FORMAT-COLUMN", source=where, column="SAMPLE_ID")]
    short = [number for number, row in rows if len(row) != len(header)]
    if short:
        return {}, [finding("E-ROW-SHORT", source=where, bad=len(short), total=len(rows) - 1, lines=short)]
    body = rows[1:]
    faults = []
    strangers = [number for number, row in body if row[0].strip() not in samples]
    if strangers:
        faults.append(
            finding(
                "E-STUDY-ID", source=where, column="SAMPLE_ID", bad=len(strangers), total=len(body), lines=strangers
            )
        )
    of: dict[str, dict[str, str]] = {name: {} for name in header[1:]}
    absent: dict[str, list[int]] = {}
    for number, row in body:
        for profile, cell in zip(header[1:], row[1:], strict=True):
            panel = "" if cell.strip() in ("", "NA") else cell.strip()
            of[profile][row[0].strip()] = panel
            if panel and panel not in genes:
                absent.setdefault(panel, []).append(number)
    faults += [_no_panel(where, panel, lines) for panel, lines in absent.items()]
    return of, faults


def _no_panel(where: str, panel: str, lines: Sequence[int]) -> Finding:
    return finding("E-STUDY-META", source=where, detail=f"gene panel {panel} has no data_gene_panel file", lines=lines)


def read_sequenced(folder: Path, samples: Sequence[str]) -> tuple[frozenset[str] | None, list[Finding]]:
    """The samples whose mutations were looked for, None where no case list says it."""
    faults: list[Finding] = []
    found: set[str] = set()
    listed = False
    for path in sorted((folder / "case_lists").glob("*.txt")):
        name = f"case_lists/{path.name}"
        try:
            keys = read_keys(payload_of(folder, name))
        except RefusedError as fault:
            faults += fault.findings
            continue
        if not keys.get("stable_id", "").endswith(_SEQUENCED):
            continue
        listed = True
        ids = {entry.strip() for entry in keys.get("case_list_ids", "").split("\t")} - {""}
        strangers = ids - set(samples)
        if strangers:
            faults.append(finding("E-STUDY-ID", source=f"{folder.name}/{name}", bad=len(strangers), total=len(ids)))
        found |= ids
    return (frozenset(found) if listed else None), faults
