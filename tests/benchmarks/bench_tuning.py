"""Nested tuning of GBSG2: a plain script with scikit-survival and Optuna against ours, on the same folds, in one run.

    python -m tests.benchmarks.bench_tuning [--jobs 2] [--engines penalised_cox boosting forest] [--trials 20]

Both tune penalised Cox, boosting and a forest of 200 trees (5 outer x 3 inner folds, 20 trials each) and score the
held-out patients with the same functions. Printed: seconds, their ratio, Uno's C and integrated Brier score with the
standard error over folds. The plain script does what its libraries' tutorials do: one fit per trial and inner fold,
exact times, every trial to the end, Uno's C as its objective.
"""

from __future__ import annotations

import argparse
import time as clock
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

from tests.helpers.cohorts import gbsg2_cohort
from trialstrat.features import FeatureSetChoice, choose_feature_sets
from trialstrat.models.folds import FoldData, materialise
from trialstrat.models.plan import StudyPlan, make_plan
from trialstrat.models.task import FoldFit, FoldTask, fit_fold, run_parallel
from trialstrat.stats.brier import brier
from trialstrat.stats.censoring import censoring_survival
from trialstrat.stats.scores import uno_c

ENGINES = ("penalised_cox", "boosting", "forest")


@dataclass(frozen=True)
class Measured:
    """Seconds on the clock and of this process's CPU (workers' not included), and a score per outer fold."""

    seconds: float
    cpu: float
    concordance: np.ndarray
    brier: np.ndarray


def held_out(plan: StudyPlan, predictions: list[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    """Uno's C and integrated Brier score of every outer fold."""
    times = plan.times[plan.scored]
    c, b = [], []
    for fold, (risk, survival) in zip(plan.judged, predictions, strict=True):
        train, test = fold.train, fold.test
        event = plan.event.astype(np.int64)
        censoring = censoring_survival(plan.time[train], event[train])
        c.append(uno_c(plan.time[test], event[test], risk, tau=plan.score_horizon, censoring=censoring).value)
        b.append(brier(plan.time[test], event[test], survival, times, censoring=censoring).integrated)
    return np.array(c), np.array(b)


def run_ours(plan: StudyPlan, data: list[FoldData], engine: str, jobs: int, trials: int) -> Measured:
    """One task per outer fold, in worker processes."""
    times = plan.times[plan.scored]
    tasks = [
        FoldTask(
            engine=engine,
            data=fold,
            time=plan.time,
            event=plan.event,
            loss_times=times,
            times=times,
            trees=200,
            trials=trials,
            seed=plan.tuning_seed(engine, "combined", fold.number),
        )
        for fold in data
    ]
    start, cpu = clock.perf_counter(), clock.process_time()
    fits: list[FoldFit] = run_parallel(fit_fold, tasks, jobs=jobs, advance=lambda: None)
    seconds, cpu = clock.perf_counter() - start, clock.process_time() - cpu
    return Measured(seconds, cpu, *held_out(plan, [(np.asarray(fit.risk), np.asarray(fit.survival)) for fit in fits]))


def plain_model(engine: str, trial, forest_jobs: int):
    """One scikit-survival estimator per trial."""
    from sksurv.ensemble import GradientBoostingSurvivalAnalysis, RandomSurvivalForest
    from sksurv.linear_model import CoxnetSurvivalAnalysis

    if engine == "penalised_cox":
        alpha = trial.suggest_float("alpha", 1e-4, 1.0, log=True)
        l1_ratio = trial.suggest_float("l1_ratio", 0.05, 1.0)
        return CoxnetSurvivalAnalysis(alphas=[alpha], l1_ratio=l1_ratio, fit_baseline_model=True)
    if engine == "boosting":
        return GradientBoostingSurvivalAnalysis(
            n_estimators=trial.suggest_int("n_estimators", 50, 200),
            learning_rate=trial.suggest_float("learning_rate", 0.03, 0.3, log=True),
            max_depth=trial.suggest_int("max_depth", 1, 4),
            min_samples_leaf=trial.suggest_int("min_samples_leaf", 5, 60, log=True),
            subsample=trial.suggest_float("subsample", 0.5, 1.0),
            random_state=0,
        )
    return RandomSurvivalForest(
        n_estimators=200,
        min_samples_leaf=trial.suggest_int("min_samples_leaf", 5, 60, log=True),
        max_features=trial.suggest_float("max_features", 0.1, 1.0),
        random_state=0,
        n_jobs=forest_jobs,
    )


def run_plain(plan: StudyPlan, data: list[FoldData], engine: str, trials: int, forest_jobs: int) -> Measured:
    """The same search as written by hand."""
    import optuna
    from sksurv.metrics import concordance_index_ipcw
    from sksurv.util import Surv

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    outcome = Surv.from_arrays(plan.event, plan.time)
    times = plan.times[plan.scored]
    start, cpu = clock.perf_counter(), clock.process_time()
    predictions = []
    for fold in data:

        def objective(trial, fold=fold) -> float:
            scores = []
            for split in fold.inner:
                model = plain_model(engine, trial, forest_jobs).fit(split.X_train, outcome[split.train])
                risk = model.predict(split.X_test)
                tau = min(plan.score_horizon, plan.time[split.test].max() - 1e-9)
                scores.append(concordance_index_ipcw(outcome[split.train], outcome[split.test], risk, tau=tau)[0])
            return float(np.mean(scores))

        study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=fold.number))
        study.optimize(objective, n_trials=trials)
        model = plain_model(engine, optuna.trial.FixedTrial(study.best_params), forest_jobs)
        model.fit(fold.outer.X_train, outcome[fold.outer.train])
        curves: Any = model.predict_survival_function(fold.outer.X_test)
        predictions.append((model.predict(fold.outer.X_test), np.stack([curve(times) for curve in curves])))
    seconds, cpu = clock.perf_counter() - start, clock.process_time() - cpu
    return Measured(seconds, cpu, *held_out(plan, predictions))


def _line(label: str, found: Measured) -> str:
    def text(values: np.ndarray) -> str:
        return f"{values.mean():.4f} (SE {values.std(ddof=1) / np.sqrt(values.size):.4f})"

    took = f"{label:28s} {found.seconds:7.1f} s (CPU {found.cpu:6.1f})"
    return f"{took}   C {text(found.concordance)}   IBS {text(found.brier)}"


def _verdict(ours: Measured, plain: Measured) -> str:
    def within(mine: np.ndarray, other: np.ndarray) -> str:
        error = np.sqrt((mine.var(ddof=1) + other.var(ddof=1)) / 2 / mine.size)
        return "within one fold SE" if abs(mine.mean() - other.mean()) <= error else "DIFFERENT by more than a fold SE"

    c, b = within(ours.concordance, plain.concordance), within(ours.brier, plain.brier)
    return f"    ours / plain {ours.seconds / plain.seconds:.3f};  C {c};  IBS {b}"


def main() -> None:
    """Run both and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--plain-forest-jobs", type=int, default=None, help="n_jobs of the plain script's forest")
    parser.add_argument("--engines", nargs="+", default=list(ENGINES), choices=ENGINES)
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    cohort = gbsg2_cohort()
    plan = make_plan(cohort, np.random.SeedSequence(20260101))
    choice: FeatureSetChoice = next(entry for entry in choose_feature_sets(cohort) if entry.name == "combined")
    start = clock.perf_counter()
    data = [materialise(cohort, choice, fold, plan.time, plan.event) for fold in plan.judged]
    print(f"GBSG2, 5 x 3 folds, {given.trials} trials; matrices in {clock.perf_counter() - start:.1f} s (shared)")
    total, busy = [0.0, 0.0], [0.0, 0.0]
    for engine in given.engines:
        ours = run_ours(plan, data, engine, given.jobs, given.trials)
        plain = run_plain(plan, data, engine, given.trials, given.plain_forest_jobs)
        total = [total[0] + ours.seconds, total[1] + plain.seconds]
        busy = [busy[0] + ours.cpu, busy[1] + plain.cpu]
        print(_line(f"{engine}, plain", plain), flush=True)
        print(_line(f"{engine}, ours, {given.jobs} jobs", ours), flush=True)
        print(_verdict(ours, plain), flush=True)
    if given.jobs == 1:
        print(f"CPU alone: ours {busy[0]:.1f} s, plain {busy[1]:.1f} s, ratio {busy[0] / busy[1]:.3f}")
    print(f"all: ours {total[0]:.1f} s, plain {total[1]:.1f} s, ratio {total[0] / total[1]:.3f} (bar: at most 0.25)")


if __name__ == "__main__":
    main()
