"""The forest of declared subgroups, as estimated and shrunken, that stands in the section on heterogeneity."""

from __future__ import annotations

from collections.abc import Sequence

from trialstrat.report import format as fmt
from trialstrat.report import tables
from trialstrat.report.context import Context
from trialstrat.report.figures.dots import Dot, Scale, dot_chart
from trialstrat.report.page import Block, Figure, Panel, TableView
from trialstrat.report.sections.risk_groups import hazard_scale
from trialstrat.results import Cell, Table

Record = dict[str, Cell]
FAVOURS = ("← treatment better", "control better →")


def blocks(context: Context) -> list[Block]:
    """One figure and one table per comparison."""
    table = context.record.table("forest.rows")
    if table is None:
        return []
    out: list[Block] = []
    pairs = list(dict.fromkeys(str(pair) for pair in table.column("comparison")))
    for pair in pairs:
        rows = [row for row in table.records() if row["comparison"] == pair]
        suffix = "" if len(pairs) == 1 else f"-{pair}"
        among = context.pair_label(pair) if len(pairs) > 1 else ""
        out += [_figure(context, table, rows, among, suffix), _table(context, table, rows, among, suffix)]
    return out


def _labels(table: Table) -> dict[str, str]:
    return {column.key: column.label for column in table.columns}


def _figure(context: Context, table: Table, rows: Sequence[Record], pair: str, suffix: str) -> Figure:
    labels = _labels(table)
    ratio = any(tables.number_of(row["hazard_ratio"]) is not None for row in rows)
    panels: list[Panel] = []
    if ratio:
        panels.append(_panel(rows, labels["hazard_ratio"], ("hazard_ratio", "lower", "upper"), "shrunken", None))
    keys = ("rmst_difference", "rmst_lower", "rmst_upper")
    name = labels["rmst_difference"]
    favours = (FAVOURS[0], FAVOURS[1])
    if name == "RMST difference":
        name, favours = (
            f"Mean {context.unit} gained up to {context.at_horizon}",
            ("← control better", "treatment better →"),
        )
    elif name == "Mean difference":
        favours = ("", "")
    panels.append(_panel(rows, name, keys, "rmst_shrunken", favours))
    words = [f"{_name(row)}: {_written(row, ratio)}" for row in rows]
    among = f", {pair}" if pair else ""
    return Figure(
        key=f"forest{suffix}",
        title=f"{_title(rows)}{among}",
        subtitle="Effect of treatment in every declared subgroup with 95% intervals; open circles: shrunken",
        description=fmt.sentence("; ".join(words)),
        panels=tuple(panels),
        caption=(
            "Dotted line: all patients. Area of a mark: its number of events. Open circles: drawn towards the mean of "
            "the variable's subgroups, by as much as chance alone spreads them. " + table.note
        ),
    )


def _title(rows: Sequence[Record]) -> str:
    """The variable with the smallest interaction p, seen beside how many were looked at."""
    tests = [(tables.number_of(row["interaction_p"]), tables.number_of(row["interaction_p_rmst"]), row) for row in rows]
    known = [(p if p is not None else q, row) for p, q, row in tests if p is not None or q is not None]
    if not known:
        return "Effect of treatment in declared subgroups"
    p, row = min(known, key=lambda entry: entry[0] or 0.0)
    count = len(known)
    bonferroni = min(1.0, (p or 0.0) * count)
    label = fmt.lower_first(str(row["label"]))
    if bonferroni < 0.05:
        adjusted = fmt.p_value(bonferroni)
        return f"The effect differs by {label} (interaction p {fmt.p_value(p)}, {adjusted} for {count} tests)"
    return f"No subgroup stands out beyond chance: smallest of {count} interaction p is {fmt.p_value(p)} ({label})"


def _name(row: Record) -> str:
    return str(row["label"]) if row["variable"] == "all" else f"{row['label']}: {row['level']}"


def _written(row: Record, ratio: bool) -> str:
    keys = ("hazard_ratio", "lower", "upper") if ratio else ("rmst_difference", "rmst_lower", "rmst_upper")
    value, lower, upper = (tables.number_of(row[key]) for key in keys)
    return fmt.interval(value, lower, upper, fmt.effect) if value is not None else "not estimable"


def _panel(
    rows: Sequence[Record], name: str, keys: tuple[str, str, str], second: str, favours: tuple[str, str] | None
) -> Panel:
    """A ratio on a log axis when ``favours`` is None, else a difference."""
    most = max([1.0, *(tables.number_of(row["events"]) or 0.0 for row in rows[1:])])
    dots = [_dot(row, keys, second, most) for row in rows]
    overall = tables.number_of(rows[0][keys[0]]) if rows[0]["variable"] == "all" else None
    ends = [v for dot in dots for v in (dot.lower, dot.upper) if v is not None]
    if favours is None:
        scale = hazard_scale(ends, FAVOURS, overall, f"{name}, log scale")
    else:
        reach = 1.15 * max([abs(v) for v in ends] or [1.0])
        scale = Scale(title=name, domain=(-reach, reach), reference=0.0, overall=overall, favours=favours)
    bare = [
        Dot(label=d.label, value=d.value, lower=d.lower, upper=d.upper, second=d.second, size=d.size, style=d.style)
        for d in dots
    ]
    return Panel(
        chart=dot_chart(
            dots, scale, columns=("Events / n",), written=name if len(name) < 20 else "Estimate", width=240
        ),
        narrow=dot_chart(bare, scale, width=130),
        label=name,
    )


def _dot(row: Record, keys: tuple[str, str, str], second: str, most: float) -> Dot:
    value, lower, upper = (tables.number_of(row[key]) for key in keys)
    counts = [
        fmt.marked(str(row[key])) if isinstance(row[key], str) else fmt.count(tables.number_of(row[key]))
        for key in ("events", "n")
    ]
    counts = ["…" if count == tables.WITHHELD else count for count in counts]
    events = tables.number_of(row["events"]) or 0.0
    return Dot(
        label=_name(row),
        value=value,
        lower=lower,
        upper=upper,
        second=tables.number_of(row[second]),
        written=fmt.interval(value, lower, upper, fmt.effect) if value is not None else "– not estimable",
        columns=(" / ".join(counts),),
        size=min(1.0, events / most),
        style=1 if row["variable"] == "all" else 0,
    )


def _table(context: Context, table: Table, rows: Sequence[Record], pair: str, suffix: str) -> TableView:
    del context
    labels, notes = _labels(table), tables.Footnotes()
    unit = next(column.unit for column in table.columns if column.key == "rmst_difference")
    why = "too few events or patients in an arm"
    out = []
    for row in rows:
        cells = [
            tables.value(row[k], fmt.count) for k in ("n_treated", "events_treated", "n_control", "events_control")
        ]
        for keys in (
            ("hazard_ratio", "lower", "upper"),
            ("shrunken", "shrunken_lower", "shrunken_upper"),
            ("rmst_difference", "rmst_lower", "rmst_upper"),
            ("rmst_shrunken", "rmst_shrunken_lower", "rmst_shrunken_upper"),
        ):
            plain = row["variable"] == "all" and "shrunken" in keys[0]
            cells.append(tables.text("") if plain else tables.ranged(row, keys, fmt.effect, why, notes))
        for key in ("interaction_p", "interaction_p_rmst"):
            p = tables.number_of(row[key])
            cells.append(tables.value(p, fmt.p_value) if p is not None else tables.text(" "))
        out.append(tables.row(tables.text(_name(row), header=True), *cells))
    heads = tables.heads(
        "Subgroup",
        tables.numeric("n", "treated"),
        tables.numeric("Events", "treated"),
        tables.numeric("n", "control"),
        tables.numeric("Events", "control"),
        tables.numeric(f"{labels['hazard_ratio']} (95% interval)"),
        tables.numeric("shrunken"),
        tables.numeric(f"{labels['rmst_difference']} (95% interval)", unit),
        tables.numeric("shrunken", unit),
        tables.numeric("Interaction p", "relative"),
        tables.numeric("Interaction p", "absolute"),
    )
    caption = "Declared subgroups" + (f": {pair}" if pair else "")
    return TableView(
        key=f"forest-table{suffix}", caption=caption, heads=heads, rows=tuple(out), note=table.note,
        footnotes=notes.entries(), folded=caption,
    )  # fmt: skip
