"""Whether a frozen model may be applied to other patients: the same columns, kinds, units and levels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from trialstrat.cohort.columns import column as column_of
from trialstrat.cohort.rules import finding, visible
from trialstrat.features.spec import VariableSpec
from trialstrat.models.frozen import FrozenModel
from trialstrat.results import Finding

if TYPE_CHECKING:
    from trialstrat.cohort.cohort import Cohort

#: Medians further apart than this are in different units.
MOST_APART = 10.0
_NUMERIC = ("continuous", "marker")


def mismatches(
    cohort: Cohort, frozen: FrozenModel, declared: Mapping[str, Mapping[str, Any]], place: tuple[str, str]
) -> list[Finding]:
    """Every fault of a cohort as input of a frozen model.

    Parameters
    ----------
    declared : mapping
        What the study that made the model declared of its variables, by column.
    place : (str, str)
        Names of the files here, and of the run with its files: both stand in every message.

    Returns
    -------
    list of Finding
        Columns that are absent, of another kind or unit, with a median more than ten times apart, or with levels that
        the model has never seen. Levels held by fewer rows than may be shown are counted, not named.
    """
    found: list[Finding] = []
    for spec in frozen.spec.variables:
        if spec.parts:
            continue  # a signature is computed from genes, whose absence its derivation refuses
        found += _variable(cohort, spec, declared.get(spec.column, {}), place)
    return found


def _variable(cohort: Cohort, spec: VariableSpec, declared: Mapping[str, Any], place: tuple[str, str]) -> list[Finding]:
    here, there = place
    column = spec.column
    if column not in cohort.frame and column not in cohort.markers:
        return [finding("E-VALID-COLUMN", source=here, column=column, detail=f"a feature of the model of {there}")]
    values = column_of(cohort.frame if column in cohort.frame else cohort.markers, column)
    numeric = pd.api.types.is_numeric_dtype(values.dtype)
    if numeric != (spec.coding in _NUMERIC):
        kinds = ("numbers", "levels") if numeric else ("levels", "numbers")
        detail = f"{kinds[0]} here, {kinds[1]} in {there}"
        return [finding("E-VALID-KIND", source=here, column=column, detail=detail)]
    units = {entry.column: entry.unit for entry in cohort.protocol.variables}
    mine, theirs = units.get(column, ""), str(declared.get("unit") or spec.unit)
    if mine and theirs and mine != theirs:
        return [finding("E-VALID-UNIT", source=here, column=column, detail=f"{mine} here, {theirs} in {there}")]
    return _median(values, spec, place) if numeric else _levels(cohort, values, spec, place)


def _median(values: pd.Series, spec: VariableSpec, place: tuple[str, str]) -> list[Finding]:
    known = values.dropna().to_numpy(dtype=np.float64)
    if spec.coding == "marker" or not len(known) or spec.fill <= 0 or np.median(known) <= 0:
        return []  # logarithms and differences have medians near 0, whose ratio says nothing
    ratio = float(np.median(known)) / spec.fill
    if 1 / MOST_APART <= ratio <= MOST_APART:
        return []
    detail = f"its median is {ratio:.3g} times that of {place[1]}"
    return [finding("E-VALID-UNIT", source=place[0], column=spec.column, detail=detail)]


def _levels(cohort: Cohort, values: pd.Series, spec: VariableSpec, place: tuple[str, str]) -> list[Finding]:
    unseen = ~values.isna() & ~values.astype(str).isin(spec.levels)
    if not unseen.any():
        return []
    counts = pd.Series(values[unseen].astype(str)).value_counts()
    minimum = cohort.protocol.disclosure.minimum_cell
    common = [visible(str(level)) for level, count in counts.items() if int(count) >= minimum]
    named = f": {', '.join(common[:5])}" if common else ""
    detail = f"{len(counts)} levels that {place[1]} never saw{named}"
    bad = int(unseen.sum())
    return [finding("E-VALID-LEVEL", source=place[0], column=spec.column, detail=detail, bad=bad, total=len(values))]
