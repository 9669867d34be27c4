"""Every group left out in turn: folds are the groups, each is scored, and what cannot be is refused with a number."""

from __future__ import annotations

import numpy as np
import pytest

from tests.helpers.cohorts import gbsg2_cohort, marker_cohort
from trialstrat.models.study import run_models
from trialstrat.protocol.model import Models
from trialstrat.stats.censoring import censoring_survival
from trialstrat.stats.scores import uno_c

MODELS = {
    "engines": ["clinical_cox"], "outer": "groups", "group_by": "site", "inner_folds": 2, "trials": 1, "bootstrap": 0,
}  # fmt: skip
SIZES = {"a": 150, "b": 200, "c": 120, "d": 216}


def grouped(sizes=SIZES, **changes):
    from dataclasses import replace

    cohort = gbsg2_cohort(models={**MODELS, **changes})
    groups = np.repeat(list(sizes), list(sizes.values())).astype(object)
    return replace(cohort, groups=np.random.default_rng(2).permutation(groups))


def test_each_group_is_predicted_by_the_others_and_scored() -> None:
    cohort = grouped()
    study = run_models(cohort, seeds=np.random.SeedSequence(3))
    assert [len(set(cohort.groups[fold.test])) for fold in study.folds] == [1, 1, 1, 1]
    assert sum(fold.test.size for fold in study.folds) == cohort.n
    rows = study.result.table("models.groups").records()
    name = "clinical_cox.clinical"
    own = {row["group"]: row for row in rows if row["model"] == name}
    assert {group: row["n"] for group, row in own.items()} == SIZES
    found = study.out_of_fold[name]
    for fold in study.folds:
        group = str(cohort.groups[fold.test[0]])
        horizon = max(row["time"] for row in study.result.table("models.scores").records() if row["metric"] == "ipa")
        years = cohort.outcome.time / 365.25
        expected = uno_c(
            years[fold.test], cohort.outcome.event[fold.test], found.risk[fold.test], tau=horizon,
            censoring=censoring_survival(years[fold.train], cohort.outcome.event[fold.train]),
        )  # fmt: skip
        assert own[group]["uno_c"] == pytest.approx(expected.value, abs=1e-9)
        assert own[group]["lower"] < own[group]["uno_c"] < own[group]["upper"]
    mean = np.mean([row["uno_c"] for row in own.values()])
    assert study.result.estimate(f"models.{name}.uno_c").value == pytest.approx(mean)
    assert study.result.facts["outer"] == "groups"


def test_too_few_groups_or_events_are_refused_with_the_number() -> None:
    one = run_models(grouped({"a": 686}), seeds=np.random.SeedSequence(3))
    assert "at least 2 groups" in str(one.result.to_dict())
    small = run_models(grouped({"a": 340, "b": 340, "c": 6}), seeds=np.random.SeedSequence(3))
    assert "1 of 3 groups have fewer than 5 events" in str(small.result.to_dict())


def test_two_groups_are_a_split_in_both_directions() -> None:
    cohort = grouped({"test": 200, "train": 486})
    study = run_models(cohort, seeds=np.random.SeedSequence(3))
    rows = [row for row in study.result.table("models.groups").records() if row["model"] == "procedure"]
    assert [(row["group"], row["n"]) for row in rows] == [("test", 200), ("train", 486)]


def test_folds_stay_as_they_were_without_groups() -> None:
    cohort = marker_cohort(n=120, markers=4, models={"engines": ["clinical_cox"], "trials": 1, "bootstrap": 0})
    study = run_models(cohort, seeds=np.random.SeedSequence(3))
    assert len(study.folds) == 5
    assert not any(table.name == "models.groups" for table in study.result.tables)


@pytest.mark.parametrize("change", [{"group_by": None}, {"repeats": 2}])
def test_groups_need_their_column_and_one_repeat(change) -> None:
    with pytest.raises(ValueError, match="outer: groups needs group_by:"):
        Models.model_validate({**MODELS, **change})
