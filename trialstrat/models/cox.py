"""The yardstick: Cox regression on all features, without penalty or search."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from trialstrat.models.base import Engine, EngineFailureError, SinglePath, Training
from trialstrat.models.hazards import HazardPath, Linear
from trialstrat.stats.cox import CoxFit, cox

#: Events per coefficient below which an unpenalised fit is refused (Vittinghoff & McCulloch 2007, Am J Epidemiol 165,
#: 710: trouble is common below 5, rare above 10).
EVENTS_PER_COEFFICIENT = 5


def fit_plain(training: Training, names: list[str] | None = None, level: float = 0.95) -> CoxFit:
    """The Cox fit itself, with standard errors, for the table of coefficients."""
    return cox(training.time, training.event.astype(np.int64), training.X, names=names, level=level)


def fit_cox(training: Training, _params: Mapping[str, float], _seed: int) -> SinglePath:
    """Maximum partial likelihood. Coefficients that cannot be estimated (collinear columns) are 0."""
    fit = fit_plain(training)
    if fit.status != "ok":
        raise EngineFailureError(fit.reason)
    if fit.monotone:
        raise EngineFailureError(f"{len(fit.monotone)} coefficients are infinite (a feature separates the events)")
    coefficients = np.where(np.isfinite(fit.coef), fit.coef, 0.0)
    predictor = Linear(points=(0.0,), coefficients=coefficients[None])
    return SinglePath(model=HazardPath.fit(predictor, training.X, training.time, training.event).pick(0))


COX = Engine(
    name="clinical_cox",
    label="Cox regression (yardstick)",
    space={},
    path=fit_cox,
    refit=lambda training, params, _point, seed: fit_cox(training, params, seed).model,
    floor=lambda features: EVENTS_PER_COEFFICIENT * features,
)
