"""Features of variants: altered genes and pathways, mutational burden, allele fraction.

References
----------
Merino DM, et al. Establishing guidelines to harmonize tumor mutational burden (TMB): in silico assessment of
variation in TMB quantification across diagnostic platforms. J Immunother Cancer 2020;8:e000147 (variants per megabase).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from trialstrat.cohort.derived import ALTERED, Derived, FeatureFault, aligned, coded_levels, refused
from trialstrat.cohort.integrate import Joined
from trialstrat.cohort.molecular import Molecular, PatientVariants
from trialstrat.cohort.protein import protein_change
from trialstrat.cohort.readers.maf import NON_SILENT
from trialstrat.cohort.rules import finding
from trialstrat.cohort.symbols import ambiguous_in, wanted_genes
from trialstrat.protocol.features_model import AlterationFeature, BurdenFeature, Classes, FractionFeature
from trialstrat.results import Finding

_TRUNCATING = ("Frame_Shift_Del", "Frame_Shift_Ins", "Splice_Site", "Nonsense_Mutation")
#: Copy-number values by the name of the class.
COPY_NUMBER = {"deep_deletion": (-2.0, -1.5), "loss": (-1.0,), "gain": (1.0,), "amplification": (2.0,)}


def alteration(feature: AlterationFeature, joined: Joined, molecular: Molecular) -> Derived:
    """``altered`` where at least ``minimum`` genes are, ``not altered`` where that can no longer be, else missing."""
    genes, faults = wanted_genes(feature.genes, molecular.symbols, feature.name)
    states: list[tuple[NDArray[np.bool_], NDArray[np.bool_]]] = []
    rules: list[str] = []
    notes: list[Finding] = []
    for name in (feature.mutations, feature.structural):
        if name is None:
            continue
        held = molecular.variants[name]
        faults += ambiguous_in(held.genes, genes, molecular.symbols, held.file, feature.name)
        rows, unknown, rule = _counted_rows(feature, held, structural=name == feature.structural)
        states.append(_variant_states(held, genes, rows, unknown, joined.ids))
        rules.append(rule)
        notes += _never_seen(held, genes, feature.name, structural=name == feature.structural)
    if feature.copy_number is not None:
        states.append(_copy_states(feature, molecular, genes, joined.ids))
        rules.append(f"copy number {', '.join(feature.copy_number_classes).replace('_', ' ')}")
    if faults:
        raise FeatureFault(*dict.fromkeys(faults))
    altered = np.logical_or.reduce([found for found, _ in states])
    looked = np.logical_and.reduce([seen for _, seen in states])
    absent = [gene for gene, seen in zip(genes, looked.T, strict=True) if not seen.any()]
    if absent:
        raise refused("E-GENE-ABSENT", feature.name, ", ".join(_sources(feature)), ", ".join(absent))
    count, open_ = altered.sum(axis=1), (~altered & ~looked).sum(axis=1)
    codes = np.where(count >= feature.minimum, 1, np.where(count + open_ < feature.minimum, 0, -1))
    least = "" if feature.minimum == 1 else f"at least {feature.minimum} of "
    return Derived(
        values=coded_levels(codes.astype(np.int64), ALTERED),
        sources=_sources(feature),
        rule=f"{least}{', '.join(genes)}: {'; '.join(rules)}",
        levels=ALTERED,
        findings=tuple(notes),
    )


def burden(feature: BurdenFeature, joined: Joined, molecular: Molecular) -> Derived:
    """Counted variants per megabase; missing where nobody looked, or with a panel of unknown size."""
    held = molecular.variants[feature.mutations]
    if len(set(zip(held.patient.tolist(), held.sample.tolist(), strict=True))) > len(set(held.patient.tolist())):
        detail = "several samples of a patient count together; choose one by sample_rule:"
        raise refused("E-FEATURE-VALUE", feature.name, held.file, detail)
    keep = _of_classes(held, feature.classes)
    if feature.minimum_vaf is not None:
        keep &= _reads(held, feature.name) >= feature.minimum_vaf
    count = np.bincount(held.patient[keep], minlength=len(held.patients)).astype(np.float64)
    size = np.array([_size(feature, held.panels_of.get(patient, ())) for patient in held.patients])
    at = aligned(held.patients, joined.ids)
    values = np.append(count / size, np.nan)[at]
    unsized = int(np.isnan(values[at >= 0]).sum())
    notes = [finding("W-FEATURE-PANEL", source=held.file, column=feature.name, bad=unsized, total=len(values))]
    vaf = "" if feature.minimum_vaf is None else f", allele fraction at least {feature.minimum_vaf:g}"
    sizes = [f"{feature.megabases:g} Mb"] if feature.megabases is not None else []
    sizes += [f"{name} {found:g} Mb" for name, found in feature.panel_megabases.items()]
    return Derived(
        values=values,
        sources=(feature.mutations,),
        rule=f"variants per megabase ({'; '.join(sizes)}): {_classes_text(feature.classes)}{vaf}",
        findings=tuple(notes) if unsized else (),
    )


def _size(feature: BurdenFeature, panels: Sequence[str]) -> float:
    """Megabases looked at; nan where that is not declared."""
    if not panels:
        return np.nan if feature.megabases is None else feature.megabases
    if len(panels) > 1:
        return np.nan
    declared = feature.panel_megabases.get(panels[0])
    if declared is None and panels[0] == "panel":  # the one panel of the whole source
        declared = feature.megabases
    return np.nan if declared is None else declared


def fraction(feature: FractionFeature, joined: Joined, molecular: Molecular) -> Derived:
    """The largest allele fraction of the gene; where no variant was found what ``wild_type`` says."""
    held = molecular.variants[feature.mutations]
    (gene,), faults = wanted_genes([feature.gene], molecular.symbols, feature.name)
    faults += ambiguous_in(held.genes, [gene], molecular.symbols, held.file, feature.name)
    if faults:
        raise FeatureFault(*dict.fromkeys(faults))
    vaf = _reads(held, feature.name)
    keep = _of_classes(held, feature.classes) & _of_gene(held, gene)
    values = np.full(len(held.patients), 0.0 if feature.wild_type == "zero" else np.nan)
    looked = held.looked_at(gene)
    if not looked.any():
        raise refused("E-GENE-ABSENT", feature.name, held.file, gene)
    values[~looked] = np.nan
    values[held.patient[keep & np.isnan(vaf)]] = np.nan
    known = keep & ~np.isnan(vaf)
    top = np.full(len(held.patients), -np.inf)
    np.maximum.at(top, held.patient[known], vaf[known])
    values = np.where(np.isfinite(top), top, values)
    return Derived(
        values=np.append(values, np.nan)[aligned(held.patients, joined.ids)],
        sources=(feature.mutations,),
        rule=f"largest variant allele fraction of {gene}: {_classes_text(feature.classes)}",
    )


def _sources(feature: AlterationFeature) -> tuple[str, ...]:
    named = (feature.mutations, feature.copy_number, feature.structural)
    return tuple(name for name in named if name is not None)


def _counted_rows(
    feature: AlterationFeature, held: PatientVariants, *, structural: bool
) -> tuple[NDArray[np.bool_], NDArray[np.bool_], str]:
    """Rows that count, rows of which it is not known whether they do, and the rule in words."""
    if structural:
        return np.ones(len(held.patient), dtype=bool), np.zeros(len(held.patient), dtype=bool), "structural variants"
    keep = _of_classes(held, feature.classes)
    words = [_classes_text(feature.classes)]
    if feature.protein_changes:
        wanted = [protein_change(text) for text in feature.protein_changes]
        keep &= np.isin(held.protein.astype(str), wanted)
        words.append(", ".join(wanted))
    unknown = np.zeros(len(keep), dtype=bool)
    if feature.minimum_vaf is not None:
        vaf = _reads(held, feature.name)
        unknown = keep & np.isnan(vaf)
        keep = keep & (np.nan_to_num(vaf, nan=-1.0) >= feature.minimum_vaf)
        words.append(f"allele fraction at least {feature.minimum_vaf:g}")
    return keep, unknown, f"mutations ({', '.join(words)})"


def _variant_states(
    held: PatientVariants,
    genes: Sequence[str],
    rows: NDArray[np.bool_],
    unknown: NDArray[np.bool_],
    ids: NDArray[np.object_],
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """(n, genes) altered, and looked at; a reported variant was looked at whatever the panel's list says."""
    place = {name: at for at, name in enumerate(genes)}
    column = np.array([place.get(name, -1) for name in held.genes], dtype=np.int64)
    at = column[held.gene] if len(held.gene) else np.empty(0, dtype=np.int64)
    altered = np.zeros((len(held.patients) + 1, len(genes)), dtype=bool)
    looked = np.zeros_like(altered)
    looked[:-1] = np.column_stack([held.looked_at(gene) for gene in genes])
    unsure = unknown & (at >= 0)
    looked[held.patient[unsure], at[unsure]] = False
    found = rows & (at >= 0)
    altered[held.patient[found], at[found]] = True
    looked |= altered
    order = aligned(held.patients, ids)  # -1 is the last row: nobody
    return altered[order], looked[order]


def _copy_states(
    feature: AlterationFeature, molecular: Molecular, genes: Sequence[str], ids: NDArray[np.object_]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    matrix = molecular.matrices[feature.copy_number or ""]
    wanted = [value for name in feature.copy_number_classes for value in COPY_NUMBER[name]]
    values = np.full((len(matrix.patients) + 1, len(genes)), np.nan)
    place = {name: at for at, name in enumerate(matrix.genes)}
    for at, gene in enumerate(genes):
        if gene in place:
            values[:-1, at] = matrix.values[:, place[gene]]
    odd = ~np.isnan(values) & ~np.isin(values, (-2.0, -1.5, -1.0, 0.0, 1.0, 2.0))
    if odd.any():
        raise refused("E-FEATURE-VALUE", feature.name, matrix.file, "copy number is not discrete (-2 to 2)")
    values = values[aligned(matrix.patients, ids)]
    return np.isin(values, wanted), ~np.isnan(values)


def _never_seen(held: PatientVariants, genes: Sequence[str], feature: str, *, structural: bool) -> list[Finding]:
    """Genes of which the file has no row of any class: rare, or a symbol written wrongly."""
    if structural:
        return []
    absent = [gene for gene in genes if gene not in held.genes]
    return [finding("W-GENE-UNSEEN", source=held.file, column=feature, detail=", ".join(absent))] if absent else []


def _of_gene(held: PatientVariants, gene: str) -> NDArray[np.bool_]:
    return np.array([name == gene for name in held.genes], dtype=bool)[held.gene]


def _of_classes(held: PatientVariants, classes: Classes) -> NDArray[np.bool_]:
    """Rows of the counted classes that are not marked as germline."""
    if classes == "all":
        return ~held.germline
    wanted = {name.casefold() for name in _named(classes)}
    return (
        np.array([name.strip().casefold() in wanted for name in held.classes], dtype=bool)[held.variant_class]
        & ~held.germline
    )


def _named(classes: Classes) -> tuple[str, ...]:
    return NON_SILENT if classes == "non_silent" else _TRUNCATING if classes == "truncating" else tuple(classes)


def _classes_text(classes: Classes) -> str:
    if classes == "all":
        return "all classes"
    named = ", ".join(name.replace("_", " ").lower() for name in _named(classes))
    return f"{str(classes).replace('_', '-')}: {named}" if isinstance(classes, str) else named


def _reads(held: PatientVariants, feature: str) -> NDArray[np.float64]:
    if len(held.vaf) and np.isnan(held.vaf).all():
        raise refused("E-FEATURE-READS", feature, held.file)
    return held.vaf
