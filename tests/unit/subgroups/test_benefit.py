"""Predicted benefit: scores without bias, a ranking judged fairly where nothing differs, a true difference found."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from tests.helpers.synthetic import cohort, trial
from trialstrat.cohort.cohort import Cohort
from trialstrat.models.base import EngineFailureError
from trialstrat.protocol.model import Variable
from trialstrat.subgroups import benefit_learners
from trialstrat.subgroups.benefit import benefit_study
from trialstrat.subgroups.benefit_evaluation import judge, targeting_curve
from trialstrat.subgroups.benefit_scores import doubly_robust, ridge, scores_from
from trialstrat.subgroups.interactions import absolute_outcome


def quick(study: Cohort, **models: int) -> Cohort:
    """The cohort with the smallest budget that still exercises everything."""
    small = {"outer_folds": 3, "inner_folds": 2, "trials": 2, "trees": 20, **models}
    declared = study.protocol.models.model_copy(update=small)
    return replace(study, protocol=study.protocol.model_copy(update={"models": declared}))


def test_scores_average_to_the_effect_even_with_wrong_outcome_models() -> None:
    rng = np.random.default_rng(1)
    n = 40_000
    x = rng.normal(size=(n, 2))
    probability = 1 / (1 + np.exp(-x[:, 0]))
    arm = (rng.uniform(size=n) < probability).astype(np.int64)
    value = x[:, 0] + arm * (1 + x[:, 1]) + rng.normal(size=n)
    scores = doubly_robust(value, arm, probability, np.full(n, 5.0), np.full(n, -2.0))
    assert scores.mean() == pytest.approx(1.0, abs=0.15)
    right = doubly_robust(value, arm, np.full(n, 0.5), x[:, 0], x[:, 0] + 1 + x[:, 1])
    assert right.mean() == pytest.approx(1.0, abs=0.05)
    # the scores' regression on a marker is the effect's
    assert ridge(x, scores).coef[1] == pytest.approx(1.0, abs=0.2)


def test_observational_scores_learn_the_propensity_from_the_training_rows() -> None:
    rng = np.random.default_rng(2)
    n = 6000
    x = rng.normal(size=(n, 1))
    arm = (rng.uniform(size=n) < 1 / (1 + np.exp(-x[:, 0]))).astype(np.int64)
    value = 2 * x[:, 0] + arm + rng.normal(size=n)
    half = n // 2
    learned, judged = ((x[rows], value[rows], arm[rows], x[rows]) for rows in (slice(half), slice(half, n)))
    scores, reason = scores_from(learned, judged)
    assert reason == ""
    assert scores.mean() == pytest.approx(1.0, abs=0.15)


def test_targeting_curve_by_hand() -> None:
    curve = targeting_curve(np.array([3.0, 1.0, 2.0, 1.0]), np.array([4.0, 0.0, 2.0, 2.0]))
    # ranked 4, 2, then the tied 0 and 2 as their mean; overall mean 2
    np.testing.assert_allclose(curve, [2.0, 1.0, 7 / 3 - 2, 0.0])
    assert (targeting_curve(np.zeros(3), np.array([1.0, 2.0, 6.0])) == 0).all()


def test_a_useless_ranking_is_rejected_at_its_level() -> None:
    """Ridge on out-of-fold scores without any difference of effects: folds lean on each other, the p must not."""
    rng = np.random.default_rng(3)
    rejected, areas = 0, []
    for _ in range(200):
        x, scores, fold = rng.normal(size=(300, 4)), 1 + rng.normal(size=300), rng.integers(0, 5, 300)
        predicted = np.empty(300)
        for k in range(5):
            model = ridge(x[fold != k], scores[fold != k])
            predicted[fold == k] = model.predict(x[fold == k])
        found = judge(predicted, scores, fold, level=0.95, draws=100, fewest=20, rng=rng)
        rejected += found.autoc_p < 0.05
        areas.append(found.autoc)
    assert rejected / 200 <= 0.10
    assert np.mean(areas) == pytest.approx(0.0, abs=3.5 * np.std(areas) / np.sqrt(200))


def test_the_same_prediction_for_everybody() -> None:
    rng = np.random.default_rng(4)
    found = judge(np.full(100, 0.3), rng.normal(size=100), np.arange(100) % 5, level=0.95, draws=50, fewest=20, rng=rng)
    assert found.autoc == pytest.approx(0.0, abs=1e-12)
    assert found.autoc_p == 1.0
    assert np.isnan(found.slope)


def test_a_true_difference_is_ranked_and_sized() -> None:
    study = quick(cohort(trial(n=600, interaction=3.0, seed=3)))
    result = benefit_study(study, rng=np.random.default_rng(1))
    assert result is not None
    for learner in ("cox", "forest", "boosting"):
        area = result.estimate(f"benefit.{learner}.autoc.t1_vs_ctrl")
        assert area.lower > 0
        assert result.estimate(f"benefit.{learner}.p.t1_vs_ctrl").value < 0.01
    slope = result.estimate("benefit.cox.calibration_slope.t1_vs_ctrl")
    assert slope.lower < 1 < slope.upper
    assert result.facts["default"] == "cox"
    rows = [row for row in result.table("benefit.calibration").records() if row["learner"] == "cox"]
    assert sum(row["n"] for row in rows) == 600
    assert rows[0]["observed"] < 0 < rows[-1]["observed"]
    toc = [row for row in result.table("benefit.toc").records() if row["learner"] == "cox"]
    assert toc[0]["value"] > toc[4]["value"] > toc[-1]["value"] == pytest.approx(0.0, abs=1e-9)


def test_same_seed_same_result() -> None:
    study = quick(cohort(trial(n=300, seed=5)))
    one, two = (benefit_study(study, rng=np.random.default_rng(2)) for _ in range(2))
    assert one is not None
    assert two is not None
    assert one.to_dict() == two.to_dict()


def test_a_level_that_an_inner_part_lacks_is_no_column_of_it() -> None:
    study = quick(cohort(trial(n=300, seed=5)))
    rare = np.full(300, "common", dtype=object)
    rare[10] = "rare"  # every training part that has it has an inner part without
    declared = Variable(column="rare", kind="categorical", levels=("common", "rare"))
    protocol = study.protocol.model_copy(update={"covariates": (*study.protocol.covariates, declared)})
    frame = study.frame.assign(rare=pd.Categorical(rare, categories=["common", "rare"]))
    result = benefit_study(replace(study, protocol=protocol, frame=frame), rng=np.random.default_rng(2))
    assert result is not None
    assert "cox" in set(result.table("benefit.scores").column("learner"))


def test_an_inner_fold_without_scores_leaves_out_the_learners_that_need_them(monkeypatch) -> None:
    def separated(_task):
        raise EngineFailureError("the covariates separate the arms")

    monkeypatch.setattr(benefit_learners, "_inner_scores", separated)
    result = benefit_study(quick(cohort(trial(n=300, seed=5))), rng=np.random.default_rng(2))
    assert result is not None
    assert set(result.table("benefit.scores").column("learner")) == {"cox"}
    left = [finding.message for finding in result.findings if "separate the arms" in finding.message]
    assert len(left) == 2  # forest and boosting


@pytest.mark.parametrize("kind", ["binary", "continuous"])
def test_other_endpoints_have_ridge_instead_of_cox(kind: str) -> None:
    source = trial(n=400, seed=6)
    more = {"positive": [1]} if kind == "binary" else {"favourable": "higher"}
    endpoint = {"kind": kind, "time": None, "unit": None, "horizon": None, "event": None, "value": "y", **more}
    value = np.random.default_rng(1).normal(size=400) + 3 * (source.marker - 0.5) * source.treated
    study = quick(cohort(source, endpoint=endpoint, value=value if kind == "continuous" else None))
    result = benefit_study(study, rng=np.random.default_rng(1))
    assert result is not None
    learners = set(result.table("benefit.scores").column("learner"))
    assert learners == {"ridge", "forest", "boosting"}
    if kind == "continuous":  # higher is better, and the effect rises with the marker
        assert result.estimate("benefit.ridge.autoc.t1_vs_ctrl").lower > 0


def test_refusals_name_the_number_that_would_suffice() -> None:
    assert benefit_study(cohort(trial(n=100), arms=None), rng=np.random.default_rng(1)) is None
    result = benefit_study(cohort(trial(n=60)), rng=np.random.default_rng(1))
    assert result is not None
    assert "from 40 events per arm on" in result.facts["refused"]
    assert not result.estimates
    short = cohort(trial(n=300), endpoint={"horizon": 500})
    refused = benefit_study(short, rng=np.random.default_rng(1))
    assert refused is not None
    assert "before the horizon" in refused.facts["refused"]


def test_pseudo_values_of_the_training_rows_do_not_see_the_others() -> None:
    """The outcome that a fold learns from changes with its own rows only."""
    study = cohort(trial(n=200, seed=7))
    from trialstrat.cohort.shown import shown_outcome

    outcome = shown_outcome(study)
    mask = np.arange(200) < 150
    first, _ = absolute_outcome(outcome, study.treated()[mask], mask)
    changed = replace(outcome, time=np.where(mask, outcome.time, outcome.time * 3))
    again, _ = absolute_outcome(changed, study.treated()[mask], mask)
    np.testing.assert_array_equal(first, again)


def test_workers_change_no_number() -> None:
    study = quick(cohort(trial(n=240, seed=8)))
    one, two = (benefit_study(study, rng=np.random.default_rng(2), jobs=jobs) for jobs in (1, 2))
    assert one is not None
    assert two is not None
    assert one.to_dict() == two.to_dict()
