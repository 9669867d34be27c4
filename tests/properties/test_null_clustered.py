"""Correlated rows under no difference: p of the tests by cluster is uniform, intervals cover; naive ones do not.

Households of two with a shared frailty. Treatment by household makes naive p too small, treatment within households
makes them too large.
"""

import numpy as np
import pytest

from tests.properties.test_null_uniform_survival import LEVELS, assert_uniform, shares_below
from trialstrat.stats.clustered import clustered_logrank
from trialstrat.stats.logrank import logrank
from trialstrat.subgroups.effect import EffectOptions, effect

RUNS = 2000
HOUSEHOLD = np.repeat(np.arange(150), 2)
pytestmark = pytest.mark.slow


def households(rng, *, within: bool):
    """300 rows in 150 clusters, gamma frailty of variance 2, about 35 % censored, no effect of treatment."""
    arm = np.tile([0, 1], 150) if within else np.repeat(rng.permutation(150) % 2, 2)
    frailty = np.repeat(rng.gamma(0.5, 2.0, 150), 2) + 1e-3
    time = 10.0 * rng.exponential(size=300) / frailty
    censoring = rng.uniform(5.0, 60.0, 300)
    return np.minimum(time, censoring), (time <= censoring).astype(int), arm


@pytest.mark.parametrize("within", [False, True])
def test_p_by_cluster_is_uniform_and_intervals_cover(within: bool) -> None:
    rng = np.random.default_rng(11)
    robust, naive, wald = [], [], []
    covered = np.zeros(2)
    for _ in range(RUNS):
        time, event, arm = households(rng, within=within)
        robust.append(clustered_logrank(time, event, arm, HOUSEHOLD).p)
        naive.append(logrank(time, event, arm).p)
        found = effect(time, event, arm, EffectOptions(tau=20.0), cluster=HOUSEHOLD)
        wald.append(found.relative.p)
        covered += [scale.lower <= 0 <= scale.upper for scale in (found.absolute, found.milestone)]
    # the sandwich of 150 clusters is a little too small
    assert_uniform(robust, slack=0.006)
    assert_uniform(wald, slack=0.010)
    assert covered / RUNS == pytest.approx([0.95, 0.95], abs=0.02)
    off = shares_below(naive) - LEVELS
    assert off[1] < -0.015 if within else off[1] > 0.02
