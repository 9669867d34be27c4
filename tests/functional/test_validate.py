"""``validate``: a frozen model and rules on other patients, against scores computed here; refusals with both files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.functional.study import CANARY, HEAD, PROTOCOL, rows, write_study
from tests.functional.test_run import invoke
from trialstrat.models.frozen import FrozenModel
from trialstrat.stats.brier import brier
from trialstrat.stats.censoring import censoring_survival
from trialstrat.stats.scores import uno_c

OTHERS = "OTHER"


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run on the small trial with one linear engine."""
    folder = tmp_path_factory.mktemp("trained")
    text = PROTOCOL.replace("[clinical_cox, penalised_cox, boosting]", "[clinical_cox]")
    code, output = invoke("run", write_study(folder, text), "--out", folder / "run", "--jobs", "1")
    assert code == 0, output
    return folder


def others(folder: Path, lines: list[str] | None = None, protocol: str = PROTOCOL, head: str = HEAD) -> Path:
    """Another cohort of the same make: other patients, another seed."""
    found = lines if lines is not None else [row.replace(CANARY, OTHERS) for row in rows(200, seed=9)]
    path = write_study(folder, protocol.replace("id: small", "id: other"), found)
    (folder / "patients.csv").write_text(head + "\n".join(found) + "\n")
    return path


def validated(trained: Path, path: Path, *more: object) -> tuple[int, str, Path]:
    out = path.parent / "out"
    code, output = invoke("validate", trained / "run", path, "--out", out, *more)
    return code, output, out


def estimates(out: Path) -> dict[str, dict]:
    return {entry["id"]: entry for entry in json.loads((out / "results.json").read_text())["estimates"]}


def test_scores_are_those_of_the_stored_model_on_these_patients(trained: Path, tmp_path: Path) -> None:
    path = others(tmp_path)
    code, output, out = validated(trained, path)
    assert code == 0, output
    assert "W-VALID-OVERLAP" in output
    found = estimates(out)
    model = FrozenModel.thaw({entry.name: entry.read_bytes() for entry in (trained / "run" / "model").iterdir()})
    table = pd.read_csv(path.parent / "patients.csv")
    table = table[(table["age"] >= 18) & (table["malignancy"] != "yes")].sort_values("patient")
    time, event = table["months"].to_numpy(), (table["died"] == "yes").to_numpy().astype(int)
    risk = model.risk(table)
    censoring = censoring_survival(time, event)
    horizon = float(json.loads((out / "results.json").read_text())["stages"]["validation"]["facts"]["score_horizon"])
    expected = uno_c(time, event, risk, tau=horizon, censoring=censoring).value
    assert found["validation.uno_c"]["value"] == pytest.approx(expected, abs=1e-12)
    assert found["validation.uno_c"]["n"] == len(table)
    assert 0.6 < found["validation.uno_c"]["lower"] < expected < found["validation.uno_c"]["upper"]
    times = np.linspace(horizon / 20, horizon, 20)
    error = brier(time, event, model.survival(table, times), times, censoring=censoring).integrated
    assert found["validation.ibs"]["value"] == pytest.approx(error, abs=1e-12)
    assert found["validation.calibration_slope"]["status"] == "ok"
    page = (out / "report.html").read_text()
    assert page.count("What was frozen, on these patients") >= 1
    first = page[page.index("Does it rank") : page.index("What was frozen, on these patients")]
    assert f"has Uno&#39;s C {expected:.3f}" in first
    slope = found["validation.calibration_slope"]["value"]
    assert f"the calibration slope is {slope:.2f} (" in first.lower()
    assert "Nothing was fitted, tuned or chosen on these patients." in first
    assert "Whom to enrol" not in page
    assert f"C {expected:.3f} (" in page
    before = estimates(trained / "run")["models.best.uno_c"]
    limits = "({lower:.3f} to {upper:.3f})".format(**before)
    assert f"it was {before['value']:.3f} {limits} held out in the study that made it" in page
    stored = b"".join(entry.read_bytes() for entry in out.rglob("*") if entry.is_file())
    assert OTHERS.encode() not in stored


def test_nothing_is_learned_here(trained: Path, tmp_path: Path) -> None:
    """The risks of the same patients do not depend on who stands beside them, nor on their outcomes."""
    first = others(tmp_path / "a")
    assert validated(trained, first)[0] == 0
    lines = [row.replace(CANARY, OTHERS) for row in rows(200, seed=9)]
    flipped = [",".join([*cells[:3], "no" if cells[3] == "yes" else "yes", *cells[4:]]) for cells in
               (row.split(",") for row in lines)]  # fmt: skip
    second = others(tmp_path / "b", flipped)
    code, output, out = validated(trained, second)
    assert code == 0, output
    assert estimates(out)["validation.uno_c"]["value"] != estimates(tmp_path / "a" / "out")["validation.uno_c"]["value"]


def changed(column: str, value) -> list[str]:
    at = HEAD.strip().split(",").index(column)
    out = []
    for row in rows(200, seed=9):
        cells = row.replace(CANARY, OTHERS).split(",")
        cells[at] = value(cells[at])
        out.append(",".join(cells))
    return out


REFUSED = {
    "ages that nobody reaches": (changed("age", lambda age: str(int(age) * 12)), PROTOCOL, "E-AGE-YEARS", "age"),
    "another unit declared": (
        None, PROTOCOL.replace("unit: ng/mL", "unit: ug/mL"),
        "E-VALID-UNIT", "marker",
    ),
    "a level the model never saw": (
        changed("stage", lambda stage: "IV" if stage == "III" else stage),
        PROTOCOL.replace("[I, II, III]", "[I, II, IV]"),
        "E-VALID-LEVEL", "stage",
    ),
    "numbers where the model has levels": (
        changed("stage", lambda stage: {"I": "1", "II": "2", "III": "3"}[stage]),
        PROTOCOL.replace("{column: stage, kind: ordinal, levels: [I, II, III]", "{column: stage, kind: continuous"),
        "E-VALID-KIND", "stage",
    ),
    "a column that is not declared": (
        None,
        PROTOCOL[: PROTOCOL.index("biomarkers:")] + PROTOCOL[PROTOCOL.index("models:") :],
        "E-VALID-COLUMN", "marker",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_other_columns_units_kinds_and_levels_are_refused_naming_both_files(
    name: str, trained: Path, tmp_path: Path
) -> None:
    lines, protocol, code, column = REFUSED[name]
    status, output, out = validated(trained, others(tmp_path, lines, protocol))
    assert status == 3, output
    if code == "E-AGE-YEARS":  # refused before the model is looked at
        assert f"{code} {column}:" in output
    else:
        assert f"{code} patients.csv: {column}:" in output
        assert "run (patients.csv)" in output
    assert OTHERS not in output
    assert not out.exists()


def test_patients_of_the_run_are_refused_by_their_ids(trained: Path, tmp_path: Path) -> None:
    lines = [*rows(260)[:30], *(row.replace(CANARY, OTHERS) for row in rows(200, seed=9)[:170])]
    path = others(tmp_path, lines)
    assert validated(trained, path)[0] == 0  # unknown without the protocol of the run, and warned about
    status, output, _ = validated(trained, path, "--training", trained / "small.yaml", "--replace")
    assert status == 3
    held = sum(int(row.split(",")[4]) >= 18 and row.split(",")[7] != "yes" for row in lines[:30])
    assert f"E-VALID-OVERLAP patients.csv: {held} of" in output
    assert "ids in both" in output
    assert CANARY not in output


def test_the_overlap_of_the_catalogue(tmp_path: Path) -> None:
    """Case 45: thirty of the hundred ids of the validation file are the study's own.

    In the shared files all hundred are; the other seventy are taken out of the study here.
    """
    from ruamel.yaml import YAML

    from tests.unit.cohort.conftest import BASE, NASTY, merged

    if not NASTY.is_dir():
        pytest.skip("the shared nasty files are not beside this checkout")
    models = {"engines": ["clinical_cox"], "outer_folds": 3, "inner_folds": 2, "trials": 2, "bootstrap": 10}
    for name, file in (("study", "00_clean.csv"), ("later", "54_validation_overlap.csv")):
        table = pd.read_csv(NASTY / file, dtype=str, keep_default_na=False)
        if name == "study":
            table = table.drop(index=range(30, 100))
        table.to_csv(tmp_path / file, index=False)
        source = {"name": "cohort", "file": file, "id": "USUBJID"}
        with (tmp_path / f"{name}.yaml").open("w") as stream:
            YAML(typ="safe").dump(merged(BASE, {"id": name, "sources": [source], "models": models}), stream)
    code, output = invoke("run", tmp_path / "study.yaml", "--out", tmp_path / "run", "--jobs", "1")
    assert code == 0, output
    training = ("--training", tmp_path / "study.yaml", "--out", tmp_path / "out")
    code, output = invoke("validate", tmp_path / "run", tmp_path / "later.yaml", *training)
    assert code == 3, output
    assert "E-VALID-OVERLAP 54_validation_overlap.csv: 30 of 100 rows" in output
    assert "30 of 100 ids in both" in output


def test_the_file_of_the_run_itself_is_refused(trained: Path, tmp_path: Path) -> None:
    status, output, _ = validated(trained, others(tmp_path, rows()))
    assert status == 3
    assert "E-VALID-OVERLAP" in output


def test_a_single_arm_gives_scores_and_no_claim_about_treatment(trained: Path, tmp_path: Path) -> None:
    start, end = PROTOCOL.index("arms:\n"), PROTOCOL.index("endpoints:\n")
    protocol = PROTOCOL[:start] + PROTOCOL[end:]
    code, output, out = validated(trained, others(tmp_path, protocol=protocol))
    assert code == 0, output
    found = estimates(out)
    assert found["validation.uno_c"]["status"] == "ok"
    assert not [name for name in found if "hazard_ratio" in name and found[name]["status"] == "ok"]


def test_a_frozen_rule_has_its_effect_inside_and_outside(trained: Path, tmp_path: Path) -> None:
    """A rule that a study claimed, put into a copy of the run: its effects here are those of a Cox model by hand."""
    import shutil

    from trialstrat import store
    from trialstrat.criteria.frozen import HEAD as CRITERIA_HEAD
    from trialstrat.criteria.frozen import FoundRule, freeze, to_mapping
    from trialstrat.protocol.language.model import Condition
    from trialstrat.protocol.load import load_protocol
    from trialstrat.stats.cox import cox

    shutil.copytree(trained, tmp_path / "copy")
    run = tmp_path / "copy" / "run"
    rule = FoundRule(
        conditions=(Condition(column="marker", above=0, unit="ng/mL"),),
        kind="inclusion",
        origin="predictive_rule",
        text="High marker",
        evidence="as found",
    )
    frozen = freeze(load_protocol(trained / "small.yaml").protocol, (rule,))
    text = store.yaml_text(to_mapping(frozen), CRITERIA_HEAD)
    (run / "criteria.yaml").write_text(text)
    manifest = json.loads((run / "manifest.json").read_text())
    manifest["files"]["criteria.yaml"] = store.sha256_bytes(text.encode())
    (run / "manifest.json").write_text(json.dumps(manifest))
    path = others(tmp_path)
    code, output, out = validated(tmp_path / "copy", path)
    assert code == 0, output
    found = estimates(out)
    table = pd.read_csv(path.parent / "patients.csv")
    table = table[(table["age"] >= 18) & (table["malignancy"] != "yes")]
    logs = {}
    for part, member in (("inside", table["marker"] > 0), ("outside", table["marker"] <= 0)):
        some = table[member]
        drug = (some["arm"] == "D").to_numpy(float)[:, None]
        fit = cox(some["months"].to_numpy(), (some["died"] == "yes").to_numpy().astype(int), drug)
        logs[part] = float(fit.coef[0])
        entry = found[f"validation.rule.R1.{part}.relative.drug_vs_placebo"]
        assert entry["value"] == pytest.approx(np.exp(logs[part]), rel=1e-6)
        assert entry["n"] == len(some)
    ratio = found["validation.rule.R1.interaction.drug_vs_placebo"]
    assert ratio["value"] == pytest.approx(np.exp(logs["inside"] - logs["outside"]), rel=1e-6)


def test_a_changed_model_is_refused(trained: Path, tmp_path: Path) -> None:
    import shutil

    shutil.copytree(trained, tmp_path / "copy")
    model = tmp_path / "copy" / "run" / "model" / "model.json"
    model.write_text(model.read_text().replace('"horizon": 12', '"horizon": 13'))
    status, output, _ = validated(tmp_path / "copy", others(tmp_path))
    assert status == 8
    assert "changed since the run" in output
