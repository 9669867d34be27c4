"""The whole study by the command line: what it leaves, that it repeats to the byte, that it leaks nothing."""

from __future__ import annotations

import base64
import csv
import json
import re
import subprocess
import sys
import zlib
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.functional.study import CANARY, PROTOCOL, rows, write_study
from trialstrat import store
from trialstrat.cli import app

SAME_BYTES = ("results.json", "criteria.yaml", "report.html")


def invoke(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    return result.exit_code, result.output


def test_run_folder_is_complete(finished: Path) -> None:
    names = {path.relative_to(finished).as_posix() for path in finished.rglob("*") if path.is_file()}
    assert {"report.html", "criteria.yaml", "results.json", "manifest.json", "model/model.json"} <= names
    manifest = json.loads((finished / "manifest.json").read_text())
    assert set(manifest["files"]) == names - {"manifest.json"}
    for name, digest in manifest["files"].items():
        assert store.sha256_bytes((finished / name).read_bytes()) == digest


def test_results_hold_the_interface(finished: Path) -> None:
    body = json.loads((finished / "results.json").read_text())
    assert body["schema"] == 1
    ids = {entry["id"]: entry for entry in body["estimates"]}
    effect = ids["primary.cox.hazard_ratio.drug_vs_placebo"]
    assert 0 < effect["lower"] < effect["value"] < effect["upper"]
    assert effect["n"] == ids["cohort.n"]["value"]
    assert ids["models.best.uno_c"]["value"] > 0.6
    for entry in body["estimates"]:
        assert entry["status"] == "ok" or entry["reason"], entry["id"]
    drawn = {"cohort.attrition", "baseline.table_one", "primary.km", "models.scores", "risk_groups.km", "criteria.km"}
    assert drawn <= set(body["tables"])


def test_attrition_counts_every_step(finished: Path) -> None:
    body = json.loads((finished / "results.json").read_text())
    table = body["tables"]["cohort.attrition"]
    keys = [column["key"] for column in table["columns"]]
    steps = [dict(zip(keys, row, strict=True)) for row in table["rows"]]
    assert steps[0]["remaining"] == 260
    lines = [line.split(",") for line in rows()]
    adults = [line for line in lines if int(line[4]) >= 18]
    kept = [line for line in adults if line[7] == "no"]
    by_step = {step["step"]: step for step in steps}
    assert by_step["I1"]["remaining"] == len(adults)
    assert by_step["E1"]["remaining"] == len(kept)
    assert steps[-1]["remaining"] == len(kept)


def test_same_seed_same_bytes_whatever_the_workers(finished: Path, tmp_path: Path) -> None:
    protocol = write_study(tmp_path)
    code, output = invoke("run", protocol, "--out", tmp_path / "two", "--jobs", 2)
    assert code == 0, output
    for name in SAME_BYTES:
        assert (finished / name).read_bytes() == (tmp_path / "two" / name).read_bytes(), name


def test_row_order_changes_no_number(finished: Path, tmp_path: Path) -> None:
    shuffled = rows()[::-1]
    protocol = write_study(tmp_path, lines=shuffled)
    assert invoke("run", protocol, "--out", tmp_path / "out", "--jobs", 1)[0] == 0
    ours, theirs = (json.loads((path / "results.json").read_text()) for path in (finished, tmp_path / "out"))
    assert ours["estimates"] == theirs["estimates"]
    # The number of the file's hash differs, and nothing else among the tables.
    differing = {name for name in ours["tables"] if ours["tables"][name] != theirs["tables"][name]}
    assert differing <= {"cohort.sources"}


def test_another_seed_moves_the_folds_and_not_the_effect(finished: Path, tmp_path: Path) -> None:
    protocol = write_study(tmp_path)
    assert invoke("run", protocol, "--out", tmp_path / "out", "--seed", 8, "--jobs", 1)[0] == 0
    values = []
    for path in (finished, tmp_path / "out"):
        body = json.loads((path / "results.json").read_text())
        values.append({entry["id"]: entry["value"] for entry in body["estimates"]})
    name = "primary.cox.hazard_ratio.drug_vs_placebo"
    assert values[0][name] == values[1][name]
    assert values[0]["models.best.uno_c"] != values[1]["models.best.uno_c"]


def test_no_patient_leaves_the_disk(finished: Path) -> None:
    for path in finished.rglob("*"):
        if not path.is_file():
            continue
        data = path.read_bytes()
        assert CANARY.encode() not in data, path
        for piece in re.findall(rb"[A-Za-z0-9+/]{40,}={0,2}", data):
            decoded = _unpacked(piece)
            assert CANARY.encode() not in decoded, path


def test_curves_hold_no_patients_own_time(finished: Path) -> None:
    own = {float(line.split(",")[2]) for line in rows()}
    own = {time for time in own if abs(time * 10 - round(time * 10)) > 1e-6}  # the others lie on the grid by themselves
    assert len(own) > 200
    looked = 0
    for path in sorted((finished / "tables").glob("*.csv")):
        with path.open(encoding="utf-8") as handle:
            lines = list(csv.DictReader(handle))
        if path.stem.endswith((".km", ".censoring")):
            times = {float(line["time"]) for line in lines}
            looked += len(times)
            assert not times & own, path.name
    assert looked > 20


def _unpacked(piece: bytes) -> bytes:
    try:
        raw = base64.b64decode(piece + b"=" * (-len(piece) % 4))
    except ValueError:
        return b""
    try:
        return raw + zlib.decompress(raw)
    except zlib.error:
        return raw


def test_report_is_rebuilt_to_the_byte(finished: Path, tmp_path: Path) -> None:
    before = (finished / "report.html").read_bytes()
    code, output = invoke("report", finished)
    assert code == 0, output
    assert (finished / "report.html").read_bytes() == before
    assert json.loads((finished / "manifest.json").read_text())["tool"] == "trialstrat"


def test_changed_results_are_noticed(finished: Path, tmp_path: Path) -> None:
    import shutil

    copy = tmp_path / "copy"
    shutil.copytree(finished, copy)
    text = (copy / "results.json").read_text()
    (copy / "results.json").write_text(text.replace("0", "1", 1))
    code, output = invoke("report", copy)
    assert code == 8
    assert "results.json" in output


def test_console_script_and_module_run() -> None:
    script = Path(sys.executable).with_name("trialstrat")
    for command in ([str(script)], [sys.executable, "-m", "trialstrat"]):
        done = subprocess.run([*command, "--version"], capture_output=True, text=True, check=False)
        assert done.returncode == 0
        assert done.stdout.startswith("trialstrat ")


def test_help_loads_no_heavy_package() -> None:
    code = (
        "import sys\nfrom typer.testing import CliRunner\nfrom trialstrat.cli import app\n"
        "assert CliRunner().invoke(app, ['--help']).exit_code == 0\n"
        "print([name for name in ('pandas', 'numba', 'scipy', 'numpy', 'sklearn') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        (("question:", "qestion:"), 3, ("small.yaml:4", "did you mean", "question")),
        (("file: patients.csv", "file: missing.csv"), 3, ("missing.csv",)),
        (("column: died", "column: dead"), 3, ("patients.csv", "dead")),
        (('events: ["yes"]', 'events: ["ja"]'), 3, ("died",)),
        (("at_least: 18", "at_least: 1800"), 5, ("I1",)),
    ],
)
def test_wrong_input_says_where_and_writes_nothing(
    change: tuple[str, str], code: int, words: tuple[str, ...], tmp_path: Path
) -> None:
    assert change[0] in PROTOCOL
    protocol = write_study(tmp_path, PROTOCOL.replace(*change))
    before = sorted(tmp_path.rglob("*"))
    assert invoke("check", protocol)[0] == code
    found, output = invoke("run", protocol, "--out", tmp_path / "out")
    assert found == code, output
    for word in words:
        assert word in output
    assert "Traceback" not in output
    assert CANARY not in output
    assert sorted(tmp_path.rglob("*")) == before


def test_foreign_folder_is_left_alone(tmp_path: Path) -> None:
    protocol = write_study(tmp_path)
    out = tmp_path / "mine"
    out.mkdir()
    (out / "thesis.txt").write_text("years of work")
    code, output = invoke("run", protocol, "--out", out)
    assert code == 7, output
    assert [path.name for path in out.iterdir()] == ["thesis.txt"]


def test_second_run_on_a_folder_is_refused_by_name(tmp_path: Path) -> None:
    protocol = write_study(tmp_path)
    with store.lock(tmp_path / "out"):
        done = subprocess.run(
            [sys.executable, "-m", "trialstrat", "run", str(protocol), "--out", str(tmp_path / "out")],
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 7
    assert "pid" in done.stderr


def test_interrupted_run_leaves_nothing(tmp_path: Path) -> None:
    import os
    import signal
    import time

    protocol = write_study(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    process = subprocess.Popen(
        [sys.executable, "-m", "trialstrat", "run", str(protocol), "--out", str(tmp_path / "out"), "--jobs", "1"],
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    lock = tmp_path / ".trialstrat-out.lock"
    deadline = time.monotonic() + 60
    while not lock.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(1.0)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 130
    assert sorted(tmp_path.rglob("*")) == before


def test_an_interrupt_that_went_unheard_is_heard_at_the_next_step(monkeypatch: pytest.MonkeyPatch) -> None:
    import signal

    from trialstrat.cli import signals
    from trialstrat.cli.progress import Terminal

    asked: list[int] = []
    monkeypatch.setattr(signals, "_asked", asked)
    bar = Terminal(quiet=True)
    bar.stage("one")
    asked.append(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        bar.advance()
    asked[:] = [signal.SIGTERM]
    with pytest.raises(SystemExit) as left:
        bar.stage("two")
    assert left.value.code == 143
