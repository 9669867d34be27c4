"""What an eligibility criterion may ask: one model for the protocol file, the text, the evaluation and every export.

A plain :class:`Condition` on a column is an expression as it stands; the other nodes combine conditions or apply them
to the rows of a long table. All of it is data: nothing here is ever evaluated as a program.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from trialstrat.protocol.base import Declared, Value

Take = Literal["any", "every", "count", "nearest", "latest", "earliest"]
Operator = Literal["<", "<=", ">", ">=", "==", "!="]
Event = Literal["mutation", "copy_number", "expression", "tmb", "msi"]

#: Deepest nesting of and / or / not; deeper ones are refused before anything walks them.
MAXIMUM_DEPTH = 20


class Condition(Declared):
    """A test on one column; exactly one operator (or both ends of a range)."""

    column: str
    at_least: float | None = None
    at_most: float | None = None
    above: float | None = None
    below: float | None = None
    equals: Value | None = None
    one_of: tuple[Value, ...] = ()
    none_of: tuple[Value, ...] = ()
    present: bool | None = Field(default=None, description="true: the value must be known.")
    unit: str = ""

    @model_validator(mode="after")
    def _operator(self) -> Condition:
        ranges = [x is not None for x in (self.at_least, self.at_most, self.above, self.below)]
        others = [self.equals is not None, bool(self.one_of), bool(self.none_of), self.present is not None]
        if sum(others) + (1 if any(ranges) else 0) != 1:
            raise ValueError("one operator: at_least/at_most/above/below, equals, one_of, none_of or present")
        if self.at_least is not None and self.above is not None:
            raise ValueError("at_least and above cannot stand together")
        if self.at_most is not None and self.below is not None:
            raise ValueError("at_most and below cannot stand together")
        return self


class Window(Declared):
    """Days from time zero, both ends included; negative days are before it, an absent end is open."""

    first: float | None = None
    last: float | None = None

    @model_validator(mode="after")
    def _ordered(self) -> Window:
        if self.first is None and self.last is None:
            raise ValueError("a window needs first, last or both")
        if self.first is not None and self.last is not None and self.first > self.last:
            raise ValueError("first lies after last")
        return self


class Comparison(Declared):
    """Two columns of a row: ``left`` operator ``times`` x ``right`` + ``plus`` (days for dates)."""

    left: str
    operator: Operator
    right: str
    times: float = 1.0
    plus: float = 0.0


class AllOf(Declared):
    """Every part holds."""

    all: Annotated[tuple[Expression, ...], Field(min_length=2)]


class AnyOf(Declared):
    """At least one part holds."""

    any: Annotated[tuple[Expression, ...], Field(min_length=2)]


class Negation(Declared):
    """The part does not hold; unknown stays unknown."""

    negated: Expression


class Records(Declared):
    """The rows of one long table: which rows count, when they were recorded, and what is asked of those taken.

    ``absent`` says what a patient without any row in the table is: ``unknown`` (not looked at), or ``none`` where the
    table lists everything that ever happened, so that no row means that it did not.
    """

    records: str = Field(description="Name of the table.")
    where: tuple[Expression, ...] = ()
    window: Window | None = None
    take: Take = "any"
    has: Expression | None = None
    at_least: int | None = Field(default=None, ge=0)
    at_most: int | None = Field(default=None, ge=0)
    absent: Literal["unknown", "none"] = "unknown"

    @model_validator(mode="after")
    def _complete(self) -> Records:
        counts = self.at_least is not None or self.at_most is not None
        if counts != (self.take == "count"):
            raise ValueError("at_least and at_most belong to take: count, which needs one of them")
        if self.at_least is not None and self.at_most is not None and self.at_least > self.at_most:
            raise ValueError("at_least lies above at_most")
        if self.has is None and self.take not in ("any", "count"):
            raise ValueError(f"take: {self.take} needs has: what is asked of the rows taken")
        return self


class Keep(Declared):
    """Rows for which this holds stay."""

    keep: Expression


class Pick(Declared):
    """Of each patient's rows, the one with the least or greatest ``left - right`` stays (the first of equals)."""

    pick: Literal["least", "greatest"]
    left: str
    right: str | None = None
    absolute: bool = False


class Linked(Declared):
    """Rows of several tables, joined by patient where a step names more than one; columns are ``table.column``.

    Steps apply in order; the last is the question, and holds when a row that is left answers it. A patient is unknown
    when a table of the question has no row left before it.
    """

    linked: Annotated[tuple[Keep | Pick, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _question(self) -> Linked:
        if not isinstance(self.linked[-1], Keep):
            raise ValueError("the last step must be the question (keep)")
        return self


class Alteration(Declared):
    """A molecular event; where it is found is declared once, in the schema (:class:`Molecular`)."""

    event: Event
    gene: str = ""
    classes: tuple[str, ...] = Field(default=(), description="Variant classes, any of which counts.")
    protein_change: str = ""
    at_least: float | None = None
    at_most: float | None = None
    above: float | None = None
    below: float | None = None
    one_of: tuple[str, ...] = Field(default=(), description="States of msi.")
    unit: str = ""

    @model_validator(mode="after")
    def _complete(self) -> Alteration:
        if (self.event in ("mutation", "copy_number", "expression")) != bool(self.gene):
            raise ValueError("gene: belongs to mutation, copy_number and expression, and is needed there")
        if self.event != "mutation" and (self.classes or self.protein_change):
            raise ValueError("classes and protein_change belong to mutation")
        ranged = any(bound is not None for bound in (self.at_least, self.at_most, self.above, self.below))
        if ranged != (self.event in ("copy_number", "expression", "tmb")):
            raise ValueError("at_least, at_most, above, below belong to copy_number, expression and tmb")
        if bool(self.one_of) != (self.event == "msi"):
            raise ValueError("one_of belongs to msi, and is needed there")
        if ranged:
            self.condition("value")
        return self

    def condition(self, column: str) -> Condition:
        """What is asked of the value or state, as a condition on a column."""
        return Condition(
            column=column,
            at_least=self.at_least,
            at_most=self.at_most,
            above=self.above,
            below=self.below,
            one_of=self.one_of,
            unit=self.unit,
        )


_KEYS = ("all", "any", "negated", "records", "linked", "event", "operator")


def _kind(value: Any) -> str:
    for key in _KEYS:
        if key in value if isinstance(value, dict) else hasattr(value, key):
            return key
    return "condition"


Expression = Annotated[
    Annotated[Condition, Tag("condition")]
    | Annotated[AllOf, Tag("all")]
    | Annotated[AnyOf, Tag("any")]
    | Annotated[Negation, Tag("negated")]
    | Annotated[Records, Tag("records")]
    | Annotated[Linked, Tag("linked")]
    | Annotated[Alteration, Tag("event")]
    | Annotated[Comparison, Tag("operator")],
    Discriminator(_kind),
]


for _model in (AllOf, AnyOf, Negation, Records, Keep, Linked):
    _model.model_rebuild()


def parts(node: Any) -> tuple[Any, ...]:
    """The expressions directly inside an expression."""
    if isinstance(node, AllOf):
        return node.all
    if isinstance(node, AnyOf):
        return node.any
    if isinstance(node, Negation):
        return (node.negated,)
    if isinstance(node, Records):
        return (*node.where, *(() if node.has is None else (node.has,)))
    if isinstance(node, Linked):
        return tuple(step.keep for step in node.linked if isinstance(step, Keep))
    return ()


def depth(node: Any) -> int:
    """Levels of an expression: 1 for a plain condition."""
    return 1 + max((depth(part) for part in parts(node)), default=0)


def walk(node: Any) -> Iterator[Any]:
    """An expression and everything inside it."""
    yield node
    for part in parts(node):
        yield from walk(part)
