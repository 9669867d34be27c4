"""A tuning study gives the same trials whatever happens around it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from trialstrat.errors import IntegrityError, OutputError
from trialstrat.models.base import Engine, EngineFailureError, Range, Training
from trialstrat.models.engines import ENGINES
from trialstrat.models.loss import HeldOutLoss
from trialstrat.models.storage import open_storage, stored_studies
from trialstrat.models.tune import InnerSplit, Logbook, Tuned, trial_seed, tune
from trialstrat.stats.censoring import censoring_survival

TRIALS = 14


def splits(seed: int = 0, n: int = 120) -> list[InnerSplit]:
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 3))
    event_time, censoring = 5 * rng.exponential(np.exp(-X[:, 0])), rng.uniform(2, 12, n)
    time, event = np.minimum(event_time, censoring) + 0.01, event_time <= censoring
    curve = censoring_survival(time, event.astype(int))
    out = []
    for fold in range(3):
        test = np.arange(n) % 3 == fold
        training = Training(X=X[~test], time=time[~test], event=event[~test], settings={"trees": 5})
        loss = HeldOutLoss.of(time[test], event[test], np.linspace(0.5, 6, 8), curve)
        out.append(InnerSplit(training=training, X_test=X[test], loss=loss))
    return out


def quick() -> Engine:
    """Penalised Cox with a second setting that only fills the space."""
    engine = ENGINES["penalised_cox"]
    return replace(engine, space={**engine.space, "filler": Range(kind="int", low=1, high=4)})


def storage_at(folder: Path) -> str:
    url = f"sqlite:///{folder / 'tuning.db'}"
    open_storage(url, create=True).engine.dispose()
    return url


def run(logbook: Logbook | None = None, engine: Engine | None = None, trials: int = TRIALS) -> Tuned:
    return tune(engine or quick(), splits(), trials=trials, seed=42, logbook=logbook)


def test_the_best_complete_trial_wins_and_poor_ones_are_pruned() -> None:
    found = run(trials=30)
    complete = [trial for trial in found.trials if trial.state == "complete"]
    assert [trial.number for trial in found.trials] == list(range(30))
    assert found.value == min(trial.value for trial in complete)
    assert found.count("pruned") > 0
    assert all(len(trial.steps) < 3 for trial in found.trials if trial.state == "pruned")
    assert all(len(trial.steps) == 3 for trial in complete)


def test_the_point_is_the_best_of_the_mean_over_folds() -> None:
    found = run()
    losses = []
    for split in splits():
        path = quick().path(split.training, found.params, trial_seed(42, found.number))
        losses.append(split.loss(path.survival(split.X_test, split.loss.times)))
    shortest = min(loss.size for loss in losses)
    mean = np.mean([loss[:shortest] for loss in losses], axis=0)
    assert found.point == int(mean.argmin())
    assert np.isclose(found.value, mean.min(), rtol=0, atol=1e-15)


def test_the_same_seed_repeats_and_another_does_not() -> None:
    assert run() == run()
    other = tune(quick(), splits(), trials=TRIALS, seed=43)
    assert [trial.params for trial in other.trials] != [trial.params for trial in run().trials]


def test_an_engine_without_a_search_runs_once() -> None:
    found = tune(ENGINES["clinical_cox"], splits(), trials=20, seed=1)
    assert len(found.trials) == 1
    assert found.params == {}


def test_storage_changes_no_number(tmp_path: Path) -> None:
    logbook = Logbook(url=storage_at(tmp_path), name="study")
    assert run(logbook) == run()
    assert run(logbook) == run()  # replayed entirely


def dying(after: int) -> Engine:
    """An engine that dies after some fits, as a killed process would."""
    engine = quick()
    left = [after]

    def path(training: Training, params: Mapping[str, float], seed: int):
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt
        return engine.path(training, params, seed)

    return replace(engine, path=path)


@pytest.mark.parametrize("after", [0, 4, 13, 23])
def test_an_interrupted_study_goes_on_without_losing_or_repeating_trials(tmp_path: Path, after: int) -> None:
    logbook = Logbook(url=storage_at(tmp_path), name="study")
    with pytest.raises(KeyboardInterrupt):
        run(logbook, dying(after))
    assert run(logbook) == run()
    assert len(stored(logbook)) == TRIALS


def stored(logbook: Logbook):
    import optuna

    storage = open_storage(logbook.url)
    trials = optuna.load_study(study_name=logbook.name, storage=storage).get_trials()
    storage.engine.dispose()
    return trials


def test_told_trials_are_not_fitted_again(tmp_path: Path) -> None:
    logbook = Logbook(url=storage_at(tmp_path), name="study")
    run(logbook, trials=8)
    fits = []

    def path(training: Training, params: Mapping[str, float], seed: int):
        fits.append(seed)
        return quick().path(training, params, seed)

    resumed = run(logbook, replace(quick(), path=path))
    assert {trial.number for trial in resumed.trials if trial_seed(42, trial.number) in fits} == set(range(8, TRIALS))


def test_a_killed_process_leaves_a_study_that_goes_on(tmp_path: Path) -> None:
    url = storage_at(tmp_path)
    script = f"""
        from tests.unit.models.test_tune import run
        from trialstrat.models.tune import Logbook
        run(Logbook(url={url!r}, name="study"), trials=300)
    """
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3]), "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen([sys.executable, "-W", "ignore", "-c", textwrap.dedent(script)], env=environment)
    logbook = Logbook(url=url, name="study")
    try:
        for _ in range(600):
            if process.poll() is not None or (stored_count(url) and len(stored(logbook)) >= 5):
                break
            signal.sigtimedwait([], 0.1)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    left = len(stored(logbook))
    assert 5 <= left < 300
    resumed = (
        tune(quick(), splits(), trials=400, seed=42, logbook=logbook) if left > 300 else run(logbook, trials=left + 3)
    )
    assert len(stored(logbook)) == left + 3
    assert resumed == tune(quick(), splits(), trials=left + 3, seed=42)


def stored_count(url: str) -> int:
    storage = open_storage(url)
    count = stored_studies(storage, "study")
    storage.engine.dispose()
    return count


def test_trials_of_another_study_are_refused(tmp_path: Path) -> None:
    logbook = Logbook(url=storage_at(tmp_path), name="study")
    tune(quick(), splits(), trials=6, seed=1, logbook=logbook)
    with pytest.raises(IntegrityError, match="other settings"):
        run(logbook)


def test_a_failing_setting_is_a_failed_trial_not_an_end() -> None:
    def path(training: Training, params: Mapping[str, float], seed: int):
        if params["filler"] > 2:
            raise EngineFailureError("too deep")
        return quick().path(training, params, seed)

    found = run(engine=replace(quick(), path=path))
    assert found.count("failed") > 0
    assert found.params["filler"] <= 2


def test_when_every_setting_fails_the_reason_is_given(tmp_path: Path) -> None:
    def path(training: Training, params: Mapping[str, float], seed: int):
        raise EngineFailureError("cannot be fitted")

    broken = replace(quick(), path=path)
    logbook = Logbook(url=storage_at(tmp_path), name="study")
    for _ in range(2):
        with pytest.raises(EngineFailureError, match="cannot be fitted"):
            run(logbook, broken)


def test_searched_settings_stay_in_their_range() -> None:
    engine = replace(quick(), space={**quick().space, "filler": Range(kind="int", low=2, high=3)})
    assert {trial.params["filler"] for trial in run(engine=engine).trials} <= {2, 3}


def test_sqlite_is_kept_safe(tmp_path: Path) -> None:
    storage = open_storage(storage_at(tmp_path))
    with storage.engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2
    storage.engine.dispose()


@pytest.mark.parametrize("url", ["sqlite:////nowhere/at/all/tuning.db", "nonsense", "postgresql://user:secret@h/db"])
def test_unusable_storage_is_one_clear_error_without_the_password(url: str) -> None:
    with pytest.raises(OutputError, match="tuning storage") as caught:
        open_storage(url, create=True)
    assert "secret" not in str(caught.value)


def test_workers_write_to_one_file_at_the_same_time(tmp_path: Path) -> None:
    url = storage_at(tmp_path)
    script = """
        import sys
        from tests.unit.models.test_tune import run
        from trialstrat.models.tune import Logbook
        run(Logbook(url=sys.argv[1], name=sys.argv[2]), trials=10)
    """
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3]), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-W", "ignore", "-c", textwrap.dedent(script), url]
    workers = [subprocess.Popen([*command, f"study{number}"], env=environment) for number in range(3)]
    assert [worker.wait(timeout=300) for worker in workers] == [0, 0, 0]
    assert all(len(stored(Logbook(url=url, name=f"study{number}"))) == 10 for number in range(3))
