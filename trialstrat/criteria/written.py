"""The written criteria applied to all patients, each by itself."""

from __future__ import annotations

from typing import Any

from trialstrat.cohort.cohort import Everyone
from trialstrat.cohort.eligibility import MET, NOT_MET, UNKNOWN, admitted, evaluate_criterion
from trialstrat.criteria.emulation import Judged
from trialstrat.criteria.frozen import FoundRule
from trialstrat.criteria.language.evaluate import evaluate
from trialstrat.criteria.language.model import Criterion
from trialstrat.criteria.language.schema import Tables
from trialstrat.criteria.search_study import Written
from trialstrat.protocol.model import EligibilityCriterion


def judge_all(everyone: Everyone) -> tuple[Written, ...]:
    """Every criterion that a program can apply, in declared order."""
    return tuple(_written(criterion, everyone) for criterion in everyone.cohort.protocol.eligibility if criterion.when)


def candidate(rule: FoundRule, number: int, everyone: Everyone) -> Written:
    """A rule that an earlier stage found, as a criterion that may be used."""
    criterion = EligibilityCriterion(id=f"R{number}", kind=rule.kind, text=rule.text, when=rule.conditions)
    return _written(criterion, everyone, found=True)


def _written(criterion: EligibilityCriterion, everyone: Everyone, *, found: bool = False) -> Written:
    def judge(changed: Any) -> Judged:
        return judged(changed, everyone)

    return Written(criterion=criterion, judged=judge(criterion), judge=judge, found=found)


def judged(criterion: EligibilityCriterion, everyone: Everyone) -> Judged:
    """One criterion applied to all patients."""
    state = evaluate_criterion(criterion, everyone.judged)
    return Judged(
        id=criterion.id,
        kind=criterion.kind,
        text=criterion.text or criterion.id,
        admits=admitted(criterion, state),
        unknown=state == UNKNOWN,
    )


def judged_linked(criterion: Criterion, tables: Tables) -> Judged:
    """One criterion on long tables applied to the patients of ``tables``."""
    state = evaluate(criterion, tables)
    undecided = evaluate(criterion.model_copy(update={"missing": "unknown"}), tables) == UNKNOWN
    passing = MET if criterion.kind == "inclusion" else NOT_MET
    return Judged(
        id=criterion.id,
        kind=criterion.kind,
        text=criterion.text or criterion.id,
        admits=state == passing,
        unknown=undecided,
    )
