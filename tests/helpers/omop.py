"""Small OMOP databases, criteria about them, and whom ``screen`` finds eligible in them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

import pandas as pd
from hypothesis import strategies as st

from trialstrat.cohort.language.tables import Tables
from trialstrat.criteria.exporters.concepts import ConceptMap
from trialstrat.criteria.screening import DECISIONS, screen
from trialstrat.protocol.language.criterion import Criterion
from trialstrat.protocol.language.model import AllOf, AnyOf, Condition, Negation, Records, Window
from trialstrat.protocol.language.ranges import in_unit, ranged
from trialstrat.protocol.language.schema import ColumnSchema, Schema, TableSchema

Database = dict[str, list[dict[str, Any]]]

CONCEPTS = ConceptMap.model_validate(
    {
        "entry": {"domain": "drug", "concept": 1},
        "columns": {
            "hemoglobin": {"domain": "measurement", "concept": 2, "unit": "g/dL"},
            "brain_metastases": {"domain": "condition", "concept": 3, "window": {"last": 0}},
            "surgery": {"domain": "procedure", "concept": 4, "window": {"first": -14, "last": -1}},
            "smoker": {"domain": "observation", "concept": 5, "window": {"first": -10}},
            "steroids": {"domain": "drug", "concept": 6},
        },
    }
)
#: Every concept has one descendant, ten times its number and more by its own; 99 belongs to nothing.
DESCENDANTS = {concept: 11 * concept for concept in range(1, 7)}
SEXES = {8507: "M", 8532: "F", 0: None}
UNITS = {8713: "g/dL", 8753: "mmol/L"}
START = dt.date(2020, 3, 1)
#: Table, concept and date column of each domain.
DOMAINS = {
    "measurement": ("measurement", "measurement_concept_id", "measurement_date"),
    "condition": ("condition_occurrence", "condition_concept_id", "condition_start_date"),
    "drug": ("drug_exposure", "drug_concept_id", "drug_exposure_start_date"),
    "procedure": ("procedure_occurrence", "procedure_concept_id", "procedure_date"),
    "observation": ("observation", "observation_concept_id", "observation_date"),
}


# -- databases -------------------------------------------------------------------------------------------------------


def _near(concept: int) -> st.SearchStrategy[int]:
    return st.sampled_from([concept, DESCENDANTS[concept], concept, 99])


@st.composite
def databases(draw: st.DrawFn, most: int = 6) -> Database:
    """Persons with records around the bounds of every window, inside and outside observation periods."""
    base: Database = {name: [] for name, _, _ in DOMAINS.values()}
    base |= {"person": [], "observation_period": []}
    for person in range(1, draw(st.integers(1, most)) + 1):
        year = draw(st.integers(1940, 2000))
        sex = draw(st.sampled_from(list(SEXES)))
        base["person"].append({"person_id": person, "gender_concept_id": sex, "year_of_birth": year})
        zero = START + dt.timedelta(draw(st.integers(0, 400)))
        for first, last in draw(st.sampled_from([((-60, 400),), ((-60, -2), (0, 30)), ((2, 90),), ((-5, 0),), ()])):
            ends = (zero + dt.timedelta(first), zero + dt.timedelta(last))
            _add(
                base, "observation_period", person, ends, "observation_period_start_date", "observation_period_end_date"
            )
        for day in draw(st.lists(st.sampled_from([-3, 0, 3, 100]), max_size=3)):
            _record(base, "drug", person, draw(_near(1)), zero + dt.timedelta(day))
        for day in draw(st.lists(st.sampled_from([-60, -29, -28, -5, 0, 1]), max_size=3)):
            value = draw(st.sampled_from([8.0, 9.0, 9.5, 10.0, 12.0, None]))
            found = {"value_as_number": value, "unit_concept_id": draw(st.sampled_from([8713, 8713, 8753]))}
            _record(base, "measurement", person, draw(_near(2)), zero + dt.timedelta(day), **found)
        for domain, concept in (("condition", 3), ("procedure", 4), ("observation", 5), ("drug", 6)):
            for day in draw(st.lists(st.sampled_from([-100, -15, -14, -10, -1, 0, 1]), max_size=2)):
                _record(base, domain, person, draw(_near(concept)), zero + dt.timedelta(day))
    concepts = sorted({*DESCENDANTS, *DESCENDANTS.values(), 99})
    base["concept"] = [{"concept_id": concept} for concept in concepts]
    base["concept_ancestor"] = [
        {"ancestor_concept_id": concept, "descendant_concept_id": other}
        for concept, found in DESCENDANTS.items()
        for other in (concept, found)
    ]
    return base


def _record(base: Database, domain: str, person: int, concept: int, day: dt.date, **more: Any) -> None:
    table, name, date = DOMAINS[domain]
    at = {f"{table}_id": sum(map(len, base.values())), "person_id": person, name: concept, date: day.isoformat()}
    base[table].append({**at, **more})


def _add(base: Database, table: str, person: int, days: Sequence[dt.date], *names: str) -> None:
    dated = {name: day.isoformat() for name, day in zip(names, days, strict=True)}
    base[table].append({f"{table}_id": len(base[table]), "person_id": person, **dated})


# -- criteria --------------------------------------------------------------------------------------------------------


@st.composite
def conditions(draw: st.DrawFn) -> Condition:
    """A condition on age, sex, the measurement or whether there was a record."""
    column = draw(st.sampled_from(["age", "sex", "hemoglobin", "hemoglobin", *list(CONCEPTS.columns)[1:]]))
    if column == "sex":
        key = draw(st.sampled_from(["one_of", "none_of"]))
        return Condition.model_validate({"column": "sex", key: draw(st.sampled_from([("M",), ("F",), ("M", "F")]))})
    if column not in ("age", "hemoglobin"):
        level = draw(st.sampled_from(["yes", "no"]))
        negative = Condition(column=column, none_of=("yes",))
        return draw(st.sampled_from([Condition(column=column, equals=level), negative]))
    scale = 1.0
    fields: dict[str, Any] = {"column": column, "unit": "a"}
    if column == "hemoglobin":
        fields["unit"], scale = draw(st.sampled_from([("g/dL", 1.0), ("g/L", 10.0)]))
    grid = [30, 40, 50, 60] if column == "age" else [8.5, 9, 9.5, 10, 11]
    low, high = sorted(draw(st.lists(st.sampled_from(grid), min_size=2, max_size=2, unique=True)))
    ends = draw(st.sampled_from([("at_least",), ("above",), ("at_most",), ("below",), ("at_least", "at_most"),
                                 ("above", "at_most"), ("at_least", "below")]))  # fmt: skip
    for end in ends:
        fields[end] = (low if end in ("at_least", "above") else high) * scale
    return Condition(**fields)


def expressions() -> st.SearchStrategy[Any]:
    """Conditions under and, or, not."""
    return st.recursive(
        conditions(),
        lambda inner: st.one_of(
            inner.map(lambda node: Negation(negated=node)),
            st.lists(inner, min_size=2, max_size=3).map(lambda nodes: AllOf(all=tuple(nodes))),
            st.lists(inner, min_size=2, max_size=3).map(lambda nodes: AnyOf(any=tuple(nodes))),
        ),
        max_leaves=4,
    )


@st.composite
def criteria(draw: st.DrawFn, policies: tuple[str, ...] = ("met", "not met", "unknown")) -> tuple[Criterion, ...]:
    """One to three criteria, inclusion and exclusion, with a policy for missing values each."""
    return tuple(
        Criterion.model_validate(
            {
                "id": f"C{at}",
                "kind": draw(st.sampled_from(["inclusion", "exclusion"])),
                "when": tuple(draw(st.lists(expressions(), min_size=1, max_size=2))),
                "missing": draw(st.sampled_from(policies)),
            }
        )
        for at in range(draw(st.integers(1, 3)))
    )


# -- whom screen finds -----------------------------------------------------------------------------------------------


def entries(base: Database) -> dict[int, str]:
    """Day of each person's first entry record within an observation period."""
    periods = base["observation_period"]
    found: dict[int, str] = {}
    for row in base["drug_exposure"]:
        person, day = row["person_id"], row["drug_exposure_start_date"]
        inside = any(
            period["observation_period_start_date"] <= day <= period["observation_period_end_date"]
            for period in periods
            if period["person_id"] == person
        )
        if inside and row["drug_concept_id"] in (1, DESCENDANTS[1]):
            found[person] = min(day, found.get(person, day))
    return found


def on_records(node: Any) -> Any:
    """The same question asked of the rows of the OMOP tables."""
    if isinstance(node, Negation):
        return Negation(negated=on_records(node.negated))
    if isinstance(node, AllOf):
        return AllOf(all=tuple(on_records(part) for part in node.all))
    if isinstance(node, AnyOf):
        return AnyOf(any=tuple(on_records(part) for part in node.any))
    if node.column not in CONCEPTS.columns:
        return node
    mapped = CONCEPTS.columns[node.column]
    table, name, _ = DOMAINS[mapped.domain]
    where: tuple[Any, ...] = (Condition(column=name, one_of=(mapped.concept, DESCENDANTS[mapped.concept])),)
    window = Window(first=mapped.window.first, last=mapped.window.last)
    if ranged(node):
        value = in_unit(node, "g/dL").model_copy(update={"column": "value_as_number", "unit": ""})
        known = Condition(column="value_as_number", present=True)
        where += (Condition(column="unit_concept_id", equals=8713), known)
        return Records(records=table, where=where, window=window, has=value)
    found = Records(records=table, where=where, window=window, absent="none")
    return found if node.equals == "yes" else Negation(negated=found)


def eligible(asked: Sequence[Criterion], base: Database) -> list[list[Any]]:
    """Person and time zero of everybody whom ``screen`` decides to be eligible, by person."""
    found = entries(base)
    people = {row["person_id"]: row for row in base["person"]}
    rows = [
        {
            "person_id": person,
            "zero": day,
            "age": int(day[:4]) - people[person]["year_of_birth"],
            "sex": SEXES[people[person]["gender_concept_id"]],
        }
        for person, day in sorted(found.items())
    ]
    patients = pd.DataFrame(rows, columns=["person_id", "zero", "age", "sex"]).set_index("person_id")
    tables = {"patients": TableSchema(columns={"zero": ColumnSchema(kind="date")}, id="person_id")}
    long = {}
    for table, name, day in DOMAINS.values():
        more = ["value_as_number", "unit_concept_id"] if table == "measurement" else []
        long[table] = pd.DataFrame(base[table], columns=["person_id", name, day, *more])
        columns = {day: ColumnSchema(kind="date"), **{column: ColumnSchema(kind="number") for column in (name, *more)}}
        tables[table] = TableSchema(columns=columns, id="person_id", time=day)
    schema = Schema(tables=tables, time_zero="zero")
    turned = [entry.model_copy(update={"when": tuple(map(on_records, entry.when))}) for entry in asked]
    screening = screen(turned, Tables(patients=patients, long=long, schema=schema))
    decisions = [DECISIONS[code] for code in screening.decision]
    return [
        [row["person_id"], row["zero"]] for row, decision in zip(rows, decisions, strict=True) if decision == "eligible"
    ]
