"""Counts that stand in several tables: attacked across all of them at once, with everything a reader knows."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy.optimize import linprog

from tests.helpers.synthetic import cohort, trial
from trialstrat.cohort.cohort import Cohort
from trialstrat.cohort.describe import describe_cohort
from trialstrat.cohort.missingness import missing_patterns
from trialstrat.cohort.shown import shown_outcome
from trialstrat.cohort.summary import cohort_result
from trialstrat.disclosure import protect, protect_together
from trialstrat.results import Column, Estimate, StageResult, Table
from trialstrat.subgroups.comparison import comparisons
from trialstrat.subgroups.forest import NOT_KNOWN, subgroup_forest

K = 11
LEVELS, ARMS = ("I", "II", "III"), ("ctrl", "t1")
#: Unknowns of the attack: patients by level and arm, without a value by arm, without a value by outcome.
CELLS = [*((level, arm) for level in (*LEVELS, None) for arm in ARMS), ("lost", "event"), ("lost", "no_event")]


def study(seed: int) -> Cohort:
    """A rare level, a few values missing: small cells in some arms and not in others."""
    source = trial(n=160, seed=seed)
    rng = np.random.default_rng(seed)
    rare = (source.stage == "III") & (rng.random(160) < 0.6)
    of = cohort(replace(source, stage=np.where(rare, "II", source.stage)))
    of.frame["stage"] = of.frame["stage"].mask(rng.random(of.n) < np.where(source.treated == 1, 0.05, 0.2))
    return of


def stages(of: Cohort) -> list[StageResult]:
    found = [cohort_result(of), describe_cohort(of), missing_patterns(of)]
    kept = comparisons(of)
    found.append(subgroup_forest(of, shown_outcome(of), kept, weights=[None] * len(kept)))
    return [entry for entry in found if entry is not None]


def truth(of: Cohort) -> dict[Any, int]:
    stage, arm = of.frame["stage"].astype(object).where(of.frame["stage"].notna(), None), np.asarray(of.arm)
    event = np.asarray(of.outcome.event == 1)
    lost = np.array([value is None for value in stage])
    out: dict[Any, int] = {}
    for level, name in CELLS[:8]:
        own = lost if level is None else np.asarray(stage == level)
        out[level, name] = int((own & (arm == name)).sum())
    out["lost", "event"], out["lost", "no_event"] = int((lost & event).sum()), int((lost & ~event).sum())
    return out


def published(results: list[StageResult]) -> list[tuple[list[Any], Any]]:
    """(cells that add up to it, number or mark) of every count of the variable in every table."""
    tables = {table.name: table for result in results for table in result.tables}

    def arms(level: str | None, arm: str) -> list[Any]:
        return [(level, name) for name in ARMS if arm in ("all", name)]

    out: list[tuple[list[Any], Any]] = []
    for row in tables["baseline.table_one"].records():
        if row["variable"] == "stage":
            out.append((arms(str(row["level"]), str(row["arm"])), row["count"]))
            out.append((arms(None, str(row["arm"])), row["missing"]))
            out.append(([cell for level in LEVELS for cell in arms(level, str(row["arm"]))], row["n"]))
    lost = [row for row in tables["cohort.missing"].records() if row["variable"] == "stage"]
    out += [(arms(None, str(row["arm"])), row["missing"]) for row in lost]
    for row in tables["missing.by_outcome"].records():
        if row["variable"] == "stage":
            names = ("event", "no_event") if row["outcome"] == "all" else (row["outcome"],)
            out.append(([("lost", name) for name in names], row["missing"]))
    for row in tables["forest.rows"].records():
        if row["variable"] == "stage":
            level = None if row["level"] == NOT_KNOWN else str(row["level"])
            out.append((arms(level, "ctrl"), row["n_control"]))
            out.append((arms(level, "t1"), row["n_treated"]))
            out.append((arms(level, "all"), row["n"]))
    return out


def exposed(results: list[StageResult], of: Cohort) -> list[Any]:
    """Small cells that linear programming confines to a narrower range than their mark leaves open."""
    exact = truth(of)
    at = {cell: place for place, cell in enumerate(CELLS)}
    equal, right, below, limit = [], [], [], []

    def row(cells: list[Any], sign: float = 1.0) -> np.ndarray:
        out = np.zeros(len(CELLS))
        for cell in cells:
            out[at[cell]] += sign
        return out

    for arm in ARMS:  # sizes of the arms are known
        equal.append(row([(level, arm) for level in (*LEVELS, None)]))
        right.append(float((np.asarray(of.arm) == arm).sum()))
    equal.append(row([(None, arm) for arm in ARMS]) - row([("lost", "event"), ("lost", "no_event")]))
    right.append(0.0)
    for cells, value in published(results):
        if isinstance(value, (int, float)):
            equal.append(row(cells))
            right.append(float(value))
        elif value == f"<{K}":
            below += [row(cells), row(cells, -1.0)]
            limit += [K - 1.0, -1.0]
    found = []
    for cell, value in exact.items():
        if not 0 < value < K:
            continue
        ends = []
        for direction in (1.0, -1.0):
            goal = np.zeros(len(CELLS))
            goal[at[cell]] = direction
            solved = linprog(goal, below or None, limit or None, equal, right, bounds=(0, None))
            assert solved.status == 0, "what is published contradicts itself"
            ends.append(direction * solved.fun)
        if ends[1] - ends[0] < K - 2 - 1e-6:
            found.append(cell)
    return found


@pytest.mark.parametrize("seed", range(5))
def test_no_small_count_can_be_solved_across_tables(seed: int) -> None:
    of = study(seed)
    assert any(0 < value < K for value in truth(of).values())
    assert exposed(protect_together(stages(of), K), of) == []


def test_the_attack_succeeds_where_tables_are_protected_one_by_one() -> None:
    def broken(seed: int) -> bool:
        of = study(seed)
        return bool(exposed([protect(result, K) for result in stages(of)], of))

    assert any(broken(seed) for seed in range(8))


def test_an_analysis_of_nearly_everybody_does_not_say_its_size() -> None:
    def entry(name: str, n: int, events: int) -> Estimate:
        return Estimate(name=name, label=name, value=0.7, n=n, events=events)

    whole = entry("primary.cox.hazard_ratio.b_vs_a", 400, 200)
    names = ("primary.cox.adjusted_hazard_ratio.b_vs_a", "primary.weighted.hazard_ratio.b_vs_a")
    for name in names:
        few, many, same = (
            protect(StageResult(stage="primary", estimates=(whole, entry(name, n, events))), K).estimates[1]
            for n, events in ((396, 199), (380, 170), (400, 200))
        )
        assert (few.n, few.events, few.value) == (None, None, 0.7)
        assert (many.n, many.events) == (380, 170)
        assert (same.n, same.events) == (400, 200)


def test_sentences_do_not_say_it_either() -> None:
    of = study(1)
    outcome = shown_outcome(of)
    most = np.ones(of.n, dtype=bool)
    most[:3] = False
    assert outcome.population(most).startswith("160 patients less fewer than 11, ")
    most[:40] = False
    assert outcome.population(most).startswith("120 patients, ")


def sized(n: int, events: int) -> StageResult:
    columns = (Column(key="marker", label="Marker"), Column(key="n", label="Patients", kind="count"),
               Column(key="events", label="Events", kind="count"))  # fmt: skip
    table = Table(
        name="screen.markers", title="Markers", columns=columns, rows=(("x", n, events),), protection="counts"
    )
    estimates = (
        Estimate(name="cohort.events", label="", value=90, lower=np.nan, upper=np.nan, unit="events", n=200, events=90),
        Estimate(name="screen.smallest", label="", value=0.2, lower=np.nan, upper=np.nan, n=n, events=events),
    )
    return StageResult(stage="screen", tables=(table,), estimates=estimates)


@pytest.mark.parametrize(
    ("n", "events", "shown"),
    [(200, 90, (200, 90)), (197, 90, ("withheld", 90)), (190, 88, (190, "withheld")), (190, 80, (190, 80))],
)
def test_an_analysis_of_nearly_everybody_does_not_show_its_size(n: int, events: int, shown: tuple[Any, Any]) -> None:
    done = protect(sized(n, events), 5)
    assert done.tables[0].rows[0][1:] == shown
    whole, part = done.estimates
    assert (whole.n, whole.events) == (200, 90)
    assert (part.n is None, part.events is None) == (n == 197, (n, events) in ((197, 90), (190, 88)))


def test_an_arm_is_not_the_rest_of_another_arm_of_nearly_its_size() -> None:
    arms = {"a": (102, 48), "b": (98, 46), "c": (100, 50)}
    made = [
        Estimate(name=f"{stem}.{arm}", label="", value=1.0, lower=np.nan, upper=np.nan, n=n, events=events)
        for arm, (n, events) in arms.items()
        for stem in ("baseline.maturity", "primary.km.median")
    ]
    columns = (Column(key="arm", label="Arm"), *(Column(key=key, label=key, kind="count") for key in ("n", "events")))
    table = Table(
        name="baseline.follow_up", title="", columns=columns, protection="counts",
        rows=tuple((arm, *numbers) for arm, numbers in arms.items()),
    )  # fmt: skip
    done = protect(StageResult(stage="baseline", estimates=tuple(made), tables=(table,)), 5)
    assert {(entry.n, entry.events) for entry in done.estimates} == set(arms.values())
    assert done.tables[0].rows == table.rows


def test_the_counts_of_a_feature_are_those_of_its_variable() -> None:
    """Altered in 3, unaltered in 230, unknown in 7: the table of features may not show what Table 1 hides."""

    def counts(*keys: str) -> tuple[Column, ...]:
        return tuple(Column(key=key, label=key, kind="count") for key in keys)

    features = Table(
        name="cohort.features", title="Features", protection="counts", rows=(("f", 3, 230, 7),),
        columns=(Column(key="feature", label="Feature"), *counts("altered", "unaltered", "unknown")),
    )  # fmt: skip
    baseline = Table(
        name="baseline.table_one", title="Table 1", protection="counts",
        columns=(*(Column(key=key, label=key) for key in ("variable", "arm", "level")), *counts("n", "count")),
        rows=(("f", "all", "altered", 233, 3), ("f", "all", "not altered", 233, 230)),
    )  # fmt: skip
    one, two = protect_together(
        [StageResult(stage="cohort", tables=(features,)), StageResult(stage="baseline", tables=(baseline,))], 5
    )
    (shown,) = one.tables[0].rows
    levels = [row[4] for row in two.tables[0].rows]
    assert shown[1] == levels[0] == "<5"
    known = two.tables[0].rows[0][3]
    # everything that a reader who knows the 240 patients can still believe
    possible = {
        altered
        for altered in range(1, 5)
        for unknown in range(240 - altered + 1)
        if all(
            mark in ("<5", "withheld") or mark == value
            for mark, value in (
                (shown[2], 240 - altered - unknown), (levels[1], 240 - altered - unknown), (shown[3], unknown),
                (known, 240 - unknown),
            )
        )
    }  # fmt: skip
    assert possible == {1, 2, 3, 4}
