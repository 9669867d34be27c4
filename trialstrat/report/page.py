"""The page as typed blocks: what stands where, without any HTML. ``render`` turns it into markup."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One cell. ``title`` is shown on hover, ``mark`` refers to a footnote, ``header`` makes it the row's head."""

    text: str
    numeric: bool = False
    header: bool = False
    title: str = ""
    mark: str = ""
    span: int = 1
    strong: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """A column head with its unit; ``span`` above one makes it the head of several columns."""

    text: str
    unit: str = ""
    numeric: bool = False
    span: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A row; ``level`` indents its head (levels of a category), ``divider`` makes it a heading inside the table."""

    cells: tuple[Cell, ...]
    level: int = 0
    divider: bool = False
    muted: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TableView:
    """A table ready to be read: every cell is text already."""

    kind: ClassVar[str] = "table"
    key: str
    caption: str
    heads: tuple[tuple[Head, ...], ...]
    rows: tuple[Row, ...]
    note: str = ""
    footnotes: tuple[tuple[str, str], ...] = ()
    folded: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One drawing: a declarative chart (with a narrower twin for phones) or a ready drawing."""

    chart: Mapping[str, Any] | None = None
    narrow: Mapping[str, Any] | None = None
    drawing: str = ""
    narrow_drawing: str = ""
    label: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A figure: the title says the finding, ``description`` reads it to those who cannot see it."""

    kind: ClassVar[str] = "figure"
    key: str
    title: str
    subtitle: str
    description: str
    panels: tuple[Panel, ...]
    caption: str = ""
    numbers: tuple[TableView, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Prose:
    """A paragraph, or a list of them."""

    kind: ClassVar[str] = "prose"
    paragraphs: tuple[str, ...]
    heading: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """Something the reader must not overlook."""

    kind: ClassVar[str] = "notice"
    heading: str
    items: tuple[str, ...]
    tone: str = "note"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stat:
    """A number in large print with its label, its interval and, when it is missing, the reason."""

    label: str
    value: str
    detail: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stats:
    """A row of large numbers."""

    kind: ClassVar[str] = "stats"
    items: tuple[Stat, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """Terms and what they mean, or names and values."""

    kind: ClassVar[str] = "terms"
    items: tuple[tuple[str, str], ...]
    heading: str = ""
    code: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Snippet:
    """Text to copy, with a button."""

    kind: ClassVar[str] = "snippet"
    key: str
    heading: str
    text: str


Block = TableView | Figure | Prose | Notice | Stats | Terms | Snippet


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A part of the report; ``lead`` is the one sentence that states its finding."""

    key: str
    title: str
    lead: str
    blocks: tuple[Block, ...] = ()
    folded: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One of the sentences that answer the question; ``label`` says what it is about."""

    label: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """One of the cards of page one."""

    key: str
    title: str
    lines: tuple[str, ...] = ()
    facts: tuple[tuple[str, str], ...] = ()
    copy: str = ""
    ordered: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Cover:
    """Page one."""

    title: str
    question: str
    facts: tuple[tuple[str, str], ...]
    badge: str
    badge_text: str
    answers: tuple[Answer, ...]
    cards: tuple[Card, ...]
    not_shown: tuple[str, ...]
    figure: Figure | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportPage:
    """The whole report."""

    title: str
    cover: Cover
    sections: tuple[Section, ...]
    footer: str
    running_head: str
