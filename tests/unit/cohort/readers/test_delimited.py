"""Delimited text: structure, encodings, delimiters, decimals; every cell as written."""

from __future__ import annotations

import gzip
import io
import zipfile

import pytest

from tests.unit.cohort.readers.conftest import cells

PLAIN = "ID,X\na,1\nb,2\n"


def test_cells_stay_as_written(read):
    table = read('ID,X,Y\n007, 1.50 ,\n8,"a, ""b""",1e3\n')
    assert list(table.frame.columns) == ["ID", "X", "Y"]
    assert cells(table) == [["007", " 1.50 ", ""], ["8", 'a, "b"', "1e3"]]
    assert table.lines.tolist() == [2, 3]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_delimiters_are_found(read, delimiter):
    assert cells(read(PLAIN.replace(",", delimiter))) == [["a", "1"], ["b", "2"]]


def test_a_delimiter_inside_quotes_is_not_counted(read):
    table = read('"a;b;c;d","x"\n"1;2;3;4","y"\n')
    assert list(table.frame.columns) == ["a;b;c;d", "x"]


def test_an_unusual_delimiter_is_declared(read):
    assert cells(read(PLAIN.replace(",", "^"), delimiter="^")) == [["a", "1"], ["b", "2"]]


def test_one_column(read):
    assert cells(read("ID\na\nb\n")) == [["a"], ["b"]]


def test_lines_count_line_ends_inside_quotes_and_blank_lines(read):
    table = read('ID,X\na,"one\ntwo"\n\nb,2\n\n\nc,3')
    assert table.lines.tolist() == [2, 5, 8]
    assert cells(table)[0] == ["a", "one\ntwo"]


@pytest.mark.parametrize(
    "content",
    [
        "\ufeff" + PLAIN,
        PLAIN.replace("\n", "\r\n"),
        PLAIN.replace("\n", "\r"),
        PLAIN.rstrip("\n"),
        PLAIN + "\n\n",
        "\n\n" + PLAIN,
        '"ID","X"\n"a","1"\n"b","2"\n',
        " ID , X \na,1\nb,2\n",
        "ID,X,\na,1,\nb,2,\n",  # an unnamed, empty column at the right edge
        "ID,X,,\na,1,,\nb,2,,\n",
    ],
)
def test_one_table_in_many_writings(read, content):
    table = read(content)
    assert list(table.frame.columns) == ["ID", "X"]
    assert cells(table) == [["a", "1"], ["b", "2"]]


@pytest.mark.parametrize(
    ("encoding", "declared"),
    [
        ("utf-8", {}),
        ("utf-8-sig", {}),
        ("utf-16", {}),
        ("latin-1", {"encoding": "latin-1"}),
        ("cp1252", {"encoding": "cp1252"}),
    ],
)
def test_encodings(read, encoding, declared):
    table = read("ID,Größe\nß,1\n".encode(encoding), **declared)
    assert list(table.frame.columns) == ["ID", "Größe"]
    assert cells(table) == [["ß", "1"]]


def test_utf16_of_either_byte_order(read):
    for mark, encoding in ((b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be")):
        assert cells(read(mark + PLAIN.encode(encoding))) == [["a", "1"], ["b", "2"]]


def test_mid_field_quotes_are_text(read):
    table = read('ID,X\na,5" tube\nb,the "best" one\n')
    assert cells(table) == [["a", '5" tube'], ["b", 'the "best" one']]
    assert table.lines.tolist() == [2, 3]


def test_an_unnamed_first_column_is_kept(read):
    assert list(read(",X\na,1\n").frame.columns) == ["", "X"]


def test_compressed_files_are_known_by_content(read):
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as entry:
        entry.writestr("inside.csv", PLAIN)
    for content in (gzip.compress(PLAIN.encode()), archive.getvalue()):
        assert cells(read(content, "anything.dat")) == [["a", "1"], ["b", "2"]]


def test_the_hash_is_that_of_the_file_on_disk(read):
    import hashlib

    packed = gzip.compress(PLAIN.encode(), mtime=0)
    assert read(packed).sha256 == hashlib.sha256(packed).hexdigest()


# -- refused ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", [("E-FILE-EMPTY", ())]),
        (b"\n \n", [("E-FILE-EMPTY", ())]),
        (b"ID,X\n", [("E-ROWS-NONE", ())]),
        (b"ID,X\na,1\nb\nc,1,2\nd,4\n", [("E-ROW-LONG", (4,)), ("E-ROW-SHORT", (3,))]),
        (b"ID,X\na,1\nb", [("E-ROW-CUT", (3,))]),
        (b"ID,X\na,1,\nb,2,\n", [("E-ROW-TRAILING", (2, 3))]),
        (b'ID,X\na,"1\nb,2\n', [("E-ROW-QUOTE", (2,))]),
        (b'ID,X\n"a","1"\n"b",2\nc,"3\nd,4\n"e","5"\n', [("E-ROW-QUOTE", (4,))]),
        (b'ID,X\na,"1"x\nb,2\n', [("E-ROW-QUOTE", (2,))]),
        (b"ID,X\na,1\0\n", [("E-FILE-NUL", (2,))]),
        (b"ID,X\n\xe9,1\n", [("E-FILE-ENCODING", ())]),
        (b"ID,x,X\na,1,2\n", [("E-COLUMN-TWICE", ())]),
        (b"ID,,\na,1,2\n", [("E-COLUMN-TWICE", ())]),
        (b"ID,X\na," + b"x" * 70_000 + b"\n", [("E-FIELD-LONG", (2,))]),
        (b'ID,X\nb,5" x\na,' + b"x" * 140_000 + b"\n", [("E-FIELD-LONG", (3,))]),
        (",".join(f"c{at}" for at in range(60_001)).encode() + b"\n1\n", [("E-ROW-SHORT", (2,))]),
    ],
)
def test_refused_with_its_line(refused, content, expected):
    assert refused(content) == expected


def test_too_many_columns(refused):
    row = ",".join(["1"] * 60_001)
    header = ",".join(f"c{at}" for at in range(60_001))
    assert refused(f"{header}\n{row}\n") == [("E-COLUMNS-MANY", ())]


def test_an_encoding_that_runs_code_or_does_not_exist(refused):
    for name in ("rot13", "zip", "no-such", "idna", "unicode_escape"):
        assert refused(PLAIN, encoding=name) == [("E-FILE-ENCODING", ())]


def test_ten_thousand_characters_are_a_level(read):
    long = "é" * 10_000
    assert cells(read(f"ID,X\na,{long}\n")) == [["a", long]]


# -- decimals --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["8,47", "1,5"], ["8.47", "1.5"]),
        (["0,123", "0,456"], ["0.123", "0.456"]),  # no thousands begin with 0
        (["1,234", "0,5"], ["1.234", "0.5"]),  # one clear cell decides
        (["-1,25e3", ""], ["-1.25e3", ""]),
        (["a,b", "1,5"], ["a,b", "1,5"]),  # text with commas is text
        (["1.234,5", "2"], ["1.234,5", "2"]),  # two signs: left, and refused later as no number
    ],
)
def test_decimal_commas(read, values, expected):
    table = read("ID;X\n" + "".join(f"p{at};{value}\n" for at, value in enumerate(values)))
    assert [row[1] for row in cells(table)] == expected


def test_three_digits_after_a_comma_are_ambiguous(refused, read):
    content = "ID;X\na;1,234\nb;2,345\n"
    assert refused(content) == [("E-DECIMAL", ())]
    assert cells(read(content, decimal=","))[0][1] == "1.234"
    assert cells(read(content, decimal="."))[0][1] == "1,234"


def test_missing_codes_do_not_hide_a_decimal_comma(read):
    content = "ID;X\na;1,5\nb;NA\n"
    assert [row[1] for row in cells(read(content))] == ["1,5", "NA"]
    assert [row[1] for row in cells(read(content, missing=["NA"]))] == ["1.5", "NA"]
