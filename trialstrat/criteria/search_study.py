"""The results of the search over criteria: the front with held-out values, the pick, what was tried."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from trialstrat.cohort.cohort import Cohort
from trialstrat.cohort.language.tables import Tables
from trialstrat.criteria.candidates import Choice, Valued, Valuer
from trialstrat.criteria.emulation import Emulation, Judged
from trialstrat.criteria.impact_estimates import Compared
from trialstrat.criteria.pool import coarse, represented
from trialstrat.criteria.ranking import deciding, improvement
from trialstrat.criteria.search import Judged as Point
from trialstrat.criteria.search import Search, search
from trialstrat.criteria.search_tables import front_table, moves_table, rules_table, shown_share, tried_table
from trialstrat.criteria.thresholds import Dimension, Option, dimension
from trialstrat.results import Estimate, Finding, StageResult

IN_SAMPLE = "patients of the chosen rule set, who also chose it"
HELD_OUT = "held-out patients of the rule sets chosen without them"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Written:
    """A criterion as declared, applied to all patients; ``judge`` applies a changed one.

    A rule that was ``found`` in the data starts unused.
    """

    criterion: Any
    judged: Judged
    judge: Callable[[Any], Judged]
    found: bool = False


def search_study(
    everyone: Cohort,
    written: Sequence[Written],
    tables: Tables,
    compared: Compared,
    *,
    rng: np.random.Generator,
    jobs: int = 1,
) -> StageResult:
    """Search over thresholds and criteria for the first comparison.

    Parameters
    ----------
    everyone
        All patients before eligibility.
    written
        Criteria in force, then rules that earlier stages found.
    tables
        What criteria look at, to choose thresholds from.
    compared
        The comparison with its impact; where its ranking is withheld nothing is searched.
    """
    plan = everyone.protocol.criteria
    emulation = compared.emulation
    if compared.withheld:
        return _refused(compared.withheld)
    if plan.search.trials == 0:
        return _refused("the search is switched off (criteria.search.trials: 0)")
    dimensions = tuple(_dimension(entry, tables, everyone) for entry in written)
    if all(len(entry.options) == 1 for entry in dimensions):
        return _refused("no criterion and no threshold can be changed: none of them removes anybody here")
    measure = deciding(emulation, plan.impact)
    better = improvement(emulation, measure, everyone.protocol.endpoint.favourable)
    valuer = Valuer(emulation, dimensions, represented(everyone), plan.costs, np.ones(everyone.n, dtype=np.bool_))
    starts = _starts(dimensions)
    found = search(valuer, starts, plan.search, folds=plan.impact.folds, better=better, rng=rng, jobs=jobs)
    if found is None:
        return _refused("no rule set has an effect that can be estimated in every fold")
    return _result(found, everyone, emulation, dimensions, valuer, any(entry.found for entry in written))


def _refused(reason: str) -> StageResult:
    return StageResult(stage="search", facts={"reason": reason})


def _dimension(entry: Written, tables: Tables, everyone: Cohort) -> Dimension:
    plan = everyone.protocol.criteria.search
    if entry.found:
        everybody = np.ones(everyone.n, dtype=np.bool_)
        options = (
            Option(label="not used", admits=everybody, active=False),
            Option(label="used", admits=entry.judged.admits, active=True),
        )
        return Dimension(id=entry.judged.id, options=options, start=0)
    fixed = entry.judged.id in plan.fixed
    return dimension(entry.criterion, entry.judged, entry.judge, tables, plan.factors, fixed=fixed)


def _starts(dimensions: Sequence[Dimension]) -> list[Choice]:
    """As written, and nothing applied."""
    written = tuple(entry.start for entry in dimensions)
    none = tuple(0 for _ in dimensions)
    return [written] if none == written else [written, none]


def _result(
    found: Search,
    everyone: Cohort,
    emulation: Emulation,
    dimensions: Sequence[Dimension],
    valuer: Valuer,
    with_found: bool,
) -> StageResult:
    cell = everyone.protocol.disclosure.minimum_cell
    plan = everyone.protocol.criteria.search
    current = emulation.effect(valuer.inside(tuple(entry.start for entry in dimensions)))
    points = [*found.front, found.pick]
    findings = []
    if with_found:
        message = "rules found in these patients are among the candidates: their held-out values are too good"
        remedy = "Judge a rule set that uses them on other patients (trialstrat validate)"
        findings.append(Finding(code="I-SEARCH-FOUND-RULES", severity="note", message=message, remedy=remedy))
    return StageResult(
        stage="search",
        estimates=tuple(_estimates(found.pick, emulation, cell)),
        tables=(
            front_table(points, found, current, emulation, cell),
            rules_table(points, dimensions),
            tried_table(found, emulation, cell),
            moves_table(valuer, dimensions, everyone.protocol.disclosure.minimum_cell),
        ),
        findings=tuple(findings),
        facts={
            "pair": emulation.comparison.pair,
            "comparison": emulation.comparison.label,
            "objectives": ", ".join(plan.objectives),
            "utility": _said(plan.utility.model_dump()),
            "tried": str(len(found.tried)),
            "failed": str(found.failed),
            "sampler": plan.sampler,
            "folds": str(everyone.protocol.criteria.impact.folds),
            "pick": _changes(found.pick.valued, dimensions),
        },
    )


def _said(weights: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:g}" for name, value in weights.items() if value)


def _changes(valued: Valued, dimensions: Sequence[Dimension]) -> str:
    """What the rule set changes, in words."""
    changed = [
        f"{entry.id} {entry.options[option].label}"
        for entry, option in zip(dimensions, valued.choice, strict=True)
        if option != entry.start
    ]
    return "; ".join(changed) or "nothing"


def _estimates(pick: Point, emulation: Emulation, cell: int) -> list[Estimate]:
    """The pick, in sample and held out."""
    pair, label = emulation.comparison.pair, emulation.comparison.label
    out: list[Estimate] = []
    shown = (("", IN_SAMPLE, pick.effect, pick.valued.pool), ("held_out.", HELD_OUT, pick.held_out, pick.held_out_pool))
    for stem, population, effect, share in shown:
        rest = {"evidence": "exploratory", "population": population, "n": coarse(effect.n, cell)}
        if emulation.outcome.kind != "continuous":
            rest["events"] = coarse(effect.events, cell)
        for scale in (effect.relative, effect.absolute):
            if scale.measure:
                name = f"search.pick.{stem}{scale.measure.lower().replace(' ', '_')}.{pair}"
                out.append(scale.estimate(name, f"{scale.measure.capitalize()}, {label}, {population}", **rest))
        out.append(
            Estimate(
                name=f"search.pick.{stem}pool",
                label=f"Share of all patients, {population}",
                value=shown_share(share, emulation, cell),
                unit="probability",
                method="share of these patients, rounded to the minimum cell: a description, without limits",
                **{**rest, "n": emulation.shown_n, "events": None},
            )
        )
    return out
