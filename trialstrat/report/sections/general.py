"""Any stage as it stands: its estimates and its tables, so that no stored result is ever invisible."""

from __future__ import annotations

from collections.abc import Callable

from trialstrat.report import format as fmt
from trialstrat.report import tables
from trialstrat.report.context import Context
from trialstrat.report.page import Block, Notice, Section, TableView
from trialstrat.results import Estimate, StageResult

HOW: dict[str, tables.Formatter] = {
    "p": fmt.p_value,
    "probability": fmt.percent,
    "hazard ratio": fmt.effect,
    "": lambda v: fmt.number(v, 2),
}


def section(stage: str, title: str) -> Callable[[Context], Section | None]:
    """A builder for a stage that has no module of its own."""

    def build(context: Context) -> Section | None:
        result = context.record.stage(stage)
        if result is None or not (result.estimates or result.tables or result.findings):
            return None
        lead = result.facts.get("lead") or result.facts.get("summary") or _counted(result)
        blocks: list[Block] = []
        if result.estimates:
            blocks.append(estimates(result.estimates, f"{stage}-estimates", "Estimates"))
        blocks += [tables.view(table, table.name.replace(".", "-")) for table in result.tables if table.rows]
        blocks += findings(result)
        return Section(key=stage.replace("_", "-"), title=title, lead=fmt.sentence(lead), blocks=tuple(blocks))

    return build


def _counted(result: StageResult) -> str:
    return f"{len(result.estimates)} estimates and {len(result.tables)} tables were stored"


def formatter(found: Estimate) -> tables.Formatter:
    """How an estimate is written, by its unit."""
    return HOW.get(found.unit, lambda v: fmt.fixed(v, 1))


def estimates(found: tuple[Estimate, ...], key: str, caption: str) -> TableView:
    """Estimates in long form, one row each."""
    notes = tables.Footnotes()
    rows = [
        tables.row(
            tables.text(entry.label, header=True),
            tables.estimate(entry, formatter(entry), notes),
            tables.text(entry.unit if entry.unit != "probability" else ""),
            tables.value(entry.n, fmt.count),
            tables.value(entry.events, fmt.count),
            tables.text(entry.method),
        )
        for entry in found
    ]
    head = tables.heads(
        "Quantity",
        tables.numeric("Estimate (interval)"),
        "Unit",
        tables.numeric("n"),
        tables.numeric("Events"),
        "Method",
    )
    return TableView(key=key, caption=caption, heads=head, rows=tuple(rows), footnotes=notes.entries())


def findings(result: StageResult, heading: str = "What the checks found") -> list[Block]:
    """What the checks of a stage saw, the gravest first."""
    order = {"error": 0, "warning": 1, "note": 2}
    found = sorted(result.findings, key=lambda finding: order[finding.severity])
    if not found:
        return []
    return [Notice(heading=heading, items=tuple(entry.text() for entry in found))]
