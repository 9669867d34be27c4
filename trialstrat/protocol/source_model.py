"""Where data come from: files, folders, databases; which rows and ids count, and in which units."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from trialstrat.protocol.base import Declared, Name, Value
from trialstrat.protocol.language.schema import ColumnSchema, IdRule

#: One row per patient; per sample; several per patient; per marker; genes by samples; per variant.
Layout = Literal["patients", "samples", "records", "markers", "matrix", "variants"]
Choice = Literal["refuse", "first", "earliest", "latest", "highest", "lowest", "prefer", "mean", "any"]


class SampleRule(Declared):
    """What is done about several samples of one patient. Patients whose samples tie are refused, never drawn."""

    choose: Choice = Field(
        description="refuse; first of the file; earliest, latest, highest, lowest of by:; prefer: the values listed, "
        "in order; mean of the numbers; any: a variant in any sample counts."
    )
    by: str | None = Field(default=None, description="Column of the samples that decides (date, purity, sample type).")
    prefer: tuple[Value, ...] = Field(default=(), description="Values of by:, best first (Primary, Metastasis).")

    @model_validator(mode="after")
    def _needs(self) -> SampleRule:
        if self.choose in ("earliest", "latest", "highest", "lowest", "prefer") and self.by is None:
            raise ValueError(f"choose: {self.choose} needs by: (the column that decides)")
        if (self.choose == "prefer") != bool(self.prefer):
            raise ValueError("prefer: (the values, best first) goes with choose: prefer, and only with it")
        return self


class UnitRule(Declared):
    """Brings a column to one unit (UCUM codes): from one declared unit, or from the unit that stands in each row."""

    to: str = Field(description="UCUM code of the unit wanted, as mg/dL.")
    unit: str | None = Field(default=None, description="UCUM code of the unit in the data.")
    unit_column: str | None = Field(default=None, description="Column with the unit of each row.")
    codes: dict[str, str] = Field(default_factory=dict, description="UCUM codes by the spellings of unit_column.")
    analyte: str = Field(default="", description="What is measured, for mass against amount of substance.")

    @model_validator(mode="after")
    def _one_origin(self) -> UnitRule:
        if (self.unit is None) == (self.unit_column is None):
            raise ValueError("declare exactly one of unit: and unit_column:")
        return self


#: How a column of dates is written; ISO dates (2021-03-31) need no declaration.
DateFormat = Literal["DD.MM.YYYY", "DD/MM/YYYY", "MM/DD/YYYY", "YYYY/MM/DD", "YYYYMMDD", "DD-MMM-YYYY", "DDMMMYYYY"]


class Source(Declared):
    """One table: a file, a part of a folder or database, or a data set that an installed package ships."""

    name: Name
    file: str | None = Field(
        default=None, description="Path of a file or folder relative to the data folder, by default the protocol's."
    )
    table: str | None = Field(
        default=None,
        description="Part of a folder or database: adsl; patients, samples, mutations, copy_number, structural, "
        "timeline_..., or the stable id of a profile of a cBioPortal study; a table of a DuckDB file.",
    )
    dataset: str | None = Field(default=None, description="Packaged data set, for instance scikit-survival/gbsg2.")
    id: str | None = Field(default=None, description="Column with the patient id; 'row' numbers the rows of the file.")
    layout: Layout = Field(
        default="patients",
        description="patients: one row each; samples: one row per sample, sample_rule: keeps one; records: several "
        "rows per patient; markers: one row per marker named in the first column, one column per patient; matrix: "
        "genes by samples either way round; variants: MAF, VCF or structural variants.",
    )
    sample: str | None = Field(default=None, description="Column with the sample id (layout: samples).")
    samples: Name | None = Field(default=None, description="Source that says whose the samples here are.")
    sample_rule: SampleRule | None = None
    id_rules: tuple[IdRule, ...] = Field(default=(), description="What is done to ids before they are compared.")
    way: Literal["genes_in_rows", "genes_in_columns"] | None = Field(
        default=None, description="How a matrix is laid out; found by looking when absent."
    )
    values: Literal["counts", "tpm", "log2", "other"] = Field(default="other", description="What a matrix holds.")
    assayed: Literal["listed", "samples", "patients"] = Field(
        default="listed",
        description="Who was looked at for variants: those the file lists, every sample of samples:, or every patient.",
    )
    panel: str | None = Field(
        default=None, description="File of the genes that were looked at, one a line or a cBioPortal panel."
    )
    columns: tuple[str, ...] = Field(default=(), description="Only these columns are taken; by default all.")
    fields: dict[str, ColumnSchema] = Field(
        default_factory=dict, description="Kind and unit of the columns that criteria name (layout: records)."
    )
    time: str | None = Field(
        default=None, description="Field with the date, or the days from time zero, of each row (layout: records)."
    )
    units: dict[str, UnitRule] = Field(default_factory=dict, description="Unit harmonisation by column.")
    dates: dict[str, DateFormat] = Field(
        default_factory=dict, description="Format of the columns whose dates are no ISO dates, by column."
    )
    define: str | None = Field(default=None, description="define.xml with the labels and codes of the columns.")
    delimiter: str | None = Field(default=None, description="Field separator; found by looking when absent.")
    decimal: Literal[".", ","] | None = None
    encoding: str = "utf-8"
    sheet: str | None = Field(default=None, description="Sheet of an Excel workbook.")
    missing: tuple[str, ...] = Field(default=(), description="Codes that mean missing, beside the empty field.")
    rename: dict[str, str] = Field(default_factory=dict, description="New column names by old ones.")
    normalise: bool = Field(default=False, description="Trim blanks and unify Unicode in text levels; logged.")
    rows: int | None = Field(default=None, ge=1, description="Expected number of rows; another count is refused.")
    sha256: str | None = Field(default=None, pattern=r"^[0-9a-f]{64}$", description="Expected hash of the file.")
    where: dict[str, Value] = Field(
        default_factory=dict, description="Keep only rows with these values (for instance PARAMCD: OS)."
    )

    @property
    def joins(self) -> bool:
        """Whether its columns stand in the analysis table; the others are read by features only."""
        return self.layout not in ("records", "variants")

    @model_validator(mode="after")
    def _one_origin(self) -> Source:
        if (self.file is None) == (self.dataset is None):
            raise ValueError("declare exactly one of file: and dataset:")
        if self.layout in ("markers", "matrix", "variants") and (self.id is not None or self.where):
            raise ValueError(f"layout: {self.layout} takes the ids from the file; remove id: and where:")
        return self

    @model_validator(mode="after")
    def _layout_keys(self) -> Source:
        wanted = {
            "sample": ("samples",),
            "samples": ("matrix", "variants"),
            "sample_rule": ("samples", "matrix", "variants"),
            "way": ("matrix",),
            "panel": ("variants",),
            "time": ("records",),
        }
        for key, layouts in wanted.items():
            if getattr(self, key) is not None and self.layout not in layouts:
                raise ValueError(f"{key}: goes with layout: {' or '.join(layouts)}")
        if self.fields and self.layout != "records":
            raise ValueError("fields: goes with layout: records")
        if self.time is not None and self.time not in self.fields:
            raise ValueError(f"declare the kind of {self.time} under fields: (date, or number for days)")
        if self.layout == "samples" and (self.sample is None or self.id is None):
            raise ValueError("layout: samples needs id: (the patient) and sample: (the sample)")
        if self.samples is not None and self.sample_rule is not None:
            raise ValueError("sample_rule: stands at the source that samples: names")
        if self.assayed == "samples" and self.samples is None:
            raise ValueError("assayed: samples needs samples: (the source with layout: samples)")
        self._rule_fits()
        return self

    def _rule_fits(self) -> None:
        rule = self.sample_rule
        if rule is None:
            return
        if self.layout != "samples" and rule.by is not None:
            raise ValueError("sample_rule.by: needs the columns of a source with layout: samples")
        if rule.choose == "mean" and self.layout == "variants":
            raise ValueError("variants have no mean: choose: any, first or refuse")
        if rule.choose == "any" and self.layout == "matrix":
            raise ValueError("choose: any is for variants; a matrix needs mean, first or refuse")
