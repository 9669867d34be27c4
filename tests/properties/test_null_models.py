"""On outcomes that are pure noise the whole pipeline must find nothing: held-out concordance 0.50."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.helpers.cohorts import GBSG2_PROTOCOL, build_cohort, gbsg2_cohort, protocol
from trialstrat.cohort.cohort import Cohort
from trialstrat.models.study import run_models

DATA_SETS = 20
PATIENTS = 400
MODELS: dict[str, Any] = {"outer_folds": 5, "inner_folds": 3, "trials": 4, "trees": 30, "screen_to": 8, "bootstrap": 0}


def noise(seed: int) -> Cohort:
    """GBSG2's covariates and sixty markers of noise, with real outcomes dealt to the patients at random."""
    rng = np.random.default_rng(seed)
    real = gbsg2_cohort()
    assert real.outcome.time is not None
    assert real.outcome.event is not None
    rows, dealt = (rng.permutation(real.n)[:PATIENTS] for _ in range(2))
    markers = pd.DataFrame(rng.standard_normal((PATIENTS, 60)), columns=pd.Index([f"g{at:02d}" for at in range(60)]))
    declared = protocol({**GBSG2_PROTOCOL, "marker_blocks": [{"source": "trial"}]}, models=MODELS)
    frame = real.frame.iloc[rows].reset_index(drop=True)
    return build_cohort(declared, frame, real.outcome.time[dealt], real.outcome.event[dealt], markers=markers)


@pytest.mark.slow
def test_held_out_concordance_of_noise_is_one_half() -> None:
    """Mean over data sets within 0.02 of 0.50: of the chosen model, of the whole procedure, and of every model."""
    found = [run_models(noise(seed), seeds=np.random.SeedSequence(seed)).result for seed in range(DATA_SETS)]
    for name in ("models.best.uno_c", "models.procedure.uno_c"):
        values = [result.estimate(name).value for result in found]
        assert abs(np.mean(values) - 0.5) <= 0.02, (name, np.round(values, 3))
    scores = pd.concat([result.table("models.scores").to_frame() for result in found])
    by_model = scores[scores["metric"] == "uno_c"].groupby("model")["value"].mean()
    assert (by_model - 0.5).abs().max() <= 0.02, by_model
    intervals = [result.estimate("models.procedure.uno_c") for result in found]
    # 95% intervals: 20 of them miss 0.5 more than three times with probability 1.6%
    assert sum(not entry.lower <= 0.5 <= entry.upper for entry in intervals) <= 3
