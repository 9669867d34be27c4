"""Held-out scores of one model over the outer folds, each with its uncertainty.

Every score is computed inside each outer fold, with the censoring distribution of that fold's training rows, and then
averaged over folds. Standard errors come from influence values of the patients with predictions and censoring
weights held fixed (infinitesimal jackknife; for the mean over folds see LeDell, Petersen & van der Laan 2015,
Electron J Stat 9, 1583). Two models scored on the same patients are compared by the difference of these values.

That is enough for Brier scores and for differences (coverage 91-98% in simulated trials of 400 patients), but not for
the concordance of a weak model: the folds' training sets overlap, their models err in the same direction, and 95%
intervals covered 83-87% when nothing or little can be predicted. Ranks (C, AUC) therefore get the variance of Nadeau &
Bengio (2003), Machine Learning 52, 239, whose factor is 1 + k test/train instead of 1: coverage 97% on noise, and up
to 99% where the signal is strong.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from trialstrat.models.base import Bools, Floats
from trialstrat.models.loss import HeldOutLoss
from trialstrat.results import NAN
from trialstrat.stats.brier import brier
from trialstrat.stats.calibration import calibration
from trialstrat.stats.calibration_curve import CalibrationCurve, calibration_curve
from trialstrat.stats.censoring import CensoringSurvival, censoring_survival
from trialstrat.stats.checks import check_survival
from trialstrat.stats.clustered import cluster_sums
from trialstrat.stats.concordance import concordance_sums
from trialstrat.stats.resampling import bootstrap, bootstrap_interval
from trialstrat.stats.scores import time_dependent_auc

#: Fewest bootstrap samples for an interval at level 0.95.
FEWEST_DRAWS = 80
#: One point of the calibration curve is enough where only the index is wanted.
_MIDDLE = np.array([0.5])


class FoldScore(NamedTuple):
    """A score in one fold, with the influence (k,) of its rows, or a standard error where these are not at hand."""

    value: float
    influence: Floats | None = None
    std_error: float = NAN


FoldScores = dict[tuple[str, float | None], FoldScore]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Prediction:
    """Held-out predictions of one fold: rows, ``risk`` (k,), ``survival`` (k, m) at the study's times."""

    train: NDArray[np.intp]
    test: NDArray[np.intp]
    risk: Floats
    survival: Floats
    repeat: int = 0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EvaluationTask:
    """One model to score. ``times`` (m,) of the predictions; ``scored`` positions of those in the Brier score.

    ``horizon`` is the last of them; ``auc_times`` positions of the times of the AUC; ``draws`` bootstrap samples for
    the calibration index, from ``seed``. Rows with the same code of ``cluster`` (n,) count as one.
    ``external`` predictions come from a model that these patients had no part in: nothing overlaps.
    """

    model: str
    time: Floats
    event: Bools
    predictions: tuple[Prediction, ...]
    times: Floats
    scored: NDArray[np.intp]
    auc_at: NDArray[np.intp]
    level: float
    draws: int
    seed: int
    cluster: NDArray[np.int64] | None = None
    external: bool = False

    @property
    def horizon(self) -> float:
        """Horizon of concordance, calibration and net benefit."""
        return float(self.times[self.scored[-1]])

    @property
    def codes(self) -> NDArray[np.int64]:
        """Events as 0 and 1."""
        return self.event.astype(np.int64)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class HeldOutScore:
    """One score: mean over folds, interval, and the values it was made of.

    ``influence`` (n,) are the patients' influence values on the mean (None where not defined; that of a cluster stands
    at its first row, 0 at the others); ``reason`` says why ``value`` is nan.
    """

    metric: str
    time: float | None
    value: float
    std_error: float = NAN
    lower: float = NAN
    upper: float = NAN
    fold_values: tuple[float, ...] = ()
    influence: Floats | None = None
    reason: str = ""

    @property
    def fold_sd(self) -> float:
        """Standard deviation between folds."""
        found = [value for value in self.fold_values if np.isfinite(value)]
        return float(np.std(found, ddof=1)) if len(found) > 1 else NAN


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ModelScores:
    """Everything held out about one model. ``pooled`` (n,) predicted probability of an event by the horizon."""

    model: str
    scores: tuple[HeldOutScore, ...]
    curve: CalibrationCurve | None
    pooled: Floats
    rows: NDArray[np.intp] = field(default_factory=lambda: np.empty(0, dtype=np.intp))

    def get(self, metric: str) -> HeldOutScore:
        """The score of this name (at the latest time, where there are several)."""
        return [score for score in self.scores if score.metric == metric][-1]


def evaluate(task: EvaluationTask) -> ModelScores:
    """Score one model; see the module."""
    pieces: list[FoldScores] = []
    for prediction in task.predictions:
        censoring = censoring_survival(task.time[prediction.train], task.codes[prediction.train])
        pieces.append({**_concordance(task, prediction, censoring), **_brier(task, prediction, censoring)})
        pieces[-1].update(_auc(task, prediction, censoring))
    scores = [_combine(task, key, [piece[key] for piece in pieces]) for key in pieces[0]]
    pooled, rows = _pooled(task)
    curve = None
    if rows.size:
        curve, more = _calibration(task, pooled[rows], rows)
        scores += more
    return ModelScores(model=task.model, scores=tuple(scores), curve=curve, pooled=pooled, rows=rows)


def concordance_influence(
    time: Floats, event: NDArray[np.int64], risk: Floats, tau: float, censoring: CensoringSurvival
) -> tuple[float, Floats]:
    """Uno's C up to ``tau`` as :func:`trialstrat.stats.scores.uno_c` has it, with the influence of every row."""
    rows = check_survival(time, event)
    counted = (rows.event == 1) & (rows.time <= tau)
    share = np.zeros(rows.n)
    still_seen = censoring.left(rows.time[counted])
    if not (still_seen > 0).all():
        return NAN, np.full(rows.n, np.nan)
    share[counted] = still_seen**-2.0
    sums = concordance_sums(rows.time, rows.event, risk, event_weights=share)
    return sums.concordance, sums.influence


def _concordance(task: EvaluationTask, prediction: Prediction, censoring: CensoringSurvival) -> FoldScores:
    rows = prediction.test
    found = concordance_influence(task.time[rows], task.codes[rows], prediction.risk, task.horizon, censoring)
    return {("uno_c", None): FoldScore(*found)}


def _brier(task: EvaluationTask, prediction: Prediction, censoring: CensoringSurvival) -> FoldScores:
    """Integrated Brier score, and the index of prediction accuracy at the horizon."""
    rows, times = prediction.test, task.times[task.scored]
    survival = prediction.survival[:, task.scored]
    nothing = FoldScore(NAN)
    full = brier(task.time[rows], task.codes[rows], survival, times, censoring=censoring)
    try:
        loss = HeldOutLoss.of(task.time[rows], task.event[rows], times, censoring)
    except ValueError:
        return {("ibs", None): nothing, ("ipa", task.horizon): nothing}
    own = loss.by_row(survival)
    ibs = FoldScore(full.integrated, (own - own.mean()) / rows.size)
    if not (np.isfinite(full.ipa[-1]) and full.brier_null[-1] > 0):
        return {("ibs", None): ibs, ("ipa", task.horizon): nothing}
    null_survival = _null_survival(task.time[rows], task.codes[rows], times)
    last, null = loss.squares(survival)[:, -1], loss.squares(null_survival)[:, -1]
    ratio = full.brier[-1] / full.brier_null[-1]
    influence = -(last - ratio * null) / (full.brier_null[-1] * rows.size)
    return {("ibs", None): ibs, ("ipa", task.horizon): FoldScore(float(full.ipa[-1]), influence)}


def _null_survival(time: Floats, event: NDArray[np.int64], times: Floats) -> Floats:
    from trialstrat.stats.survival import kaplan_meier

    curve = kaplan_meier(time, event).at(times).survival
    return np.broadcast_to(curve, (time.size, times.size))


def _auc(task: EvaluationTask, prediction: Prediction, censoring: CensoringSurvival) -> FoldScores:
    """AUC of the predicted risk by each time, with its standard error (no influence values)."""
    rows, times = prediction.test, task.times[task.auc_at]
    risk = 1.0 - prediction.survival[:, task.auc_at]
    found = time_dependent_auc(task.time[rows], task.codes[rows], risk, times, censoring=censoring)
    return {
        ("auc", float(time)): FoldScore(float(value), None, float(error))
        for time, value, error in zip(times, found.auc, found.std_error, strict=True)
    }


def _combine(task: EvaluationTask, key: tuple[str, float | None], values: Sequence[FoldScore]) -> HeldOutScore:
    """Mean over the folds that gave a value. A patient held out once per repeat counts once."""
    metric, time = key
    folds = tuple(entry.value for entry in values)
    good = [at for at, value in enumerate(folds) if np.isfinite(value)]
    if not good:
        reason = "in no outer fold: too few events, or the censoring distribution ends before the horizon"
        return HeldOutScore(metric=metric, time=time, value=NAN, fold_values=folds, reason=reason)
    mean = float(np.mean([folds[at] for at in good]))
    repeats = 1 + max(prediction.repeat for prediction in task.predictions)
    if metric == "auc" and task.cluster is not None:
        # its standard error is that of independent rows
        return HeldOutScore(metric=metric, time=time, value=mean, fold_values=folds)
    if metric == "auc":
        error = float(np.sqrt(repeats * np.sum([values[at].std_error ** 2 for at in good]))) / len(good)
        error *= _overlap(task, repeats)
        return _bounded(task, HeldOutScore(metric=metric, time=time, value=mean, std_error=error, fold_values=folds))
    total = np.zeros(task.time.size)
    for at in good:
        own = values[at].influence
        if own is not None:
            total[task.predictions[at].test] += own / len(good)
    total = _by_cluster(total, task.cluster)
    error = float(np.sqrt(np.sum(total**2))) * (_overlap(task, repeats) if metric == "uno_c" else 1.0)
    score = HeldOutScore(metric=metric, time=time, value=mean, std_error=error, fold_values=folds, influence=total)
    return _bounded(task, score)


def _by_cluster(influence: Floats, cluster: NDArray[np.int64] | None) -> Floats:
    """The sum of every cluster at its first row, so that squares add up over clusters."""
    if cluster is None:
        return influence
    out = np.zeros_like(influence)
    out[np.unique(cluster, return_index=True)[1]] = cluster_sums(influence, cluster)
    return out


def _overlap(task: EvaluationTask, repeats: int) -> float:
    """How much larger a standard error is because the folds' training sets overlap."""
    if task.external:
        return 1.0
    shares = [prediction.test.size / prediction.train.size for prediction in task.predictions]
    return float(np.sqrt(1.0 + len(shares) / repeats * np.mean(shares)))


def _bounded(task: EvaluationTask, score: HeldOutScore) -> HeldOutScore:
    """Add the normal interval, cut to the score's range."""
    spread = float(ndtri(0.5 + task.level / 2)) * score.std_error
    if not (np.isfinite(spread) and spread > 0):
        return score
    lowest = -np.inf if score.metric == "ipa" else 0.0
    return replace(score, lower=max(lowest, score.value - spread), upper=min(1.0, score.value + spread))


def _pooled(task: EvaluationTask) -> tuple[Floats, NDArray[np.intp]]:
    """Held-out probability of an event by the horizon in the first repeat, nan for rows that have none."""
    pooled = np.full(task.time.size, np.nan)
    for prediction in task.predictions:
        if prediction.repeat == 0:
            pooled[prediction.test] = 1.0 - prediction.survival[:, task.scored[-1]]
    return np.clip(pooled, 0.0, 1.0), np.flatnonzero(np.isfinite(pooled))


def _calibration(
    task: EvaluationTask, predicted: Floats, rows: NDArray[np.intp]
) -> tuple[CalibrationCurve, Iterable[HeldOutScore]]:
    """Slope and integrated calibration index of the pooled held-out predictions (one horizon, all folds together)."""
    time, event, at = task.time[rows], task.codes[rows], task.horizon
    slope = calibration(time, event, predicted, at, level=task.level).slope
    curve = calibration_curve(time, event, predicted, at, level=task.level)
    low = high = error = NAN
    own = None if task.cluster is None else task.cluster[rows]
    # the slope's interval is that of independent rows
    spread = (slope.std_error, slope.lower, slope.upper) if own is None else (NAN, NAN, NAN)
    if curve.status == "ok" and task.draws >= FEWEST_DRAWS:
        rng = np.random.Generator(np.random.PCG64(task.seed))

        def index(sample: NDArray[np.int64]) -> float:
            return calibration_curve(time[sample], event[sample], predicted[sample], at, _MIDDLE).ici

        interval = bootstrap_interval(bootstrap(index, rows.size, task.draws, rng, groups=own)[:, 0], task.level)
        # A mean of absolute differences only grows when patients are resampled: near 0 all resampled values may lie
        # above the index itself, and the interval is then extended down to it.
        low, high, error = min(interval.lower, curve.ici), interval.upper, interval.std_error
    return curve, (
        HeldOutScore(
            metric="ici", time=at, value=curve.ici, std_error=error, lower=low, upper=high, reason=curve.reason
        ),
        HeldOutScore(
            metric="calibration_slope",
            time=at,
            value=slope.slope,
            std_error=spread[0],
            lower=spread[1],
            upper=spread[2],
            reason=slope.reason,
        ),
    )


def difference(first: HeldOutScore, second: HeldOutScore, level: float) -> tuple[float, float, float]:
    """First minus second on the same patients, with its paired interval (nan where not defined)."""
    if first.influence is None or second.influence is None:
        return first.value - second.value, NAN, NAN
    error = float(np.sqrt(np.sum((first.influence - second.influence) ** 2)))
    value, spread = first.value - second.value, float(ndtri(0.5 + level / 2)) * error
    return value, value - spread, value + spread
