"""One door for every format: the content decides which reader is used, never the file's name."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from pathlib import Path

from trialstrat.cohort.readers import (
    arff,
    assay,
    cbioportal,
    dataset_json,
    define_xml,
    delimited,
    duckdb_file,
    excel,
    expression,
    folder,
    h5ad,
    maf,
    packaged,
    parquet,
    sas,
    spss,
    stata,
    vcf,
)
from trialstrat.cohort.readers.locate import is_folder, locate, read_payload
from trialstrat.cohort.readers.table import Payload, RawTable
from trialstrat.cohort.rules import RefusedError, finding
from trialstrat.protocol.model import Source
from trialstrat.results import Finding

#: Formats that are known but not read here, by their first bytes.
_KNOWN_OTHERS = (
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook (.xls)"),
    (b"%PDF", "a PDF"),
    (b"\x89HDF", "an HDF5 file: declare layout: matrix for an AnnData file (.h5ad), or table: obs for its samples"),
    (b"<?xml", "an XML file"),
    (b"SQLite format 3", "an SQLite database"),
)
#: Formats that need nothing declared: (is it this one?, its reader), asked in this order.
_BY_CONTENT: tuple[tuple[Callable[[bytes], bool], Callable[[Payload], RawTable]], ...] = (
    (arff.is_arff, arff.read_arff),
    (stata.is_stata, stata.read_stata),
    (spss.is_spss, spss.read_spss),
    (dataset_json.is_dataset_json, dataset_json.read_dataset_json),
    (maf.is_maf, maf.read_maf),
    (vcf.is_vcf, vcf.read_vcf),
)


class Folders:
    """The study folders read so far: several sources are parts of one, and it is read once."""

    def __init__(self) -> None:
        self._studies: dict[Path, cbioportal.Study] = {}

    def study(self, path: Path) -> cbioportal.Study:
        """The study in a folder; what it has to say stands in the findings of the first part that is asked for."""
        if path in self._studies:
            return replace(self._studies[path], findings=())
        self._studies[path] = cbioportal.read_study(path, several=True)
        return self._studies[path]


def read_source(source: Source, root: Path, folders: Folders | None = None) -> RawTable:
    """Read a declared source as a table: a file or a part of a folder under ``root``, or a packaged data set.

    Raises
    ------
    RefusedError
        With every fault that the reader found in the file.
    """
    if source.dataset is not None:
        path = packaged.find_dataset(source.dataset)
        return replace(_checked(read_payload(path, source.dataset), source), origin="dataset")
    declared, path = source.file or "", locate(source.file or "", root)
    if not is_folder(path):
        table = _checked(read_payload(path, declared), source)
        return table if source.define is None else _defined(table, source, root)
    if not cbioportal.is_study(path):
        table = _checked(folder.payload_in(path, declared, source.table), source)
        if source.define is not None:
            return _defined(table, source, root)
        return define_xml.with_define(table, folder.defined_in(path, declared), source.table or "")
    study = (folders or Folders()).study(path)
    table = cbioportal.study_table(study, source.table or "")
    if table is None:
        raise _no_part(study, source)
    _count(len(table.frame), source, table.file)
    return replace(table, findings=_all_findings(table.findings, study))


def read_matrix(
    source: Source, root: Path, samples: Collection[str] = (), folders: Folders | None = None
) -> expression.Expression:
    """Read a declared source as a matrix of genes and samples; ``samples`` are ids known from another source.

    Raises
    ------
    RefusedError
        With every fault that the reader found in the file.
    """
    path = locate(source.file or "", root)
    if is_folder(path) and cbioportal.is_study(path):
        study = (folders or Folders()).study(path)
        found = cbioportal.study_matrix(study, source.table or "")
        if found is None:
            raise _no_part(study, source)
        return replace(found, findings=_all_findings(found.findings, study))
    payload = _payload(source, path)
    if h5ad.is_hdf5(payload.data):
        return h5ad.read_h5ad(payload, source.values)
    codes = tuple(dict.fromkeys(("NA", *source.missing)))
    return expression.read_expression(payload, way=source.way, samples=samples, kind=source.values, missing=codes)


def read_assay(source: Source, root: Path, folders: Folders | None = None) -> assay.Assay:
    """Read a declared source as variants with who was looked at: MAF, VCF, or a table of structural variants.

    Raises
    ------
    RefusedError
        With every fault that the reader found in the file.
    """
    path = locate(source.file or "", root)
    if is_folder(path) and cbioportal.is_study(path):
        study = (folders or Folders()).study(path)
        found = cbioportal.study_assay(study, source.table or "")
        if found is None:
            raise _no_part(study, source)
        notes = _all_findings(found.variants.findings, study)
        found = replace(found, variants=replace(found.variants, findings=notes))
    else:
        found = _assay(_payload(source, path), source)
    _count(found.variants.rows, source, found.variants.file)
    if source.panel is None:
        return found
    genes = folder.gene_list(read_payload(locate(source.panel, root), source.panel))
    return assay.with_panel(found, frozenset(genes), "panel")


def _assay(payload: Payload, source: Source) -> assay.Assay:
    if vcf.is_vcf(payload.data):
        return assay.of_vcf(vcf.read_vcf(payload))
    if maf.is_maf(payload.data):
        return assay.of_variants(maf.read_variants(payload))
    table = delimited.read_delimited(payload, source)
    if not assay.is_structural([str(name) for name in table.frame.columns]):
        detail = "no MAF, VCF or table of structural variants"
        raise RefusedError(finding("E-SOURCE-LAYOUT", source=payload.name, detail=detail))
    return assay.of_variants(assay.structural_variants(table))


def _payload(source: Source, path: Path) -> Payload:
    """The bytes of a file or of a folder's file, with the declared hash."""
    declared = source.file or ""
    payload = folder.payload_in(path, declared, source.table) if is_folder(path) else read_payload(path, declared)
    if source.sha256 is not None and payload.sha256 != source.sha256:
        raise RefusedError(finding("X-FILE-HASH", source=payload.name))
    return payload


def _defined(table: RawTable, source: Source, root: Path) -> RawTable:
    """The labels and codes of the declared define.xml; the data set is named by table: or the file's name."""
    declared = source.define or ""
    defined = define_xml.read_define(read_payload(locate(declared, root), declared))
    return define_xml.with_define(table, defined, source.table or folder.table_name(Path(source.file or "")))


def _all_findings(findings: tuple[Finding, ...], study: cbioportal.Study) -> tuple[Finding, ...]:
    return tuple(dict.fromkeys((*findings, *study.findings)))


def _no_part(study: cbioportal.Study, source: Source) -> RefusedError:
    parts = ", ".join(cbioportal.parts_of(study))
    what = f"no {source.table!r} as layout: {source.layout}" if source.table else "no table: declared"
    return RefusedError(finding("E-SOURCE-TABLE", source=source.file or "", detail=f"{what}; it has {parts}"))


def _count(rows: int, source: Source, file: str) -> None:
    if source.rows is not None and rows != source.rows:
        raise RefusedError(finding("E-ROWS-COUNT", source=file, detail=f"{rows} rows, {source.rows} declared"))


def read_file(path: Path, source: Source) -> RawTable:
    """Read a file that was named on the command line, wherever it is, as ``source`` declares it.

    Raises
    ------
    RefusedError
        With every fault that the reader found in the file.
    """
    return _checked(read_payload(path, path.name), source)


def _checked(payload: Payload, source: Source) -> RawTable:
    """Read, and compare with the declared hash and number of rows."""
    if source.sha256 is not None and payload.sha256 != source.sha256:
        raise RefusedError(finding("X-FILE-HASH", source=payload.name))
    table = _read(payload, source)
    _count(len(table.frame), source, payload.name)
    if source.sha256 is None:
        return table
    known = tuple(entry for entry in table.findings if entry.code != "W-FILE-CHECKSUM")
    return replace(table, findings=known)


def _read(payload: Payload, source: Source) -> RawTable:
    data = payload.data
    if not data:
        raise RefusedError(finding("E-FILE-EMPTY", source=payload.name, detail="0 bytes"))
    if data[:4] == b"PAR1" or data[-4:] == b"PAR1":
        return parquet.read_parquet(payload)
    if sas.is_xport(data):
        return sas.read_xport(payload, source)
    if sas.is_sas7bdat(data):
        return sas.read_sas7bdat(payload, source)
    if excel.is_workbook(data):
        return excel.read_excel(payload, source)
    if duckdb_file.is_duckdb(data):
        return duckdb_file.read_duckdb(payload, source.table)
    reader = next((read for recognised, read in _BY_CONTENT if recognised(data)), None)
    if reader is not None:
        return reader(payload)
    if h5ad.is_hdf5(data) and source.table == "obs":
        return h5ad.read_obs(payload)
    other = next((name for mark, name in _KNOWN_OTHERS if data.startswith(mark)), None)
    if other is not None:
        raise RefusedError(finding("E-FILE-FORMAT", source=payload.name, detail=f"this is {other}"))
    if payload.name.lower().endswith((".xpt", ".sas7bdat", ".parquet", ".xlsx")):
        suffix = payload.name.rsplit(".", 1)[-1].lower()
        raise RefusedError(finding("E-FILE-FORMAT", source=payload.name, detail=f"named .{suffix}, but it is not"))
    return delimited.read_delimited(payload, source)
