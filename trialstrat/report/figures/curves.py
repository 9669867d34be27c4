"""Kaplan-Meier curves with bands, censor ticks, direct labels and the numbers at risk below, in one drawing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import altair as alt

from trialstrat.report import format as fmt
from trialstrat.report.figures import theme

LINE = 17
BOLD_CHARACTER = 7.6
HOVER_STEPS = 80


Step = tuple[float, float, float | None, float | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """One group: ``steps`` are (time, survival, lower, upper), ``risk`` maps a tick to (at risk, events, censored).

    Where steps are ``pooled`` to protect patients the curve is exact at the times of its steps only: it is drawn with
    its steps midway between them, which leans to neither side, and read in between along straight lines.
    """

    label: str
    style: int
    steps: tuple[Step, ...]
    risk: Mapping[float, tuple[str, str, str]]
    censored: tuple[float, ...] = ()
    pooled: bool = False
    known_median: float | None = None

    @property
    def end(self) -> float:
        """Last time at which the curve is drawn."""
        return self.steps[-1][0]

    @property
    def shape(self) -> Literal["step", "step-after"]:
        """How the line goes from one step to the next."""
        return "step" if self.pooled else "step-after"

    def at(self, time: float) -> float:
        """Survival at a time; between the steps of a pooled curve along a straight line."""
        here = self.step(time)
        later = next((step for step in self.steps if step[0] > time), None)
        if not self.pooled or later is None:
            return here[1]
        return here[1] + (later[1] - here[1]) * (time - here[0]) / (later[0] - here[0])

    def drawn(self, time: float) -> float:
        """Height of the line at a time: a pooled curve changes midway between its steps."""
        if not self.pooled:
            return self.step(time)[1]
        return min(self.steps, key=lambda step: (abs(step[0] - time), -step[0]))[1]

    def step(self, time: float) -> Step:
        """The last step up to a time."""
        return [step for step in self.steps if step[0] <= time][-1]

    @property
    def median(self) -> float | None:
        """The median as estimated; else, of a curve that is not pooled, the first time with at most half left."""
        if self.known_median is not None or self.pooled:
            return self.known_median
        return next((time for time, survival, _, _ in self.steps if survival <= 0.5), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Size and text of a survival figure.

    ``measures`` says which rows stand below the axis. Labels longer than ``label_room`` characters stand above the
    rows of numbers instead of left of them.
    """

    ticks: tuple[float, ...]
    time_title: str
    value_title: str
    unit: str
    width: int = theme.WIDE
    height: int = 300
    measures: tuple[str, ...] = ("At risk", "Events", "Censored")
    horizon: float | None = None
    label_inside: bool = False
    risk_labels: bool = True
    label_room: int = 24


@theme.finished
def survival_chart(curves: Sequence[Curve], layout: Layout) -> theme.Chart:
    """The specification of the figure."""
    axes = _Axes(layout)
    layers: list[alt.Chart] = []
    if layout.horizon and layout.horizon < layout.ticks[-1]:
        mark = alt.Chart(theme.data([{"t": layout.horizon}])).mark_rule(color=theme.AXIS, strokeWidth=1, clip=True)
        layers.append(mark.encode(x=alt.X("t:Q")))
    layers += [_band(curve, axes) for curve in curves]
    layers += _medians(curves)
    layers += [_line(curve, axes, number) for number, curve in enumerate(curves)]
    layers += _ticks(curves)
    names = _labels(curves, layout)
    layers += [theme.words(names, at="points", halo=halo, zoomed=True) for halo in (True, False)]
    labels, counts = _numbers_at_risk(curves, layout)
    layers += [theme.words(labels), theme.words(counts, at="times", zoomed=True), _pointer(curves, layout)]
    return alt.layer(*layers).properties(width=layout.width, height=layout.height)


class _Axes:
    """The two axes of a survival figure, the same for every layer."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout

    def x(self) -> alt.X:
        """Time from zero to the last tick."""
        return alt.X(
            "t:Q",
            title=self.layout.time_title,
            scale=alt.Scale(domain=[0, self.layout.ticks[-1]], nice=False),
            axis=alt.Axis(values=list(self.layout.ticks), grid=False, format="~f"),
        )

    def y(self, field: str) -> alt.Y:
        """Survival from 0 to 1, its title written level above the axis."""
        axis = alt.Axis(
            format="%",
            values=[0, 0.25, 0.5, 0.75, 1],
            domain=False,
            ticks=False,
            titleAngle=0,
            titleAlign="left",
            titleAnchor="start",
            titleX=0,
            titleY=-14,
        )
        return alt.Y(field, title=self.layout.value_title, scale=alt.Scale(domain=[0, 1]), axis=axis)


def _points(curve: Curve) -> list[dict[str, Any]]:
    return [
        {"t": t, "s": s, "l": s if low is None else low, "u": s if up is None else up} for t, s, low, up in curve.steps
    ]


def _band(curve: Curve, axes: _Axes) -> alt.Chart:
    mark = alt.Chart(theme.data(_points(curve))).mark_area(
        interpolate=curve.shape, opacity=0.13, color=theme.colour(curve.style), clip=True
    )
    return mark.encode(x=axes.x(), y=axes.y("l:Q"), y2=alt.Y2("u"))


def _line(curve: Curve, axes: _Axes, number: int) -> alt.Chart:
    rows = [{"t": t, "s": s} for t, s, _, _ in curve.steps]
    mark = alt.Chart(theme.data(rows), name=f"curve{number}").mark_line(
        interpolate=curve.shape,
        strokeWidth=2,
        strokeDash=theme.dash(curve.style),
        color=theme.colour(curve.style),
        clip=True,
    )
    line = mark.encode(x=axes.x(), y=axes.y("s:Q"))
    return line.add_params(theme.zoom()) if number == 0 else line


def _ticks(curves: Sequence[Curve]) -> list[alt.Chart]:
    rows = [{"t": t, "s": curve.drawn(t), "c": theme.colour(curve.style)} for curve in curves for t in curve.censored]
    if not rows:
        return []
    mark = alt.Chart(theme.data(rows)).mark_tick(orient="vertical", size=8, thickness=1, clip=True)
    return [mark.encode(x=alt.X("t:Q"), y=alt.Y("s:Q"), color=alt.Color("c:N", scale=None))]


def _medians(curves: Sequence[Curve]) -> list[alt.Chart]:
    """Dotted from the axis at one half to each curve, and down to the time axis."""
    found = [median for median in (curve.median for curve in curves) if median is not None]
    if not found:
        return []
    rows = [{"a": 0, "b": max(found), "s": 0.5, "z": 0.5}]
    rows += [{"a": time, "b": time, "s": 0.5, "z": 0} for time in found]
    mark = alt.Chart(theme.data(rows)).mark_rule(strokeDash=[1, 3], color=theme.MUTED, strokeWidth=1, clip=True)
    return [mark.encode(x=alt.X("a:Q"), x2=alt.X2("b"), y=alt.Y("s:Q"), y2=alt.Y2("z"))]


def _labels(curves: Sequence[Curve], layout: Layout) -> list[theme.Word]:
    """Names at the curves: right of their ends, or inside the figure where one or two curves leave room."""
    if layout.label_inside:
        return _labels_inside(curves, layout)
    gap = LINE / layout.height
    out: list[theme.Word] = []
    for curve in sorted(curves, key=lambda curve: curve.steps[-1][1]):
        height = max(curve.steps[-1][1], out[-1].y + gap if out else 0.02)
        out.append(theme.Word(text=curve.label, x=curve.end, y=height, fill=theme.ink(curve.style), dx=7, bold=True))
    return out


def _labels_inside(curves: Sequence[Curve], layout: Layout) -> list[theme.Word]:
    """Above the band of the upper curve and below that of the lower one; both below where the upper one is too high."""
    right = min(curve.end for curve in curves)
    order = sorted(curves, key=lambda curve: -curve.at(0.8 * right))
    gap = 0.75 * LINE / layout.height
    left = max(0.0, right - len(order[0].label) * BOLD_CHARACTER / layout.width * layout.ticks[-1])
    start, end = order[0].step(left), order[-1].steps[-1]
    top, bottom = (start[3] or start[1]) + gap, (end[2] or end[1]) - gap
    heights = [top, max(bottom, gap)]
    if top > 1 - 0.25 * gap:
        heights = [max(bottom, 2.4 * gap), max(bottom - LINE / layout.height, gap)] if len(order) > 1 else [bottom]
    return [
        theme.Word(text=curve.label, x=right, y=height, fill=theme.ink(curve.style), align="right", bold=True)
        for curve, height in zip(order, heights, strict=False)
    ]


def _numbers_at_risk(curves: Sequence[Curve], layout: Layout) -> tuple[list[theme.Word], list[theme.Word]]:
    """Counts at the ticks of the axis; one block per measure, one row per curve."""
    labels, counts = [], []
    above = max(len(curve.label) for curve in curves) > layout.label_room
    place = float(layout.height + 60)
    for number, measure in enumerate(layout.measures):
        if above:
            labels.append(theme.Word(text=measure, x=-8, y=place, fill=theme.MUTED))
        elif layout.risk_labels:
            labels.append(theme.Word(text=measure, x=-22, y=place, fill=theme.MUTED, align="right"))
        for curve in curves:
            place += LINE
            fill = theme.ink(curve.style)
            if above:
                labels.append(theme.Word(text=curve.label, x=-8, y=place, fill=fill, bold=True))
                place += LINE - 2
            elif layout.risk_labels:
                labels.append(theme.Word(text=curve.label, x=-22, y=place, fill=fill, align="right", bold=True))
            counts += [
                theme.Word(text=curve.risk[tick][number], x=tick, y=place, align="center")
                for tick in layout.ticks
                if tick in curve.risk
            ]
        place += 1.35 * LINE
    return labels, counts


def _pointer(curves: Sequence[Curve], layout: Layout) -> alt.Chart:
    """What the pointer reads: one wide invisible rule per time, with every curve's survival there."""
    last = max(curve.end for curve in curves)
    step = _natural_step(last)
    times = [step * i for i in range(int(last / step) + 1)]
    rows = []
    for time in times:
        row: dict[str, Any] = {"t": time, layout.unit.capitalize(): fmt.number(time)}
        row |= {curve.label: _reading(curve, time) for curve in curves}
        rows.append(row)
    names = [layout.unit.capitalize(), *(curve.label for curve in curves)]
    hovered = alt.selection_point(name="pointed", on="pointerover", clear="pointerout", fields=["t"], empty=False)
    width = max(4, layout.width / max(len(times), 1))
    mark = alt.Chart(theme.data(rows), name="pointer").mark_rule(strokeWidth=width, color=theme.MUTED)
    return mark.encode(
        x=alt.X("t:Q"),
        opacity=alt.when(hovered).then(alt.value(0.18)).otherwise(alt.value(0)),
        tooltip=[alt.Tooltip(field=_escape(name), type="nominal", title=name) for name in dict.fromkeys(names)],
    ).add_params(hovered)


def _reading(curve: Curve, time: float) -> str:
    """What is read off a curve at a time; off a pooled one only roughly."""
    if time > curve.end:
        return fmt.DASH
    return f"about {fmt.percent(curve.at(time), 0)}" if curve.pooled else fmt.percent(curve.at(time))


def _escape(name: str) -> str:
    """A column name as a field: dots and brackets would be read as a path."""
    return "".join(f"\\{letter}" if letter in ".[]\\'\"" else letter for letter in name)


def _natural_step(last: float) -> float:
    """The smallest natural step (1, 2, 5 times a power of ten) that gives at most ``HOVER_STEPS`` readings."""
    step = 1e-3
    while True:
        for factor in (1, 2, 5):
            if last / (step * factor) <= HOVER_STEPS:
                return step * factor
        step *= 10
