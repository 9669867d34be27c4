"""Expression matrices: either way round, whole transcriptomes, and values that are none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from trialstrat.cohort.readers.expression import read_expression
from trialstrat.cohort.readers.locate import read_payload
from trialstrat.cohort.readers.table import Payload
from trialstrat.cohort.rules import RefusedError

SCANB = Path(__file__).parents[4].parent / "shared" / "data" / "scanb_400"

ROWS = "gene\tS1\tS2\tS3\nTP53\t1.5\t2\t-3e-2\nXYZ1\t\tNA\t7\n"
COLUMNS = "sample,TP53,XYZ1\nS1,1.5,\nS2,2,NA\nS3,-0.03,7\n"
VALUES = [[1.5, np.nan], [2, np.nan], [-0.03, 7]]


def expression(text: str, **options):
    return read_expression(Payload(name="e.tsv", data=text.encode(), sha256=""), **options)


def faults(text: str, **options) -> list[tuple[str, str, tuple[int, ...]]]:
    with pytest.raises(RefusedError) as raised:
        expression(text, **options)
    return [(entry.code, entry.column, entry.lines) for entry in raised.value.findings]


@pytest.mark.parametrize(
    ("text", "way"),
    [(ROWS, "genes_in_rows"), (COLUMNS, "genes_in_columns"), ('"' + ROWS[:4] + '"' + ROWS[4:], "genes_in_rows")],
)
def test_either_way_round(text, way):
    found = expression(text)
    assert found.way == way
    assert found.samples == ("S1", "S2", "S3")
    assert found.genes == ("TP53", "XYZ1")
    np.testing.assert_array_equal(found.values, VALUES)


def test_known_samples_decide_before_names():
    text = "id\tA\tB\nTP53\t1\t2\nGAPDH\t3\t4\n"
    assert expression(text).way == "genes_in_rows"  # familiar genes
    assert expression(text, samples=["TP53"]).way == "genes_in_columns"
    assert expression(text, samples=["TP53"], way="genes_in_rows").way == "genes_in_rows"
    assert faults("id\tA\tB\nC\t1\t2\nD\t3\t4\n") == [("E-FORMAT-WAY", "", ())]


def test_descriptions_of_genes_are_no_samples():
    text = "#1.2\nHugo_Symbol\tEntrez_Gene_Id\tS1\tS2\nTP53\t7157\t1\t2\nKRAS\tNA\t3\t4\n"
    found = expression(text)
    assert found.samples == ("S1", "S2")
    np.testing.assert_array_equal(found.values, [[1, 3], [2, 4]])


def test_cells_that_are_no_numbers_are_named_with_their_lines():
    assert faults("#x\ngene\tS1\tS2\nTP53\t1\t2\nKRAS\tlow\t2\nEGFR\t1\t2,5\n") == [
        ("E-VALUE-TEXT", "samples, column 2", (4,)),
        ("E-VALUE-TEXT", "samples, column 3", (5,)),
    ]
    assert faults("gene\tS1\tS2\nTP53\tinf\t2\nKRAS\t1\tnan\n") == [
        ("E-VALUE-INF", "samples, column 2", (2,)),
        ("E-VALUE-INF", "samples, column 3", (3,)),
    ]
    assert faults("gene\tS1\tS2\nTP53\t1\nKRAS\t1\t2\t3\n") == [("E-ROW-LONG", "", (3,)), ("E-ROW-SHORT", "", (2,))]
    assert faults("gene\tS1\n") == [("E-ROWS-NONE", "", ())]


def test_samples_given_twice_are_not_named():
    assert faults("gene\tS1\ts1\nTP53\t1\t2\n") == [("E-COLUMN-TWICE", "samples", ())]
    assert faults("sample\tTP53\nS1\t1\ns1\t2\n") == [("E-COLUMN-TWICE", "samples", ())]
    assert faults("sample\tTP53\ttp53\nS1\t1\t2\n") == [("E-COLUMN-TWICE", "TP53", ())]
    assert faults("sample\tTP53\tKRAS\nS1\tlow\t2\n") == [("E-VALUE-TEXT", "TP53", (2,))]


def test_missing_codes_are_those_declared():
    assert faults(ROWS, missing=()) == [("E-VALUE-TEXT", "samples, column 3", (3,))]
    assert np.isnan(expression(ROWS.replace("NA", "-9"), missing=("-9",)).values[1, 1])


def test_values_that_the_declared_kind_excludes():
    assert faults(ROWS, kind="counts") == [("E-VALUE-RANGE", "samples, column 4", (2,))]
    assert faults("gene\tS1\nTP53\t5000\n", kind="log2") == [("E-VALUE-RANGE", "", ())]
    assert expression("gene\tS1\nTP53\t5000\n", kind="tpm").values.tolist() == [[5000]]


def test_spoiled_and_repeated_names():
    assert [fault[0] for fault in faults("gene\tS1\n2-Sep\t1\n1-Mar\t2\n")] == ["E-GENE-DATE"]
    assert [fault[0] for fault in faults("gene\tS1\nTP53\t1\nTP53\t2\n")] == ["E-COLUMN-TWICE"]
    assert [fault[0] for fault in faults("gene\tS1\tS1\nTP53\t1\t2\n")] == ["E-COLUMN-TWICE"]


def test_many_columns_come_in_one_block():
    genes = [f"G{at}" for at in range(5000)]
    rng = np.random.default_rng(3)
    values = np.round(rng.normal(size=(7, 5000)), 3)
    rows = [f"P{at}," + ",".join(str(value) for value in line) for at, line in enumerate(values)]
    found = expression("patient," + ",".join(genes) + "\n" + "\n".join(rows) + "\n")
    np.testing.assert_array_equal(found.values, values)
    assert found.genes == tuple(genes)


@pytest.mark.skipif(not SCANB.exists(), reason="shared data are not here")
def test_a_breast_cancer_cohort():
    """ESR1 separates ER positive from negative tumours with an area of 0.976, as the data's own description says."""
    path = SCANB / "expr_log2fpkm.csv.gz"
    found = read_expression(read_payload(path, path.name), kind="log2")
    assert found.values.shape == (400, 10_000)
    lines = [line.replace('"', "").split(",") for line in (SCANB / "samples.csv").read_text().splitlines()]
    title, er = lines[0].index("title"), lines[0].index("er_status")
    status = {line[title]: line[er] for line in lines[1:]}
    positive = np.array([status[name] == "1" for name in found.samples])
    esr1 = found.values[:, found.genes.index("ESR1")]
    pairs = esr1[positive][:, None] - esr1[~positive][None, :]
    assert ((pairs > 0) + 0.5 * (pairs == 0)).mean() == pytest.approx(0.976, abs=5e-4)
