"""Features of matrices: the value of a gene, its copy-number class, scores of many genes.

References
----------
Foroutan M, et al. Single sample scoring of molecular phenotypes. BMC Bioinformatics 2018;19:404 (singscore, eq. 1-3:
mean rank of the genes between its smallest and largest possible value).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import rankdata

from trialstrat.cohort.derived import Derived, FeatureFault, aligned, coded_levels, refused
from trialstrat.cohort.integrate import Joined
from trialstrat.cohort.molecular import Molecular, PatientMatrix
from trialstrat.cohort.rules import finding
from trialstrat.cohort.symbols import ambiguous_in, wanted_genes
from trialstrat.protocol.features_model import CopyNumberFeature, ExpressionFeature, SignatureFeature
from trialstrat.results import Finding

COPY_CLASSES = ("neutral", "deep deletion", "loss", "gain", "amplification")
_DISCRETE = {-2.0: 1, -1.5: 1, -1.0: 2, 0.0: 0, 1.0: 3, 2.0: 4}


def expression(feature: ExpressionFeature, joined: Joined, molecular: Molecular) -> Derived:
    """The gene's value as it stands in the matrix."""
    matrix, genes, _ = _genes(feature.name, feature.source, [feature.gene], molecular, 1.0)
    values = _rows(matrix, genes, joined.ids)[:, 0]
    return Derived(values=values, sources=(feature.source,), rule=f"value of {genes[0]}")


def copy_number(feature: CopyNumberFeature, joined: Joined, molecular: Molecular) -> Derived:
    """The class of the gene's copy number; missing where it was not measured."""
    matrix, genes, _ = _genes(feature.name, feature.source, [feature.gene], molecular, 1.0)
    values = _rows(matrix, genes, joined.ids)[:, 0]
    known = ~np.isnan(values)
    codes = np.full(len(values), -1, dtype=np.int64)
    if feature.thresholds is None:
        if not np.isin(values[known], list(_DISCRETE)).all():
            detail = "copy number is not discrete (-2 to 2); declare thresholds:"
            raise refused("E-FEATURE-VALUE", feature.name, matrix.file, detail)
        codes[known] = [_DISCRETE[float(value)] for value in values[known]]
        rule = "discrete copy number"
    else:
        order = np.array([1, 2, 0, 3, 4])
        codes[known] = order[np.searchsorted(np.array(feature.thresholds), values[known], side="right")]
        rule = f"copy number cut at {', '.join(f'{cut:g}' for cut in feature.thresholds)}"
    return Derived(
        values=coded_levels(codes, COPY_CLASSES),
        sources=(feature.source,),
        rule=f"{genes[0]}: {rule}",
        levels=COPY_CLASSES,
    )


def signature(feature: SignatureFeature, joined: Joined, molecular: Molecular) -> Derived:
    """The score; for ``mean_z`` with the genes' values, so that it can be learned anew on training rows."""
    named = feature.genes if feature.genes_file is None else molecular.lists.get(feature.genes_file, ())
    if not named:
        raise FeatureFault()  # the list itself could not be read: said already
    matrix, genes, notes = _genes(feature.name, feature.source, named, molecular, feature.present)
    values = _rows(matrix, genes, joined.ids)
    measured = (~np.isnan(values)).mean(axis=1)
    if feature.method == "rank":
        scores = np.append(_rank_scores(matrix, genes), np.nan)[aligned(matrix.patients, joined.ids)]
        scores[measured < feature.present] = np.nan
        rule = f"mean rank of {len(genes)} genes within the sample (singscore)"
        return Derived(values=scores, sources=(feature.source,), rule=rule, findings=notes)
    values[measured < feature.present] = np.nan
    return Derived(
        values=standardised_mean(values),
        sources=(feature.source,),
        rule=f"mean of {len(genes)} standardised genes; location and scale learned on training rows in resampling",
        findings=notes,
        parts=pd.DataFrame(values, columns=pd.Index(genes, dtype=object)),
    )


def standardised_mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n,) mean over genes of the standardised values (n, genes), nan where a patient has none.

    Constant genes count as 0: they tell nobody apart.
    """
    known = ~np.isnan(values)
    count = known.sum(axis=0)
    middle = np.where(known, values, 0.0).sum(axis=0) / np.maximum(count, 1)
    spread = np.sqrt((np.where(known, values - middle, 0.0) ** 2).sum(axis=0) / np.maximum(count, 1))
    scaled = (values - middle) / np.where(spread > 0, spread, 1.0)
    held = known.sum(axis=1)
    return np.where(held > 0, np.where(known, scaled, 0.0).sum(axis=1) / np.maximum(held, 1), np.nan)


def _rank_scores(matrix: PatientMatrix, genes: Sequence[str]) -> NDArray[np.float64]:
    """(patients,) singscore of each: 0 where the genes are the lowest of the sample, 1 where they are the highest."""
    place = {name: at for at, name in enumerate(matrix.genes)}
    at = np.array([place[gene] for gene in genes])
    out = np.full(len(matrix.patients), np.nan)
    for row, values in enumerate(matrix.values):
        known = ~np.isnan(values)
        inside = np.zeros(len(values), dtype=bool)
        inside[at] = True
        ranks = rankdata(values[known])
        k, total = int(inside[known].sum()), len(ranks)
        if 0 < k < total:
            low, high = (k + 1) / 2, (2 * total - k + 1) / 2
            out[row] = (ranks[inside[known]].mean() - low) / (high - low)
    return out


def _genes(
    feature: str, source: str, named: Sequence[str], molecular: Molecular, present: float
) -> tuple[PatientMatrix, tuple[str, ...], tuple[Finding, ...]]:
    """The matrix, and those of the named genes that it has, by current symbol."""
    matrix = molecular.matrices[source]
    genes, faults = wanted_genes(named, molecular.symbols, feature)
    faults += ambiguous_in(matrix.genes, genes, molecular.symbols, matrix.file, feature)
    if faults:
        raise FeatureFault(*faults)
    there = set(matrix.genes)
    held = tuple(gene for gene in genes if gene in there)
    absent = [gene for gene in genes if gene not in there]
    if len(held) < present * len(genes) or not held:
        detail = f"{len(absent)} of {len(genes)}: {', '.join(absent[:10])}"
        raise refused("E-GENE-ABSENT", feature, matrix.file, detail)
    if not absent:
        return matrix, held, ()
    detail = f"{len(absent)} of {len(genes)}: {', '.join(absent[:10])}"
    return matrix, held, (finding("W-FEATURE-GENES", source=matrix.file, column=feature, detail=detail),)


def _rows(matrix: PatientMatrix, genes: Sequence[str], ids: NDArray[np.object_]) -> NDArray[np.float64]:
    """(n, genes) in the rows of the joined patients, nan for those without a sample."""
    place = {name: at for at, name in enumerate(matrix.genes)}
    values = matrix.values[:, [place[gene] for gene in genes]]
    return np.vstack([values, np.full((1, len(genes)), np.nan)])[aligned(matrix.patients, ids)]
