"""Cox regression with an elastic net penalty (scikit-survival): one coordinate descent path per mixing weight."""

from __future__ import annotations

import warnings
from collections.abc import Mapping

import numpy as np

from trialstrat.models.base import Engine, EngineFailureError, Range, Training, pick
from trialstrat.models.hazards import HazardPath, Linear

#: Penalties of a path, from the one that leaves no feature down to this share of it.
PENALTIES = 50
SMALLEST = 0.005


def fit_penalised(training: Training, params: Mapping[str, float], _seed: int) -> HazardPath:
    """The whole path; points are penalties relative to the largest useful one of these training rows."""
    from sksurv.linear_model import CoxnetSurvivalAnalysis
    from sksurv.util import Surv

    engine = CoxnetSurvivalAnalysis(
        n_alphas=PENALTIES,
        alpha_min_ratio=SMALLEST,  # pyright: ignore[reportArgumentType]
        l1_ratio=float(params["l1_ratio"]),
        max_iter=20_000,
        tol=1e-7,
    )
    outcome = Surv.from_arrays(training.event, training.time)
    try:
        with warnings.catch_warnings():
            # The end of a path may stop short of convergence; scores decide whether such a point is any good.
            warnings.simplefilter("ignore")
            engine.fit(training.X, outcome)
    except (ArithmeticError, ValueError) as problem:
        raise EngineFailureError(f"the penalised path did not converge ({type(problem).__name__})") from problem
    relative = np.asarray(engine.alphas_) / float(engine.alphas_[0])
    predictor = Linear(points=tuple(float(value) for value in relative), coefficients=np.array(engine.coef_.T))
    return HazardPath.fit(predictor, training.X, training.time, training.event)


PENALISED = Engine(
    name="penalised_cox",
    label="Penalised Cox (elastic net)",
    space={"l1_ratio": Range(kind="float", low=0.05, high=1.0)},
    path=fit_penalised,
    refit=lambda training, params, point, seed: pick(fit_penalised(training, params, seed), point),
    floor=lambda _features: 20,
    point_name="penalty",
)
