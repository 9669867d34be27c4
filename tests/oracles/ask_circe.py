"""Answers with circepy: a cohort definition checked, printed, and executed on a small OMOP database."""

from __future__ import annotations

from typing import Any

#: Columns that the generated statements name beside those a test fills.
TABLES = {
    "person": "person_id BIGINT, gender_concept_id INT, year_of_birth INT",
    "observation_period": "observation_period_id BIGINT, person_id BIGINT, observation_period_start_date DATE, "
    "observation_period_end_date DATE, period_type_concept_id INT",
    "measurement": "measurement_id BIGINT, person_id BIGINT, measurement_concept_id INT, measurement_date DATE, "
    "value_as_number DOUBLE, unit_concept_id INT, range_low DOUBLE, range_high DOUBLE, visit_occurrence_id BIGINT",
    "condition_occurrence": "condition_occurrence_id BIGINT, person_id BIGINT, condition_concept_id INT, "
    "condition_start_date DATE, condition_end_date DATE, visit_occurrence_id BIGINT",
    "drug_exposure": "drug_exposure_id BIGINT, person_id BIGINT, drug_concept_id INT, drug_exposure_start_date DATE, "
    "drug_exposure_end_date DATE, days_supply INT, quantity DOUBLE, refills INT, visit_occurrence_id BIGINT",
    "procedure_occurrence": "procedure_occurrence_id BIGINT, person_id BIGINT, procedure_concept_id INT, "
    "procedure_date DATE, quantity INT, visit_occurrence_id BIGINT",
    "observation": "observation_id BIGINT, person_id BIGINT, observation_concept_id INT, observation_date DATE, "
    "value_as_number DOUBLE, value_as_string VARCHAR, value_as_concept_id INT, unit_concept_id INT, "
    "visit_occurrence_id BIGINT",
    "concept": "concept_id INT, invalid_reason VARCHAR",
    "concept_ancestor": "ancestor_concept_id INT, descendant_concept_id INT",
    "concept_relationship": "concept_id_1 INT, concept_id_2 INT, relationship_id VARCHAR, invalid_reason VARCHAR",
    "cohort": "cohort_definition_id INT, subject_id BIGINT, cohort_start_date DATE, cohort_end_date DATE",
}


def _expression(text: str) -> Any:
    from circe import CohortExpression

    return CohortExpression.model_validate_json(text)


def check(text: str) -> list[list[str]]:
    """Severity and words of every warning."""
    from circe.check.checker import Checker

    return [[str(entry.severity), entry.to_message()] for entry in Checker().check(_expression(text))]


def printed(text: str) -> str:
    """The definition in words."""
    from circe.api import cohort_print_friendly

    return cohort_print_friendly(_expression(text))


def statements(text: str) -> list[str]:
    """Its SQL for DuckDB, statement by statement."""
    from circe.api import build_cohort_query
    from circe.cohortdefinition import BuildExpressionQueryOptions
    from circe.sqlrender import render, split_sql, translate

    options = BuildExpressionQueryOptions()
    options.cdm_schema = options.vocabulary_schema = options.result_schema = "main"
    options.target_table = "main.cohort"
    options.cohort_id = 1
    options.generate_stats = False
    sql = translate(render(build_cohort_query(_expression(text), options)), "duckdb")
    return [part for part in split_sql(sql) if part.strip()]


def select(text: str, tables: dict[str, list[dict[str, Any]]]) -> list[list[Any]]:
    """Person and start date of the cohort in a database with these rows, by person."""
    import duckdb

    base = duckdb.connect()
    for name, columns in TABLES.items():
        base.execute(f"CREATE TABLE {name} ({columns})")
    for name, rows in tables.items():
        for row in rows:
            base.execute(f"INSERT INTO {name} ({', '.join(row)}) VALUES ({', '.join('?' * len(row))})", [*row.values()])
    for statement in statements(text):
        base.execute(statement)
    found = base.execute("SELECT subject_id, cohort_start_date FROM cohort ORDER BY subject_id").fetchall()
    base.close()
    return [[person, str(start)] for person, start in found]


if __name__ == "__main__":
    from answering import answer

    answer({"check": check, "printed": printed, "statements": statements, "select": select})
