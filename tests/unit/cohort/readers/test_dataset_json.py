"""Dataset-JSON 1.1: documents and lines, labels, exact decimals, and every way in which a file can be wrong."""

from __future__ import annotations

import json

import pytest

from tests.unit.cohort.readers.conftest import cells

COLUMNS = [
    {"itemOID": "IT.USUBJID", "name": "USUBJID", "label": "Unique Subject Identifier", "dataType": "string"},
    {"itemOID": "IT.AVAL", "name": "AVAL", "label": "Analysis Value", "dataType": "float"},
    {"itemOID": "IT.CNSR", "name": "CNSR", "label": "Censor", "dataType": "integer"},
    {"itemOID": "IT.DOSE", "name": "DOSE", "label": "Dose", "dataType": "decimal", "targetDataType": "decimal"},
    {"itemOID": "IT.ADT", "name": "ADT", "label": "", "dataType": "date", "targetDataType": "integer"},
]
ROWS = [["007", 12.50, 0, "0.10", "2021-03-31"], ["8", 65.0, 9007199254740993, None, ""], ["9", None, 1, "2", None]]


def document(**changes):
    return {
        "datasetJSONCreationDateTime": "2024-11-19T08:44:02",
        "datasetJSONVersion": "1.1.0",
        "itemGroupOID": "IG.ADTTE",
        "records": len(ROWS),
        "name": "ADTTE",
        "label": "Time to event",
        "columns": COLUMNS,
        **changes,
    }


def ndjson(rows=ROWS, **changes):
    return "\n".join(json.dumps(entry) for entry in (document(records=len(rows), **changes), *rows)) + "\n"


EXPECTED = [
    ["007", "12.5", "0", "0.10", "2021-03-31"],
    ["8", "65", "9007199254740993", None, ""],
    ["9", None, "1", "2", None],
]


@pytest.mark.parametrize("indent", [None, 2])
def test_document_keeps_ids_decimals_and_labels(read, indent):
    table = read(json.dumps(document(rows=ROWS), indent=indent), "adtte.json")
    assert cells(table) == EXPECTED
    assert table.format == "dataset-json"
    assert table.lines.tolist() == [1, 2, 3]
    assert dict(table.labels) == {
        "USUBJID": "Unique Subject Identifier",
        "AVAL": "Analysis Value",
        "CNSR": "Censor",
        "DOSE": "Dose",
    }


def test_lines_are_the_same_table_whatever_the_name_of_the_file(read):
    table = read("\ufeff" + ndjson().replace("\n", "\r\n"), "anything.csv")
    assert cells(table) == EXPECTED
    assert table.lines.tolist() == [2, 3, 4]


@pytest.mark.parametrize("constant", ["NaN", "Infinity", "-Infinity"])
def test_nan_and_infinities_are_no_json(refused, constant):
    text = json.dumps(document(rows=ROWS)).replace("12.5", constant)
    assert refused(text, "a.json") == [("E-FILE-DAMAGED", ())]


def test_nan_in_a_line(refused):
    assert refused(ndjson().replace("12.5", "NaN"), "a.ndjson") == [("E-FILE-DAMAGED", ())]


def test_a_cut_file(refused):
    text = ndjson()
    assert refused(text[:-20], "a.ndjson") == [("E-FILE-DAMAGED", (4,))]
    lost = "\n".join(text.splitlines()[:-1]) + "\n"
    assert refused(lost, "a.ndjson") == [("E-FILE-DAMAGED", ())]  # fewer records than declared
    assert refused(json.dumps(document(rows=ROWS))[:-9], "a.json")[0][0] == "E-FILE-DAMAGED"


def test_every_fault_of_the_rows_at_once(refused):
    rows = [["a", 1.0, 0], ["b", 1.0, 0, "1", "2021-01-01", "more"], *ROWS]
    assert refused(json.dumps(document(rows=rows, records=5)), "a.json") == [
        ("E-ROW-LONG", (2,)),
        ("E-ROW-SHORT", (1,)),
    ]
    rows = [[7, "1.5", 0, "1", ""], ["b", 1.0, "0", 1.5, ""]]
    assert refused(json.dumps(document(rows=rows, records=2)), "a.json") == [
        ("E-VALUE-TEXT", (1,)),  # a number in a text column: leading zeros may be lost
        ("E-VALUE-TEXT", (1,)),
        ("E-VALUE-TEXT", (2,)),
    ]


def test_metadata_is_required(refused):
    for key in ("itemGroupOID", "records", "columns"):
        bad = document(rows=ROWS)
        del bad[key]
        assert refused(json.dumps(bad), "a.json") == [("E-FILE-FORMAT", ())]
    assert refused(json.dumps(document(rows=ROWS, datasetJSONVersion="1.0.0")), "a.json") == [("E-FILE-FORMAT", ())]
    assert refused(json.dumps(document(rows=[], records=0)), "a.json") == [("E-ROWS-NONE", ())]
    twice = [*COLUMNS[:4], {**COLUMNS[0], "name": "usubjid"}]
    assert refused(json.dumps(document(rows=ROWS, columns=twice)), "a.json") == [("E-COLUMN-TWICE", ())]


def test_deep_nesting_is_refused_and_not_a_crash(refused):
    text = json.dumps(document(rows=[])).replace("[]", "[" * 100_000 + "]" * 100_000)
    assert refused(text, "a.json") == [("E-FILE-DAMAGED", ())]


def test_no_value_in_a_message(read):
    from trialstrat.cohort.rules import RefusedError

    with pytest.raises(RefusedError) as raised:
        read(json.dumps(document(rows=[["SECRET", "SECRET", 0, "1", ""]], records=1)), "a.json")
    assert "SECRET" not in str(raised.value)
