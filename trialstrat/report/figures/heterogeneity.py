"""How an effect changes with a marker: the curve with its band over the distribution, and all markers at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt

from trialstrat.report.figures import theme

Row = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class CurveAxes:
    """Titles and extents of an effect curve; ``skewed`` puts the marker on a log(1 + x) axis, ``ratio`` the effect."""

    x_title: str
    y_title: str
    x_domain: tuple[float, float]
    y_domain: tuple[float, float]
    ratio: bool
    skewed: bool
    ticks: tuple[float, ...] = ()
    overall: float | None = None


@theme.finished
def effect_curve_chart(
    curve: Sequence[Row], windows: Sequence[Row], histogram: Sequence[Row], axes: CurveAxes, *, width: int
) -> theme.Chart:
    """The smooth effect with its band, sliding windows as points, and the patients below on the same axis.

    ``curve`` has x, effect, lower, upper; ``windows`` x, effect, lower, upper; ``histogram`` low, high, count.
    """
    height = round(width * 0.62)
    x, y = _marker_axis(axes, last=not histogram), _effect_axis(axes)
    clipped = [_clip(row, axes.y_domain) for row in curve]
    base = alt.Chart(theme.data(clipped))
    reference = [{"v": 1.0 if axes.ratio else 0.0}]
    layers: list[alt.Chart] = [
        base.mark_area(opacity=0.16, color=theme.colour(0), clip=True).encode(
            x=x("x:Q"), y=y("lower:Q"), y2=alt.Y2("upper")
        ),
        alt.Chart(theme.data(reference)).mark_rule(color=theme.AXIS).encode(y=y("v:Q")),
    ]
    if axes.overall is not None:
        mark = alt.Chart(theme.data([{"v": axes.overall}])).mark_rule(color=theme.MUTED, strokeDash=[2, 3])
        layers.append(mark.encode(y=y("v:Q")))
    layers.append(base.mark_line(strokeWidth=2, color=theme.colour(0), clip=True).encode(x=x("x:Q"), y=y("effect:Q")))
    inside = [row for row in windows if axes.x_domain[0] <= row["x"] <= axes.x_domain[1]]
    if inside:
        rows = [_clip(row, axes.y_domain) for row in inside]
        mark = alt.Chart(theme.data(rows)).mark_point(
            size=36, filled=True, fill=theme.PAPER, stroke=theme.INK, strokeWidth=1.2, opacity=1, clip=True
        )
        layers.append(mark.encode(x=x("x:Q"), y=y("effect:Q")))
    tips = [alt.Tooltip(f"{key}:Q", title=key.capitalize(), format=".3~g") for key in ("x", "effect", "lower", "upper")]
    points = base.mark_point(size=120, opacity=0, clip=True).properties(name="pointer")
    layers.append(points.encode(x=x("x:Q"), y=y("effect:Q"), tooltip=tips))
    top = alt.layer(*layers).properties(width=width, height=height)
    return alt.vconcat(top, _histogram(histogram, axes, width), spacing=8) if histogram else top


def _clip(row: Row, domain: tuple[float, float]) -> Row:
    """A row inside the axis: what lies beyond is drawn at its edge."""
    low, high = domain
    return {
        key: min(max(value, low), high) if key in ("effect", "lower", "upper") and value is not None else value
        for key, value in row.items()
    }


def _scale(axes: CurveAxes) -> alt.Scale:
    kind: dict[str, Any] = {"type": "symlog", "constant": 1} if axes.skewed else {"type": "linear"}
    return alt.Scale(domain=list(axes.x_domain), nice=False, **kind)


def _marker_axis(axes: CurveAxes, *, last: bool) -> Any:
    shown: dict[str, Any] = {} if last else {"labels": False, "ticks": False}
    ticks: dict[str, Any] = {"values": list(axes.ticks)} if axes.ticks else {"tickCount": 5}
    axis = alt.Axis(grid=False, format="~f", **ticks, **shown)
    return lambda field: alt.X(field, title=axes.x_title if last else "", scale=_scale(axes), axis=axis)


def _effect_axis(axes: CurveAxes) -> Any:
    kind = "log" if axes.ratio else "linear"
    ticks = [t for t in (0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20) if axes.y_domain[0] <= t <= axes.y_domain[1]]
    shown: dict[str, Any] = {"values": ticks} if axes.ratio else {"tickCount": 5}
    axis = alt.Axis(
        domain=False, ticks=False, format="~f", titleAngle=0, titleAlign="left", titleAnchor="start", titleX=0,
        titleY=-14, **shown,
    )  # fmt: skip
    scale = alt.Scale(type=kind, domain=list(axes.y_domain), nice=False)
    return lambda field: alt.Y(field, title=axes.y_title, scale=scale, axis=axis)


def _histogram(rows: Sequence[Row], axes: CurveAxes, width: int) -> alt.Chart:
    low, high = axes.x_domain
    bars = [
        {"low": max(row["low"], low), "high": min(row["high"], high), "count": row["count"], "zero": 0}
        for row in rows
        if row["high"] > low and row["low"] < high
    ]
    mark = alt.Chart(theme.data(bars)).mark_rect(color=theme.colour(0), opacity=0.45, stroke=theme.PAPER, clip=True)
    tips = [
        alt.Tooltip("low:Q", title="From", format=".3~g"),
        alt.Tooltip("high:Q", title="To", format=".3~g"),
        alt.Tooltip("count:Q", title="Patients"),
    ]
    above = {"titleAngle": 0, "titleAlign": "left", "titleAnchor": "start", "titleX": 0, "titleY": -14}
    return mark.encode(
        x=_marker_axis(axes, last=True)("low:Q"),
        x2=alt.X2("high"),
        y=alt.Y(
            "count:Q", title="Patients", axis=alt.Axis(grid=False, ticks=False, domain=False, tickCount=2, **above)
        ),
        y2=alt.Y2("zero"),
        tooltip=tips,
    ).properties(width=width, height=54)


@theme.finished
def volcano_chart(cells: Sequence[Row], named: Sequence[Row], *, x_title: str, width: int) -> theme.Chart:
    """Interaction of every marker against its evidence.

    ``cells`` (effect, evidence, markers) are counts on a grid; ``named`` (effect, evidence, label) passed the adjusted
    test and keep their name.
    """
    reach = 1.1 * max([*(abs(row["effect"]) for row in (*cells, *named)), 0.1])
    top = 1.1 * max([*(row["evidence"] for row in (*cells, *named)), 2.0])
    x = alt.X("effect:Q", title=x_title, scale=alt.Scale(domain=[-reach, reach], nice=False), axis=alt.Axis(grid=False))
    axis = alt.Axis(
        domain=False, ticks=False, tickCount=5, titleAngle=0, titleAlign="left", titleAnchor="start", titleX=0,
        titleY=-14,
    )  # fmt: skip
    y = alt.Y("evidence:Q", title="Evidence, −log10 p", axis=axis, scale=alt.Scale(domain=[0, top], nice=False))
    largest = max((row["markers"] for row in cells), default=1)
    rows = [{**row, "z": 12 + 150 * row["markers"] / largest} for row in cells]
    tips = [
        alt.Tooltip("effect:Q", title="Log ratio", format=".2f"),
        alt.Tooltip("evidence:Q", title="−log10 p", format=".1f"),
        alt.Tooltip("markers:Q", title="Markers"),
    ]
    cloud = alt.Chart(theme.data(rows)).mark_point(
        filled=True, opacity=0.45, color=theme.MUTED, size=alt.ExprRef("datum.z"), clip=True
    )
    layers: list[alt.Chart] = [cloud.encode(x=x, y=y, tooltip=tips)]
    if named:
        mark = alt.Chart(theme.data(named)).mark_point(filled=True, size=60, opacity=1, color=theme.colour(1))
        layers.append(mark.encode(x=x, y=y, tooltip=[alt.Tooltip("label:N", title="Marker"), *tips[:2]]))
        shown = sorted(named, key=lambda row: -row["evidence"])[:12]
        names = [
            theme.Word(text=str(row["label"]), x=row["effect"], y=row["evidence"], dx=8, fill=theme.ink(1), bold=True)
            for row in shown
        ]
        layers.append(theme.words(names, at="points"))
    return alt.layer(*layers).properties(width=width, height=round(width * 0.55))


@theme.finished
def targeting_chart(
    lines: Sequence[tuple[str, int, Sequence[Row]]], *, x_title: str, y_title: str, width: int
) -> theme.Chart:
    """Gain over the average among those with the largest predicted benefit; one (label, style, rows) per learner.

    Rows have share, value, lower, upper; the band is drawn for the first learner alone.
    """
    ends = [row[key] for row in lines[0][2] for key in ("lower", "upper")]
    ends += [row["value"] for _, _, rows in lines for row in rows]
    reach = 1.1 * max([*(abs(value) for value in ends), 1e-9])
    x = alt.X(
        "share:Q", title=x_title, scale=alt.Scale(domain=[0, 1], nice=False), axis=alt.Axis(grid=False, format="%")
    )
    axis = alt.Axis(
        domain=False, ticks=False, tickCount=5, format="~f", titleAngle=0, titleAlign="left", titleAnchor="start",
        titleX=0, titleY=-14,
    )  # fmt: skip
    scale = alt.Scale(domain=[-reach, reach], nice=False)

    def y(field: str) -> alt.Y:
        return alt.Y(field, title=y_title, scale=scale, axis=axis)

    band = alt.Chart(theme.data(lines[0][2])).mark_area(opacity=0.14, color=theme.colour(lines[0][1]), clip=True)
    zero = alt.Chart(theme.data([{"v": 0.0}])).mark_rule(color=theme.AXIS)
    layers: list[alt.Chart] = [band.encode(x=x, y=y("lower:Q"), y2=alt.Y2("upper")), zero.encode(y=y("v:Q"))]
    for label, style, rows in lines:
        base = alt.Chart(theme.data([{**row, "w": label} for row in rows]))
        mark = base.mark_line(
            strokeWidth=2, color=theme.colour(style), strokeDash=theme.dash(style), clip=True, point=False
        )
        layers.append(mark.encode(x=x, y=y("value:Q")))
        tips = [
            alt.Tooltip("w:N", title="Learner"),
            alt.Tooltip("share:Q", title="Share", format=".0%"),
            alt.Tooltip("value:Q", title="Gain", format=".3~g"),
        ]
        points = base.mark_point(size=120, opacity=0, clip=True).properties(name=f"pointer{style}")
        layers.append(points.encode(x=x, y=y("value:Q"), tooltip=tips))
    names = [
        theme.Word(text=label, x=0.98, y=reach * (0.95 - 0.13 * at), fill=theme.ink(style), align="right", bold=True)
        for at, (label, style, _) in enumerate(lines)
    ]
    layers.append(theme.words(names, at="points"))
    return alt.layer(*layers).properties(width=width, height=round(width * 0.55))
