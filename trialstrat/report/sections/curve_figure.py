"""A full-width figure of survival curves, with its narrow twin, its words and its numbers."""

from __future__ import annotations

from dataclasses import replace

from trialstrat.report import format as fmt
from trialstrat.report.context import Context
from trialstrat.report.curve_views import Source, curves, numbers, pooling, time_ticks
from trialstrat.report.figures.curves import Curve, Layout, survival_chart
from trialstrat.report.figures.theme import STYLES
from trialstrat.report.page import Figure, Panel

NARROW_WIDTH = 280


def survival_figure(
    context: Context,
    source: Source,
    *,
    key: str,
    title: str,
    subtitle: str,
    order: tuple[str, ...],
    styles: tuple[int, ...] = tuple(range(STYLES)),
) -> Figure:
    """A full-width Kaplan-Meier figure with its narrow twin and its numbers."""
    shown = curves(source, order, context.minimum_cell, styles)
    ticks = time_ticks(source)
    layout = Layout(
        ticks=ticks,
        time_title=context.time_title,
        value_title=context.free.capitalize(),
        unit=context.unit,
        width=480,
        height=290,
        horizon=context.horizon,
        label_inside=len(shown) <= 2,
    )
    at = context.horizon or max(ticks)
    words = [curve_words(curve, at, context) for curve in shown]
    return Figure(
        key=key,
        title=title,
        subtitle=subtitle,
        description=fmt.sentence("; ".join(words)),
        panels=(Panel(chart=survival_chart(shown, layout), narrow=survival_chart(shown, narrowed(layout))),),
        caption=f"{fmt.sentence(context.population())} {pooling(context.minimum_cell)}".strip(),
        numbers=numbers(source, shown, key=f"{key}-numbers", unit=context.unit, first="Group"),
    )


def narrowed(layout: Layout) -> Layout:
    """The same figure for a telephone: fewer ticks and counts, labels above the numbers."""
    return replace(
        layout,
        ticks=layout.ticks[::2] if len(layout.ticks) > 5 else layout.ticks,
        width=NARROW_WIDTH if layout.label_inside else NARROW_WIDTH - 60,
        height=190,
        measures=("At risk",),
        label_room=0,
    )


def curve_words(curve: Curve, at: float, context: Context) -> str:
    """A curve for those who cannot see it."""
    time = min(at, curve.end)
    about = "about " if curve.pooled else ""
    return f"{curve.label}: {about}{fmt.percent(curve.at(time), 0)} at {fmt.horizon(time, context.unit)}"
