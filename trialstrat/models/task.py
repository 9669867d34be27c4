"""The unit of parallel work: one engine on one feature set in one outer fold, from tuning to held-out predictions."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import numpy as np

from trialstrat.models.base import Bools, Engine, EngineFailureError, Floats, Model, Training
from trialstrat.models.engines import ENGINES
from trialstrat.models.folds import FoldData, Split
from trialstrat.models.forest import TimeGrid
from trialstrat.models.loss import HeldOutLoss
from trialstrat.models.tune import InnerSplit, Logbook, Tuned, trial_seed, tune
from trialstrat.stats.censoring import censoring_survival

#: Position of the final fit in the sequence of trial seeds: beyond any trial.
FINAL = 1_000_000
#: Trees while tuning, as a share of those of the final fit; never fewer than the second number.
TUNING_SHARE, FEWEST_TREES = 0.25, 25

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FoldTask:
    """What a worker needs: outcomes (n,) of the study, the matrices of a fold, and the budget."""

    engine: str
    data: FoldData
    time: Floats
    event: Bools
    loss_times: Floats
    times: Floats
    trees: int
    trials: int
    seed: int
    logbook: Logbook | None = None

    @property
    def settings(self) -> dict[str, Any]:
        """Settings of the final fit. The time grid comes from the training rows of the outer fold."""
        train = self.data.outer.train
        return {"trees": self.trees, "time_grid": TimeGrid.of(self.time[train], self.event[train])}

    @property
    def tuning_settings(self) -> dict[str, Any]:
        """The same with fewer trees."""
        return {**self.settings, "trees": max(min(FEWEST_TREES, self.trees), round(TUNING_SHARE * self.trees))}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FoldFit:
    """What comes back. ``reason`` says why there is no fit; then everything else is None.

    ``risk`` (held out,) and ``survival`` (held out, m) of the outer fold; ``inner_risk`` (training rows,) predicted by
    the inner folds that did not train on the row.
    """

    engine: str
    number: int
    reason: str = ""
    tuned: Tuned | None = None
    model: Model | None = None
    risk: Floats | None = None
    survival: Floats | None = None
    inner_risk: Floats | None = None


def fit_fold(task: FoldTask) -> FoldFit:
    """Tune on the inner folds, refit on the whole training part, predict the held-out rows.

    The model itself comes back only from the refit on everybody (no held-out rows): the others are refitted where
    they are needed, which is cheaper than moving them between processes.
    """
    engine, data = ENGINES[task.engine], task.data
    events, features = int(task.event[data.outer.train].sum()), data.outer.X_train.shape[1]
    floor = engine.floor(features)
    if events < floor:
        reason = (
            f"{events} events in the training part of a fold; {engine.label} with {features} features needs {floor}"
        )
        return FoldFit(engine=task.engine, number=data.number, reason=reason)
    try:
        splits = _inner_splits(task)
        tuned = tune(engine, splits, trials=task.trials, seed=task.seed, logbook=task.logbook)
        inner_risk = _inner_risk(task, engine, splits, tuned)
        model = fit_outer(task, tuned)
    except EngineFailureError as problem:
        return FoldFit(engine=task.engine, number=data.number, reason=str(problem))
    final = data.outer.test.size == 0
    return FoldFit(
        engine=task.engine,
        number=data.number,
        tuned=tuned,
        model=model if final else None,
        risk=model.risk(data.outer.X_test),
        survival=model.survival(data.outer.X_test, task.times),
        inner_risk=inner_risk,
    )


def fit_outer(task: FoldTask, tuned: Tuned) -> Model:
    """The model of the fold: the tuned settings on the whole training part."""
    training = _training(task, task.data.outer, task.settings)
    engine = ENGINES[task.engine]
    return (engine.final or engine.refit)(training, tuned.params, tuned.point, trial_seed(task.seed, FINAL))


def _training(task: FoldTask, split: Split, settings: dict[str, Any]) -> Training:
    return Training(X=split.X_train, time=task.time[split.train], event=task.event[split.train], settings=settings)


def _inner_splits(task: FoldTask) -> list[InnerSplit]:
    outer, settings = task.data.outer.train, task.tuning_settings
    censoring = censoring_survival(task.time[outer], task.event[outer].astype(np.int64))
    out: list[InnerSplit] = []
    for split in task.data.inner:
        try:
            loss = HeldOutLoss.of(task.time[split.test], task.event[split.test], task.loss_times, censoring)
        except ValueError as problem:
            raise EngineFailureError(str(problem)) from problem
        if not task.event[split.train].any():
            raise EngineFailureError("an inner fold has no event to learn from")
        out.append(InnerSplit(training=_training(task, split, settings), X_test=split.X_test, loss=loss))
    return out


def _inner_risk(task: FoldTask, engine: Engine, splits: Sequence[InnerSplit], tuned: Tuned) -> Floats:
    """Out-of-fold risk of every training row, by refitting the inner folds with the tuned settings."""
    risk = np.full(task.time.size, np.nan)
    for split, rows in zip(splits, task.data.inner, strict=True):
        model = engine.refit(split.training, tuned.params, tuned.point, trial_seed(task.seed, tuned.number))
        risk[rows.test] = model.risk(split.X_test)
    return risk[task.data.outer.train]


def run_parallel(
    function: Callable[[Item], Result], items: Sequence[Item], *, jobs: int, advance: Callable[[], None]
) -> list[Result]:
    """Results in the order of ``items``, by ``jobs`` processes with one BLAS thread each; same bytes for any number."""
    out: list[Result] = []
    for result in _results(function, items, jobs):
        out.append(result)
        advance()
    return out


def _results(function: Callable[[Item], Result], items: Sequence[Item], jobs: int) -> Iterator[Result]:
    if jobs == 1 or len(items) <= 1:
        yield from (_alone(function, item) for item in items)
        return
    import joblib

    with joblib.parallel_config(backend="loky", inner_max_num_threads=1):
        pool: Any = joblib.Parallel(n_jobs=jobs, return_as="generator", batch_size=cast("Any", 1))
        yield from pool(joblib.delayed(_alone)(function, item) for item in items)


def _alone(function: Callable[[Item], Result], item: Item) -> Result:
    """Run with one BLAS thread: sums in another order would change the last bits."""
    import threadpoolctl

    with threadpoolctl.threadpool_limits(limits=1), warnings.catch_warnings():
        # Warnings of the engines' own libraries say nothing that the result does not say with a status.
        warnings.simplefilter("ignore")
        return function(item)
