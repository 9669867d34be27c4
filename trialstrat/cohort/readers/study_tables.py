"""The parts of a study folder as tables with one row per patient, the shape that sources of a protocol have."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from trialstrat.cohort.readers.cbioportal import Study, mutation_states
from trialstrat.cohort.readers.study_clinical import cells
from trialstrat.cohort.readers.table import RawTable, number_text, text_frame
from trialstrat.cohort.rules import finding
from trialstrat.errors import InvalidInputError

PATIENT = "PATIENT_ID"


def study_table(study: Study, table: str) -> RawTable:
    """One part of a study with one row per patient and the column ``PATIENT_ID``.

    Parameters
    ----------
    table
        ``patients`` (clinical, as in the file), ``samples`` (attributes of each patient's chosen sample),
        ``mutations`` (a column per gene: 1 altered, 0 not, missing where not assayed), ``copy_number`` (-2 ... 2), or
        the stable id of a continuous profile (expression).

    Raises
    ------
    InvalidInputError
        When the study has no such part; the message lists those that it has.
    """
    if table == "patients" and study.patients is not None:
        return study.patients
    if table == "samples":
        return _samples(study)
    if table == "mutations" and study.mutations is not None:
        found = mutation_states(study)
        return _matrix(study, found.genes, found.states, study.mutations.file, study.mutations.sha256)
    matrix = study.copy_number if table == "copy_number" else study.matrices.get(table)
    if matrix is None:
        raise InvalidInputError(f"the study has no table {table!r}; it has {', '.join(tables_of(study))}")
    at = {name: row for row, name in enumerate(matrix.samples)}
    values = np.full((len(study.chosen), len(matrix.genes)), np.nan)
    known = [row for row, name in enumerate(study.chosen) if name in at]
    values[known] = matrix.values[[at[study.chosen[row]] for row in known]]
    return _matrix(study, matrix.genes, values, matrix.file, matrix.sha256)


def tables_of(study: Study) -> tuple[str, ...]:
    """The parts that `study_table` can give for this study."""
    parts = {
        "patients": study.patients is not None,
        "samples": True,
        "mutations": study.mutations is not None,
        "copy_number": study.copy_number is not None,
    }
    return (*(name for name, there in parts.items() if there), *study.matrices)


def _rows(study: Study) -> NDArray[np.intp]:
    """The rows of the sample table that hold the chosen samples."""
    chosen = set(study.chosen)
    return np.flatnonzero([name in chosen for name in cells(study.samples, "SAMPLE_ID")])


def _samples(study: Study) -> RawTable:
    rows = _rows(study)
    frame = study.samples.frame.iloc[rows].reset_index(drop=True)
    return RawTable(
        frame=frame,
        file=study.samples.file,
        lines=study.samples.lines[rows],
        sha256=study.samples.sha256,
        format="cbioportal",
        findings=study.samples.findings,
        labels=study.samples.labels,
    )


def _matrix(study: Study, genes: Sequence[str], values: NDArray[np.float64], file: str, sha256: str) -> RawTable:
    """Values (chosen samples, genes) as text; lines are those of the samples in the clinical file."""
    patients = [study.patient_of[name] for name in study.chosen]
    columns = [[number_text(value) for value in column] for column in values.T]
    return RawTable(
        frame=text_frame([PATIENT, *genes], [patients, *columns]),
        file=file,
        lines=study.samples.lines[_rows(study)],
        sha256=sha256,
        format="cbioportal",
        findings=(finding("I-FILE-FORMAT", source=file, detail=f"cBioPortal, {len(genes)} genes by patient"),),
    )
