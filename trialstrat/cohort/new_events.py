"""Molecular files of new patients as the tables of events that criteria look at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from trialstrat.cohort.events import event_tables
from trialstrat.cohort.molecular import PatientMatrix, PatientVariants
from trialstrat.cohort.new_features import columns_of, read_beside
from trialstrat.cohort.rules import RefusedError, raise_for
from trialstrat.errors import DataError
from trialstrat.protocol.features_model import GeneSymbols
from trialstrat.protocol.language.criterion import Criterion
from trialstrat.protocol.language.schema import Schema, TableSchema
from trialstrat.protocol.model import Source


def read_events(
    name: str,
    criteria: Sequence[Criterion],
    schema: Schema,
    sources: Sequence[Source],
    patients: tuple[Path, Source],
    files: Mapping[str, Path],
    symbols: GeneSymbols | None = None,
) -> pd.DataFrame:
    """Variants (MAF, VCF) or a matrix of new patients as rows of events.

    Parameters
    ----------
    name : str
        The table, as the criteria call it; one of the ``sources``.
    criteria : sequence of Criterion
        Only the genes they ask for are kept.
    schema : Schema
        The tables that the criteria look at.
    sources : sequence of Source
        As the study declared them, the source of the samples before the one that names it.
    patients : (Path, Source)
        The table of new patients and how it is read.
    files : mapping of str to Path
        The file of every source.
    symbols : GeneSymbols, optional
        How the study brought gene symbols together.

    Raises
    ------
    DataError
        A file that cannot be read as declared, several samples of one patient that no rule tells apart, samples of
        nobody who is to be screened, or a gene that may be several.
    """
    _, joined, molecular = read_beside(sources, (), *patients, files, symbols)
    held = molecular.variants.get(name) or molecular.matrices[name]
    if not _seen(held) & {str(entry) for entry in joined.ids}:
        told = "Give samples the patients' ids, or id_rules: to the source in the protocol"
        raise DataError(f"{files[name].name}: none of its samples is a patient to be screened. {told}.")
    made = event_tables(criteria, schema, molecular)
    # that nobody was looked at in a gene is a fault of a study; of new patients it leaves the criterion unknown
    raise_for(tuple(entry for entry in made.findings if entry.code != "E-GENE-ABSENT"))
    return made.frames[name]


def _seen(held: PatientVariants | PatientMatrix) -> set[str]:
    """Patients whom the file itself names; all that are known where no variant is in it."""
    if isinstance(held, PatientMatrix) or not len(held.patient):
        return set(held.patients)
    return {held.patients[at] for at in set(held.patient.tolist())}


def is_rows(path: Path, declared: TableSchema) -> bool:
    """Whether a file is a table with the very columns of the events."""
    try:
        return {declared.id, *declared.columns} <= set(columns_of(path))
    except RefusedError:
        return False
