"""Every declared factor against the outcome: levels under their factor, alone and all together."""

from __future__ import annotations

import math

from trialstrat.report import format as fmt
from trialstrat.report import tables
from trialstrat.report.context import Context
from trialstrat.report.page import Block, Cell, Head, Row, Section, TableView
from trialstrat.report.sections import general
from trialstrat.results import Cell as Raw
from trialstrat.results import Table


def build(context: Context) -> Section | None:
    """The section."""
    stage = context.record.stage("prognostic")
    if stage is None or not (stage.tables or stage.findings):
        return None
    table = context.record.table("prognostic.factors")
    blocks: list[Block] = [] if table is None else [_table(table)]
    blocks += general.findings(stage)
    lead = fmt.sentence(stage.facts.get("lead", ""))
    return Section(key="prognostic", title="Factors and the outcome", lead=lead, blocks=tuple(blocks))


def _table(table: Table) -> TableView:
    labels = {column.key: column.label for column in table.columns}
    heads = ["Level or step", tables.numeric("Patients"), *_heads(labels)]
    rows: list[Row] = []
    before: Raw = None
    for row in table.records():
        if row["variable"] != before:
            rows.append(tables.divider(str(row["label"]), len(heads)))
            before = row["variable"]
        cells = [tables.text(row["level"], header=True), tables.value(row["n"], fmt.count)]
        rows.append(tables.row(*cells, *(_timed(row) if "hazard_ratio" in labels else _plain(row)), level=1))
    return TableView(
        key="prognostic-factors",
        caption=table.title,
        heads=tables.heads(*heads),
        rows=tuple(rows),
        note=table.note,
    )


def _heads(heads: dict[str, str]) -> list[Head]:
    if "hazard_ratio" in heads:
        pairs = (("hazard_ratio", "p"), ("adjusted_hazard_ratio", "p"))
        found = [tables.numeric("Events")]
        for ratio, p in pairs:
            found += [tables.numeric(f"{heads[ratio]} (95% interval)"), tables.numeric(p)]
        return found
    described = ("mean", "median") if "mean" in heads else ("events", "risk")
    shown = [tables.numeric(heads[key]) for key in described]
    return [*shown, tables.numeric(f"{heads['contrast']} (95% interval)"), tables.numeric("p")]


def _timed(row: dict[str, Raw]) -> list[Cell]:
    alone = _ranged(row, ("hazard_ratio", "lower", "upper"), ratio=True)
    together = _ranged(row, ("adjusted_hazard_ratio", "adjusted_lower", "adjusted_upper"), ratio=True)
    p = (tables.value(row[key], fmt.p_value) for key in ("p", "adjusted_p"))
    return [tables.value(row["events"], fmt.count), alone, next(p), together, next(p)]


def _plain(row: dict[str, Raw]) -> list[Cell]:
    if "mean" in row:
        shown = [tables.value(row[key], lambda v: fmt.fixed(v, 1)) for key in ("mean", "median")]
    else:
        shown = [tables.value(row["events"], fmt.count), tables.value(row["risk"], fmt.percent)]
    contrast = _ranged(row, ("contrast", "lower", "upper"), ratio="mean" not in row)
    return [*shown, contrast, tables.value(row["p"], fmt.p_value)]


def _ranged(row: dict[str, Raw], keys: tuple[str, str, str], *, ratio: bool) -> Cell:
    """A value with its limits; ratios near 1 (per small step) with the decimals they need, empty for a reference."""
    point = tables.number_of(row[keys[0]])
    if point is None or not math.isfinite(point):
        return tables.value(None, fmt.effect)
    if ratio:
        return tables.ratio_of(row, keys, "", tables.Footnotes())
    return tables.ranged(row, keys, lambda value: fmt.fixed(value, 1), "", tables.Footnotes())
