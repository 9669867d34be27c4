"""The stages about the written criteria: their impact, and the search for better ones."""

from __future__ import annotations

import numpy as np

from trialstrat.cohort.cohort import Cohort
from trialstrat.cohort.shown import shown_outcome
from trialstrat.criteria.frozen import FoundRule, found_ids
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
    ids = found_ids(len(found), cohort.protocol, [entry.judged.id for entry in file_rules])
    candidates = tuple(candidate(rule, name, everyone) for name, rule in zip(ids, found, strict=True))
    searched = search_study(
        everyone.cohort, (*written, *candidates), everyone.tables, impact.compared[0], rng=rng, jobs=jobs
    )
    return [impact.result, searched]
