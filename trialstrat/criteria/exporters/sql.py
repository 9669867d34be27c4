"""SQL on the OMOP common data model: the persons who pass, in the dialect that DuckDB and PostgreSQL share.

SQL's own three values are the language's: a condition on a missing value is NULL, ``AND`` and ``OR`` are Kleene's, and
a criterion passes when it is true, or NULL where it admits missing values. Everything interpolated is a number that
was parsed as one, or a criterion's id, which cannot hold a quote.
"""

from __future__ import annotations

from typing import Any, Final

from trialstrat.criteria.exporters.base import Export, Exportable
from trialstrat.criteria.exporters.concepts import UNIT_CONCEPTS, Concept
from trialstrat.criteria.exporters.omop import (
    BOUNDS,
    Age,
    Measured,
    Sex,
    carried,
    notes,
    question,
    tree,
    whole_days,
)
from trialstrat.protocol.language.criterion import Criterion
from trialstrat.protocol.language.model import Condition
from trialstrat.protocol.language.text import number_text

#: Table, concept column and date column of each domain.
_DOMAINS: Final = {
    "measurement": ("measurement", "measurement_concept_id", "measurement_date"),
    "condition": ("condition_occurrence", "condition_concept_id", "condition_start_date"),
    "drug": ("drug_exposure", "drug_concept_id", "drug_exposure_start_date"),
    "procedure": ("procedure_occurrence", "procedure_concept_id", "procedure_date"),
    "observation": ("observation", "observation_concept_id", "observation_date"),
}
_SIGNS = {key: sign for key, _, sign in BOUNDS}
_AGE = "(date_part('year', t.start_date) - p.year_of_birth)"


def sql(source: Exportable) -> Export:
    """A query that returns ``person_id`` and ``start_date`` of the persons who pass every criterion."""

    def leaf(node: Condition, negated: bool) -> str:
        return f"{'NOT ' if negated else ''}{_leaf(node, source)}"

    def write(entry: Criterion, node: Any) -> str:
        text = tree(node, leaf, lambda kind, parts: f"({(' AND ' if kind == 'all' else ' OR ').join(parts)})")
        passes = f"COALESCE({text}, TRUE)" if entry.admits_missing else text
        return f"  -- {entry.id} ({entry.kind})\n  AND {passes}"

    clauses, losses = carried(source, write)
    entry = source.concepts.entry
    body = "\n".join(
        (
            "WITH entry AS (",
            f"  {_entry(entry)}",
            ")",
            "SELECT p.person_id, t.start_date",
            "FROM person p",
            "JOIN entry t ON t.person_id = p.person_id",
            "WHERE TRUE",
            *clauses,
            "ORDER BY p.person_id;",
            "",
        )
    )
    return Export(content=body, suffix="omop.sql", losses=tuple(losses), notes=notes(source))


def _entry(entry: Concept | None) -> str:
    if entry is None:
        first = "MIN(observation_period_start_date) AS start_date"
        return f"SELECT person_id, {first} FROM observation_period GROUP BY person_id"
    table, concept, day = _DOMAINS[entry.domain]
    return (
        f"SELECT x.person_id, MIN(x.{day}) AS start_date FROM {table} x "
        "JOIN observation_period o ON o.person_id = x.person_id "
        f"AND x.{day} BETWEEN o.observation_period_start_date AND o.observation_period_end_date "
        f"WHERE {_among(f'x.{concept}', entry)} GROUP BY x.person_id"
    )


def _leaf(node: Condition, source: Exportable) -> str:
    asked = question(node, source)
    if isinstance(asked, Age):
        return f"({_range(_AGE, asked.bounds)})"
    if isinstance(asked, Sex):
        word = "NOT IN" if asked.excluded else "IN"
        return f"(NULLIF(p.gender_concept_id, 0) {word} ({', '.join(map(str, asked.concepts))}))"
    table, concept, day = _DOMAINS[asked.concept.domain]
    where = [f"x.person_id = p.person_id AND {_among(f'x.{concept}', asked.concept)}"]
    first, last = whole_days(asked.concept)
    where += [
        f"x.{day} {sign} t.start_date + ({end})" for sign, end in ((">=", first), ("<=", last)) if end is not None
    ]
    if not isinstance(asked, Measured):
        return f"({'' if asked.present else 'NOT '}EXISTS (SELECT 1 FROM {table} x WHERE {' AND '.join(where)}))"
    where += [f"x.unit_concept_id = {UNIT_CONCEPTS[asked.concept.unit]}", "x.value_as_number IS NOT NULL"]
    # of no row it is NULL: not measured is unknown
    holds = _range("x.value_as_number", asked.bounds)
    return f"(SELECT bool_or({holds}) FROM {table} x WHERE {' AND '.join(where)})"


def _range(subject: str, bounds: tuple[tuple[str, float], ...]) -> str:
    return " AND ".join(f"{subject} {_SIGNS[key]} {number_text(value)}" for key, value in bounds)


def _among(column: str, concept: Concept) -> str:
    """The concept or one of its descendants."""
    return (
        f"({column} = {concept.concept} OR {column} IN "
        f"(SELECT descendant_concept_id FROM concept_ancestor WHERE ancestor_concept_id = {concept.concept}))"
    )
