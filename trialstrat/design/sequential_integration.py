"""Recursive numerical integration of a Brownian motion with drift that is watched at a few looks.

The score process S has independent increments; at look k it is normal with mean drift * t_k and variance t_k, and the
usual statistic is Z_k = S_k / sqrt(t_k). What is carried from look to look is the density of S on the event that no
boundary was crossed, represented on Gauss-Legendre panels no wider than two standard deviations of the narrower
neighbouring increment: sums over it are exact to about 1e-14, which root searches for boundaries need.

References
----------
Armitage, McPherson & Rowe 1969, JRSS A 132, 235-244 (the recursion).
Jennison & Turnbull 2000, Group Sequential Methods with Applications to Clinical Trials, chapter 19.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr

from trialstrat.design.root import find_root
from trialstrat.errors import InvalidInputError

FloatArray = npt.NDArray[np.float64]

#: Mass beyond this many standard deviations (2e-17 on both sides) is not carried.
_SPREAD = 8.5
_PANEL = 2.0
_POINTS, _WEIGHTS = np.polynomial.legendre.leggauss(12)
#: A probability to be spent that is smaller than this cannot be told from none in double precision.
SMALLEST_PROBABILITY = 1.2e-16
_FAR = 38.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SubDensity:
    """Distribution of the score at one look, restricted to trials that go on: ``masses`` (m,) at ``nodes`` (m,).

    ``time`` is the information at that look, ``origin`` the (score, information) from which the process started. The
    masses add up to the probability of going on.
    """

    nodes: FloatArray
    masses: FloatArray
    time: float
    origin: tuple[float, float]

    @property
    def total(self) -> float:
        """Probability of still going on."""
        return float(self.masses.sum())

    def above(self, bound: float, *, time: float, drift: float) -> float:
        """Probability of going on until now and of a score of at least ``bound`` at information ``time``."""
        step = time - self.time
        return float(self.masses @ ndtr((self.nodes + drift * step - bound) / np.sqrt(step)))

    def below(self, bound: float, *, time: float, drift: float) -> float:
        """Probability of going on until now and of a score of at most ``bound`` at information ``time``."""
        step = time - self.time
        return float(self.masses @ ndtr((bound - self.nodes - drift * step) / np.sqrt(step)))

    def advance(self, *, time: float, drift: float, low: float, high: float, following: float | None) -> SubDensity:
        """The sub-density at information ``time`` on scores between ``low`` and ``high``.

        ``following`` is the information at the look after that one (None at the last), which decides how fine the
        grid must be.
        """
        step = time - self.time
        scale = np.sqrt(step if following is None else min(step, following - time))
        elapsed = time - self.origin[1]
        centre, reach = self.origin[0] + drift * elapsed, _SPREAD * np.sqrt(elapsed)
        nodes, weights = _panels(max(low, centre - reach), min(high, centre + reach), float(scale))
        if nodes.size == 0:
            return replace(self, nodes=nodes, masses=nodes, time=time)
        distance = (nodes[:, None] - self.nodes[None, :] - drift * step) / np.sqrt(step)
        density = np.exp(-0.5 * distance**2) @ self.masses / np.sqrt(2.0 * np.pi * step)
        return replace(self, nodes=nodes, masses=density * weights, time=time)


def beginning(score: float = 0.0, time: float = 0.0) -> SubDensity:
    """Everybody at one score: at 0 before any information, or at what a look has shown."""
    return SubDensity(nodes=np.array([score]), masses=np.ones(1), time=time, origin=(score, time))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Crossing:
    """Probabilities (k,) of leaving at each look through the upper and through the lower bound."""

    upper: FloatArray
    lower: FloatArray

    @property
    def stop(self) -> FloatArray:
        """Probability of leaving at each look but of going to the last look if no bound was crossed before, (k,)."""
        leaving = self.upper + self.lower
        leaving[-1] = 1.0 - leaving[:-1].sum()
        return leaving


def crossing(
    drift: float, times: FloatArray, lower: FloatArray, upper: FloatArray, *, start: SubDensity | None = None
) -> Crossing:
    """Probabilities of first leaving the region lower < Z < upper at each look.

    Parameters
    ----------
    drift : float
        Mean of S at information 1: Z_k has mean drift * sqrt(t_k).
    times : array of shape (k,)
        Information at the looks, strictly increasing.
    lower, upper : arrays of shape (k,)
        Bounds for Z; infinite where there is none.
    start : SubDensity, optional
        Where the process starts, before the first of ``times``; score 0 at information 0 without.
    """
    state = beginning() if start is None else start
    up, down = np.zeros(times.size), np.zeros(times.size)
    for look, time in enumerate(times):
        low, high = lower[look] * np.sqrt(time), upper[look] * np.sqrt(time)
        up[look] = state.above(high, time=time, drift=drift)
        down[look] = state.below(low, time=time, drift=drift)
        if look + 1 < times.size:
            state = state.advance(time=time, drift=drift, low=low, high=high, following=float(times[look + 1]))
    return Crossing(upper=up, lower=down)


def bound_above(state: SubDensity, probability: float, *, time: float, drift: float) -> float:
    """Z bound at ``time`` that is exceeded with this probability by trials that go on until then (inf for none)."""
    if probability < SMALLEST_PROBABILITY:
        return float("inf")
    if probability >= state.total:
        raise InvalidInputError(
            "design: a look must spend more error than trials are left to spend it on; spend less or use lower bounds"
        )
    low, high = _search_range(state, time, drift)
    root = find_root(lambda b: state.above(b, time=time, drift=drift) - probability, low, high, tolerance=1e-14)
    return root / float(np.sqrt(time))


def bound_below(state: SubDensity, probability: float, *, time: float, drift: float) -> float:
    """Z bound at ``time`` not reached with this probability by trials that go on until then (-inf for none)."""
    mirrored = replace(state, nodes=-state.nodes)
    return -bound_above(mirrored, probability, time=time, drift=-drift)


def _search_range(state: SubDensity, time: float, drift: float) -> tuple[float, float]:
    """Scores between which every bound that matters lies."""
    step = time - state.time
    margin = _FAR * float(np.sqrt(step))
    return float(state.nodes.min()) + drift * step - margin, float(state.nodes.max()) + drift * step + margin


def _panels(low: float, high: float, scale: float) -> tuple[FloatArray, FloatArray]:
    """Nodes and weights of composite Gauss-Legendre quadrature on [low, high], empty when there is no such interval."""
    if high <= low:
        return np.zeros(0), np.zeros(0)
    count = int(np.ceil((high - low) / (_PANEL * scale)))
    edges = np.linspace(low, high, count + 1)
    half = 0.5 * np.diff(edges)
    nodes = (edges[:-1] + half)[:, None] + half[:, None] * _POINTS[None, :]
    return nodes.ravel(), (half[:, None] * _WEIGHTS[None, :]).ravel()
