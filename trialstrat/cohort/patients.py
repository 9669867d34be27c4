"""New patients for frozen criteria: one file, the columns that the criteria use, typed as they were."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from trialstrat.cohort.columns import column
from trialstrat.cohort.integrate import join
from trialstrat.cohort.molecular import Records
from trialstrat.cohort.prepare import ROW, missing_column, prepare
from trialstrat.cohort.readers.registry import read_file
from trialstrat.cohort.records import typed_records
from trialstrat.cohort.rules import raise_for
from trialstrat.cohort.variables import read_variable
from trialstrat.protocol.language.schema import TableSchema
from trialstrat.protocol.model import Source, Value, Variable

#: Labels of levels are named in messages from this many rows on.
_MINIMUM_CELL = 11


def read_patients(
    path: Path, variables: Sequence[Variable], id_column: str, declared: Source | None = None
) -> pd.DataFrame:
    """Read patients to be screened.

    Parameters
    ----------
    path : Path
        Any readable table.
    variables : sequence of Variable
        The columns the criteria use; numbers are float64, everything else is text.
    id_column : str
        Column of the patient id, or ``row``.
    declared : Source, optional
        How such a file is read: missing codes, rules of ids, units that stand in each row.

    Returns
    -------
    DataFrame
        Index = patient id as text, sorted; missing values are NA and stay unknown.

    Raises
    ------
    DataError
        When a column is missing, an id is missing or repeated, or a value is of another kind than declared.
    """
    source = (declared or Source(name="patients", file=path.name)).model_copy(update={"id": id_column})
    kept: dict[str, tuple[Value, ...]] = {entry.column: entry.levels for entry in variables}
    ready = prepare(source, read_file(path, source), {entry.column for entry in variables}, kept)
    joined, _, _, found = join([ready], _MINIMUM_CELL)
    missing = [
        missing_column(entry.column, joined.found, path.name)
        for entry in variables
        if entry.column not in joined.frame and entry.column != id_column
    ]
    raise_for((*ready.findings, *found, *missing))
    columns: dict[str, pd.Series] = {}
    findings = []
    for entry in variables:
        if entry.kind == "continuous":
            # how much is missing is no fault of a patient to be screened: it makes criteria unknown
            columns[entry.column], seen = read_variable(entry.model_copy(update={"missing_limit": 1.0}), joined)
            findings += seen
        else:
            columns[entry.column] = column(joined.frame, entry.column)
    raise_for(findings)
    name = "id" if id_column == ROW else id_column
    return pd.DataFrame(columns).set_axis(pd.Index(joined.ids, name=name), axis=0)


def read_long_table(path: Path, declared: TableSchema, source: Source | None = None) -> pd.DataFrame:
    """A long table beside the patients, its columns typed as declared.

    ``source`` is what the study declared of its own file (missing codes, units, ids); it holds for this one too.

    Raises
    ------
    DataError
        When a column is missing or a value is of another kind.
    """
    source = source or Source(name="records", file=path.name, id=declared.id, layout="records")
    ready = prepare(source, read_file(path, source), set(declared.columns), {})
    records = Records(frame=ready.frame, ids=ready.ids, lines=ready.lines, file=ready.file)
    frame, found = typed_records(records, declared)
    raise_for((*ready.findings, *found))
    return frame


def read_plain(path: Path, id_column: str) -> pd.DataFrame:
    """Any table with all its columns as text and the patient in ``id_column``.

    Raises
    ------
    DataError
        When the file cannot be read, or has no such column or rows without a patient.
    """
    source = Source(name="table", file=path.name, id=id_column, layout="records")
    table = read_file(path, source)
    ready = prepare(source, table, {str(name) for name in table.frame.columns}, {})
    raise_for(ready.findings)
    return ready.frame.assign(**{id_column: ready.ids})
