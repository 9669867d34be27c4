"""Learners of the individual benefit in one outer fold: everything they use comes from the fold's training rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trialstrat.models.base import EngineFailureError, Training
from trialstrat.models.regression import REGRESSIONS, squared_loss
from trialstrat.models.tune import InnerSplit, tune
from trialstrat.stats.kernels.boosting import partial_likelihood_loss
from trialstrat.stats.penalised import penalised_cox
from trialstrat.subgroups.benefit_scores import ridge, scores_from

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Rows = NDArray[np.intp]

#: Penalties of the Cox path and its mixing weight.
PENALTIES, MIXING = 30, 0.5
TUNING_TREES = 50


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Part:
    """Features of training and held-out rows, made by the training rows alone; positions are in the comparison."""

    train: Rows
    test: Rows
    X_train: Floats
    X_test: Floats


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BenefitTask:
    """One outer fold of one comparison; arrays (n,) are of the comparison's patients.

    ``value`` is the uncensored outcome of all patients (for judging), ``learned`` that of the fold's training rows,
    nan elsewhere. ``time`` is None where the endpoint is no time; then there is no Cox learner.
    """

    learners: tuple[str, ...]
    outer: Part
    inner: tuple[Part, ...]
    time: Floats | None
    event: Ints
    arm: Ints
    value: Floats
    learned: Floats
    confounders: Floats | None
    tau: float
    trials: int
    trees: int
    seed: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FoldBenefit:
    """Predicted benefit of the held-out rows by learner, their doubly robust scores, settings found, and failures."""

    test: Rows
    predicted: dict[str, Floats]
    scores: Floats
    settings: dict[str, str]
    reasons: dict[str, str]


def learn_fold(task: BenefitTask) -> FoldBenefit:
    """Fit every learner on the training rows and predict the held-out ones."""
    outer = task.outer
    scores, reason = _scores(task, outer, task.value)
    if reason:
        return FoldBenefit(test=outer.test, predicted={}, scores=scores, settings={}, reasons={"": reason})
    predicted: dict[str, Floats] = {}
    settings: dict[str, str] = {}
    reasons: dict[str, str] = {}
    inner, unscored = np.empty(0), ""
    try:
        inner = _inner_scores(task) if set(task.learners) - {"cox"} else inner
    except EngineFailureError as problem:
        unscored = str(problem)
    for learner in task.learners:
        try:
            if unscored and learner != "cox":
                raise EngineFailureError(unscored)
            if learner == "cox":
                predicted[learner], settings[learner] = _cox(task)
            elif learner == "ridge":
                known = np.isfinite(inner[outer.train])
                model = ridge(outer.X_train[known], inner[outer.train][known])
                predicted[learner], settings[learner] = model.predict(outer.X_test), "generalised cross-validation"
            else:
                predicted[learner], settings[learner] = _tuned(task, learner, inner)
        except EngineFailureError as problem:
            reasons[learner] = str(problem)
    return FoldBenefit(test=outer.test, predicted=predicted, scores=scores, settings=settings, reasons=reasons)


def _scores(task: BenefitTask, part: Part, judged_by: Floats) -> tuple[Floats, str]:
    """Doubly robust scores of the held-out rows of a part."""
    confounders = task.confounders
    return scores_from(
        (
            part.X_train,
            task.learned[part.train],
            task.arm[part.train],
            None if confounders is None else confounders[part.train],
        ),
        (
            part.X_test,
            judged_by[part.test],
            task.arm[part.test],
            None if confounders is None else confounders[part.test],
        ),
    )


def _inner_scores(task: BenefitTask) -> Floats:
    """Scores (n,) of the training rows, each from the inner fold in which it was held out; nan elsewhere."""
    out = np.full(len(task.arm), np.nan)
    for part in task.inner:
        scores, reason = _scores(task, part, task.learned)
        if reason:
            raise EngineFailureError(reason)
        out[part.test] = scores
    return out


def _tuned(task: BenefitTask, learner: str, scores: Floats) -> tuple[Floats, str]:
    """Forest or boosting on the scores, tuned on the inner folds."""
    engine = REGRESSIONS[learner]
    splits = [
        InnerSplit(
            training=_training(part.X_train, scores[part.train], TUNING_TREES),
            X_test=part.X_test,
            loss=squared_loss(scores[part.test]),
        )
        for part in task.inner
    ]
    found = tune(engine, splits, trials=task.trials, seed=task.seed)
    training = _training(task.outer.X_train, scores[task.outer.train], task.trees)
    model = engine.refit(training, found.params, found.point, task.seed)
    words = ", ".join(f"{name} {value:.3g}" for name, value in sorted(found.params.items()))
    return model.risk(task.outer.X_test), words


def _training(X: Floats, target: Floats, trees: int) -> Training:
    return Training(X=X, time=target, event=np.ones(len(target), dtype=np.bool_), settings={"trees": trees})


# -- Cox S-learner ---------------------------------------------------------------------------------------------------


def _design(X: Floats, arm: Ints) -> Floats:
    """Treatment (-1/2, 1/2), markers and their products.

    The markers' own effects are then averages over the arms, and a product varies half as much as its marker: the same
    penalty weighs twice on an interaction.
    """
    side = arm - 0.5
    return np.column_stack([side, X, side[:, None] * X]).astype(np.float64)


def _cox(task: BenefitTask) -> tuple[Floats, str]:
    """Gain of restricted mean time predicted by a Cox model with penalised interactions.

    The penalty is the one with the largest partial likelihood of the inner held-out rows; treatment is not penalised.
    """
    if task.time is None:
        raise EngineFailureError("a Cox model needs an endpoint that is a time")
    outer = task.outer
    whole = _path(task, outer, None)
    losses = [_held_out(task, part, whole.lambdas) for part in task.inner]
    best = int(np.argmin(np.mean(losses, axis=0)))
    coef = whole.coef[best]
    baseline = _baseline(task, outer, coef)
    gains = [
        _restricted_mean(_design(outer.X_test, np.full(len(outer.test), k)) @ coef, *baseline, task.tau) for k in (0, 1)
    ]
    kept = int((coef[1 + outer.X_train.shape[1] :] != 0).sum())
    return gains[1] - gains[0], f"penalty {whole.lambdas[best]:.3g}, {kept} interactions kept"


def _path(task: BenefitTask, part: Part, lambdas: Floats | None):
    if task.time is None:
        raise EngineFailureError("a Cox model needs an endpoint that is a time")
    design = _design(part.X_train, task.arm[part.train])
    event = task.event[part.train]
    if not event.any():
        raise EngineFailureError("a training part has no event")
    return penalised_cox(
        task.time[part.train],
        event,
        design,
        alpha=MIXING,
        standardize=False,
        # by the columns of this part: a level that it does not have is no column of it
        penalty_factor=np.append(0.0, np.ones(design.shape[1] - 1)),
        lambdas=lambdas,
        n_lambdas=PENALTIES,
        min_ratio=0.01,
    )


def _held_out(task: BenefitTask, part: Part, lambdas: Floats) -> Floats:
    """Negative log partial likelihood of the held-out rows at every penalty."""
    if task.time is None:
        raise EngineFailureError("a Cox model needs an endpoint that is a time")
    path = _path(task, part, lambdas)
    time = np.ascontiguousarray(task.time[part.test])
    event = np.ascontiguousarray(task.event[part.test] == 1)
    order = np.argsort(-time, kind="stable")
    predictors = path.coef @ _design(part.X_test, task.arm[part.test]).T
    losses = [partial_likelihood_loss(time, event, order, np.ascontiguousarray(row)) for row in predictors]
    return np.array(losses, dtype=np.float64)


def _baseline(task: BenefitTask, part: Part, coef: Floats) -> tuple[Floats, Floats]:
    """Event times of the training rows and Breslow's cumulative baseline hazard there."""
    if task.time is None:
        raise EngineFailureError("a Cox model needs an endpoint that is a time")
    time, event = task.time[part.train], task.event[part.train] == 1
    relative = np.exp(_design(part.X_train, task.arm[part.train]) @ coef)
    order = np.argsort(time, kind="stable")
    at_risk = np.cumsum(relative[order][::-1])[::-1]
    at, deaths = np.unique(time[event], return_counts=True)
    first = np.searchsorted(time[order], at, side="left")
    return np.asarray(at, dtype=np.float64), np.cumsum(deaths / at_risk[first])


def _restricted_mean(predictor: Floats, at: Floats, hazard: Floats, tau: float) -> Floats:
    """Area under exp(-H(t) exp(predictor)) up to ``tau`` (n,)."""
    inside = at < tau
    at, hazard = at[inside], hazard[inside]
    if not at.size:
        return np.full(predictor.size, tau)
    widths = np.diff(np.append(at, tau))
    survival = np.exp(-np.exp(predictor)[:, None] * hazard)
    return at[0] + survival @ widths


def labels(learners: Sequence[str]) -> dict[str, str]:
    """Learners in words."""
    words = {
        "cox": "Cox model, penalised interactions",
        "ridge": "Ridge regression of scores",
        "forest": "Forest on doubly robust scores",
        "boosting": "Boosting on doubly robust scores",
    }
    return {name: words[name] for name in learners}
