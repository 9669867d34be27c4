"""Small cells: hidden, not computable, and nothing else lost that need not be."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.optimize import linprog

from trialstrat.disclosure import WITHHELD, protect
from trialstrat.errors import DisclosureError, InvalidInputError
from trialstrat.results import Column, Estimate, Finding, StageResult, Table

COUNT, TEXT, PERCENT, NUMBER, EFFECT = "count", "text", "percent", "number", "effect"


def table(name: str, columns: dict[str, str], rows: list[tuple[Any, ...]], protection: str = "counts") -> Table:
    return Table(
        name=name,
        title=name,
        columns=tuple(Column(key=key, label=key, kind=kind) for key, kind in columns.items()),  # type: ignore[arg-type]
        rows=tuple(rows),
        protection=protection,  # type: ignore[arg-type]
    )


def stage(*tables: Table, estimates: tuple[Estimate, ...] = (), findings: tuple[Finding, ...] = ()) -> StageResult:
    return StageResult(stage="test", tables=tables, estimates=estimates, findings=findings)


def shown(result: StageResult, name: str) -> list[dict[str, Any]]:
    return result.table(name).records()


TABLE_ONE = {
    "variable": TEXT,
    "label": TEXT,
    "kind": TEXT,
    "level": TEXT,
    "arm": TEXT,
    "n": COUNT,
    "missing": COUNT,
    "mean": NUMBER,
    "count": COUNT,
    "share": PERCENT,
}


def table_one(levels: dict[str, np.ndarray], missing: dict[str, np.ndarray]) -> Table:
    """Levels x arms counts per variable, with a row for all, as stage "baseline" makes them."""
    rows: list[tuple[Any, ...]] = []
    for variable, counts in levels.items():
        gone = missing[variable]
        for level in range(counts.shape[0]):
            everybody = (counts[level].sum(), counts.sum(), gone.sum(), "all")
            arms = [(counts[level, a], counts[:, a].sum(), gone[a], f"arm{a}") for a in range(counts.shape[1])]
            for count, n, lost, arm in [everybody, *arms]:
                row = (variable, variable, "categorical", f"L{level}", arm, int(n), int(lost), None, int(count))
                rows.append((*row, count / n if n else None))
    return table("baseline.table_one", TABLE_ONE, rows)


def attack(published: Table, arm_totals: dict[str, int], minimum: int) -> dict[tuple[int, str], tuple[float, float]]:
    """What somebody with a linear programme finds out about every hidden cell of a Table 1 (written independently).

    Knows: arm totals, that levels add up to n, n plus missing to the arm, arms to all, and that "<k" is 1 to k - 1.
    """
    records = published.records()
    index: dict[tuple[Any, ...], int] = {}
    lower: list[float] = []
    upper: list[float | None] = []

    def variable(key: tuple[Any, ...], value: Any) -> int:
        if key not in index:
            index[key] = len(lower)
            small = isinstance(value, str) and value.startswith("<")
            lower.append(1 if small else 0 if isinstance(value, str) else value)
            upper.append(minimum - 1 if small else None if isinstance(value, str) else value)
        return index[key]

    equations: list[tuple[dict[int, float], float]] = []
    for r in records:
        n = variable((r["variable"], r["arm"], "n"), r["n"])
        gone = variable((r["variable"], r["arm"], "missing"), r["missing"])
        variable((r["variable"], r["arm"], r["level"]), r["count"])
        equations.append(({n: 1, gone: 1}, arm_totals[r["arm"]]))
    names = {r["variable"] for r in records}
    for name in names:
        levels = {r["level"] for r in records if r["variable"] == name}
        for arm in arm_totals:
            parts = {index[name, arm, level]: 1.0 for level in levels}
            equations.append(({**parts, index[name, arm, "n"]: -1.0}, 0))
        for what in (*levels, "n", "missing"):
            parts = {index[name, arm, what]: 1.0 for arm in arm_totals if arm != "all"}
            equations.append(({**parts, index[name, "all", what]: -1.0}, 0))
    matrix = np.zeros((len(equations), len(lower)))
    for at, (parts, _) in enumerate(equations):
        for cell, weight in parts.items():
            matrix[at, cell] = weight
    rest = [total for _, total in equations]
    found = {}
    for row, r in enumerate(records):
        for key in ("n", "missing", "count"):
            if isinstance(r[key], str):
                cell = index[r["variable"], r["arm"], r["level"] if key == "count" else key]
                goal = np.zeros(len(lower))
                goal[cell] = 1
                bounds = list(zip(lower, upper, strict=True))
                low = linprog(goal, A_eq=matrix, b_eq=rest, bounds=bounds)
                high = linprog(-goal, A_eq=matrix, b_eq=rest, bounds=bounds)
                found[row, key] = (low.fun, -high.fun if high.status == 0 else np.inf)
    return found


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("minimum", [3, 6, 11])
def test_no_hidden_cell_of_table_one_can_be_solved(seed: int, minimum: int) -> None:
    rng = np.random.default_rng(seed)
    sizes = rng.integers(30, 120, size=rng.integers(1, 4))
    levels, missing = {}, {}
    for at in range(4):
        gone = rng.binomial(sizes, rng.choice([0.0, 0.03, 0.2]))
        share = rng.dirichlet(np.full(rng.integers(2, 5), 0.5))
        levels[f"v{at}"] = np.array([rng.multinomial(n, share) for n in sizes - gone]).T
        missing[f"v{at}"] = gone
    totals = {"all": int(sizes.sum()), **{f"arm{a}": int(n) for a, n in enumerate(sizes)}}
    original = table_one(levels, missing)
    published = protect(stage(original), minimum).table("baseline.table_one")
    hidden = 0
    for before, after in zip(original.records(), published.records(), strict=True):
        for key in ("n", "missing", "count"):
            if 0 < before[key] < minimum:
                assert isinstance(after[key], str)
            hidden += isinstance(after[key], str)
        if any(isinstance(after[key], str) for key in ("n", "count", "missing")):
            assert after["share"] is None
    ranges = attack(published, totals, minimum)
    assert len(ranges) == hidden
    for (row, key), (low, high) in ranges.items():
        true = original.records()[row][key]
        assert low - 1e-6 <= true <= high + 1e-6
        if 0 < true < minimum:
            assert high - low >= minimum - 2 - 1e-6, (row, key, low, high)


def test_the_attack_finds_what_primary_suppression_alone_leaves_open() -> None:
    counts = np.array([[3, 40], [50, 60]])
    original = table_one({"v": counts}, {"v": np.zeros(2, dtype=int)})
    at = original.index("count")
    naive = original.with_rows(
        [tuple("<11" if i == at and 0 < c < 11 else c for i, c in enumerate(row)) for row in original.rows]
    )
    ranges = attack(naive, {"all": 153, "arm0": 53, "arm1": 100}, 11)
    assert list(ranges.values()) == [(3, 3)]


def test_two_full_small_cells_do_not_betray_each_other() -> None:
    # 10 + 10 = 20: with both marked "<11" and the total shown, each could only be 10
    original = table_one({"v": np.array([[10], [10]])}, {"v": np.array([0])})
    published = protect(stage(original), 11).table("baseline.table_one")
    ranges = attack(published, {"all": 20, "arm0": 20}, 11)
    small = [ends for (row, key), ends in ranges.items() if original.records()[row][key] == 10]
    assert small
    assert all(high - low >= 9 for low, high in small)


def test_minimum_of_one_changes_nothing() -> None:
    original = table_one({"v": np.array([[3, 1], [50, 60]])}, {"v": np.array([1, 0])})
    estimate = Estimate(name="a", label="a", value=0.5, n=3, events=1)
    result = stage(original, estimates=(estimate,), findings=(Finding(code="X", severity="note", message="m", bad=1),))
    assert protect(result, 1) == result


def test_minimum_of_two_hides_ones_without_saying_so() -> None:
    original = table_one({"v": np.array([[1, 40], [50, 60]])}, {"v": np.array([0, 0])})
    cells = protect(stage(original), 2).table("baseline.table_one").column("count")
    assert WITHHELD in cells
    assert "<2" not in cells


def test_impossible_minimum_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="1 or more"):
        protect(stage(), 0)


def test_zero_and_large_counts_stay() -> None:
    t = table("x", {"group": TEXT, "n": COUNT}, [("a", 0), ("b", 50), ("c", 70)])
    assert protect(stage(t), 11).table("x").column("n") == [0, 50, 70]


def test_the_total_of_groups_is_known_from_elsewhere() -> None:
    columns = {"group": TEXT, "label": TEXT, "n": COUNT, "events": COUNT, "hazard_ratio": EFFECT, "observed": PERCENT}
    rows = [("low", "low", 100, 5, 0.4, 0.05), ("mid", "mid", 100, 30, 0.7, 0.3), ("high", "high", 100, 60, 0.8, 0.6)]
    records = shown(protect(stage(table("risk_groups.effects", columns, rows)), 11), "risk_groups.effects")
    assert records[0]["events"] == "<11"
    assert records[0]["hazard_ratio"] is None
    assert records[1]["events"] == WITHHELD  # 30 is the smallest other cell
    assert records[1]["observed"] is None  # its share of 100 would give it back
    assert records[1]["hazard_ratio"] == 0.7
    assert records[2]["events"] == 60
    assert [r["n"] for r in records] == [100, 100, 100]


def test_who_was_not_looked_at_cannot_be_subtracted_from_the_patients() -> None:
    columns = {"feature": "text", "altered": "count", "unaltered": "count", "unknown": "count"}
    rows = [("TP53", 60, 40, 3), ("KRAS", 100, 3, 0), ("tmb", None, None, 3)]
    found = shown(protect(stage(table("t", columns, rows)), 11), "t")
    for row in found[:2]:
        hidden = [key for key in ("altered", "unaltered", "unknown") if isinstance(row[key], str)]
        assert len(hidden) >= 2, row  # one alone is 103 less the others
    assert isinstance(found[2]["unknown"], str)


def test_attrition_cannot_be_subtracted() -> None:
    columns = {"step": TEXT, "before": COUNT, "removed": COUNT, "unknown": COUNT, "remaining": COUNT}
    rows = [("read", 700, 0, 0, 700), ("age", 700, 3, 0, 697), ("stage", 697, 40, 0, 657), ("outcome", 657, 0, 0, 657)]
    records = shown(protect(stage(table("cohort.attrition", columns, rows)), 11), "cohort.attrition")
    assert records[1]["removed"] == "<11"
    removed_known = [isinstance(r["removed"], int) for r in records]
    for at, r in enumerate(records):
        if not removed_known[at]:
            assert not (isinstance(r["before"], int) and isinstance(r["remaining"], int))
    assert isinstance(records[1]["remaining"], str)
    assert isinstance(records[2]["before"], str)
    # the two hidden losses must not be separable: 700 - 657 = 43 = small + withheld
    assert isinstance(records[2]["removed"], str)


def test_numbers_under_the_curve_cannot_be_subtracted() -> None:
    columns = {"arm": TEXT, "label": TEXT, "time": NUMBER, "at_risk": COUNT, "events": COUNT, "censored": COUNT}
    rows = [("a", "A", 0.0, 100, 0, 0), ("a", "A", 12.0, 60, 25, 15), ("a", "A", 24.0, 4, 50, 46)]
    records = shown(protect(stage(table("primary.at_risk", columns, rows)), 11), "primary.at_risk")
    assert records[0]["at_risk"] == 100
    assert records[1] == {"arm": "a", "label": "A", "time": 12.0, "at_risk": 60, "events": 25, "censored": 15}
    assert records[2]["at_risk"] == "<11"
    assert records[2]["time"] == 24.0
    assert WITHHELD in (records[2]["events"], records[2]["censored"])


def test_columns_that_count_no_patients_are_left_alone() -> None:
    t = table("models.tuning", {"model": TEXT, "fold": COUNT, "trials": COUNT}, [("m", 1, 5), ("m", 2, 5)])
    assert protect(stage(t), 11).table("models.tuning").rows == t.rows


def test_estimates_from_few_patients_say_only_that() -> None:
    few = Estimate(name="hr", label="hr", value=0.5, lower=0.1, upper=2.0, n=100, events=4)
    tiny = Estimate.not_estimable("x", "x", "4 events, 10 needed", n=5, events=4)
    count = Estimate(name="cohort.events", label="events", value=7.0, unit="events", n=100)
    fine = Estimate(name="ok", label="ok", value=0.5, n=100, events=11)
    none = Estimate.not_estimable("none", "none", "no event", n=100, events=0)
    a, b, c, d, e = protect(stage(estimates=(few, tiny, count, fine, none)), 11).estimates
    assert a.status == b.status == c.status == "suppressed"
    assert np.isnan([a.value, a.lower, a.upper, c.value]).all()
    assert (a.n, a.events, b.n, b.events) == (100, None, None, None)
    assert "4" not in b.reason
    assert d == fine
    assert e == none


def test_findings_about_few_rows_lose_count_and_lines() -> None:
    finding = Finding(code="TS1", severity="warning", message="hold a date", bad=2, total=80, lines=(5, 9))
    many = Finding(code="TS1", severity="warning", message="hold a date", bad=20, total=80, lines=(5, 9))
    small, large = protect(stage(findings=(finding, many)), 11).findings
    assert small.text() == "TS1 fewer than 11 rows hold a date."
    assert small.lines == ()
    assert large == many


def test_protecting_twice_is_protecting_once() -> None:
    original = table_one({"v": np.array([[3, 30], [50, 60]])}, {"v": np.array([1, 0])})
    once = protect(stage(original, km(np.arange(1.0, 60.0))), 11)
    assert protect(once, 11) == once


CURVE = {
    "arm": TEXT,
    "label": TEXT,
    "time": NUMBER,
    "survival": PERCENT,
    "at_risk": COUNT,
    "events_since": COUNT,
    "censored_since": COUNT,
}


def km(times: np.ndarray, arm: str = "a", tail: float | None = None) -> Table:
    """One event at every time."""
    n = len(times)
    rows: list[tuple[Any, ...]] = [(arm, arm, 0.0, 1.0, n, 0, 0)]
    rows += [(arm, arm, float(t), (n - i - 1) / n, n - i, 1, 0) for i, t in enumerate(times)]
    if tail is not None:
        rows.append((arm, arm, tail, rows[-1][3], 40, 0, 0))
    return table("primary.km", CURVE, rows, "curve")


def test_steps_stand_for_enough_events_and_the_curve_is_exact_there() -> None:
    original = km(np.arange(1.0, 61.0))
    published = protect(stage(original), 11).table("primary.km")
    assert [column.key for column in published.columns] == ["arm", "label", "time", "survival"]
    exact = {r["time"]: r["survival"] for r in original.records()}
    records = published.records()
    assert records[0] == {"arm": "a", "label": "a", "time": 0.0, "survival": 1.0}
    assert all(exact[r["time"]] == r["survival"] for r in records)
    drops = -np.diff([r["survival"] for r in records]) * 60
    assert (drops >= 11 - 1e-9).all()
    # cut where fewer than 11 of 60 are at risk: after the 50th event
    assert records[-1]["time"] == 50.0


def test_no_patients_own_time_is_published_and_the_curve_is_exact_on_the_grid() -> None:
    rng = np.random.default_rng(3)
    times = np.sort(rng.exponential(17.0, 300))
    original = km(times)
    records = protect(stage(original), 11).table("primary.km").records()
    assert len(records) > 10
    for record in records[1:]:
        alive = 1 - float((times <= record["time"] + 1e-9).mean())
        assert record["survival"] == pytest.approx(alive, abs=1e-12)
        assert np.abs(times - record["time"]).min() > 0
        assert record["time"] * 10 == pytest.approx(round(record["time"] * 10), abs=1e-6)
    drops = -np.diff([r["survival"] for r in records]) * 300
    assert (drops >= 11 - 1e-9).all()


def test_quartiles_are_no_patients_own_value() -> None:
    columns = {"variable": TEXT, "n": COUNT, "mean": NUMBER, "median": NUMBER, "q1": NUMBER, "q3": NUMBER}
    rows: list[tuple[Any, ...]] = [
        ("marker", 101, 5.123456, 1234.567, -0.0123456, None),
        ("none", 0, None, None, None, None),
    ]
    first, second = protect(stage(table("baseline.table_one", columns, rows)), 11).table("baseline.table_one").rows
    assert first == ("marker", 101, 5.123456, 1230.0, -0.0123, None)
    assert second == rows[1]
    assert protect(stage(table("baseline.table_one", columns, rows)), 1).table("baseline.table_one").rows == tuple(rows)


def test_few_events_give_no_step_at_all() -> None:
    rows = [("a", "a", 0.0, 1.0, 100, 0, 0), ("a", "a", 2.0, 0.99, 90, 1, 9), ("a", "a", 9.0, 0.99, 50, 0, 40)]
    published = protect(stage(table("primary.km", CURVE, rows, "curve")), 11).table("primary.km")
    assert len(published.rows) == 1


def test_the_flat_end_of_follow_up_stays() -> None:
    published = protect(stage(km(np.arange(1.0, 50.0), tail=80.0)), 11).table("primary.km")
    # the tail row has 40 at risk but follows rows with fewer: cut all the same
    assert published.records()[-1]["time"] < 80
    rows = [("a", "a", 0.0, 1.0, 100, 0, 0), ("a", "a", 2.0, 0.8, 90, 20, 9), ("a", "a", 9.0, 0.8, 50, 0, 40)]
    published = protect(stage(table("primary.km", CURVE, rows, "curve")), 11).table("primary.km")
    assert published.column("time") == [0.0, 2.0, 9.0]


def test_a_curve_without_numbers_at_risk_is_refused() -> None:
    bare = table("primary.km", {"arm": TEXT, "time": NUMBER, "survival": PERCENT}, [("a", 0.0, 1.0)], "curve")
    with pytest.raises(DisclosureError, match=r"primary\.km"):
        protect(stage(bare), 11)
    assert protect(stage(bare), 1).table("primary.km") == bare


def test_censoring_marks_are_pooled_onto_the_pooled_curve() -> None:
    columns = {"arm": TEXT, "label": TEXT, "time": NUMBER, "survival": PERCENT, "count": COUNT}
    marks = table("primary.censoring", columns, [("a", "a", float(t) + 0.5, 0.123, 1) for t in range(1, 60)], "curve")
    result = protect(stage(marks, km(np.arange(1.0, 61.0))), 11)
    published = result.table("primary.censoring").records()
    heights = {r["survival"] for r in result.table("primary.km").records()}
    assert sum(r["count"] for r in published) == 49  # those before the end of the drawn curve
    assert all(r["count"] >= 11 and r["survival"] in heights for r in published)
    with pytest.raises(DisclosureError, match="the curve it belongs to"):
        protect(stage(marks), 11)
