"""Features of new patients: the same rules as in the study, on the files beside the patients."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pydantic import TypeAdapter

from trialstrat.cohort.new_features import derived_columns
from trialstrat.errors import DataError
from trialstrat.protocol.features_model import Feature
from trialstrat.protocol.model import Source

FEATURES = TypeAdapter(tuple[Feature, ...])
FIRST = Source(name="patients", file="new.csv", id="patient")
MAF = "Hugo_Symbol\tVariant_Classification\tTumor_Sample_Barcode\tMutation_Status\n"


def derived(folder: Path, features: list[dict], sources: list[dict], files: dict[str, str], patients: str):
    (folder / "new.csv").write_text(patients)
    places = {}
    for name, text in files.items():
        # every file in a folder of its own, under a name that the study never had
        places[name] = folder / f"from_{name}" / "file.txt"
        places[name].parent.mkdir()
        places[name].write_text(text)
    declared = [Source.model_validate({"file": "study.csv", **source}) for source in sources]
    return derived_columns(FEATURES.validate_python(features), declared, folder / "new.csv", FIRST, places)


def test_a_measurement_in_its_window_and_unit(tmp_path: Path) -> None:
    found = derived(
        tmp_path,
        [{"kind": "measurement", "name": "hb", "source": "lab", "value": "value", "where": {"test": "HB"},
          "date": "day", "zero": "enrolled", "window": {"start": -28, "end": 0}}],
        [{"name": "lab", "id": "patient", "layout": "records", "missing": ["-9"],
          "units": {"value": {"to": "g/L", "unit": "g/dL"}}}],
        {"lab": "patient,day,test,value\nb,2020-02-20,HB,9.5\nb,2020-02-25,HB,9.1\nb,2020-03-05,HB,15\n"
                "b,2020-02-26,K,4\na,2020-02-20,HB,-9\nz,2020-02-20,HB,8\n"},
        "patient,enrolled\nb,2020-03-01\na,2020-03-01\n",
    )  # fmt: skip
    assert found.index.tolist() == ["a", "b"]
    np.testing.assert_array_equal(found["hb"], [np.nan, 91.0])


def test_alterations_of_samples_that_another_table_gives_to_patients(tmp_path: Path) -> None:
    found = derived(
        tmp_path,
        [{"kind": "alteration", "name": "tp53", "genes": ["TP53"], "mutations": "maf"}],
        [
            {"name": "samples", "id": "patient", "layout": "samples", "sample": "sample",
             "sample_rule": {"choose": "prefer", "by": "kind", "prefer": ["primary", "metastasis"]}},
            {"name": "maf", "layout": "variants", "samples": "samples", "assayed": "samples"},
        ],
        {
            "samples": "patient,sample,kind\na,a1,metastasis\na,a2,primary\nb,b1,primary\n",
            "maf": MAF + "TP53\tMissense_Mutation\ta1\tSomatic\nTP53\tSilent\tb1\tSomatic\n",
        },
        "patient\na\nb\nc\n",
    )  # fmt: skip
    assert found["tp53"].astype(object).where(found["tp53"].notna(), None).tolist() == [
        "not altered", "not altered", None
    ]  # fmt: skip


def test_what_cannot_be_derived_is_refused_with_its_file(tmp_path: Path) -> None:
    feature = {"kind": "expression", "name": "cd274", "source": "rna", "gene": "CD274"}
    source = {"name": "rna", "layout": "matrix"}
    with pytest.raises(DataError, match=r"E-GENE-ABSENT file.txt: cd274"):
        derived(tmp_path, [feature], [source], {"rna": "gene\ta\tb\nACTB\t1\t2\nTP53\t3\t4\n"}, "patient\na\nb\n")
