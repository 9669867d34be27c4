"""Page one: the answer, the figure that carries it, three cards, and what none of it shows."""

from __future__ import annotations

from dataclasses import replace

from trialstrat.report import format as fmt
from trialstrat.report import sentences, validation_cover
from trialstrat.report.context import Context
from trialstrat.report.criteria_text import criteria_text
from trialstrat.report.curve_views import Source, curves, numbers, time_ticks
from trialstrat.report.figures.curves import Layout, survival_chart
from trialstrat.report.page import Card, Cover, Figure, Panel, TableView
from trialstrat.report.sections.curve_figure import curve_words
from trialstrat.report.sections.primary import survival_title
from trialstrat.results import Finding

BADGES = {
    "confirmatory": ("Confirmatory", "The question and its analysis were declared before the outcomes were read."),
    "exploratory": ("Exploratory", "Found in these data; to be confirmed in other patients before it is acted on."),
    "descriptive": ("Descriptive", "Describes these patients; no hypothesis was tested."),
}
SIDES = ("inside", "outside")
MOST_LIMITS = 3
NARROW_WIDTH = 280
#: Below this agreement between the folds' rules and the final one, the rule's instability is a limit of page one.
UNSTABLE = 0.8
#: Names of arms from here on stand above their numbers at risk; the curves give up the room.
LONG_NAME = 24
PLACES = {"inside": "Inside the criteria", "outside": "Outside the criteria"}


def build(context: Context) -> Cover:
    """The whole of page one."""
    study = context.study
    validated = validation_cover.is_validation(context)
    badge, meaning = BADGES[context.record.evidence]
    facts = [
        ("Protocol", f"{study.get('id', '')} version {study.get('version', '')}".strip()),
        ("Data cut", str(study.get("data_cut") or fmt.NOT_PROVIDED)),
        ("Cohort", context.population()),
        ("Endpoint", context.endpoint_label),
    ]
    return Cover(
        title=str(study.get("title") or study.get("id") or "Study"),
        question=str(study.get("question") or ""),
        facts=tuple((name, value) for name, value in facts if value),
        badge=badge,
        badge_text=meaning,
        answers=validation_cover.answers(context) if validated else sentences.answers(context),
        cards=validation_cover.cards(context, _beware(context))
        if validated
        else (_enrol(context), _expect(context), _beware(context)),
        not_shown=validation_cover.not_shown(context) if validated else not_shown(context),
        figure=figure(context),
    )


def _enrol(context: Context) -> Card:
    rule = context.record.table("criteria.rule")
    if rule is not None and sentences.rule_proposed(context):
        lines = ["Eligible as written, and:", *(str(row["text"]) for row in rule.records())]
    else:
        asked = context.record.stage("criteria") is not None
        tail = "is supported by these data" if asked else "was studied in this run"
        lines = ["All patients who are eligible as written.", f"No further condition {tail}."]
    benefit = sentences.who_benefits(context)
    lines += [benefit] if benefit else []
    return Card(key="enrol", title="Enrol", lines=tuple(lines), copy=criteria_text(context))


def _expect(context: Context) -> Card:
    """The pool, the screening it needs and the events it yields."""
    wanted = (
        ("share", "of the cohort qualifies", lambda v: fmt.percent(v, 0)),
        ("screened_per_enrolled", "screened per patient enrolled", lambda v: fmt.fixed(v, 1)),
        ("event_rate_inside", f"have an event within {context.at_horizon}", lambda v: fmt.percent(v, 0)),
        ("events_gained_per_100", "more events per 100 enrolled", lambda v: fmt.fixed(v, 0)),
    )
    facts = []
    if sentences.rule_proposed(context):
        for key, label, how in wanted:
            found = context.ok(f"criteria.enrichment.{key}")
            if found:
                facts.append((fmt.interval(found.value, found.lower, found.upper, how), label))
    else:
        facts += _expect_without_rule(context)
    return Card(key="expect", title="Expect", facts=tuple(facts))


def _expect_without_rule(context: Context) -> list[tuple[str, str]]:
    facts = []
    n, events = context.ok("cohort.n"), context.ok("cohort.events")
    if n and events:
        facts.append((fmt.share(events.value, n.value), "patients had an event in this cohort"))
    rate = context.ok("criteria.enrichment.event_rate_all")
    if rate:
        text = fmt.interval(rate.value, rate.lower, rate.upper, lambda v: fmt.percent(v, 0))
        facts.append((text, f"have an event within {context.at_horizon}"))
    follow = context.ok("baseline.follow_up.median.all")
    if follow:
        text = fmt.interval(follow.value, follow.lower, follow.upper, lambda v: fmt.fixed(v, 0))
        facts.append((text, f"{context.unit}: median follow-up"))
    return facts


def limits(context: Context) -> list[str]:
    """The strongest limits, those that the study and its data have, never generic ones; declared ones first."""
    found = [fmt.sentence(str(entry)) for entry in context.study.get("limits") or ()]
    for suffix, *_ in context.pairs:
        ph = context.ok(f"primary.ph.p.{suffix}")
        alpha = float((context.study.get("analysis") or {}).get("ph_alpha", 0.05))
        if ph and ph.value < alpha:
            found.append(f"Hazards are not proportional (p {fmt.p_value(ph.value)}): one hazard ratio hides a change.")
    stability = context.ok("criteria.enrichment.stability")
    if sentences.rule_proposed(context) and stability and stability.value < UNSTABLE:
        found.append(
            f"The rule moves with the data: rules of the folds agree with it by {fmt.percent(stability.value, 0)}."
        )
    loss = context.ok("criteria.enrichment.c_loss")
    if sentences.rule_proposed(context) and loss and loss.value > 0.02:
        text = fmt.interval(loss.value, loss.lower, loss.upper, fmt.effect)
        found.append(f"The rule ranks patients less well than the full model: {text} of concordance is lost.")
    order = {"error": 0, "warning": 1}
    stages = context.record.stages.values()
    findings = [finding for stage in stages for finding in stage.findings if finding.severity in order]
    found += [_told(f) for f in sorted(findings, key=lambda f: (order[f.severity], -(f.bad or 0)))]
    return list(dict.fromkeys(found))


def _told(finding: Finding) -> str:
    """A finding without its code, which belongs to the sections; the name of a file keeps its letters."""
    text = finding.text().removeprefix(finding.code).strip()
    said = fmt.sentence(text)
    return text[0] + said[1:] if "." in finding.source and text.startswith(finding.source) else said


def _beware(context: Context) -> Card:
    found = limits(context)[:MOST_LIMITS]
    return Card(key="beware", title="Beware", lines=tuple(found) or ("No limit was declared, and no check found one.",))


def not_shown(context: Context) -> tuple[str, ...]:
    """What a reader might take from the page and must not."""
    out = []
    if sentences.rule_proposed(context):
        out.append("That treatment works better inside the criteria: they find risk, not response.")
    if context.pairs and not context.randomised:
        none = context.study.get("allocation") == "observational"
        out.append(
            f"That treatment caused the difference: {'patients' if none else 'not all patients'} were "
            f"{'not ' if none else ''}randomised."
        )
    if not context.pairs:
        out.append("Any effect of treatment: there is no comparison in these data.")
    if context.record.fact("models", "chosen"):
        out.append("How the model performs elsewhere: it was tested on held-out patients of this cohort.")
    if context.record.evidence != "confirmatory":
        out.append("A confirmed finding: the run is exploratory.")
    return tuple(out)


def figure(context: Context) -> Figure | None:
    """Kaplan-Meier by arm inside and outside the proposed criteria, or by arm alone when there is no rule."""
    km, risk = context.record.table("criteria.km"), context.record.table("criteria.at_risk")
    if km is not None and risk is not None and sentences.rule_proposed(context):
        made = [(side, Source(km=km, at_risk=risk, key="arm", only={"population": side})) for side in SIDES]
        title = "More events inside the proposed criteria than outside"
        inside, outside = (context.ok(f"criteria.enrichment.event_rate_{side}") for side in SIDES)
        if inside and outside:
            title = (
                f"Event within {context.at_horizon}: {fmt.per_hundred(inside.value)} of 100 inside the criteria, "
                f"{fmt.per_hundred(outside.value)} of 100 outside"
            )
        return _panels(context, made, title)
    km, risk = context.record.table("primary.km"), context.record.table("primary.at_risk")
    if km is None or risk is None:
        return None
    source = Source(km=km, at_risk=risk, key="arm", medians=context.medians(), exact=context.exact_points())
    return _panels(context, [("all", source)], survival_title(context))


def _panels(context: Context, sources: list[tuple[str, Source]], title: str) -> Figure:
    """One panel per population; numbers at risk carry their labels once, at the left."""
    sources = [(side, source) for side, source in sources if source.rows(source.km)]
    ticks = max((time_ticks(source) for _, source in sources), key=lambda found: found[-1])
    panels: list[Panel] = []
    views: list[TableView] = []
    single = len(sources) == 1
    long_names = max((len(context.arm_label(arm)) for arm in context.arm_names), default=0) > LONG_NAME
    by = " by arm" if context.pairs else ""
    for number, (side, source) in enumerate(sources):
        shown = curves(source, context.arm_order, context.minimum_cell)
        layout = Layout(
            ticks=ticks if single or len(ticks) < 7 else ticks[::2],
            time_title=context.time_title if single else context.unit.capitalize(),
            value_title=context.free.capitalize(),
            unit=context.unit,
            width=440 if single else 232,
            height=180 if single else 128 if long_names else 150,
            measures=("At risk",),
            horizon=context.horizon,
            label_inside=len(shown) <= 2,
            risk_labels=number == 0,
        )
        label = PLACES.get(side, side) if not single else ""
        chart, narrow = survival_chart(shown, layout), survival_chart(shown, _narrowed(layout))
        panels.append(Panel(chart=chart, narrow=narrow, label=label))
        views += numbers(source, shown, key=f"cover-{side}", unit=context.unit, first=label or "Arm")
    return Figure(
        key="cover",
        title=title,
        subtitle=f"{context.endpoint_label}, Kaplan-Meier{by} with 95% bands. {fmt.sentence(context.population())}",
        description=describe(sources, context),
        panels=tuple(panels),
        caption=_pooled(context.minimum_cell),
        numbers=tuple(views),
    )


def _pooled(minimum: int) -> str:
    return f"To protect patients each step stands for at least {minimum} events." if minimum > 1 else ""


def _narrowed(layout: Layout) -> Layout:
    """For a telephone: fewer ticks, every panel with its own labels."""
    ticks = layout.ticks if len(layout.ticks) < 6 else layout.ticks[::2]
    return replace(layout, width=NARROW_WIDTH, height=170, ticks=ticks, label_room=0)


def describe(sources: list[tuple[str, Source]], context: Context) -> str:
    """The curves in words: the share at the horizon of every curve."""
    parts = []
    for side, source in sources:
        for curve in curves(source, context.arm_order, context.minimum_cell):
            place = f"{PLACES[side]}, " if side in PLACES else ""
            parts.append(f"{place}{curve_words(curve, context.horizon or curve.end, context)}")
    return fmt.sentence("; ".join(parts))
