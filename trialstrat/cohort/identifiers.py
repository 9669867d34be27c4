"""Direct identifiers at the door: HIPAA's eighteen, found in a table by the names of its columns and by their cells.

A name alone never refuses a column: its cells must look the part too, so that ``zip`` of a compression ratio, a gene
called ``NAME1`` or a site's phone tree pass. Formats that belong to nothing else (an e-mail address) refuse by
content alone.

References
----------
45 CFR 164.514(b)(2), the Safe Harbor list. NIST SP 800-188 (2023), section 4.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from trialstrat.cohort.identifier_patterns import CONTENT_RULES, NAME_RULES, Cells, Form, email_cells
from trialstrat.cohort.readers.table import RawTable, float_columns
from trialstrat.cohort.rules import finding
from trialstrat.protocol.model import Source
from trialstrat.protocol.privacy_model import Privacy
from trialstrat.results import Finding

#: Distinct cells of a column that are looked at one by one; e-mail addresses are looked for in all of them.
MOST_CELLS = 4000
#: Tables with more columns are matrices of measurements: columns whose first rows are numbers are not read further.
WIDE, FIRST_ROWS = 200, 100

_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|[^A-Za-z]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Identifier:
    """A column that holds direct identifiers: what they are, how they were known, and in which rows (n,).

    ``code_like``: a declared id column may look like this; one that is named after another identifier (a record or
    member number) is refused like any other column, and stays only by ``privacy.allow``.
    """

    column: str
    kind: str
    by: str
    rows: NDArray[np.bool_]
    code_like: bool = False


def guarded(source: Source, table: RawTable, privacy: Privacy) -> tuple[RawTable, tuple[Finding, ...]]:
    """The table without the columns of ``privacy.drop``, and a finding for every column of direct identifiers.

    ``rename:`` of the source is taken into account: columns may be declared by their old or new name.
    """
    from dataclasses import replace

    names = {name: source.rename.get(name, name) for name in map(str, table.frame.columns)}
    dropped = [name for name, new in names.items() if declared(privacy.drop, source.name, name, new)]
    allowed = {name for name, new in names.items() if declared(privacy.allow, source.name, name, new)}
    found: list[Finding] = []
    if dropped:
        table = replace(table, frame=table.frame.drop(columns=dropped))
        found.append(finding("I-IDENTIFIER-DROPPED", source=table.file, detail=f"{len(dropped)}"))
    for entry in find_identifiers(table.frame, skip=allowed, id_column=source.id or ""):
        lines = np.sort(table.lines[entry.rows])
        found.append(
            finding(
                "E-IDENTIFIER",
                source=table.file,
                column=entry.column,
                detail=f"{entry.kind}, known by {entry.by}",
                bad=int(entry.rows.sum()),
                total=len(entry.rows),
                lines=lines[lines > 0],
            )
        )
    return table, tuple(found)


def declared(names: Sequence[str], source: str, old: str, new: str) -> bool:
    """Whether a column is among declared ones, by its name or as ``source.column``."""
    return any(name in names for name in (old, new, f"{source}.{old}", f"{source}.{new}"))


def find_identifiers(frame: pd.DataFrame, *, skip: set[str], id_column: str = "") -> list[Identifier]:
    """Columns of direct identifiers in a table of text cells, in the order of the table.

    The declared id column may be any code, but not a person's name, e-mail address or social security number.
    """
    numbers = set(map(str, frame.columns)) - set(_texts(frame)) if frame.shape[1] > WIDE else set()
    out: list[Identifier] = []
    for at, name in enumerate(map(str, frame.columns)):
        if name in skip:
            continue
        series = frame.iloc[:, at]
        words = words_of(name)
        hits = name_rules(words)
        if not hits and name in numbers:
            continue
        entry = _column(name, series, hits, is_id=name == id_column)
        out += [] if entry is None else [entry]
    return out


def name_rules(words: str) -> list[Form]:
    """The kinds of identifiers that a name in words speaks for."""
    return [rule for rule in NAME_RULES if rule.name.search(words) and not rule.unless.search(words)]


def words_of(name: str) -> str:
    """A column's name as lower-case words between single blanks: ``DateOfBirth`` and ``date_of_birth`` alike."""
    return f" {' '.join(part.lower() for part in _CAMEL.split(name) if part)} "


def _texts(frame: pd.DataFrame) -> list[str]:
    """Columns whose first rows are not all numbers."""
    return float_columns(frame.iloc[:FIRST_ROWS], ())[1]


def _column(name: str, series: pd.Series, hits: Sequence, *, is_id: bool) -> Identifier | None:
    codes, distinct = pd.factorize(series)
    texts = [str(text).strip() for text in distinct]
    kept = [at for at, text in enumerate(texts) if text]
    if not kept:
        return None
    looked = (
        kept if len(kept) <= MOST_CELLS else [kept[i] for i in np.linspace(0, len(kept) - 1, MOST_CELLS, dtype=int)]
    )
    counts = np.bincount(codes[codes >= 0], minlength=len(texts))
    cells = Cells(
        texts=tuple(texts[at] for at in looked),
        distinct_share=len(kept) / max(int(counts[kept].sum()), 1),
        known=int(counts[kept].sum()),
    )

    def found(
        kind: str, by: str, matches: Callable[[str], bool], among: Sequence[int], like: bool = False
    ) -> Identifier:
        flagged = np.zeros(len(texts) + 1, dtype=bool)
        flagged[[at for at in among if matches(texts[at])]] = True
        return Identifier(column=name, kind=kind, by=by, rows=flagged[codes], code_like=like)

    mails = email_cells(texts, kept)
    if mails:
        chosen = set(mails)
        return found("e-mail addresses", "their form", lambda text: text in chosen, kept)
    for rule in hits:
        if rule.fits(cells) and not (is_id and rule.code_like):
            return found(rule.kind, "name and form", rule.matches, kept, rule.code_like)
    for rule in CONTENT_RULES:
        if rule.fits(cells) and not (is_id and rule.code_like) and not rule.unless.search(words_of(name)):
            return found(rule.kind, "their form", rule.matches, kept, rule.code_like)
    return None
