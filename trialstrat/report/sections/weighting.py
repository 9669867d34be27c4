"""Arms that were not formed by randomisation: how weighting made them comparable, and how much it cost."""

from __future__ import annotations

from trialstrat.report import format as fmt
from trialstrat.report import tables
from trialstrat.report.context import Context
from trialstrat.report.figures.dots import Dot, Scale, dot_chart
from trialstrat.report.page import Block, Figure, Panel
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
        blocks.append(
            tables.view(overlap, "overlap", drop=("arm",), folded="How far the propensities of the arms overlap")
        )
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
