"""The counts of a table as one system of equations: what a reader of the table can compute.

Relations are recognised by the columns a table has and kept only where they hold, so that a new table with the usual
columns (``arm`` with a row for all, ``level``, ``at_risk``...) is covered without being named here.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, field

from trialstrat.disclosure.cells import as_number, has_column, is_small, rows_by, text_keys
from trialstrat.results import Cell, Table

#: ``count`` columns that do not count patients.
NOT_PATIENTS = frozenset({"fold", "folds", "repeat", "repeats", "trials", "complete", "pruned", "columns", "searched"})
#: ``whole = sum of parts`` within a row, where the counts agree.
ROW_SUMS = (
    ("n", ("n_control", "n_treated")),
    ("events", ("events_control", "events_treated")),
    ("before", ("removed", "remaining")),
    ("removed", ("removed_only", "removed_shared")),
    ("events_removed", ("events_only", "events_shared")),
    ("rows", ("matched", "unmatched")),
    ("patients", ("matched", "unmatched")),
)
#: Sums that are the same in every row of an arm: the number of patients in it, which stands in many places.
KNOWN_SUMS = (("n", "missing"), ("met", "not_met", "unknown"), ("altered", "unaltered", "unknown"))
#: Columns of a derived feature's counts, as levels of the variable that it becomes.
FEATURE_LEVELS = {"altered": "altered", "unaltered": "not altered", "unknown": None}
#: ``whole - part`` or, without ``whole``, sums of a row that are the size of a population known from elsewhere.
KNOWN_IN_ROW = (
    ((), ("removed", "remaining")),
    ((), ("events_removed", "events_remaining")),
    (("without",), ("removed_only",)),
    (("events_without",), ("events_only",)),
)
#: How late a count is withheld beside a small one: parts first (0, not listed), what others are parts of later. The
#: number of patients in an arm (``n``) comes last: it stands in many places, so that hiding it in one protects nothing.
RELUCTANCE = {"before": 1, "remaining": 1, "at_risk": 1, "n": 2}


@dataclass(frozen=True, slots=True)
class Relation:
    """``sum(sign * cell) = total``, or ``>= total`` where ``equality`` is False; cells by their number."""

    cells: tuple[int, ...]
    signs: tuple[int, ...]
    total: float
    equality: bool = True


@dataclass(slots=True, kw_only=True)
class System:
    """Counts by their number, the relations between them, and what is hidden so far.

    ``hidden`` maps a cell to whether its mark says that it is small (``<k``) or nothing at all (withheld).
    """

    minimum: int
    values: list[int] = field(default_factory=list)
    reluctance: list[int] = field(default_factory=list)
    relations: list[Relation] = field(default_factory=list)
    hidden: dict[int, bool] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class Counts(System):
    """The system of one table: every count once, and where it stands.

    ``meaning`` says what a cell counts where other tables may hold the same count.
    """

    table: Table
    places: list[list[tuple[int, int]]] = field(default_factory=list)
    at: dict[tuple[int, str], int] = field(default_factory=dict)
    meaning: dict[int, set[Hashable]] = field(default_factory=dict)

    def cells(self, rows: Iterable[int], *keys: str) -> list[int | None]:
        """Cells of these rows and columns, None where there is no count."""
        return [self.at.get((row, key)) for row in rows for key in keys]

    def relate(self, plus: list[int | None], minus: list[int | None], total: float | None) -> None:
        """Note ``sum(plus) - sum(minus) = total`` if it holds; with ``total`` None readers know it from elsewhere."""
        signs = (1,) * len(plus) + (-1,) * len(minus)
        cells = tuple(cell for cell in (*plus, *minus) if cell is not None)
        if len(cells) < max(2, len(signs)):
            return
        found = sum(sign * self.values[cell] for sign, cell in zip(signs, cells, strict=True))
        if found == total or (total is None and not is_small(found, self.minimum)):
            self.relations.append(Relation(cells, signs, found))


def patient_columns(table: Table) -> dict[str, int]:
    """Columns that count patients, by key."""
    return {
        column.key: at
        for at, column in enumerate(table.columns)
        if column.kind == "count" and column.key not in NOT_PATIENTS
    }


def read_counts(table: Table, minimum: int) -> Counts:
    """The system of a table; a count that stands in several places is one cell."""
    counts = Counts(table=table, minimum=minimum)
    shared: dict[Hashable, int] = {}
    for row, record in enumerate(table.records()):
        for key, col in patient_columns(table).items():
            value = table.rows[row][col]
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
                continue
            name = _identity(table, row, key, record)
            cell = shared.get(name)
            if cell is None or counts.values[cell] != value:
                cell = shared[name] = len(counts.values)
                counts.values.append(int(value))
                counts.places.append([])
                counts.reluctance.append(RELUCTANCE.get(key, 0))
            counts.places[cell].append((row, col))
            counts.at[row, key] = cell
            if meant := meanings(record, key):
                counts.meaning.setdefault(cell, set()).update((name, int(value)) for name in meant)
    _relate_rows(counts)
    _relate_arms(counts)
    _relate_outcomes(counts)
    _relate_levels(counts)
    _relate_groups(counts)
    _relate_followed(counts)
    return counts


def _identity(table: Table, row: int, key: str, record: dict[str, Cell]) -> Hashable:
    """What a count counts: ``n`` of a variable on all its level rows; those before a step are those after the last."""
    if has_column(table, "level", "count") and key != "count":
        return record["variable"], record["arm"], key
    if has_column(table, "before", "remaining") and key in ("before", "remaining"):
        return "after step", row + (key == "remaining")
    return row, key


def meanings(record: Mapping[str, Cell], key: str) -> list[Hashable]:
    """What a count is called in every table that has it; nothing for counts that no other table repeats.

    The number itself belongs to the name: analyses of other patients hold other numbers.
    """
    if (criterion := _criterion(record)) is not None:
        # whom a criterion removes in its turn are some of those it removes alone, and those removed only by it are
        # some of them: where the numbers are equal, so are the patients
        own = {"removed": ("removed", "removed_only"), "before": ("without",)} if "step" in record else {}
        return [(criterion, name) for name in own.get(key, (key,))]
    found = meaning(record, key)
    return [] if found is None else [found]


def _criterion(record: Mapping[str, Cell]) -> Cell:
    """The criterion of a row: in the pool, in an attrition, in the distances of the pool without it."""
    if "step" in record and "before" in record:
        return record["step"]
    if "removed_only" in record:
        return record.get("criterion", record.get("set"))
    return None


def meaning(record: Mapping[str, Cell], key: str) -> Hashable | None:
    """What a count of a variable's level, or of patients without a value, is called; None for other counts."""
    if "feature" in record and key in FEATURE_LEVELS:
        return record["feature"], FEATURE_LEVELS[key], "all"
    variable, level = record.get("variable"), record.get("level")
    if variable in (None, "all"):
        return None
    if key == "missing" and record.get("outcome", "all") == "all":
        return variable, None, record.get("arm", "all")
    if key == "count" and "arm" in record:
        return variable, level, record["arm"]
    if key in ("n", "n_control", "n_treated") and "comparison" in record and "n_control" in record:
        treated, _, control = str(record["comparison"]).partition("_vs_")
        arm = {"n": "all", "n_control": control, "n_treated": treated}[key]
        return variable, None if level == "not known" else level, arm
    return None


def _relate_rows(counts: Counts) -> None:
    """Sums within a row, and sums that are the same in every row."""
    size = len(counts.table.rows)
    for row in range(size):
        for whole, parts in ROW_SUMS:
            counts.relate(counts.cells([row], whole), counts.cells([row], *parts), 0)
        if has_column(counts.table, "removed_only"):
            for whole, parts in KNOWN_IN_ROW:
                plus, minus = (whole, parts) if whole else (parts, ())
                counts.relate(counts.cells([row], *plus), counts.cells([row], *minus), None)
    for parts in KNOWN_SUMS:
        if not has_column(counts.table, *parts):
            continue
        columns = [counts.table.column(part) for part in parts]
        for every in rows_by(counts.table, "arm").values():
            rows = [row for row in every if None not in counts.cells([row], *parts)]
            if len({sum(as_number(column[row]) for column in columns) for row in rows}) == 1:
                for row in rows:
                    counts.relate(counts.cells([row], *parts), [], None)


def _relate_arms(counts: Counts) -> None:
    """The row for all is the sum of the arms."""
    if not has_column(counts.table, "arm"):
        return
    arm = counts.table.column("arm")
    same = (*(key for key in text_keys(counts.table) if key not in ("arm", "label_arm")), "time")
    if not has_column(counts.table, "variable"):
        same = tuple(key for key in same if key != "label")  # there the label names the arm
    for rows in rows_by(counts.table, *same).values():
        everybody = [row for row in rows if arm[row] == "all"]
        for key in patient_columns(counts.table):
            if len(everybody) == 1:
                parts = counts.cells([row for row in rows if arm[row] != "all"], key)
                counts.relate(counts.cells(everybody, key), parts, 0)


def _relate_outcomes(counts: Counts) -> None:
    """All patients are those with and those without the event."""
    if not has_column(counts.table, "variable", "outcome"):
        return
    outcome = counts.table.column("outcome")
    for rows in rows_by(counts.table, "variable").values():
        everybody = [row for row in rows if outcome[row] == "all"]
        for key in patient_columns(counts.table):
            parts = counts.cells([row for row in rows if outcome[row] != "all"], key)
            counts.relate(counts.cells(everybody, key), parts, 0)


def _relate_levels(counts: Counts) -> None:
    """The levels of a variable add up to the patients in whom it is known."""
    if not has_column(counts.table, "level", "count", "n"):
        return
    level = counts.table.column("level")
    for rows in rows_by(counts.table, "variable", "arm").values():
        known = [row for row in rows if level[row] not in (None, "")]
        counts.relate(counts.cells(known[:1], "n"), counts.cells(known, "count"), 0)


def _relate_groups(counts: Counts) -> None:
    """Groups and histogram bins divide a population whose size and events stand elsewhere."""
    table = counts.table
    levels = has_column(table, "variable", "level", "n") and not has_column(table, "count")
    if has_column(table, "at_risk") or not (levels or has_column(table, "group") or has_column(table, "low", "high")):
        return
    for rows in rows_by(table, "model", "time", "comparison", "arm", *(("variable",) if levels else ())).values():
        for key in patient_columns(table):
            counts.relate(counts.cells(rows, key), [], None)


def _relate_followed(counts: Counts) -> None:
    """Patients at risk only fall, events and censorings only rise, and together they are those who started."""
    if not has_column(counts.table, "at_risk", "time"):
        return
    parts = [key for key in ("at_risk", "events", "censored") if has_column(counts.table, key)]
    for rows in rows_by(counts.table, *text_keys(counts.table)).values():
        for before, row in itertools.pairwise(rows):
            counts.relate(counts.cells([row], *parts), [], None)  # how many started stands in many places
            if before == rows[0]:
                continue  # everybody at risk and nothing has happened: the sum says that already
            for key in parts:
                high, low = (before, row) if key == "at_risk" else (row, before)
                larger, smaller = counts.at.get((high, key)), counts.at.get((low, key))
                if larger is not None and smaller is not None and counts.values[larger] >= counts.values[smaller]:
                    counts.relations.append(Relation((larger, smaller), (1, -1), 0.0, equality=False))
