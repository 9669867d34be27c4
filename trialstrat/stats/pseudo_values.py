"""Jackknife pseudo-values: one number per patient whose mean is a censored-data estimate, for ordinary regression."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from trialstrat.stats.checks import check_events, check_horizon, check_times

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

#: Patients left out at once; bounds the memory at this many times the number of event times.
_CHUNK = 512


def rmst_pseudo_values(time: npt.ArrayLike, event: npt.ArrayLike, tau: float) -> FloatArray:
    """Pseudo-values (n,) of the restricted mean time up to ``tau``: n m - (n - 1) m(-i).

    m is the area under the Kaplan-Meier curve, m(-i) the same without patient i. Without censoring the value is
    min(time, tau). Censoring must not depend on what the values are regressed on: take them within each arm.

    Parameters
    ----------
    time, event : arrays of shape (n,)
        Follow-up time and 0/1 event. A curve that does not reach ``tau`` is carried on flat.
    tau : float
        Restriction time, positive.

    Raises
    ------
    InvalidInputError
        Impossible times or codes, or ``tau`` not positive.

    References
    ----------
    Andersen PK, Hansen MG, Klein JP (2004). Lifetime Data Analysis 10, 335-350.
    """
    check_horizon(tau, name="tau")
    times = check_times(time)
    dies = check_events(event, len(times)) == 1
    steps = _Steps(times, dies, dies, tau)
    widths = np.diff(np.append(steps.at, tau))
    first = steps.at[0] if len(steps.at) else tau

    def area(left_out: IntArray | None) -> FloatArray:
        return first + steps.survival(left_out) @ widths

    return _jackknife(area, len(times))


def incidence_pseudo_values(time: npt.ArrayLike, event: npt.ArrayLike, tau: float) -> FloatArray:
    """Pseudo-values (n,) of the cumulative incidence of cause 1 at ``tau``; ``event`` is 0 censored, 1, 2.. causes.

    With one cause they are those of one minus Kaplan-Meier.

    References
    ----------
    Klein JP, Andersen PK (2005). Biometrics 61, 223-229.
    """
    check_horizon(tau, name="tau")
    times = check_times(time)
    codes = np.asarray(event, dtype=np.int64)
    steps = _Steps(times, codes > 0, codes == 1, tau)

    def incidence(left_out: IntArray | None) -> FloatArray:
        survival = steps.survival(left_out)
        before = np.concatenate([np.ones((len(survival), 1)), survival[:, :-1]], axis=1)
        return (before * steps.cause_hazard(left_out)).sum(axis=1)

    return _jackknife(incidence, len(times))


class _Steps:
    """Risk sets at the event times up to ``tau``, for everybody or without one patient at a time."""

    def __init__(self, time: FloatArray, dies: Mask, cause: Mask, tau: float) -> None:
        self.at = np.unique(time[dies & (time <= tau)])
        self.dies = dies & (time <= tau)
        self.cause = cause & (time <= tau)
        self.at_risk = len(time) - np.searchsorted(np.sort(time), self.at, side="left").astype(np.float64)
        self.own = np.searchsorted(self.at, time, side="right")  # event times at which a patient is at risk
        size = len(self.at)
        self.events = np.bincount(self.own[self.dies] - 1, minlength=size).astype(np.float64)
        self.causes = np.bincount(self.own[self.cause] - 1, minlength=size).astype(np.float64)

    def survival(self, left_out: IntArray | None) -> FloatArray:
        """Survival just after every event time, one row per patient left out (one row when nobody is)."""
        return np.cumprod(1.0 - self._hazard(self.events, self.dies, left_out), axis=1, dtype=np.float64)

    def cause_hazard(self, left_out: IntArray | None) -> FloatArray:
        """Hazard of the cause of interest at every event time, rows as in :meth:`survival`."""
        return self._hazard(self.causes, self.cause, left_out)

    def _hazard(self, counts: FloatArray, dies: Mask, left_out: IntArray | None) -> FloatArray:
        events, at_risk = counts[None, :], self.at_risk[None, :]
        if left_out is not None:
            own = self.own[left_out]
            at_risk = at_risk - (np.arange(len(self.at)) < own[:, None])
            events = np.repeat(events, len(left_out), axis=0)
            rows = np.flatnonzero(dies[left_out])
            events[rows, own[rows] - 1] -= 1.0
        return np.divide(events, at_risk, out=np.zeros(at_risk.shape), where=at_risk > 0)


def _jackknife(estimate: Callable[[IntArray | None], FloatArray], n: int) -> FloatArray:
    """N times the estimate less n - 1 times the estimate without each patient."""
    whole = estimate(None)[0]
    parts = [estimate(np.arange(start, min(start + _CHUNK, n))) for start in range(0, n, _CHUNK)]
    without = np.concatenate(parts) if parts else np.empty(0)
    return n * whole - (n - 1) * without
