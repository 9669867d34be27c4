"""Residuals of the Cox model: identities, leave-one-out, and their order."""

import numpy as np
import pytest

from tests.unit.stats.cox_by_hand import trial
from trialstrat.errors import InvalidInputError
from trialstrat.stats.cox import cox
from trialstrat.stats.cox_prediction import baseline_hazard
from trialstrat.stats.cox_residuals import cox_residuals


def fitted(seed=0, ties="efron", late=False, **more):
    data = trial(n=80, seed=seed, late=late)
    return data, cox(
        data["time"], data["event"], data["x"], entry=data["entry"], strata=data["strata"], ties=ties, **more
    )


@pytest.mark.parametrize("ties", ["efron", "breslow"])
@pytest.mark.parametrize("late", [False, True])
def test_sums_are_zero(ties, late):
    data = trial(n=80, late=late)
    _, fit = fitted(ties=ties, late=late, weights=data["weights"])
    weighted = data["weights"][:, None]
    assert np.sum(weighted[:, 0] * cox_residuals(fit, "martingale").values) == pytest.approx(0, abs=1e-9)
    assert np.sum(weighted * cox_residuals(fit, "score").values, axis=0) == pytest.approx([0, 0], abs=1e-8)
    assert np.sum(cox_residuals(fit, "dfbeta").values, axis=0) == pytest.approx([0, 0], abs=1e-8)


def test_schoenfeld_sums_to_zero_and_keeps_time_order():
    data, fit = fitted()
    found = cox_residuals(fit, "schoenfeld")
    assert found.values.sum(axis=0) == pytest.approx([0, 0], abs=1e-9)
    assert np.all(np.diff(data["time"][found.rows]) >= 0)
    same = np.diff(data["time"][found.rows]) == 0
    assert np.all(np.diff(found.rows)[same] > 0)
    scaled = cox_residuals(fit, "scaled_schoenfeld").values
    assert scaled == pytest.approx(found.values @ fit.covariance * fit.events + fit.coef)


def test_breslow_martingale_is_event_minus_cumulative_hazard():
    data = trial(n=50, seed=2)
    fit = cox(data["time"], data["event"], data["x"], ties="breslow")
    curve = baseline_hazard(fit)[0]
    hazard = curve.cumulative_hazard[np.searchsorted(curve.time, data["time"])]
    expected = data["event"] - hazard * np.exp(fit.linear_predictor(data["x"]))
    martingale = cox_residuals(fit, "martingale").values
    assert martingale == pytest.approx(expected)
    deviance = cox_residuals(fit, "deviance").values
    inner = martingale + np.where(
        data["event"] == 1, np.log(np.where(data["event"] == 1, data["event"] - martingale, 1)), 0
    )
    assert deviance == pytest.approx(np.sign(martingale) * np.sqrt(-2 * inner))


def test_dfbeta_approximates_leaving_out():
    data, fit = fitted(seed=3)
    dfbeta = cox_residuals(fit, "dfbeta").values
    for i in range(0, 80, 9):
        rest = np.arange(80) != i
        without = cox(data["time"][rest], data["event"][rest], data["x"][rest], strata=data["strata"][rest])
        assert fit.coef - without.coef == pytest.approx(dfbeta[i], abs=0.3 * np.abs(dfbeta).max())
        assert np.abs(fit.coef - without.coef - dfbeta[i]).max() < 0.25 * fit.std_error.max()


def test_not_estimable_without_event():
    fit = cox([1, 2, 3], [0, 0, 0], [1, 0, 1])
    found = cox_residuals(fit, "score")
    assert found.status == "not_estimable"
    assert found.values.shape == (3, 1)
    assert np.isnan(found.values).all()


def test_inestimable_column_is_nan():
    data = trial(n=50)
    fit = cox(data["time"], data["event"], np.column_stack([data["x"], np.ones(50)]))
    values = cox_residuals(fit, "dfbeta").values
    assert np.isnan(values[:, 2]).all()
    assert np.isfinite(values[:, :2]).all()


def test_unknown_kind_is_refused():
    _, fit = fitted()
    with pytest.raises(InvalidInputError, match="kind"):
        cox_residuals(fit, "pearson")  # pyright: ignore[reportArgumentType]
