"""Impact of each criterion: what it costs in patients and events, what it does to the effect, whom it leaves out."""

from __future__ import annotations

from trialstrat.report import effect_names, tables
from trialstrat.report import format as fmt
from trialstrat.report.context import Context
from trialstrat.report.figures.consort import NARROW, WIDE, flow_drawing
from trialstrat.report.figures.dots import Dot, Scale, dot_chart
from trialstrat.report.page import Block, Figure, Notice, Panel, Section, TableView
from trialstrat.report.sections import flow, general
from trialstrat.results import Cell, Table

Record = dict[str, Cell]


def build(context: Context) -> Section | None:
    """The section."""
    stage = context.record.stage("impact")
    if stage is None:
        return None
    blocks: list[Block] = []
    asked = context.record.fact("impact", "question_not_asked")
    if not asked:
        blocks.append(Notice(heading="How to read it", items=_reading(context)))
    blocks += _benchmark(context)
    attrition = context.record.table("impact.attrition")
    if attrition is not None:
        blocks.append(_flow(attrition, context))
    shapley = context.record.table("impact.shapley")
    if shapley is not None:
        blocks += _shapley(shapley, context)
    pool = context.record.table("impact.pool")
    if pool is not None:
        blocks.append(_price(pool, context))
    for name, caption, folded, dropped in _PLAIN:
        table = context.record.table(f"impact.{name}")
        if table is not None:
            drop = (*dropped, *_one_comparison(table))
            key = f"impact-{name.replace('_', '-')}"
            blocks.append(tables.view(table, key, drop=drop, caption=caption, folded=caption if folded else ""))
    blocks += general.findings(stage)
    return Section(key="impact", title="Impact of each criterion", lead=_lead(context), blocks=tuple(blocks))


def _reading(context: Context) -> tuple[str, ...]:
    side = "Above" if _better(context) == "higher" else "Below"
    return (
        "A contribution (Shapley value) is what applying the criterion does to the effect, averaged over all orders.",
        f"{side} 0 in the figure, the effect looks better with the criterion than without it.",
        "Criteria chosen and judged on the same patients look too good: the held-out row is the one to believe.",
    )


def _better(context: Context) -> str:
    """Whether a higher or a lower value of the measure that decides is the better effect."""
    absolute = _measure(context) == "absolute"
    return context.record.fact("impact", "better") or ("higher" if absolute else "lower")


def _measure(context: Context) -> str:
    return context.record.fact("impact", "measure", "log_hazard_ratio")


#: Tables shown as they are stored: name, caption, folded, columns left out.
_PLAIN = (
    ("scenarios", "The emulated trial under sets of criteria", False, ("set",)),
    ("pool", "What each criterion takes from the pool", True, ("text",)),
    ("effects", "The effect with each criterion alone, and without it", True, ()),
    ("representation", "Distance of the eligible pool from all patients", True, ("set", "variable")),
    ("assays", "What the assays make of the criteria", False, ()),
    ("balance", "Balance of the emulated trial before and after weighting", True, ("variable",)),
)


def _one_comparison(table: Table) -> tuple[str, ...]:
    """The column that names the comparison, where there is only one."""
    if any(column.key == "comparison" for column in table.columns) and len(set(table.column("comparison"))) == 1:
        return ("comparison",)
    return ()


def _lead(context: Context) -> str:
    asked = context.record.fact("impact", "question_not_asked")
    pool = context.record.table("impact.pool")
    total = 0 if pool is None else len(pool.rows)
    written = f"{total} written {'criterion is' if total == 1 else 'criteria are'} applied by the program"
    if asked:
        return fmt.sentence(f"{written}; what they do to an effect cannot be asked")
    if context.record.fact("impact", "benchmark_agrees") == "no":
        return "Criteria are not ranked: the emulated trial does not reproduce the published effect."
    pair = context.record.fact("impact", "pair")
    if pool is not None and all(row["removed"] == 0 for row in pool.records()):
        return f"{written}, and none removes anybody here: these data cannot show what the criteria do."
    reason = context.record.fact("impact", "reason")
    if reason:
        return fmt.sentence(f"{written}; their contributions to the effect cannot be estimated: {reason}")
    kept = context.record.fact("impact", "keep") or "none"
    share = f"{_beyond_error(_contributions(context, pair))}; by sign {kept} would be kept"
    crossed = effect_names.cross_fitted(context, pair)
    if crossed is None:
        return fmt.sentence(share)
    words = fmt.interval(crossed.value, crossed.lower, crossed.upper, fmt.effect)
    name = effect_names.effect_name(context)
    return fmt.sentence(f"{share}, and held out the {name} under criteria so chosen is {words}")


def _contributions(context: Context, pair: str) -> list[Record]:
    """Rows of one comparison on the scale that decides."""
    rows = _records(context, "impact.shapley")
    return [row for row in rows if row["measure"] == _measure(context) and row["comparison"] == pair]


def _beyond_error(rows: list[Record]) -> str:
    """How many criteria contribute more than chance would explain."""
    if all(row["lower"] is None for row in rows):
        return f"the contributions of {len(rows)} criteria have no limits: chance may explain them all"
    clear = [row for row in rows if _one_side(row)]
    return f"{len(clear)} of {len(rows)} criteria contribute beyond sampling error"


def _benchmark(context: Context) -> list[Block]:
    agrees = context.record.fact("impact", "benchmark_agrees")
    if not agrees:
        return []
    definition = context.record.fact("impact", "definition")
    if agrees == "yes":
        return [Notice(heading="The emulated trial agrees with the published one", items=(definition,))]
    items = (fmt.sentence(context.record.fact("impact", "benchmark")), definition)
    return [Notice(heading="The emulated trial disagrees with the published one", items=items, tone="warning")]


def _flow(attrition: Table, context: Context) -> Figure:
    """The criteria under study one after the other (CONSORT), from all patients to those who meet them all."""
    steps = flow.steps(attrition, context, first="All patients", last="Meet all criteria")
    title = f"From all patients to those who meet all {len(attrition.rows)} criteria"
    description = fmt.sentence("; ".join(f"{step.head}, {', '.join(step.lost)}" for step in steps))
    drawings = [
        flow_drawing(steps, [], plan=plan, key=key, title=title, description=description)
        for plan, key in ((WIDE, "impact-flow"), (NARROW, "impact-flow-narrow"))
    ]
    return Figure(
        key="impact-flow",
        title=title,
        subtitle="Criteria one after the other in declared order (CONSORT)",
        description=description,
        panels=(Panel(drawing=drawings[0], narrow_drawing=drawings[1]),),
        caption=attrition.note,
        numbers=(
            tables.view(attrition, "impact-attrition", drop=("step",), caption="Every step, also those without a loss"),
        ),
    )


def _shapley(table: Table, context: Context) -> list[Block]:
    """One figure per comparison on the scale that decides."""
    out: list[Block] = []
    for pair in dict.fromkeys(str(entry) for entry in table.column("comparison")):
        rows = _contributions(context, pair)
        if any(tables.number_of(row["value"]) for row in rows):  # all zero: no criterion removes anybody
            out.append(_figure(rows, pair, table, context))
    return out


def _figure(rows: list[Record], pair: str, table: Table, context: Context) -> Figure:
    """Dots with intervals, sorted, around the line of no contribution."""
    rows = sorted(rows, key=lambda row: tables.number_of(row["value"]) or 0.0)
    dots = [
        Dot(
            label=str(row["criterion"]),
            value=tables.number_of(row["value"]),
            lower=tables.number_of(row["lower"]),
            upper=tables.number_of(row["upper"]),
            written=_written(row),
            style=0 if row["keep"] == "yes" else 1,
        )
        for row in rows
    ]
    ends = [abs(v) for dot in dots for v in (dot.value, dot.lower, dot.upper) if v is not None]
    reach = 1.15 * max([*ends, 1e-6])
    lower = _better(context) == "lower"
    sides = ("← improves the effect", "worsens it →") if lower else ("← worsens the effect", "improves it →")
    title = f"Contribution to the {_scale(context)}"
    axis = Scale(title=title, domain=(-reach, reach), reference=0.0, favours=sides, count=5)
    bare = [Dot(label=d.label, value=d.value, lower=d.lower, upper=d.upper, style=d.style) for d in dots]
    return Figure(
        key=f"shapley-{pair}",
        title=fmt.sentence(_beyond_error(rows)).rstrip("."),
        subtitle="Shapley value of each criterion with bootstrap limits; the line marks no contribution",
        description=fmt.sentence("; ".join(f"{dot.label}: {dot.written}" for dot in dots)),
        panels=(
            Panel(
                chart=dot_chart(dots, axis, written="Contribution", width=300), narrow=dot_chart(bare, axis, width=150)
            ),
        ),
        caption=table.note,
        numbers=(
            tables.view(
                table.with_rows([row for row in table.rows if row[table.index("comparison")] == pair]),
                f"shapley-{pair}-numbers",
                drop=("comparison",),
                caption="The numbers of this figure",
            ),
        ),
    )


def _scale(context: Context) -> str:
    """The measure that decides, in words."""
    measure = _measure(context)
    if measure == "absolute":
        return effect_names.absolute_name(context)
    name = effect_names.effect_name(context)
    return f"log {name}" if measure == "log_hazard_ratio" else name


def _one_side(row: Record) -> bool:
    lower, upper = tables.number_of(row["lower"]), tables.number_of(row["upper"])
    return lower is not None and upper is not None and (lower > 0 or upper < 0)


def _written(row: Record) -> str:
    value, lower, upper = (tables.number_of(row[key]) for key in ("value", "lower", "upper"))
    return fmt.interval(value, lower, upper, lambda v: fmt.fixed(v, 3))


def _price(pool: Table, context: Context) -> TableView:
    """What every criterion costs (patients and events that only it removes) and what dropping it would do."""
    pair = context.record.fact("impact", "pair")
    effects = {str(row["criterion"]): row for row in (_records(context, "impact.effects")) if row["comparison"] == pair}
    shift = _furthest(context)
    notes = tables.Footnotes()
    reason = context.record.fact("impact", "reason") or "the effect is not asked of these data"
    told = any(row["text"] != row["criterion"] for row in pool.records())
    rows = []
    for row in pool.records():
        effect = effects.get(str(row["criterion"]), {})
        cells = [tables.value(row[key], fmt.count) for key in ("removed_only", "unknown", "events_only")]
        changes = [
            tables.ranged(effect, (key, f"{key}_lower", f"{key}_upper"), how, reason, notes)
            for key, how in (("ratio_without", fmt.effect), ("ratio_change", fmt.effect))
        ]
        name = tables.text(row["criterion"], header=True, title=str(row["text"]))
        moved = tables.value(shift.get(str(row["criterion"])), lambda v: fmt.fixed(v, 2))
        rows.append(tables.row(name, *([tables.text(row["text"])] if told else []), *cells, *changes, moved))
    heads = tables.heads(
        "Criterion",
        *(["What is asked"] if told else []),
        tables.numeric("Patients only it removes"),
        tables.numeric("Unknown"),
        tables.numeric("Events only it removes"),
        tables.numeric("Ratio without it (interval)"),
        tables.numeric("Change when dropped"),
        tables.numeric("Distance without it", "SD"),
    )
    everyone = shift.get("all")
    tail = "" if everyone is None else f" With all criteria the distance is {fmt.fixed(everyone, 2)} SD."
    return TableView(
        key="impact-price",
        caption="Price and gain of each criterion",
        heads=heads,
        rows=tuple(rows),
        note=f"Change when dropped: ratio without it to the ratio with all criteria. Distance from all patients.{tail}",
        footnotes=notes.entries(),
    )


def _records(context: Context, name: str) -> list[Record]:
    table = context.record.table(name)
    return [] if table is None else table.records()


def _furthest(context: Context) -> dict[str, float]:
    """The largest distance over the variables, by set."""
    out: dict[str, float] = {}
    for row in _records(context, "impact.representation"):
        value = tables.number_of(row["shift"])
        if value is not None:
            out[str(row["set"])] = max(value, out.get(str(row["set"]), 0.0))
    return out
