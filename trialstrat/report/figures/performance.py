"""Calibration with the spread of the predicted risk, net benefit, and the overlap of propensities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt

from trialstrat.report.figures import theme

Row = dict[str, Any]


def _axis(title: str, domain: tuple[float, float], **axis: Any) -> dict[str, Any]:
    return {
        "title": title,
        "scale": alt.Scale(domain=list(domain), nice=False),
        "axis": alt.Axis(grid=False, **axis),
    }


def _above(title: str) -> dict[str, Any]:
    """Title of a vertical axis, written level above it."""
    return {"titleAngle": 0, "titleAlign": "left", "titleAnchor": "start", "titleX": 0, "titleY": -14, "title": title}


@theme.finished
def calibration_chart(
    curve: Sequence[Row], histogram: Sequence[Row], *, x_title: str, y_title: str, width: int
) -> theme.Chart:
    """Observed against predicted risk with the diagonal, and the numbers of patients below on the same axis.

    ``curve`` has predicted, observed, lower, upper; ``histogram`` has low, high, count.
    """
    height = round(width * 0.62)
    below = {"labels": False, "ticks": False} if histogram else {}
    x = alt.X("predicted:Q", **_axis("" if histogram else x_title, (0, 1), format="%", **below))
    axis = alt.Axis(format="%", domain=False, ticks=False, grid=True, tickCount=4, **_above(y_title))
    ideal = alt.Chart(theme.data([{"predicted": 0, "observed": 0}, {"predicted": 1, "observed": 1}])).mark_line(
        strokeDash=[2, 3], strokeWidth=1, color=theme.MUTED
    )
    base = alt.Chart(theme.data(curve))
    band = base.mark_area(opacity=0.16, color=theme.colour(0), clip=True)
    line = base.mark_line(strokeWidth=2, color=theme.colour(0), clip=True)
    tips = [alt.Tooltip(f"{key}:Q", title=key.capitalize(), format=".1%") for key in ("predicted", "observed")]
    points = base.mark_point(size=120, opacity=0, clip=True).properties(name="pointer")
    observed = alt.Y("observed:Q", axis=axis, scale=alt.Scale(domain=[0, 1]))
    top = alt.layer(
        band.encode(x=x, y=alt.Y("lower:Q", axis=axis, scale=alt.Scale(domain=[0, 1])), y2=alt.Y2("upper")),
        ideal.encode(x=x, y=observed),
        line.encode(x=x, y=observed),
        points.encode(x=x, y=observed, tooltip=tips),
    ).properties(width=width, height=height)
    return alt.vconcat(top, _histogram(histogram, x_title, width), spacing=8) if histogram else top


def _histogram(rows: Sequence[Row], x_title: str, width: int) -> alt.Chart:
    bars = [{"low": r["low"], "high": r["high"], "count": r["count"], "zero": 0} for r in rows]
    mark = alt.Chart(theme.data(bars)).mark_rect(color=theme.colour(0), opacity=0.45, stroke=theme.PAPER)
    tips = [
        alt.Tooltip("low:Q", title="From", format=".0%"),
        alt.Tooltip("high:Q", title="To", format=".0%"),
        alt.Tooltip("count:Q", title="Patients"),
    ]
    return mark.encode(
        x=alt.X("low:Q", **_axis(x_title, (0, 1), format="%")),
        x2=alt.X2("high"),
        y=alt.Y("count:Q", axis=alt.Axis(grid=False, ticks=False, domain=False, tickCount=2, **_above("Patients"))),
        y2=alt.Y2("zero"),
        tooltip=tips,
    ).properties(width=width, height=54)


@theme.finished
def net_benefit_chart(lines: Sequence[tuple[str, int, Sequence[Row]]], *, x_title: str, width: int) -> theme.Chart:
    """Net benefit over the threshold; one (label, style, rows of threshold and net_benefit) per strategy."""
    values = [row["net_benefit"] for _, _, rows in lines for row in rows]
    top = max(values) * 1.08
    bottom = max(min(values), -0.12 * top)
    thresholds = [row["threshold"] for _, _, rows in lines for row in rows]
    x = alt.X("threshold:Q", **_axis(x_title, (min(thresholds), max(thresholds)), format="%"))
    axis = alt.Axis(domain=False, ticks=False, tickCount=5, format="~g", **_above("Net benefit per patient"))
    y = alt.Y("net_benefit:Q", axis=axis, scale=alt.Scale(domain=[bottom, top], nice=False))
    layers: list[alt.Chart] = []
    names: list[theme.Word] = []
    for label, style, rows in lines:
        mark = alt.Chart(theme.data(rows)).mark_line(
            strokeWidth=2, color=theme.colour(style), strokeDash=theme.dash(style), clip=True
        )
        layers.append(mark.encode(x=x, y=y))
        names.append(_line_name(label, style, [row for row in rows if bottom <= row["net_benefit"] <= top]))
    layers.append(theme.words(names, at="points"))
    return alt.layer(*layers).properties(width=width, height=round(width * 0.5))


def _line_name(label: str, style: int, rows: Sequence[Row]) -> theme.Word:
    """The name of a line beside it: each strategy's at a different place along the axis."""
    at = rows[round((len(rows) - 1) * (0.45, 0.8, 0.02)[min(style, 2)])]
    flat = style >= 2
    return theme.Word(
        text=label,
        x=at["threshold"],
        y=at["net_benefit"],
        fill=theme.ink(style),
        bold=True,
        align="right" if style == 1 else "left",
        dx=0 if flat else -8 if style == 1 else 8,
        dy=-10 if style != 1 else 6,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Bars:
    """One side of a mirrored histogram: ``rows`` have low, high and count (None where it is hidden)."""

    label: str
    style: int
    rows: Sequence[Row]


@theme.finished
def mirrored_chart(up: Bars, down: Bars, *, x_title: str, width: int) -> theme.Chart:
    """Two histograms on one axis, one upwards and one downwards, so that their overlap can be seen."""
    bars = [_bar(row, side, sign) for side, sign in ((up, 1), (down, -1)) for row in side.rows]
    known = [bar for bar in bars if bar["n"]]
    top = 1.1 * max((abs(bar["n"]) for bar in known), default=1)
    axis = alt.Axis(domain=False, ticks=False, tickCount=5, labelExpr="abs(datum.value)", **_above("Patients"))
    tips = [
        alt.Tooltip("low:Q", title="From", format=".0%"),
        alt.Tooltip("high:Q", title="To", format=".0%"),
        alt.Tooltip("w:N", title="Patients"),
    ]
    mark = alt.Chart(theme.data(known)).mark_rect(stroke=theme.PAPER, fill=alt.ExprRef("datum.c"), opacity=0.75)
    rects = mark.encode(
        x=alt.X("low:Q", **_axis(x_title, (0, 1), format="%")),
        x2=alt.X2("high"),
        y=alt.Y("n:Q", axis=axis, scale=alt.Scale(domain=[-top, top], nice=False)),
        y2=alt.Y2("zero"),
        tooltip=tips,
    )
    zero = alt.Chart(theme.data([{"n": 0}])).mark_rule(color=theme.AXIS).encode(y=alt.Y("n:Q"))
    names = [
        theme.Word(text=side.label, x=width, y=place, fill=theme.ink(side.style), align="right", bold=True)
        for side, place in ((up, 8), (down, 192))
    ]
    return alt.layer(rects, zero, theme.words(names)).properties(width=width, height=200)


def _bar(row: Row, side: Bars, sign: int) -> Row:
    count = row["count"] or 0
    look = {"c": theme.colour(side.style), "w": f"{side.label}: {count:.0f}"}
    return {"low": row["low"], "high": row["high"], "zero": 0, "n": sign * count, **look}
