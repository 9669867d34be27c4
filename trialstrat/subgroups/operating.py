"""Operating characteristics of a rule search: one simulated trial scored against its truth, and many summarised."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from trialstrat.cohort.language.states import MET, conjunction, evaluate_condition
from trialstrat.cohort.shown import ShownOutcome
from trialstrat.protocol.model import Condition
from trialstrat.results import Cell, Column, Estimate, StageResult, Table
from trialstrat.stats.prediction_error import proportion
from trialstrat.subgroups.effect import outcome_effect
from trialstrat.subgroups.rule_effects import KINDS, SETS
from trialstrat.subgroups.rule_search import RuleFound, RuleOptions, SearchInput, estimate_rule, find_best
from trialstrat.subgroups.rule_worlds import OutcomeModel
from trialstrat.subgroups.scales import EffectOptions, ScaleEffect

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

#: Copies of the patients from whom the true effect of a claimed rule is computed.
COPIES = 25
#: Overlap (Jaccard) from which a claimed rule counts as the true one.
OVERLAP = 0.5
Record = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class World:
    """A truth: the effect of treatment in every patient (n,), and the true rule's members (None: the same in all)."""

    name: str
    effect: Floats
    members: Bools | None


def null_world(model: OutcomeModel) -> World:
    """The fitted effect in everybody."""
    return World(name="null", effect=np.full(len(model.prognosis), model.effect), members=None)


def rule_world(
    name: str, frame: pd.DataFrame, rule: Sequence[Condition], inside: float, outside: float, *, ratio: bool
) -> World:
    """One effect inside a rule and another outside; ``ratio`` says that they are given as ratios."""
    members = np.asarray(conjunction([evaluate_condition(entry, frame) for entry in rule]) == MET, dtype=np.bool_)
    one, two = (np.log(inside), np.log(outside)) if ratio else (inside, outside)
    return World(name=name, effect=np.where(members, one, two).astype(np.float64), members=members)


def simulate_trial(
    data: SearchInput, model: OutcomeModel, world: World, options: RuleOptions, *, rng: np.random.Generator
) -> Record:
    """Draw one trial of a world, search it, and score what was claimed.

    Treatment is drawn anew (labels exchanged within strata), covariates stay. A claimed rule's effects are compared
    with the effect of treatment among its own members in ``COPIES`` copies of the patients in this world.
    """
    treated = _relabelled(data, rng)
    outcome = model.simulate(treated, world.effect, rng)
    searched = find_best(replace(data, outcome=outcome, treated=treated), options, rng=rng)
    record: Record = {"world": world.name, "p": searched.found.p, "claimed": bool(searched.found.claimed)}
    if not searched.found.claimed:
        return record
    found = estimate_rule(searched, EffectOptions(tau=None, level=options.level), rng=rng)
    record["rule"] = found.text
    if world.members is not None:
        record |= _overlap(found, world.members)
    record["effects"] = _errors(data, found, model, world, options.level, rng)
    return record


def _relabelled(data: SearchInput, rng: np.random.Generator) -> NDArray[np.int64]:
    if data.propensity is not None:
        return (rng.random(len(data.treated)) < data.propensity).astype(np.int64)
    blocks = np.zeros(len(data.treated)) if data.strata is None else np.unique(data.strata, return_inverse=True)[1]
    treated = data.treated.copy()
    for block in np.unique(blocks):
        rows = np.flatnonzero(blocks == block)
        treated[rows] = rng.permutation(treated[rows])
    return treated


def _overlap(found: RuleFound, truth: Bools) -> Record:
    """How well claimed and true members agree; of a single condition the side that agrees more counts."""
    sides = [found.members, found.others] if len(found.conditions) == 1 else [found.members]
    jaccard = [float((side & truth).sum() / max(int((side | truth).sum()), 1)) for side in sides]
    side = sides[int(np.argmax(jaccard))]
    both = int((side & truth).sum())
    return {
        "jaccard": max(jaccard),
        "sensitivity": both / max(int(truth.sum()), 1),
        "ppv": both / max(int(side.sum()), 1),
    }


def _errors(
    data: SearchInput, found: RuleFound, model: OutcomeModel, world: World, level: float, rng: np.random.Generator
) -> dict[str, list[float]]:
    """By set and kind: error on the scale of symmetric limits, whether the limits hold the truth, and their width."""
    scale = next((e.scale for e in found.effects if e.status == "ok"), None)
    if scale is None:
        return {}
    true = true_effects(data, found, model, world, level, rng)
    ratio = "ratio" in scale
    out: dict[str, list[float]] = {}
    for entry in found.effects:
        if entry.scale != scale or entry.status != "ok" or not np.isfinite(true[entry.set]):
            continue
        values = np.array([entry.value, entry.lower, entry.upper])
        value, lower, upper = (float(x) for x in (np.log(values) if ratio else values))
        at = true[entry.set]
        out[f"{entry.set}.{entry.kind}"] = [value - at, float(lower <= at <= upper), upper - lower]
    return out


def true_effects(
    data: SearchInput, found: RuleFound, model: OutcomeModel, world: World, level: float, rng: np.random.Generator
) -> dict[str, float]:
    """Effect inside, outside and their difference in many simulated copies of the patients (log scale for ratios)."""
    rows = np.tile(np.arange(len(data.treated)), COPIES)
    # half treated, half control: the truth does not depend on the allocation
    treated = rng.permutation(np.arange(len(rows)) % 2).astype(np.int64)
    large = replace(model, outcome=_repeat(model.outcome, rows), prognosis=model.prognosis[rows])
    outcome = large.simulate(treated, world.effect[rows], rng)
    options = EffectOptions(tau=None, level=level)
    values = []
    for side in (found.members, found.others):
        effect = outcome_effect(outcome, treated, side[rows], options)
        values.append(_value(effect.relative if effect.relative.ok else effect.absolute))
    return {"rule": values[0], "complement": values[1], "interaction": values[0] - values[1]}


def _repeat(outcome: ShownOutcome, rows: NDArray[np.int64]) -> ShownOutcome:
    def of(values: NDArray[Any] | None) -> NDArray[Any] | None:
        return None if values is None else values[rows]

    return replace(
        outcome, time=of(outcome.time), event=of(outcome.event), entry=of(outcome.entry), value=of(outcome.value)
    )


def _value(effect: ScaleEffect) -> float:
    if not effect.ok:
        return float("nan")
    return float(np.log(effect.value)) if effect.ratio else effect.value


# -- summary ---------------------------------------------------------------------------------------------------------


def summarise(records: Sequence[Mapping[str, Any]], names: Sequence[str], *, ratio: bool, level: float) -> StageResult:
    """Stage "calibration": claims, power, agreement with the truth, and bias and coverage of the three estimates."""
    worlds: list[tuple[Cell, ...]] = []
    effects: list[tuple[Cell, ...]] = []
    estimates: list[Estimate] = []
    for name in names:
        mine = [record for record in records if record["world"] == name]
        if not mine:
            continue
        claimed = [record for record in mine if record["claimed"]]
        rate = proportion(len(claimed), len(mine), level)
        hit = sum(record.get("jaccard", 0.0) >= OVERLAP for record in claimed)
        power: tuple[Cell, ...] = (None, None, None) if name == "null" else proportion(hit, len(mine), level)
        agreement = [_mean(claimed, key) for key in ("sensitivity", "ppv")]
        worlds.append((name, len(mine), *rate, *power, *agreement))
        what = "Any rule claimed where there is none" if name == "null" else f"A rule claimed, {name}"
        estimates.append(
            Estimate(
                name=f"calibration.{name}.any_rule", label=what, value=rate[0], lower=rate[1], upper=rate[2],
                level=level, unit="probability", method="simulation, Wilson limits", n=len(mine),
            )
        )  # fmt: skip
        effects += _effect_rows(name, claimed, ratio=ratio, level=level)
    return StageResult(
        stage="calibration",
        estimates=tuple(estimates),
        tables=(_worlds_table(worlds), _effects_table(effects, ratio=ratio)),
        facts={"scale": "ratio" if ratio else "difference", "overlap": f"{OVERLAP:g}"},
    )


def _mean(records: Sequence[Mapping[str, Any]], key: str) -> float | None:
    values = [record[key] for record in records if key in record]
    return float(np.mean(values)) if values else None


def _effect_rows(
    name: str, claimed: Sequence[Mapping[str, Any]], *, ratio: bool, level: float
) -> list[tuple[Cell, ...]]:
    rows: list[tuple[Cell, ...]] = []
    for part in SETS:
        for kind in KINDS:
            key = f"{part}.{kind}"
            values = np.array([record["effects"][key] for record in claimed if key in record.get("effects", {})])
            if not len(values):
                continue
            error = np.exp(values[:, 0]) - 1.0 if ratio else values[:, 0]
            noise = float(error.std(ddof=1) / np.sqrt(len(error))) if len(error) > 1 else None
            cover = proportion(int(values[:, 1].sum()), len(values), level)
            rows.append((name, part, kind, len(values), float(error.mean()), noise, *cover, float(values[:, 2].mean())))
    return rows


def _worlds_table(rows: Sequence[tuple[Cell, ...]]) -> Table:
    shares = (
        ("claimed", "A rule claimed"), ("claimed_lower", "Lower limit"), ("claimed_upper", "Upper limit"),
        ("power", "The true rule claimed"), ("power_lower", "Lower limit"), ("power_upper", "Upper limit"),
        ("sensitivity", "True members found"), ("ppv", "Claimed members true"),
    )  # fmt: skip
    return Table(
        name="calibration.worlds",
        title="What the search claims",
        columns=(
            Column(key="world", label="World"),
            Column(key="trials", label="Trials", kind="number"),
            *(Column(key=key, label=label, kind="percent") for key, label in shares),
        ),
        rows=tuple(rows),
        note=f"Simulated on the study's own covariates. The true rule counts as claimed when at least {OVERLAP:.0%} of "
        "the patients in either set are in both.",
        protection="none",
    )


def _effects_table(rows: Sequence[tuple[Cell, ...]], *, ratio: bool) -> Table:
    bias = "Mean relative error" if ratio else "Mean error"
    return Table(
        name="calibration.effects",
        title="Bias and coverage where a rule is claimed",
        columns=(
            Column(key="world", label="World"),
            Column(key="set", label="Patients"),
            Column(key="kind", label="Estimate"),
            Column(key="claims", label="Claims", kind="number"),
            Column(key="bias", label=bias, kind="percent" if ratio else "number"),
            Column(key="noise", label="Its simulation error", kind="percent" if ratio else "number"),
            Column(key="coverage", label="Coverage", kind="percent"),
            Column(key="coverage_lower", label="Lower limit", kind="percent"),
            Column(key="coverage_upper", label="Upper limit", kind="percent"),
            Column(key="width", label="Width of the limits (log scale for ratios)", kind="number"),
        ),
        rows=tuple(rows),
        note="Against the true effect in the claimed patients, from copies of the study's patients in the same world.",
        protection="none",
    )
