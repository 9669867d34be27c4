"""The whole stage: every engine on every feature set in nested cross-validation, one model chosen, refitted, frozen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol

import numpy as np

from trialstrat.errors import InvalidInputError, OutputError
from trialstrat.models import plan as planning
from trialstrat.models.engines import ENGINES
from trialstrat.models.evaluate import EvaluationTask, ModelScores, Prediction, evaluate
from trialstrat.models.folds import FoldData, OuterFold, materialise, outer_count
from trialstrat.models.frozen import FrozenModel
from trialstrat.models.importance import Importance, ImportanceTask, combine_importance, fold_importance
from trialstrat.models.out_of_fold import OutOfFold
from trialstrat.models.plan import StudyPlan, make_plan, not_available
from trialstrat.models.record import Record, not_available_result, result_of
from trialstrat.models.released import on_grid, withheld
from trialstrat.models.storage import open_storage, stored_studies
from trialstrat.models.task import FoldFit, FoldTask, fit_fold, run_parallel
from trialstrat.results import StageResult

if TYPE_CHECKING:
    from trialstrat.cohort.cohort import Cohort

#: Engines by how long a task takes, longest first, so that workers end together.
_BY_COST = ("forest", "boosting", "weibull_aft", "penalised_cox", "clinical_cox")


class Progress(Protocol):
    """Receives the steps of the study; called from the calling thread only."""

    def stage(self, name: str, total: int | None = None) -> None:
        """A stage begins."""
        ...

    def advance(self, steps: int = 1) -> None:
        """Steps of it are done."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ModelStudy:
    """What later stages read.

    ``out_of_fold`` by model name (``<engine>.<feature set>``); ``chosen`` is empty when no model could be fitted, and
    ``frozen`` None then and when the model would give patients away. ``folds`` are the outer folds (of all repeats).
    """

    result: StageResult
    out_of_fold: Mapping[str, OutOfFold] = field(default_factory=dict)
    chosen: str = ""
    frozen: FrozenModel | None = None
    folds: tuple[OuterFold, ...] = ()


def run_models(
    cohort: Cohort,
    *,
    seeds: np.random.SeedSequence,
    jobs: int = 1,
    storage: str | None = None,
    resume: bool = False,
    progress: Progress | None = None,
) -> ModelStudy:
    """Tune, fit, score and choose prognostic models of the estimand's endpoint.

    Parameters
    ----------
    seeds
        Source of every random number; not consumed, so that a second call repeats the first.
    jobs
        Worker processes; changes no number.
    storage
        URL of a database that keeps the tuning trials; None keeps them in memory. Changes no number.
    resume
        Go on with trials that an interrupted run left in ``storage``. Without it, a storage that already holds this
        study is refused.

    Raises
    ------
    OutputError
        The storage cannot be used, or holds this study already.
    IntegrityError
        Stored trials do not belong to this study.
    """
    import threadpoolctl

    reason = not_available(cohort)
    if reason:
        return ModelStudy(result=not_available_result(cohort, reason))
    # One BLAS thread here as in the workers: sums in another order would change the last bits.
    with threadpoolctl.threadpool_limits(limits=1):
        plan = make_plan(cohort, seeds)
        _prepare_storage(plan, storage, resume)
        return _Runner(plan, jobs, storage, progress).run()


def _prepare_storage(plan: StudyPlan, storage: str | None, resume: bool) -> None:
    """Create the tables, in this process alone, and refuse to mix two runs unknowingly."""
    if storage is None:
        return
    opened = open_storage(storage, create=True)
    held = stored_studies(opened, plan.fingerprint)
    opened.engine.dispose()
    if held and not resume:
        raise OutputError(
            f"tuning storage: holds {held} tuning studies of this protocol, data and seed; "
            "go on with --resume, or name another storage"
        )


class _Runner:
    """The steps of one study, sharing its plan."""

    def __init__(self, plan: StudyPlan, jobs: int, storage: str | None, progress: Progress | None) -> None:
        self._plan = plan
        self._jobs = jobs
        self._storage = storage
        self._progress = progress
        self._matrices: dict[tuple[str, int], FoldData] = {}
        self._skipped = {choice.name: choice.reason for choice in plan.choices if not choice.available}

    def run(self) -> ModelStudy:
        plan = self._plan
        fits = self._fit_all()
        names = [name for name, folds in fits.items() if all(not fit.reason for fit in folds)]
        if not names:
            record = Record(plan=plan, fits=fits, skipped=self._skipped)
            return ModelStudy(result=result_of(record), folds=plan.judged)
        held_out = {name: predictions_of(plan, fits[name]) for name in names}
        chosen, inner = choose(fits, names)
        held_out["procedure"] = _procedure(plan, fits, held_out, names)
        scores = self._scores(held_out)
        final, importance = self._finish(fits[chosen], chosen)
        frozen = self._freeze(chosen, final, scores[chosen])
        data = self._data(chosen.partition(".")[2], plan.folds[-1])
        released, reason = self._released(frozen, data)
        record = Record(
            plan=plan,
            fits=fits,
            skipped=self._skipped,
            scores=scores,
            chosen=chosen,
            inner=inner,
            importance=tuple(importance),
            final=frozen,
            final_data=data,
            withheld=reason,
            benefit_seed=plan.seed(planning.BENEFIT),
        )
        return ModelStudy(
            result=result_of(record),
            out_of_fold={name: self._out_of_fold(name, fits[name]) for name in names},
            chosen=chosen,
            frozen=released,
            folds=plan.judged,
        )

    # -- fitting -----------------------------------------------------------------------------------------------------

    def _fit_all(self) -> dict[str, list[FoldFit]]:
        """Every engine on every available set in every outer fold; keyed by model, in declared order."""
        declared = self._plan.cohort.protocol.models.engines
        items: list[tuple[str, FoldTask]] = []
        for choice in self._plan.choices:
            if not choice.available:
                continue
            try:
                data = [self._data(choice.name, fold) for fold in self._plan.judged]
            except InvalidInputError as problem:
                self._skipped[choice.name] = problem.messages[0]
                continue
            for engine in declared:
                items += [(f"{engine}.{choice.name}", self._task(engine, choice.name, fold)) for fold in data]
        items.sort(key=lambda item: _BY_COST.index(item[1].engine))
        self._stage("tuning prognostic models", len(items))
        found = run_parallel(fit_fold, [task for _, task in items], jobs=self._jobs, advance=self._advance)
        by_place = {(name, task.data.number): fit for (name, task), fit in zip(items, found, strict=True)}
        sets = [choice.name for choice in self._plan.choices if choice.name not in self._skipped]
        return {
            f"{engine}.{name}": [by_place[f"{engine}.{name}", fold.number] for fold in self._plan.judged]
            for name in sets
            for engine in declared
        }

    def _data(self, feature_set: str, fold: OuterFold) -> FoldData:
        key = (feature_set, fold.number)
        if key not in self._matrices:
            choice = next(choice for choice in self._plan.choices if choice.name == feature_set)
            self._matrices[key] = materialise(self._plan.cohort, choice, fold, self._plan.time, self._plan.event)
        return self._matrices[key]

    def _task(self, engine: str, feature_set: str, data: FoldData) -> FoldTask:
        plan, declared = self._plan, self._plan.cohort.protocol.models
        return FoldTask(
            engine=engine,
            data=data,
            time=plan.time,
            event=plan.event,
            loss_times=plan.times[plan.scored],
            times=plan.times,
            trees=declared.trees,
            trials=declared.trials,
            seed=plan.tuning_seed(engine, feature_set, data.number),
            logbook=plan.logbook(self._storage, engine, feature_set, data.number),
        )

    # -- scoring -----------------------------------------------------------------------------------------------------

    def _scores(self, held_out: Mapping[str, tuple[Prediction, ...]]) -> dict[str, ModelScores]:
        plan = self._plan
        tasks = [
            EvaluationTask(
                model=name,
                time=plan.time,
                event=plan.event,
                predictions=predictions,
                times=plan.times,
                scored=plan.scored,
                auc_at=plan.auc_at,
                level=plan.cohort.protocol.analysis.level,
                draws=plan.cohort.protocol.models.bootstrap,
                seed=plan.seed(planning.CALIBRATION),
                cluster=plan.outcome.cluster,
            )
            for name, predictions in held_out.items()
        ]
        self._stage("scoring held-out predictions", len(tasks))
        return {found.model: found for found in run_parallel(evaluate, tasks, jobs=self._jobs, advance=self._advance)}

    def _finish(self, fits: Sequence[FoldFit], chosen: str) -> tuple[FoldFit, list[Importance]]:
        """The chosen model refitted on everybody, and its permutation importance in the outer folds."""
        plan = self._plan
        engine, _, feature_set = chosen.partition(".")
        final = self._task(engine, feature_set, self._data(feature_set, plan.folds[-1]))
        items: list[FoldTask | ImportanceTask] = [final]
        for fold, fit in zip(plan.judged, fits, strict=True):
            if fit.tuned is None:
                raise ValueError("a chosen model has a fit in every fold")
            item = ImportanceTask(
                task=self._task(engine, feature_set, self._data(feature_set, fold)),
                tuned=fit.tuned,
                horizon=plan.score_horizon,
                seed=plan.seed(planning.IMPORTANCE, fold.number),
            )
            items.append(item)
        self._stage("refitting the chosen model", len(items))
        done = run_parallel(_last_step, items, jobs=self._jobs, advance=self._advance)
        fitted = next(entry for entry in done if isinstance(entry, FoldFit))
        drops = [entry for entry in done if not isinstance(entry, FoldFit)]
        labels = {variable.column: variable.label for variable in final.data.outer.spec.variables}
        share = float(np.mean([fold.test.size / plan.rows.size for fold in plan.judged]))
        return fitted, combine_importance(drops, labels, share, plan.cohort.protocol.analysis.level)

    def _freeze(self, chosen: str, final: FoldFit, scores: ModelScores) -> FrozenModel | None:
        if final.model is None or final.tuned is None:
            return None
        plan = self._plan
        engine, _, feature_set = chosen.partition(".")
        found = scores.get("uno_c")
        return FrozenModel(
            name=chosen,
            label=f"{ENGINES[engine].label}, {feature_set}",
            unit=plan.outcome.unit,
            horizon=plan.horizon,
            spec=self._data(feature_set, plan.folds[-1]).outer.spec,
            model=final.model,
            facts={
                "endpoint": plan.outcome.label,
                "patients": str(plan.rows.size),
                "events": str(plan.events),
                "settings": ", ".join(f"{name} {value:.6g}" for name, value in final.tuned.params.items()),
                "held_out_uno_c": f"{found.value:.4f}",
                "kind": "prognostic: who is likely to have the event, not who benefits from treatment",
            },
        )

    def _released(self, frozen: FrozenModel | None, data: FoldData) -> tuple[FrozenModel | None, str]:
        """The model as it may leave the house, or why it may not."""
        if frozen is None:
            return None, ""
        plan = self._plan
        minimum = plan.cohort.protocol.disclosure.minimum_cell
        reason = withheld(frozen.model, data.outer.X_train, minimum)
        if reason:
            return None, reason
        model = on_grid(frozen.model, plan.time[plan.rows], plan.event[plan.rows], minimum)
        return replace(frozen, model=model), ""

    def _out_of_fold(self, name: str, fits: Sequence[FoldFit]) -> OutOfFold:
        plan = self._plan
        quantiles = plan.cohort.protocol.risk_groups.quantiles
        first = plan.judged[: outer_count(plan.cohort)]
        fold = np.full(plan.time.size, -1, dtype=np.int64)
        risk = np.full(plan.time.size, np.nan)
        survival = np.full((plan.time.size, plan.times.size), np.nan)
        training: list[tuple[np.ndarray, np.ndarray]] = []
        for at, fit in zip(first, fits[: len(first)], strict=True):
            fold[at.test], risk[at.test], survival[at.test] = at.number, fit.risk, fit.survival
            training.append((at.train, np.asarray(fit.inner_risk)))
        engine, _, feature_set = name.partition(".")
        return OutOfFold(
            model=name,
            label=f"{ENGINES[engine].label}, {feature_set}",
            fold=fold,
            risk=risk,
            survival=survival,
            times=plan.times,
            horizon=plan.horizon,
            quantiles=quantiles,
            training_quantiles=np.array([np.quantile(known, quantiles) for _, known in training]),
            fold_training_risk=tuple(training),
        )

    # -- progress ----------------------------------------------------------------------------------------------------

    def _stage(self, name: str, total: int) -> None:
        if self._progress is not None:
            self._progress.stage(name, total)

    def _advance(self) -> None:
        if self._progress is not None:
            self._progress.advance()


def _last_step(item: FoldTask | ImportanceTask) -> FoldFit | Mapping[str, float]:
    return fit_fold(item) if isinstance(item, FoldTask) else fold_importance(item)


def predictions_of(plan: StudyPlan, fits: Sequence[FoldFit]) -> tuple[Prediction, ...]:
    """The held-out predictions of a model that was fitted in every fold."""
    out: list[Prediction] = []
    for fold, fit in zip(plan.judged, fits, strict=True):
        if fit.risk is None or fit.survival is None:
            raise ValueError("every fold of a scored model has predictions")
        repeat = fold.number // outer_count(plan.cohort)
        prediction = Prediction(train=fold.train, test=fold.test, risk=fit.risk, survival=fit.survival, repeat=repeat)
        out.append(prediction)
    return tuple(out)


def choose(fits: Mapping[str, Sequence[FoldFit]], names: Sequence[str]) -> tuple[str, dict[str, float]]:
    """The model with the smallest mean tuning loss over the outer folds' training parts, and that of every model.

    No held-out score is looked at; equal losses go to the model declared first.
    """
    inner = {name: float(np.mean([_inner_loss(fit) for fit in fits[name]])) for name in names}
    return min(names, key=lambda name: inner[name]), inner


def _inner_loss(fit: FoldFit) -> float:
    return float("inf") if fit.tuned is None else fit.tuned.value


def _procedure(
    plan: StudyPlan,
    fits: Mapping[str, Sequence[FoldFit]],
    held_out: Mapping[str, tuple[Prediction, ...]],
    names: Sequence[str],
) -> tuple[Prediction, ...]:
    """Held-out predictions of the whole procedure: in every fold, of the model its own training part would choose."""
    best = [min(names, key=lambda name: _inner_loss(fits[name][at])) for at in range(len(plan.judged))]
    return tuple(held_out[name][at] for at, name in enumerate(best))
