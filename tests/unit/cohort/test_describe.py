"""Stage "baseline": Table 1, standardised differences, follow-up and maturity."""

from __future__ import annotations

import numpy as np
import pytest
from lifelines import KaplanMeierFitter

from tests.helpers.cohorts import gbsg2_cohort, marker_cohort
from tests.helpers.synthetic import cohort, trial
from trialstrat.cohort.describe import describe_cohort
from trialstrat.results import StageResult


@pytest.fixture(scope="module")
def gbsg2() -> StageResult:
    return describe_cohort(gbsg2_cohort())


def row(result: StageResult, table: str, **where: object) -> dict:
    found = [r for r in result.table(table).records() if all(r[key] == value for key, value in where.items())]
    assert len(found) == 1, found
    return found[0]


def test_continuous_summaries(gbsg2: StageResult) -> None:
    frame = gbsg2_cohort().frame
    arm = gbsg2_cohort().arm
    for name, mask in (("all", np.ones(686, dtype=bool)), ("no", arm == "no"), ("yes", arm == "yes")):
        values = frame["age"][mask]
        found = row(gbsg2, "baseline.table_one", variable="age", arm=name)
        assert (found["n"], found["missing"]) == (mask.sum(), 0)
        expected = [values.mean(), values.std(), *values.quantile([0.5, 0.25, 0.75])]
        assert [found[key] for key in ("mean", "sd", "median", "q1", "q3")] == pytest.approx(expected)
        assert (found["count"], found["share"], found["level"]) == (None, None, None)
        assert (found["label"], found["unit"]) == ("Age", "years")


def test_levels_add_up_in_every_arm(gbsg2: StageResult) -> None:
    records = gbsg2.table("baseline.table_one").records()
    for variable in ("menostat", "tgrade"):
        for arm, n in (("all", 686), ("no", 440), ("yes", 246)):
            mine = [r for r in records if r["variable"] == variable and r["arm"] == arm]
            assert sum(r["count"] for r in mine) == n == mine[0]["n"]
            assert sum(r["share"] for r in mine) == pytest.approx(1.0)
    grades = [r["level"] for r in records if r["variable"] == "tgrade" and r["arm"] == "all"]
    assert grades == ["I", "II", "III"]


def test_standardised_differences(gbsg2: StageResult) -> None:
    source = gbsg2_cohort()
    age, yes = source.frame["age"].to_numpy(), source.arm == "yes"
    expected = (age[yes].mean() - age[~yes].mean()) / np.sqrt((age[yes].var(ddof=1) + age[~yes].var(ddof=1)) / 2)
    assert row(gbsg2, "baseline.smd", variable="age")["smd"] == pytest.approx(expected)
    post = (source.frame["menostat"] == "Post").to_numpy()
    p1, p0 = post[yes].mean(), post[~yes].mean()
    expected = abs(p1 - p0) / np.sqrt((p1 * (1 - p1) + p0 * (1 - p0)) / 2)
    found = row(gbsg2, "baseline.smd", variable="menostat")
    assert found["smd"] == pytest.approx(expected)
    assert found["comparison"] == "yes_vs_no"


def test_follow_up_and_maturity(gbsg2: StageResult) -> None:
    source = gbsg2_cohort()
    time, event = source.outcome.time / 365.25, source.outcome.event
    other = KaplanMeierFitter().fit(time, 1 - event)
    found = gbsg2.estimate("baseline.follow_up.median.all")
    assert found.value == pytest.approx(other.median_survival_time_, rel=1e-9)
    assert found.lower < found.value < found.upper
    assert (found.unit, found.n, found.events) == ("years", 686, 299)
    assert gbsg2.estimate("baseline.maturity.all").value == pytest.approx(299 / 686)
    arms = gbsg2.table("baseline.follow_up").records()
    assert [(r["arm"], r["n"], r["events"]) for r in arms] == [("all", 686, 299), ("no", 440, 205), ("yes", 246, 94)]
    assert arms[0]["median_follow_up"] == found.value


def test_missing_values_are_counted_not_summarised() -> None:
    source = trial(n=100)
    source.marker[:9] = np.nan
    source.stage[:4] = None
    result = describe_cohort(cohort(source))
    marker = row(result, "baseline.table_one", variable="marker", arm="all")
    assert (marker["n"], marker["missing"]) == (91, 9)
    assert marker["mean"] == pytest.approx(source.marker[9:].mean())
    stages = [r for r in result.table("baseline.table_one").records() if r["variable"] == "stage" and r["arm"] == "all"]
    assert {(r["n"], r["missing"]) for r in stages} == {(96, 4)}
    assert sum(r["share"] for r in stages) == pytest.approx(1.0)


def test_a_variable_unknown_in_one_arm_has_no_difference() -> None:
    source = trial(n=100)
    source.marker[source.arm == "t1"] = np.nan
    result = describe_cohort(cohort(source))
    assert row(result, "baseline.smd", variable="marker")["smd"] is None
    assert row(result, "baseline.table_one", variable="marker", arm="t1")["mean"] is None


def test_no_arms_and_several_arms() -> None:
    none = describe_cohort(cohort(trial(n=100), arms=None))
    assert {r["arm"] for r in none.table("baseline.table_one").records()} == {"all"}
    assert [table.name for table in none.tables] == ["baseline.table_one", "baseline.follow_up"]
    three = describe_cohort(cohort(trial(n=200, log_hr=(0.0, 0.0)), treatments=2))
    comparisons = [r["comparison"] for r in three.table("baseline.smd").records() if r["variable"] == "site"]
    assert comparisons == ["t1_vs_ctrl", "t2_vs_ctrl"]


def test_markers_are_counted_only() -> None:
    result = describe_cohort(marker_cohort(n=60, markers=12))
    assert result.facts["markers"] == "12"
    assert {r["variable"] for r in result.table("baseline.table_one").records()} == {"age"}


def test_follow_up_that_has_no_median_says_so() -> None:
    source = trial(n=60)
    source.event[:] = 1
    result = describe_cohort(cohort(source))
    found = result.estimate("baseline.follow_up.median.all")
    assert found.status == "not_estimable"
    assert result.table("baseline.follow_up").records()[0]["median_follow_up"] is None


def test_outcomes_without_a_time_have_no_follow_up() -> None:
    source = trial(n=60)
    endpoint = {"unit": None, "time": None, "event": None, "horizon": None}
    binary = {**endpoint, "kind": "binary", "value": "x", "positive": [1], "negative_values": [0]}
    result = describe_cohort(cohort(source, endpoint=binary))
    first = result.table("baseline.follow_up").records()[0]
    assert first["events"] == int(source.event.sum())
    assert first["median_follow_up"] is None
    continuous = {**endpoint, "kind": "continuous", "value": "x"}
    result = describe_cohort(cohort(source, value=source.marker, endpoint=continuous))
    assert result.table("baseline.follow_up").records()[0]["events"] is None
    assert result.estimates == ()


def test_small_counts_are_not_said_in_notes() -> None:
    source = trial(n=80)
    source.event[np.flatnonzero(source.event)[4:]] = 0
    result = describe_cohort(cohort(source))
    assert "fewer than 11 events" in result.table("baseline.follow_up").note
