"""The answer in three sentences, made from results only; every number carries its interval."""

from __future__ import annotations

from trialstrat.report import format as fmt
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


def whom(context: Context) -> str:
    """Who should be enrolled, or that no rule is supported."""
    if context.record.stage("criteria") is None:
        return "Enrollment criteria were not studied in this run; eligibility stays as the protocol writes it."
    if not rule_proposed(context):
        reason = context.record.fact("criteria", "reason")
        tail = f": {fmt.lower_first(reason).rstrip('.')}" if reason else ""
        return f"No enrichment rule is supported{tail}. Enrol all patients who are eligible as written."
    text = fmt.lower_first(context.record.fact("criteria", "rule_text"))
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


def effect(context: Context) -> str:
    """What effect to expect: absolute first, of 100 patients."""
    if not context.pairs:
        return _single(context)
    if context.record.stage("primary") is None:
        return "The effect of treatment was not estimated in this run."
    suffix, treatment, control = context.pairs[0]
    difference = context.ok(f"primary.milestone.difference.{suffix}")
    with_t, without = (context.ok(f"primary.milestone.{arm}") for arm in (treatment, control))
    if not (difference and with_t and without):
        return _relative(context, suffix, treatment)
    label = fmt.lower_first(context.endpoint_label)
    verb = "are expected to be" if context.randomised else "were"
    return (
        f"Of 100 patients, {fmt.per_hundred(with_t.value)} with {fmt.lower_first(context.arm_label(treatment))} and "
        f"{fmt.per_hundred(without.value)} with {fmt.lower_first(context.arm_label(control))} {verb} event-free at "
        f"{context.at_horizon} ({label}): {more_or_fewer(difference)}."
    )


def more_or_fewer(difference: Estimate) -> str:
    """``8 more (95% interval 1 to 15)``, with the interval in the same direction."""
    sign = -1 if difference.value < 0 else 1
    word = "fewer" if sign < 0 else "more"
    ends = sorted((sign * 100 * difference.lower, sign * 100 * difference.upper))
    inside = f"{fmt.number(round(ends[0]))} to {fmt.number(round(ends[1]))}"
    return f"{fmt.per_hundred(abs(difference.value))} {word} ({fmt.percent(difference.level, 0)} interval {inside})"


def _single(context: Context) -> str:
    """One arm: what happened, and that nothing can be said about an effect."""
    why = context.record.fact("primary", "question_not_asked") or "there is no control arm"
    arms = [str(arm["name"]) for arm in context.arms] or ["all"]
    found = next((e for e in (context.ok(f"primary.milestone.{arm}") for arm in arms) if e), None)
    opening = ""
    if found:
        ends = f"{fmt.per_hundred(found.lower)} to {fmt.per_hundred(found.upper)}"
        opening = (
            f"Of 100 patients, {fmt.per_hundred(found.value)} were event-free at {context.at_horizon} "
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
    suffix = context.pairs[0][0]
    leading = context.record.fact("primary", "leading", "cox")
    found = context.ok(f"primary.cox.hazard_ratio.{suffix}")
    if leading in ("rmst", "maxcombo"):
        found = context.ok(f"primary.rmst.difference.{suffix}") or found
    if found is None:
        return tail
    return f"{_in_words(found, context)} {tail}"


def _in_words(found: Estimate, context: Context) -> str:
    """What an interval is compatible with."""
    level = fmt.percent(found.level, 0)
    if found.unit == "hazard ratio":
        text = fmt.interval(found.value, found.lower, found.upper, fmt.effect)
        ends = f"{_hazard(found.lower)} to {_hazard(found.upper)}"
        return f"The data are compatible with {ends} at any time (hazard ratio {text}, {level} interval)."
    text = fmt.interval(found.value, found.lower, found.upper, fmt.effect)
    ends = f"{_gain(found.lower, context.unit)} to {_gain(found.upper, context.unit)}"
    return (
        f"The hazards are not proportional, so the mean event-free time up to {context.at_horizon} leads: the data are "
        f"compatible with {ends} (difference {text} {context.unit}, {level} interval)."
    )


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
    text = fmt.interval(gained.value, gained.lower, gained.upper, fmt.number)
    return f"Among 100 patients enrolled by the rule {text} more have an event than among 100 unselected ones. "
