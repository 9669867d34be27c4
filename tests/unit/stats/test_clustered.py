"""Variances summed within clusters against R's survival package 3.5 (coxph and survfit with cluster)."""

from __future__ import annotations

import numpy as np
import pytest

from trialstrat.errors import InvalidInputError
from trialstrat.stats.clustered import FEWEST_CLUSTERS, cluster_sums, clustered_logrank
from trialstrat.stats.cox import cox, wald_test
from trialstrat.subgroups.effect import EffectOptions, effect

# twenty patients with two eyes each, one of them treated
TIME = np.array(
    [14, 4, 15, 20, 1, 8, 4, 4, 15, 37, 16, 5, 6, 13, 2, 8, 5, 11, 6, 1,
     11, 6, 16, 6, 4, 24, 5, 8, 11, 6, 15, 13, 15, 28, 2, 5, 1, 13, 11, 3], dtype=np.float64
)  # fmt: skip
EVENT = np.array(
    [0, 1, 1, 0, 1, 0, 1, 1, 0, 0, 1, 1, 1, 0, 1, 1, 1, 0, 1, 1,
     1, 1, 0, 1, 1, 1, 1, 1, 1, 1, 1, 0, 1, 0, 1, 1, 1, 1, 1, 1]
)  # fmt: skip
ARM = np.tile([0, 1], 20)
PATIENT = np.repeat(np.arange(20), 2)
SEX = PATIENT % 2


def test_sums_within_clusters() -> None:
    values = np.arange(8.0).reshape(4, 2)
    assert cluster_sums(values, np.array([7, 3, 7, 3])).tolist() == [[8, 10], [4, 6]]
    assert cluster_sums(values, None) is values


@pytest.mark.parametrize(
    ("group", "strata", "statistic", "p"),
    [
        (ARM, None, 1.3844736265, 0.2393405934),
        (ARM, SEX, 0.7900048119, 0.3740986705),
        (np.arange(40) % 3, None, 0.2691613441, 0.8740823620),
    ],
)
def test_logrank_is_the_robust_score_test(group, strata, statistic: float, p: float) -> None:
    found = clustered_logrank(TIME, EVENT, group, PATIENT, strata=strata)
    assert (found.statistic, found.p) == pytest.approx((statistic, p), rel=1e-8)
    assert (found.n, found.events, found.status) == (40, int(EVENT.sum()), "ok")


def test_logrank_says_why_there_is_none() -> None:
    assert "no event" in clustered_logrank(TIME, EVENT * 0, ARM, PATIENT).reason
    assert "one group" in clustered_logrank(TIME, EVENT, ARM * 0, PATIENT).reason
    few = 2 * FEWEST_CLUSTERS - 2
    assert f"{FEWEST_CLUSTERS} clusters" in clustered_logrank(TIME[:few], EVENT[:few], ARM[:few], PATIENT[:few]).reason
    with pytest.raises(InvalidInputError, match="cluster"):
        clustered_logrank(TIME, EVENT, ARM, PATIENT[:-1])


def test_effects_have_the_errors_of_clusters() -> None:
    found = effect(TIME, EVENT, ARM, EffectOptions(tau=15.0), cluster=PATIENT)
    assert np.log(found.relative.value) == pytest.approx(-0.4172073588, rel=1e-8)
    assert found.relative.std_error == pytest.approx(0.3523087537, rel=1e-8)
    assert (found.absolute.value, found.absolute.std_error) == pytest.approx((0.7214285714, 1.6619490692), rel=1e-8)
    assert (found.milestone.value, found.milestone.std_error) == pytest.approx((0.2107143, 0.151642), rel=1e-6)
    assert "by cluster" in found.relative.method
    assert "by cluster" in found.absolute.method


def test_copies_of_a_patient_bring_no_information() -> None:
    """Every row twice, as two rows of its cluster: the error is that of the rows once, with a robust variance."""
    options = EffectOptions(tau=15.0)
    once = effect(TIME, EVENT, ARM, options, cluster=np.arange(40))
    twice = effect(np.repeat(TIME, 2), np.repeat(EVENT, 2), np.repeat(ARM, 2), options, cluster=np.arange(80) // 2)
    naive = effect(np.repeat(TIME, 2), np.repeat(EVENT, 2), np.repeat(ARM, 2), options)
    for a, b, c in (
        (once.absolute, twice.absolute, naive.absolute),
        (once.milestone, twice.milestone, naive.milestone),
    ):
        assert (b.value, b.std_error) == pytest.approx((a.value, a.std_error), rel=1e-9)
        assert c.std_error == pytest.approx(a.std_error / np.sqrt(2), rel=1e-9)


def test_interaction_by_the_wald_test_of_the_sandwich() -> None:
    fit = cox(TIME, EVENT, np.column_stack([ARM, SEX, ARM * SEX]), cluster=PATIENT, names=("arm", "sex", "both"))
    one = wald_test(fit, [2])
    assert (one.statistic, one.df) == pytest.approx((1.6973458869**2, 1), rel=1e-8)
    assert one.p == pytest.approx(0.08963128667, rel=1e-8)
    every = wald_test(fit, range(3))
    assert (round(every.statistic, 2), every.df) == (4.23, 3)
    assert every.p == pytest.approx(0.2380168734, rel=1e-8)
    assert "(both)" in one.null_hypothesis
