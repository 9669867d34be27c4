"""``find_rule`` on a plain frame: results, reproducibility, refusals; and the calibration's file of trials."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import trialstrat as ts
from tests.simulation.trials import base, trial
from trialstrat.errors import InvalidInputError, NotEstimableError
from trialstrat.pipeline import calibrate as module
from trialstrat.pipeline.calibrate import CalibrateOptions, calibrate
from trialstrat.pipeline.find import StudyColumns, find_rule
from trialstrat.subgroups.rule_search import RuleOptions

FAST = RuleOptions(permutations=120, worlds=40, resamples=20)


def frame_of(name: str = "spike12", n: int = 700, seed: int = 3) -> pd.DataFrame:
    made = trial(np.random.default_rng(seed), name, n)
    return made.frame.assign(t=made.time, e=made.event, arm=np.where(made.treated == 1, "drug", "none"))


def ask(frame: pd.DataFrame, **changes):
    words = {"time": "t", "event": "e", "treatment": "arm", "control": "none", "options": FAST, "seed": 4}
    words |= {"markers": list(base()[0].columns)}
    return find_rule(frame, **{**words, **changes})


def test_a_rule_with_its_effects():
    frame = frame_of()
    found = ask(frame)
    assert found.claimed
    assert found.rule == "er = 0"
    np.testing.assert_array_equal(found.members, frame["er"].to_numpy() == 0)
    naive, corrected = (found.effect("rule", kind) for kind in ("naive", "corrected"))
    assert 1 < corrected.value < naive.value
    assert corrected.upper - corrected.lower > 0
    assert found.effect("rule", "naive", "rmst_difference").value < 0
    assert len(found.to_frame()) == 18
    assert "er = 0" in found._repr_html_()
    assert f"{corrected.value:.2f}" in found._repr_html_()


def test_it_is_public_and_the_same_seed_gives_the_same():
    frame = frame_of(n=300)
    assert ts.find_rule is find_rule
    one, two = ask(frame), ask(frame)
    assert one.to_frame().equals(two.to_frame())
    assert one.p == two.p
    assert ask(frame, seed=5).p != one.p or ask(frame, seed=6).p != one.p


def test_no_rule_is_a_result():
    found = ask(frame_of("null1", 300, seed=8), markers=["age", "size", "x1"])
    assert not found.claimed
    assert "one population" in found.verdict
    assert found.members.any()


def test_confounders_make_it_weighted():
    found = ask(frame_of(n=400), study=StudyColumns(confounders=("age",)), markers=["er", "age"])
    assert found.found.effects[0].n > 0


@pytest.mark.parametrize(
    ("frame", "changes", "message"),
    [
        (frame_of(n=100), {"time": "nothing"}, "no column 'nothing'"),
        (frame_of(n=100), {"control": "placebo"}, "no patient has the control"),
        (frame_of(n=100).assign(arm="none"), {}, "single arm"),
        (frame_of(n=100).assign(t=lambda d: d.t.where(d.index > 3)), {}, "4 of 100 times"),
        (frame_of(n=100).assign(e=0.5), {}, "no event codes"),
        (frame_of(n=100), {"markers": ["t"]}, "is the outcome"),
        (frame_of(n=100), {"direction": "up"}, "must be 'either'"),
        (frame_of(n=100), {"markers": []}, "none are named"),
    ],
)
def test_what_cannot_be_read_is_refused(frame, changes, message):
    with pytest.raises(InvalidInputError, match=message):
        ask(frame, **changes)


def test_too_few_events_are_refused_with_the_number_needed():
    frame = frame_of(n=100)
    frame["e"] = (np.arange(100) < 12).astype(int)
    with pytest.raises(NotEstimableError, match="20 per arm"):
        ask(frame)


# -- calibrate -------------------------------------------------------------------------------------------------------


@pytest.fixture
def protocol(tmp_path) -> Path:
    source = (Path(__file__).parents[3] / "protocols" / "gbsg2.yaml").read_text(encoding="utf-8")
    plan = "  markers: [age, menostat, tsize, tgrade, pnodes]\n"
    assert plan in source
    more = "  permutations: 100\n  worlds: 50\n  alternatives:\n"
    more += "    - {name: receptor, rule: [{column: estrec, equals: 0}], inside: 3.0, outside: 0.5}\n"
    path = tmp_path / "study.yaml"
    path.write_text(source.replace(plan, plan + more), encoding="utf-8")
    return path


def test_calibration_is_complete_and_resumes_to_the_same_trials(protocol, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "BATCH", 2)
    whole = calibrate(protocol, CalibrateOptions(out=tmp_path / "whole", trials=3))
    rows = (tmp_path / "whole" / module.TRIALS).read_text().splitlines()
    assert len(rows) == 6
    assert {json.loads(row)["world"] for row in rows} == {"null", "receptor"}
    assert whole.result.table("calibration.worlds").column("trials") == [3, 3]
    assert len(whole.headline()) == 2

    class StopError(RuntimeError):
        pass

    done = []

    def stop_after_two(*arguments):
        if len(done) == 2:
            raise StopError
        done.append(arguments)
        return original(*arguments)

    original = module._batch
    monkeypatch.setattr(module, "_batch", stop_after_two)
    with pytest.raises(StopError):
        calibrate(protocol, CalibrateOptions(out=tmp_path / "parts", trials=3))
    partial = tmp_path / f".parts.{module.TRIALS}"
    partial.write_bytes(partial.read_bytes()[:-20])  # the last record was torn
    monkeypatch.setattr(module, "_batch", original)
    calibrate(protocol, CalibrateOptions(out=tmp_path / "parts", trials=3, resume=True))
    assert (tmp_path / "parts" / module.TRIALS).read_text().splitlines() == rows
    assert not partial.exists()
