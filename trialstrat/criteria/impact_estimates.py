"""The numbers of the impact stage: emulated effects by set of criteria, Shapley values, benchmark, sample sizes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from trialstrat.cohort.cohort import Cohort
from trialstrat.cohort.shown import said_horizon
from trialstrat.criteria.benchmark import DEFINITION, Benchmark
from trialstrat.criteria.emulation import WEIGHTING_WORDS, Emulation
from trialstrat.criteria.pool import beside
from trialstrat.criteria.ranking import Ranking
from trialstrat.results import Estimate
from trialstrat.stats.propensity import effective_sample_size
from trialstrat.subgroups.effect import Effect
from trialstrat.subgroups.scales import ScaleEffect


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Compared:
    """One comparison: the emulation, its ranking, the benchmark (None without a published effect), effects by set."""

    emulation: Emulation
    ranking: Ranking
    benchmark: Benchmark | None
    effects: Mapping[str, Effect]
    criteria: tuple[str, ...]
    withheld: str

    @property
    def pair(self) -> str:
        """The last part of the names."""
        return self.emulation.comparison.pair


SETS = {
    "none": "no criterion applied",
    "all": "all criteria applied",
    "kept": "only criteria kept by the sign of their contribution, judged on the patients that chose them",
    "cross_fitted": "only criteria kept by the sign of their contribution, chosen and judged on different patients",
}


def estimates_of(one: Compared, everyone: Cohort, scale: str) -> list[Estimate]:
    """The emulated effects by set, the benchmark, Shapley values and effective sample sizes."""
    shared = {"evidence": "exploratory", "level": everyone.protocol.analysis.level}
    out: list[Estimate] = []
    for name in ("none", "all", "kept"):
        found = one.effects.get(name)
        out += _of_set(one, name, None if found is None else (found.relative, found.absolute), found, shared)
    out += _crossed(one, shared)
    out += _benchmark(one, shared)
    for measure in dict.fromkeys(("log_hazard_ratio", scale, "absolute")):
        out += _shapley(one, measure, shared)
    return [*out, *_sample_sizes(one, shared)]


def _stems(one: Compared) -> tuple[tuple[str, str], ...]:
    """Name and label of the two scales of the effect."""
    kind = one.emulation.outcome.kind
    until = said_horizon(one.emulation.outcome)
    return {
        "time_to_event": (
            ("hazard_ratio", "hazard ratio"),
            ("rmst.difference", f"difference of restricted mean time up to {until}"),
        ),
        "competing": (
            ("hazard_ratio", "cause-specific hazard ratio"),
            ("cif.difference", f"difference of cumulative incidence at {until}"),
        ),
        "binary": (("odds_ratio", "odds ratio"), ("risk_difference", "risk difference")),
        "continuous": (("ratio", "ratio"), ("mean_difference", "mean difference")),
    }[kind]


def _of_set(
    one: Compared, name: str, scales: tuple[ScaleEffect, ScaleEffect] | None, found: Effect | None, shared: Mapping
) -> list[Estimate]:
    out = []
    for at, (stem, label) in enumerate(_stems(one)):
        if stem == "ratio":
            continue
        ident = f"impact.{name}.{stem}.{one.pair}"
        text = f"Emulated {label}, {one.emulation.comparison.label}, {SETS[name]}"
        rest = {key: value for key, value in shared.items() if key != "level"} | {"population": SETS[name]}
        if scales is None or found is None:
            out.append(Estimate.not_estimable(ident, text, one.ranking.reason, **rest))
        else:
            counted = _counted(one, found.n, found.events)
            out.append(scales[at].estimate(ident, text, **rest, **counted))
    return out


def _counted(one: Compared, n: int, events: int) -> dict[str, int]:
    """Counts of a set; those of sets other than the study's own are coarse, so that differences show no small cell."""
    own, cell = one.effects["all"], one.emulation.outcome.minimum_cell
    shown = {"n": beside(n, own.n, cell), "events": beside(events, own.events, cell)}
    return {"n": shown["n"]} if one.emulation.outcome.kind == "continuous" else shown


def _crossed(one: Compared, shared: Mapping[str, Any]) -> list[Estimate]:
    out = []
    for (stem, label), side in zip(_stems(one), ("relative", "absolute"), strict=True):
        if stem == "ratio":
            continue
        ident = f"impact.cross_fitted.{stem}.{one.pair}"
        text = f"Emulated {label}, {one.emulation.comparison.label}, {SETS['cross_fitted']}"
        found = one.ranking.crossed.get(side)
        rest = {
            **shared,
            "unit": "" if found is None else found.unit,
            "population": SETS["cross_fitted"],
            "method": "median of repeated cross-fitting",
        }
        if found is None or found.reason:
            reason = one.ranking.reason if found is None else found.reason
            out.append(Estimate.not_estimable(ident, text, reason or "no criterion removes anybody", **rest))
        else:
            counted = _counted(one, found.n, found.events)
            limits = {"value": found.value, "lower": found.lower, "upper": found.upper}
            out.append(Estimate(name=ident, label=text, **limits, **counted, **rest))
    return out


def _benchmark(one: Compared, shared: Mapping[str, Any]) -> list[Estimate]:
    found = one.benchmark
    if found is None:
        return []
    rest = {**shared, "unit": "log hazard ratio", "method": DEFINITION, "population": SETS["all"]}
    name = f"impact.benchmark.difference.{one.pair}"
    label = f"Emulated minus published log hazard ratio, {one.emulation.comparison.label}"
    rest["null_hypothesis"] = "the emulated and the published trial estimate the same hazard ratio"
    if not np.isfinite(found.difference):
        return [Estimate.not_estimable(name, label, found.reason, **rest)]
    return [Estimate(name=name, label=label, value=found.difference, lower=found.lower, upper=found.upper, **rest)]


_SCALES = {"log_hazard_ratio": "log ratio", "hazard_ratio": "ratio"}


def _shapley(one: Compared, measure: str, shared: Mapping[str, Any]) -> list[Estimate]:
    values = one.ranking.shapley[measure]
    if measure != "absolute" and one.emulation.outcome.kind == "continuous":
        return []
    if measure == "absolute" and one.emulation.outcome.kind == "competing":
        return []
    absolute = "probability" if one.emulation.outcome.kind == "binary" else one.emulation.options.unit
    unit = absolute if measure == "absolute" else _SCALES[measure]
    how = "exact" if not one.ranking.orders else f"sampled over {one.ranking.orders} orders"
    out = []
    for at, criterion in enumerate(one.criteria):
        ident = f"impact.shapley.{measure}.{one.pair}.{criterion}"
        text = f"Contribution of {criterion} to the effect, {one.emulation.comparison.label}"
        limits = {"lower": float(values.lower[at]), "upper": float(values.upper[at])}
        if np.isfinite(limits["lower"]):
            bounds = "bootstrap percentile limits"
        elif at not in one.emulation.players:
            bounds = "no limits: it removes nobody here, more patients might show otherwise"
        else:
            bounds = f"no limits: {values.unbounded}"
        rest = {**shared, "unit": unit, "method": f"Shapley value ({how}), {bounds}"}
        value = float(values.value[at])
        if not np.isfinite(value):
            reason = one.ranking.reason or values.reason
            out.append(Estimate.not_estimable(ident, text, reason, **rest))
        else:
            out.append(Estimate(name=ident, label=text, value=value, **limits, n=one.emulation.shown_n, **rest))
    return out


def _sample_sizes(one: Compared, shared: Mapping[str, Any]) -> list[Estimate]:
    """Patients of equal weight that carry as much information as the weighted arms, all criteria applied."""
    emulation = one.emulation
    rows = emulation.rows & emulation.everybody.all(axis=1)
    weights, reason = emulation.weights(rows)
    if emulation.weighting == "none":
        return []
    out = []
    for name, code in ((emulation.comparison.control, 0), (emulation.comparison.treatment, 1)):
        members = rows & (emulation.comparison.treated == code)
        rest = {
            "unit": "effective patients",
            "method": WEIGHTING_WORDS[emulation.weighting],
            "population": SETS["all"],
            "n": int(members.sum()),
            "evidence": shared["evidence"],
        }
        ident, text = f"impact.all.ess.{one.pair}.{name}", f"Effective sample size, {name}, {SETS['all']}"
        if weights is None:
            out.append(Estimate.not_estimable(ident, text, reason, **rest))
        else:
            out.append(Estimate(name=ident, label=text, value=effective_sample_size(weights[members]), **rest))
    return out
