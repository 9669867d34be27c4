"""``trialstrat calibrate``: the same trials on one worker or two, and after an interruption none is done again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.functional.study import PROTOCOL, write_study
from trialstrat.cli import app
from trialstrat.pipeline.calibrate import BATCH, TRIALS

PLAN = """\
rule_search:
  markers: [age, stage, marker]
  permutations: 100
  worlds: 50
  alternatives:
    - {name: marker, rule: [{column: marker, above: 0, unit: ng/mL}], inside: 3.0, outside: 0.5}
seed: 7
"""
#: More than one batch, the last one not full.
COUNT = BATCH // 2 + 2


def calibrated(folder: Path, name: str, *more: str) -> Path:
    out = folder / name
    words = ["calibrate", str(folder / "small.yaml"), "--out", str(out), "--trials", str(COUNT), "--quiet", *more]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    return out


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("calibrate")
    write_study(made, PROTOCOL.replace("seed: 7\n", PLAN))
    calibrated(made, "one", "--jobs", "1")
    return made


def test_two_workers_give_the_same_bytes(folder):
    two = calibrated(folder, "two", "--jobs", "2")
    for name in (TRIALS, "tables/calibration.worlds.csv", "tables/calibration.effects.csv"):
        assert (two / name).read_bytes() == (folder / "one" / name).read_bytes()


def test_the_strong_alternative_is_claimed_more_often_than_the_null(folder):
    results = json.loads((folder / "one" / "results.json").read_text(encoding="utf-8"))
    values = {entry["id"]: entry for entry in results["estimates"]}
    null, other = values["calibration.null.any_rule"], values["calibration.marker.any_rule"]
    assert null["n"] == other["n"] == COUNT
    assert null["value"] < 0.5 < other["value"]
    assert other["lower"] < other["value"]


def test_an_interrupted_run_goes_on_where_it_stopped(folder):
    lines = (folder / "one" / TRIALS).read_bytes().splitlines(keepends=True)
    assert len(lines) == 2 * COUNT
    # what the file beside the folder would hold: its key, some trials (one marked), and a torn line
    marked = json.loads(lines[3]) | {"p": 0.123456}
    key = _key(folder)
    torn = lines[5][: len(lines[5]) // 2]
    partial = folder / f".resumed.{TRIALS}"
    partial.write_bytes(key + b"".join(lines[:3]) + json.dumps(marked).encode() + b"\n" + lines[4] + torn)
    resumed = calibrated(folder, "resumed", "--jobs", "1", "--resume")
    seen = (resumed / TRIALS).read_bytes().splitlines(keepends=True)
    assert json.loads(seen[3]) == marked
    assert [*seen[:3], *seen[4:]] == [*lines[:3], *lines[4:]]
    assert not partial.exists()


def test_trials_of_another_seed_are_not_taken_for_ones_own(folder):
    lines = (folder / "one" / TRIALS).read_bytes().splitlines(keepends=True)
    other = json.loads(_key(folder)) | {"seed": 8}
    partial = folder / f".fresh.{TRIALS}"
    partial.write_bytes(json.dumps(other).encode() + b"\n" + json.dumps(json.loads(lines[0]) | {"p": 0.5}).encode())
    fresh = calibrated(folder, "fresh", "--jobs", "1", "--resume")
    assert (fresh / TRIALS).read_bytes().splitlines(keepends=True) == lines


def _key(folder: Path) -> bytes:
    manifest = json.loads((folder / "one" / "manifest.json").read_text(encoding="utf-8"))
    key = {"protocol": manifest["protocol_sha256"], "data": manifest["data_sha256"], "seed": 7}
    return json.dumps(key).encode() + b"\n"
