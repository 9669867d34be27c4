"""Held-out predictions without a model: for tests of the stages that use them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from trialstrat.models.out_of_fold import OutOfFold


def held_out(
    risk: NDArray[np.float64],
    *,
    event_probability: NDArray[np.float64] | None = None,
    horizon: float = 24.0,
    folds: int = 5,
    quantiles: tuple[float, ...] = (1 / 3, 2 / 3),
    seed: int = 0,
) -> OutOfFold:
    """``risk`` (n,) as if predicted by a model that had not seen the patient, dealt into folds at random."""
    n = len(risk)
    fold = np.random.default_rng(seed).permutation(np.arange(n) % folds).astype(np.int64)
    probability = np.full(n, 0.5) if event_probability is None else event_probability
    training = tuple((np.flatnonzero(fold != k), risk[fold != k]) for k in range(folds))
    return OutOfFold(
        model="test.clinical",
        label="A test model",
        fold=fold,
        risk=risk,
        survival=(1 - probability)[:, None],
        times=np.array([horizon]),
        horizon=horizon,
        quantiles=quantiles,
        training_quantiles=np.array([np.quantile(part, quantiles) for _, part in training]),
        fold_training_risk=training,
    )
