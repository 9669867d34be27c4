"""Events that have a date of their own: follow-up ends there, and at the last contact for everybody else."""

from __future__ import annotations

from pathlib import Path

import pytest

from trialstrat.cohort.build import read_cohort
from trialstrat.errors import TrialstratError
from trialstrat.protocol.load import load_protocol

PROTOCOL = """\
trialstrat: 1
id: dated
title: Dates
question: ?
sources: [{name: x, file: x.csv, id: id}]
endpoints:
  - name: os
    label: Overall survival
    start: begin
    end: last
    event: {column: died, style: dated}
    unit: days
estimand: {population: all, treatment: none, endpoint: os}
covariates: [{column: age, kind: continuous}]
analysis: {minimum_events: 1}
"""
ROWS = "id,begin,last,died,age\nb,2020-01-01,2020-03-01,,50\na,2020-01-01,2020-01-05,2020-02-01,60\n"


def written(folder: Path, protocol: str = PROTOCOL, rows: str = ROWS) -> Path:
    (folder / "x.csv").write_text(rows, encoding="utf-8")
    path = folder / "dated.yaml"
    path.write_text(protocol.replace("question: ?", 'question: "?"'), encoding="utf-8")
    return path


def test_time_runs_to_the_event_or_to_the_last_contact(tmp_path):
    outcome = read_cohort(load_protocol(written(tmp_path))).outcome
    assert outcome.time is not None
    assert outcome.event is not None
    assert outcome.time.tolist() == [31.0, 60.0]  # a has died after the last visit on record, b has not
    assert outcome.event.tolist() == [1, 0]


def test_a_date_that_is_none_is_refused(tmp_path):
    rows = ROWS.replace("2020-02-01", "soon")
    with pytest.raises(TrialstratError, match="E-DATE-FORMAT"):
        read_cohort(load_protocol(written(tmp_path, rows=rows)))


def test_it_needs_the_last_contact(tmp_path):
    broken = PROTOCOL.replace("    start: begin\n    end: last\n", "    time: age\n")
    with pytest.raises(TrialstratError, match="needs start: and end:"):
        load_protocol(written(tmp_path, broken))
