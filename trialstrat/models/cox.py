"""The yardstick: Cox regression on all features, without penalty or search."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from trialstrat.models.base import Engine, EngineFailureError, Floats, SinglePath, Training
from trialstrat.models.hazards import HazardPath, Linear
from trialstrat.stats.cox import cox
from trialstrat.stats.firth import cox_firth

#: Events per coefficient below which an unpenalised fit is refused (Vittinghoff & McCulloch 2007, Am J Epidemiol 165,
#: 710: trouble is common below 5, rare above 10).
EVENTS_PER_COEFFICIENT = 5
#: Columns up to which Firth's profile limits are computed: each is a search over models of all the others.
MOST_PROFILED = 15


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PlainFit:
    """Log hazard ratios with their limits (p,), nan for collinear columns.

    ``firth``: by Firth's likelihood; ``profiled``: its limits are those of the profile, normal ones otherwise.
    """

    coef: Floats
    lower: Floats
    upper: Floats
    firth: bool
    profiled: bool


def fit_plain(training: Training, level: float = 0.95, *, limits: bool = True) -> PlainFit:
    """Maximum partial likelihood, or Firth's likelihood where a coefficient would be infinite.

    A level without any event in a training part makes a coefficient infinite; Firth's penalty is the remedy of Heinze
    & Schemper (2001), Biometrics 57:114. The profile limits are computed for up to ``MOST_PROFILED`` columns, and only
    where ``limits`` are asked for.

    Raises
    ------
    EngineFailureError
        Neither can be estimated.
    """
    event = training.event.astype(np.int64)
    fit = cox(training.time, event, training.X, level=level)
    firth = bool(fit.monotone)
    profiled = firth and limits and training.X.shape[1] <= MOST_PROFILED
    if firth:
        kind = "profile" if profiled else "wald"
        fit = cox_firth(training.time, event, training.X, level=level, limits=kind)
    if fit.status != "ok":
        raise EngineFailureError(fit.reason)
    with np.errstate(divide="ignore", invalid="ignore"):
        return PlainFit(coef=fit.coef, lower=np.log(fit.lower), upper=np.log(fit.upper), firth=firth, profiled=profiled)


def fit_cox(training: Training, _params: Mapping[str, float], _seed: int) -> SinglePath:
    """The yardstick; coefficients of collinear columns are 0."""
    predictor = Linear(points=(0.0,), coefficients=np.nan_to_num(fit_plain(training, limits=False).coef)[None])
    return SinglePath(model=HazardPath.fit(predictor, training.X, training.time, training.event).pick(0))


COX = Engine(
    name="clinical_cox",
    label="Cox regression (yardstick)",
    space={},
    path=fit_cox,
    refit=lambda training, params, _point, seed: fit_cox(training, params, seed).model,
    floor=lambda features: EVENTS_PER_COEFFICIENT * features,
)
