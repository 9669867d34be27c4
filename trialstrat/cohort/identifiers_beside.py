"""Direct identifiers in molecular files: names of samples, comments, annotation, and measurements that are none.

Ids of samples may be any code, but no person's name, e-mail address or social security number.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from trialstrat.cohort.columns import rows
from trialstrat.cohort.identifier_patterns import CONTENT_RULES, EMAIL, SSN_INSIDE
from trialstrat.cohort.identifiers import Identifier, declared, find_identifiers, name_rules, words_of
from trialstrat.cohort.readers.beside import Beside
from trialstrat.cohort.readers.table import number_text, text_frame
from trialstrat.cohort.rules import finding
from trialstrat.protocol.model import Source
from trialstrat.protocol.privacy_model import Privacy
from trialstrat.results import Finding

#: What parts without a column are called, also under privacy.allow:.
SAMPLES, COMMENTS, ANNOTATION = "sample names", "comments", "annotation"
_PAIR = re.compile(r"""(?=(?:^|[\s,;"'<#=])([A-Za-z][A-Za-z _.-]{0,40}?)\s*[=:]\s*["']?([^,;"'<>=\n]*))""")
_SEPARATORS = re.compile(r"[._]+")
#: What a genome file tells of itself: an address of a reference is no patient's.
_OF_FILES = ("web addresses", "internet addresses")


def guard_beside(source: Source, beside: Beside, samples: Sequence[str], file: str, privacy: Privacy) -> list[Finding]:
    """A finding for every part of a molecular file that holds direct identifiers."""

    def passes(name: str) -> bool:
        known = (*privacy.allow, *(() if name == SAMPLES else privacy.drop))
        return declared(known, source.name, name, name)

    names = {name for name in map(str, beside.frame.columns) if passes(name)}
    seen = _columns(beside, names)
    found = [_refusal(file, entry, lines) for entry, lines in seen]
    if not passes(SAMPLES) and all(entry.column != beside.id_column for entry, _ in seen):
        found += _samples(samples, beside.names_line, file)
    if not passes(COMMENTS):
        found += _comments(beside, file)
    mails = [line for line in beside.mails if line not in {number for number, _ in beside.comments}]
    if mails and not any("e-mail" in entry.kind for entry, _ in seen) and not passes(ANNOTATION):
        detail = "e-mail addresses, known by their form"
        found.append(finding("E-IDENTIFIER", source=file, column=ANNOTATION, detail=detail, lines=mails))
    return found


def guard_values(
    source: Source, genes: Sequence[str], values: NDArray[np.float64], file: str, privacy: Privacy
) -> list[Finding]:
    """A finding for every "gene" that by its name and its whole numbers is an identifier; ``values`` (n, genes)."""
    found: list[Finding] = []
    allowed = (*privacy.allow, *privacy.drop)
    for at, name in enumerate(genes):
        if not name_rules(words_of(name)) or declared(allowed, source.name, name, name):
            continue
        column = values[:, at]
        known = column[~np.isnan(column)]
        if len(known) and bool((known == np.round(known)).all()):
            frame = text_frame([name], [[number_text(value) for value in column]])
            found += [_refusal(file, entry, ()) for entry in find_identifiers(frame, skip=set())]
    return found


def guard_names(source: Source, samples: Sequence[str], file: str, privacy: Privacy) -> list[Finding]:
    """Names of samples or patients that stand in a header."""
    return guard_beside(source, Beside(), samples, file, privacy)


def _columns(beside: Beside, skip: set[str]) -> list[tuple[Identifier, NDArray[np.int64]]]:
    """Columns of identifiers with their lines. What every variant of a patient repeats is judged once a sample too."""
    frame, lines = beside.frame, beside.lines
    seen = [(entry, lines[entry.rows]) for entry in find_identifiers(frame, skip=skip, id_column=beside.id_column)]
    if beside.id_column not in frame:
        return seen
    first = ~frame[beside.id_column].duplicated().to_numpy(dtype=bool)
    skip = skip | {entry.column for entry, _ in seen}
    once = find_identifiers(rows(frame, first), skip=skip, id_column=beside.id_column)
    return [*seen, *((entry, lines[first][entry.rows]) for entry in once)]


def _samples(samples: Sequence[str], line: int, file: str) -> Iterator[Finding]:
    """As they are written, and with the points and bars that programs put for blanks."""
    for texts in (samples, [_SEPARATORS.sub(" ", name) for name in samples]):
        frame = text_frame([SAMPLES], [list(texts)])
        found = find_identifiers(frame, skip=set(), id_column=SAMPLES)
        if found:
            yield from (_refusal(file, entry, [line]) for entry in found)
            return


def _comments(beside: Beside, file: str) -> Iterator[Finding]:
    kinds: dict[str, list[int]] = {}
    for line, text in beside.comments:
        for kind in dict.fromkeys(_kinds(text)):
            kinds.setdefault(kind, []).append(line)
    for kind, lines in kinds.items():
        total = len(beside.comments)
        detail = f"{kind}, known by their form"
        yield finding(
            "E-IDENTIFIER", source=file, column=COMMENTS, detail=detail, bad=len(lines), total=total, lines=lines
        )


def _kinds(text: str) -> Iterator[str]:
    """Kinds of identifiers in a line of free text: by their form anywhere, or as the value of a key that says it."""
    if EMAIL.search(text):
        yield "e-mail addresses"
    if SSN_INSIDE.search(text):
        yield "social security numbers"
    for pair in _PAIR.finditer(text):
        words, value = words_of(pair[1]), pair[2].strip()
        for rule in name_rules(words):
            if rule.kind not in _OF_FILES and rule.matches(value):
                yield rule.kind
        if words.rstrip().endswith((" patient", " subject", " participant", " name")):
            persons = [rule for rule in CONTENT_RULES if rule.kind == "names of persons"]
            if any(rule.matches(value) for rule in persons):
                yield "names of persons"


def _refusal(file: str, entry: Identifier, lines: Sequence[int] | NDArray[np.int64]) -> Finding:
    where = np.unique(np.asarray(lines, dtype=np.int64))
    return finding(
        "E-IDENTIFIER",
        source=file,
        column=entry.column,
        detail=f"{entry.kind}, known by {entry.by}",
        bad=int(entry.rows.sum()),
        total=len(entry.rows),
        lines=where[where > 0],
    )
