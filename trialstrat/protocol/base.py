"""What every declared object shares; parts of the protocol that live in modules of their own start from here."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Name = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_.-]{0,63}$")]
Value = str | int | float | bool
TimeUnit = Literal["days", "weeks", "months", "years"]


class Declared(BaseModel):
    """Base of everything typed by people: frozen, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True, allow_inf_nan=False)
