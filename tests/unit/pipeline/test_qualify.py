import json

import pytest

from trialstrat.errors import DataError
from trialstrat.pipeline.qualify import is_qualified, qualification, qualify, summary
from trialstrat.results import StageResult


def write_cases(folder, rmst):
    (folder / "data").mkdir()
    (folder / "data" / "x.csv").write_text("t,e\n1,1\n2,0\n3,1\n4,0\n")
    case = {
        "id": "one",
        "method": "rmst",
        "data": "data/x.csv",
        "args": {"time": "t", "event": "e", "tau": 3},
        "expect": {"all": {"rmst": rmst}},
        "rtol": 1e-8,
        "atol": 1e-10,
    }
    refused = {**case, "id": "two", "args": {**case["args"], "tau": -1}, "expect": {"status": "error"}}
    topic = {"topic": "survival", "r_version": "4.2.2", "packages": {"survival": "3.5.3"}, "cases": [case, refused]}
    (folder / "survival.json").write_text(json.dumps(topic))


def test_agreement_is_reported_with_deviation_and_versions(tmp_path):
    write_cases(tmp_path, 2.5)
    result = qualify(tmp_path)
    assert is_qualified(result)
    assert not result.findings
    report = qualification(result)
    assert report["verdict"] == "qualified"
    assert (report["cases_run"], report["cases_passed"]) == (2, 2)
    (topic,) = report["topics"]
    assert (topic["topic"], topic["cases"], topic["passed"]) == ("survival", 2, 2)
    assert 0 <= topic["largest_deviation"] < 1
    assert topic["packages"] == "survival 3.5.3"
    assert [row["passed"] for row in report["cases"]] == ["yes", "yes"]
    assert report["r_version"] == "4.2.2"
    assert {"python", "numpy", "numba", "trialstrat"} <= set(report["versions"])
    assert "qualified: 2 of 2" in summary(result)


def test_a_difference_is_a_failed_qualification(tmp_path):
    write_cases(tmp_path, 2.6)
    result = qualify(tmp_path)
    assert not is_qualified(result)
    (finding,) = result.findings
    assert (finding.code, finding.severity, finding.bad, finding.total) == ("E-QUALIFY-DIFFERS", "error", 1, 2)
    row = result.table("qualify.cases").records()[0]
    assert row["passed"] == "no"
    assert "all.rmst" in str(row["message"])
    assert summary(result).startswith("not qualified: 1 of 2")


def test_the_result_survives_storage(tmp_path):
    write_cases(tmp_path, 2.5)
    result = qualify(tmp_path)
    again = StageResult.from_dict(json.loads(json.dumps(result.to_dict())))
    assert json.dumps(qualification(again)) == json.dumps(qualification(result))


def test_no_path_of_the_machine_is_told(tmp_path):
    write_cases(tmp_path, 2.5)
    assert str(tmp_path.parent) not in json.dumps(qualification(qualify(tmp_path)))


def test_a_folder_without_cases_is_refused(tmp_path):
    with pytest.raises(DataError):
        qualify(tmp_path)
