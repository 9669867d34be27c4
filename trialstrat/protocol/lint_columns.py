"""Lint rules about covariates, biomarkers and eligibility criteria."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

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
    span = _span(condition)
    ranged = span is not None
    if span is not None and span.empty:
        yield Remark("P-CONTRADICTION", "error", path, "no value satisfies both bounds", "Correct one of them.")
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


def _span(condition: Condition) -> _Span | None:
    """The values that a range admits, None for other operators."""
    low = condition.at_least if condition.at_least is not None else condition.above
    high = condition.at_most if condition.at_most is not None else condition.below
    if low is None and high is None:
        return None
    return _Span(
        low=(-math.inf, False) if low is None else (low, condition.above is not None),
        high=(math.inf, True) if high is None else (high, condition.below is None),
    )


@dataclass(frozen=True, slots=True)
class _Span:
    """An interval: the lower end with whether it is open, the upper end with whether it is closed."""

    low: tuple[float, bool]
    high: tuple[float, bool]

    @property
    def empty(self) -> bool:
        """Whether no number lies in it."""
        return self.low[0] > self.high[0] or (self.low[0] == self.high[0] and (self.low[1] or not self.high[1]))

    def with_(self, other: _Span) -> _Span:
        """What lies in both."""
        return _Span(max(self.low, other.low), min(self.high, other.high))


def _contradictions(criteria: tuple[EligibilityCriterion, ...]) -> Iterator[Remark]:
    """Inclusion ranges of one column that no value satisfies."""
    spans: dict[str, tuple[_Span, str]] = {}
    for at, criterion in enumerate(criteria):
        for condition in criterion.when if criterion.kind == "inclusion" else ():
            span = _span(condition)
            if span is None or span.empty:
                continue
            before, first = spans.get(condition.column, (span, criterion.id))
            both = span.with_(before)
            if both.empty:
                text = f"{first} and {criterion.id} leave no value of {condition.column}"
                yield Remark("P-CONTRADICTION", "error", f"eligibility.{at}", text, "Correct one of them.")
            else:
                spans[condition.column] = (both, first)
