"""Identifiers in matrices and variant files: refused wherever they stand, and real files of the formats pass."""

from __future__ import annotations

import numpy as np
import pytest

from trialstrat.cohort.build import check

N = 24
IDS = [f"p{at:03d}" for at in range(N)]
PERSONS = [f"{given}{gap}{sur}" for gap in " " for given in ("John", "Mary", "Anna", "Peter", "Ruth", "Paul")
           for sur in ("Smith", "Jones", "Brown", "White")]  # fmt: skip
MAF = "Hugo_Symbol\tVariant_Classification\tTumor_Sample_Barcode\tMutation_Status"
VCF = "##fileformat=VCFv4.2\n"
CSQ = '##INFO=<ID=CSQ,Number=.,Type=String,Description="x Format: Allele|Consequence|SYMBOL|HGVSp">\n'
CONSEQUENCE = "CSQ=T|missense_variant|TP53|p.Arg1His"
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
CONTACT = "j.smith@clinic.org"


def matrix(names=None, head="", corner="gene", extra="", genes=("TP53", "KRAS", "HLA-DOB"), cells=None):
    names = names or IDS
    rows = [f"{corner}{extra and chr(9) + extra.split('|')[0]}\t" + "\t".join(names)]
    for at, gene in enumerate(genes):
        note = f"\t{extra.split('|')[1 + at % (extra.count('|'))]}" if extra else ""
        values = cells(at) if cells else [f"{4 + at + place / 10:.1f}" for place in range(len(names))]
        rows.append(f"{gene}{note}\t" + "\t".join(values))
    return head + "\n".join(rows) + "\n"


def maf(head="", extra="", cell=lambda at: "", sample=lambda at: IDS[at]):
    rows = [MAF + (f"\t{extra}" if extra else "")]
    for at in range(N):
        row = f"TP53\tMissense_Mutation\t{sample(at)}\tSomatic"
        rows.append(row + (f"\t{cell(at)}" if extra else ""))
    return head + "\n".join(rows) + "\n"


def vcf(head="", info=lambda at: "", names=None, form="GT", call=lambda at: "0/1"):
    names = names or IDS[:4]
    rows = ["#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\t" + "\t".join(names)]
    for at in range(N):
        calls = "\t".join([call(at)] * len(names))
        rows.append(f"17\t{7000 + at}\t.\tC\tT\t.\tPASS\tDP=9;{CONSEQUENCE}{info(at)}\t{form}\t{calls}")
    return VCF + CSQ + head + "\n".join(rows) + "\n"


def birthdays(at):
    return f"19{30 + at * 2}-0{1 + at % 9}-11"


def ssn(at):
    return f"{123 + at}-45-{6000 + at}"


REFUSED = {
    "persons as samples of a matrix": ("matrix", matrix(PERSONS), "sample names", "names of persons"),
    "persons with points for blanks": (
        "matrix", matrix([name.replace(" ", ".") for name in PERSONS]), "sample names", "names of persons",
    ),
    "addresses as samples": ("matrix", matrix([f"s{at}@x.org" for at in range(N)]), "sample names", "e-mail"),
    "numbers of persons as samples": ("matrix", matrix([ssn(at) for at in range(N)]), "sample names", "social"),
    "persons down the file": (
        "matrix", "sample\tTP53\tKRAS\n" + "".join(f"{name}\t1.5\t2.5\n" for name in PERSONS), "sample", "persons",
    ),
    "names by the corner": (
        "matrix", "patient_name\tTP53\tKRAS\n" + "".join(f"Q{chr(97 + at)}x\t1.5\t2.5\n" for at in range(N)),
        "patient_name", "names of persons",
    ),
    "a comment above a matrix": ("matrix", matrix(head="# Patient name: John Smith\n"), "comments", "persons"),
    "an address in a comment": ("matrix", matrix(head=f"# questions to {CONTACT}\n"), "comments", "e-mail"),
    "a description column": (
        "matrix", matrix(extra=f"Description|tumour protein|see {CONTACT}|x"), "Description", "e-mail",
    ),
    "a birth date among genes": (
        "matrix", matrix(genes=("TP53", "date_of_birth"), cells=lambda _: [str(9000 + 7 * at) for at in range(N)]),
        "date_of_birth", "dates of birth",
    ),
    "record numbers among genes": (
        "matrix", matrix(genes=("TP53", "MRN"), cells=lambda _: [str(880000 + 37 * at) for at in range(N)]),
        "MRN", "medical record",
    ),
    "patients of a table of markers": ("markers", matrix(PERSONS), "sample names", "names of persons"),
    "a column of a MAF by its name": (
        "variants", maf(extra="Patient_Name", cell=lambda at: f"{LETTERS[at]}nn"), "Patient_Name", "names of persons",
    ),
    "the same name in every variant of a patient": (
        "variants", MAF + "\tsurname\n"
        + "".join(f"G{at}\tSilent\t{IDS[at % N]}\tSomatic\t{LETTERS[at % N]}nn\n" for at in range(40 * N)),
        "surname", "names of persons",
    ),
    "a column of a MAF by its cells": ("variants", maf(extra="note", cell=ssn), "note", "social security"),
    "births in a MAF": ("variants", maf(extra="d1", cell=birthdays), "d1", "of birth"),
    "one address in a MAF": (
        "variants", maf(extra="remark", cell=lambda at: CONTACT if at == 20 else "ok"), "remark", "e-mail",
    ),
    "barcodes that are persons": (
        "variants", maf(sample=lambda at: PERSONS[at]), "Tumor_Sample_Barcode", "names of persons",
    ),
    "a comment above a MAF": ("variants", maf(head="#version 2.4\n#MRN=4711-08\n"), "comments", "medical record"),
    "samples of a VCF": ("variants", vcf(names=PERSONS[::3]), "sample names", "names of persons"),
    "a meta line of a VCF": (
        "variants", vcf(head='##SAMPLE=<ID=p001,Description="Patient name: Mary Jones">\n'), "comments", "persons",
    ),
    "a birth date in a meta line": ("variants", vcf(head="##patient_DOB=1950-03-04\n"), "comments", "dates of birth"),
    "a field of INFO by its key": (
        "variants", vcf(info=lambda at: f";PATIENT_NAME={LETTERS[at]}nn"), "PATIENT_NAME", "persons",
    ),
    "a field of INFO by its form": ("variants", vcf(info=lambda at: f";TAG={ssn(at)}"), "TAG", "social"),
    "an address in INFO": ("variants", vcf(info=lambda at: f";BY={CONTACT}" if at == 7 else ""), "BY", "e-mail"),
    "a field of FORMAT": (
        "variants", vcf(form="GT:DOB", call=lambda at: f"0/1:{birthdays(at)}"), "DOB", "dates of birth",
    ),
}  # fmt: skip

GOOD = {
    "TCGA barcodes": ("matrix", matrix([f"TCGA-0{at % 10}-{1000 + at}-01A-11R" for at in range(N)])),
    "ten digits as codes": ("matrix", matrix([f"{2025550100 + at}" for at in range(N)])),
    "HLA-DOB in raw counts": (
        "matrix", matrix(genes=("HLA-DOB", "TP53"), cells=lambda _: [str(4000 + 31 * at) for at in range(N)]),
    ),
    "Ensembl with descriptions": (
        "matrix", matrix(extra="Description|tumor protein p53 [Source:HGNC Symbol;Acc:HGNC:11998]|KRAS proto-oncogene"),
    ),
    "comments of a pipeline": (
        "matrix", matrix(head="# RSEM v1.3.1, 2021-03-04\n# command: rsem --threads 8 --name expected_count\n"),
    ),
    "a MAF of a portal": (
        "variants",
        maf(head="#version 2.4\n## maf2maf 2021-01-01 https://github.com/mskcc\n", extra="Tumor_Sample_UUID",
            cell=lambda at: f"6c1a9f{at:02d}-4b1e-4d0a-9c0e-{at:012d}"),
    ),
    "a VCF of a pipeline": (
        "variants",
        vcf(head="##fileDate=20210304\n##source=GATK HaplotypeCaller 4.1.9.0\n##reference=file:///ref/GRCh38.fa\n"
            "##contig=<ID=chr17,length=83257441,URL=ftp://ftp.ncbi.nlm.nih.gov>\n"
            '##VEP="v104" time="2021-03-04 10:11:12" cache="/data/vep/104" assembly="GRCh38.p13"\n'
            '##GATKCommandLine=<ID=HC,CommandLine="HC --sample-name p001 --input p001.bam",Version="4.1">\n',
            info=lambda at: f";MLEAC=1;culprit=MQ;set=Intersection;TAGS=a{at}"),
    ),
}  # fmt: skip


@pytest.fixture
def look(small):
    def run(layout, text, privacy=None):
        return check(
            small(
                {"c.csv": "ID,AGE\n" + "".join(f"{name},{40 + at}\n" for at, name in enumerate(IDS)), "x.txt": text},
                sources=[
                    {"name": "c", "file": "c.csv", "id": "ID"},
                    {"name": "x", "file": "x.txt", "layout": layout},
                ],
                covariates=[{"column": "AGE", "kind": "continuous"}],
                **({"privacy": privacy} if privacy else {}),
            )
        )

    return run


def refusals(findings):
    return [(entry.column, entry.message) for entry in findings if entry.code == "E-IDENTIFIER"]


@pytest.mark.parametrize("name", REFUSED)
def test_identifiers_are_refused_with_their_place_and_without_a_value(look, name):
    layout, text, column, kind = REFUSED[name]
    findings = look(layout, text)
    found = refusals(findings)
    assert [entry for entry in found if entry[0] == column and kind in entry[1]], found
    said = " ".join(entry.text() for entry in findings)
    for value in (*PERSONS, CONTACT, ssn(1), birthdays(1), "Mary Jones", "4711-08"):
        assert value not in said


@pytest.mark.parametrize("name", GOOD)
def test_files_as_their_programs_write_them_pass(look, name):
    assert refusals(look(*GOOD[name])) == []


@pytest.mark.parametrize(
    ("name", "allow"),
    [
        ("an address in a comment", "comments"),
        ("persons as samples of a matrix", "x.sample names"),
        ("a column of a MAF by its cells", "note"),
        ("a field of INFO by its form", "x.TAG"),
        ("record numbers among genes", "MRN"),
    ],
)
def test_what_is_known_to_identify_nobody_is_allowed_by_name(look, name, allow):
    layout, text, _, _ = REFUSED[name]
    assert refusals(look(layout, text, {"allow": [allow]})) == []


def test_a_long_maf_is_looked_at_evenly_and_its_addresses_everywhere():
    from trialstrat.cohort.readers.beside import LOOKED_AT
    from trialstrat.cohort.readers.maf import read_variants
    from trialstrat.cohort.readers.table import Payload

    rows = LOOKED_AT * 3
    body = "".join(f"G{at % 7}\tSilent\ts{at % 9}\tSomatic\tr{at}\n" for at in range(rows - 1))
    data = f"#v\n{MAF}\tnote\n{body}G1\tSilent\ts1\tSomatic\t{CONTACT}\n".encode()
    beside = read_variants(Payload(name="m.maf", data=data, sha256="")).beside
    assert LOOKED_AT * 0.9 < len(beside.frame) <= LOOKED_AT
    assert [f"r{line - 3}" for line in beside.lines] == list(beside.frame["note"])
    assert np.quantile(beside.lines, [0.25, 0.5, 0.75]) / rows == pytest.approx([0.25, 0.5, 0.75], abs=0.02)
    assert beside.mails == (rows + 2,)


def test_texts_of_an_h5ad_file_are_looked_at(look, tmp_path):
    h5py = pytest.importorskip("h5py")
    path = tmp_path / "x.h5ad"
    with h5py.File(path, "w") as file:
        file["X"] = np.random.default_rng(0).normal(size=(N, 2))
        obs = file.create_group("obs")
        obs["_index"], obs["name"] = [name.encode() for name in IDS], [name.encode() for name in PERSONS]
        born = obs.create_group("born")
        born["categories"], born["codes"] = [birthdays(at).encode() for at in range(N)], np.arange(N)
        file.create_group("var")["_index"] = [b"TP53", b"KRAS"]
        file.create_group("uns")["by"] = CONTACT
    found = refusals(look("matrix", path.read_bytes()))
    assert {column for column, _ in found} == {"name", "born", "comments"}
