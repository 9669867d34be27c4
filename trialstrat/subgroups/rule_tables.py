"""What the search for a rule puts into the results: tables and estimates of the stages "heterogeneity" and "rule"."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trialstrat.cohort.shown import ShownOutcome, said_horizon
from trialstrat.results import Cell, Column, Estimate, Table
from trialstrat.subgroups.curves import CURVE_METHOD, DrawnCurve, at_risk_table, draw, km_table
from trialstrat.subgroups.literals import condition_text, operator_and_value
from trialstrat.subgroups.rule_effects import RuleEffect
from trialstrat.subgroups.rule_prior import PROGNOSTIC
from trialstrat.subgroups.rule_search import RuleFound
from trialstrat.subgroups.rules import COMPONENTS, Search

Bools = NDArray[np.bool_]

#: Rows shown of a frequency table.
MOST = 20
NULL = "the effect of treatment is the same in all patients, on the scale of the model"
TEST_METHOD = "mean evidence over all candidates; treatment labels permuted against residuals, all repeated"
COMPONENT_LABELS = {
    "one_condition": "Rules of one condition",
    "two_conditions": "Rules of two conditions",
    "three_conditions": "Rules of three conditions",
    "continuous": "Treatment by the value of a marker",
}
SET_LABELS = {"rule": "inside the rule", "complement": "outside the rule", "interaction": "inside against outside"}
KIND_METHODS = {
    "naive": "as fitted in the patients in whom the rule was chosen",
    "corrected": "corrected for the search and the claim: the search repeated in simulated trials on these patients",
    "shrunken": "horseshoe shrinkage of the difference between inside and outside",
}


def components_table(found: Search, title: str) -> Table:
    """``heterogeneity.components``: the parts of the global test, each by itself."""
    rows = tuple(
        (name, COMPONENT_LABELS[name], float(found.observed[at]), float(found.limit[at]), float(found.component_p[at]))
        for at, name in enumerate(found.names)
    )
    return Table(
        name="heterogeneity.components",
        title=title,
        columns=(
            Column(key="component", label="Component"),
            Column(key="label", label="Component"),
            Column(key="statistic", label="Evidence (log Bayes factor)", kind="number"),
            Column(key="limit", label="Null limit", kind="number"),
            Column(key="p", label="p by itself", kind="p"),
        ),
        rows=rows,
        note=f"{found.null.shape[1]} permutations; the limit is what a component would have to "
        "reach if it were the only one. The global test takes their weighted mean and pays for all.",
        protection="none",
    )


def test_estimates(found: Search, suffix: str, adjusted: float, shared: Mapping[str, Any]) -> list[Estimate]:
    """The global p and those of the components; ``suffix`` names the comparison where there are several."""
    rest = {**shared, "unit": "p", "method": TEST_METHOD, "null_hypothesis": NULL}
    out = [
        Estimate(
            name=f"heterogeneity.global.p{suffix}", label="Any heterogeneity of the treatment effect", value=found.p,
            **rest,
        )
    ]  # fmt: skip
    if suffix:
        label = "Any heterogeneity of the treatment effect, Holm-adjusted"
        out.append(Estimate(name=f"heterogeneity.global.adjusted_p{suffix}", label=label, value=adjusted, **rest))
    out += [
        Estimate(
            name=f"heterogeneity.components.{name}.p{suffix}",
            label=COMPONENT_LABELS[name],
            value=float(found.component_p[at]),
            **rest,
        )
        for at, name in enumerate(found.names)
    ]
    return out


def effect_estimates(found: RuleFound, number: int, shared: Mapping[str, Any]) -> list[Estimate]:
    """``subgroups.rule.1.hazard_ratio.corrected`` and its like: by set, scale and kind."""
    out = []
    for entry in found.effects:
        name = f"subgroups.{entry.set}.{number}.{entry.scale}.{entry.kind}"
        label = f"{entry.measure.capitalize() if entry.measure[:4] != 'RMST' else entry.measure}, "
        label += f"{SET_LABELS[entry.set]}, {entry.kind}"
        rest = {
            **shared, "level": entry.level, "unit": entry.measure if "ratio" in entry.measure else "",
            "method": KIND_METHODS[entry.kind], "population": f"{SET_LABELS[entry.set]}: {found.text}",
            "n": entry.n, "events": entry.events,
        }  # fmt: skip
        if entry.status != "ok":
            out.append(Estimate.not_estimable(name, label, entry.reason, **rest))
        else:
            out.append(
                Estimate(name=name, label=label, value=entry.value, lower=entry.lower, upper=entry.upper, **rest)
            )
    return out


def conditions_table(found: RuleFound) -> Table:
    """``rule.conditions``: one row per condition of the best rule."""
    titles = {marker.column: marker.title for marker in found.rules.splits.markers}
    rows = []
    for at, entry in enumerate(found.conditions, start=1):
        operator, value = operator_and_value(entry)
        title = titles[entry.column]
        rows.append((f"B{at}", entry.column, title, operator, value, entry.unit, condition_text(entry, title)))
    keys = {"id": "Condition", "column": "Column", "label": "Characteristic", "operator": "Operator",
            "value": "Value", "unit": "Unit", "text": "Text"}  # fmt: skip
    return Table(
        name="rule.conditions",
        title="The best rule",
        columns=tuple(Column(key=key, label=label) for key, label in keys.items()),
        rows=tuple(rows),
        note="All conditions must hold. It says in whom the treatment works differently, not who is at risk.",
        protection="none",
    )


def effects_table(found: RuleFound, outcome: ShownOutcome, note: str) -> Table:
    """``rule.effects``: whom, how selection was treated, on which scale."""
    rows: list[tuple[Cell, ...]] = [_effect_row(entry) for entry in found.effects]
    return Table(
        name="rule.effects",
        title="Effect of treatment inside and outside the rule",
        columns=(
            Column(key="set", label="Patients"),
            Column(key="kind", label="Estimate"),
            Column(key="scale", label="Scale"),
            Column(key="value", label="Effect", kind="effect"),
            Column(key="lower", label="Lower limit", kind="effect"),
            Column(key="upper", label="Upper limit", kind="effect"),
            Column(key="n", label="Patients", kind="count"),
            Column(key="events", label="Events", kind="count"),
            Column(key="n_control", label="Control", kind="count"),
            Column(key="n_treated", label="Treated", kind="count"),
        ),
        rows=tuple(rows),
        note=f"{note} Restricted means up to {said_horizon(outcome)}." if outcome.horizon is not None else note,
    )


def _effect_row(entry: RuleEffect) -> tuple[Cell, ...]:
    shown = entry.status == "ok"
    limits = (entry.value, entry.lower, entry.upper) if shown else (None, None, None)
    return (entry.set, entry.kind, entry.scale, *limits, entry.n, entry.events, entry.n_control, entry.n_treated)


def searched_table(found: RuleFound) -> Table:
    """``rule.searched``: how many rules of each size, and the best of them."""
    rows = tuple(
        (depth, COMPONENT_LABELS[COMPONENTS[depth]], count, float(found.search.observed[depth - 1]))
        for depth, count in enumerate(found.tested, start=1)
    )
    return Table(
        name="rule.searched",
        title="What was searched",
        columns=(
            Column(key="depth", label="Conditions", kind="number"),
            Column(key="label", label="Rules"),
            Column(key="candidates", label="Candidate rules", kind="number"),
            Column(key="best", label="Evidence (log Bayes factor)", kind="number"),
        ),
        rows=rows,
        note=f"Every candidate was tried in the data, in each of {found.search.null.shape[1]} permutations and in each "
        f"of {found.correction.worlds} simulated trials.",
        protection="none",
    )


def weights_table(found: RuleFound) -> Table:
    """``rule.weights``: how much each marker counted in the search before the effect of treatment was looked at."""
    weights = found.search.prior.markers
    titles = [marker.title for marker in found.rules.splits.markers]
    rows = tuple((titles[at], float(weights[at] / weights.sum())) for at in np.argsort(-weights, kind="stable"))
    return Table(
        name="rule.weights",
        title="Weight of each marker beforehand",
        columns=(
            Column(key="marker", label="Marker"),
            Column(key="share", label="Weight beforehand", kind="percent"),
        ),
        rows=rows,
        note="Markers with a prognosis are expected more often to change the effect of treatment, and weigh up to "
        f"{PROGNOSTIC:g} times as much as others. Weights use patients and outcomes, and are the same in every "
        "permutation, which pays for the search.",
        protection="none",
    )


def stability_tables(found: RuleFound) -> list[Table]:
    """``rule.stability``, ``rule.selection_frequency`` and ``rule.cutpoints``; none without resamples."""
    steady = found.stability
    if steady is None:
        return []
    text, share = Column(key="condition", label="Cut"), Column(key="share", label="Resamples", kind="percent")
    quantities = (
        ("agreement", "Patients in common with the resample's rule (Jaccard)", steady.agreement,
         steady.agreement_lower, steady.agreement_upper),
        ("same_markers", "Resamples whose rule uses the same markers", steady.same_markers, None, None),
        ("consistency", "Random splits with the same direction in both halves", steady.consistency, None, None),
    )  # fmt: skip
    note = f"{steady.resamples} bootstrap samples, the search repeated in each; {steady.splits} random splits."
    marker = Column(key="marker", label="Marker")
    columns = (
        Column(key="quantity", label="Quantity"),
        Column(key="label", label="Quantity"),
        Column(key="value", label="Value", kind="percent"),
        Column(key="lower", label="2.5%", kind="percent"),
        Column(key="upper", label="97.5%", kind="percent"),
    )
    return [
        Table(name="rule.stability", title="How stable the rule is", columns=columns, rows=quantities, note=note,
              protection="none"),
        Table(name="rule.selection_frequency", title="Cuts found again", columns=(text, share),
              rows=steady.conditions[:MOST], note=note, protection="none"),
        Table(name="rule.marker_frequency", title="Markers found again", columns=(marker, share),
              rows=steady.markers[:MOST], note=note, protection="none"),
        Table(name="rule.cutpoints", title="Cuts of the rule's markers in resamples",
              columns=(marker, Column(key="cut", label="Cut"), share), rows=steady.cuts[:MOST], note=note,
              protection="none"),
    ]  # fmt: skip


def top_table(found: RuleFound) -> Table:
    """``rule.top``: the best rule of each set of markers."""
    rows = tuple((at, *entry) for at, entry in enumerate(found.top, start=1))
    return Table(
        name="rule.top",
        title="The best rules",
        columns=(
            Column(key="rank", label="Rank", kind="number"),
            Column(key="text", label="Rule"),
            Column(key="statistic", label="Statistic", kind="number"),
            Column(key="n", label="Patients", kind="count"),
            Column(key="events", label="Events", kind="count"),
        ),
        rows=rows,
        note="One rule per set of markers. Statistic: difference of effects inside and outside, in standard errors; "
        "not adjusted for the search.",
    )


def rule_curves(
    found: RuleFound, outcome: ShownOutcome, arms: Mapping[str, Bools], labels: Mapping[str, str], rows: Bools,
    level: float,
) -> list[Table]:  # fmt: skip
    """``rule.km`` and ``rule.at_risk`` by arm, inside and outside; none for outcomes without times."""
    if outcome.time is None:
        return []
    curves: list[DrawnCurve] = []
    for population, title, chosen in (("inside", found.text, found.members), ("outside", "All others", found.others)):
        mine = np.zeros(len(rows), dtype=np.bool_)
        mine[rows] = chosen
        for arm, mask in arms.items():
            if (mine & mask).any():
                keys = (population, title, arm, labels[arm])
                entry = None if outcome.entry is None else outcome.entry[mine & mask]
                curves.append(
                    draw(keys, outcome.time[mine & mask], outcome.any_event[mine & mask], entry=entry, level=level)
                )
    columns = (
        Column(key="population", label="Population"),
        Column(key="label_population", label="Population"),
        Column(key="arm", label="Arm"),
        Column(key="label", label="Arm"),
    )
    note = "The rule was chosen on these patients: the distance between the curves is too large inside it."
    title = f"{outcome.label} inside and outside the rule"
    return [
        km_table("rule.km", title, columns, curves, f"{note} {CURVE_METHOD}."),
        at_risk_table("rule.at_risk", "Numbers at risk", columns, curves, unit=outcome.unit, note=note),
    ]
