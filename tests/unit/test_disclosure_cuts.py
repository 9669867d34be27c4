"""Cuts that divide the patients as before and are nobody's own value."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trialstrat.disclosure.cuts import shown_cut


@given(st.integers(0, 2**32 - 1), st.sampled_from([1e-4, 1.0, 3e5]), st.sampled_from([0.0, -2.0, 40.0]))
def test_the_same_patients_on_both_sides_and_nobodys_value(seed, scale, shift):
    values = (np.random.default_rng(seed).normal(size=60) + shift) * scale
    for cut in np.sort(values)[[0, 20, 58, 59]]:
        shown = shown_cut(float(cut), values, 5)
        np.testing.assert_array_equal(values <= shown, values <= cut)
        assert shown not in values


@pytest.mark.parametrize(
    ("cut", "values", "expected"),
    [
        (3.0, [1.0, 3.0, 3.0, 3.0, 3.0, 3.0, 8.0], 3.0),  # five share it
        (3.0, [1.0, 3.0, 8.0], 4.0),
        (3.0, [1.0, 3.0, 4.0], 3.1),
        (0.123456, [0.1, 0.123456, 0.1299], 0.124),
        (-1.045279, [-1.045279, -0.98], -1.0),
        (12345.678, [12345.678, 99999.0], 20000.0),
        (5.0, [1.0, 5.0], 6.0),
        (0.0, [-1.0, 0.0, 2.5], 1.0),
    ],
)
def test_the_fewest_digits_are_shown(cut, values, expected):
    assert shown_cut(cut, np.array(values), 5) == expected
