"""The answer in three sentences, made from results only; every number carries its interval."""

from __future__ import annotations

from trialstrat.report import format as fmt
from trialstrat.report import tables
from trialstrat.report.context import Context
from trialstrat.report.page import Answer
from trialstrat.results import Estimate


def answers(context: Context) -> tuple[Answer, ...]:
    """Whom to enrol, what to expect, how sure."""
    return (
        Answer(label="Whom to enrol", text=whom(context)),
        Answer(label="What to expect", text=effect(context)),
        Answer(label="How sure", text=certainty(context)),
    )


def rule_proposed(context: Context) -> bool:
    """Whether the run proposes an enrichment rule."""
    return context.record.fact("criteria", "status") == "proposed" and bool(
        context.record.fact("criteria", "rule_text")
    )


def rule_in_words(context: Context) -> str:
    """The conditions of the rule inside a sentence."""
    rule = context.record.table("criteria.rule")
    if rule is None:
        return fmt.lower_first(context.record.fact("criteria", "rule_text"))
    return fmt.listing([fmt.lower_first(str(text)) for text in rule.column("text")])


def who_benefits(context: Context) -> str:
    """What the search for a predictive rule came to; empty where nobody searched."""
    if context.record.stage("rule") is None:
        return ""
    if context.record.fact("rule", "claimed") != "yes":
        test = context.ok("heterogeneity.global.p")
        shown = f" (p {fmt.p_value(test.value)})" if test else ""
        return f"No difference in who benefits is supported{shown}: treat as one population."
    parts = []
    for place, words in (("rule", "inside"), ("complement", "outside")):
        row = _corrected(context, place)
        if row:
            text = fmt.interval(row["value"], row["lower"], row["upper"], fmt.effect)
            parts.append(f"{text} {words}")
    effects = f": {context.record.fact('rule', 'ratio', 'hazard ratio')} {', '.join(parts)}" if parts else ""
    text = fmt.lower_first(context.record.fact("rule", "rule_text"))
    return f"Treatment works differently in patients with {text}{effects} (corrected for the search)."


def _corrected(context: Context, place: str) -> dict[str, float] | None:
    """The corrected relative effect in the rule or in its complement."""
    effects = context.record.table("rule.effects")
    for row in effects.records() if effects else []:
        if (row["set"], row["kind"]) == (place, "corrected") and "difference" not in str(row["scale"]):
            values = {key: tables.number_of(row[key]) for key in ("value", "lower", "upper")}
            known = {key: value for key, value in values.items() if value is not None}
            return known if len(known) == len(values) else None
    return None


def whom(context: Context) -> str:
    """Who should be enrolled, or that no rule is supported; a predictive rule comes first."""
    found = who_benefits(context) if context.record.fact("rule", "claimed") == "yes" else ""
    return f"{found} {_for_events(context)}".strip()


def _for_events(context: Context) -> str:
    """What the enrichment rule offers."""
    if context.record.stage("criteria") is None:
        return "Enrollment criteria were not studied in this run; eligibility stays as the protocol writes it."
    if not rule_proposed(context):
        reason = context.record.fact("criteria", "reason")
        tail = f": {fmt.lower_first(reason).rstrip('.')}" if reason else ""
        return f"No enrichment rule is supported{tail}. Enrol all patients who are eligible as written."
    text = rule_in_words(context)
    share = context.ok("criteria.enrichment.share")
    inside, outside = (context.ok(f"criteria.enrichment.event_rate_{side}") for side in ("inside", "outside"))
    opening = f"For more events per patient, enrol patients with {text}"
    if share:
        opening += f" ({fmt.percent(share.value, 0)} of this cohort)"
    if not inside or not outside:
        return fmt.sentence(opening)
    return (
        f"{opening}: {fmt.per_hundred(inside.value)} of 100 have an event within {context.at_horizon}, against "
        f"{fmt.per_hundred(outside.value)} of 100 among the others."
    )


#: (difference, value of an arm, what is expected, what was seen) by kind of endpoint; the first in a run is told.
ABSOLUTE = (
    ("milestone.difference", "milestone", "be {free} at {horizon}", "were {free} at {horizon}"),
    ("cif.difference", "cif", "have the event by {horizon}", "had the event by {horizon}"),
    ("risk_difference", "risk", "have the event", "had the event"),
)


def effect(context: Context) -> str:
    """What effect to expect: absolute first, of 100 patients."""
    if not context.pairs:
        return _single(context)
    if context.record.stage("primary") is None:
        return "The effect of treatment was not estimated in this run."
    suffix, treatment, control = context.pairs[0]
    for name, by_arm, expected, seen in ABSOLUTE:
        difference = context.ok(f"primary.{name}.{suffix}")
        with_t, without = (context.ok(f"primary.{by_arm}.{arm}") for arm in (treatment, control))
        if difference and with_t and without:
            names = [fmt.lower_first(context.arm_label(arm)) for arm in (treatment, control)]
            words = f"are expected to {expected}" if context.randomised else seen
            state = words.format(horizon=context.at_horizon, free=context.free)
            return (
                f"Of 100 patients, {fmt.per_hundred(with_t.value)} with {names[0]} and "
                f"{fmt.per_hundred(without.value)} with {names[1]} {state} "
                f"({fmt.lower_first(context.endpoint_label)}): {more_or_fewer(difference)}"
                f"{_weighted(context, name, suffix)}."
            )
    return _mean(context) or _relative(context, suffix, treatment)


def _weighted(context: Context, name: str, suffix: str) -> str:
    """The same difference where patients are weighted for how they came into their arms."""
    found = context.ok(f"primary.weighted.{name}.{suffix}")
    if found is None or context.randomised:
        return ""
    return f"; weighted for what decided treatment, {more_or_fewer(found)}"


def _mean(context: Context) -> str:
    """A difference of means, for outcomes that are measured."""
    suffix, treatment, control = context.pairs[0]
    difference = context.ok(f"primary.mean_difference.{suffix}")
    means = [context.ok(f"primary.mean.{arm}") for arm in (treatment, control)]
    if difference is None or means[0] is None or means[1] is None:
        return ""
    names = [fmt.lower_first(context.arm_label(arm)) for arm in (treatment, control)]
    text = fmt.interval(difference.value, difference.lower, difference.upper, fmt.effect)
    return (
        f"The mean of {fmt.lower_first(context.endpoint_label)} is {fmt.effect(means[0].value)} with {names[0]} and "
        f"{fmt.effect(means[1].value)} with {names[1]}: a difference of {text}."
    )


def more_or_fewer(difference: Estimate) -> str:
    """``8 more (95% interval 1 to 15)``; an interval on both sides of none reads ``6 fewer to 14 more``."""
    sign = -1 if difference.value < 0 else 1
    word = "fewer" if sign < 0 else "more"
    value = f"{fmt.per_hundred(abs(difference.value))} {word}"
    low, high = sorted((round(sign * 100 * difference.lower), round(sign * 100 * difference.upper)))
    ends = f"{low} to {high}"
    if low < 0:
        ends = f"{-low} {'more' if sign < 0 else 'fewer'} to {high} {word}"
    return f"{value} ({fmt.percent(difference.level, 0)} interval {ends})"


def _single(context: Context) -> str:
    """One arm: what happened, and that nothing can be said about an effect."""
    why = context.record.fact("primary", "question_not_asked") or "there is no control arm"
    found = next((e for e in (context.ok(f"primary.milestone.{arm}") for arm in context.arm_names) if e), None)
    opening = ""
    if found:
        ends = f"{fmt.per_hundred(found.lower)} to {fmt.per_hundred(found.upper)}"
        opening = (
            f"Of 100 patients, {fmt.per_hundred(found.value)} were {context.free} at {context.at_horizon} "
            f"({fmt.lower_first(context.endpoint_label)}; {fmt.percent(found.level, 0)} interval {ends}). "
        )
    return f"{opening}No effect of treatment can be estimated: {fmt.lower_first(why).rstrip('.')}."


def _relative(context: Context, suffix: str, treatment: str) -> str:
    """When no milestone can be given: the hazard ratio, or why there is none."""
    ratio = context.record.estimate(f"primary.cox.hazard_ratio.{suffix}")
    if ratio is None:
        return "The effect of treatment was not estimated in this run."
    if ratio.status != "ok":
        return f"The effect of treatment cannot be estimated: {fmt.lower_first(ratio.reason).rstrip('.')}."
    name = fmt.lower_first(context.arm_label(treatment))
    return f"The hazard ratio with {name} is {fmt.interval(ratio.value, ratio.lower, ratio.upper, fmt.effect)}."


def certainty(context: Context) -> str:
    """How sure: the interval in words and numbers, and what stands in the way of belief."""
    tail = (
        "The analysis was declared before the outcomes were read."
        if context.record.evidence == "confirmatory"
        else "The analysis is exploratory: confirm it in other patients before acting on it."
    )
    if not context.pairs or context.record.stage("primary") is None:
        return f"{_rule_certainty(context)}{tail}"
    found, prefix = _leading(context)
    return f"{_in_words(found, prefix, context)} {tail}" if found else tail


def _leading(context: Context) -> tuple[Estimate | None, str]:
    """The estimate that answers the question, and what must be said before it."""
    suffix = context.pairs[0][0]
    rmst = context.record.fact("primary", "leading", "cox") in ("rmst", "maxcombo")
    names = ["rmst.difference", "cox.hazard_ratio"] if rmst else ["cox.hazard_ratio"]
    names += ["risk_difference", "mean_difference"]
    weighted = {"cox.hazard_ratio": "weighted.hazard_ratio", "rmst.difference": "weighted.rmst.difference"}
    if not context.randomised:
        for name in names:
            found = context.ok(f"primary.{weighted.get(name, f'weighted.{name}')}.{suffix}")
            if found:
                return found, "weighted for what decided treatment, "
    known = (context.ok(f"primary.{name}.{suffix}") for name in names)
    return next((found for found in known if found), None), ""


def _in_words(found: Estimate, prefix: str, context: Context) -> str:
    """What an interval is compatible with."""
    level = fmt.percent(found.level, 0)
    text = fmt.interval(found.value, found.lower, found.upper, fmt.effect)
    opening = fmt.sentence(f"{prefix}the data are compatible with")[:-1]
    if "hazard_ratio" in found.name:
        ends = f"{_hazard(found.lower)} to {_hazard(found.upper)}"
        return f"{opening} {ends} at any time (hazard ratio {text}, {level} interval)."
    if "rmst" in found.name:
        ends = f"{_gain(found.lower, context.unit)} to {_gain(found.upper, context.unit)}"
        return (
            f"The hazards are not proportional, so the mean time {context.free} up to "
            f"{context.at_horizon} leads: {prefix}the data are compatible with {ends} "
            f"(difference {text} {context.unit}, {level} interval)."
        )
    if found.unit == "probability":
        ends = f"{_of_hundred(found.lower)} to {_of_hundred(found.upper)} of 100"
        return f"{opening} {ends} patients with the event ({level} interval)."
    return f"{opening} a difference from {fmt.effect(found.lower)} to {fmt.effect(found.upper)} ({level} interval)."


def _of_hundred(value: float) -> str:
    return f"{fmt.per_hundred(abs(value))} {'fewer' if value < 0 else 'more'}"


def _hazard(ratio: float) -> str:
    """A hazard ratio as a change: ``a 46% lower hazard``."""
    change = round(100 * abs(1 - ratio))
    article = "an" if str(change).startswith("8") or change in (11, 18) else "a"
    if change == 0:
        return "no change in hazard"
    return f"{article} {change}% {'lower' if ratio < 1 else 'higher'} hazard"


def _gain(value: float, unit: str) -> str:
    return f"{fmt.effect(abs(value))} {unit} {'gained' if value >= 0 else 'lost'}"


def _rule_certainty(context: Context) -> str:
    """Without arms the rule's own certainty is what there is to say."""
    gained = context.ok("criteria.enrichment.events_gained_per_100")
    if not rule_proposed(context) or not gained:
        return ""
    text = fmt.interval(gained.value, gained.lower, gained.upper, lambda v: fmt.fixed(v, 0))
    return f"Among 100 patients enrolled by the rule {text} more have an event than among 100 unselected ones. "
