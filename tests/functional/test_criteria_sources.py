"""Eligibility over molecular sources and dated records, from the files to the decisions about new patients.

What every patient has is made by rules of the patient's number, so that the test counts who is eligible by itself.
"""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from tests.functional.study import CANARY, HEAD, PROTOCOL, rows
from tests.functional.test_run import invoke

N = 600
SOURCES = """\
sources:
  - {name: trial, file: patients.csv, id: patient, missing: [not known], id_rules: [trim]}
  - {name: mutations, file: variants.maf, layout: variants, panel: panel.txt}
  - {name: cna, file: cna.tsv, layout: matrix}
  - {name: rna, file: rna.tsv, layout: matrix}
  - name: lab
    file: lab.csv
    id: patient
    layout: records
    time: date
    missing: ["-9"]
    rename: {ANALYTE: name}
    units: {value: {to: g/dL, unit: g/L}}
    fields: {date: {kind: date}, name: {kind: text}, value: {kind: number, analyte: hemoglobin}}
time_zero: enrolled
molecular: {mutations: mutations, copy_number: cna, expression: rna, tmb: burden, msi: msi}
features:
  - {name: burden, kind: tmb, mutations: mutations, megabases: 1, classes: all}
"""
ELIGIBILITY = """\
eligibility:
  - {id: I1, kind: inclusion, when: "mutation of EGFR or mutation of KRAS"}
  - {id: E1, kind: exclusion, when: 'mutation of EGFR change "p.Thr790Met"'}
  - {id: E2, kind: exclusion, when: "copy_number of HER2 >= 2"}
  - {id: I2, kind: inclusion, when: "expression of CD274 >= 1", missing: met}
  - {id: E3, kind: exclusion, when: 'msi in ("MSI-H")', missing: not met}
  - {id: I3, kind: inclusion, when: "tmb < 4"}
  - {id: I4, kind: inclusion, when: '(nearest lab where name is "HGB" from day -28 to day 0 has value >= 90 "g/L")'}
"""
TABLES = {"mutations": "variants.maf", "cna": "cna.tsv", "rna": "rna.tsv", "lab": "lab.csv"}


def name(at: int) -> str:
    return f"{CANARY}{at:04d}"


def sequenced(at: int) -> bool:
    return at % 5 != 0


def variants(at: int) -> list[tuple[str, str, str]]:
    """Gene, class and protein change of what the file says of a patient."""
    found = [("TTN", "Silent", "p.G1G")]
    if at % 3 == 0:
        found.append(("EGFR", "Missense_Mutation", "p.T790M" if at % 12 == 0 else "p.L858R"))
    if at % 4 == 1:
        found.append(("KRAS", "missense_mutation", "p.G12C"))
    if at % 7 == 0:
        found.append(("KRAS", "Silent", "p.G13G"))
    if at % 21 == 0:
        found += [("TTN", "Intron", "")]
    return found if sequenced(at) else []


def eligible(at: int) -> bool:
    genes = {gene for gene, kind, _ in variants(at) if kind != "Silent" and kind != "Intron"}
    return (
        sequenced(at)
        and bool(genes & {"EGFR", "KRAS"})
        and at % 12 != 0
        and at % 11 != 0  # no copy number
        and at % 13 != 0
        and (at % 10 >= 2 or at % 37 == 0)
        and (at % 19 != 0 or at % 23 == 0)
        and len(variants(at)) < 4
        and at % 6 != 0
        and at % 31 != 0
    )


def without_signal(line: str) -> str:
    """The row with a marker that tells nothing: no rule is found, so that the written criteria alone decide."""
    cells = line.split(",")
    cells[6] = str(int(cells[0].removeprefix(CANARY)) * 37 % 101)
    return ",".join(cells)


def matrix(path: Path, gene: str, cells: dict[str, object]) -> None:
    lines = [["Hugo_Symbol", *cells], [gene, *cells.values()], ["ACTB", *["0"] * len(cells)]]
    path.write_text("\n".join("\t".join(map(str, line)) for line in lines) + "\n", encoding="utf-8")


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("molecular")
    msi = ["not known" if at % 23 == 0 else "MSI-H" if at % 19 == 0 else "MSS" for at in range(N)]
    lines = [f"{line},2020-03-10,{state}" for line, state in zip(map(without_signal, rows(N)), msi, strict=True)]
    (folder / "patients.csv").write_text(f"{HEAD.strip()},enrolled,msi\n" + "\n".join(lines) + "\n", encoding="utf-8")
    head = "Hugo_Symbol\tVariant_Classification\tTumor_Sample_Barcode\tHGVSp_Short\n"
    # an old name of the laboratory's own, which only the protocol's gene_symbols can resolve
    body = [
        f"{'EGFR-OLD' if gene == 'EGFR' and at % 2 else gene}\t{kind}\t{name(at)}\t{change}\n"
        for at in range(N)
        for gene, kind, change in variants(at)
    ]
    (folder / "variants.maf").write_text(head + "".join(body), encoding="utf-8")
    (folder / "panel.txt").write_text("EGFR\nKRAS\nTTN\n", encoding="utf-8")
    copies = {name(at): 2 if at % 13 == 0 else 0 for at in range(N) if at % 11}
    matrix(folder / "cna.tsv", "ERBB2", copies)
    matrix(folder / "rna.tsv", "CD274", {name(at): "NA" if at % 37 == 0 else at % 10 / 2 for at in range(N)})
    lab = [f"{name(at)},2020-03-{7 if at % 31 else 11:02d},HGB,{85 if at % 6 == 0 else 120}\n" for at in range(N)]
    lab += [f"{name(at)},2020-01-02,HGB,50\n{name(at)},2020-03-09,NA,140\n" for at in range(0, N, 2)]
    (folder / "lab.csv").write_text("patient,date,ANALYTE,value\n" + "".join(lab), encoding="utf-8")
    start, end = PROTOCOL.index("sources:"), PROTOCOL.index("arms:")
    text = PROTOCOL[:start] + SOURCES + PROTOCOL[end:]
    text = text.replace("[clinical_cox, penalised_cox, boosting]", "[clinical_cox]").replace(
        "outer_folds: 3", "outer_folds: 2"
    )
    start, end = text.index("eligibility:"), text.index("covariates:")
    symbols = "gene_symbols: {resolve: {EGFR-OLD: EGFR}}\n"
    (folder / "small.yaml").write_text(text[:start] + symbols + ELIGIBILITY + text[end:], encoding="utf-8")
    return folder


def changed(study: Path, tmp_path: Path, old: str, new: str) -> Path:
    for file in study.glob("*.*"):
        if file.is_file():
            (tmp_path / file.name).write_bytes(file.read_bytes())
    text = (study / "small.yaml").read_text(encoding="utf-8")
    assert old in text
    (tmp_path / "small.yaml").write_text(text.replace(old, new), encoding="utf-8")
    return tmp_path / "small.yaml"


@pytest.fixture(scope="module")
def run(study: Path) -> Path:
    out = study / "out"
    code, output = invoke("run", study / "small.yaml", "--out", out, "--jobs", "1")
    assert code == 0, output
    return out


def test_check_finds_nothing_wrong(study: Path) -> None:
    code, output = invoke("check", study / "small.yaml")
    assert code == 0, output
    assert "small.yaml: 0 errors" in output
    assert "-CRIT-" not in output


def test_run_selects_whom_the_rules_make_eligible(run: Path) -> None:
    body = json.loads((run / "results.json").read_text())
    expected = sum(map(eligible, range(N)))
    assert 80 < expected < 300
    assert next(entry["value"] for entry in body["estimates"] if entry["id"] == "cohort.n") == expected
    table = body["tables"]["cohort.eligibility"]
    keys = [column["key"] for column in table["columns"]]
    first = dict(zip(keys, table["rows"][0], strict=True))
    assert first["unknown"] == sum(not sequenced(at) for at in range(N))


def test_frozen_criteria_say_where_events_are_found(run: Path) -> None:
    body = YAML(typ="safe", pure=True).load((run / "criteria.yaml").read_text())
    assert body["molecular"] == {
        "mutations": "mutations", "found": "found", "copy_number": "cna", "expression": "rna", "tmb": "burden",
        "msi": "msi",
    }  # fmt: skip
    assert {key: table.get("holds", "rows") for key, table in body["tables"].items()} == {
        "mutations": "variants", "cna": "matrix", "rna": "matrix", "lab": "rows"
    }  # fmt: skip
    assert [feature["name"] for feature in body["features"]] == ["burden"]
    assert [source["name"] for source in body["sources"]] == ["mutations", "cna", "rna", "lab"]
    assert body["gene_symbols"] == {"resolve": {"EGFR-OLD": "EGFR"}}
    assert body["patients"] == {
        "name": "trial", "file": "trial", "id": "patient", "id_rules": ["trim"], "missing": ["not known"]
    }  # fmt: skip
    assert CANARY not in (run / "criteria.yaml").read_text()


#: What a patient who passes may be; the rule that the run found besides decides for itself.
PASSING = {
    "I1": {"met"}, "E1": {"not met"}, "E2": {"not met"}, "I2": {"met", "unknown"}, "E3": {"not met", "unknown"},
    "I3": {"met"}, "I4": {"met"},
}  # fmt: skip


def decisions(folder: Path, run: Path, files: dict[str, Path]) -> dict[str, dict[str, str]]:
    given = [part for key, file in files.items() for part in ("--table", f"{key}={file}")]
    code, output = invoke("screen", run / "criteria.yaml", folder / "new.csv", *given)
    assert code == 0, output
    with (folder / "new.screened.csv").open(newline="") as handle:
        return {row["id"]: row for row in csv.DictReader(handle)}


@pytest.mark.parametrize("reported", [True, False])
def test_screen_decides_as_the_run_did_and_leaves_the_unsequenced_unknown(
    reported: bool, run: Path, study: Path, tmp_path: Path
) -> None:
    """The same patients as new ones, from the same files; the burden is a laboratory's column, or derived anew."""
    lines = (study / "patients.csv").read_text().splitlines()
    burden = ["burden", *(str(len(variants(at))) if sequenced(at) else "" for at in range(N))]
    if reported:
        lines = [f"{line},{more}" for line, more in zip(lines, burden, strict=True)]
    (tmp_path / "new.csv").write_text("\n".join(lines))
    found = decisions(tmp_path, run, {key: study / file for key, file in TABLES.items()})
    passing = [at for at in range(N) if all(found[name(at)][key] in said for key, said in PASSING.items())]
    assert passing == [at for at in range(N) if eligible(at)]
    assert [at for at in range(N) if found[name(at)]["I1"] == "unknown"] == [at for at in range(N) if not sequenced(at)]
    assert not any(found[name(at)]["decision"] == "eligible" for at in range(N) if not eligible(at))


@pytest.mark.parametrize(
    ("old", "new", "code", "said"),
    [
        ("mutation of KRAS", "mutation of ALK", 3, "E-GENE-ABSENT"),
        ("mutation of KRAS", 'mutation of KRAS class (\\"Missense\\")', 3, "E-CRIT-CLASS"),
        ("expression of CD274", "expression of NOSUCH", 3, "E-GENE-ABSENT"),
        ("copy_number: cna, ", "", 3, "where copy_number is found is not declared"),
        ("mutations: mutations, copy", "mutations: mutation, copy", 3, "Did you mean mutations?"),
        ("mutations: mutations, copy", "mutations: rna, copy", 3, "E-CRIT-COLUMN"),
        ("tmb: burden", "tmb: burdn", 3, "burdn"),
        ("mutation of KRAS", "mutation of SEPT1", 3, "E-GENE"),
    ],
)
def test_molecular_criteria_are_checked_against_the_data(
    old: str, new: str, code: int, said: str, study: Path, tmp_path: Path
) -> None:
    found, output = invoke("check", changed(study, tmp_path, old, new))
    assert (found, said in output) == (code, True), output
    assert CANARY not in output


def test_events_as_rows_are_read_too_and_a_gene_without_a_row_stays_unknown(run: Path, tmp_path: Path) -> None:
    rows_ = "patient,gene,variant_class,protein_change,found\n"
    rows_ += "a,EGFR,Missense_Mutation,Leu858Arg,yes\na,KRAS,,,no\n"
    rows_ += "b,EGFR,,,no\nb,KRAS,Silent,G13G,silent\nc,KRAS,,,no\nd,EGFR,Missense_Mutation,Thr790Met,yes\n"
    (tmp_path / "events.csv").write_text(rows_)
    lines = [f"{x},1,MSS,2020-03-10,50,II,1" for x in "abcde"]
    (tmp_path / "new.csv").write_text("patient,burden,msi,enrolled,age,stage,marker\n" + "\n".join(lines))
    for gene, file in (("ERBB2", "cna.tsv"), ("CD274", "rna.tsv")):
        matrix(tmp_path / file, gene, dict.fromkeys("abcde", 1))
    (tmp_path / "lab.csv").write_text(
        "patient,date,ANALYTE,value\n" + "".join(f"{x},2020-03-10,HGB,120\n" for x in "abcde")
    )
    files = {key: tmp_path / file for key, file in {**TABLES, "mutations": "events.csv"}.items()}
    found = {key: (row["I1"], row["E1"]) for key, row in decisions(tmp_path, run, files).items()}
    assert found == {
        "a": ("met", "not met"),
        "b": ("not met", "not met"),
        "c": ("unknown", "unknown"),
        "d": ("met", "met"),
        "e": ("unknown", "unknown"),
    }


def test_a_missing_table_is_asked_for_by_name(run: Path, study: Path, tmp_path: Path) -> None:
    (tmp_path / "new.csv").write_bytes((study / "patients.csv").read_bytes())
    code, output = invoke("screen", run / "criteria.yaml", tmp_path / "new.csv")
    assert code == 3
    assert "mutations, cna, rna, lab (or columns of new.csv: burden)" in output
    assert "--table mutations=FILE --table cna=FILE" in output


def test_samples_that_are_nobody_are_refused(run: Path, study: Path, tmp_path: Path) -> None:
    (tmp_path / "new.csv").write_text("patient,burden,msi,enrolled,age,stage,marker\nx,1,MSS,2020-03-10,50,II,1\n")
    given = [part for key, file in TABLES.items() for part in ("--table", f"{key}={study / file}")]
    code, output = invoke("screen", run / "criteria.yaml", tmp_path / "new.csv", *given)
    assert code == 3, output
    assert "E-JOIN-NONE variants.maf" in output
    assert not list(tmp_path.glob("*screened*"))
