"""Competing events: the cumulative incidence of the event of interest by arm."""

from __future__ import annotations

from dataclasses import replace

from trialstrat.report import format as fmt
from trialstrat.report.context import Context
from trialstrat.report.curve_views import Source, curves, numbers, time_ticks
from trialstrat.report.figures.curves import Layout, survival_chart
from trialstrat.report.page import Figure, Panel
from trialstrat.report.sections.curve_figure import curve_words, narrowed
from trialstrat.results import Column, Table


def incidence_figure(context: Context) -> Figure | None:
    """The figure, or nothing where no other event competes."""
    cif, risk = context.record.table("primary.cif"), context.record.table("primary.at_risk")
    if cif is None or risk is None:
        return None
    source = Source(km=_as_curve(cif), at_risk=risk, key="arm")
    shown = curves(source, context.arm_order, context.minimum_cell)
    layout = Layout(
        ticks=time_ticks(source),
        time_title=context.time_title,
        value_title="With the event",
        unit=context.unit,
        width=480,
        height=260,
        measures=("At risk",),
        horizon=context.horizon,
    )
    at = context.horizon or max(layout.ticks)
    return Figure(
        key="incidence",
        title=_title(context),
        subtitle=f"{cif.title}, other events as competing, with 95% bands",
        description=fmt.sentence("; ".join(curve_words(curve, at, context) for curve in shown)),
        panels=(Panel(chart=survival_chart(shown, layout), narrow=survival_chart(shown, narrowed(layout))),),
        caption=cif.note,
        numbers=numbers(source, shown, key="incidence-numbers", unit=context.unit, first="Arm"),
    )


def _as_curve(cif: Table) -> Table:
    """The same table with the incidence where curves are looked for."""
    columns = tuple(
        Column(key="survival", label=c.label, kind=c.kind, unit=c.unit) if c.key == "incidence" else c
        for c in cif.columns
    )
    return replace(cif, columns=columns)


def _title(context: Context) -> str:
    found = [(arm, context.ok(f"primary.cif.{arm}")) for arm in context.arm_names]
    parts = [
        f"{fmt.per_hundred(estimate.value)} of 100 with {fmt.lower_first(context.arm_label(arm))}"
        for arm, estimate in found
        if estimate is not None
    ]
    if not parts:
        return f"Cumulative incidence: {fmt.lower_first(context.endpoint_label)}"
    return f"With the event by {context.at_horizon}: {fmt.listing(parts)}"
