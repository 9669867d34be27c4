"""The whole stage: no leakage, the same bytes for any number of workers, honest refusals."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.helpers.cohorts import GBSG2_PROTOCOL, build_cohort, gbsg2_cohort, marker_cohort, protocol
from trialstrat.cohort.cohort import Cohort
from trialstrat.errors import IntegrityError, OutputError
from trialstrat.features import choose_feature_sets
from trialstrat.models.base import EngineFailureError
from trialstrat.models.folds import materialise, outer_folds
from trialstrat.models.frozen import FrozenModel
from trialstrat.models.plan import StudyPlan, make_plan, not_available
from trialstrat.models.study import ModelStudy, run_models
from trialstrat.models.task import FoldTask, fit_fold

ALL = ["clinical_cox", "penalised_cox", "forest", "boosting", "weibull_aft"]
SMALL: dict[str, Any] = {"outer_folds": 3, "inner_folds": 2, "trials": 3, "trees": 12, "bootstrap": 80}


def seeds() -> np.random.SeedSequence:
    return np.random.SeedSequence(11)


def cohort(rows: int = 240, **models: Any) -> Cohort:
    return gbsg2_cohort(rows=rows, models={**SMALL, "feature_sets": ["clinical"], **models})


@lru_cache(maxsize=1)
def study() -> ModelStudy:
    """All engines on two feature sets."""
    return run_models(cohort(feature_sets=["clinical", "combined"]), seeds=seeds())


def text(found: ModelStudy) -> str:
    return json.dumps(found.result.to_dict(), sort_keys=True)


class Steps:
    """Counts what a progress bar would show."""

    def __init__(self) -> None:
        self.stages: list[tuple[str, int | None]] = []
        self.steps = 0

    def stage(self, name: str, total: int | None = None) -> None:
        self.stages.append((name, total))

    def advance(self, steps: int = 1) -> None:
        self.steps += steps


def test_every_engine_is_scored_on_every_set() -> None:
    result = study().result
    names = {f"{engine}.{name}" for engine in ALL for name in ("clinical", "combined")}
    assert set(result.table("models.scores").column("model")) == names
    for name in names:
        for metric in ("uno_c", "ibs", "ipa", "ici", "calibration_slope"):
            assert result.estimate(f"models.{name}.{metric}").status == "ok"
    assert set(study().out_of_fold) == names
    assert study().chosen in names
    assert result.facts["chosen"] == study().chosen
    assert result.estimate("models.best.uno_c").value == result.estimate(f"models.{study().chosen}.uno_c").value
    assert result.estimate("models.procedure.uno_c").status == "ok"


def test_tables_have_the_columns_of_the_contract() -> None:
    expected = {
        "models.scores": "model engine engine_label feature_set metric time value lower upper fold_sd folds",
        "models.calibration": "model time predicted observed lower upper",
        "models.calibration_histogram": "model time low high count",
        "models.net_benefit": "strategy time threshold net_benefit lower upper",
        "models.comparison": "comparison label metric difference lower upper",
        "models.importance": "feature label importance lower upper",
        "models.coefficients": "feature label hazard_ratio lower upper",
        "models.tuning": "model fold trials complete pruned seed best params",
    }
    tables = {table.name: " ".join(column.key for column in table.columns) for table in study().result.tables}
    assert tables == expected
    assert len(study().result.table("models.calibration").rows) <= 50
    assert sum(int(count or 0) for count in study().result.table("models.calibration_histogram").column("count")) == 240


def test_choice_looks_at_inner_folds_only() -> None:
    found = study()
    tuning = found.result.table("models.tuning")
    assert "sampler: TPE" in tuning.note
    assert "pruner: median" in tuning.note
    rows = tuning.records()
    inner: dict[str, list[float]] = {}
    for row in rows:
        inner.setdefault(str(row["model"]), []).append(float(row["best"] or np.nan))
    assert found.chosen == min(inner, key=lambda name: float(np.mean(inner[name])))


def test_out_of_fold_covers_everybody_once_and_carries_training_risks() -> None:
    held = study().out_of_fold[study().chosen]
    assert sorted(set(held.fold)) == [0, 1, 2]
    assert np.isfinite(held.risk).all()
    assert held.survival.shape == (240, held.times.size)
    assert held.horizon in held.times
    assert held.training_quantiles.shape == (3, 2)
    for fold, (rows, risk) in enumerate(held.fold_training_risk):
        assert set(rows) == set(range(240)) - set(held.held_out(fold))
        assert np.isfinite(risk).all()
        assert np.allclose(held.training_quantiles[fold], np.quantile(risk, held.quantiles))
    assert set(held.groups()) == {0, 1, 2}
    event = held.event_probability()
    assert np.corrcoef(event, held.groups())[0, 1] > 0.5


def test_higher_risk_means_earlier_events() -> None:
    data = cohort()
    assert data.outcome.event is not None
    for held in study().out_of_fold.values():
        events = [data.outcome.event[held.groups() == group].mean() for group in (0, 2)]
        assert events[1] > events[0]


def test_frozen_model_predicts_from_its_files_alone() -> None:
    frozen = study().frozen
    assert frozen is not None
    files = frozen.files()
    assert files == frozen.files()
    thawed = FrozenModel.thaw({name: bytes(data) for name, data in files.items()})
    new = gbsg2_cohort().frame.iloc[400:420]
    times = np.array([1.0, 3.0, 5.0])
    assert np.array_equal(thawed.risk(new), frozen.risk(new))
    assert np.array_equal(thawed.survival(new, times), frozen.survival(new, times))
    assert thawed.unit == "years"
    assert all(name == "model.json" or name.endswith(".npy") for name in files)


@pytest.mark.parametrize("fault", ["absent", "schema", "shape", "garbage"])
def test_damaged_files_are_refused(fault: str) -> None:
    frozen = study().frozen
    assert frozen is not None
    files = dict(frozen.files())
    array = next(name for name in files if name.endswith(".npy"))
    if fault == "absent":
        del files[array]
    elif fault == "schema":
        files["model.json"] = files["model.json"].replace(b'"schema": 1', b'"schema": 2')
    elif fault == "shape":
        head = json.loads(files["model.json"])
        head["arrays"][array.removesuffix(".npy")]["shape"] = [1, 2, 3]
        files["model.json"] = json.dumps(head).encode()
    else:
        files[array] = b"not an array"
    with pytest.raises(IntegrityError):
        FrozenModel.thaw(files)


def test_two_workers_give_the_same_bytes() -> None:
    given = cohort(rows=160, engines=["clinical_cox", "forest", "boosting"])
    alone, pair = (run_models(given, seeds=seeds(), jobs=jobs) for jobs in (1, 2))
    assert text(alone) == text(pair)
    assert alone.frozen is not None
    assert pair.frozen is not None
    assert alone.frozen.files() == pair.frozen.files()
    for name, held in alone.out_of_fold.items():
        assert np.array_equal(held.risk, pair.out_of_fold[name].risk)


def test_storage_and_resume_change_no_number(tmp_path: Path) -> None:
    given = cohort(rows=160, engines=["penalised_cox"], trials=6)
    url = f"sqlite:///{tmp_path / 'tuning.db'}"
    expected = text(run_models(given, seeds=seeds()))
    assert text(run_models(given, seeds=seeds(), storage=url)) == expected
    with pytest.raises(OutputError, match="--resume"):
        run_models(given, seeds=seeds(), storage=url)
    assert text(run_models(given, seeds=seeds(), storage=url, resume=True)) == expected
    # another seed is another study: the same storage serves it from the beginning
    other = run_models(given, seeds=np.random.SeedSequence(12), storage=url)
    assert text(other) != expected


def test_progress_counts_every_task() -> None:
    steps = Steps()
    run_models(cohort(rows=160, engines=["clinical_cox"]), seeds=seeds(), progress=steps)
    assert steps.stages[0][0] == "tuning prognostic models"
    assert steps.steps == sum(total or 0 for _, total in steps.stages)


# -- leakage ---------------------------------------------------------------------------------------------------------


def task_of(given: Cohort, engine: str, name: str = "combined") -> tuple[FoldTask, StudyPlan]:
    plan = make_plan(given, seeds())
    choice = next(entry for entry in choose_feature_sets(given) if entry.name == name)
    data = materialise(given, choice, plan.judged[0], plan.time, plan.event)
    times = plan.times[plan.scored]
    task = FoldTask(
        engine=engine,
        data=data,
        time=plan.time,
        event=plan.event,
        loss_times=times,
        times=times,
        trees=12,
        trials=3,
        seed=5,
    )
    return task, plan


@pytest.mark.parametrize("engine", ALL)
def test_nothing_of_the_held_out_patients_reaches_training(engine: str) -> None:
    given = gbsg2_cohort(rows=200, models=SMALL)
    task, plan = task_of(given, engine)
    before = fit_fold(task)
    test = task.data.outer.test
    rng = np.random.default_rng(0)
    time, event = plan.time.copy(), plan.event.copy()
    time[test], event[test] = rng.permutation(time[test]), rng.permutation(event[test])
    given.frame.iloc[test, given.frame.columns.get_loc("pnodes")] = 1e5
    choice = next(entry for entry in choose_feature_sets(given) if entry.name == "combined")
    data = materialise(given, choice, plan.judged[0], time, event)
    assert data.outer.spec == task.data.outer.spec
    after = fit_fold(replace(task, data=data, time=time, event=event))
    assert after.tuned == before.tuned
    assert np.array_equal(np.asarray(after.inner_risk), np.asarray(before.inner_risk))
    assert not np.array_equal(np.asarray(after.risk), np.asarray(before.risk))
    # the fitted model is the same: it predicts the same for the old held-out patients
    same = fit_fold(replace(task, time=time, event=event))
    assert np.array_equal(np.asarray(same.risk), np.asarray(before.risk))
    assert np.array_equal(np.asarray(same.survival), np.asarray(before.survival))


def test_markers_are_screened_inside_every_training_part() -> None:
    given = marker_cohort(n=150, markers=50, models={**SMALL, "screen_to": 4})
    task, _ = task_of(given, "penalised_cox", "molecular")
    screened = {split.spec.names for split in (task.data.outer, *task.data.inner)}
    assert len(screened) > 1
    assert all(len(names) == 4 for names in screened)


def test_inner_folds_lie_inside_the_training_part_and_are_balanced() -> None:
    given = gbsg2_cohort(models=SMALL)
    plan = make_plan(given, seeds())
    assert len(plan.folds) == 4
    assert plan.folds[-1].test.size == 0
    for fold in plan.folds:
        assert not set(fold.train) & set(fold.test)
        held = np.concatenate([test for _, test in fold.inner])
        assert sorted(held) == sorted(fold.train)
        shares = [plan.event[test].mean() for _, test in fold.inner]
        assert np.ptp(shares) < 0.03


def test_groups_are_not_split() -> None:
    event = np.random.default_rng(0).random(120) < 0.5
    groups = np.array([f"site{at // 6}" for at in range(120)], dtype=object)
    rng = np.random.default_rng(1)
    folds = outer_folds(np.arange(120), event, None, groups, outer=3, inner=2, repeats=2, rng=rng)
    assert len(folds) == 7
    for fold in folds:
        assert not set(groups[fold.train]) & set(groups[fold.test])
        for train, test in fold.inner:
            assert not set(groups[train]) & set(groups[test])


# -- what cannot be asked --------------------------------------------------------------------------------------------


def test_too_few_events_say_how_many_would_do() -> None:
    given = gbsg2_cohort(rows=20, models=SMALL)
    found = run_models(given, seeds=seeds())
    estimate = found.result.estimate("models.best.uno_c")
    assert estimate.status == "not_estimable"
    assert "3 outer folds need at least 15" in estimate.reason
    assert not found.out_of_fold
    assert found.frozen is None


def test_an_engine_that_needs_more_events_is_left_out_with_the_number() -> None:
    given = marker_cohort(n=110, markers=40, models={**SMALL, "engines": ["clinical_cox", "penalised_cox"]})
    found = run_models(given, seeds=seeds())
    estimate = found.result.estimate("models.clinical_cox.molecular.uno_c")
    assert estimate.status == "not_estimable"
    assert "with 40 features needs 200" in estimate.reason
    assert found.result.estimate("models.penalised_cox.molecular.uno_c").status == "ok"
    assert any(entry.code == "W-MODELS-ENGINE" for entry in found.result.findings)


def test_when_no_engine_can_be_used_the_stage_says_so() -> None:
    given = marker_cohort(
        n=110, markers=40, models={**SMALL, "engines": ["clinical_cox"], "feature_sets": ["molecular"]}
    )
    found = run_models(given, seeds=seeds())
    assert found.chosen == ""
    assert "needs 200" in found.result.facts["chosen_reason"]
    assert found.result.estimate("models.best.uno_c").status == "not_estimable"


def test_groups_without_complete_patients_are_refused_by_number() -> None:
    given = cohort(rows=200)
    groups = np.array([f"site{at % 4}" for at in range(given.n)], dtype=object)
    changed = given.protocol.model_copy(
        update={
            "models": given.protocol.models.model_copy(update={"outer": "groups"}),
            "missing_data": given.protocol.missing_data.model_copy(update={"covariates": "complete_cases"}),
        }
    )
    frame = given.frame.copy()
    frame["age"] = frame["age"].mask(groups == "site3")
    made = replace(given, protocol=changed, groups=groups)
    assert not_available(made) == ""
    reason = not_available(replace(made, frame=frame))
    assert reason.startswith("1 of 4 groups have no patient with complete covariates")


def test_an_unavailable_set_is_a_note() -> None:
    given = gbsg2_cohort(rows=160, biomarkers=[], models={**SMALL, "engines": ["clinical_cox"]})
    found = run_models(given, seeds=seeds())
    notes = [entry.message for entry in found.result.findings if entry.code == "I-MODELS-SET"]
    assert len(notes) == 2
    assert set(found.out_of_fold) == {"clinical_cox.clinical"}


@pytest.mark.parametrize("kind", ["binary", "continuous"])
def test_other_endpoints_are_said_to_be_out_of_reach(kind: str) -> None:
    endpoint = {"name": "rfs", "label": "Response", "kind": kind, "value": "cens", "positive": [True]}
    declared = protocol(GBSG2_PROTOCOL, endpoints=[endpoint])
    frame = gbsg2_cohort(rows=60).frame
    event = np.ones(60, dtype=np.int64) if kind == "binary" else None
    given = build_cohort(declared, frame, None, event, value=np.ones(60))
    found = run_models(given, seeds=seeds())
    assert "times to an event" in found.result.estimate("models.best.uno_c").reason
    assert found.result.facts["chosen"] == ""


def test_delayed_entry_is_refused() -> None:
    given = cohort(rows=100)
    outcome = given.outcome
    assert outcome.time is not None
    late = replace(outcome, entry=outcome.time / 2)
    found = run_models(replace(given, outcomes={outcome.name: late}), seeds=seeds())
    assert "delayed entry" in found.result.estimate("models.best.uno_c").reason


def test_complete_cases_are_left_out_and_counted() -> None:
    given = gbsg2_cohort(
        rows=200,
        models={**SMALL, "engines": ["clinical_cox"], "feature_sets": ["clinical"]},
        missing_data={"covariates": "complete_cases"},
    )
    given.frame.iloc[:10, given.frame.columns.get_loc("tsize")] = np.nan
    found = run_models(given, seeds=seeds())
    held = found.out_of_fold["clinical_cox.clinical"]
    assert (held.fold[:10] == -1).all()
    assert np.isnan(held.risk[:10]).all()
    assert (held.groups()[:10] == -1).all()
    assert found.result.estimate("models.best.uno_c").n == 190


def test_competing_causes_are_censored_and_said_so() -> None:
    base = gbsg2_cohort(rows=200)
    assert base.outcome.time is not None
    assert base.outcome.event is not None
    event = base.outcome.event.copy()
    event[::5] = 2 * event[::5]
    endpoint = {
        **GBSG2_PROTOCOL["endpoints"][0],
        "kind": "competing",
        "event": {"column": "cens", "causes": {"relapse": 1, "death": 2}, "censored": [0]},
    }
    models = {**SMALL, "engines": ["clinical_cox"], "feature_sets": ["clinical"]}
    declared = protocol(endpoints=[endpoint], models=models)
    found = run_models(build_cohort(declared, base.frame, base.outcome.time, event), seeds=seeds())
    assert found.result.facts["competing"].startswith("models predict relapse with other causes censored")
    assert found.result.estimate("models.best.uno_c").events == int((event == 1).sum())


def test_a_late_horizon_is_cut_for_scores_but_kept_for_predictions() -> None:
    endpoint = {**GBSG2_PROTOCOL["endpoints"][0], "horizon": 2650.0}
    given = gbsg2_cohort(
        endpoints=[endpoint], models={**SMALL, "engines": ["clinical_cox"], "feature_sets": ["clinical"]}
    )
    found = run_models(given, seeds=seeds())
    assert any(entry.code == "I-MODELS-HORIZON" for entry in found.result.findings)
    held = found.out_of_fold["clinical_cox.clinical"]
    assert np.isclose(held.horizon, 2650 / 365.25)
    assert float(found.result.facts["score_horizon"]) < held.horizon
    assert np.isfinite(held.event_probability()).all()


def test_a_useless_variable_has_no_importance() -> None:
    rng = np.random.default_rng(0)
    n = 300
    frame = pd.DataFrame({"age": rng.normal(size=n), "tsize": rng.normal(size=n)})
    time = rng.exponential(np.exp(-1.2 * frame["age"].to_numpy())) * 1000 + 1
    variables = [{"column": name, "kind": "continuous"} for name in ("age", "tsize")]
    declared = protocol(
        {**GBSG2_PROTOCOL, "arms": None, "covariates": variables, "biomarkers": []},
        models={**SMALL, "engines": ["clinical_cox"]},
    )
    event = (time < 2500).astype(np.int64)
    found = run_models(build_cohort(declared, frame, np.minimum(time, 2500), event), seeds=seeds())
    rows = {row["feature"]: row for row in found.result.table("models.importance").records()}
    assert float(rows["age"]["importance"] or 0) > 0.1
    assert float(rows["age"]["lower"] or 0) > 0
    assert abs(float(rows["tsize"]["importance"] or 0)) < 0.02
    coefficients = {row["feature"]: row for row in found.result.table("models.coefficients").records()}
    assert float(coefficients["age"]["lower"] or 0) < np.exp(1.2) < float(coefficients["age"]["upper"] or 0)


def test_repeated_folds_are_scored_together_and_predicted_once() -> None:
    given = cohort(rows=160, engines=["clinical_cox"], repeats=2)
    found = run_models(given, seeds=seeds())
    assert len(found.folds) == 6
    held = found.out_of_fold["clinical_cox.clinical"]
    assert held.folds == 3
    assert np.isfinite(held.risk).all()
    assert found.result.table("models.scores").column("folds")[0] == 6


def test_a_failing_engine_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    from trialstrat.models.engines import ENGINES

    def fails(*_: Any) -> Any:
        raise EngineFailureError("the fit did not converge")

    monkeypatch.setitem(ENGINES, "weibull_aft", replace(ENGINES["weibull_aft"], path=fails))
    found = run_models(cohort(rows=160, engines=["clinical_cox", "weibull_aft"]), seeds=seeds())
    assert found.result.estimate("models.weibull_aft.clinical.uno_c").reason == "the fit did not converge"
    assert found.chosen == "clinical_cox.clinical"
