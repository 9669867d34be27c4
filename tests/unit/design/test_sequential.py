"""Group-sequential boundaries against published tables, closed forms and another way of integrating."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import multivariate_normal, norm

from trialstrat.design.sequential import group_sequential
from trialstrat.design.sequential_integration import beginning, crossing
from trialstrat.design.sequential_spending import BetaSpending, FutilityBounds
from trialstrat.errors import InvalidInputError


@pytest.mark.parametrize(
    ("shape", "looks", "constant"),
    # Jennison & Turnbull 2000, tables 2.1 and 2.3, two-sided alpha 0.05
    [
        ("P", 2, 2.178),
        ("P", 3, 2.289),
        ("P", 5, 2.413),
        ("P", 10, 2.555),
        ("OF", 2, 1.977),
        ("OF", 3, 2.004),
        ("OF", 5, 2.040),
        ("OF", 10, 2.087),
    ],
)
def test_constants_of_the_book(shape, looks, constant):
    design = group_sequential(np.arange(1, looks + 1) / looks, alpha=0.05, sided=2, shape=shape)
    assert design.critical_values[-1] == pytest.approx(constant, abs=6e-4)


@pytest.mark.parametrize(("shape", "looks", "factor"), [("P", 2, 1.100), ("P", 5, 1.207), ("OF", 5, 1.026)])
def test_inflation_factors_of_the_book(shape, looks, factor):
    """Jennison & Turnbull 2000, tables 2.2 and 2.4: alpha 0.05 two-sided, power 0.9."""
    design = group_sequential(np.arange(1, looks + 1) / looks, alpha=0.05, sided=2, shape=shape, power=0.9)
    assert design.inflation_factor == pytest.approx(factor, abs=6e-4)


def test_wang_tsiatis_ends_are_pocock_and_obrien_fleming():
    rates = [0.3, 0.6, 1.0]
    for parameter, shape in ((0.0, "OF"), (0.5, "P")):
        wang = group_sequential(rates, shape="WT", parameter=parameter)
        np.testing.assert_allclose(
            wang.critical_values, group_sequential(rates, shape=shape).critical_values, rtol=1e-9
        )


def test_one_look_is_the_fixed_design():
    for shape in ("OF", "P", "asOF", "asP"):
        design = group_sequential([1.0], alpha=0.025, shape=shape, power=0.9)
        assert design.critical_values[0] == pytest.approx(norm.isf(0.025), abs=1e-10)
        assert design.inflation_factor == pytest.approx(1.0, abs=1e-10)
        assert design.rejection_probability[0] == pytest.approx(0.9, abs=1e-10)


@pytest.mark.parametrize("drift", [0.0, 1.3, 3.0])
def test_crossing_probabilities_by_multivariate_normal_rectangles(drift):
    times, lower, upper = np.array([0.3, 0.55, 1.0]), np.array([-0.5, 0.4, -np.inf]), np.array([2.6, 2.3, 2.0])
    found = crossing(drift, times, lower, upper)
    covariance = np.sqrt(np.minimum.outer(times, times) / np.maximum.outer(times, times))
    mean = drift * np.sqrt(times)
    for look in range(3):
        inside = slice(0, look)
        for bound, probability, sign in ((upper, found.upper, 1.0), (lower, found.lower, -1.0)):
            if not np.isfinite(bound[look]):
                assert probability[look] == 0.0
                continue
            turn = np.ones(look + 1)
            turn[look] = -sign  # turns "beyond the bound" into "below a limit"
            limits = np.append(upper[inside], -sign * bound[look])
            floors = np.append(lower[inside], -np.inf)
            normal = multivariate_normal(
                turn * mean[: look + 1], covariance[: look + 1, : look + 1] * np.outer(turn, turn)
            )
            expected = normal.cdf(limits, lower_limit=floors)
            assert probability[look] == pytest.approx(expected, abs=3e-5)


def test_start_in_the_middle_is_a_shifted_walk():
    """From score s at information t the rest is a new walk: conditional probabilities in closed form for one look."""
    found = crossing(0.8, np.array([1.0]), np.array([-np.inf]), np.array([2.0]), start=beginning(0.7, 0.4))
    assert found.upper[0] == pytest.approx(norm.sf((2.0 - 0.7 - 0.8 * 0.6) / np.sqrt(0.6)), rel=1e-12)


@pytest.mark.parametrize(
    "options",
    [
        {"shape": "OF"},
        {"shape": "P", "sided": 2, "alpha": 0.05},
        {"shape": "asOF", "futility": FutilityBounds(bounds=(0.0, 0.5), binding=True)},
        {"shape": "P", "futility": FutilityBounds(bounds=(0.0, 0.5), binding=True)},
        {"shape": "asHSD", "parameter": -2.0, "futility": BetaSpending(spending="bsP", binding=True)},
        {"shape": "OF", "futility": BetaSpending(spending="bsOF", binding=True)},
        {"shape": "asKD", "parameter": 1.5, "sided": 2},
    ],
)
def test_level_and_power_are_as_declared(options):
    design = group_sequential([0.4, 0.7, 1.0], power=0.85, **options)
    assert design.cumulative_alpha[-1] == pytest.approx(design.rule.alpha, abs=1e-9)
    assert design.rejection_probability.sum() == pytest.approx(0.85, abs=1e-9)


@pytest.mark.parametrize("binding", [True, False])
@pytest.mark.parametrize("shape", ["asOF", "P"])
def test_beta_spending_spends_what_it_says(binding, shape):
    futility = BetaSpending(spending="bsKD", parameter=2.0, binding=binding)
    design = group_sequential([0.4, 0.7, 1.0], power=0.8, shape=shape, futility=futility)
    np.testing.assert_allclose(np.cumsum(design.futility_probability), 0.2 * np.array([0.4, 0.7]) ** 2, atol=1e-9)
    last = crossing(design.drift, design.rule.times, np.append(design.futility, -np.inf), design.critical_values)
    assert 1.0 - last.upper.sum() == pytest.approx(0.2, abs=1e-9)


def test_binding_futility_lowers_and_non_binding_keeps_the_critical_values():
    rates = [0.4, 0.7, 1.0]
    plain = group_sequential(rates).critical_values
    loose = group_sequential(rates, futility=FutilityBounds(bounds=(0.0, 0.5))).critical_values
    tight = group_sequential(rates, futility=FutilityBounds(bounds=(0.0, 0.5), binding=True)).critical_values
    np.testing.assert_array_equal(plain, loose)
    assert tight[-1] < plain[-1]
    np.testing.assert_allclose(tight[0], plain[0])


def test_a_futility_bound_of_minus_infinity_is_none():
    rates = [0.4, 0.7, 1.0]
    none = group_sequential(rates, futility=FutilityBounds(bounds=(-np.inf, -np.inf), binding=True))
    np.testing.assert_allclose(none.critical_values, group_sequential(rates).critical_values, rtol=1e-12)
    assert none.futility_probability.tolist() == [0.0, 0.0]


def test_a_look_that_spends_nothing_never_rejects():
    design = group_sequential([0.3, 0.6, 1.0], shape="asUser", user_alpha=[0.0, 0.01, 0.025])
    assert design.critical_values[0] == np.inf
    assert design.stage_levels[0] == 0.0
    assert design.rejection_probability[0] == 0.0
    np.testing.assert_allclose(design.cumulative_alpha, [0.0, 0.01, 0.025], atol=1e-12)


def test_zero_gamma_is_linear_spending_and_the_limit_of_small_ones():
    rates = [0.3, 0.6, 1.0]
    linear = group_sequential(rates, shape="asHSD", parameter=0.0)
    near = group_sequential(rates, shape="asHSD", parameter=1e-7)
    power_one = group_sequential(rates, shape="asKD", parameter=1.0)
    np.testing.assert_allclose(linear.critical_values, near.critical_values, rtol=1e-6)
    np.testing.assert_allclose(linear.critical_values, power_one.critical_values, rtol=1e-10)


def test_many_close_looks_are_integrated_to_full_precision():
    """The level adds up and the drift reproduces the power with 20 looks and increments of 0.01."""
    rates = np.append(np.linspace(0.5, 0.68, 19), 1.0)
    design = group_sequential(rates, shape="asP", power=0.9)
    assert design.cumulative_alpha[-1] == pytest.approx(0.025, abs=1e-11)
    assert design.rejection_probability.sum() == pytest.approx(0.9, abs=1e-10)


def test_last_information_below_one_spends_less():
    design = group_sequential([0.3, 0.8], shape="asOF")
    assert design.cumulative_alpha[-1] == pytest.approx(2 * norm.sf(norm.isf(0.0125) / np.sqrt(0.8)), rel=1e-9)


def test_sample_numbers_are_expected_information():
    design = group_sequential([0.5, 1.0], shape="P")
    stop = design.rejection_probability[0]
    expected = design.inflation_factor * (0.5 * stop + 1.0 * (1 - stop))
    assert design.average_sample_number.h1 == pytest.approx(expected, rel=1e-12)
    assert design.average_sample_number.h0 > design.average_sample_number.h1


@pytest.mark.parametrize(
    ("rates", "options"),
    [
        ([0.5, 0.5, 1.0], {}),
        ([0.0, 1.0], {}),
        ([0.5, 1.1], {}),
        ([], {}),
        (["a", 1.0], {}),
        ([0.5, 0.9], {"shape": "OF"}),
        ([0.5, 1.0], {"alpha": 0.0}),
        ([0.5, 1.0], {"alpha": 0.5}),
        ([0.5, 1.0], {"sided": 3}),
        ([0.5, 1.0], {"power": 0.02}),
        ([0.5, 1.0], {"power": 1.0}),
        ([0.5, 1.0], {"shape": "XX"}),
        ([0.5, 1.0], {"shape": "OF", "parameter": 1.0}),
        ([0.5, 1.0], {"shape": "asHSD"}),
        ([0.5, 1.0], {"shape": "asHSD", "parameter": -30.0}),
        ([0.5, 1.0], {"shape": "WT", "parameter": 3.0}),
        ([0.5, 1.0], {"shape": "asUser"}),
        ([0.5, 1.0], {"shape": "asUser", "user_alpha": [0.03, 0.025]}),
        ([0.5, 1.0], {"shape": "asUser", "user_alpha": [0.01, 0.02]}),
        ([0.5, 1.0], {"shape": "asUser", "user_alpha": [0.025]}),
        ([0.5, 1.0], {"shape": "asUser", "user_alpha": [-0.01, 0.025]}),
        ([0.5, 1.0], {"user_alpha": [0.01, 0.025]}),
        ([0.5, 1.0], {"sided": 2, "futility": FutilityBounds(bounds=(0.0,))}),
        ([0.5, 1.0], {"futility": FutilityBounds(bounds=(0.0, 0.5))}),
        ([0.5, 1.0], {"futility": FutilityBounds(bounds=(np.nan,))}),
        ([0.5, 1.0], {"futility": FutilityBounds(bounds=(3.5,))}),
        ([0.3, 1.0], {"futility": FutilityBounds(bounds=(2.0,), binding=True)}),
        ([0.5, 1.0], {"futility": BetaSpending(spending="bsX")}),
        ([0.5, 1.0], {"futility": BetaSpending(spending="bsUser", user_beta=(0.1, 0.3))}),
        ([0.5, 0.9], {"futility": BetaSpending(spending="bsOF")}),
    ],
)
def test_impossible_designs_are_refused(rates, options):
    with pytest.raises(InvalidInputError):
        group_sequential(rates, **options)
