"""Counts in tables: small ones are hidden, and others beside them until none can be computed."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Hashable, Sequence
from dataclasses import replace

from trialstrat.disclosure.cells import is_small
from trialstrat.disclosure.relations import Counts, Relation, System, read_counts
from trialstrat.errors import DisclosureError
from trialstrat.results import Table

#: A count that is hidden only so that a smaller one cannot be computed.
WITHHELD = "withheld"
#: Most cells tried one by one as the next to be withheld.
MOST_TRIED = 24
#: Numbers that say where a row stands, not what was found there.
COORDINATES = frozenset({"time", "low", "high", "threshold"})

#: Columns that give a count away whenever the others are known, however large it is; like shares.
TELLING = frozenset({"shift"})

#: Columns of order statistics.
QUARTILES = frozenset({"median", "q1", "q3"})


#: Columns of the size of an analysis, which shows those it leaves out beside the whole that everybody knows.
SIZES = ("n", "n_control", "n_treated")
EVENTS = ("events", "events_control", "events_treated")


def protect_counts(tables: Sequence[Table], minimum: int, wholes: Collection[tuple[int, int]] = ()) -> list[Table]:
    """Tables without counts of 1 to ``minimum - 1``, shown or computable, and without what was derived from them.

    The tables are one system of equations: a count that stands in several of them is one cell, hidden in all or none.
    ``wholes`` are (patients, events) that readers know from elsewhere: an analysis that falls short of one by a small
    count is published without its size.
    """
    systems = [read_counts(table, minimum) for table in tables]
    joint, places = _joined(systems, minimum)
    small = [cell for cell, value in enumerate(joint.values) if is_small(value, minimum)]
    # "<2" can only be 1: there the mark must not say that the count is small
    joint.hidden.update(dict.fromkeys(small, minimum > 2))
    joint.hidden.update(dict.fromkeys(_nearly_whole(systems, places, minimum, wholes) - set(small), False))
    for component in _components(joint):
        _close(joint, component)
    out = []
    for counts, place in zip(systems, places, strict=True):
        counts.hidden.update({own: joint.hidden[cell] for own, cell in enumerate(place) if cell in joint.hidden})
        out.append(_blurred(_write(counts) if counts.hidden else replace(counts.table, protection="none")))
    return out


def _nearly_whole(
    systems: Sequence[Counts], places: Sequence[Sequence[int]], minimum: int, wholes: Collection[tuple[int, int]]
) -> set[int]:
    """Sizes of analyses that fall short of a known whole by 1 to ``minimum - 1``, as cells of the joint system."""
    found = set()
    for counts, place in zip(systems, places, strict=True):
        for (_, key), own in counts.at.items():
            known = {n for n, _ in wholes} if key in SIZES else {e for _, e in wholes} if key in EVENTS else set()
            value = counts.values[own]
            # a whole itself, an arm beside another arm of nearly its size, is not the rest of that one
            if value not in known and any(is_small(whole - value, minimum) for whole in known):
                found.add(place[own])
    return found


def _joined(systems: Sequence[Counts], minimum: int) -> tuple[System, list[list[int]]]:
    """One system of all tables, and where the cells of each table are in it; cells of the same meaning are one."""
    joint = System(minimum=minimum)
    known: dict[Hashable, int] = {}
    places: list[list[int]] = []
    for counts in systems:
        place: list[int] = []
        for own, value in enumerate(counts.values):
            names = counts.meaning.get(own, set())
            met = sorted({known[name] for name in names if name in known})
            if met:
                cell = met[0]
                joint.reluctance[cell] = min(joint.reluctance[cell], counts.reluctance[own])
                joint.relations += [Relation((cell, other), (1, -1), 0.0) for other in met[1:]]
            else:
                cell = len(joint.values)
                joint.values.append(value)
                joint.reluctance.append(counts.reluctance[own])
            known.update(dict.fromkeys(names, cell))
            place.append(cell)
        joint.relations += [
            replace(relation, cells=tuple(place[own] for own in relation.cells)) for relation in counts.relations
        ]
        places.append(place)
    return joint, places


def _blurred(table: Table) -> Table:
    """Quartiles to three significant digits: a quartile is often the very value of one patient."""
    at = [place for place, column in enumerate(table.columns) if column.key in QUARTILES]
    if len(at) < len(QUARTILES):
        return table
    rows = [
        tuple(
            float(f"{cell:.3g}") if place in at and isinstance(cell, float) and math.isfinite(cell) else cell
            for place, cell in enumerate(row)
        )
        for row in table.rows
    ]
    return replace(table, rows=tuple(rows), note=f"{table.note} Quartiles have three significant digits.".strip())


def feasible_range(
    counts: System, hidden: Sequence[int], relations: Sequence[Relation], cell: int
) -> tuple[float, float]:
    """Smallest and largest value of a hidden cell that agree with everything published and every mark."""
    from scipy.optimize import linprog

    position = {member: at for at, member in enumerate(hidden)}
    rows: dict[bool, list[list[float]]] = {True: [], False: []}
    rests: dict[bool, list[float]] = {True: [], False: []}
    for relation in relations:
        row, rest = [0.0] * len(hidden), relation.total
        for member, sign in zip(relation.cells, relation.signs, strict=True):
            if member in position:
                row[position[member]] += sign
            else:
                rest -= sign * counts.values[member]
        if any(row):
            side = 1.0 if relation.equality else -1.0  # the solver wants "at most"
            rows[relation.equality].append([side * x for x in row])
            rests[relation.equality].append(side * rest)
    bounds = [(1, counts.minimum - 1) if counts.hidden[member] else (0, None) for member in hidden]
    limits = []
    for direction in (1.0, -1.0):
        goal = [0.0] * len(hidden)
        goal[position[cell]] = direction
        solved = linprog(
            goal, rows[False] or None, rests[False] or None, rows[True] or None, rests[True] or None, bounds=bounds
        )
        if solved.status not in (0, 3):
            raise RuntimeError("no counts agree with the published sums")
        limits.append(direction * (solved.fun if solved.status == 0 else -math.inf))
    return limits[0], limits[1]


def _components(counts: System) -> list[list[int]]:
    """Cells that hang together through relations, only where something is hidden."""
    parent = list(range(len(counts.values)))

    def root(cell: int) -> int:
        while parent[cell] != cell:
            parent[cell] = parent[parent[cell]]
            cell = parent[cell]
        return cell

    for relation in counts.relations:
        for cell in relation.cells[1:]:
            parent[root(cell)] = root(relation.cells[0])
    groups: dict[int, list[int]] = defaultdict(list)
    for cell in range(len(counts.values)):
        groups[root(cell)].append(cell)
    return [cells for cells in groups.values() if any(cell in counts.hidden for cell in cells)]


def _close(counts: System, component: list[int]) -> None:
    """Withhold more cells of a component until no small one can be found out."""
    members = set(component)
    relations = [relation for relation in counts.relations if relation.cells[0] in members]
    safe: set[int] = set()  # withholding more never takes room from a cell that had enough
    while (exposed := _first_exposed(counts, component, relations, safe)) is not None:
        marked = [cell for r in relations if exposed in r.cells for cell in r.cells if counts.hidden.get(cell)]
        helper = _helper(counts, component, relations, exposed)
        if helper is not None:
            counts.hidden[helper] = False
        elif marked:  # the marks themselves give it away: let them say less
            counts.hidden.update(dict.fromkeys(marked, False))
        elif rest := [cell for cell in component if cell not in counts.hidden]:
            counts.hidden[min(rest, key=lambda cell: _cost(counts, cell))] = False
        else:
            raise DisclosureError("a table cannot be protected: small counts stay computable")


def _helper(counts: System, component: list[int], relations: list[Relation], exposed: int) -> int | None:
    """The cheapest cell near the exposed one that leaves it more room when it is withheld too.

    Where no single cell does, the cheapest in the exposed cell's own sums, then in those of other hidden cells (a
    second one will then do); None when all of these are hidden.
    """
    hidden = [cell for cell in component if cell in counts.hidden]
    touching = [r for r in relations if any(cell in counts.hidden for cell in r.cells)]
    near = {cell for r in touching for cell in r.cells if cell not in counts.hidden}
    low, high = feasible_range(counts, hidden, relations, exposed)
    for cell in sorted(near, key=lambda cell: _cost(counts, cell))[:MOST_TRIED]:
        counts.hidden[cell] = False
        wider = feasible_range(counts, [*hidden, cell], relations, exposed)
        del counts.hidden[cell]
        if wider[1] - wider[0] > high - low + 0.5:
            return cell
    own = {c for r in relations if exposed in r.cells for c in r.cells if c not in counts.hidden}
    useful = sorted(own | near, key=lambda cell: (counts.reluctance[cell], cell not in own, _cost(counts, cell)))
    return next((cell for cell in useful if counts.reluctance[cell] < 2), None)


def _cost(counts: System, cell: int) -> tuple[int, bool, int, int]:
    """What is withheld first: parts before wholes, the smallest count that is not 0."""
    value = counts.values[cell]
    return counts.reluctance[cell], value == 0, value, cell


def _first_exposed(counts: System, component: list[int], relations: list[Relation], safe: set[int]) -> int | None:
    """The first small count whose possible values span less than its mark leaves open.

    Larger counts that are withheld beside it may be computable to any degree, as long as the small one is not. Cells
    found to have room are added to ``safe`` and not looked at again.
    """
    if not relations:
        return None
    small = {cell for cell in component if cell in counts.hidden and is_small(counts.values[cell], counts.minimum)}
    for relation in relations:  # one unknown in a sum needs no programme
        unknown = [cell for cell in relation.cells if cell in counts.hidden]
        if relation.equality and len(unknown) == 1 and unknown[0] in small:
            return unknown[0]
    hidden = [cell for cell in component if cell in counts.hidden]
    room = max(1, counts.minimum - 2)
    for cell in sorted(small - safe):
        low, high = feasible_range(counts, hidden, relations, cell)
        if high - low < room - 1e-6:
            return cell
        safe.add(cell)
    return None


def _write(counts: Counts) -> Table:
    """The table with marks in place of hidden counts, and without the values that were derived from them."""
    table, minimum = counts.table, counts.minimum
    rows = [list(row) for row in table.rows]
    touched: dict[int, bool] = {}  # row -> whether what its estimates were made from is small
    for cell, says_small in counts.hidden.items():
        for row, col in counts.places[cell]:
            rows[row][col] = f"<{minimum}" if says_small else WITHHELD
            few = is_small(counts.values[cell], minimum) and _is_base(table.columns[col].key)
            touched[row] = touched.get(row, False) or few
    for row, few in touched.items():
        for at, column in enumerate(table.columns):
            ratio = column.kind == "percent" or column.key in TELLING  # they give a count away beside the others
            if column.key not in COORDINATES and (ratio or (few and column.kind in ("number", "p", "effect"))):
                rows[row][at] = None
    marks = f"Counts from 1 to {minimum - 1} are hidden (<{minimum}); {WITHHELD}: not shown, so that these stay hidden."
    return replace(
        table, rows=tuple(tuple(row) for row in rows), note=f"{table.note} {marks}".strip(), protection="none"
    )


def _is_base(key: str) -> bool:
    """Whether a count is what a row's estimates were made from."""
    return key in ("n", "events", "count", "patients") or key.startswith(("n_", "events_", "removed"))
