"""Small-cell suppression of a stage's result, applied before anything is stored or rendered.

Counts of patients from 1 to ``minimum_cell - 1`` are replaced by ``"<k"``, and other counts are withheld beside them
until no hidden count can be computed from the published ones. Values derived from hidden counts are blanked, steps of
survival curves are pooled until each stands for enough events, and estimates from too few patients or events are
suppressed. Sums across tables (the same count printed in two stages) are covered where a table's relations say that a
total is known; a count is otherwise protected within its own table.

References
----------
Hundepool A et al. Statistical Disclosure Control. Wiley 2012, chapter 4 (primary and secondary suppression, and
feasibility intervals). El Emam K, Malin B. Concepts and methods for de-identifying clinical trial data. In: Sharing
Clinical Trial Data, National Academies Press 2015, appendix B.
"""

from __future__ import annotations

from dataclasses import replace

from trialstrat.disclosure.counts import WITHHELD, is_small, protect_counts
from trialstrat.disclosure.curves import CURVE_HELPERS, is_marks, pool_marks, pool_steps, without_helpers
from trialstrat.errors import InvalidInputError
from trialstrat.results import NAN, Estimate, Finding, StageResult

__all__ = ["COUNT_UNITS", "CURVE_HELPERS", "WITHHELD", "protect"]

#: Units of estimates whose value is itself a count of patients.
COUNT_UNITS = frozenset({"patients", "events"})


def protect(result: StageResult, minimum_cell: int) -> StageResult:
    """The same result without any count of 1 to ``minimum_cell - 1`` patients, shown or computable within a table.

    Parameters
    ----------
    result
        Tables are treated as their ``protection`` says. A ``curve`` table must hold ``at_risk`` and ``events_since``
        (events since the row before), or, for censoring marks, ``count``; these helper columns are dropped.
    minimum_cell
        Smallest count that may be shown; 1 shows everything (only the helper columns go).

    Returns
    -------
    StageResult
        Protected tables carry ``protection="none"``: there is nothing left to do, a second call changes nothing.

    Raises
    ------
    InvalidInputError
        When ``minimum_cell`` is below 1.
    DisclosureError
        When a table cannot be protected: a curve without its numbers at risk, or counts that stay computable.
    """
    if minimum_cell < 1:
        raise InvalidInputError(f"the minimum cell must be 1 or more, not {minimum_cell}")
    if minimum_cell == 1:
        return replace(result, tables=tuple(without_helpers(table) for table in result.tables))
    curves = {
        table.name: pool_steps(table, minimum_cell)
        for table in result.tables
        if table.protection == "curve" and not is_marks(table)
    }
    tables = []
    for table in result.tables:
        if table.protection == "counts":
            tables.append(protect_counts(table, minimum_cell))
        elif table.protection == "curve" and is_marks(table):
            tables.append(pool_marks(table, curves.get(f"{table.name.rpartition('.')[0]}.km"), minimum_cell))
        else:
            tables.append(curves.get(table.name, table))
    return replace(
        result,
        tables=tuple(tables),
        estimates=tuple(_protect_estimate(estimate, minimum_cell) for estimate in result.estimates),
        findings=tuple(_protect_finding(finding, minimum_cell) for finding in result.findings),
    )


def _protect_estimate(estimate: Estimate, minimum: int) -> Estimate:
    """An estimate from fewer than ``minimum`` patients or events says only that."""
    small_value = estimate.unit in COUNT_UNITS and is_small(estimate.value, minimum)
    if not (small_value or is_small(estimate.n, minimum) or is_small(estimate.events, minimum)):
        return estimate
    return replace(
        estimate,
        value=NAN,
        lower=NAN,
        upper=NAN,
        n=None if is_small(estimate.n, minimum) else estimate.n,
        events=None if is_small(estimate.events, minimum) else estimate.events,
        status="suppressed",
        reason=f"fewer than {minimum} patients or events",
    )


def _protect_finding(finding: Finding, minimum: int) -> Finding:
    """A finding about few rows keeps its sense, not its count and not the lines that point at patients."""
    if not is_small(finding.bad, minimum):
        return finding
    return replace(finding, message=f"fewer than {minimum} rows {finding.message}", bad=None, total=None, lines=())
