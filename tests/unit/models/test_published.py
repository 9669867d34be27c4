"""Published models: terms as written, validation with the coefficients as they are, and the fit of the same terms."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from tests.helpers.cohorts import build_cohort
from trialstrat.errors import ProtocolError
from trialstrat.models.published import published_study
from trialstrat.protocol.load import load_protocol
from trialstrat.protocol.model import Protocol
from trialstrat.report.context import Context
from trialstrat.report.model import RunRecord
from trialstrat.report.page import TableView
from trialstrat.report.sections import published as section
from trialstrat.stats.cox import cox
from trialstrat.stats.scores import uno_c

MODEL: dict[str, Any] = {
    "name": "risk",
    "label": "Risk score",
    "reference": "Somebody 1999",
    "predicts": "log_hazard",
    "terms": [{"column": "x", "coefficient": 0.8}, {"column": "z", "coefficient": -0.4}],
    "refit": True,
}
ENDPOINTS: dict[str, dict[str, Any]] = {
    "time_to_event": {
        "time": "t", "unit": "months", "event": {"column": "e", "events": [1], "censored": [0]}, "horizon": 24,
    },
    "binary": {"kind": "binary", "value": "e", "positive": [1], "negative_values": [0]},
    "continuous": {"kind": "continuous", "value": "y"},
}  # fmt: skip
SUMMARY = {"time_to_event": "hazard_ratio", "binary": "odds_ratio", "continuous": "mean_difference"}


def declared(kind: str = "time_to_event", *models: dict[str, Any], **changes: Any) -> Protocol:
    return Protocol.model_validate(
        {
            "trialstrat": 1,
            "id": "s",
            "title": "S",
            "question": "?",
            "sources": [{"name": "a", "file": "a.csv", "id": "ID"}],
            "endpoints": [{"name": "os", "label": "OS", **ENDPOINTS[kind]}],
            "estimand": {"population": "p", "treatment": "none", "endpoint": "os", "summary": SUMMARY[kind]},
            "published_models": models or (MODEL,),
            **changes,
        }
    )


def made(kind: str = "time_to_event", *models: dict[str, Any], n: int = 300, gaps: int = 0, **changes: Any):
    rng = np.random.default_rng(5)
    x = rng.normal(size=(n, 2))
    score = x @ [0.8, -0.4]
    time = rng.exponential(np.exp(-score)) * 20 + 0.1
    censoring = rng.uniform(5, 60, n)
    event = (time <= censoring).astype(np.int64)
    x[:gaps, 0] = np.nan
    if kind == "binary":
        event = (rng.uniform(size=n) < 1 / (1 + np.exp(-np.nan_to_num(score)))).astype(np.int64)
    cohort = build_cohort(
        declared(kind, *models, **changes),
        pd.DataFrame({"x": x[:, 0]}),
        np.minimum(time, censoring) if kind == "time_to_event" else None,
        None if kind == "continuous" else event,
        groups=np.where(np.arange(n) % 3 == 0, "b", "a").astype(object),
        value=score + 5 + rng.normal(size=n) if kind == "continuous" else None,
    )
    return replace(cohort, published={entry.name: x for entry in cohort.protocol.published}), x, event


def test_a_cox_model_is_validated_and_fitted_again() -> None:
    cohort, x, event = made(gaps=20)
    stage = published_study(cohort)
    assert stage is not None
    known, score = slice(20, None), x[20:] @ [0.8, -0.4]
    time = np.asarray(cohort.outcome.time)[known]
    concordance, slope = (stage.estimate(f"published.risk.{name}") for name in ("uno_c", "slope"))
    assert concordance.value == pytest.approx(uno_c(time, event[known], score, tau=24.0).value, abs=1e-9)
    assert (concordance.n, concordance.events) == (280, int(event[known].sum()))
    alone = cox(time, event[known], score)
    assert (slope.value, slope.lower) == pytest.approx((alone.coef[0], np.log(alone.lower[0])))
    assert 0.8 < slope.value < 1.2  # the score is the truth
    fit = cox(time, event[known], x[known])
    rows = stage.table("published.terms").records()
    assert [(row["term"], row["published"]) for row in rows] == [("x", 0.8), ("z", -0.4)]
    assert [row["value"] for row in rows] == pytest.approx(fit.coef)
    assert [row["lower"] for row in rows] == pytest.approx(np.log(fit.lower))


def test_a_logistic_model_and_its_groups() -> None:
    logistic = {**MODEL, "predicts": "log_odds", "intercept": 0.1}
    cohort, x, event = made("binary", logistic, models={"group_by": "x"})
    stage = published_study(cohort)
    assert stage is not None
    score = x @ [0.8, -0.4]
    pairs = score[event == 1][:, None] - score[event == 0][None]
    auc = stage.estimate("published.risk.auc")
    assert auc.value == pytest.approx((pairs > 0).mean() + (pairs == 0).mean() / 2)
    # DeLong's variance from the placement values
    v1, v0 = (pairs > 0).mean(axis=1), (pairs > 0).mean(axis=0)
    delong = np.sqrt(v1.var(ddof=1) / len(v1) + v0.var(ddof=1) / len(v0))
    assert (auc.upper - auc.lower) / 2 / 1.959964 == pytest.approx(delong, rel=0.01)
    rows = [row for row in stage.table("published.performance").records() if row["metric"] == "auc"]
    assert [(row["group"], row["n"]) for row in rows] == [("all", 300), ("a", 200), ("b", 100)]
    terms = stage.table("published.terms").records()
    assert [row["term"] for row in terms] == ["intercept", "x", "z"]
    assert terms[0]["published"] == 0.1


def test_a_model_of_a_root_is_judged_on_both_scales() -> None:
    root = {**MODEL, "predicts": "root", "intercept": 2.0}
    cohort, x, _ = made("continuous", root)
    value = np.abs(np.asarray(cohort.outcome.value))
    np.asarray(cohort.outcome.value)[:] = value
    stage = published_study(cohort)
    assert stage is not None
    predicted = (2.0 + x @ [0.8, -0.4]) ** 2
    assert stage.estimate("published.risk.mae").value == pytest.approx(np.abs(predicted - value).mean())
    within = stage.estimate("published.risk.within").value
    assert within == pytest.approx((np.abs(predicted - value) <= 0.2 * value).mean())
    rooted = (
        1
        - ((np.sqrt(predicted) * np.sign(2.0 + x @ [0.8, -0.4]) - np.sqrt(value)) ** 2).sum()
        / ((np.sqrt(value) - np.sqrt(value).mean()) ** 2).sum()
    )
    assert stage.estimate("published.risk.r2_root").value == pytest.approx(rooted)


def test_what_cannot_be_validated_is_a_finding() -> None:
    wrong = {**MODEL, "predicts": "mean"}
    few = {**MODEL, "name": "few"}
    cohort, x, event = made("time_to_event", wrong, few, n=60)
    x[8:] = np.nan
    stage = published_study(cohort)
    assert stage is not None
    texts = [finding.message for finding in stage.findings]
    assert "cannot be held against a time_to_event endpoint" in texts[0]
    assert "fewer than 11 patients" in texts[1]
    assert not stage.tables
    assert published_study(made()[0]) is not None
    assert event.size == 60


def test_too_few_events_are_not_fitted_again() -> None:
    cohort, _, event = made()
    event = np.asarray(cohort.outcome.event)
    event[np.flatnonzero(event)[9:]] = 0
    stage = published_study(cohort)
    assert stage is not None
    assert "2 terms need at least 10 events" in stage.findings[0].message
    assert all(row["value"] is None for row in stage.table("published.terms").records())


def test_without_published_models_there_is_no_stage() -> None:
    cohort, _, _ = made("time_to_event", MODEL)
    none = cohort.protocol.model_copy(update={"published_models": ()})
    assert published_study(replace(cohort, protocol=none)) is None


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"terms": [{"column": "x", "coefficient": 1.0}, {"column": "z"}]}, "its coefficient, or none"),
        ({"terms": [{"column": "x"}], "refit": False}, "refit: true"),
        ({"terms": [{"column": "x", "coefficient": 1.0}] * 2}, "share a label"),
        ({"terms": [{"column": "x", "at_least": 1.0, "transform": "log"}]}, "at_least"),
        ({"terms": [{"column": "x", "scores": {"a": 1.0}, "minimum": 0.0}]}, "scores"),
    ],
)
def test_a_model_that_contradicts_itself_is_refused(change, why):
    with pytest.raises(ValidationError, match=why):
        declared("time_to_event", {**MODEL, **change})


# -- files -----------------------------------------------------------------------------------------------------------

STUDY = """\
trialstrat: 1
id: study
title: A study
question: Does it work?
sources: [{name: cohort, file: cohort.csv, id: ID}]
endpoints: [{name: os, label: OS, time: T, unit: months, event: {column: E, events: [1], censored: [0]}}]
estimand: {population: all, treatment: none, endpoint: os}
published_models: [score.yaml]
"""
SCORE = """\
name: score
reference: Somebody 1999
predicts: log_hazard
terms: [{column: bili, transform: log, coefficient: 0.87}]
"""


def test_a_model_in_a_file_of_its_own_counts_in_the_hash(tmp_path):
    path, score = tmp_path / "study.yaml", tmp_path / "score.yaml"
    path.write_text(STUDY)
    score.write_text(SCORE)
    loaded = load_protocol(path)
    assert [model.terms[0].title for model in loaded.protocol.published] == ["log(bili)"]
    assert loaded.sha256 == hashlib.sha256((STUDY + SCORE).encode()).hexdigest()
    score.write_text(SCORE.replace("0.87", "0.88"))
    assert load_protocol(path).sha256 != loaded.sha256


def test_faults_of_the_file_have_its_name_and_line(tmp_path):
    path = tmp_path / "study.yaml"
    path.write_text(STUDY)
    with pytest.raises(ProtocolError, match=r"score\.yaml: the protocol file does not exist"):
        load_protocol(path)
    (tmp_path / "score.yaml").write_text(SCORE.replace("transform: log", "transform: lg"))
    with pytest.raises(ProtocolError, match=r"score\.yaml:4: .*did you mean log\?"):
        load_protocol(path)


# -- report ----------------------------------------------------------------------------------------------------------


def test_the_section_has_both_tables_and_the_reference():
    stage = published_study(made()[0])
    assert stage is not None
    found = section.build(Context(RunRecord(study={"endpoint": {}}, stages={"published": stage})))
    assert found is not None
    assert found.lead.startswith("Uno's C, Risk score: 0.")
    keys = {block.key: block for block in found.blocks if isinstance(block, TableView)}
    assert set(keys) == {"published-performance", "published-terms"}
    rows = keys["published-performance"].rows
    assert [row.cells[0].text for row in rows] == ["Risk score", "All patients", ""]
    assert "Somebody 1999" in str(found.blocks[-1])
    assert section.build(Context(RunRecord(study={}, stages={}))) is None


def test_a_score_that_the_data_hold_is_reproduced() -> None:
    cohort, x, _ = made("continuous", {**MODEL, "predicts": "log_odds", "refit": False})
    truth = 1 / (1 + np.exp(-(x @ [0.8, -0.4])))
    np.asarray(cohort.outcome.value)[:] = np.minimum(truth + 0.01, 1.0)
    stage = published_study(cohort)
    assert stage is not None
    assert stage.estimate("published.risk.mae").value == pytest.approx(0.01)
    assert stage.estimate("published.risk.bias").value == pytest.approx(-0.01)
    again, x, _ = made("continuous", {**MODEL, "predicts": "log_odds"})
    refused = published_study(again)
    assert refused is not None
    assert "from 0 to 1" in refused.findings[0].message
    np.asarray(again.outcome.value)[:] = 0.5
    refused = published_study(again)
    assert refused is not None
    assert "no likelihood" in refused.findings[0].message
