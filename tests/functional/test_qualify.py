"""``qualify``: evidence in a folder, and a verdict that a failed case turns round."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from tests.functional.test_run import invoke
from trialstrat.pipeline.reference import shipped_folder


def test_shipped_cases_qualify_this_installation(tmp_path: Path) -> None:
    code, output = invoke("qualify", "--out", tmp_path / "q")
    assert code == 0, output
    body = json.loads((tmp_path / "q" / "qualification.json").read_text())
    assert body["verdict"] == "qualified"
    assert body["cases_passed"] == body["cases_run"] > 200
    page = (tmp_path / "q" / "report.html").read_text()
    assert f"{body['cases_run']} reference cases agree" in page
    assert all(row["id"] in page for row in body["cases"])


def test_one_wrong_number_is_found(tmp_path: Path) -> None:
    cases = tmp_path / "cases"
    shutil.copytree(shipped_folder(), cases)
    for path in cases.glob("*.json"):
        if path.name != "multiplicity.json":
            path.unlink()
    topic = json.loads((cases / "multiplicity.json").read_text())
    adjusted = next(case for case in topic["cases"] if case["method"] == "p_adjust")
    adjusted["expect"]["adjusted"][0] = 0.123456
    (cases / "multiplicity.json").write_text(json.dumps(topic))
    code, output = invoke("qualify", "--out", tmp_path / "q", "--cases", cases)
    assert code == 8
    assert "not qualified" in output
    body = json.loads((tmp_path / "q" / "qualification.json").read_text())
    assert [row["id"] for row in body["cases"] if row["passed"] == "no"] == [adjusted["id"]]
