"""Stages that read nothing but the cohort, run side by side: each in a process of its own, with a seed of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from trialstrat.cohort.cohort import Cohort
from trialstrat.criteria.frozen import FoundRule
from trialstrat.models.task import run_parallel
from trialstrat.pipeline.found_rules import predictive_rule
from trialstrat.pipeline.progress import Progress
from trialstrat.pipeline.seeds import generator
from trialstrat.results import StageResult
from trialstrat.subgroups.benefit import benefit_study
from trialstrat.subgroups.imputed import imputed_analysis
from trialstrat.subgroups.marker_study import marker_study
from trialstrat.subgroups.rule_study import rule_study


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a stage gives: results in the order of the report, and rules for ``criteria.yaml``."""

    results: tuple[StageResult, ...]
    rules: tuple[FoundRule, ...] = ()


def _markers(cohort: Cohort, rng: np.random.Generator) -> Answer:
    return Answer(results=marker_study(cohort, rng=rng))


def _imputed(cohort: Cohort, rng: np.random.Generator) -> Answer:
    found = imputed_analysis(cohort, rng=rng)
    return Answer(results=() if found is None else (found,))


def _benefit(cohort: Cohort, rng: np.random.Generator) -> Answer:
    found = benefit_study(cohort, rng=rng)
    return Answer(results=() if found is None else (found,))


def _rules(cohort: Cohort, rng: np.random.Generator) -> Answer:
    found = rule_study(cohort, rng=rng)
    return Answer(results=found.results, rules=predictive_rule(cohort, found))


#: By the name of their seed, in the order of the report.
STAGES: Mapping[str, Callable[[Cohort, np.random.Generator], Answer]] = {
    "imputation": _imputed,
    "markers": _markers,
    "benefit": _benefit,
    "subgroups": _rules,
}
#: The same, longest first, so that workers end together.
_BY_COST: tuple[str, ...] = ("benefit", "markers", "subgroups", "imputation")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Item:
    name: str
    cohort: Cohort
    seed: np.random.SeedSequence


def side_by_side(
    cohort: Cohort, seeds: Mapping[str, np.random.SeedSequence], *, jobs: int, progress: Progress
) -> list[Answer]:
    """Every stage of :data:`STAGES`, in that order; ``jobs`` changes no number."""
    items = [_Item(name=name, cohort=cohort, seed=seeds[name]) for name in _BY_COST]
    progress.stage("who benefits", len(items))
    answers = dict(zip(_BY_COST, run_parallel(_answer, items, jobs=jobs, advance=progress.advance), strict=True))
    return [answers[name] for name in STAGES]


def _answer(item: _Item) -> Answer:
    return STAGES[item.name](item.cohort, generator(item.seed))
