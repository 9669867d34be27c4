"""What the tables hold: the columns criteria may name, their kinds and units, and where molecular events are found."""

from __future__ import annotations

from typing import Literal

from trialstrat.protocol.base import Declared

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
