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
