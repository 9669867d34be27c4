"""Scores a rule search on simulated trials: claims, overlap with the truth, bias and coverage of its effects."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np

from tests.simulation.trials import SCENARIOS, Trial, trial
from tests.simulation.varied import varied_null
from trialstrat.cohort.language.states import MET, conjunction, evaluate_condition
from trialstrat.cohort.shown import ShownOutcome
from trialstrat.subgroups.literals import markers_of
from trialstrat.subgroups.null_model import CoxSums
from trialstrat.subgroups.rule_search import RuleOptions, Searched, SearchInput, estimate_rule, find_best
from trialstrat.subgroups.scales import EffectOptions

POPULATION = 60_000


@dataclass(frozen=True)
class Score:
    """One trial. ``rows``: by (set, kind) the log HR error, its coverage, the width, and the truth.

    ``jaccard`` is the overlap with the true subgroup, of a single condition that of the better side; ``strict`` that
    of the shown members.
    """

    claimed: bool
    jaccard: float
    strict: float
    rows: dict = field(default_factory=dict)


@lru_cache(maxsize=8)
def population(name: str) -> Trial:
    """A very large trial of the same scenario."""
    return trial(np.random.default_rng(987_654_321), name, POPULATION)


def log_hazard_ratio(time: np.ndarray, event: np.ndarray, treated: np.ndarray) -> float:
    """Cox model with treatment alone (no ties worth the name)."""
    data = CoxSums(time, event, None, np.ones(len(time)))
    X = treated[:, None].astype(float)
    coef = np.zeros(1)
    for _ in range(30):
        gradient, information = data.derivatives(X, coef)
        step = gradient / information[0]
        coef = coef + step
        if abs(step[0]) < 1e-8:
            break
    return float(coef[0])


def true_members(name: str, effect: np.ndarray) -> np.ndarray:
    """The true subgroup of a scenario: harmed, or for ``pgr40`` those who benefit."""
    return effect < -0.1 if name == "pgr40" else effect > 0


def first_phase(name: str, seed: int, options: RuleOptions) -> tuple[Searched, Trial, np.random.Generator]:
    """One trial and its search, before any effect is estimated."""
    rng = np.random.default_rng([seed, 7])
    made = varied_null(rng) if name == "varied" else trial(rng, name)
    data = SearchInput(
        frame=made.frame,
        markers=markers_of(made.frame, list(made.frame)),
        outcome=outcome_of(made),
        treated=made.treated,
    )
    return find_best(data, options, rng=rng), made, rng


def outcome_of(made: Trial) -> ShownOutcome:
    return ShownOutcome(
        label="event", kind="time_to_event", unit="days", time=made.time, event=made.event, entry=None, value=None,
        horizon=None, horizon_declared=False,
    )  # fmt: skip


def score(name: str, seed: int, options: RuleOptions) -> Score:
    """Search one trial; effects are estimated and scored only where a rule is claimed."""
    searched, made, rng = first_phase(name, seed, options)
    if not searched.found.claimed:
        return Score(claimed=False, jaccard=0.0, strict=0.0)
    found = estimate_rule(searched, EffectOptions(tau=None, minimum_events=1), rng=rng)
    truth = true_members(name, made.effect)
    overlap = [float((m & truth).sum() / max(1, (m | truth).sum())) for m in (found.members, found.others)]
    sides = overlap if len(found.conditions) == 1 else overlap[:1]
    large = population(name)
    inside = conjunction([evaluate_condition(entry, large.frame) for entry in found.conditions]) == MET
    true = [log_hazard_ratio(large.time[m], large.event[m], large.treated[m]) for m in (inside, ~inside)]
    target = {"rule": true[0], "complement": true[1], "interaction": true[0] - true[1]}
    rows = {}
    for entry in found.effects:
        if entry.scale == "hazard_ratio" and entry.status == "ok":
            low, high, at = np.log(entry.lower), np.log(entry.upper), target[entry.set]
            rows[entry.set, entry.kind] = (np.log(entry.value) - at, low <= at <= high, high - low, at, low > at)
    rows["share"] = (found.correction.bias, found.correction.widening, found.correction.power, found.search.z)
    return Score(claimed=True, jaccard=max(sides), strict=overlap[0], rows=rows)


def summarise(scores: list[Score]) -> dict:
    """Claims, power, and per (set, kind): mean relative error of the HR, of the log HR, coverage, mean width."""
    out = {
        "n": len(scores),
        "claimed": np.mean([s.claimed for s in scores]),
        "power": np.mean([s.claimed and s.jaccard >= 0.5 for s in scores]),
        "strict": np.mean([s.claimed and s.strict >= 0.5 for s in scores]),
    }
    rows = [s.rows for s in scores if s.rows]
    for key in (k for k in (rows[0] if rows else {}) if k != "share"):
        values = np.array([row[key] for row in rows if key in row], dtype=float)
        out[key] = {
            "bias": float(np.mean(np.exp(values[:, 0])) - 1),
            "log_bias": float(values[:, 0].mean()),
            "coverage": float(values[:, 1].mean()),
            "low_miss": float(values[:, 4].mean()),
            "width": float(values[:, 2].mean()),
        }
    return out


def scenarios() -> list[str]:
    return list(SCENARIOS)
