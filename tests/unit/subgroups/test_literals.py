"""Candidate conditions: cuts people can use, point masses, levels, unknown values on neither side."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from trialstrat.cohort.language.states import MET, evaluate_condition
from trialstrat.errors import InvalidInputError
from trialstrat.subgroups.literals import condition_text, cuts, markers_of, rule_text, splits


def frame_of(n: int = 200) -> pd.DataFrame:
    rng = np.random.default_rng(1)
    return pd.DataFrame(
        {
            "age": rng.normal(60, 10, n),
            "receptor": np.where(rng.random(n) < 0.2, 0.0, rng.lognormal(3, 1, n)),
            "grade": pd.Categorical(rng.choice(["I", "II", "III"], n), categories=["I", "II", "III"], ordered=True),
            "site": rng.choice(["a", "b", "c"], n),
            "constant": 1.0,
        }
    )


def test_cuts_are_round_quantiles_between_the_outer_fifths():
    values = np.random.default_rng(2).normal(100, 15, 4000)
    found = cuts(values)
    assert all(float(cut).is_integer() for cut in found)
    assert len(found) == 7
    assert abs((values <= found[0]).mean() - 0.2) < 0.03
    assert abs((values <= found[-1]).mean() - 0.8) < 0.03


def test_a_point_mass_is_cut_on_both_sides():
    values = np.concatenate([np.zeros(50), np.full(60, 7.0), np.linspace(1, 30, 200)])
    found = cuts(values)
    assert 0.0 in found
    assert 7.0 in found
    below = values[values < 7.0].max()
    assert below in found


def test_few_values_are_cut_between_all_of_them():
    assert cuts(np.array([1.0, 1.0, 2.0, 3.0, 3.0])) == [1.0, 2.0]
    assert cuts(np.array([4.0, 4.0])) == []


def test_sides_are_what_their_conditions_say():
    frame = frame_of()
    frame.loc[frame.index[:20], "age"] = np.nan
    made = splits(frame, markers_of(frame, list(frame)), 20)
    for at, (low, high) in enumerate(zip(made.low, made.high, strict=True)):
        marker = made.marker[at]
        np.testing.assert_array_equal(evaluate_condition(low, frame) == MET, made.masks[at])
        np.testing.assert_array_equal(evaluate_condition(high, frame) == MET, made.known[marker] & ~made.masks[at])
        assert 20 <= made.masks[at].sum() <= made.known[marker].sum() - 20
    assert not made.known[0][:20].any()
    assert {made.markers[m].column for m in made.marker} == {"age", "receptor", "grade", "site"}


def test_ordered_levels_are_cut_in_order_and_others_one_against_the_rest():
    frame = frame_of()
    made = splits(frame, markers_of(frame, ["grade", "site"]), 10)
    texts = [condition_text(entry) for entry in made.low]
    assert texts[:2] == ["grade = I", "grade in I, II"]
    assert sorted(texts[2:]) == ["site = a", "site = b", "site = c"]


def test_the_lowest_value_alone_is_named_as_such():
    frame = frame_of()
    made = splits(frame, markers_of(frame, ["receptor"]), 20)
    assert condition_text(made.low[0], "Receptor") == "Receptor = 0"
    assert condition_text(made.high[0]) == "receptor > 0"
    assert rule_text((made.low[0], made.high[1])).count(" and ") == 1


def test_what_cannot_be_cut_is_refused():
    frame = frame_of()
    with pytest.raises(InvalidInputError, match="none of 1 can be cut"):
        splits(frame, markers_of(frame, ["constant"]), 10)
    with pytest.raises(InvalidInputError, match="no column 'nobody'"):
        markers_of(frame, ["nobody"])
