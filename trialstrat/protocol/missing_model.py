"""What a study declares about missing covariates."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from trialstrat.protocol.base import Declared


class MissingData(Declared):
    """What is done about missing covariates: in the models inside the resampling folds, in effects by imputation."""

    covariates: Literal["impute", "complete_cases"] = Field(
        default="impute", description="In the prognostic models: imputed inside every fold, or left out."
    )
    indicator: bool = Field(default=False, description="Add a column that says that the value was missing.")
    multiple_imputations: int = Field(
        default=20,
        ge=0,
        le=200,
        description="Imputed copies of the covariates, pooled, for adjusted and subgroup effects; 0: none.",
    )

    @field_validator("multiple_imputations")
    @classmethod
    def _enough(cls, value: int) -> int:
        if value == 1:
            raise ValueError("one imputation cannot say how uncertain it is; declare 0, or 2 or more (20 is usual)")
        return value
