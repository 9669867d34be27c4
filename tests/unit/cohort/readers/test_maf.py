"""MAF: typed variants, allele fractions, gene matrix; published counts of the leukaemia cohort of TCGA."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.unit.cohort.readers.conftest import cells
from trialstrat.cohort.readers.locate import read_payload
from trialstrat.cohort.readers.maf import coded, counted, gene_matrix, is_maf, read_variants
from trialstrat.cohort.readers.table import Payload
from trialstrat.cohort.rules import RefusedError
from trialstrat.errors import InvalidInputError

SHARED = Path(__file__).parents[4].parent / "shared" / "data"
LAML = SHARED / "tcga_laml_maf" / "tcga_laml.maf.gz"

HEADER = "Hugo_Symbol\tVariant_Classification\tTumor_Sample_Barcode\tMutation_Status\tt_alt_count\tt_ref_count\tt_depth"
ROWS = (
    "TP53\tMissense_Mutation\tS1\tSomatic\t10\t30\t",
    "TP53\tSilent\tS2\tSomatic\t1\t3\t5",
    "KRAS\tNonsense_Mutation\tS2\tGermline\t.\t.\t.",
    "NPM1\tFrame_Shift_Ins\tS3\tSomatic\t12.0\t0\t12",
)


def maf(*rows: str, before: str = "#version 2.4\t\t\n#second\n", header: str = HEADER) -> bytes:
    return (before + "\n".join((header, *rows)) + "\n").encode()


def variants(content: bytes):
    return read_variants(Payload(name="v.maf", data=content, sha256=""))


def faults(content: bytes) -> list[tuple[str, str, tuple[int, ...]]]:
    with pytest.raises(RefusedError) as raised:
        variants(content)
    return [(entry.code, entry.column, entry.lines) for entry in raised.value.findings]


def test_registry_reads_every_column_as_text(read):
    table = read(maf(*ROWS), "any.txt")
    assert table.format == "maf"
    assert cells(table)[3] == ["NPM1", "Frame_Shift_Ins", "S3", "Somatic", "12.0", "0", "12"]
    assert table.lines.tolist() == [4, 5, 6, 7]


def test_types_fractions_and_lines():
    found = variants(maf(*ROWS))
    assert found.lines.tolist() == [4, 5, 6, 7]
    np.testing.assert_array_equal(found.vaf, [0.25, 0.2, np.nan, 1.0])
    assert found.columns["alt_reads"].to_pylist() == [10.0, 1.0, None, 12.0]


def test_counted_classes_and_germline():
    found = variants(maf(*ROWS))
    assert counted(found).tolist() == [True, False, False, True]
    assert counted(found, germline=True).tolist() == [True, False, True, True]
    assert counted(found, classes=("silent",)).tolist() == [False, True, False, False]


def test_samples_without_a_variant_stay_and_patients_are_merged():
    found = variants(maf(*ROWS))
    matrix = gene_matrix(found, samples=["S3", "S1", "S2", "S9"], genes=["TP53", "NPM1", "IDH1"])
    assert matrix.patients == ("S1", "S2", "S3", "S9")
    assert matrix.genes == ("IDH1", "NPM1", "TP53")
    assert matrix.altered.tolist() == [[False, False, True], [False] * 3, [False, True, False], [False] * 3]
    owner = {"S1": "P", "S2": "Q", "S3": "P"}
    merged = gene_matrix(found, patient_of=owner)
    assert merged.patients == ("P", "Q")
    assert merged.genes == ("NPM1", "TP53")
    assert merged.altered.tolist() == [[True, True], [False, False]]


def test_a_variant_of_a_sample_that_was_not_assayed_is_refused():
    with pytest.raises(InvalidInputError, match="1 samples with variants are not among"):
        gene_matrix(variants(maf(*ROWS)), samples=["S1", "S2"])
    with pytest.raises(InvalidInputError, match="2 of 3 samples have no patient"):
        gene_matrix(variants(maf(*ROWS)), patient_of={"S1": "P"})


def test_germline_and_somatic_not_told_apart_is_said():
    header = HEADER.replace("Mutation_Status", "Other")
    assert "W-VARIANT-STATUS" in {entry.code for entry in variants(maf(*ROWS, header=header)).findings}
    assert "W-VARIANT-STATUS" not in {entry.code for entry in variants(maf(*ROWS)).findings}


def test_every_fault_with_its_line():
    bad = maf(
        "TP53\tSilent\tS1\tSomatic\t10\t30\t5",  # more reads than the depth
        "2-Sep\tSilent\tS1\tSomatic\t-1\t30\t",
        "\tSilent\t\tSomatic\t1\t30\t",
    )
    assert faults(bad) == [
        ("E-ID-MISSING", "Hugo_Symbol", (6,)),
        ("E-ID-MISSING", "Tumor_Sample_Barcode", (6,)),
        ("E-GENE-DATE", "", ()),
        ("E-VALUE-VAF", "t_alt_count", (4, 5)),
    ]


def test_text_among_reads_and_ragged_rows():
    assert faults(maf(ROWS[0], "TP53\tSilent\tS1\tSomatic\tmany\t3\t")) == [("E-VALUE-TEXT", "t_alt_count", (5,))]
    assert faults(maf(ROWS[0], ROWS[1] + "\textra", "TP53\tSilent")) == [
        ("E-ROW-LONG", "", (5,)),
        ("E-ROW-SHORT", "", (6,)),
    ]
    assert faults(maf()) == [("E-ROWS-NONE", "", ())]
    header = HEADER.replace("Variant_Classification", "Class")
    assert faults(maf(*ROWS, header=header)) == [("E-FORMAT-COLUMN", "Variant_Classification", ())]


def test_blank_lines_do_not_shift_line_numbers():
    assert variants(maf(ROWS[0], "", ROWS[1])).lines.tolist() == [4, 6]


def test_quotes_are_plain_characters():
    found = variants(maf('TP53\tSilent\tS"1\tSomatic\t1\t1\t'))
    assert coded(found.columns["sample"])[0] == ['S"1']


def test_a_table_with_other_names_is_no_maf():
    assert not is_maf(b"Hugo_Symbol\tS1\tS2\nTP53\t1\t2\n")


@pytest.mark.skipif(not LAML.exists(), reason="shared data are not here")
def test_published_counts_of_the_tcga_leukaemia_cohort():
    """193 samples, 1,732 non-silent variants, FLT3 52, DNMT3A 48, NPM1 33 samples: the vignette of maftools."""
    found = read_variants(read_payload(LAML, LAML.name))
    assert found.rows == 2207
    assert int(counted(found).sum()) == 1732
    matrix = gene_matrix(found)
    assert len(matrix.patients) == 193
    altered = dict(zip(matrix.genes, matrix.altered.sum(axis=0).tolist(), strict=True))
    assert (altered["FLT3"], altered["DNMT3A"], altered["NPM1"]) == (52, 48, 33)
    annotated = (LAML.parent / "tcga_laml_annot.tsv").read_text().splitlines()[1:]
    everyone = gene_matrix(found, samples=[line.split("\t")[0] for line in annotated])
    assert everyone.altered.shape[0] == 200
    assert int((~everyone.altered.any(axis=1)).sum()) >= 7  # seven have no row: wild type, not missing
