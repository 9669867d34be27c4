"""What a study declares about privacy: columns that may pass the door, and what could single patients out."""

from __future__ import annotations

from pydantic import Field, model_validator

from trialstrat.protocol.base import Declared


class Privacy(Declared):
    """Direct identifiers are refused as data are read; these are the declared exceptions and the measure of the rest.

    Columns are named as in the file (after ``rename:``), or as ``source.column`` where only one source is meant.
    """

    drop: tuple[str, ...] = Field(default=(), description="Columns taken out as soon as a file is read.")
    allow: tuple[str, ...] = Field(
        default=(), description="Columns that look like direct identifiers and are known to be none."
    )
    cap_ages: bool = Field(default=True, description="Ages above 89 years are held as 90.")
    quasi_identifiers: tuple[str, ...] = Field(
        default=(),
        description="Covariates that together could single a patient out; guessed (age, sex, race, place) when empty.",
    )

    @model_validator(mode="after")
    def _one_answer(self) -> Privacy:
        both = sorted(set(self.drop) & set(self.allow))
        if both:
            raise ValueError(f"{', '.join(both)}: both under drop: and under allow:")
        return self
