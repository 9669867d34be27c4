"""Pair counts against loops over all pairs."""

import numpy as np
import pytest

from trialstrat.stats.concordance import concordance_sums


def data(seed, late):
    rng = np.random.default_rng(seed)
    n = 50
    time = rng.integers(1, 12, n).astype(float)
    return {
        "time": time,
        "event": rng.integers(0, 2, n),
        "risk": rng.integers(0, 7, n).astype(float),
        "entry": time - rng.integers(1, 6, n) if late else None,
        "strata": rng.integers(0, 3, n),
        "weights": rng.uniform(0.1, 3, n),
        "event_weights": rng.uniform(0, 2, n),
    }


def by_pairs(d, weights):
    concordant = comparable = 0.0
    for i in np.flatnonzero(d["event"]):
        for j in range(weights.size):
            if i == j or d["strata"][i] != d["strata"][j]:
                continue
            if d["entry"] is not None and d["entry"][j] >= d["time"][i]:
                continue
            if d["time"][i] < d["time"][j] or (d["time"][i] == d["time"][j] and not d["event"][j]):
                pair = weights[i] * weights[j] * d["event_weights"][i]
                comparable += pair
                concordant += pair * ((d["risk"][i] > d["risk"][j]) + 0.5 * (d["risk"][i] == d["risk"][j]))
    return np.array([concordant, comparable])


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("late", [False, True])
def test_counts_and_derivatives(seed, late):
    d = data(seed, late)
    sums = concordance_sums(**d)
    assert [sums.concordant, sums.comparable] == pytest.approx(by_pairs(d, d["weights"]), rel=1e-12)
    for i in range(0, 50, 7):
        up, down = d["weights"].copy(), d["weights"].copy()
        up[i] += 0.01
        down[i] -= 0.01
        slope = (by_pairs(d, up) - by_pairs(d, down)) / 0.02
        assert [sums.d_concordant[i], sums.d_comparable[i]] == pytest.approx(slope, rel=1e-9, abs=1e-9)


def test_influence_sums_to_zero_and_clusters():
    sums = concordance_sums(**data(1, late=False))
    assert sums.influence.sum() == pytest.approx(0, abs=1e-12)
    assert sums.std_error() == pytest.approx(np.sqrt(np.sum(sums.influence**2)))
    assert sums.std_error(np.zeros(50)) == pytest.approx(0, abs=1e-12)
    assert sums.std_error(np.arange(50)) == pytest.approx(sums.std_error())


def test_reversed_risk():
    d = data(2, late=True)
    forward, back = concordance_sums(**d), concordance_sums(**{**d, "risk": -d["risk"]})
    assert forward.concordance + back.concordance == pytest.approx(1)


def test_no_comparable_pair():
    sums = concordance_sums([1.0, 2.0], [0, 1], [1.0, 2.0])
    assert np.isnan(sums.concordance)
    assert np.isnan(sums.std_error())
