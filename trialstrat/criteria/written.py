"""The written criteria applied to all patients, each by itself."""

from __future__ import annotations

from typing import Any

from trialstrat.cohort.cohort import Everyone
from trialstrat.cohort.language.evaluate import decided, passes, state_of
from trialstrat.cohort.language.states import UNKNOWN
from trialstrat.cohort.language.tables import Tables
from trialstrat.criteria.emulation import Judged
from trialstrat.criteria.frozen import FoundRule
from trialstrat.criteria.search_study import Written
from trialstrat.protocol.language.criterion import Criterion


def judge_all(everyone: Everyone) -> tuple[Written, ...]:
    """Every criterion that a program can apply, in declared order."""
    return tuple(_written(criterion, everyone) for criterion in everyone.cohort.protocol.eligibility if criterion.when)


def candidate(rule: FoundRule, name: str, everyone: Everyone) -> Written:
    """A rule that an earlier stage found, as a criterion that may be used, under the id it is frozen with."""
    criterion = Criterion(id=name, kind=rule.kind, text=rule.text, when=rule.conditions)
    return _written(criterion, everyone, found=True)


def _written(criterion: Criterion, everyone: Everyone, *, found: bool = False) -> Written:
    def judge(changed: Any) -> Judged:
        return judged(changed, everyone.tables)

    return Written(criterion=criterion, judged=judge(criterion), judge=judge, found=found)


def judged(criterion: Criterion, tables: Tables) -> Judged:
    """One criterion applied to all patients of ``tables``."""
    state = state_of(criterion, tables)
    return Judged(
        id=criterion.id,
        kind=criterion.kind,
        text=criterion.text or criterion.id,
        admits=passes(criterion, decided(criterion, state)),
        unknown=state == UNKNOWN,
    )
