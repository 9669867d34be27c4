"""Tuning inside one training set: ask and tell in fixed batches, the same study whatever happens around it.

The search runs in memory. A stored study is its logbook: trials are written when told, in trial order, and a resumed
run replays them before it goes on. Sampler, pruner and every seed depend on the study's seed and the trial's number
only, so the result is the same on one worker or many, with or without storage, resumed or not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from trialstrat.errors import IntegrityError
from trialstrat.models.base import Engine, EngineFailureError, Floats, Range, Training
from trialstrat.models.loss import HeldOutLoss
from trialstrat.models.storage import open_storage

if TYPE_CHECKING:
    import optuna

#: Trials asked before any of them is told.
BATCH = 4
#: Trials that are never pruned, and sampled at random.
STARTUP = 6
#: Where the samplers' seeds begin in the sequence of trial seeds: beyond any trial.
SAMPLERS = 500_000


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class InnerSplit:
    """What one inner fold gives a trial: training data, held-out features, and their loss."""

    training: Training
    X_test: Floats
    loss: HeldOutLoss


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialRecord:
    """One told trial. ``value`` is the mean loss over the inner folds (of those seen, when pruned), nan when failed."""

    number: int
    params: Mapping[str, float]
    state: Literal["complete", "pruned", "failed"]
    steps: tuple[float, ...]
    value: float
    point: int
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuned:
    """The outcome of one study: the best trial with its point on the path, and all trials in order."""

    params: Mapping[str, float]
    point: int
    value: float
    number: int
    trials: tuple[TrialRecord, ...]
    sampler: str
    pruner: str
    seed: int

    def count(self, state: str) -> int:
        """Trials that ended in this state."""
        return sum(trial.state == state for trial in self.trials)


@dataclass(frozen=True, slots=True, kw_only=True)
class Logbook:
    """Where a study is stored: URL and name. None of it enters a number."""

    url: str
    name: str


def trial_seed(seed: int, number: int) -> int:
    """The seed of one trial, from the study's seed and its number alone."""
    return int(np.random.SeedSequence(seed, spawn_key=(number,)).generate_state(1)[0])


def tune(
    engine: Engine, splits: Sequence[InnerSplit], *, trials: int, seed: int, logbook: Logbook | None = None
) -> Tuned:
    """Search the settings of ``engine`` on fixed inner folds.

    Raises
    ------
    EngineFailureError
        No trial could be completed.
    IntegrityError
        The stored trials are not those that this study would have asked for.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    wanted = trials if engine.space else 1
    stored = _Stored(logbook, wanted)
    study = optuna.create_study(direction="minimize", pruner=_pruner())
    records: list[TrialRecord] = []
    space = {name: _distribution(entry) for name, entry in engine.space.items()}
    while len(records) < wanted:
        start = len(records)
        study.sampler = _sampler(trial_seed(seed, SAMPLERS + start))
        asked = [study.ask(space) for _ in range(min(BATCH, wanted - start))]
        told = [
            stored.replayed(trial) or _evaluate(engine, splits, trial, trial_seed(seed, trial.number))
            for trial in asked
        ]
        for trial, record in zip(asked, told, strict=True):
            _tell(study, trial, record)
            stored.append(record, space)
        records += told
    stored.close()
    return _best(records, seed)


def _best(records: list[TrialRecord], seed: int) -> Tuned:
    complete = [record for record in records if record.state == "complete"]
    if not complete:
        reason = next((record.reason for record in records if record.reason), "no trial could be completed")
        raise EngineFailureError(reason)
    best = min(complete, key=lambda record: (record.value, record.number))
    return Tuned(
        params=best.params,
        point=best.point,
        value=best.value,
        number=best.number,
        trials=tuple(records),
        sampler=f"TPE, multivariate, {STARTUP} random trials, batches of {BATCH}",
        pruner=f"median over inner folds, after {STARTUP} trials",
        seed=seed,
    )


def _evaluate(engine: Engine, splits: Sequence[InnerSplit], trial: optuna.Trial, seed: int) -> TrialRecord:
    """Fit the inner folds one after the other; give up when the median of earlier trials is better."""
    params = dict(trial.params)
    losses: list[Floats] = []
    steps: list[float] = []
    for step, split in enumerate(splits):
        try:
            path = engine.path(split.training, params, seed)
        except EngineFailureError as problem:
            return TrialRecord(
                number=trial.number,
                params=params,
                state="failed",
                steps=tuple(steps),
                value=float("nan"),
                point=0,
                reason=str(problem),
            )
        losses.append(split.loss(path.survival(split.X_test, split.loss.times)))
        mean = _mean_path(losses)
        steps.append(float(mean.min()))
        trial.report(steps[-1], step)
        if step < len(splits) - 1 and trial.should_prune():
            return _record(trial.number, params, "pruned", steps, mean)
    return _record(trial.number, params, "complete", steps, _mean_path(losses))


def _record(
    number: int, params: dict[str, float], state: Literal["complete", "pruned"], steps: list[float], mean: Floats
) -> TrialRecord:
    return TrialRecord(
        number=number, params=params, state=state, steps=tuple(steps), value=float(mean.min()), point=int(mean.argmin())
    )


def _mean_path(losses: list[Floats]) -> Floats:
    """Mean over folds at every point that all folds reached (a path may stop early)."""
    shortest = min(entry.size for entry in losses)
    return np.mean([entry[:shortest] for entry in losses], axis=0)


def _tell(study: optuna.Study, trial: optuna.Trial, record: TrialRecord) -> None:
    from optuna.trial import TrialState

    if record.state == "complete":
        study.tell(trial, record.value)
    else:
        study.tell(trial, state=TrialState.PRUNED if record.state == "pruned" else TrialState.FAIL)


def _pruner() -> optuna.pruners.BasePruner:
    import optuna

    return optuna.pruners.MedianPruner(n_startup_trials=STARTUP, n_warmup_steps=0)


def _sampler(seed: int) -> optuna.samplers.BaseSampler:
    import optuna

    return optuna.samplers.TPESampler(
        n_startup_trials=STARTUP, n_ei_candidates=24, seed=seed, multivariate=True, group=False, constant_liar=True
    )


def _distribution(entry: Range) -> optuna.distributions.BaseDistribution:
    from optuna.distributions import FloatDistribution, IntDistribution

    if entry.kind == "int":
        return IntDistribution(int(entry.low), int(entry.high), log=entry.log)
    return FloatDistribution(entry.low, entry.high, log=entry.log)


class _Stored:
    """The logbook of one study; does nothing without a URL."""

    def __init__(self, logbook: Logbook | None, wanted: int) -> None:
        self._records: list[TrialRecord] = []
        self._study: Any = None
        self._storage: Any = None
        if logbook is None:
            return
        import optuna

        self._storage = open_storage(logbook.url)
        self._study = optuna.create_study(
            study_name=logbook.name, storage=self._storage, direction="minimize", load_if_exists=True
        )
        self._records = [_from_stored(trial) for trial in self._study.get_trials(deepcopy=False)][:wanted]

    def replayed(self, trial: optuna.Trial) -> TrialRecord | None:
        """The stored record of a trial that was asked again, None when it was never told."""
        if trial.number >= len(self._records):
            return None
        record = self._records[trial.number]
        if dict(record.params) != dict(trial.params):
            raise IntegrityError(
                f"tuning storage: stored trial {trial.number} was asked with other settings than this study asks; "
                "another version of a library or of trialstrat wrote it; use a new storage"
            )
        for step, value in enumerate(record.steps):
            trial.report(value, step)
        return record

    def append(self, record: TrialRecord, space: Mapping[str, Any]) -> None:
        """Write a trial unless it came from the logbook."""
        if self._study is None or record.number < len(self._records):
            return
        self._study.add_trial(_to_stored(record, space))

    def close(self) -> None:
        """Give the connections back."""
        if self._storage is not None:
            self._storage.engine.dispose()


def _to_stored(record: TrialRecord, space: Mapping[str, Any]) -> optuna.trial.FrozenTrial:
    from optuna.trial import TrialState, create_trial

    states = {"complete": TrialState.COMPLETE, "pruned": TrialState.PRUNED, "failed": TrialState.FAIL}
    return create_trial(
        state=states[record.state],
        value=None if record.state == "failed" else record.value,
        params=dict(record.params),
        distributions=dict(space),
        user_attrs={"point": record.point, "reason": record.reason, "number": record.number},
        intermediate_values=dict(enumerate(record.steps)),
    )


def _from_stored(trial: optuna.trial.FrozenTrial) -> TrialRecord:
    from optuna.trial import TrialState

    states = {TrialState.COMPLETE: "complete", TrialState.PRUNED: "pruned", TrialState.FAIL: "failed"}
    steps = tuple(trial.intermediate_values[step] for step in sorted(trial.intermediate_values))
    return TrialRecord(
        number=trial.number,
        params=dict(trial.params),
        state=states[trial.state],  # pyright: ignore[reportArgumentType]
        steps=steps,
        value=float("nan") if trial.value is None else float(trial.value),
        point=int(trial.user_attrs["point"]),
        reason=str(trial.user_attrs["reason"]),
    )
