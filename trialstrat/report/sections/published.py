"""Published models: how they do on these patients, and their coefficients beside those fitted here."""

from __future__ import annotations

from trialstrat.report import format as fmt
from trialstrat.report import tables
from trialstrat.report.context import Context
from trialstrat.report.page import Block, Notice, Section, TableView
from trialstrat.report.sections import general
from trialstrat.results import Table

READING = (
    "Nothing was learned for these numbers: the coefficients are those of the publication.",
    "A calibration slope below 1 says that predictions are too extreme for these patients, above 1 not enough so.",
)
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
        blocks += [Notice(heading="How to read it", items=READING), _performance(performance)]
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
    """One row per model and group, one column per measure."""
    rows = table.records()
    metrics = list(dict.fromkeys((str(row["metric"]), str(row["metric_label"])) for row in rows))
    places = list(dict.fromkeys((str(row["model"]), str(row["group"])) for row in rows))
    found = {(str(row["model"]), str(row["group"]), str(row["metric"])): row for row in rows}
    notes = tables.Footnotes()
    out = []
    for model, group in places:
        own = [found[model, group, metric] for metric, _ in metrics if (model, group, metric) in found]
        cells = []
        for metric, _ in metrics:
            row = found.get((model, group, metric))
            how = fmt.percent if metric in _SHARES else lambda value: fmt.fixed(value, 2)
            keys = ("value", "lower", "upper")
            cells.append(
                tables.text("")
                if row is None
                else tables.ranged(row, keys, how, str(row["reason"] or "not estimable"), notes)
            )
        head = own[0]
        out.append(
            tables.row(
                tables.text(head["label"], header=True),
                tables.text(head["group_label"]),
                tables.value(head["n"], fmt.count),
                *cells,
            )
        )
    heads = tables.heads(
        "Model", "Patients", tables.numeric("n"), *(tables.numeric(f"{label} (95% interval)") for _, label in metrics)
    )
    return TableView(
        key="published-performance",
        caption=table.title,
        heads=heads,
        rows=tuple(out),
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
