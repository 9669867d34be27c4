"""Heterogeneity: does the effect of treatment differ between patients at all, and with which markers."""

from __future__ import annotations

from trialstrat.report import format as fmt
from trialstrat.report import tables
from trialstrat.report.context import Context
from trialstrat.report.figures.heterogeneity import volcano_chart
from trialstrat.report.page import Block, Figure, Notice, Panel, Section, TableView
from trialstrat.report.sections import effect_curves, general, subgroup_forest
from trialstrat.results import Cell, Estimate, Table

#: Stages that this section tells of.
STAGES = ("heterogeneity", "screen", "cutpoints", "curves", "forest")
READING = (
    (
        "A marker can say who is at risk without saying who benefits. Only the interaction, the change of the "
        "treatment's effect with the marker, bears on whom to treat; an interval that excludes no effect in one group "
        "and not in another is no evidence of a difference."
    ),
    (
        "Many questions were asked of the same patients: read the adjusted p, and expect one in twenty plain p below "
        "0.05 where nothing differs."
    ),
)
SHOWN_MARKERS = 25


def build(context: Context) -> Section | None:
    """The section; None when none of its stages ran."""
    if not any(context.record.stage(name) for name in STAGES):
        return None
    blocks: list[Block] = []
    refused = context.record.fact("screen", "refused")
    if refused:
        blocks.append(Notice(heading="What these data cannot answer", items=(fmt.sentence(refused),)))
    else:
        blocks.append(Notice(heading="How to read it", items=READING))
    blocks += _components(context)
    blocks += _screen(context)
    blocks += _cutpoints(context)
    blocks += effect_curves.blocks(context)
    blocks += subgroup_forest.blocks(context)
    for name in STAGES:
        stage = context.record.stage(name)
        if stage is not None:
            blocks += general.findings(stage)
    title = "Heterogeneity of the treatment effect"
    return Section(key="heterogeneity", title=title, lead=_lead(context), blocks=tuple(blocks))


def _lead(context: Context) -> str:
    parts = []
    whole, several = _global(context)
    if whole is not None and whole.status == "ok":
        seen = (
            "differs between patients" if whole.value < _alpha(context) else "is not shown to differ between patients"
        )
        test = f"smallest global p, adjusted for {several} comparisons" if several > 1 else "global test, p"
        among = f" ({whole.population})" if several > 1 and whole.value < _alpha(context) else ""
        parts.append(f"The effect of treatment {seen}{among} ({test} {fmt.p_value(whole.value)}).")
    elif whole is not None:
        parts.append(fmt.sentence(f"The global test could not be done: {fmt.lower_first(whole.reason)}"))
    parts += [_strongest(context)]
    refused = context.record.fact("screen", "refused")
    if refused and not any(parts):
        return fmt.sentence(f"Heterogeneity was not studied: {fmt.lower_first(refused)}")
    return " ".join(part for part in parts if part) or "Whether the effect of treatment differs between patients."


def _global(context: Context) -> tuple[Estimate | None, int]:
    """The global test and how many comparisons there are: with several, the smallest p adjusted for their number."""
    stage = context.record.stage("heterogeneity")
    tests = [entry for entry in stage.estimates if entry.name.startswith("heterogeneity.global.")] if stage else []
    adjusted = [entry for entry in tests if ".adjusted_p" in entry.name]
    chosen = adjusted or tests
    known = [entry for entry in chosen if entry.status == "ok"]
    best = min(known, key=lambda entry: entry.value) if known else next(iter(chosen), None)
    return best, len(chosen)


def _alpha(context: Context) -> float:
    return float((context.study.get("analysis") or {}).get("alpha") or 0.05)


def _strongest(context: Context) -> str:
    """The marker with the strongest interaction and what is left of its p after paying for the search."""
    table = context.record.table("screen.markers")
    rows = [row for row in _of_pair(context, table) if tables.number_of(row["p_maxt"]) is not None] if table else []
    if not rows:
        return ""
    best = min(rows, key=lambda row: tables.number_of(row["p"]) or 1.0)
    count = context.record.fact("screen", "estimated") or context.record.fact("screen", "markers")
    adjusted, plain = fmt.p_value(tables.number_of(best["p_maxt"])), fmt.p_value(tables.number_of(best["p"]))
    label = fmt.lower_first(str(best["label"]))
    return (
        f"Of {fmt.count(float(count))} candidate markers the effect changes most with {label}: "
        f"interaction p {plain}, {adjusted} after adjustment for the search."
    )


def _of_pair(context: Context, table: Table) -> list[dict[str, Cell]]:
    """Rows of the first comparison."""
    pair = context.pairs[0][0] if context.pairs else context.record.fact("screen", "comparison")
    rows = table.records()
    return [row for row in rows if row["comparison"] == pair] or rows


def _components(context: Context) -> list[Block]:
    """The global test with its parts, as they were stored."""
    stage = context.record.stage("heterogeneity")
    if stage is None:
        return []
    blocks: list[Block] = []
    tests = tuple(entry for entry in stage.estimates if entry.unit == "p" or entry.name.endswith(".p"))
    if tests:
        blocks.append(_tests(tests))
    blocks += [
        tables.view(table, table.name.replace(".", "-"), folded=table.title) for table in stage.tables if table.rows
    ]
    return blocks


def _tests(tests: tuple[Estimate, ...]) -> TableView:
    notes = tables.Footnotes()
    several = len({entry.population for entry in tests}) > 1
    rows = [
        tables.row(
            tables.text(f"{entry.label}, {entry.population}" if several else entry.label, header=True),
            tables.estimate(entry, fmt.p_value, notes),
            tables.text(fmt.sentence(entry.null_hypothesis)),
            tables.text(entry.method),
        )
        for entry in tests
    ]
    return TableView(
        key="global-test",
        caption="Is there any heterogeneity?",
        heads=tables.heads("Test", tables.numeric("p"), "Null hypothesis", "Method"),
        rows=tuple(rows),
        footnotes=notes.entries(),
    )


# -- screen ----------------------------------------------------------------------------------------------------------


def _screen(context: Context) -> list[Block]:
    table = context.record.table("screen.markers")
    if table is None:
        return []
    blocks: list[Block] = []
    volcano = context.record.table("screen.volcano")
    if volcano is not None:
        blocks.append(_volcano(context, volcano))
    pairs = list(dict.fromkeys(str(pair) for pair in table.column("comparison")))
    for pair in pairs:
        rows = [row for row in table.records() if row["comparison"] == pair]
        blocks.append(_markers(context, table, pair, rows, alone=len(pairs) == 1))
    return blocks


def _markers(context: Context, table: Table, pair: str, rows: list[dict[str, Cell]], *, alone: bool) -> TableView:
    notes = tables.Footnotes()
    labels = {column.key: (column.label, column.unit) for column in table.columns}
    relative = any(row["hr_interaction"] is not None for row in rows)
    why = "not estimable"
    out = []
    for row in rows[:SHOWN_MARKERS]:
        cells = [tables.value(row["events"], fmt.count)]
        own = ("hr_prognostic", "prognostic_lower", "prognostic_upper")
        cells.append(tables.ranged(row, own, fmt.effect, why, notes))
        if relative:
            cells.append(tables.ranged(row, ("hr_interaction", "lower", "upper"), fmt.effect, why, notes))
        cells.append(tables.ranged(row, ("rmst_interaction", "rmst_lower", "rmst_upper"), fmt.effect, why, notes))
        cells += [tables.value(row[key], fmt.p_value, why, notes) for key in ("p", "p_maxt", "p_bh")]
        out.append(tables.row(tables.text(f"{row['label']}, {_per(row)}", header=True), *cells))
    absolute = labels["rmst_interaction"]
    head = [tables.numeric(f"{labels['hr_interaction'][0]} (95% interval)")] if relative else []
    heads = tables.heads(
        "Marker",
        tables.numeric("Events"),
        tables.numeric(f"{labels['hr_prognostic'][0]} (95% interval)"),
        *head,
        tables.numeric(f"{absolute[0]} (95% interval)", absolute[1]),
        tables.numeric("Interaction p"),
        tables.numeric("adjusted"),
        tables.numeric("FDR"),
    )
    more = f" The {SHOWN_MARKERS} with the smallest p are shown." if len(rows) > SHOWN_MARKERS else ""
    caption = "Candidate markers" if alone else f"Candidate markers: {context.pair_label(pair)}"
    return TableView(
        key="screen" if alone else f"screen-{pair}",
        caption=caption,
        heads=heads,
        rows=tuple(out),
        note=f"{table.note}{more}",
        footnotes=notes.entries(),
    )


def _per(row: dict[str, Cell]) -> str:
    return str(row["per"]) if row["per"] == "yes vs no" else f"per {row['per']}"


def _volcano(context: Context, table: Table) -> Figure:
    rows = _of_pair(context, table)
    cells = [
        {key: float(row[key]) for key in ("effect", "evidence", "markers")}  # type: ignore[arg-type]
        for row in rows
        if not row["label"]
    ]
    named = [
        {"label": row["label"], "effect": float(row["effect"]), "evidence": float(row["evidence"])}  # type: ignore[arg-type]
        for row in rows
        if row["label"]
    ]
    count = fmt.count(sum(cell["markers"] for cell in cells) + len(named))
    passed = f"{len(named)} of {count} markers" if named else f"None of {count} markers"
    title = f"{passed} change the effect of treatment after adjustment for the search"
    x_title = f"{table.columns[table.index('effect')].label}, treated less control"
    return Figure(
        key="volcano",
        title=title,
        subtitle="Interaction of every candidate marker with treatment, and the evidence for it",
        description=fmt.sentence(f"{title}; named: {fmt.listing([str(r['label']) for r in named]) or 'none'}"),
        panels=(
            Panel(
                chart=volcano_chart(cells, named, x_title=x_title, width=480),
                narrow=volcano_chart(cells, named, x_title=x_title, width=250),
            ),
        ),
        caption=table.note,
    )


def _cutpoints(context: Context) -> list[Block]:
    table = context.record.table("cutpoints.summary")
    if table is None:
        return []
    notes = tables.Footnotes()
    several = len({str(pair) for pair in table.column("comparison")}) > 1
    rows = []
    for row in table.records():
        why = str(row["reason"] or "not estimable")
        unit = f", {row['unit']}" if row["unit"] else ""
        among = f" ({row['comparison']})" if several else ""
        rows.append(
            tables.row(
                tables.text(f"{row['label']}{unit}{among}", header=True),
                tables.ranged(row, ("cut", "lower", "upper"), fmt.effect, why, notes),
                tables.value(row["share"], fmt.percent, why, notes),
                tables.value(row["ratio_naive"], fmt.effect, why, notes),
                tables.value(row["p"], fmt.p_value, why, notes),
                tables.value(row["p_adjusted"], fmt.p_value, why, notes),
            )
        )
    heads = tables.heads(
        "Marker",
        tables.numeric("Best cut (95% interval)"),
        tables.numeric("At or below"),
        tables.numeric("Ratio of hazard ratios, above to below", "naive"),
        tables.numeric("p, corrected for the scan"),
        tables.numeric("and for the markers"),
    )
    return [
        TableView(
            key="cutpoints",
            caption=table.title,
            heads=heads,
            rows=tuple(rows),
            note=table.note,
            footnotes=notes.entries(),
        )
    ]
