"""From patients, markers and an outcome to a rule with honest effects: the whole search in one call."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from trialstrat.cohort.shown import ShownOutcome
from trialstrat.errors import InvalidInputError, NotEstimableError
from trialstrat.protocol.model import Condition
from trialstrat.subgroups.conjunctions import Conjunctions, conjunctions
from trialstrat.subgroups.correction import Correction, correct
from trialstrat.subgroups.literals import Marker, rule_text, splits
from trialstrat.subgroups.null_model import MainEffects, NullFit, main_effects, normal_scores, null_fit
from trialstrat.subgroups.rule_effects import RuleEffect, rule_effects
from trialstrat.subgroups.rule_prior import Prior, prognostic_prior
from trialstrat.subgroups.rules import SIZE, SLOPE, Search, Trial, rule_differences, search, sums
from trialstrat.subgroups.scales import EffectOptions
from trialstrat.subgroups.shrinkage import Shrinkage, shrinkage
from trialstrat.subgroups.stability import Stability, stability

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Direction = Literal["either", "benefit", "harm"]

#: Rules shown beside the best one.
SHOWN = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleOptions:
    """What is searched, and how hard. ``minimum_size`` is the least share of the patients inside and outside a rule.

    ``minimum_events`` is per arm, inside and outside (patients for a continuous outcome). ``worlds`` are the simulated
    trials per size of the true difference of the correction, ``resamples`` those of the stability; 0 leaves it out.
    """

    max_conditions: int = 2
    minimum_size: float = 0.1
    minimum_events: int = 10
    direction: Direction = "either"
    alpha: float = 0.05
    level: float = 0.95
    permutations: int = 500
    worlds: int = 150
    resamples: int = 200
    favourable: Literal["lower", "higher"] = "lower"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SearchInput:
    """Patients to search: markers in ``frame`` (n rows), the outcome, treatment 0/1 (n,).

    ``strata`` (n,) are randomisation strata. ``propensity`` (n,) makes the analysis weighted by overlap weights, with
    labels exchanged within bands of the propensity.
    """

    frame: pd.DataFrame
    markers: tuple[Marker, ...]
    outcome: ShownOutcome
    treated: Ints
    strata: NDArray[Any] | None = None
    propensity: Floats | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RuleFound:
    """The result of a search.

    Attributes
    ----------
    search : the global test and the best rule
    rules : all candidate rules
    conditions, text : the best rule, shown whether claimed or not
    members, others : (n,) patients who meet it, and those whose values are known and who do not
    effects : naive, corrected and shrunken effects
    correction, shrinkage, stability : how they were made
    tested : candidate rules by number of conditions
    top : the best rules: (text, statistic, patients, events)
    """

    search: Search
    rules: Conjunctions = field(repr=False)
    conditions: tuple[Condition, ...]
    text: str
    members: Bools = field(repr=False)
    others: Bools = field(repr=False)
    effects: tuple[RuleEffect, ...]
    correction: Correction
    shrinkage: Shrinkage
    stability: Stability | None
    method: str
    tested: tuple[int, ...]
    top: tuple[tuple[str, float, int, int], ...]

    @property
    def claimed(self) -> bool:
        """Whether heterogeneity is established, so that the rule may be called predictive."""
        return self.search.claimed


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Searched:
    """The first phase: the global test and the best rule, before any effect is estimated."""

    data: SearchInput
    options: RuleOptions
    trial: Trial
    rules: Conjunctions
    scores: Floats
    found: Search
    method: str
    sign: int


def search_rule(
    data: SearchInput, effect: EffectOptions, options: RuleOptions, *, rng: np.random.Generator
) -> RuleFound:
    """Test for heterogeneity of the treatment effect, find the best rule, and estimate its effects honestly.

    Raises
    ------
    InvalidInputError
        No marker can be cut, or options are impossible.
    NotEstimableError
        An arm has too few events for any rule; says how many would suffice.
    """
    return estimate_rule(find_best(data, options, rng=rng), effect, rng=rng)


def find_best(data: SearchInput, options: RuleOptions, *, rng: np.random.Generator) -> Searched:
    """The global test and the best rule; raises as :func:`search_rule`."""
    _check(data, options)
    prognosis = main_effects(data.frame, data.markers)
    trial, fit = _trial(data, prognosis)
    rules = _candidates(data, options)
    scores = _scores(data)
    sign = {"either": 0, "benefit": -1, "harm": 1}[options.direction] * (1 if larger_is_harm(data, options) else -1)
    found = search(
        trial, rules, scores, _prior(data, trial, rules, fit, prognosis), rng=rng, alpha=options.alpha,
        permutations=options.permutations, direction=sign,
    )  # fmt: skip
    return Searched(
        data=data, options=options, trial=trial, rules=rules, scores=scores, found=found, method=fit.method, sign=sign
    )


def estimate_rule(searched: Searched, effect: EffectOptions, *, rng: np.random.Generator) -> RuleFound:
    """Effects of the rule that was found: naive, corrected, shrunken; and how stable the rule is."""
    data, options, trial, rules, found = (
        searched.data, searched.options, searched.trial, searched.rules, searched.found
    )  # fmt: skip
    members, others, conditions = _oriented(trial, rules, found, searched.sign)
    correction = correct(trial, rules, searched.scores, found, rng=rng, worlds=options.worlds)
    shrunken = _shrinkage(trial, rules, found)
    how: dict[str, Any] = {"strata": data.strata}
    if data.propensity is not None:
        how = {"weights": np.where(data.treated == 1, 1.0 - data.propensity, data.propensity)}
    effects = rule_effects(
        data.outcome, data.treated, members, others, effect, correction=correction, shrinkage=shrunken, **how
    )
    steady = stability(trial, rules, found, rng=rng, resamples=options.resamples) if options.resamples else None
    titles = {marker.column: marker.title for marker in data.markers}
    return RuleFound(
        search=found, rules=rules, conditions=conditions, text=rule_text(conditions, titles), members=members,
        others=others, effects=effects, correction=correction, shrinkage=shrunken, stability=steady,
        method=searched.method,
        tested=tuple(int((rules.depth == d).sum()) for d in range(1, int(rules.depth.max()) + 1)),
        top=_top(data, trial, rules, titles),
    )  # fmt: skip


def larger_is_harm(data: SearchInput, options: RuleOptions) -> bool:
    """Whether a larger effect of treatment is a harm: events are, unless higher values are declared favourable."""
    return data.outcome.timed or options.favourable == "lower"


def _check(data: SearchInput, options: RuleOptions) -> None:
    if not data.markers:
        raise InvalidInputError("markers: none are named; name at least one column measured before time zero")
    if not 1 <= options.max_conditions <= 3:
        raise InvalidInputError(f"max_conditions is {options.max_conditions}; it must be 1, 2 or 3")
    if not 0 < options.minimum_size < 0.5:
        raise InvalidInputError(f"minimum_size is {options.minimum_size}; it must lie between 0 and 0.5")
    events = np.ones(len(data.treated)) if data.outcome.kind == "continuous" else data.outcome.of_interest
    what = "patients" if data.outcome.kind == "continuous" else "events"
    need = 2 * options.minimum_events
    for name, arm in (("control", 0), ("treated", 1)):
        seen = int(events[data.treated == arm].sum())
        if seen < need:
            raise NotEstimableError(
                f"rule search: the {name} arm has fewer than {need} {what}; a rule and its complement need "
                f"{options.minimum_events} each per arm, so {need} per arm are the least that could suffice"
            )


def _trial(data: SearchInput, prognosis: MainEffects) -> tuple[Trial, NullFit]:
    weights = None
    blocks = np.zeros(len(data.treated), dtype=np.int64)
    if data.strata is not None:
        blocks = np.unique(data.strata.astype(str), return_inverse=True)[1].astype(np.int64)
    inside: dict[str, Floats | None] = {"weight_treated": None, "weight_control": None}
    if data.propensity is not None:
        weights = np.where(data.treated == 1, 1.0 - data.propensity, data.propensity)
        blocks = _bands(data.propensity)
        inside = {"weight_treated": 1.0 - data.propensity, "weight_control": data.propensity}
    fit = null_fit(data.outcome, data.treated, prognosis.columns, weights)
    trial = Trial(
        treated=data.treated.astype(np.int64), residual=fit.residual, expected=fit.expected, blocks=blocks,
        counts=data.outcome.timed and data.propensity is None, unit=_unit(data, fit.expected), **inside,
    )  # fmt: skip
    return trial, fit


def _unit(data: SearchInput, expected: Floats) -> float:
    """Half a residual standard deviation of a continuous outcome is as large an effect as a log ratio of 1."""
    return float(0.5 / np.sqrt(expected.mean())) if data.outcome.kind == "continuous" else 1.0


def _prior(data: SearchInput, trial: Trial, rules: Conjunctions, fit: NullFit, prognosis: MainEffects) -> Prior:
    alone = null_fit(data.outcome, data.treated, np.zeros((trial.n, 0)))
    numeric = np.flatnonzero([not marker.levels for marker in data.markers])
    return prognostic_prior(
        rules, numeric, alone, fit, prognosis.owner, size=SIZE * trial.unit, slope=SLOPE * trial.unit
    )


def _bands(propensity: Floats, count: int = 10) -> Ints:
    edges = np.quantile(propensity, np.linspace(0, 1, count + 1)[1:-1])
    return np.searchsorted(edges, propensity).astype(np.int64)


def _candidates(data: SearchInput, options: RuleOptions) -> Conjunctions:
    n = len(data.treated)
    least = max(int(np.ceil(options.minimum_size * n)), 2 * options.minimum_events)
    made = splits(data.frame, data.markers, least)
    rules = conjunctions(made, min(options.max_conditions, len(np.unique(made.marker))))
    events = np.ones(n) if data.outcome.kind == "continuous" else data.outcome.of_interest.astype(np.float64)
    size = rules.sums(np.ones(n))
    keep = (size >= least) & (n - size >= least)
    for arm in (0, 1):
        own = events * (data.treated == arm)
        inside = rules.sums(own)
        keep &= (inside >= options.minimum_events) & (own.sum() - inside >= options.minimum_events)
    if not keep.any():
        raise NotEstimableError(
            f"rule search: no rule has {options.minimum_events} events per arm inside and outside; about "
            f"{int(np.ceil(2 * options.minimum_events / options.minimum_size))} events in all would suffice"
        )
    return rules.keep(keep)


def _scores(data: SearchInput) -> Floats:
    columns = [
        normal_scores(
            data.frame[m.column].to_numpy(dtype=np.float64, na_value=np.nan), data.frame[m.column].notna().to_numpy()
        )
        for m in data.markers
        if not m.levels
    ]
    return np.column_stack(columns) if columns else np.zeros((len(data.treated), 0))


def _oriented(
    trial: Trial, rules: Conjunctions, found: Search, sign: int
) -> tuple[Bools, Bools, tuple[Condition, ...]]:
    """The side of the best rule that is shown: of a single split the wanted direction, else the smaller side."""
    inside = rules.members(found.rule)
    known = np.ones(len(inside), dtype=np.bool_)
    used = [int(s) for s in rules.members_of[found.rule] if s >= 0]
    for s in used:
        known &= rules.splits.known[rules.splits.marker[s]]
    conditions = rules.conditions(found.rule)
    if len(used) > 1:
        return inside, known & ~inside, conditions
    expected = trial.expected
    flip = found.z * sign < 0 if sign else float(expected[inside].sum()) > float(expected[known & ~inside].sum())
    if not flip:
        return inside, known & ~inside, conditions
    return known & ~inside, inside, (rules.splits.high[used[0]],)


def _shrinkage(trial: Trial, rules: Conjunctions, found: Search) -> Shrinkage:
    single = np.flatnonzero(rules.depth == 1)
    own = sums(trial, rules.base, trial.treated[:, None].astype(np.float64))
    value, variance = rule_differences(own, rules, np.append(single, found.rule))
    markers = rules.splits.marker[rules.members_of[single, 0]]
    return shrinkage(value[:-1], variance[:-1], markers, float(value[-1]), float(variance[-1]))


def _top(
    data: SearchInput, trial: Trial, rules: Conjunctions, titles: dict[str, str]
) -> tuple[tuple[str, float, int, int], ...]:
    """The rules with the largest statistics, one per set of markers."""
    own = sums(trial, rules.base, trial.treated[:, None].astype(np.float64))
    value, variance = rule_differences(own, rules, np.arange(rules.size))
    z = value / np.sqrt(np.where(variance > 0, variance, np.inf))
    shown: list[tuple[str, float, int, int]] = []
    seen: set[tuple[int, ...]] = set()
    for rule in np.argsort(-np.abs(z), kind="stable"):
        used = tuple(sorted(int(rules.splits.marker[s]) for s in rules.members_of[rule] if s >= 0))
        if used in seen:
            continue
        seen.add(used)
        members = rules.members(int(rule))
        events = int(data.outcome.of_interest[members].sum())
        shown.append((rule_text(rules.conditions(int(rule)), titles), float(z[rule]), int(members.sum()), events))
        if len(shown) == SHOWN:
            break
    return tuple(shown)
