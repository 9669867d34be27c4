"""Page one of a validation: how a frozen model and frozen rules do on other patients. Nothing is fitted or proposed."""

from __future__ import annotations

from trialstrat.report import format as fmt
from trialstrat.report.context import Context
from trialstrat.report.page import Answer, Card
from trialstrat.results import Estimate

STAGE = "validation"


def is_validation(context: Context) -> bool:
    """Whether the report is of a validation and not of a study."""
    return context.record.stage(STAGE) is not None


def answers(context: Context) -> tuple[Answer, ...]:
    """How well the model ranks patients, whether its risks are right, and what treatment does under the rules."""
    found = [Answer(label="Does it rank", text=fmt.sentence(context.record.fact(STAGE, "lead") or _NO_MODEL))]
    fits = _calibration(context)
    found += [Answer(label="Are its risks right", text=fits)] if fits else []
    rules = _rules(context)
    return (*found, Answer(label="Who benefits", text=rules)) if rules else tuple(found)


def cards(context: Context, beware: Card) -> tuple[Card, ...]:
    """What was frozen, on whom it was tried, and what to beware of."""
    model = context.record.fact(STAGE, "model")
    lines = [f"Model: {model}." if model else _NO_MODEL, "Nothing was fitted, tuned or chosen on these patients."]
    facts = []
    n, events = context.ok("cohort.n"), context.ok("cohort.events")
    if n and events:
        facts.append((fmt.share(events.value, n.value), "of these patients had an event"))
    follow = context.ok("baseline.follow_up.median.all")
    if follow:
        facts.append((_said(follow, 0), f"{context.unit}: median follow-up"))
    return (
        Card(key="frozen", title="Frozen", lines=tuple(lines)),
        Card(key="patients", title="Patients", facts=tuple(facts)),
        beware,
    )


def not_shown(context: Context) -> tuple[str, ...]:
    """What a reader might take from the page and must not."""
    out = ["That the model is right for patients unlike these."]
    if not context.pairs:
        out.append("Any effect of treatment: there is no comparison in these data.")
    return tuple(out)


_NO_MODEL = "The run froze no model."


def _calibration(context: Context) -> str:
    slope, index = context.ok("validation.calibration_slope"), context.ok("validation.ici")
    parts = []
    if slope:
        parts.append(f"the calibration slope is {_said(slope, 2)}, where 1 is as spread as it should be")
    if index:
        parts.append(f"predicted and observed risks differ by {_said(index, 3)} on average (ICI)")
    return fmt.sentence("; ".join(parts))


def _rules(context: Context) -> str:
    """The ratios of the effects inside and outside the frozen predictive rules, or that none could be tried."""
    stage = context.record.stage(STAGE)
    made = stage.estimates if stage is not None else ()
    found = [entry for entry in made if entry.name.startswith("validation.rule.")]
    ratios = [entry for entry in found if ".interaction." in entry.name and entry.status == "ok"]
    if ratios:
        return fmt.sentence("; ".join(f"{entry.label}: {_said(entry, 2)}, 1 where it is the same" for entry in ratios))
    return "The effect of treatment under the frozen rule cannot be estimated here." if found else ""


def _said(found: Estimate, digits: int) -> str:
    return fmt.interval(found.value, found.lower, found.upper, lambda value: fmt.fixed(value, digits))
