"""Doubly robust scores of the treatment effect, and ridge regressions that need no tuning by search."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from trialstrat.stats.propensity import propensity

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

#: Penalties tried, in units of one standardised patient.
PENALTIES = np.geomspace(0.1, 1e4, 26)
#: Propensities are kept inside this range: a patient far outside tells nothing about the other treatment.
RANGE = (0.05, 0.95)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Ridge:
    """A linear prediction."""

    intercept: float
    coef: Floats

    def predict(self, X: Floats) -> Floats:
        """(n,) values."""
        return self.intercept + X @ self.coef


def ridge(X: Floats, y: Floats) -> Ridge:
    """Ridge regression with the penalty of the smallest generalised cross-validation score.

    References
    ----------
    Golub GH, Heath M, Wahba G (1979). Technometrics 21, 215-223.
    """
    centre, middle = X.mean(axis=0), float(y.mean())
    u, s, vt = np.linalg.svd(X - centre, full_matrices=False)
    projected = u.T @ (y - middle)
    shrink = s**2 / (s**2 + PENALTIES[:, None])
    rest = float(((y - middle) ** 2).sum() - (projected**2).sum())
    errors = (((1 - shrink) * projected) ** 2).sum(axis=1) + rest
    scores = errors / (len(y) - 1 - shrink.sum(axis=1)) ** 2
    best = int(np.argmin(scores))
    coef = vt.T @ (projected * s / (s**2 + PENALTIES[best]))
    return Ridge(intercept=middle - float(centre @ coef), coef=coef)


def treatment_probability(arm: Ints, confounders: Floats | None, at: Floats | None) -> tuple[Floats, str]:
    """Probability of treatment at the rows ``at``, learned from ``arm`` and ``confounders``; constant without them."""
    if confounders is None or at is None:
        return np.array([float(arm.mean())]), ""
    model = propensity(arm, confounders)
    if model.status != "ok":
        return np.empty(0), model.reason
    return np.clip(expit(model.coef[0] + at @ model.coef[1:]), *RANGE), ""


def doubly_robust(value: Floats, arm: Ints, probability: Floats, control: Floats, treated: Floats) -> Floats:
    """Scores (n,) whose conditional mean is the effect of treatment: augmented inverse probability weighting.

    mu_1 - mu_0 + (a - e) / (e (1 - e)) (y - mu_a); ``value`` is an uncensored outcome (a pseudo-value), ``control`` and
    ``treated`` its predictions under either treatment by models that did not see the patient.

    References
    ----------
    Robins JM, Rotnitzky A, Zhao LP (1994). JASA 89, 846-866. Kennedy EH (2023). Electron J Statist 17, 3008-3049.
    """
    own = np.where(arm == 1, treated, control)
    return treated - control + (arm - probability) / (probability * (1 - probability)) * (value - own)


def scores_from(
    learned: tuple[Floats, Floats, Ints, Floats | None], judged: tuple[Floats, Floats, Ints, Floats | None]
) -> tuple[Floats, str]:
    """Scores of the judged rows, with outcome and treatment models learned from others.

    Both are (features, values, arm, confounders or None).
    """
    X, value, arm, confounders = learned
    probability, reason = treatment_probability(arm, confounders, judged[3])
    if reason:
        return np.empty(0), reason
    models = [ridge(X[arm == k], value[arm == k]) for k in (0, 1)]
    control, treated = (model.predict(judged[0]) for model in models)
    return doubly_robust(judged[1], judged[2], np.broadcast_to(probability, treated.shape), control, treated), ""
