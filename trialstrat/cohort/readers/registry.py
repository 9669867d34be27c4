"""One door for every format: the content decides which reader is used, never the file's name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from trialstrat.cohort.readers import (
    arff,
    dataset_json,
    delimited,
    excel,
    maf,
    packaged,
    parquet,
    sas,
    spss,
    stata,
    vcf,
)
from trialstrat.cohort.readers.locate import locate, read_payload
from trialstrat.cohort.readers.table import Payload, RawTable
from trialstrat.cohort.rules import RefusedError, finding
from trialstrat.protocol.model import Source

#: Formats that are known but not read here, by their first bytes.
_KNOWN_OTHERS = (
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook (.xls)"),
    (b"%PDF", "a PDF"),
    (b"\x89HDF", "an HDF5 file"),
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


def read_source(source: Source, root: Path) -> RawTable:
    """Read a declared source: a file under ``root`` or a packaged data set.

    Raises
    ------
    RefusedError
        With every fault that the reader found in the file.
    """
    if source.dataset is not None:
        path = packaged.find_dataset(source.dataset)
        return replace(_checked(read_payload(path, source.dataset), source), origin="dataset")
    declared = source.file or ""
    return _checked(read_payload(locate(declared, root), declared), source)


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
    if source.rows is not None and len(table.frame) != source.rows:
        detail = f"{len(table.frame)} rows, {source.rows} declared"
        raise RefusedError(finding("E-ROWS-COUNT", source=payload.name, detail=detail))
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
    reader = next((read for recognised, read in _BY_CONTENT if recognised(data)), None)
    if reader is not None:
        return reader(payload)
    other = next((name for mark, name in _KNOWN_OTHERS if data.startswith(mark)), None)
    if other is not None:
        raise RefusedError(finding("E-FILE-FORMAT", source=payload.name, detail=f"this is {other}"))
    if payload.name.lower().endswith((".xpt", ".sas7bdat", ".parquet", ".xlsx")):
        suffix = payload.name.rsplit(".", 1)[-1].lower()
        raise RefusedError(finding("E-FILE-FORMAT", source=payload.name, detail=f"named .{suffix}, but it is not"))
    return delimited.read_delimited(payload, source)
