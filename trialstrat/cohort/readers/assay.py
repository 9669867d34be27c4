"""Variants together with who was looked at and in which genes: without that, no row would pass for no mutation.

References
----------
Sequence Ontology terms as VEP and SnpEff write them; their MAF classes as vcf2maf assigns them (Kandoth C,
mskcc/vcf2maf, Apache-2.0).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import pyarrow as pa

from trialstrat.cohort.readers.beside import Beside
from trialstrat.cohort.readers.maf import Variants, coded
from trialstrat.cohort.readers.table import RawTable, floats_of_text
from trialstrat.cohort.rules import RefusedError, finding

#: The class that a row of a table of structural variants has.
STRUCTURAL = "Structural_Variant"
_SITES = ("SITE1_HUGO_SYMBOL", "SITE2_HUGO_SYMBOL")
#: MAF class by Sequence Ontology term; frameshifts and indels depend on the alleles' lengths.
_CLASSES = {
    "splice_acceptor_variant": "Splice_Site",
    "splice_donor_variant": "Splice_Site",
    "transcript_ablation": "Splice_Site",
    "exon_loss_variant": "Splice_Site",
    "stop_gained": "Nonsense_Mutation",
    "stop_lost": "Nonstop_Mutation",
    "start_lost": "Translation_Start_Site",
    "initiator_codon_variant": "Translation_Start_Site",
    "missense_variant": "Missense_Mutation",
    "coding_sequence_variant": "Missense_Mutation",
    "conservative_missense_variant": "Missense_Mutation",
    "rare_amino_acid_variant": "Missense_Mutation",
    "inframe_insertion": "In_Frame_Ins",
    "disruptive_inframe_insertion": "In_Frame_Ins",
    "conservative_inframe_insertion": "In_Frame_Ins",
    "inframe_deletion": "In_Frame_Del",
    "disruptive_inframe_deletion": "In_Frame_Del",
    "conservative_inframe_deletion": "In_Frame_Del",
    "splice_region_variant": "Splice_Region",
    "synonymous_variant": "Silent",
    "stop_retained_variant": "Silent",
    "start_retained_variant": "Silent",
    "incomplete_terminal_codon_variant": "Silent",
    "intron_variant": "Intron",
    "5_prime_utr_variant": "5'UTR",
    "3_prime_utr_variant": "3'UTR",
    "upstream_gene_variant": "5'Flank",
    "downstream_gene_variant": "3'Flank",
    "intergenic_variant": "IGR",
    "intergenic_region": "IGR",
}
#: The most severe first: one variant has one class.
_ORDER = tuple(dict.fromkeys((*_CLASSES.values(),)))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Assay:
    """Variants, the samples that are known to have been looked at, and the panel of each.

    ``panel_of`` has the panel of a sample, empty for a sample in which every gene was looked at; a sample that is
    absent has panel ``everywhere`` (empty: every gene). ``panels`` are the genes of each panel.
    """

    variants: Variants
    listed: frozenset[str]
    panel_of: Mapping[str, str]
    panels: Mapping[str, frozenset[str]]
    everywhere: str = ""


def of_variants(variants: Variants) -> Assay:
    """A MAF: only the samples that have a row are known to have been looked at."""
    return Assay(variants=variants, listed=frozenset(coded(variants.columns["sample"])[0]), panel_of={}, panels={})


def with_panel(assay: Assay, genes: frozenset[str], name: str) -> Assay:
    """The same variants where only some genes were looked at, in every sample."""
    return replace(assay, panel_of={}, panels={name: genes}, everywhere=name)


def of_vcf(table: RawTable) -> Assay:
    """The annotated alleles of a VCF that passed its filters; every sample of the header was looked at.

    Raises
    ------
    RefusedError
        When the file has no samples, or no annotation says in which gene a variant lies.
    """
    samples = frozenset(table.levels.get("sample", {}))
    if not samples:
        raise RefusedError(finding("E-FORMAT-COLUMN", source=table.file, column="FORMAT"))
    cells = {name: table.frame[name].to_numpy(object, na_value="") for name in table.frame.columns}
    if len(table.frame) and not any(cells["gene"]):
        raise RefusedError(finding("E-VARIANT-GENE", source=table.file, bad=len(table.frame), total=len(table.frame)))
    passed = np.array([entry in ("", "PASS") for entry in cells["filter"]], dtype=bool)
    classes = [
        _class_of(str(terms), str(reference), str(allele))
        for terms, reference, allele in zip(cells["consequence"], cells["reference"], cells["allele"], strict=True)
    ]
    columns = {
        "gene": pa.chunked_array([pa.array(list(cells["gene"][passed]), type=pa.large_string())]),
        "sample": pa.chunked_array([pa.array(list(cells["sample"][passed]), type=pa.large_string())]),
        "classification": pa.chunked_array(
            [pa.array([entry for entry, ok in zip(classes, passed, strict=True) if ok], type=pa.large_string())]
        ),
        "protein_change": pa.chunked_array([pa.array(list(cells["protein_change"][passed]), type=pa.large_string())]),
    }
    fractions = floats_of_text(pd.Series(table.frame["vaf"]))
    notes = list(table.findings)
    if not passed.all():
        notes.append(finding("I-VARIANT-FILTER", source=table.file, bad=int((~passed).sum()), total=len(passed)))
    variants = Variants(
        columns=columns,
        vaf=(np.full(len(passed), np.nan) if fractions is None else fractions)[passed],
        lines=table.lines[passed],
        file=table.file,
        sha256=table.sha256,
        findings=tuple(notes),
        beside=table.beside or Beside(),
    )
    return Assay(variants=variants, listed=samples, panel_of={}, panels={})


def _class_of(terms: str, reference: str, allele: str) -> str:
    """The most severe MAF class among the terms of one consequence, joined by ``&``."""
    found = []
    for term in terms.lower().split("&"):
        if term == "frameshift_variant":
            return "Frame_Shift_Del" if len(reference) > len(allele) else "Frame_Shift_Ins"
        if term == "protein_altering_variant":
            longer = len(allele) - len(reference)
            found.append("In_Frame_Ins" if longer > 0 else "In_Frame_Del" if longer < 0 else "Missense_Mutation")
        elif term in _CLASSES:
            found.append(_CLASSES[term])
    return min(found, key=_ORDER.index, default="Other")


def is_structural(names: Sequence[str]) -> bool:
    """Whether columns are those of a table of structural variants."""
    upper = {name.upper() for name in names}
    return "SAMPLE_ID" in upper and bool(upper & set(_SITES))


def structural_variants(table: RawTable) -> Variants:
    """A table of structural variants as variants: one row for each gene that a variant touches."""
    names = {str(name).upper(): str(name) for name in table.frame.columns}
    samples = [str(cell).strip() for cell in table.frame[names["SAMPLE_ID"]].to_numpy(object, na_value="")]
    rows: list[tuple[str, str, int]] = []
    for site in (entry for entry in _SITES if entry in names):
        genes = table.frame[names[site]].to_numpy(object, na_value="")
        rows += [
            (str(gene).strip(), sample, int(line))
            for gene, sample, line in zip(genes, samples, table.lines, strict=True)
            if str(gene).strip() not in ("", "NA")
        ]
    rows = list(dict.fromkeys(rows))
    columns = {
        "gene": [gene for gene, _, _ in rows],
        "sample": [sample for _, sample, _ in rows],
        "classification": [STRUCTURAL] * len(rows),
    }
    return Variants(
        columns={name: pa.chunked_array([pa.array(cells, type=pa.large_string())]) for name, cells in columns.items()},
        vaf=np.full(len(rows), np.nan),
        lines=np.array([line for _, _, line in rows], dtype=np.int64),
        file=table.file,
        sha256=table.sha256,
        findings=table.findings,
        beside=Beside(frame=table.frame, lines=table.lines, id_column=names["SAMPLE_ID"]),
    )
