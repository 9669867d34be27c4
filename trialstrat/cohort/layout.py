"""Tables with one row per marker, turned round so that each row is a patient."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from trialstrat.cohort.columns import as_text
from trialstrat.cohort.genes import gene_findings
from trialstrat.cohort.readers.table import RawTable, checked_names, text_frame
from trialstrat.cohort.rules import RefusedError

#: Name of the column of patient ids in a table that was turned round.
PATIENT = "patient"


def by_patient(table: RawTable) -> RawTable:
    """The same values with one row per patient: the header held the patients, the first column the markers.

    ``lines`` are then column numbers of the file.

    Raises
    ------
    RefusedError
        When marker names are repeated, or are gene symbols that a spreadsheet turned into dates.
    """
    names = ["" if cell is None else str(cell) for cell in as_text(table.frame.iloc[:, 0])]
    spoiled = [entry for entry in gene_findings(names, table.file) if entry.severity == "error"]
    try:
        names = checked_names(names, table.file)
    except RefusedError as fault:
        raise RefusedError(*spoiled, *fault.findings) from None
    if spoiled:
        raise RefusedError(*spoiled)
    patients = [str(name) for name in table.frame.columns[1:]]
    values = table.frame.iloc[:, 1:].to_numpy(dtype=object, na_value=None)
    frame = text_frame([PATIENT, *names], [patients, *(list(row) for row in values)])
    return replace(table, frame=frame, lines=np.arange(2, len(patients) + 2, dtype=np.int64))
