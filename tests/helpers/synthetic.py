"""Synthetic trials with known truth, as arrays and as cohorts, for tests of effects, groups and rules."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tests.helpers.cohorts import build_cohort
from trialstrat.cohort.cohort import Cohort
from trialstrat.protocol.model import Protocol


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Trial:
    """Exponential outcomes in months; ``marker`` in [0, 1], ``stage`` I-III, ``site`` a or b, ``arm`` by name."""

    time: NDArray[np.float64]
    event: NDArray[np.int64]
    arm: NDArray[np.object_]
    marker: NDArray[np.float64]
    stage: NDArray[np.object_]
    site: NDArray[np.object_]

    @property
    def treated(self) -> NDArray[np.int64]:
        return (self.arm != "ctrl").astype(np.int64)


def trial(
    *,
    n: int = 400,
    log_hr: tuple[float, ...] = (-0.5,),
    prognosis: float = 1.0,
    interaction: float = 0.0,
    causes: int = 1,
    crossing: bool = False,
    seed: int = 1,
) -> Trial:
    """Patients with a median of about a year; the hazard rises with marker and stage, arms are randomised."""
    rng = np.random.default_rng(seed)
    marker = rng.uniform(size=n)
    stage = rng.integers(0, 3, n)
    site = rng.integers(0, 2, n)
    arm = rng.integers(0, len(log_hr) + 1, n)
    effect = np.concatenate(([0.0], log_hr))[arm] + interaction * (arm > 0) * (marker - 0.5)
    rate = 0.05 * np.exp(prognosis * (marker - 0.5) + 0.4 * stage * prognosis + 0.3 * site + effect)
    if crossing:  # harm in the first half year, then a large benefit
        early, late = 0.05 * np.exp(0.9 * (arm > 0)), 0.05 * np.exp(-1.6 * (arm > 0))
        draw = rng.exponential(size=n)
        time = np.where(draw < 6 * early, draw / early, 6 + (draw - 6 * early) / late)
    else:
        time = rng.exponential(1 / rate)
    censoring = rng.uniform(6, 60, n)
    cause = rng.integers(1, causes + 1, n)
    names = np.array(["ctrl", *(f"t{k}" for k in range(1, len(log_hr) + 1))], dtype=object)
    return Trial(
        time=np.minimum(time, censoring),
        event=np.where(time <= censoring, cause, 0).astype(np.int64),
        arm=names[arm],
        marker=marker,
        stage=np.array(["I", "II", "III"], dtype=object)[stage],
        site=np.array(["a", "b"], dtype=object)[site],
    )


def declaration(*, treatments: int = 1, **changes: Any) -> dict[str, Any]:
    """A protocol for :func:`trial`; ``changes`` replace top-level keys, ``arms`` and ``endpoint`` are merged."""
    levels = [{"name": "ctrl", "value": "ctrl", "label": "Control", "control": True}]
    levels += [{"name": f"t{k}", "value": f"t{k}", "label": f"Drug {k}"} for k in range(1, treatments + 1)]
    arms = changes.pop("arms", {})
    endpoint = {
        "name": "pfs",
        "label": "Progression-free survival",
        "time": "time",
        "event": {"column": "event", "events": [1], "censored": [0]},
        "unit": "months",
        "horizon": 24,
        **changes.pop("endpoint", {}),
    }
    return {
        "trialstrat": 1,
        "id": "synthetic",
        "title": "A synthetic trial",
        "question": "Does the drug delay progression?",
        "sources": [{"name": "trial", "file": "trial.csv", "id": "row"}],
        "arms": None if arms is None else {"column": "arm", "levels": levels, **arms},
        "endpoints": [endpoint],
        "estimand": {"population": "all", "treatment": "drug", "endpoint": "pfs"},
        "covariates": [
            {"column": "stage", "label": "Stage", "kind": "ordinal", "levels": ["I", "II", "III"]},
            {"column": "site", "label": "Site", "kind": "categorical", "levels": ["a", "b"]},
        ],
        "biomarkers": [{"column": "marker", "label": "Marker", "kind": "continuous", "role": "prognostic"}],
        **changes,
    }


def cohort(source: Trial, *, strata: bool = False, value: NDArray[np.float64] | None = None, **changes: Any) -> Cohort:
    """The trial as a cohort; ``changes`` go to :func:`declaration`."""
    declared = Protocol.model_validate(declaration(**changes))
    frame = pd.DataFrame({"stage": source.stage, "site": source.site, "marker": source.marker})
    kind = declared.endpoint.kind
    return build_cohort(
        declared,
        frame,
        source.time if kind in ("time_to_event", "competing") else None,
        None if kind == "continuous" else source.event,
        arm=None if declared.arms is None else source.arm,
        strata=source.site if strata else None,
        value=value,
    )
