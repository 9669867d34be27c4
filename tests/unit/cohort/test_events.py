"""Molecular files of new patients as events: who was looked at, what counts, ids and symbols brought together."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from tests.unit.cohort.readers.test_vcf import ANN, row, vcf
from trialstrat.cohort.language.evaluate import state_of
from trialstrat.cohort.language.tables import Tables
from trialstrat.cohort.new_events import read_events
from trialstrat.errors import DataError
from trialstrat.protocol.features_model import GeneSymbols
from trialstrat.protocol.language.criterion import Criterion
from trialstrat.protocol.language.grammar import parse
from trialstrat.protocol.language.schema import ColumnSchema, Molecular, Schema, TableSchema
from trialstrat.protocol.model import Source

TEXT = ColumnSchema(kind="text")
HEAD = "Hugo_Symbol\tVariant_Classification\tTumor_Sample_Barcode\tHGVSp_Short\tMutation_Status\n"
PATIENTS = ["TCGA-AA-0001", "TCGA-AA-0002", "TCGA-AA-0003"]


def states(
    tmp_path: Path,
    text: str,
    body: str,
    name: str = "new.maf",
    symbols: GeneSymbols | None = None,
    **more: object,
) -> list[int]:
    (tmp_path / name).write_text(body if name.endswith("vcf") else HEAD + body)
    columns = dict.fromkeys(("gene", "variant_class", "protein_change", "found"), TEXT)
    declared = TableSchema(columns=columns, id="patient", holds="variants")
    schema = Schema(
        tables={"patients": TableSchema(columns={}), "variants": declared},
        molecular=Molecular(mutations="variants", found="found"),
    )
    criterion = Criterion(id="C1", kind="inclusion", when=parse(text))
    source = Source.model_validate({"name": "variants", "file": "study.maf", "layout": "variants", **more})
    (tmp_path / "new.csv").write_text("patient\n" + "\n".join(PATIENTS) + "\n")
    files = {"variants": tmp_path / name}
    first = Source(name="patients", file="new.csv", id="patient")
    frame = read_events("variants", [criterion], schema, [source], (tmp_path / "new.csv", first), files, symbols)
    assert frame["patient"].isin(PATIENTS).all()
    patients = pd.DataFrame(index=pd.Index(PATIENTS))
    return state_of(criterion, Tables(patients=patients, long={"variants": frame}, schema=schema)).tolist()


BODY = (
    "BRAF\tMissense_Mutation\tTCGA-AA-0001-01A\tp.V600E\tSomatic\n"
    "BRCA2\tNonsense_Mutation\tTCGA-AA-0001-01A\t\tGermline\n"
    "MLL\tSilent\tTCGA-AA-0002-01A\tp.G1G\tSomatic\n"
)
BARCODES = {"id_rules": ("tcga_patient",)}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("mutation of BRAF", [1, 0, -1]),
        ("not mutation of BRAF", [0, 1, -1]),
        ('mutation of BRAF change "Val600Glu"', [1, 0, -1]),
        ('mutation of BRAF change "V600K"', [0, 0, -1]),
        ("mutation of BRCA2", [0, 0, -1]),
        ("mutation of KMT2A", [0, 0, -1]),
        ('mutation of KMT2A class ("Silent")', [0, 1, -1]),
        ("mutation of TP53", [0, 0, -1]),
    ],
)
def test_who_is_not_in_the_file_is_unknown(text: str, expected: list[int], tmp_path: Path) -> None:
    assert states(tmp_path, text, BODY, **BARCODES) == expected


def test_a_symbol_means_what_it_meant_in_the_study(tmp_path: Path) -> None:
    body = BODY.replace("BRAF", "RAF-B1")
    assert states(tmp_path, "mutation of BRAF", body, **BARCODES) == [0, 0, -1]
    meant = GeneSymbols(resolve={"RAF-B1": "BRAF"})
    assert states(tmp_path, "mutation of BRAF", body, symbols=meant, **BARCODES) == [1, 0, -1]


def test_every_patient_was_looked_at_where_that_was_declared(tmp_path: Path) -> None:
    assert states(tmp_path, "mutation of BRAF", BODY, assayed="patients", **BARCODES) == [1, 0, 0]


def test_samples_by_another_name_and_two_of_a_patient_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="E-JOIN-NONE"):
        states(tmp_path, "mutation of BRAF", BODY)
    # every patient was looked at, so they say, and none of what was found belongs to one of them
    with pytest.raises(DataError, match="none of its samples is a patient"):
        states(tmp_path, "mutation of BRAF", BODY, assayed="patients")
    twice = BODY + "TP53\tMissense_Mutation\tTCGA-AA-0001-06A\tp.R175H\tSomatic\n"
    with pytest.raises(DataError, match="E-ID-SAMPLES"):
        states(tmp_path, "mutation of BRAF", twice, **BARCODES)


def test_a_symbol_that_may_be_several_genes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="E-GENE-AMBIGUOUS"):
        states(tmp_path, "mutation of MLL2", BODY, **BARCODES)


def test_every_sample_of_a_vcf_was_looked_at_everywhere(tmp_path: Path) -> None:
    info = "ANN=G|missense_variant|MODERATE|KRAS|ENSG1|transcript|NM_1|protein_coding|2/6|c.35G>A|p.Gly12Asp"
    body = vcf(row(info=info), meta=(ANN,), samples=("TCGA-AA-0001", "TCGA-AA-0002"))
    for text, expected in (
        ("mutation of KRAS", [1, 0, -1]),
        ('mutation of KRAS change "G12D"', [1, 0, -1]),
        ("mutation of TP53", [0, 0, -1]),
    ):
        assert states(tmp_path, text, body, "new.vcf") == expected
