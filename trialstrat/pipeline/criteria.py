"""The stages about the written criteria: their impact, and the search for better ones."""

from __future__ import annotations

import numpy as np

from trialstrat.cohort.cohort import Cohort
from trialstrat.cohort.shown import shown_outcome
from trialstrat.criteria.frozen import FoundRule
from trialstrat.criteria.impact import impact_study
from trialstrat.criteria.search_study import Written, search_study
from trialstrat.criteria.written import candidate, judge_all
from trialstrat.results import StageResult


def criteria_stages(
    cohort: Cohort,
    file_rules: tuple[Written, ...],
    found: tuple[FoundRule, ...],
    *,
    rng: np.random.Generator,
    jobs: int,
) -> list[StageResult]:
    """Impact of each criterion on all patients before eligibility, and the search; none without applicable criteria.

    ``file_rules`` are those of a rule file; rules that earlier stages ``found`` enter the search as candidates.
    """
    everyone = cohort.everyone
    if everyone is None:
        return []
    written = (*judge_all(everyone), *file_rules)
    horizon = shown_outcome(cohort).horizon
    impact = impact_study(everyone.cohort, [entry.judged for entry in written], horizon=horizon, rng=rng, jobs=jobs)
    if impact is None:
        return []
    if not impact.compared:
        return [impact.result]
    candidates = tuple(candidate(rule, at, everyone) for at, rule in enumerate(found, start=1))
    searched = search_study(
        everyone.cohort, (*written, *candidates), everyone.tables.patients, impact.compared[0], rng=rng, jobs=jobs
    )
    return [impact.result, searched]
