"""What a group-sequential design declares: shapes of boundaries, spending functions, futility rules.

References
----------
Lan & DeMets 1983, Biometrika 70, 659-663 (spending functions: O'Brien-Fleming and Pocock type).
Hwang, Shih & DeCani 1990, Stat Med 9, 1439-1445. Kim & DeMets 1987, Biometrika 74, 149-154.
O'Brien & Fleming 1979, Biometrics 35, 549-556. Pocock 1977, Biometrika 64, 191-199.
Wang & Tsiatis 1987, Biometrics 43, 193-199. Pampallona, Tsiatis & Kim 2001, Drug Inf J 35, 1113-1121 (beta spending).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy.stats import norm

from trialstrat.design.checks import check_error_rates, check_increasing, check_rates, check_within
from trialstrat.errors import InvalidInputError

FloatArray = npt.NDArray[np.float64]
Shape = Literal["OF", "P", "WT", "asOF", "asP", "asHSD", "asKD", "asUser"]
BetaShape = Literal["bsOF", "bsP", "bsHSD", "bsKD", "bsUser"]

_CONSTANT: dict[str, float] = {"OF": 0.0, "P": 0.5}
_CONSTANT_SHAPES = ("OF", "P", "WT")
_SHAPES = (*_CONSTANT_SHAPES, "asOF", "asP", "asHSD", "asKD", "asUser")
_BETA_SHAPES = ("bsOF", "bsP", "bsHSD", "bsKD", "bsUser")
#: Parameters outside these ranges give boundaries that no trial uses and that cannot be computed reliably.
_PARAMETER_RANGE = {"WT": (-0.5, 1.0), "HSD": (-10.0, 5.0), "KD": (0.4, 8.0)}


@dataclass(frozen=True, slots=True, kw_only=True)
class FutilityBounds:
    """Stop without rejection when Z <= bound: one bound per look but the last (-inf for none).

    ``binding``: the critical values count on these stops (smaller critical values; the error is only kept if the trial
    really stops). Otherwise the critical values ignore them.
    """

    bounds: tuple[float, ...]
    binding: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class BetaSpending:
    """Futility bounds that spend the type-II error.

    ``parameter`` belongs to bsHSD and bsKD, the cumulative ``user_beta`` per look to bsUser; ``binding`` as in
    :class:`FutilityBounds`.
    """

    spending: BetaShape
    parameter: float | None = None
    user_beta: tuple[float, ...] | None = None
    binding: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SequentialRule:
    """The declared arguments of :func:`trialstrat.design.sequential.group_sequential`."""

    information_rates: tuple[float, ...]
    alpha: float
    sided: int
    shape: Shape
    parameter: float | None = None
    user_alpha: tuple[float, ...] | None = None
    power: float = 0.8
    futility: FutilityBounds | BetaSpending | None = None

    @property
    def times(self) -> FloatArray:
        """Information rates as an array, (k,)."""
        return np.asarray(self.information_rates, dtype=np.float64)

    @property
    def side_alpha(self) -> float:
        """Level of one side."""
        return self.alpha / self.sided

    @property
    def is_constant(self) -> bool:
        """Whether the boundary is one constant times a known factor of the information."""
        return self.shape in _CONSTANT_SHAPES

    @property
    def binding(self) -> bool:
        """Whether critical values count on futility stops."""
        return self.futility is not None and self.futility.binding


def check_rule(rule: SequentialRule) -> None:
    """Refuse impossible rules with one message per fault.

    Raises
    ------
    InvalidInputError
        As the argument checks of :func:`trialstrat.design.sequential.group_sequential` describe.
    """
    check_error_rates(rule.alpha, rule.sided, rule.power)
    rates = check_rates(rule.information_rates)
    if rule.shape not in _SHAPES:
        raise InvalidInputError(f"shape: unknown; known are {', '.join(_SHAPES)}")
    if rule.is_constant and rates[-1] != 1.0:
        raise InvalidInputError(f"information_rates: the last must be 1 for shape {rule.shape}")
    _check_parameter("parameter", rule.shape, rule.parameter)
    full = bool(rates[-1] == 1.0)
    _check_user("user_alpha", rule.shape, rule.user_alpha, rates.size, rule.alpha)
    if rule.user_alpha is not None and full and abs(rule.user_alpha[-1] - rule.alpha) > 1e-12:
        raise InvalidInputError("user_alpha: all of alpha must be spent at full information; end with alpha")
    if rule.futility is not None:
        _check_futility(rule, rates)


def constant_factor(rule: SequentialRule) -> FloatArray:
    """t_k^(Delta - 1/2): the critical values of OF (Delta 0), P (1/2) and WT (parameter) divided by their constant."""
    delta = _CONSTANT.get(rule.shape, rule.parameter)
    return rule.times ** (float(delta if delta is not None else 0.0) - 0.5)


def spent_alpha(rule: SequentialRule) -> FloatArray:
    """Cumulative error (k,) that a spending shape allows on one side until each look."""
    if rule.user_alpha is not None:
        return np.asarray(rule.user_alpha) / rule.sided
    return spending(rule.shape[2:], rule.times, rule.side_alpha, rule.parameter)


def spent_beta(rule: SequentialRule, futility: BetaSpending) -> FloatArray:
    """Cumulative type-II error (k,) that the futility rule spends until each look."""
    if futility.user_beta is not None:
        return np.asarray(futility.user_beta)
    return spending(futility.spending[2:], rule.times, 1.0 - rule.power, futility.parameter)


def spending(kind: str, times: FloatArray, total: float, parameter: float | None) -> FloatArray:
    """Cumulative error spent at information rates ``times`` (k,), from 0 to ``total`` at 1.

    ``kind``: OF 2 (1 - Phi(z_(1 - total/2) / sqrt t)); P total log(1 + (e - 1) t); HSD total (1 - exp(-g t)) /
    (1 - exp(-g)), linear for g = 0; KD total t^g.
    """
    if kind == "OF":
        return np.asarray(2.0 * norm.sf(norm.isf(total / 2.0) / np.sqrt(times)))
    if kind == "P":
        return total * np.log1p((np.e - 1.0) * times)
    gamma = float(parameter if parameter is not None else 0.0)
    if kind == "KD":
        return total * times**gamma
    return total * times if gamma == 0 else total * np.expm1(-gamma * times) / np.expm1(-gamma)


def _check_parameter(name: str, shape: str, parameter: float | None) -> None:
    family = shape if shape == "WT" else shape[2:]
    allowed = _PARAMETER_RANGE.get(family)
    if allowed is None:
        if parameter is not None:
            raise InvalidInputError(f"{name}: shape {shape} takes none")
        return
    if parameter is None:
        raise InvalidInputError(f"{name}: shape {shape} needs one")
    check_within(parameter, *allowed, name=f"{name} of {shape}")


def _check_user(name: str, shape: str, values: tuple[float, ...] | None, looks: int, total: float) -> None:
    if not shape.endswith("User"):
        if values is not None:
            raise InvalidInputError(f"{name}: only for shapes asUser and bsUser")
        return
    if values is None:
        raise InvalidInputError(f"{name}: shape {shape} needs the cumulative error spent at every look")
    spent = check_increasing(values, name=name, strict=False)
    if spent.size != looks:
        raise InvalidInputError(f"{name}: {spent.size} values for {looks} looks; one per look is needed")
    if spent[0] < 0 or spent[-1] > total * (1.0 + 1e-9) or spent[-1] <= 0:
        raise InvalidInputError(f"{name}: cumulative spending must lie from 0 to {total:g} and end above 0")


def _check_futility(rule: SequentialRule, rates: FloatArray) -> None:
    futility = rule.futility
    if rule.sided != 1:
        raise InvalidInputError("futility: only for one-sided designs")
    if isinstance(futility, FutilityBounds):
        bounds = np.asarray(futility.bounds, dtype=np.float64)
        if bounds.size != rates.size - 1:
            raise InvalidInputError(f"futility: {bounds.size} bounds for {rates.size} looks; one per look but the last")
        if np.isnan(bounds).any() or np.any(bounds == np.inf):
            raise InvalidInputError("futility: bounds must be numbers (-inf for none)")
        return
    if futility is None:
        return
    if futility.spending not in _BETA_SHAPES:
        raise InvalidInputError(f"futility: unknown spending; known are {', '.join(_BETA_SHAPES)}")
    if rates[-1] != 1.0:
        raise InvalidInputError("information_rates: the last must be 1 when beta is spent")
    _check_parameter("futility parameter", futility.spending, futility.parameter)
    _check_user("user_beta", futility.spending, futility.user_beta, rates.size, 1.0 - rule.power)
