"""Held-out scores: equal to the plain functions fold by fold, with honest intervals."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from trialstrat.models.base import Training
from trialstrat.models.engines import ENGINES
from trialstrat.models.evaluate import EvaluationTask, Prediction, concordance_influence, difference, evaluate
from trialstrat.models.importance import combine_importance
from trialstrat.models.loss import HeldOutLoss
from trialstrat.stats.brier import brier
from trialstrat.stats.censoring import censoring_survival
from trialstrat.stats.scores import uno_c


def trial(n: int = 200, seed: int = 0, effect: float = 1.0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    event_time, censoring = rng.exponential(np.exp(-effect * x)) * 5, rng.uniform(0.5, 12, n)
    return x, np.minimum(event_time, censoring) + 0.01, event_time <= censoring


def task(seed: int = 0, noise: float = 0.0, repeats: int = 1, draws: int = 100) -> EvaluationTask:
    x, time, event = trial(seed=seed)
    rng = np.random.default_rng(1)
    score = x + noise * rng.normal(size=x.size)
    times = np.linspace(0.5, 6, 12)
    survival = np.exp(-(times[None, :] / 5) * np.exp(score)[:, None])
    predictions = []
    for repeat in range(repeats):
        label = rng.permutation(x.size) % 4
        for fold in range(4):
            test, train = np.flatnonzero(label == fold), np.flatnonzero(label != fold)
            predictions.append(
                Prediction(train=train, test=test, risk=score[test], survival=survival[test], repeat=repeat)
            )
    return EvaluationTask(
        model="m",
        time=time,
        event=event,
        predictions=tuple(predictions),
        times=times,
        scored=np.arange(12),
        auc_at=np.array([5, 11]),
        level=0.95,
        draws=draws,
        seed=3,
    )


def test_loss_is_the_integrated_brier_score() -> None:
    _, time, event = trial()
    train, test = np.arange(120), np.arange(120, 200)
    times = np.linspace(0.5, 6, 12)
    censoring = censoring_survival(time[train], event[train].astype(int))
    loss = HeldOutLoss.of(time[test], event[test], times, censoring)
    survival = np.random.default_rng(0).random((3, 80, 12))
    expected = [brier(time[test], event[test].astype(int), s, times, censoring=censoring).integrated for s in survival]
    assert np.allclose(loss(survival), expected, rtol=0, atol=1e-13)
    assert np.isclose(loss.by_row(survival[1]).mean(), expected[1], rtol=0, atol=1e-13)


def test_loss_refuses_times_beyond_the_censoring_distribution() -> None:
    _, time, event = trial()
    censoring = censoring_survival(time[:50], event[:50].astype(int))
    with pytest.raises(ValueError, match="within the horizon"):
        HeldOutLoss.of(time, event, np.array([1.0, time[:50].max() + 1]), censoring)


def test_concordance_and_its_error_are_those_of_uno_c() -> None:
    x, time, event = trial()
    censoring = censoring_survival(time, event.astype(int))
    value, influence = concordance_influence(time, event.astype(int), x, 6.0, censoring)
    expected = uno_c(time, event.astype(int), x, tau=6.0, censoring=censoring)
    assert np.isclose(value, expected.value, rtol=0, atol=1e-14)
    assert np.isclose(np.sqrt(np.sum(influence**2)), expected.std_error, rtol=0, atol=1e-14)


def test_scores_are_means_over_folds() -> None:
    made = task()
    found = evaluate(made)
    c = []
    for part in made.predictions:
        censoring = censoring_survival(made.time[part.train], made.codes[part.train])
        c.append(uno_c(made.time[part.test], made.codes[part.test], part.risk, tau=6.0, censoring=censoring))
    score = found.get("uno_c")
    assert np.isclose(score.value, np.mean([one.value for one in c]))
    independent = np.sqrt(np.sum([one.std_error**2 for one in c])) / 4
    # four folds, a third as many held out as trained on: variance times 1 + 4/3
    assert np.isclose(score.std_error, independent * np.sqrt(1 + 4 / 3))
    assert np.isclose(score.fold_sd, np.std([one.value for one in c], ddof=1))
    assert score.lower < score.value < score.upper
    assert {entry.metric for entry in found.scores} == {"uno_c", "ibs", "ipa", "auc", "ici", "calibration_slope"}


def test_a_good_model_is_calibrated_and_better_than_a_noisy_one() -> None:
    good, noisy = evaluate(task()), evaluate(task(noise=1.5))
    assert good.get("uno_c").value > noisy.get("uno_c").value
    assert good.get("ibs").value < noisy.get("ibs").value
    assert good.get("ipa").value > noisy.get("ipa").value
    assert good.get("calibration_slope").lower < 1 < good.get("calibration_slope").upper
    assert noisy.get("calibration_slope").value < 0.7
    assert good.get("ici").value < noisy.get("ici").value
    for metric in ("uno_c", "ibs", "ipa"):
        value, low, high = difference(good.get(metric), noisy.get(metric), 0.95)
        assert low < value < high
        assert (low > 0) == (metric != "ibs")
    for model in (good, noisy):
        ici = model.get("ici")
        assert ici.lower <= ici.value <= ici.upper


def test_paired_difference_is_tighter_than_two_intervals() -> None:
    first, second = evaluate(task()).get("uno_c"), evaluate(task(noise=0.2)).get("uno_c")
    _, low, high = difference(first, second, 0.95)
    assert high - low < 0.7 * (first.upper - first.lower)


def test_repeats_do_not_pretend_to_more_patients() -> None:
    once, often = evaluate(task()).get("uno_c"), evaluate(task(repeats=5)).get("uno_c")
    assert 0.8 < often.std_error / once.std_error < 1.25
    auc_once, auc_often = evaluate(task()).get("auc"), evaluate(task(repeats=5)).get("auc")
    assert 0.8 < auc_often.std_error / auc_once.std_error < 1.25


def test_without_bootstrap_the_index_has_no_interval() -> None:
    ici = evaluate(task(draws=0)).get("ici")
    assert np.isfinite(ici.value)
    assert np.isnan(ici.lower)


@pytest.mark.slow
@pytest.mark.parametrize(("effect", "lowest"), [(0.0, 0.90), (0.5, 0.90)])
def test_intervals_cover_the_expected_held_out_score(effect: float, lowest: float) -> None:
    """A Cox model of six covariates in 100 trials: on noise the expected concordance is 0.5."""
    rng = np.random.default_rng(5)
    found, brier_found = [], []
    for _ in range(100):
        X = rng.normal(size=(300, 6))
        event_time, censoring = 7 * rng.weibull(1.3, 300) * np.exp(-effect * X[:, 0]), rng.uniform(1, 9, 300)
        time, event = np.minimum(event_time, censoring) + 0.001, event_time <= censoring
        scores = evaluate(fitted(X, time, event))
        found.append(scores.get("uno_c"))
        brier_found.append(scores.get("ibs"))
    expected = 0.5 if effect == 0 else np.mean([score.value for score in found])
    assert np.mean([score.lower <= expected <= score.upper for score in found]) >= lowest
    expected = np.mean([score.value for score in brier_found])
    assert np.mean([score.lower <= expected <= score.upper for score in brier_found]) >= lowest


def fitted(X: np.ndarray, time: np.ndarray, event: np.ndarray) -> EvaluationTask:
    """Five folds of a Cox model trained on the other four."""
    times = np.linspace(0.3, 6, 15)
    predictions = []
    for fold in range(5):
        test, train = np.flatnonzero(np.arange(time.size) % 5 == fold), np.flatnonzero(np.arange(time.size) % 5 != fold)
        path = ENGINES["clinical_cox"].path(Training(X=X[train], time=time[train], event=event[train]), {}, 0)
        model = path.pick(0)
        predictions.append(
            Prediction(train=train, test=test, risk=model.risk(X[test]), survival=model.survival(X[test], times))
        )
    return EvaluationTask(
        model="m",
        time=time,
        event=event,
        predictions=tuple(predictions),
        times=times,
        scored=np.arange(15),
        auc_at=np.array([14]),
        level=0.95,
        draws=0,
        seed=0,
    )


def test_importance_counts_a_filtered_variable_as_zero() -> None:
    folds = [{"a": 0.1, "b": 0.02}, {"a": 0.12}, {"a": 0.08, "b": -0.01}]
    first, second = combine_importance(folds, {"a": "Age"}, 1 / 3, 0.95)
    assert (first.feature, first.label, second.label) == ("a", "Age", "b")
    assert np.isclose(first.importance, 0.1)
    assert np.isclose(second.importance, 0.01 / 3)
    # t(2) quantile 4.3027, variance between folds times (1/3 + test/train 1/2)
    assert np.isclose(first.upper - first.importance, 4.30265 * np.sqrt((1 / 3 + 0.5) * 0.0004), rtol=1e-4)


def test_rows_of_a_cluster_count_as_one() -> None:
    """Every row twice in a cluster: errors are those of the rows once, where naive ones shrink by the root of two."""
    plain = task(noise=0.5)
    twice = [
        replace(
            entry,
            train=np.concatenate([entry.train, entry.train + 200]),
            test=np.concatenate([entry.test, entry.test + 200]),
            risk=np.tile(entry.risk, 2),
            survival=np.tile(entry.survival, (2, 1)),
        )
        for entry in plain.predictions
    ]
    more = replace(plain, time=np.tile(plain.time, 2), event=np.tile(plain.event, 2), predictions=tuple(twice), draws=0)
    found = [evaluate(entry) for entry in (replace(plain, draws=0), more, replace(more, cluster=np.arange(400) % 200))]
    for metric in ("ibs", "ipa"):
        once, naive, clustered = (entry.get(metric) for entry in found)
        assert clustered.value == pytest.approx(once.value, rel=1e-6)
        assert clustered.std_error == pytest.approx(once.std_error, rel=1e-3)
        assert naive.std_error == pytest.approx(once.std_error / np.sqrt(2), rel=1e-3)
    once, naive, clustered = (entry.get("uno_c") for entry in found)
    assert clustered.std_error == pytest.approx(once.std_error, rel=0.02)
    assert naive.std_error < 0.75 * once.std_error
    for metric in ("auc", "calibration_slope"):  # errors of independent rows are not shown
        assert np.isfinite(found[1].get(metric).std_error)
        assert np.isnan(found[2].get(metric).std_error)
