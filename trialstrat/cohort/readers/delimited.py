# pyright: reportAttributeAccessIssue=false
# pyarrow.compute makes its functions when it is imported
"""Text tables with any delimiter. The structure is checked byte by byte before a parser sees the file."""

from __future__ import annotations

import codecs

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv

from trialstrat.cohort.readers.decimals import with_points
from trialstrat.cohort.readers.structure import Structure, scan, width_findings
from trialstrat.cohort.readers.table import MOST_CELLS, Payload, RawTable, check_width, checked_names, text_frame
from trialstrat.cohort.rules import RefusedError, finding
from trialstrat.protocol.model import Source

DELIMITERS = ",;\t|"
#: Bytes parsed at once: a row must fit, and wide tables fall into too many pieces with small blocks.
_BLOCK = 1 << 27
_SHOWN = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar", " ": "blank"}
_BOMS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_ENCODINGS = {
    codecs.lookup(name).name
    for name in (
        "utf-8",
        "utf-16",
        "latin-1",
        "cp1252",
        "iso8859-15",
        "cp1250",
        "cp1251",
        "cp850",
        "mac-roman",
        "ascii",
    )
}


def read_delimited(payload: Payload, source: Source) -> RawTable:
    """Read CSV, TSV or any other one-character delimited text, every cell as the text it holds.

    Raises
    ------
    RefusedError
        For another encoding than the declared one, NUL bytes, ragged or cut rows, open quotes, duplicate names,
        commas that may be decimal or thousands signs.
    """
    file = payload.name
    data, encoding = utf8_bytes(payload.data, source.encoding, file)
    if not data.strip():
        raise RefusedError(finding("E-FILE-EMPTY", source=file))
    delimiter = source.delimiter or find_delimiter(data)
    structure = scan(data, delimiter, file)
    faults = width_findings(structure, not data.endswith(b"\n"), file)
    if faults:
        raise RefusedError(*faults)
    check_width(int(structure.widths[0]), file)
    header, columns = _cells(data, structure, delimiter)
    header, columns = _without_unnamed(header, columns)
    names = checked_names(header, file)
    if len(structure.lines) == 1:
        raise RefusedError(finding("E-ROWS-NONE", source=file, detail=f"0 rows, {len(names)} columns"))
    columns, decimal = with_points(columns, names, source, delimiter, file)
    shown = _SHOWN.get(delimiter, repr(delimiter))
    detail = f"{encoding} text, {shown} between fields{', decimal comma' if decimal else ''}"
    return RawTable(
        frame=text_frame(names, columns),
        file=file,
        lines=structure.lines[1:],
        sha256=payload.sha256,
        format="delimited",
        findings=(finding("I-FILE-FORMAT", source=file, detail=detail),),
    )


def utf8_bytes(data: bytes, declared: str, file: str) -> tuple[bytes, str]:
    """The text as UTF-8 with ``LF`` line ends, and the name of the encoding it had."""
    encoding = next((name for mark, name in _BOMS if data.startswith(mark)), declared)
    try:
        known = codecs.lookup(encoding).name
    except LookupError:
        known = ""
    if known not in _ENCODINGS and known != "utf-8-sig":
        raise RefusedError(finding("E-FILE-ENCODING", source=file, detail=f"{declared} is not supported"))
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as fault:
        line = data.count(b"\n", 0, fault.start) + 1
        detail = f"not {encoding} at byte {fault.start}, line {line}"
        raise RefusedError(finding("E-FILE-ENCODING", source=file, detail=detail)) from None
    nul = text.find("\0")
    if nul >= 0:
        line = text.count("\n", 0, nul) + 1
        count = text.count("\0")
        detail = f"{count} found, the first at byte {len(text[:nul].encode())}"
        raise RefusedError(finding("E-FILE-NUL", source=file, detail=detail, lines=[line]))
    if encoding not in ("utf-8", "utf8") or "\r" in text:
        data = text.replace("\r\n", "\n").replace("\r", "\n").encode()
    return data, {"utf-8-sig": "UTF-8", "utf-16": "UTF-16"}.get(encoding, encoding.upper())


def find_delimiter(data: bytes) -> str:
    """The delimiter that the header uses most, among those that later rows use as often."""
    lines = [line for line in data[: 1 << 20].decode("utf-8", "ignore").split("\n")[:50] if line.strip()]
    outside = ["".join(line.split('"')[::2]) for line in lines]
    best = max(
        DELIMITERS,
        key=lambda mark: (
            outside[0].count(mark) > 0,
            sum(line.count(mark) == outside[0].count(mark) for line in outside),
            outside[0].count(mark),
        ),
    )
    return best if outside[0].count(best) else ","


def _cells(data: bytes, structure: Structure, delimiter: str) -> tuple[list[str], list[pa.ChunkedArray | pa.Array]]:
    """Header and columns. Blank lines are skipped by both parsers alike."""
    if structure.parsed is not None:
        header, *rows = structure.parsed
        columns = [pa.array(list(column), type=pa.large_string()) for column in zip(*rows, strict=True)]
        return header, columns or [pa.array([], type=pa.large_string())] * len(header)
    width = int(structure.widths[0])
    if len(structure.lines) * width > MOST_CELLS:
        raise RefusedError(finding("E-FILE-SIZE", detail=f"{len(structure.lines)} rows x {width} columns"))
    keys = [str(at) for at in range(width)]
    table = pacsv.read_csv(
        pa.BufferReader(data),
        read_options=pacsv.ReadOptions(column_names=keys, block_size=min(len(data) + 1, _BLOCK)),
        parse_options=pacsv.ParseOptions(delimiter=delimiter, newlines_in_values=b'"' in data),
        convert_options=pacsv.ConvertOptions(
            column_types=dict.fromkeys(keys, pa.large_string()), strings_can_be_null=False
        ),
    )
    header = [str(column[0].as_py()) for column in table.columns]
    return header, [column.slice(1) for column in table.columns]


def _without_unnamed(
    header: list[str], columns: list[pa.ChunkedArray | pa.Array]
) -> tuple[list[str], list[pa.ChunkedArray | pa.Array]]:
    """Spreadsheets leave columns with neither a name nor a value at the right edge: they are not columns."""
    keep = [
        bool(name.strip()) or pc.any(pc.not_equal(column, "")).as_py() is True
        for name, column in zip(header, columns, strict=True)
    ]
    return (
        [name for name, kept in zip(header, keep, strict=True) if kept],
        [column for column, kept in zip(columns, keep, strict=True) if kept],
    )
