"""Variant call format (VCF 4.x) into a long table: one row per variant allele and sample that carries it.

Annotations of VEP (``CSQ``) and SnpEff (``ANN``) are read by the field order that the header declares, never by
position alone.

References
----------
The Variant Call Format Specification, VCFv4.5, samtools/hts-specs, 2024.
McLaren W, et al. The Ensembl Variant Effect Predictor. Genome Biol 2016;17:122.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trialstrat.cohort.readers.delimited import utf8_bytes
from trialstrat.cohort.readers.table import Payload, RawTable, text_frame
from trialstrat.cohort.readers.vcf_beside import vcf_beside
from trialstrat.cohort.rules import RefusedError, finding

_FIXED = ("#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO")
_ANNOTATIONS = ("CSQ", "ANN", "vep")
#: Our names of annotation fields by the names that VEP and SnpEff give them.
_FIELDS = {
    "gene": ("SYMBOL", "Gene_Name"),
    "consequence": ("Consequence", "Annotation"),
    "impact": ("IMPACT", "Annotation_Impact"),
    "protein_change": ("HGVSp", "HGVS.p"),
    "transcript": ("Feature", "Feature_ID"),
}
_COLUMNS = (
    "chromosome", "position", "id", "reference", "allele", "filter", "sample", "genotype", "alt_reads", "depth", "vaf",
    *_FIELDS,
)  # fmt: skip
_BASES = re.compile(r"[ACGTUNacgtunRYSWKMBDHVryswkmbdhv]+")
_ALLELE = re.compile(r"[ACGTUNacgtunRYSWKMBDHVryswkmbdhv]+|\*|\.|<[^<>]+>|.*[\[\]].*|\.[ACGTNacgtn]+|[ACGTNacgtn]+\.")
_GENOTYPE = re.compile(r"[/|]?(\.|\d+)([/|](\.|\d+))*")
_IMPACT = ("HIGH", "MODERATE", "LOW", "MODIFIER")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Header:
    """Sample names, line of the column names, and the fields of the annotation in the order of the file."""

    samples: tuple[str, ...]
    line: int
    annotation: str
    fields: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class _Fault:
    code: str
    column: str
    detail: str


class _FaultError(Exception):
    def __init__(self, code: str, column: str, detail: str) -> None:
        super().__init__(code)
        self.fault = _Fault(code, column, detail)


def is_vcf(data: bytes) -> bool:
    """Whether the first line declares a VCF."""
    return data.removeprefix(b"\xef\xbb\xbf").startswith(b"##fileformat=VCF")


def read_vcf(payload: Payload) -> RawTable:
    """Read the alleles that samples carry, as text; a file without samples gives one row per allele.

    Columns: chromosome, position, id, reference, allele, filter, sample, genotype, alt_reads, depth, vaf (alternative
    reads over depth, else the declared AF of the sample), and from the annotation gene, consequence, impact,
    protein_change and transcript of the most severe consequence of this allele. Where the file gives no value the
    cell is missing. A sample with an unknown genotype and no reads for the allele has no row: it is not known to
    carry it. The names of all samples are the keys of ``levels["sample"]``: whoever has no row was still assayed.

    Raises
    ------
    RefusedError
        With every kind of fault and its first lines: no VCF 4, damaged header, rows of another width, positions that
        are no numbers, impossible alleles, genotypes or reads.
    """
    file = payload.name
    lines = utf8_bytes(payload.data, "utf-8", file)[0].decode("utf-8-sig").split("\n")
    header = _header(lines, file)
    cells: list[list[str | None]] = [[] for _ in _COLUMNS]
    at: list[int] = []
    faults: dict[_Fault, list[int]] = {}
    total = 0
    for number, line in enumerate(lines[header.line :], start=header.line + 1):
        if not line:
            continue
        total += 1
        try:
            for row in _rows(line, header):
                at.append(number)
                for column, cell in zip(cells, row, strict=True):
                    column.append(cell)
        except _FaultError as raised:
            faults.setdefault(raised.fault, []).append(number)
    _refuse(faults, total, file)
    return RawTable(
        frame=text_frame(_COLUMNS, cells),
        file=file,
        lines=np.array(at, dtype=np.int64),
        sha256=payload.sha256,
        format="vcf",
        findings=(
            finding(
                "I-FILE-FORMAT", source=file, detail=f"VCF; {len(header.samples)} samples, one row per carried allele"
            ),
        ),
        levels={"sample": dict.fromkeys(header.samples, "")},
        beside=vcf_beside(payload.data, lines, header.line),
    )


def _refuse(faults: Mapping[_Fault, Sequence[int]], total: int, file: str) -> None:
    if not total:
        raise RefusedError(finding("E-ROWS-NONE", source=file, detail="0 variants"))
    if faults:
        raise RefusedError(
            *(
                finding(
                    fault.code,
                    source=file,
                    column=fault.column,
                    detail=fault.detail,
                    bad=len(lines),
                    total=total,
                    lines=lines,
                )
                for fault, lines in faults.items()
            )
        )


def _header(lines: Sequence[str], file: str) -> _Header:
    version = re.fullmatch(r"##fileformat=VCFv(4\.\d+)\s*", lines[0])
    if version is None:
        raise RefusedError(finding("E-FILE-FORMAT", source=file, detail="only VCF 4 is read"))
    at = next((number for number, line in enumerate(lines) if not line.startswith("##")), len(lines))
    names = lines[at].split("\t") if at < len(lines) else []
    if tuple(names[: len(_FIXED)]) != _FIXED or (len(names) > len(_FIXED) and names[8] != "FORMAT"):
        detail = "the line #CHROM ... INFO (FORMAT, samples) is missing or damaged"
        raise RefusedError(finding("E-FILE-DAMAGED", source=file, detail=detail, lines=[at + 1]))
    samples = names[9:]
    if len(set(samples)) != len(samples) or not all(name.strip() for name in samples):
        raise RefusedError(finding("E-COLUMN-TWICE", source=file, column="samples", lines=[at + 1]))
    annotation, fields = _annotation(lines[:at])
    return _Header(samples=tuple(samples), line=at + 1, annotation=annotation, fields=fields)


def _annotation(lines: Sequence[str]) -> tuple[str, dict[str, int]]:
    """Name of the INFO key of the annotation and where our fields are in it, by the header's own list of fields."""
    for key in _ANNOTATIONS:
        line = next((line for line in lines if line.startswith(f"##INFO=<ID={key},")), None)
        match = re.search(r"(?:Format:|annotations:)\s*'?\s*([^\"']+)", line) if line else None
        if match:
            names = [name.strip().casefold() for name in match[1].split("|")]
            places = {
                ours: names.index(name.casefold())
                for ours, theirs in {**_FIELDS, "allele": ("Allele",), "number": ("ALLELE_NUM",)}.items()
                for name in theirs
                if name.casefold() in names
            }
            return key, places
    return "", {}


def _rows(line: str, header: _Header) -> Iterator[tuple[str | None, ...]]:
    """The rows of one line of the file."""
    fields = line.split("\t")
    width = len(_FIXED) + (1 + len(header.samples) if header.samples else 0)
    if len(fields) != width and not (not header.samples and len(fields) == width + 1):
        code = "E-ROW-LONG" if len(fields) > width else "E-ROW-SHORT"
        raise _FaultError(code, "", "")
    chromosome, position, name, reference, alleles, _, passed, info = fields[:8]
    if not position.isdigit() or not chromosome:
        raise _FaultError("E-VALUE-TEXT", "POS", "")
    if not _BASES.fullmatch(reference):
        raise _FaultError("E-VALUE-TEXT", "REF", "other letters than bases")
    variants = alleles.split(",")
    if not all(_ALLELE.fullmatch(entry) for entry in variants):
        raise _FaultError("E-VALUE-TEXT", "ALT", "no alleles")
    notes = _consequences(info, reference, variants, header)
    calls = [_call(fields[8], field, len(variants)) for field in fields[9:]] if header.samples else []
    for index, allele in enumerate(variants, start=1):
        if allele == ".":
            continue
        fixed = (chromosome, position, _known(name), reference, allele, _known(passed))
        if not header.samples:
            yield (*fixed, None, None, None, None, None, *notes[index - 1])
        for sample, call in zip(header.samples, calls, strict=True):
            if call.carries(index):
                yield (*fixed, sample, *call.cells(index), *notes[index - 1])


@dataclass(frozen=True, slots=True)
class _Call:
    """Genotype, reads by allele (the reference first), depth and declared fractions of one sample."""

    genotype: str | None
    copies: frozenset[str]
    reads: tuple[int | None, ...]
    depth: int | None
    fractions: tuple[str, ...]

    def carries(self, index: int) -> bool:
        """By the genotype; where there is none, by reads for the allele."""
        if self.genotype is not None:
            return str(index) in self.copies
        reads = self.reads[index] if index < len(self.reads) else None
        return bool(reads) or float(self.vaf(index) or 0) > 0

    def vaf(self, index: int) -> str | None:
        """Reads over depth (over all reads where no depth is given), else the fraction that the caller wrote."""
        alt = self.reads[index] if index < len(self.reads) else None
        known = [entry for entry in self.reads if entry is not None]
        depth = self.depth if self.depth is not None else (sum(known) if len(known) == len(self.reads) else 0)
        if alt is not None and depth:
            return repr(round(alt / depth, 12))
        fraction = self.fractions[index - 1] if index - 1 < len(self.fractions) else "."
        return None if fraction == "." else fraction

    def cells(self, index: int) -> tuple[str | None, str | None, str | None, str | None]:
        """Genotype, alternative reads, depth, allele fraction."""
        alt = self.reads[index] if index < len(self.reads) else None
        return self.genotype, _written(alt), _written(self.depth), self.vaf(index)


def _call(format_: str, field: str, alleles: int) -> _Call:
    """One sample's field; trailing keys may be left out (VCF 4.3, 1.6.2)."""
    keys, values = format_.split(":"), field.split(":")
    if len(values) > len(keys):
        raise _FaultError("E-VALUE-TEXT", "FORMAT", "samples with more values than keys")
    got = dict(zip(keys, values, strict=False))
    genotype = got.get("GT", ".")
    if not _GENOTYPE.fullmatch(genotype):
        raise _FaultError("E-VALUE-TEXT", "GT", "no genotypes")
    copies = frozenset(re.split(r"[/|]", genotype)) - {"", "."}
    if any(int(copy) > alleles for copy in copies):
        raise _FaultError("E-VALUE-RANGE", "GT", "alleles that the variant does not have")
    reads = tuple(_count(entry, "AD") for entry in got.get("AD", ".").split(","))
    depth = _count(got.get("DP", "."), "DP")
    fractions = tuple(got.get("AF", ".").split(","))
    if any(not _fraction(entry) for entry in fractions):
        raise _FaultError("E-VALUE-VAF", "AF", "")
    if depth is not None and any(entry is not None and entry > depth for entry in reads[1:]):
        raise _FaultError("E-VALUE-VAF", "AD", "")
    return _Call(genotype if copies else None, copies, reads, depth, fractions)


def _count(text: str, key: str) -> int | None:
    if text in (".", ""):
        return None
    if not text.isdigit():
        raise _FaultError("E-VALUE-TEXT", key, "reads that are no whole numbers")
    return int(text)


def _fraction(text: str) -> bool:
    if text in (".", ""):
        return True
    try:
        return 0 <= float(text) <= 1
    except ValueError:
        return False


def _written(number: int | None) -> str | None:
    return None if number is None else str(number)


def _known(text: str) -> str | None:
    return None if text == "." else text


def _consequences(info: str, reference: str, alleles: Sequence[str], header: _Header) -> list[tuple[str | None, ...]]:
    """For each allele our annotation fields of its most severe consequence (the first of equal ones)."""
    nothing: tuple[str | None, ...] = (None,) * len(_FIELDS)
    if not header.annotation:
        return [nothing] * len(alleles)
    start = f"{header.annotation}="
    text = next((entry[len(start) :] for entry in info.split(";") if entry.startswith(start)), "")
    entries = [entry.split("|") for entry in text.split(",")] if text else []
    out = []
    for index, allele in enumerate(alleles, start=1):
        mine = [entry for entry in entries if _about(entry, index, reference, allele, len(alleles), header.fields)]
        best = min(mine, key=lambda entry: _severity(entry, header.fields), default=None)
        out.append(nothing if best is None else tuple(_field(best, header.fields.get(key)) for key in _FIELDS))
    return out


def _about(
    entry: Sequence[str], index: int, reference: str, allele: str, alleles: int, fields: Mapping[str, int]
) -> bool:
    """Whether an annotation is about this allele: by its number, or by its bases as VEP or SnpEff write them."""
    if alleles == 1:
        return True
    number = _field(entry, fields.get("number"))
    if number is not None:
        return number == str(index)
    # VEP leaves the first base out where reference and allele share it, and writes a deletion of all others as -
    shorter = allele[1:] or "-" if allele[:1] == reference[:1] and len(allele) != len(reference) else allele
    return _field(entry, fields.get("allele")) in (allele, shorter)


def _severity(entry: Sequence[str], fields: Mapping[str, int]) -> int:
    impact = _field(entry, fields.get("impact"))
    return _IMPACT.index(impact) if impact in _IMPACT else len(_IMPACT)


def _field(entry: Sequence[str], at: int | None) -> str | None:
    return entry[at] if at is not None and at < len(entry) and entry[at] else None


def samples_of(table: RawTable) -> NDArray[np.object_]:
    """The samples of a VCF in the order of its header, with or without a variant."""
    return np.array(list(table.levels.get("sample", {})), dtype=object)
