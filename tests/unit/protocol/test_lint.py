"""Lint: each contradiction or omission found where it stands, and nothing found in a sound protocol."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from trialstrat.protocol.lint import lint
from trialstrat.protocol.load import load_protocol
from trialstrat.protocol.model import Protocol

SOUND: dict[str, Any] = {
    "trialstrat": 1,
    "id": "study",
    "title": "A study",
    "question": "Does it work?",
    "sources": [{"name": "cohort", "file": "cohort.csv", "id": "ID"}],
    "arms": {"column": "ARM", "levels": [{"name": "c", "value": 0, "control": True}, {"name": "t", "value": 1}]},
    "endpoints": [
        {
            "name": "os",
            "label": "OS",
            "time": "T",
            "unit": "months",
            "horizon": 24,
            "maximum": 60,
            "event": {"column": "E", "events": [1], "censored": [0]},
        }
    ],
    "estimand": {
        "population": "all",
        "treatment": "t against c",
        "endpoint": "os",
        "intercurrent_events": [{"event": "stopping", "strategy": "treatment_policy"}],
    },
    "eligibility": [
        {
            "id": "I1",
            "kind": "inclusion",
            "text": "adults",
            "when": [{"column": "AGE", "at_least": 18, "unit": "years"}],
        }
    ],
    "covariates": [
        {"column": "AGE", "kind": "continuous", "unit": "years", "minimum": 0, "maximum": 120},
        {"column": "STAGE", "kind": "ordinal", "levels": ["I", "II"]},
    ],
    "biomarkers": [{"column": "B", "kind": "continuous", "role": "predictive"}],
}


def put(study: dict[str, Any], path: str, value: Any) -> None:
    """Set a dotted path of a study; ``+`` appends to a list, a value of None removes the key."""
    *parents, last = path.split(".")
    node: Any = study
    for part in parents:
        node = node[int(part)] if part.isdigit() else node.setdefault(part, {})
    if last == "+":
        node.append(value)
    elif last.isdigit():
        node[int(last)] = value
    elif value is None:
        node.pop(last, None)
    else:
        node[last] = value


def found(*changes: tuple[str, Any]) -> list[tuple[str, str, str]]:
    study = copy.deepcopy(SOUND)
    for path, value in changes:
        put(study, path, value)
    return [(entry.code, entry.severity, entry.column) for entry in lint(Protocol.model_validate(study))]


def criterion(name: str, kind: str = "inclusion", **condition: Any) -> dict[str, Any]:
    return {"id": name, "kind": kind, "text": name, "when": [condition]}


ONE_ARM = ("arms.levels", [{"name": "t", "value": 1}])
PROGNOSTIC = ("biomarkers.0.role", "prognostic")

CASES: list[tuple[str, list[tuple[str, Any]], list[tuple[str, str, str]]]] = [
    ("sound", [], []),
    ("no id", [("sources.0.id", None)], [("P-ID", "error", "sources.0")]),
    (
        "row numbers joined",
        [("sources.+", {"name": "more", "file": "m.csv", "id": "row"})],
        [("P-ID-ROW", "error", "sources.1.id")],
    ),
    (
        "block of no source",
        [("marker_blocks", [{"source": "x"}])],
        [("P-BLOCK-SOURCE", "error", "marker_blocks.0.source")],
    ),
    (
        "one arm",
        [ONE_ARM, PROGNOSTIC],
        [("P-ONE-ARM", "note", "estimand.summary")],
    ),
    (
        "predictive without a second arm",
        [ONE_ARM],
        [("P-PREDICTIVE", "error", "biomarkers.0"), ("P-ONE-ARM", "note", "estimand.summary")],
    ),
    (
        "predictive block without arms",
        [("arms", None), PROGNOSTIC, ("marker_blocks", [{"source": "cohort", "role": "predictive"}])],
        [("P-PREDICTIVE", "error", "marker_blocks.0"), ("P-ONE-ARM", "note", "estimand.summary")],
    ),
    ("observational without confounders", [("arms.allocation", "observational")], [("P-CONFOUNDERS", "error", "arms")]),
    ("partly randomised", [("arms.allocation", "partly_randomised")], [("P-CONFOUNDERS", "warning", "arms")]),
    (
        "unknown confounder",
        [("arms.allocation", "observational"), ("arms.confounders", ["AGE", "X"])],
        [("P-CONFOUNDER-UNKNOWN", "error", "arms.confounders")],
    ),
    (
        "confirmatory observation",
        [("arms.allocation", "observational"), ("arms.confounders", ["AGE"]), ("status", "confirmatory")],
        [("P-CONFIRMATORY", "warning", "status")],
    ),
    ("arms equal as cells", [("arms.levels.1.value", 0.0)], [("P-ARM-TWICE", "error", "arms.levels")]),
    ("no intercurrent events", [("estimand.intercurrent_events", None)], [("P-INTERCURRENT", "warning", "estimand")]),
    (
        "rmst without horizon",
        [("estimand.summary", "rmst_difference"), ("endpoints.0.horizon", None)],
        [("P-HORIZON", "error", "endpoints.0")],
    ),
    ("horizon beyond maximum", [("endpoints.0.horizon", 61)], [("P-HORIZON", "error", "endpoints.0.horizon")]),
    ("odds of a time", [("estimand.summary", "odds_ratio")], [("P-SUMMARY-KIND", "error", "estimand.summary")]),
    (
        "event and censored",
        [("endpoints.0.event.censored", [0, 1.0])],
        [("P-EVENT-TWICE", "error", "endpoints.0.event")],
    ),
    ("CNSR by hand", [("endpoints.0.event.column", "CNSR")], [("P-CNSR", "warning", "endpoints.0.event")]),
    ("data cut", [("data_cut", "March 2021")], [("P-DATA-CUT", "error", "data_cut")]),
    ("ordinal without order", [("covariates.1.levels", None)], [("P-LEVELS", "error", "covariates.1")]),
    ("continuous with levels", [("covariates.0.levels", [1, 2])], [("P-LEVELS", "error", "covariates.0")]),
    ("upside-down range", [("covariates.0.minimum", 130)], [("P-RANGE", "error", "covariates.0")]),
    ("range of levels", [("covariates.1.maximum", 3)], [("P-RANGE", "error", "covariates.1")]),
    (
        "after time zero",
        [("covariates.0.measured", "after_time_zero")],
        [("P-POST-BASELINE", "error", "covariates.0"), ("E-CRIT-OUTCOME", "error", "eligibility.0.when.0")],
    ),
    (
        "the outcome as covariate",
        [("covariates.+", {"column": "T", "kind": "continuous"})],
        [("P-COLUMN-ROLE", "error", "covariates.2")],
    ),
    (
        "the arm as covariate",
        [("covariates.+", {"column": "ARM", "kind": "categorical"})],
        [("P-COLUMN-ROLE", "error", "covariates.2")],
    ),
    (
        "adjusting for nobody",
        [("analysis", {"adjust_for": ["X"]})],
        [("P-ADJUST-UNKNOWN", "error", "analysis.adjust_for")],
    ),
    (
        "clusters of another outcome",
        [
            (
                "endpoints.0",
                {"name": "os", "label": "R", "kind": "binary", "value": "R", "positive": [1], "negative_values": [0]},
            ),
            ("estimand.summary", "odds_ratio"),
            ("analysis", {"cluster": "EYE"}),
        ],
        [("P-CLUSTER", "error", "analysis.cluster")],
    ),
    (
        "clusters and MaxCombo, and the cluster as a covariate",
        [("analysis", {"cluster": "AGE", "non_proportional": "maxcombo"})],
        [("P-CLUSTER", "error", "analysis.cluster")] * 2,
    ),
    ("level and alpha", [("analysis", {"alpha": 0.025})], [("P-LEVEL", "warning", "analysis")]),
    ("cells of one", [("disclosure", {"minimum_cell": 1})], [("P-CELL", "warning", "disclosure.minimum_cell")]),
    ("small cells", [("disclosure", {"minimum_cell": 3})], [("P-CELL", "warning", "disclosure.minimum_cell")]),
    ("late scores", [("models", {"times": [12, 61]})], [("P-TIMES", "error", "models.times")]),
    (
        "nothing to stratify by",
        [("covariates", None), ("biomarkers", None), ("eligibility", None)],
        [("P-NO-VARIABLES", "warning", "protocol")],
    ),
    (
        "a person must judge",
        [("eligibility.+", {"id": "I2", "kind": "inclusion", "text": "consent"})],
        [("P-NOT-EXECUTABLE", "note", "eligibility.1")],
    ),
    (
        "asked twice",
        [("eligibility.+", criterion("I2", column="AGE", unit="years", at_least=18))],
        [("W-CRIT-TWICE", "warning", "eligibility.1")],
    ),
    (
        "impossible together",
        [("eligibility.+", criterion("I2", column="AGE", unit="years", below=18))],
        [("E-CRIT-CONTRADICTION", "error", "eligibility.1")],
    ),
    (
        "impossible together, far apart",
        [("eligibility.+", criterion("I2", column="AGE", unit="years", below=16))],
        [("E-CRIT-CONTRADICTION", "error", "eligibility.1")],
    ),
    (
        "one value left",
        [("eligibility.+", criterion("I2", column="AGE", unit="years", at_most=18))],
        [],
    ),
    (
        "impossible alone",
        [("eligibility.+", criterion("I2", column="AGE", unit="years", at_least=70, at_most=60))],
        [("E-CRIT-CONTRADICTION", "error", "eligibility.1.when.0")],
    ),
    (
        "exclusions may overlap",
        [("eligibility.+", criterion("E1", "exclusion", column="AGE", unit="years", above=80))],
        [],
    ),
    (
        "other unit",
        [("eligibility.0.when.0.unit", "kg")],
        [("E-CRIT-UNIT", "error", "eligibility.0.when.0")],
    ),
    (
        "no such level",
        [("eligibility.+", criterion("I2", column="STAGE", one_of=["I", "IV"]))],
        [("E-CRIT-TYPE", "error", "eligibility.1.when.0")],
    ),
    (
        "a category as a number",
        [
            ("covariates.+", {"column": "SEX", "kind": "categorical"}),
            ("eligibility.+", criterion("I2", column="SEX", above=0)),
        ],
        [("E-CRIT-TYPE", "error", "eligibility.1.when.0")],
    ),
]


@pytest.mark.parametrize(("changes", "expected"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_rules(changes, expected):
    assert found(*changes) == expected


def test_competing_and_binary_endpoints():
    competing = {"column": "E", "causes": {"relapse": 1, "death": 2}, "censored": [0]}
    assert found(("endpoints.0.kind", "competing"), ("endpoints.0.event", competing)) == []
    assert found(
        ("endpoints.0.kind", "competing"), ("endpoints.0.event", competing), ("estimand.summary", "rmst_difference")
    ) == [("P-SUMMARY-KIND", "error", "estimand.summary")]
    binary = {"name": "os", "label": "Response", "kind": "binary", "value": "R", "positive": ["yes"]}
    assert found(("endpoints.0", binary), ("estimand.summary", "odds_ratio")) == [
        ("P-NEGATIVE", "warning", "endpoints.0")
    ]


def test_findings_of_a_file_have_its_name_and_lines(tmp_path):
    path = tmp_path / "study.yaml"
    path.write_text(
        "trialstrat: 1\nid: s\ntitle: t\nquestion: q\nsources: [{name: a, file: a.csv, id: ID}]\n"
        "endpoints:\n- name: os\n  label: OS\n  time: T\n  unit: days\n"
        "  event: {column: E, events: [1], censored: [0, 1]}\n"
        "estimand: {population: p, treatment: t, endpoint: os}\n"
        "covariates:\n- {column: A, kind: continuous}\n- {column: S, kind: ordinal}\n"
    )
    findings = lint(load_protocol(path))
    assert [(entry.code, entry.lines) for entry in findings] == [
        ("P-SEED", ()),
        ("P-EVENT-TWICE", (11,)),
        ("P-ONE-ARM", (12,)),
        ("P-LEVELS", (15,)),
    ]
    assert findings[-1].text() == (
        "P-LEVELS study.yaml: covariates.1: an ordinal column needs its order (line 15). Declare levels: lowest first."
    )


def test_every_error_and_warning_says_what_to_do():
    for name, changes, _ in CASES:
        study = copy.deepcopy(SOUND)
        for path, value in changes:
            put(study, path, value)
        for entry in lint(Protocol.model_validate(study)):
            assert entry.severity == "note" or entry.remedy, name
