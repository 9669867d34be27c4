"""Baseline: Table 1 by arm with standardised mean differences, and follow-up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from trialstrat.report import format as fmt
from trialstrat.report import tables
from trialstrat.report.context import Context
from trialstrat.report.figures.dots import Dot, Scale, dot_chart
from trialstrat.report.page import Block, Cell, Figure, Head, Panel, Row, Section, TableView
from trialstrat.results import Cell as Raw
from trialstrat.results import Table

BALANCED = 0.1
Record = Mapping[str, Raw]


def build(context: Context) -> Section | None:
    """The section."""
    if context.record.stage("baseline") is None:
        return None
    blocks: list[Block] = []
    one, smd, follow = (context.record.table(f"baseline.{name}") for name in ("table_one", "smd", "follow_up"))
    if one is not None:
        blocks.append(_table_one(one, smd, context))
    if smd is not None:
        blocks.append(_smd_figure(smd, context))
    if follow is not None and context.endpoint.get("kind") not in ("binary", "continuous"):
        blocks.append(_follow_up(follow, context))
    return Section(key="baseline", title="Baseline", lead=_lead(smd, context), blocks=tuple(blocks))


def _smd_values(smd: Table | None) -> list[tuple[str, str, float]]:
    """(label, comparison, SMD) of every known difference, the largest first."""
    if smd is None:
        return []
    rows = [(str(r["label"] or r["variable"]), str(r["comparison"]), tables.number_of(r["smd"])) for r in smd.records()]
    known = [(label, comparison, value) for label, comparison, value in rows if value is not None]
    return sorted(known, key=lambda row: -abs(row[2]))


def _lead(smd: Table | None, context: Context) -> str:
    values = _smd_values(smd)
    follow = context.ok("baseline.follow_up.median.all")
    tail = ""
    if follow:
        text = fmt.interval(follow.value, follow.lower, follow.upper, lambda v: fmt.fixed(v, 1))
        tail = f" Median follow-up is {text} {context.unit}."
    if not values:
        return f"The cohort is described as one group.{tail}"
    large = list(dict.fromkeys(label for label, _, value in values if abs(value) > BALANCED))
    if not large:
        return f"The arms are alike in every variable: no standardised difference exceeds {BALANCED}.{tail}"
    named = fmt.listing([fmt.lower_first(label) for label in large[:3]])
    more = f" and {len(large) - 3} more" if len(large) > 3 else ""
    many = "variable" if len(large) == 1 else "variables"
    return f"The arms differ in {len(large)} {many} by a standardised difference above {BALANCED}: {named}{more}.{tail}"


def _table_one(one: Table, smd: Table | None, context: Context) -> TableView:
    records = one.records()
    arms = [arm for arm in (*context.arm_order, "all") if any(row["arm"] == arm for row in records)]
    arms += [a for a in dict.fromkeys(str(row["arm"]) for row in records) if a not in arms]
    if len(arms) == 2 and len({arm for arm in arms if arm != "all"}) == 1:
        arms = arms[:1]
    differences = {(row["variable"], row["comparison"]): row["smd"] for row in smd.records()} if smd else {}
    pairs = [pair for pair, *_ in context.pairs] if smd else []
    rows: list[Row] = []
    for variable in dict.fromkeys(str(row["variable"]) for row in records):
        mine = [row for row in records if row["variable"] == variable]
        shown = [_smd_cell(differences.get((variable, pair))) for pair in pairs]
        rows += _continuous(mine, arms, shown) if mine[0]["kind"] == "continuous" else _categorical(mine, arms, shown)
    sizes = {arm: next(row["n"] for row in records if row["arm"] == arm) for arm in arms}
    heads = [Head(text="Characteristic")]
    heads += [
        Head(text=context.arm_label(arm) if arm != "all" else "All", unit=f"n = {_n(sizes[arm])}", numeric=True)
        for arm in arms
    ]
    heads += [Head(text="SMD" if len(pairs) == 1 else f"SMD, {pair.replace('_', ' ')}", numeric=True) for pair in pairs]
    note = "Continuous: mean (SD), and median [quartiles] below. Categorical: n (%). SMD: standardised mean difference."
    return TableView(
        key="table-one", caption="Baseline characteristics by arm", heads=(tuple(heads),), rows=tuple(rows), note=note
    )


def _n(raw: Raw) -> str:
    return fmt.marked(raw) if isinstance(raw, str) else fmt.count(tables.number_of(raw))


def _smd_cell(raw: Raw) -> Cell:
    return tables.value(raw, lambda v: fmt.fixed(v, 2), "not estimable: no spread in one of the arms")


def _label(row: Record) -> str:
    unit = f", {row['unit']}" if row.get("unit") else ""
    return f"{row['label'] or row['variable']}{unit}"


def _places(rows: Sequence[Record], key: str) -> int:
    sizes = [abs(v) for v in (tables.number_of(row[key]) for row in rows) if v is not None]
    largest = max(sizes, default=0.0)
    return 0 if largest >= 100 else 1 if largest >= 1 else 2


def _continuous(mine: Sequence[Record], arms: list[str], smd: list[Cell]) -> list[Row]:
    """Two rows: mean (SD), and median with quartiles; a third when values are missing."""
    by_arm = {str(row["arm"]): row for row in mine}
    places = _places(mine, "mean")

    def two(arm: str, pattern: str, *keys: str) -> Cell:
        row = by_arm.get(arm)
        values = [None if row is None else tables.number_of(row[key]) for key in keys]
        if any(value is None for value in values):
            return tables.value(None, fmt.count, "no known value, or too few to be shown")
        return tables.value(pattern.format(*(fmt.fixed(value, places) for value in values)), fmt.count)

    first = [two(arm, "{} ({})", "mean", "sd") for arm in arms]
    second = [two(arm, "{} [{} to {}]", "median", "q1", "q3") for arm in arms]
    empty = [Cell(text="", numeric=True) for _ in smd]
    rows = [tables.row(tables.text(_label(mine[0]), header=True), *first, *smd)]
    rows.append(tables.row(tables.text("median [quartiles]", header=True), *second, *empty, level=1))
    return rows + _missing_row(by_arm, arms, empty)


def _categorical(mine: Sequence[Record], arms: list[str], smd: list[Cell]) -> list[Row]:
    empty = [Cell(text="", numeric=True) for _ in smd]
    blanks = [Cell(text="", numeric=True) for _ in arms]
    rows = [tables.row(tables.text(_label(mine[0]), header=True), *blanks, *smd)]
    for level in dict.fromkeys(str(row["level"]) for row in mine):
        here = {str(row["arm"]): row for row in mine if str(row["level"]) == level}
        cells = [_share(here.get(arm)) for arm in arms]
        rows.append(tables.row(tables.text(level, header=True), *cells, *empty, level=1))
    return rows + _missing_row({str(row["arm"]): row for row in mine}, arms, empty)


def _share(row: Record | None) -> Cell:
    if row is None:
        return tables.value(0, fmt.count)
    count, share = row["count"], tables.number_of(row["share"])
    if isinstance(count, str) or count is None:
        return tables.value(count, fmt.count, "suppressed: below the declared minimum cell")
    words = fmt.count(float(count)) if share is None else f"{fmt.count(float(count))} ({fmt.percent(share)})"
    return tables.value(words, fmt.count)


def _missing_row(by_arm: Mapping[str, Record], arms: list[str], empty: list[Cell]) -> list[Row]:
    known = [by_arm[arm]["missing"] for arm in arms if arm in by_arm]
    if not any(str(raw).startswith("<") or (tables.number_of(raw) or 0) > 0 for raw in known):
        return []
    cells = [tables.value(by_arm[arm]["missing"] if arm in by_arm else None, fmt.count) for arm in arms]
    return [tables.row(tables.text("missing", header=True), *cells, *empty, level=1, muted=True)]


def _smd_figure(smd: Table, context: Context) -> Figure:
    values = _smd_values(smd)
    several = len({comparison for _, comparison, _ in values}) > 1
    order = {pair: number for number, (pair, *_) in enumerate(context.pairs)}
    dots = [
        Dot(
            label=f"{label} ({comparison.replace('_', ' ')})" if several else label,
            value=abs(value),
            written=fmt.fixed(abs(value), 2),
            style=order.get(comparison, 0),
        )
        for label, comparison, value in values
    ]
    top = max(0.3, 1.08 * max((abs(value) for _, _, value in values), default=0))
    scale = Scale(title="Absolute standardised mean difference", domain=(0, top), reference=BALANCED)
    large = sum(abs(value) > BALANCED for _, _, value in values)
    title = f"{large} of {len(values)} standardised differences exceed {BALANCED}" if large else "The arms are balanced"
    parts = [f"{label} {fmt.fixed(value, 2)}" for label, _, value in values]
    return Figure(
        key="smd",
        title=title,
        subtitle=f"Absolute standardised mean difference between arms; the line marks {BALANCED}",
        description=fmt.sentence("; ".join(parts)),
        panels=(Panel(chart=dot_chart(dots, scale, width=380), narrow=dot_chart(dots, scale, width=130)),),
        numbers=(tables.view(smd, "smd-numbers", caption="The numbers of this figure", drop=("variable",)),),
    )


def _follow_up(follow: Table, context: Context) -> TableView:
    notes = tables.Footnotes()
    rows = []
    for row in follow.records():
        median = tables.ranged(
            row,
            ("median_follow_up", "lower", "upper"),
            lambda v: fmt.fixed(v, 1),
            "the curve does not reach 50%",
            notes,
        )
        cells = [tables.value(row[key], fmt.count) for key in ("n", "events")]
        label = row["label"] or context.arm_label(str(row["arm"]))
        rows.append(
            tables.row(tables.text(label, header=True), *cells, tables.value(row["maturity"], fmt.percent), median)
        )
    head = tables.heads(
        "Arm",
        tables.numeric("n"),
        tables.numeric("Events"),
        tables.numeric("Maturity"),
        tables.numeric("Median follow-up (95% interval)", context.unit),
    )
    note = f"Maturity: share of patients with the event. Follow-up: reverse Kaplan-Meier. {follow.note}".strip()
    return TableView(
        key="follow-up", caption="Follow-up", heads=head, rows=tuple(rows), note=note, footnotes=notes.entries()
    )
