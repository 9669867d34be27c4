"""Which concepts of the OMOP vocabulary stand for the columns of a study; declared by the user, never guessed.

Age and sex need none: they are columns of every OMOP person.
"""

from __future__ import annotations

from typing import Final, Literal

from pydantic import Field, model_validator

from trialstrat.protocol.base import Declared
from trialstrat.protocol.language.model import Window

Domain = Literal["measurement", "condition", "drug", "procedure", "observation"]

#: OMOP concept ids of UCUM units (vocabulary UCUM).
UNIT_CONCEPTS: Final[dict[str, int]] = {
    "mg/dL": 8840, "mmol/L": 8753, "g/dL": 8713, "%": 8554, "10*3/uL": 8848, "10*9/L": 9444, "U/L": 8645,
    "mm[Hg]": 8876, "umol/L": 8749,
}  # fmt: skip
#: OMOP concept ids of sex by the levels that mean it.
SEX_CONCEPTS: Final[dict[str, int]] = {"m": 8507, "male": 8507, "man": 8507, "f": 8532, "female": 8532, "woman": 8532}
AGE_COLUMNS: Final = frozenset(("age", "age_years", "age_at_baseline"))
#: Units that an age may be in where a system knows years alone; none stands for years.
YEARS: Final = frozenset(("", "a", "year", "years"))
SEX_COLUMNS: Final = frozenset(("sex", "gender"))


class Concept(Declared):
    """What a column is in OMOP: any record of the concept (or its descendants) within the window around time zero.

    A range on the column asks it of a measurement's value in ``unit``. For the other domains the column says whether
    there was such a record: its value must be one of ``yes`` or ``no``.
    """

    domain: Domain
    concept: int
    unit: str = ""
    window: Window = Window(first=-28, last=0)
    yes: tuple[str, ...] = ("yes", "true", "1", "y")
    no: tuple[str, ...] = ("no", "false", "0", "n")

    @model_validator(mode="after")
    def _closed(self) -> Concept:
        if self.unit and self.unit not in UNIT_CONCEPTS:
            raise ValueError(f"unit {self.unit!r}: use one of {', '.join(UNIT_CONCEPTS)}")
        return self


class ConceptMap(Declared):
    """Concepts by column; ``entry`` is the record that is time zero (the first observation period where absent)."""

    columns: dict[str, Concept] = Field(default_factory=dict)
    entry: Concept | None = None
