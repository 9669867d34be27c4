"""Folds and bootstrap: balance, groups kept together, reproducibility, intervals."""

from __future__ import annotations

import numpy as np
import pytest

from trialstrat.errors import InvalidInputError
from trialstrat.stats.resampling import (
    bootstrap,
    bootstrap_interval,
    bootstrap_samples,
    paired_difference,
    stratified_folds,
)

RNG = np.random.default_rng(0)
EVENT = RNG.integers(0, 2, 103)
ARM = np.array(["control", "treated"])[RNG.integers(0, 2, 103)]


class TestFolds:
    def test_balanced_in_event_and_arm(self):
        fold = stratified_folds(EVENT, ARM, None, 5, np.random.default_rng(1))
        assert fold.shape == (103,)
        counts = np.bincount(fold, minlength=5)
        assert counts.max() - counts.min() <= 1
        for event in (0, 1):
            for arm in np.unique(ARM):
                inside = np.bincount(fold[(event == EVENT) & (arm == ARM)], minlength=5)
                assert inside.max() - inside.min() <= 1

    def test_groups_stay_together(self):
        site = np.repeat(np.arange(35), 3)[:103]
        fold = stratified_folds(EVENT, ARM, site, 4, np.random.default_rng(1))
        assert all(len(set(fold[site == one])) == 1 for one in np.unique(site))
        assert set(fold) == {0, 1, 2, 3}
        events = np.bincount(fold, weights=EVENT)
        assert events.max() - events.min() <= 4

    def test_no_fold_is_empty(self):
        groups = np.array([0] * 90 + [1, 2, 3])
        fold = stratified_folds(np.ones(93), None, groups, 4, np.random.default_rng(0))
        assert set(fold) == {0, 1, 2, 3}

    def test_the_generator_decides(self):
        one, same, other = (stratified_folds(EVENT, ARM, None, 5, np.random.default_rng(s)) for s in (3, 3, 4))
        np.testing.assert_array_equal(one, same)
        assert (one != other).any()

    def test_assignment_is_random(self):
        # every row falls into every fold about equally often
        rng = np.random.default_rng(2)
        counts = np.zeros((103, 4))
        for _ in range(800):
            counts[np.arange(103), stratified_folds(EVENT, ARM, None, 4, rng)] += 1
        assert np.abs(counts / 800 - 0.25).max() < 0.075

    @pytest.mark.parametrize("k", [1, 104])
    def test_number_of_folds(self, k):
        with pytest.raises(InvalidInputError, match="folds for 103"):
            stratified_folds(EVENT, ARM, None, k, np.random.default_rng(0))

    def test_missing_labels(self):
        with pytest.raises(InvalidInputError, match="arm"):
            stratified_folds([0, 1, 1], ["a", None, "b"], None, 2, np.random.default_rng(0))


class TestBootstrap:
    def test_strata_keep_their_size(self):
        for rows in bootstrap_samples(103, 5, np.random.default_rng(0), strata=ARM):
            assert rows.size == 103
            assert (ARM[rows] == "treated").sum() == (ARM == "treated").sum()

    def test_groups_come_whole(self):
        patient = np.repeat(np.arange(30), 2)
        for rows in bootstrap_samples(60, 5, np.random.default_rng(0), groups=patient):
            counts = np.bincount(rows, minlength=60)
            np.testing.assert_array_equal(counts[::2], counts[1::2])
            assert counts.sum() == 60

    def test_group_in_two_strata(self):
        with pytest.raises(InvalidInputError, match="several strata"):
            bootstrap_samples(4, 2, np.random.default_rng(0), strata=[0, 1, 1, 1], groups=[5, 5, 6, 6])

    def test_standard_error_of_a_mean(self):
        values = np.random.default_rng(1).normal(size=200)
        drawn = bootstrap(lambda rows: [values[rows].mean(), values[rows].max()], 200, 2000, np.random.default_rng(2))
        assert drawn.shape == (2000, 2)
        interval = bootstrap_interval(drawn[:, 0])
        assert interval.std_error == pytest.approx(values.std() / np.sqrt(200), rel=0.06)
        assert interval.lower < values.mean() < interval.upper

    def test_nothing_to_draw(self):
        with pytest.raises(InvalidInputError, match="at least one"):
            bootstrap_samples(10, 0, np.random.default_rng(0))


class TestInterval:
    VALUES = np.arange(1001.0)

    def test_percentile_and_basic(self):
        found = bootstrap_interval(self.VALUES, 0.9)
        assert (found.lower, found.upper) == pytest.approx((50.0, 950.0))
        mirrored = bootstrap_interval(self.VALUES, 0.9, "basic", estimate=400.0)
        assert (mirrored.lower, mirrored.upper) == pytest.approx((-150.0, 750.0))

    def test_failed_draws_are_left_out_and_counted(self):
        values = np.where(np.arange(1001) % 20 == 3, np.nan, self.VALUES)
        found = bootstrap_interval(values, 0.9)
        assert found.failed == 50
        assert found.draws == 1001
        assert found.status == "ok"

    def test_too_many_failures_or_too_few_draws(self):
        failing = np.where(np.arange(1001) % 5 == 3, np.nan, self.VALUES)
        assert bootstrap_interval(failing).status == "not_estimable"
        assert "200 of 1001" in bootstrap_interval(failing).reason
        few = bootstrap_interval(self.VALUES[:79])
        assert few.status == "not_estimable"
        assert "at least 80" in few.reason
        assert bootstrap_interval(self.VALUES[:80]).status == "ok"

    def test_refusals(self):
        with pytest.raises(InvalidInputError, match="method"):
            bootstrap_interval(self.VALUES, method="bca")
        with pytest.raises(InvalidInputError, match="estimate"):
            bootstrap_interval(self.VALUES, method="basic")
        with pytest.raises(InvalidInputError, match="infinite"):
            bootstrap_interval([1.0, np.inf])


class TestPairedDifference:
    def test_pairing_shortens_the_interval(self):
        rng = np.random.default_rng(3)
        shared = rng.normal(size=2000)
        first, second = shared + 0.3, shared + rng.normal(scale=0.1, size=2000)
        found = paired_difference(0.3, 0.0, first, second)
        assert found.estimate == pytest.approx(0.3)
        assert found.interval.std_error == pytest.approx(0.1, rel=0.1)
        assert found.interval.lower > 0
        assert found.p == pytest.approx(2 * (np.sum(first - second <= 0) + 1) / 2001)

    def test_no_difference(self):
        values = np.random.default_rng(4).normal(size=500)
        assert paired_difference(1.0, 1.0, values, values).p == 1.0

    def test_different_samples(self):
        with pytest.raises(InvalidInputError, match="same bootstrap samples"):
            paired_difference(0, 0, [1.0, 2.0], [1.0])
