"""The screen of many markers against one general model per marker."""

import numpy as np
import pytest

from trialstrat.errors import InvalidInputError
from trialstrat.stats.cox import cox
from trialstrat.stats.kernels.cox_cells import MONOTONE, NO_INFORMATION, OK
from trialstrat.stats.kernels.one_marker import exponentials
from trialstrat.stats.screen import cox_screen


def study(n, seed=0, *, missing=False):
    """Normal, two-valued, rare, skewed, constant and prognostic markers; heavy ties."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 12))
    x[:, 0] = rng.integers(0, 2, n)
    x[:, 1] = rng.random(n) < 3 / n
    x[:, 2] = np.exp(2 * x[:, 2])
    x[:, 3] = 7.0
    x[:, 4] = rng.poisson(2, n)
    x[:, 5] = 1e6 + 1e-3 * x[:, 5]
    arm = rng.integers(0, 2, n)
    time = np.ceil(20 * rng.exponential(np.exp(0.7 * x[:, 6] - 0.4 * arm + 0.6 * arm * x[:, 7])))
    if missing:
        x[rng.random(x.shape) < 0.15] = np.nan
    return x, time, (rng.random(n) < 0.6).astype(int), arm


@pytest.mark.parametrize("n", [14, 60, 400])
@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize("interaction", [False, True])
def test_agrees_with_one_model_per_marker(n, missing, interaction):
    x, time, event, arm = study(n, seed=n, missing=missing)
    found = cox_screen(x, time, event, arm if interaction else None)
    compared = 0
    for j in range(x.shape[1]):
        rows = ~np.isnan(x[:, j])
        marker, group = x[rows, j] - x[rows, j].mean(), arm[rows]
        design = np.column_stack([group, marker, group * marker]) if interaction else marker
        fit = cox(time[rows], event[rows], design)
        assert found.n[j] == rows.sum()
        assert found.events[j] == event[rows].sum()
        if fit.collinear or fit.monotone:
            assert found.outcome[j] in (NO_INFORMATION, MONOTONE)
            assert np.isnan(found.effect[j])
            assert found.reason(j)
            continue
        compared += 1
        assert found.outcome[j] == OK
        assert abs(found.effect[j] - fit.coef[-1]) < 1e-7 * fit.std_error[-1]
        assert found.std_error[j] == pytest.approx(fit.std_error[-1], rel=1e-7)
        assert found.p[j] == pytest.approx(fit.p[-1], rel=1e-5)
        if interaction:
            assert found.prognostic.effect[j] == pytest.approx(fit.coef[1], abs=1e-7 * fit.std_error[1])
            assert found.treated is not None
            assert found.treated.effect[j] == pytest.approx(fit.coef[1] + fit.coef[2], rel=1e-6, abs=1e-9)
            variance = fit.covariance[1, 1] + fit.covariance[2, 2] + 2 * fit.covariance[1, 2]
            assert found.treated.std_error[j] == pytest.approx(np.sqrt(variance), rel=1e-6)
    assert compared >= 8


@pytest.mark.parametrize("interaction", [False, True])
def test_threads_layout_and_precision_do_not_matter(interaction):
    x, time, event, arm = study(80, missing=True)
    wide = np.tile(x, (1, 20))
    treatment = arm if interaction else None
    one = cox_screen(wide, time, event, treatment, threads=1)
    for other in (
        cox_screen(wide, time, event, treatment, threads=3),
        cox_screen(np.asfortranarray(wide), time, event, treatment, threads=2),
    ):
        assert np.array_equal(one.effect, other.effect, equal_nan=True)
        assert np.array_equal(one.std_error, other.std_error, equal_nan=True)
    small = np.ascontiguousarray(wide[:, 4:5].astype(np.float32))
    assert cox_screen(small, time, event, treatment).effect == pytest.approx(one.effect[4:5])


@pytest.mark.parametrize("interaction", [False, True])
def test_adjusted_and_stratified(interaction):
    x, time, event, arm = study(200, missing=True)
    rng = np.random.default_rng(1)
    adjust, strata = rng.normal(size=(200, 2)), rng.integers(0, 3, 200)
    found = cox_screen(x[:, 4:9], time, event, arm if interaction else None, adjust=adjust, strata=strata)
    for k, j in enumerate(range(4, 9)):
        rows = ~np.isnan(x[:, j])
        marker = x[rows, j] - x[rows, j].mean()
        own = [arm[rows], marker, arm[rows] * marker] if interaction else [marker]
        fit = cox(time[rows], event[rows], np.column_stack([adjust[rows], *own]), strata=strata[rows])
        assert found.effect[k] == pytest.approx(fit.coef[-1], rel=1e-9)
        assert found.std_error[k] == pytest.approx(fit.std_error[-1], rel=1e-9)
        if interaction:
            assert found.prognostic.effect[k] == pytest.approx(fit.coef[-2], rel=1e-9)


def test_general_and_compiled_paths_agree():
    x, time, event, arm = study(120)
    for treatment in (None, arm):
        fast = cox_screen(x, time, event, treatment)
        general = cox_screen(x, time, event, treatment, strata=np.zeros(120))
        assert general.effect == pytest.approx(fast.effect, rel=1e-6, abs=1e-9, nan_ok=True)
        assert np.array_equal(fast.outcome == OK, general.outcome == OK)


def test_separated_marker_is_not_estimated():
    rng = np.random.default_rng(0)
    marker = rng.integers(0, 2, 60)
    found = cox_screen(marker, rng.exponential(1, 60), np.where(marker == 1, 0, 1))
    assert found.outcome[0] == MONOTONE
    assert "separation" in found.reason(0)


def test_no_event_and_no_value():
    x, time, event, arm = study(40)
    x[:, 0] = np.nan
    assert cox_screen(x, time, event, arm).n[0] == 0
    none = cox_screen(x, time, np.zeros(40), arm)
    assert np.isnan(none.effect).all()
    assert np.all(none.outcome == NO_INFORMATION)
    assert np.all(cox_screen(x, time, np.zeros(40), adjust=arm).outcome == NO_INFORMATION)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"markers": np.full((4, 2), np.inf)}, "2 of 2 columns hold infinite"),
        ({"markers": np.zeros((3, 2))}, "4 rows"),
        ({"markers": [["a"], ["b"], ["c"], ["d"]]}, "numbers"),
        ({"treatment": [0, 1, 2, 0]}, "treatment"),
        ({"time": [1, 2, -3, 4]}, "time"),
    ],
)
def test_impossible_input_is_refused(change, message):
    arguments = {"markers": np.zeros((4, 2)), "time": [1, 2, 3, 4], "event": [1, 1, 0, 1], **change}
    with pytest.raises(InvalidInputError, match=message):
        cox_screen(**arguments)


def test_exponential():
    x = np.concatenate((np.linspace(-580, 580, 4001), [0.0, 1e-300, -1e-17]))
    out, bits = np.empty_like(x), np.empty_like(x)
    exponentials(x, 1.0, out, bits)
    assert out == pytest.approx(np.exp(x), rel=1e-15)
