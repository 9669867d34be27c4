"""Direct identifiers in files that a protocol is proposed for: what has to be dropped, and what cannot be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from trialstrat.cohort.identifiers import find_identifiers
from trialstrat.cohort.identifiers_beside import SAMPLES, guard_beside
from trialstrat.cohort.proposal.link import Seen, candidates
from trialstrat.cohort.readers.beside import Beside
from trialstrat.protocol.model import Source
from trialstrat.protocol.privacy_model import Privacy


def without_persons(seen: Seen) -> Seen:
    """The table without its columns of direct identifiers, which the protocol is to drop.

    A column named like an id may hold any code; which column is the id is found afterwards.
    """
    frame = seen.raw.frame
    ids = candidates(seen)
    found = [entry for entry in find_identifiers(frame, skip=set()) if not (entry.code_like and entry.column in ids)]
    if not found:
        return seen
    dropped = tuple(
        (entry.column, f"{entry.kind}, known by {entry.by} in {int(entry.rows.sum())} of {len(frame)} rows")
        for entry in found
    )
    left = frame.drop(columns=[name for name, _ in dropped])
    return replace(seen, raw=replace(seen.raw, frame=left), dropped=dropped)


def persons_beside(
    beside: Beside, samples: Sequence[str], file: str
) -> tuple[tuple[tuple[str, str], ...], tuple[str, ...]]:
    """Parts of a molecular file to be dropped, with why, and questions about what cannot be."""
    found = guard_beside(Source(name="file", file=file), beside, samples, file, Privacy())
    kept = (SAMPLES, beside.id_column)
    dropped = {entry.column: entry.message for entry in found if entry.column not in kept}
    asked = tuple(
        f"{file}: its samples are named by persons ({entry.message}): check refuses it. Name them by pseudonyms."
        for entry in found
        if entry.column in kept
    )
    return tuple(dropped.items()), asked
