"""Who to randomise when a treatment is expected to work in marker-positive patients: everybody, or only them.

Three designs are compared on the same stream of patients: *all comers* (no assay, one test), *stratified* (everybody is
assayed and randomised; the assay-positive patients and everybody are both tested, with the level shared) and
*enrichment* (only assay-positive patients are randomised). Patients of different markers that are tested together have
one marginal hazard per arm, whose ratio changes with time and is closer to 1 than the ratios within markers when the
marker is prognostic; the effect of a test is the average of that log hazard ratio over the expected events.

References
----------
Simon & Maitournam 2004, Clin Cancer Res 10, 6759-6763; Maitournam & Simon 2005, Stat Med 24, 329-339 (efficiency of
targeted designs, imperfect assays). Schoenfeld 1981, Biometrika 68, 316-319 (log-rank test under a hazard ratio that
varies). Spiessens & Debois 2010, Contemp Clin Trials 31, 647-656 (level of a subgroup and an overall test). O'Hagan,
Stevens & Campbell 2005, Pharm Stat 4, 187-201 (assurance).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy.stats import norm

from trialstrat.design.assumptions import Accrual, BiomarkerAssumptions
from trialstrat.design.checks import check_between, check_positive, check_within
from trialstrat.design.event_times import event_probability
from trialstrat.design.root import find_root
from trialstrat.errors import InvalidInputError
from trialstrat.results import Status
from trialstrat.stats.bivariate_normal import bivariate_normal_cdf

FloatArray = npt.NDArray[np.float64]
NAN = float("nan")
DesignName = Literal["all_comers", "stratified", "enrichment"]
DESIGNS: tuple[DesignName, ...] = ("all_comers", "stratified", "enrichment")

#: Accrual for longer than this many times the mean survival of control patients is not a trial.
_LONGEST = 1e4
#: Event times beyond this many mean survival times do not matter.
_LIFETIMES = 45.0
_POINTS, _WEIGHTS = np.polynomial.legendre.leggauss(12)
_HERMITE_NODES, _HERMITE_WEIGHTS = np.polynomial.hermite_e.hermegauss(16)


@dataclass(frozen=True, slots=True, kw_only=True)
class EnrichmentResult:
    """One design on the assumed stream of patients. Numbers of patients and events are expected values, not rounded.

    ``positive_share`` of the randomised patients is truly marker-positive; ``hazard_ratio`` is the average effect among
    them. ``screened`` patients are assayed (all comers: none). ``events_positive`` are events of assay-positive
    patients. ``power`` is the probability that the trial succeeds; of the stratified design also by test
    (``power_overall``, ``power_positive``; nan in the others). ``assurance`` averages the power over the prior (nan
    without one). Times in the unit of the assumptions; ``study_duration`` from first enrolment to analysis.
    """

    design: DesignName
    positive_share: float
    hazard_ratio: float
    events: float
    events_positive: float
    randomised: float
    screened: float
    accrual_duration: float
    study_duration: float
    power: float
    power_overall: float
    power_positive: float
    assurance: float
    status: Status = "ok"
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class EnrichmentTest:
    """How success is tested: one-sided ``alpha``.

    The stratified design gives ``positive_share`` of it to the assay-positive patients.

    Raises
    ------
    InvalidInputError
        Alpha outside (0, 1/2), or a share outside (0, 1).
    """

    alpha: float = 0.025
    positive_share: float = 0.5

    def __post_init__(self) -> None:
        check_between(self.alpha, 0.0, 0.5, name="alpha")
        check_between(self.positive_share, 0.0, 1.0, name="positive_share")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stratum:
    """Patients tested together: expected ``patients``, ``events`` and average log hazard ratio (``effect``)."""

    patients: float
    events: float
    effect: float


def size_enrichment(
    assumptions: BiomarkerAssumptions,
    design: DesignName,
    *,
    follow_up: float,
    power: float = 0.8,
    test: EnrichmentTest | None = None,
) -> EnrichmentResult:
    """Accrual needed so that a design has the power, when the analysis follows ``follow_up`` after the last enrolment.

    Parameters
    ----------
    assumptions : BiomarkerAssumptions
    design : {"all_comers", "stratified", "enrichment"}
    follow_up : float
        Time from the last enrolment to the analysis, not negative.
    power : float
        Probability of success under the assumed hazard ratios, above alpha.
    test : EnrichmentTest, optional
        Level; one-sided 2.5%, half of it for the assay-positive patients, without.

    Returns
    -------
    EnrichmentResult
        Not estimable when the average effect in the tested populations is none or harm.

    Raises
    ------
    InvalidInputError
        Arguments outside their domain.

    References
    ----------
    Maitournam & Simon 2005, section 2; Schoenfeld 1983, eq. 1; Spiessens & Debois 2010, eq. 4.
    """
    rule = test or EnrichmentTest()
    check_between(power, rule.alpha, 1.0, name="power")
    check_within(follow_up, 0.0, math.inf, name="follow_up")
    _check_design(design)
    certain = replace(assumptions, prior=None)

    def shortfall(accrual: float) -> float:
        return evaluate_enrichment(certain, design, accrual=accrual, follow_up=follow_up, test=rule).power - power

    high = 1.0 / max(*assumptions.control_positive.rates, *assumptions.control_negative.rates)
    longest = _LONGEST * high
    while shortfall(high) < 0:
        high *= 2.0
        if high > longest:
            reason = "the average effect in the tested population is none, harm, or too small for any trial"
            return _no_size(assumptions, design, reason)
    low = high / 2.0
    while shortfall(low) > 0:
        low /= 2.0
    accrual = find_root(shortfall, low, high, tolerance=1e-10 * high)
    return evaluate_enrichment(assumptions, design, accrual=accrual, follow_up=follow_up, test=rule)


def evaluate_enrichment(
    assumptions: BiomarkerAssumptions,
    design: DesignName,
    *,
    accrual: float,
    follow_up: float,
    test: EnrichmentTest | None = None,
) -> EnrichmentResult:
    """Events, patients, power and assurance of a design that enrols for a given time.

    Parameters
    ----------
    assumptions : BiomarkerAssumptions
    design : {"all_comers", "stratified", "enrichment"}
    accrual : float
        Time during which patients arrive and are screened.
    follow_up : float
        Time from the last enrolment to the analysis, not negative.
    test : EnrichmentTest, optional

    Raises
    ------
    InvalidInputError
        Arguments outside their domain.

    References
    ----------
    As :func:`size_enrichment`; assurance: O'Hagan, Stevens & Campbell 2005, eq. 3.
    """
    rule = test or EnrichmentTest()
    _check_design(design)
    duration = check_positive(accrual, name="accrual")
    analysis = duration + check_within(follow_up, 0.0, math.inf, name="follow_up")
    strata = _strata(assumptions, design, duration, analysis)
    power, overall, positive = _success(strata, assumptions.allocation, rule)
    events = sum(stratum.events for stratum in strata)
    assay = assumptions.assay
    return EnrichmentResult(
        design=design,
        positive_share=assay.predictive_value if design == "enrichment" else assay.prevalence,
        hazard_ratio=math.exp(sum(stratum.events * stratum.effect for stratum in strata) / events),
        events=events,
        events_positive=NAN if design == "all_comers" else strata[0].events,
        randomised=sum(stratum.patients for stratum in strata),
        screened=0.0 if design == "all_comers" else assumptions.arrival_rate * duration,
        accrual_duration=duration,
        study_duration=analysis,
        power=power,
        power_overall=overall,
        power_positive=positive,
        assurance=_assurance(assumptions, design, duration, analysis, rule),
    )


def compare_designs(
    assumptions: BiomarkerAssumptions,
    *,
    follow_up: float,
    power: float = 0.8,
    test: EnrichmentTest | None = None,
) -> tuple[EnrichmentResult, ...]:
    """All three designs sized for the same power; see :func:`size_enrichment`."""
    return tuple(
        size_enrichment(assumptions, design, follow_up=follow_up, power=power, test=test) for design in DESIGNS
    )


def shared_critical_values(alpha: float, positive_alpha: float, correlation: float) -> tuple[float, float]:
    """Critical values of the test of the subgroup and of everybody with exact one-sided level ``alpha`` together.

    Parameters
    ----------
    alpha : float
        P(either rejects) without any effect.
    positive_alpha : float
        Level of the subgroup test, below alpha.
    correlation : float
        Of the two statistics: square root of the share of events in the subgroup, from 0 to 1.

    Returns
    -------
    (float, float)
        For the subgroup and for everybody. With correlation 1 both tests are the same.

    Raises
    ------
    InvalidInputError
        Levels not 0 < positive_alpha < alpha < 1/2, or a correlation outside [0, 1].

    References
    ----------
    Spiessens & Debois 2010, eq. 4.
    """
    check_between(alpha, 0.0, 0.5, name="alpha")
    check_between(positive_alpha, 0.0, alpha, name="positive_alpha")
    check_within(correlation, 0.0, 1.0, name="correlation")
    positive = float(norm.isf(positive_alpha))

    def spare(overall: float) -> float:
        return bivariate_normal_cdf(positive, overall, correlation) - (1.0 - alpha)

    return positive, find_root(spare, float(norm.isf(alpha)) - 1e-9, float(norm.isf(alpha - positive_alpha)) + 1e-9)


def _strata(
    assumptions: BiomarkerAssumptions, design: DesignName, accrual: float, analysis: float
) -> tuple[_Stratum, ...]:
    """The strata of the test at the analysis; of the stratified design the assay-positive patients come first."""
    arriving = assumptions.assay.joint * assumptions.arrival_rate * accrual
    if design == "all_comers":
        groups = (arriving.sum(axis=0),)
    elif design == "enrichment":
        groups = (arriving[1],)
    else:
        groups = (arriving[1], arriving[0])
    return tuple(_stratum(assumptions, patients, accrual, analysis) for patients in groups if patients.sum() > 0)


def _stratum(assumptions: BiomarkerAssumptions, patients: FloatArray, accrual: float, analysis: float) -> _Stratum:
    """Expected events and effect among ``patients`` (2,) truly negative and positive ones."""
    period, at = Accrual(times=(0.0, accrual)), np.array([analysis])
    dropout, treated = assumptions.dropout, assumptions.treatment_share
    lost = (0.0, 0.0) if dropout is None else (dropout.control_rate, dropout.treatment_rate)
    time, width = _time_grid(assumptions, accrual, analysis)
    watched = np.clip((analysis - time) / accrual, 0.0, 1.0)
    events, density, hazard = 0.0, np.zeros_like(time), []
    for arm, share in enumerate((1.0 - treated, treated)):
        incidence, survival = np.zeros_like(time), np.zeros_like(time)
        for (control, ratio), count in zip(assumptions.by_marker, patients, strict=True):
            own = control.times_ratio(ratio) if arm == 1 else control
            events += share * count * float(event_probability(own, lost[arm], period, at)[0])
            rate, alive = own.at(time)
            incidence += count * rate * alive
            survival += count * alive
        density += share * incidence * np.exp(-lost[arm] * time) * watched
        hazard.append(incidence / survival)
    known = (density > 0) & (hazard[0] > 0) & (hazard[1] > 0)
    mass = (width * density)[known]
    effect = float(mass @ np.log(hazard[1][known] / hazard[0][known]) / mass.sum())
    return _Stratum(patients=float(patients.sum()), events=events, effect=effect)


def _time_grid(assumptions: BiomarkerAssumptions, accrual: float, analysis: float) -> tuple[FloatArray, FloatArray]:
    """Nodes and weights of quadrature over time since entry, with panels between the kinks of hazards and follow-up."""
    rates = np.concatenate(
        [(*control.rates, *control.times_ratio(ratio).rates) for control, ratio in assumptions.by_marker]
    )
    scale = 1.0 / float(rates.max())
    end = min(
        analysis,
        _LIFETIMES / float(rates[rates > 0].min())
        + max(assumptions.control_positive.starts[-1], assumptions.control_negative.starts[-1]),
    )
    kinks = [*assumptions.control_positive.starts, *assumptions.control_negative.starts, analysis - accrual]
    doubling = scale * 2.0 ** np.arange(-1, 40)
    edges = np.unique(np.concatenate([[0.0, end], kinks, doubling]))
    edges = edges[(edges >= 0) & (edges <= end)]
    half = 0.5 * np.diff(edges)
    nodes = (edges[:-1] + half)[:, None] + half[:, None] * _POINTS
    return nodes.ravel(), (half[:, None] * _WEIGHTS).ravel()


def _success(strata: tuple[_Stratum, ...], allocation: float, rule: EnrichmentTest) -> tuple[float, float, float]:
    """Probability of success, and of the overall and the positive test where there are two."""
    root = math.sqrt(allocation) / (1.0 + allocation)
    total = sum(stratum.events for stratum in strata)
    overall = -root * sum(stratum.events * stratum.effect for stratum in strata) / math.sqrt(total)
    if len(strata) == 1:
        return float(norm.sf(norm.isf(rule.alpha) - overall)), NAN, NAN
    positive = -root * math.sqrt(strata[0].events) * strata[0].effect
    correlation = math.sqrt(strata[0].events / total)
    critical = shared_critical_values(rule.alpha, rule.positive_share * rule.alpha, correlation)
    neither = bivariate_normal_cdf(critical[0] - positive, critical[1] - overall, correlation)
    return 1.0 - neither, float(norm.sf(critical[1] - overall)), float(norm.sf(critical[0] - positive))


def _assurance(
    assumptions: BiomarkerAssumptions, design: DesignName, accrual: float, analysis: float, rule: EnrichmentTest
) -> float:
    """Power averaged over the prior of the log hazard ratios (Gauss-Hermite); nan without a prior."""
    prior = assumptions.prior
    if prior is None:
        return NAN
    negative, positive = assumptions.log_hazard_ratios
    rest = math.sqrt(1.0 - prior.correlation**2)
    total = 0.0
    for x, x_weight in zip(_HERMITE_NODES, _HERMITE_WEIGHTS, strict=True):
        for y, y_weight in zip(_HERMITE_NODES, _HERMITE_WEIGHTS, strict=True):
            shift = prior.sd_negative * (prior.correlation * x + rest * y)
            moved = replace(
                assumptions,
                hazard_ratio_positive=math.exp(positive + prior.sd_positive * x),
                hazard_ratio_negative=math.exp(negative + shift),
            )
            strata = _strata(moved, design, accrual, analysis)
            total += x_weight * y_weight * _success(strata, assumptions.allocation, rule)[0]
    return float(total / (2.0 * math.pi))


def _check_design(design: str) -> None:
    if design not in DESIGNS:
        raise InvalidInputError(f"design: unknown; known are {', '.join(DESIGNS)}")


def _no_size(assumptions: BiomarkerAssumptions, design: DesignName, reason: str) -> EnrichmentResult:
    assay = assumptions.assay
    return EnrichmentResult(
        design=design,
        positive_share=assay.predictive_value if design == "enrichment" else assay.prevalence,
        hazard_ratio=NAN,
        events=NAN,
        events_positive=NAN,
        randomised=NAN,
        screened=NAN,
        accrual_duration=NAN,
        study_duration=NAN,
        power=NAN,
        power_overall=NAN,
        power_positive=NAN,
        assurance=NAN,
        status="not_estimable",
        reason=reason,
    )
