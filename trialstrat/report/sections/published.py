"""Published models: how they do on these patients, and their coefficients beside those fitted here."""

from __future__ import annotations

from trialstrat.report import format as fmt
from trialstrat.report import tables
from trialstrat.report.context import Context
from trialstrat.report.page import Block, Cell, Notice, Row, Section, TableView
from trialstrat.report.sections import general
from trialstrat.results import Table

READING = "Nothing was learned for these numbers: the coefficients are those of the publication."
SLOPE = "A calibration slope below 1 says that predictions are too extreme for these patients, above 1 not enough so."
#: Measures shown as shares.
_SHARES = ("within",)


def build(context: Context) -> Section | None:
    """The section."""
    stage = context.record.stage("published")
    if stage is None:
        return None
    blocks: list[Block] = []
    performance, terms = (context.record.table(f"published.{name}") for name in ("performance", "terms"))
    if performance is not None:
        items = (READING, SLOPE) if "slope" in performance.column("metric") else (READING,)
        blocks += [Notice(heading="How to read it", items=items), _performance(performance)]
    if terms is not None:
        blocks.append(_terms(terms))
    blocks += general.findings(stage)
    references = context.record.fact("published", "references")
    if references:
        blocks.append(Notice(heading="Where they were published", items=tuple(references.split("; "))))
    return Section(key="published", title="Published models", lead=_lead(context), blocks=tuple(blocks))


def _lead(context: Context) -> str:
    stage = context.record.stage("published")
    found = [entry for entry in (stage.estimates if stage else ()) if entry.status == "ok"]
    first = next((entry for entry in found if entry.name.rsplit(".", 1)[-1] in ("uno_c", "auc", "mae")), None)
    if first is None:
        return "No published model could be held against these patients."
    return f"{first.label}: {fmt.interval(first.value, first.lower, first.upper, lambda v: fmt.fixed(v, 2))}."


def _performance(table: Table) -> TableView:
    """A row per group and measure, under the name of the model."""
    notes = tables.Footnotes()
    heads = ["Patients", tables.numeric("n"), "Measure", tables.numeric("Value (95% interval)")]
    rows: list[Row] = []
    model = group = ""
    for row in table.records():
        if row["model"] != model:
            rows.append(tables.divider(str(row["label"]), len(heads)))
        first = (row["model"], row["group"]) != (model, group)
        model, group = str(row["model"]), str(row["group"])
        how = fmt.percent if row["metric"] in _SHARES else lambda value: fmt.fixed(value, 2)
        rows.append(
            tables.row(
                tables.text(row["group_label"], header=True) if first else Cell(text="", header=True),
                tables.value(row["n"], fmt.count) if first else Cell(text="", numeric=True),
                tables.text(row["metric_label"]),
                tables.ranged(row, ("value", "lower", "upper"), how, str(row["reason"] or "not estimable"), notes),
                level=1,
            )
        )
    return TableView(
        key="published-performance",
        caption=table.title,
        heads=tables.heads(*heads),
        rows=tuple(rows),
        note=table.note,
        footnotes=notes.entries(),
    )


def _terms(table: Table) -> TableView:
    notes = tables.Footnotes()
    fitted = any(row["value"] is not None for row in table.records())
    rows = []
    for row in table.records():
        cells = [
            tables.text(row["label"], header=True),
            tables.text(row["term"]),
            tables.value(row["published"], _coefficient),
        ]
        if fitted:
            cells += [
                tables.ranged(row, ("value", "lower", "upper"), _coefficient, "not fitted here", notes),
                tables.value(row["p"], fmt.p_value),
            ]
        rows.append(tables.row(*cells))
    heads = ["Model", "Term", tables.numeric("As published")]
    heads += [tables.numeric("Fitted here (95% interval)"), tables.numeric("p")] if fitted else []
    return TableView(
        key="published-terms",
        caption=table.title,
        heads=tables.heads(*heads),
        rows=tuple(rows),
        note=table.note,
        footnotes=notes.entries(),
    )


def _coefficient(value: float) -> str:
    return fmt.fixed(value, 4 if abs(value) < 0.1 else 2)
