"""Which column holds the patients of each table, how tables go together, and which of a patient's rows counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from trialstrat.cohort.columns import as_text, column, is_missing, rows
from trialstrat.cohort.proposal.facts import MOST_LEVELS, Facts
from trialstrat.cohort.readers.table import RawTable

_ID_WORDS = {
    "id", "ids", "pid", "pidnum", "patient", "patientid", "subject", "subjid", "usubjid", "sample", "case", "barcode",
    "title", "caseid", "pseudonym", "patid", "patnr", "patientennummer", "fallnummer",
}  # fmt: skip
_PARTS = {"cohort", "study", "studyid", "site", "center", "centre", "dataset", "batch"}
_ARMS = {"trt", "treat", "arm", "rx", "tx", "treatment"}
#: The day of the first visit, as files write it.
_START = "0"
#: Share of the main table's patients that another table must hold to be joined.
_OVERLAP = 0.3


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Seen:
    """A table as it was read: the file or folder, and what a source must declare to read it again.

    ``sample`` is the column of the samples in a table with one row per sample; ``dropped`` are columns of direct
    identifiers that were taken out, and why.
    """

    path: Path
    raw: RawTable
    declared: dict[str, str] = field(default_factory=dict)
    sample: str = ""
    dropped: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Linked:
    """A table with its patients: ``id`` is None where rows must be numbered, and absent for one row per marker.

    ``where`` keeps one row per patient. ``frame`` holds these rows. ``repeated`` is an id whose rows were numbered,
    ``cluster`` the same where it names the patients to whom they belong.
    ``questions`` are what only people can decide.
    """

    seen: Seen
    id: str | None
    id_evidence: str
    where: dict[str, str]
    where_evidence: str
    frame: pd.DataFrame
    layout: str = "patients"
    repeated: str = ""
    cluster: str = ""
    questions: tuple[str, ...] = ()

    @property
    def columns(self) -> list[Facts]:
        """Facts of every column but the id."""
        labels = self.seen.raw.labels
        names = [
            str(name)
            for name in self.frame.columns
            if name not in (self.id, self.repeated, self.seen.sample, *self.where)
        ]
        return [Facts(self.frame, name, labels.get(name, "")) for name in names]


def link_main(seen: Seen, others: Sequence[Seen]) -> Linked:
    """The table with the outcome: its id column, the one that other tables know best where there are any."""
    frame = seen.raw.frame
    found = candidates(seen)
    known = [_ids_of(other) for other in others]
    # a name that nobody has thought of: what every row has once, and another table has too
    found = found or [
        name
        for name in map(str, frame.columns)
        if _unique(frame, name) and any(_share(frame, name, ids) > _OVERLAP for ids in known)
    ]
    ranked = sorted(
        found,
        key=lambda name: (-max((_share(frame, name, ids) for ids in known), default=0.0), not _unique(frame, name)),
    )
    unique = [name for name in ranked if _unique(frame, name)]
    if unique and (not others or max((_share(frame, unique[0], ids) for ids in known), default=0) > 0 or not ranked):
        name = unique[0]
        why = "a different value in every row" + (", known to the other tables" if others else "")
        return Linked(seen=seen, id=name, id_evidence=why, where={}, where_evidence="", frame=frame)
    for name in ranked:
        one = _one_row(seen, name)
        if one is not None:
            return one
    if unique:
        return Linked(
            seen=seen,
            id=unique[0],
            id_evidence="a different value in every row",
            where={},
            where_evidence="",
            frame=frame,
        )
    return Linked(
        seen=seen, id=None, id_evidence="no column names the patients: rows are numbered", where={}, where_evidence="",
        frame=frame,
    )  # fmt: skip


def link_other(seen: Seen, main: Linked) -> Linked | str:
    """Another table beside the main one, or why it cannot be joined."""
    if main.id is None:
        return "the main table has no patient id to join by"
    ids = set(as_text(column(main.frame, main.id)).dropna())
    if seen.sample:
        return _samples(seen, main.id)
    header = [str(name) for name in seen.raw.frame.columns]
    if len(ids & set(header[1:])) >= _OVERLAP * len(ids):
        count = len(ids & set(header))
        return Linked(
            seen=seen, id=None, id_evidence=f"its header holds {count} of {len(ids)} patients", where={},
            where_evidence="", frame=seen.raw.frame, layout="markers",
        )  # fmt: skip
    shares = {name: _share(seen.raw.frame, name, [ids]) for name in header if len(seen.raw.frame) and name}
    name = max(shares, key=lambda key: shares[key], default="")
    held = set(as_text(column(seen.raw.frame, name)).dropna()) & ids if name else set()
    if len(held) < _OVERLAP * len(ids):
        return "it holds no patient ids of the main table"
    other = _disagreeing(main, seen.raw.frame, name)
    if other:
        return f"its ids are those of the main table, but {other} differs: other patients"
    why = f"holds {len(held)} of {len(ids)} patients of the main table"
    if _unique(seen.raw.frame, name):
        return Linked(seen=seen, id=name, id_evidence=why, where={}, where_evidence="", frame=seen.raw.frame)
    return _one_row(seen, name) or "several rows per patient, and no column that tells them apart"


def _samples(seen: Seen, name: str) -> Linked:
    """One row per sample; of several samples of a patient the first is taken, and asked about."""
    frame = seen.raw.frame
    several = int(column(frame, name).duplicated().sum())
    asked = (
        f"{seen.raw.file} has {len(frame)} samples of {len(frame) - several} patients; the first of a patient is taken "
        "(sample_rule): by what should it be chosen?"
    )
    first = ~column(frame, name).duplicated().to_numpy(dtype=bool)
    return Linked(
        seen=seen, id=name, id_evidence="the patient of each sample", where={}, where_evidence="",
        frame=rows(frame, first), layout="samples", questions=(asked,) if several else (),
    )  # fmt: skip


def _disagreeing(main: Linked, frame: pd.DataFrame, name: str) -> str:
    """A column of both tables that differs for most patients with the same id: the ids are of different people."""
    if main.id is None:
        return ""
    left = main.frame.set_index(as_text(column(main.frame, main.id)))
    right = frame.set_index(as_text(column(frame, name)))
    right = right[~right.index.duplicated()]
    both = left.index.intersection(right.index)
    for other in (
        str(entry) for entry in frame.columns if entry in main.frame.columns and entry not in (main.id, name)
    ):
        pair = pd.DataFrame({"a": left.loc[both, other].astype(str), "b": right.loc[both, other].astype(str)})
        # a column of one value in each table (a domain, a study id) says nothing about people
        if (
            len(pair) > 10
            and max(pair["a"].nunique(), pair["b"].nunique()) > 1
            and (pair["a"] == pair["b"]).mean() < 0.5
        ):
            return other
    return ""


def candidates(seen: Seen) -> list[str]:
    """Columns named like an id, the shortest names first."""
    frame = seen.raw.frame
    found = []
    for name in (str(name) for name in frame.columns):
        facts = Facts(frame, name)
        words = set(facts.words) | {name.lower()}
        if words & _ID_WORDS and not facts.dates and len(facts.levels) > min(5, len(frame) - 1):
            found.append(name)
    return sorted(found, key=lambda name: (not name.lower().endswith("id"), len(name)))


def _unique(frame: pd.DataFrame, name: str) -> bool:
    series = column(frame, name)
    return not is_missing(series).any() and not series.duplicated().any()


def _ids_of(seen: Seen) -> list[set[str]]:
    """The texts of every column that might hold patients, and the header."""
    frame = seen.raw.frame
    columns = [set(as_text(column(frame, str(name))).dropna()) for name in list(frame.columns)[:30]]
    return [*columns, {str(name) for name in frame.columns}]


def _share(frame: pd.DataFrame, name: str, known: Sequence[set[str]]) -> float:
    own = set(as_text(column(frame, name)).dropna())
    return max((len(own & ids) / max(1, len(own)) for ids in known), default=0.0)


def _one_row(seen: Seen, name: str) -> Linked | None:
    """One row per patient by the value of a column that tells a patient's rows apart, where there is one."""
    frame = seen.raw.frame
    ids = as_text(column(frame, name)).to_numpy(object)
    patients = len(set(ids))
    if is_missing(column(frame, name)).any() or patients == len(ids):
        return None
    for other in (str(entry) for entry in frame.columns):
        facts = Facts(frame, other)
        few = 2 <= len(facts.levels) <= MOST_LEVELS
        # days of visits are many, but day 0 is one that every patient has
        first = not few and facts.numeric and facts.counts.get(_START, 0) >= 0.95 * patients
        if other == name or not (few or first) or facts.missing.any():
            continue
        if pd.DataFrame({"id": ids, "by": facts.text}).duplicated().any():
            continue
        if set(facts.words) & _PARTS:
            return _parts(seen, name, other)
        level = _START if first else max(facts.levels, key=lambda v: (facts.counts[v], -facts.levels.index(v)))
        if facts.counts[level] < 0.95 * patients:
            continue
        if set(facts.words) & _ARMS:
            return _within(seen, name, other)
        return _selected(seen, name, facts, level, patients)
    return None


def _selected(seen: Seen, name: str, facts: Facts, level: str, patients: int) -> Linked:
    keep: NDArray[np.bool_] = facts.text == level
    shown = facts.held()
    asked = (
        f"{name} has {len(keep)} rows of {patients} patients, told apart by {facts.name}: {shown}. The rows with "
        f"{level} are taken: is that what you want?"
    )
    return Linked(
        seen=seen,
        id=name,
        id_evidence=f"named like an id, {patients} patients in {len(keep)} rows",
        where={facts.name: level},
        where_evidence=f"one row per patient; {facts.name} holds {shown}",
        frame=rows(seen.raw.frame, keep),
        questions=(asked,),
    )


def _parts(seen: Seen, name: str, part: str) -> Linked:
    asked = f"{name} is unique only inside {part}: rows are numbered. Are they different patients everywhere?"
    return Linked(
        seen=seen, id=None, id_evidence=f"rows are numbered: {name} starts again in every {part}", where={},
        where_evidence="", frame=seen.raw.frame, repeated=name, questions=(asked,),
    )  # fmt: skip


def _within(seen: Seen, name: str, arm: str) -> Linked:
    asked = (
        f"Each patient ({name}) has a row for every value of {arm}: treatment was given within patients. Rows are "
        f"numbered, and variances summed within patients (analysis.cluster: {name}): is that what you want?"
    )
    return Linked(
        seen=seen, id=None, id_evidence=f"rows are numbered: {name} repeats, once for every {arm}", where={},
        where_evidence="", frame=seen.raw.frame, repeated=name, cluster=name, questions=(asked,),
    )  # fmt: skip
