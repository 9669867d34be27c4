"""Missing data: how much, together with what, whether by arm or outcome, and what imputation makes of the effects."""

from __future__ import annotations

from collections.abc import Sequence

from trialstrat.report import format as fmt
from trialstrat.report import tables
from trialstrat.report.context import Context
from trialstrat.report.figures.dots import Dot, Scale, dot_chart
from trialstrat.report.page import Block, Figure, Panel, Section, TableView
from trialstrat.report.sections import general
from trialstrat.results import Cell, Estimate, Table

Record = dict[str, Cell]

#: Variables drawn; the others stand in the table of numbers.
MOST_DRAWN = 5


def build(context: Context) -> Section | None:
    """The section; None for a run in which nothing was missing."""
    stage, imputed = context.record.stage("missing"), context.record.stage("imputed")
    if stage is None and imputed is None:
        return None
    blocks: list[Block] = []
    figure = _figure(context)
    blocks += [figure] if figure is not None else []
    for name, caption in (
        ("patterns", "What is missing together"),
        ("association", "Missingness against arm and outcome"),
    ):
        table = context.record.table(f"missing.{name}")
        if table is not None:
            blocks.append(tables.view(table, f"missing-{name}", drop=("variable",), caption=caption, folded=caption))
    blocks += _imputed(context)
    for found in (stage, imputed):
        blocks += general.findings(found) if found is not None else []
    return Section(key="missing", title="Missing data", lead=_lead(context), blocks=tuple(blocks))


def _lead(context: Context) -> str:
    share = context.record.fact("missing", "complete_share")
    incomplete, variables = (context.record.fact("missing", key) for key in ("incomplete", "variables"))
    text = f"{incomplete} of {variables} variables have missing values" if incomplete else "Some values are missing"
    text += f"; {fmt.percent(float(share))} of the patients have none." if share else "."
    pair = _pair(context)
    if pair is None:
        return text
    pooled, complete = pair
    words = fmt.interval(pooled.value, pooled.lower, pooled.upper, fmt.effect)
    text += f" With them imputed the adjusted hazard ratio is {words}"
    if complete is None:
        return f"{text}."
    alone = fmt.interval(complete.value, complete.lower, complete.upper, fmt.effect)
    return f"{text}; in complete cases {alone}."


def _pair(context: Context) -> tuple[Estimate, Estimate | None] | None:
    """The pooled adjusted effect of the first comparison, and that of complete cases."""
    for suffix, *_ in context.pairs:
        pooled = context.ok(f"imputed.hazard_ratio.{suffix}")
        if pooled is not None:
            return pooled, context.ok(f"primary.cox.adjusted_hazard_ratio.{suffix}")
    return None


# -- the figure ------------------------------------------------------------------------------------------------------


def _groups(context: Context) -> list[tuple[str, str, list[Record]]]:
    """(variable, label, rows of all, of each arm and by outcome), the most often missing first."""
    by_arm, by_outcome = context.record.table("cohort.missing"), context.record.table("missing.by_outcome")
    found: dict[str, tuple[str, list[Record]]] = {}
    for row in by_arm.records() if by_arm is not None else []:
        name = "All" if row["arm"] == "all" else context.arm_label(str(row["arm"]))
        entry = found.setdefault(str(row["variable"]), (str(row["label"]), []))
        entry[1].append({"group": name, "style": 0 if row["arm"] == "all" else 1, **row})
    for row in by_outcome.records() if by_outcome is not None else []:
        if row["outcome"] != "all" and str(row["variable"]) in found:
            name = fmt.lower_first(str(row["label_outcome"]))
            found[str(row["variable"])][1].append({"group": name, "style": 2, **row})
    kept = [(key, label, rows) for key, (label, rows) in found.items() if any(row["missing"] != 0 for row in rows)]
    return sorted(kept, key=lambda entry: -(tables.number_of(entry[2][0]["share"]) or 0.0))


def _figure(context: Context) -> Figure | None:
    groups = _groups(context)
    if not groups:
        return None
    dots = [
        Dot(
            label=f"{label}, {row['group']}" if at else str(label),
            value=tables.number_of(row["share"]),
            written=_share(row, context),
            style=int(tables.number_of(row["style"]) or 0),
        )
        for _, label, rows in groups[:MOST_DRAWN]
        for at, row in enumerate(rows)
    ]
    top = max([0.1, *(1.1 * dot.value for dot in dots if dot.value is not None)])
    scale = Scale(title="Share of patients without the value", domain=(0.0, min(1.0, top)))
    words = [f"{dot.label} {dot.written}" for dot in dots]
    more = f"; {len(groups) - MOST_DRAWN} more in the table" if len(groups) > MOST_DRAWN else ""
    return Figure(
        key="missing-shares",
        title=_title(groups),
        subtitle=f"Share of patients in whom a variable is missing: all, by arm, with and without the event{more}",
        description=fmt.sentence("; ".join(words)),
        panels=(
            Panel(chart=dot_chart(dots, scale, written="Missing", width=300), narrow=dot_chart(dots, scale, width=120)),
        ),
        caption="A dash: too few patients to be shown, or to be computed from what is shown.",
        numbers=_numbers(context),
    )


def _title(groups: Sequence[tuple[str, str, list[Record]]]) -> str:
    share = tables.number_of(groups[0][2][0]["share"])
    if share is None:
        return "Shares of missing values by arm and outcome"
    return f"{groups[0][1]} is missing most often, in {fmt.percent(share)} of the patients"


def _share(row: Record, context: Context) -> str:
    if isinstance(row["missing"], str):
        return fmt.marked(str(row["missing"]))
    share = tables.number_of(row["share"])
    if share is None:
        return fmt.suppressed(context.minimum_cell) if row["missing"] is None else fmt.DASH
    return f"{fmt.count(tables.number_of(row['missing']))} ({fmt.percent(share)})"


def _numbers(context: Context) -> tuple[TableView, ...]:
    table = context.record.table("missing.by_outcome")
    if table is None:
        return ()
    return (tables.view(table, "missing-outcome", drop=("variable", "outcome"), caption="Missing values by outcome"),)


# -- imputed effects -------------------------------------------------------------------------------------------------


def _imputed(context: Context) -> list[Block]:
    stage = context.record.stage("imputed")
    if stage is None:
        return []
    blocks: list[Block] = []
    model, subgroups = context.record.table("imputed.model"), context.record.table("imputed.subgroups")
    if model is not None:
        blocks.append(_model(model))
    weighted = tuple(entry for entry in stage.estimates if entry.name.startswith("imputed.weighted."))
    if weighted:
        blocks.append(general.estimates(weighted, "imputed-weighted", "Weighted effect with imputed confounders"))
    if subgroups is not None:
        blocks.append(_subgroups(context, subgroups))
    return blocks


def _model(table: Table) -> TableView:
    notes = tables.Footnotes()
    rows = [
        tables.row(
            tables.text(row["label"], header=True),
            tables.ratio(row, "not estimable in every imputed copy", notes),
            tables.value(row["p"], fmt.p_value),
            tables.value(row["fmi"], fmt.percent),
            tables.ranged(row, ("complete", "complete_lower", "complete_upper"), fmt.effect, "not estimable", notes),
        )
        for row in table.records()
    ]
    head = tables.heads(
        "Term",
        tables.numeric("Hazard ratio, imputed (95% interval)"),
        tables.numeric("p"),
        tables.numeric("Missing information"),
        tables.numeric("Complete cases (95% interval)"),
    )
    caption = "Adjusted Cox model, missing covariates imputed"
    return TableView(
        key="imputed-model", caption=caption, heads=head, rows=tuple(rows), note=table.note, footnotes=notes.entries()
    )


def _subgroups(context: Context, table: Table) -> TableView:
    notes = tables.Footnotes()
    pairs = list(dict.fromkeys(str(pair) for pair in table.column("comparison")))
    labels = {column.key: column for column in table.columns}
    why = "too few events or patients in an arm of an imputed copy"
    rows = []
    for row in table.records():
        among = f" ({str(row['comparison']).replace('_', ' ')})" if len(pairs) > 1 else ""
        rows.append(
            tables.row(
                tables.text(f"{row['label']}: {row['level']}{among}", header=True),
                tables.ranged(row, ("relative", "lower", "upper"), fmt.effect, why, notes),
                tables.ranged(row, ("absolute", "absolute_lower", "absolute_upper"), fmt.effect, why, notes),
                tables.value(row["fmi"] if row["fmi"] is not None else row["absolute_fmi"], fmt.percent),
                _test(row["interaction_p"]),
                _test(row["interaction_p_absolute"]),
            )
        )
    unit = f"{labels['absolute'].unit} up to {context.at_horizon}" if labels["absolute"].unit else ""
    head = tables.heads(
        "Subgroup",
        tables.numeric(f"{labels['relative'].label} (95% interval)"),
        tables.numeric("Absolute difference (95% interval)", unit),
        tables.numeric("Missing information"),
        tables.numeric("Interaction p", "relative"),
        tables.numeric("Interaction p", "absolute"),
    )
    caption = "Declared subgroups, missing values imputed"
    return TableView(
        key="imputed-subgroups",
        caption=caption,
        heads=head,
        rows=tuple(rows),
        note=table.note,
        footnotes=notes.entries(),
        folded=caption,
    )


def _test(p: Cell) -> tables.Cell:
    """A p value, or an empty cell: of several levels only the first row has the test."""
    return tables.text(" ") if p is None else tables.value(p, fmt.p_value)
