"""``init`` on files that hold more than a plain table: identifiers, dates, databases, AnnData, whole studies."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.functional.readme_studies import MODELS, SEARCH
from tests.functional.test_init import frame, proposed
from tests.functional.test_run import invoke

ROWS = 120
SURNAMES = ("Smith", "Jones", "Taylor", "Brown", "Wilson", "Evans", "Walker", "White", "Roberts", "Green")


def accepted(folder: Path, *more: str) -> str:
    code, output = invoke("check", folder / "p.yaml", *more)
    assert code == 0, output
    return output


def completed(folder: Path, **answers: str) -> Path:
    """Run the proposal with a small budget and the answers (old text to new) that a person gives."""
    path = folder / "p.yaml"
    text = path.read_text(encoding="utf-8")
    for old, new in answers.items():
        assert old in text, old
        text = text.replace(old, new)
    path.write_text(text.replace("seed: 20260101", f"seed: 20260101\n{MODELS}\n{SEARCH}"), encoding="utf-8")
    code, output = invoke("run", path, "--out", folder / "out", "--jobs", "1")
    assert code == 0, output
    assert (folder / "out" / "report.html").exists()
    return folder / "out"


def test_identifiers_are_dropped_with_the_evidence_and_the_study_runs(tmp_path: Path) -> None:
    table = frame()
    table["dob"] = [f"19{30 + at % 50}-0{1 + at % 9}-1{at % 9}" for at in range(len(table))]
    table["surname"] = [SURNAMES[at % 10] for at in range(len(table))]
    table["contact"] = [f"p{at}@example.org" for at in range(len(table))]
    table.to_csv(tmp_path / "trial.csv", index=False)
    text, _ = proposed(tmp_path, tmp_path / "trial.csv")
    assert '    - "trial.dob"  # dates of birth, known by name and form in 90 of 90 rows' in text
    assert '    - "trial.surname"  # names of persons, known by name and form in 90 of 90 rows' in text
    assert '    - "trial.contact"  # e-mail addresses, known by their form in 90 of 90 rows' in text
    assert not any(name in text for name in (*SURNAMES, "example.org", "1930"))
    accepted(tmp_path)
    out = completed(tmp_path)
    stored = "".join(path.read_text(errors="replace") for path in out.rglob("*") if path.is_file())
    assert not any(name in stored for name in ("Roberts", "example.org", "1937-08"))


def german(rows: int = ROWS) -> pd.DataFrame:
    rng = np.random.default_rng(8)
    start = [dt.date(2015, 1, 1) + dt.timedelta(int(day)) for day in rng.integers(0, 900, rows)]
    until = [day + dt.timedelta(int(more)) for day, more in zip(start, 30 + rng.exponential(700, rows), strict=True)]
    died = rng.random(rows) < 0.5

    def written(day: dt.date) -> str:
        return day.strftime("%d.%m.%Y")

    return pd.DataFrame(
        {
            "Pseudonym": [f"K{at:04d}" for at in range(rows)],
            "Diagnosedatum": list(map(written, start)),
            "Letzter Kontakt": list(map(written, until)),
            "Todesdatum": [written(day) if dead else "" for day, dead in zip(until, died, strict=True)],
            "Alter": rng.integers(30, 85, rows),
            "Geschlecht": rng.choice(["männlich", "weiblich"], rows),
            "CRP": [f"{value:.1f}".replace(".", ",") for value in rng.lognormal(1, 1, rows)],
            "Grad": rng.choice(["G1", "G2", "G3"], rows),
        }
    )


def test_a_registry_in_german_becomes_survival_from_dates(tmp_path: Path) -> None:
    german().to_csv(tmp_path / "register.csv", index=False, sep=";", encoding="utf-8")
    text, output = proposed(tmp_path, tmp_path / "register.csv")
    assert 'start: "Diagnosedatum"  # CONFIRM time zero' in text
    assert '{column: "Todesdatum", style: dated}' in text
    assert '"Letzter Kontakt": DD.MM.YYYY' in text
    assert "does time start at Diagnosedatum for every patient?" in output
    accepted(tmp_path)
    completed(tmp_path)


def test_dates_that_exist_only_in_another_order_are_refused(tmp_path: Path) -> None:
    table = german()
    table.loc[3, "Diagnosedatum"] = "31.02.2016"
    table.to_csv(tmp_path / "register.csv", index=False, sep=";")
    proposed(tmp_path, tmp_path / "register.csv")
    code, output = invoke("check", tmp_path / "p.yaml")
    assert code == 3
    assert "E-DATE-FORMAT register.csv: Diagnosedatum: 1 of 120 rows" in output
    assert "declared as DD.MM.YYYY" in output


def omop(path: Path) -> None:
    duckdb = pytest.importorskip("duckdb")
    rng = np.random.default_rng(3)
    start = [dt.date(2012, 1, 1) + dt.timedelta(int(day)) for day in rng.integers(0, 2000, ROWS)]
    end = [day + dt.timedelta(int(more)) for day, more in zip(start, 40 + rng.exponential(800, ROWS), strict=True)]
    ids = np.arange(1, ROWS + 1)
    person = pd.DataFrame(
        {
            "person_id": ids,
            "gender_concept_id": rng.choice([8507, 8532], ROWS),
            "year_of_birth": rng.integers(1935, 1990, ROWS),
            "birth_datetime": pd.to_datetime([f"{year}-03-01" for year in rng.integers(1935, 1990, ROWS)]),
            "race_concept_id": rng.choice([8527, 8516], ROWS),
        }
    )
    observed = pd.DataFrame(
        {
            "observation_period_id": ids,
            "person_id": ids,
            "observation_period_start_date": start,
            "observation_period_end_date": end,
        }
    )
    dead = rng.random(ROWS) < 0.45
    death = pd.DataFrame(
        {"person_id": ids[dead], "death_date": [day for day, gone in zip(end, dead, strict=True) if gone]}
    )
    conditions = pd.DataFrame({"person_id": np.repeat(ids, 3), "condition_concept_id": rng.integers(1, 9, 3 * ROWS)})
    concepts = pd.DataFrame({"concept_id": [8507, 8532], "concept_name": ["MALE", "FEMALE"]})
    tables = {
        "person": person,
        "observation_period": observed,
        "death": death,
        "condition_occurrence": conditions,
        "concept": concepts,
    }
    with duckdb.connect(str(path)) as database:
        for name, table in tables.items():
            database.register("held", table)
            database.execute(f"create table {name} as select * from held")
            database.unregister("held")


def test_an_omop_database_is_proposed_with_survival_from_its_dates(tmp_path: Path) -> None:
    omop(tmp_path / "cdm.duckdb")
    text, output = proposed(tmp_path, tmp_path / "cdm.duckdb")
    assert 'table: "person"' in text
    assert 'start: "observation_period_start_date"' in text
    assert '{column: "death_date", style: dated}' in text
    assert "birth_datetime" in text.split("drop:")[1].split("\n")[1]
    assert "cdm.duckdb:concept: vocabulary" in output
    assert "cdm.duckdb:condition_occurrence: several rows per person" in output
    accepted(tmp_path)
    completed(tmp_path)


def test_an_anndata_file_gives_its_samples_and_its_matrix(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    rng = np.random.default_rng(6)
    with h5py.File(tmp_path / "study.h5ad", "w") as file:
        file["X"] = rng.normal(5, 1, (ROWS, 30))
        obs = file.create_group("obs")
        obs.attrs["_index"] = "sample_id"
        obs["sample_id"] = [f"S{at:03d}".encode() for at in range(ROWS)]
        obs["os_months"] = np.round(rng.exponential(20, ROWS) + 0.1, 2)
        obs["os_event"] = (rng.random(ROWS) < 0.6).astype(int)
        obs["age"] = rng.integers(40, 80, ROWS)
        sex = obs.create_group("sex")
        sex["categories"], sex["codes"] = [b"F", b"M"], rng.integers(0, 2, ROWS)
        file.create_group("var")["_index"] = [f"GENE{at}".encode() for at in range(30)]
    text, _ = proposed(tmp_path, tmp_path / "study.h5ad")
    assert 'table: "obs"' in text
    assert "layout: matrix" in text
    assert "marker_blocks:" in text
    accepted(tmp_path)
    completed(tmp_path)


def test_a_hospital_s_spreadsheets_become_one_study(tmp_path: Path) -> None:
    """Master data and follow-up as workbooks, laboratory values with decimal commas: joined, dated, identifiers out."""
    folder = tmp_path / "klinik"
    folder.mkdir()
    table = german()
    table["Geburtsdatum"] = [f"{1 + at % 28:02d}.{1 + at % 12:02d}.{1930 + at % 50}" for at in range(len(table))]
    table["Therapie"] = ["Standard" if at % 2 else "Prüfsubstanz" for at in range(len(table))]
    master = ["Pseudonym", "Geburtsdatum", "Alter", "Geschlecht", "Diagnosedatum", "Grad", "Therapie"]
    table[master].to_excel(folder / "Stammdaten.xlsx", index=False)
    table[["Pseudonym", "Letzter Kontakt", "Todesdatum"]].to_excel(folder / "Verlauf.xlsx", index=False)
    table[["Pseudonym", "CRP"]].to_csv(folder / "Labor.csv", sep=";", index=False)
    (folder / "Notizen.csv").write_bytes("Pseudonym;Größe\nK0000;groß\n".encode("cp1252"))
    text, output = proposed(tmp_path, folder)
    assert text.count("    file: ") == 3
    assert "Geburtsdatum" in text.split("drop:")[1].split("\n")[1]
    assert 'column: "Therapie"' in text
    assert 'label: "Standard", control: true' in text
    assert "Notizen.csv: E-FILE-ENCODING" in output
    assert '{column: "CRP", kind: continuous' in text
    accepted(tmp_path)


def dataset_json(folder: Path, name: str, kinds: dict[str, str], rows: list[list[object]]) -> None:
    import json

    columns = [
        {"itemOID": f"IT.{key}", "name": key, "label": f"Label of {key}", "dataType": kind}
        for key, kind in kinds.items()
    ]
    body = {
        "datasetJSONCreationDateTime": "2024-05-01T10:00:00",
        "datasetJSONVersion": "1.1.0",
        "studyOID": "S1",
        "metaDataVersionOID": "M1",
        "itemGroupOID": f"IG.{name}",
        "records": len(rows),
        "name": name.upper(),
        "label": name,
        "columns": columns,
        "rows": rows,
    }
    (folder / f"{name}.json").write_text(json.dumps(body))


def test_a_submission_finds_its_outcome_behind_other_parameters(tmp_path: Path) -> None:
    """ADLB comes before ADTTE in the folder, and both call their values AVAL."""
    folder = tmp_path / "adam"
    folder.mkdir()
    rng = np.random.default_rng(2)
    ids = [f"S1-{1000 + at}" for at in range(ROWS)]
    arms = ["Placebo" if at % 2 else "Active" for at in range(ROWS)]
    dataset_json(
        folder,
        "adsl",
        {"USUBJID": "string", "TRT01P": "string", "AGE": "integer", "SEX": "string", "TRTSDT": "date"},
        [[name, arms[at], int(rng.integers(40, 80)), "MF"[at % 3 == 0], "2019-02-03"] for at, name in enumerate(ids)],
    )
    dataset_json(
        folder,
        "adlb",
        {"USUBJID": "string", "PARAMCD": "string", "AVISIT": "string", "AVAL": "float"},
        [[name, "LDH", visit, float(rng.integers(90, 400))] for name in ids for visit in ("Baseline", "Week 4")],
    )
    outcome = {"USUBJID": "string", "PARAMCD": "string", "PARAM": "string", "AVAL": "integer", "CNSR": "integer"}
    rows = [
        [name, code, label, int(rng.integers(20, 700)), int(rng.random() < 0.4)]
        for name in ids
        for code, label in (("OS", "Overall Survival"), ("PFS", "Progression-Free Survival"))
    ]
    dataset_json(folder, "adtte", outcome, rows)
    (folder / "define.xml").write_text("<ODM/>")
    text, _ = proposed(tmp_path, folder)
    assert 'time: "AVAL"' in text
    assert 'event: {column: "CNSR", style: cnsr}' in text
    assert 'where: {"PARAMCD": "OS"}' in text
    assert 'label: "Overall Survival"' in text
    assert "adlb.json: it has nothing that the main table has not" in text
    accepted(tmp_path)


def test_two_samples_a_patient_and_two_panels(tmp_path: Path) -> None:
    """Genes off a panel are unknown, and the run says how many; the rule for samples is asked."""
    folder = tmp_path / "panels"
    folder.mkdir()
    rng = np.random.default_rng(5)
    patients = [f"P-{at:04d}" for at in range(ROWS)]
    samples = [(name, f"{name}-T1") for name in patients] + [(name, f"{name}-T2") for name in patients[:30]]

    def meta(kind: str, datatype: str, name: str) -> None:
        text = f"cancer_study_identifier: pan\ngenetic_alteration_type: {kind}\ndatatype: {datatype}\n"
        (folder / f"meta_{name}.txt").write_text(f"{text}stable_id: {name}\ndata_filename: data_{name}.txt\n")

    def clinical(name: str, columns: list[str], rows: list[str]) -> None:
        heads = ["\t".join(columns)] * 2 + ["\t".join(["STRING"] * len(columns)), "\t".join(["1"] * len(columns))]
        lines = [*(f"#{head}" for head in heads), "\t".join(columns), *rows]
        (folder / f"data_{name}.txt").write_text("\n".join(lines) + "\n")

    (folder / "meta_study.txt").write_text("cancer_study_identifier: pan\nname: Panels\n")
    meta("CLINICAL", "PATIENT_ATTRIBUTES", "clinical_patient")
    meta("CLINICAL", "SAMPLE_ATTRIBUTES", "clinical_sample")
    meta("MUTATION_EXTENDED", "MAF", "mutations")
    meta("GENE_PANEL_MATRIX", "GENE_PANEL_MATRIX", "gene_panel_matrix")
    meta("COPY_NUMBER_ALTERATION", "SEG", "segments")
    status = ["1:DECEASED" if at % 5 < 3 else "0:LIVING" for at in range(ROWS)]
    clinical(
        "clinical_patient",
        ["PATIENT_ID", "AGE", "OS_STATUS", "OS_MONTHS"],
        [
            f"{name}\t{rng.integers(40, 80)}\t{status[at]}\t{rng.exponential(20) + 0.2:.2f}"
            for at, name in enumerate(patients)
        ],
    )
    clinical("clinical_sample", ["PATIENT_ID", "SAMPLE_ID"], [f"{owner}\t{name}" for owner, name in samples])
    calls = [
        f"{gene}\tMissense_Mutation\t{name}\tSomatic"
        for at, (_, name) in enumerate(samples)
        for gene in ("TP53", "STK11")
        if rng.random() < 0.5 and (gene == "TP53" or at % 2)
    ]
    head = "Hugo_Symbol\tVariant_Classification\tTumor_Sample_Barcode\tMutation_Status"
    (folder / "data_mutations.txt").write_text("\n".join([head, *calls]) + "\n")
    panels = [f"{name}\t{'BIG' if at % 2 else 'SMALL'}" for at, (_, name) in enumerate(samples)]
    (folder / "data_gene_panel_matrix.txt").write_text("SAMPLE_ID\tmutations\n" + "\n".join(panels) + "\n")
    (folder / "data_gene_panel_big.txt").write_text("stable_id: BIG\ngene_list:\tTP53\tSTK11\n")
    (folder / "data_gene_panel_small.txt").write_text("stable_id: SMALL\ngene_list:\tTP53\n")
    (folder / "data_segments.txt").write_text("ID\tchrom\nP-0000-T1\t1\n")
    text, output = proposed(tmp_path, folder)
    assert "150 samples of 120 patients; the first of a patient is taken" in output
    assert '{name: "STK11", kind: alteration' in text
    code, output = invoke("check", tmp_path / "p.yaml", "--strict")
    assert code == 0, output
    assert "I-STUDY-SKIPPED" in output  # what a correct folder has beside is a note
    out = completed(tmp_path)
    made = pd.read_csv(out / "tables" / "cohort.features.csv").set_index("feature")
    assert made.loc["STK11", "unknown"] == 60  # every second patient's first sample had the small panel
    assert made.loc["TP53", "unknown"] == 0
