"""Outcomes simulated on the patients of a study: the fitted prognosis, a declared effect, the fitted censoring."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from trialstrat.cohort.shown import ShownOutcome
from trialstrat.subgroups.null_model import CoxSums, main_effects, null_fit
from trialstrat.subgroups.rule_search import SearchInput

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Clock:
    """A cumulative hazard as steps joined by lines: ``height`` (k,) at ``time`` (k,), 0 at time 0."""

    time: Floats
    height: Floats

    def draw(self, rate: Floats, rng: np.random.Generator) -> Floats:
        """Times of events at ``rate`` times the hazard; infinite beyond the last step."""
        if not len(self.time):
            return np.full(len(rate), np.inf)
        height = rng.exponential(size=len(rate)) / rate
        made = np.interp(height, np.concatenate([[0.0], self.height]), np.concatenate([[0.0], self.time]))
        return np.where(height > self.height[-1], np.inf, made)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OutcomeModel:
    """What outcomes are drawn from, per patient (n,); effects are log ratios, or differences of means.

    ``effect`` is the fitted effect of treatment in everybody. For times there are clocks of the event of interest, of
    the other causes and of censoring; entry times are kept as they are. ``rest`` are residuals of a continuous outcome.
    """

    outcome: ShownOutcome
    prognosis: Floats
    effect: float
    event: Clock | None = None
    other: Clock | None = None
    censoring: Clock | None = None
    rest: Floats | None = None

    def simulate(self, treated: Ints, effect: Floats, rng: np.random.Generator) -> ShownOutcome:
        """One outcome per patient; ``effect`` (n,) is that of treatment in each."""
        score = self.prognosis + effect * treated
        if self.event is not None:
            return self._times(score, rng)
        if self.rest is not None:
            value = score + rng.choice(self.rest, size=len(score))
            return replace(self.outcome, value=value)
        return replace(self.outcome, event=(rng.random(len(score)) < expit(score)).astype(np.int64))

    def _times(self, score: Floats, rng: np.random.Generator) -> ShownOutcome:
        if self.event is None or self.other is None or self.censoring is None or self.outcome.time is None:
            raise ValueError("this outcome model has no clocks")
        ones = np.ones(len(score))
        own = self.event.draw(np.exp(score), rng)
        other = self.other.draw(ones, rng)
        stop = np.minimum(self.censoring.draw(ones, rng), float(self.outcome.time.max()))
        entry = self.outcome.entry
        first = np.minimum(np.minimum(own, other), stop)
        event = np.where(own <= np.minimum(other, stop), 1, np.where(other <= stop, 2, 0)).astype(np.int64)
        smallest = 1e-6 * float(self.outcome.time.max())
        time = np.maximum(first, smallest if entry is None else entry + smallest)
        return replace(self.outcome, time=time, event=event)


def outcome_model(data: SearchInput) -> OutcomeModel:
    """Fit prognosis, overall effect, other causes and censoring to the patients at hand."""
    fit = null_fit(data.outcome, data.treated, main_effects(data.frame, data.markers).columns)
    outcome = data.outcome
    if outcome.time is None or outcome.event is None:
        rest = None
        if outcome.kind == "continuous" and outcome.value is not None:
            rest = outcome.value - fit.prognosis - fit.effect * data.treated
        return OutcomeModel(outcome=outcome, prognosis=fit.prognosis, effect=fit.effect, rest=rest)
    score = fit.prognosis + fit.effect * data.treated
    return OutcomeModel(
        outcome=outcome,
        prognosis=fit.prognosis,
        effect=fit.effect,
        event=_clock(outcome, outcome.of_interest, score),
        other=_clock(outcome, (outcome.event > 1).astype(np.int64), np.zeros(len(score))),
        censoring=_clock(outcome, (outcome.event == 0).astype(np.int64), np.zeros(len(score))),
    )


def _clock(outcome: ShownOutcome, event: Ints, score: Floats) -> Clock:
    if outcome.time is None or not event.any():
        return Clock(time=np.zeros(0), height=np.zeros(0))
    sums = CoxSums(outcome.time, event, outcome.entry, np.ones(len(score)))
    return Clock(time=sums.at, height=sums.cumulative(score))
