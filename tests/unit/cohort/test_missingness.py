"""Stage "missing": what is missing together, by outcome, and with what; no small count left as a difference."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chi2_contingency

from tests.helpers.synthetic import cohort, trial
from trialstrat.cohort.cohort import Cohort
from trialstrat.cohort.missingness import COMPLETE, OTHER, missing_patterns, shown_patterns
from trialstrat.results import StageResult


def study(*, minimum: int = 11) -> Cohort:
    """Stage is missing more often with the event, marker more often on treatment, site in few."""
    source = trial(n=600, seed=2)
    of = cohort(source, disclosure={"minimum_cell": minimum})
    rng = np.random.default_rng(1)
    of.frame["stage"] = of.frame["stage"].mask(rng.random(of.n) < np.where(source.event == 1, 0.5, 0.2))
    of.frame["marker"] = of.frame["marker"].mask(rng.random(of.n) < np.where(source.treated == 1, 0.4, 0.2))
    of.frame["site"] = of.frame["site"].mask(np.arange(of.n) < 4)
    return of


@pytest.fixture(scope="module")
def result() -> StageResult:
    found = missing_patterns(study())
    assert found is not None
    return found


def test_counts_by_outcome_add_up(result: StageResult) -> None:
    of = study()
    rows = {(r["variable"], r["outcome"]): r for r in result.table("missing.by_outcome").records()}
    for variable in ("stage", "marker", "site"):
        parts = [rows[variable, part] for part in ("event", "no_event")]
        assert sum(part["missing"] for part in parts) == rows[variable, "all"]["missing"]
        assert rows[variable, "all"]["missing"] == int(of.frame[variable].isna().sum())
        assert sum(part["n"] for part in parts) == 600
    assert rows["stage", "event"]["share"] > 0.4 > rows["stage", "no_event"]["share"]


def test_what_is_associated_is_found_and_tested_as_scipy_does(result: StageResult) -> None:
    of = study()
    rows = {(r["variable"], r["against"]): r for r in result.table("missing.association").records()}
    by_arm = rows["marker", "Drug 1 vs Control"]
    absent, treated = of.frame["marker"].isna().to_numpy(), np.asarray(of.arm == "t1")
    counts = [[int((absent & t).sum()), int((~absent & t).sum())] for t in (treated, ~treated)]
    assert by_arm["p"] == pytest.approx(chi2_contingency(counts, correction=False).pvalue, rel=1e-9)
    assert by_arm["smd"] > 0.3
    assert rows["stage", "Outcome"]["p"] < 1e-4
    assert rows["stage", "Outcome"]["smd"] > 0.4
    assert rows["stage", "Drug 1 vs Control"]["p"] > 0.01
    assert (rows["site", "Outcome"]["p"], rows["site", "Outcome"]["smd"]) == (None, None)  # 4 patients


def test_patterns_are_of_everybody_and_small_ones_stand_together(result: StageResult) -> None:
    table = result.table("missing.patterns")
    rows = {r["group"]: r["n"] for r in table.records()}
    assert sum(rows.values()) == 600
    assert min(rows.values()) >= 11
    assert {COMPLETE, "Stage", "Marker", "Stage, Marker"} >= set(rows) - {OTHER}
    assert OTHER in rows
    everything = missing_patterns(study(minimum=1))
    assert everything is not None
    assert OTHER not in {r["group"] for r in everything.table("missing.patterns").records()}


def test_nothing_missing_is_no_stage() -> None:
    assert missing_patterns(cohort(trial(n=100))) is None


@pytest.mark.parametrize("kind", ["binary", "continuous"])
def test_other_endpoints(kind: str) -> None:
    source = trial(n=300, seed=5)
    endpoint = {"kind": kind, "value": "y", "event": None, "time": None, "unit": None, "horizon": None}
    endpoint |= {"positive": [1], "negative_values": [0]} if kind == "binary" else {}
    of = cohort(source, value=source.time if kind == "continuous" else None, endpoint=endpoint)
    of.frame["marker"] = of.frame["marker"].mask(source.time > np.median(source.time))
    found = missing_patterns(of)
    assert found is not None
    row = next(r for r in found.table("missing.association").records() if r["against"] == "Outcome")
    assert row["p"] < 0.01
    assert ("missing.by_outcome" in {t.name for t in found.tables}) == (kind == "binary")


@given(
    st.dictionaries(
        st.sampled_from([c for size in range(4) for c in combinations(range(3), size)]), st.integers(1, 60), min_size=1
    ),
    st.integers(1, 12),
)
def test_no_difference_of_shown_patterns_is_small(counts: dict[tuple[int, ...], int], minimum: int) -> None:
    totals = {at: sum(n for pattern, n in counts.items() if at in pattern) for at in range(3)}
    shown = shown_patterns(counts, totals, minimum)
    assert all(n >= minimum and n == counts[pattern] for pattern, n in shown.items())
    rest = sum(counts.values()) - sum(shown.values())
    assert rest == 0 or rest >= minimum or not shown
    for at, total in totals.items():
        own = [n for pattern, n in shown.items() if at in pattern]
        assert not own or total - sum(own) == 0 or total - sum(own) >= minimum
