"""Effects of completed copies pooled by Rubin's rules, on the scale on which they are normal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trialstrat.results import Estimate
from trialstrat.stats.rubin import Pooled, pool
from trialstrat.subgroups.scales import ScaleEffect

Floats = NDArray[np.float64]


def pool_copies(value: Floats, variance: Floats, freedom: float, level: float) -> Pooled | None:
    """Pooled over the copies, None unless every copy has an estimate."""
    if not (np.isfinite(value).all() and np.isfinite(variance).all() and (variance > 0).all()):
        return None
    return pool(value, variance, complete_df=freedom, level=level)


def ratio_limits(pooled: Pooled) -> tuple[float, float, float]:
    """Value and limits of a ratio that was pooled as its log."""
    return float(np.exp(pooled.value)), float(np.exp(pooled.lower)), float(np.exp(pooled.upper))


def pooled_estimate(
    name: str, label: str, pooled: Pooled | None, *, ratio: bool, rest: Mapping[str, Any], reason: str = ""
) -> Estimate:
    """The pooled effect under its name; without one, ``reason`` says why."""
    if pooled is None:
        return Estimate.not_estimable(name, label, reason or "not estimable in every imputed copy", **rest)
    value, lower, upper = ratio_limits(pooled) if ratio else (pooled.value, pooled.lower, pooled.upper)
    return Estimate(name=name, label=label, value=value, lower=lower, upper=upper, **rest)


def pool_scale(effects: Sequence[ScaleEffect], freedom: float, level: float) -> Pooled | None:
    """One scale of an effect pooled over the copies, ratios on the log scale."""
    if not all(effect.ok for effect in effects):
        return None
    value = np.array([np.log(effect.value) if effect.ratio else effect.value for effect in effects])
    return pool_copies(value, np.array([effect.std_error for effect in effects]) ** 2, freedom, level)
