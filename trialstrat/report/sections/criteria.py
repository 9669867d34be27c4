"""Criteria: the proposed rule, what it costs and what it buys, and how stable it is."""

from __future__ import annotations

from trialstrat.report import format as fmt
from trialstrat.report import tables
from trialstrat.report.context import Context
from trialstrat.report.criteria_text import criteria_text
from trialstrat.report.page import Block, Notice, Section, Snippet, Stats, TableView
from trialstrat.report.sections.primary import stat
from trialstrat.report.sentences import rule_in_words, rule_proposed
from trialstrat.results import Cell, Table

ENRICHMENT = (
    "This is prognostic enrichment: the rule finds patients with a higher event rate, so that a trial of the same size "
    "sees more events. It does not say that the treatment works better in them."
)
SHARES = ("share", "rate")
#: From here on a quantity is a number of people, written without decimals.
MANY = 100


def build(context: Context) -> Section | None:
    """The section."""
    if context.record.stage("criteria") is None:
        return None
    blocks: list[Block] = []
    proposed = rule_proposed(context)
    if proposed:
        blocks.append(Notice(heading="How to read it", items=(ENRICHMENT,)))
        blocks.append(_stats(context))
    text = criteria_text(context)
    if text:
        blocks.append(Snippet(key="criteria-text", heading="Criteria as protocol text", text=text))
    for name, builder in (("written", _written), ("price", _price), ("folds", _folds)):
        table = context.record.table(f"criteria.{name}")
        if table is not None and (proposed or name == "written"):
            blocks.append(builder(table, context))
    return Section(key="criteria", title="Criteria", lead=_lead(context), blocks=tuple(blocks))


def _lead(context: Context) -> str:
    if not rule_proposed(context):
        reason = context.record.fact("criteria", "reason")
        return fmt.sentence(f"No enrichment rule is supported{': ' + fmt.lower_first(reason) if reason else ''}")
    gained = context.ok("criteria.enrichment.events_gained_per_100")
    screened = context.ok("criteria.enrichment.screened_per_enrolled")
    rule = rule_in_words(context)
    if not gained or not screened:
        return fmt.sentence(f"Proposed: {rule}")
    more = fmt.interval(gained.value, gained.lower, gained.upper, lambda v: fmt.fixed(v, 0))
    need = fmt.interval(screened.value, screened.lower, screened.upper, lambda v: fmt.fixed(v, 1))
    return (
        f"Enrolling patients with {rule} yields {more} more events per 100 patients and asks for {need} screened "
        "per patient enrolled."
    )


def _stats(context: Context) -> Stats:
    def of(name: str, label: str, how: tables.Formatter):
        return stat(context.record.estimate(f"criteria.enrichment.{name}"), label, how)

    return Stats(
        items=(
            of("share", "Share of the cohort inside", lambda v: fmt.percent(v, 0)),
            of("event_rate_inside", f"Event within {context.at_horizon}, inside", lambda v: fmt.percent(v, 0)),
            of("event_rate_outside", f"Event within {context.at_horizon}, outside", lambda v: fmt.percent(v, 0)),
            of("c_loss", "Concordance lost against the full model", fmt.effect),
        )
    )


def _written(table: Table, context: Context) -> TableView:
    del context
    return tables.view(
        table, "written", caption="Eligibility as written", folded="Eligibility as written, criterion by criterion"
    )


def _price(table: Table, context: Context) -> TableView:
    """Mixed quantities in one table: shares and rates in percent, the rest as numbers."""
    notes = tables.Footnotes()
    rows = []
    for row in table.records():
        how = fmt.percent if any(word in str(row["quantity"]) for word in SHARES) else _plain(row)
        cells = [_quantity(row[key], how, notes) for key in ("all", "outside")]
        inside = tables.ranged(row, ("inside", "lower", "upper"), how, "not estimable", notes)
        rows.append(tables.row(tables.text(row["label"] or row["quantity"], header=True), cells[0], inside, cells[1]))
    head = tables.heads(
        "Quantity", tables.numeric("Everybody"), tables.numeric("Inside (95% interval)"), tables.numeric("Outside")
    )
    caption = "What the rule costs and what it buys"
    note = " ".join(part for part in (fmt.sentence(table.note), f"Horizon: {context.at_horizon}.") if part)
    return TableView(key="price", caption=caption, heads=head, rows=tuple(rows), note=note, footnotes=notes.entries())


def _plain(row: dict[str, Cell]) -> tables.Formatter:
    known = [abs(v) for v in (tables.number_of(row[key]) for key in ("all", "inside", "outside")) if v is not None]
    places = 0 if max(known, default=0.0) >= MANY else 1
    return lambda v: fmt.fixed(v, places)


def _quantity(raw: Cell, how: tables.Formatter, notes: tables.Footnotes):
    return tables.value(raw, how, "not defined for these patients", notes)


def _folds(table: Table, context: Context) -> TableView:
    stability = context.ok("criteria.enrichment.stability")
    text = f"Agreement of these rules with the final rule: {fmt.percent(stability.value, 0)}. " if stability else ""
    made = tables.view(table, "folds", caption="The rule found in every outer fold")
    return TableView(
        key=made.key, caption=made.caption, heads=made.heads, rows=made.rows, note=f"{text}{made.note}".strip()
    )
