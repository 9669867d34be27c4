"""Sources: selection, cleaning, ids, joins; every loss counted, nothing guessed."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.cohort.conftest import codes, table
from trialstrat.cohort.build import check, read_cohort
from trialstrat.errors import DataError

X = [{"column": "X", "kind": "continuous"}]


def sources(*more: dict[str, Any], **first: Any) -> dict[str, Any]:
    return {"sources": [{"name": "cohort", "file": "cohort.csv", "id": "ID", **first}, *more]}


LAB = {"name": "lab", "file": "lab.csv", "id": "PATIENT"}


# -- ids -------------------------------------------------------------------------------------------------------------


def test_ids_stay_text(small):
    ids = ["007", "7", "1E1", "10", "9007199254740993", "9007199254740992", "é", "x y"]
    cohort = read_cohort(small(table(ID=ids, X=list(range(8))), covariates=X))
    assert sorted(ids) == cohort.frame.index.tolist()


def test_rows_are_numbered_when_there_is_no_id(small):
    text = "\n".join(line.split(",", 1)[1] for line in table(X=list(range(12))).splitlines()) + "\n"
    cohort = read_cohort(small(text, **sources(id="row"), covariates=X))
    assert cohort.frame.index.tolist() == [f"{at:02d}" for at in range(1, 13)]
    assert cohort.frame["X"].tolist() == list(range(12))


@pytest.mark.parametrize(
    ("ids", "expected"),
    [
        (["a", "b", "a", "c"], {"E-ID-TWICE": ("ID", 2, 4, (2, 4))}),
        (["a", "b", "", "c"], {"E-ID-MISSING": ("ID", 1, 4, (4,))}),
        (["a", "b", "A", "c"], {"E-ID-TWINS": ("ID", 2, 4, (2, 4))}),
        (["a", "b", "a ", "c"], {"E-ID-TWINS": ("ID", 2, 4, (2, 4))}),
    ],
)
def test_faulty_ids(small, ids, expected):
    assert codes(check(small(table(ID=ids, X=[1, 2, 3, 5]), covariates=X))) == expected


def test_copies_are_counted_apart(small):
    text = table(ID=["a", "a", "b", "b"], T=[5, 5, 6, 7], E=[1, 1, 0, 0])
    (finding,) = [entry for entry in check(small(text)) if entry.code == "E-ID-TWICE"]
    assert "2 ids, 1 rows are exact copies" in finding.message


def test_no_id_declared(small):
    loaded = small(table(X=[1, 2, 3]))
    without = loaded.protocol.model_copy(
        update={"sources": (loaded.protocol.sources[0].model_copy(update={"id": None}),)}
    )
    import dataclasses

    assert list(codes(check(dataclasses.replace(loaded, protocol=without)))) == ["E-ID-UNDECLARED"]


# -- columns ---------------------------------------------------------------------------------------------------------


def test_missing_columns_come_with_the_nearest_name(small):
    text = table(AGE=[1, 2, 3, 5], Weight=[1, 2, 3, 5])
    covariates = [{"column": name, "kind": "continuous"} for name in ("AGES", "weight", "zzz")]
    messages = [
        entry.message for entry in check(small(text, covariates=covariates)) if entry.code == "E-COLUMN-MISSING"
    ]
    assert [message.split(": ", 1)[1] for message in messages] == [
        "did you mean AGE?",
        "did you mean Weight?",
        "found ID, T, E, AGE, Weight",
    ]


def test_the_faults_of_other_columns_are_still_seen(small):
    text = table(T=[-1, 5, 6, 7])
    assert set(codes(check(small(text, covariates=X)))) == {"E-COLUMN-MISSING", "E-TIME-NEG"}


def test_columns_are_renamed(small):
    cohort = read_cohort(small(table(**{"odd name": [1, 2, 3, 5]}), **sources(rename={"odd name": "X"}), covariates=X))
    assert cohort.frame["X"].tolist() == [1, 2, 3, 5]
    found = check(small(table(X=[1, 2, 3, 5]), **sources(rename={"none": "Y"}), covariates=X))
    assert codes(found) == {"E-COLUMN-MISSING": ("none", None, None, ())}


def test_rows_are_selected_and_counted(small):
    text = table(V=["base", "later", "base", "base"], X=[1, 2, 3, 5])
    cohort = read_cohort(small(text, **sources(where={"V": "base"}), covariates=X))
    assert cohort.n == 3
    assert [(r["step"], r["removed"]) for r in cohort.attrition.records()] == [
        ("source.cohort", 0),
        ("where.cohort.V", 1),
    ]
    assert codes(check(small(text, **sources(where={"W": 1}), covariates=X))) == {
        "E-COLUMN-MISSING": ("W", None, None, ())
    }


def test_empty_rows_at_the_end_are_no_patients(small):
    cohort = read_cohort(small(table(X=[1, 2, 3, 5]) + ',,,\n," ",,\n', covariates=X))
    assert cohort.n == 4
    (note,) = [entry for entry in cohort.findings if entry.code == "I-ROWS-EMPTY"]
    assert (note.bad, note.total) == (2, 6)


def test_a_declared_value_is_a_value_even_when_it_is_a_missing_code(small):
    covariates = [{"column": "G", "kind": "categorical", "levels": ["NA", "EU"]}, X[0]]
    text = table(G=["NA", "EU", "NA", "EU"], X=["NA", 1, 2, 4])
    cohort = read_cohort(small(text, **sources(missing=["NA"]), covariates=covariates))
    assert cohort.frame["G"].notna().all()
    assert cohort.frame["X"].isna().tolist() == [True, False, False, False]


# -- joins -----------------------------------------------------------------------------------------------------------


def test_a_join_keeps_every_patient_of_the_first_source(small):
    files = {
        "cohort.csv": table(ID=["a", "b", "c", "d"]),
        "lab.csv": "PATIENT,X,G\nd,4,x\nz,9,x\nb,2,y\n",
    }
    loaded = small(files, **sources(LAB), covariates=[*X, {"column": "G", "kind": "categorical"}])
    cohort = read_cohort(loaded)
    assert cohort.frame["X"].tolist()[1::2] == [2, 4]
    assert cohort.frame["X"].isna().tolist() == [True, False, True, False]
    assert cohort.frame["G"].isna().tolist() == [True, False, True, False]
    assert codes(cohort.findings) == {
        "W-JOIN-UNKNOWN": ("PATIENT", 1, 3, (3,)),
        "W-JOIN-ABSENT": ("PATIENT", 2, 4, ()),
    }
    assert cohort.sources is not None
    rows = [tuple(row.values())[:7] for row in cohort.sources.records()]
    assert rows == [("cohort", "file cohort.csv", 4, 4, 4, 0, 3), ("lab", "file lab.csv", 3, 3, 2, 1, 3)]


def test_lines_of_a_joined_column_are_those_of_its_file(small):
    files = {"cohort.csv": table(ID=["a", "b", "c"]), "lab.csv": "PATIENT,X\nc,bad\na,1\nb,2\n"}
    (finding,) = [e for e in check(small(files, **sources(LAB), covariates=X)) if e.code == "E-VALUE-TEXT"]
    assert (finding.source, finding.bad, finding.total, finding.lines) == ("lab.csv", 1, 3, (2,))


@pytest.mark.parametrize("other", ["A", "a ", " a", "a\u00a0"])
def test_ids_that_nearly_agree_are_refused(small, other):
    files = {"cohort.csv": table(ID=["a", "b", "c"]), "lab.csv": f'PATIENT,X\n"{other}",1\nb,2\nc,3\n'}
    found = codes(check(small(files, **sources(LAB), covariates=X)))
    assert found["E-ID-TWINS"] == ("PATIENT", 1, 3, (2,))


def test_nothing_in_common(small):
    files = {"cohort.csv": table(ID=["a", "b", "c"]), "lab.csv": "PATIENT,X\nx,1\ny,2\n"}
    assert codes(check(small(files, **sources(LAB), covariates=X)))["E-JOIN-NONE"] == ("PATIENT", 2, 2, ())


def test_a_column_in_two_sources(small):
    files = {"cohort.csv": table(ID=["a", "b", "c"], X=[1, 2, 3]), "lab.csv": "PATIENT,X\na,1\nb,2\nc,4\n"}
    assert codes(check(small(files, **sources(LAB), covariates=X))) == {"E-COLUMN-AMBIGUOUS": ("X", None, None, ())}
    renamed = small(
        files, **sources({**LAB, "rename": {"X": "X2"}}), covariates=[*X, {"column": "X2", "kind": "continuous"}]
    )
    assert read_cohort(renamed).frame["X2"].tolist() == [1, 2, 4]


def test_several_rows_per_patient_name_what_tells_them_apart(small):
    files = {
        "cohort.csv": table(ID=["a", "b", "c"]),
        "lab.csv": "PATIENT,VISIT,X\na,1,1\na,2,2\nb,1,3\nc,1,4\n",
    }
    with pytest.raises(DataError, match=r"differ by VISIT \(lines 2, 3\)"):
        read_cohort(small(files, **sources(LAB), covariates=X))
    first = small(files, **sources({**LAB, "where": {"VISIT": 1}}), covariates=X)
    assert read_cohort(first).frame["X"].tolist() == [1, 3, 4]


def test_an_unreadable_source_does_not_hide_the_faults_of_another(small):
    files = {"cohort.csv": table(ID=["a", "a", "c"])}
    assert set(codes(check(small(files, **sources(LAB), covariates=X)))) == {"E-ID-TWICE", "E-FILE-MISSING"}


def test_marker_tables_may_lie_on_their_side(small):
    files = {
        "cohort.csv": table(ID=["a", "b", "c"]),
        "genes.csv": "gene,b,a,z\nTP53,1.5,2.5,9\nKRAS,,3,9\nword,x,y,z\n",
    }
    genes = {"name": "genes", "file": "genes.csv", "layout": "markers"}
    cohort = read_cohort(small(files, **sources(genes), marker_blocks=[{"source": "genes", "missing_limit": 0.9}]))
    assert list(cohort.markers.columns) == ["TP53"]  # KRAS has one known value, word none
    assert cohort.markers["TP53"].tolist()[:2] == [2.5, 1.5]
    assert cohort.markers["TP53"].isna().tolist() == [False, False, True]
