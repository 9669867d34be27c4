"""Dots on a line with their intervals: standardised differences, importances, comparisons, forests of effects."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt

from trialstrat.report.figures import theme

ROW = 30
CHARACTER = 6.6


@dataclass(frozen=True, slots=True, kw_only=True)
class Dot:
    """One row: what it is, where it lies, what is written beside it.

    ``size`` is a relative weight (0-1]; ``second`` is drawn hollow on the same line, joined to the value.
    """

    label: str
    value: float | None
    lower: float | None = None
    upper: float | None = None
    written: str = ""
    columns: tuple[str, ...] = ()
    style: int = 0
    size: float = 0.5
    hollow: bool = False
    second: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """The axis: title, domain, reference line, words for its two sides."""

    title: str
    domain: tuple[float, float]
    ticks: tuple[float, ...] = ()
    reference: float | None = None
    overall: float | None = None
    log: bool = False
    favours: tuple[str, str] = ("", "")
    band: tuple[float, float] | None = None
    count: int = 6


@theme.finished
def dot_chart(
    dots: Sequence[Dot], scale: Scale, *, columns: tuple[str, ...] = (), written: str = "", width: int = 300
) -> theme.Chart:
    """A figure with one row per dot: label and columns of text left, the drawing, the written estimate right.

    The chart is ``width`` wide for the drawing alone; text stands beside it.
    """
    height = ROW * len(dots) + 8
    layers: list[alt.Chart] = []
    layers += _references(scale, height)
    layers += _marks(dots, scale)
    layers.append(theme.words([*_words(dots, columns, written, width), *_favours(scale, width, height)]))
    return alt.layer(*layers).properties(width=width, height=height)


def _x(scale: Scale, field: str) -> alt.X:
    """The horizontal axis, the same for every layer."""
    kind = "log" if scale.log else "linear"
    ticks: dict[str, Any] = {"values": list(scale.ticks)} if scale.ticks else {"tickCount": scale.count}
    axis = alt.Axis(grid=False, **ticks)
    return alt.X(field, title=scale.title, scale=alt.Scale(type=kind, domain=list(scale.domain), nice=False), axis=axis)


def _place(number: int) -> int:
    return ROW * number + ROW // 2 + 4


def _references(scale: Scale, height: int) -> list[alt.Chart]:
    """A band, the line of no effect, the line of everybody."""
    layers = []
    if scale.band:
        row = [{"a": scale.band[0], "b": scale.band[1]}]
        mark = alt.Chart(theme.data(row)).mark_rect(color=theme.GRID, opacity=0.5, clip=True)
        ends = {"x": alt.X("a:Q"), "x2": alt.X2("b")}
        layers.append(mark.encode(**ends, y=alt.YValue(0), y2=alt.Y2Value(height)))
    for at, dash in ((scale.reference, [1, 0]), (scale.overall, [2, 3])):
        if at is not None:
            mark = alt.Chart(theme.data([{"v": at}])).mark_rule(color=theme.AXIS, clip=True, strokeDash=dash)
            layers.append(mark.encode(x=_x(scale, "v:Q")))
    return layers


def _marks(dots: Sequence[Dot], scale: Scale) -> list[alt.Chart]:
    """Intervals, cut at the ends of the axis, and the points on them."""
    low, high = scale.domain
    intervals, points = [], []
    for number, dot in enumerate(dots):
        if dot.value is None:
            continue
        shared = {"y": _place(number), "c": theme.colour(dot.style), "w": dot.label, "e": dot.written}
        if dot.lower is not None and dot.upper is not None:
            intervals.append({**shared, "a": max(dot.lower, low), "b": min(dot.upper, high)})
        if dot.second is not None:
            intervals.append({**shared, "a": min(dot.second, dot.value), "b": max(dot.second, dot.value)})
            points.append({**shared, "f": theme.PAPER, "z": 60, "v": _inside(dot.second, scale), "h": "circle"})
        look = {"f": theme.PAPER if dot.hollow else shared["c"], "z": 30 + 110 * dot.size}
        points.append({**shared, **look, "v": _inside(dot.value, scale), "h": "diamond" if dot.hollow else "circle"})
    tips = [alt.Tooltip("w:N", title="Row"), alt.Tooltip("e:N", title="Estimate")]
    place, stroke = alt.YValue(alt.ExprRef("datum.y")), alt.ExprRef("datum.c")
    rules = alt.Chart(theme.data(intervals)).mark_rule(strokeWidth=1.5, clip=True, stroke=stroke)
    marks = alt.Chart(theme.data(points)).mark_point(
        filled=True,
        size=alt.ExprRef("datum.z"),
        shape=alt.ExprRef("datum.h"),
        fill=alt.ExprRef("datum.f"),
        stroke=stroke,
        strokeWidth=1.5,
        opacity=1,
        clip=False,
    )
    layers = [rules.encode(x=_x(scale, "a:Q"), x2=alt.X2("b"), y=place)] if intervals else []
    return [*layers, marks.encode(x=_x(scale, "v:Q"), y=place, tooltip=tips)]


def _inside(value: float, scale: Scale) -> float:
    """A point beyond the axis is drawn at its end; the text beside it gives the value."""
    return min(max(value, scale.domain[0]), scale.domain[1])


def _words(dots: Sequence[Dot], columns: tuple[str, ...], written: str, width: int) -> list[theme.Word]:
    """Labels, columns and estimates as text; each column as wide as its longest word."""
    out: list[theme.Word] = []
    right = -16.0
    for at in reversed(range(len(columns))):
        entries = [columns[at], *(dot.columns[at] for dot in dots)]
        out += _column(entries, right, "right")
        right -= CHARACTER * max(len(entry) for entry in entries) + 18
    out += _column(["", *(dot.label for dot in dots)], right, "right", bold=True)
    if any(dot.written for dot in dots):
        out += _column([written, *(dot.written for dot in dots)], width + 16, "left")
    return out


def _column(entries: Sequence[str], place: float, align: str, *, bold: bool = False) -> list[theme.Word]:
    """The first entry is the head, above the rows."""
    out = []
    for number, entry in enumerate(entries):
        if entry:
            fill, y = (theme.MUTED, -12) if number == 0 else (theme.INK, _place(number - 1))
            out.append(theme.Word(text=entry, x=place, y=y, fill=fill, align=align, bold=bold and number > 0))
    return out


def _favours(scale: Scale, width: int, height: int) -> list[theme.Word]:
    """Which side is good for whom, below the axis, away from the line of no effect."""
    low, high = scale.domain
    reference = low if scale.reference is None else scale.reference
    share = math.log(reference / low) / math.log(high / low) if scale.log else (reference - low) / (high - low)
    middle = share * width
    sides = ((scale.favours[0], "right", middle - 10), (scale.favours[1], "left", middle + 10))
    return [
        theme.Word(text=words, x=place, y=height + 56, fill=theme.MUTED, align=align, italic=True)
        for words, align, place in sides
        if words
    ]
