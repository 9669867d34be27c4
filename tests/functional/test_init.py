"""``init`` proposes what it can see, asks what it cannot, and what it writes is accepted by ``check``."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.functional.study import write_study
from tests.functional.test_run import invoke

ROWS = 60


def table(folder: Path, event: str, values: tuple[str, str], time: str = "days") -> Path:
    lines = [
        f"S{i:03d},{'AB'[i % 2]},{100 + 7 * i % 90},{values[i % 3 == 0]},{40 + i % 31},{'IVX'[i % 3]}"
        for i in range(ROWS)
    ]
    path = folder / "trial.csv"
    path.write_text(f"subject_id,arm,{time},{event},age,stage\n" + "\n".join(lines) + "\n")
    return path


def test_clear_table_gives_a_protocol_that_check_accepts(tmp_path: Path) -> None:
    code, output = invoke("init", table(tmp_path, "death", ("0", "1")), "--out", tmp_path / "p.yaml")
    assert code == 0, output
    text = (tmp_path / "p.yaml").read_text()
    assert 'events: ["1"]' in text
    assert "unit: days" in text
    assert 'id: "subject_id"' in text
    assert invoke("check", tmp_path / "p.yaml")[0] == 0


@pytest.mark.parametrize(
    ("event", "values"),
    [("cens", ("0", "1")), ("status", ("1", "2")), ("censored", ("no", "yes")), ("event", ("A", "B"))],
)
def test_event_coding_is_asked_and_never_guessed(event: str, values: tuple[str, str], tmp_path: Path) -> None:
    code, output = invoke("init", table(tmp_path, event, values), "--out", tmp_path / "p.yaml")
    assert code == 0
    assert "question:" in output
    assert event in output
    assert invoke("check", tmp_path / "p.yaml")[0] == 3  # the question must be answered first


@pytest.mark.parametrize(("event", "style"), [("CNSR", "cnsr")])
def test_standard_codings_are_recognised_by_name(event: str, style: str, tmp_path: Path) -> None:
    assert invoke("init", table(tmp_path, event, ("0", "1")), "--out", tmp_path / "p.yaml")[0] == 0
    assert f"style: {style}" in (tmp_path / "p.yaml").read_text()
    assert invoke("check", tmp_path / "p.yaml")[0] == 0


def test_unit_of_time_is_asked_where_nothing_says_it(tmp_path: Path) -> None:
    _, output = invoke("init", table(tmp_path, "death", ("0", "1"), time="survtime"), "--out", tmp_path / "p.yaml")
    assert "unit" in output


def test_existing_file_is_kept(tmp_path: Path) -> None:
    path = write_study(tmp_path)
    before = path.read_bytes()
    code, output = invoke("init", tmp_path / "patients.csv", "--out", path)
    assert code == 7
    assert path.read_bytes() == before
    assert "--replace" in output
