"""Exported to an OMOP database, criteria select exactly the persons whom ``screen`` finds eligible."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, event, given, settings

from tests.helpers.omop import CONCEPTS, Database, criteria, databases, eligible
from tests.oracles.ask_circe import TABLES
from tests.oracles.peers import Peer, started
from trialstrat.criteria.exporters import EXPORTERS
from trialstrat.criteria.exporters.base import Export, exportable
from trialstrat.protocol.language.criterion import CriteriaSet, Criterion

duckdb = pytest.importorskip("duckdb", reason="DuckDB is not installed")

SLOW = (HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.filter_too_much)


def exported(to: str, asked: tuple[Criterion, ...]) -> Export:
    return EXPORTERS[to](exportable(CriteriaSet(study="S", title="T", criteria=asked), CONCEPTS))


def selected(sql: str, base: Database) -> list[list[object]]:
    connection = duckdb.connect()
    for name, columns in TABLES.items():
        connection.execute(f"CREATE TABLE {name} ({columns})")
    for name, rows in base.items():
        for row in rows:
            marks = ", ".join("?" * len(row))
            connection.execute(f"INSERT INTO {name} ({', '.join(row)}) VALUES ({marks})", [*row.values()])
    found = connection.execute(sql).fetchall()
    connection.close()
    return [[person, str(day)[:10]] for person, day in found]


@given(databases(), criteria())
@settings(max_examples=150, deadline=None, suppress_health_check=SLOW)
def test_the_sql_selects_whom_screen_finds_eligible(base: Database, asked: tuple[Criterion, ...]) -> None:
    made = exported("sql", asked)
    assert not made.losses
    found = selected(made.content, base)
    event(f"{'somebody' if found else 'nobody'} of {'some' if base['drug_exposure'] else 'none'}")
    assert found == eligible(asked, base)


@pytest.fixture(scope="module")
def circe() -> Iterator[Peer]:
    peer = started("circe")
    yield peer
    peer.close()


# most of a second goes into writing and translating the statements: more persons cost nothing
@given(base=databases(most=20), asked=criteria(policies=("unknown", "unknown", "not met")))
@settings(max_examples=30, deadline=None, suppress_health_check=SLOW)
def test_the_sql_that_circepy_makes_selects_whom_screen_finds_eligible(
    circe: Peer, base: Database, asked: tuple[Criterion, ...]
) -> None:
    lost = {loss.criterion for loss in exported("circe", asked).losses}
    carried = tuple(entry for entry in asked if entry.id not in lost)
    event(f"{len(carried)} criteria carried")
    made = exported("circe", carried)
    assert not made.losses
    found = circe.ask(do="select", text=made.content, tables=base)
    event("somebody" if found else "nobody")
    assert found == eligible(carried, base)
