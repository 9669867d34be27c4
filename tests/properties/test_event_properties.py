"""Mutations as events: what criteria make of any variants is what a reading row by row makes of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from trialstrat.cohort.events import event_tables
from trialstrat.cohort.language.evaluate import state_of
from trialstrat.cohort.language.tables import Tables
from trialstrat.cohort.molecular import Molecular as Held
from trialstrat.cohort.molecular import PatientMatrix, PatientVariants
from trialstrat.cohort.protein import protein_change
from trialstrat.cohort.readers.maf import NON_SILENT
from trialstrat.cohort.symbols import load_symbols
from trialstrat.protocol.features_model import GeneSymbols
from trialstrat.protocol.language.criterion import Criterion
from trialstrat.protocol.language.model import Alteration
from trialstrat.protocol.language.schema import ColumnSchema, Molecular, Schema, TableSchema

GENES = ("EGFR", "KRAS", "TP53")
CLASSES = ("Missense_Mutation", "missense_mutation", "Silent", "Nonsense_Mutation", "Intron")
CHANGES = ("", "p.L858R", "p.V600E")
SPELLINGS = ("", "L858R", "p.Leu858Arg", "p.V600E", "Val600Glu")
PATIENTS = ("a", "b", "c", "d", "nobody")
TEXT, NUMBER = ColumnSchema(kind="text"), ColumnSchema(kind="number")
SYMBOLS = load_symbols(GeneSymbols(), None)
LAYOUT = Molecular(mutations="maf", found="found", copy_number="cna")
SCHEMA = Schema(
    tables={
        "patients": TableSchema(columns={}),
        "maf": TableSchema(columns=dict.fromkeys(("gene", "variant_class", "protein_change", "found"), TEXT), id="who"),
        "cna": TableSchema(columns={"gene": TEXT, "copy_number": NUMBER}, id="who"),
    },
    molecular=LAYOUT,
)

variant = st.tuples(
    st.integers(0, 3), st.sampled_from(GENES), st.sampled_from(CLASSES), st.sampled_from(CHANGES), st.booleans()
)
#: The panel of each patient that the source lists: None is every gene.
panels = st.lists(st.none() | st.sets(st.sampled_from(GENES)), min_size=4, max_size=4)
mutations = st.builds(
    Alteration,
    event=st.just("mutation"),
    gene=st.sampled_from(GENES),
    classes=st.sampled_from([(), ("Silent",), ("Missense_Mutation",), ("Silent", "Nonsense_Mutation")]),
    protein_change=st.sampled_from(SPELLINGS),
)


def held(rows: list[tuple[Any, ...]], looked: list[set[str] | None]) -> PatientVariants:
    return PatientVariants(
        patients=PATIENTS[:4],
        patient=np.array([row[0] for row in rows], dtype=np.int64),
        gene=np.array([GENES.index(row[1]) for row in rows], dtype=np.int64),
        genes=GENES,
        variant_class=np.array([CLASSES.index(row[2]) for row in rows], dtype=np.int64),
        classes=CLASSES,
        protein=np.array([row[3] for row in rows], dtype=object),
        vaf=np.full(len(rows), np.nan),
        germline=np.array([row[4] for row in rows], dtype=bool),
        sample=np.arange(len(rows), dtype=np.int64),
        panels_of={PATIENTS[at]: (f"panel{at}",) for at, genes in enumerate(looked) if genes is not None},
        panels={f"panel{at}": frozenset(genes) for at, genes in enumerate(looked) if genes is not None},
        file="x.maf",
    )


def expected(node: Alteration, rows: list[tuple[Any, ...]], looked: list[set[str] | None]) -> list[int]:
    """Row by row: somatic, of the gene, of a class that counts, with the change; a reported gene was looked at."""
    canonical = {name.casefold(): name for name in NON_SILENT} | {"silent": "Silent", "intron": "Intron"}
    out = []
    for at in range(4):
        own = [row for row in rows if row[0] == at and row[1] == node.gene and not row[4]]
        counted = [
            row
            for row in own
            if canonical[row[2].casefold()] in (node.classes or NON_SILENT)
            and (not node.protein_change or row[3] == protein_change(node.protein_change))
        ]
        # without its protein change a variant may be the one that is asked for
        open_ = [
            row
            for row in own
            if node.protein_change and not row[3] and canonical[row[2].casefold()] in (node.classes or NON_SILENT)
        ]
        seen = bool(own) or looked[at] is None or node.gene in (looked[at] or ())
        out.append(1 if counted else -1 if open_ or not seen else 0)
    return [*out, -1]


@settings(max_examples=200, deadline=None)
@given(st.lists(variant, max_size=8), panels, st.lists(mutations, min_size=1, max_size=3))
def test_any_variants_row_by_row(rows: list, looked: list, asked: list[Alteration]) -> None:
    criteria = [Criterion(id=f"C{at}", kind="inclusion", when=(node,)) for at, node in enumerate(asked)]
    source = Held(matrices={}, variants={"maf": held(rows, looked)}, records={}, symbols=SYMBOLS, lists={})
    events = event_tables(criteria, SCHEMA, source)
    tables = Tables(patients=pd.DataFrame(index=pd.Index(PATIENTS)), long=events.frames, schema=SCHEMA)
    for criterion, node in zip(criteria, asked, strict=True):
        assert state_of(criterion, tables).tolist() == expected(node, rows, looked)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.sampled_from([np.nan, -2.0, 0.0, 1.0, 2.0]), min_size=4, max_size=4),
    st.sampled_from(["at_least", "above", "at_most", "below"]),
    st.sampled_from([-2.0, 0.0, 1.0]),
)
def test_any_values_of_a_matrix(values: list[float], bound: str, end: float) -> None:
    node = Alteration.model_validate({"event": "copy_number", "gene": "HER2", bound: end})
    criterion = Criterion(id="C", kind="inclusion", when=(node,))
    matrix = PatientMatrix(
        patients=PATIENTS[:4], genes=("ERBB2", "TP53"), values=np.array([values, [0.0] * 4]).T, file="x.tsv"
    )
    source = Held(matrices={"cna": matrix}, variants={}, records={}, symbols=SYMBOLS, lists={})
    events = event_tables([criterion], SCHEMA, source)
    tables = Tables(patients=pd.DataFrame(index=pd.Index(PATIENTS)), long=events.frames, schema=SCHEMA)
    holds = {"at_least": float.__ge__, "above": float.__gt__, "at_most": float.__le__, "below": float.__lt__}[bound]
    assert state_of(criterion, tables).tolist() == [*(-1 if np.isnan(v) else int(holds(v, end)) for v in values), -1]
    assert bool(events.findings) == bool(np.isnan(values).all())
