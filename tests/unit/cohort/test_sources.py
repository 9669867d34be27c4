"""Samples to patients, ids, units, study folders and variants: every rule as declared, every loss counted."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.unit.cohort.conftest import codes, table
from tests.unit.cohort.readers.test_cbioportal import FILES
from trialstrat.cohort.build import check, read_cohort
from trialstrat.cohort.derive import derive
from trialstrat.cohort.integrate import join
from trialstrat.cohort.sources import SourcesReader
from trialstrat.errors import DataError
from trialstrat.protocol.features_model import GeneSymbols
from trialstrat.protocol.lint import lint
from trialstrat.protocol.model import Protocol

N = 12
IDS = [f"p{at:03d}" for at in range(N)]


def samples(rows: list[tuple[str, str, str]], names: str = "ID,SAMPLE,WHEN") -> str:
    return names + "\n" + "\n".join(",".join(row) for row in rows) + "\n"


def marker(column: str, kind: str = "continuous", **more: object) -> dict[str, object]:
    return {"column": column, "kind": kind, "role": "prognostic", "missing_limit": 1.0, **more}


def two_samples(small, rule, rows, biomarkers=("PURITY",), names="ID,SAMPLE,WHEN,PURITY"):
    text = names + "\n" + "\n".join(",".join(row) for row in rows) + "\n"
    source = {"name": "samples", "file": "samples.csv", "id": "ID", "layout": "samples", "sample": "SAMPLE"}
    source |= {"sample_rule": rule} if rule else {}
    return small(
        {"cohort.csv": table(ID=IDS), "samples.csv": text},
        sources=[{"name": "cohort", "file": "cohort.csv", "id": "ID"}, source],
        biomarkers=[marker(name) for name in biomarkers],
    )


ROWS = [(name, f"s{name}", "2020-01-01", str(at)) for at, name in enumerate(IDS)]
SECOND = [*ROWS, ("p001", "again", "2021-05-05", "50")]


def purity(loaded) -> float:
    return float(read_cohort(loaded).frame["PURITY"]["p001"])


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ({"choose": "first"}, 1.0),
        ({"choose": "earliest", "by": "WHEN"}, 1.0),
        ({"choose": "latest", "by": "WHEN"}, 50.0),
        ({"choose": "highest", "by": "PURITY"}, 50.0),
        ({"choose": "lowest", "by": "PURITY"}, 1.0),
        ({"choose": "prefer", "by": "SAMPLE", "prefer": ["again"]}, 50.0),
        ({"choose": "mean"}, 25.5),
    ],
)
def test_one_sample_of_each_patient_by_the_declared_rule(small, rule, expected):
    assert purity(two_samples(small, rule, SECOND)) == expected


@pytest.mark.parametrize("rule", [None, {"choose": "refuse"}])
def test_two_samples_without_a_rule_are_refused_with_their_lines(small, rule):
    found = codes(check(two_samples(small, rule, SECOND)))
    assert found["E-ID-SAMPLES"] == ("ID", 2, 13, (3, 14))


def test_samples_that_tie_are_refused_not_drawn(small):
    rows = [*ROWS, ("p001", "again", "2020-01-01", "50")]
    loaded = two_samples(small, {"choose": "earliest", "by": "WHEN"}, rows)
    assert codes(check(loaded))["E-SAMPLE-TIE"] == ("WHEN", 2, 13, (3, 14))


def test_dropped_samples_stand_in_the_attrition(small):
    cohort = read_cohort(two_samples(small, {"choose": "first"}, SECOND))
    assert cohort.sources is not None
    row = cohort.sources.records()[1]
    assert (row["rows"], row["patients"], row["unmatched"]) == (13, 12, 0)


def test_the_mean_of_samples_that_disagree_in_words_is_missing_and_said(small):
    rows = [*ROWS, ("p001", "again", "later", "50")]
    loaded = two_samples(small, {"choose": "mean"}, rows)
    assert codes(check(loaded))["W-SAMPLE-DISCORDANT"][:2] == ("WHEN", 1)


def test_ids_by_declared_rules_and_never_otherwise(small):
    written = [f" TCGA-AB-{at:04d}-03A-01 " for at in range(N)]
    files = {
        "cohort.csv": table(ID=[f"TCGA-AB-{at:04d}" for at in range(N)]),
        "more.csv": "BARCODE,X\n" + "\n".join(f"{name},{at}" for at, name in enumerate(written)) + "\nelse,99\n",
    }
    source = {"name": "more", "file": "more.csv", "id": "BARCODE"}
    first = {"name": "cohort", "file": "cohort.csv", "id": "ID"}
    loaded = small(files, sources=[first, {**source, "id_rules": ["trim", "tcga_patient"]}], biomarkers=[marker("X")])
    cohort = read_cohort(loaded)
    assert cohort.frame["X"].tolist() == list(range(N))
    assert {entry.code: entry.bad for entry in cohort.findings}["I-ID-NORMALISED"] == N
    assert codes(cohort.findings)["W-JOIN-UNKNOWN"][1] == 1  # the id that is nobody's is counted
    bare = small(files, sources=[first, source], biomarkers=[marker("X")])
    with pytest.raises(DataError, match="patients that the first source does not have"):
        read_cohort(bare)


def test_units_of_each_row_become_one(small):
    units = ["mg/dL", "umol/L"] * (N // 2)
    values = [1.0, 88.4017] * (N // 2)
    values[0] = -99
    loaded = small(
        table(ID=IDS, CREAT=values, U=units),
        sources=[
            {
                "name": "cohort",
                "file": "cohort.csv",
                "id": "ID",
                "missing": ["-99"],
                "units": {"CREAT": {"unit_column": "U", "to": "mg/dL", "analyte": "creatinine"}},
            }
        ],
        biomarkers=[marker("CREAT")],
    )
    findings = check(loaded)
    noted = next(entry for entry in findings if entry.code == "I-UNIT-CONVERTED")
    assert (noted.column, noted.bad) == ("CREAT", N // 2)


def test_a_unit_that_is_not_known_is_refused_with_its_rows(small):
    units = ["mg/dL"] * (N - 1) + ["furlong"]
    loaded = small(
        table(ID=IDS, CREAT=list(range(1, N + 1)), U=units),
        sources=[
            {
                "name": "cohort",
                "file": "cohort.csv",
                "id": "ID",
                "units": {"CREAT": {"unit_column": "U", "to": "mg/dL"}},
            }
        ],
        biomarkers=[marker("CREAT")],
    )
    assert codes(check(loaded))["E-UNIT-UNKNOWN"] == ("CREAT", 1, N, (N + 1,))


def test_a_matrix_either_way_round_gives_the_same_columns(small):
    cells = [[str(at * 2 + gene) for at in range(N)] for gene in range(2)]
    across = (
        "gene,"
        + ",".join(IDS)
        + "\n"
        + "\n".join(f"{g},{','.join(c)}" for g, c in zip(("TP53", "HER2"), cells, strict=True))
    )
    down = "sample,TP53,HER2\n" + "\n".join(f"{name},{cells[0][at]},{cells[1][at]}" for at, name in enumerate(IDS))
    frames = []
    for text in (across, down):
        loaded = small(
            {"cohort.csv": table(ID=IDS), "m.csv": text + "\n"},
            sources=[
                {"name": "cohort", "file": "cohort.csv", "id": "ID"},
                {"name": "expr", "file": "m.csv", "layout": "matrix"},
            ],
            biomarkers=[marker("TP53")],
            marker_blocks=[{"source": "expr", "exclude": ["TP53"]}],
        )
        cohort = read_cohort(loaded)
        assert list(cohort.markers.columns) == ["ERBB2"]  # HER2 by its current symbol
        frames.append((cohort.frame["TP53"].tolist(), cohort.markers["ERBB2"].tolist()))
    assert frames[0] == frames[1] == ([float(2 * at) for at in range(N)], [float(2 * at + 1) for at in range(N)])


def test_old_and_new_symbol_side_by_side_in_a_matrix_are_refused(small):
    text = "gene," + ",".join(IDS) + "\n" + "\n".join(f"{g}," + ",".join("1" * N) for g in ("SEPT2", "SEPTIN2")) + "\n"
    loaded = small(
        {"cohort.csv": table(ID=IDS), "m.csv": text},
        sources=[
            {"name": "cohort", "file": "cohort.csv", "id": "ID"},
            {"name": "expr", "file": "m.csv", "layout": "matrix", "way": "genes_in_rows"},
        ],
        marker_blocks=[{"source": "expr"}],
    )
    assert "E-GENE-ALIAS" in codes(check(loaded))


def write_study_folder(folder, changes=None) -> None:
    folder.mkdir(exist_ok=True)
    for name, content in {**FILES, **(changes or {})}.items():
        (folder / name).write_text(content)


def study_protocol(small, tmp_path, features, changes=None, rule=None):
    """Twelve patients; the folder has three of them, one whole exome, one on a small panel, one never sequenced."""
    write_study_folder(tmp_path / "study", changes)
    samples_ = {"name": "samples", "file": "study", "table": "samples", "id": "PATIENT_ID", "layout": "samples"}
    samples_ |= {"sample": "SAMPLE_ID", **({"sample_rule": rule} if rule else {})}
    return small(
        table(ID=["P1", "P2", "P3", *IDS[3:]]),
        sources=[
            {"name": "cohort", "file": "cohort.csv", "id": "ID"},
            samples_,
            {"name": "mut", "file": "study", "table": "mutations", "layout": "variants", "samples": "samples"},
            {"name": "cna", "file": "study", "table": "copy_number", "layout": "matrix", "samples": "samples"},
            {"name": "sv", "file": "study", "table": "structural", "layout": "variants", "samples": "samples"},
        ],
        features=features,
        biomarkers=[marker(entry["name"], "categorical") for entry in features],
    )


def states(loaded, name: str) -> list[str | None]:
    """The feature in the first three patients, before columns that carry nothing are dropped."""
    reader = SourcesReader(loaded.protocol, loaded.folder)
    molecular = reader.read()
    joined = join(reader.prepared, 5)[0]
    joined, derived = derive(loaded.protocol, joined, molecular)
    assert not [entry for entry in derived.findings if entry.severity == "error"], derived.findings
    values = dict(zip(joined.ids, derived.made[name].values, strict=True))
    return [values[patient] for patient in ("P1", "P2", "P3")]


@pytest.mark.parametrize(
    ("feature", "expected"),
    [
        # S1 (P1) whole exome with TP53, S2 (P2) a panel of KRAS and EGFR with KRAS, S3 (P3) never sequenced
        ({"genes": ["KRAS"], "mutations": "mut"}, ["not altered", "altered", None]),
        ({"genes": ["TP53", "KRAS"], "mutations": "mut"}, ["altered", "altered", None]),
        ({"genes": ["TP53", "KRAS", "EGFR"], "mutations": "mut", "minimum": 2}, ["not altered", None, None]),
        ({"genes": ["TP53"], "copy_number": "cna"}, ["altered", "not altered", None]),
        ({"genes": ["TP53"], "mutations": "mut", "copy_number": "cna"}, ["altered", None, None]),
    ],
)
def test_not_looked_at_is_not_unaltered(small, tmp_path, feature, expected):
    loaded = study_protocol(small, tmp_path, [{"name": "f", "kind": "alteration", **feature}])
    assert states(loaded, "f") == expected


def test_a_gene_outside_every_panel_is_refused(small, tmp_path):
    lists = {"data_gene_panel_matrix.txt": "SAMPLE_ID\tmutations\nS1\tSMALL\nS2\tSMALL\n"}
    feature = {"name": "f", "kind": "alteration", "genes": ["BRCA1"], "mutations": "mut"}
    assert codes(check(study_protocol(small, tmp_path, [feature], lists)))["E-GENE-ABSENT"][0] == "f"


def test_the_counts_of_a_feature_stand_in_the_results(small, tmp_path):
    feature = {"name": "f", "kind": "alteration", "genes": ["KRAS"], "mutations": "mut", "label": "KRAS mutation"}
    cohort = read_cohort(study_protocol(small, tmp_path, [feature]))
    assert cohort.derived is not None
    (row,) = cohort.derived.records()
    assert (row["feature"], row["label"], row["sources"]) == ("f", "KRAS mutation", "mut")
    assert (row["altered"], row["unaltered"], row["unknown"]) == (1, 1, 10)
    assert "missense mutation" in str(row["rule"])


def test_the_first_sample_decides_where_it_is_declared(small, tmp_path):
    changes = {
        "data_clinical_sample.txt": FILES["data_clinical_sample.txt"].replace("P3\tS3", "P1\tS3"),
        "data_gene_panel_matrix.txt": "SAMPLE_ID\tmutations\nS1\tNA\nS2\tNA\nS3\tNA\n",
        "data_mutations.txt": FILES["data_mutations.txt"] + "EGFR\tMissense_Mutation\tS3\tSomatic\n",
    }
    feature = {"name": "f", "kind": "alteration", "genes": ["EGFR"], "mutations": "mut"}
    loaded = study_protocol(small, tmp_path, [feature], changes, {"choose": "first"})
    assert states(loaded, "f") == ["not altered", "not altered", None]


MAF = "Hugo_Symbol\tVariant_Classification\tTumor_Sample_Barcode\tMutation_Status\tHGVSp_Short\tt_alt_count\tt_depth\n"


def variants_protocol(small, rows, features, **source):
    text = MAF + "".join("\t".join(row) + "\n" for row in rows)
    return small(
        {"cohort.csv": table(ID=["P1", "P2", "P3", *IDS[3:]]), "m.maf": text},
        sources=[
            {"name": "cohort", "file": "cohort.csv", "id": "ID"},
            {"name": "mut", "file": "m.maf", "layout": "variants", **source},
        ],
        features=features,
        biomarkers=[marker(entry["name"], "categorical") for entry in features],
    )


def variant(gene, patient, change="", alt="10", depth="100", kind="Missense_Mutation", status="Somatic"):
    return (gene, kind, patient, status, change, alt, depth)


BRAF = [variant("BRAF", "P1", "p.Val600Glu"), variant("BRAF", "P2", "p.K601E", "2"), variant("TP53", "P3")]


@pytest.mark.parametrize(
    ("feature", "expected"),
    [
        ({"genes": ["BRAF"]}, ["altered", "altered", "not altered"]),
        ({"genes": ["B-RAF"]}, ["altered", "altered", "not altered"]),
        ({"genes": ["BRAF"], "protein_changes": ["V600E"]}, ["altered", "not altered", "not altered"]),
        ({"genes": ["BRAF"], "minimum_vaf": 0.05}, ["altered", "not altered", "not altered"]),
        ({"genes": ["BRAF"], "classes": "truncating"}, ["not altered"] * 3),
    ],
)
def test_what_counts_as_a_mutation(small, feature, expected):
    loaded = variants_protocol(small, BRAF, [{"name": "f", "kind": "alteration", "mutations": "mut", **feature}])
    assert states(loaded, "f") == expected


def test_germline_and_silent_variants_do_not_count(small):
    rows = [
        variant("BRAF", "P1", status="Germline"),
        variant("BRAF", "P2", kind="Silent"),
        variant("BRAF", "P3"),
    ]
    feature = {"name": "f", "kind": "alteration", "genes": ["BRAF"], "mutations": "mut"}
    assert states(variants_protocol(small, rows, [feature]), "f") == ["not altered", "not altered", "altered"]


def test_a_variant_of_unknown_fraction_is_unknown(small):
    rows = [variant("BRAF", "P1", alt="", depth=""), variant("BRAF", "P2"), variant("TP53", "P3")]
    feature = {"name": "f", "kind": "alteration", "genes": ["BRAF"], "mutations": "mut", "minimum_vaf": 0.05}
    assert states(variants_protocol(small, rows, [feature]), "f") == [None, "altered", "not altered"]


def test_who_is_listed_and_who_is_declared_as_looked_at(small):
    feature = {"name": "f", "kind": "alteration", "genes": ["BRAF"], "mutations": "mut"}
    rows = BRAF[:1] + BRAF[2:]
    assert states(variants_protocol(small, rows, [feature]), "f") == ["altered", None, "not altered"]
    everybody = variants_protocol(small, rows, [feature], assayed="patients")
    assert states(everybody, "f") == ["altered", "not altered", "not altered"]


def test_burden_and_fraction(small):
    rows = [variant("A", "P1"), variant("B", "P1", alt="30"), variant("A", "P2", kind="Silent"), variant("A", "P3")]
    features = [
        {"name": "tmb", "kind": "tmb", "mutations": "mut", "megabases": 0.5},
        {"name": "vaf", "kind": "vaf", "mutations": "mut", "gene": "B"},
    ]
    loaded = variants_protocol(small, rows, features)
    assert states(loaded, "tmb") == [4.0, 0.0, 2.0]
    assert states(loaded, "vaf") == [0.3, 0.0, 0.0]


def test_an_ambiguous_symbol_is_refused_until_it_is_resolved(small):
    rows = [variant("MLL2", "P1"), variant("TP53", "P2"), variant("TP53", "P3")]
    feature = {"name": "f", "kind": "alteration", "genes": ["KMT2D"], "mutations": "mut"}
    loaded = variants_protocol(small, rows, [feature])
    assert "MLL2 (KMT2B or KMT2D)" in next(e.message for e in check(loaded) if e.code == "E-GENE-AMBIGUOUS")
    solved = loaded.protocol.model_copy(update={"gene_symbols": GeneSymbols(resolve={"MLL2": "KMT2D"})})
    loaded = replace(loaded, protocol=solved)
    assert states(loaded, "f") == ["altered", "not altered", "not altered"]


def test_samples_of_a_patient_count_together_where_any_is_declared(small):
    rows = [variant("A", "P1-01"), variant("B", "P1-02"), variant("A", "P2-01"), variant("A", "P3-01")]
    mapping = "ID,SAMPLE\nP1,P1-01\nP1,P1-02\nP2,P2-01\nP3,P3-01\n"
    feature = {"name": "f", "kind": "alteration", "genes": ["B"], "mutations": "mut"}
    loaded = variants_protocol(small, rows, [feature], samples="samples")
    (loaded.folder / "samples.csv").write_text(mapping)
    sources = {
        "name": "samples", "file": "samples.csv", "id": "ID", "layout": "samples", "sample": "SAMPLE",
        "sample_rule": {"choose": "first"},
    }  # fmt: skip
    study = loaded.protocol.model_dump()
    study["sources"] = [study["sources"][0], sources, study["sources"][1]]
    one = replace(loaded, protocol=Protocol.model_validate(study))
    assert states(one, "f") == ["not altered", "not altered", "not altered"]
    study["sources"][1]["sample_rule"] = {"choose": "any"}
    both = replace(loaded, protocol=Protocol.model_validate(study))
    assert states(both, "f") == ["altered", "not altered", "not altered"]
    found = check(both)
    assert codes(found)["W-FEATURE-DISCORDANT"][1] == 1
    assert [entry.text() for entry in found if entry.severity == "error"] == []


def test_references_between_sources_are_linted(small):
    files = {"cohort.csv": table(ID=IDS)}
    loaded = small(
        files,
        sources=[
            {"name": "cohort", "file": "cohort.csv", "id": "ID"},
            {"name": "mut", "file": "m.maf", "layout": "variants", "samples": "smples"},
        ],
        features=[
            {"name": "f", "kind": "alteration", "genes": ["TP53"], "mutations": "mutt"},
            {"name": "s", "kind": "signature", "genes": ["TP53"], "source": "mut", "method": "mean_z"},
        ],
        eligibility=[
            {"id": "I1", "kind": "inclusion", "text": "high", "when": [{"column": "s", "above": 0}]},
        ],
    )
    found = {entry.code for entry in lint(loaded.protocol) if entry.severity == "error"}
    assert {"P-SOURCE-SAMPLES", "P-FEATURE-SOURCE", "P-FEATURE-LEARNED"} <= found


def test_a_table_of_a_folder_by_its_name(small, tmp_path):
    folder = tmp_path / "adam"
    folder.mkdir()
    (folder / "ADSL.csv").write_text(table(ID=IDS, AGE=list(range(40, 40 + N))))
    (folder / "adae.csv").write_text("ID,TERM\np001,x\n")
    source = {"name": "adsl", "file": "adam", "table": "adsl", "id": "ID"}
    cohort = read_cohort(small({}, sources=[source], covariates=[{"column": "AGE", "kind": "continuous"}]))
    np.testing.assert_array_equal(cohort.frame["AGE"], np.arange(40.0, 40 + N))
    with pytest.raises(DataError, match="0 files are called adtte; it has adae, adsl"):
        read_cohort(small({}, sources=[{**source, "table": "adtte"}]))


@pytest.mark.parametrize("assayed", ["listed", "patients"])
def test_a_declared_panel_holds_for_everybody_who_was_looked_at(small, tmp_path, assayed):
    maf = "Hugo_Symbol\tTumor_Sample_Barcode\tVariant_Classification\n"
    maf += "".join(f"KRAS\t{patient}\tMissense_Mutation\n" for patient in IDS[:4])
    feature = {"name": "f", "kind": "alteration", "mutations": "mut"}

    def loaded(gene: str):
        return small(
            {"cohort.csv": table(ID=IDS), "m.maf": maf, "panel.txt": "KRAS\nEGFR\n"},
            sources=[
                {"name": "cohort", "file": "cohort.csv", "id": "ID"},
                {"name": "mut", "file": "m.maf", "layout": "variants", "panel": "panel.txt", "assayed": assayed},
            ],
            features=[{**feature, "genes": [gene]}],
            biomarkers=[marker("f", "categorical")],
        )

    assert codes(check(loaded("TP53")))["E-GENE-ABSENT"][0] == "f"
    reader = SourcesReader(loaded("KRAS").protocol, tmp_path)
    molecular = reader.read()
    values = derive(loaded("KRAS").protocol, join(reader.prepared, 5)[0], molecular)[1].made["f"].values
    assert list(values[:5]) == ["altered"] * 4 + ["not altered" if assayed == "patients" else None]
