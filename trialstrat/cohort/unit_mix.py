"""Times of which a part was typed in another unit: 1,200 days in a column of months.

A Weibull distribution is compared with the same distribution of which a share of the patients is multiplied by
days per month or days per year. Follow-up that is only heavy-tailed does not gain a likelihood ratio of this size from
a copy of itself at exactly that distance.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit

FACTORS = (30.4375, 365.25)
#: Twice the gain in log likelihood, and the smallest and largest share, for a mixture to be reported.
LEAST_GAIN, LEAST_SHARE, LARGEST_SHARE = 30.0, 0.01, 0.5
_LARGEST_SAMPLE = 2000
_FEWEST = 30
#: At least this many medians away must the largest time be, or none was multiplied by thirty.
_FARTHEST = 10.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class UnitMix:
    """The factor, and for each time whether it more likely belongs to the part in the other unit."""

    factor: float
    other: NDArray[np.bool_]


def find_unit_mix(time: NDArray[np.float64]) -> UnitMix | None:
    """The mixture of units in positive, finite times (n,), None when there is none or too few times to tell."""
    if len(time) < _FEWEST or np.max(time) < _FARTHEST * np.median(time):
        return None
    sample = np.sort(time)
    if len(sample) > _LARGEST_SAMPLE:
        # equally spaced quantiles: the same sample whatever the order of the rows
        sample = sample[np.linspace(0, len(sample) - 1, _LARGEST_SAMPLE).round().astype(np.int64)]
    start = np.log(np.median(sample))
    plain = -float(minimize(lambda at: -_weibull(sample, at).sum(), [0.0, start], method="Nelder-Mead").fun)
    fits = [(*_fit(sample, factor), factor) for factor in FACTORS]
    gain, parameters, factor = max(fits, key=lambda fit: fit[0])
    share = float(expit(parameters[2]))
    if 2 * (gain - plain) * len(time) / len(sample) < LEAST_GAIN or not LEAST_SHARE <= share <= LARGEST_SHARE:
        return None
    same, scaled = _parts(time, parameters, factor)
    return UnitMix(factor=factor, other=scaled > same)


def _weibull(time: NDArray[np.float64], at: NDArray[np.float64]) -> NDArray[np.float64]:
    """Log density at times, for log shape and log scale (bounded, so that point masses do not attract the search)."""
    shape, scale = np.exp(np.clip(at[0], -2.0, 2.0)), np.exp(np.clip(at[1], -50.0, 50.0))
    ratio = time / scale
    return np.log(shape / scale) + (shape - 1) * np.log(ratio) - np.minimum(ratio**shape, 1e6)


def _parts(
    time: NDArray[np.float64], at: NDArray[np.float64], factor: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Log of the weighted densities of the part in the declared unit and of the part in the other one."""
    own = -np.logaddexp(0.0, at[2]) + _weibull(time, at)
    other = -np.logaddexp(0.0, -at[2]) + _weibull(time / factor, at) - np.log(factor)
    return own, other


def _fit(time: NDArray[np.float64], factor: float) -> tuple[float, NDArray[np.float64]]:
    """Largest log likelihood of the mixture, and its log shape, log scale and logit share."""
    fits = [
        minimize(
            lambda at: -np.logaddexp(*_parts(time, at, factor)).sum(),
            [0.0, float(np.log(np.quantile(time, quantile))), -2.0],
            method="Nelder-Mead",
            options={"maxiter": 400},
        )
        for quantile in (0.3, 0.6)
    ]
    best = min(fits, key=lambda fit: fit.fun)
    return -float(best.fun), np.asarray(best.x, dtype=np.float64)
