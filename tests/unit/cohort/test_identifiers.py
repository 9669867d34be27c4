"""Direct identifiers at the door: each of HIPAA's kinds is refused, and what only looks like one is not."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from trialstrat.cohort.build import check, read_cohort
from trialstrat.cohort.identifiers import find_identifiers
from trialstrat.cohort.readers.table import text_frame
from trialstrat.errors import DataError
from trialstrat.protocol.load import load_protocol

N = 40
Cell = Callable[[int, random.Random], str]
SURNAMES = (
    *("Smith", "Jones", "Taylor", "Brown", "Wilson", "Evans", "Walker", "White"),
    *("Roberts", "Green", "Hall", "Wood", "Harris", "Clark", "Cooper", "King"),
)
GIVEN = (
    *("John", "Mary", "Susan", "Robert", "Anna", "Peter", "Linda", "Mark"),
    *("Ruth", "Paul", "Helen", "James", "Laura", "David", "Emma", "Carol"),
)


def table(name: str, cell: Cell, rows: int = N) -> pd.DataFrame:
    draw = random.Random(1)
    return text_frame(["patient", name], [[f"P{at:03d}" for at in range(rows)], [cell(at, draw) for at in range(rows)]])


REFUSED: dict[str, tuple[str, Cell, str]] = {
    "surname": ("surname", lambda i, r: SURNAMES[i % 16], "names"),
    "first name in camels": ("FirstName", lambda i, r: GIVEN[i % 16], "names"),
    "names under a neutral head": ("label", lambda i, r: f"{SURNAMES[i % 16]}, {GIVEN[(i // 3) % 16]}", "names"),
    "full names by content": ("who", lambda i, r: f"{GIVEN[i % 16]} {SURNAMES[(i * 5 + i // 16) % 16]}", "names"),
    "initials": ("subject_initials", lambda i, r: f"{chr(65 + i % 26)}{chr(65 + i * 7 % 26)}", "initials"),
    "birth date": ("DOB", lambda i, r: f"19{30 + i:02d}-0{1 + i % 9}-1{i % 9}", "birth"),
    "birth date of SAS": ("BRTHDT", lambda i, r: str(-9000 + 331 * i), "birth"),
    "birth date, day first": ("date_of_birth", lambda i, r: f"{1 + i % 28}.{1 + i % 12}.{1931 + i}", "birth"),
    "dates of birth by their spread": ("d1", lambda i, r: f"{1925 + 2 * i}-03-{10 + i % 18}", "birth"),
    "phone": ("PHONE_NO", lambda i, r: f"0{r.randint(100, 999)} {r.randint(100000, 999999)}", "telephone"),
    "phone form": ("c7", lambda i, r: f"({r.randint(200, 999)}) {r.randint(200, 999)}-{1000 + i}", "tel"),
    "international phone": ("c8", lambda i, r: f"+49 30 {r.randint(1000000, 9999999)}", "telephone"),
    "fax": ("fax", lambda i, r: f"{r.randint(200, 999)}-{r.randint(200, 999)}-{r.randint(1000, 9999)}", "telephone"),
    "e-mail": ("contact", lambda i, r: f"p{i}@example.org", "e-mail"),
    "one e-mail inside remarks": ("remarks", lambda i, r: "write to a.b@uni.ac.uk" if i == 30 else "none", "e-mail"),
    "SSN": ("ssn", lambda i, r: str(r.randint(100000000, 899999999)), "social"),
    "SSN form": ("x", lambda i, r: f"{r.randint(100, 600)}-{r.randint(10, 99)}-{r.randint(1000, 9999)}", "social"),
    "MRN": ("MRN", lambda i, r: str(r.randint(100000, 999999)), "medical record"),
    "medical record number": ("medical_record_number", lambda i, r: f"M-{r.randint(10000, 99999)}", "medical record"),
    "health plan": ("insurance_number", lambda i, r: f"H{r.randint(1000000, 9999999)}", "health plan"),
    "account": ("account no", lambda i, r: str(r.randint(10000, 9999999)), "account"),
    "licence": ("driver_licence_no", lambda i, r: f"D{r.randint(100000, 999999)}", "licence"),
    "plate": ("license plate", lambda i, r: f"{chr(65 + i % 26)}{chr(70 + i % 20)}-{r.randint(100, 9999)}", "vehicle"),
    "device": ("device_serial_number", lambda i, r: f"SN{r.randint(100000, 999999)}", "device"),
    "MAC address": ("hw", lambda i, r: ":".join(f"{r.randint(0, 255):02x}" for _ in range(6)), "device"),
    "web pages": ("profile", lambda i, r: f"https://example.org/u/{i}", "web"),
    "IP address": ("login_from", lambda i, r: f"10.{r.randint(0, 255)}.{r.randint(0, 255)}.{i + 1}", "internet"),
    "fingerprint": ("fingerprint", lambda i, r: f"{r.getrandbits(120):030x}", "biometric"),
    "photos": ("img", lambda i, r: f"faces/{i:03d}.jpg", "photographs"),
    "photo by name": ("photo_file", lambda i, r: f"{i}.png", "photographs"),
    "ZIP": ("zip_code", lambda i, r: f"{r.randint(10000, 99999)}", "postal codes"),
    "postcode": ("postcode", lambda i, r: f"SW{1 + i % 9}A {i % 10}AA", "postal codes"),
    "address": ("address", lambda i, r: f"{i + 1} High Street, Town", "addresses"),
    "street by content": ("line1", lambda i, r: f"{i + 1} Old Mill Road", "addresses"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED, ids=str)
def test_identifiers_are_found(case: str) -> None:
    name, cell, kind = REFUSED[case]
    frame = table(name, cell)
    found = find_identifiers(frame, skip=set(), id_column="patient")
    assert [entry.column for entry in found] == [name]
    assert kind in found[0].kind
    assert found[0].rows.sum() >= (1 if "remarks" in case else 0.5 * N)
    assert not find_identifiers(frame, skip={name})


ACCEPTED: dict[str, tuple[str, Cell]] = {
    "site's name": ("name_of_site", lambda i, r: f"Centre {i % 5}"),
    "drug name": ("drug_name", lambda i, r: ["Imatinib", "Placebo"][i % 2]),
    "gene name": ("name", lambda i, r: f"GENE{i}"),
    "study name": ("study name", lambda i, r: "AURORA"),
    "compression": ("zip", lambda i, r: ["gzip", "none"][i % 2]),
    "compression ratio": ("zip_ratio", lambda i, r: f"{r.random():.3f}"),
    "zinc transporter": ("ZIP4", lambda i, r: f"{r.gauss(0, 1):.4f}"),
    "three digits of a ZIP": ("zip3", lambda i, r: f"{100 + i}"),
    "ids like phone numbers": ("sample_id", lambda i, r: f"{2125550000 + i}"),
    "site and subject in the id": ("subject", lambda i, r: f"101-{i:03d}-{1000 + i}"),
    "age at birth of first child": ("age_first_birth", lambda i, r: str(18 + i % 20)),
    "birth weight": ("birth_weight", lambda i, r: str(2500 + 31 * i)),
    "birth year": ("birth_year", lambda i, r: str(1940 + i)),
    "year under a birth date's head": ("dob", lambda i, r: str(1940 + i)),
    "date of randomisation": ("rand_date", lambda i, r: f"20{10 + i % 4}-0{1 + i % 9}-11"),
    "long enrolment": ("dx_date", lambda i, r: f"{1980 + i % 30}-05-1{i % 9}"),
    "microphone": ("microphone", lambda i, r: ["yes", "no"][i % 2]),
    "telomere": ("tel_length", lambda i, r: f"{r.random():.3f}"),
    "has a phone": ("phone", lambda i, r: str(i % 2)),
    "fax gene": ("FAX1", lambda i, r: f"{r.gauss(5, 1):.5f}"),
    "resuscitation": ("cpr", lambda i, r: str(i % 2)),
    "sine": ("sin", lambda i, r: f"{r.random():.6f}"),
    "serial sample": ("serial_no", lambda i, r: str(i + 1)),
    "assay plate": ("plate_number", lambda i, r: f"P{i % 4}"),
    "device type": ("device_id", lambda i, r: ["A1", "B2"][i % 2]),
    "molecular fingerprint bit": ("fingerprint", lambda i, r: str(i % 2)),
    "clinical picture": ("clinical_picture", lambda i, r: ["mild", "severe"][i % 2]),
    "versions": ("software_version", lambda i, r: f"1.2.3.{i}"),
    "reference page": ("dbsnp_link", lambda i, r: "https://example.org/rs1"),
    "insurance": ("insurance", lambda i, r: ["public", "private"][i % 2]),
    "member state": ("member_state", lambda i, r: ["DE", "FR"][i % 2]),
    "accounting": ("count", lambda i, r: str(i * 1001)),
    "e-mail consent": ("email_consent", lambda i, r: ["yes", "no"][i % 2]),
    "at sign": ("dose", lambda i, r: f"{i}mg @ {i % 24}h"),
    "protein change": ("protein", lambda i, r: f"p.R{100 + i}H"),
    "barcode": ("Tumor_Sample_Barcode", lambda i, r: f"TCGA-AB-{2800 + i}-03"),
    "long random code": ("uuid", lambda i, r: f"{r.getrandbits(68):017X}"[:17]),
    "diagnosis with commas": ("diagnosis", lambda i, r: ["Lymphoma, Follicular", "Leukaemia, Acute"][i % 2]),
    "physician's title": ("sponsor", lambda i, r: "Dr Falk Pharma"),
    "stage with words": ("stage_of_disease", lambda i, r: ["Stage II", "Stage III"][i % 2]),
    "initial dose": ("initial_dose", lambda i, r: str(50 + i)),
    "initial stage": ("initials_known", lambda i, r: ["Y", "N"][i % 2]),
    "address of a well": ("well_address", lambda i, r: f"{'ABCDEFGH'[i % 8]}{1 + i % 12}"),
    "street drug use": ("street_drugs", lambda i, r: ["never", "ever"][i % 2]),
    "histology image": ("slide", lambda i, r: f"slide_{i:03d}.svs"),
    "medical record available": ("medical_record", lambda i, r: ["yes", "no"][i % 2]),
    "ip": ("IP", lambda i, r: f"{r.random():.2f}"),
    "empty": ("ssn", lambda i, r: ""),
}  # fmt: skip


@pytest.mark.parametrize("case", ACCEPTED, ids=str)
def test_what_only_looks_like_one_is_not_refused(case: str) -> None:
    name, cell = ACCEPTED[case]
    assert find_identifiers(table(name, cell), skip=set(), id_column="patient") == []


def test_the_study_id_may_look_like_a_code_but_not_like_a_person() -> None:
    def ids(cell: Cell) -> list[str]:
        frame = table("x", lambda i, r: str(i))
        frame["patient"] = [cell(at, random.Random(1)) for at in range(N)]
        return [entry.column for entry in find_identifiers(frame, skip=set(), id_column="patient")]

    assert ids(lambda i, r: f"212-555-{1000 + i}") == []
    assert ids(lambda i, r: f"p{i}@example.org") == ["patient"]
    assert ids(lambda i, r: f"{SURNAMES[i % 16]}, {GIVEN[i // 3]}") == ["patient"]


def test_wide_tables_of_numbers_are_passed_over_and_their_texts_are_not() -> None:
    rng = np.random.default_rng(1)
    names = [f"G{at}" for at in range(600)]
    columns = [[f"{x:.3f}" for x in rng.normal(size=20)] for _ in names]
    columns[300] = [f"p{at}@example.org" for at in range(20)]
    found = find_identifiers(text_frame(names, columns), skip=set())
    assert [entry.column for entry in found] == ["G300"]


PROTOCOL = """\
trialstrat: 1
id: door
title: A cohort
question: Who carries the risk?
sources: [{{name: trial, file: data.csv, id: patient}}]
endpoints:
  - {{name: os, label: Survival, time: months, event: {{column: died, events: [1], censored: [0]}}, unit: months}}
estimand: {{population: all, treatment: none, endpoint: os}}
covariates: [{{column: age, kind: continuous, unit: years}}, {{column: sex, kind: categorical}}]
{privacy}
"""


def study(folder: Path, privacy: str = "") -> Path:
    rng = np.random.default_rng(1)
    lines = ["patient,months,died,age,sex,email,surname"]
    for at in range(60):
        age = 95 if at < 3 else 40 + at % 40
        lines.append(
            f"P{at:02d},{rng.exponential(20):.3f},{at % 2},{age},{'mf'[at % 2]},p{at}@example.org,{SURNAMES[at % 16]}"
        )
    (folder / "data.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    path = folder / "door.yaml"
    path.write_text(PROTOCOL.format(privacy=privacy), encoding="utf-8")
    return path


def test_all_identifiers_are_refused_in_one_go_without_a_value(tmp_path: Path) -> None:
    loaded = load_protocol(study(tmp_path))
    with pytest.raises(DataError) as refused:
        read_cohort(loaded)
    assert refused.value.exit_code == 3
    mend = "Remove the column, name it under privacy.drop:, or under privacy.allow: if it identifies nobody."
    found = "60 of 60 rows hold direct identifiers"
    seen = (
        ("email: ", "e-mail addresses, known by their form"),
        ("surname: ", "names of persons, known by name and form"),
    )
    assert refused.value.messages == tuple(
        f"E-IDENTIFIER data.csv: {column}{found}: {kind} (lines 2, 3, 4, …). {mend} Nothing written."
        for column, kind in seen
    )


def test_declared_columns_are_dropped_or_allowed(tmp_path: Path) -> None:
    declared = "privacy: {drop: [email], allow: [trial.surname]}"
    cohort = read_cohort(load_protocol(study(tmp_path, declared)))
    assert cohort.n == 60
    assert "I-IDENTIFIER-DROPPED" in {entry.code for entry in cohort.findings}
    gone = "privacy: {drop: [email, surname, age]}"
    codes = {(entry.code, entry.column) for entry in check(load_protocol(study(tmp_path, gone)))}
    assert ("E-COLUMN-MISSING", "age") in codes


def test_ages_above_89_are_90_unless_declared_otherwise(tmp_path: Path) -> None:
    capped = read_cohort(load_protocol(study(tmp_path, "privacy: {drop: [email, surname]}")))
    assert sorted(capped.frame["age"])[-3:] == [90, 90, 90]
    note = next(entry for entry in capped.findings if entry.code == "I-AGE-CAPPED")
    assert (note.bad, note.total, note.severity) == (3, 60, "note")
    whole = read_cohort(load_protocol(study(tmp_path, "privacy: {drop: [email, surname], cap_ages: false}")))
    assert max(whole.frame["age"]) == 95


def test_criteria_are_judged_by_the_true_age_and_described_by_the_capped_one(tmp_path: Path) -> None:
    path = study(tmp_path, "privacy: {drop: [email, surname]}")
    path.write_text(
        path.read_text()
        + "eligibility:\n  - {id: I1, kind: inclusion, text: Age up to 92,\n"
        + "     when: [{column: age, at_most: 92, unit: years}]}\n"
    )
    cohort = read_cohort(load_protocol(path))
    assert (cohort.n, max(cohort.frame["age"])) == (57, 79)
    assert cohort.everyone is not None
    assert (cohort.everyone.cohort.n, max(cohort.everyone.cohort.frame["age"])) == (60, 90)
    assert max(cohort.everyone.tables.patients["age"]) == 95
    whole = read_cohort(load_protocol(study(tmp_path, "privacy: {drop: [email, surname], cap_ages: false}")))
    assert max(whole.frame["age"]) == 95
