# pyright: reportAttributeAccessIssue=false
# pyarrow.compute makes its functions when it is imported
"""Mutation annotation format (MAF): one row per variant and sample, read into a typed long table.

References
----------
National Cancer Institute, Genomic Data Commons. MAF Format, version 1.0.0 (columns and Variant_Classification).
Mayakonda A, et al. Maftools: efficient and comprehensive analysis of somatic variants in cancer. Genome Res
2018;28:1747-1756 (the classes counted as non-silent).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from trialstrat.cohort.genes import gene_findings
from trialstrat.cohort.readers.arrow_text import (
    body_after_comments,
    header_fields,
    positions,
    read_typed,
    row_lines,
)
from trialstrat.cohort.readers.beside import Beside, comments_of, mail_lines, sampled
from trialstrat.cohort.readers.table import Payload, RawTable, checked_names, text_frame
from trialstrat.cohort.rules import RefusedError, finding, rows_finding
from trialstrat.errors import InvalidInputError
from trialstrat.results import Finding

#: The variant classes that change a protein or its splicing, as maftools and most papers count them.
NON_SILENT = (
    "Frame_Shift_Del",
    "Frame_Shift_Ins",
    "Splice_Site",
    "Translation_Start_Site",
    "Nonsense_Mutation",
    "Nonstop_Mutation",
    "In_Frame_Del",
    "In_Frame_Ins",
    "Missense_Mutation",
)
_COLUMNS: dict[str, tuple[str, ...]] = {
    "gene": ("Hugo_Symbol",),
    "sample": ("Tumor_Sample_Barcode",),
    "classification": ("Variant_Classification",),
    "variant_type": ("Variant_Type",),
    "chromosome": ("Chromosome",),
    "position": ("Start_Position",),
    "reference": ("Reference_Allele",),
    "allele": ("Tumor_Seq_Allele2",),
    "protein_change": ("HGVSp_Short", "Protein_Change", "Amino_Acid_Change", "AAChange"),
    "status": ("Mutation_Status",),
    "alt_reads": ("t_alt_count",),
    "ref_reads": ("t_ref_count",),
    "depth": ("t_depth",),
}
_REQUIRED = ("gene", "sample", "classification")
_REPEATED = frozenset({"gene", "sample", "classification", "variant_type", "chromosome", "status"})
_NUMBERS = frozenset({"position", "alt_reads", "ref_reads", "depth"})
#: What the format writes where there is no value.
_MISSING = (".", "NA", "N/A", "--", "unknown", "[Not Available]")
_GERMLINE = ("germline",)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Variants:
    """One row per variant and sample, in the order of the file.

    ``columns`` holds Arrow columns by our names: ``gene``, ``sample`` and ``classification`` always; ``position``,
    ``alt_reads``, ``ref_reads`` and ``depth`` are numbers (null where not given), everything else text. ``vaf`` (n,)
    is alternative reads over depth, nan where the reads are not given. ``lines`` (n,) are line numbers of the file.
    """

    columns: Mapping[str, pa.ChunkedArray]
    vaf: NDArray[np.float64]
    lines: NDArray[np.int64]
    file: str
    sha256: str
    findings: tuple[Finding, ...] = ()
    beside: Beside = field(default_factory=Beside)

    @property
    def rows(self) -> int:
        """Number of variants."""
        return len(self.lines)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class GeneMatrix:
    """``altered`` (patients, genes): whether the patient has a counted variant in the gene. Both axes are sorted.

    ``classes`` are the variant classes that were counted: a report must say them.
    """

    patients: tuple[str, ...]
    genes: tuple[str, ...]
    altered: NDArray[np.bool_]
    classes: tuple[str, ...]


def is_maf(data: bytes) -> bool:
    """Whether the header after the comment lines names a gene, a tumour sample and a variant class."""
    lines = (line for line in data[:1_000_000].decode("utf-8", "replace").splitlines() if not line.startswith("#"))
    header = {field.strip().strip('"').casefold() for field in next(lines, "").split("\t")}
    return all(_COLUMNS[key][0].casefold() in header for key in _REQUIRED)


def read_maf(payload: Payload) -> RawTable:
    """Read every column as text, one row per variant and sample; lines that start with # are left out.

    Raises
    ------
    RefusedError
        For ragged rows, duplicate names, or text that is not UTF-8.
    """
    file = payload.name
    body, skipped, header = _opened(payload)
    names = checked_names(header, file)
    kinds = [pa.large_string()] * len(header)
    table = read_typed(body, kinds, delimiter="\t", wanted=range(len(header)), missing=(), file=file, skipped=skipped)
    return RawTable(
        frame=text_frame(names, list(table.columns)),
        file=file,
        lines=row_lines(body, skipped, table.num_rows),
        sha256=payload.sha256,
        format="maf",
        findings=(finding("I-FILE-FORMAT", source=file, detail="MAF; one row per variant and sample"),),
    )


def read_variants(payload: Payload) -> Variants:
    """Read the columns that are used, typed. Spellings of column names are matched whatever their case.

    Raises
    ------
    RefusedError
        With every fault of the file: a required column that is absent, rows without gene or sample, reads that are
        no whole numbers or exceed the depth, gene symbols that a spreadsheet turned into dates, ragged rows.
    """
    file = payload.name
    body, skipped, header = _opened(payload)
    at = positions(header, _COLUMNS)
    absent = [finding("E-FORMAT-COLUMN", source=file, column=_COLUMNS[key][0]) for key in _REQUIRED if key not in at]
    if absent:
        raise RefusedError(*absent)
    kinds = [pa.large_string()] * len(header)
    for key, place in at.items():
        kinds[place] = _kind(key)
    table = read_typed(
        body, kinds, delimiter="\t", wanted=list(at.values()), missing=_MISSING, file=file, skipped=skipped
    )
    columns = {key: table.column(str(place)) for key, place in at.items()}
    lines = row_lines(body, skipped, table.num_rows)
    vaf = _vaf(columns)
    faults = _faults(columns, vaf, lines, file)
    if faults:
        raise RefusedError(*faults)
    notes = [finding("I-FILE-FORMAT", source=file, detail="MAF; one row per variant and sample")]
    if "status" not in columns:
        notes.append(finding("W-VARIANT-STATUS", source=file))
    frame, looked_at = sampled(body, header, skipped)
    return Variants(
        columns=columns,
        vaf=vaf,
        lines=lines,
        file=file,
        sha256=payload.sha256,
        findings=tuple(notes),
        beside=Beside(
            comments=comments_of(payload.data)[:skipped],
            frame=frame,
            lines=looked_at,
            id_column=header[at["sample"]].strip(),
            mails=tuple(line + skipped for line in mail_lines(body)),
            names_line=skipped + 1,
        ),
    )


def _opened(payload: Payload) -> tuple[bytes, int, list[str]]:
    """Text, number of comment lines before it, and header."""
    body, skipped = body_after_comments(payload)
    header = header_fields(body, "\t")
    if not body.strip():
        raise RefusedError(finding("E-FILE-EMPTY", source=payload.name))
    if not body.rstrip(b"\n").count(b"\n"):
        raise RefusedError(finding("E-ROWS-NONE", source=payload.name, detail=f"0 rows, {len(header)} columns"))
    return body, skipped, header


def _kind(key: str) -> pa.DataType:
    if key in _NUMBERS:
        return pa.float64()  # programs that fill gaps write whole numbers as 12.0
    return pa.dictionary(pa.int32(), pa.large_string()) if key in _REPEATED else pa.large_string()


def _vaf(columns: Mapping[str, pa.ChunkedArray]) -> NDArray[np.float64]:
    """Alternative reads over depth; where the depth is not given, over both reads; nan for no reads."""
    rows = len(columns["gene"])
    nothing = np.full(rows, np.nan)
    alt, ref, depth = (
        _floats(columns[key]) if key in columns else nothing for key in ("alt_reads", "ref_reads", "depth")
    )
    total = np.where(np.isnan(depth), alt + ref, depth)
    total[~(total > 0)] = np.nan
    return alt / total


def _floats(column: pa.ChunkedArray) -> NDArray[np.float64]:
    return np.asarray(column.cast(pa.float64()).to_numpy())


def _faults(
    columns: Mapping[str, pa.ChunkedArray], vaf: NDArray[np.float64], lines: NDArray[np.int64], file: str
) -> list[Finding]:
    faults: list[Finding] = []
    for key in ("gene", "sample"):
        names, codes = coded(columns[key])
        empty = np.isin(codes, [at for at, name in enumerate(names) if not name.strip()])
        found = rows_finding("E-ID-MISSING", empty, lines, source=file, column=_COLUMNS[key][0])
        faults += found
    faults += [entry for entry in gene_findings(coded(columns["gene"])[0], file) if entry.code == "E-GENE-DATE"]
    impossible = np.nan_to_num(vaf) > 1
    for key in ("alt_reads", "ref_reads", "depth"):
        if key in columns:
            reads = _floats(columns[key])
            impossible |= (np.nan_to_num(reads) < 0) | np.isinf(reads)
    return [*faults, *rows_finding("E-VALUE-VAF", impossible, lines, source=file, column="t_alt_count")]


def coded(column: pa.ChunkedArray) -> tuple[list[str], NDArray[np.int64]]:
    """The distinct texts of a column and the place of each row's text among them; null counts as empty."""
    whole = column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)
    if not isinstance(whole, pa.DictionaryArray):
        whole = pc.dictionary_encode(pc.fill_null(whole.cast(pa.large_string()), ""))
    codes = pc.fill_null(whole.indices, -1).to_numpy(zero_copy_only=False).astype(np.int64)
    names = [str(name) for name in whole.dictionary.to_pylist()]
    if (codes < 0).any():
        codes = np.where(codes < 0, len(names), codes)
        names.append("")
    return names, codes


def counted(variants: Variants, classes: Sequence[str] = NON_SILENT, germline: bool = False) -> NDArray[np.bool_]:
    """Which rows are of the given classes and, unless ``germline``, are not marked as germline."""
    names, codes = coded(variants.columns["classification"])
    wanted = {name.casefold() for name in classes}
    keep = np.array([name.strip().casefold() in wanted for name in names], dtype=bool)[codes]
    return keep if germline else keep & ~is_germline(variants)


def is_germline(variants: Variants) -> NDArray[np.bool_]:
    """Which rows are marked as germline; none where the file does not say it."""
    if "status" not in variants.columns:
        return np.zeros(variants.rows, dtype=bool)
    states, at = coded(variants.columns["status"])
    return np.array([state.strip().casefold() in _GERMLINE for state in states], dtype=bool)[at]


def gene_matrix(
    variants: Variants,
    *,
    samples: Sequence[str] | None = None,
    patient_of: Mapping[str, str] | None = None,
    genes: Sequence[str] | None = None,
    classes: Sequence[str] = NON_SILENT,
    germline: bool = False,
) -> GeneMatrix:
    """Patients x genes: whether each has a counted variant.

    Parameters
    ----------
    samples
        The samples that were assayed, with or without a variant; by default those that the file names. Whoever was
        not assayed must not be among them: no row in a MAF does not mean wild type.
    patient_of
        The patient of each sample; by default a sample is a patient.
    genes
        The genes wanted, by default every gene with a counted variant. A gene outside the assay must not be asked for.
    classes, germline
        What counts, see `counted`.

    Raises
    ------
    InvalidInputError
        When the file has variants of samples that are not in ``samples``, or a sample has no patient.
    """
    named, sample_codes = coded(variants.columns["sample"])
    assayed = sorted(set(named)) if samples is None else list(dict.fromkeys(samples))
    unknown = set(named) - set(assayed)
    if unknown:
        raise InvalidInputError(f"{variants.file}: {len(unknown)} samples with variants are not among the assayed ones")
    orphans = [name for name in assayed if patient_of is not None and name not in patient_of]
    if orphans:
        raise InvalidInputError(f"{variants.file}: {len(orphans)} of {len(assayed)} samples have no patient")
    owner = {name: name if patient_of is None else patient_of[name] for name in assayed}
    patients = sorted(set(owner.values()))
    row_of = {patient: at for at, patient in enumerate(patients)}
    rows = np.array([row_of[owner[name]] for name in named], dtype=np.int64)[sample_codes]
    symbols, gene_codes = coded(variants.columns["gene"])
    keep = counted(variants, classes, germline)
    present = sorted({symbols[code] for code in np.unique(gene_codes[keep])}) if genes is None else sorted(set(genes))
    place = {name: at for at, name in enumerate(present)}
    columns = np.array([place.get(name, -1) for name in symbols], dtype=np.int64)[gene_codes]
    keep &= columns >= 0
    altered = np.zeros((len(patients), len(present)), dtype=bool)
    altered[rows[keep], columns[keep]] = True
    return GeneMatrix(patients=tuple(patients), genes=tuple(present), altered=altered, classes=tuple(classes))
