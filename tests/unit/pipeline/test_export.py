"""``export``: frozen or written criteria to a file; nothing is written under ``strict`` when something is lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from trialstrat import store
from trialstrat.criteria.frozen import FrozenCriteria, FrozenCriterion, fingerprint, to_mapping
from trialstrat.errors import IntegrityError, ProtocolError, StrictError, UsageError
from trialstrat.pipeline.export import export
from trialstrat.protocol.model import Condition, Variable

WRITTEN = """
study: S1
title: T
criteria:
- id: I1
  kind: inclusion
  text: Adult
  when: [{column: age, at_least: 18}]
- id: I2
  kind: inclusion
  text: Platelets
  when:
  - {records: lab, take: nearest, where: [{column: name, equals: PLT}], has: {column: value, at_least: 100}}
"""


@pytest.fixture
def criteria(tmp_path: Path) -> Path:
    frozen = FrozenCriteria(
        study="S1",
        version="1.0",
        title="T",
        evidence="exploratory",
        id_column="id",
        variables=(Variable(column="age", kind="continuous", unit="a"),),
        criteria=(
            FrozenCriterion(id="I1", kind="inclusion", text="Adult", when=(Condition(column="age", at_least=18),)),
        ),
    )
    frozen = frozen.model_copy(update={"fingerprint": fingerprint(frozen)})
    place = tmp_path / "run" / store.CRITERIA
    place.parent.mkdir()
    place.write_text(store.yaml_text(to_mapping(frozen)), encoding="utf-8")
    return place


@pytest.mark.parametrize("to", ["text", "csv", "usdm", "circe", "sql", "fhir", "ctml"])
def test_a_run_folder_exports_beside_itself_and_loses_nothing(criteria: Path, to: str) -> None:
    outcome = export(criteria.parent, to, strict=True)
    assert outcome.out.parent == criteria.parent.parent
    assert outcome.out.read_text(encoding="utf-8") == outcome.export.content
    assert outcome.to_dict()["losses"] == []
    assert sorted(path.name for path in criteria.parent.iterdir()) == [store.CRITERIA]


def test_strict_writes_nothing_when_something_is_lost(tmp_path: Path) -> None:
    file, out = tmp_path / "written.yaml", tmp_path / "out.json"
    file.write_text(WRITTEN, encoding="utf-8")
    with pytest.raises(StrictError, match="I2") as caught:
        export(file, "circe", out, True)
    assert caught.value.exit_code == 4
    assert not out.exists()
    lines = export(file, "circe", out).lines()
    assert any(line.startswith("Not carried: I2") for line in lines)
    assert out.exists()


def test_faults_are_named(tmp_path: Path, criteria: Path) -> None:
    with pytest.raises(UsageError, match="text, csv"):
        export(criteria, "word")
    edited = tmp_path / "edited.yaml"
    edited.write_text(criteria.read_text(encoding="utf-8").replace("18", "17"), encoding="utf-8")
    with pytest.raises(IntegrityError, match="edited"):
        export(edited, "text")
    edited.write_text(WRITTEN.replace("at_least: 18", "atleast: 18"), encoding="utf-8")
    with pytest.raises(ProtocolError, match=r"edited.yaml:\d+: .*atleast: unknown key, did you mean at_least"):
        export(edited, "text")
    concepts = tmp_path / "concepts.yaml"
    concepts.write_text("columns: {age: {domain: lab, concept: 1}}", encoding="utf-8")
    with pytest.raises(IntegrityError, match="domain"):
        export(criteria, "sql", concepts=concepts)
