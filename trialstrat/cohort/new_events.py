"""Molecular files of new patients as the tables of events that frozen criteria look at."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from trialstrat.cohort.events import event_tables
from trialstrat.cohort.ids import normalised
from trialstrat.cohort.molecular import Molecular, PatientMatrix, PatientVariants
from trialstrat.cohort.patients import read_long_table
from trialstrat.cohort.readers.maf import coded
from trialstrat.cohort.readers.registry import read_assay, read_file, read_matrix
from trialstrat.cohort.rules import RefusedError, raise_for
from trialstrat.cohort.samples import one_per_patient
from trialstrat.cohort.sources import patient_variants, rows_by_patient
from trialstrat.cohort.symbols import Symbols, load_symbols, renamed
from trialstrat.errors import DataError
from trialstrat.protocol.features_model import GeneSymbols
from trialstrat.protocol.language.criterion import Criterion
from trialstrat.protocol.language.schema import Schema, TableSchema
from trialstrat.protocol.model import Source
from trialstrat.results import Finding


def read_events(
    path: Path, name: str, criteria: Sequence[Criterion], schema: Schema, patients: Sequence[str]
) -> pd.DataFrame:
    """A table of events of new patients: variants (MAF, VCF), a matrix, or rows that already have this form.

    Parameters
    ----------
    path : Path
        The file.
    name : str
        The table, as the criteria call it.
    criteria : sequence of Criterion
        Only the genes they ask for are kept.
    schema : Schema
        The tables that the criteria were frozen with.
    patients : sequence of str
        The patients to be screened; samples are compared with them by the table's ``id_rules``.

    Raises
    ------
    DataError
        A file that cannot be read as such a table, several samples of one patient, or a gene that may be several.
    """
    declared = schema.tables[name]
    if _as_rows(path, declared):
        return read_long_table(path, declared)
    symbols = load_symbols(GeneSymbols(), None)
    if declared.holds == "variants":
        variants, notes = _variants(path, declared, symbols, patients)
        held = Molecular(matrices={}, variants={name: variants}, records={}, symbols=symbols, lists={})
        known = variants.patients
    else:
        matrix, notes = _matrix(path, declared, symbols, patients)
        held = Molecular(matrices={name: matrix}, variants={}, records={}, symbols=symbols, lists={})
        known = matrix.patients
    if not set(known) & set(patients):
        raise DataError(
            f"{path.name}: none of its samples is a patient to be screened. Give samples the patients' ids."
        )
    made = event_tables(criteria, schema, held)
    # that nobody was looked at in a gene is a fault of a study; of new patients it leaves the criterion unknown
    raise_for((*notes, *(entry for entry in made.findings if entry.code != "E-GENE-ABSENT")))
    return made.frames[name]


def _as_rows(path: Path, declared: TableSchema) -> bool:
    """Whether the file is a table with the very columns of the events."""
    try:
        table = read_file(path, Source(name="records", file=path.name, layout="records"))
    except RefusedError:
        return False
    return {declared.id, *declared.columns} <= {str(name) for name in table.frame.columns}


def _owners(samples: Sequence[str], declared: TableSchema, file: str) -> tuple[list[str], tuple[Finding, ...]]:
    ids = [str(entry) for entry in normalised(samples, declared.id_rules)]
    _, found = one_per_patient(ids, None, np.arange(1, len(ids) + 1, dtype=np.int64), file, "samples")
    return ids, found


def _variants(
    path: Path, declared: TableSchema, symbols: Symbols, patients: Sequence[str]
) -> tuple[PatientVariants, tuple[Finding, ...]]:
    assay = read_assay(Source(name="variants", file=path.name, layout="variants"), path.parent)
    samples = list(dict.fromkeys([*sorted(assay.listed), *coded(assay.variants.columns["sample"])[0]]))
    owners, found = _owners(samples, declared, path.name)
    genes, _ = renamed(coded(assay.variants.columns["gene"])[0], symbols, path.name)
    looked = set(owners) | (set(patients) if declared.assayed == "patients" else set())
    whose = {sample: (owner, True) for sample, owner in zip(samples, owners, strict=True)}
    made = patient_variants(assay, sorted(looked), whose, genes, symbols)
    return made, (*assay.variants.findings, *found)


def _matrix(
    path: Path, declared: TableSchema, symbols: Symbols, patients: Sequence[str]
) -> tuple[PatientMatrix, tuple[Finding, ...]]:
    matrix = read_matrix(Source(name="matrix", file=path.name, layout="matrix"), path.parent, list(patients))
    genes, _ = renamed(matrix.genes, symbols, matrix.file)
    owners, found = _owners(matrix.samples, declared, matrix.file)
    names, values = rows_by_patient(matrix.values, owners, np.ones(len(owners), dtype=bool), mean=False)
    made = PatientMatrix(patients=names, genes=tuple(genes), values=values, file=matrix.file)
    return made, (*matrix.findings, *found)
