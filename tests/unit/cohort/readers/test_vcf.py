"""VCF: carried alleles, allele fractions, annotations by the header's format, damaged files."""

from __future__ import annotations

from pathlib import Path

import pytest

from trialstrat.cohort.readers.registry import read_file
from trialstrat.cohort.readers.vcf import samples_of
from trialstrat.protocol.model import Source

FIXTURES = Path(__file__).parents[4].parent / "shared" / "data" / "vcf_maf_fixtures"

CSQ = '##INFO=<ID=CSQ,Number=.,Type=String,Description="Consequence annotations from Ensembl VEP. Format: {}">'
ANN = "##INFO=<ID=ANN,Number=.,Type=String,Description=\"Functional annotations: 'Allele | Annotation | Annotation_Impact | Gene_Name | Gene_ID | Feature_Type | Feature_ID | Transcript_BioType | Rank | HGVS.c | HGVS.p'\">"  # noqa: E501
SAMPLES = ("T1", "T2")


def vcf(*rows: str, meta: tuple[str, ...] = (), samples: tuple[str, ...] = SAMPLES, version: str = "4.2") -> str:
    names = ["#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO", *(("FORMAT", *samples) if samples else ())]
    return "\n".join((f"##fileformat=VCFv{version}", *meta, "\t".join(names), *rows)) + "\n"


def row(*, pos="100", ref="A", alt="G", info=".", keys="GT:AD:DP", calls=("0/1:30,10:40", "0/0:20,0:20")) -> str:
    return "\t".join(("7", pos, ".", ref, alt, ".", "PASS", info, keys, *calls))


def column(table, name):
    return list(table.frame[name].to_numpy(object, na_value=None))


def test_one_row_per_carried_allele(read):
    table = read(
        vcf(row(), row(alt="G,T", calls=("1/2:0,12,8:20", "0|2:10,0,10:20")), row(calls=("./.:.:.", ".:5,5:10"))),
        "a.txt",
    )
    assert table.format == "vcf"
    assert column(table, "sample") == ["T1", "T1", "T1", "T2", "T2"]
    assert column(table, "allele") == ["G", "G", "T", "T", "G"]
    assert column(table, "vaf") == ["0.25", "0.6", "0.4", "0.5", "0.5"]
    assert column(table, "alt_reads") == ["10", "12", "8", "10", "5"]
    assert table.lines.tolist() == [3, 4, 4, 4, 5]
    assert column(table, "filter") == ["PASS"] * 5
    assert column(table, "gene") == [None] * 5


def test_samples_without_a_variant_are_still_known(read):
    table = read(vcf(row(calls=("0/1:30,10:40", "0/0:20,0:20"))), "a.vcf")
    assert samples_of(table).tolist() == ["T1", "T2"]
    assert column(table, "sample") == ["T1"]


def test_fractions_of_the_caller_and_missing_trailing_keys(read):
    table = read(vcf(row(keys="GT:AF:DP", calls=("0/1:0.31", "1/1:.:20"))), "a.vcf")
    assert column(table, "vaf") == ["0.31", None]
    assert column(table, "depth") == [None, "20"]


def test_callers_without_genotypes(read):
    table = read(vcf(row(keys="AD:AF", calls=("9,1:.", ".:0.0")), row(keys="AF", calls=(".", "0.2"))), "a.vcf")
    assert column(table, "sample") == ["T1", "T2"]
    assert column(table, "vaf") == ["0.1", "0.2"]
    assert column(table, "genotype") == [None, None]


def test_no_samples_gives_alleles(read):
    text = vcf("7\t100\trs1\tA\tG,<DEL>\t.\t.\t.", samples=())
    table = read(text, "a.vcf")
    assert column(table, "allele") == ["G", "<DEL>"]
    assert column(table, "sample") == [None, None]
    assert column(table, "id") == ["rs1", "rs1"]


@pytest.mark.parametrize("order", ["Allele|Consequence|IMPACT|SYMBOL|HGVSp", "SYMBOL|IMPACT|HGVSp|Allele|Consequence"])
def test_vep_by_the_order_that_the_header_declares(read, order):
    entries = [
        {"Allele": "G", "Consequence": "intron_variant", "IMPACT": "MODIFIER", "SYMBOL": "OTHER", "HGVSp": ""},
        {
            "Allele": "G",
            "Consequence": "missense_variant",
            "IMPACT": "MODERATE",
            "SYMBOL": "EGFR",
            "HGVSp": "p.Leu858Arg",
        },
        {"Allele": "T", "Consequence": "stop_gained", "IMPACT": "HIGH", "SYMBOL": "EGFR", "HGVSp": "p.Leu858Ter"},
    ]
    info = "DP=5;CSQ=" + ",".join("|".join(entry[key] for key in order.split("|")) for entry in entries)
    calls = ("1/2:0,1,1:2", "0/0:2,0,0:2")
    table = read(vcf(row(alt="G,T", info=info, calls=calls), meta=(CSQ.format(order),)), "a.vcf")
    assert column(table, "gene") == ["EGFR", "EGFR"]
    assert column(table, "protein_change") == ["p.Leu858Arg", "p.Leu858Ter"]
    assert column(table, "consequence") == ["missense_variant", "stop_gained"]


def test_vep_writes_deleted_and_inserted_bases_only(read):
    order = "Allele|SYMBOL"
    info = "CSQ=-|DELETED,TT|INSERTED"
    calls = ("1/2:0,1,1:2", "0/0:2,0,0:2")
    table = read(vcf(row(ref="AC", alt="A,ATT", info=info, calls=calls), meta=(CSQ.format(order),)), "a.vcf")
    assert column(table, "gene") == ["DELETED", "INSERTED"]


def test_snpeff(read):
    info = "ANN=G|missense_variant|MODERATE|KRAS|ENSG1|transcript|NM_1|protein_coding|2/6|c.35G>A|p.Gly12Asp"
    table = read(vcf(row(info=info), meta=(ANN,)), "a.vcf")
    assert column(table, "gene") == ["KRAS"]
    assert column(table, "protein_change") == ["p.Gly12Asp"]
    assert column(table, "transcript") == ["NM_1"]


@pytest.mark.parametrize(
    ("bad", "code"),
    [
        (row() + "\textra", "E-ROW-LONG"),
        ("7\t100\t.\tA", "E-ROW-SHORT"),
        (row(pos="1e5"), "E-VALUE-TEXT"),
        (row(ref="A?"), "E-VALUE-TEXT"),
        (row(alt="hello world"), "E-VALUE-TEXT"),
        (row(calls=("0/2:1,1:2", "0/0:2,0:2")), "E-VALUE-RANGE"),
        (row(calls=("x/1:1,1:2", "0/0:2,0:2")), "E-VALUE-TEXT"),
        (row(calls=("0/1:1,30:2", "0/0:2,0:2")), "E-VALUE-VAF"),
        (row(calls=("0/1:1,-3:2", "0/0:2,0:2")), "E-VALUE-TEXT"),
        (row(keys="GT:AF", calls=("0/1:1.7", "0/0")), "E-VALUE-VAF"),
        (row(keys="GT", calls=("0/1:3", "0/0")), "E-VALUE-TEXT"),
    ],
)
def test_faults_with_their_lines(refused, bad, code):
    assert refused(vcf(row(), bad, row(), bad), "a.vcf") == [(code, (4, 6))]


def test_different_faults_come_together(refused):
    found = refused(vcf(row(pos="x"), row(calls=("0/9:1,1:2", "0/0:2,0:2"))), "a.vcf")
    assert found == [("E-VALUE-TEXT", (3,)), ("E-VALUE-RANGE", (4,))]


def test_damaged_headers(refused):
    assert refused(vcf(row(), version="3.3"), "a.vcf") == [("E-FILE-FORMAT", ())]
    assert refused(vcf(row()).replace("#CHROM\tPOS", "#CHROM"), "a.vcf") == [("E-FILE-DAMAGED", (2,))]
    assert refused("##fileformat=VCFv4.2\n##only=meta\n", "a.vcf") == [("E-FILE-DAMAGED", (3,))]
    assert refused(vcf(), "a.vcf") == [("E-ROWS-NONE", ())]
    assert refused(vcf(row(), samples=("T1", "T1")), "a.vcf") == [("E-COLUMN-TWICE", (2,))]


@pytest.mark.skipif(not FIXTURES.exists(), reason="shared data are not here")
@pytest.mark.parametrize(
    ("name", "samples", "rows"), [("test.vcf", ["TUMOR", "NORMAL"], 27), ("test_b38.vcf", ["TUMOR", "NORMAL"], 27)]
)
def test_files_of_another_program(name, samples, rows):
    table = read_file(FIXTURES / name, Source(name="v", file=name))
    assert samples_of(table).tolist() == samples
    carried = table.frame[table.frame["sample"] == "TUMOR"]
    variants = [line for line in (FIXTURES / name).read_text().splitlines() if line and not line.startswith("#")]
    expected = sum(
        len({*line.split("\t")[9].split(":")[0].replace("|", "/").split("/")} - {"0", "."}) for line in variants
    )
    assert len(carried) == expected
