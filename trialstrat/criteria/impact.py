"""Stage "impact": what every written criterion does to the pool, the effect, the events and representativeness."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trialstrat.cohort.cohort import Cohort
from trialstrat.cohort.shown import said_horizon, shown_outcome, whole_horizon
from trialstrat.criteria.assays import assay_results
from trialstrat.criteria.benchmark import DEFINITION, benchmark
from trialstrat.criteria.coalitions import MEASURES
from trialstrat.criteria.emulation import WEIGHTING_WORDS, Emulation, Judged, declared_weighting, emulate
from trialstrat.criteria.impact_estimates import Compared, estimates_of
from trialstrat.criteria.impact_tables import (
    balance_rows,
    balance_table,
    effect_rows,
    effects_table,
    scenario_rows,
    scenarios_table,
    shapley_rows,
    shapley_table,
)
from trialstrat.criteria.pool import passing, pool_table, representation_table, represented, sequence_table
from trialstrat.criteria.ranking import Ranking, deciding, improvement, rank
from trialstrat.protocol.units import unit_factor
from trialstrat.results import Cell, Finding, StageResult, Table
from trialstrat.subgroups.comparison import clustered, comparisons, question_not_asked

Mask = NDArray[np.bool_]

WITHHELD = "withheld: "


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Impact:
    """The stage's result, and what the search over criteria starts from (empty where no effect is asked)."""

    result: StageResult
    compared: tuple[Compared, ...]


def impact_study(
    everyone: Cohort, judged: Sequence[Judged], *, horizon: float | None, rng: np.random.Generator, jobs: int = 1
) -> Impact | None:
    """Impact of each criterion; None when no criterion can be applied by a program.

    Parameters
    ----------
    everyone : Cohort
        All patients with a usable outcome, before eligibility.
    judged : sequence of Judged
        The criteria applied to them, in declared order.
    horizon : float or None
        Of restricted means, in the unit of the report.
    rng
        For orders, resamples and folds.
    jobs : int
        Threads; changes no number.
    """
    if not judged:
        return None
    plan = everyone.protocol.criteria
    outcome = shown_outcome(everyone)
    not_asked = question_not_asked(everyone) or clustered(everyone, "the ranking of criteria")
    pairs = () if not_asked else comparisons(everyone)
    compared = tuple(
        _compare(everyone, emulate(everyone, judged, comparison, horizon), judged, rng, jobs, first=at == 0)
        for at, comparison in enumerate(pairs)
    )
    shown = represented(everyone)
    tables = [
        pool_table(judged, outcome.of_interest, _taken(compared, everyone.n), _population(everyone, len(pairs))),
        *([sequence_table(judged, _population(everyone, len(pairs)))] if plan.rules is not None else []),
        representation_table(shown, judged, everyone.n),
    ]
    tables += _effect_tables(everyone, compared, passing(judged, everyone.n)) if compared else []
    assays = assay_results(
        plan.assays,
        judged,
        compared[0].emulation if compared else None,
        n=everyone.n,
        level=everyone.protocol.analysis.level,
        turnaround=_shown_units(everyone),
        cell=everyone.protocol.disclosure.minimum_cell,
    )
    tables += [] if assays.table is None else [assays.table]
    estimates = [entry for one in compared for entry in estimates_of(one, everyone, plan.impact.scale)]
    facts = _facts(everyone, compared, not_asked, [entry.column for entry in shown.variables])
    result = StageResult(
        stage="impact",
        estimates=(*estimates, *assays.estimates),
        tables=tuple(table for table in tables if table.rows),
        findings=(*(entry for one in compared for entry in _findings(one)), *assays.findings),
        facts=facts,
    )
    return Impact(result=result, compared=compared)


def _effect_tables(everyone: Cohort, compared: Sequence[Compared], eligible: Mask) -> list[Table]:
    """Effects by set, of each criterion, contributions and balance (``eligible``, n) of all comparisons."""
    rows: dict[str, list[tuple[Cell, ...]]] = {"effects": [], "shapley": [], "scenarios": [], "balance": []}
    for one in compared:
        rows["effects"] += effect_rows(one.ranking, one.criteria, one.pair)
        rows["shapley"] += shapley_rows(one.ranking, one.criteria, one.pair, one.withheld)
        cell = everyone.protocol.disclosure.minimum_cell
        rows["scenarios"] += scenario_rows(one.effects, one.ranking.crossed, one.pair, cell)
        rows["balance"] += balance_rows(one.emulation, everyone, eligible)
    first, plan = compared[0], everyone.protocol.criteria.impact
    favourable = everyone.protocol.endpoint.favourable
    return [
        scenarios_table(rows["scenarios"], _weighting_note(everyone)),
        effects_table(rows["effects"], said_horizon(first.emulation.outcome)),
        shapley_table(rows["shapley"], first.emulation, first.ranking, plan, favourable),
        balance_table(rows["balance"]),
    ]


def _compare(
    everyone: Cohort,
    emulation: Emulation,
    judged: Sequence[Judged],
    rng: np.random.Generator,
    jobs: int,
    *,
    first: bool,
) -> Compared:
    """Benchmark first, then the ranking, unless the two trials disagree."""
    plan, analysis = everyone.protocol.criteria, everyone.protocol.analysis
    everybody = np.ones(everyone.n, dtype=np.bool_)
    effects = {"none": emulation.effect(everybody), "all": emulation.effect(passing(judged, everyone.n))}
    published, found = plan.published, None
    if published is not None and emulation.timed and _is_for(published.comparison, emulation, first=first):
        found = benchmark(effects["all"].relative, published, analysis.level)
    favourable = everyone.protocol.endpoint.favourable
    ranking = rank(emulation, plan.impact, favourable=favourable, level=analysis.level, rng=rng, jobs=jobs)
    withheld = f"{WITHHELD}{found.reason}" if found is not None and not found.agrees else ""
    if withheld:
        ranking = _without_effects(ranking, withheld)
    elif not ranking.reason:
        effects["kept"] = emulation.effect(passing([judged[at] for at in ranking.keep], everyone.n))
    return Compared(
        emulation=emulation,
        ranking=ranking,
        benchmark=found,
        effects=effects,
        criteria=tuple(entry.id for entry in judged),
        withheld=withheld,
    )


def _is_for(named: str | None, emulation: Emulation, *, first: bool) -> bool:
    return first if named is None else emulation.comparison.treatment == named


def _without_effects(ranking: Ranking, reason: str) -> Ranking:
    """Only counts are left of a ranking that must not be shown."""

    def hidden(values: Mapping[str, Any]) -> dict[str, Any]:
        return {
            name: entry
            if name in ("patients", "events")
            else replace(
                entry,
                value=entry.value * np.nan,
                lower=entry.lower * np.nan,
                upper=entry.upper * np.nan,
                reason=reason,
            )
            for name, entry in values.items()
            if name in MEASURES
        }

    return replace(
        ranking,
        shapley=hidden(ranking.shapley),
        alone=hidden(ranking.alone),
        without=hidden(ranking.without),
        change=hidden(ranking.change),
        keep=(),
        kept_share=ranking.kept_share * np.nan,
        crossed={},
        reason=reason,
    )


def _shown_units(everyone: Cohort) -> float:
    """Units of the report per unit of the endpoint."""
    endpoint = everyone.protocol.endpoint
    return 1.0 if endpoint.unit is None else unit_factor(endpoint.unit, endpoint.shown_unit)


def _taken(compared: Sequence[Compared], n: int) -> Mapping[str, NDArray[np.float64]] | None:
    """Order-free counts, where one comparison covers all patients."""
    if len(compared) != 1 or compared[0].emulation.n != n:
        return None
    return {name: compared[0].ranking.shapley[name].value for name in ("patients", "events")}


def _population(everyone: Cohort, pairs: int) -> str:
    outcome = shown_outcome(everyone)
    who = "Population: all patients with a usable outcome, before any criterion"
    return f"{who} ({outcome.population()}{', all arms' if pairs > 1 else ''})."


def _weighting_note(everyone: Cohort) -> str:
    cell = everyone.protocol.disclosure.minimum_cell
    weighted = declared_weighting(everyone)
    fitted = "" if weighted == "none" else "; weights are fitted in each set anew"
    rounded = f" Counts of sets other than all criteria are rounded to multiples of {cell}." if cell > 1 else ""
    return f"Emulated trial, {WEIGHTING_WORDS[weighted]}{fitted}.{rounded}"


def _findings(one: Compared) -> list[Finding]:
    out = []
    if one.emulation.lost:
        out.append(
            Finding(
                code="W-IMPACT-CONFOUNDER-MISSING",
                severity="warning",
                message=f"of {one.emulation.comparison.label} have an unknown confounder and are in no emulated trial",
                remedy="Complete the confounders, or read the impact as that of complete cases",
                bad=one.emulation.lost,
                total=int(one.emulation.comparison.rows.sum()),
            )
        )
    if one.withheld:
        out.append(
            Finding(
                code="W-IMPACT-BENCHMARK",
                severity="warning",
                message=f"criteria are not ranked: {one.benchmark.reason if one.benchmark else one.withheld}",
                remedy="Look for unmeasured confounding or another outcome definition before criteria are changed",
            )
        )
    return out


def _facts(everyone: Cohort, compared: Sequence[Compared], not_asked: str, shown: Sequence[str]) -> dict[str, str]:
    facts = {
        "question_not_asked": not_asked,
        "weighting": WEIGHTING_WORDS[declared_weighting(everyone)],
        "represented": ", ".join(shown),
        "definition": DEFINITION,
    }
    if compared:
        one = compared[0]
        measure = deciding(one.emulation, everyone.protocol.criteria.impact)
        better = improvement(one.emulation, measure, everyone.protocol.endpoint.favourable)
        agrees = "" if one.benchmark is None else "yes" if one.benchmark.agrees else "no"
        facts |= {
            "pair": one.pair,
            "comparison": one.emulation.comparison.label,
            "measure": measure,
            "better": "higher" if better > 0 else "lower",
            "keep": ", ".join(one.criteria[at] for at in one.ranking.keep),
            "reason": one.ranking.reason,
            "benchmark_agrees": agrees,
            "benchmark": "" if one.benchmark is None else one.benchmark.reason,
            "horizon": whole_horizon(one.emulation.outcome.horizon),
            "unit": one.emulation.outcome.unit,
            "orders": str(one.ranking.orders or ""),
        }
    return facts
