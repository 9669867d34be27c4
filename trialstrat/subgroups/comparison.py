"""One treatment against the control: tests, effects on both scales, and which of them leads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trialstrat.cohort.cohort import Cohort
from trialstrat.cohort.shown import ShownOutcome, arm_labels, arm_rows, said_horizon
from trialstrat.results import Cell, Estimate, TestResult
from trialstrat.stats.clustered import clustered_logrank
from trialstrat.stats.cox import cox
from trialstrat.stats.logrank import LogRank, logrank
from trialstrat.stats.maxcombo import maxcombo
from trialstrat.stats.proportional_hazards import ph_test
from trialstrat.subgroups.effect import outcome_effect
from trialstrat.subgroups.incidence import competing_tests
from trialstrat.subgroups.scales import Effect, EffectOptions, ScaleEffect, p_estimate

Mask = NDArray[np.bool_]

PH_METHOD = "score test of proportional hazards, Kaplan-Meier transform of time"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Comparison:
    """A treatment and the control: names, the patients of both (``rows``), and who is treated (``treated``, n)."""

    treatment: str
    control: str
    label: str
    rows: Mask
    treated: NDArray[np.int64]

    @property
    def pair(self) -> str:
        """The last part of the estimates' names."""
        return f"{self.treatment}_vs_{self.control}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """What one comparison gave: estimates, rows of the proportional hazards table, and which analysis leads."""

    estimates: tuple[Estimate, ...]
    ph_rows: tuple[tuple[Cell, ...], ...]
    leading: str
    effect: Effect


def comparisons(cohort: Cohort) -> tuple[Comparison, ...]:
    """Every treatment against the control, in declared order; empty unless both occur."""
    arms, present = cohort.protocol.arms, arm_rows(cohort)
    if arms is None or arms.control is None or arms.control.name not in present:
        return ()
    labels = arm_labels(cohort)
    control = present[arms.control.name]
    return tuple(
        Comparison(
            treatment=arm.name,
            control=arms.control.name,
            label=f"{labels[arm.name]} vs {labels[arms.control.name]}",
            rows=control | present[arm.name],
            treated=present[arm.name].astype(np.int64),
        )
        for arm in arms.treatments
        if arm.name in present
    )


def question_not_asked(cohort: Cohort) -> str:
    """Why no treatment effect is asked of these data, as a sentence; empty when it is."""
    arms = cohort.protocol.arms
    if arms is None:
        return "No arms are declared: what a treatment does cannot be asked of these data."
    if len(arms.levels) == 1:
        return "There is a single arm and no control: what the treatment does cannot be asked of these data."
    if not comparisons(cohort):
        return "Patients are missing from the control or from every treatment arm: no effect can be asked."
    if arms.allocation == "observational" and not arms.confounders:
        return "Arms were not randomised and no confounders are declared: no treatment effect is estimated."
    return ""


def clustered(cohort: Cohort, what: str) -> str:
    """Why ``what`` is not done where rows lie in clusters; empty where they are independent patients."""
    if cohort.cluster is None:
        return ""
    return f"{what} relabels and resamples single rows, which clusters ({cohort.protocol.analysis.cluster}) forbid"


def compare(cohort: Cohort, outcome: ShownOutcome, comparison: Comparison, shared: Mapping[str, Any]) -> Compared:
    """All estimates of one comparison; ``shared`` are the fields that every estimate has."""
    analysis = cohort.protocol.analysis
    options = EffectOptions(
        tau=outcome.horizon, level=analysis.level, minimum_events=analysis.minimum_events, unit=outcome.unit
    )
    found = outcome_effect(outcome, comparison.treated, comparison.rows, options, strata=cohort.strata)
    rest = {**shared, "population": comparison.label, "n": found.n, "events": found.events}
    if not outcome.timed:
        return Compared(
            estimates=tuple(_plain_estimates(outcome, comparison, found, rest)),
            ph_rows=(),
            leading="none",
            effect=found,
        )
    estimates = [_logrank(cohort, outcome, comparison, found, rest)]
    estimates += _timed_estimates(outcome, comparison, found, rest)
    ph_estimate, ph_row = _proportional_hazards(cohort, outcome, comparison, found, rest)
    estimates.append(ph_estimate)
    leading = "none" if not found.relative.ok else "cox"
    if ph_estimate.status == "ok" and ph_estimate.value < analysis.ph_alpha:
        leading = analysis.non_proportional
        if leading == "maxcombo":
            estimates.append(_maxcombo(cohort, outcome, comparison, rest))
    if outcome.kind == "competing":
        names = (comparison.pair, comparison.label)
        estimates += competing_tests(cohort, outcome, comparison.rows, comparison.treated, names, rest)
    return Compared(estimates=tuple(estimates), ph_rows=ph_row, leading=leading, effect=found)


def _null(measure: str, comparison: Comparison) -> str:
    return f"the {measure} of {comparison.label} shows no difference between the arms"


def _effect_pair(
    stem: str, p_name: str, label: str, found: ScaleEffect, comparison: Comparison, rest: Mapping[str, Any]
) -> list[Estimate]:
    """An effect and its p."""
    fields = {**rest, "null_hypothesis": _null(found.measure, comparison)}
    fields.pop("level", None)
    value = found.estimate(f"{stem}.{comparison.pair}", label, **fields)
    fields["method"] = found.method
    p = p_estimate(
        f"{p_name}.{comparison.pair}",
        f"p of the {found.measure}, {comparison.label}",
        found.p,
        found.status,
        found.reason,
        _null(found.measure, comparison),
        fields,
    )
    return [value, p]


def _plain_estimates(
    outcome: ShownOutcome, comparison: Comparison, found: Effect, rest: Mapping[str, Any]
) -> list[Estimate]:
    label = comparison.label
    if outcome.kind == "binary":
        risk = _effect_pair(
            "primary.risk_difference", "primary.risk_difference.p", f"Risk difference, {label}",
            found.absolute, comparison, rest,
        )  # fmt: skip
        odds = _effect_pair(
            "primary.odds_ratio", "primary.odds_ratio.p", f"Odds ratio, {label}", found.relative, comparison, rest
        )
        return [*risk, *odds]
    fields = {key: value for key, value in rest.items() if key != "events"}
    return _effect_pair(
        "primary.mean_difference", "primary.mean_difference.p", f"Mean difference, {label}",
        found.absolute, comparison, fields,
    )  # fmt: skip


def _timed_estimates(
    outcome: ShownOutcome, comparison: Comparison, found: Effect, rest: Mapping[str, Any]
) -> list[Estimate]:
    ratio, label = found.relative, comparison.label
    until = said_horizon(outcome)
    estimates = _effect_pair(
        "primary.cox.hazard_ratio", "primary.cox.p", f"{ratio.measure.capitalize()}, {label}", ratio, comparison, rest
    )
    if outcome.kind == "competing":
        # a name of its own: here a positive difference means more events, not fewer
        text = f"Difference of cumulative incidence at {until}, {label}"
        return estimates + _effect_pair(
            "primary.cif.difference", "primary.cif.p", text, found.milestone, comparison, rest
        )
    text = f"Difference of restricted mean time up to {until}, {label}"
    estimates += _effect_pair("primary.rmst.difference", "primary.rmst.p", text, found.absolute, comparison, rest)
    text = f"Difference of survival at {until}, {label}"
    estimates += _effect_pair(
        "primary.milestone.difference", "primary.milestone.p", text, found.milestone, comparison, rest
    )
    return estimates


def _arrays(cohort: Cohort, outcome: ShownOutcome, rows: Mask) -> dict[str, Any]:
    """Time, event of interest, strata and entry of some patients, by the names that the statistics use."""
    if outcome.time is None:
        raise ValueError("this endpoint is not a time")
    return {
        "time": outcome.time[rows],
        "event": outcome.of_interest[rows],
        "strata": None if cohort.strata is None else cohort.strata[rows],
        "entry": None if outcome.entry is None else outcome.entry[rows],
    }


def _logrank(
    cohort: Cohort, outcome: ShownOutcome, comparison: Comparison, found: Effect, rest: Mapping[str, Any]
) -> Estimate:
    data = _arrays(cohort, outcome, comparison.rows)
    name, label = f"primary.logrank.p.{comparison.pair}", f"Log-rank test, {comparison.label}"
    if found.status != "ok":  # no p without an effect beside it
        return p_estimate(name, label, np.nan, found.status, found.reason, "", rest)
    test = logrank_of(outcome, comparison.rows, comparison.treated, data["strata"])
    words = {**rest, "method": test.method}
    return p_estimate(name, label, test.p, test.status, test.reason, test.null_hypothesis, words)


def logrank_of(
    outcome: ShownOutcome, rows: Mask, group: NDArray[Any], strata: NDArray[np.object_] | None
) -> LogRank | TestResult:
    """The log-rank test among ``rows`` (n,) of ``group`` (n,), robust with clusters; ``strata`` are those of rows."""
    if outcome.time is None:
        raise ValueError("this endpoint is not a time")
    entry = None if outcome.entry is None else outcome.entry[rows]
    data = (outcome.time[rows], outcome.of_interest[rows], group[rows])
    if outcome.cluster is not None:
        return clustered_logrank(*data, outcome.cluster[rows], strata=strata, entry=entry)
    return logrank(*data, strata=strata, entry=entry)


def _proportional_hazards(
    cohort: Cohort, outcome: ShownOutcome, comparison: Comparison, found: Effect, rest: Mapping[str, Any]
) -> tuple[Estimate, tuple[tuple[Cell, ...], ...]]:
    """Score test of an effect that changes over time (Kaplan-Meier transform), from the unadjusted model."""
    name = f"primary.ph.p.{comparison.pair}"
    label = f"Proportional hazards, {comparison.label}"
    if not found.relative.ok:
        return p_estimate(name, label, np.nan, "not_estimable", found.relative.reason, "", rest), ()
    data = _arrays(cohort, outcome, comparison.rows)
    fit = cox(
        data["time"],
        data["event"],
        comparison.treated[comparison.rows],
        strata=data["strata"],
        entry=data["entry"],
        names=(comparison.treatment,),
    )
    test = ph_test(fit, transform="km").covariates[comparison.treatment]
    clustered = "" if outcome.cluster is None else ", rows taken as independent"
    words = {**rest, "method": f"{PH_METHOD}{clustered}"}
    estimate = p_estimate(name, label, test.p, test.status, test.reason, test.null_hypothesis, words)
    row = (comparison.treatment, comparison.label, test.statistic, test.df, test.p)
    return estimate, (row,) if test.status == "ok" else ()


def _maxcombo(cohort: Cohort, outcome: ShownOutcome, comparison: Comparison, rest: Mapping[str, Any]) -> Estimate:
    data = _arrays(cohort, outcome, comparison.rows)
    arm = comparison.treated[comparison.rows]
    test = maxcombo(data["time"], data["event"], arm, strata=data["strata"], entry=data["entry"])
    weights = ", ".join(f"({rho:g}, {gamma:g})" for rho, gamma in test.weights)
    stratified = "" if data["strata"] is None else "stratified "
    words = {**rest, "method": f"{stratified}MaxCombo test, Fleming-Harrington weights {weights}"}
    name, label = f"primary.maxcombo.p.{comparison.pair}", f"MaxCombo test, {comparison.label}"
    return p_estimate(name, label, test.p, test.status, test.reason, test.null_hypothesis, words)
