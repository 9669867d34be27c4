"""A study whose rows lie in clusters: what every stage does about it, on a trial with every patient's row doubled."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.helpers.synthetic import cohort, trial
from trialstrat.cohort.cohort import Cohort
from trialstrat.cohort.shown import shown_outcome
from trialstrat.criteria.held_out import HeldOutRule, measure
from trialstrat.models.folds import outer_folds
from trialstrat.subgroups.benefit import benefit_study
from trialstrat.subgroups.interactions import linear_interactions, random_signs, weighted_cox_interactions
from trialstrat.subgroups.marker_study import marker_study
from trialstrat.subgroups.primary import primary_analysis
from trialstrat.subgroups.risk_groups import heterogeneity, split_cluster
from trialstrat.subgroups.rule_study import rule_study


def doubled(*, n: int = 200, **changes) -> tuple[Cohort, Cohort]:
    """A trial, and the same with every row twice, each pair a cluster."""
    source = trial(n=n, seed=4)
    twice = replace(source, **{name: np.repeat(getattr(source, name), 2) for name in source.__dataclass_fields__})
    label = np.repeat(np.arange(n), 2).astype(str).astype(object)
    clustered = {"analysis": {"cluster": "patient"}, **changes}
    own = {"cluster": np.arange(n).astype(str).astype(object)}
    once = replace(cohort(source, **clustered), **own)
    return once, replace(cohort(twice, **clustered), cluster=label, groups=label)


def test_primary_analysis_counts_clusters() -> None:
    once, twice = (primary_analysis(entry) for entry in doubled())
    assert (once.facts["clusters"], twice.facts["clusters"]) == ("200", "200")
    names = ("rmst.difference", "milestone.difference", "rmst")
    for name in names:
        for arm in ("t1", "ctrl") if name == "rmst" else ("t1_vs_ctrl",):
            a, b = (stage.estimate(f"primary.{name}.{arm}") for stage in (once, twice))
            assert (a.lower, a.value, a.upper) == pytest.approx((b.lower, b.value, b.upper), rel=1e-9), name
    plain = primary_analysis(cohort(trial(n=200, seed=4)))
    ratio, single = (stage.estimate("primary.cox.hazard_ratio.t1_vs_ctrl") for stage in (twice, plain))
    assert np.log(ratio.upper / ratio.lower) == pytest.approx(np.log(single.upper / single.lower), rel=0.1)
    assert "by cluster" in ratio.method
    assert "by cluster" not in single.method
    assert "by cluster" in twice.estimate("primary.logrank.p.t1_vs_ctrl").method
    assert "independent" in twice.estimate("primary.ph.p.t1_vs_ctrl").method
    assert "independent" in twice.table("primary.km").note


def test_markers_are_screened_by_cluster() -> None:
    once, twice = doubled()
    found = {stage.stage: stage for stage in marker_study(twice, rng=np.random.default_rng(1))}
    plain = {stage.stage: stage for stage in marker_study(once, rng=np.random.default_rng(1))}
    rows = [{row["marker"]: row for row in run["screen"].table("screen.markers").records()} for run in (plain, found)]
    one, two = (entry["marker"] for entry in rows)
    width = [np.log(float(row["upper"] or 0) / float(row["lower"] or 0)) for row in (one, two)]
    assert width[1] == pytest.approx(width[0], rel=0.1)
    assert "clusters" in found["cutpoints"].findings[0].message
    assert not found["cutpoints"].tables
    tests = [
        float(row["interaction_p"]) for row in found["forest"].table("forest.rows").records() if row["interaction_p"]
    ]
    assert tests
    assert all(0 < p <= 1 for p in tests)


def test_contributions_are_summed_before_signs() -> None:
    once, twice = doubled()
    found = []
    for entry in (once, twice):
        arm = entry.treated()
        x = entry.frame[["marker"]].to_numpy()
        outcome = shown_outcome(entry)
        signs = random_signs(200, 50, np.random.default_rng(3))
        rows = np.ones(entry.n, dtype=bool)
        cox = weighted_cox_interactions(outcome, rows, arm, x, np.ones(entry.n), None, signs)
        line = linear_interactions(x, np.asarray(outcome.time), arm, None, signs, outcome.cluster)
        found.append((cox, line))
    (cox1, line1), (cox2, line2) = found
    assert cox1.maxima.size == 50
    assert line2.effect == pytest.approx(line1.effect)
    # HC3 shrinks leverages by half when rows are doubled; Efron's ties move the Cox effect a little
    assert line2.std_error == pytest.approx(line1.std_error, rel=0.05)
    assert cox2.std_error == pytest.approx(cox1.std_error, rel=0.1)


def test_what_relabels_single_rows_is_refused() -> None:
    _, twice = doubled(rule_search={"markers": ["marker"]})
    refused = rule_study(twice, rng=np.random.default_rng(1))
    assert not refused.claimed
    assert "(patient) forbid" in refused.results[0].facts["refused"]
    benefit = benefit_study(twice, rng=np.random.default_rng(1))
    assert benefit is not None
    assert "(patient) forbid" in benefit.facts["refused"]


def test_effects_of_groups_that_share_clusters_are_not_compared_as_independent() -> None:
    _, twice = doubled()
    outcome = shown_outcome(twice)
    side = np.arange(twice.n) % 2
    assert split_cluster(outcome, np.arange(twice.n) // 200) == ""
    why = split_cluster(outcome, side)
    assert "one cluster" in why
    assert heterogeneity([], why).reason == why


def test_no_cluster_is_split_between_folds() -> None:
    _, twice = doubled()
    label = np.asarray(twice.cluster)
    event = np.asarray(shown_outcome(twice).event) == 1
    made = outer_folds(
        np.arange(twice.n), event, twice.arm, twice.groups,
        outer=4, inner=3, repeats=1, rng=np.random.default_rng(1),
    )  # fmt: skip
    for fold in made[:-1]:
        for train, test in ((fold.train, fold.test), *fold.inner):
            assert not set(label[train]) & set(label[test])


def test_whole_clusters_are_resampled_for_the_rule_of_enrichment() -> None:
    once, twice = doubled()
    width = []
    for entry, cluster in ((once, True), (twice, True), (twice, False)):
        outcome = shown_outcome(entry)
        inside = entry.frame["marker"].to_numpy() > 0.5
        half = np.arange(entry.n) >= entry.n // 2
        rule = HeldOutRule(
            rows=np.arange(entry.n), fold=half.astype(np.int64), inside=inside, by_fold=np.array([inside, inside]),
            final=inside, risk=entry.frame["marker"].to_numpy(),
        )  # fmt: skip
        own = outcome if cluster else replace(outcome, cluster=None)
        found = measure(rule, own, entry.protocol, np.random.default_rng(2))["share"]
        width.append(found.upper - found.lower)
    assert width[1] == pytest.approx(width[0], rel=0.2)
    assert width[2] < 0.85 * width[0]
