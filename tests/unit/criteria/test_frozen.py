"""Found rules beside written criteria: ids of their own, and files in which two criteria share one are refused."""

from __future__ import annotations

import pytest

from tests.unit.criteria.test_impact import protocol
from trialstrat.criteria.frozen import FoundRule, fingerprint, found_ids, freeze, from_mapping, to_mapping
from trialstrat.errors import IntegrityError
from trialstrat.protocol.model import Condition

WRITTEN = [
    {"id": name, "kind": "inclusion", "text": name, "when": [{"column": "age", "at_least": 18}]}
    for name in ("R1", "R3")
]
RULE = FoundRule(
    conditions=(Condition(column="age", at_most=77),), kind="inclusion", origin="predictive_rule", text="", evidence=""
)


def test_found_rules_take_the_ids_that_are_free():
    declared = protocol(eligibility=WRITTEN)
    assert found_ids(3, declared) == ("R2", "R4", "R5")
    assert found_ids(2, declared, ["R4"]) == ("R2", "R5")
    assert found_ids(2, protocol()) == ("R1", "R2")
    frozen = freeze(declared, (RULE, RULE), ["R4"])
    assert [entry.id for entry in frozen.criteria] == ["R1", "R3", "R2", "R5"]
    assert from_mapping(to_mapping(frozen), "criteria.yaml") == frozen


def test_a_file_with_one_id_for_two_criteria_is_refused():
    frozen = freeze(protocol(eligibility=WRITTEN), (RULE,))
    twice = frozen.model_copy(update={"criteria": (*frozen.criteria, frozen.criteria[0])})
    body = to_mapping(twice.model_copy(update={"fingerprint": fingerprint(twice)}))
    with pytest.raises(IntegrityError, match="criterion declared twice: R1"):
        from_mapping(body, "criteria.yaml")
