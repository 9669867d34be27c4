"""Variants beside the patients: whose they are, and the genes altered often enough to be asked about."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from trialstrat.cohort.proposal.facts import FEWEST_ROWS
from trialstrat.cohort.readers.assay import Assay
from trialstrat.cohort.readers.expression import Expression
from trialstrat.cohort.readers.maf import coded, counted

#: Most genes proposed, and the least share of the patients looked at in whom one must be altered.
MOST_GENES, LEAST_SHARE = 8, 0.05
#: Share of the patients who must have been looked at for a gene to be a column of all: else it is mostly missing.
LEAST_LOOKED_AT = 0.5
#: Share of the samples with variants that must be known for a table of variants to belong to these patients.
_KNOWN = 0.5


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SeenAssay:
    """Variants as they were read, and what a source must declare to read them again."""

    path: Path
    assay: Assay
    declared: dict[str, str] = field(default_factory=dict)
    dropped: tuple[tuple[str, str], ...] = ()

    @property
    def file(self) -> str:
        """The name people know it by."""
        return self.assay.variants.file


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SeenMatrix:
    """A matrix of genes and samples as it was read, and what a source must declare to read it again."""

    path: Path
    matrix: Expression
    declared: dict[str, str] = field(default_factory=dict)
    dropped: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class MatrixGuess:
    """A matrix of these patients; ``through_samples`` says that a source of samples tells whose they are."""

    seen: SeenMatrix
    through_samples: bool
    evidence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AssayGuess:
    """Variants of these patients: ``genes`` with the number of patients in whom each is altered.

    ``through_samples`` says that a source of samples tells whose they are.
    """

    seen: SeenAssay
    through_samples: bool
    evidence: str
    genes: tuple[tuple[str, int], ...]
    looked_at: int


def link_assay(seen: SeenAssay, patients: Collection[str], owner: Mapping[str, str] | None) -> AssayGuess | str:
    """Whose the variants are: through the samples of a study (``owner``), or by the ids themselves; else why not."""
    named, at = coded(seen.assay.variants.columns["sample"])
    known = set(patients)
    for through, mapping in ((True, owner or {}), (False, {name: name for name in known})):
        of = {name: mapping[name] for name in named if name in mapping and mapping[name] in known}
        if named and len(of) >= _KNOWN * len(named):
            listed = {mapping[name] for name in seen.assay.listed if name in mapping} & known
            evidence = f"{len(of)} of {len(named)} samples with variants are of these patients"
            enough = len(listed) >= LEAST_LOOKED_AT * len(known)
            genes = _often_altered(seen.assay, of, len(listed), named, at) if enough else ()
            return AssayGuess(seen=seen, through_samples=through, evidence=evidence, genes=genes, looked_at=len(listed))
    return "its samples are not those of the main table"


def link_matrix(seen: SeenMatrix, patients: Collection[str], owner: Mapping[str, str] | None) -> MatrixGuess | str:
    """Whose the columns of numbers are, as `link_assay` finds it; else why not."""
    samples, known = seen.matrix.samples, set(patients)
    for through, mapping in ((True, owner or {}), (False, {name: name for name in known})):
        held = sum(mapping.get(name) in known for name in samples)
        if samples and held >= _KNOWN * len(samples):
            genes = len(seen.matrix.genes)
            evidence = f"{held} of {len(samples)} samples are of these patients; {genes} genes"
            return MatrixGuess(seen=seen, through_samples=through, evidence=evidence)
    return "its samples are not those of the main table"


def _often_altered(
    assay: Assay, of: Mapping[str, str], looked_at: int, named: list[str], at: np.ndarray
) -> tuple[tuple[str, int], ...]:
    symbols, gene = coded(assay.variants.columns["gene"])
    keep = counted(assay.variants)
    pairs = {(symbols[gene[row]], of[named[at[row]]]) for row in np.flatnonzero(keep) if named[at[row]] in of}
    counts: dict[str, int] = {}
    for symbol, _ in pairs:
        counts[symbol] = counts.get(symbol, 0) + 1
    fewest = max(FEWEST_ROWS, LEAST_SHARE * looked_at)
    common = sorted((entry for entry in counts.items() if entry[1] >= fewest), key=lambda entry: (-entry[1], entry[0]))
    return tuple(common[:MOST_GENES])
