"""How far predictions of a continuous outcome are from what was observed, each number with its interval."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri

from trialstrat.errors import InvalidInputError
from trialstrat.results import NAN
from trialstrat.stats.checks import check_level, check_values

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """A value with its limits; nan where it is not defined."""

    value: float
    lower: float = NAN
    upper: float = NAN


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictionError:
    """``mae``: mean absolute error; ``bias``: mean of predicted minus observed; both in the outcome's unit.

    ``r2`` is the share of the variance explained, 1 - SSE / SST, which is negative for predictions worse than the
    mean; ``within`` the share of patients predicted within ``margin`` times the observed value.
    """

    mae: Score
    bias: Score
    r2: Score
    within: Score
    margin: float
    n: int


def proportion(hits: int, trials: int, level: float) -> tuple[float, float, float]:
    """A share with Wilson's limits.

    References
    ----------
    Wilson EB (1927). JASA 22, 209-212.
    """
    z = float(-ndtri((1 - level) / 2))
    p = hits / trials
    centre = (p + z * z / (2 * trials)) / (1 + z * z / trials)
    half = z * float(np.sqrt(p * (1 - p) / trials + z * z / (4 * trials * trials))) / (1 + z * z / trials)
    return p, max(0.0, centre - half), min(1.0, centre + half)


def prediction_error(
    observed: ArrayLike, predicted: ArrayLike, *, margin: float = 0.2, level: float = 0.95
) -> PredictionError:
    """Errors of predictions (n,) of ``observed`` (n,) that were made without these patients.

    Normal limits of the means; of R squared from its influence values; Wilson's of the share.

    Raises
    ------
    InvalidInputError
        Fewer than two patients, missing or infinite values, unequal lengths.

    References
    ----------
    International Warfarin Pharmacogenetics Consortium (2009). N Engl J Med 360, 753-764 (share within 20%).
    """
    level = check_level(level)
    y = check_values(observed, name="observed")
    predicted = check_values(predicted, y.size, name="predicted")
    if y.size < 2:
        raise InvalidInputError("observed: at least two patients are needed")
    error = predicted - y
    half = float(ndtri(0.5 + level / 2)) / np.sqrt(y.size)

    def mean(values: Floats) -> Score:
        at, spread = float(values.mean()), half * float(values.std(ddof=1))
        return Score(value=at, lower=at - spread, upper=at + spread)

    share, low, high = proportion(int((np.abs(error) <= margin * np.abs(y)).sum()), y.size, level)
    return PredictionError(
        mae=mean(np.abs(error)),
        bias=mean(error),
        r2=_explained(y, error, half),
        within=Score(value=share, lower=low, upper=high),
        margin=margin,
        n=y.size,
    )


def _explained(y: Floats, error: Floats, half: float) -> Score:
    total = (y - y.mean()) ** 2
    if not total.mean() > 0:
        return Score(value=NAN)
    lost = float((error**2).mean() / total.mean())
    spread = half * float(((error**2 - lost * total) / total.mean()).std(ddof=1))
    return Score(value=1 - lost, lower=1 - lost - spread, upper=min(1.0, 1 - lost + spread))
