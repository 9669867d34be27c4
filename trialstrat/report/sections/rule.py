"""The predictive rule: naive, corrected and shrunken effects side by side, what was searched, and how stable it is."""

from __future__ import annotations

from collections.abc import Sequence

from trialstrat.report import format as fmt
from trialstrat.report import tables
from trialstrat.report.context import Context
from trialstrat.report.curve_views import Source
from trialstrat.report.figures.dots import Dot, Scale, dot_chart
from trialstrat.report.page import Block, Figure, Notice, Panel, Section, TableView
from trialstrat.report.sections import general
from trialstrat.report.sections.curve_figure import survival_figure
from trialstrat.report.sections.risk_groups import hazard_scale
from trialstrat.results import Cell, Table

Record = dict[str, Cell]

SETS = {"rule": "Inside the rule", "complement": "Outside the rule", "interaction": "Inside against outside"}
KINDS = {"naive": "naive", "corrected": "corrected for the search", "shrunken": "shrunken"}
STYLES = {"naive": 3, "corrected": 0, "shrunken": 2}
READING = (
    "Naive: as fitted, too extreme because the rule was chosen for being extreme; it never stands alone.",
    "Corrected: what is left when the whole search, repeated on data of known truth, is paid for.",
    "Shrunken: drawn towards the effect in all patients by how much effects differ between declared splits.",
)
#: Simple tables shown as they were stored: name, caption, folded.
PLAIN = (
    ("comparisons", "Every treatment against the control", False),
    ("searched", "What was searched", False),
    ("weights", "Weight of each marker beforehand", True),
    ("selection_frequency", "Conditions found again in resamples", False),
    ("cutpoints", "Cut-points found in resamples", True),
    ("top", "The best rules of the search", True),
)


def build(context: Context) -> Section | None:
    """The section."""
    stage = context.record.stage("rule")
    if stage is None:
        return None
    blocks: list[Block] = []
    effects = context.record.table("rule.effects")
    if effects is not None:
        blocks.append(Notice(heading="How to read it", items=READING))
    conditions = context.record.table("rule.conditions")
    if conditions is not None:
        caption = "Conditions of the rule" if _claimed(context) else "Conditions of the best rule (not supported)"
        blocks.append(tables.view(conditions, "rule-conditions", drop=("id", "column"), caption=caption))
    if effects is not None:
        blocks += [*_figures(context, effects), _effects(context, effects)]
    blocks += _curves(context)
    stability = context.record.table("rule.stability")
    if stability is not None:
        blocks.append(tables.view(stability, "rule-stability", drop=("quantity",), caption="How stable the rule is"))
    for name, caption, folded in PLAIN:
        table = context.record.table(f"rule.{name}")
        if table is not None:
            blocks.append(
                tables.view(table, f"rule-{name.replace('_', '-')}", caption=caption, folded=caption if folded else "")
            )
    known = {"conditions", "effects", "stability", "km", "at_risk", "censoring", *(name for name, _, _ in PLAIN)}
    blocks += [
        tables.view(table, table.name.replace(".", "-"), folded=table.title)
        for table in stage.tables
        if table.rows and table.name.removeprefix("rule.") not in known
    ]
    blocks += general.findings(stage)
    return Section(key="rule", title="Predictive rule", lead=_lead(context), blocks=tuple(blocks))


def _claimed(context: Context) -> bool:
    return context.record.fact("rule", "claimed") == "yes"


def _lead(context: Context) -> str:
    """The stage's own sentence, else what the facts say."""
    sentence = context.record.fact("rule", "sentence")
    if sentence:
        return fmt.sentence(sentence)
    text = context.record.fact("rule", "rule_text")
    if not _claimed(context):
        return "No rule is supported: treat as one population."
    ratio = _stored(context, "rule", "corrected", "hazard_ratio")
    if ratio is None:
        return fmt.sentence(f"The effect of treatment differs by a rule: {text}")
    value = fmt.interval(ratio.value, ratio.lower, ratio.upper, fmt.effect)
    return fmt.sentence(f"The effect of treatment differs by a rule: {text}; corrected hazard ratio inside {value}")


def _stored(context: Context, part: str, kind: str, scale: str):
    """An estimate of the rule; its id is public and begins with ``subgroups``, not with the name of the stage."""
    stage = context.record.stage("rule")
    name = f"subgroups.{part}.1.{scale}.{kind}"
    found = next((entry for entry in stage.estimates if entry.name == name), None) if stage else None
    return found if found is not None and found.status == "ok" else None


def _ratio(scale: str) -> bool:
    return "ratio" in scale


def _scales(effects: Table) -> list[str]:
    return list(dict.fromkeys(str(scale) for scale in effects.column("scale")))


def _scale_label(context: Context, scale: str) -> str:
    if scale == "rmst_difference":
        return f"Mean {context.unit} gained up to {context.at_horizon}"
    return scale.replace("_", " ").capitalize()


def _of(effects: Table, scale: str) -> list[Record]:
    """Rows of one scale in reading order."""
    rows = [row for row in effects.records() if row["scale"] == scale]
    order = {(part, kind): (a, b) for a, part in enumerate(SETS) for b, kind in enumerate(KINDS)}
    return sorted(rows, key=lambda row: order.get((str(row["set"]), str(row["kind"])), (9, 9)))


def _figures(context: Context, effects: Table) -> list[Block]:
    """One figure with a panel per scale."""
    panels, words = [], []
    for scale in _scales(effects):
        rows = [row for row in _of(effects, scale) if tables.number_of(row["value"]) is not None]
        if not rows:
            continue
        label = _scale_label(context, scale)
        panels.append(_panel(rows, scale, label))
        words += [f"{label}, {_row_label(row)}: {_written(row)}" for row in rows]
    if not panels:
        return []
    text = context.record.fact("rule", "rule_text")
    title = f"Effect inside and outside the rule: {text}" if text else "Effect inside and outside the rule"
    if not _claimed(context):
        title = f"No rule is supported; the best one found: {text}" if text else "No rule is supported"
    return [
        Figure(
            key="rule-effects",
            title=title,
            subtitle="Naive, corrected for the search and shrunken, with 95% intervals",
            description=fmt.sentence("; ".join(words)),
            panels=tuple(panels),
            caption=fmt.sentence(effects.note),
        )
    ]


def _row_label(row: Record) -> str:
    return f"{SETS.get(str(row['set']), str(row['set']))}, {KINDS.get(str(row['kind']), str(row['kind']))}"


def _written(row: Record) -> str:
    value, lower, upper = (tables.number_of(row[key]) for key in ("value", "lower", "upper"))
    return fmt.interval(value, lower, upper, fmt.effect)


def _panel(rows: Sequence[Record], scale: str, label: str) -> Panel:
    dots = [
        Dot(
            label=_row_label(row),
            value=tables.number_of(row["value"]),
            lower=tables.number_of(row["lower"]),
            upper=tables.number_of(row["upper"]),
            written=_written(row),
            style=STYLES.get(str(row["kind"]), 0),
            hollow=row["kind"] == "naive",
        )
        for row in rows
    ]
    ends = [v for dot in dots for v in (dot.lower, dot.upper) if v is not None]
    if _ratio(scale):
        axis = hazard_scale(ends, ("← treatment better", "control better →"), None, f"{label}, log scale")
    else:
        reach = 1.15 * max([abs(v) for v in ends] or [1.0])
        favours = ("← control better", "treatment better →") if scale == "rmst_difference" else ("", "")
        axis = Scale(title=label, domain=(-reach, reach), reference=0.0, favours=favours)
    bare = [
        Dot(label=d.label, value=d.value, lower=d.lower, upper=d.upper, style=d.style, hollow=d.hollow) for d in dots
    ]
    return Panel(
        chart=dot_chart(dots, axis, written="Estimate", width=260), narrow=dot_chart(bare, axis, width=110), label=label
    )


def _effects(context: Context, effects: Table) -> TableView:
    """Rows: whom; columns: naive, corrected, shrunken."""
    notes = tables.Footnotes()
    rows = []
    for scale in _scales(effects):
        rows.append(tables.divider(_scale_label(context, scale), 5 + len(KINDS)))
        mine = _of(effects, scale)
        for part, name in SETS.items():
            found = {str(row["kind"]): row for row in mine if row["set"] == part}
            if not found:
                continue
            first = next(iter(found.values()))
            counts = [tables.value(first[k], fmt.count) for k in ("n", "events", "n_control", "n_treated")]
            cells = [
                tables.ranged(found[kind], ("value", "lower", "upper"), fmt.effect, "not estimable", notes)
                if kind in found
                else tables.missing("not computed", notes)
                for kind in KINDS
            ]
            rows.append(tables.row(tables.text(name, header=True), *counts, *cells))
    heads = tables.heads(
        "Patients",
        tables.numeric("n"),
        tables.numeric("Events"),
        tables.numeric("n", "control"),
        tables.numeric("n", "treated"),
        *(tables.numeric(f"{name.capitalize()} (95% interval)") for name in KINDS.values()),
    )
    return TableView(
        key="rule-effects-table", caption="The effect three ways", heads=heads, rows=tuple(rows), note=effects.note,
        footnotes=notes.entries(),
    )  # fmt: skip


def _curves(context: Context) -> list[Block]:
    """Survival by arm inside and outside the rule."""
    km, risk = context.record.table("rule.km"), context.record.table("rule.at_risk")
    if km is None or risk is None:
        return []
    out: list[Block] = []
    for population in ("inside", "outside"):
        source = Source(km=km, at_risk=risk, key="arm", only={"population": population})
        if not source.rows(km):
            continue
        label = next((str(row["label_population"]) for row in source.rows(km)), population)
        out.append(
            survival_figure(
                context,
                source,
                key=f"rule-km-{population}",
                title=f"{context.endpoint_label}, {fmt.lower_first(label)}",
                subtitle="Kaplan-Meier with 95% bands; the rule was chosen on these patients",
                order=context.arm_order,
            )
        )
    return out
