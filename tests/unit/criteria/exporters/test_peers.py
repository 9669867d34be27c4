"""The peers' own tools read what we write: usdm4, fhir.resources, circepy, each in an environment of its own."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.oracles.peers import Peer, started
from tests.unit.criteria.exporters.test_formats import LINES, SHARED, made

#: Rules of the Digital Data Flow about what criteria say nothing of: what breaks them is added in the study builder.
BEYOND_CRITERIA = {
    "DDF00012": "main timeline",
    "DDF00041": "primary endpoint",
    "DDF00084": "primary objective",
    "DDF00101": "procedure with an intervention",
    "DDF00172": "sponsor's identifier",
    "DDF00201": "sponsor",
    "DDF00214": "intent",
    "DDF00215": "sub type",
    "DDF00216": "intervention model",
    "DDF00217": "blinding",
    "DDF00218": "characteristics of the design",
    "DDF00229": "phase",
}
PLANNED_AGE = "DDF00097"
AGED = (*LINES[1:], ("I3", "inclusion", '18 <= age <= 75 "a"', "unknown"))
EVERY_KIND = (
    *LINES,
    ("I3", "inclusion", "mutation of EGFR", "unknown"),
    ("I4", "inclusion", '(nearest lab where name is "PLT" from day -28 to day 0 has value >= 100 "10*9/L")', "unknown"),
    ("I5", "inclusion", "1 <= <b> & `odd name` <= 2".replace("<b> & ", ""), "met"),
    ("E3", "exclusion", 'ecog in (3, 4) or stage not in ("I", "II")', "not met"),
    ("I6", "inclusion", "", "unknown"),
)


@pytest.fixture(scope="module")
def usdm() -> Iterator[Peer]:
    peer = started("usdm")
    yield peer
    peer.close()


@pytest.fixture(scope="module")
def fhir() -> Iterator[Peer]:
    peer = started("fhir")
    yield peer
    peer.close()


@pytest.fixture(scope="module")
def circe() -> Iterator[Peer]:
    peer = started("circe")
    yield peer
    peer.close()


def published(folder: str, pattern: str) -> list[Path]:
    """Files beside the project; none where they are not there, which is one skipped test."""
    return sorted((SHARED / folder).glob(pattern))


# -- CDISC -----------------------------------------------------------------------------------------------------------


def test_usdm4_reads_a_study_with_every_criterion_as_its_own_model(usdm: Peer) -> None:
    found = usdm.ask(do="load", text=made("usdm", *EVERY_KIND).content)
    assert found["design"] == "InterventionalStudyDesign"
    assert (found["name"], found["title"]) == ("S1", "T & U")
    for kind in ("inclusion", "exclusion"):
        assert found[kind] == [f"<p>Sentence {line[0]}</p>" for line in EVERY_KIND if line[1] == kind]
    assert (found["sex"], found["age"]) == (["Female"], None)


def test_usdm4_finds_who_is_planned_in_the_criteria(usdm: Peer) -> None:
    found = usdm.ask(do="load", text=made("usdm", *AGED).content)
    assert (found["sex"], found["age"]) == (["Female"], [18, 75])
    anybody = usdm.ask(do="load", text=made("usdm", ("E1", "exclusion", 'sex is "female"', "not met")).content)
    assert anybody["sex"] == ["Both"]
    men = usdm.ask(do="load", text=made("usdm", ("E1", "exclusion", 'sex is "female"', "unknown")).content)
    assert men["sex"] == ["Male"]


@pytest.mark.parametrize(("lines", "more"), [(EVERY_KIND, {PLANNED_AGE}), (AGED, set())])
def test_usdm4_finds_no_rule_broken_but_those_about_what_criteria_do_not_say(usdm: Peer, lines, more) -> None:
    export = made("usdm", *lines)
    found = usdm.ask(do="broken", text=export.content)
    assert {row["rule_id"] for row in found} == {*BEYOND_CRITERIA, *more}, found
    assert {row["status"] for row in found} == {"Failure"}
    assert ("planned age" in " ".join(export.notes)) == bool(more)


def test_usdm4_sees_a_broken_link_and_a_wrong_code(usdm: Peer) -> None:
    body = json.loads(made("usdm", *LINES).content)
    first, second, *_ = body["study"]["versions"][0]["studyDesigns"][0]["eligibilityCriteria"]
    first["category"]["decode"] = "Inclusion"
    second["criterionItemId"] = "EligibilityCriterionItem_9"
    found = {row["rule_id"] for row in usdm.ask(do="broken", text=json.dumps(body))}
    assert found - {*BEYOND_CRITERIA, PLANNED_AGE} == {"DDF00035", "DDF00249"}


@pytest.mark.parametrize("name", ["CDISC_Pilot_Study", "EliLilly_NCT03421379_Diabetes", "Alexion_NCT04573309_Wilsons"])
def test_usdm4_reads_the_published_studies_the_same_way(usdm: Peer, name: str) -> None:
    for file in published("usdm_protocols", f"{name}.json.gz"):
        with gzip.open(file, "rt", encoding="utf-8") as text:
            found = usdm.ask(do="load", text=text.read())
        assert found["inclusion"]
        assert found["exclusion"]
        return
    pytest.skip("the published protocols are not beside the project")


# -- HL7 -------------------------------------------------------------------------------------------------------------


def test_fhir_resources_reads_the_group_and_the_study_and_loses_nothing(fhir: Peer) -> None:
    molecular = ("I6", "inclusion", 'mutation of EGFR and tmb >= 10 and msi in ("MSS")', "unknown")
    text = made("fhir", *LINES, ("I5", "inclusion", '50 <= weight <= 120 "kg"', "unknown"), molecular).content
    found = fhir.ask(do="load", text=text)
    assert found == [entry["resource"] for entry in json.loads(text)["entry"]]
    assert [entry["resourceType"] for entry in found] == ["ResearchStudy", "Group"]
    assert len(found[1]["characteristic"]) == 8


@pytest.mark.parametrize("lines", [(("I9", "inclusion", "", "unknown"),), EVERY_KIND])
def test_fhir_resources_reads_a_group_that_cannot_state_everything(fhir: Peer, lines) -> None:
    group = fhir.ask(do="load", text=made("fhir", *lines).content)[1]
    assert all(f"- {line[0]} ({line[1]}): Sentence {line[0]}" in group["description"] for line in lines)


def test_fhir_resources_refuses_a_group_with_a_wrong_field(fhir: Peer) -> None:
    text = made("fhir", *LINES).content.replace('"membership"', '"actual"')
    with pytest.raises(AssertionError, match="actual"):
        fhir.ask(do="load", text=text)


# -- OHDSI -----------------------------------------------------------------------------------------------------------


def test_circepy_reads_prints_and_checks_a_definition(circe: Peer) -> None:
    text = made("circe", *LINES).content
    words = circe.ask(do="printed", text=text)
    for said in ("I1 (inclusion)", "18 years", "female", "creatinine", "umol/l", "brain_metastases", "entry event"):
        assert said in words
    assert not [entry for entry in circe.ask(do="check", text=text) if entry[0].endswith(("ERROR", "CRITICAL"))]
    assert any("value_as_number" in part for part in circe.ask(do="statements", text=text))


def test_circepy_refuses_a_definition_with_a_wrong_field(circe: Peer) -> None:
    text = made("circe", *LINES).content.replace('"Count": 1', '"Count": "many"')
    with pytest.raises(AssertionError, match=r"[Cc]ount"):
        circe.ask(do="statements", text=text)


def test_circepy_reads_the_published_definitions_the_same_way(circe: Peer) -> None:
    files = published("eligibility_definitions", "circe/cohort_*.json")
    if not files:
        pytest.skip("the published definitions are not beside the project")
    assert len(files) == 4
    for file in files:
        assert circe.ask(do="statements", text=file.read_text(encoding="utf-8"))
