"""Stage "search": written criteria dropped, kept or with other thresholds, valued by several objectives at once.

The front that is shown comes from a search on all patients and is in sample. Its held-out values come from searching
anew without a fold, taking there the best effect at the same pool (for the pick: the highest utility), and judging that
rule set on the patients of the fold; the held-out patients of all folds are analysed together.

References
----------
Deb K et al. 2002, IEEE Trans Evol Comput 6, 182-197 (NSGA-II). Akiba T et al. 2019, KDD, 2623-2631 (Optuna).
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import optuna
from numpy.typing import NDArray

from trialstrat.criteria.candidates import Choice, Valued, Valuer, at_least, directions, front, picked
from trialstrat.protocol.criteria_model import SearchPlan
from trialstrat.stats.resampling import stratified_folds
from trialstrat.subgroups.effect import Effect

Mask = NDArray[np.bool_]

#: Most points of the front that are shown and judged held out.
MOST_SHOWN = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A rule set in sample (``valued``) with the effect on its patients, and held out (pool share and effect)."""

    name: str
    valued: Valued
    effect: Effect
    held_out_pool: float
    held_out: Effect


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Search:
    """The front, the rule set in force (None when it has no effect), the pick, and all that was tried."""

    front: tuple[Judged, ...]
    current: Valued | None
    pick: Judged
    tried: tuple[Valued, ...]
    failed: int


def search(
    valuer: Valuer,
    starts: Sequence[Choice],
    plan: SearchPlan,
    *,
    folds: int,
    better: int,
    rng: np.random.Generator,
    jobs: int = 1,
) -> Search | None:
    """Search on all patients and, for honest values, without each fold in turn; None when nothing can be valued.

    Parameters
    ----------
    valuer
        Of all patients.
    starts
        Rule sets tried first: as written, none.
    plan
        Objectives, number of rule sets, sampler, utility.
    folds
        How many.
    better
        1 where a larger effect is better, -1 where a smaller one is.
    rng
        Seeds of the samplers and the folds, drawn before any worker starts.
    jobs
        Threads; changes no number.
    """
    emulation = valuer.emulation
    label = np.full(len(emulation.rows), -1, dtype=np.int64)
    event = emulation.outcome.of_interest[emulation.rows]
    label[emulation.rows] = stratified_folds(event, emulation.arm, None, folds, rng)
    seeds = [int(seed) for seed in rng.integers(0, 2**31 - 1, folds + 1)]
    valuers = [valuer, *(_without(valuer, label != fold) for fold in range(folds))]

    def one(task: tuple[Valuer, int]) -> tuple[list[Valued], int]:
        return _study(task[0], starts, plan, better, task[1])

    with ThreadPoolExecutor(max(1, jobs)) as pool:
        found = list(pool.map(one, zip(valuers, seeds, strict=True)))
    tried, failed = found[0]
    trained = [entries for entries, _ in found[1:]]
    if not tried or not all(trained):
        return None

    def judge(name: str, valued: Valued, chosen: Sequence[Valued]) -> Judged:
        inside = np.zeros(len(label), dtype=np.bool_)
        for fold, entry in enumerate(chosen):
            inside |= (label == fold) & valuer.inside(entry.choice)
        share = float(inside[emulation.rows].mean())
        effects = (emulation.effect(valuer.inside(valued.choice)), emulation.effect(inside))
        return Judged(name=name, valued=valued, effect=effects[0], held_out_pool=share, held_out=effects[1])

    best = picked(tried, plan.utility, better)
    points = _thinned(front(tried, plan.objectives, better))
    shown = [
        judge(f"F{at}", entry, [at_least(entries, entry.pool, better) for entries in trained])
        for at, entry in enumerate(points, start=1)
    ]
    pick = judge("pick", best, [picked(entries, plan.utility, better) for entries in trained])
    return Search(
        front=tuple(shown),
        current=valuer.value([starts[0]])[0],
        pick=pick,
        tried=tuple(tried),
        failed=failed,
    )


def _without(valuer: Valuer, rows: Mask) -> Valuer:
    return Valuer(valuer.emulation, valuer.dimensions, valuer.shown, valuer.costs, rows)


def _thinned(points: Sequence[Valued]) -> list[Valued]:
    """At most ``MOST_SHOWN`` points, evenly over the front, its ends among them."""
    if len(points) <= MOST_SHOWN:
        return list(points)
    return [points[at] for at in np.unique(np.linspace(0, len(points) - 1, MOST_SHOWN).round().astype(int))]


def _study(
    valuer: Valuer, starts: Sequence[Choice], plan: SearchPlan, better: int, seed: int
) -> tuple[list[Valued], int]:
    """Rule sets that could be valued, in the order of their trials, and how many could not.

    Asked for in batches and told in the order of their numbers, so that nothing depends on the number of workers.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    sampler = (
        optuna.samplers.NSGAIISampler(seed=seed, population_size=plan.batch)
        if plan.sampler == "nsga2"
        else optuna.samplers.TPESampler(seed=seed)
    )
    signs = directions(plan.objectives, better)
    study = optuna.create_study(directions=["maximize" if sign > 0 else "minimize" for sign in signs], sampler=sampler)
    names = [f"{at:03d}" for at in range(len(valuer.dimensions))]
    space: dict[str, optuna.distributions.BaseDistribution] = {
        name: optuna.distributions.IntDistribution(0, len(dimension.options) - 1)
        for name, dimension in zip(names, valuer.dimensions, strict=True)
    }
    for start in starts:
        study.enqueue_trial(dict(zip(names, start, strict=True)))
    found: dict[Choice, Valued] = {}
    failed: set[Choice] = set()
    done = 0
    while done < plan.trials:
        trials = [study.ask(space) for _ in range(min(plan.batch, plan.trials - done))]
        done += len(trials)
        choices = [tuple(int(trial.params[name]) for name in names) for trial in trials]
        for trial, choice, valued in zip(trials, choices, valuer.value(choices), strict=True):
            if valued is None or valued.pool < plan.minimum_pool:
                failed.add(choice)
                study.tell(trial, state=optuna.trial.TrialState.FAIL)
            else:
                found.setdefault(choice, valued)
                study.tell(trial, [valued.objective(name) for name in plan.objectives])
    return list(found.values()), len(failed)
