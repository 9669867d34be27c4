"""A cBioPortal study folder: clinical tables, mutations, copy number, expression, structural variants, gene panels.

"Not assayed" is kept apart from "wild type": a gene outside a sample's panel, or a sample that was not sequenced, has
no state. Every fault of every file is collected before the folder is refused.

References
----------
cBioPortal for Cancer Genomics. File Formats (clinical data, mutation data, discrete copy number data).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from trialstrat.cohort.readers.assay import Assay, structural_variants
from trialstrat.cohort.readers.delimited import read_delimited
from trialstrat.cohort.readers.expression import Expression, read_expression
from trialstrat.cohort.readers.maf import Variants, coded, read_variants
from trialstrat.cohort.readers.study_clinical import (
    MISSING,
    cells,
    id_faults,
    is_number,
    read_clinical,
    several_samples,
    status_faults,
    without_codes,
)
from trialstrat.cohort.readers.study_folder import (
    STUDY,
    Meta,
    Panels,
    payload_of,
    read_metas,
    read_panels,
    read_sequenced,
)
from trialstrat.cohort.readers.table import Payload, RawTable, floats_of_text
from trialstrat.cohort.rules import RefusedError, finding, rows_finding
from trialstrat.protocol.model import Source
from trialstrat.results import Finding

T = TypeVar("T")

_CNA_VALUES = (-2.0, -1.5, -1.0, 0.0, 1.0, 2.0)
#: Profiles of numbers by sample that are read when a protocol names them.
_PROFILES = frozenset(
    (
        ("MRNA_EXPRESSION", "Z-SCORE"),
        ("MRNA_EXPRESSION", "DISCRETE"),
        ("METHYLATION", "CONTINUOUS"),
        ("PROTEIN_LEVEL", "LOG2-VALUE"),
        ("PROTEIN_LEVEL", "Z-SCORE"),
        ("PROTEIN_LEVEL", "CONTINUOUS"),
        ("GENESET_SCORE", "GSVA-SCORE"),
        ("GENESET_SCORE", "P-VALUE"),
        ("GENERIC_ASSAY", "LIMIT-VALUE"),
    )
)
_CLINICAL = {"PATIENT_ATTRIBUTES": "data_clinical_patient.txt", "SAMPLE_ATTRIBUTES": "data_clinical_sample.txt"}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Study:
    """One study folder.

    ``patients`` (None where the study has no patient file) and ``samples`` are clinical tables with their labels;
    ``patient_of`` maps samples to patients; ``timelines`` are the event tables by name (timeline_treatment).
    ``copy_number`` holds -2 ... 2 (nan: not assayed), ``matrices`` continuous profiles by stable id (expression, log2
    copy number), ``structural`` one row per structural variant. ``profiles`` are further matrices by stable id, read
    when they are asked for: z-scores, methylation, proteins, scores of gene sets. ``sequenced`` are the samples whose
    mutations were looked for.
    """

    identifier: str
    name: str
    patients: RawTable | None
    samples: RawTable
    patient_of: Mapping[str, str]
    timelines: Mapping[str, RawTable]
    mutations: Variants | None
    copy_number: Expression | None
    matrices: Mapping[str, Expression]
    profiles: Mapping[str, Meta]
    folder: Path
    structural: RawTable | None
    panels: Panels
    sequenced: frozenset[str]
    findings: tuple[Finding, ...]


def is_study(folder: Path) -> bool:
    """Whether a folder has meta files, or at least clinical files, of a study."""
    return folder.is_dir() and any(folder.glob("meta_*.txt")) and any(folder.glob("data_*"))


def read_study(folder: Path, *, several: bool = False) -> Study:
    """Read a study folder.

    Parameters
    ----------
    several
        Whether patients may have several samples: whoever reads the study then has to choose between them.

    Raises
    ------
    RefusedError
        With every fault of every file: missing or damaged meta files, data without a meta file, clinical files
        without their four header lines, statuses without 0: or 1:, a follow-up time without a status, ids that the
        clinical files do not have, copy-number values that do not exist, panels without a gene list.
    """
    reading = _Reading(folder)
    samples = reading.clinical("SAMPLE_ATTRIBUTES", ("SAMPLE_ID", "PATIENT_ID"))
    patients = reading.clinical("PATIENT_ATTRIBUTES", ("PATIENT_ID",))
    if samples is None:
        where = f"{folder.name}/{_CLINICAL['SAMPLE_ATTRIBUTES']}"
        raise RefusedError(*reading.faults or [finding("E-STUDY-META", source=where, detail="no sample attributes")])
    ids, owners = cells(samples, "SAMPLE_ID"), cells(samples, "PATIENT_ID")
    patient_of = dict(zip(ids, owners, strict=True))
    reading.faults += id_faults(samples, patients)
    reading.faults += [] if patients is None else status_faults(patients)
    reading.faults += [] if several else several_samples(samples)
    panels, faults = read_panels(folder, reading.metas, list(ids))
    sequenced, more = read_sequenced(folder, list(ids))
    reading.faults += [*faults, *more]
    mutations = reading.mutations(patient_of)
    copy_number, matrices = reading.matrices(patient_of)
    structural = reading.structural(patient_of)
    timelines = reading.timelines()
    profiles = reading.profiles()
    skipped = reading.skipped()
    if reading.faults:
        raise RefusedError(*reading.faults)
    looked_at, notes = _sequenced(sequenced, panels, mutations, ids, f"{folder.name}/case_lists")
    study = next(meta for meta in reading.metas if meta.file == STUDY)
    return Study(
        identifier=study.get("cancer_study_identifier"),
        name=study.get("name"),
        patients=patients,
        samples=samples,
        patient_of=patient_of,
        timelines=timelines,
        mutations=mutations,
        copy_number=copy_number,
        matrices=matrices,
        profiles=profiles,
        folder=folder,
        structural=structural,
        panels=panels,
        sequenced=looked_at,
        findings=(*skipped, *notes),
    )


class _Reading:
    """One pass over a folder: what was found, and every fault so far."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.metas, self.faults = read_metas(folder)
        self.used: set[str] = set()

    def tried(self, read: Callable[[], T]) -> T | None:
        """The result, or None with its faults kept."""
        try:
            return read()
        except RefusedError as fault:
            self.faults += fault.findings
            return None

    def of_kind(self, alteration: str, *datatypes: str) -> list[Meta]:
        """The meta files of a kind, marked as used."""
        found = [meta for meta in self.metas if meta.data and meta.kind[0] == alteration and meta.kind[1] in datatypes]
        self.used |= {meta.file for meta in found}
        return found

    def clinical(self, datatype: str, required: Sequence[str]) -> RawTable | None:
        """A clinical table. Without a meta file (a fault already) the usual name is read, to find its other faults."""
        metas = self.of_kind("CLINICAL", datatype)
        usual = _CLINICAL[datatype]
        name = metas[0].data if metas else usual if (self.folder / usual).is_file() else None
        found = None if name is None else self.tried(lambda: read_clinical(payload_of(self.folder, name), required))
        if found is None:
            return None
        self.faults += found[1]
        return found[0]

    def mutations(self, patient_of: Mapping[str, str]) -> Variants | None:
        """The mutations, with samples that the clinical files have."""
        for meta in self.of_kind("MUTATION_EXTENDED", "MAF"):
            found = self.tried(lambda meta=meta: read_variants(payload_of(self.folder, meta.data)))
            if found is not None:
                names, codes = coded(found.columns["sample"])
                strange = np.array([name not in patient_of for name in names], dtype=bool)[codes]
                self.faults += rows_finding(
                    "E-STUDY-ID", strange, found.lines, source=found.file, column="Tumor_Sample_Barcode"
                )
                return found
        return None

    def matrices(self, patient_of: Mapping[str, str]) -> tuple[Expression | None, dict[str, Expression]]:
        """Discrete copy number, and the continuous profiles by stable id."""
        discrete: Expression | None = None
        for meta in self.of_kind("COPY_NUMBER_ALTERATION", "DISCRETE", "DISCRETE_LONG"):
            read = _long_matrix if meta.kind[1] == "DISCRETE_LONG" else _matrix
            discrete = self.tried(lambda meta=meta, read=read: _discrete(read(payload_of(self.folder, meta.data))))
            self._known(discrete, patient_of)
        found: dict[str, Expression] = {}
        for meta in [
            *self.of_kind("MRNA_EXPRESSION", "CONTINUOUS"),
            *self.of_kind("COPY_NUMBER_ALTERATION", "LOG2-VALUE", "CONTINUOUS"),
        ]:
            matrix = self.tried(lambda meta=meta: _matrix(payload_of(self.folder, meta.data)))
            self._known(matrix, patient_of)
            if matrix is not None:
                found[meta.get("stable_id")] = matrix
        return discrete, found

    def structural(self, patient_of: Mapping[str, str]) -> RawTable | None:
        """The structural variants as text."""
        for meta in self.of_kind("STRUCTURAL_VARIANT", "SV"):
            source = Source(name="structural", file=meta.data, delimiter="\t")
            table = self.tried(
                lambda meta=meta, source=source: read_delimited(payload_of(self.folder, meta.data), source)
            )
            if table is None:
                return None
            names = [str(name).upper() for name in table.frame.columns]
            absent = [name for name in ("SAMPLE_ID",) if name not in names]
            if absent:
                self.faults += [finding("E-FORMAT-COLUMN", source=table.file, column=name) for name in absent]
                return None
            ids = cells(table, str(table.frame.columns[names.index("SAMPLE_ID")]))
            strange = np.array([entry not in patient_of for entry in ids], dtype=bool)
            self.faults += rows_finding("E-STUDY-ID", strange, table.lines, source=table.file, column="Sample_Id")
            return table
        return None

    def timelines(self) -> dict[str, RawTable]:
        """The tables of events in time, by the name of their file without ``data_``."""
        found: dict[str, RawTable] = {}
        for meta in self.of_kind("CLINICAL", "TIMELINE"):
            source = Source(name="timeline", file=meta.data, delimiter="\t")
            table = self.tried(
                lambda meta=meta, source=source: read_delimited(payload_of(self.folder, meta.data), source)
            )
            if table is not None and "PATIENT_ID" not in table.frame.columns:
                self.faults.append(finding("E-FORMAT-COLUMN", source=table.file, column="PATIENT_ID"))
            elif table is not None:
                found[Path(meta.data).stem.removeprefix("data_")] = table
        return found

    def profiles(self) -> dict[str, Meta]:
        """Matrices that are read when they are asked for."""
        found = [meta for meta in self.metas if meta.data and meta.kind in _PROFILES]
        self.used |= {meta.file for meta in found}
        return {meta.get("stable_id"): meta for meta in found}

    def skipped(self) -> list[Finding]:
        """What the folder has and this reader does not read, said once per file."""
        self.of_kind("GENE_PANEL_MATRIX", "GENE_PANEL_MATRIX")
        return [
            finding("I-STUDY-SKIPPED", source=f"{self.folder.name}/{meta.data}", detail=" ".join(meta.kind).lower())
            for meta in self.metas
            if meta.data and meta.file not in self.used
        ]

    def _known(self, matrix: Expression | None, patient_of: Mapping[str, str]) -> None:
        strangers = [name for name in matrix.samples if name not in patient_of] if matrix else []
        if matrix is not None and strangers:
            self.faults.append(
                finding("E-STUDY-ID", source=matrix.file, bad=len(strangers), total=len(matrix.samples), lines=[1])
            )


def _matrix(payload: Payload) -> Expression:
    return read_expression(payload, way="genes_in_rows", missing=MISSING)


def _long_matrix(payload: Payload) -> Expression:
    """Discrete copy number with one row per gene and sample, as a matrix; pairs that are absent are not assayed."""
    table = read_delimited(payload, Source(name="cna", file="cna", delimiter="\t"))
    names = {str(name).upper(): str(name) for name in table.frame.columns}
    absent = [name for name in ("HUGO_SYMBOL", "SAMPLE_ID", "VALUE") if name not in names]
    if absent:
        raise RefusedError(*(finding("E-FORMAT-COLUMN", source=payload.name, column=name) for name in absent))
    used = [names["HUGO_SYMBOL"], names["SAMPLE_ID"], names["VALUE"]]
    frame = without_codes(table.frame.loc[:, used])
    values = floats_of_text(pd.Series(frame.iloc[:, 2]))
    if values is None:
        bad = np.array([not is_number(cell) for cell in frame.iloc[:, 2].to_numpy(object, na_value="")], dtype=bool)
        raise RefusedError(*rows_finding("E-VALUE-TEXT", bad, table.lines, source=payload.name, column=names["VALUE"]))
    genes, gene_at = np.unique(frame.iloc[:, 0].to_numpy(object, na_value="").astype(str), return_inverse=True)
    samples, sample_at = np.unique(frame.iloc[:, 1].to_numpy(object, na_value="").astype(str), return_inverse=True)
    block = np.full((len(samples), len(genes)), np.nan)
    block[sample_at, gene_at] = values
    return Expression(
        samples=tuple(samples.tolist()),
        genes=tuple(genes.tolist()),
        values=block,
        way="genes_in_rows",
        evidence="one row per gene and sample",
        file=payload.name,
        sha256=payload.sha256,
        findings=table.findings,
    )


def _discrete(matrix: Expression) -> Expression:
    bad = ~np.isnan(matrix.values) & ~np.isin(matrix.values, _CNA_VALUES)
    if bad.any():
        detail = "copy number is -2, -1.5, -1, 0, 1 or 2"
        raise RefusedError(
            finding("E-VALUE-RANGE", source=matrix.file, detail=detail, bad=int(bad.sum()), total=int(bad.size))
        )
    return matrix


def _sequenced(
    listed: frozenset[str] | None, panels: Panels, mutations: Variants | None, ids: NDArray[np.object_], where: str
) -> tuple[frozenset[str], list[Finding]]:
    """Whose mutations were looked for: by the case list and the panel matrix, and whoever has a mutation."""
    profile = panels.of.get("mutations")
    if mutations is None:
        return frozenset(), []
    if listed is None and profile is None:
        return frozenset(str(name) for name in ids), [finding("W-ASSAY-UNKNOWN", source=where)]
    return (listed or frozenset()) | frozenset(profile or ()) | frozenset(coded(mutations.columns["sample"])[0]), []


def parts_of(study: Study) -> tuple[str, ...]:
    """The parts that a protocol can name as ``table:``."""
    parts = {
        "patients": study.patients is not None,
        "samples": True,
        "mutations": study.mutations is not None,
        "copy_number": study.copy_number is not None,
        "structural": study.structural is not None,
    }
    return (*(name for name, there in parts.items() if there), *study.matrices, *study.profiles, *study.timelines)


def study_table(study: Study, part: str) -> RawTable | None:
    """A part that is a table: patients, samples (every one), or a timeline; None for another part."""
    return {"patients": study.patients, "samples": study.samples, **study.timelines}.get(part)


def study_matrix(study: Study, part: str) -> Expression | None:
    """A part that is a matrix of genes (probes, proteins, sets) and samples; None for another part.

    Raises
    ------
    RefusedError
        When a profile that is read only now has faults, or samples that the clinical files do not have.
    """
    if part not in study.profiles:
        return study.copy_number if part == "copy_number" else study.matrices.get(part)
    matrix = _matrix(payload_of(study.folder, study.profiles[part].data))
    strangers = sum(name not in study.patient_of for name in matrix.samples)
    if strangers:
        raise RefusedError(
            finding("E-STUDY-ID", source=matrix.file, bad=strangers, total=len(matrix.samples), lines=[1])
        )
    return matrix


def study_assay(study: Study, part: str) -> Assay | None:
    """Mutations or structural variants with who was looked at, in which genes; None for another part."""
    if part == "mutations" and study.mutations is not None:
        panel_of = study.panels.of.get("mutations", {})
        return Assay(
            variants=study.mutations, listed=study.sequenced, panel_of=panel_of, panels=dict(study.panels.genes)
        )
    if part == "structural" and study.structural is not None:
        variants = structural_variants(study.structural)
        profile = next((name for name in study.panels.of if "structural" in name.lower()), "")
        panel_of = study.panels.of.get(profile, {})
        listed = frozenset(panel_of) | frozenset(coded(variants.columns["sample"])[0])
        return Assay(variants=variants, listed=listed, panel_of=panel_of, panels=dict(study.panels.genes))
    return None
