"""Treatment effect in observational arms: a Cox model weighted by the propensity score.

References
----------
Cole & Hernan 2004, Comput Methods Programs Biomed 75, 45-49 (weighted Cox model). Lin & Wei 1989, JASA 84, 1074-1078
(sandwich variance). Austin & Stuart 2015, Stat Med 34, 3661-3679 (balance before and after).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from trialstrat.results import Status
from trialstrat.stats.balance import StandardisedDifference, smd
from trialstrat.stats.checks import FloatArray, IntArray, check_matrix, check_survival, check_two_groups
from trialstrat.stats.cox import CoxFit, cox
from trialstrat.stats.propensity import (
    PropensityModel,
    PropensityWeights,
    WeightKind,
    propensity,
    propensity_weights,
)

NAN = float("nan")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class WeightedEffect:
    """Hazard ratio treated / control in the target population of the weights.

    ``coef`` is its logarithm with ``robust_std_error`` (weights taken as known), limits at ``level``, ``p`` of the null
    hypothesis that the hazards are equal. ``smd_before`` and ``smd_after`` hold one standardised difference (treated
    minus control) per covariate. ``weights`` and ``fit`` are None when the propensity model has no estimate.
    """

    model: PropensityModel
    weights: PropensityWeights | None
    fit: CoxFit | None
    coef: float
    robust_std_error: float
    hazard_ratio: float
    lower: float
    upper: float
    p: float
    level: float
    smd_before: Mapping[str, StandardisedDifference]
    smd_after: Mapping[str, StandardisedDifference]
    status: Status = "ok"
    reason: str = ""


def ipw_cox(
    time: npt.ArrayLike,
    event: npt.ArrayLike,
    treatment: npt.ArrayLike,
    covariates: npt.ArrayLike,
    *,
    estimand: WeightKind,
    stabilised: bool = False,
    truncate: tuple[float, float] | None = None,
    names: Sequence[str] | None = None,
) -> WeightedEffect:
    """Cox model of treatment alone (Efron ties), weighted by a logistic propensity score.

    Parameters
    ----------
    time, event : arrays of shape (n,)
        End of follow-up; 1 event, 0 censored.
    treatment : array of shape (n,)
        0 control, 1 treated.
    covariates : array of shape (n, p)
        Confounders, numeric and complete.
    estimand, stabilised, truncate
        As in :func:`trialstrat.stats.propensity.propensity_weights`.
    names : sequence of p str, optional

    Returns
    -------
    WeightedEffect
        95% limits. Not estimable when the propensity model or the Cox model is not, with the reason.

    Raises
    ------
    InvalidInputError
        Impossible times, events or treatment; missing covariates; unequal lengths.

    References
    ----------
    Cole & Hernan 2004; Lin & Wei 1989; Austin & Stuart 2015.
    """
    data = check_survival(time, event)
    arm = check_two_groups(treatment, data.n, name="treatment")
    matrix = check_matrix(covariates, data.n)
    model = propensity(arm, matrix, names=names)
    if model.status != "ok":
        return _without_estimate(model, f"propensity model: {model.reason}")
    weights = propensity_weights(model.score, arm, estimand=estimand, stabilised=stabilised, truncate=truncate)
    fit = cox(
        data.time, data.event, arm[:, None], weights=weights.weights, cluster=np.arange(data.n), names=["treatment"]
    )
    before = _differences(matrix, arm, model.names, None)
    after = _differences(matrix, arm, model.names, weights.weights)
    ok = bool(fit.status == "ok" and fit.robust_std_error is not None and np.isfinite(fit.coef[0]))
    return WeightedEffect(
        model=model,
        weights=weights,
        fit=fit,
        coef=float(fit.coef[0]),
        robust_std_error=NAN if fit.robust_std_error is None else float(fit.robust_std_error[0]),
        hazard_ratio=float(fit.hazard_ratio[0]),
        lower=float(fit.lower[0]),
        upper=float(fit.upper[0]),
        p=float(fit.p[0]),
        level=fit.level,
        smd_before=before,
        smd_after=after,
        status="ok" if ok else "not_estimable",
        reason="" if ok else (fit.reason or "the weighted Cox model has no estimate"),
    )


def _differences(
    matrix: FloatArray, arm: IntArray, names: tuple[str, ...], weights: FloatArray | None
) -> dict[str, StandardisedDifference]:
    """Standardised difference of every column, treated minus control."""
    out = {}
    for column, name in enumerate(names):
        values = matrix[:, column]
        binary = bool(np.all((values == 0) | (values == 1)))
        out[name] = smd(values, arm, kind="binary" if binary else "continuous", weights=weights)
    return out


def _without_estimate(model: PropensityModel, reason: str) -> WeightedEffect:
    return WeightedEffect(
        model=model,
        weights=None,
        fit=None,
        coef=NAN,
        robust_std_error=NAN,
        hazard_ratio=NAN,
        lower=NAN,
        upper=NAN,
        p=NAN,
        level=0.95,
        smd_before={},
        smd_after={},
        status="not_estimable",
        reason=reason,
    )
