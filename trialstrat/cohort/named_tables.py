"""Declared sources as tables of their own, for criteria that name a table and a column of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from trialstrat.cohort.prepare import prepare
from trialstrat.cohort.readers.registry import Folders, read_source
from trialstrat.cohort.rules import errors, raise_for
from trialstrat.errors import DataError
from trialstrat.protocol.model import Protocol

#: Column of the patient in every table.
OWNER = "\0patient"
_TABLES = ("patients", "records")


def named_tables(protocol: Protocol, root: Path, names: Sequence[str]) -> dict[str, pd.DataFrame]:
    """Sources by name (in any case), every column as it was read, with the patient in :data:`OWNER`.

    Parameters
    ----------
    protocol
        Declares the sources; those used must have layout ``patients`` or ``records``.
    root
        Folder of the data.
    names
        The tables that criteria name.

    Raises
    ------
    DataError
        All names without such a source, or what is wrong with the files.
    """
    declared = {source.name.lower(): source for source in protocol.sources if source.layout in _TABLES}
    missing = [name for name in names if name.lower() not in declared]
    if missing:
        known = ", ".join(source.name for source in protocol.sources)
        raise DataError(
            *(f"rules: there is no source {name!r} of patients or records; sources are: {known}" for name in missing)
        )
    folders = Folders()
    out: dict[str, pd.DataFrame] = {}
    for name in dict.fromkeys(name.lower() for name in names):
        source = declared[name]
        table = read_source(source, root, folders)
        everything = {source.rename.get(str(column), str(column)) for column in table.frame.columns}
        ready = prepare(source, table, everything, {})
        raise_for(errors(ready.findings))
        out[name] = ready.frame.assign(**{OWNER: ready.ids})
    return out
