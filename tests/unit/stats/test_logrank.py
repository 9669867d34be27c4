import math

import numpy as np
import pytest
from scipy.stats import chi2

from trialstrat.errors import InvalidInputError
from trialstrat.stats.kernels.logrank import logrank_two_groups_sorted
from trialstrat.stats.logrank import logrank, logrank_pairwise, logrank_trend

# Freireich et al. (1963): placebo and 6-mercaptopurine, weeks in remission
PLACEBO = [1, 1, 2, 2, 3, 4, 4, 5, 5, 8, 8, 8, 8, 11, 11, 12, 12, 15, 17, 22, 23]
DRUG_TIME = [6, 6, 6, 6, 7, 9, 10, 10, 11, 13, 16, 17, 19, 20, 22, 23, 25, 32, 32, 34, 35]
DRUG_EVENT = [1, 1, 1, 0, 1, 0, 1, 0, 0, 1, 1, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0]
TIME = np.array(PLACEBO + DRUG_TIME, dtype=float)
EVENT = np.array([1] * 21 + DRUG_EVENT)
GROUP = np.array(["placebo"] * 21 + ["drug"] * 21)


def naive(time, event, group, strata=None, entry=None, weight=lambda n, s, p: 1.0):
    """U and V of all groups from the definitions, one event time at a time."""
    labels = sorted(set(group))
    strata = [0] * len(time) if strata is None else strata
    entry = [-1.0] * len(time) if entry is None else entry
    u, v = np.zeros(len(labels)), np.zeros((len(labels), len(labels)))
    for block in sorted(set(strata)):
        rows = [i for i in range(len(time)) if strata[i] == block]
        s = peto = 1.0
        for t in sorted({time[i] for i in rows if event[i]}):
            risk = [i for i in rows if entry[i] < t <= time[i]]
            dead = [i for i in rows if time[i] == t and event[i]]
            n, d = len(risk), len(dead)
            q = np.array([sum(group[i] == label for i in risk) for label in labels]) / n
            o = np.array([sum(group[i] == label for i in dead) for label in labels])
            peto *= 1 - d / (n + 1)
            w = weight(n, s, peto)
            s *= 1 - d / n
            u += w * (o - d * q)
            if n > 1:
                v += w**2 * d * (n - d) / (n - 1) * (np.diag(q) - np.outer(q, q))
    return u, v


def random_trial(seed, n=70, k=3):
    rng = np.random.default_rng(seed)
    time = rng.integers(2, 20, n).astype(float)
    entry = np.floor(rng.random(n) * time * 0.8)
    return time, rng.integers(0, 2, n), rng.integers(0, k, n), rng.integers(0, 3, n), entry


def test_published_test_of_the_remission_trial():
    found = logrank(TIME, EVENT, GROUP)
    assert found.statistic == pytest.approx(16.793, abs=5e-4)
    assert found.observed.tolist() == [9, 21]
    assert found.expected == pytest.approx([19.25, 10.75], abs=5e-3)
    assert found.z == pytest.approx(math.sqrt(found.statistic))
    assert found.groups == ("drug", "placebo")
    assert (found.df, found.events, found.n.tolist()) == (1, 30, [21, 21])
    assert "equal" in found.null_hypothesis


@pytest.mark.parametrize(
    ("options", "weight"),
    [
        ({}, lambda n, s, p: 1.0),
        ({"rho": 1.0}, lambda n, s, p: s),
        ({"gamma": 1.0}, lambda n, s, p: 1 - s),
        ({"rho": 0.5, "gamma": 2.0}, lambda n, s, p: s**0.5 * (1 - s) ** 2),
        ({"weighting": "gehan"}, lambda n, s, p: n),
        ({"weighting": "tarone-ware"}, lambda n, s, p: math.sqrt(n)),
        ({"weighting": "peto"}, lambda n, s, p: p),
    ],
)
@pytest.mark.parametrize("stratified", [False, True])
@pytest.mark.parametrize("delayed", [False, True])
def test_against_the_definitions(options, weight, stratified, delayed):
    time, event, group, strata, entry = random_trial(4)
    extra = {"strata": strata if stratified else None, "entry": entry if delayed else None}
    u, v = naive(time, event, group, weight=weight, **extra)
    found = logrank(time, event, group, **extra, **options)
    np.testing.assert_allclose(found.observed - found.expected, u, rtol=1e-10, atol=1e-12)
    assert found.statistic == pytest.approx(u[1:] @ np.linalg.solve(v[1:, 1:], u[1:]), rel=1e-10)
    assert found.p == pytest.approx(chi2.sf(found.statistic, 2), rel=1e-12)
    assert np.isnan(found.z)


def test_p_keeps_its_precision_far_out():
    time = np.concatenate((np.arange(1.0, 301.0), np.arange(301.0, 601.0)))
    found = logrank(time, np.ones(600), np.repeat([0, 1], 300))
    assert 0.0 < found.p < 1e-80
    assert found.z < 0


def test_a_group_never_at_risk_at_an_event_does_not_count():
    time, event = [1.0, 2.0, 5.0, 6.0, 7.0, 8.0], [0, 0, 1, 1, 1, 0]
    three = logrank(time, event, ["c", "c", "a", "b", "a", "b"])
    two = logrank(time[2:], event[2:], ["a", "b", "a", "b"])
    assert three.df == 1
    assert three.statistic == pytest.approx(two.statistic)
    assert three.expected[2] == 0.0


def test_groups_that_never_meet_lower_the_rank():
    # a and b meet in the first stratum, c and d in the second: two free comparisons, not three
    time = [1.0, 2.0, 3.0, 4.0] * 2
    event = [1, 1, 1, 0] * 2
    group = ["a", "b", "a", "b", "c", "d", "c", "d"]
    strata = [0, 0, 0, 0, 1, 1, 1, 1]
    found = logrank(time, event, group, strata=strata)
    one = logrank(time[:4], event[:4], group[:4])
    assert found.df == 2
    assert found.statistic == pytest.approx(2 * one.statistic)


def test_without_any_event_nothing_is_estimable():
    found = logrank([1, 2, 3, 4], [0, 0, 0, 0], [0, 1, 0, 1])
    assert found.status == "not_estimable"
    assert "no event" in found.reason
    assert np.isnan([found.statistic, found.p, found.z]).all()


def test_events_while_one_group_is_alone_carry_no_information():
    found = logrank([1, 2, 3, 4], [0, 0, 1, 1], ["a", "a", "b", "b"])
    assert found.status == "not_estimable"
    assert "more than one group" in found.reason


def test_infinite_weights_are_not_estimable():
    found = logrank([1.0, 2.0, 5.0, 6.0], [1, 1, 1, 1], [0, 1, 0, 1], entry=[0, 1, 3, 3], rho=-1.0)
    assert found.status == "not_estimable"
    assert "infinite" in found.reason


def test_one_group_is_refused():
    with pytest.raises(InvalidInputError, match="single group"):
        logrank([1, 2], [1, 1], ["a", "a"])


def test_two_ways_of_weighting_are_refused():
    with pytest.raises(InvalidInputError, match="weighting"):
        logrank(TIME, EVENT, GROUP, rho=1.0, weighting="gehan")
    with pytest.raises(InvalidInputError, match="gehan, tarone-ware, peto"):
        logrank(TIME, EVENT, GROUP, weighting="wilcoxon")  # pyright: ignore[reportArgumentType]


def test_rounding_noise_does_not_break_ties():
    clean = logrank([0.3, 0.3, 0.7, 0.7, 1.1], [1, 1, 1, 1, 0], [0, 1, 0, 1, 1])
    noisy = logrank([0.1 + 0.2, 0.3, 0.7, 0.1 * 7, 1.1], [1, 1, 1, 1, 0], [0, 1, 0, 1, 1])
    assert noisy.statistic == pytest.approx(clean.statistic, rel=1e-12)


def test_trend_against_the_definition_and_its_invariance():
    time, event, group, strata, _ = random_trial(9)
    u, v = naive(time, event, group, strata)
    c = np.array([1.0, 2.0, 4.0])
    found = logrank_trend(time, event, group, scores=c, strata=strata)
    assert found.statistic == pytest.approx((c @ u) ** 2 / (c @ v @ c), rel=1e-10)
    moved = logrank_trend(time, event, group, scores=7 - 3 * c, strata=strata)
    assert moved.statistic == pytest.approx(found.statistic, rel=1e-9)
    assert found.df == 1
    plain = logrank_trend(time, event, group)
    assert plain.statistic == pytest.approx(logrank_trend(time, event, group, scores=[0, 1, 2]).statistic)


def test_trend_of_two_groups_is_the_logrank_test():
    assert logrank_trend(TIME, EVENT, GROUP).statistic == pytest.approx(logrank(TIME, EVENT, GROUP).statistic)


def test_trend_refuses_scores_that_do_not_fit():
    with pytest.raises(InvalidInputError, match="scores"):
        logrank_trend(TIME, EVENT, GROUP, scores=[1, 2, 3])
    with pytest.raises(InvalidInputError, match="all scores are equal"):
        logrank_trend(TIME, EVENT, GROUP, scores=[1, 1])


def test_trend_without_event():
    found = logrank_trend([1, 2], [0, 0], [0, 1])
    assert found.status == "not_estimable"
    assert np.isnan(found.p)


def test_pairs_use_their_own_rows():
    time, event, group, strata, _ = random_trial(12)
    found = logrank_pairwise(time, event, group, adjust=("bonferroni", "holm"), strata=strata)
    assert found.pairs == ((0, 1), (0, 2), (1, 2))
    for (a, b), p in zip(found.pairs, found.p, strict=True):
        rows = (group == a) | (group == b)
        assert p == pytest.approx(logrank(time[rows], event[rows], group[rows], strata=strata[rows]).p)
    np.testing.assert_allclose(found.adjusted["bonferroni"], np.minimum(1, 3 * found.p))


def test_a_pair_without_event_stays_missing():
    found = logrank_pairwise([1, 2, 3, 4, 5, 6], [0, 0, 1, 1, 0, 0], list("aabbcc"), adjust=("holm",))
    assert np.isnan(found.p[1])
    assert found.tests[1].status == "not_estimable"
    assert np.isnan(found.adjusted["holm"][1])


def test_kernel_agrees_with_the_public_test():
    time, event, group, strata, _ = random_trial(2, n=90, k=2)
    order = np.lexsort((time, strata))
    starts = np.searchsorted(strata[order], np.arange(4))
    sums = logrank_two_groups_sorted(time[order], event[order], group[order], np.ones(90, dtype=bool), starts)
    found = logrank(time, event, group, strata=strata)
    assert sums[0] == found.observed[1]
    assert sums[1] == pytest.approx(found.expected[1], rel=1e-12)
    assert (sums[0] - sums[1]) ** 2 / sums[2] == pytest.approx(found.statistic, rel=1e-12)
    assert sums[3] == found.events


def test_kernel_takes_masks_and_replicate_counts():
    time, event, group, _, _ = random_trial(3, n=90, k=2)
    order = np.argsort(time, kind="stable")
    time, event, group = time[order], event[order], group[order]
    rng = np.random.default_rng(0)
    mask = rng.random(90) < 0.5
    whole = np.array([0, 90])
    part = np.array([0, int(mask.sum())])
    ones = np.ones(int(mask.sum()), dtype=bool)
    assert logrank_two_groups_sorted(time, event, group, mask, whole) == pytest.approx(
        logrank_two_groups_sorted(time[mask], event[mask], group[mask], ones, part)
    )
    counts = rng.multinomial(90, np.full(90, 1 / 90))
    repeated = np.repeat(np.arange(90), counts)
    assert logrank_two_groups_sorted(time, event, group, counts, whole) == pytest.approx(
        logrank_two_groups_sorted(time[repeated], event[repeated], group[repeated], np.ones(90, dtype=bool), whole)
    )
