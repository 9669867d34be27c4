"""Effect of treatment along continuous markers: the curves that stand in the section on heterogeneity."""

from __future__ import annotations

import math
from collections.abc import Sequence

from trialstrat.report import format as fmt
from trialstrat.report import tables
from trialstrat.report.context import Context
from trialstrat.report.figures.heterogeneity import CurveAxes, effect_curve_chart
from trialstrat.report.page import Block, Figure, Panel, TableView
from trialstrat.results import Cell, Table

Record = dict[str, Cell]

#: Markers whose curves are drawn, those with the smallest interaction p first; the others are in the tables.
DRAWN = 4
LIMITS = (0.05, 20.0)


def blocks(context: Context) -> list[Block]:
    """The figures of the strongest markers, the table of all, and the sliding windows."""
    summary, curves = context.record.table("curves.summary"), context.record.table("curves.effect")
    if summary is None:
        return []
    out: list[Block] = []
    pair = context.record.fact("curves", "comparison")
    rows = [row for row in summary.records() if row["comparison"] == pair] or summary.records()
    if curves is not None:
        ranked = sorted(rows, key=lambda row: min(_p(row["p_hazard_ratio"]), _p(row["p_rmst"])))
        figures = (_figure(context, row, curves) for row in ranked[:DRAWN])
        out += [figure for figure in figures if figure is not None]
    out.append(_summary(summary, context))
    windows = context.record.table("curves.stepp")
    if windows is not None:
        drop = ("marker", "comparison") if len(context.pairs) <= 1 else ("marker",)
        out.append(tables.view(windows, "stepp", drop=drop, folded="Effects in sliding windows along the markers"))
    return out


def _p(raw: Cell) -> float:
    found = tables.number_of(raw)
    return 1.0 if found is None else found


def _number(raw: Cell) -> float:
    found = tables.number_of(raw)
    return math.nan if found is None else found


def _figure(context: Context, row: Record, curves: Table) -> Figure | None:
    """Both scales of one marker side by side."""
    mine = [
        line for line in curves.records() if (line["comparison"], line["marker"]) == (row["comparison"], row["marker"])
    ]
    panels, words = [], []
    for scale, p in (("hazard_ratio", row["p_hazard_ratio"]), ("rmst_difference", row["p_rmst"])):
        points = [line for line in mine if line["scale"] == scale]
        if not points:
            continue
        name = _scale_name(context, scale)
        panels.append(_panel(context, row, points, name, scale == "hazard_ratio"))
        ends = [fmt.effect(tables.number_of(points[at]["effect"])) for at in (0, len(points) // 2, -1)]
        words.append(f"{name}: {ends[0]} at the low end, {ends[1]} in the middle, {ends[2]} at the high end")
        words[-1] += f" (interaction p {fmt.p_value(tables.number_of(p))})"
    if not panels:
        return None
    label = str(row["label"])
    return Figure(
        key=f"curve-{_slug(str(row['marker']))}-{_slug(str(row['comparison']))}",
        title=_title(row, label),
        subtitle=f"Effect of treatment by {fmt.lower_first(label)}: smooth curve with its simultaneous 95% band",
        description=fmt.sentence("; ".join(words)),
        panels=tuple(panels),
        caption=(
            "Shaded: a band that covers the whole curve with 95% confidence. Circles: overlapping windows of a quarter "
            "of the patients. Dotted: all patients. Below: patients by value, between the 2.5% and the 97.5% quantile."
        ),
    )


def _slug(text: str) -> str:
    return "".join(letter if letter.isalnum() else "-" for letter in text)


def _title(row: Record, label: str) -> str:
    tests = [
        (name, tables.number_of(row[key]))
        for name, key in (("relative", "p_hazard_ratio_adjusted"), ("absolute", "p_rmst_adjusted"))
    ]
    seen = [f"{name} scale, adjusted p {fmt.p_value(p)}" for name, p in tests if p is not None and p < 0.05]
    if seen:
        return f"The effect changes with {fmt.lower_first(label)} ({fmt.listing(seen)})"
    known = [fmt.p_value(p) for _, p in tests if p is not None]
    return f"No sure change of the effect with {fmt.lower_first(label)} (adjusted p {' and '.join(known)})"


def _scale_name(context: Context, scale: str) -> str:
    if scale == "hazard_ratio":
        return "Hazard ratio"
    words = context.record.fact("curves", "absolute") or "difference"
    if "restricted mean" in words:
        return f"Mean {context.unit} gained up to {context.at_horizon}"
    return words[:1].upper() + words[1:]


def _panel(context: Context, row: Record, points: Sequence[Record], name: str, ratio: bool) -> Panel:
    marker, comparison = row["marker"], row["comparison"]
    curve = [{key: _number(line[key]) for key in ("x", "effect", "lower", "upper")} for line in points]
    windows = _windows(context, marker, comparison, ratio=ratio)
    table = context.record.table("curves.histogram")
    histogram = [
        {key: _number(line[key]) for key in ("low", "high", "count")}
        for line in (table.records() if table is not None else ())
        if line["marker"] == marker and tables.number_of(line["count"]) is not None
    ]
    unit = f", {row['unit']}" if row["unit"] else ""
    x = [point["x"] for point in curve]
    domain = (min(x), max(x))
    skewed = str(row["scale"]).startswith("log")
    axes = CurveAxes(
        x_title=f"{row['label']}{unit}",
        y_title=f"{name}{', log scale' if ratio else ''}",
        x_domain=domain,
        y_domain=_domain(curve, ratio=ratio),
        ratio=ratio,
        skewed=skewed,
        ticks=_decades(domain) if skewed else (),
        overall=_overall(context, str(comparison), ratio=ratio),
    )
    return Panel(
        chart=effect_curve_chart(curve, windows, histogram, axes, width=270),
        narrow=effect_curve_chart(curve, windows, histogram, axes, width=240),
        label=name,
    )


def _windows(context: Context, marker: Cell, comparison: Cell, *, ratio: bool) -> list[dict[str, float]]:
    table = context.record.table("curves.stepp")
    keys = ("hazard_ratio", "lower", "upper") if ratio else ("rmst_difference", "rmst_lower", "rmst_upper")
    rows = table.records() if table is not None else []
    return [
        {"x": _number(line["middle"]), "effect": _number(line[keys[0]])}
        for line in rows
        if line["marker"] == marker and line["comparison"] == comparison and tables.number_of(line[keys[0]]) is not None
    ]


def _overall(context: Context, pair: str, *, ratio: bool) -> float | None:
    """The effect in all patients, from the forest that stands beside the curves."""
    table = context.record.table("forest.rows")
    key = "hazard_ratio" if ratio else "rmst_difference"
    rows = table.records() if table is not None else []
    found = [tables.number_of(row[key]) for row in rows if row["variable"] == "all" and row["comparison"] == pair]
    return found[0] if found else None


def _domain(curve: Sequence[dict[str, float]], *, ratio: bool) -> tuple[float, float]:
    """Room for the curve and most of its band: bands flare at the ends and must not flatten the curve."""
    middle = curve[len(curve) // 8 : -(len(curve) // 8) or None]
    low = min([*(p["lower"] for p in middle), *(p["effect"] for p in curve)])
    high = max([*(p["upper"] for p in middle), *(p["effect"] for p in curve)])
    if ratio:
        return max(LIMITS[0], min(low * 0.9, 0.5)), min(LIMITS[1], max(high * 1.1, 2.0))
    reach = 1.05 * max(abs(low), abs(high), 1e-9)
    return -reach, reach


def _decades(domain: tuple[float, float]) -> tuple[float, ...]:
    ticks = (0, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 100000, 1000000)
    inside = [float(t) for t in ticks if domain[0] <= t <= domain[1]]
    return tuple(inside if len(inside) <= 7 else inside[:: math.ceil(len(inside) / 7)])


def _summary(table: Table, context: Context) -> TableView:
    notes = tables.Footnotes()
    rows = []
    for row in table.records():
        cells = [tables.text(row["shape"]), tables.value(row["n"], fmt.count), tables.value(row["events"], fmt.count)]
        for scale, why in (("hazard_ratio", row["reason"]), ("rmst", row["reason_absolute"])):
            reason = str(why or "not estimable")
            keys = (f"p_{scale}", f"p_{scale}_adjusted")
            cells += [tables.value(row[key], fmt.p_value, reason, notes) for key in keys]
        label = str(row["label"])
        if len(context.pairs) > 1:
            label = f"{label} ({fmt.lower_first(context.pair_label(str(row['comparison'])))})"
        rows.append(tables.row(tables.text(label, header=True), *cells))
    heads = tables.heads(
        "Marker",
        "Shape",
        tables.numeric("Known"),
        tables.numeric("Events"),
        tables.numeric("Interaction p, relative scale"),
        tables.numeric("adjusted"),
        tables.numeric("Interaction p, absolute scale"),
        tables.numeric("adjusted"),
    )
    return TableView(
        key="curves", caption=table.title, heads=heads, rows=tuple(rows), note=table.note, footnotes=notes.entries()
    )
