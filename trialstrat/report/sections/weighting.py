"""Arms that were not formed by randomisation: how weighting made them comparable, and how much it cost."""

from __future__ import annotations

from trialstrat.report import format as fmt
from trialstrat.report import tables
from trialstrat.report.context import Context
from trialstrat.report.figures.dots import Dot, Scale, dot_chart
from trialstrat.report.figures.performance import Bars, mirrored_chart
from trialstrat.report.page import Block, Figure, Panel
from trialstrat.results import Cell as Raw
from trialstrat.results import Table

BALANCED = 0.1


def weighting(context: Context) -> list[Block]:
    """Balance before and after, and the overlap of the propensities; nothing for a randomised trial."""
    blocks: list[Block] = []
    balance, overlap = (context.record.table(f"primary.{name}") for name in ("balance", "overlap"))
    if balance is not None:
        figure = _figure(balance, context)
        blocks += [figure] if figure is not None else []
    if overlap is not None:
        blocks += _overlap(overlap, context)
    return blocks


def _figure(balance: Table, context: Context) -> Figure | None:
    rows = []
    several = len(set(balance.column("comparison"))) > 1
    for row in balance.records():
        before, after = (tables.number_of(row[key]) for key in ("before", "after"))
        if before is not None and after is not None:
            tail = f" ({str(row['comparison']).replace('_', ' ')})" if several else ""
            rows.append((f"{row['label'] or row['variable']}{tail}", abs(before), abs(after)))
    if not rows:
        return None
    rows.sort(key=lambda entry: -entry[1])
    dots = [
        Dot(
            label=label,
            value=after,
            second=before,
            written=f"{fmt.fixed(before, 2)} → {fmt.fixed(after, 2)}",
        )
        for label, before, after in rows
    ]
    worst = [max(entry[at] for entry in rows) for at in (1, 2)]
    top = max(0.3, 1.08 * max(worst))
    scale = Scale(title="Absolute standardised mean difference", domain=(0, top), reference=BALANCED, count=4)
    title = f"Weighting brings the largest difference between the arms from {worst[0]:.2f} to {worst[1]:.2f}"
    return Figure(
        key="balance",
        title=title,
        subtitle=f"Standardised differences before (hollow) and after weighting (filled); the line marks {BALANCED}",
        description=fmt.sentence("; ".join(f"{dot.label}: {dot.written}" for dot in dots)),
        panels=(
            Panel(
                chart=dot_chart(dots, scale, written="Before → after", width=330),
                narrow=dot_chart(dots, scale, written="Before → after", width=90),
            ),
        ),
        caption=_cost(context),
        numbers=(tables.view(balance, "balance-numbers", caption="The numbers of this figure", drop=("variable",)),),
    )


def _cost(context: Context) -> str:
    """What is left of every arm after weighting."""
    parts = []
    for suffix, treatment, control in context.pairs:
        for arm in (treatment, control):
            found = context.ok(f"primary.weighted.ess.{suffix}.{arm}")
            if found:
                parts.append(f"{context.arm_label(arm)} {fmt.count(found.value)}")
    return f"Effective numbers of patients after weighting: {fmt.listing(parts)}." if parts else ""


def _overlap(overlap: Table, context: Context) -> list[Block]:
    """One mirrored histogram per comparison: treated upwards, control downwards."""
    out: list[Block] = []
    for suffix, treatment, control in context.pairs:
        rows = [row for row in overlap.records() if row["comparison"] == suffix]
        sides = [_side(rows, arm, style, context) for style, arm in enumerate((treatment, control))]
        if not all(side.rows for side in sides):
            continue
        axis = f"Probability of having been given {fmt.lower_first(context.arm_label(treatment))}"
        charts = [mirrored_chart(sides[0], sides[1], x_title=axis, width=width) for width in (430, 250)]
        out.append(
            Figure(
                key=f"overlap-{suffix}",
                title=_overlap_title(sides),
                subtitle="How likely patients were to be treated, by arm; where the arms overlap they can be compared",
                description=_overlap_title(sides) + ".",
                panels=(Panel(chart=charts[0], narrow=charts[1]),),
                caption=overlap.note,
                numbers=(
                    tables.view(
                        overlap.with_rows([tuple(row.values()) for row in rows]),
                        f"overlap-{suffix}-numbers",
                        caption="The numbers of this figure",
                        drop=("comparison", "arm"),
                    ),
                ),
            )
        )
    return out


def _side(rows: list[dict[str, Raw]], arm: str, style: int, context: Context) -> Bars:
    mine = [row for row in rows if row["arm"] == arm]
    clean = [{key: tables.number_of(row[key]) for key in ("low", "high", "count")} for row in mine]
    return Bars(label=context.arm_label(arm), style=style, rows=clean)


def _overlap_title(sides: list[Bars]) -> str:
    """The span of probabilities in which both arms have patients."""
    held = [{row["low"]: row["high"] for row in side.rows if row["count"]} for side in sides]
    both = sorted(set(held[0]) & set(held[1]))
    if not both:
        return "The arms hardly overlap: no stretch of probabilities has a shown number of patients of both"
    span = f"{fmt.percent(both[0], 0)} to {fmt.percent(held[0][both[-1]], 0)}"
    return f"Both arms have patients whose probability of treatment lies between {span}".replace(" to ", " and ")
