"""Primary analysis: curves by arm, the effect on both scales, and whether the hazards are proportional."""

from __future__ import annotations

import math

from trialstrat.report import format as fmt
from trialstrat.report import tables
from trialstrat.report.context import Context
from trialstrat.report.curve_views import Source
from trialstrat.report.page import Block, Figure, Head, Notice, Section, Stat, Stats, TableView
from trialstrat.report.sections.curve_figure import survival_figure
from trialstrat.report.sections.effects import effects, points
from trialstrat.report.sections.incidence import incidence_figure
from trialstrat.report.sections.weighting import weighting
from trialstrat.report.sentences import more_or_fewer
from trialstrat.results import Estimate

#: What leads by the kind of the endpoint: stem of the estimate, its name, how it is written.
LEADING: dict[str, tuple[str, str, tables.Formatter]] = {
    "time_to_event": ("cox.hazard_ratio", "hazard ratio", fmt.effect),
    "competing": ("cox.hazard_ratio", "cause-specific hazard ratio", fmt.effect),
    "binary": ("risk_difference", "risk difference in percentage points", points),
    "continuous": ("mean_difference", "difference in means", fmt.effect),
}


def build(context: Context) -> Section | None:
    """The section."""
    stage = context.record.stage("primary")
    if stage is None:
        return None
    blocks: list[Block] = []
    unasked = context.record.fact("primary", "question_not_asked")
    if unasked:
        blocks.append(Notice(heading="What these data cannot answer", items=(fmt.sentence(unasked),)))
    blocks += [block for block in (_stats(context), _figure(context), incidence_figure(context)) if block is not None]
    if context.pairs:
        blocks += [effects(context), *weighting(context)]
    blocks.append(by_arm(context))
    blocks += [view for view in (milestones(context),) if view is not None]
    for name, caption in (("adjusted", "Adjusted Cox model"), ("ph_test", "Test of proportional hazards")):
        table = context.record.table(f"primary.{name}")
        if table is not None:
            blocks.append(
                _adjusted(context)
                if name == "adjusted"
                else tables.view(table, name, drop=("term",), caption=caption, folded=caption)
            )
    return Section(key="primary", title="Primary analysis", lead=_lead(context), blocks=tuple(blocks))


def _lead(context: Context) -> str:
    if not context.pairs:
        reason = context.record.fact("primary", "question_not_asked") or "there is no control arm"
        return f"No effect of treatment is estimated: {fmt.lower_first(reason).rstrip('.')}."
    suffix = context.pairs[0][0]
    stem, label, how = LEADING.get(str(context.endpoint.get("kind")), LEADING["time_to_event"])
    found = context.record.estimate(f"primary.{stem}.{suffix}")
    names = context.pair_label(suffix)
    if found is None:
        return f"{names}: no {label} was estimated."
    if found.status != "ok":
        return f"{names}: the {label} cannot be estimated, {fmt.lower_first(found.reason).rstrip('.')}."
    text = fmt.interval(found.value, found.lower, found.upper, how)
    ph = context.ok(f"primary.ph.p.{suffix}")
    tail = f"; {_proportional(ph)}" if ph else ""
    return f"{names}: {label} {text}{tail}."


def _proportional(ph: Estimate) -> str:
    """What the test of proportional hazards says, in words and number."""
    if ph.value < 0.05:
        return f"the hazards are not proportional (p {fmt.p_value(ph.value)}), so the difference in mean time leads"
    return f"no sign that the hazards are not proportional (p {fmt.p_value(ph.value)})"


def stat(found: Estimate | None, label: str, how: tables.Formatter, unit: str = "") -> Stat:
    """A large number with its interval below."""
    if found is None:
        return Stat(label=label, value=fmt.DASH, reason="not computed in this run")
    if found.status != "ok":
        return Stat(label=label, value=fmt.DASH, reason=found.reason)
    if math.isnan(found.lower) and math.isnan(found.upper):
        return Stat(label=label, value=f"{how(found.value)}{unit}", detail="without an interval")
    written = fmt.like_effect(found.value) if how is fmt.effect else how
    ends = f"{fmt.bound(found.lower, written)} to {fmt.bound(found.upper, written)}"
    tail = f"{fmt.percent(found.level, 0)} interval {ends}"
    return Stat(label=label, value=f"{how(found.value)}{unit}", detail=tail)


def _stats(context: Context) -> Stats | None:
    if not context.pairs:
        return None
    suffix = context.pairs[0][0]
    at = context.at_horizon

    def of(name: str) -> Estimate | None:
        return context.record.estimate(f"primary.{name}.{suffix}")

    kind = context.endpoint.get("kind")
    if kind == "binary":
        risk = stat(of("risk_difference"), "Risk difference, percentage points", points)
        return Stats(items=(risk, stat(of("odds_ratio"), "Odds ratio", fmt.effect)))
    if kind == "continuous":
        return Stats(items=(stat(of("mean_difference"), "Difference in means", fmt.effect),))
    if kind == "competing":
        cif = stat(of("cif.difference"), f"Difference in cumulative incidence at {at}, percentage points", points)
        ratios = (("cox", "Cause-specific hazard ratio"), ("fine_gray", "Subdistribution hazard ratio"))
        return Stats(items=(cif, *(stat(of(f"{name}.hazard_ratio"), label, fmt.effect) for name, label in ratios)))
    return Stats(
        items=(
            stat(of("cox.hazard_ratio"), "Hazard ratio", fmt.effect),
            stat(of("milestone.difference"), f"Difference in share {context.free} at {at}, percentage points", points),
            stat(of("rmst.difference"), f"Mean {context.unit} gained up to {at}", fmt.effect),
        )
    )


def _figure(context: Context) -> Figure | None:
    km, risk = context.record.table("primary.km"), context.record.table("primary.at_risk")
    if km is None or risk is None:
        return None
    source = Source(
        km=km,
        at_risk=risk,
        key="arm",
        censoring=context.record.table("primary.censoring"),
        medians=context.medians(),
        exact=context.exact_points(),
    )
    title = survival_title(context)
    what = "Free of any event" if context.endpoint.get("kind") == "competing" else context.endpoint_label
    subtitle = f"{what}, Kaplan-Meier with 95% bands; ticks mark censored patients, dots the medians"
    return survival_figure(context, source, key="primary-km", title=title, subtitle=subtitle, order=context.arm_order)


def survival_title(context: Context) -> str:
    """What the curves by arm show, as the title of their figure."""
    if context.pairs:
        suffix, treatment, control = context.pairs[0]
        gain = context.ok(f"primary.milestone.difference.{suffix}")
        if gain:
            names = [fmt.lower_first(context.arm_label(arm)) for arm in (treatment, control)]
            return (
                f"Of 100 patients {more_or_fewer(gain)} are {context.free} at {context.at_horizon} with {names[0]} "
                f"than with {names[1]}"
            )
    alone = next((e for e in (context.ok(f"primary.milestone.{arm}") for arm in context.arm_names) if e), None)
    if alone:
        text = fmt.interval(alone.value, alone.lower, alone.upper, fmt.per_hundred)
        return f"{text} of 100 patients are {context.free} at {context.at_horizon}"
    what = "Free of any event" if context.endpoint.get("kind") == "competing" else context.endpoint_label
    return f"{what}, by arm" if context.pairs else f"{what}, all patients"


def by_arm(context: Context) -> TableView:
    """Medians, event-free shares and mean times of every arm."""
    notes = tables.Footnotes()
    arms = tuple(arm for arm in context.arm_names if _known(context, arm)) or ("all",)
    shown = [(name, head, how) for name, head, how in _measures(context) if _held(context, name, arms)]
    rows = [
        tables.row(
            tables.text(context.arm_label(arm), header=True),
            *(tables.estimate(context.record.estimate(f"primary.{name}.{arm}"), how, notes) for name, _, how in shown),
        )
        for arm in arms
    ]
    head = tables.heads("Arm", *(head for _, head, _ in shown))
    caption = "Outcome by arm, with 95% intervals"
    return TableView(key="outcome", caption=caption, heads=head, rows=tuple(rows), footnotes=notes.entries())


def milestones(context: Context) -> TableView | None:
    """Survival or cumulative incidence at the declared times, a row per time and arm."""
    table = context.record.table("primary.milestones")
    if table is None:
        return None
    keys = [column.key for column in table.columns]
    first = "incidence" if "incidence" in keys else "survival"
    more = [key for key in ("others", "naive") if key in keys]
    heads = {column.key: column.label for column in table.columns}
    notes = tables.Footnotes()
    rows = [
        tables.row(
            tables.text(f"{fmt.fixed(float(row['time'] or 0), 1).removesuffix('.0')} {context.unit}", header=True),
            tables.text(row["label"]),
            tables.ranged(row, (first, "lower", "upper"), fmt.percent, str(row["reason"] or "not estimable"), notes),
            *(tables.value(row[key], fmt.percent, str(row["reason"] or ""), notes) for key in more),
        )
        for row in sorted(table.records(), key=lambda row: float(row["time"] or 0))
    ]
    head = tables.heads(
        "At", "Arm", tables.numeric(f"{heads[first]} (95% interval)"), *(tables.numeric(heads[key]) for key in more)
    )
    return TableView(
        key="milestones", caption=table.title, heads=head, rows=tuple(rows), note=table.note, footnotes=notes.entries()
    )


def _measures(context: Context) -> tuple[tuple[str, Head, tables.Formatter], ...]:
    """What may be known of an arm, by the kind of the endpoint."""
    at = context.at_horizon
    return (
        ("km.median", tables.numeric("Median", context.unit), lambda v: fmt.fixed(v, 1)),
        ("milestone", tables.numeric(f"{context.free.capitalize()} at {at}"), fmt.percent),
        ("cif", tables.numeric(f"Cumulative incidence at {at}"), fmt.percent),
        (
            "rmst",
            tables.numeric(f"Mean time {context.free} up to {at}", context.unit),
            lambda v: fmt.fixed(v, 1),
        ),
        ("risk", tables.numeric("With the event"), fmt.percent),
        ("mean", tables.numeric("Mean"), fmt.effect),
    )


def _held(context: Context, name: str, arms: tuple[str, ...]) -> bool:
    return any(context.record.estimate(f"primary.{name}.{arm}") is not None for arm in arms)


def _known(context: Context, arm: str) -> bool:
    return any(_held(context, name, (arm,)) for name, _, _ in _measures(context))


def _adjusted(context: Context) -> TableView:
    table = context.record.table("primary.adjusted")
    notes = tables.Footnotes()
    rows = []
    for row in table.records() if table else []:
        ratio = tables.ratio(row, "not estimable", notes)
        label = tables.text(row["label"] or row["term"], header=True)
        rows.append(tables.row(label, ratio, tables.value(row["p"], fmt.p_value)))
    head = tables.heads("Term", tables.numeric("Hazard ratio (95% interval)"), tables.numeric("p"))
    note = table.note if table else ""
    caption = "Adjusted Cox model"
    return TableView(
        key="adjusted", caption=caption, heads=head, rows=tuple(rows), note=note, footnotes=notes.entries()
    )
