"""Every shipped protocol loads, lints without a warning, and builds the cohort its data set is known for."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

from trialstrat.cohort.build import check, cohort_result, read_cohort
from trialstrat.protocol.lint import lint
from trialstrat.protocol.load import load_protocol

PROTOCOLS = Path(__file__).resolve().parents[2] / "protocols"

#: patients, events of the estimand's endpoint, markers in blocks, arms with their sizes
KNOWN = {
    "gbsg2": (686, 299, 0, {"no": 440, "yes": 246}),
    "actg320": (1151, 96, 0, {"control": 577, "indinavir": 574}),
    "transbig": (198, 51, 76, {}),
    "whas500": (478, 198, 0, {}),
    "veterans": (137, 128, 0, {"standard": 69, "test": 68}),
    "cgvhd": (100, 26, 0, {"bone_marrow": 51, "peripheral_blood": 49}),
}


def test_every_protocol_that_needs_no_file_is_listed_here():
    packaged = {
        path.stem
        for path in PROTOCOLS.glob("*.yaml")
        if all(source.dataset for source in load_protocol(path).protocol.sources)
    }
    assert set(KNOWN) <= packaged


@pytest.mark.parametrize("path", sorted(PROTOCOLS.glob("*.yaml")), ids=lambda path: path.stem)
def test_loads_and_lints(path):
    loaded = load_protocol(path)
    assert loaded.protocol.id == path.stem
    assert [entry.text() for entry in lint(loaded) if entry.severity != "note"] == []


@pytest.mark.parametrize("name", sorted(KNOWN))
def test_builds_the_known_cohort(name):
    patients, events, markers, arms = KNOWN[name]
    loaded = load_protocol(PROTOCOLS / f"{name}.yaml")
    cohort = read_cohort(loaded)
    assert cohort.n == patients
    assert cohort.outcome.event is not None
    assert int((cohort.outcome.event == 1).sum()) == events
    assert cohort.markers.shape == (patients, markers)
    sizes = {} if cohort.arm is None else {arm: int((cohort.arm == arm).sum()) for arm in arms}
    assert sizes == arms
    assert [entry.text() for entry in cohort.findings if entry.severity != "note"] == []
    assert check(loaded) == cohort.findings


@pytest.mark.parametrize("name", sorted(KNOWN))
def test_cohort_stage_adds_up(name):
    cohort = read_cohort(load_protocol(PROTOCOLS / f"{name}.yaml"))
    result = cohort_result(cohort)
    assert result.estimate("cohort.n").value == cohort.n
    steps = result.table("cohort.attrition").records()
    assert steps[-1]["remaining"] == cohort.n
    for before, after in itertools.pairwise(steps):
        assert after["before"] == before["remaining"]
    for step in steps:
        assert step["before"] - step["removed"] == step["remaining"]
    eligibility = result.table("cohort.eligibility").records()
    first = steps[0]["remaining"]
    for row in eligibility:
        if row["executable"] == "yes":
            assert row["met"] + row["not_met"] + row["unknown"] == first
    assert {table.name for table in result.tables} == {
        "cohort.anonymity",
        "cohort.attrition",
        "cohort.eligibility",
        "cohort.missing",
        "cohort.sources",
    }


def test_gbsg2_needs_no_survival_package_to_be_read():
    import subprocess
    import sys

    code = (
        "import sys; from pathlib import Path; from trialstrat.protocol.load import load_protocol;"
        "from trialstrat.cohort.build import read_cohort;"
        f"read_cohort(load_protocol(Path({str(PROTOCOLS)!r}) / 'gbsg2.yaml'));"
        "assert not {'sksurv', 'lifelines', 'sklearn'} & set(sys.modules), sorted(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_gbsg2_is_what_the_package_loads():
    datasets = pytest.importorskip("sksurv.datasets")
    covariates, outcome = datasets.load_gbsg2()
    cohort = read_cohort(load_protocol(PROTOCOLS / "gbsg2.yaml"))
    assert np.array_equal(cohort.outcome.time, outcome["time"])
    assert np.array_equal(cohort.outcome.event == 1, outcome["cens"])
    for name in ("age", "tsize", "pnodes", "progrec", "estrec"):
        assert np.array_equal(cohort.frame[name], covariates[name].astype(float))
    for name in ("menostat", "tgrade"):
        assert cohort.frame[name].astype(str).tolist() == covariates[name].astype(str).tolist()
    assert cohort.arm is not None
    assert cohort.arm.tolist() == covariates["horTh"].astype(str).tolist()
