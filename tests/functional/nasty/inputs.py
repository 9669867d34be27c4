"""Inputs of the catalogue of bad input that no shared file holds: each made from the clean cohort of 240 patients."""

from __future__ import annotations

import gzip
import io
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

Build = Callable[[Path, str], None]
FILE = "made.csv"


def frame(text: str) -> pd.DataFrame:
    """The clean cohort, every cell as text."""
    return pd.read_csv(io.StringIO(text), dtype=str, keep_default_na=False)


def text(content: Callable[[str], str | bytes]) -> Build:
    """A file made by changing the text of the clean one."""

    def build(folder: Path, clean: str) -> None:
        made = content(clean)
        (folder / FILE).write_bytes(made.encode() if isinstance(made, str) else made)

    return build


def cells(column: str, values: dict[int, str]) -> Build:
    """The clean cohort with other cells in a column, by row."""

    def build(folder: Path, clean: str) -> None:
        table = frame(clean)
        for row, value in values.items():
            table.loc[row, column] = value
        table.to_csv(folder / FILE, index=False)

    return build


def columns(change: Callable[[pd.DataFrame], Any]) -> Build:
    """The clean cohort after a change of the frame (in place, or the returned one)."""

    def build(folder: Path, clean: str) -> None:
        table = frame(clean)
        changed = change(table)
        (table if changed is None else changed).to_csv(folder / FILE, index=False)

    return build


def parquet(change: Callable[[pa.Table], pa.Table]) -> Build:
    """The clean cohort as Parquet with other types."""

    def build(folder: Path, clean: str) -> None:
        table = pa.Table.from_pandas(pd.read_csv(io.StringIO(clean)), preserve_index=False)
        pq.write_table(change(table), folder / FILE)

    return build


def typed(column: str, array: Callable[[list[Any]], pa.Array]) -> Build:
    """A Parquet column replaced by an array made from its values."""

    def change(table: pa.Table) -> pa.Table:
        at = table.column_names.index(column)
        return table.set_column(at, column, array(table.column(column).to_pylist()))

    return parquet(change)


def dated(start: str, end: str) -> Build:
    """Dates of first and last contact in given forms instead of months (one patient in three has ``end``)."""

    def change(table: pd.DataFrame) -> None:
        months = table.pop("OS_MONTHS").astype(float)
        table["FIRST"] = start
        days = pd.Timestamp("2020-01-15") + pd.to_timedelta((months * 30).round() + 1, unit="D")
        table["LAST"] = [end if at % 3 == 0 else f"{day:%Y-%m-%d}" for at, day in enumerate(days)]

    return columns(change)


def packed(pack: Callable[[bytes], bytes]) -> Build:
    """The clean file compressed, under a name that does not say so."""
    return text(lambda clean: pack(clean.encode()))


def zipped(*names: str) -> Callable[[bytes], bytes]:
    """An archive that holds the file under each name."""

    def pack(data: bytes) -> bytes:
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
            for name in names:
                archive.writestr(name, data)
        return out.getvalue()

    return pack


def zstd(data: bytes) -> bytes:
    """The data as one zstandard frame."""
    return pa.compress(data, codec="zstd", asbytes=True)


def xport(version: int, change: Callable[[pd.DataFrame], pd.DataFrame] | None = None) -> Build:
    """The clean cohort as a SAS transport file of a version."""

    def build(folder: Path, clean: str) -> None:
        import pyreadstat

        table = pd.read_csv(io.StringIO(clean))
        table = table if change is None else change(table)
        pyreadstat.write_xport(table, str(folder / FILE), table_name="COHORT", file_format_version=version)

    return build


def special_missing(folder: Path, clean: str) -> None:
    """A transport file in which one number is the special missing value .A."""
    # names of version 5 have eight letters
    xport(5, lambda table: table.rename(columns={"OS_MONTHS": "AVAL"}))(folder, clean)
    data = bytearray((folder / FILE).read_bytes())
    table = pd.read_csv(io.StringIO(clean))
    # the first AGE as an IBM double; .A is the byte 41 followed by zeros
    value = float(table["AGE"][0])
    pattern = _ibm(value)
    at = data.index(pattern)
    data[at : at + 8] = b"\x41" + b"\0" * 7
    (folder / FILE).write_bytes(bytes(data))


def _ibm(value: float) -> bytes:
    """A positive number as an IBM 370 double."""
    exponent = 0
    while value >= 1:
        value, exponent = value / 16, exponent + 1
    return bytes([64 + exponent]) + int(value * 16**14).to_bytes(7, "big")


def nothing(_folder: Path, _clean: str) -> None:
    """No file at all."""


def directory(folder: Path, _clean: str) -> None:
    """A folder where a file is expected."""
    (folder / FILE).mkdir()


def pipe(folder: Path, _clean: str) -> None:
    """A named pipe that nobody writes to: reading it would never end."""
    os.mkfifo(folder / FILE)


def device(folder: Path, _clean: str) -> None:
    """A link to an endless device."""
    (folder / FILE).symlink_to("/dev/zero")


def dangling(folder: Path, _clean: str) -> None:
    """A link to nothing."""
    (folder / FILE).symlink_to(folder / "gone.csv")


def shuffled(folder: Path, clean: str) -> None:
    """The same patients with rows and columns in another order."""
    rng = np.random.default_rng(1)
    table = frame(clean)
    table = table.iloc[rng.permutation(len(table)), rng.permutation(table.shape[1])]
    table.to_csv(folder / FILE, index=False)


def renamed(folder: Path, clean: str) -> None:
    """Other ids in the same order."""
    columns(lambda table: table.__setitem__("USUBJID", [f"Q{at:05d}" for at in range(len(table))]))(folder, clean)


def wide(folder: Path, clean: str) -> None:
    """More columns than are read."""
    head, first, *_ = clean.splitlines()
    names = "".join(f",X{at}" for at in range(60_001))
    (folder / FILE).write_text(f"{head}{names}\n{first}{',0' * 60_001}\n")


def gz(data: bytes) -> bytes:
    """The data as gzip."""
    return gzip.compress(data, mtime=0)
