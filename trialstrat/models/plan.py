"""What a study of models will do, decided before the first fit: rows, times, feature sets, folds, seeds, names."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from trialstrat.cohort.shown import ShownOutcome, shown_outcome
from trialstrat.features import FeatureSetChoice, choose_feature_sets
from trialstrat.models.base import Bools, Floats
from trialstrat.models.engines import ENGINES
from trialstrat.models.folds import OuterFold, Rows, outer_count, outer_folds
from trialstrat.models.tune import Logbook
from trialstrat.protocol.units import unit_factor

if TYPE_CHECKING:
    from trialstrat.cohort.cohort import Cohort

#: Times of the integrated Brier score, equally spaced up to the horizon.
SCORE_TIMES = 20
#: Fewest patients under observation at the horizon of the scores, and the same per outer fold.
FOLLOWED, FOLLOWED_PER_FOLD = 10, 2
#: Fewest events per outer fold for a held-out score to mean anything.
EVENTS_PER_FOLD = 5
#: Fewest groups to be left out in turn.
FEWEST_GROUPS = 2
#: Kinds of randomness, the first part of every seed's key.
FOLDS, TUNING, CALIBRATION, IMPORTANCE, BENEFIT = range(5)
_SETS = ("clinical", "molecular", "combined")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StudyPlan:
    """Everything fixed in advance. Times are in the display unit; arrays have one entry per patient of the cohort.

    ``rows`` take part in the models. ``times`` (m,) are those of the predictions; ``scored`` positions of the times
    of the Brier score, the last of them the horizon of the scores; ``auc_at`` those of the AUC.
    """

    cohort: Cohort
    outcome: ShownOutcome
    time: Floats
    event: Bools
    rows: Rows
    horizon: float
    times: Floats
    scored: NDArray[np.intp]
    auc_at: NDArray[np.intp]
    choices: tuple[FeatureSetChoice, ...]
    folds: tuple[OuterFold, ...]
    entropy: tuple[int, ...]
    spawn_key: tuple[int, ...]
    fingerprint: str

    @property
    def score_horizon(self) -> float:
        """Horizon of the scores: the declared one, or an earlier time that enough patients reach."""
        return float(self.times[self.scored[-1]])

    @property
    def events(self) -> int:
        """Events among the rows that take part."""
        return int(self.event[self.rows].sum())

    @property
    def judged(self) -> tuple[OuterFold, ...]:
        """The folds with held-out rows."""
        return self.folds[:-1]

    def seed(self, *key: int) -> int:
        """A seed by purpose and place; the same whatever else is run."""
        child = np.random.SeedSequence(list(self.entropy), spawn_key=(*self.spawn_key, *key))
        return int(child.generate_state(1)[0])

    def tuning_seed(self, engine: str, feature_set: str, fold: int) -> int:
        """The seed of one tuning study."""
        return self.seed(TUNING, list(ENGINES).index(engine), _SETS.index(feature_set), fold)

    def logbook(self, storage: str | None, engine: str, feature_set: str, fold: int) -> Logbook | None:
        """Where one tuning study is stored."""
        if storage is None:
            return None
        return Logbook(url=storage, name=f"{self.fingerprint}/{engine}.{feature_set}/{fold}")


def not_available(cohort: Cohort) -> str:
    """Why there can be no prognostic models of this cohort at all; empty when there can."""
    kind, outcome = cohort.protocol.endpoint.kind, cohort.outcome
    if outcome.time is None or outcome.event is None:
        return f"prognostic models are for times to an event; the endpoint is {kind}"
    if outcome.entry is not None:
        return "prognostic models for delayed entry are not available: held-out scores assume follow-up from time zero"
    folds = outer_count(cohort)
    needed = EVENTS_PER_FOLD * folds
    events = int((outcome.event == 1).sum())
    if events < needed:
        return f"{events} events; {folds} outer folds need at least {needed} ({EVENTS_PER_FOLD} per fold)"
    return _groups_not_usable(cohort) if cohort.protocol.models.outer == "groups" else ""


def _groups_not_usable(cohort: Cohort) -> str:
    """Why the groups cannot be left out in turn: too few of them, or of their events."""
    groups, event = cohort.groups, cohort.outcome.event
    if groups is None or event is None or len(set(groups)) < FEWEST_GROUPS:
        return f"leaving out groups needs at least {FEWEST_GROUPS} groups"
    rows = _rows(cohort, choose_feature_sets(cohort))
    lost = len(set(groups)) - len(set(groups[rows]))
    if lost:
        return (
            f"{lost} of {len(set(groups))} groups have no patient with complete covariates: impute them "
            "(missing_data.covariates), or leave out the covariate that these groups lack"
        )
    groups, event = groups[rows], event[rows]
    counts = [int((event[groups == group] == 1).sum()) for group in sorted(set(groups))]
    few = sum(count < EVENTS_PER_FOLD for count in counts)
    if few:
        return f"{few} of {len(counts)} groups have fewer than {EVENTS_PER_FOLD} events: leave them out or merge them"
    return ""


def make_plan(cohort: Cohort, seeds: np.random.SeedSequence) -> StudyPlan:
    """Fix everything that tuning, fitting and scoring must agree on. Needs :func:`not_available` to be empty."""
    shown = shown_outcome(cohort)
    if shown.time is None or shown.event is None or shown.horizon is None:
        raise ValueError("the plan needs a time to event")
    time, event = shown.time, shown.event == 1
    declared = cohort.protocol.models
    choices = choose_feature_sets(cohort)
    rows = _rows(cohort, choices)
    times, scored, auc_at = _times(cohort, time[rows], shown.horizon)
    entropy = np.atleast_1d(np.asarray(seeds.entropy, dtype=object))
    plan_seed = (tuple(int(value) for value in entropy), tuple(int(value) for value in seeds.spawn_key))
    child = np.random.SeedSequence(list(plan_seed[0]), spawn_key=(*plan_seed[1], FOLDS))
    return StudyPlan(
        cohort=cohort,
        outcome=shown,
        time=time,
        event=event,
        rows=rows,
        horizon=shown.horizon,
        times=times,
        scored=scored,
        auc_at=auc_at,
        choices=choices,
        folds=outer_folds(
            rows,
            event,
            cohort.arm,
            cohort.groups,
            outer=outer_count(cohort),
            inner=declared.inner_folds,
            repeats=declared.repeats,
            rng=np.random.Generator(np.random.PCG64(child)),
        ),
        entropy=plan_seed[0],
        spawn_key=plan_seed[1],
        fingerprint=_fingerprint(cohort, plan_seed),
    )


def _rows(cohort: Cohort, choices: tuple[FeatureSetChoice, ...]) -> Rows:
    """Patients that take part: all, or those without a missing declared variable, as the protocol says."""
    if cohort.protocol.missing_data.covariates == "impute":
        return np.arange(cohort.n)
    columns = sorted({variable.column for choice in choices for variable in choice.variables})
    return np.flatnonzero(cohort.frame[columns].notna().to_numpy().all(axis=1))


def _times(cohort: Cohort, time: Floats, horizon: float) -> tuple[Floats, NDArray[np.intp], NDArray[np.intp]]:
    """Times of predictions, positions of those of the Brier score, and of those of the AUC."""
    folds = outer_count(cohort)
    followed = max(FOLLOWED, FOLLOWED_PER_FOLD * folds)
    endpoint = cohort.protocol.endpoint
    factor = 1.0 if endpoint.unit is None else unit_factor(endpoint.unit, endpoint.shown_unit)
    return score_times(time, horizon, followed, [value * factor for value in cohort.protocol.models.times])


def score_times(
    time: Floats, horizon: float, followed: int, wanted: Sequence[float]
) -> tuple[Floats, NDArray[np.intp], NDArray[np.intp]]:
    """Times (m,) of predictions up to ``horizon``, or to the earlier time that ``followed`` patients reach.

    Returns also the positions of those of the Brier score and of the AUC (at the ``wanted`` times, or half way).
    """
    reached = float(np.sort(time)[::-1][min(followed, time.size) - 1])
    last = min(horizon, reached)
    grid = np.linspace(last / SCORE_TIMES, last, SCORE_TIMES)
    grid[-1] = last
    declared = [value for value in wanted if value <= last]
    auc = np.unique([*(declared or [grid[SCORE_TIMES // 2 - 1]]), last])
    times = np.unique([*grid, *auc, horizon])
    return times, np.searchsorted(times, grid), np.searchsorted(times, auc)


def _fingerprint(cohort: Cohort, seed: tuple[tuple[int, ...], tuple[int, ...]]) -> str:
    """Names stored studies: data, everything declared that can change a trial, and the seed."""
    protocol = cohort.protocol
    declared = {
        "models": protocol.models.model_dump(mode="json"),
        "missing": protocol.missing_data.model_dump(mode="json"),
        "variables": [variable.model_dump(mode="json") for variable in protocol.variables],
        "blocks": [block.model_dump(mode="json") for block in protocol.marker_blocks],
        "endpoint": protocol.endpoint.model_dump(mode="json"),
        "eligibility": [entry.model_dump(mode="json") for entry in protocol.eligibility],
        "data": cohort.data_hash,
        "patients": cohort.n,
        "seed": seed,
    }
    return hashlib.sha256(json.dumps(declared, sort_keys=True).encode()).hexdigest()[:16]
