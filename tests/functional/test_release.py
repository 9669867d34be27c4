"""Two runs that differ in few patients: warned about, and refused with --release; no count is named."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.functional.study import PROTOCOL, rows, write_study
from tests.functional.test_run import invoke
from trialstrat.disclosure.differences import small_differences
from trialstrat.results import Column, Estimate, StageResult, Table

QUICK = PROTOCOL.replace("[clinical_cox, penalised_cox, boosting]", "[clinical_cox]")


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("released")
    code, output = invoke("run", write_study(folder, QUICK), "--out", folder / "first", "--jobs", "1")
    assert code == 0, output
    return folder / "first"


def again(folder: Path, lines: list[str], *more: object, protocol: str = QUICK) -> tuple[int, str, Path]:
    path = write_study(folder, protocol, lines)
    code, output = invoke("run", path, "--out", folder / "second", "--jobs", "1", *more)
    return code, output, folder / "second"


def test_two_patients_less_are_warned_about_and_refused(released: Path, tmp_path: Path) -> None:
    code, output, out = again(tmp_path, rows()[:-2], "--against", released)
    assert code == 0, output
    assert "W-RELEASE-DIFFERENCE" in output
    said = next(line for line in output.splitlines() if "W-RELEASE-DIFFERENCE" in line)
    assert not re.search(r"\d", re.sub(r"1 to 4|and \d+ more|W-RELEASE-\w+", "", said))  # no count is named
    body = json.loads((out / "results.json").read_text())
    assert "W-RELEASE-DIFFERENCE" in {entry["code"] for entry in body["findings"]}
    code, output, out = again(tmp_path / "b", rows()[:-2], "--against", released, "--release")
    assert code == 6, output
    assert "Nothing written" in output
    assert not out.exists()


def test_the_same_run_passes_the_gate(released: Path, tmp_path: Path) -> None:
    code, output, _ = again(tmp_path / "same", rows(), "--against", released, "--release")
    assert code == 0, output
    assert "W-RELEASE-DIFFERENCE" not in output


def test_another_study_is_not_compared(released: Path, tmp_path: Path) -> None:
    other = QUICK.replace("id: small", "id: elsewhere")
    code, output, out = again(tmp_path, rows(258, seed=5), "--against", released, "--release", protocol=other)
    assert code == 0, output
    body = json.loads((out / "results.json").read_text())
    assert "I-RELEASE-OTHER" in {entry["code"] for entry in body["findings"]}


def test_the_gate_needs_something_to_compare_with(tmp_path: Path) -> None:
    code, output, out = again(tmp_path, rows(), "--release")
    assert code == 2
    assert "--against" in output
    assert not out.exists()


def stage(n: int, cells: tuple, events: int | None = None) -> StageResult:
    table = Table(
        name="t",
        title="t",
        columns=(Column(key="level", label="L"), Column(key="n", label="n", kind="count")),
        rows=tuple(zip("ab", cells, strict=True)),
    )
    estimate = Estimate(name="e", label="e", value=1.0, unit="hazard ratio", n=n, events=events)
    return StageResult(stage="s", estimates=(estimate,), tables=(table,))


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (stage(100, (40, 60)), stage(100, (40, 60)), ()),
        (stage(100, (40, 60)), stage(104, (40, 64)), ("e", "t")),
        (stage(100, (40, 60)), stage(105, (40, 65)), ()),
        (stage(100, (40, 60), 30), stage(100, (40, 60), 31), ("e",)),
        (stage(100, ("<5", 60)), stage(100, (7, 60)), ()),
        (stage(100, (40, 60)), stage(100, (36, 64)), ("t",)),
    ],
)
def test_differences_below_the_minimum_are_found(before: StageResult, after: StageResult, expected: tuple) -> None:
    assert small_differences([after], [before], 5) == expected
    assert small_differences([before], [after], 5) == expected
