"""Lengths of time units, and the whole times under a survival curve."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trialstrat.errors import InvalidInputError
from trialstrat.protocol.units import DAYS, natural_times, unit_factor

UNITS = st.sampled_from(sorted(DAYS))


def test_lengths() -> None:
    assert 365.25 * unit_factor("days", "years") == 1.0
    assert 30.4375 * unit_factor("days", "months") == 1.0
    assert unit_factor("weeks", "days") == 7.0
    assert unit_factor("years", "months") == 12.0


@given(UNITS, UNITS)
def test_there_and_back(one, other) -> None:
    assert unit_factor(one, other) * unit_factor(other, one) == pytest.approx(1.0)


@given(st.floats(0, 1e6), UNITS, st.integers(2, 20))
def test_times_are_whole_evenly_spaced_and_few(last, unit, most) -> None:
    times = natural_times(last, unit, most)
    assert times[0] == 0.0
    assert len(times) <= most
    assert times[-1] <= last + 1e-6
    assert all(time == int(time) for time in times)
    steps = {round(b - a, 9) for a, b in itertools.pairwise(times)}
    assert len(steps) <= 1
    if steps:
        assert last - times[-1] < max(steps) + 1e-6


@pytest.mark.parametrize(
    ("last", "unit", "expected"),
    [
        (7.3, "years", tuple(float(t) for t in range(8))),
        (60.0, "months", (0.0, 12.0, 24.0, 36.0, 48.0, 60.0)),
        (20.0, "months", (0.0, 3.0, 6.0, 9.0, 12.0, 15.0, 18.0)),
        (364.0, "days", (0.0, 60.0, 120.0, 180.0, 240.0, 300.0, 360.0)),
        (0.0, "weeks", (0.0,)),
    ],
)
def test_natural_steps(last, unit, expected) -> None:
    assert natural_times(last, unit) == expected


def test_impossible_arguments() -> None:
    with pytest.raises(InvalidInputError, match="unknown time unit"):
        unit_factor("days", "fortnights")  # type: ignore[arg-type]
    with pytest.raises(InvalidInputError, match="unknown time unit"):
        natural_times(1.0, "fortnights")  # type: ignore[arg-type]
    with pytest.raises(InvalidInputError, match="not possible"):
        natural_times(float("inf"), "days")
