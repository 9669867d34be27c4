"""Tables and sentences of the enrichment rule."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from trialstrat.cohort.cohort import Cohort
from trialstrat.cohort.shown import ShownOutcome, arm_labels, arm_rows, said_horizon
from trialstrat.criteria.distil import DistilledRule
from trialstrat.criteria.held_out import HeldOutRule, event_rate
from trialstrat.protocol.language.criterion import Criterion
from trialstrat.protocol.model import Condition
from trialstrat.results import Cell, Column, Estimate, Table
from trialstrat.subgroups.curves import CURVE_METHOD, DrawnCurve, at_risk_table, draw, km_table

_SIGNS = (("at_least", "at least"), ("at_most", "at most"), ("above", "above"), ("below", "below"))


def condition_parts(condition: Condition) -> tuple[str, str]:
    """Operator and value of a condition in words."""
    for name, words in _SIGNS:
        bound = getattr(condition, name)
        if bound is not None:
            return words, f"{bound:g}" if abs(bound) < 1e6 else f"{bound:.0f}"
    values = [str(value) for value in condition.one_of]
    return "is", " or ".join(values) if values else str(condition.equals)


def condition_text(condition: Condition, labels: Mapping[str, str]) -> str:
    """A condition as a person would write it: ``Positive nodes at least 4``."""
    operator, value = condition_parts(condition)
    unit = f" {condition.unit}" if condition.unit else ""
    return f"{labels.get(condition.column, condition.column)} {operator} {value}{unit}"


def rule_text(rule: Sequence[Condition], labels: Mapping[str, str]) -> str:
    """All conditions of a rule in one phrase."""
    return " and ".join(condition_text(condition, labels) for condition in rule)


def written_table(criteria: Sequence[Criterion]) -> Table:
    """``criteria.written``: eligibility as the protocol states it."""
    return Table(
        name="criteria.written",
        title="Eligibility as written",
        columns=(
            Column(key="id", label="Criterion"),
            Column(key="kind", label="Kind"),
            Column(key="text", label="Text"),
            Column(key="executable", label="Applied by program"),
        ),
        rows=tuple((entry.id, entry.kind, entry.text, "yes" if entry.when else "no") for entry in criteria),
        protection="none",
    )


def rule_table(rule: Sequence[Condition], labels: Mapping[str, str], name: str) -> Table:
    """``criteria.rule``: one row per condition of the proposed rule, a criterion ``name``; none without one."""
    rows: list[tuple[Cell, ...]] = []
    for condition in rule:
        operator, value = condition_parts(condition)
        title = labels.get(condition.column, condition.column)
        rows.append((name, condition.column, title, operator, value, condition.unit, condition_text(condition, labels)))
    return Table(
        name="criteria.rule",
        title="Prognostic enrichment",
        columns=(
            Column(key="id", label="Criterion"),
            Column(key="column", label="Column"),
            Column(key="label", label="Characteristic"),
            Column(key="operator", label="Condition"),
            Column(key="value", label="Value"),
            Column(key="unit", label="Unit"),
            Column(key="text", label="Text"),
        ),
        rows=tuple(rows),
        note="All conditions must hold. Prognostic: selected patients have the event more often, whatever their arm.",
        protection="none",
    )


def folds_table(
    held_out: HeldOutRule, outcome: ShownOutcome, labels: Mapping[str, str], rules: Sequence[DistilledRule]
) -> Table:
    """``criteria.folds``: the rule found in every outer fold and whom it selects among the held-out patients."""
    rows: list[tuple[Cell, ...]] = []
    for fold, rule in enumerate(rules):
        mine = held_out.fold == fold
        chosen = held_out.rows[mine & held_out.inside]
        rate = event_rate(outcome, chosen)
        share = float(held_out.inside[mine].mean()) if mine.any() else None
        shown = rate if np.isfinite(rate) else None
        events = int(outcome.of_interest[chosen].sum())
        rows.append((fold + 1, rule_text(rule.conditions, labels), share, shown, len(chosen), events))
    return Table(
        name="criteria.folds",
        title="The rule of every outer fold",
        columns=(
            Column(key="fold", label="Fold", kind="count"),
            Column(key="rule", label="Rule"),
            Column(key="share", label="Selected", kind="percent"),
            Column(key="event_rate", label=_by("With the event", outcome), kind="percent"),
            Column(key="n", label="Patients", kind="count"),
            Column(key="events", label="Events", kind="count"),
        ),
        rows=tuple(rows),
        note="Each rule was found on the training patients of its fold and is applied to the patients it held out.",
    )


def _by(text: str, outcome: ShownOutcome) -> str:
    return f"{text} by {said_horizon(outcome)}"


def curve_tables(cohort: Cohort, outcome: ShownOutcome, held_out: HeldOutRule) -> list[Table]:
    """``criteria.km`` and ``criteria.at_risk``: by arm inside and outside the held-out rules."""
    labels = arm_labels(cohort)
    used = np.zeros(cohort.n, dtype=np.bool_)
    used[held_out.rows] = True
    inside = np.zeros(cohort.n, dtype=np.bool_)
    inside[held_out.rows] = held_out.inside
    arms = arm_rows(cohort) or {"all": np.ones(cohort.n, dtype=np.bool_)}
    curves: list[DrawnCurve] = []
    for population, title, chosen in (("inside", "Selected", inside), ("outside", "Left out", ~inside)):
        for arm, mask in arms.items():
            rows = used & chosen & mask
            if rows.any() and outcome.time is not None:
                curves.append(
                    draw(
                        (population, title, arm, labels[arm]),
                        outcome.time[rows],
                        outcome.any_event[rows],
                        entry=None if outcome.entry is None else outcome.entry[rows],
                        level=cohort.protocol.analysis.level,
                    )
                )
    keys = (
        Column(key="population", label="Population"),
        Column(key="label_population", label="Population"),
        Column(key="arm", label="Arm"),
        Column(key="label", label="Arm"),
    )
    note = f"Population: {outcome.population(used)}; selected by the rule of the fold that held the patient out."
    title = f"{outcome.label} inside and outside the enrichment rule"
    under = f"{note} At risk just before the time; events and censorings up to and including it."
    return [
        km_table("criteria.km", title, keys, curves, f"{note} {CURVE_METHOD}."),
        at_risk_table("criteria.at_risk", "Numbers at risk", keys, curves, unit=outcome.unit, note=under),
    ]


def price_table(estimates: Mapping[str, Estimate], outcome: ShownOutcome) -> Table:
    """``criteria.price``: what enrichment costs in screening and brings in events; intervals belong to ``inside``.

    Quantities from fewer patients or events than the minimum cell are left out: the table has no counts of its own by
    which disclosure control could see that.
    """
    hidden = range(1, outcome.minimum_cell)

    def shown(name: str) -> bool:
        found = estimates[name]
        return found.status == "ok" and found.n not in hidden and found.events not in hidden

    def value(name: str) -> float | None:
        return estimates[name].value if shown(name) else None

    def interval(name: str, turn: bool = False) -> tuple[float | None, float | None]:
        ends = (estimates[name].lower, estimates[name].upper)
        low, high = (x if np.isfinite(x) and shown(name) else None for x in ends)
        return (high, low) if turn else (low, high)

    share, rates = value("share"), [value(f"event_rate_{who}") for who in ("all", "inside", "outside")]
    low, high = interval("event_rate_inside")
    needed = [100 / rate if rate else None for rate in rates]
    turned = interval("event_rate_inside", turn=True)
    rows: list[tuple[Cell, ...]] = [
        ("share", "Share of patients", 1.0, share, None if share is None else 1 - share, *interval("share")),
        ("event_rate", _by("With the event", outcome), *rates, low, high),
        (
            "screened_per_enrolled",
            "Screened per patient enrolled",
            1.0,
            value("screened_per_enrolled"),
            None,
            *interval("screened_per_enrolled"),
        ),
        ("patients_for_100_events", _by("Patients enrolled for 100 events", outcome), *needed,
         *(100 / end if end else None for end in turned)),
        ("screened_for_100_events", _by("Patients screened for 100 events", outcome), needed[0],
         needed[1] / share if needed[1] and share else None, None, None, None),
    ]  # fmt: skip
    return Table(
        name="criteria.price",
        title="What enrichment costs and brings",
        columns=(
            Column(key="quantity", label="Quantity"),
            Column(key="label", label="Quantity"),
            Column(key="all", label="All patients", kind="number"),
            Column(key="inside", label="Selected", kind="number"),
            Column(key="outside", label="Left out", kind="number"),
            Column(key="lower", label="Lower limit", kind="number"),
            Column(key="upper", label="Upper limit", kind="number"),
        ),
        rows=tuple(rows),
        note="Held-out patients; limits belong to the selected patients (bootstrap over patients within folds)",
        protection="none",
    )
