"""Lint rules about covariates, biomarkers and eligibility criteria."""

from __future__ import annotations

import math
from collections.abc import Iterator

from trialstrat.protocol.model import Condition, EligibilityCriterion, Protocol, Variable
from trialstrat.protocol.remark import Remark


def column_rules(protocol: Protocol) -> Iterator[Remark]:
    """Covariates and biomarkers: order, ranges, time of measurement, and columns that are something else."""
    taken = _outcome_columns(protocol)
    for kind in ("covariates", "biomarkers"):
        for at, variable in enumerate(getattr(protocol, kind)):
            path = f"{kind}.{at}"
            yield from _variable(variable, path)
            if variable.column in taken:
                text = f"{variable.column} is {taken[variable.column]}: it cannot explain itself"
                yield Remark("P-COLUMN-ROLE", "error", path, text, "Remove it from the covariates.")


def _outcome_columns(protocol: Protocol) -> dict[str, str]:
    """Columns that are an outcome or the arm, with what they are."""
    taken: dict[str, str] = {}
    for endpoint in protocol.endpoints:
        event = endpoint.event.column if endpoint.event is not None else None
        for name in (endpoint.time, endpoint.end, event, endpoint.value):
            if name is not None:
                taken[name] = f"part of endpoint {endpoint.name}"
    if protocol.arms is not None:
        taken[protocol.arms.column] = "the arm"
    return taken


def _variable(variable: Variable, path: str) -> Iterator[Remark]:
    if variable.kind == "ordinal" and not variable.levels:
        yield Remark("P-LEVELS", "error", path, "an ordinal column needs its order", "Declare levels: lowest first.")
    if variable.kind == "continuous" and variable.levels:
        yield Remark("P-LEVELS", "error", path, "a continuous column has no levels", "Use minimum: and maximum:.")
    if variable.kind != "continuous" and not (variable.minimum is None and variable.maximum is None):
        yield Remark("P-RANGE", "error", path, "only a continuous column has a range", "Use levels:.")
    if variable.minimum is not None and variable.maximum is not None and variable.minimum > variable.maximum:
        yield Remark("P-RANGE", "error", path, "minimum: is above maximum:", "Correct one of the two.")
    if variable.measured == "after_time_zero":
        text = f"{variable.column} is measured after time zero: patients had to survive to have it"
        yield Remark("P-POST-BASELINE", "error", path, text, "Use a baseline value, or move time zero.")


def criterion_rules(protocol: Protocol) -> Iterator[Remark]:
    """Eligibility: units, contradictions, duplicates, and what only a person can judge."""
    variables = {variable.column: variable for variable in protocol.variables}
    seen: dict[str, str] = {}
    for at, criterion in enumerate(protocol.eligibility):
        path = f"eligibility.{at}"
        if not criterion.when:
            yield Remark("P-NOT-EXECUTABLE", "note", path, f"{criterion.id} has no when: a person must judge it")
            continue
        key = f"{criterion.kind} {sorted(condition.model_dump_json(exclude={'unit'}) for condition in criterion.when)}"
        if key in seen:
            text = f"{criterion.id} asks the same as {seen[key]}"
            yield Remark("P-CRITERION-TWICE", "warning", path, text, "Remove one of the two.")
        seen.setdefault(key, criterion.id)
        for position, condition in enumerate(criterion.when):
            yield from _condition(condition, variables.get(condition.column), f"{path}.when.{position}")
    yield from _contradictions(protocol.eligibility)


def _condition(condition: Condition, variable: Variable | None, path: str) -> Iterator[Remark]:
    ranged = _bounds(condition) is not None
    low, high = _bounds(condition) or (-math.inf, math.inf)
    if low > high:
        yield Remark("P-CONTRADICTION", "error", path, "the lower bound is above the upper one", "Correct one of them.")
    if variable is None:
        return
    if ranged and variable.kind == "categorical":
        text = f"{condition.column} is categorical and is compared with a number"
        yield Remark("P-CRITERION-KIND", "error", path, text, "Use equals: or one_of:.")
    if condition.unit and variable.unit and condition.unit != variable.unit:
        text = f"{condition.column} is in {variable.unit}, the criterion in {condition.unit}"
        yield Remark("P-CRITERION-UNIT", "error", path, text, "Give both in one unit.")
    declared = {str(level) for level in variable.levels}
    asked = {str(value) for value in (*condition.one_of, *condition.none_of)}
    asked |= {str(condition.equals)} if condition.equals is not None else set()
    unknown = sorted(asked - declared) if declared and not ranged else []
    if unknown:
        text = f"{', '.join(unknown)} not among the levels of {condition.column}"
        yield Remark("P-CRITERION-LEVEL", "error", path, text, f"Use one of {', '.join(sorted(declared))}.")


def _bounds(condition: Condition) -> tuple[float, float] | None:
    """Lower and upper bound of a range, None for other operators."""
    low = condition.at_least if condition.at_least is not None else condition.above
    high = condition.at_most if condition.at_most is not None else condition.below
    if low is None and high is None:
        return None
    return (-math.inf if low is None else low, math.inf if high is None else high)


def _contradictions(criteria: tuple[EligibilityCriterion, ...]) -> Iterator[Remark]:
    """Inclusion ranges of one column that no value satisfies."""
    spans: dict[str, tuple[float, float, str]] = {}
    for at, criterion in enumerate(criteria):
        if criterion.kind != "inclusion":
            continue
        for condition in criterion.when:
            bounds = _bounds(condition)
            if bounds is None or bounds[0] > bounds[1]:
                continue
            low, high, first = spans.get(condition.column, (-math.inf, math.inf, criterion.id))
            low, high = max(low, bounds[0]), min(high, bounds[1])
            if low > high:
                text = f"{first} and {criterion.id} leave no value of {condition.column}"
                yield Remark("P-CONTRADICTION", "error", f"eligibility.{at}", text, "Correct one of them.")
                continue
            spans[condition.column] = (low, high, first)
