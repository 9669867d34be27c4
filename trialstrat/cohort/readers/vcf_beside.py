"""What a VCF says beside its variants: meta lines, and the fields of INFO and FORMAT by their keys."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from trialstrat.cohort.readers.beside import LOOKED_AT, Beside, comments_of, mail_lines
from trialstrat.cohort.readers.table import text_frame

#: Keys whose values are numbers or annotation by the specification, and that no person's data stand in.
_WORDS = (
    "AA AC AD ADF ADR AF AN BQ CIGAR DB DP EC END FT GL GP GQ GT H2 H3 HQ MQ MQ0 NS PL PP PQ PS SB SOMATIC VALIDATED"
    " 1000G CSQ ANN LOF NMD vep"
)
_RESERVED = frozenset(_WORDS.split())


def vcf_beside(data: bytes, lines: Sequence[str], names_line: int) -> Beside:
    """Texts of a file whose column names stand in line ``names_line``; long files are looked at in even steps."""
    filled = [at for at in range(names_line, len(lines)) if lines[at]]
    step = max(1, -(-len(filled) // LOOKED_AT))
    looked_at = filled[::step]
    columns: dict[str, list[str]] = {}
    for row, at in enumerate(looked_at):
        for key, value in _fields(lines[at]):
            cells = columns.setdefault(key, [""] * len(looked_at))
            cells[row] = value
    return Beside(
        comments=comments_of(data, b"##"),
        frame=text_frame(list(columns), list(columns.values())),
        lines=np.array(looked_at, dtype=np.int64) + 1,
        mails=mail_lines(data),
        names_line=names_line,
    )


def _fields(line: str) -> Iterator[tuple[str, str]]:
    """Keys and texts of INFO, and of the first sample that has a text, of FORMAT."""
    fields = line.split("\t")
    for entry in fields[7].split(";") if len(fields) > 7 else ():
        key, sign, value = entry.partition("=")
        if sign and key not in _RESERVED:
            yield key, value
    keys = fields[8].split(":") if len(fields) > 9 else []
    for at, key in enumerate(keys):
        if key in _RESERVED:
            continue
        for sample in fields[9:]:
            values = sample.split(":")
            if at < len(values) and values[at] not in ("", "."):
                yield key, values[at]
                break
