"""Prognostic models as others published them: their terms, to be validated and, if asked, fitted again."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from trialstrat.protocol.base import Declared, Name

Transform = Literal["none", "log", "log2", "log10", "sqrt", "square"]


class Term(Declared):
    """One term: a column, what is done to it, and its coefficient. Columns need no other declaration."""

    column: str
    also: tuple[str, ...] = Field(default=(), description="More columns of numbers: the largest value counts.")
    label: str = ""
    coefficient: float | None = Field(default=None, description="As published; without it the term is only refitted.")
    minimum: float | None = Field(default=None, description="Smaller values count as this one.")
    maximum: float | None = Field(default=None, description="Larger values count as this one.")
    transform: Transform = Field(default="none", description="Applied after minimum: and maximum:.")
    at_least: float | None = Field(default=None, description="The term is 1 from this value on, and 0 below.")
    scores: dict[str, float] = Field(default_factory=dict, description="Number of each level of a column of levels.")
    other: float | None = Field(
        default=0.0, description="Number of a level without a score; null: the patient has none."
    )
    missing: float | None = Field(default=None, description="Number where there is no value; by default none is given.")

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column that the term reads."""
        return (self.column, *self.also)

    @property
    def title(self) -> str:
        """What the term is, as tables say it."""
        if self.label:
            return self.label
        if self.at_least is not None:
            return f"{self.column} >= {self.at_least:g}"
        return self.column if self.transform == "none" else f"{self.transform}({self.column})"

    @model_validator(mode="after")
    def _one_reading(self) -> Term:
        numeric = self.transform != "none" or not (self.minimum is None and self.maximum is None)
        if self.scores and (numeric or self.also or self.at_least is not None):
            raise ValueError(
                "scores: are for a column of levels; also:, minimum:, maximum:, transform:, at_least: for numbers"
            )
        if self.at_least is not None and numeric:
            raise ValueError("at_least: makes 0 and 1 of the column; it takes no minimum:, maximum: or transform:")
        return self


class PublishedModel(Declared):
    """A model from the literature, or one to be fitted without penalty as it stands.

    What the sum of the terms is, is said by ``predicts``: the logarithm of a hazard ratio, the logarithm of the odds,
    (of the event, or of a continuous outcome that is a probability: a score that the data hold as its authors
    computed it), the outcome itself (``mean``), or its square root (``root``).
    """

    name: Name
    label: str = ""
    reference: str = Field(description="Where it was published.")
    predicts: Literal["log_hazard", "log_odds", "mean", "root"]
    intercept: float = 0.0
    terms: Annotated[tuple[Term, ...], Field(min_length=1)]
    refit: bool = Field(default=False, description="Also estimate the coefficients in these data, without penalty.")

    @property
    def title(self) -> str:
        """The label, or the name."""
        return self.label or self.name

    @property
    def scored(self) -> bool:
        """Whether every term has a coefficient, so that patients can be scored."""
        return all(term.coefficient is not None for term in self.terms)

    @model_validator(mode="after")
    def _something_to_do(self) -> PublishedModel:
        given = sum(term.coefficient is not None for term in self.terms)
        if 0 < given < len(self.terms):
            raise ValueError("give every term its coefficient, or none of them")
        if not given and not self.refit:
            raise ValueError("terms without coefficients need refit: true")
        titles = [term.title for term in self.terms]
        if len(set(titles)) != len(titles):
            raise ValueError("two terms share a label")
        return self
