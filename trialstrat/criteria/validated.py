"""Frozen rules on other patients: who is selected, and what treatment does inside and outside; nothing is searched."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri
from scipy.stats import norm

from trialstrat.cohort.language.states import MET, NOT_MET, UNKNOWN
from trialstrat.cohort.language.tables import Tables
from trialstrat.cohort.shown import ShownOutcome, shown_outcome
from trialstrat.criteria.frozen import FrozenCriteria, FrozenCriterion
from trialstrat.criteria.screening import screen
from trialstrat.protocol.language.names import long_tables, patient_columns
from trialstrat.results import Cell, Column, Estimate, Table
from trialstrat.subgroups.comparison import Comparison, comparisons, question_not_asked
from trialstrat.subgroups.effect import outcome_effect
from trialstrat.subgroups.scales import EffectOptions, ScaleEffect

if TYPE_CHECKING:
    from trialstrat.cohort.cohort import Cohort

Mask = NDArray[np.bool_]


def rule_columns(criteria: FrozenCriteria) -> list[str]:
    """Columns of the patients that the found rules look at."""
    nodes = [node for rule in _found(criteria) for node in rule.when]
    return patient_columns(nodes, criteria.molecular)


def validate_rules(cohort: Cohort, criteria: FrozenCriteria) -> tuple[list[Estimate], list[Table]]:
    """The effect of treatment inside and outside each predictive rule, their ratio, and whom every rule selects.

    Where no effect of treatment can be asked of these data (a single arm, nobody in the control), the estimates say
    so. Rules that look at long tables are not applied. The ratio of the hazard ratios is tested from two independent
    estimates.
    """
    estimates: list[Estimate] = []
    rows: list[tuple[Cell, ...]] = []
    shown = shown_outcome(cohort)
    asked = question_not_asked(cohort)
    for rule in _found(criteria):
        state = _state(cohort, criteria, rule)
        if state is None:
            rows.append((rule.id, rule.text, rule.origin, None, None, None))
            continue
        counts = tuple(int((state == value).sum()) for value in (MET, NOT_MET, UNKNOWN))
        rows.append((rule.id, rule.text, rule.origin, *counts))
        if rule.origin != "predictive_rule":
            continue
        if asked:
            name, label = f"validation.rule.{rule.id}.hazard_ratio", f"Effect of treatment under rule {rule.id}"
            estimates.append(Estimate.not_estimable(name, label, asked, unit="hazard ratio"))
            continue
        for comparison in comparisons(cohort):
            estimates += _effects(cohort, shown, rule, state, comparison)
    return estimates, [_table(rows)] if rows else []


def _found(criteria: FrozenCriteria) -> Sequence[FrozenCriterion]:
    return [entry for entry in criteria.criteria if entry.origin != "written" and entry.when]


def _state(cohort: Cohort, criteria: FrozenCriteria, rule: FrozenCriterion) -> NDArray[np.int8] | None:
    """(n,) whether the rule's conditions hold, None where it looks at tables that are not here."""
    if long_tables(list(rule.when), criteria.molecular):
        return None
    tables = Tables(patients=cohort.frame, schema=criteria.schema_of_data)
    return screen([rule], tables).state[:, 0]


def _effects(
    cohort: Cohort, shown: ShownOutcome, rule: FrozenCriterion, state: NDArray[np.int8], comparison: Comparison
) -> list[Estimate]:
    analysis = cohort.protocol.analysis
    options = EffectOptions(
        tau=shown.horizon, level=analysis.level, minimum_events=analysis.minimum_events, unit=shown.unit
    )
    out: list[Estimate] = []
    found: list[ScaleEffect] = []
    for part, words, value in (("inside", "inside", MET), ("outside", "outside", NOT_MET)):
        members: Mask = comparison.rows & (state == value)
        label = f"{{}} {words} rule {rule.id}, {comparison.label}"
        stem = f"validation.rule.{rule.id}.{part}"
        if not members.any():
            reason = f"nobody is {words} the rule"
            out.append(
                Estimate.not_estimable(f"{stem}.relative.{comparison.pair}", label.format("Effect"), reason, n=0)
            )
            continue
        effect = outcome_effect(shown, comparison.treated, members, options, strata=cohort.strata)
        shared: dict[str, Any] = {"population": label.format("Patients"), "n": effect.n, "events": effect.events}
        for scale, value_of in (("relative", effect.relative), ("absolute", effect.absolute)):
            name = f"{stem}.{scale}.{comparison.pair}"
            out.append(value_of.estimate(name, label.format(value_of.measure.capitalize()), **shared))
        found.append(effect.relative)
    return [*out, _ratio(rule, comparison, found, analysis.level)]


def _ratio(rule: FrozenCriterion, comparison: Comparison, found: Sequence[ScaleEffect], level: float) -> Estimate:
    """Inside over outside: two sets of patients that share nobody."""
    name = f"validation.rule.{rule.id}.interaction.{comparison.pair}"
    label = f"Ratio of the effects inside and outside rule {rule.id}, {comparison.label}"
    if len(found) < 2 or not all(entry.ok for entry in found):
        return Estimate.not_estimable(name, label, "the effect inside or outside is not estimable", unit="ratio")
    z = float(ndtri(0.5 + level / 2))
    logs = [np.log([entry.value, entry.lower, entry.upper]) for entry in found]
    errors = [(entry[2] - entry[1]) / (2 * z) for entry in logs]
    difference, error = float(logs[0][0] - logs[1][0]), float(np.hypot(*errors))
    p = float(2 * norm.sf(abs(difference) / error))
    return Estimate(
        name=name,
        label=f"{label}; p = {p:.3g}",
        value=float(np.exp(difference)),
        lower=float(np.exp(difference - z * error)),
        upper=float(np.exp(difference + z * error)),
        level=level,
        unit="ratio",
        method="difference of two independent log effects",
        null_hypothesis="the effect of treatment is the same inside and outside the rule",
    )


def _table(rows: list[tuple[Cell, ...]]) -> Table:
    return Table(
        name="validation.rules",
        title="Whom the frozen rules select here",
        columns=(
            Column(key="rule", label="Rule"),
            Column(key="text", label="Text"),
            Column(key="origin", label="Found by"),
            Column(key="met", label="Met", kind="count"),
            Column(key="not_met", label="Not met", kind="count"),
            Column(key="unknown", label="Unknown", kind="count"),
        ),
        rows=tuple(rows),
        note="Rules that look at long tables are not applied here.",
    )
