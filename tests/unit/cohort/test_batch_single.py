"""A declared correction of batches leaves no molecular column uncorrected: it is refused instead."""

from __future__ import annotations

import pytest

from trialstrat.cohort.build import check

N = 30
IDS = [f"p{at:03d}" for at in range(N)]


@pytest.fixture
def found(small):
    def run(correct: str, **changes):
        clinical = "ID,T,E,AGE,PLATE\n" + "".join(
            f"{name},{5 + at},{at % 2},{40 + at},{'ab'[at % 2]}\n" for at, name in enumerate(IDS)
        )
        genes = "gene," + ",".join(IDS) + "\n"
        genes += "".join(
            f"G{g}," + ",".join(str((at * (g + 3)) % 17 + 0.5) for at in range(N)) + "\n" for g in range(6)
        )
        study = {
            "sources": [{"name": "c", "file": "c.csv", "id": "ID"}, {"name": "x", "file": "x.csv", "layout": "matrix"}],
            "covariates": [{"column": "AGE", "kind": "continuous"}],
            "marker_blocks": [{"source": "x"}],
            "batch_effects": {"column": "PLATE", "correct": correct},
            **changes,
        }
        findings = check(small({"c.csv": clinical, "x.csv": genes}, **study))
        assert not [entry for entry in findings if entry.severity == "error" and entry.code != "E-BATCH-SINGLE"]
        return [entry.column for entry in findings if entry.code == "E-BATCH-SINGLE"]

    return run


GENE = [{"column": "G1", "kind": "continuous", "role": "prognostic"}]
SCORE = {
    "features": [
        {"name": "score", "kind": "signature", "genes": ["G1", "G2"], "source": "x", "method": "mean_z"},
        {"name": "level", "kind": "expression", "gene": "G3", "source": "x"},
    ],
    "biomarkers": [{"column": name, "kind": "continuous", "role": "prognostic"} for name in ("score", "level")],
}


def test_blocks_alone_are_corrected(found):
    assert found("location_scale") == []


def test_a_gene_beside_the_block_is_refused(found):
    assert found("location_scale", biomarkers=GENE) == ["G1"]
    assert found("none", biomarkers=GENE) == []


def test_scores_and_levels_of_genes_are_refused(found):
    assert found("location_scale", **SCORE) == ["score", "level"]
    assert found("none", **SCORE) == []


def test_clinical_columns_are_no_molecular_data(found):
    assert found("location_scale", biomarkers=[{"column": "AGE", "kind": "continuous", "role": "prognostic"}],
                 covariates=[]) == []  # fmt: skip
