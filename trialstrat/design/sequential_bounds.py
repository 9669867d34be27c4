"""Critical values and futility bounds that keep the declared error rates.

Critical values of spending shapes are found look by look, those of constant shapes by one root in the constant. Beta
spending is one more root in the drift: the futility bounds that spend beta under a drift end exactly at the last
critical value for one drift only. With binding futility the critical values are recomputed inside that search.

References
----------
Lan & DeMets 1983, Biometrika 70, 659-663. Pampallona, Tsiatis & Kim 2001, Drug Inf J 35, 1113-1121.
Jennison & Turnbull 2000, Group Sequential Methods, chapters 2, 4 and 7.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import norm

from trialstrat.design.root import find_root
from trialstrat.design.sequential_integration import (
    Crossing,
    SubDensity,
    beginning,
    bound_above,
    bound_below,
    crossing,
)
from trialstrat.design.sequential_spending import (
    BetaSpending,
    FutilityBounds,
    SequentialRule,
    constant_factor,
    spent_alpha,
    spent_beta,
)
from trialstrat.errors import InvalidInputError

FloatArray = npt.NDArray[np.float64]
#: Two bounds or probabilities closer than this are the same after a root search.
_SAME = 1e-9
_UNREACHABLE = "design: no boundary meets this combination of spending, futility and power; relax the futility rule"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Boundaries:
    """Z bounds: ``critical`` (k,) for rejection and ``futility`` (k - 1,), -inf where there is none."""

    critical: FloatArray
    futility: FloatArray

    def lower(self, *, sided: int, counted: bool = True) -> FloatArray:
        """Lower Z bounds (k,): mirrored critical values of a two-sided design, else futility (if ``counted``)."""
        if sided == 2:
            return -self.critical
        return _with_last(self.futility if counted else np.full_like(self.futility, -np.inf))


def find_boundaries(rule: SequentialRule) -> Boundaries:
    """Boundaries of a checked rule.

    Raises
    ------
    InvalidInputError
        If no boundary keeps the error rates, or a futility bound reaches the critical value of its look.
    """
    none = np.full(rule.times.size - 1, -np.inf)
    futility = rule.futility
    if futility is None:
        return Boundaries(critical=critical_values(rule, none), futility=none)
    if isinstance(futility, FutilityBounds):
        bounds = np.asarray(futility.bounds, dtype=np.float64)
        critical = critical_values(rule, bounds if futility.binding else none)
        if np.any(bounds >= critical[:-1]):
            raise InvalidInputError("futility: a bound reaches the critical value of its look; lower it")
        return Boundaries(critical=critical, futility=bounds)
    if futility.binding:
        return _binding_beta(rule, futility)
    return _beta_bounds(rule, futility, critical_values(rule, none))


def critical_values(rule: SequentialRule, futility: FloatArray) -> FloatArray:
    """Critical values (k,) that count on the futility bounds (k - 1,) given."""
    if rule.is_constant:
        return _constant(rule, futility) * constant_factor(rule)
    return _spending_values(rule, futility)


def rejection_level(rule: SequentialRule, critical: FloatArray, futility: FloatArray) -> float:
    """Total level (both sides) of a boundary under the null hypothesis."""
    lower = -critical if rule.sided == 2 else _with_last(futility)
    return rule.sided * float(crossing(0.0, rule.times, lower, critical).upper.sum())


def stopping(rule: SequentialRule, bounds: Boundaries, drift: float) -> Crossing:
    """Probabilities of crossing at each look under a drift, futility stops counted."""
    return crossing(drift, rule.times, bounds.lower(sided=rule.sided), bounds.critical)


def drift_for_power(rule: SequentialRule, bounds: Boundaries) -> float:
    """Drift at information 1 under which the upper bound is crossed with the declared power."""

    def shortfall(drift: float) -> float:
        return float(stopping(rule, bounds, drift).upper.sum()) - rule.power

    return _root(shortfall, 0.0, fixed_drift(rule))


def fixed_drift(rule: SequentialRule) -> float:
    """Drift at which a fixed design (one look) has the declared power: z_(1 - alpha / sided) + z_power."""
    return float(norm.isf(rule.side_alpha) + norm.ppf(rule.power))


def _constant(rule: SequentialRule, futility: FloatArray) -> float:
    """The constant of an OF, P or WT boundary."""
    factor = constant_factor(rule)

    def excess(constant: float) -> float:
        return rule.alpha - rejection_level(rule, constant * factor, futility)

    start = norm.isf(rule.side_alpha) / factor[-1]
    if np.isfinite(futility).any():
        return _root(excess, 1e-3, start)
    return _root(excess, 0.5 * start, start)


def _spending_values(rule: SequentialRule, futility: FloatArray) -> FloatArray:
    times, steps = rule.times, np.diff(spent_alpha(rule), prepend=0.0)
    lower = _with_last(futility)
    critical = np.zeros(times.size)
    state = beginning()
    for look, time in enumerate(times):
        critical[look] = bound_above(state, steps[look], time=time, drift=0.0)
        if look + 1 < times.size:
            low = -critical[look] if rule.sided == 2 else lower[look]
            state = _advance(state, times, look, 0.0, low, critical[look])
    return critical


def _beta_bounds(rule: SequentialRule, futility: BetaSpending, critical: FloatArray) -> Boundaries:
    """Beta-spending futility bounds for critical values that do not depend on them."""
    steps = np.diff(spent_beta(rule, futility), prepend=0.0)

    def walk(drift: float) -> tuple[float, Boundaries]:
        gap, bounds = _futility_walk(rule.times, critical, steps, drift)
        return gap, Boundaries(critical=critical, futility=bounds)

    return _solve_drift(rule, walk)


def _binding_beta(rule: SequentialRule, futility: BetaSpending) -> Boundaries:
    """Beta-spending futility bounds and the critical values that count on them, found together."""
    beta = np.diff(spent_beta(rule, futility), prepend=0.0)
    if not rule.is_constant:
        alpha = np.diff(spent_alpha(rule), prepend=0.0)
        return _solve_drift(rule, lambda drift: _joint_walk(rule.times, alpha, beta, drift))
    factor = constant_factor(rule)
    largest = _constant(rule, np.full(factor.size - 1, -np.inf))

    def walk(drift: float) -> tuple[float, Boundaries]:
        def excess(constant: float) -> float:
            _, bounds = _futility_walk(rule.times, constant * factor, beta, drift)
            return rule.alpha - rejection_level(rule, constant * factor, bounds)

        constant = _root(excess, 0.5 * largest, largest)
        gap, bounds = _futility_walk(rule.times, constant * factor, beta, drift)
        return gap, Boundaries(critical=constant * factor, futility=bounds)

    return _solve_drift(rule, walk)


def _futility_walk(times: FloatArray, critical: FloatArray, beta: FloatArray, drift: float) -> tuple[float, FloatArray]:
    """Futility bounds that spend ``beta`` (k,) under ``drift``, and the probability left over at the last look.

    The first value is P(not rejected at the last look) minus what is left to spend there: positive when the drift is
    too small, negative when it is too large.
    """
    futility = np.full(times.size - 1, -np.inf)
    state = beginning()
    for look in range(times.size - 1):
        if beta[look] >= state.total:
            return -1.0, futility
        futility[look] = bound_below(state, beta[look], time=times[look], drift=drift)
        if futility[look] >= critical[look]:
            return -1.0, np.minimum(futility, critical[:-1])
        state = _advance(state, times, look, drift, futility[look], critical[look])
    last = float(times[-1])
    return state.below(critical[-1] * np.sqrt(last), time=last, drift=drift) - beta[-1], futility


def _joint_walk(times: FloatArray, alpha: FloatArray, beta: FloatArray, drift: float) -> tuple[float, Boundaries]:
    """As :func:`_futility_walk`, with critical values that spend ``alpha`` (k,) given the futility bounds so far."""
    looks = times.size
    bounds = Boundaries(critical=np.zeros(looks), futility=np.full(looks - 1, -np.inf))
    null, alternative = beginning(), beginning()
    for look, time in enumerate(times):
        if alpha[look] >= null.total:
            return -1.0, bounds
        high = bounds.critical[look] = bound_above(null, alpha[look], time=time, drift=0.0)
        if look + 1 == looks:
            break
        if beta[look] >= alternative.total:
            return -1.0, bounds
        low = bounds.futility[look] = bound_below(alternative, beta[look], time=time, drift=drift)
        if low >= high:
            return -1.0, bounds
        null = _advance(null, times, look, 0.0, low, high)
        alternative = _advance(alternative, times, look, drift, low, high)
    last = float(times[-1])
    return alternative.below(bounds.critical[-1] * np.sqrt(last), time=last, drift=drift) - beta[-1], bounds


def _solve_drift(rule: SequentialRule, walk: Callable[[float], tuple[float, Boundaries]]) -> Boundaries:
    """The boundaries for the drift at which nothing is left over at the last look."""
    drift = _root(lambda value: walk(value)[0], 0.0, max(fixed_drift(rule), 0.1))
    gap, bounds = walk(drift)
    if abs(gap) > _SAME or np.any(bounds.futility >= bounds.critical[:-1]):
        raise InvalidInputError(_UNREACHABLE)
    return bounds


def _advance(state: SubDensity, times: FloatArray, look: int, drift: float, low: float, high: float) -> SubDensity:
    """The next sub-density, with Z bounds."""
    time = float(times[look])
    scale = np.sqrt(time)
    return state.advance(time=time, drift=drift, low=low * scale, high=high * scale, following=float(times[look + 1]))


def _root(function: Callable[[float], float], low: float, high: float) -> float:
    """Root of a monotone function, the upper end moved outwards until the sign changes."""
    at_low = function(low)
    for _ in range(60):
        if at_low * function(high) <= 0:
            return find_root(function, low, high)
        high += 0.25 * max(high, 1.0)
        if high > 1e4:
            break
    raise InvalidInputError(_UNREACHABLE)


def _with_last(futility: FloatArray) -> FloatArray:
    """Futility bounds with none at the last look."""
    return np.append(futility, -np.inf)
