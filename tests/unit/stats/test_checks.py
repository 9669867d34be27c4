import numpy as np
import pytest

from trialstrat.errors import InvalidInputError
from trialstrat.stats.checks import (
    check_groups,
    check_horizon,
    check_level,
    check_matrix,
    check_strata,
    check_survival,
    check_two_groups,
)
from trialstrat.stats.times import TOLERANCE, merge_close_times

TIME, EVENT = [3.0, 1.0, 2.0], [1, 0, 1]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"time": [3.0, -1.0, 2.0]}, "time: 1 of 3 values are negative"),
        ({"time": [3.0, np.nan, np.inf]}, "time: 2 of 3 values are missing or infinite"),
        ({"time": ["a", "b", "c"]}, "time: numbers are needed"),
        ({"time": [[1.0, 2.0, 3.0]]}, "time: an array with one dimension"),
        ({"time": [], "event": []}, "time: there is no row"),
        ({"event": [1, 2, 0]}, "event: 1 of 3 codes are neither 0 (censored) nor 1"),
        ({"event": [1, np.nan, 0]}, "event: 1 of 3 values are missing"),
        ({"event": [1, 0]}, "event: has 2 rows where 3 are needed"),
        ({"weights": [1.0, -1.0, -2.0]}, "weights: 2 of 3 weights are negative"),
        ({"weights": [1.0, np.inf, 2.0]}, "weights: 1 of 3 values are missing or infinite"),
        ({"weights": [0.0, 0.0, 0.0]}, "weights: all weights are zero"),
        ({"entry": [3.0, 0.0, 2.5]}, "entry: 2 of 3 entry times are not before the end of follow-up"),
    ],
)
def test_impossible_arrays_are_refused_with_counts(change, message):
    arguments = {"time": TIME, "event": EVENT, **change}
    with pytest.raises(InvalidInputError) as caught:
        check_survival(**arguments)
    assert message in str(caught.value)


def test_all_faults_are_reported_together():
    with pytest.raises(InvalidInputError) as caught:
        check_survival(TIME, [0, 5, 1], weights=[1, -1, 1], entry=[4, 0, 0])
    assert len(caught.value.messages) == 3


def test_no_value_of_a_patient_is_shown():
    with pytest.raises(InvalidInputError) as caught:
        check_survival([-4321.5, 1.0], [1, 0])
    assert "4321" not in str(caught.value)


def test_competing_codes_are_allowed_only_where_causes_compete():
    assert check_survival([1, 2, 3], [0, 2, 1], competing=True).event.tolist() == [0, 2, 1]
    with pytest.raises(InvalidInputError, match="cause number"):
        check_survival([1, 2, 3], [0, 1.5, 1], competing=True)


def test_booleans_are_events():
    assert check_survival([1, 2], [True, False]).event.tolist() == [1, 0]


def test_entry_equal_to_time_after_merging_is_refused():
    with pytest.raises(InvalidInputError, match="entry"):
        check_survival([0.1 + 0.2, 1.0], [1, 1], entry=[0.3, 0.0])


def test_times_that_differ_by_rounding_are_one_time():
    merged, _ = merge_close_times(np.array([0.1 + 0.2, 0.3, 3 * 0.1, 0.7]))
    assert merged.tolist() == [0.3, 0.3, 0.3, 0.7]


def test_a_run_of_close_times_becomes_its_smallest_member():
    step = 0.9 * TOLERANCE
    merged, _ = merge_close_times(np.array([1.0 + 2 * step, 1.0, 1.0 + step]))
    assert np.all(merged == 1.0)


def test_tolerance_grows_with_the_mean_of_the_distinct_times():
    gap = 1000 * TOLERANCE
    far = np.array([5000.0, 5000.0 + gap])
    near = np.array([1.0, 1.0 + gap])
    assert np.ptp(merge_close_times(far)[0]) == 0.0
    assert np.ptp(merge_close_times(near)[0]) > 0.0


def test_entry_and_time_are_merged_together():
    time, entry = merge_close_times(np.array([1.0, 0.3]), np.array([0.1 + 0.2, 0.0]))
    assert entry is not None
    assert entry[0] == time[1] == 0.3


def test_times_without_noise_are_returned_as_they_are():
    time = np.array([1.0, 2.0, 2.0])
    assert merge_close_times(time)[0] is time


@pytest.mark.parametrize(
    ("values", "labels", "codes"),
    [
        (["b", "B", "a"], ("B", "a", "b"), [2, 0, 1]),
        ([10, 9, 10], (9, 10), [1, 0, 1]),
        ([0.5, -1.0, 0.5], (-1.0, 0.5), [1, 0, 1]),
        ([True, False, True], (False, True), [1, 0, 1]),
        (np.array(["x", 1, "x"], dtype=object), ("1", "x"), [1, 0, 1]),
    ],
)
def test_groups_are_coded_in_sorted_order(values, labels, codes):
    groups = check_groups(values, 3)
    assert groups.labels == labels
    assert groups.codes.tolist() == codes
    assert groups.k == len(labels)


@pytest.mark.parametrize("values", [["a", None, "b"], ["a", "", "b"], [1.0, np.nan, 2.0]])
def test_missing_groups_are_refused(values):
    with pytest.raises(InvalidInputError, match="group: 1 of 3 labels are missing"):
        check_groups(values, 3)


def test_strata_are_combinations():
    codes = check_strata([["u", "u", "v", "v"], [1, 2, 1, 1]], 4)
    assert codes.tolist() == [0, 1, 2, 2]
    assert check_strata(["u", "v", "u"], 3).tolist() == [0, 1, 0]
    assert check_strata(None, 2).tolist() == [0, 0]


def test_two_groups_must_be_zero_and_one():
    with pytest.raises(InvalidInputError, match="group: 1 of 3"):
        check_two_groups([0, 1, 2], 3)


def test_matrix_rows_and_gaps():
    assert check_matrix([1.0, 2.0], 2).shape == (2, 1)
    with pytest.raises(InvalidInputError, match="covariates: 1 of 2 rows"):
        check_matrix([[1.0, np.nan], [0.0, 1.0]], 2)
    with pytest.raises(InvalidInputError, match="has 2 rows where 3 are needed"):
        check_matrix([[1.0], [0.0]], 3)


@pytest.mark.parametrize("level", [0.0, 1.0, 95, np.nan])
def test_levels_outside_the_unit_interval_are_refused(level):
    with pytest.raises(InvalidInputError, match="level"):
        check_level(level)


@pytest.mark.parametrize("tau", [0.0, -1.0, np.inf, np.nan])
def test_horizons_must_be_positive(tau):
    with pytest.raises(InvalidInputError, match="tau"):
        check_horizon(tau, name="tau")
