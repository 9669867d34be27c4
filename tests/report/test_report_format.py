"""Every rounding of the report, by example."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trialstrat.report import format as fmt

NAN = math.nan


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0.6949, "0.69"),
        (1.0, "1.00"),
        (0.0999, "0.10"),
        (0.0612, "0.061"),
        (0.00512, "0.0051"),
        (12.34, "12.3"),
        (123.4, "123"),
        (1234.5, "1,234"),
        (-3.456, "−3.46"),
        (0.0, "0.00"),
        (9.996, "10.0"),
        (1e-7, "1.0e-7"),
        (2.5e9, "2.5e9"),
        (NAN, "–"),
        (math.inf, "–"),
        (None, "–"),
    ],
)
def test_effect(value: float | None, expected: str) -> None:
    assert fmt.effect(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0.0124, "0.012"),
        (0.049, "0.049"),
        (0.34, "0.34"),
        (0.0996, "0.10"),
        (0.000999, "< 0.001"),
        (0.0, "< 0.001"),
        (1.0, "> 0.99"),
        (0.001, "0.001"),
        (NAN, "–"),
        (None, "–"),
    ],
)
def test_p_value(value: float | None, expected: str) -> None:
    assert fmt.p_value(value).replace("\u00a0", " ") == expected


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [
        ((0.61, 0.47, 0.80), "0.61 (0.47 to 0.80)"),
        ((0.022, 0.003, 0.041), "0.022 (0.003 to 0.041)"),
        ((12.34, 1.234, 130.2), "12.3 (1.2 to 130.2)"),
        ((0.69, 0.0041, 0.9), "0.69 (0.004 to 0.90)"),
        ((66.3, 63.0, None), "66.3 (63.0 to not reached)"),
        ((0.69, None, None), "0.69"),
        ((0.69, NAN, NAN), "0.69"),
        ((-0.5, -1.25, 0.25), "−0.50 (−1.25 to 0.25)"),
        ((NAN, 0.1, 0.2), "–"),
    ],
)
def test_interval_of_an_effect(numbers: tuple[float, float | None, float | None], expected: str) -> None:
    assert fmt.interval(*numbers, fmt.effect) == expected


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (fmt.percent(0.4359), "43.6%"),
        (fmt.percent(0.4359, 0), "44%"),
        (fmt.percent(-0.0001), "0.0%"),
        (fmt.percent(None), "–"),
        (fmt.per_hundred(0.581), "58"),
        (fmt.count(1234), "1,234"),
        (fmt.count(0), "0"),
        (fmt.count(None), "–"),
        (fmt.number(60.0), "60"),
        (fmt.number(53.42), "53.4"),
        (fmt.fixed(2.0, 1), "2.0"),
        (fmt.share(94, 246), "94 (38.2%)"),
        (fmt.share(None, 10), "–"),
        (fmt.share(1, 0), "–"),
        (fmt.horizon("59.9589", "months"), "60 months"),
        (fmt.horizon(9.9, "months"), "9.9 months"),
        (fmt.horizon(1.0, "years"), "1 year"),
        (fmt.horizon("", "years"), "the horizon"),
        (fmt.listing(["a"]), "a"),
        (fmt.listing(["a", "b", "c"]), "a, b and c"),
        (fmt.sentence("no full stop"), "No full stop."),
        (fmt.sentence("Really?"), "Really?"),
        (fmt.sentence(""), ""),
        (fmt.lower_first("Hormone therapy"), "hormone therapy"),
        (fmt.lower_first("CD4 count"), "CD4 count"),
        (fmt.lower_first("ZDV"), "ZDV"),
    ],
)
def test_small_formatters(call: str, expected: str) -> None:
    assert call == expected


def test_marks_of_hidden_counts_have_one_form() -> None:
    assert fmt.marked("<11") == fmt.suppressed(11) == "<\u00a011"
    assert fmt.marked("withheld") == "withheld"


@pytest.mark.parametrize(("value", "places"), [(1.04, 3), (1.0502, 2), (1.0007, 5), (0.98, 3), (1.0, 2), (0.7, 2)])
def test_ratios_close_to_one_keep_what_tells_them_from_one(value: float, places: int) -> None:
    assert fmt.ratio_places(value) == places
    assert fmt.ratio_places(value, 0.6) <= 2 or value < 0.1  # a wide interval needs no more


@given(st.floats(min_value=-1e12, max_value=1e12))
def test_an_effect_is_within_its_rounding(value: float) -> None:
    written = float(fmt.effect(value).replace("−", "-").replace(",", ""))
    assert written == pytest.approx(value, rel=0.05, abs=1e-12)


@given(st.floats(min_value=1e-300, max_value=0.9))
def test_a_p_is_never_written_as_zero_or_one(p: float) -> None:
    assert fmt.p_value(p).lstrip("<> \u00a0") not in ("0", "0.000", "0.00", "1.00")
