"""Rules as signed sums of base masks are the rules themselves."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trialstrat.cohort.language.states import MET, conjunction, evaluate_condition
from trialstrat.subgroups.conjunctions import conjunctions
from trialstrat.subgroups.literals import markers_of, splits


def made_from(seed: int, missing: bool, depth: int):
    rng = np.random.default_rng(seed)
    n = 120
    frame = pd.DataFrame(
        {"a": rng.normal(size=n), "b": rng.integers(0, 3, n).astype(float), "c": rng.choice(["x", "y"], n)}
    )
    if missing:
        frame.loc[rng.random(n) < 0.1, "a"] = np.nan
        frame.loc[rng.random(n) < 0.1, "b"] = np.nan
    return frame, conjunctions(splits(frame, markers_of(frame, list(frame)), 12), depth)


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 10_000), st.booleans(), st.integers(1, 3))
def test_sums_are_those_of_the_members(seed, missing, depth):
    frame, rules = made_from(seed, missing, depth)
    values = np.random.default_rng(seed + 1).normal(size=len(frame))
    direct = np.array([values[rules.members(r)].sum() for r in range(rules.size)])
    np.testing.assert_allclose(rules.sums(values), direct, atol=1e-9)


def test_members_are_what_the_conditions_say():
    frame, rules = made_from(3, True, 3)
    for rule in range(rules.size):
        states = [evaluate_condition(entry, frame) for entry in rules.conditions(rule)]
        np.testing.assert_array_equal(rules.members(rule), conjunction(states) == MET)
        assert len({entry.column for entry in rules.conditions(rule)}) == rules.depth[rule]


@pytest.mark.parametrize("missing", [False, True])
def test_every_pair_of_sides_of_different_markers_occurs_once(missing):
    _, rules = made_from(4, missing, 2)
    marker = rules.splits.marker
    own = {tuple(m[m >= 0]) + tuple(h) for m, h in zip(rules.members_of, rules.high, strict=True)}
    assert len(own) == rules.size
    pairs = sum(marker[s] != marker[t] for s in range(len(marker)) for t in range(s + 1, len(marker)))
    assert (rules.depth == 2).sum() == 4 * pairs
    assert (rules.depth == 1).sum() == len(marker)


def test_keeping_rules_keeps_their_meaning():
    frame, rules = made_from(5, True, 2)
    which = np.arange(rules.size) % 3 == 1
    kept = rules.keep(which)
    for new, old in enumerate(np.flatnonzero(which)):
        np.testing.assert_array_equal(kept.members(new), rules.members(int(old)))
    assert len(frame) == kept.base.shape[1]
