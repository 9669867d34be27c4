"""Decision curves: what acting on a predicted probability is worth, against treating everybody and nobody."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trialstrat.errors import InvalidInputError
from trialstrat.results import Status
from trialstrat.stats.censoring import slack
from trialstrat.stats.checks import check_horizon, check_probabilities, check_survival, check_values
from trialstrat.stats.kernels.km import milestone_sorted

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class NetBenefit:
    """Net benefit per patient at ``thresholds`` (k,); treating nobody has net benefit 0 everywhere.

    ``positive`` (k,) counts the patients with a prediction at or above the threshold. nan where not estimable.
    """

    at: float
    thresholds: Floats
    net_benefit: Floats
    treat_all: Floats
    positive: NDArray[np.int64]
    n: int
    events: int
    status: Status = "ok"
    reason: str = ""


def net_benefit(
    time: ArrayLike, event: ArrayLike, predicted: ArrayLike, at: float, thresholds: ArrayLike
) -> NetBenefit:
    """Net benefit of acting when the predicted probability of an event by ``at`` reaches a threshold.

    At threshold p it is r x - (1 - r) x p / (1 - p): x the share of patients at or above p, r their Kaplan-Meier
    probability of an event by ``at`` (carried forward where their follow-up ends earlier; 0 when there is nobody).

    Parameters
    ----------
    time, event : array of shape (n,)
        Follow-up time; 1 event, 0 censored.
    predicted : array of shape (n,)
        Predicted probability of an event by ``at``.
    at : float
        Horizon.
    thresholds : array of shape (k,)
        Probabilities in [0, 1).

    Raises
    ------
    InvalidInputError
        Probabilities or thresholds out of range, impossible times, events or horizon.

    References
    ----------
    Vickers & Elkin (2006), Medical Decision Making 26:565.
    Vickers, Cronin, Elkin & Gonen (2008), BMC Medical Informatics and Decision Making 8:53 (censored outcomes).
    """
    rows = check_survival(time, event)
    horizon = check_horizon(at, name="at")
    risk = check_probabilities(predicted, rows.n)[:, 0]
    cuts = check_values(np.atleast_1d(np.asarray(thresholds, dtype=np.float64)), name="thresholds")
    if cuts.size == 0 or not ((cuts >= 0) & (cuts < 1)).all():
        raise InvalidInputError("thresholds: at least one probability in [0, 1) is needed")
    odds = cuts / (1.0 - cuts)
    order = np.argsort(rows.time, kind="stable")
    sorted_time, sorted_event = rows.time[order], rows.event[order]
    chosen = (risk >= cuts[:, None])[:, order]
    positive = chosen.sum(axis=1)
    tolerance = slack(np.unique(rows.time))
    until, reason = horizon + tolerance, ""
    if sorted_time[-1] < horizon - tolerance:
        reason = "the horizon lies beyond the last follow-up; choose an earlier one"
        rates = np.full(cuts.size + 1, np.nan)
    else:
        sets = np.vstack((chosen, np.ones((1, rows.n), dtype=bool)))
        rates = np.array([_event_rate(sorted_time, sorted_event, members, until) for members in sets])
    rate, share = rates[:-1], positive / rows.n
    return NetBenefit(
        at=horizon,
        thresholds=cuts,
        net_benefit=rate * share - (1.0 - rate) * share * odds,
        treat_all=rates[-1] - (1.0 - rates[-1]) * odds,
        positive=positive,
        n=rows.n,
        events=int(rows.event.sum()),
        status="not_estimable" if reason else "ok",
        reason=reason,
    )


def _event_rate(time: Floats, event: NDArray[np.int64], members: NDArray[np.bool_], until: float) -> float:
    """Kaplan-Meier probability of an event by ``until`` among the members; 0 when there is none."""
    return 1.0 - float(milestone_sorted(time, event, members, until)[0])
