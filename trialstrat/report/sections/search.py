"""The search over criteria: what can be had together, in sample and held out, and what a declared utility picks."""

from __future__ import annotations

from trialstrat.report import effect_names, tables
from trialstrat.report import format as fmt
from trialstrat.report.context import Context
from trialstrat.report.figures.frontier import Mark, frontier_chart
from trialstrat.report.page import Block, Figure, Notice, Panel, Section, TableView
from trialstrat.report.sections import general
from trialstrat.results import Cell, Table

Record = dict[str, Cell]

READING = (
    "Every dot is a set of criteria: kept, dropped, or with other thresholds. To the right more patients can enrol.",
    "The joined marks are held-out values: searched without a fold, judged on it. In-sample values flatter.",
)


def build(context: Context) -> Section | None:
    """The section."""
    stage = context.record.stage("search")
    if stage is None:
        return None
    reason = context.record.fact("search", "reason")
    title = "Search for better criteria"
    if reason:
        return Section(key="search", title=title, lead=fmt.sentence(f"Nothing was searched: {reason}"))
    blocks: list[Block] = [Notice(heading="How to read it", items=READING)]
    front = context.record.table("search.front")
    if front is not None:
        figure = _figure(front, context)
        blocks += [figure] if figure is not None else []
        blocks.append(_front(front))
    rules = context.record.table("search.rules")
    if rules is not None:
        blocks.append(_rules(rules))
    moves = context.record.table("search.moves")
    if moves is not None and len(moves.rows) > 1:
        blocks.append(_moves(moves))
    blocks += general.findings(stage)
    return Section(key="search", title=title, lead=_lead(context), blocks=tuple(blocks))


def _lead(context: Context) -> str:
    pair = context.record.fact("search", "pair")
    tried, change = context.record.fact("search", "tried"), context.record.fact("search", "pick")
    found = effect_names.held_out_pick(context, pair)
    share = context.ok("search.pick.held_out.pool")
    what = "the criteria as written" if change == "nothing" else f"this one: {change}"
    start = f"Of {tried} sets of criteria the declared utility picks {what}"
    if found is None or share is None:
        return fmt.sentence(start)
    words = fmt.interval(found.value, found.lower, found.upper, fmt.effect)
    kept = fmt.percent(share.value, 0)
    name = effect_names.effect_name(context)
    return f"{start}; held out, sets picked so keep {kept} of patients, with {fmt.article(name)} of {words}."


def _ratio(table: Table) -> bool:
    return any(row["ratio"] is not None for row in table.records())


def _figure(front: Table, context: Context) -> Figure | None:
    """Held-out values of the front and of the pick, the criteria in force, everything tried in pale."""
    ratio = _ratio(front)
    key = "ratio" if ratio else "difference"
    marks = [mark for mark in (_mark(row, key) for row in front.records()) if mark is not None]
    if not marks:
        return None
    tried = context.record.table("search.tried")
    pale = [] if tried is None else [(float(str(p)), float(str(e))) for p, e in tried.rows]
    domain = _domain(marks, pale, ratio)
    title = _title(marks, context)
    charts = [
        frontier_chart(
            marks,
            pale,
            y_title=f"{effect_names.effect_name(context).capitalize()}{' (log scale)' if ratio else ''}",
            domain=domain,
            reference=1.0 if ratio else 0.0,
            log=ratio,
            width=width,
        )
        for width in (560, 250)
    ]
    described = "; ".join(f"{mark.name}: {fmt.percent(mark.pool, 0)} of patients, {mark.written}" for mark in marks)
    return Figure(
        key="frontier",
        title=title,
        subtitle="Pool and effect of sets of criteria: held-out front joined, all sets tried (in sample) in pale",
        description=fmt.sentence(described),
        panels=(Panel(chart=charts[0], narrow=charts[1]),),
        caption=front.note,
    )


def _mark(row: Record, key: str) -> Mark | None:
    """The criteria in force as they are, everything else held out."""
    current = row["point"] == "current"
    stem, pool = (key, "pool") if current else (f"held_out_{key}", "held_out_pool")
    place, value, lower, upper = (
        tables.number_of(row[name]) for name in (pool, stem, f"{stem}_lower", f"{stem}_upper")
    )
    if place is None or value is None:
        return None
    role = {"current": 0, "pick": 1}.get(str(row["point"]), 2)
    return Mark(
        name=("As written", "Proposed", str(row["point"]))[role],
        pool=place,
        effect=value,
        lower=lower,
        upper=upper,
        role=role,
        written=fmt.interval(value, lower, upper, fmt.effect),
    )


def _domain(marks: list[Mark], pale: list[tuple[float, float]], ratio: bool) -> tuple[float, float]:
    values = [*(mark.effect for mark in marks), *(effect for _, effect in pale)]
    values += [end for mark in marks if mark.role < 2 for end in (mark.lower, mark.upper) if end is not None]
    if ratio:
        return max(0.1, 0.9 * min([*values, 0.9])), min(10.0, 1.1 * max([*values, 1.1]))
    reach = 1.15 * max(abs(value) for value in values) or 1.0
    return -reach, reach


def _title(marks: list[Mark], context: Context) -> str:
    pick = next((mark for mark in marks if mark.role == 1), None)
    if pick is None:
        return f"{context.record.fact('search', 'tried')} sets of criteria, compared on pool and effect"
    now = next((mark for mark in marks if mark.role == 0), None)
    before = "" if now is None else f", against {fmt.percent(now.pool, 0)} and {fmt.effect(now.effect)} as written"
    kept = fmt.percent(pick.pool, 0)
    return f"Picked criteria keep {kept} of patients with an effect of {fmt.effect(pick.effect)}{before}"


def _front(front: Table) -> TableView:
    notes = tables.Footnotes()
    key = "ratio" if _ratio(front) else "difference"
    costs = ("cost",) if any(cost for cost in front.column("cost")) else ()
    rows = []
    for row in front.records():
        cells = [
            tables.value(row["pool"], fmt.percent),
            tables.ranged(row, (key, f"{key}_lower", f"{key}_upper"), fmt.effect, "no estimate", notes),
            tables.value(row["held_out_pool"], fmt.percent, "declared, not searched", notes),
            tables.ranged(
                row, (f"held_out_{key}", f"held_out_{key}_lower", f"held_out_{key}_upper"), fmt.effect,
                "declared, not searched, or too few events held out", notes,
            ),
            *(tables.value(row[name], lambda v: fmt.fixed(v, 2)) for name in ("shift", *costs)),
        ]  # fmt: skip
        name = str(row["label"]) if row["point"] in ("current", "pick") else str(row["point"])
        rows.append(tables.row(tables.text(name, header=True), *cells))
    heads = tables.heads(
        "Rule set",
        tables.numeric("Pool"),
        tables.numeric("Effect in sample (interval)"),
        tables.numeric("Pool, held out"),
        tables.numeric("Effect held out (interval)"),
        tables.numeric("Distance from all patients", "SD"),
        *(tables.numeric("Cost per enrolled") for _ in costs),
    )
    return TableView(
        key="search-front", caption="The front: in sample and held out", heads=heads, rows=tuple(rows),
        note=front.note, footnotes=notes.entries(),
    )  # fmt: skip


def _rules(rules: Table) -> TableView:
    """One row per criterion, one column per point."""
    points = list(dict.fromkeys(str(point) for point in rules.column("point")))
    by = {(str(row["criterion"]), str(row["point"])): row["option"] for row in rules.records()}
    rows = [
        tables.row(tables.text(criterion, header=True), *(tables.text(by.get((criterion, point))) for point in points))
        for criterion in dict.fromkeys(str(name) for name in rules.column("criterion"))
    ]
    heads = tables.heads("Criterion", *("Proposed" if point == "pick" else point for point in points))
    caption = "What each point of the front says"
    return TableView(key="search-rules", caption=caption, heads=heads, rows=tuple(rows), folded=caption)


def _moves(moves: Table) -> TableView:
    """One row per option of a criterion."""
    notes = tables.Footnotes()
    few = "too few events to estimate an effect"
    close = "no estimate, or too few patients differ from the criteria as written"
    rows = [
        tables.row(
            tables.text(row["criterion"] or "All", header=True),
            tables.text(row["option"]),
            tables.value(row["pool"], fmt.percent, few, notes),
            tables.value(row["events"], lambda v: fmt.fixed(v, 0), few, notes),
            tables.value(row["effect"], fmt.effect, few, notes),
            tables.value(row["change"], fmt.effect, few, notes),
            tables.value(row["shift"], lambda v: fmt.fixed(v, 2), close, notes),
        )
        for row in moves.records()
    ]
    heads = tables.heads(
        "Criterion",
        "Written as",
        tables.numeric("Pool"),
        tables.numeric("Events"),
        tables.numeric("Effect in sample"),
        tables.numeric("Change of the effect"),
        tables.numeric("Distance from all patients", "SD"),
    )
    caption = "What each criterion and each of its thresholds moves"
    return TableView(
        key="search-moves", caption=caption, heads=heads, rows=tuple(rows), note=moves.note, footnotes=notes.entries(),
        folded=caption,
    )  # fmt: skip
