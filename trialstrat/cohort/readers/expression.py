"""Expression matrices, genes in rows or in columns, as one block of numbers with patients in rows.

The file is parsed in runs of rows straight into the matrix, so that the text and the matrix are all that is held: a
transcriptome is read in about the time of the CSV parser alone.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from trialstrat.cohort.genes import gene_findings
from trialstrat.cohort.readers.arrow_text import body_after_comments, header_fields, read_pieces, row_lines
from trialstrat.cohort.readers.beside import Beside, comments_of, distinct, of_columns
from trialstrat.cohort.readers.delimited import find_delimiter
from trialstrat.cohort.readers.table import Payload, checked_names
from trialstrat.cohort.rules import RefusedError, finding, without_names
from trialstrat.results import Finding

Way = Literal["genes_in_rows", "genes_in_columns"]
Kind = Literal["counts", "tpm", "log2", "other"]

#: Columns beside the values that describe a gene, in files with genes in rows.
_DESCRIPTIONS = frozenset(
    (
        *("entrez_gene_id", "description", "gene_id", "entrezid", "ensembl_gene_id", "cytoband", "chr", "gene_type"),
        *("locus", "name", "url", "transcript_id"),
    )
)
_GENE_HEADER = re.compile(
    r"(hugo_?)?(gene|symbol|gene_?(symbol|name|id)|hgnc_symbol|probe(set)?(_?id)?)", re.IGNORECASE
)
_SAMPLE_HEADER = re.compile(r"(sample|patient|subject|case)s?([ _.]?(id|name|barcode))?|usubjid|barcode", re.IGNORECASE)
_ENSEMBL = re.compile(r"ENSG\d{11}(\.\d+)?")
#: Genes that are on nearly every panel and in nearly every transcriptome.
_FAMILIAR_SYMBOLS = (
    "TP53 EGFR KRAS NRAS BRAF PIK3CA PTEN ERBB2 ESR1 PGR MKI67 CD274 CD8A MYC BRCA1 BRCA2 ATM RB1 CDKN2A ALK MET RET"
    " FLT3 NPM1 IDH1 IDH2 DNMT3A GAPDH ACTB B2M CTLA4 PDCD1 VEGFA KIT PDGFRA AKT1 MTOR NOTCH1 CCND1 CDH1 GATA3 APC"
    " SMAD4 STK11 KEAP1 AR FOXA1 TBP HPRT1 IL6 TNF IFNG STAT1 JAK2 CD4 CD19 MS4A1 EPCAM VIM"
)
_FAMILIAR = frozenset(_FAMILIAR_SYMBOLS.split())
#: log2 values above this are beyond any count; raw values stay below it only in tiny or transformed files.
_MOST_LOG2 = 40.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Expression:
    """``values`` (samples, genes) float64, nan where the file has no value; the order is that of the file.

    ``way`` is how the file was laid out and ``evidence`` why that is believed.
    """

    samples: tuple[str, ...]
    genes: tuple[str, ...]
    values: NDArray[np.float64]
    way: Way
    evidence: str
    file: str
    sha256: str
    findings: tuple[Finding, ...] = ()
    beside: Beside = field(default_factory=Beside)


def read_expression(
    payload: Payload,
    *,
    way: Way | None = None,
    samples: Collection[str] = (),
    kind: Kind = "other",
    missing: Sequence[str] = ("NA",),
) -> Expression:
    """Read a matrix of genes and samples. Messages never name a sample, only its column.

    Parameters
    ----------
    way
        How the file is laid out. When absent it is found from ``samples`` (ids known from another table), the name
        of the first column, or familiar gene symbols; when these do not say it the file is refused.
    kind
        What the values are: counts and TPM cannot be negative; log2 values above 40 are raw values.
    missing
        Codes of missing values beside the empty field.

    Raises
    ------
    RefusedError
        For ragged rows, cells that are no finite numbers, genes or samples named twice, symbols that a spreadsheet
        turned into dates, values that ``kind`` excludes, or a layout that cannot be told.
    """
    try:
        return _expression(payload, way=way, samples=samples, kind=kind, missing=missing)
    except RefusedError as fault:
        body, _ = body_after_comments(payload)
        header = header_fields(body, find_delimiter(body)) if body.strip() else [""]
        across = way == "genes_in_columns" or (way is None and _SAMPLE_HEADER.fullmatch(header[0]) is not None)
        raise (fault if across else without_names(fault, header, "samples")) from None


def _expression(
    payload: Payload, *, way: Way | None, samples: Collection[str], kind: Kind, missing: Sequence[str]
) -> Expression:
    file = payload.name
    body, skipped = body_after_comments(payload)
    if not body.strip():
        raise RefusedError(finding("E-FILE-EMPTY", source=file))
    delimiter = find_delimiter(body)
    header = header_fields(body, delimiter)
    if body.count(b"\n") + (not body.endswith(b"\n")) < 2:
        raise RefusedError(finding("E-ROWS-NONE", source=file, detail=f"0 rows, {len(header)} columns"))
    labels = [0, *(at for at, name in enumerate(header) if at and name.casefold() in _DESCRIPTIONS)]
    values = [at for at in range(1, len(header)) if at not in labels]
    described, block, lines = _read(body, header, labels, values, delimiter, missing, file, skipped)
    rows = described[0]
    across = [header[at] for at in values]
    found, evidence = (way, "declared") if way else _way(header[0], across, rows, samples)
    if found is None:
        raise RefusedError(finding("E-FORMAT-WAY", source=file))
    genes, people = (rows, across) if found == "genes_in_rows" else (across, rows)
    _check(block, kind, header, values, lines, file)
    spoiled = [entry for entry in gene_findings(genes, file) if entry.severity == "error"]
    if spoiled:
        raise RefusedError(*spoiled)
    genes, people = checked_names(genes, file), _checked_samples(people, file)
    detail = (
        f"expression, {len(genes)} genes in {'rows' if found == 'genes_in_rows' else 'columns'}, {len(people)} samples"
    )
    return Expression(
        samples=tuple(people),
        genes=tuple(genes),
        values=block if found == "genes_in_rows" else block.T,
        way=found,
        evidence=evidence,
        file=file,
        sha256=payload.sha256,
        findings=(finding("I-FILE-FORMAT", source=file, detail=detail),),
        beside=_beside(payload, header, described, lines, skipped, down=found == "genes_in_columns"),
    )


def _beside(
    payload: Payload,
    header: Sequence[str],
    described: Mapping[int, Sequence[str]],
    lines: NDArray[np.int64],
    skipped: int,
    *,
    down: bool,
) -> Beside:
    """Comments and the columns of text; the first one holds the samples where these go ``down`` the file."""
    names = distinct([header[at] for at in described])
    frame, lines = of_columns(dict(zip(names, described.values(), strict=True)), lines)
    return Beside(
        comments=comments_of(payload.data)[:skipped],
        frame=frame,
        lines=lines,
        id_column=names[0] if down else "",
        names_line=skipped + 1,
    )


def _checked_samples(names: Sequence[str], file: str) -> list[str]:
    """Names of samples, each once; a fault says where they stand and not what they are."""
    try:
        return checked_names(names, file)
    except RefusedError as fault:
        raise RefusedError(*(replace(entry, column="samples") for entry in fault.findings)) from None


def checked_expression(
    values: NDArray[np.float64],
    samples: Sequence[str],
    genes: Sequence[str],
    payload: Payload,
    *,
    kind: Kind,
    format_: str,
    beside: Beside,
) -> Expression:
    """A matrix (samples, genes) of a typed format with the same checks as a text file.

    Raises
    ------
    RefusedError
        For values that are infinite or that ``kind`` excludes, names given twice, symbols turned into dates.
    """
    file = payload.name
    lines = np.arange(1, len(samples) + 1, dtype=np.int64)
    _check(values.T, kind, genes, range(len(genes)), lines, file)
    spoiled = [entry for entry in gene_findings(genes, file) if entry.severity == "error"]
    if spoiled:
        raise RefusedError(*spoiled)
    detail = f"{format_}, {len(genes)} genes, {len(samples)} samples"
    return Expression(
        samples=tuple(_checked_samples(samples, file)),
        genes=tuple(checked_names(genes, file)),
        values=values,
        way="genes_in_columns",
        evidence="the format says it",
        file=file,
        sha256=payload.sha256,
        findings=(finding("I-FILE-FORMAT", source=file, detail=detail),),
        beside=beside,
    )


def _read(
    body: bytes,
    header: Sequence[str],
    labels: Sequence[int],
    values: Sequence[int],
    delimiter: str,
    missing: Sequence[str],
    file: str,
    skipped: int,
) -> tuple[dict[int, list[str]], NDArray[np.float64], NDArray[np.int64]]:
    """Columns of text by place, the block with the file's columns as rows (columns, rows), and lines of the rows."""
    kinds: list[pa.DataType] = [pa.float64()] * len(header)
    for at in labels:
        kinds[at] = pa.large_string()
    texts: dict[int, list[str]] = {at: [] for at in labels}
    rows = texts[0]
    block = np.empty((len(values), body.count(b"\n") + 1))
    for piece in read_pieces(
        body,
        kinds,
        delimiter=delimiter,
        wanted=(*labels, *values),
        missing=missing,
        file=file,
        skipped=skipped,
        quotes=True,
    ):
        start, end = len(rows), len(rows) + piece.num_rows
        for column, into in zip(piece.columns[len(labels) :], block, strict=True):
            _copy(column, into[start:end])
        for at in labels:
            texts[at] += [str(name) for name in piece.column(str(at)).to_pylist()]
    return texts, block[:, : len(rows)], row_lines(body, skipped, len(rows))


def _copy(column: pa.ChunkedArray, into: NDArray[np.float64]) -> None:
    """Nulls become nan; a nan that the file spells out becomes infinite, so that it is found with the infinities."""
    start = 0
    for chunk in column.chunks:
        part = into[start : start + len(chunk)]
        part[:] = chunk.to_numpy(zero_copy_only=False)
        if int(np.isnan(part).sum()) != chunk.null_count:
            part[np.isnan(part) & np.asarray(chunk.is_valid())] = np.inf
        start += len(chunk)


def _check(
    block: NDArray[np.float64],
    kind: Kind,
    header: Sequence[str],
    values: Sequence[int],
    lines: NDArray[np.int64],
    file: str,
) -> None:
    """Values that no expression has; block by column of the file."""
    faults: list[Finding] = []
    low, high = np.inf, -np.inf
    for at, column in zip(values, block, strict=True):
        known = column[~np.isnan(column)]
        if not len(known):
            continue
        low, high = min(low, float(known.min())), max(high, float(known.max()))
        if np.isinf(known).any():
            bad = np.isinf(column)
            faults.append(_column_fault("E-VALUE-INF", header[at], bad, lines, file))
        elif kind in ("counts", "tpm") and known.min() < 0:
            faults.append(_column_fault("E-VALUE-RANGE", header[at], column < 0, lines, file, f"negative {kind}"))
    if kind == "log2" and not faults and high > _MOST_LOG2:
        faults.append(finding("E-VALUE-RANGE", source=file, detail="declared as log2, but the values are raw"))
    if faults:
        raise RefusedError(*faults)


def _column_fault(
    code: str, column: str, bad: NDArray[np.bool_], lines: NDArray[np.int64], file: str, detail: str = ""
) -> Finding:
    return finding(
        code, source=file, column=column, detail=detail, bad=int(bad.sum()), total=len(bad), lines=lines[bad]
    )


def _way(corner: str, across: Sequence[str], down: Sequence[str], samples: Collection[str]) -> tuple[Way | None, str]:
    """How the file is laid out, and what says so; None where nothing does or two hints contradict each other."""
    known = set(samples)
    matched_across, matched_down = len(known.intersection(across)), len(known.intersection(down))
    if matched_across != matched_down:
        way: Way = "genes_in_rows" if matched_across > matched_down else "genes_in_columns"
        return way, f"{max(matched_across, matched_down)} known samples"
    if _GENE_HEADER.fullmatch(corner):
        return "genes_in_rows", "the first column is named after genes"
    if _SAMPLE_HEADER.fullmatch(corner):
        return "genes_in_columns", "the first column is named after samples"
    genes_across, genes_down = _familiar(across), _familiar(down)
    if bool(genes_across) == bool(genes_down):
        return None, ""
    return ("genes_in_columns" if genes_across else "genes_in_rows"), f"{genes_across or genes_down} familiar genes"


def _familiar(names: Sequence[str]) -> int:
    return sum(name.upper() in _FAMILIAR or _ENSEMBL.fullmatch(name) is not None for name in names)
