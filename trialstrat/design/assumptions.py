"""What a survival trial is planned on: accrual, hazards, dropout, allocation.

Times are in one unit (months, say), rates per that unit. Arms accrue alike, in the ratio of the allocation.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from trialstrat.design.checks import check_between, check_increasing, check_positive, check_within
from trialstrat.errors import InvalidInputError

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Accrual:
    """Enrolment, uniform within intervals: ``times`` are 0 and the ends of the intervals.

    ``intensity`` is the relative speed per interval (equal without); only ratios matter.

    Raises
    ------
    InvalidInputError
        Times not increasing from 0, or an intensity that is negative, all zero or of another length.
    """

    times: tuple[float, ...]
    intensity: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        times = check_increasing(self.times, name="accrual_time")
        if times.size < 2 or times[0] != 0:
            raise InvalidInputError("accrual_time: must start with 0 and hold the end of at least one interval")
        if self.intensity is None:
            return
        intensity = np.asarray(self.intensity, dtype=np.float64)
        if intensity.shape != (times.size - 1,):
            raise InvalidInputError("accrual_intensity: one value per accrual interval is needed")
        if not np.isfinite(intensity).all() or np.any(intensity < 0) or not np.any(intensity > 0):
            raise InvalidInputError("accrual_intensity: must not be negative, and not all 0")

    @property
    def duration(self) -> float:
        """End of the last accrual interval."""
        return float(self.times[-1])

    @property
    def shares(self) -> FloatArray:
        """Share of all subjects enrolled in each interval, adding up to 1."""
        widths = np.diff(np.asarray(self.times, dtype=np.float64))
        mass = widths if self.intensity is None else widths * np.asarray(self.intensity, dtype=np.float64)
        return mass / mass.sum()

    def enrolled(self, at: FloatArray) -> FloatArray:
        """Share of all subjects enrolled by each calendar time."""
        return np.interp(at, self.times, np.concatenate([[0.0], np.cumsum(self.shares)]))


@dataclass(frozen=True, slots=True, kw_only=True)
class PiecewiseHazard:
    """Hazard ``rates[k]`` from ``starts[k]`` to the next start after entry, the last for ever; ``starts[0]`` is 0.

    Raises
    ------
    InvalidInputError
        Starts not increasing from 0, or rates that are negative, all zero or of another length.
    """

    starts: tuple[float, ...]
    rates: tuple[float, ...]

    def __post_init__(self) -> None:
        starts = check_increasing(self.starts, name="piecewise starts")
        rates = np.asarray(self.rates, dtype=np.float64)
        if starts[0] != 0:
            raise InvalidInputError("piecewise starts: the first must be 0")
        if rates.shape != starts.shape:
            raise InvalidInputError("piecewise rates: one per start is needed")
        if not np.isfinite(rates).all() or np.any(rates < 0) or not np.any(rates > 0):
            raise InvalidInputError("hazard rates: must be finite, not negative, and not all 0")

    @classmethod
    def constant(cls, rate: float) -> PiecewiseHazard:
        """Exponential survival."""
        return cls(starts=(0.0,), rates=(check_positive(rate, name="hazard rate"),))

    @classmethod
    def from_median(cls, median: float) -> PiecewiseHazard:
        """Exponential survival with this median."""
        return cls.constant(math.log(2.0) / check_positive(median, name="median"))

    def at(self, time: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Hazard and survival (t,) at times since entry."""
        starts, rates = np.asarray(self.starts, dtype=np.float64), np.asarray(self.rates, dtype=np.float64)
        lengths = np.append(np.diff(starts), np.inf)
        spent = np.clip(time[:, None] - starts[None, :], 0.0, lengths[None, :])
        return rates[np.searchsorted(starts, time, side="right") - 1], np.exp(-(spent @ rates))

    def times_ratio(self, hazard_ratio: float) -> PiecewiseHazard:
        """Proportional hazards: every rate multiplied."""
        return PiecewiseHazard(starts=self.starts, rates=tuple(rate * hazard_ratio for rate in self.rates))


@dataclass(frozen=True, slots=True, kw_only=True)
class Dropout:
    """Probability of dropping out by ``time`` after entry if no event occurs, exponential, per arm.

    Raises
    ------
    InvalidInputError
        A probability outside [0, 1) or a time that is not positive.
    """

    treatment: float
    control: float
    time: float

    def __post_init__(self) -> None:
        check_positive(self.time, name="dropout time")
        for name, value in (("treatment", self.treatment), ("control", self.control)):
            if check_within(value, 0.0, 1.0, name=f"dropout {name}") == 1.0:
                raise InvalidInputError(f"dropout {name}: must be below 1")

    @property
    def treatment_rate(self) -> float:
        """Hazard of dropping out in the treatment arm."""
        return -math.log1p(-self.treatment) / self.time

    @property
    def control_rate(self) -> float:
        """Hazard of dropping out in the control arm."""
        return -math.log1p(-self.control) / self.time


@dataclass(frozen=True, slots=True, kw_only=True)
class SurvivalAssumptions:
    """Everything a survival design is computed from but the test.

    ``hazard_ratio`` is treatment / control at all times, ``allocation`` treatment : control.

    Raises
    ------
    InvalidInputError
        A hazard ratio or an allocation that is not positive.
    """

    accrual: Accrual
    control: PiecewiseHazard
    hazard_ratio: float
    allocation: float = 1.0
    dropout: Dropout | None = None

    def __post_init__(self) -> None:
        check_positive(self.hazard_ratio, name="hazard_ratio")
        check_positive(self.allocation, name="allocation")

    @property
    def treatment(self) -> PiecewiseHazard:
        """Hazard in the treatment arm."""
        return self.control.times_ratio(self.hazard_ratio)

    @property
    def treatment_share(self) -> float:
        """Share of subjects allocated to treatment."""
        return self.allocation / (1.0 + self.allocation)


@dataclass(frozen=True, slots=True, kw_only=True)
class Assay:
    """A binary marker test: ``prevalence`` of the true marker, ``sensitivity`` and ``specificity`` of the assay.

    Raises
    ------
    InvalidInputError
        A prevalence outside (0, 1), or an assay that is not better than chance (sensitivity + specificity <= 1).
    """

    prevalence: float
    sensitivity: float = 1.0
    specificity: float = 1.0

    def __post_init__(self) -> None:
        check_between(self.prevalence, 0.0, 1.0, name="prevalence")
        check_within(self.sensitivity, 0.0, 1.0, name="sensitivity")
        check_within(self.specificity, 0.0, 1.0, name="specificity")
        if self.sensitivity + self.specificity <= 1.0:
            raise InvalidInputError("sensitivity, specificity: must add up to more than 1, or the assay tells nothing")

    @property
    def joint(self) -> FloatArray:
        """Shares (2, 2) of patients by assay result (negative, positive) and true marker (negative, positive)."""
        absent, present = 1.0 - self.prevalence, self.prevalence
        return np.array(
            [
                [absent * self.specificity, present * (1.0 - self.sensitivity)],
                [absent * (1.0 - self.specificity), present * self.sensitivity],
            ]
        )

    @property
    def positive_rate(self) -> float:
        """Share of patients with a positive assay."""
        return float(self.joint[1].sum())

    @property
    def predictive_value(self) -> float:
        """Share of truly positive patients among those with a positive assay."""
        return float(self.joint[1, 1]) / self.positive_rate


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectPrior:
    """Normal uncertainty of the log hazard ratios in marker-positive and marker-negative patients.

    Raises
    ------
    InvalidInputError
        A standard deviation that is negative, or a correlation outside [-1, 1].
    """

    sd_positive: float
    sd_negative: float
    correlation: float = 0.0

    def __post_init__(self) -> None:
        check_within(self.sd_positive, 0.0, math.inf, name="sd_positive")
        check_within(self.sd_negative, 0.0, math.inf, name="sd_negative")
        check_within(self.correlation, -1.0, 1.0, name="correlation")


@dataclass(frozen=True, slots=True, kw_only=True)
class BiomarkerAssumptions:
    """A stream of patients with a marker: who they are, how they do, what treatment does to them.

    ``arrival_rate`` is the number of patients per time unit who could be screened or enrolled. Hazards and hazard
    ratios are those of truly positive and negative patients; control hazards differ when the marker is prognostic.

    Raises
    ------
    InvalidInputError
        A hazard ratio, allocation or arrival rate that is not positive.
    """

    assay: Assay
    control_positive: PiecewiseHazard
    control_negative: PiecewiseHazard
    hazard_ratio_positive: float
    hazard_ratio_negative: float
    arrival_rate: float
    allocation: float = 1.0
    dropout: Dropout | None = None
    prior: EffectPrior | None = None

    def __post_init__(self) -> None:
        for name in ("hazard_ratio_positive", "hazard_ratio_negative", "arrival_rate", "allocation"):
            check_positive(getattr(self, name), name=name)

    @property
    def treatment_share(self) -> float:
        """Share of subjects allocated to treatment."""
        return self.allocation / (1.0 + self.allocation)

    @property
    def by_marker(self) -> tuple[tuple[PiecewiseHazard, float], tuple[PiecewiseHazard, float]]:
        """Control hazard and hazard ratio of truly negative and of truly positive patients."""
        return (
            (self.control_negative, self.hazard_ratio_negative),
            (self.control_positive, self.hazard_ratio_positive),
        )

    @property
    def log_hazard_ratios(self) -> FloatArray:
        """Log hazard ratios (2,) of truly negative and positive patients."""
        return np.log([self.hazard_ratio_negative, self.hazard_ratio_positive])


def hazard_pair(
    *,
    lambda_control: float | None = None,
    median_control: float | None = None,
    piecewise: tuple[Sequence[float], Sequence[float]] | None = None,
    hazard_ratio: float | None = None,
    lambda_treatment: float | None = None,
    median_treatment: float | None = None,
) -> tuple[PiecewiseHazard, float]:
    """Control hazard and hazard ratio from the ways in which people state them.

    Exactly one of ``lambda_control``, ``median_control`` and ``piecewise`` (starts, rates) gives the control hazard,
    exactly one of ``hazard_ratio``, ``lambda_treatment`` and ``median_treatment`` the treatment; the last two need a
    constant control hazard.

    Raises
    ------
    InvalidInputError
        None or more than one way given, or a treatment rate against a piecewise control.
    """
    _exactly_one("control hazard", (lambda_control, median_control, piecewise))
    _exactly_one("treatment hazard", (hazard_ratio, lambda_treatment, median_treatment))
    if lambda_control is not None:
        control = PiecewiseHazard.constant(lambda_control)
    elif median_control is not None:
        control = PiecewiseHazard.from_median(median_control)
    else:
        starts, rates = piecewise if piecewise is not None else ((), ())
        control = PiecewiseHazard(starts=tuple(starts), rates=tuple(rates))
    if hazard_ratio is not None:
        return control, check_positive(hazard_ratio, name="hazard_ratio")
    if len(control.rates) != 1:
        raise InvalidInputError("treatment hazard: give a hazard_ratio when the control hazard is piecewise")
    if lambda_treatment is not None:
        rate = check_positive(lambda_treatment, name="lambda_treatment")
    else:
        rate = PiecewiseHazard.from_median(median_treatment or 0.0).rates[0]
    return control, rate / control.rates[0]


def _exactly_one(name: str, given: tuple[object, ...]) -> None:
    count = sum(value is not None for value in given)
    if count != 1:
        raise InvalidInputError(f"{name}: give it in exactly one way, not {count}")
