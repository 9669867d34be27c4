"""Survival and incidence at declared times: against R's survival 3.5, and what small counts hide."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.helpers.synthetic import cohort, trial
from trialstrat.cohort.shown import ShownOutcome, shown_outcome
from trialstrat.subgroups.milestones import milestone_table

# 30 patients, three-year steps; causes 1 and 2
TIME = np.array(
    [1, 2, 2, 3, 3, 4, 5, 5, 6, 6, 7, 8, 8, 9, 9, 10, 11, 12, 12, 13, 14, 14, 15, 16, 17, 18, 19, 20, 21, 22],
    dtype=float,
)
EVENT = np.array([1, 2, 1, 0, 2, 1, 1, 2, 2, 1, 0, 1, 2, 1, 0, 2, 1, 2, 0, 1, 2, 1, 0, 2, 1, 0, 0, 1, 2, 0])
# survfit(Surv(t, factor(e, 0:2)) ~ 1) and survfit(Surv(t, e == 1) ~ 1, conf.type = "log-log") at 6, 12 and 18
R_INCIDENCE = (0.1706666667, 0.2825730994, 0.4160267335)
R_OTHERS = (0.1360000000, 0.2503391813, 0.3413302954)
R_NAIVE = (0.1803636364, 0.3213802420, 0.5373047105)
R_LOWER = (0.6182817126, 0.4519618685, 0.2150636103)
R_UPPER = (0.9210180902, 0.8275664778, 0.6794412052)


def outcome(kind: str, cell: int = 1, at: tuple[float, ...] = (6.0, 12.0, 18.0)) -> ShownOutcome:
    base = shown_outcome(cohort(trial(n=40)))
    event = EVENT if kind == "competing" else (EVENT == 1).astype(np.int64)
    return replace(base, kind=kind, time=TIME, event=event, milestones=at, minimum_cell=cell)


def rows(found: ShownOutcome) -> list[dict]:
    everybody = {"all": np.ones(30, dtype=bool)}
    table = milestone_table(found, everybody, {"all": "All patients"}, 0.95, "everybody")
    assert table is not None
    return table.records()


def test_incidence_at_the_declared_times() -> None:
    found = rows(outcome("competing"))
    assert [row["time"] for row in found] == [6.0, 12.0, 18.0]
    assert [row["incidence"] for row in found] == pytest.approx(R_INCIDENCE, abs=1e-7)
    assert [row["others"] for row in found] == pytest.approx(R_OTHERS, abs=1e-7)
    assert [row["naive"] for row in found] == pytest.approx(R_NAIVE, abs=1e-7)
    for row in found:
        assert 0 < row["lower"] < row["incidence"] < row["upper"] < 1
        assert row["naive"] > row["incidence"]


def test_survival_at_the_declared_times() -> None:
    found = rows(outcome("time_to_event"))
    assert [1 - row["survival"] for row in found] == pytest.approx(R_NAIVE, abs=1e-7)
    assert [row["lower"] for row in found] == pytest.approx(R_LOWER, abs=1e-7)
    assert [row["upper"] for row in found] == pytest.approx(R_UPPER, abs=1e-7)


def test_nothing_shows_a_few_patients() -> None:
    found = rows(outcome("time_to_event", cell=4, at=(6.0, 8.0, 18.0, 21.0, 30.0)))
    assert [row["reason"] for row in found] == [
        "",
        "fewer than 4 events since the row before",
        "",
        "fewer than 4 at risk",
        "follow-up ends before",
    ]
    assert [row["survival"] is None for row in found] == [False, True, False, True, True]
    # of the other events three fall between the two times
    assert rows(outcome("competing", cell=4, at=(6.0, 12.0)))[1]["incidence"] is None
    assert rows(outcome("competing", cell=3, at=(6.0, 12.0)))[1]["incidence"] is not None


def test_without_declared_times_there_is_no_table() -> None:
    assert milestone_table(outcome("competing", at=()), {}, {}, 0.95, "") is None
