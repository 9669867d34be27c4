"""Permutation importance: what the held-out concordance loses when one variable is shuffled among held-out patients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from trialstrat.models.evaluate import concordance_influence
from trialstrat.models.task import FoldTask, fit_outer
from trialstrat.models.tune import Tuned
from trialstrat.results import NAN
from trialstrat.stats.censoring import censoring_survival

#: Permutations per variable and fold.
PERMUTATIONS = 10


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ImportanceTask:
    """One outer fold of the chosen model; ``seed`` draws the permutations."""

    task: FoldTask
    tuned: Tuned
    horizon: float
    seed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Importance:
    """Drop in Uno's C (mean over folds) with its interval; nan limits with fewer than three folds."""

    feature: str
    label: str
    importance: float
    lower: float = NAN
    upper: float = NAN


def fold_importance(item: ImportanceTask) -> Mapping[str, float]:
    """Mean drop in the fold's Uno's C per variable; all encoded columns of a variable are shuffled together."""
    task, split = item.task, item.task.data.outer
    model = fit_outer(task, item.tuned)
    time, event = task.time[split.test], task.event[split.test].astype(np.int64)
    censoring = censoring_survival(task.time[split.train], task.event[split.train].astype(np.int64))

    def concordance(X: np.ndarray) -> float:
        return concordance_influence(time, event, model.risk(X), item.horizon, censoring)[0]

    rng = np.random.Generator(np.random.PCG64(item.seed))
    whole = concordance(split.X_test)
    out: dict[str, float] = {}
    sources = np.array(split.spec.sources)
    for variable in sorted(set(split.spec.sources)):
        columns = np.flatnonzero(sources == variable)
        drops: list[float] = []
        for _ in range(PERMUTATIONS):
            shuffled = split.X_test.copy()
            shuffled[:, columns] = split.X_test[rng.permutation(split.test.size)][:, columns]
            drops.append(whole - concordance(shuffled))
        out[variable] = float(np.mean(drops))
    return out


def combine_importance(
    folds: Sequence[Mapping[str, float]], labels: Mapping[str, str], held_out_share: float, level: float
) -> list[Importance]:
    """Mean over folds, largest first. A variable that a fold's filter dropped has importance 0 there.

    The interval is the corrected resampled t interval: training sets of folds overlap, so the variance between folds
    counts (1/k + test/train) times.

    References
    ----------
    Breiman (2001), Machine Learning 45:5 (permutation). Nadeau & Bengio (2003), Machine Learning 52:239 (variance).
    """
    out: list[Importance] = []
    k = len(folds)
    for variable in sorted({name for fold in folds for name in fold}):
        values = np.array([fold.get(variable, 0.0) for fold in folds])
        values = values[np.isfinite(values)]
        if values.size == 0:
            continue
        mean, low, high = float(values.mean()), NAN, NAN
        if values.size > 2:
            factor = 1.0 / k + held_out_share / (1.0 - held_out_share)
            spread = float(stats.t.ppf(0.5 + level / 2, values.size - 1) * np.sqrt(factor * values.var(ddof=1)))
            low, high = mean - spread, mean + spread
        out.append(
            Importance(feature=variable, label=labels.get(variable, variable), importance=mean, lower=low, upper=high)
        )
    return sorted(out, key=lambda entry: (-entry.importance, entry.feature))
