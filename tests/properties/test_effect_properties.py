"""What must hold of any treatment effect, whatever the data."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trialstrat.subgroups.effect import Effect, EffectOptions, ScaleEffect, competing_effect, effect
from trialstrat.subgroups.two_samples import binary_effect, continuous_effect

OPTIONS = EffectOptions(tau=8.0)


@st.composite
def trials(draw, *, causes: int = 1):
    """Times on a coarse grid (ties everywhere), both arms, two strata, positive weights."""
    n = draw(st.integers(12, 60))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    treated = rng.integers(0, 2, n)
    treated[:2] = (0, 1)
    return {
        "time": rng.integers(1, 15, n).astype(float),
        "event": rng.integers(0, causes + 1, n),
        "treated": treated,
        "strata": rng.integers(0, 2, n),
        "weights": rng.uniform(0.5, 2.0, n),
    }


def scales(found: Effect) -> tuple[ScaleEffect, ...]:
    return found.relative, found.absolute, found.milestone


def numbers(scale: ScaleEffect) -> list[float]:
    return [scale.value, scale.lower, scale.upper, scale.std_error, scale.p]


def flipped(scale: ScaleEffect) -> list[float]:
    """What the other arm's effect must be."""
    if scale.ratio:
        return [1 / scale.value, 1 / scale.upper, 1 / scale.lower, scale.std_error, scale.p]
    return [-scale.value, -scale.upper, -scale.lower, scale.std_error, scale.p]


def check_flip(one: Effect, other: Effect) -> None:
    assert (one.n_control, one.events_treated) == (other.n_treated, other.events_control)
    for a, b in zip(scales(one), scales(other), strict=True):
        assert a.status == b.status
        if a.ok:
            assert numbers(b) == pytest.approx(flipped(a), rel=1e-6, abs=1e-9)


@settings(max_examples=60, deadline=None)
@given(trials(), st.booleans(), st.booleans())
def test_swapping_arms_flips_the_effect(data, stratified: bool, weighted: bool) -> None:
    more = {"strata": data["strata"] if stratified else None, "weights": data["weights"] if weighted else None}
    one = effect(data["time"], data["event"], data["treated"], OPTIONS, **more)
    other = effect(data["time"], data["event"], 1 - data["treated"], OPTIONS, **more)
    check_flip(one, other)


@settings(max_examples=40, deadline=None)
@given(trials(causes=2))
def test_swapping_arms_flips_competing_effects(data) -> None:
    one = competing_effect(data["time"], data["event"], data["treated"], OPTIONS)
    other = competing_effect(data["time"], data["event"], 1 - data["treated"], OPTIONS)
    check_flip(one, other)


@settings(max_examples=40, deadline=None)
@given(trials(), st.booleans())
def test_swapping_arms_flips_binary_and_continuous_effects(data, stratified: bool) -> None:
    strata = data["strata"] if stratified else None
    for method, outcome in ((binary_effect, data["event"]), (continuous_effect, data["time"])):
        one = method(outcome, data["treated"], OPTIONS, strata=strata)
        other = method(outcome, 1 - data["treated"], OPTIONS, strata=strata)
        check_flip(one, other)


@settings(max_examples=60, deadline=None)
@given(trials(), st.integers(0, 2**32 - 1), st.booleans())
def test_the_order_of_patients_does_not_matter(data, seed: int, weighted: bool) -> None:
    order = np.random.default_rng(seed).permutation(len(data["time"]))
    weights = data["weights"] if weighted else None
    one = effect(data["time"], data["event"], data["treated"], OPTIONS, strata=data["strata"], weights=weights)
    other = effect(
        data["time"][order],
        data["event"][order],
        data["treated"][order],
        OPTIONS,
        strata=data["strata"][order],
        weights=None if weights is None else weights[order],
    )
    for a, b in zip(scales(one), scales(other), strict=True):
        assert numbers(a) == pytest.approx(numbers(b), rel=1e-8, abs=1e-10, nan_ok=True)


@settings(max_examples=40, deadline=None)
@given(trials(), st.floats(0.01, 1000.0))
def test_units_of_time_scale_the_absolute_effect_only(data, factor: float) -> None:
    one = effect(data["time"], data["event"], data["treated"], OPTIONS)
    options = EffectOptions(tau=8.0 * factor)
    other = effect(data["time"] * factor, data["event"], data["treated"], options)
    assert numbers(other.relative) == pytest.approx(numbers(one.relative), rel=1e-7, nan_ok=True)
    assert other.absolute.status == one.absolute.status
    if one.absolute.ok:
        assert other.absolute.value == pytest.approx(one.absolute.value * factor, rel=1e-7, abs=1e-9)
        assert other.milestone.value == pytest.approx(one.milestone.value, rel=1e-7, abs=1e-9)


@settings(max_examples=60, deadline=None)
@given(trials(causes=2), st.booleans())
def test_intervals_hold_their_value_and_widen_with_the_level(data, competing: bool) -> None:
    method = competing_effect if competing else effect
    event = data["event"] if competing else (data["event"] == 1).astype(int)
    narrow = method(data["time"], event, data["treated"], EffectOptions(tau=8.0, level=0.8))
    wide = method(data["time"], event, data["treated"], EffectOptions(tau=8.0, level=0.99))
    for a, b in zip(scales(narrow), scales(wide), strict=True):
        assert a.status == b.status
        if a.ok:
            assert b.lower <= a.lower <= a.value <= a.upper <= b.upper
            assert 0 <= a.p <= 1


@settings(max_examples=30, deadline=None)
@given(trials())
def test_an_identical_arm_has_no_effect(data) -> None:
    time, event = np.tile(data["time"], 2), np.tile(data["event"], 2)
    treated = np.repeat([0, 1], len(data["time"]))
    found = effect(time, event, treated, EffectOptions(tau=8.0))
    if found.relative.ok:
        assert found.relative.value == pytest.approx(1.0, abs=1e-8)
    if found.absolute.ok:
        assert found.absolute.value == pytest.approx(0.0, abs=1e-10)
        assert found.absolute.p == pytest.approx(1.0)
