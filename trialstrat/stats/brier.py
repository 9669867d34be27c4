"""How far predicted survival probabilities are off: Brier score, its integral, index of prediction accuracy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trialstrat.errors import InvalidInputError
from trialstrat.results import NAN, Status
from trialstrat.stats.censoring import CensoringSurvival, CensoringWeights, check_increasing_times, slack
from trialstrat.stats.checks import check_horizon, check_probabilities, check_survival
from trialstrat.stats.survival import curve_of

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BrierScores:
    """Brier scores at ``times`` (m,), those of the Kaplan-Meier estimate, and their integral over time.

    ``ipa`` is 1 - brier / brier_null (index of prediction accuracy). ``std_error`` (m,) belongs to ``brier``. Values
    that cannot be estimated are nan and ``reason`` says why; ``status`` is ``not_estimable`` when none can be.
    ``integrated`` values are nan for a single time.
    """

    times: Floats
    brier: Floats
    std_error: Floats
    brier_null: Floats
    ipa: Floats
    integrated: float
    integrated_null: float
    integrated_ipa: float
    n: int
    events: int
    status: Status = "ok"
    reason: str = ""


def brier(
    time: ArrayLike,
    event: ArrayLike,
    survival: ArrayLike,
    times: ArrayLike,
    *,
    tau: float | None = None,
    censoring: CensoringSurvival | None = None,
) -> BrierScores:
    """Brier score of predicted survival probabilities, weighted by the inverse probability of censoring.

    Parameters
    ----------
    time, event : array of shape (n,)
        Follow-up time; 1 event, 0 censored.
    survival : array of shape (n, m)
        Predicted probability of no event up to each of ``times``.
    times : array of shape (m,)
        Increasing, positive.
    tau : float, optional
        The integral runs over the ``times`` up to tau only.
    censoring : CensoringSurvival, optional
        The censoring distribution; by default estimated from these rows, and then its estimation is part of the
        standard error.

    Returns
    -------
    BrierScores
        Standard errors by the infinitesimal jackknife. The integral is the trapezoid rule over ``times``, divided by
        last minus first.

    Raises
    ------
    InvalidInputError
        Probabilities outside [0, 1], times that do not increase, and all that :func:`harrell_c` refuses.

    References
    ----------
    Graf et al. (1999), Statistics in Medicine 18:2529. Gerds & Schumacher (2006), Biometrical Journal 48:1029.
    Kattan & Gerds (2018), Diagnostic and Prognostic Research 2:7 (IPA).
    Blanche et al. (2015), Biometrics 71:102 (influence function).
    """
    rows = check_survival(time, event)
    horizons = check_increasing_times(times)
    predicted = check_probabilities(survival, rows.n, name="survival")
    if predicted.shape[1] != horizons.size:
        columns = f"survival: has {predicted.shape[1]} columns for {horizons.size} times"
        raise InvalidInputError(f"{columns}; one column per time is needed")
    limit = np.inf if tau is None else check_horizon(tau, name="tau")
    weighting = CensoringWeights.of(rows, censoring)
    null = curve_of(rows).at(horizons + weighting.slack).survival
    values = np.full((3, horizons.size), np.nan)
    reasons: list[str] = []
    for k, horizon in enumerate(horizons):
        reason = weighting.trouble(horizon)
        if reason:
            reasons.append(reason)
            continue
        values[:2, k] = _brier_at(weighting, horizon, np.ascontiguousarray(predicted[:, k]))
        values[2, k] = _losses(weighting, horizon, np.full(rows.n, null[k])).mean()
    within = horizons <= limit + slack(horizons)
    integrated, integrated_null = (_integral(horizons[within], row[within]) for row in (values[0], values[2]))
    return BrierScores(
        times=horizons,
        brier=values[0],
        std_error=values[1],
        brier_null=values[2],
        ipa=_one_minus_ratio(values[0], values[2]),
        integrated=integrated,
        integrated_null=integrated_null,
        integrated_ipa=float(_one_minus_ratio(np.array(integrated), np.array(integrated_null))),
        n=rows.n,
        events=int(rows.event.sum()),
        status="not_estimable" if len(reasons) == horizons.size else "ok",
        reason=reasons[0] if reasons else "",
    )


def _losses(weighting: CensoringWeights, horizon: float, survival: Floats) -> Floats:
    """Weighted squared error of every row at one time."""
    case, alive = weighting.cases(horizon), ~weighting.ended(horizon)
    loss = np.zeros(survival.size)
    loss[case] = survival[case] ** 2 * weighting.event_weight[case]
    if alive.any():
        loss[alive] = (1.0 - survival[alive]) ** 2 / float(weighting.censoring.at(horizon))
    return loss


def _brier_at(weighting: CensoringWeights, horizon: float, survival: Floats) -> tuple[float, float]:
    """Brier score at one time and its standard error."""
    loss = _losses(weighting, horizon, survival)
    score = float(loss.mean())
    here = int(weighting.censoring.positions_at(horizon))
    positions = np.where(weighting.ended(horizon), weighting.positions, here)
    influence = loss - score + weighting.influence(loss, positions)
    return score, float(np.sqrt(np.sum(influence**2))) / survival.size


def _integral(times: Floats, values: Floats) -> float:
    """Mean over time by the trapezoid rule; nan with fewer than two times."""
    if times.size < 2:
        return NAN
    return float(np.trapezoid(values, times) / (times[-1] - times[0]))


def _one_minus_ratio(score: Floats, null: Floats) -> Floats:
    return 1.0 - np.divide(score, null, out=np.full(np.shape(score), np.nan), where=np.asarray(null) > 0)
