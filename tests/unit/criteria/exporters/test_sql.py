"""The SQL on a small OMOP database selects exactly the persons that the evaluator admits."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd
import pytest

from trialstrat.cohort.language.evaluate import admitted
from trialstrat.cohort.language.tables import Tables
from trialstrat.criteria.exporters import EXPORTERS
from trialstrat.criteria.exporters.base import exportable
from trialstrat.criteria.exporters.concepts import ConceptMap
from trialstrat.protocol.language.criterion import CriteriaSet, Criterion
from trialstrat.protocol.language.grammar import parse
from trialstrat.protocol.language.schema import ColumnSchema, Schema, TableSchema

duckdb = pytest.importorskip("duckdb", reason="DuckDB is not installed")

ZERO = dt.date(2020, 3, 1)
LEVELS = {8507: "M", 8532: "F", 0: None}
CONCEPTS = ConceptMap.model_validate(
    {
        "entry": {"domain": "drug", "concept": 1},
        "columns": {
            "hemoglobin": {"domain": "measurement", "concept": 2, "unit": "g/dL"},
            "brain_metastases": {"domain": "condition", "concept": 3, "window": {"last": 0}},
        },
    }
)
POOL = [
    "age >= 40",
    "30 <= age < 60",
    'sex is "F"',
    'hemoglobin >= 90 "g/L"',
    'hemoglobin < 10 "g/dL" or age >= 50',
    'brain_metastases is "yes"',
    'not brain_metastases is "yes" and hemoglobin >= 9 "g/dL"',
]


def database(patients: pd.DataFrame, rng: np.random.Generator):
    """One measurement per patient who has one, and records around it that must not count."""
    base = duckdb.connect()
    base.execute("CREATE TABLE person (person_id INT, gender_concept_id INT, year_of_birth INT)")
    base.execute("CREATE TABLE drug_exposure (person_id INT, drug_concept_id INT, drug_exposure_start_date DATE)")
    base.execute(
        "CREATE TABLE measurement (person_id INT, measurement_concept_id INT, measurement_date DATE, "
        "value_as_number DOUBLE, unit_concept_id INT)"
    )
    base.execute(
        "CREATE TABLE condition_occurrence (person_id INT, condition_concept_id INT, condition_start_date DATE)"
    )
    base.execute("CREATE TABLE concept_ancestor (ancestor_concept_id INT, descendant_concept_id INT)")
    base.execute("INSERT INTO concept_ancestor VALUES (2, 22)")
    sexes = {level: concept for concept, level in LEVELS.items()}
    for name, row in patients.iterrows():
        base.execute("INSERT INTO person VALUES (?, ?, ?)", [name, sexes[row["sex"]], 2020 - int(row["age"])])
        base.execute("INSERT INTO drug_exposure VALUES (?, 1, ?), (?, 1, ?)", [name, ZERO, name, dt.date(2020, 6, 1)])
        values = [
            (22, ZERO - dt.timedelta(29), 1.0, 8713),
            (2, ZERO + dt.timedelta(1), 1.0, 8713),
            (2, ZERO, 1.0, 8753),
        ]
        if np.isfinite(row["hemoglobin"]):
            day = ZERO - dt.timedelta(int(rng.integers(0, 29)))
            values.append((int(rng.choice([2, 22])), day, float(row["hemoglobin"]), 8713))
        for concept, day, value, unit in values:
            base.execute("INSERT INTO measurement VALUES (?, ?, ?, ?, ?)", [name, concept, day, value, unit])
        day = ZERO if row["brain_metastases"] == "yes" else ZERO + dt.timedelta(5)
        base.execute("INSERT INTO condition_occurrence VALUES (?, 3, ?)", [name, day])
    return base


@pytest.mark.parametrize("seed", range(12))
def test_sql_selects_whom_the_evaluator_admits(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n = 40
    patients = pd.DataFrame(
        {
            "age": rng.integers(20, 80, n).astype(float),
            "sex": rng.choice(np.array(["M", "F", None], dtype=object), n),
            "hemoglobin": rng.choice([8.0, 9.0, 9.5, 10.0, 12.0, np.nan], n),
            "brain_metastases": rng.choice(["yes", "no"], n),
        },
        index=range(1, n + 1),
    )
    chosen = rng.choice(len(POOL), size=3, replace=False)
    criteria = tuple(
        Criterion(
            id=f"C{at}",
            kind=str(rng.choice(["inclusion", "exclusion"])),
            when=parse(POOL[at]),
            missing=str(rng.choice(["met", "not met", "unknown"])),
        )
        for at in chosen
    )
    schema = Schema(
        tables={
            "patients": TableSchema(
                columns={
                    "age": ColumnSchema(kind="number", unit="a"),
                    "hemoglobin": ColumnSchema(kind="number", unit="g/dL", analyte="hemoglobin"),
                }
            )
        }
    )
    expected = patients.index[admitted(criteria, Tables(patients=patients, schema=schema))].tolist()
    made = EXPORTERS["sql"](exportable(CriteriaSet(study="S", title="T", criteria=criteria), CONCEPTS))
    assert not made.losses
    found = database(patients, rng).execute(made.content).fetchall()
    assert [person for person, _ in found] == expected
    assert {day for _, day in found} <= {ZERO}
