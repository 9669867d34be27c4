"""A criterion: its sentence, what decides it, and what a missing value makes of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, Field, model_validator

from trialstrat.errors import InvalidInputError
from trialstrat.protocol.base import Declared, Name
from trialstrat.protocol.language.grammar import parse
from trialstrat.protocol.language.model import MAXIMUM_DEPTH, AllOf, Expression, depth
from trialstrat.protocol.language.schema import ColumnSchema, Molecular, TableSchema
from trialstrat.protocol.language.text import write_all

Kind = Literal["inclusion", "exclusion"]
Missing = Literal["met", "not met", "unknown"]

_EARLIER_KEY = {
    "unknown": {
        "enum": ["include", "exclude"],
        "deprecated": True,
        "description": "Earlier form of missing: include admits whoever has no value.",
    }
}


def _with_earlier_key(schema: dict[str, Any]) -> None:
    schema["properties"] |= _EARLIER_KEY


def admitting(kind: Kind) -> Missing:
    """What a missing value must make of a criterion of this kind so that the patient passes it."""
    return "met" if kind == "inclusion" else "not met"


def _expressions(value: Any) -> Any:
    """Text, alone or as an entry of the list, is read by the grammar; everything else is left to the models."""
    if isinstance(value, str):
        return _read(value)
    if isinstance(value, list | tuple):
        return tuple(_single(_read(entry)) if isinstance(entry, str) else entry for entry in value)
    return value


def _read(text: str) -> tuple[Any, ...]:
    try:
        return parse(text)
    except InvalidInputError as error:
        raise ValueError(str(error)) from None


def _single(nodes: tuple[Any, ...]) -> Any:
    return nodes[0] if len(nodes) == 1 else AllOf(all=nodes)


When = Annotated[
    tuple[Expression, ...], BeforeValidator(_expressions, json_schema_input_type=str | tuple[str | Expression, ...])
]


class Criterion(Declared):
    """One criterion: its sentence, what decides it (all hold), and what a missing value makes of it.

    ``missing`` speaks of the criterion's conditions: for an exclusion criterion ``met`` excludes. A patient for whom
    a criterion stays unknown is not admitted to a cohort, and is reported as unknown when screened.
    """

    model_config = ConfigDict(json_schema_extra=_with_earlier_key)

    id: Name
    kind: Kind
    text: str = Field(default="", description="The protocol's own sentence.")
    when: When = Field(default=(), description="Conditions that all hold; as one line of text or as a list.")
    missing: Missing = Field(default="unknown", description="What the conditions are where a needed value is missing.")

    @model_validator(mode="before")
    @classmethod
    def _earlier(cls, data: Any) -> Any:
        if not isinstance(data, dict) or "unknown" not in data:
            return data
        if "missing" in data:
            raise ValueError("missing: says what unknown: said; remove unknown:")
        if data["unknown"] not in ("include", "exclude"):
            raise ValueError("unknown: is include or exclude; write missing: met, not met or unknown instead")
        rest = {key: value for key, value in data.items() if key != "unknown"}
        kind: Kind = "exclusion" if rest.get("kind") == "exclusion" else "inclusion"
        return {**rest, "missing": admitting(kind) if data["unknown"] == "include" else "unknown"}

    @model_validator(mode="after")
    def _shallow(self) -> Criterion:
        if any(depth(node) > MAXIMUM_DEPTH for node in self.when):
            raise ValueError(f"conditions are nested more than {MAXIMUM_DEPTH} deep; split the criterion")
        return self

    @property
    def sentence(self) -> str:
        """Its own sentence, or its conditions where it has none."""
        return self.text or write_all(self.when)

    @property
    def admits_missing(self) -> bool:
        """Whether a patient for whom the conditions cannot be decided passes."""
        return self.missing == admitting(self.kind)


def distinct(criteria: Sequence[Criterion]) -> None:
    """Every decision is told by the id of its criterion.

    Raises
    ------
    ValueError
        Two criteria have one id.
    """
    ids = [criterion.id for criterion in criteria]
    twice = sorted({entry for entry in ids if ids.count(entry) > 1})
    if twice:
        raise ValueError(f"criterion declared twice: {', '.join(twice)}")


class CriteriaSet(Declared):
    """Criteria as a file of their own."""

    study: str = ""
    title: str = ""
    id: str = Field(default="id", description="Column with the patient id.")
    columns: dict[str, ColumnSchema] = Field(
        default_factory=dict, description="Kinds and units of the patients' table."
    )
    tables: dict[Name, TableSchema] = Field(default_factory=dict, description="Long tables that criteria look at.")
    time_zero: str = Field(default="", description="Column of the patients with the date of time zero.")
    molecular: Molecular = Field(default=Molecular(), description="Where molecular events are found.")
    criteria: tuple[Criterion, ...]

    @model_validator(mode="after")
    def _distinct(self) -> CriteriaSet:
        distinct(self.criteria)
        return self
