"""Group-sequential designs: boundaries, power and sample numbers on the scale of information.

Nothing here knows events or patients: ``trialstrat.design.power`` turns a design into a survival trial.

References
----------
Jennison & Turnbull 2000, Group Sequential Methods with Applications to Clinical Trials, chapters 2 to 7 and 19.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import norm

from trialstrat.design.checks import as_numbers
from trialstrat.design.sequential_bounds import Boundaries, drift_for_power, find_boundaries, fixed_drift, stopping
from trialstrat.design.sequential_integration import Crossing, crossing
from trialstrat.design.sequential_spending import BetaSpending, FutilityBounds, SequentialRule, Shape, check_rule

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleNumbers:
    """Expected information at stopping: under the alternative (h1), half of it (h01) and no effect (h0)."""

    h1: float
    h01: float
    h0: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class GroupSequentialDesign:
    """A group-sequential design of k looks.

    ``critical_values`` (k,) for Z, ``stage_levels`` (k,) their one-sided p-values, ``cumulative_alpha`` (k,) the error
    spent over all sides (futility ignored unless binding), ``futility`` (k - 1,) or None. ``drift`` is the mean of Z at
    information 1 under which the power is reached; ``inflation_factor`` its square relative to the fixed design.
    ``rejection_probability`` (k,) and ``futility_probability`` (k - 1,) or None are per look under the drift.
    ``average_sample_number`` is relative to the fixed design.
    """

    rule: SequentialRule
    critical_values: FloatArray
    stage_levels: FloatArray
    cumulative_alpha: FloatArray
    futility: FloatArray | None
    drift: float
    inflation_factor: float
    rejection_probability: FloatArray
    futility_probability: FloatArray | None
    average_sample_number: SampleNumbers

    @property
    def boundaries(self) -> Boundaries:
        """Critical values and futility bounds (-inf for none)."""
        looks = self.critical_values.size
        none = np.full(looks - 1, -np.inf)
        return Boundaries(critical=self.critical_values, futility=none if self.futility is None else self.futility)

    def stopping(self, drift: float) -> Crossing:
        """Probabilities of crossing at each look when Z_k has mean drift * sqrt(t_k)."""
        return stopping(self.rule, self.boundaries, drift)

    def expected_rate(self, drift: float) -> float:
        """Expected information rate at stopping under a drift."""
        return float(self.stopping(drift).stop @ self.rule.times)


def group_sequential(
    information_rates: Sequence[float],
    *,
    alpha: float = 0.025,
    sided: int = 1,
    shape: Shape = "asOF",
    parameter: float | None = None,
    user_alpha: Sequence[float] | None = None,
    power: float = 0.8,
    futility: FutilityBounds | BetaSpending | None = None,
) -> GroupSequentialDesign:
    """Boundaries and operating characteristics of a group-sequential test of one hypothesis.

    Z_k is jointly normal with correlation sqrt(t_j / t_k) and mean drift * sqrt(t_k). The null hypothesis, no effect
    (drift 0), is rejected at the first look with Z_k >= critical value (two-sided: |Z_k|).

    Parameters
    ----------
    information_rates : sequence of k numbers
        Information at the looks as a share of the planned maximum, strictly increasing in (0, 1].
    alpha : float
        Total type-I error in (0, 1/2); two-sided designs use alpha / 2 in each direction.
    sided : {1, 2}
        One- or two-sided test. Futility rules need a one-sided test.
    shape : str
        OF c / sqrt(t); P c; WT c t^(parameter - 1/2), parameter in [-0.5, 1]; spending functions asOF, asP, asHSD
        (parameter in [-10, 5]), asKD (parameter in [0.4, 8]) and asUser.
    user_alpha : sequence of k numbers, optional
        asUser: cumulative total error spent, not decreasing, at full information alpha.
    power : float
        Probability of crossing the upper bound under the alternative, above alpha.
    futility : FutilityBounds or BetaSpending, optional
        Stopping without rejection at looks before the last.

    Returns
    -------
    GroupSequentialDesign

    Raises
    ------
    InvalidInputError
        Arguments outside their domain, or no boundary keeps the error rates (a futility bound at or above the critical
        value of its look, spending that cannot be spent).

    References
    ----------
    Jennison & Turnbull 2000, chapters 2-7; Wang & Tsiatis 1987; Lan & DeMets 1983; Hwang, Shih & DeCani 1990;
    Kim & DeMets 1987; Pampallona, Tsiatis & Kim 2001.
    """
    rule = SequentialRule(
        information_rates=as_numbers(information_rates, name="information_rates"),
        alpha=alpha,
        sided=sided,
        shape=shape,
        parameter=parameter,
        user_alpha=None if user_alpha is None else as_numbers(user_alpha, name="user_alpha"),
        power=power,
        futility=futility,
    )
    return design_of_rule(rule)


def design_of_rule(rule: SequentialRule) -> GroupSequentialDesign:
    """The design that a declared rule leads to; see :func:`group_sequential`."""
    check_rule(rule)
    bounds = find_boundaries(rule)
    drift = drift_for_power(rule, bounds)
    counted = rule.sided == 2 or rule.binding
    null = crossing(0.0, rule.times, bounds.lower(sided=rule.sided, counted=counted), bounds.critical)
    alternative = stopping(rule, bounds, drift)
    inflation = (drift / fixed_drift(rule)) ** 2

    def sample_number(value: float) -> float:
        return inflation * float(stopping(rule, bounds, value).stop @ rule.times)

    return GroupSequentialDesign(
        rule=rule,
        critical_values=bounds.critical,
        stage_levels=np.asarray(norm.sf(bounds.critical)),
        cumulative_alpha=rule.sided * np.cumsum(null.upper),
        futility=None if rule.futility is None else bounds.futility,
        drift=drift,
        inflation_factor=inflation,
        rejection_probability=alternative.upper,
        futility_probability=None if rule.futility is None else alternative.lower[:-1],
        average_sample_number=SampleNumbers(
            h1=sample_number(drift), h01=sample_number(0.5 * drift), h0=sample_number(0.0)
        ),
    )
