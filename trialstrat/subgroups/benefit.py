"""Stage "benefit": what every patient would gain from treatment, predicted and judged on held-out patients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trialstrat.cohort.cohort import Cohort
from trialstrat.cohort.shown import ShownOutcome, shown_outcome, whole_horizon
from trialstrat.features import FeatureSetChoice, build, choose_feature_sets, fit_spec
from trialstrat.models.task import run_parallel
from trialstrat.results import Cell, Column, Estimate, Finding, StageResult, Table
from trialstrat.stats.resampling import stratified_folds
from trialstrat.subgroups.adjusted import code_covariates
from trialstrat.subgroups.benefit_evaluation import SHARES, Judged, judge
from trialstrat.subgroups.benefit_learners import BenefitTask, FoldBenefit, Part, labels, learn_fold
from trialstrat.subgroups.comparison import Comparison, clustered, comparisons, question_not_asked
from trialstrat.subgroups.interactions import absolute_outcome
from trialstrat.subgroups.scales import p_estimate

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Rows = NDArray[np.intp]

#: Fewest events per arm and outer fold: with fewer the nuisance models are noise.
EVENTS_PER_FOLD = 8
#: Most trials per learner and fold: the signal is too weak for a longer search to find more than noise.
MOST_TRIALS = 8
DRAWS = 500


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Study:
    """One comparison: its patients (positions in the cohort), and everything by patient."""

    comparison: Comparison
    outcome: ShownOutcome
    rows: Rows
    arm: Ints
    event: Ints
    value: Floats
    sign: float


def benefit_study(cohort: Cohort, *, rng: np.random.Generator, jobs: int = 1) -> StageResult | None:
    """Individual benefit by a Cox model with penalised interactions, by forest and by boosting.

    Everything is learned inside outer folds (encoding, imputation, marker filter, outcome and treatment models,
    tuning); predictions of held-out patients are judged by doubly robust scores that the fold's training rows made:
    targeting operator characteristic with its area (AUTOC), calibration in groups and its slope. Benefit is gained
    restricted mean time, events avoided, or improvement of the mean, so that positive is good.

    None where no effect of treatment can be asked; refused with the number that would suffice where events are few.
    """
    if question_not_asked(cohort):
        return None
    if reason := clustered(cohort, "the prediction of benefit"):
        return _refused(reason)
    outcome = shown_outcome(cohort)
    choice = _features(cohort)
    if choice is None:
        return _refused("no marker measured before time zero is declared")
    estimates: list[Estimate] = []
    tables: dict[str, list[tuple[Cell, ...]]] = {"scores": [], "toc": [], "calibration": [], "settings": []}
    findings: list[Finding] = []
    for comparison in comparisons(cohort):
        study, reason = _study(cohort, outcome, comparison)
        if study is None:
            findings.append(_finding(f"{comparison.label}: {reason}"))
            continue
        folds = _run(cohort, study, choice, rng, jobs)
        judged, faults = _judge(cohort, study, folds, rng)
        findings += [_finding(f"{comparison.label}: {text}") for text in faults]
        estimates += _estimates(cohort, study, judged)
        _fill(tables, study, judged, folds)
    if not tables["scores"]:
        return _refused(findings[0].message if findings else "there is no comparison", tuple(findings))
    return StageResult(
        stage="benefit",
        estimates=tuple(estimates),
        tables=_tables(cohort, outcome, tables),
        findings=tuple(findings),
        facts=_facts(cohort, outcome, choice),
    )


def _refused(reason: str, findings: tuple[Finding, ...] = ()) -> StageResult:
    return StageResult(stage="benefit", findings=findings, facts={"refused": reason})


def _finding(message: str) -> Finding:
    return Finding(code="W-BENEFIT", severity="warning", message=message)


def _features(cohort: Cohort) -> FeatureSetChoice | None:
    """The richest feature set that can be built."""
    available = [choice for choice in choose_feature_sets(cohort) if choice.available]
    return max(available, key=lambda choice: (choice.markers, len(choice.variables)), default=None)


def _study(cohort: Cohort, outcome: ShownOutcome, comparison: Comparison) -> tuple[_Study | None, str]:
    """The patients of a comparison with their uncensored outcomes, or why benefit is not predicted."""
    mask = comparison.rows.copy()
    arms = cohort.protocol.arms
    if arms is not None and arms.allocation == "observational":
        mask &= code_covariates(cohort, arms.confounders).known
    rows = np.flatnonzero(mask)
    arm = comparison.treated[rows]
    event = outcome.of_interest[rows]
    folds = cohort.protocol.models.outer_folds
    needed = EVENTS_PER_FOLD * folds
    counted = event if outcome.kind != "continuous" else np.ones(len(rows), dtype=np.int64)
    if min(int(counted[arm == k].sum()) for k in (0, 1)) < needed:
        what = "patients" if outcome.kind == "continuous" else "events"
        return None, f"benefit is predicted from {needed} {what} per arm on ({EVENTS_PER_FOLD} per outer fold)"
    value, reason = absolute_outcome(outcome, arm, mask)
    if reason:
        return None, reason
    higher_is_good = outcome.kind == "time_to_event" or (
        outcome.kind == "continuous" and cohort.protocol.endpoint.favourable == "higher"
    )
    sign = 1.0 if higher_is_good else -1.0
    return (
        _Study(comparison=comparison, outcome=outcome, rows=rows, arm=arm, event=event, value=sign * value, sign=sign),
        "",
    )


# -- folds -----------------------------------------------------------------------------------------------------------


def learners_for(outcome: ShownOutcome) -> tuple[str, ...]:
    """The default first."""
    return ("cox" if outcome.kind == "time_to_event" else "ridge", "forest", "boosting")


def _run(
    cohort: Cohort, study: _Study, choice: FeatureSetChoice, rng: np.random.Generator, jobs: int
) -> list[FoldBenefit]:
    models = cohort.protocol.models
    balance = np.zeros(len(study.rows), dtype=np.int64) if study.outcome.kind == "continuous" else study.event
    label = stratified_folds(balance, study.arm, _groups(cohort, study), models.outer_folds, rng)
    tasks = []
    for fold in range(models.outer_folds):
        train, test = np.flatnonzero(label != fold), np.flatnonzero(label == fold)
        inner = stratified_folds(
            balance[train], study.arm[train], _groups(cohort, study, train), models.inner_folds, rng
        )
        pairs = [(train[inner != k], train[inner == k]) for k in range(models.inner_folds)]
        tasks.append(_task(cohort, study, choice, (train, test), pairs, int(rng.integers(2**31))))
    return run_parallel(learn_fold, tasks, jobs=jobs, advance=lambda: None)


def _groups(cohort: Cohort, study: _Study, rows: Rows | None = None) -> NDArray[np.object_] | None:
    if cohort.groups is None:
        return None
    own = cohort.groups[study.rows]
    return own if rows is None else own[rows]


def _task(
    cohort: Cohort,
    study: _Study,
    choice: FeatureSetChoice,
    outer: tuple[Rows, Rows],
    inner: Sequence[tuple[Rows, Rows]],
    seed: int,
) -> BenefitTask:
    arms, models = cohort.protocol.arms, cohort.protocol.models
    confounders = None
    if arms is not None and arms.allocation == "observational":
        confounders = code_covariates(cohort, arms.confounders).values[study.rows]
    time = study.outcome.time
    return BenefitTask(
        learners=learners_for(study.outcome),
        outer=_part(cohort, study, choice, *outer),
        inner=tuple(_part(cohort, study, choice, *pair) for pair in inner),
        time=None if time is None else time[study.rows],
        event=study.event,
        arm=study.arm,
        value=study.value,
        learned=_learned(study, outer[0]),
        confounders=confounders,
        tau=study.outcome.horizon or 0.0,
        trials=min(models.trials, MOST_TRIALS),
        trees=models.trees,
        seed=seed,
    )


def _part(cohort: Cohort, study: _Study, choice: FeatureSetChoice, train: Rows, test: Rows) -> Part:
    """Features learned from the training rows; the marker filter needs a time, which other endpoints do not have."""
    time = study.outcome.time if study.outcome.time is not None else np.ones(cohort.n)
    spec = fit_spec(cohort, choice, study.rows[train], time, study.outcome.of_interest == 1)
    return Part(
        train=train,
        test=test,
        X_train=build(cohort, spec, study.rows[train]).values,
        X_test=build(cohort, spec, study.rows[test]).values,
    )


def _learned(study: _Study, train: Rows) -> Floats:
    """Uncensored outcomes of the training rows made from these rows alone, nan elsewhere."""
    mask = np.zeros(len(study.outcome.of_interest), dtype=np.bool_)
    mask[study.rows[train]] = True
    order = np.argsort(study.rows[train])  # a mask gives the rows in the cohort's order
    value, reason = absolute_outcome(study.outcome, study.arm[train][order], mask)
    out = np.full(len(study.rows), np.nan)
    # without the longest followed patients a horizon may be out of reach: the values of all patients stand in
    out[train[order]] = study.value[train[order]] if reason else study.sign * value
    return out


# -- judging -----------------------------------------------------------------------------------------------------------


def _judge(
    cohort: Cohort, study: _Study, folds: Sequence[FoldBenefit], rng: np.random.Generator
) -> tuple[dict[str, tuple[Judged, Floats]], list[str]]:
    """Every learner that predicted in all folds, with its predictions; and why others did not."""
    n = len(study.rows)
    scores, number = np.full(n, np.nan), np.zeros(n, dtype=np.int64)
    faults: list[str] = []
    for at, fold in enumerate(folds):
        if "" in fold.reasons:
            return {}, [f"no scores of the effect: {fold.reasons['']}"]
        scores[fold.test], number[fold.test] = fold.scores, at
    out: dict[str, tuple[Judged, Floats]] = {}
    for learner, label in labels(learners_for(study.outcome)).items():
        failed = next((fold.reasons[learner] for fold in folds if learner in fold.reasons), "")
        if failed:
            faults.append(f"{label} is left out: {failed}")
            continue
        predicted = np.empty(n)
        for fold in folds:
            predicted[fold.test] = fold.predicted[learner]
        found = judge(
            predicted,
            scores,
            number,
            level=cohort.protocol.analysis.level,
            draws=DRAWS,
            fewest=max(20, cohort.protocol.disclosure.minimum_cell),
            rng=rng,
        )
        out[learner] = (found, predicted)
    return out, faults


def _estimates(cohort: Cohort, study: _Study, judged: Mapping[str, tuple[Judged, Floats]]) -> list[Estimate]:
    out: list[Estimate] = []
    words = labels(learners_for(study.outcome))
    rest: dict[str, Any] = {
        "n": len(study.rows),
        "population": f"{study.comparison.label}, held-out patients",
        "level": cohort.protocol.analysis.level,
        "evidence": "exploratory",
    }
    if study.outcome.kind != "continuous":
        rest["events"] = int(study.event.sum())
    null = "ranking patients by predicted benefit says nothing about the effect of treatment"
    for learner, (found, _) in judged.items():
        stem = f"benefit.{learner}"
        label = f"{words[learner]}, {study.comparison.label}"
        out.append(
            Estimate(
                name=f"{stem}.autoc.{study.comparison.pair}",
                label=f"Area under the targeting curve: {label}",
                value=found.autoc,
                lower=found.autoc_lower,
                upper=found.autoc_upper,
                unit=study.outcome.unit,
                method="doubly robust scores, bootstrap standard error",
                null_hypothesis=null,
                **rest,
            )
        )
        name = f"{stem}.p.{study.comparison.pair}"
        out.append(p_estimate(name, f"Does {label} rank the effect", found.autoc_p, "ok", "", null, rest))
        name, text = f"{stem}.calibration_slope.{study.comparison.pair}", f"Calibration slope: {label}"
        if np.isfinite(found.slope):
            out.append(
                Estimate(
                    name=name, label=text, value=found.slope, lower=found.slope_lower, upper=found.slope_upper,
                    method="regression of doubly robust scores on predictions, sandwich error", **rest,
                )
            )  # fmt: skip
        else:
            out.append(Estimate.not_estimable(name, text, "everybody has the same predicted benefit", **rest))
    return out


def _fill(
    tables: dict[str, list[tuple[Cell, ...]]],
    study: _Study,
    judged: Mapping[str, tuple[Judged, Floats]],
    folds: Sequence[FoldBenefit],
) -> None:
    pair, words = study.comparison.pair, labels(learners_for(study.outcome))
    for learner, (found, predicted) in judged.items():
        key = (pair, learner, words[learner])
        spread = np.quantile(predicted, (0.05, 0.5, 0.95))
        limits = (found.autoc, found.autoc_lower, found.autoc_upper, found.autoc_p)
        slope = [float(x) if np.isfinite(x) else None for x in (found.slope, found.slope_lower, found.slope_upper)]
        tables["scores"].append((*key, len(predicted), *limits, *slope, *(float(x) for x in spread)))
        for share, value, low, high in zip(SHARES, found.toc, found.toc_lower, found.toc_upper, strict=True):
            tables["toc"].append((*key, float(share), float(value), float(low), float(high)))
        for number, row in enumerate(found.groups, start=1):
            tables["calibration"].append((*key, number, *row))
    for number, fold in enumerate(folds):
        for learner, text in fold.settings.items():
            tables["settings"].append((pair, learner, words[learner], number, text))


_KEYS = (
    Column(key="comparison", label="Comparison"),
    Column(key="learner", label="Learner"),
    Column(key="label", label="Learner"),
)


def _tables(cohort: Cohort, outcome: ShownOutcome, rows: Mapping[str, list[tuple[Cell, ...]]]) -> tuple[Table, ...]:
    unit = outcome.unit
    level = f"{cohort.protocol.analysis.level:.0%}"
    limits = (
        Column(key="lower", label="Lower limit", kind="number", unit=unit),
        Column(key="upper", label="Upper limit", kind="number", unit=unit),
    )
    scores = (
        *_KEYS,
        Column(key="n", label="Patients", kind="count"),
        Column(key="autoc", label="Area under the targeting curve", kind="number", unit=unit),
        *limits,
        Column(key="p", label="p", kind="p"),
        Column(key="slope", label="Calibration slope", kind="number"),
        Column(key="slope_lower", label="Lower limit", kind="number"),
        Column(key="slope_upper", label="Upper limit", kind="number"),
        Column(key="benefit_5", label="Predicted benefit, 5% quantile", kind="number", unit=unit),
        Column(key="benefit_50", label="median", kind="number", unit=unit),
        Column(key="benefit_95", label="95% quantile", kind="number", unit=unit),
    )
    toc = (
        *_KEYS,
        Column(key="share", label="Share treated first", kind="percent"),
        Column(key="value", label="Effect above the average", kind="number", unit=unit),
        *limits,
    )
    calibration = (
        *_KEYS,
        Column(key="group", label="Group", kind="number"),
        Column(key="n", label="Patients", kind="count"),
        Column(key="predicted", label="Predicted benefit", kind="number", unit=unit),
        Column(key="observed", label="Observed benefit", kind="number", unit=unit),
        *limits,
    )
    settings = (*_KEYS, Column(key="fold", label="Fold", kind="number"), Column(key="params", label="Settings"))
    note = (
        f"Population: {outcome.population()}; predictions of the outer fold in which a patient was held out, judged by "
        f"doubly robust scores, {level} limits. Benefit: {_meaning(outcome)}."
    )
    return tuple(
        Table(name=f"benefit.{name}", title=title, columns=columns, rows=tuple(rows[name]), note=note)
        for name, title, columns in (
            ("scores", "How well benefit is predicted", scores),
            ("toc", "Targeting operator characteristic", toc),
            ("calibration", "Calibration of the predicted benefit", calibration),
            ("settings", "Settings found in every fold", settings),
        )
        if rows[name]
    )


def _meaning(outcome: ShownOutcome) -> str:
    until = f" up to {whole_horizon(outcome.horizon)} {outcome.unit}" if outcome.horizon and outcome.timed else ""
    return {
        "time_to_event": f"restricted mean time gained{until}",
        "competing": f"events avoided per patient{until}",
        "binary": "events avoided per patient",
        "continuous": "improvement of the mean",
    }[outcome.kind]


def _facts(cohort: Cohort, outcome: ShownOutcome, choice: FeatureSetChoice) -> dict[str, str]:
    compared = comparisons(cohort)
    names = learners_for(outcome)
    return {
        "default": names[0],
        "default_label": labels(names)[names[0]],
        "benefit": _meaning(outcome),
        "feature_set": choice.name,
        "folds": str(cohort.protocol.models.outer_folds),
        "trials": str(min(cohort.protocol.models.trials, MOST_TRIALS)),
        "comparison": compared[0].pair,
        "comparison_label": compared[0].label,
        "unit": outcome.unit,
    }
