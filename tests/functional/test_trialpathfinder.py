"""TrialPathfinder's tutorial through the command line: its counts exactly, its hazard ratios, its contributions."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from trialstrat.cli import app

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT.parent / "shared" / "data"
PROTOCOL = ROOT / "protocols" / "trialpathfinder.yaml"
TUTORIAL = DATA / "trialpathfinder_tutorial"
needs_tutorial = pytest.mark.skipif(not TUTORIAL.exists(), reason="the tutorial's tables are not beside the project")
#: What the peer prints: sampled values, whose mean Monte-Carlo error over the rules is 0.01.
PEER = {"Age": 0.0, "Histology_Squamous": 0.033, "ECOG": -0.109, "Platelets": 0.014, "Bilirubin": -0.091}
REMOVED = {"Age": 0, "Histology_Squamous": 2020, "ECOG": 1797, "Platelets": 1943, "Bilirubin": 2316}
PAIR = "drug_b_vs_drug_a"


def run(folder: Path, changes: dict[str, str], *arguments: str) -> dict:
    """Results of the tutorial under a protocol with some lines changed; no report of models is needed here."""
    text = PROTOCOL.read_text(encoding="utf-8")
    for old, new in {"minimum_cell: 5": "minimum_cell: 1", **changes}.items():
        assert old in text
        text = text.replace(old, new)
    path = folder / "trialpathfinder.yaml"
    path.write_text(text, encoding="utf-8")
    out = folder / "out"
    arguments = ("run", str(path), "--data", str(DATA), "--out", str(out), "--jobs", "1", *arguments)
    result = CliRunner().invoke(app, list(arguments))
    assert result.exit_code == 0, result.output
    return json.loads((out / "results.json").read_text(encoding="utf-8")) | {"folder": str(out)}


def values(results: dict) -> dict[str, dict]:
    return {entry["id"]: entry for entry in results["estimates"]}


@pytest.fixture(scope="module")
def peer(tmp_path_factory) -> dict:
    return run(tmp_path_factory.mktemp("peer"), {})


@pytest.fixture(scope="module")
def ours(tmp_path_factory) -> dict:
    """Overlap weights and log hazard ratios; the rules are named on the command line."""
    changes = {
        "weighting: trialpathfinder ": "weighting: declared ",
        "  rules: trialpathfinder_tutorial/criteria.csv\n": "",
        "scale: hazard_ratio": "scale: log_hazard_ratio",
    }
    return run(tmp_path_factory.mktemp("ours"), changes, "--rules", str(TUTORIAL / "criteria.csv"))


def shown(entry: dict) -> str:
    return f"{entry['value']:.2f} ({entry['lower']:.2f}-{entry['upper']:.2f}), {entry['n']}"


@needs_tutorial
def test_counts_exactly(peer):
    table = peer["tables"]["impact.pool"]
    keys = [column["key"] for column in table["columns"]]
    rows = {row[0]: dict(zip(keys, row, strict=True)) for row in table["rows"]}
    assert {name: row["removed"] for name, row in rows.items()} == REMOVED
    assert sum(row["taken"] for row in rows.values()) == pytest.approx(4000 - 223)


@needs_tutorial
def test_the_rules_one_after_the_other_are_told_and_drawn(peer):
    rows = peer["tables"]["impact.attrition"]["rows"]
    assert [row[0] for row in rows] == list(REMOVED)
    assert [row[3:5] for row in rows[:2]] == [[4000, 0], [4000, 2020]]
    assert rows[-1][-1] == 223
    html = (Path(peer["folder"]) / "report.html").read_text(encoding="utf-8")
    assert "Meet all criteria (n = 223)" in html


@needs_tutorial
def test_hazard_ratios_of_the_peer(peer):
    found = values(peer)
    assert shown(found[f"impact.none.hazard_ratio.{PAIR}"]) == "0.77 (0.71-0.84), 4000"
    assert shown(found[f"impact.all.hazard_ratio.{PAIR}"]) == "0.63 (0.41-0.96), 223"
    assert shown(found[f"impact.kept.hazard_ratio.{PAIR}"]) == "0.67 (0.57-0.80), 1053"


@needs_tutorial
def test_contributions_within_the_peers_sampling_error(peer):
    """The peer averages a few random orders; its error per rule is the spread over orders by the root of their number.

    The worth of every set of rules gives that spread; the number of orders is the one with a mean error of 0.01.
    """
    found = values(peer)
    exact = {name: found[f"impact.shapley.hazard_ratio.{PAIR}.{name}"]["value"] for name in PEER}
    spread = _spread_over_orders()
    orders = (spread.mean() / 0.01) ** 2
    for at, (name, printed) in enumerate(PEER.items()):
        assert abs(exact[name] - printed) <= 3 * spread[at] / np.sqrt(orders) + 0.0005, name
    assert exact["Age"] == 0.0
    assert all(np.sign(exact[name]) == np.sign(PEER[name]) for name in PEER)


def _spread_over_orders() -> np.ndarray:
    """Standard deviation of each rule's gain over all 120 orders, with the peer's weighting."""
    import pandas as pd

    from trialstrat.cohort.language.evaluate import admitted
    from trialstrat.criteria.trialpathfinder import parse_rules, rule_tables
    from trialstrat.stats.subset_effects import evaluate_subsets, subset_data

    tables = {name: pd.read_csv(TUTORIAL / f"{name}.csv") for name in ("features", "demographics", "lab")}
    rules = parse_rules((TUTORIAL / "criteria.csv").read_text(encoding="utf-8"))
    patients = tables["features"]
    judged = rule_tables(rules, tables, patients["PatientID"].tolist(), identifier="PatientID")
    bits = np.column_stack([admitted([rule], judged) for rule in rules]) @ (1 << np.arange(5))
    until = patients["OutcomeDate"].fillna(patients["LastVisitDate"])
    days = (pd.to_datetime(until) - pd.to_datetime(patients["StartDate"])).dt.days
    dummies = pd.get_dummies(patients[["Gender", "Race", "ECOG"]].astype(str), drop_first=True)
    data = subset_data(
        patients["DrugName"] == "drug B",
        time=days,
        event=patients["OutcomeDate"].notna().astype(int),
        covariates=dummies.to_numpy(dtype=float),
        weighting="trialpathfinder",
    )
    worth = np.exp(evaluate_subsets(data, bits, np.arange(32)).relative)
    gains = []
    for order in itertools.permutations(range(5)):
        mask, gain = 0, np.zeros(5)
        for rule in order:
            gain[rule] = worth[mask | 1 << rule] - worth[mask]
            mask |= 1 << rule
        gains.append(gain)
    return np.std(gains, axis=0)


@needs_tutorial
@pytest.mark.slow
def test_the_same_with_our_weights_and_limits(ours):
    found = values(ours)
    assert found[f"impact.none.hazard_ratio.{PAIR}"]["value"] == pytest.approx(0.774, abs=0.002)
    for name in REMOVED:
        entry = found[f"impact.shapley.log_hazard_ratio.{PAIR}.{name}"]
        assert entry["status"] == "ok"
        if name == "Age":
            assert "removes nobody" in entry["method"]
        else:
            assert entry["lower"] < entry["value"] < entry["upper"]
    assert found[f"impact.shapley.log_hazard_ratio.{PAIR}.Bilirubin"]["upper"] < 0
    crossed = found[f"impact.cross_fitted.hazard_ratio.{PAIR}"]
    assert crossed["lower"] < crossed["value"] < crossed["upper"]
    after = [row[-1] for row in ours["tables"]["impact.balance"]["rows"]]
    assert max(abs(value) for value in after) < 0.02
    assert f"search.pick.held_out.hazard_ratio.{PAIR}" in found


@needs_tutorial
@pytest.mark.slow
def test_the_command_to_repeat_names_the_rules(ours):
    assert "trialstrat run trialpathfinder.yaml --rules criteria.csv" in json.dumps(ours)


def write(folder: Path, rules: str) -> list[str]:
    path = folder / "rules.csv"
    path.write_text(rules, encoding="utf-8")
    return ["run", str(PROTOCOL), "--data", str(DATA), "--out", str(folder / "out"), "--rules", str(path), "--quiet"]


@needs_tutorial
@pytest.mark.parametrize(
    ("rules", "said"),
    [
        ("\"R\n#Inclusion\nvitals['x'] >= 1\"", "no source 'vitals'"),
        ("\"R\n#Inclusion\nlab['Nothing'] >= 1\"", "rules.csv: rule R"),
        ("\"R\n#Inclusion\nlab['LabValue'] >= \"", "line 3: rule R"),
        ("\"R\n#Inclusion\nlab['LabName'] >= 1\"", "not numeric"),
    ],
)
def test_rules_that_cannot_be_applied_stop_the_run_before_anything_is_fitted(tmp_path, rules, said):
    result = CliRunner().invoke(app, write(tmp_path, rules))
    assert result.exit_code == 3, result.output
    assert said in result.output
    assert "Traceback" not in result.output
    assert not (tmp_path / "out").exists()
