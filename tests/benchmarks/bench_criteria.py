"""Exact Shapley values of criteria: the tutorial against its program, and 12 rules on 4,000 patients.

Run: ``python -m tests.benchmarks.bench_criteria``. Needs the tutorial's tables beside the checkout. TrialPathfinder is
timed in the same run when it can be imported; otherwise against the times that its tutorial took on two cores.
"""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pandas as pd

from trialstrat.cohort.language.evaluate import admitted
from trialstrat.criteria.trialpathfinder import parse_rules, rule_tables
from trialstrat.stats.shapley import exact_game, shapley_values
from trialstrat.stats.subset_effects import evaluate_subsets, subset_data

TUTORIAL = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "trialpathfinder_tutorial"
TABLES = {"features": ["StartDate", "LastVisitDate"], "demographics": ["BirthDate"], "lab": ["TestDate"]}
COVARIATES = ["Gender", "Race", "ECOG"]
#: Seconds that the program took on a two-core machine: reading the rules, sampled Shapley values.
STATED = (2.2, 5.5)


def ours(tables: dict[str, pd.DataFrame]) -> tuple[float, float, np.ndarray]:
    """CPU seconds for reading and applying the rules, and for exact Shapley values of 32 weighted Cox models."""
    started = time.process_time()
    rules = parse_rules((TUTORIAL / "criteria.csv").read_text(encoding="utf-8"))
    patients = tables["features"]
    judged = rule_tables(rules, tables, patients["PatientID"].tolist(), identifier="PatientID")
    bits = np.column_stack([admitted([rule], judged) for rule in rules]) @ (1 << np.arange(len(rules)))
    read = time.process_time() - started
    started = time.process_time()
    until = patients["OutcomeDate"].fillna(patients["LastVisitDate"])
    days = (pd.to_datetime(until) - pd.to_datetime(patients["StartDate"])).dt.days
    data = subset_data(
        patients["DrugName"] == "drug B",
        time=days,
        event=patients["OutcomeDate"].notna().astype(int),
        covariates=pd.get_dummies(patients[COVARIATES].astype(str), drop_first=True).to_numpy(dtype=float),
        weighting="trialpathfinder",
    )
    game = exact_game(len(rules))
    values, _ = shapley_values(game, np.exp(evaluate_subsets(data, bits, game.masks).relative))
    return read, time.process_time() - started, values


def theirs(tables: dict[str, pd.DataFrame]) -> tuple[float, float] | None:
    """CPU seconds of the program for the same, None where it is not installed."""
    try:
        import TrialPathfinder as peer  # pyright: ignore[reportMissingImports]
    except ImportError:
        return None
    frames = {name: frame.fillna("Missing") for name, frame in tables.items()}
    for name, columns in TABLES.items():
        for column in columns:
            frames[name][column] = pd.to_datetime(frames[name][column])
    cohort = peer.cohort_selection(frames["features"]["PatientID"], name_PatientID="PatientID")
    for name, frame in frames.items():
        cohort.add_table(name, frame)
    texts = list(pd.read_csv(TUTORIAL / "criteria.csv", header=None)[0])
    started = time.process_time()
    cohort.add_rules(texts)
    read = time.process_time() - started
    started = time.process_time()
    names = [text.split("\n")[0].strip() for text in texts]
    peer.shapley_computation(
        cohort, frames["features"], ["drug B"], ["drug A"], names, tolerance=0.01, covariates_cat=COVARIATES,
    )  # fmt: skip
    return read, time.process_time() - started


def many_rules(rules: int = 12, n: int = 4000) -> tuple[float, float]:
    """CPU and wall seconds for every combination of 12 rules with propensity weights from continuous covariates."""
    rng = np.random.default_rng(1)
    x = np.column_stack([rng.normal(size=(n, 3)), rng.integers(0, 2, (n, 3))]).astype(float)
    arm = (rng.uniform(size=n) < 1 / (1 + np.exp(-x[:, 0]))).astype(int)
    times = rng.exponential(10 * np.exp(-0.3 * x[:, 1] + 0.2 * arm)).round(2) + 0.01
    bits = (rng.uniform(size=(n, rules)) < 0.9) @ (1 << np.arange(rules))
    data = subset_data(arm, time=times, event=rng.uniform(size=n) < 0.7, covariates=x, weighting="overlap", tau=10.0)
    game = exact_game(rules)
    clock, started = time.perf_counter(), time.process_time()
    values, _ = shapley_values(game, evaluate_subsets(data, bits, game.masks, jobs=2).relative)
    if not np.isfinite(values).all():
        raise RuntimeError("a combination has no estimate")
    return time.process_time() - started, time.perf_counter() - clock


def main() -> None:
    cpu, wall = many_rules(4)
    cpu, wall = many_rules()
    print(
        f"12 rules, 4,096 combinations, 4,000 patients: {cpu:.1f} s of CPU, {wall:.1f} s on the wall with two threads"
    )
    if not TUTORIAL.exists():
        print("the tutorial's tables are not beside the checkout")
        return
    tables = {name: pd.read_csv(TUTORIAL / f"{name}.csv") for name in TABLES}
    ours(tables)
    read, values, _ = ours(tables)
    peer = theirs(tables)
    named = "in this run" if peer else "as stated, on two cores"
    for what, mine, other in zip(("reading the rules", "Shapley values"), (read, values), peer or STATED, strict=True):
        print(f"{what}: {mine:.3f} s against {other:.1f} s ({named}): {other / mine:.0f} times faster")
    total = sum(peer or STATED)
    print(f"together: {total / (read + values):.0f} times faster")


if __name__ == "__main__":
    main()
