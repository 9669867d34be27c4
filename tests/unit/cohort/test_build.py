"""The cohort as a whole: what is refused and how, what is kept, what its tables say, and its hash."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

import trialstrat.cohort as package
from tests.unit.cohort.conftest import table
from trialstrat.cohort.build import check, cohort_result, read_cohort, without_columns
from trialstrat.cohort.rules import RULES, finding, raise_for, summarised, visible
from trialstrat.errors import DataError, IntegrityError, NotEstimableError, ProtocolError
from trialstrat.results import StageResult

X = [{"column": "X", "kind": "continuous"}]


def test_a_contradictory_protocol_is_refused_before_the_data_are_read(small):
    loaded = small({}, covariates=[{"column": "X", "kind": "ordinal"}])
    with pytest.raises(ProtocolError, match=r"P-LEVELS small.yaml: covariates.0: .* Nothing written."):
        read_cohort(loaded)


def test_the_data_folder_may_be_another_one(small, tmp_path):
    loaded = small({}, covariates=X)
    other = tmp_path / "data"
    other.mkdir()
    (other / "cohort.csv").write_text(table(X=[1, 2, 3, 5]))
    assert [entry.code for entry in check(loaded)] == ["E-FILE-MISSING"]
    assert read_cohort(loaded, other).n == 4


def test_check_never_raises_for_data_and_sees_what_read_refuses(small):
    for text in ("", "ID\n", "\0", table(T=["x"] * 4), table(ID=["a", "a", "b"])):
        loaded = small(text)
        findings = check(loaded)
        assert any(entry.severity == "error" for entry in findings)
        with pytest.raises(DataError) as raised:
            read_cohort(loaded)
        assert len(raised.value.messages) == sum(entry.severity == "error" for entry in findings)


def test_criteria_that_leave_nobody_name_the_clause(small):
    criteria = [
        {"id": "I1", "kind": "inclusion", "text": "x", "when": [{"column": "X", "above": 0}]},
        {"id": "I2", "kind": "inclusion", "text": "x", "when": [{"column": "X", "above": 10}]},
    ]
    with pytest.raises(NotEstimableError, match=r"N-CRITERION-NONE .*I2: 4 of 4 patients removed, 0 unknown") as raised:
        read_cohort(small(table(X=[1, 2, 3, 5]), covariates=X, eligibility=criteria))
    assert raised.value.exit_code == 5


def test_faults_of_the_data_are_more_urgent_than_their_number(small):
    with pytest.raises(DataError):
        read_cohort(small("ID,T,E\na,-1,1\n"))
    with pytest.raises(NotEstimableError, match="1 of 1 rows left"):
        read_cohort(small("ID,T,E\na,1,1\n"))
    with pytest.raises(NotEstimableError, match="all patients: 0 events of 4 patients, 1 needed"):
        read_cohort(small(table(E=[0, 0, 0, 0])))


def test_a_range_asked_of_text_is_refused_with_its_rows(small):
    criteria = [{"id": "I1", "kind": "inclusion", "text": "x", "when": [{"column": "Y", "above": 0}]}]
    (found,) = [e for e in check(small(table(Y=[1, "two", 3, 4]), eligibility=criteria)) if e.severity == "error"]
    assert (found.code, found.column, found.bad, found.total, found.lines) == ("E-VALUE-TEXT", "Y", 1, 4, (3,))


def test_the_stage_result_survives_its_json_form(small):
    text = table(X=[1, "", 3, 5], G=["a", "b", "a", ""])
    cohort = read_cohort(small(text, covariates=[*X, {"column": "G", "kind": "categorical", "label": "Group"}]))
    result = cohort_result(cohort)
    assert StageResult.from_dict(result.to_dict()) == result
    missing = result.table("cohort.missing").records()
    assert missing == [
        {"variable": "X", "label": "X", "arm": "all", "n": 4, "missing": 1, "share": 0.25},
        {"variable": "G", "label": "Group", "arm": "all", "n": 4, "missing": 1, "share": 0.25},
    ]
    assert result.estimate("cohort.events").value == 2
    assert result.facts["events"] == "2"
    assert result.provenance.data_hash == cohort.data_hash


def test_missing_values_are_counted_by_arm(small):
    arms = {"column": "A", "levels": [{"name": "c", "value": 0, "control": True}, {"name": "t", "value": 1}]}
    text = table(X=[1, "", "", 5], A=[0, 0, 1, 1], E=[1] * 4, g_1=[1, 2, "", 3])
    cohort = read_cohort(small(text, covariates=X, arms=arms, marker_blocks=[{"source": "cohort", "prefix": "g_"}]))
    rows = [
        (r["variable"], r["arm"], r["n"], r["missing"]) for r in cohort_result(cohort).table("cohort.missing").records()
    ]
    assert rows == [
        ("X", "all", 4, 2),
        ("X", "c", 2, 1),
        ("X", "t", 2, 1),
        ("markers", "all", 4, 1),
        ("markers", "c", 2, 0),
        ("markers", "t", 2, 1),
    ]


def test_without_columns_leaves_a_protocol_that_refers_to_nothing_gone(small):
    arms = {
        "column": "A",
        "allocation": "observational",
        "confounders": ["X", "Y"],
        "levels": [{"name": "c", "value": 0, "control": True}, {"name": "t", "value": 1}],
    }
    biomarkers = [{"column": "Y", "kind": "continuous", "role": "prognostic"}]
    protocol = small({}, covariates=X, biomarkers=biomarkers, arms=arms, analysis={"adjust_for": ["Y"]}).protocol
    left = without_columns(protocol, ["Y"])
    assert left.biomarkers == ()
    assert left.analysis.adjust_for == ()
    assert left.arms is not None
    assert left.arms.confounders == ("X",)
    assert without_columns(protocol, []) is protocol


# -- the hash --------------------------------------------------------------------------------------------------------


def test_the_hash_ignores_order_and_what_is_not_used(small):
    covariates = [*X, {"column": "G", "kind": "categorical", "levels": ["a", "b"]}]
    plain = table(X=[1, 2, 3, 5], G=["a", "b", "", "a"])
    lines = plain.splitlines()
    shuffled = "\n".join([lines[0] + ",more", *(line + ",9" for line in reversed(lines[1:]))])
    first = read_cohort(small(plain, covariates=covariates))
    second = read_cohort(small(shuffled, covariates=list(reversed(covariates))))
    assert first.data_hash == second.data_hash
    assert re.fullmatch(r"[0-9a-f]{64}", first.data_hash)


@pytest.mark.parametrize(
    ("column", "row", "value"), [("X", 0, 1.5), ("G", 0, "b"), ("T", 2, 99), ("E", 1, 0), ("ID", 3, "zz")]
)
def test_the_hash_sees_every_value(small, column, row, value):
    covariates = [*X, {"column": "G", "kind": "categorical"}]
    columns = {
        "ID": ["a", "b", "c", "d"],
        "X": [1, 2, 3, 5],
        "G": ["a", "b", "a", "a"],
        "T": [5, 6, 7, 8],
        "E": [1, 1, 0, 1],
    }
    before = read_cohort(small(table(**columns), covariates=covariates)).data_hash
    columns[column] = [value if at == row else cell for at, cell in enumerate(columns[column])]
    assert read_cohort(small(table(**columns), covariates=covariates)).data_hash != before


# -- the rule table --------------------------------------------------------------------------------------------------


def codes_in_use(folder: Path = Path(package.__file__).parent) -> set[str]:
    text = "".join(path.read_text() for path in folder.rglob("*.py") if path.name != "rules.py")
    return set(re.findall(r'"([EWINX]-[A-Z]+(?:-[A-Z]+)*)"', text))


def test_every_code_in_use_is_in_the_table():
    assert codes_in_use() <= set(RULES)


def test_every_rule_is_in_use():
    # a frozen model is compared with new patients above the cohort
    assert set(RULES) <= codes_in_use(Path(package.__file__).parents[1])


def test_every_refusal_says_how_to_mend_it():
    for rule in RULES.values():
        assert rule.severity in ("error", "warning", "note")
        assert rule.remedy or rule.severity != "error", rule.code
        assert not rule.message.endswith(".")
        assert not rule.remedy.endswith(".")


def test_exit_codes_by_kind_of_finding():
    data, few, other = finding("E-TIME-NEG"), finding("N-EVENTS"), finding("X-FILE-HASH")
    raise_for([finding("W-LEAK"), finding("I-NORMALISED")])
    for findings, error in (([few], NotEstimableError), ([few, data], DataError), ([data, other, few], IntegrityError)):
        with pytest.raises(error) as raised:
            raise_for(findings)
        assert len(raised.value.messages) == len(findings)


def test_a_fault_in_very_many_columns_is_summarised():
    many = [finding("E-VALUE-TEXT", source="f", column=f"g{at}") for at in range(500)]
    shown = summarised([finding("W-LEAK", source="f"), *many, finding("E-VALUE-TEXT", source="other")])
    assert len(shown) == 13
    assert "490 more columns" in shown[11].message


def test_names_from_files_cannot_write_to_the_terminal():
    assert visible("a\x1b[31mb\u202ec\nd") == "a\\u001b[31mb\\u202ec\\u000ad"
    assert len(visible("x" * 500)) == 80
    assert visible("Größe °C") == "Größe °C"


def test_lines_are_sorted_and_three_are_kept():
    entry = finding("E-TIME-NEG", source="f", column="T", bad=4, total=9, lines=np.array([4, 5, 6, 7]))
    assert entry.text() == (
        "E-TIME-NEG f: T: 4 of 9 rows < 0 (lines 4, 5, 6, …). Correct them or set negative_time: drop."
    )
