"""What can be had together: the share of patients kept against the effect, one mark per rule set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import altair as alt

from trialstrat.report.figures import theme

HEIGHT = 320
CHARACTER = 6.6


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A rule set: where it lies, its name, and how it is drawn (0 current, 1 proposed, 2 on the front)."""

    name: str
    pool: float
    effect: float
    role: int
    lower: float | None = None
    upper: float | None = None
    written: str = ""


@theme.finished
def frontier_chart(
    marks: Sequence[Mark],
    dominated: Sequence[tuple[float, float]],
    *,
    y_title: str,
    domain: tuple[float, float],
    reference: float | None,
    log: bool,
    width: int,
) -> theme.Chart:
    """Pool on x (per cent), effect on y; dominated rule sets pale, the held-out front joined, two points labelled."""
    low, high = domain
    x = alt.X("x:Q", title="Patients kept, % of all", scale=alt.Scale(domain=[0, 105], nice=False), axis=_axis(5))
    y = alt.Y(
        "y:Q", title=y_title, scale=alt.Scale(type="log" if log else "linear", domain=[low, high], nice=False),
        axis=_axis(5),
    )  # fmt: skip
    layers: list[alt.Chart] = []
    if reference is not None:
        rule = alt.Chart(theme.data([{"y": reference}])).mark_rule(color=theme.AXIS, clip=True)
        layers.append(rule.encode(y=y))
    pale = [{"x": 100 * pool, "y": effect} for pool, effect in dominated if low <= effect <= high]
    if pale:
        dots = alt.Chart(theme.data(pale)).mark_point(filled=True, size=16, color=theme.MUTED, opacity=0.35, clip=True)
        layers.append(dots.encode(x=x, y=y))
    shown = [_row(mark, low, high) for mark in marks]
    path = sorted((row for row in shown if row["r"] == 2), key=lambda row: row["x"])
    if len(path) > 1:
        line = alt.Chart(theme.data(path)).mark_line(color=theme.colour(2), strokeWidth=1.5, strokeDash=theme.dash(2))
        layers.append(line.encode(x=x, y=y))
    intervals = [row for row in shown if "a" in row]
    if intervals:
        stroke = alt.ExprRef("datum.c")
        spans = alt.Chart(theme.data(intervals)).mark_rule(strokeWidth=1.2, stroke=stroke, clip=True)
        layers.append(spans.encode(x=x, y=alt.Y("a:Q"), y2=alt.Y2("b")))
    points = alt.Chart(theme.data(shown)).mark_point(
        filled=True,
        size=alt.ExprRef("datum.z"),
        shape=alt.ExprRef("datum.h"),
        fill=alt.ExprRef("datum.c"),
        stroke=theme.PAPER,
        opacity=1,
    )
    tips = [alt.Tooltip("n:N", title="Rule set"), alt.Tooltip("w:N", title="Effect")]
    layers.append(points.encode(x=x, y=y, tooltip=tips))
    labels = [_label(mark, low, high, width) for mark in marks if mark.role < 2]
    layers.append(theme.words(labels, at="points", halo=True))
    layers.append(theme.words(labels, at="points"))
    return alt.layer(*layers).properties(width=width, height=HEIGHT)


def _label(mark: Mark, low: float, high: float, width: int) -> theme.Word:
    """The name beside its mark, on the side where there is room."""
    left = 100 * mark.pool * width / 105 > width - CHARACTER * len(mark.name) - 12
    return theme.Word(
        text=mark.name,
        x=100 * mark.pool,
        y=min(max(mark.effect, low), high),
        align="right" if left else "left",
        dx=-9 if left else 9,
        dy=-10 if mark.role == 1 else 12,
        bold=True,
        fill=theme.ink(mark.role),
    )


def _axis(count: int) -> alt.Axis:
    return alt.Axis(grid=False, tickCount=count)


def _row(mark: Mark, low: float, high: float) -> dict[str, float | str | int]:
    """A mark as a record; what lies beyond the axis is drawn at its end."""
    row: dict[str, float | str | int] = {
        "x": 100 * mark.pool,
        "y": min(max(mark.effect, low), high),
        "r": mark.role,
        "c": theme.colour(mark.role),
        "z": (110, 150, 70)[mark.role],
        "h": ("square", "diamond", "circle")[mark.role],
        "n": mark.name,
        "w": mark.written,
    }
    if mark.lower is not None and mark.upper is not None and mark.role < 2:
        row |= {"a": max(mark.lower, low), "b": min(mark.upper, high)}
    return row
