"""Coverage of pooled hazard ratios when values are missing at random given arm and outcome, beside complete cases."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from trialstrat.stats.cox import cox
from trialstrat.stats.imputation import Incomplete, chained_imputations, hazard_predictors
from trialstrat.stats.rubin import pool

Floats = NDArray[np.float64]

TRIALS, PATIENTS, COPIES = 1000, 300, 20
#: True log hazard ratios of treatment, the incomplete marker, the incomplete category and the complete covariate.
TRUTH = np.array([-0.5, 0.5, 0.4, 0.3])


def _trial(rng: np.random.Generator) -> tuple[Floats, NDArray[np.int64], Floats, Floats]:
    """Times, events, design (arm, marker, category, covariate), and the design with gaps."""
    arm, covariate = rng.integers(0, 2, PATIENTS), rng.normal(size=PATIENTS)
    marker = 0.5 * covariate + rng.normal(size=PATIENTS)
    category = (rng.random(PATIENTS) < 1 / (1 + np.exp(-0.5 * covariate))).astype(float)
    design = np.column_stack([arm, marker, category, covariate])
    death = rng.exponential(10 * np.exp(-design @ TRUTH))
    end = rng.uniform(2, 20, PATIENTS)
    time, event = np.minimum(death, end), (death <= end).astype(np.int64)
    gaps = design.copy()
    often = 1 / (1 + np.exp(-(-1.6 + 1.8 * event * arm + 0.4 * covariate)))
    gaps[rng.random(PATIENTS) < often, 1] = np.nan
    gaps[rng.random(PATIENTS) < 0.15 + 0.2 * event, 2] = np.nan
    return time, event, design, gaps


@pytest.mark.slow
def test_pooled_intervals_cover_and_complete_cases_do_not() -> None:
    covered, complete_covered = np.zeros(4), np.zeros(4)
    error, complete_error = np.zeros(4), np.zeros(4)
    for seed in range(TRIALS):
        rng = np.random.default_rng([27, seed])
        time, event, design, gaps = _trial(rng)
        known = np.isfinite(gaps).all(axis=1)
        alone = cox(time[known], event[known], gaps[known])
        complete_error += alone.coef - TRUTH
        complete_covered += np.abs(alone.coef - TRUTH) <= 1.959964 * alone.std_error
        copies = chained_imputations(
            [Incomplete(values=gaps[:, 1]), Incomplete(values=gaps[:, 2], levels=2)],
            np.column_stack([hazard_predictors(time, event, groups=gaps[:, 0]), gaps[:, 3]]),
            imputations=COPIES,
            rng=rng,
            groups=gaps[:, 0],
        )
        fits = [cox(time, event, np.column_stack([design[:, 0], copy, design[:, 3]])) for copy in copies]
        for at, truth in enumerate(TRUTH):
            found = pool(
                [fit.coef[at] for fit in fits],
                [fit.covariance[at, at] for fit in fits],
                complete_df=fits[0].events - 4,
            )
            error[at] += found.value - truth
            covered[at] += found.lower <= truth <= found.upper
    print(f"pooled: coverage {covered / TRIALS}, bias {error / TRIALS}")
    print(f"complete cases: coverage {complete_covered / TRIALS}, bias {complete_error / TRIALS}")
    assert (covered / TRIALS >= 0.93).all()
    assert (covered / TRIALS <= 0.97).all()
    assert (np.abs(error / TRIALS) < 0.03).all()
    assert complete_covered[0] / TRIALS < 0.8  # treatment looks far too good where the dead of its arm are left out
    assert complete_error[0] / TRIALS < -0.2
