"""Small-cell suppression of a stage's result, applied before anything is stored or rendered.

Counts of patients from 1 to ``minimum_cell - 1`` are replaced by ``"<k"``, and other counts are withheld beside them
until no hidden count can be computed from the published ones. Values derived from hidden counts are blanked, steps of
survival curves are pooled until each stands for enough events, and estimates from too few patients or events are
suppressed. Tables that are published together are protected together where they repeat a count by name (a level of a
variable, patients without a value, by arm) or share a total that everybody knows; other sums across tables are
not looked at. Differences between two runs are found by `disclosure.differences`.

References
----------
Hundepool A et al. Statistical Disclosure Control. Wiley 2012, chapter 4 (primary and secondary suppression, and
feasibility intervals). El Emam K, Malin B. Concepts and methods for de-identifying clinical trial data. In: Sharing
Clinical Trial Data, National Academies Press 2015, appendix B.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from trialstrat.disclosure.counts import WITHHELD, is_small, protect_counts
from trialstrat.disclosure.curves import CURVE_HELPERS, is_marks, pool_marks, pool_steps, without_helpers
from trialstrat.errors import InvalidInputError
from trialstrat.results import NAN, Estimate, Finding, StageResult, Table

__all__ = ["COUNT_UNITS", "CURVE_HELPERS", "WITHHELD", "protect", "protect_together"]

#: Units of estimates whose value is itself a count of patients.
COUNT_UNITS = frozenset({"patients", "events"})
#: Estimates of everybody, of a pair of arms, or of an arm: their sizes are known to every reader.
WHOLE = ("primary.cox.hazard_ratio.", "primary.logrank.p", "cohort.events", "baseline.maturity.")


def protect(result: StageResult, minimum_cell: int) -> StageResult:
    """One stage alone, see :func:`protect_together`."""
    return protect_together([result], minimum_cell)[0]


def protect_together(results: Sequence[StageResult], minimum_cell: int) -> list[StageResult]:
    """The same results without any count of 1 to ``minimum_cell - 1`` patients, shown or computable.

    Parameters
    ----------
    results
        Everything that will be published together: a count that stands in several tables is hidden in all or in none,
        and patients left out of an analysis do not show as the difference of two sizes. Tables are treated as their
        ``protection`` says. A ``curve`` table must hold ``at_risk`` and ``events_since`` (events since the row
        before), or, for censoring marks, ``count``; these helper columns are dropped.
    minimum_cell
        Smallest count that may be shown; 1 shows everything (only the helper columns go).

    Returns
    -------
    list of StageResult
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
        return [replace(result, tables=tuple(without_helpers(table) for table in result.tables)) for result in results]
    counted = [table for result in results for table in result.tables if table.protection == "counts"]
    wholes = _wholes(results)
    done = iter(protect_counts(counted, minimum_cell, wholes))
    return [
        replace(
            result,
            tables=tuple(
                next(done) if table.protection == "counts" else _drawn(result, table, minimum_cell)
                for table in result.tables
            ),
            estimates=tuple(
                _protect_estimate(_without_difference(entry, wholes, minimum_cell), minimum_cell)
                for entry in result.estimates
            ),
            findings=tuple(_protect_finding(finding, minimum_cell) for finding in result.findings),
        )
        for result in results
    ]


def _drawn(result: StageResult, table: Table, minimum: int) -> Table:
    """A curve or its censoring marks, pooled; other tables as they are."""
    if table.protection != "curve":
        return table
    if not is_marks(table):
        return pool_steps(table, minimum)
    curve = next((entry for entry in result.tables if entry.name == f"{table.name.rpartition('.')[0]}.km"), None)
    pooled = None if curve is None else pool_steps(curve, minimum) if curve.protection == "curve" else curve
    return pool_marks(table, pooled, minimum)


def _wholes(results: Sequence[StageResult]) -> set[tuple[int, int]]:
    """Patients and events of everybody, of pairs of arms, of arms: what analyses of complete cases fall short of."""
    found = {
        (entry.n, entry.events)
        for result in results
        for entry in result.estimates
        if entry.name.startswith(WHOLE) and entry.n is not None and entry.events is not None
    }
    return {(int(n), int(events)) for n, events in found}


def _without_difference(estimate: Estimate, wholes: set[tuple[int, int]], minimum: int) -> Estimate:
    """An estimate of nearly everybody without its own size: the few left out would be its difference to the whole."""
    if estimate.n is None or estimate.unit in COUNT_UNITS or (estimate.n, estimate.events) in wholes:
        return estimate
    few = any(0 < n - estimate.n < minimum for n, _ in wholes)
    lost = estimate.events is not None and any(0 < events - estimate.events < minimum for _, events in wholes)
    return replace(estimate, n=None if few else estimate.n, events=None if few or lost else estimate.events)


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
