"""Bad input by the command line: how it ends, what is found, and every word of the answer.

The cases of the catalogue (sections A to E) and where each is tested. "door" is the parametrised test of this module;
the others are judged where the stage that meets them is tested.
"""

from __future__ import annotations

import copy
import json
import os
import re
from pathlib import Path

import pytest

from tests.functional.nasty.cases import CASES, Case
from tests.functional.nasty.inputs import FILE
from tests.functional.test_run import invoke
from tests.unit.cohort.conftest import BASE, NASTY, merged
from trialstrat.cohort.build import read_cohort
from trialstrat.protocol.load import load_protocol

ROOT = Path(__file__).resolve().parents[2]
TEXTS = Path(__file__).parent / "nasty" / "texts.txt"
#: Write the texts anew after a deliberate change, then read the difference: TRIALSTRAT_TEXTS=write.
WRITE = os.environ.get("TRIALSTRAT_TEXTS") == "write"


@pytest.fixture(scope="session")
def nasty_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shared files by links, in a folder that may be written to."""
    if not NASTY.is_dir():
        pytest.skip("the shared nasty files are not beside this checkout")
    folder = tmp_path_factory.mktemp("nasty")
    for path in NASTY.iterdir():
        if path.is_file():
            (folder / path.name).write_bytes(path.read_bytes())
    return folder


def declared(case: Case, folder: Path) -> Path:
    """The base study changed as the case says, its file in place."""
    study = merged(copy.deepcopy(BASE), dict(case.changes))
    source = study["sources"][0]
    if isinstance(case.made, str):
        source["file"] = case.made
    else:
        path = folder / FILE
        if path.is_symlink() or path.is_file() or path.is_fifo():
            path.unlink()
        elif path.is_dir():
            path.rmdir()
        case.made(folder, (folder / "00_clean.csv").read_text())
        source["file"] = FILE
    source.update(case.source)
    study["sources"] = [{key: value for key, value in entry.items() if value is not None} for entry in study["sources"]]
    out = folder / "study.yaml"
    out.write_text(json.dumps(study), encoding="utf-8")
    return out


def kept_texts() -> dict[str, str]:
    """The stored answers by test id."""
    blocks = TEXTS.read_text(encoding="utf-8").split("\n== ")[1:] if TEXTS.exists() else []
    return {block.split("\n", 1)[0]: block.split("\n", 1)[1].rstrip("\n") for block in blocks}


def keep_text(name: str, text: str) -> None:
    texts = {**kept_texts(), name: text}
    head = "Every answer of the door to bad input, word for word. Written by the test; see its module.\n"
    body = "".join(f"\n== {key}\n{texts[key]}\n" for key in sorted(texts))
    TEXTS.write_text(head + body, encoding="utf-8")


@pytest.fixture(scope="module")
def clean_hash(nasty_folder: Path) -> str:
    """The hash of the clean cohort's analysis table."""
    return read_cohort(load_protocol(declared(Case(0, "", "00_clean.csv", 0), nasty_folder)), nasty_folder).data_hash


def answered(name: str, path: Path, *options: str) -> tuple[int, str]:
    """How ``check`` ends and what it prints; compared with the stored text, or stored."""
    code, output = invoke("check", path, *options)
    # which keys a protocol may have grows with the product
    answer = re.sub(r"known keys: [^.]+\.", "known keys: (all of them).", f"[{code}]\n{output.strip()}")
    if WRITE:
        keep_text(name, answer)
    assert answer == kept_texts().get(name)
    return code, output


def codes_of(output: str, severity: str) -> list[str]:
    found = re.findall(rf"^{severity}: ([A-Z]-[A-Z0-9-]+) ", output, flags=re.MULTILINE)
    # a protocol that cannot be read has no code: its message starts with the place in the file
    return sorted(found or re.findall(r"^(study\.yaml:[0-9]+): ", output, flags=re.MULTILINE))


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_door(case: Case, nasty_folder: Path, clean_hash: str) -> None:
    path = declared(case, nasty_folder)
    code, output = answered(case.name, path, *(("--strict",) if case.strict else ()))
    assert code == case.exit_code, output
    refused = code in (3, 5, 8)
    assert codes_of(output, "error" if refused else "warning") == sorted(case.codes), output
    if case.same:
        assert read_cohort(load_protocol(path), nasty_folder).data_hash == clean_hash
    if refused:
        raised = invoke("run", path, "--out", nasty_folder / "out")
        assert raised[0] == code, raised[1]
        assert not (nasty_folder / "out").exists()


@pytest.mark.parametrize("name", ["65_config_evil.yaml", "65b_config_bomb.yaml", "65c_config_norway.yaml"])
def test_protocols_that_are_no_protocols(name: str, nasty_folder: Path) -> None:
    code, output = answered(name, nasty_folder / name)
    assert code == 3
    assert f"{name}:" in output
    assert not (nasty_folder / "PWNED").exists()


def test_texts_hold_no_patient_and_name_their_place() -> None:
    texts = kept_texts()
    assert set(texts) == {case.name for case in CASES} | {path for path in texts if path.endswith(".yaml")}
    for name, text in texts.items():
        assert "TS-0" not in text, name
        for line in text.splitlines():
            if line.startswith("error: "):
                # code, file, and a mend at the end
                assert re.match(r"error: [A-Z]-[A-Z0-9-]+ \S+: .+[.?] .+\.$", line), line


SMALL_MODELS = {"engines": ["clinical_cox"], "outer_folds": 3, "inner_folds": 2, "trials": 1, "bootstrap": 20}


@pytest.mark.slow
@pytest.mark.parametrize("file", ["12_separation.csv", "56_heavy_ties.csv"])
def test_no_absurd_number_is_written(file: str, nasty_folder: Path) -> None:
    """Separation and heavy ties: no ratio beyond reason, no nan or inf anywhere, what is missing says why."""
    path = declared(Case(64, "", file, 0, changes={"models": SMALL_MODELS}), nasty_folder)
    out = nasty_folder / f"out-{file}"
    code, output = invoke("run", path, "--out", out, "--jobs", "1")
    assert code == 0, output
    body = json.loads((out / "results.json").read_text(), parse_constant=pytest.fail)
    ratios = [entry for entry in body["estimates"] if entry["unit"] == "hazard ratio" and entry["status"] == "ok"]
    assert ratios
    assert all(1e-4 < entry["value"] < 1e4 for entry in ratios)
    assert all(entry["status"] == "ok" or entry["reason"] for entry in body["estimates"])
    for table in sorted((out / "tables").glob("*.csv")):
        assert not re.search(r"(^|,)-?(nan|inf)(,|$)", table.read_text(), re.IGNORECASE | re.MULTILINE), table.name
    assert not re.search(r">\s*-?(nan|inf)\s*<", (out / "report.html").read_text(), re.IGNORECASE)
    assert "TS-0" not in (out / "report.html").read_text() + (out / "results.json").read_text()


READERS = "tests/unit/cohort/readers"
#: Cases judged elsewhere: number in the catalogue -> (file, test). Together with ``CASES`` these are the verdicts.
ELSEWHERE: dict[int, list[tuple[str, str]]] = {
    21: [(f"{READERS}/test_cbioportal.py", "test_the_folder_of_the_catalogue_has_all_its_faults_named")],
    22: [(f"{READERS}/test_locate.py", "test_a_file_that_changes_while_it_is_read")],
    34: [("tests/reference/test_reference.py", "test_case")],
    36: [
        ("tests/unit/subgroups/test_effect.py", "test_horizon_beyond_follow_up_and_no_horizon"),
        ("tests/unit/stats/test_rmst.py", "test_milestone_beyond_follow_up_is_not_estimable"),
    ],
    40: [("tests/unit/cohort/test_nasty.py", "test_what_is_dropped_leaves_the_others_untouched")],
    41: [
        ("tests/unit/stats/test_firth.py", "test_not_estimable_and_collinear"),
        ("tests/functional/test_nasty_corpus.py", "test_no_absurd_number_is_written"),
    ],
    43: [("tests/unit/features/test_spec.py", "test_a_level_unseen_in_training_counts_as_missing")],
    48: [("tests/unit/features/test_spec.py", "test_imputation_never_sees_outcomes")],
    57: [("tests/unit/cohort/test_variables.py", "test_gene_symbols")],
    59: [
        (f"{READERS}/test_maf.py", "test_every_fault_with_its_line"),
        (f"{READERS}/test_expression.py", "test_values_that_the_declared_kind_excludes"),
    ],
    60: [
        (f"{READERS}/test_maf.py", "test_a_variant_of_a_sample_that_was_not_assayed_is_refused"),
        (f"{READERS}/test_maf.py", "test_germline_and_somatic_not_told_apart_is_said"),
    ],
    58: [("tests/functional/test_criteria_sources.py", "test_molecular_criteria_are_checked_against_the_data")],
    64: [
        ("tests/functional/test_nasty_corpus.py", "test_no_absurd_number_is_written"),
        ("tests/properties/test_cox_properties.py", "test_never_an_absurd_estimate"),
    ],
    44: [
        (
            "tests/functional/test_validate.py",
            "test_other_columns_units_kinds_and_levels_are_refused_naming_both_files",
        ),
        ("tests/unit/models/test_compatible.py", "test_a_median_more_than_ten_times_apart_is_another_unit"),
    ],
    45: [
        ("tests/functional/test_validate.py", "test_the_overlap_of_the_catalogue"),
        ("tests/functional/test_validate.py", "test_patients_of_the_run_are_refused_by_their_ids"),
        ("tests/functional/test_validate.py", "test_the_file_of_the_run_itself_is_refused"),
    ],
    46: [("tests/functional/test_validate.py", "test_a_single_arm_gives_scores_and_no_claim_about_treatment")],
    65: [("tests/unit/subgroups/test_primary.py", "test_when_hazards_are_not_proportional_the_analysis_changes")],
    66: [
        ("tests/properties/test_effect_properties.py", "test_intervals_hold_their_value_and_widen_with_the_level"),
        ("tests/unit/subgroups/test_primary.py", "test_curves_count_everybody_once"),
    ],
    67: [("tests/unit/subgroups/test_rule_study.py", "test_gbsg2_finds_the_receptor_rule_with_all_three_effects")],
    68: [
        ("tests/functional/test_screen.py", "test_screening_the_cohort_again_selects_the_analysed"),
        ("tests/functional/test_screen.py", "test_exported_criteria_select_the_analysed_too"),
        ("tests/properties/test_omop_properties.py", "test_the_sql_selects_whom_screen_finds_eligible"),
    ],
}


def test_every_case_is_judged() -> None:
    judged = {case.number for case in CASES} | set(ELSEWHERE)
    assert sorted(set(range(1, 69)) - judged) == []
    for file, name in (entry for entries in ELSEWHERE.values() for entry in entries):
        assert f"def {name}" in (ROOT / file).read_text(encoding="utf-8"), f"{file}: {name}"


def test_every_shared_file_is_an_input() -> None:
    if not NASTY.is_dir():
        pytest.skip("the shared nasty files are not beside this checkout")
    used = {case.made for case in CASES if isinstance(case.made, str)}
    used |= {entry["file"] for case in CASES for entry in case.changes.get("sources", ())}
    used |= set(kept_texts())
    files = {path.name for path in NASTY.iterdir() if path.is_file()} - {"MANIFEST.csv"}
    assert sorted(files - used) == ["54_validation_overlap.csv"]  # in test_validate
