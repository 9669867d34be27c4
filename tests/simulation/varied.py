"""Trials of another kind, with no difference of effects: every trial has a size, markers and prognosis of its own.

300 to 800 patients, 8 to 15 correlated markers (normal, binary, skewed, with many zeros), prognosis of any strength
from five of them and a square, a hazard ratio of 0.5 to 1.1 in everybody, 25 to 55% censored.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from tests.simulation.trials import Trial


def varied_null(rng: np.random.Generator) -> Trial:
    """One trial."""
    n, p = int(rng.integers(300, 801)), int(rng.integers(8, 16))
    lag = np.abs(np.subtract.outer(np.arange(p), np.arange(p)))
    X = rng.normal(size=(n, p)) @ np.linalg.cholesky(rng.uniform(0, 0.6) ** lag).T
    score = X[:, :5] @ rng.normal(size=5) + 0.5 * X[:, 0] ** 2
    score = rng.uniform(0.3, 1.1) * (score - score.mean()) / score.std()
    effect = np.full(n, np.log(rng.uniform(0.5, 1.1)))
    treated = rng.permutation(np.arange(n) % 2)
    time = (rng.exponential(size=n) / np.exp(score + effect * treated)) ** (1 / rng.uniform(0.8, 1.6))
    uniform, share = rng.uniform(1 / 3, 1.0, n), rng.uniform(0.25, 0.55)
    # with scale s a patient is censored when time > s x uniform
    censored = uniform * np.quantile(time / uniform, 1 - share)
    return Trial(
        frame=pd.DataFrame({f"m{j}": _shaped(X[:, j], j % 4) for j in range(p)}),
        treated=treated,
        time=np.minimum(time, censored),
        event=(time <= censored).astype(int),
        effect=effect,
    )


def _shaped(x: np.ndarray, kind: int) -> np.ndarray:
    """A normal marker as it is, binary, skewed, or with a sixth of zeros."""
    if kind == 0:
        return x
    if kind == 1:
        return (x > 0.3).astype(float)
    return np.exp(x).round(1) if kind == 2 else np.where(x < -1, 0.0, np.exp(2 * x + 3).round())
