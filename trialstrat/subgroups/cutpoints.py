"""Stage "cutpoints": the cut of every continuous marker at which the effect changes most, after paying for the scan."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from trialstrat.cohort.cohort import Cohort
from trialstrat.cohort.shown import ShownOutcome
from trialstrat.disclosure.cuts import shown_cut
from trialstrat.results import Cell, Column, Finding, StageResult, Table
from trialstrat.stats.interaction_cut import interaction_cutpoint
from trialstrat.stats.multiplicity import p_adjust
from trialstrat.subgroups.comparison import Comparison
from trialstrat.subgroups.curve_study import DrawnMarker

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

#: Draws from the null distribution of the scan, and resamples for the interval of the cut.
DRAWS, RESAMPLES = 2000, 200
#: Shares of the patients at or below an admissible cut.
INNER = (0.1, 0.9)
#: More distinct cuts than this are thinned to quantiles in the resamples: the interval needs no finer grid.
MOST_CUTS = 40


def cutpoint_study(
    cohort: Cohort,
    outcome: ShownOutcome,
    compared: Sequence[Comparison],
    markers: Sequence[DrawnMarker],
    *,
    weights: Sequence[Floats | None],
    rng: np.random.Generator,
) -> StageResult | None:
    """Scan every marker for the cut with the strongest interaction, relative scale.

    The p pays for the scan over the cuts of the marker (random signs of score contributions), its Holm adjustment for
    the number of markers. The interval of the cut repeats the scan in bootstrap samples; it says where the cut may
    lie, not that there is one: a smooth change has no cut, and the effect curve stands beside it. None for endpoints
    that are not times; weighted comparisons, delayed entry and clusters are left out with a finding.

    References
    ----------
    Lausen B, Schumacher M (1992). Biometrics 48, 73-85. Hothorn T, Lausen B (2003). CSDA 43, 121-137.
    """
    if outcome.time is None:
        return None
    rows: list[tuple[Cell, ...]] = []
    findings: list[Finding] = []
    for comparison, weight in zip(compared, weights, strict=True):
        late = "delayed entry" if outcome.entry is not None else ""
        why = "balancing weights" if weight is not None else late or ("clusters" if outcome.cluster is not None else "")
        if why:
            findings.append(
                Finding(
                    code="W-CUTPOINT",
                    severity="note",
                    message=f"{comparison.label}: no scan over cut-points is made with {why}",
                )
            )
            continue
        rows += [_row(outcome, comparison, marker, rng) for marker in markers]
    if not rows and not findings:
        return None
    return StageResult(
        stage="cutpoints",
        tables=(_table(cohort, outcome, _adjusted(rows)),) if rows else (),
        findings=tuple(findings),
        facts={"draws": str(DRAWS), "resamples": str(RESAMPLES)},
    )


def _row(
    outcome: ShownOutcome, comparison: Comparison, marker: DrawnMarker, rng: np.random.Generator
) -> tuple[Cell, ...]:
    """One marker: best cut, its interval, the corrected p and the naive ratio; empty cells with a reason."""
    if outcome.time is None:
        raise ValueError("a scan over cut-points needs an endpoint that is a time")
    known = comparison.rows & np.isfinite(marker.values)
    time, event, arm = outcome.time[known], outcome.of_interest[known], comparison.treated[known]
    value = marker.values[known]
    counts = (int(known.sum()), int(event.sum()))
    keys = (comparison.pair, marker.name, marker.label, marker.unit)
    found = interaction_cutpoint(time, event, arm, value, min_prop=INNER[0], max_prop=INNER[1], rng=rng, draws=DRAWS)
    if found.status != "ok":
        return (*keys, *counts, None, None, None, None, None, None, None, found.reason)
    low, high = _interval(time, event, arm, _thinned(value), rng)
    share = float((value <= found.cutpoint).mean())
    ratio = float(np.exp(found.log_ratio)) if np.isfinite(found.log_ratio) else None
    p = float(found.p) if np.isfinite(found.p) else None
    cuts = [None if cut is None else shown_cut(cut, value, outcome.minimum_cell) for cut in (found.cutpoint, low, high)]
    return (*keys, *counts, *cuts, share, ratio, p, None, "")


def _thinned(value: Floats) -> Floats:
    """The marker rounded up to at most ``MOST_CUTS`` values that are quantiles."""
    distinct = np.unique(value)
    if distinct.size <= MOST_CUTS:
        return value
    steps = np.unique(np.quantile(value, np.linspace(0, 1, MOST_CUTS + 1)[1:], method="higher"))
    return steps[np.searchsorted(steps, value)]


def _interval(
    time: Floats, event: NDArray[np.int64], arm: NDArray[np.int64], value: Floats, rng: np.random.Generator
) -> tuple[float | None, float | None]:
    """95% percentile interval of the best cut over bootstrap samples; None when too few of them have a cut."""
    cuts = []
    for _ in range(RESAMPLES):
        rows = rng.integers(0, len(time), len(time))
        if arm[rows].min() == arm[rows].max():
            continue
        again = interaction_cutpoint(
            time[rows], event[rows], arm[rows], value[rows], min_prop=INNER[0], max_prop=INNER[1]
        )
        if again.status == "ok":
            cuts.append(again.cutpoint)
    if len(cuts) < RESAMPLES // 2:
        return None, None
    low, high = np.quantile(cuts, (0.025, 0.975), method="nearest")
    return float(low), float(high)


def _adjusted(rows: Sequence[tuple[Cell, ...]]) -> list[tuple[Cell, ...]]:
    """Holm over the markers of all comparisons, in the column before the last."""
    p = np.array([row[11] if isinstance(row[11], float) else np.nan for row in rows], dtype=np.float64)
    holm = p_adjust(p, "holm")
    return [
        (*row[:12], float(value) if np.isfinite(value) else None, row[13])
        for row, value in zip(rows, holm, strict=True)
    ]


def _table(cohort: Cohort, outcome: ShownOutcome, rows: Sequence[tuple[Cell, ...]]) -> Table:
    del cohort
    columns = (
        Column(key="comparison", label="Comparison"),
        Column(key="marker", label="Marker"),
        Column(key="label", label="Marker"),
        Column(key="unit", label="Unit"),
        Column(key="n", label="Known", kind="count"),
        Column(key="events", label="Events", kind="count"),
        Column(key="cut", label="Best cut", kind="effect"),
        Column(key="lower", label="Lower limit", kind="effect"),
        Column(key="upper", label="Upper limit", kind="effect"),
        Column(key="share", label="At or below", kind="percent"),
        Column(key="ratio_naive", label="Ratio of hazard ratios, above to below, naive", kind="effect"),
        Column(key="p", label="p, corrected for the scan", kind="p"),
        Column(key="p_adjusted", label="and for the markers", kind="p"),
        Column(key="reason", label="Not scanned because"),
    )
    note = (
        f"Population: {outcome.population()}. Cuts with 10% to 90% of the patients at or below; the naive ratio is too "
        f"extreme because the cut was chosen. Corrected p: {DRAWS} draws from the null distribution of the largest "
        f"statistic; limits of the cut: {RESAMPLES} resamples. Read it beside the effect curve: a smooth change has no "
        "cut."
    )
    return Table(
        name="cutpoints.summary",
        title="Cut-points of the treatment effect",
        columns=columns,
        rows=tuple(rows),
        note=note,
    )
