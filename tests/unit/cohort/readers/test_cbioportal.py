"""cBioPortal study folders: every fault with file and line, and "not assayed" kept apart from "wild type"."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from trialstrat.cohort.readers.cbioportal import (
    is_study,
    parts_of,
    read_study,
    study_assay,
    study_matrix,
    study_table,
)
from trialstrat.cohort.rules import RefusedError

SHARED = Path(__file__).parents[4].parent / "shared"
NASTY = SHARED / "nasty" / "files" / "70_cbioportal"
REAL = SHARED / "data" / "cbioportal_study_es_0"

MAF = "Hugo_Symbol\tVariant_Classification\tTumor_Sample_Barcode\tMutation_Status\n"
FILES = {
    "meta_study.txt": "cancer_study_identifier: s\nname: A study: with a colon\n",
    "meta_clinical_patient.txt": (
        "cancer_study_identifier: s\ngenetic_alteration_type: CLINICAL\ndatatype: PATIENT_ATTRIBUTES\n"
        "data_filename: data_clinical_patient.txt\n"
    ),
    "data_clinical_patient.txt": (
        "#Patient\tAge at diagnosis\tStatus\tMonths\n#x\tx\tx\tx\n#STRING\tNUMBER\tSTRING\tNUMBER\n#1\t1\t1\t1\n"
        "PATIENT_ID\tAGE\tOS_STATUS\tOS_MONTHS\n"
        "P1\t60\t0:LIVING\t5\nP2\t[Not Available]\t1:DECEASED\t6.5\nP3\t70\t\t[Not Available]\n"
    ),
    "meta_clinical_sample.txt": (
        "cancer_study_identifier: s\ngenetic_alteration_type: CLINICAL\ndatatype: SAMPLE_ATTRIBUTES\n"
        "data_filename: data_clinical_sample.txt\n"
    ),
    "data_clinical_sample.txt": (
        "#Patient\tSample\tType\n#x\tx\tx\n#STRING\tSTRING\tSTRING\n#1\t1\t1\nPATIENT_ID\tSAMPLE_ID\tSAMPLE_TYPE\n"
        "P1\tS1\tPrimary Tumor\nP2\tS2\tMetastasis\nP3\tS3\tPrimary Tumor\n"
    ),
    "meta_mutations.txt": (
        "cancer_study_identifier: s\ngenetic_alteration_type: MUTATION_EXTENDED\ndatatype: MAF\nstable_id: mutations\n"
        "data_filename: data_mutations.txt\n"
    ),
    "data_mutations.txt": MAF + "TP53\tMissense_Mutation\tS1\tSomatic\nKRAS\tNonsense_Mutation\tS2\tSomatic\n",
    "meta_panel.txt": (
        "cancer_study_identifier: s\ngenetic_alteration_type: GENE_PANEL_MATRIX\ndatatype: GENE_PANEL_MATRIX\n"
        "data_filename: data_gene_panel_matrix.txt\n"
    ),
    "data_gene_panel_matrix.txt": "SAMPLE_ID\tmutations\nS1\tNA\nS2\tSMALL\n",
    "data_gene_panel_small.txt": "stable_id: SMALL\ndescription: x\ngene_list: KRAS\tEGFR\n",
    "meta_cna.txt": (
        "cancer_study_identifier: s\ngenetic_alteration_type: COPY_NUMBER_ALTERATION\ndatatype: DISCRETE\n"
        "stable_id: gistic\ndata_filename: data_cna.txt\n"
    ),
    "data_cna.txt": "Hugo_Symbol\tEntrez_Gene_Id\tS1\tS2\nTP53\t7157\t-2\t0\nERBB2\t2064\t2\tNA\n",
    "meta_mrna.txt": (
        "cancer_study_identifier: s\ngenetic_alteration_type: MRNA_EXPRESSION\ndatatype: CONTINUOUS\nstable_id: mrna\n"
        "data_filename: data_mrna.txt\n"
    ),
    "data_mrna.txt": "Hugo_Symbol\tEntrez_Gene_Id\tS1\tS3\nESR1\t2099\t1.5\t-2\n",
    "meta_sv.txt": (
        "cancer_study_identifier: s\ngenetic_alteration_type: STRUCTURAL_VARIANT\ndatatype: SV\nstable_id: sv\n"
        "data_filename: data_sv.txt\n"
    ),
    "data_sv.txt": "Sample_Id\tSite1_Hugo_Symbol\tSite2_Hugo_Symbol\nS1\tEML4\tALK\n",
}


@pytest.fixture
def study(tmp_path):
    """``study(name=content, ...)``: a sound folder but for the files given; None leaves one out."""

    def write(changes=None):
        folder = tmp_path / "mine"
        folder.mkdir(exist_ok=True)
        for name, content in {**FILES, **(changes or {})}.items():
            (folder / name).parent.mkdir(exist_ok=True)
            if content is None:
                (folder / name).unlink(missing_ok=True)
            else:
                (folder / name).write_text(content)
        return folder

    return write


def faults(folder: Path, **options) -> list[tuple[str, str, tuple[int, ...]]]:
    with pytest.raises(RefusedError) as raised:
        read_study(folder, **options)
    return [(entry.code, entry.source.split("/", 1)[-1], entry.lines) for entry in raised.value.findings]


def changed(name: str, old: str, new: str) -> dict[str, str]:
    assert old in FILES[name]
    return {name: FILES[name].replace(old, new)}


def test_a_sound_folder(study):
    folder = study()
    assert is_study(folder)
    found = read_study(folder)
    assert (found.identifier, found.name) == ("s", "A study: with a colon")
    assert found.patients is not None
    assert found.patients.labels["AGE"] == "Age at diagnosis"
    assert found.patients.lines.tolist() == [6, 7, 8]
    assert list(found.patients.frame["AGE"].to_numpy(object, na_value=None)) == ["60", None, "70"]
    assert dict(found.patient_of) == {"S1": "P1", "S2": "P2", "S3": "P3"}
    assert found.copy_number is not None
    np.testing.assert_array_equal(found.copy_number.values, [[-2, 2], [0, np.nan]])
    assert found.matrices["mrna"].samples == ("S1", "S3")
    assert found.structural is not None
    assert found.structural.frame["Site2_Hugo_Symbol"].tolist() == ["ALK"]


def assayed(folder: Path) -> tuple[list[str], dict[str, str]]:
    """Who was looked at for mutations, and with which panel."""
    assay = study_assay(read_study(folder), "mutations")
    assert assay is not None
    return sorted(assay.listed), dict(assay.panel_of)


def test_not_assayed_is_not_wild_type(study):
    # S1 whole exome, S2 a panel without TP53, S3 was never sequenced
    assert assayed(study()) == (["S1", "S2"], {"S1": "", "S2": "SMALL"})
    assay = study_assay(read_study(study()), "mutations")
    assert assay is not None
    assert assay.panels == {"SMALL": frozenset({"KRAS", "EGFR"})}


def test_case_list_says_who_was_sequenced(study):
    case = "cancer_study_identifier: s\nstable_id: s_sequenced\ncase_list_ids: S1\tS3\n"
    folder = study({"case_lists/cases_sequenced.txt": case})
    assert assayed(folder)[0] == ["S1", "S2", "S3"]
    study({"case_lists/cases_sequenced.txt": case.replace("S3", "S9")})
    assert faults(folder) == [("E-STUDY-ID", "case_lists/cases_sequenced.txt", ())]


def test_without_any_list_everybody_counts_as_assayed_and_it_is_said(study):
    none = {"meta_panel.txt": None, "data_gene_panel_matrix.txt": None, "data_gene_panel_small.txt": None}
    folder = study(none)
    assert "W-ASSAY-UNKNOWN" in {entry.code for entry in read_study(folder).findings}
    assert assayed(folder) == (["S1", "S2", "S3"], {})


def test_a_panel_for_the_whole_profile(study):
    none = {"meta_panel.txt": None, "data_gene_panel_matrix.txt": None}
    folder = study({**none, "meta_mutations.txt": FILES["meta_mutations.txt"] + "gene_panel: SMALL\n"})
    assert assayed(folder)[1] == {"S1": "SMALL", "S2": "SMALL", "S3": "SMALL"}


PATIENT, SAMPLE = "data_clinical_patient.txt", "data_clinical_sample.txt"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"meta_study.txt": None}, [("E-STUDY-META", "meta_study.txt", ())]),
        ({"meta_clinical_sample.txt": None}, [("E-STUDY-META", SAMPLE, ())]),
        (
            {"meta_sv.txt": "no colon here\n"},
            [("E-STUDY-META", "meta_sv.txt", (1,)), ("E-STUDY-META", "data_sv.txt", ())],
        ),
        (changed("meta_sv.txt", "identifier: s", "identifier: t"), [("E-STUDY-META", "meta_sv.txt", ())]),
        (
            changed("meta_sv.txt", "data_sv.txt", "gone.txt"),
            [("E-STUDY-META", "data_sv.txt", ()), ("E-FILE-MISSING", "gone.txt", ())],
        ),
        (
            changed("meta_sv.txt", "data_sv.txt", "../x.txt"),
            [("E-STUDY-META", "data_sv.txt", ()), ("E-FILE-PATH", "x.txt", ())],
        ),
        (changed(PATIENT, "#1\t1\t1\t1\n", ""), [("E-STUDY-HEADER", PATIENT, (4,))]),
        (changed(PATIENT, "1:DECEASED", "DECEASED"), [("E-STUDY-STATUS", PATIENT, (7,))]),
        (changed(PATIENT, "0:LIVING", ""), [("E-EVENT-MISSING", PATIENT, (6,))]),
        (changed(PATIENT, "P1\t60", "P1\tsixty"), [("E-VALUE-TEXT", PATIENT, (6,))]),
        (changed(PATIENT, "P3\t70", "P1\t70"), [("E-ID-TWICE", PATIENT, (6, 8)), ("E-STUDY-ID", SAMPLE, (8,))]),
        (changed(PATIENT, "P2\t[Not", "P2\textra\t[Not"), [("E-ROW-LONG", PATIENT, (7,))]),
        (changed(SAMPLE, "P3\tS3", "P9\tS3"), [("E-STUDY-ID", SAMPLE, (8,))]),
        (changed(SAMPLE, "P3\tS3", "P1\tS3"), [("E-ID-SAMPLES", SAMPLE, (6, 8))]),
        (
            {"data_mutations.txt": FILES["data_mutations.txt"].replace("S2", "S8")},
            [("E-STUDY-ID", "data_mutations.txt", (3,))],
        ),
        (changed("data_cna.txt", "\t2\tNA", "\t3\tNA"), [("E-VALUE-RANGE", "data_cna.txt", ())]),
        (changed("data_cna.txt", "\t2\tNA", "\thigh\tNA"), [("E-VALUE-TEXT", "data_cna.txt", (3,))]),
        (changed("data_mrna.txt", "S3", "S7"), [("E-STUDY-ID", "data_mrna.txt", (1,))]),
        (changed("data_sv.txt", "\nS1", "\nS7"), [("E-STUDY-ID", "data_sv.txt", (2,))]),
        (changed("data_gene_panel_matrix.txt", "S1", "S6"), [("E-STUDY-ID", "data_gene_panel_matrix.txt", (2,))]),
        ({"data_gene_panel_small.txt": None}, [("E-STUDY-META", "data_gene_panel_matrix.txt", (3,))]),
    ],
)
def test_each_fault_with_file_and_line(study, changes, expected):
    assert faults(study(changes)) == expected


def test_faults_of_several_files_come_together(study):
    folder = study({**changed(PATIENT, "1:DECEASED", "DEAD"), **changed("data_sv.txt", "\nS1", "\nS7")})
    assert faults(folder) == [("E-STUDY-STATUS", PATIENT, (7,)), ("E-STUDY-ID", "data_sv.txt", (2,))]


def test_several_samples_are_refused_unless_the_reader_is_told_of_them(study):
    folder = study(changed(SAMPLE, "P2\tS2\tMeta", "P1\tS2\tMeta"))
    assert faults(folder) == [("E-ID-SAMPLES", SAMPLE, (6, 7))]
    assert len(read_study(folder, several=True).samples.frame) == 3


def test_timelines_are_tables_of_events(study):
    folder = study(
        {
            "meta_timeline.txt": (
                "cancer_study_identifier: s\ngenetic_alteration_type: CLINICAL\ndatatype: TIMELINE\n"
                "data_filename: data_timeline_labs.txt\n"
            ),
            "data_timeline_labs.txt": "PATIENT_ID\tSTART_DATE\tEVENT_TYPE\tVALUE\nP1\t-3\tLAB\t1.5\n",
        }
    )
    found = read_study(folder)
    table = study_table(found, "timeline_labs")
    assert table is not None
    assert table.frame["VALUE"].tolist() == ["1.5"]
    study({"data_timeline_labs.txt": "WHO\tSTART_DATE\nP1\t-3\n"})
    assert faults(folder) == [("E-FORMAT-COLUMN", "data_timeline_labs.txt", ())]


def test_long_discrete_copy_number(study):
    long = "Hugo_Symbol\tEntrez_Gene_Id\tSample_Id\tValue\nTP53\t1\tS1\t-2\nERBB2\t2\tS2\t2\n"
    folder = study({"data_cna.txt": long, **changed("meta_cna.txt", "DISCRETE", "DISCRETE_LONG")})
    found = read_study(folder).copy_number
    assert found is not None
    assert found.genes == ("ERBB2", "TP53")
    np.testing.assert_array_equal(found.values, [[np.nan, -2], [2, np.nan]])


@pytest.mark.skipif(not NASTY.exists(), reason="shared data are not here")
def test_the_folder_of_the_catalogue_has_all_its_faults_named():
    assert faults(NASTY) == [
        ("E-STUDY-META", "data_clinical_sample.txt", ()),
        ("E-STUDY-HEADER", "data_clinical_sample.txt", (4,)),
        ("E-STUDY-STATUS", "data_clinical_patient.txt", (10,)),
        ("E-EVENT-MISSING", "data_clinical_patient.txt", (11,)),
        ("E-ID-SAMPLES", "data_clinical_sample.txt", (5, 6, 7)),
    ]


@pytest.mark.skipif(not REAL.exists(), reason="shared data are not here")
def test_a_folder_of_the_format_s_own_importer():
    """841 patients with 845 samples, 87 deaths: the counts of the data's own description."""
    found = read_study(REAL, several=True)
    assert found.patients is not None
    assert (len(found.patients.frame), len(found.samples.frame)) == (841, 845)
    assert int((found.patients.frame["OS_STATUS"] == "1:DECEASED").sum()) == 87
    assert found.mutations is not None
    assert found.mutations.rows == 36
    assay = study_assay(found, "mutations")
    assert assay is not None
    assert assay.panel_of["TEST_SAMPLE_13"] == "TESTPANEL1"
    assert "TP53" in assay.panels["TESTPANEL1"]
    assert "FGFR3" not in assay.panels["TESTPANEL1"]
    assert assay.panel_of["TEST_SAMPLE_10"] == ""  # no panel: whole exome
    assert "TCGA-A1-A0SD-01" not in assay.listed  # never sequenced


def test_every_part_by_its_name(study):
    found = read_study(study())
    assert parts_of(found) == ("patients", "samples", "mutations", "copy_number", "structural", "mrna")
    assert study_table(found, "patients") is found.patients
    assert study_table(found, "samples") is found.samples
    assert study_table(found, "mrna") is None
    matrix = study_matrix(found, "mrna")
    assert matrix is not None
    np.testing.assert_array_equal(matrix.values, [[1.5], [-2]])
    structural = study_assay(found, "structural")
    assert structural is not None
    assert structural.listed == {"S1"}
    assert sorted(structural.variants.columns["gene"].to_pylist()) == ["ALK", "EML4"]
    assert study_assay(found, "mrna") is None


def profile(kind: str, datatype: str, stable_id: str, text: str) -> dict[str, str]:
    meta = f"cancer_study_identifier: s\ngenetic_alteration_type: {kind}\ndatatype: {datatype}\n"
    return {
        f"meta_{stable_id}.txt": f"{meta}stable_id: {stable_id}\ndata_filename: data_{stable_id}.txt\n",
        f"data_{stable_id}.txt": text,
    }


PROFILES = {
    **profile("MRNA_EXPRESSION", "Z-SCORE", "zscores", "Hugo_Symbol\tEntrez_Gene_Id\tS1\tS2\nESR1\t2099\t-1.5\t2\n"),
    **profile("METHYLATION", "CONTINUOUS", "hm450", "ENTITY_STABLE_ID\tNAME\tURL\tS1\tS3\ncg01\tA\tb\t0.1\tNA\n"),
    **profile("GENESET_SCORE", "GSVA-SCORE", "gsva", "geneset_id\tS1\tS2\tS3\nHALLMARK_HYPOXIA\t0.5\t-0.5\t0\n"),
    **profile("PROTEIN_LEVEL", "LOG2-VALUE", "rppa", "Composite.Element.REF\tS1\nAKT1|AKT_pS473\t1.25\n"),
    **profile("COPY_NUMBER_ALTERATION", "SEG", "seg", "ID\tchrom\tloc.start\tseg.mean\nS1\t1\t1\t.1\n"),
}  # fmt: skip


@pytest.mark.parametrize(
    ("part", "genes", "samples", "first"),
    [
        ("zscores", ("ESR1",), ("S1", "S2"), -1.5),
        ("hm450", ("cg01",), ("S1", "S3"), 0.1),
        ("gsva", ("HALLMARK_HYPOXIA",), ("S1", "S2", "S3"), 0.5),
        ("rppa", ("AKT1|AKT_pS473",), ("S1",), 1.25),
    ],
)
def test_profiles_of_the_format_are_matrices_when_they_are_named(study, part, genes, samples, first):
    found = read_study(study(PROFILES))
    assert part in parts_of(found)
    matrix = study_matrix(found, part)
    assert (matrix.genes, matrix.samples, matrix.values[0, 0]) == (genes, samples, first)


def test_what_is_not_read_of_a_correct_folder_is_a_note(study):
    found = read_study(study(PROFILES))
    said = [(entry.code, entry.severity, entry.source) for entry in found.findings]
    assert said == [("I-STUDY-SKIPPED", "note", "mine/data_seg.txt")]


def test_a_profile_of_strangers_is_refused_when_it_is_named(study):
    text = "Hugo_Symbol\tS1\tS9\nESR1\t1\t2\n"
    found = read_study(study({**PROFILES, "data_zscores.txt": text}))
    with pytest.raises(RefusedError) as raised:
        study_matrix(found, "zscores")
    assert [entry.code for entry in raised.value.findings] == ["E-STUDY-ID"]
