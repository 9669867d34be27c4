"""What the tables hold: the columns criteria may name, their kinds and units, and where molecular events are found."""

from __future__ import annotations

from typing import Literal

from trialstrat.protocol.base import Declared

Kind = Literal["number", "text", "date"]
#: What is done to ids before they are compared.
IdRule = Literal["trim", "upper", "lower", "dots_to_dashes", "tcga_patient", "tcga_sample"]

#: The table of one row per patient.
PATIENTS = "patients"
#: What a mutation table says of a patient and a gene: a variant, one that changes no protein, or looked at in vain.
FOUND = ("yes", "silent", "no")


class ColumnSchema(Declared):
    """Kind, unit and analyte of a column; ``outcome`` marks what is only known after time zero."""

    kind: Kind
    unit: str = ""
    unit_column: str = ""
    analyte: str = ""
    levels: tuple[str, ...] = ()
    outcome: bool = False


class TableSchema(Declared):
    """A table: the patient's column, the column of the date (or of days from time zero), and the others by name.

    ``holds`` says what its file is: rows as they stand; variants (MAF, VCF); or a matrix of genes and samples.
    In a file of criteria by itself ``assayed`` says who was looked at for variants, those the file lists or every
    patient, and ``id_rules`` what is done to the ids of such a file; a study says it at its sources.
    """

    columns: dict[str, ColumnSchema]
    id: str = "id"
    time: str = ""
    holds: Literal["rows", "variants", "matrix"] = "rows"
    assayed: Literal["listed", "patients"] = "listed"
    id_rules: tuple[IdRule, ...] = ()


class Molecular(Declared):
    """Where molecular events are found: tables of mutations, copy number and expression; columns for tmb and msi.

    A table is a source with ``layout: records``, one of variants (mutations) or a matrix (copy number, expression).
    ``assayed`` is a column of the patients that is true for whoever was sequenced: a patient without a mutation is
    *not met* only there, and unknown elsewhere. ``found`` is a column of the mutations that says it gene by gene:
    ``yes``; ``silent`` (found, and counted only where a criterion names its class); ``no`` (looked at, and nothing
    found); no value (not looked at). Sources of variants have it.
    """

    mutations: str = ""
    gene: str = "gene"
    variant_class: str = "variant_class"
    protein_change: str = "protein_change"
    assayed: str = ""
    found: str = ""
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
