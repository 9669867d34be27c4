"""The effect of treatment in a set of patients: the one implementation that every stage uses.

An :class:`Effect` holds the treated-against-control contrast on a relative and on an absolute scale, because whether
an effect differs between patients depends on the scale. What it holds depends on the kind of endpoint:

============== ============================ ==================================== =================================
endpoint       ``relative``                 ``absolute``                         ``milestone``
============== ============================ ==================================== =================================
time to event  hazard ratio                 RMST difference up to ``tau``        survival difference at ``tau``
competing      cause-specific hazard ratio  cumulative incidence difference      cumulative incidence difference
binary         odds ratio                   risk difference                      risk difference
continuous     (none)                       mean difference                      mean difference
============== ============================ ==================================== =================================
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trialstrat.cohort.shown import ShownOutcome
from trialstrat.errors import InvalidInputError
from trialstrat.stats.checks import check_groups, check_level, check_two_groups
from trialstrat.stats.cox import cox
from trialstrat.subgroups.incidence import incidence_effect
from trialstrat.subgroups.scales import (
    MEASURES,
    Effect,
    EffectOptions,
    ScaleEffect,
    counts_by_arm,
    gate,
    no_effect,
    normal_effect,
)
from trialstrat.subgroups.two_curves import milestone_effect, rmst_effect
from trialstrat.subgroups.two_samples import binary_effect, continuous_effect

__all__ = ["Effect", "EffectOptions", "ScaleEffect", "competing_effect", "effect", "outcome_effect"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def effect(
    time: ArrayLike,
    event: ArrayLike,
    treated: ArrayLike,
    options: EffectOptions,
    *,
    strata: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    entry: ArrayLike | None = None,
    cluster: ArrayLike | None = None,
) -> Effect:
    """Effect of treatment on a time to event.

    Parameters
    ----------
    time, event : arrays of shape (n,)
        Follow-up time and 0 (censored) or 1 (event).
    treated : array of shape (n,)
        0 control, 1 treated.
    options
        Horizon, confidence level and the fewest events per arm.
    strata : array of shape (n,), optional
        Randomisation strata: each has its own baseline hazard in the Cox model. RMST and milestone differences are
        marginal and do not use them.
    weights : array of shape (n,), optional
        Balancing weights: all three contrasts are weighted and have sandwich variances that take the weights as known.
    entry : array of shape (n,), optional
        Delayed entry. RMST and milestone then start from the first entry times at risk.
    cluster : array of shape (n,), optional
        Labels of what rows belong to, in one arm or in both: all three contrasts have sandwich variances summed within
        clusters.

    Returns
    -------
    Effect
        Hazard ratio (Cox, Efron ties), RMST and survival difference at ``tau``, each treated against control.

    Raises
    ------
    InvalidInputError
        Impossible times or events, labels other than 0 and 1, arrays of different length.

    References
    ----------
    Cox DR (1972). JRSS B 34, 187-220. Royston P, Parmar MKB (2013). BMC Med Res Methodol 13, 152 (RMST).
    """
    check_level(options.level)
    time, event = np.asarray(time, dtype=np.float64), np.asarray(event, dtype=np.int64)
    arm = check_two_groups(treated, len(time), name="treated")
    counts = counts_by_arm(arm, event)
    if reason := gate(counts, options.minimum_events):
        return no_effect("time_to_event", counts, options.level, reason)
    weight = None if weights is None else np.asarray(weights, dtype=np.float64)
    late = None if entry is None else np.asarray(entry, dtype=np.float64)
    own = None if cluster is None else check_groups(cluster, len(time), name="cluster").codes
    how: dict[str, Any] = {"weights": weight, "entry": late, "cluster": own}
    return Effect(
        relative=_hazard_ratio(time, event, arm, options, strata=strata, measure=MEASURES["time_to_event"][0], **how),
        absolute=rmst_effect(time, event, arm, options, **how),
        milestone=milestone_effect(time, event, arm, options, **how),
        **counts,
    )


def competing_effect(
    time: ArrayLike,
    event: ArrayLike,
    treated: ArrayLike,
    options: EffectOptions,
    *,
    strata: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    entry: ArrayLike | None = None,
) -> Effect:
    """Effect on the first cause of competing events; ``event`` is 0 censored, 1 the cause of interest, 2.. others.

    The cause-specific hazard ratio censors other causes and says nothing about how many patients will have the
    event; the difference of cumulative incidences at ``tau`` does.

    References
    ----------
    Austin PC, Lee DS, Fine JP (2016). Circulation 133, 601-609.
    """
    check_level(options.level)
    time, event = np.asarray(time, dtype=np.float64), np.asarray(event, dtype=np.int64)
    arm = check_two_groups(treated, len(time), name="treated")
    cause = (event == 1).astype(np.int64)
    counts = counts_by_arm(arm, cause)
    if reason := gate(counts, options.minimum_events):
        return no_effect("competing", counts, options.level, reason)
    weight = None if weights is None else np.asarray(weights, dtype=np.float64)
    late = None if entry is None else np.asarray(entry, dtype=np.float64)
    difference = incidence_effect(time, event, arm, options, weights=weight, entry=late)
    how: dict[str, Any] = {"strata": strata, "weights": weight, "entry": late}
    return Effect(
        relative=_hazard_ratio(time, cause, arm, options, measure=MEASURES["competing"][0], **how),
        absolute=difference,
        milestone=difference,
        **counts,
    )


def outcome_effect(
    outcome: ShownOutcome,
    treated: Ints,
    rows: NDArray[np.bool_],
    options: EffectOptions,
    *,
    strata: NDArray[Any] | None = None,
    weights: Floats | None = None,
) -> Effect:
    """Effect among the patients in ``rows`` by the kind of endpoint; ``treated`` (n,) is 0 or 1 for these patients."""
    arm = treated[rows]
    stratum = None if strata is None else strata[rows]
    weight = None if weights is None else weights[rows]
    if outcome.kind == "continuous":
        return continuous_effect(_need(outcome.value)[rows], arm, options, strata=stratum, weights=weight)
    event = _need(outcome.event)[rows]
    if outcome.kind == "binary":
        return binary_effect(event, arm, options, strata=stratum, weights=weight)
    entry = None if outcome.entry is None else outcome.entry[rows]
    how: dict[str, Any] = {"strata": stratum, "weights": weight, "entry": entry}
    if outcome.kind == "competing":
        return competing_effect(_need(outcome.time)[rows], event, arm, options, **how)
    cluster = None if outcome.cluster is None else outcome.cluster[rows]
    return effect(_need(outcome.time)[rows], event, arm, options, cluster=cluster, **how)


def _need(values: NDArray[Any] | None) -> NDArray[Any]:
    if values is None:
        raise InvalidInputError("the outcome does not hold the values that its kind of endpoint needs")
    return values


def _hazard_ratio(
    time: Floats,
    event: Ints,
    arm: Ints,
    options: EffectOptions,
    *,
    strata: ArrayLike | None,
    weights: Floats | None,
    entry: Floats | None,
    measure: str,
    cluster: Ints | None = None,
) -> ScaleEffect:
    """Cox model with treatment alone; sandwich variance with balancing weights and with clusters."""
    robust = cluster is not None
    if cluster is None and weights is not None:
        cluster = np.arange(len(time))
    fit = cox(time, event, arm, entry=entry, strata=strata, weights=weights, cluster=cluster, level=options.level)
    method = "Cox model, Efron ties" + ("" if strata is None else ", stratified")
    if weights is not None:
        method = f"weighted {method}, robust variance"
    if robust:
        method += f"{'' if weights is not None else ', robust variance'} by cluster"
    return normal_effect(
        float(fit.coef[0]),
        float(np.sqrt(fit.covariance[0, 0])),
        ratio=True,
        level=options.level,
        measure=measure,
        unit="hazard ratio",
        method=method,
        reason=fit.reason,
    )
