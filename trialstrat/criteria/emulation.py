"""The trial emulated under any subset of the criteria: everybody with an outcome, who meets what, and the weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from trialstrat.cohort.cohort import Cohort
from trialstrat.cohort.shown import ShownOutcome, shown_outcome
from trialstrat.disclosure.cells import is_small
from trialstrat.errors import InvalidInputError
from trialstrat.stats.partial_likelihood import independent_columns
from trialstrat.stats.propensity import propensity, propensity_weights
from trialstrat.stats.subset_effects import (
    MOST_CRITERIA,
    SubsetData,
    SubsetEffects,
    Weighting,
    evaluate_subsets,
    penalised_weights,
    subset_data,
)
from trialstrat.subgroups.adjusted import Coding, code_covariates
from trialstrat.subgroups.comparison import Comparison
from trialstrat.subgroups.effect import outcome_effect
from trialstrat.subgroups.scales import Effect, EffectOptions, counts_by_arm, no_effect

Mask = NDArray[np.bool_]
Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

WEIGHTING_WORDS: dict[Weighting, str] = {
    "none": "unweighted",
    "overlap": "propensity overlap weights",
    "stabilised": "stabilised inverse probability weights",
    "trialpathfinder": "TrialPathfinder's class-balanced stabilised weights",
}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Judged:
    """One criterion applied to all patients: who passes (``admits``, n) and in whom it is ``unknown`` (n)."""

    id: str
    kind: Literal["inclusion", "exclusion"]
    text: str
    admits: Mask
    unknown: Mask


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Emulation:
    """A comparison in all patients: who could be in it (``rows``, n), its patients' data and their ``bits``.

    ``data`` and ``bits`` are of the rows in use, in their order. ``players`` are the criteria that remove somebody
    among them; the others change nothing and are not in the bits. ``everybody`` (n, criteria) says who passes what.
    """

    comparison: Comparison
    outcome: ShownOutcome
    coding: Coding | None
    weighting: Weighting
    options: EffectOptions
    strata: NDArray[np.object_] | None
    rows: Mask
    lost: int
    data: SubsetData
    bits: Integers
    players: tuple[int, ...]
    everybody: NDArray[np.bool_]

    @property
    def n(self) -> int:
        """Patients of the comparison."""
        return int(self.rows.sum())

    @property
    def few_lost(self) -> bool:
        """Whether so few have an unknown confounder that the size of the comparison would tell how many."""
        return is_small(self.lost, self.outcome.minimum_cell)

    @property
    def shown_n(self) -> int | None:
        """Patients of the comparison, None where those left out would be its difference to everybody."""
        return None if self.few_lost else self.n

    @property
    def arm(self) -> Integers:
        """Arm of the rows in use, 1 treated."""
        return self.comparison.treated[self.rows]

    @property
    def timed(self) -> bool:
        """Whether the effect is a hazard ratio."""
        return self.outcome.timed

    def evaluate(self, masks: Integers, count: Floats | None = None, *, jobs: int = 1) -> SubsetEffects:
        """The effect in every coalition of ``players`` (``masks`` in their numbering)."""
        return evaluate_subsets(self.data, self.bits, masks, count=count, jobs=jobs)

    def effect(self, inside: Mask) -> Effect:
        """The weighted effect among the patients ``inside`` (n), with limits; weights are fitted among them."""
        rows = self.rows & inside
        weights, reason = self.weights(rows)
        if reason:
            return self.without_model(rows, reason)
        return outcome_effect(
            self.outcome, self.comparison.treated, rows, self.options, strata=self.strata, weights=weights
        )

    def without_model(self, rows: Mask, reason: str) -> Effect:
        """An effect that says why there is none."""
        counts = counts_by_arm(self.comparison.treated[rows], self.outcome.of_interest[rows])
        return no_effect(self.outcome.kind, counts, self.options.level, reason)

    def weights(self, rows: Mask) -> tuple[Floats | None, str]:
        """Weights (n) fitted among ``rows``; None without weighting, and the reason where there is no model."""
        if self.weighting == "none" or self.coding is None:
            return None, ""
        arm = self.comparison.treated[rows]
        if arm.size == 0 or arm.min() == arm.max():
            return None, "an arm is empty"
        values = self.coding.values[rows]
        out = np.zeros(len(rows))
        if self.weighting == "trialpathfinder":
            found, ok = penalised_weights(arm, values)
            if not ok:
                return None, "the penalised propensity model did not converge"
            out[rows] = found
            return out, ""
        score, reason = _score(arm, values)
        if reason:
            return None, f"no propensity model: {reason}"
        kind = "overlap" if self.weighting == "overlap" else "ate"
        out[rows] = propensity_weights(score, arm, estimand=kind, stabilised=kind == "ate").weights
        return out, ""


def _score(arm: Integers, values: Floats) -> tuple[Floats, str]:
    """Probability of treatment among some patients, and why there is none.

    Criteria may leave a confounder with one level, or without its reference level: columns that do not vary or follow
    from others are left out, which moves no probability; without any the probability is the share of the treated.
    """
    spread = values.std(axis=0)
    scaled = (values - values.mean(axis=0)) / np.where(np.ptp(values, axis=0) > 0, spread, 1.0)
    keep = independent_columns(scaled.T @ scaled / len(scaled), 1.0)
    if not keep.any():
        return np.full(arm.size, arm.mean()), ""
    model = propensity(arm, values[:, keep])
    return model.score, "" if model.status == "ok" else model.reason


def declared_weighting(cohort: Cohort) -> Weighting:
    """The weighting in force: as declared, or by how patients came into the arms."""
    arms, declared = cohort.protocol.arms, cohort.protocol.criteria.weighting
    if declared != "declared":
        return declared
    return "none" if arms is None or arms.allocation == "randomised" or not arms.confounders else "overlap"


def emulate(
    cohort: Cohort, judged: Sequence[Judged], comparison: Comparison, horizon: float | None = None
) -> Emulation:
    """Prepare a comparison in all patients of ``cohort`` (everybody with a usable outcome, before eligibility).

    ``horizon`` is that of the study's own analysis, in the unit of the report; by default that of these patients.
    """
    outcome = shown_outcome(cohort)
    if horizon is not None:
        outcome = replace(outcome, horizon=horizon)
    arms, analysis = cohort.protocol.arms, cohort.protocol.analysis
    weighting = declared_weighting(cohort)
    coding = None
    rows = comparison.rows
    if weighting != "none" and arms is not None:
        coding = code_covariates(cohort, arms.confounders)
        rows = rows & coding.known
    everybody = (
        np.column_stack([entry.admits for entry in judged]) if judged else np.empty((cohort.n, 0), dtype=np.bool_)
    )
    players = tuple(int(at) for at in np.flatnonzero(~everybody[rows].all(axis=0)))
    if len(players) > MOST_CRITERIA:
        raise InvalidInputError(f"{len(players)} criteria remove patients; at most {MOST_CRITERIA} can be ranked")
    powers = np.int64(1) << np.arange(len(players), dtype=np.int64)
    competing = outcome.kind == "competing"
    strata = None if cohort.strata is None or weighting != "none" else cohort.strata
    data = subset_data(
        comparison.treated[rows],
        time=None if outcome.time is None else outcome.time[rows],
        event=None if outcome.kind == "continuous" else outcome.of_interest[rows],
        value=None if outcome.value is None else outcome.value[rows],
        entry=None if outcome.entry is None else outcome.entry[rows],
        strata=None if strata is None else np.unique(strata[rows].astype(str), return_inverse=True)[1],
        covariates=None if coding is None else coding.values[rows],
        weighting=weighting,
        tau=None if competing else outcome.horizon,
    )
    return Emulation(
        comparison=comparison,
        outcome=outcome,
        coding=coding,
        weighting=weighting,
        options=EffectOptions(
            tau=outcome.horizon, level=analysis.level, minimum_events=analysis.minimum_events, unit=outcome.unit
        ),
        strata=strata,
        rows=rows,
        lost=int((comparison.rows & ~rows).sum()),
        data=data,
        bits=everybody[rows][:, list(players)].astype(np.int64) @ powers,
        players=players,
        everybody=everybody,
    )
