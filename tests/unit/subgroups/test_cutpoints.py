"""Scan over cut-points of the treatment effect: finds a true step, pays for looking, says when it did not look."""

from __future__ import annotations

import numpy as np
import pytest

from tests.helpers.synthetic import cohort, trial
from trialstrat.cohort.cohort import Cohort
from trialstrat.cohort.shown import shown_outcome
from trialstrat.stats.interaction_cut import interaction_cutpoint
from trialstrat.subgroups.comparison import comparisons
from trialstrat.subgroups.curve_study import continuous_markers
from trialstrat.subgroups.cutpoints import cutpoint_study


def scan(study: Cohort, monkeypatch: pytest.MonkeyPatch, weights: np.ndarray | None = None):
    monkeypatch.setattr("trialstrat.subgroups.cutpoints.RESAMPLES", 30)
    monkeypatch.setattr("trialstrat.subgroups.cutpoints.DRAWS", 500)
    return cutpoint_study(
        study,
        shown_outcome(study),
        comparisons(study),
        continuous_markers(study),
        weights=[weights],
        rng=np.random.default_rng(1),
    )


def stepped(n: int, seed: int) -> Cohort:
    """Treatment helps above 0.6 of the marker only."""
    rng = np.random.default_rng(seed)
    source = trial(n=n, log_hr=(0.0,), prognosis=0.5, seed=seed)
    rate = 0.05 * np.exp(-1.6 * source.treated * (source.marker > 0.6))
    survival, censoring = rng.exponential(1 / rate), rng.uniform(20, 80, n)
    time, event = np.minimum(survival, censoring), (survival <= censoring).astype(np.int64)
    return cohort(type(source)(**{**{k: getattr(source, k) for k in source.__slots__}, "time": time, "event": event}))


def test_a_true_step_is_found_with_its_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    study = stepped(600, 2)
    result = scan(study, monkeypatch)
    row = result.table("cutpoints.summary").records()[0]
    assert row["cut"] == pytest.approx(0.6, abs=0.08)
    assert row["lower"] <= row["cut"] <= row["upper"]
    assert row["p"] < 0.01
    assert row["p_adjusted"] >= row["p"]
    assert row["ratio_naive"] < 0.5
    plain = interaction_cutpoint(
        study.outcome.time, study.outcome.event, study.treated(), study.frame["marker"].to_numpy()
    )
    values = study.frame["marker"].to_numpy()
    # the same patients on both sides, and nobody's own value
    np.testing.assert_array_equal(values <= row["cut"], values <= plain.cutpoint)
    assert row["cut"] not in values


def test_what_is_not_scanned_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    result = scan(cohort(trial(n=200)), monkeypatch, np.ones(200))
    assert result.tables == ()
    assert "balancing weights" in result.findings[0].message
    plain = {
        "kind": "binary",
        "time": None,
        "unit": None,
        "horizon": None,
        "event": None,
        "value": "y",
        "positive": [1],
    }
    assert scan(cohort(trial(n=200), endpoint=plain), monkeypatch) is None


def test_the_scan_keeps_its_error_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    """No difference of effects with a prognostic marker: the corrected p is small no more often than it says."""
    monkeypatch.setattr("trialstrat.subgroups.cutpoints._interval", lambda *_: (None, None))
    small = [
        scan(cohort(trial(n=200, seed=seed)), monkeypatch).table("cutpoints.summary").records()[0]["p"] < 0.1
        for seed in range(80)
    ]
    assert np.mean(small) <= 0.2
