"""From text cells to numbers and levels. One place decides what is missing, what is a number, and what equals what."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from typing import cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from trialstrat.cohort.readers.table import floats_of_text
from trialstrat.cohort.rules import visible
from trialstrat.protocol.base import Value
from trialstrat.protocol.language.values import number, same

#: Codes of :func:`match` for cells that are missing, or equal none of the declared values.
MISSING, UNMATCHED = -2, -1
#: Larger magnitudes are placeholders or faults, and their squares overflow.
LARGEST = 1e30

_KINDS = {
    "with thousands signs": re.compile(r"[-+]?\d{1,3}(,\d{3})+(\.\d+)?"),
    "with a decimal comma": re.compile(r"[-+]?\d*,\d+"),
    "limits (< or >)": re.compile(r"[<>≤≥]=?\s*[-+]?\d.*"),
    "numbers with a unit": re.compile(r"[-+]?\d+([.,]\d+)?\s*[A-Za-zµ%/][\w%/^*. ]*"),
    "infinite": re.compile(r"[-+]?inf(inity)?", re.IGNORECASE),
}
_WHOLE = re.compile(r"(-?[0-9]+)\.0*")
_BLANKS = re.compile(r"\s+")


def column(frame: pd.DataFrame, name: str) -> pd.Series:
    """One column of a frame whose names are distinct."""
    return cast("pd.Series", frame[name])


def rows(frame: pd.DataFrame, keep: NDArray[np.bool_]) -> pd.DataFrame:
    """The rows in a mask, with a fresh default index."""
    return cast("pd.DataFrame", frame[keep]).reset_index(drop=True)


def is_missing(series: pd.Series) -> NDArray[np.bool_]:
    """Cells without a value: NA, empty or blank text, nan."""
    absent = series.isna().to_numpy(dtype=bool)
    if isinstance(series.dtype, pd.CategoricalDtype) or not _textual(series):
        return absent
    if isinstance(series.dtype, pd.StringDtype):
        return absent | (series.str.strip() == "").to_numpy(dtype=bool, na_value=False)
    return absent | np.array([isinstance(cell, str) and not cell.strip() for cell in series], dtype=bool)


def numbers(series: pd.Series) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Values of a column and which cells hold something that is no number.

    Missing cells and bad cells are nan; ``inf`` written as text is a bad cell, a number beyond float64 is ``inf``.
    """
    if isinstance(series.dtype, pd.CategoricalDtype):
        series = series.astype(object)
    elif not _textual(series):
        values = series.to_numpy(dtype=np.float64, na_value=np.nan)
        return values, np.zeros(len(values), dtype=bool)
    text = series if isinstance(series.dtype, pd.StringDtype) else as_text(series)
    quick = floats_of_text(text)
    if quick is not None:
        return quick, np.zeros(len(quick), dtype=bool)
    missing = is_missing(text)
    parsed = [None if absent else number(str(cell)) for cell, absent in zip(text, missing, strict=True)]
    values = np.array([np.nan if value is None else value for value in parsed], dtype=np.float64)
    return values, np.isnan(values) & ~missing


def match(series: pd.Series, declared: Sequence[Value]) -> NDArray[np.int64]:
    """(n,) position of the declared value each cell holds, ``UNMATCHED`` for another value, ``MISSING`` for none."""

    def place(text: str) -> int:
        return next((at for at, value in enumerate(declared) if same(value, text)), UNMATCHED)

    return by_level(series, place)


def by_level(series: pd.Series, place: Callable[[str], int]) -> NDArray[np.int64]:
    """Apply ``place`` once per distinct text; missing cells get ``MISSING``."""
    codes, distinct = pd.factorize(_as_cells(series))
    table = np.array([*(place(str(level)) for level in distinct), MISSING], dtype=np.int64)
    out = table[codes]
    out[is_missing(series)] = MISSING
    return out


def _as_cells(series: pd.Series) -> pd.Series:
    """The column itself where it is text with NA, its cells as text objects otherwise."""
    return series if isinstance(series.dtype, pd.StringDtype) else as_text(series)


def as_text(series: pd.Series) -> pd.Series:
    """Cells as text objects, missing ones as None; whole floats without their point."""
    if isinstance(series.dtype, pd.StringDtype):
        return pd.Series(series.to_numpy(dtype=object, na_value=None), index=series.index, dtype=object)
    values = series.astype(object).where(series.notna(), None)
    if pd.api.types.infer_dtype(values, skipna=True) in ("string", "empty"):
        return values
    return values.map(lambda cell: cell if cell is None or isinstance(cell, str) else _plain(cell))


def distinct_texts(series: pd.Series) -> list[str]:
    """The distinct texts of a column in order of appearance, missing ones left out."""
    _, distinct = pd.factorize(_as_cells(series))
    return [str(level) for level in distinct if str(level).strip()]


def levels(series: pd.Series) -> tuple[NDArray[np.int64], list[str]]:
    """The level of each cell (n,), -1 where missing, and the levels in natural order.

    ``1.0`` and ``1`` are one level when every level is a whole number; numbers sort as numbers, text as text.
    """
    distinct = distinct_texts(series)
    whole = all(_WHOLE.fullmatch(level) or _digits(level) for level in distinct)

    def plain(level: str) -> str:
        return _WHOLE.sub(r"\1", level) if whole else level

    names = sorted({plain(level) for level in distinct}, key=_natural)
    place = {name: at for at, name in enumerate(names)}
    codes = by_level(series, lambda text: place.get(plain(text), -1))
    return np.where(codes < 0, -1, codes), names


def unified(text: str) -> str:
    """A level without what people do not see: Unicode form, non-breaking and repeated blanks."""
    return _BLANKS.sub(" ", unicodedata.normalize("NFC", text.replace("\u00a0", " "))).strip()


def twins(distinct: Sequence[str]) -> list[list[str]]:
    """Groups of levels that differ only by blanks, case or Unicode form."""
    joined = "\0".join(distinct)
    if joined.isascii() and "  " not in joined:
        # a million ids: folded at once, and looked at one by one only where two of them meet
        folded = {level.strip() for level in joined.lower().split("\0")}
        if len(folded) == len(distinct):
            return []
    groups: dict[str, list[str]] = {}
    for level in distinct:
        key = unified(unicodedata.normalize("NFKC", level)).casefold()
        groups.setdefault(key, []).append(level)
    return [group for group in groups.values() if len(group) > 1]


def text_kinds(series: pd.Series, bad: NDArray[np.bool_]) -> str:
    """What cells that are no numbers look like, in words and counts, without showing one."""
    cells = [str(cell).strip() for cell in series.to_numpy(object)[bad]]
    counts = dict.fromkeys((*_KINDS, "text"), 0)
    for cell in cells:
        counts[next((kind for kind, pattern in _KINDS.items() if pattern.fullmatch(cell)), "text")] += 1
    return ", ".join(f"{count} {kind}" for kind, count in counts.items() if count)


def common_levels(series: pd.Series, among: NDArray[np.bool_], minimum: int) -> str:
    """Levels of some rows in words: by name where at least ``minimum`` rows hold them, the others by their number."""
    counts = pd.Series(series.to_numpy(object)[among], dtype=object).value_counts()
    common = [f"{visible(str(level))} ({count} rows)" for level, count in counts.items() if int(count) >= minimum]
    rare = len(counts) - len(common)
    parts = [", ".join(common[:5])] if common else []
    if rare:
        parts.append(f"{rare} {'level' if rare == 1 else 'levels'} held by fewer than {minimum} rows")
    return "; ".join(parts)


def _textual(series: pd.Series) -> bool:
    return pd.api.types.is_string_dtype(series.dtype) or series.dtype == object


def _plain(cell: object) -> str:
    if isinstance(cell, float) and cell.is_integer() and abs(cell) < 1e15:
        return str(int(cell))
    return str(cell)


def _digits(level: str) -> bool:
    return level.lstrip("-").isdigit()


def _natural(level: str) -> tuple[int, float, str]:
    value = number(level)
    return (1, 0.0, level) if value is None else (0, value, level)
