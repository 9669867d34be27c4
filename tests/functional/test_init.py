"""``init`` proposes what it can see and asks what it cannot; ``check`` accepts it or refuses the line to fill."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.functional.readme_studies import MODELS, SEARCH
from tests.functional.study import write_study
from tests.functional.test_run import invoke

ROWS = 90


def frame(event: str = "death", values: tuple[str, str] = ("0", "1"), time: str = "days") -> pd.DataFrame:
    rng = np.random.default_rng(4)
    return pd.DataFrame(
        {
            "subject_id": [f"S{at:03d}" for at in range(ROWS)],
            "arm": ["placebo" if at % 2 else "drug" for at in range(ROWS)],
            time: [100 + int(value) for value in rng.integers(0, 90, ROWS)],
            event: [values[at % 3 == 0] for at in range(ROWS)],
            "age": 40 + rng.integers(0, 31, ROWS),
            "stage": rng.choice(["I", "V", "X"], ROWS),
        }
    )


def proposed(folder: Path, *data: Path, out: str = "p.yaml") -> tuple[str, str]:
    """The text that init wrote, and what it printed."""
    code, output = invoke("init", *data, "--out", folder / out)
    assert code == 0, output
    return (folder / out).read_text(encoding="utf-8"), output


def written(folder: Path, table: pd.DataFrame, name: str = "trial.csv") -> Path:
    path = folder / name
    table.to_csv(path, index=False)
    return path


def test_clear_table_gives_a_protocol_that_check_accepts(tmp_path: Path) -> None:
    text, output = proposed(tmp_path, written(tmp_path, frame()))
    assert "events: [1], censored: [0], proposed:" in text
    assert "Confirm, then remove proposed:" in output  # never silently
    assert 'id: "subject_id"' in text
    assert "unit: days" in text
    code, output = invoke("check", tmp_path / "p.yaml")
    assert code == 0, output
    assert "P-EVENT-PROPOSED" in output


def test_every_guess_has_its_evidence(tmp_path: Path) -> None:
    text, _ = proposed(tmp_path, written(tmp_path, frame()))
    for line in text.splitlines():
        guess = line.lstrip().startswith(('id: "', "column:", "time:", "unit:", "event:", "- {column:"))
        assert "  # " in line or not guess, line


@pytest.mark.parametrize(
    ("event", "values"),
    [("cens", ("0", "1")), ("status", ("1", "2")), ("censored", ("no", "yes")), ("event", ("A", "B"))],
)
def test_event_coding_is_asked_and_never_guessed(event: str, values: tuple[str, str], tmp_path: Path) -> None:
    text, output = proposed(tmp_path, written(tmp_path, frame(event, values)))
    assert "question:" in output
    line = next(at for at, row in enumerate(text.splitlines(), start=1) if f'"{event}"' in row and "events: []" in row)
    code, output = invoke("check", tmp_path / "p.yaml")
    assert code == 3  # the question must be answered first, in this line
    assert f"p.yaml:{line}: endpoints.0.event: declare events:" in output


def test_cnsr_is_recognised_by_name(tmp_path: Path) -> None:
    text, _ = proposed(tmp_path, written(tmp_path, frame("CNSR")))
    assert "style: cnsr" in text
    assert invoke("check", tmp_path / "p.yaml")[0] == 0


def test_unit_and_control_are_asked_where_nothing_says_them(tmp_path: Path) -> None:
    table = frame(time="survtime").replace({"placebo": "A", "drug": "B"})
    table["survtime"] /= 10
    text, output = proposed(tmp_path, written(tmp_path, table))
    assert "in which unit is survtime" in output
    assert "which of A, B is the control?" in output
    code, output = invoke("check", tmp_path / "p.yaml")
    assert code == 3
    assert "endpoints.0.unit: 'FILL' is not one of" in output
    assert "exactly one arm must carry control: true" in output
    answered = text.replace("unit: FILL", "unit: months").replace('label: "A"', 'label: "A", control: true')
    (tmp_path / "p.yaml").write_text(answered, encoding="utf-8")
    assert invoke("check", tmp_path / "p.yaml")[0] == 0


def test_a_table_without_an_outcome_says_what_to_declare(tmp_path: Path) -> None:
    _, output = proposed(tmp_path, written(tmp_path, frame()[["subject_id", "age", "stage"]]))
    assert "no column looks like a time with its event" in output
    code, output = invoke("check", tmp_path / "p.yaml")
    assert code == 3
    assert "endpoints.0.kind: 'FILL' is not one of" in output


def test_patients_without_an_arm_are_left_out_and_asked_about(tmp_path: Path) -> None:
    table = frame()
    table.loc[:8, "arm"] = None
    text, output = proposed(tmp_path, written(tmp_path, table))
    assert "missing: drop" in text
    assert "9 rows have no arm" in output
    code, output = invoke("check", tmp_path / "p.yaml")
    assert code == 0, output
    assert "W-ARM-DROPPED" in output


@pytest.mark.parametrize("kind", ["csv.gz", "parquet", "xlsx", "xpt", "dta", "sav", "ndjson"])
def test_every_format_gives_the_same_protocol(kind: str, tmp_path: Path) -> None:
    plain, _ = proposed(tmp_path, written(tmp_path, frame("death", ("0", "1"), time="days")), out="plain.yaml")
    table = frame("death", ("0", "1"), time="days").astype({"death": int})
    path = tmp_path / f"trial.{kind}"
    if kind == "xpt":
        pyreadstat = pytest.importorskip("pyreadstat")
        table = table.rename(columns={"subject_id": "SUBJID"})
        pyreadstat.write_xport(table, str(path), file_format_version=5)
    elif kind == "sav":
        pytest.importorskip("pyreadstat").write_sav(table, str(path))
    elif kind == "parquet":
        table.to_parquet(path, index=False)
    elif kind == "xlsx":
        table.to_excel(path, index=False)
    elif kind == "dta":
        table.to_stata(path, write_index=False)
    elif kind == "ndjson":
        path.write_text(_dataset_json(table), encoding="utf-8")
    else:
        table.to_csv(path, index=False)
    text, _ = proposed(tmp_path, path)

    def body(protocol: str) -> list[str]:
        kept = [line.split("  # ")[0].lower() for line in protocol.splitlines() if not line.startswith("#")]
        own = ("id:", "title:", "  - name:", "    file:")
        return [line.replace("subject_id", "subjid") for line in kept if not line.startswith(own)]

    assert body(text) == body(plain)
    assert invoke("check", tmp_path / "p.yaml")[0] == 0


def _dataset_json(table: pd.DataFrame) -> str:
    kinds = {"int64": "integer", "float64": "float"}
    columns = [
        {"itemOID": f"IT.{name}", "name": name, "label": name, "dataType": kinds.get(str(table[name].dtype), "string")}
        for name in table.columns
    ]
    head = {
        "datasetJSONCreationDateTime": "2024-01-01T00:00:00", "datasetJSONVersion": "1.1.0", "itemGroupOID": "IG.T",
        "records": len(table), "name": "T", "label": "Trial", "columns": columns,
    }  # fmt: skip
    lines = [json.dumps(head), *(json.dumps(row) for row in table.to_numpy(object).tolist())]
    return "\n".join(lines) + "\n"


def test_a_folder_of_tables_is_one_study(tmp_path: Path) -> None:
    folder = tmp_path / "study"
    folder.mkdir()
    table = frame()
    written(folder, table, "clinical.csv")
    rng = np.random.default_rng(1)
    written(folder, pd.DataFrame({"subject_id": table["subject_id"], "KRAS": rng.integers(0, 2, ROWS)}), "genes.csv")
    matrix = pd.DataFrame(rng.normal(size=(4, ROWS)).round(3), columns=table["subject_id"])
    matrix.insert(0, "gene", ["A1BG", "EGFR", "TP53", "MYC"])
    written(folder, matrix, "expression.csv")
    written(folder, pd.DataFrame({"code": ["a", "b"], "meaning": ["x", "y"]}), "lookup.csv")
    (folder / "README.md").write_text("# about\n", encoding="utf-8")
    text, output = proposed(tmp_path, folder)
    assert "not used: lookup.csv: it holds no patient ids" in output
    assert 'file: "study/clinical.csv"' in text
    assert "layout: markers" in text
    code, output = invoke("check", tmp_path / "p.yaml")
    assert code == 0, output


def test_files_elsewhere_name_the_folder_for_data(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "here").mkdir()
    written(tmp_path / "data", frame())
    text, _ = proposed(tmp_path, tmp_path / "data" / "trial.csv", out="here/p.yaml")
    assert 'file: "trial.csv"' in text
    assert "--data data/" in text
    assert invoke("check", tmp_path / "here" / "p.yaml", "--data", tmp_path / "data")[0] == 0


@pytest.mark.parametrize("name", ["a: b", "# x", '"quoted"', "multi\nline", "{curly}", "- dash", "\u202etext"])
def test_names_from_the_data_are_text_in_the_protocol(name: str, tmp_path: Path) -> None:
    table = frame().rename(columns={"stage": name})
    table[name] = [f"{name} {at % 3}" for at in range(ROWS)]
    path = tmp_path / "trial.csv"
    buffer = io.StringIO()
    table.to_csv(buffer, index=False)
    path.write_text(buffer.getvalue(), encoding="utf-8")
    proposed(tmp_path, path)
    code, output = invoke("check", tmp_path / "p.yaml")
    assert code == 0, output


def test_a_file_that_cannot_be_read_is_refused_and_nothing_written(tmp_path: Path) -> None:
    (tmp_path / "bad.csv").write_text('a,b\n"1,2\n', encoding="utf-8")
    code, output = invoke("init", tmp_path / "bad.csv", "--out", tmp_path / "p.yaml")
    assert code == 3
    assert "E-ROW-QUOTE" in output
    assert not (tmp_path / "p.yaml").exists()


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "none").mkdir()
    code, output = invoke("init", tmp_path / "none", "--out", tmp_path / "p.yaml")
    assert code == 3
    assert "no table of patients" in output


def test_existing_file_is_kept(tmp_path: Path) -> None:
    path = write_study(tmp_path)
    before = path.read_bytes()
    code, output = invoke("init", tmp_path / "patients.csv", "--out", path)
    assert code == 7
    assert path.read_bytes() == before
    assert "--replace" in output


@pytest.mark.slow
def test_a_proposal_runs_to_the_end(tmp_path: Path) -> None:
    write_study(tmp_path)
    text, _ = proposed(tmp_path, tmp_path / "patients.csv")
    budget = f"seed: 20260101\n{MODELS}\n{SEARCH}"  # nothing else is touched
    (tmp_path / "p.yaml").write_text(text.replace("seed: 20260101", budget), encoding="utf-8")
    code, output = invoke("run", tmp_path / "p.yaml", "--out", tmp_path / "out", "--jobs", "1")
    assert code == 0, output
    assert (tmp_path / "out" / "report.html").exists()


def maf(folder: Path, samples: list[str]) -> Path:
    path = folder / "calls.maf"
    head = "Hugo_Symbol\tChromosome\tStart_Position\tVariant_Classification\tTumor_Sample_Barcode\tMutation_Status"
    rows = [f"DNMT3A\t2\t{at}\tMissense_Mutation\t{name}\tSomatic" for at, name in enumerate(samples[:40])]
    rows += [f"TTN\t2\t{at}\tSilent\t{name}\tSomatic" for at, name in enumerate(samples[:60])]
    path.write_text("\n".join([head, *rows]) + "\n", encoding="utf-8")
    return path


def test_mutations_beside_patients_become_features(tmp_path: Path) -> None:
    table = frame()
    calls = maf(tmp_path, list(table["subject_id"]))
    text, output = proposed(tmp_path, written(tmp_path, table), calls)
    assert '{name: "DNMT3A", kind: alteration, genes: ["DNMT3A"], mutations: calls_1}  # 40 of 60' in text
    assert "TTN" not in text  # silent variants do not count
    assert "60 of 90 patients have a variant. Were the others looked at too?" in output
    code, output = invoke("check", tmp_path / "p.yaml")
    assert code == 0, output


def test_mutations_of_other_people_are_not_used(tmp_path: Path) -> None:
    calls = maf(tmp_path, [f"X{at}" for at in range(60)])
    text, output = proposed(tmp_path, written(tmp_path, frame()), calls)
    assert "not used: calls.maf: its samples are not those of the main table" in output
    assert "features:" not in text


def test_a_submission_of_subjects_and_times(tmp_path: Path) -> None:
    pyreadstat = pytest.importorskip("pyreadstat")
    rng = np.random.default_rng(2)
    ids = [f"S{at:03d}" for at in range(ROWS)]
    adsl = pd.DataFrame(
        {
            "USUBJID": ids,
            "TRT01P": ["Placebo" if at % 2 else "Drug" for at in range(ROWS)],
            "TRT01PN": [float(at % 2 == 0) for at in range(ROWS)],
            "AGE": rng.integers(40, 80, ROWS).astype(float),
            "SEX": rng.choice(["F", "M"], ROWS),
            "DCDECOD": rng.choice(["COMPLETED", "WITHDRAWN"], ROWS),
        }
    )
    adtte = pd.concat(
        [
            adsl[["USUBJID", "AGE"]].assign(
                PARAMCD=code, PARAM=f"{code} (days)", AVAL=rng.integers(20, 400, ROWS).astype(float),
                CNSR=(rng.random(ROWS) < 0.4).astype(float),
            )
            for code in ("OS", "PFS")
        ]
    )  # fmt: skip
    folder = tmp_path / "adam"
    folder.mkdir()
    pyreadstat.write_xport(adsl, str(folder / "adsl.xpt"), file_format_version=5)
    pyreadstat.write_xport(adtte, str(folder / "adtte.xpt"), file_format_version=5)
    text, output = proposed(tmp_path, folder)
    assert 'column: "TRT01P"' in text
    assert "style: cnsr" in text
    assert 'where: {"PARAMCD": "OS"}' in text
    assert "told apart by PARAMCD" in output
    assert 'columns: ["AVAL", "CNSR"]' in text
    assert "unit: days" in text
    assert "# left out: TRT01PN" in text
    assert "# left out: DCDECOD" in text
    code, output = invoke("check", tmp_path / "p.yaml")
    assert code == 0, output


def test_a_study_folder_with_faults_is_refused_with_all_of_them(tmp_path: Path) -> None:
    from tests.unit.cohort.conftest import NASTY

    if not NASTY.is_dir():
        pytest.skip("the shared nasty files are not beside this checkout")
    code, output = invoke("init", NASTY / "70_cbioportal", "--out", tmp_path / "p.yaml")
    assert code == 3
    for fault in ("E-STUDY-META", "E-STUDY-HEADER", "E-STUDY-STATUS", "E-EVENT-MISSING"):
        assert fault in output
    assert not (tmp_path / "p.yaml").exists()
