"""Patients and flow: who came into the analysis, who was lost on the way, what is missing."""

from __future__ import annotations

from trialstrat.report import format as fmt
from trialstrat.report import tables
from trialstrat.report.context import Context
from trialstrat.report.figures.consort import NARROW, WIDE, Step, flow_drawing
from trialstrat.report.page import Block, Figure, Panel, Prose, Section, TableView
from trialstrat.report.sections import general
from trialstrat.results import Cell, Table

KINDS = {
    "join": "Not matched between files",
    "validation": "Removed by checks",
    "inclusion": "Excluded",
    "exclusion": "Excluded",
    "outcome": "No usable outcome",
}


def build(context: Context) -> Section | None:
    """The section."""
    stage = context.record.stage("cohort")
    if stage is None:
        return None
    blocks: list[Block] = []
    attrition = context.record.table("cohort.attrition")
    if attrition is not None:
        blocks += [_figure(attrition, context), _attrition(attrition, context)]
    blocks += [
        view
        for view in (_eligibility(context), _sources(context), _features(context), *_batches(context))
        if view is not None
    ]
    blocks += _missing(context)
    anonymity = context.record.table("cohort.anonymity")
    if anonymity is not None:
        blocks.append(tables.view(anonymity, "anonymity", drop=("set",), folded=anonymity.title))
    blocks += general.findings(stage)
    lead = _lead(attrition, context)
    return Section(key="flow", title="Patients and flow", lead=lead, blocks=tuple(blocks))


def _lead(attrition: Table | None, context: Context) -> str:
    population = context.population()
    if attrition is None:
        return fmt.sentence(f"The analysis covers {population}")
    rows = attrition.records()
    first, last = tables.number_of(rows[0]["before"]), tables.number_of(rows[-1]["remaining"])
    events = context.ok("cohort.events")
    tail = f", with {fmt.count(events.value)} events" if events else ""
    if first is not None and first == last:
        return f"All {fmt.count(last)} patients in the files were analysed{tail}; no step removed anybody."
    return f"{fmt.count(last)} of {fmt.count(first)} patients in the files were analysed{tail}."


def _is_loss(row: dict[str, Cell]) -> bool:
    """A removal that happened, or may have happened below the declared minimum."""
    return isinstance(row["removed"], str) or row["removed"] is None or float(row["removed"]) > 0


def _shown(raw: Cell, context: Context) -> str:
    if isinstance(raw, str):
        return fmt.marked(raw)
    return fmt.suppressed(context.minimum_cell) if raw is None else fmt.count(float(raw))


def steps(
    attrition: Table, context: Context, *, first: str = "Patients in the files", last: str = "Analysed"
) -> list[Step]:
    """Consecutive losses of the same sort make one box at the right; ``first`` and ``last`` name the ends."""
    rows = attrition.records()
    made = [[f"{first} (n = {_shown(rows[0]['before'], context)})", []]]
    sort = ""
    for row in rows:
        kind = KINDS.get(str(row["kind"]), "Removed")
        if not _is_loss(row):
            continue
        reason = f"{row['text']} (n = {_shown(row['removed'], context)})"
        if kind == sort:
            made[-2][1].append(reason)  # type: ignore[union-attr]
            made[-1][0] = f"Remaining (n = {_shown(row['remaining'], context)})"
        else:
            made[-1][1].extend([kind, reason])  # type: ignore[union-attr]
            made.append([f"Remaining (n = {_shown(row['remaining'], context)})", []])
        sort = kind
    if len(made) == 1:
        made[0][1].append(f"Removed by any of {len(rows)} steps (n = 0)")  # type: ignore[union-attr]
        made.append(["", []])
    made[-1][0] = f"{last} (n = {_shown(rows[-1]['remaining'], context)})"
    return [Step(head=str(head), lost=tuple(lost)) for head, lost in made]


def _arms(context: Context) -> list[Step]:
    follow = context.record.table("baseline.follow_up")
    if follow is None:
        return []
    rows = [row for row in follow.records() if row["arm"] != "all"]
    return [
        Step(
            head=f"{row['label'] or row['arm']} (n = {_shown(row['n'], context)})",
            lines=(f"{_shown(row['events'], context)} events",),
        )
        for row in rows
    ]


def _figure(attrition: Table, context: Context) -> Figure:
    stops, arms = steps(attrition, context), _arms(context)
    rows = attrition.records()
    start, end = _shown(rows[0]["before"], context), _shown(rows[-1]["remaining"], context)
    title = f"From {start} patients in the files to {end} in the analysis"
    description = "; ".join([*(f"{s.head}, {', '.join(s.lost)}" for s in stops), *(arm.head for arm in arms)])
    words = {"title": title, "description": fmt.sentence(description)}
    panel = Panel(
        drawing=flow_drawing(stops, arms, plan=WIDE, key="flow", **words),
        narrow_drawing=flow_drawing(stops, arms, plan=NARROW, key="flow-narrow", **words),
    )
    return Figure(
        key="flow",
        title=title,
        subtitle="Flow of patients from the files to the analysis (CONSORT)",
        description=description,
        panels=(panel,),
        caption="Criteria are applied in the declared order; a patient is counted at the first step that removes them.",
    )


def _attrition(attrition: Table, context: Context) -> TableView:
    rows = []
    for number, row in enumerate(attrition.records(), start=1):
        counts = [
            tables.value(row[key] if row[key] is not None else _shown(None, context), fmt.count)
            for key in ("before", "removed", "unknown", "remaining")
        ]
        cells = (tables.value(number, fmt.count), tables.text(row["text"], header=True), tables.text(row["kind"]))
        rows.append(tables.row(*cells, *counts, muted=not _is_loss(row)))
    head = tables.heads(
        tables.numeric("Step"),
        "What was checked",
        "Kind",
        *(tables.numeric(word) for word in ("Before", "Removed", "Unknown", "Remaining")),
    )
    note = "Unknown: the value needed for the step is missing; the protocol says whether such patients stay."
    return TableView(
        key="attrition", caption="Every step, also those that removed nobody", heads=head, rows=tuple(rows), note=note
    )


def _eligibility(context: Context) -> TableView | None:
    table = context.record.table("cohort.eligibility")
    if table is None:
        return None
    caption = "Each criterion on its own, whatever the others say"
    return tables.view(table, "eligibility", caption=caption, folded="Each criterion on its own")


def _sources(context: Context) -> TableView | None:
    table = context.record.table("cohort.sources")
    return None if table is None else tables.view(table, "sources", drop=("sha256",), folded="Files read and joined")


def _features(context: Context) -> TableView | None:
    table = context.record.table("cohort.features")
    return None if table is None else tables.view(table, "features", drop=("feature",))


def _batches(context: Context) -> list[TableView]:
    found = [context.record.table(name) for name in ("cohort.batches", "cohort.batch_components")]
    return [tables.view(table, table.name.split(".")[1]) for table in found if table is not None]


def _missing(context: Context) -> list[Block]:
    """A pivot by arm; nothing but a sentence when nothing is missing."""
    table = context.record.table("cohort.missing")
    if table is None:
        return []
    records = table.records()
    if all(row["missing"] == 0 for row in records):
        n = len({row["variable"] for row in records})
        return [Prose(heading="Missing values", paragraphs=(f"No value is missing in any of the {n} variables used.",))]
    arms = [arm for arm in ("all", *context.arm_order) if any(row["arm"] == arm for row in records)]
    rows = []
    for variable in dict.fromkeys(str(row["variable"]) for row in records):
        mine = {str(row["arm"]): row for row in records if row["variable"] == variable}
        cells = [_missing_cell(mine.get(arm), context) for arm in arms]
        label = next(iter(mine.values()))["label"] or variable
        rows.append(tables.row(tables.text(label, header=True), *cells))
    head = tables.heads("Variable", *(tables.numeric(f"Missing, {context.arm_label(arm).lower()}") for arm in arms))
    caption = "Missing values by arm"
    return [TableView(key="missing", caption=caption, heads=head, rows=tuple(rows), note=table.note)]


def _missing_cell(row: dict[str, Cell] | None, context: Context):
    if row is None:
        return tables.value(None, fmt.count, "this variable was not counted in this arm")
    count, share = row["missing"], tables.number_of(row["share"])
    if isinstance(count, str) or count is None:
        return tables.value(_shown(count, context), fmt.count)
    words = fmt.count(float(count)) if share is None else f"{fmt.count(float(count))} ({fmt.percent(share)})"
    return tables.value(words, fmt.count)
