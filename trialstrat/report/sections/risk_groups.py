"""Risk groups: bands of predicted risk, their outcome, and the effect of treatment inside each."""

from __future__ import annotations

import math

from trialstrat.report import format as fmt
from trialstrat.report import tables
from trialstrat.report.context import Context
from trialstrat.report.curve_views import Source
from trialstrat.report.figures.dots import Dot, Scale, dot_chart
from trialstrat.report.page import Block, Figure, Panel, Prose, Section, TableView
from trialstrat.report.sections.curve_figure import survival_figure
from trialstrat.results import Cell, Table

#: High risk in vermillion, low risk in blue, whatever lies between in green.
STYLES = (1, 2, 0)
HAZARD_TICKS = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
PROGNOSTIC = (
    "The groups are prognostic: they say who is at risk, not who benefits. A difference of effects between groups is "
    "judged by the interaction, never by which group's interval excludes no effect."
)


def build(context: Context) -> Section | None:
    """The section."""
    if context.record.stage("risk_groups") is None:
        return None
    blocks: list[Block] = [Prose(paragraphs=(PROGNOSTIC,))]
    summary, effects = (context.record.table(f"risk_groups.{name}") for name in ("summary", "effects"))
    km, risk = (context.record.table(f"risk_groups.{name}") for name in ("km", "at_risk"))
    if km is not None and risk is not None:
        order = tuple(str(g) for g in reversed(summary.column("group"))) if summary is not None else ()
        source = Source(km=km, at_risk=risk, key="group")
        subtitle = f"{context.endpoint_label} by group of out-of-fold predicted risk, Kaplan-Meier with 95% bands"
        blocks.append(
            survival_figure(
                context,
                source,
                key="groups-km",
                title=_title(context, summary),
                subtitle=subtitle,
                order=order,
                styles=STYLES if len(order) == len(STYLES) else tuple(range(6)),
            )
        )
    if summary is not None:
        blocks.append(_summary(summary, context))
    if effects is not None:
        blocks.append(_forest(effects, context))
    return Section(key="risk-groups", title="Risk groups", lead=_lead(context, summary), blocks=tuple(blocks))


def _lead(context: Context, summary: Table | None) -> str:
    if summary is None:
        return "Patients were grouped by predicted risk."
    rows = [row for row in summary.records() if tables.number_of(row["observed"]) is not None]
    if len(rows) < 2:
        return "The groups are too small for their outcome to be shown."
    low, high = rows[0], rows[-1]
    rates = [fmt.per_hundred(tables.number_of(row["observed"])) for row in (low, high)]
    names = [fmt.lower_first(str(row["label"])) for row in (low, high)]
    return (
        f"Prognostic groups: {rates[0]} of 100 patients in the {names[0]} group and {rates[1]} of 100 in the "
        f"{names[1]} group have an event within {context.at_horizon}."
    )


def _title(context: Context, summary: Table | None) -> str:
    """The observed risks of the groups, the lowest first."""
    observed = [tables.number_of(value) for value in summary.column("observed")] if summary is not None else []
    known = [fmt.percent(value, 0) for value in observed if value is not None]
    if len(known) < 2:
        return "Outcome by risk group"
    return f"Observed risk by {context.at_horizon} climbs from group to group: {fmt.listing(known)}"


def _summary(summary: Table, context: Context) -> TableView:
    notes = tables.Footnotes()
    rows = []
    for row in summary.records():
        observed = tables.ranged(row, ("observed", "lower", "upper"), fmt.percent, "too few patients at risk", notes)
        counts = [tables.value(row[key], fmt.count) for key in ("n", "events")]
        label = tables.text(row["label"] or row["group"], header=True)
        rows.append(tables.row(label, *counts, tables.value(row["predicted"], fmt.percent), observed))
    head = tables.heads(
        "Risk group",
        tables.numeric("n"),
        tables.numeric("Events"),
        tables.numeric("Predicted risk", "mean"),
        tables.numeric(f"Observed by {context.at_horizon} (95% interval)"),
    )
    found = context.ok("risk_groups.logrank.p")
    note = summary.note
    if found:
        note += f" Log-rank test over the groups: p {fmt.p_value(found.value)}."
    caption = "Predicted and observed risk by group"
    return TableView(
        key="groups", caption=caption, heads=head, rows=tuple(rows), note=note.strip(), footnotes=notes.entries()
    )


def interaction(context: Context, scale: str) -> str:
    """The interaction test in words."""
    found = context.record.estimate(f"risk_groups.interaction.{scale}_scale.p")
    if found is None:
        return ""
    if found.status != "ok":
        return f"interaction not estimable: {fmt.lower_first(found.reason)}"
    return f"interaction p {fmt.p_value(found.value)}"


def hazard_scale(values: list[float], favours: tuple[str, str], overall: float | None, title: str) -> Scale:
    """A log axis around 1 that holds every interval, with natural ticks."""
    low, high = min([*values, 0.5]), max([*values, 2.0])
    low, high = max(low * 0.9, 0.05), min(high * 1.1, 20.0)
    ticks = tuple(tick for tick in HAZARD_TICKS if low <= tick <= high)
    return Scale(
        title=title, domain=(low, high), ticks=ticks, reference=1.0, overall=overall, log=True, favours=favours
    )


def _sizes(rows: list[dict[str, Cell]]) -> list[float]:
    """Area of a mark: its share of the largest number of events."""
    events = [tables.number_of(row["events"]) or 0.0 for row in rows]
    return [value / max([*events, 1.0]) for value in events]


def _forest(effects: Table, context: Context) -> Figure:
    rows = effects.records()
    suffix = context.pairs[0][0] if context.pairs else ""
    overall = context.ok(f"primary.cox.hazard_ratio.{suffix}")
    area = context.ok(f"primary.rmst.difference.{suffix}")
    hazard = [
        _dot(row, size, ("hazard_ratio", "lower", "upper"), True) for row, size in zip(rows, _sizes(rows), strict=True)
    ]
    gained = [
        _dot(row, size, ("rmst_difference", "rmst_lower", "rmst_upper"), False)
        for row, size in zip(rows, _sizes(rows), strict=True)
    ]
    favours = ("← treatment better", "control better →")
    ends = [v for dot in hazard for v in (dot.lower, dot.upper) if v is not None]
    scale = hazard_scale(ends, favours, overall.value if overall else None, "Hazard ratio, log scale")
    months = [v for dot in gained for v in (dot.lower, dot.upper) if v is not None] or [1.0]
    reach = 1.15 * max(abs(v) for v in months)
    title = f"Mean {context.unit} gained up to {context.at_horizon}"
    flat = Scale(
        title=title,
        domain=(-reach, reach),
        reference=0.0,
        overall=area.value if area else None,
        favours=("← control better", "treatment better →"),
    )
    columns = ("Events / n, treated", "Events / n, control")
    tests = [
        f"{fmt.sentence(interaction(context, key))[:-1]} on the {name} scale"
        for key, name in (("hazard_ratio", "hazard-ratio"), ("rmst", "mean-time"))
        if interaction(context, key)
    ]
    return Figure(
        key="groups-forest",
        title=_forest_title(context),
        subtitle="Effect of treatment inside each prognostic group, on both scales, with 95% intervals",
        description=fmt.sentence("; ".join(f"{dot.label}: hazard ratio {dot.written}" for dot in hazard)),
        panels=(
            Panel(
                chart=dot_chart(hazard, scale, columns=columns, written="Hazard ratio", width=220),
                narrow=dot_chart(_bare(hazard), scale, written="Hazard ratio", width=110),
            ),
            Panel(
                chart=dot_chart(gained, flat, columns=columns, written="Difference", width=220),
                narrow=dot_chart(_bare(gained), flat, written="Difference", width=110),
            ),
        ),
        numbers=(_effects(effects, context),),
        caption=" ".join(
            ["Dotted line: all patients. Area of a mark: its number of events.", *map(fmt.sentence, tests)]
        ),
    )


def _bare(dots: list[Dot]) -> list[Dot]:
    """Without the columns of counts, for a narrow screen."""
    return [
        Dot(label=d.label, value=d.value, lower=d.lower, upper=d.upper, written=d.written, size=d.size, style=d.style)
        for d in dots
    ]


def _forest_title(context: Context) -> str:
    found = context.ok("risk_groups.interaction.hazard_ratio_scale.p")
    if found is None:
        return "Effect of treatment by risk group"
    other = context.ok("risk_groups.interaction.rmst_scale.p")
    scales = {"hazard-ratio": found, "mean-time": other}
    seen = [
        f"{name} scale (p {fmt.p_value(test.value)})" for name, test in scales.items() if test and test.value < 0.05
    ]
    unseen = [
        f"{name} scale (p {fmt.p_value(test.value)})" for name, test in scales.items() if test and test.value >= 0.05
    ]
    if not seen:
        return f"No sign that the effect differs between risk groups (interaction p {fmt.p_value(found.value)})"
    tail = f", not on the {unseen[0]}" if unseen else ""
    return f"The effect differs between risk groups on the {fmt.listing(seen)}{tail}"


def _dot(row: dict[str, Cell], size: float, keys: tuple[str, str, str], ratio: bool) -> Dot:
    value, lower, upper = (tables.number_of(row[key]) for key in keys)
    usable = value is not None and math.isfinite(value) and (not ratio or value > 0)
    shown = [
        "{} / {}".format(
            *(str(row[f"{what}_{arm}"]) if row[f"{what}_{arm}"] is not None else fmt.DASH for what in ("events", "n"))
        )
        for arm in ("treated", "control")
    ]
    return Dot(
        label=str(row["label"] or row["group"]),
        value=value if usable else None,
        lower=lower,
        upper=upper,
        written=fmt.interval(value, lower, upper, fmt.effect) if usable else "– not estimable",
        columns=tuple(shown),
        size=size,
    )


def _effects(effects: Table, context: Context) -> TableView:
    notes = tables.Footnotes()
    why = "too few events in one of the arms"
    rows = []
    for row in effects.records():
        counts = [
            tables.value(row[k], fmt.count) for k in ("n_treated", "events_treated", "n_control", "events_control")
        ]
        ratio = tables.ranged(row, ("hazard_ratio", "lower", "upper"), fmt.effect, why, notes)
        area = tables.ranged(row, ("rmst_difference", "rmst_lower", "rmst_upper"), fmt.effect, why, notes)
        rows.append(tables.row(tables.text(row["label"] or row["group"], header=True), *counts, ratio, area))
    head = tables.heads(
        "Risk group",
        tables.numeric("n", "treated"),
        tables.numeric("Events", "treated"),
        tables.numeric("n", "control"),
        tables.numeric("Events", "control"),
        tables.numeric("Hazard ratio (95% interval)"),
        tables.numeric("RMST difference (95% interval)", context.unit),
    )
    tests = [("hazard ratio", interaction(context, "hazard_ratio")), ("RMST", interaction(context, "rmst"))]
    note = " ".join(fmt.sentence(f"{scale} scale: {text}") for scale, text in tests if text)
    caption = "The effect of treatment by risk group"
    return TableView(
        key="group-effects",
        caption=caption,
        heads=head,
        rows=tuple(rows),
        note=f"{note} {effects.note}".strip(),
        footnotes=notes.entries(),
    )
