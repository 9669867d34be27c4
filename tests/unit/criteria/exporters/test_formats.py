"""Every format holds what it says, refuses what it cannot hold, and looks like the published examples."""

from __future__ import annotations

import csv
import gzip
import io
import json
from pathlib import Path

import pytest

from trialstrat.criteria.exporters import EXPORTERS
from trialstrat.criteria.exporters.base import Export, Exportable, exportable
from trialstrat.criteria.exporters.concepts import ConceptMap
from trialstrat.criteria.frozen import FrozenCriteria, FrozenCriterion
from trialstrat.criteria.protocol_text import from_protocol_text
from trialstrat.protocol.language.criterion import CriteriaSet, Criterion
from trialstrat.protocol.language.grammar import parse
from trialstrat.protocol.model import Condition, Variable
from trialstrat.protocol.tree import parse as parse_yaml

SHARED = Path(__file__).parents[4].parent / "shared" / "data"
CONCEPTS = ConceptMap.model_validate(
    {
        "entry": {"domain": "drug", "concept": 1},
        "columns": {
            "creatinine": {"domain": "measurement", "concept": 3016723, "unit": "umol/L"},
            "brain_metastases": {"domain": "condition", "concept": 200, "window": {"last": 0}},
        },
    }
)


def made(to: str, *lines: tuple[str, str, str, str], concepts: ConceptMap = CONCEPTS) -> Export:
    criteria = tuple(
        Criterion(id=name, kind=kind, text=f"Sentence {name}", when=parse(text) if text else (), missing=missing)
        for name, kind, text, missing in lines
    )
    return EXPORTERS[to](exportable(CriteriaSet(study="S1", title="T & U", criteria=criteria), concepts))


LINES = (
    ("I1", "inclusion", "age >= 18", "unknown"),
    ("I2", "inclusion", 'sex in ("female")', "unknown"),
    ("E1", "exclusion", 'creatinine > 1.5 "mg/dL"', "unknown"),
    ("E2", "exclusion", 'brain_metastases is "yes"', "unknown"),
)


@pytest.mark.parametrize("to", EXPORTERS)
def test_a_criterion_for_people_is_never_dropped_silently(to: str) -> None:
    found = made(to, *LINES, ("I9", "inclusion", "", "unknown"))
    lost = {loss.criterion for loss in found.losses}
    assert "Sentence I9" in found.content or "I9" in lost
    assert "I9" in lost or to in ("text", "csv", "usdm")


def test_frozen_criteria_bring_labels_units_and_evidence() -> None:
    frozen = FrozenCriteria(
        study="S1",
        version="2.0",
        title="T",
        evidence="exploratory",
        id_column="id",
        variables=(Variable(column="plt", label="Platelets", kind="continuous", unit="10*9/L"),),
        criteria=(
            FrozenCriterion(
                id="R1",
                kind="inclusion",
                text="Platelets",
                when=(Condition(column="plt", at_least=100),),
                evidence="held out",
            ),
        ),
    )
    source = exportable(frozen)
    assert isinstance(source, Exportable)
    group = json.loads(EXPORTERS["fhir"](source).content)["entry"][1]["resource"]
    (characteristic,) = group["characteristic"]
    assert characteristic["code"] == {"text": "Platelets"}
    assert characteristic["valueQuantity"] == {
        "value": 100.0,
        "comparator": ">=",
        "unit": "10*9/L",
        "system": "http://unitsofmeasure.org",
        "code": "10*9/L",
    }
    assert "held out" in EXPORTERS["csv"](source).content
    assert "held out" in EXPORTERS["usdm"](source).content


# -- people ----------------------------------------------------------------------------------------------------------


def test_text_reads_back_and_csv_has_a_row_each() -> None:
    text = made("text", *LINES)
    assert [entry.id for entry in from_protocol_text(text.content).criteria] == ["I1", "I2", "E1", "E2"]
    rows = list(csv.DictReader(io.StringIO(made("csv", *LINES).content)))
    assert [row["condition"] for row in rows] == [line[2] for line in LINES]
    assert not text.losses


# -- USDM ------------------------------------------------------------------------------------------------------------


def test_usdm_links_every_criterion_to_its_text() -> None:
    body = json.loads(made("usdm", *LINES).content)
    version = body["study"]["versions"][0]
    design = version["studyDesigns"][0]
    items = {item["id"]: item["text"] for item in version["eligibilityCriterionItems"]}
    criteria = design["eligibilityCriteria"]
    assert design["population"]["criterionIds"] == [entry["id"] for entry in criteria]
    assert [items[entry["criterionItemId"]] for entry in criteria] == [f"<p>Sentence {line[0]}</p>" for line in LINES]
    assert [entry["category"]["code"] for entry in criteria] == ["C25532", "C25532", "C25370", "C25370"]
    assert [entry["nextId"] for entry in criteria] == [*(entry["id"] for entry in criteria[1:]), None]
    texts = [
        {x["url"].rpartition(":")[2]: x["valueString"] for x in entry["extensionAttributes"]} for entry in criteria
    ]
    assert [parse(text["condition"]) for text in texts] == [parse(line[2]) for line in LINES]


@pytest.mark.skipif(
    not (SHARED / "usdm_protocols").exists(), reason="the published protocols are not beside the project"
)
@pytest.mark.parametrize("name", ["CDISC_Pilot_Study", "EliLilly_NCT03421379_Diabetes", "Alexion_NCT04573309_Wilsons"])
def test_usdm_has_the_keys_of_the_published_protocols(name: str) -> None:
    with gzip.open(SHARED / "usdm_protocols" / f"{name}.json.gz") as file:
        published = json.load(file)
    ours = json.loads(made("usdm", *LINES).content)
    assert ours.keys() == published.keys()
    assert ours["usdmVersion"] == published["usdmVersion"]
    theirs, mine = (body["study"]["versions"][0] for body in (published, ours))
    assert mine.keys() <= theirs.keys()
    assert mine["eligibilityCriterionItems"][0].keys() == theirs["eligibilityCriterionItems"][0].keys()
    design, own = theirs["studyDesigns"][0], mine["studyDesigns"][0]
    assert own.keys() <= design.keys()
    assert own["population"].keys() <= design["population"].keys()
    assert own["eligibilityCriteria"][0].keys() == design["eligibilityCriteria"][0].keys()
    codes = {(entry["category"]["code"], entry["category"]["decode"]) for entry in design["eligibilityCriteria"]}
    assert codes <= {(entry["category"]["code"], entry["category"]["decode"]) for entry in own["eligibilityCriteria"]}


# -- Circe -----------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(
    not (SHARED / "eligibility_definitions").exists(), reason="the published definitions are not beside the project"
)
def test_circe_has_the_keys_of_a_published_definition() -> None:
    published = json.loads((SHARED / "eligibility_definitions" / "circe" / "cohort_3.json").read_text(encoding="utf-8"))
    ours = json.loads(made("circe", *LINES).content)
    assert ours.keys() == published.keys()
    rule, own = published["InclusionRules"][0], ours["InclusionRules"][0]
    assert rule.keys() <= own.keys()
    assert own["expression"].keys() == rule["expression"].keys()
    age = own["expression"]["DemographicCriteriaList"][0]["Age"]
    assert age == {"Value": 18, "Op": "gte"}
    gender = ours["InclusionRules"][1]["expression"]["DemographicCriteriaList"][0]["Gender"][0]
    assert (
        gender.keys() == published["InclusionRules"][1]["expression"]["DemographicCriteriaList"][0]["Gender"][0].keys()
    )
    assert gender["CONCEPT_ID"] == 8532


def test_circe_asks_the_opposite_of_an_exclusion_in_the_unit_of_the_concept() -> None:
    body = json.loads(made("circe", *LINES).content)
    _, asked = body["InclusionRules"][2]["expression"]["CriteriaList"]
    measured = asked["Criteria"]["Measurement"]
    assert measured["ValueAsNumber"] == {"Value": pytest.approx(132.6, abs=0.1), "Op": "lte"}
    assert measured["Unit"][0]["CONCEPT_ID"] == 8749
    assert asked["StartWindow"]["Start"] == {"Days": 28, "Coeff": -1}
    assert asked["StartWindow"]["End"] == {"Days": 0, "Coeff": 1}
    assert asked["Occurrence"] == {"Type": 2, "Count": 1}
    (none,) = body["InclusionRules"][3]["expression"]["CriteriaList"]
    assert none["Occurrence"] == {"Type": 0, "Count": 0}
    assert none["StartWindow"]["Start"] == {"Coeff": -1}
    sets = {entry["id"]: entry["expression"]["items"][0]["concept"]["CONCEPT_ID"] for entry in body["ConceptSets"]}
    assert sets[measured["CodesetId"]] == 3016723
    assert sets[body["PrimaryCriteria"]["CriteriaList"][0]["DrugExposure"]["CodesetId"]] == 1


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (("I1", "inclusion", "ecog <= 1", "unknown"), "no OMOP concept"),
        (("I1", "inclusion", "creatinine <= 1.5", "unknown"), "without a unit"),
        (("I1", "inclusion", 'creatinine <= 1.5 "U/L"', "unknown"), "different things"),
        (("I1", "inclusion", "age >= 18.5", "unknown"), "whole years"),
        (("I1", "inclusion", "mutation of EGFR", "unknown"), "molecular"),
        (("I1", "inclusion", "(any lab)", "unknown"), "long tables"),
        (("I1", "inclusion", 'brain_metastases is "maybe"', "unknown"), "yes or no"),
    ],
)
@pytest.mark.parametrize("to", ["circe", "sql"])
def test_what_omop_cannot_hold_is_listed(to: str, line: tuple, reason: str) -> None:
    (loss,) = made(to, line).losses
    assert loss.criterion == "I1"
    assert reason in loss.reason


def test_circe_compares_with_four_decimals_and_says_where_that_moves_a_threshold() -> None:
    lost = made("circe", ("I1", "inclusion", 'creatinine <= 1.5 "mg/dL"', "unknown")).losses
    assert [loss.text() for loss in lost] == [
        "I1: Circe compares values with four decimals: 132.602546 is taken as 132.6025 umol/L"
    ]
    assert not made("circe", ("I1", "inclusion", 'creatinine <= 132.5 "umol/L"', "unknown")).losses


def test_an_exclusion_by_value_is_that_no_value_meets_it_and_that_there_is_one() -> None:
    body = json.loads(made("circe", ("E1", "exclusion", 'creatinine > 150 "umol/L"', "unknown")).content)
    none, some = body["InclusionRules"][0]["expression"]["CriteriaList"]
    assert none["Occurrence"] == {"Type": 0, "Count": 0}
    assert none["Criteria"]["Measurement"]["ValueAsNumber"] == {"Value": 150.0, "Op": "gt"}
    assert some["Occurrence"] == {"Type": 2, "Count": 1}
    assert some["Criteria"]["Measurement"]["ValueAsNumber"] == {"Value": 150.0, "Op": "lte"}


def test_circe_lists_missing_values_that_are_admitted() -> None:
    assert "missing" in made("circe", ("I1", "inclusion", "age >= 18", "met")).losses[0].reason
    assert not made("circe", ("I1", "inclusion", "age >= 18", "not met")).losses


# -- FHIR ------------------------------------------------------------------------------------------------------------


def test_fhir_group_and_study() -> None:
    found = made("fhir", *LINES, ("I5", "inclusion", '50 <= weight <= 120 "kg"', "unknown"))
    study, group = (entry["resource"] for entry in json.loads(found.content)["entry"])
    assert study["recruitment"]["eligibility"]["reference"] == json.loads(found.content)["entry"][1]["fullUrl"]
    assert (group["membership"], group["type"]) == ("definitional", "person")
    values = [(entry["code"]["text"], entry["exclude"]) for entry in group["characteristic"]]
    assert values == [
        ("age", False), ("sex", False), ("creatinine", False), ("brain_metastases", True), ("weight", False),
    ]  # fmt: skip
    assert group["characteristic"][2]["valueQuantity"]["comparator"] == "<="
    assert group["characteristic"][4]["valueRange"]["low"]["value"] == 50
    assert not found.losses


@pytest.mark.skipif(
    not (SHARED / "eligibility_definitions").exists(), reason="the published studies are not beside the project"
)
def test_fhir_study_has_the_keys_of_the_published_studies_of_the_next_release_too() -> None:
    files = sorted((SHARED / "eligibility_definitions" / "fhir").glob("ResearchStudy-*.json"))
    assert len(files) == 2
    study = json.loads(made("fhir", *LINES).content)["entry"][0]["resource"]
    for file in files:
        published = json.loads(file.read_text(encoding="utf-8"))
        assert study.keys() <= published.keys()
        own, theirs = (body["recruitment"]["eligibility"] for body in (study, published))
        assert own.keys() <= theirs.keys()
        assert own["type"] == theirs["type"]


@pytest.mark.parametrize(
    "text",
    [
        "a is known",
        "ecog in (0, 1)",
        "a >= 1 or b >= 1",
        "(any lab)",
        'msi in ("MSI-H", "MSI-L")',
        "not 1 <= tmb <= 2",
        "a < b",
        "18 <= age",
    ],
)
def test_fhir_lists_what_a_group_cannot_state(text: str) -> None:
    if text == "18 <= age":
        assert "met" in made("fhir", ("I1", "inclusion", "age >= 18", "met")).losses[0].reason
    else:
        assert [loss.criterion for loss in made("fhir", ("I1", "inclusion", text, "unknown")).losses] == ["I1"]


def test_fhir_states_molecular_events() -> None:
    found = made(
        "fhir",
        ("I1", "inclusion", 'mutation of EGFR class ("Missense_Mutation") change "p.L858R"', "unknown"),
        ("E1", "exclusion", "mutation of KRAS", "unknown"),
        ("I2", "inclusion", "tmb >= 10", "unknown"),
        ("E2", "exclusion", 'msi in ("MSS", "MSI-L")', "unknown"),
        ("E3", "exclusion", "copy_number of ERBB2 >= 2 or expression of CD274 < 1", "unknown"),
    )
    assert not found.losses
    group = json.loads(found.content)["entry"][1]["resource"]
    told = [
        (entry["code"]["text"], entry["code"].get("coding", [{}])[0].get("code"), entry["exclude"])
        for entry in group["characteristic"]
    ]
    assert told == [
        ("EGFR variant, Missense_Mutation, p.L858R", "69548-6", False),
        ("KRAS variant", "69548-6", True),
        ("tumour mutational burden", "94076-7", False),
        ("microsatellite instability", "81695-9", True),
        ("microsatellite instability", "81695-9", True),
        ("copy number of ERBB2", None, False),
        ("expression of CD274", None, False),
    ]
    values = [entry.get("valueQuantity", {}) for entry in group["characteristic"]]
    assert [(value["comparator"], value["value"]) for value in values if value] == [(">=", 10), ("<", 2), (">=", 1)]


# -- CTML ------------------------------------------------------------------------------------------------------------


def test_ctml_tree() -> None:
    found = made(
        "ctml",
        ("I1", "inclusion", "18 <= age < 75", "unknown"),
        ("I2", "inclusion", 'mutation of EGFR change "p.L858R" or mutation of KRAS', "unknown"),
        ("E1", "exclusion", "mutation of TP53", "unknown"),
        ("E2", "exclusion", "ecog >= 2", "unknown"),
    )
    assert [loss.criterion for loss in found.losses] == ["E2"]
    body = parse_yaml(found.content, "x.yml").value
    (match,) = body["treatment_list"]["step"][0]["match"]
    assert json.loads(json.dumps(match)) == {
        "and": [
            {"and": [{"clinical": {"age_numerical": ">=18"}}, {"clinical": {"age_numerical": "<75"}}]},
            {
                "or": [
                    {
                        "genomic": {
                            "hugo_symbol": "EGFR",
                            "variant_category": "Mutation",
                            "protein_change": "p.L858R",
                        }
                    },
                    {"genomic": {"hugo_symbol": "KRAS", "variant_category": "Mutation"}},
                ]
            },
            {"genomic": {"hugo_symbol": "TP53", "variant_category": "!Mutation"}},
        ]
    }
    assert [entry["id"] for entry in body["eligibility"]] == ["I1", "I2", "E1", "E2"]


@pytest.mark.parametrize(
    ("text", "calls"),
    [
        ("copy_number of ERBB2 >= 2", ["High Amplification"]),
        ("copy_number of ERBB2 > 0", ["Gain", "High Amplification"]),
        ("copy_number of CDKN2A <= -1", ["Homozygous Deletion", "Heterozygous Deletion"]),
        ("copy_number of CDKN2A < -1.5", ["Homozygous Deletion"]),
        ("copy_number of CDKN2A >= 0", None),
        ("1 <= copy_number of CDKN2A <= 2", None),
        ("copy_number of CDKN2A >= 3", None),
        ("expression of CD274 >= 3", None),
    ],
)
def test_ctml_copy_number(text: str, calls: list[str] | None) -> None:
    found = made("ctml", ("I1", "inclusion", text, "unknown"))
    assert bool(found.losses) == (calls is None)
    if calls is not None:
        (match,) = parse_yaml(found.content, "x.yml").value["treatment_list"]["step"][0]["match"]
        genomic = [entry["genomic"] for entry in match.get("or", [match])]
        assert [entry["cnv_call"] for entry in genomic] == calls
        assert {entry["variant_category"] for entry in genomic} == {"Copy Number Variation"}
