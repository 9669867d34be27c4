"""Parquet, Excel, SAS, ARFF and packaged data: known by content, typed cells as their shortest text."""

from __future__ import annotations

import datetime as dt
import decimal
import io

import numpy as np
import openpyxl
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pyreadstat
import pytest

from tests.unit.cohort.readers.conftest import cells
from trialstrat.cohort.readers.packaged import DATASETS, find_dataset
from trialstrat.cohort.readers.registry import read_source
from trialstrat.cohort.rules import RefusedError
from trialstrat.protocol.model import Source

# -- Parquet ---------------------------------------------------------------------------------------------------------


def parquet(**columns: pa.Array) -> bytes:
    stream = io.BytesIO()
    pq.write_table(pa.table(columns), stream)
    return stream.getvalue()


def test_parquet_types(read):
    table = read(
        parquet(
            ID=pa.array(["007", "8"]),
            whole=pa.array([1.0, None]),
            part=pa.array([0.1, 1e-300]),
            count=pa.array([9007199254740993, None]),
            yes=pa.array([True, None]),
            day=pa.array([dt.date(2021, 3, 31), None]),
            level=pa.array(["a", "b"]).dictionary_encode(),
            exact=pa.array([decimal.Decimal("1.50"), None]),
            empty=pa.array(["", None]),
        ),
        "anything",
    )
    assert cells(table) == [
        ["007", "1", "0.1", "9007199254740993", "True", "2021-03-31", "a", "1.5", ""],
        ["8", None, "1e-300", None, None, None, "b", None, None],
    ]
    assert table.lines.tolist() == [1, 2]


def test_nested_parquet_is_refused_by_type(refused):
    assert refused(parquet(ID=pa.array([["a"], ["b"]]))) == [("E-FILE-FORMAT", ())]


def test_damaged_parquet(refused):
    good = parquet(ID=pa.array(["a", "b"]))
    for content in (good[:-3], good[:20], b"PAR1" + good[4:-4], b"PAR1xxxxPAR1"):
        assert refused(content, "t.parquet")[0][0] in ("E-FILE-DAMAGED", "E-FILE-FORMAT")


def test_empty_parquet(refused):
    assert refused(parquet(ID=pa.array([], type=pa.string()))) == [("E-ROWS-NONE", ())]


# -- Excel -----------------------------------------------------------------------------------------------------------


def workbook(rows: list[list[object]], sheets: tuple[str, ...] = ("data",)) -> bytes:
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name in sheets:
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    stream = io.BytesIO()
    book.save(stream)
    return stream.getvalue()


def test_excel_cells(read):
    rows = [
        ["ID", "X", "day", "flag", None],
        ["007", 1.0, dt.datetime(2021, 3, 31), True, None],  # noqa: DTZ001
        ["8", 0.1, None, None, None],
        [None] * 5,
        ["9", 3, dt.datetime(2021, 3, 31, 12, 30), False, None],  # noqa: DTZ001
    ]
    table = read(workbook(rows), "t.xlsx")
    assert list(table.frame.columns) == ["ID", "X", "day", "flag"]
    assert cells(table) == [
        ["007", "1", "2021-03-31", "True"],
        ["8", "0.1", None, None],
        ["9", "3", "2021-03-31T12:30:00", "False"],
    ]
    assert table.lines.tolist() == [2, 3, 5]


def test_a_sheet_is_chosen_never_guessed(read, refused):
    content = workbook([["ID"], ["a"]], ("one", "two"))
    assert refused(content, "t.xlsx") == [("E-FILE-READ", ())]
    assert refused(content, "t.xlsx", sheet="three") == [("E-FILE-READ", ())]
    assert cells(read(content, "t.xlsx", sheet="two")) == [["a"]]


def test_failed_formulas_are_no_values(refused):
    content = workbook([["ID", "X"], ["a", "#DIV/0!"], ["b", "#N/A"], ["c", "#1"]])
    assert refused(content, "t.xlsx") == [("E-VALUE-TEXT", (2, 3))]


def test_damaged_and_empty_workbooks(refused):
    good = workbook([["ID"], ["a"]])
    assert refused(good[: len(good) // 2], "t.xlsx")[0][0] == "E-FILE-DAMAGED"
    assert refused(workbook([]), "t.xlsx") == [("E-FILE-EMPTY", ())]
    assert refused(workbook([["ID"]]), "t.xlsx") == [("E-ROWS-NONE", ())]


# -- SAS -------------------------------------------------------------------------------------------------------------


def xport(frame: pd.DataFrame, tmp_path, version: int = 5) -> bytes:
    path = tmp_path / "made.xpt"
    pyreadstat.write_xport(
        frame, str(path), table_name="T", file_format_version=version, column_labels=["one", "two", "three"]
    )
    return path.read_bytes()


@pytest.fixture
def sas_frame() -> pd.DataFrame:
    return pd.DataFrame({"ID": ["007", "8", "9"], "X": [0.0, 1.5, np.nan], "S": ["a", "", "b"]})


@pytest.mark.parametrize("version", [5, 8])
def test_transport_files(read, tmp_path, sas_frame, version):
    table = read(xport(sas_frame, tmp_path, version), "any.dat")
    assert cells(table) == [["007", "0", "a"], ["8", "1.5", ""], ["9", None, "b"]]
    assert table.labels == {"ID": "one", "X": "two", "S": "three"}
    assert "W-FILE-CHECKSUM" in {entry.code for entry in table.findings}


def test_transport_files_in_another_encoding(read, refused, tmp_path, sas_frame):
    content = xport(sas_frame, tmp_path).replace(b"007", b"\xe907")
    assert refused(content, "t.xpt") == [("E-FILE-ENCODING", ())]
    assert cells(read(content, "t.xpt", encoding="latin-1"))[0][0] == "é07"


def test_dates_of_transport_files_are_iso(read, tmp_path):
    frame = pd.DataFrame({"ID": ["a", "b"], "D": [dt.date(2021, 3, 31), None], "S": ["x", "y"]})
    assert [row[1] for row in cells(read(xport(frame, tmp_path)))] == ["2021-03-31", None]


def test_special_missing_values_stay_apart(read, tmp_path, sas_frame):
    content = xport(sas_frame, tmp_path)
    # the plain missing value is a point and zeros: make it .A, as a laboratory does for "below the limit"
    at = content.rindex(b"\x2e\0\0\0\0\0\0\0")
    table = read(content[:at] + b"A" + content[at + 1 :], "t.xpt")
    assert cells(table)[2][1] == ".A"


def test_cut_transport_files(refused, tmp_path, sas_frame):
    content = xport(pd.concat([sas_frame] * 40), tmp_path)
    assert refused(content[:-1], "t.xpt") == [("E-FILE-DAMAGED", ())]
    assert refused(content[:-80], "t.xpt") == [("E-FILE-DAMAGED", ())]
    assert refused(content[:400], "t.xpt") == [("E-FILE-DAMAGED", ())]


def test_version_8_counts_its_observations(refused, tmp_path, sas_frame):
    # observations of 12 bytes: a cut by whole records of 80 bytes can fall between two of them
    content = xport(pd.concat([sas_frame] * 80), tmp_path, 8)
    assert refused(content[:-240], "t.xpt") == [("E-FILE-DAMAGED", ())]


def test_two_tables_in_one_transport_file(refused, tmp_path, sas_frame):
    content = xport(sas_frame, tmp_path)
    second = content[content.index(b"HEADER RECORD*******MEMBER") :]
    assert refused(content + second, "t.xpt") == [("E-FILE-MEMBERS", ())]


# -- ARFF and packaged data ------------------------------------------------------------------------------------------


def test_arff(read):
    table = read(
        "% a comment\n@RELATION r\n@attribute 'the id' string\n@ATTRIBUTE x numeric\n@attribute \"l\" {'a b', c}\n"
        "@data\n% more\n'p 1', 1.5, 'a b'\np2,?,c\n",
        "t.arff",
    )
    assert list(table.frame.columns) == ["the id", "x", "l"]
    assert cells(table) == [["p 1", "1.5", "a b"], ["p2", None, "c"]]
    assert table.lines.tolist() == [8, 9]


def test_ragged_and_empty_arff(refused):
    head = "@relation r\n@attribute a numeric\n@attribute b numeric\n@data\n"
    assert refused(head) == [("E-ROWS-NONE", ())]
    assert refused(head + "1,2\n1\n1,2,3\n") == [("E-ROW-LONG", (7,)), ("E-ROW-SHORT", (6,))]
    assert refused(head.encode() + b"\xe9,1\n") == [("E-FILE-ENCODING", ())]


@pytest.mark.parametrize("name", sorted(DATASETS))
def test_every_packaged_data_set_is_readable(name, tmp_path):
    table = read_source(Source(name="t", dataset=name), tmp_path)
    assert table.origin == "dataset"
    assert len(table.frame) > 10
    assert len(set(table.frame.columns)) == table.frame.shape[1]


def test_names_of_packaged_data_sets(tmp_path):
    assert find_dataset(" Scikit-Survival/GBSG2 ").name == "GBSG2.arff"
    with pytest.raises(RefusedError, match="did you mean scikit-survival/gbsg2"):
        find_dataset("scikit-survival/gbsg")
    with pytest.raises(RefusedError, match="known: scikit-survival/actg320"):
        find_dataset("???")


# -- the registry ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"\xd0\xcf\x11\xe0" + b"\0" * 600, "an old Excel workbook"),
        (b"%PDF-1.7\n", "a PDF"),
        (b"<?xml version='1.0'?><!DOCTYPE x [<!ENTITY a 'b'>]><a/>", "an XML file"),
        (b"\x89HDF\r\n", "an HDF5 file"),
        (b"SQLite format 3\0", "an SQLite database"),
    ],
)
def test_formats_that_are_known_and_not_read(read, content, words):
    with pytest.raises(RefusedError, match=f"E-FILE-FORMAT .*{words}"):
        read(content, "t.csv")


@pytest.mark.parametrize("name", ["t.xpt", "t.sas7bdat", "t.parquet", "t.xlsx"])
def test_text_with_a_promising_name(refused, name):
    assert refused("ID,X\na,1\n", name) == [("E-FILE-FORMAT", ())]


def test_expected_rows_and_hash(read, refused):
    content = "ID,X\na,1\n"
    digest = read(content).sha256
    assert len(read(content, rows=1, sha256=digest).frame) == 1
    assert refused(content, rows=2) == [("E-ROWS-COUNT", ())]
    assert refused(content, sha256="0" * 64) == [("X-FILE-HASH", ())]
