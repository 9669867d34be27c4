import json
import math

import numpy as np
import pytest

from trialstrat.errors import DataError
from trialstrat.pipeline.reference import read_topics, run_case, run_folder, shipped_folder, summarise
from trialstrat.pipeline.reference.columns import Columns, label_text
from trialstrat.pipeline.reference.compare import Comparison
from trialstrat.pipeline.reference.registry import find_method, reference_method
from trialstrat.pipeline.reference.run import load_methods


def compare(found, expected, *, rtol=1e-8, atol=1e-10, tolerances=None, missing_is_result=True):
    comparison = Comparison(rtol=rtol, atol=atol, tolerances=tolerances or {}, missing_is_result=missing_is_result)
    comparison.check(found, expected)
    return comparison


def case(method="rmst", args=None, expect=None, **rest):
    args = {"time": "t", "event": "e", "tau": 3} if args is None else args
    return {"id": "x", "method": method, "args": args, "expect": expect or {}, "rtol": 1e-8, "atol": 1e-10, **rest}


TABLE = Columns({"t": ["1", "2", "3", "4"], "e": ["1", "0", "1", "0"], "g": ["a", "a", "b", "b"]})


@pytest.mark.parametrize(
    ("found", "expected", "agrees"),
    [
        (1.0, 1.0 + 0.9e-8, True),
        (1.0, 1.0 + 1.2e-8, False),
        (0.0, 0.9e-10, True),
        (float("nan"), "NA", True),
        (None, "NA", True),
        (1.0, "NA", False),
        (float("nan"), 1.0, False),
        (None, 1.0, False),
        (math.inf, "Inf", True),
        (-math.inf, "Inf", False),
        (1e300, "Inf", False),
        (math.inf, 1.0, False),
        (True, True, True),
        (np.bool_(False), True, False),
        ("a", "a", True),
        ("a", "b", False),
        ([1.0, 2.0], [1, 2], True),
        ([1.0], [1, 2], False),
        (1.0, [1], False),
        ("12", [1, 2], False),
        (np.array([[1.0, np.nan]]), [[1, "NA"]], True),
        ({"a": 1.0, "b": 2.0}, {"a": 1}, True),
        ({"b": 2.0}, {"a": 1}, False),
        ([1.0], {"a": 1}, False),
    ],
)
def test_values(found, expected, agrees):
    assert (not compare(found, expected).faults) == agrees


def test_na_means_nothing_to_compare_where_it_is_not_a_result():
    assert not compare([1.0, 2.0], [1, "NA"], missing_is_result=False).faults
    assert compare([1.0, 2.0], [1, "NA"]).faults


def test_deviation_is_a_share_of_the_allowance():
    comparison = compare([2.0, 3.0 + 3e-3], [2, 3], rtol=1e-2, atol=0.0)
    assert comparison.deviation == pytest.approx(0.1)
    assert comparison.compared == 2
    assert compare({}, {"a": 1}).deviation == math.inf


def test_a_tolerance_of_its_own_replaces_that_of_the_case():
    tolerances = {"loose": [0.0, 0.5]}
    comparison = compare({"loose": [1.4], "tight": 1.0}, {"loose": [1], "tight": 1}, tolerances=tolerances)
    assert not comparison.faults
    assert compare({"tight": 1.4}, {"tight": 1}, tolerances=tolerances).faults


def test_an_upper_bound_is_not_a_value():
    assert not compare({"kkt_violation_max": 0.0}, {"kkt_violation_max": 1e-6}).faults
    assert compare({"kkt_violation_max": 2e-6}, {"kkt_violation_max": 1e-6}).faults


def test_unknown_methods_and_arguments_fail_the_case():
    unknown = run_case(case(method="witchcraft"), TABLE, topic="t")
    assert not unknown.passed
    assert "witchcraft" in unknown.message
    argument = run_case(case(args={"time": "t", "event": "e", "tau": 3, "moon": "full"}), TABLE, topic="t")
    assert not argument.passed
    assert argument.message == "unknown argument moon"
    missing = run_case(case(args={"time": "t", "event": "e"}), TABLE, topic="t")
    assert missing.message == "missing argument tau"


def test_refusals_and_status():
    load = {"args": {"time": "t", "event": "e", "tau": -1}}
    assert run_case(case(**load, expect={"status": "error"}), TABLE, topic="t").passed
    refused = run_case(case(**load, expect={"all": {"rmst": 2.0}}), TABLE, topic="t")
    assert not refused.passed
    assert refused.message.startswith("refused: tau")
    late = {"args": {"time": "t", "event": "e", "tau": 9}}
    assert run_case(case(**late, expect={"status": "not_estimable"}), TABLE, topic="t").passed
    assert not run_case(case(**late, expect={"status": "error"}), TABLE, topic="t").passed
    assert not run_case(case(**late, expect={"all": {"rmst": 2.0}}), TABLE, topic="t").passed
    assert not run_case(case(expect={"status": "error"}), TABLE, topic="t").passed


def test_a_crash_is_a_failed_case():
    result = run_case(case(args={"time": "absent", "event": "e", "tau": 3}), TABLE, topic="t")
    assert not result.passed
    assert result.message.startswith("KeyError")
    assert result.deviation == math.inf


def test_a_wrong_number_fails_and_says_where():
    result = run_case(case(expect={"all": {"rmst": 99.0}}), TABLE, topic="t")
    assert not result.passed
    assert result.message.startswith("all.rmst is 2.5")
    assert result.deviation > 1


def test_a_method_is_registered_once():
    load_methods()
    assert find_method("rmst") is not None
    with pytest.raises(ValueError, match="twice"):
        reference_method("rmst")(lambda columns, args: {})


def test_columns():
    table = Columns({"n": ["1", "", "3"], "i": ["10", "9", "1"], "s": ["b", "", "a"], "f": ["0.5", "1", "2"]})
    assert np.isnan(table.numbers("n")[1])
    assert table.labels("i").tolist() == [10, 9, 1]
    assert table.labels("s").tolist() == ["b", None, "a"]
    assert table.labels("f").tolist() == [0.5, 1.0, 2.0]
    assert table.matrix(["i", "f"]).shape == (3, 2)
    assert table.strata(None) is None
    assert table.optional(None) is None
    assert [label_text(label) for label in (1, 2.0, 0.5, "a")] == ["1", "2", "0.5", "a"]


def test_folders(tmp_path):
    with pytest.raises(DataError, match="no topic file"):
        read_topics(tmp_path)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "x.csv").write_text("t,e\n1,1\n2,0\n3,1\n4,0\n")
    good = case(expect={"all": {"rmst": 2.5}}, data="data/x.csv")
    bad = case(expect={"all": {"rmst": 2.4}}, data="data/x.csv")
    topic = {"topic": "one", "r_version": "4", "packages": {"p": "1"}, "cases": [good, bad]}
    (tmp_path / "one.json").write_text(json.dumps(topic))
    results = run_folder(tmp_path)
    assert [result.passed for result in results] == [True, False]
    (summary,) = summarise(results)
    assert (summary.topic, summary.cases, summary.passed) == ("one", 2, 1)
    (tmp_path / "two.json").write_text("{")
    with pytest.raises(DataError, match=r"two\.json"):
        read_topics(tmp_path)


def test_shipped_cases_use_made_up_tables_only_and_equal_the_tested_ones():
    from pathlib import Path

    tested = {}
    for topic in read_topics(Path(__file__).parents[2] / "reference" / "cases"):
        tested.update({entry["id"]: entry for entry in topic.cases})
    names = """
        a_allcens a_early a_float a_lt a_mono a_plateau a_refuse a_single a_tied_entry a_ties a_trial a_trial_high
        a_weights B_degenerate B_fisher B_hd B_obs B_small60 B_ties B_trial
    """
    made_up = set(names.split())
    shipped = [entry for topic in read_topics(shipped_folder()) for entry in topic.cases]
    assert len(shipped) > 200
    for entry in shipped:
        assert entry == tested[entry["id"]]
        assert entry["data"] is None or Path(entry["data"]).stem in made_up
    assert {path.stem for path in (shipped_folder() / "data").iterdir()} <= made_up
