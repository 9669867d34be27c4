"""Baseline hazard and predicted survival."""

import numpy as np
import pytest

from tests.unit.stats.cox_by_hand import trial
from trialstrat.errors import InvalidInputError
from trialstrat.stats.cox import cox
from trialstrat.stats.cox_prediction import baseline_hazard, predict_survival


def fitted(**more):
    data = trial(n=80, seed=1)
    return data, cox(data["time"], data["event"], data["x"], **more)


@pytest.mark.parametrize("ties", ["efron", "breslow"])
def test_without_covariates_the_baseline_is_nelson_aalen(ties):
    time, event = np.array([1.0, 2, 2, 3, 4]), np.array([1, 1, 1, 0, 1])
    fit = cox(time, event, np.zeros((5, 0)), ties=ties)
    tied = 2 / 4 if ties == "breslow" else 1 / 4 + 1 / 3
    curve = baseline_hazard(fit)[0]
    assert curve.time.tolist() == [1, 2, 3, 4]
    assert curve.cumulative_hazard == pytest.approx(np.cumsum([1 / 5, tied, 0, 1]))


def test_expected_events_equal_observed():
    data, fit = fitted(strata=trial(n=80, seed=1)["strata"], ties="breslow")
    total = 0.0
    for code, curve in enumerate(baseline_hazard(fit)):
        rows = data["strata"] == code
        hazard = curve.cumulative_hazard[np.searchsorted(curve.time, data["time"][rows])]
        total += np.sum(hazard * np.exp(fit.linear_predictor(data["x"][rows])))
    assert total == pytest.approx(fit.events)


def test_prediction_follows_the_baseline():
    _, fit = fitted()
    curve = baseline_hazard(fit)[0]
    new = np.array([[0.3, 1.0], [-1.0, 0.0]])
    times = np.array([0.0, 0.5, 2.0, 4.0, 1e6])
    found = predict_survival(fit, new, times)
    reached = np.searchsorted(curve.time, times, side="right")
    hazard = np.concatenate(([0], curve.cumulative_hazard))[reached]
    assert found.survival == pytest.approx(np.exp(-hazard * np.exp(fit.linear_predictor(new))[:, None]))
    assert found.survival[:, 0].tolist() == [1, 1]
    assert np.all(np.diff(found.survival, axis=1) <= 0)


def test_limits_of_the_three_kinds():
    _, fit = fitted()
    new, times = [[0.0, 1.0]], [0.1, 2.0, 5.0]
    log, loglog, plain = (predict_survival(fit, new, times, conf_type=kind) for kind in ("log", "log-log", "plain"))
    for found in (log, plain):
        assert np.all(found.lower <= found.survival)
        assert np.all(found.upper >= found.survival)
        assert np.all((found.lower >= 0) & (found.upper <= 1))
    assert np.isnan(loglog.lower[0, 0])  # no event so far: the log-log scale has no place for it
    assert np.all(loglog.lower[0, 1:] < loglog.survival[0, 1:])
    assert plain.upper[0, 1] - plain.survival[0, 1] == pytest.approx(1.959964 * plain.std_error[0, 1], rel=1e-6)
    spread = np.log(log.upper[0, 1] / log.survival[0, 1])
    assert spread * log.survival[0, 1] == pytest.approx(1.959964 * log.std_error[0, 1], rel=1e-6)


def test_coverage_grows_with_level():
    _, fit = fitted()
    narrow, wide = (predict_survival(fit, [[0.0, 0.0]], [2.0], level=level) for level in (0.5, 0.99))
    assert wide.lower[0, 0] < narrow.lower[0, 0] < narrow.upper[0, 0] <= wide.upper[0, 0]


def test_strata_must_be_named():
    data = trial(n=80, seed=1)
    labels = np.array(["north", "south", "west"])[data["strata"]]
    fit = cox(data["time"], data["event"], data["x"], strata=labels)
    assert [curve.stratum for curve in baseline_hazard(fit)] == ["north", "south", "west"]
    with pytest.raises(InvalidInputError, match="3 strata"):
        predict_survival(fit, [[0.0, 0.0]], [1.0])
    one = predict_survival(fit, [[0.0, 0.0]], [2.0], stratum="south")
    curve = baseline_hazard(fit)[1]
    hazard = np.concatenate(([0], curve.cumulative_hazard))[np.searchsorted(curve.time, 2.0, side="right")]
    assert one.survival[0, 0] == pytest.approx(np.exp(-hazard))


def test_inestimable_models_predict_nothing():
    data = trial(n=80, seed=1)
    event = np.where(data["x"][:, 1] == 1, 0, data["event"])
    fit = cox(data["time"], event, data["x"])
    found = predict_survival(fit, [[0.0, 1.0]], [1.0])
    assert found.status == "not_estimable"
    assert np.isnan(found.survival).all()
    none = baseline_hazard(cox([1, 2], [0, 0], [1, 2]))[0]
    assert none.status == "not_estimable"


@pytest.mark.parametrize(
    ("change", "message"),
    [({"new": [[1.0]]}, "columns"), ({"conf_type": "arcsine"}, "conf_type"), ({"stratum": "x"}, "stratum")],
)
def test_wrong_arguments_are_refused(change, message):
    _, fit = fitted()
    with pytest.raises(InvalidInputError, match=message):
        predict_survival(fit, **{"new": [[0.0, 1.0]], "times": [1.0], **change})
