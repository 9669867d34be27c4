"""What the tables hold: the columns criteria may name, their kinds and units, and where molecular events are found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import pandas as pd

from trialstrat.protocol.model import Declared, Variable

Kind = Literal["number", "text", "date"]

#: The table of one row per patient.
PATIENTS = "patients"


class ColumnSchema(Declared):
    """Kind, unit and analyte of a column; ``outcome`` marks what is only known after time zero."""

    kind: Kind
    unit: str = ""
    unit_column: str = ""
    analyte: str = ""
    levels: tuple[str, ...] = ()
    outcome: bool = False


class TableSchema(Declared):
    """A table: the patient's column, the column of the date (or of days from time zero), and the others by name."""

    columns: dict[str, ColumnSchema]
    id: str = "id"
    time: str = ""


class Molecular(Declared):
    """Where molecular events are found: long tables of mutations, copy number and expression; columns for tmb and msi.

    ``assayed`` is a column of the patients that is true for whoever was sequenced: a patient without a mutation is
    *not met* only there, and unknown elsewhere.
    """

    mutations: str = ""
    gene: str = "gene"
    variant_class: str = "variant_class"
    protein_change: str = "protein_change"
    assayed: str = ""
    copy_number: str = ""
    copy_number_value: str = "copy_number"
    expression: str = ""
    expression_value: str = "expression"
    tmb: str = ""
    msi: str = ""


class Schema(Declared):
    """All tables by name, ``patients`` among them; ``time_zero`` is its date column, absent where times are days."""

    tables: dict[str, TableSchema]
    time_zero: str = ""
    molecular: Molecular = Molecular()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Tables:
    """Data and schema together. ``patients`` has one row per patient and the patient as its index."""

    patients: pd.DataFrame
    long: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    schema: Schema


def schema_of(variables: tuple[Variable, ...]) -> Schema:
    """The schema that a protocol or a frozen file declares: one table of patients."""
    columns = {
        entry.column: ColumnSchema(
            kind="number" if entry.kind == "continuous" else "text",
            unit=entry.unit,
            levels=tuple(str(level) for level in entry.levels),
            outcome=entry.measured == "after_time_zero",
        )
        for entry in variables
    }
    return Schema(tables={PATIENTS: TableSchema(columns=columns)})
