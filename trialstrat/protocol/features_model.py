"""Columns derived from molecular and repeated data: what is counted, from which source, by which rule."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from trialstrat.protocol.base import Declared, Name, Value

Classes = Literal["non_silent", "truncating", "all"] | tuple[str, ...]
CopyClass = Literal["deep_deletion", "loss", "gain", "amplification"]


class GeneSymbols(Declared):
    """How gene symbols of different years are brought together: always to the current symbol, never by a guess."""

    use_aliases: bool = Field(default=True, description="Old symbols and aliases become current symbols.")
    hgnc: str | None = Field(default=None, description="File hgnc_complete_set.txt, instead of the shipped aliases.")
    resolve: dict[str, str] = Field(default_factory=dict, description="What an ambiguous symbol means in these data.")


class BatchEffects(Declared):
    """Batches of the marker blocks: always shown, corrected only when declared, and then inside resampling.

    location_scale: location and scale of each batch by empirical Bayes, learned on training rows (ComBat). A batch
    that is not among the training rows stays as it is. Signatures and single genes are not corrected: declared beside a
    correction they are refused.
    """

    column: str = Field(description="Column with the batch, plate or site of the molecular data.")
    correct: Literal["none", "location_scale"] = "none"


class Derived(Declared):
    """What every feature has. Its name is a column like any other; ``label`` is how people read it."""

    name: Name
    label: str = ""

    @property
    def title(self) -> str:
        """The label, or the name where none was given."""
        return self.label or self.name

    def reads(self) -> dict[str, tuple[str, str]]:
        """The sources that it reads, by the key that names them, each with the layout that it needs."""
        layouts = {"mutations": "variants", "structural": "variants", "copy_number": "matrix"}
        layouts["source"] = "records" if getattr(self, "kind", "") == "measurement" else "matrix"
        named = {key: getattr(self, key, None) for key in layouts}
        return {key: (name, layouts[key]) for key, name in named.items() if isinstance(name, str)}


class AlterationFeature(Derived):
    """Whether genes are altered: ``altered``, ``not altered``, or missing where it was not looked at.

    Altered: at least ``minimum`` of the genes carry a counted mutation, copy-number change or structural variant. Not
    altered: that can no longer be, whatever the genes that were not looked at in every named source would show.
    """

    kind: Literal["alteration"]
    genes: Annotated[tuple[str, ...], Field(min_length=1)]
    mutations: Name | None = Field(default=None, description="Source of variants.")
    classes: Classes = Field(default="non_silent", description="Variant classes that count.")
    protein_changes: tuple[str, ...] = Field(default=(), description="Only these, as p.V600E or p.Val600Glu.")
    minimum_vaf: float | None = Field(default=None, ge=0, le=1, description="Least variant allele fraction.")
    copy_number: Name | None = Field(default=None, description="Source (matrix) of discrete copy number.")
    copy_number_classes: tuple[CopyClass, ...] = ("deep_deletion", "amplification")
    structural: Name | None = Field(default=None, description="Source of structural variants.")
    minimum: int = Field(default=1, ge=1, description="How many of the genes must be altered.")

    @model_validator(mode="after")
    def _some_source(self) -> AlterationFeature:
        if self.mutations is None and self.copy_number is None and self.structural is None:
            raise ValueError("name at least one of mutations:, copy_number: and structural: (a source)")
        if self.minimum > len(set(self.genes)):
            raise ValueError("minimum: is above the number of genes")
        return self


class BurdenFeature(Derived):
    """Tumour mutational burden: counted variants per megabase looked at."""

    kind: Literal["tmb"]
    mutations: Name
    megabases: float | None = Field(default=None, gt=0, description="Callable megabases of the assay.")
    panel_megabases: dict[str, float] = Field(default_factory=dict, description="Callable megabases by gene panel.")
    classes: Classes = "non_silent"
    minimum_vaf: float | None = Field(default=None, ge=0, le=1)

    @model_validator(mode="after")
    def _some_size(self) -> BurdenFeature:
        if self.megabases is None and not self.panel_megabases:
            raise ValueError("declare megabases: or panel_megabases: (what was callable)")
        if any(not size > 0 for size in self.panel_megabases.values()):
            raise ValueError("panel_megabases: must be above 0")
        return self


class FractionFeature(Derived):
    """Largest variant allele fraction among the counted variants of a gene (0 to 1)."""

    kind: Literal["vaf"]
    mutations: Name
    gene: str
    classes: Classes = "non_silent"
    wild_type: Literal["zero", "missing"] = Field(default="zero", description="Value where no variant was found.")


class CopyNumberFeature(Derived):
    """Copy-number class of a gene: deep deletion, loss, neutral, gain, amplification.

    Discrete data (-2 ... 2) are taken as they are; for log2 ratios four increasing ``thresholds`` are declared.
    """

    kind: Literal["copy_number"]
    source: Name
    gene: str
    thresholds: tuple[float, float, float, float] | None = None

    @model_validator(mode="after")
    def _increasing(self) -> CopyNumberFeature:
        if self.thresholds is not None and list(self.thresholds) != sorted(set(self.thresholds)):
            raise ValueError("thresholds: must increase strictly")
        return self


class ExpressionFeature(Derived):
    """The value of one gene in a matrix."""

    kind: Literal["expression"]
    source: Name
    gene: str


class SignatureFeature(Derived):
    """A score of many genes in a matrix.

    mean_z: mean over genes of the standardised value; location and scale are learned on training rows inside
    resampling. rank: enrichment of the genes among all genes of the same sample, nothing learned.
    """

    kind: Literal["signature"]
    source: Name
    genes: tuple[str, ...] = ()
    genes_file: str | None = Field(default=None, description="File with one gene a line, in the data folder.")
    method: Literal["mean_z", "rank"]
    present: float = Field(default=0.8, gt=0, le=1, description="Least share of the genes that the matrix must have.")

    @model_validator(mode="after")
    def _one_list(self) -> SignatureFeature:
        if bool(self.genes) == (self.genes_file is not None):
            raise ValueError("declare exactly one of genes: and genes_file:")
        return self


class InstabilityFeature(Derived):
    """Microsatellite status from a score of the assay: ``unstable``, ``indeterminate`` or ``stable``."""

    kind: Literal["msi"]
    column: str = Field(description="Column with the score.")
    unstable_from: float = Field(description="Scores from here on are unstable (MSIsensor: 10).")
    stable_below: float | None = Field(default=None, description="Scores below are stable; between: indeterminate.")

    @model_validator(mode="after")
    def _ordered(self) -> InstabilityFeature:
        if self.stable_below is not None and self.stable_below > self.unstable_from:
            raise ValueError("stable_below: is above unstable_from:")
        return self


class Window(Declared):
    """Days from time zero, both ends included; a missing end is open."""

    start: float | None = None
    end: float | None = Field(default=0.0, description="0 is time zero itself: what comes later is not baseline.")

    @model_validator(mode="after")
    def _ordered(self) -> Window:
        if self.start is not None and self.end is not None and self.start > self.end:
            raise ValueError("start: is after end:")
        return self


class MeasurementFeature(Derived):
    """One value per patient from repeated records, inside a window around time zero."""

    kind: Literal["measurement"]
    source: Name
    value: str = Field(description="Column with the value.")
    where: dict[str, Value] = Field(default_factory=dict, description="Only these records (LBTESTCD: CREAT).")
    day: str | None = Field(default=None, description="Column with days from time zero.")
    date: str | None = Field(default=None, description="Column with the date, instead of day:.")
    zero: str | None = Field(default=None, description="Column of the patients with the date of time zero.")
    window: Window = Window()
    pick: Literal["last", "first", "nearest", "mean", "highest", "lowest", "count"] = "last"
    numeric: bool = Field(default=True, description="false: the value is text.")

    @model_validator(mode="after")
    def _one_clock(self) -> MeasurementFeature:
        if (self.day is None) == (self.date is None) or (self.date is None) != (self.zero is None):
            raise ValueError("declare day:, or both date: and zero:")
        if not self.numeric and self.pick in ("mean", "highest", "lowest"):
            raise ValueError(f"pick: {self.pick} needs numbers")
        return self


Feature = Annotated[
    AlterationFeature
    | BurdenFeature
    | FractionFeature
    | CopyNumberFeature
    | ExpressionFeature
    | SignatureFeature
    | InstabilityFeature
    | MeasurementFeature,
    Field(discriminator="kind"),
]
