"""The cut with the strongest interaction."""

import numpy as np
import pytest

from trialstrat.errors import InvalidInputError
from trialstrat.stats.cox import cox, cox_compare
from trialstrat.stats.interaction_cut import admissible_cuts, interaction_cutpoint


def study(n=200, seed=0, effect=1.5):
    rng = np.random.default_rng(seed)
    marker, arm = np.round(rng.uniform(0, 10, n), 1), rng.integers(0, 2, n)
    time = np.ceil(10 * rng.exponential(np.exp(effect * arm * (marker > 6) - 0.1 * marker)))
    return time, (rng.random(n) < 0.7).astype(int), arm, marker


def test_scan_is_the_likelihood_ratio_of_every_cut():
    time, event, arm, marker = study()
    found = interaction_cutpoint(time, event, arm, marker)
    for k in range(0, found.cuts.size, 8):
        high = (marker > found.cuts[k]).astype(float)
        small = cox(time, event, np.column_stack([arm, high]))
        large = cox(time, event, np.column_stack([arm, high, arm * high]))
        assert found.statistics[k] == pytest.approx(cox_compare(small, large).statistic, abs=1e-8)
    assert found.statistic == found.statistics.max()
    assert found.cutpoint == found.cuts[np.argmax(found.statistics)]
    assert abs(found.cutpoint - 6) < 1
    high = marker > found.cutpoint
    best = cox(time, event, np.column_stack([arm, high, arm * high]))
    assert found.log_ratio == pytest.approx(best.coef[2], abs=1e-7)
    assert found.log_ratio_se == pytest.approx(best.std_error[2], rel=1e-6)
    assert np.isnan(found.p)


def test_p_pays_for_the_search():
    strong = interaction_cutpoint(*study(), rng=np.random.default_rng(1))
    assert strong.p < 0.01
    naive, paid = [], []
    for seed in range(12):
        none = interaction_cutpoint(*study(n=120, seed=seed, effect=0.0), rng=np.random.default_rng(seed), draws=200)
        naive.append(none.statistic > 3.84)
        paid.append(none.p <= 0.05)
    assert sum(paid) < sum(naive)


def test_admissible_cuts():
    marker = np.array([1.0, 1, 2, 3, 3, 3, 4, 5, 5, 6])
    assert admissible_cuts(marker, 0.2, 0.8).tolist() == [1, 2, 3, 4]
    assert admissible_cuts(marker, 0.0, 1.0).tolist() == [1, 2, 3, 4, 5]
    assert admissible_cuts(np.ones(5), 0.1, 0.9).size == 0


def test_not_estimable():
    time, event, arm, marker = study(60)
    assert interaction_cutpoint(time, event, arm, np.ones(60)).reason == "the marker has no admissible cut"
    assert interaction_cutpoint(time, np.zeros(60), arm, marker).reason == "there is no event"
    assert interaction_cutpoint(time, event, np.ones(60), marker).status == "not_estimable"


def test_impossible_input_is_refused():
    time, event, arm, marker = study(60)
    with pytest.raises(InvalidInputError, match="min_prop"):
        interaction_cutpoint(time, event, arm, marker, min_prop=0.9, max_prop=0.1)
    with pytest.raises(InvalidInputError, match="arm"):
        interaction_cutpoint(time, event, arm + 1, marker)
    with pytest.raises(InvalidInputError, match="marker"):
        interaction_cutpoint(time, event, arm, np.where(marker > 5, np.nan, marker))
