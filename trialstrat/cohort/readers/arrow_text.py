"""Large regular text tables straight to typed Arrow columns, in blocks and threads; faults are looked for afterwards.

The readers of clinical tables keep every cell as text; for a million variants or a whole transcriptome that would
cost most of the time and memory.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import NoReturn

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
from numpy.typing import NDArray

from trialstrat.cohort.readers.delimited import utf8_bytes
from trialstrat.cohort.readers.structure import scan, width_findings
from trialstrat.cohort.readers.table import MOST_CELLS, Payload
from trialstrat.cohort.rules import RefusedError, finding

#: Bytes per block: a row must fit into one, and wide rows need large blocks or the columns fall into crumbs.
_BLOCK, _WIDE_BLOCK, _WIDE = 1 << 22, 1 << 25, 1000
#: Bytes that are parsed before the next run of rows is asked for.
_PIECE = 1 << 25


def body_after_comments(payload: Payload) -> tuple[bytes, int]:
    """The text as UTF-8 with ``LF`` line ends without its leading ``#`` lines, and how many those were."""
    data, _ = utf8_bytes(payload.data, "utf-8", payload.name)
    data = data.removeprefix(b"\xef\xbb\xbf")
    start, skipped = 0, 0
    while data.startswith(b"#", start):
        end = data.find(b"\n", start)
        start, skipped = (len(data), skipped + 1) if end < 0 else (end + 1, skipped + 1)
    return (data[start:] if start else data), skipped


def header_fields(body: bytes, delimiter: str) -> list[str]:
    """The fields of the first line, without quotes around them."""
    end = body.find(b"\n")
    line = body[: end if end >= 0 else len(body)].decode("utf-8")
    return [field.strip().removeprefix('"').removesuffix('"') for field in line.split(delimiter)]


def read_typed(
    body: bytes,
    types: Sequence[pa.DataType],
    *,
    delimiter: str,
    wanted: Sequence[int],
    missing: Sequence[str],
    file: str,
    skipped: int = 0,
    quotes: bool = False,
) -> pa.Table:
    """The wanted columns of a table whose first line is the header, in their types; column ``i`` is named ``str(i)``.

    Text columns keep every text; in numeric ones the empty field and the ``missing`` codes are null. ``skipped`` is
    the number of lines before ``body``, for the line numbers in messages.

    Raises
    ------
    RefusedError
        For ragged or cut rows, or a value that does not fit its column's type (column and lines named).
    """
    pieces = read_pieces(
        body,
        types,
        delimiter=delimiter,
        wanted=wanted,
        missing=missing,
        file=file,
        skipped=skipped,
        quotes=quotes,
        piece=len(body) + 1,
    )
    return pa.concat_tables(pieces)


def read_pieces(
    body: bytes,
    types: Sequence[pa.DataType],
    *,
    delimiter: str,
    wanted: Sequence[int],
    missing: Sequence[str],
    file: str,
    skipped: int = 0,
    quotes: bool = False,
    piece: int = _PIECE,
) -> Iterator[pa.Table]:
    """The same table in runs of rows, each parsed when it is asked for: memory for one run at a time.

    Raises
    ------
    RefusedError
        As `read_typed`, for faults anywhere in the file.
    """
    keys = [str(at) for at in range(len(types))]
    rows = body.count(b"\n")
    if rows * len(wanted) > MOST_CELLS:
        raise RefusedError(finding("E-FILE-SIZE", source=file, detail=f"{rows} rows x {len(wanted)} columns"))
    whole = pa.py_buffer(body)
    convert = pacsv.ConvertOptions(
        column_types=dict(zip(keys, types, strict=True)),
        include_columns=[str(at) for at in wanted],
        null_values=["", *missing],
        strings_can_be_null=False,
    )
    parse = pacsv.ParseOptions(delimiter=delimiter, quote_char='"' if quotes else False)
    start = body.find(b"\n") + 1
    while start < len(body):
        end = _end_of_piece(body, start, piece)
        block = min(_WIDE_BLOCK if len(types) > _WIDE else _BLOCK, end - start + 1)
        try:
            if body[start:end].strip(b"\n"):
                yield pacsv.read_csv(
                    pa.BufferReader(whole.slice(start, end - start)),
                    read_options=pacsv.ReadOptions(column_names=keys, block_size=block),
                    parse_options=parse,
                    convert_options=convert,
                )
        except pa.ArrowInvalid:
            _explain(body, types, delimiter=delimiter, wanted=wanted, missing=missing, file=file, skipped=skipped)
        start = end


def _end_of_piece(body: bytes, start: int, piece: int) -> int:
    """The end of the last line that ends within ``piece`` bytes, else of the one that runs over them."""
    if len(body) - start <= piece:
        return len(body)
    end = body.rfind(b"\n", start, start + piece)
    end = end if end >= 0 else body.find(b"\n", start + piece)
    return len(body) if end < 0 else end + 1


def _explain(
    body: bytes,
    types: Sequence[pa.DataType],
    *,
    delimiter: str,
    wanted: Sequence[int],
    missing: Sequence[str],
    file: str,
    skipped: int,
) -> NoReturn:
    """Find what the parser stumbled over: rows of another width, or cells of another type, with their lines."""
    structure = scan(body, delimiter, file)
    faults = list(width_findings(structure, not body.endswith(b"\n"), file))
    if not faults:
        texts = [pa.large_string()] * len(types)
        text = read_typed(body, texts, delimiter=delimiter, wanted=wanted, missing=(), file=file, skipped=skipped)
        header = header_fields(body, delimiter)
        lines = structure.lines[1:] + skipped
        for at in wanted:
            bad = unfit(text.column(str(at)), types[at], missing)
            if bad.any():
                faults.append(
                    finding(
                        "E-VALUE-TEXT",
                        source=file,
                        column=header[at],
                        bad=int(bad.sum()),
                        total=len(bad),
                        lines=lines[bad],
                    )
                )
    else:
        faults = [replace(entry, lines=tuple(line + skipped for line in entry.lines)) for entry in faults]
    raise RefusedError(*(faults or [finding("E-FILE-DAMAGED", source=file, detail="the rows cannot be parsed")]))


def unfit(column: pa.ChunkedArray, kind: pa.DataType, missing: Sequence[str]) -> NDArray[np.bool_]:
    """Which cells of a text column cannot be read as ``kind``; empty cells and missing codes can."""
    if pa.types.is_large_string(kind) or pa.types.is_string(kind) or pa.types.is_dictionary(kind):
        return np.zeros(len(column), dtype=bool)
    empty = {"", *missing}
    reader = int if pa.types.is_integer(kind) else float
    return np.array([cell not in empty and not _reads(cell, reader) for cell in column.to_pylist()], dtype=bool)


def _reads(cell: str, reader: type) -> bool:
    try:
        reader(cell)
    except ValueError:
        return False
    return "_" not in cell


def row_lines(body: bytes, skipped: int, rows: int) -> NDArray[np.int64]:
    """Line numbers of the rows below the header, which is line ``skipped + 1``; blank lines are no rows."""
    newlines = body.count(b"\n") + (not body.endswith(b"\n"))
    if newlines == rows + 1:
        return np.arange(skipped + 2, skipped + 2 + rows, dtype=np.int64)
    filled = [number for number, line in enumerate(body.split(b"\n"), start=skipped + 1) if line]
    return np.array(filled[1:], dtype=np.int64)


def positions(header: Sequence[str], names: Mapping[str, Sequence[str]]) -> dict[str, int]:
    """Where the named columns are: for each key the first of its spellings that the header has, whatever the case."""
    folded = {name.casefold(): at for at, name in reversed(list(enumerate(header)))}
    found: dict[str, int] = {}
    for key, spellings in names.items():
        at = next((folded[spelling.casefold()] for spelling in spellings if spelling.casefold() in folded), None)
        if at is not None:
            found[key] = at
    return found
