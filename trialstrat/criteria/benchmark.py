"""The emulated trial against the published one: before criteria are ranked, the data must reproduce what is known.

References
----------
Wang SV et al. 2023, JAMA 329, 1376-1385 (RCT-DUPLICATE: estimate agreement and standardised difference agreement).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri

from trialstrat.protocol.criteria_model import PublishedEffect
from trialstrat.subgroups.scales import ScaleEffect

#: How agreement is defined, for every place that speaks of it.
DEFINITION = (
    "The emulated hazard ratio agrees with the published one when it lies within the published confidence interval and "
    "the difference of their logarithms is less than 1.96 of its standard errors."
)
_LIMIT = 1.96


@dataclass(frozen=True, slots=True, kw_only=True)
class Benchmark:
    """``difference`` of the logarithms (emulated minus published) with its limits, in standard errors ``z``; verdict.

    ``reason`` is empty when they agree, and else why ranking is withheld.
    """

    difference: float
    lower: float
    upper: float
    z: float
    inside: bool
    agrees: bool
    reason: str


def benchmark(emulated: ScaleEffect, published: PublishedEffect, level: float) -> Benchmark:
    """Compare the two hazard ratios; an emulation without estimate does not agree."""
    if not emulated.ok:
        reason = f"the emulated trial has no hazard ratio to compare with the published one: {emulated.reason}"
        nan = float("nan")
        return Benchmark(difference=nan, lower=nan, upper=nan, z=nan, inside=False, agrees=False, reason=reason)
    width = np.log(published.upper) - np.log(published.lower)
    error = float(np.hypot(emulated.std_error, width / (-2 * ndtri((1 - published.level) / 2))))
    difference = float(np.log(emulated.value) - np.log(published.hazard_ratio))
    half = float(-ndtri((1 - level) / 2)) * error
    inside = published.lower <= emulated.value <= published.upper
    agrees = inside and abs(difference) < _LIMIT * error
    words = (
        f"the emulated hazard ratio {emulated.value:.2f} ({emulated.lower:.2f} to {emulated.upper:.2f}) disagrees with "
        f"the published {published.hazard_ratio:.2f} ({published.lower:.2f} to {published.upper:.2f})"
    )
    return Benchmark(
        difference=difference,
        lower=difference - half,
        upper=difference + half,
        z=difference / error,
        inside=inside,
        agrees=agrees,
        reason="" if agrees else words,
    )
