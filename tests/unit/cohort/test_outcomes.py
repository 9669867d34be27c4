"""Endpoints of every kind: times, dates, events, delayed entry, units; each fault with its rows."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.unit.cohort.conftest import codes, table
from trialstrat.cohort.build import check, read_cohort
from trialstrat.cohort.times import dates
from trialstrat.cohort.unit_mix import find_unit_mix

BASE = {
    "name": "os",
    "label": "OS",
    "time": "T",
    "unit": "months",
    "event": {"column": "E", "events": [1], "censored": [0]},
}


def endpoint(**changes: Any) -> dict[str, Any]:
    return {"endpoints": [{**BASE, **changes}]}


def test_times_and_events_are_read_in_id_order(small):
    cohort = read_cohort(small("ID,T,E\nb,2.5,1\na,1e1,0\nc,3,1\n"))
    assert cohort.frame.index.tolist() == ["a", "b", "c"]
    assert cohort.outcome.time is not None
    assert cohort.outcome.time.tolist() == [10.0, 2.5, 3.0]
    assert cohort.outcome.event is not None
    assert cohort.outcome.event.tolist() == [0, 1, 1]
    assert cohort.outcome.entry is None


def test_every_fault_of_a_column_is_reported_at_once(small):
    text = table(T=[-1, "x", "", "inf", "2021-03-31", 1e6, 0, 5, 5, 5, 5, 5], E=[1, 1, 1, 1, 1, 1, 1, 2, "", 1, 0, 1])
    assert codes(check(small(text))) == {
        "E-TIME-NEG": ("T", 1, 12, (2,)),
        "E-TIME-TEXT": ("T", 1, 12, (3,)),
        "E-TIME-MISSING": ("T", 1, 12, (4,)),
        "E-TIME-INF": ("T", 1, 12, (5,)),
        "E-TIME-DATE": ("T", 1, 12, (6,)),
        "E-TIME-MAX": ("T", 1, 12, (7,)),
        "E-TIME-ZERO": ("T", 1, 12, (8,)),
        "E-EVENT-UNKNOWN": ("E", 1, 12, (9,)),
        "E-EVENT-MISSING": ("E", 1, 12, (10,)),
    }


@pytest.mark.parametrize(
    "written", ["2021-03-31", "2021-03", "31.03.2021", "3/31/21", "31-Mar-2021", "31MAR2021", "2021-03-31T10:00:00"]
)
def test_dates_are_never_times(small, written):
    assert codes(check(small(table(T=[written, 5, 6, 7]))))["E-TIME-DATE"][:3] == ("T", 1, 4)


def test_largest_time_is_declared_or_a_hundred_years(small):
    text = table(T=[5, 6, 30, 1201])
    assert codes(check(small(text)))["E-TIME-MAX"] == ("T", 1, 4, (5,))
    assert codes(check(small(text, **endpoint(maximum=24))))["E-TIME-MAX"] == ("T", 2, 4, (4, 5))
    assert codes(check(small(text, **endpoint(maximum=1300)))) == {}


@pytest.mark.parametrize(("unit", "time"), [("days", 20_000), ("weeks", 2700), ("months", 620), ("years", 51)])
def test_a_median_beyond_fifty_years_is_another_unit(small, unit, time):
    text = table(T=[time] * 6)
    found = codes(check(small(text, **endpoint(unit=unit))))
    assert list(found) == ["E-TIME-UNIT"]


def test_another_endpoint_competes_where_its_event_comes_first(small):
    other = {
        **BASE,
        "name": "death",
        "time": "D",
        "unit": "days",
        "event": {"column": "F", "events": [1], "censored": [0]},
    }
    both = {"endpoints": [{**BASE, "kind": "competing", "competing": ["death"]}, other]}
    day = 30.4375
    #            own event, dead at the end, dead before the own event, dead at its time, dead after the end, nothing
    text = table(
        T=[5, 7, 9, 4, 6, 8], E=[1, 0, 1, 1, 0, 0], D=[9 * day, 7 * day, 3 * day, 4 * day, 7 * day, 8 * day],
        F=[1, 1, 1, 1, 1, 0],
    )  # fmt: skip
    cohort = read_cohort(small(text, **both))
    assert cohort.outcome.event is not None
    assert cohort.outcome.time is not None
    assert cohort.outcome.event.tolist() == [1, 2, 2, 1, 0, 0]
    assert cohort.outcome.time.tolist() == pytest.approx([5, 7, 3, 4, 6, 8])
    assert cohort.protocol.endpoint.causes == ("os", "death")
    assert cohort.outcomes["death"].event.tolist() == [1, 1, 1, 1, 1, 0]


def test_who_lacks_a_competing_outcome_is_dropped_with_it(small):
    other = {**BASE, "name": "death", "time": "D", "missing_outcome": "drop"}
    both = {"endpoints": [{**BASE, "kind": "competing", "competing": ["death"]}, other]}
    cohort = read_cohort(small(table(T=[5, 7, 9, 4], D=[5, "", 3, 9], E=[1, 0, 1, 0]), **both))
    assert cohort.n == 3
    assert cohort.attrition.records()[-1]["removed"] == 1


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"competing": ["os"], "kind": "competing"}, "no other endpoint"),
        ({"competing": ["dfs"], "kind": "competing"}, "no other endpoint"),
        ({"competing": ["dfs"]}, "goes with kind competing"),
        ({"kind": "competing"}, "or competing:"),
        ({"milestones": [12, 6]}, "that increase"),
    ],
)
def test_what_competes_is_declared(small, changes, why):
    with pytest.raises(ValueError, match=why):
        small(table(T=[1, 2]), **endpoint(**changes))


def test_competing_causes_are_numbered_in_declared_order(small):
    text = table(E=["relapse", "none", "death", "relapse"])
    coding = {"column": "E", "causes": {"rel": "relapse", "dead": "death"}, "censored": ["none"]}
    cohort = read_cohort(small(text, **endpoint(kind="competing", event=coding)))
    assert cohort.outcome.event is not None
    assert cohort.outcome.event.tolist() == [1, 0, 2, 1]


def test_unknown_codes_are_named_when_common_and_counted_when_rare(small):
    text = table(E=[1, 0, *["dead"] * 6, *["U"] * 2])
    (finding,) = [entry for entry in check(small(text)) if entry.code == "E-EVENT-UNKNOWN"]
    assert "dead (6 rows); 1 level held by fewer than 5 rows; declared: 1, 0" in finding.text()
    assert "U" not in finding.message.split(":", 1)[1].replace("UNKNOWN", "")


def test_cnsr_is_inverted_and_said(small):
    cohort = read_cohort(small(table(E=[0, 1, 2, 0]), **endpoint(event={"column": "E", "style": "cnsr"})))
    assert cohort.outcome.event is not None
    assert cohort.outcome.event.tolist() == [1, 0, 0, 1]
    (note,) = [entry for entry in cohort.findings if entry.code == "I-EVENT-CNSR"]
    assert note.text() == "I-EVENT-CNSR cohort.csv: E: CNSR inverted: 0 is the event: 2 events of 4."


def test_delayed_entry(small):
    cohort = read_cohort(small(table(S=[0, 1, 2, 6.5]), **endpoint(entry="S")))
    assert cohort.outcome.entry is not None
    assert cohort.outcome.entry.tolist() == [0, 1, 2, 6.5]
    found = codes(check(small(table(S=[0, 6, "x", 9, -1, ""]), **endpoint(entry="S"))))
    assert found["E-ENTRY-EXIT"] == ("S", 2, 6, (3, 5))
    assert found["E-ENTRY-TEXT"] == ("S", 3, 6, (4, 6, 7))


# -- dates -----------------------------------------------------------------------------------------------------------

DATED = endpoint(time=None, start="A", end="B", unit="days")


def test_times_from_dates_in_every_unit(small):
    text = table(A=["2020-01-01"] * 4, B=["2020-01-31", "2020-02-29", "2021-01-01", "2020-01-01T12:30"])
    zero = {"zero_time": "keep"}
    for unit, days in (("days", 1), ("weeks", 7), ("months", 30.4375), ("years", 365.25)):
        cohort = read_cohort(small(text, **endpoint(time=None, start="A", end="B", unit=unit, **zero)))
        assert cohort.outcome.time is not None
        assert cohort.outcome.time * days == pytest.approx([30, 59, 366, 0])


def test_faults_of_dates(small):
    ends = ["2020-02-30", "2021-03", "31/12/2021", "2019-12-31", "2021-06-30", "", "2020-06-30"]
    found = codes(check(small(table(A=["2020-01-01"] * 7, B=ends), **DATED, data_cut="2021-01-01")))
    assert found == {
        "E-DATE-FORMAT": ("B", 3, 7, (2, 3, 4)),
        "E-DATE-ORDER": ("B", 1, 7, (5,)),
        "E-DATE-CUT": ("B", 1, 7, (6,)),
        "E-TIME-MISSING": ("B", 1, 7, (7,)),
    }


def test_dates_far_from_today_are_read():
    days, bad = dates(pd.Series(["1850-01-01", "2222-12-31", None, "20210331"], dtype=object))
    assert bad.tolist() == [False, False, False, True]
    assert (days[1] - days[0]).astype(int) == (dt.date(2222, 12, 31) - dt.date(1850, 1, 1)).days


# -- binary and continuous -------------------------------------------------------------------------------------------


def test_binary_outcomes(small):
    response = {
        "name": "os",
        "label": "Response",
        "kind": "binary",
        "value": "R",
        "positive": ["CR", "PR"],
        "negative_values": ["SD", "PD"],
    }
    cohort = read_cohort(
        small(table(R=["CR", "PD", "PR", "SD"]), endpoints=[response], estimand={"summary": "odds_ratio"})
    )
    assert cohort.outcome.time is None
    assert cohort.outcome.event is not None
    assert cohort.outcome.event.tolist() == [1, 0, 1, 0]
    found = codes(check(small(table(R=["CR", "XX", "", "SD"]), endpoints=[response])))
    assert found == {"E-OUTCOME-UNKNOWN": ("R", 1, 4, (3,)), "E-OUTCOME-MISSING": ("R", 1, 4, (4,))}


def test_continuous_outcomes(small):
    dose = {"name": "os", "label": "Dose", "kind": "continuous", "value": "D", "missing_outcome": "drop"}
    summary = {"estimand": {"summary": "mean_difference"}}
    cohort = read_cohort(small(table(D=[1.5, "", 3, 4]), endpoints=[dose], **summary))
    assert cohort.outcome.value is not None
    assert cohort.outcome.value.tolist() == [1.5, 3, 4]
    assert cohort.outcome.event is None
    assert codes(check(small(table(D=[1.5, "high", 3, 4]), endpoints=[dose], **summary))) == {
        "E-OUTCOME-TEXT": ("D", 1, 4, (3,))
    }


# -- units -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [0.7, 1.0, 2.0])
@pytest.mark.parametrize("seed", range(5))
def test_times_of_one_unit_are_not_taken_for_a_mixture(shape, seed):
    rng = np.random.default_rng(seed)
    time = np.minimum(18 * rng.weibull(shape, 300), rng.uniform(3, 60, 300)) + 0.01
    assert find_unit_mix(time) is None


@pytest.mark.parametrize("factor", [30.4375, 365.25])
@pytest.mark.parametrize("seed", range(3))
def test_a_part_in_another_unit_is_found(factor, seed):
    rng = np.random.default_rng(seed)
    time = np.minimum(18 * rng.weibull(1.0, 300), rng.uniform(6, 60, 300)) + 0.01
    wrong = rng.choice(300, 20, replace=False)
    time[wrong] *= factor
    mix = find_unit_mix(time)
    assert mix is not None
    assert mix.factor == factor
    assert set(np.flatnonzero(mix.other)) <= set(wrong)
    assert mix.other.sum() >= 12


def test_the_order_of_rows_does_not_matter_for_large_cohorts():
    rng = np.random.default_rng(1)
    time = 18 * rng.weibull(1.0, 6000) + 0.01
    time[:300] *= 30.4375
    first = find_unit_mix(time)
    order = rng.permutation(len(time))
    second = find_unit_mix(time[order])
    assert first is not None
    assert second is not None
    assert np.array_equal(first.other[order], second.other)
