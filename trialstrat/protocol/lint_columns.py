"""Lint rules about covariates, biomarkers and eligibility criteria."""

from __future__ import annotations

from collections.abc import Iterator

from trialstrat.protocol.declared_schema import declared_schema, outcome_columns
from trialstrat.protocol.language.check import Fault, faults, message
from trialstrat.protocol.model import Protocol, Variable
from trialstrat.protocol.remark import Remark


def column_rules(protocol: Protocol) -> Iterator[Remark]:
    """Covariates and biomarkers: order, ranges, time of measurement, and columns that are something else."""
    taken = outcome_columns(protocol)
    if protocol.arms is not None:
        taken[protocol.arms.column] = "the arm"
    for kind in ("covariates", "biomarkers"):
        for at, variable in enumerate(getattr(protocol, kind)):
            path = f"{kind}.{at}"
            yield from _variable(variable, path)
            if variable.column in taken:
                text = f"{variable.column} is {taken[variable.column]}: it cannot explain itself"
                yield Remark("P-COLUMN-ROLE", "error", path, text, "Remove it from the covariates.")


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
    """Eligibility: what contradicts itself or the declarations, and what only a person can judge."""
    for at, criterion in enumerate(protocol.eligibility):
        if not criterion.when:
            text = f"{criterion.id} has no when: a person must judge it"
            yield Remark("P-NOT-EXECUTABLE", "note", f"eligibility.{at}", text)
    for fault in criteria_faults(protocol):
        place = "" if fault.node is None else f".when.{fault.node}"
        path = f"eligibility.{fault.criteria[-1]}{place}"
        text = message(fault, protocol.eligibility)
        yield Remark(fault.code, fault.severity, path, text, f"{fault.remedy}.")


def criteria_faults(protocol: Protocol) -> tuple[Fault, ...]:
    """Faults of the criteria against themselves and against what the protocol declares."""
    return faults(protocol.eligibility, declared_schema(protocol), complete=False)
