"""The censoring distribution, for scores weighted by the inverse probability of being still observed (IPCW)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trialstrat.errors import InvalidInputError
from trialstrat.stats.checks import SurvivalData, check_survival, check_values
from trialstrat.stats.times import TOLERANCE

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CensoringSurvival:
    """Kaplan-Meier curve G of the time to censoring; at a tied time events leave the risk set before censorings.

    Attributes
    ----------
    time : array of shape (k,)
        Distinct observed times, increasing.
    survival : array of shape (k,)
        G at ``time`` (right-continuous).
    at_risk, censored : array of shape (k,)
        Rows at risk of being censored (events at the time already gone), and rows censored, at ``time``.
    """

    time: Floats
    survival: Floats
    at_risk: Floats
    censored: Floats

    def left(self, t: ArrayLike) -> Floats:
        """G(t-), same shape as ``t``: 1 up to the first censoring, nan beyond the last observed time."""
        return self._value(np.asarray(t, dtype=np.float64), self.positions_left(t))

    def at(self, t: ArrayLike) -> Floats:
        """G(t), same shape as ``t``; nan beyond the last observed time."""
        return self._value(np.asarray(t, dtype=np.float64), self.positions_at(t))

    def positions_left(self, t: ArrayLike) -> NDArray[np.int64]:
        """How many of ``time`` lie before t, values equal up to rounding not counted."""
        return np.searchsorted(self.time, np.asarray(t, dtype=np.float64) - slack(self.time), side="left")

    def positions_at(self, t: ArrayLike) -> NDArray[np.int64]:
        """How many of ``time`` lie at or before t, values equal up to rounding counted."""
        return np.searchsorted(self.time, np.asarray(t, dtype=np.float64) + slack(self.time), side="right")

    def influence(
        self, loads: Floats, positions: NDArray[np.int64], index: NDArray[np.int64], censored: NDArray[np.bool_]
    ) -> Floats:
        """Derivative of ``sum_j a_j / G(x_j)`` by the weight of every row of the data G was estimated from.

        Parameters
        ----------
        loads : array of shape (m,)
            The terms ``a_j / G(x_j)``.
        positions : array of shape (m,)
            Where the terms look G up: :meth:`positions_left` or :meth:`positions_at` of x_j.
        index, censored : arrays of shape (n,)
            The rows (without weights and entry) from which this curve was estimated: position of their time in
            ``time``, and whether they were censored.

        Returns
        -------
        array of shape (n,)
            Infinitesimal jackknife contribution of the estimation of G.
        """
        placed = np.bincount(positions, weights=loads, minlength=self.time.size + 1)
        # a factor of G at index k is in every term that looks up a later position
        after = np.cumsum(placed[::-1])[::-1][1:]
        left = self.at_risk - self.censored
        own = np.divide(after, left, out=np.zeros_like(after), where=left > 0)
        shared = np.cumsum(own * self.censored / np.maximum(self.at_risk, 1.0))
        before = np.concatenate(([0.0], shared))[index]
        return np.where(censored, own[index] - shared[index], -before)

    def _value(self, t: Floats, positions: NDArray[np.int64]) -> Floats:
        values = np.concatenate(([1.0], self.survival))[positions]
        return np.where(t > self.time[-1] + slack(self.time), np.nan, values)


def censoring_survival(time: ArrayLike, event: ArrayLike, weights: ArrayLike | None = None) -> CensoringSurvival:
    """Estimate the censoring distribution from these rows (of the training or of the test data).

    Parameters
    ----------
    time, event : array of shape (n,)
        Follow-up time and 1 for an event (of any cause), 0 for censoring.
    weights : array of shape (n,), optional
        Case weights.

    Raises
    ------
    InvalidInputError
        Times, events or weights that are impossible.

    References
    ----------
    Graf, Schmoor, Sauerbrei & Schumacher (1999), Statistics in Medicine 18:2529.
    Gerds & Schumacher (2006), Biometrical Journal 48:1029.
    """
    return censoring_of(check_survival(time, event, weights=weights))


def censoring_of(rows: SurvivalData) -> CensoringSurvival:
    """:func:`censoring_survival` of rows already checked."""
    distinct, at_risk, dead, gone = _counts(rows)
    at_risk = at_risk - dead
    # weighted counts carry rounding; nobody left means G = 0 exactly
    share = np.divide(gone, at_risk, out=np.zeros_like(gone), where=gone > 0)
    survival = np.asarray(np.cumprod(1.0 - np.minimum(share, 1.0)), dtype=np.float64)
    return CensoringSurvival(time=distinct, survival=survival, at_risk=at_risk, censored=gone)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CensoringWeights:
    """Rows with their inverse probability of censoring weights.

    ``event_weight`` (n,) is 1 / G(time-), nan where G is 0 or unknown, ``positions`` (n,) where it was looked up.
    ``own``: G was estimated from these rows.
    """

    rows: SurvivalData
    censoring: CensoringSurvival
    own: bool
    last: float
    event_weight: Floats
    positions: NDArray[np.int64]
    slack: float

    @classmethod
    def of(cls, rows: SurvivalData, censoring: CensoringSurvival | None) -> CensoringWeights:
        """Weights of ``rows``, with G estimated from them unless ``censoring`` is given."""
        curve = censoring_of(rows) if censoring is None else censoring
        still_seen = curve.left(rows.time)
        weight = np.divide(1.0, still_seen, out=np.full(rows.n, np.nan), where=still_seen > 0)
        return cls(
            rows=rows,
            censoring=curve,
            own=censoring is None,
            last=float(rows.time.max()),
            event_weight=weight,
            positions=curve.positions_left(rows.time),
            slack=slack(np.unique(rows.time)),
        )

    def ended(self, horizon: float) -> NDArray[np.bool_]:
        """Rows whose follow-up ends at or before the horizon."""
        return self.rows.time <= horizon + self.slack

    def cases(self, horizon: float) -> NDArray[np.bool_]:
        """Rows with an event at or before the horizon."""
        return self.ended(horizon) & (self.rows.event == 1)

    def influence(self, loads: Floats, positions: NDArray[np.int64]) -> Floats:
        """What the estimation of G adds to the influence of every row (0 when G comes from elsewhere)."""
        if not self.own:
            return np.zeros(self.rows.n)
        # close times were merged: the position just before a row's time is that of the time itself
        return self.censoring.influence(loads, positions, self.positions, self.rows.event == 0)

    def trouble(self, horizon: float, *, controls_weighted: bool = True) -> str:
        """Why the weights at this horizon are unknown, empty when they are known."""
        if horizon > self.last + self.slack:
            return "a time lies beyond the last follow-up; choose earlier times"
        unknown = int(np.count_nonzero(np.isnan(self.event_weight[self.cases(horizon)])))
        if unknown:
            return f"the censoring distribution is 0 or unknown at {unknown} events; choose earlier times"
        if controls_weighted and not self.ended(horizon).all() and not self.censoring.at(horizon) > 0:
            return "the censoring distribution is 0 or unknown at a time; choose earlier times"
        return ""


def check_increasing_times(times: ArrayLike) -> Floats:
    """A vector of at least one positive time, increasing; a single number counts as one time."""
    values = check_values(np.atleast_1d(np.asarray(times, dtype=np.float64)), name="times")
    if values.size == 0 or not (values > 0).all() or not (np.diff(values) > 0).all():
        raise InvalidInputError("times: at least one positive time is needed, in increasing order")
    return values


def slack(time: Floats) -> float:
    """Largest difference up to which two times count as one: half of that used to merge times, never to split them."""
    return 0.5 * TOLERANCE * max(1.0, float(np.mean(np.abs(time))))


def _counts(rows: SurvivalData) -> tuple[Floats, Floats, Floats, Floats]:
    """Distinct times with (weighted) numbers at risk, with an event, and censored."""
    distinct, index = np.unique(rows.time, return_inverse=True)
    weight = np.ones(rows.n) if rows.weights is None else rows.weights
    everybody: Floats = np.bincount(index, weights=weight).astype(np.float64)
    dead: Floats = np.bincount(index, weights=weight * (rows.event > 0)).astype(np.float64)
    at_risk: Floats = np.cumsum(everybody[::-1])[::-1].astype(np.float64)
    return distinct, at_risk, dead, everybody - dead
