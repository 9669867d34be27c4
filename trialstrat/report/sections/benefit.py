"""Predicted benefit: does ranking patients by what they would gain hold in patients who were held out."""

from __future__ import annotations

from collections.abc import Sequence

from trialstrat.report import format as fmt
from trialstrat.report import tables
from trialstrat.report.context import Context
from trialstrat.report.figures.dots import Dot, Scale, dot_chart
from trialstrat.report.figures.heterogeneity import targeting_chart
from trialstrat.report.page import Block, Figure, Notice, Panel, Section, TableView
from trialstrat.report.sections import general
from trialstrat.results import Cell, Table

Record = dict[str, Cell]
READING = (
    "Benefit was predicted for patients whom the model had not seen, and judged by the effect observed in them.",
    "Targeting curve: how much larger the effect is among those ranked first than among all; zero: no use in ranking.",
    "Calibration slope: 1 when predicted differences are as large as the observed ones, below 1 when exaggerated.",
)


def build(context: Context) -> Section | None:
    """The section."""
    stage = context.record.stage("benefit")
    if stage is None:
        return None
    scores = context.record.table("benefit.scores")
    blocks: list[Block] = []
    if scores is None:
        blocks.append(Notice(heading="What these data cannot answer", items=(fmt.sentence(_refusal(context)),)))
    else:
        blocks.append(Notice(heading="How to read it", items=READING))
        blocks.append(_scores(scores))
        for pair in dict.fromkeys(str(pair) for pair in scores.column("comparison")):
            blocks += [*_targeting(context, pair), *_calibration(context, pair)]
        settings = context.record.table("benefit.settings")
        if settings is not None:
            folded = "Settings found in every fold"
            blocks.append(tables.view(settings, "benefit-settings", drop=("learner",), folded=folded))
    blocks += general.findings(stage)
    return Section(key="benefit", title="Predicted benefit", lead=_lead(context, scores), blocks=tuple(blocks))


def _refusal(context: Context) -> str:
    return context.record.fact("benefit", "refused") or "benefit was not predicted"


def _lead(context: Context, scores: Table | None) -> str:
    if scores is None:
        return fmt.sentence(f"Individual benefit was not predicted: {fmt.lower_first(_refusal(context))}")
    row = _default(context, scores)
    p = fmt.p_value(tables.number_of(row["p"]))
    value, lower, upper = (tables.number_of(row[key]) for key in ("autoc", "lower", "upper"))
    area = fmt.interval(value, lower, upper, fmt.effect)
    holds = (tables.number_of(row["p"]) or 1.0) < 0.05 and (value or 0.0) > 0
    verdict = f"{'ranks' if holds else 'does not rank'} held-out patients by benefit{'' if holds else ' beyond chance'}"
    return f"{row['label']}: {verdict}, area under the targeting curve {area}, p {p}."


def _default(context: Context, scores: Table) -> Record:
    wanted = context.record.fact("benefit", "default")
    rows = scores.records()
    return next((row for row in rows if row["learner"] == wanted), rows[0])


def _scores(table: Table) -> TableView:
    notes = tables.Footnotes()
    several = len({str(pair) for pair in table.column("comparison")}) > 1
    rows = []
    for row in table.records():
        label = f"{row['label']} ({row['comparison']})" if several else str(row["label"])
        spread = [fmt.effect(tables.number_of(row[f"benefit_{q}"])) for q in (5, 50, 95)]
        rows.append(
            tables.row(
                tables.text(label, header=True),
                tables.ranged(row, ("autoc", "lower", "upper"), fmt.effect, "not estimable", notes),
                tables.value(row["p"], fmt.p_value),
                tables.ranged(
                    row, ("slope", "slope_lower", "slope_upper"), fmt.effect, "equal predictions for everybody", notes
                ),
                tables.text(f"{spread[1]} ({spread[0]} to {spread[2]})"),
            )
        )
    unit = table.columns[table.index("autoc")].unit
    heads = tables.heads(
        "Learner",
        tables.numeric("Area under the targeting curve (95% interval)", unit),
        tables.numeric("p"),
        tables.numeric("Calibration slope (95% interval)"),
        tables.numeric("Predicted benefit, median (5% to 95% quantile)", unit),
    )
    return TableView(
        key="benefit-scores", caption=table.title, heads=heads, rows=tuple(rows), note=table.note,
        footnotes=notes.entries(),
    )  # fmt: skip


def _targeting(context: Context, pair: str) -> list[Block]:
    table = context.record.table("benefit.toc")
    if table is None:
        return []
    rows = [row for row in table.records() if row["comparison"] == pair]
    lines = []
    for style, learner in enumerate(dict.fromkeys(str(row["learner"]) for row in rows)):
        mine = [row for row in rows if row["learner"] == learner]
        points = [{key: float(row[key]) for key in ("share", "value", "lower", "upper")} for row in mine]  # type: ignore[arg-type]
        lines.append((str(mine[0]["label"]), style, points))
    unit = table.columns[table.index("value")].unit
    x_title = "Share of patients with the largest predicted benefit"
    y_title = f"Effect above the average{', ' + unit if unit else ''}"
    words = [f"{label}: {fmt.effect(points[1]['value'])} among the first 20%" for label, _, points in lines]
    among = f" ({pair})" if len(context.pairs) > 1 else ""
    return [
        Figure(
            key=f"targeting-{_slug(pair)}",
            title=f"Treating those with the largest predicted benefit first{among}",
            subtitle="Effect of treatment in the patients ranked first, above that of all; held-out patients, 95% band",
            description=fmt.sentence("; ".join(words)),
            panels=(
                Panel(
                    chart=targeting_chart(lines, x_title=x_title, y_title=y_title, width=480),
                    narrow=targeting_chart(lines, x_title=x_title, y_title=y_title, width=250),
                ),
            ),
            caption=table.note,
        )
    ]


def _slug(text: str) -> str:
    return "".join(letter if letter.isalnum() else "-" for letter in text)


def _calibration(context: Context, pair: str) -> list[Block]:
    """Groups of the default learner: observed with its interval, predicted as an open circle."""
    table = context.record.table("benefit.calibration")
    if table is None:
        return []
    wanted = context.record.fact("benefit", "default")
    rows = [row for row in table.records() if row["comparison"] == pair and row["learner"] == wanted]
    if not rows:
        return []
    dots = [_dot(row, at, len(rows)) for at, row in enumerate(rows, start=1)]
    ends = [v for dot in dots for v in (dot.lower, dot.upper, dot.second) if v is not None]
    reach = 1.1 * max([abs(v) for v in ends] or [1.0])
    unit = table.columns[table.index("observed")].unit
    title = f"Benefit{', ' + unit if unit else ''}"
    scale = Scale(title=title, domain=(-reach, reach), reference=0.0)
    among = f" ({pair})" if len(context.pairs) > 1 else ""
    return [
        Figure(
            key=f"benefit-calibration-{_slug(pair)}",
            title=f"Predicted and observed benefit, from the fifth with the smallest prediction to the largest{among}",
            subtitle=f"{rows[0]['label']}; observed with 95% interval, predicted as open circles",
            description=fmt.sentence("; ".join(f"{dot.label}: {dot.written}" for dot in dots)),
            panels=(
                Panel(
                    chart=dot_chart(dots, scale, columns=("n",), written="Observed", width=300),
                    narrow=dot_chart(_bare(dots), scale, width=150),
                ),
            ),
            caption=table.note,
        )
    ]


def _dot(row: Record, at: int, count: int) -> Dot:
    value, lower, upper, predicted = (tables.number_of(row[key]) for key in ("observed", "lower", "upper", "predicted"))
    names = {1: "Smallest predicted benefit", count: "Largest predicted benefit"}
    return Dot(
        label=names.get(at, f"Group {at}"),
        value=value,
        lower=lower,
        upper=upper,
        second=predicted,
        written=fmt.interval(value, lower, upper, fmt.effect) if value is not None else "– not shown",
        columns=(fmt.marked(str(row["n"])),),
    )


def _bare(dots: Sequence[Dot]) -> list[Dot]:
    return [Dot(label=d.label, value=d.value, lower=d.lower, upper=d.upper, second=d.second) for d in dots]
