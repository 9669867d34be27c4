"""Max-T: statistics from their definition, adjustment from its definition."""

import numpy as np
import pytest

from trialstrat.errors import InvalidInputError
from trialstrat.stats.cox import cox
from trialstrat.stats.cox_data import cox_data
from trialstrat.stats.cox_residuals import cox_residuals
from trialstrat.stats.max_t import max_t
from trialstrat.stats.partial_likelihood import information, score_residuals, sweep


def study(n=200, p=8, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, p))
    x[:, 1] = rng.integers(0, 2, n)
    arm = rng.integers(0, 2, n)
    time = np.ceil(10 * rng.exponential(np.exp(-0.8 * x[:, 0] + 0.3 * arm + 1.2 * arm * x[:, 2])))
    return x, time, (rng.random(n) < 0.7).astype(int), arm


def test_prognostic_statistic():
    x, time, event, _ = study()
    found = max_t(x, time, event, rng=np.random.default_rng(1))
    residual = cox_residuals(cox(time, event, np.zeros((200, 0))), "martingale").values
    centred = x - x.mean(axis=0)
    expected = residual @ centred / np.sqrt(np.sum(residual**2) * np.sum(centred**2, axis=0) / 199)
    assert found.statistic == pytest.approx(expected, rel=1e-5)
    assert found.kind == "prognostic"
    assert found.adjusted_p[0] == pytest.approx(1 / 1001)


def test_interaction_statistic_is_the_efficient_score():
    x, time, event, arm = study()
    found = max_t(x, time, event, arm, rng=np.random.default_rng(1))
    for j in range(x.shape[1]):
        main = cox(time, event, np.column_stack([arm, x[:, j]]))
        expected = efficient_score(time, event, np.column_stack([arm, x[:, j], arm * x[:, j]]), main.coef)
        assert found.statistic[j] == pytest.approx(expected, abs=2e-3)
    assert found.adjusted_p[2] < 0.01
    assert found.adjusted_p[0] > 0.05  # prognostic only


def efficient_score(time, event, design, main_effects):
    """Score of the last column at (main effects, 0), their residuals projected off, over the root of its squares."""
    data = cox_data(time, event, design)
    x = np.ascontiguousarray(data.x[data.sets.order])
    at = sweep(data.sets, x, x[:, :2] @ main_effects)
    residuals, curvature = score_residuals(data.sets, x, at), information(data.sets, x, at)
    own = residuals[:, 2] - residuals[:, :2] @ np.linalg.solve(curvature[:2, :2], curvature[:2, 2])
    return own.sum() / np.sqrt(np.sum(own**2))


def test_step_down_from_its_definition():
    x, time, event, _ = study(n=60, p=6)
    draws = 200
    found = max_t(x, time, event, rng=np.random.default_rng(5), n_permutations=draws)
    # the same permutations, with plain loops
    residual = cox_residuals(cox(time, event, np.zeros((60, 0))), "martingale").values
    order = np.lexsort((event == 0, time))
    residual, rows = residual[order], (x - x.mean(axis=0))[order]
    rows = rows / np.sqrt(np.sum(rows**2, axis=0))
    residual = residual * np.sqrt(59 / (residual @ residual))
    shuffled = np.random.default_rng(5).permuted(np.repeat(residual.astype(np.float32)[:, None], draws, axis=1), axis=0)
    drawn = np.abs(rows.T @ shuffled)
    size = np.abs(found.statistic)
    from_largest = np.argsort(-size)
    expected, floor = np.empty(6), 0.0
    for k, j in enumerate(from_largest):
        reached = drawn[from_largest[k:]].max(axis=0) >= size[j] * (1 - 1e-4)
        floor = max(floor, (1 + reached.sum()) / (draws + 1))
        expected[j] = floor
    assert found.adjusted_p == pytest.approx(expected, abs=1.5 / (draws + 1))
    assert found.maxima == pytest.approx(drawn.max(axis=0), rel=1e-4)
    assert found.global_p == found.adjusted_p.min()


@pytest.mark.parametrize("interaction", [False, True])
def test_reproducible_and_independent_of_threads(interaction):
    x, time, event, arm = study()
    wide = np.tile(x, (1, 30))
    one, two = (
        max_t(wide, time, event, arm if interaction else None, rng=np.random.default_rng(3), threads=k) for k in (1, 2)
    )
    assert np.array_equal(one.statistic, two.statistic)
    assert np.array_equal(one.adjusted_p, two.adjusted_p)


@pytest.mark.parametrize("interaction", [False, True])
def test_missing_values_and_constant_markers(interaction):
    x, time, event, arm = study()
    x[::5, 0] = np.nan
    x[:, 3] = 2.0
    x[:, 4] = np.nan
    found = max_t(x, time, event, arm if interaction else None, rng=np.random.default_rng(3))
    assert np.isnan(found.statistic[3:5]).all()
    assert np.isnan(found.adjusted_p[3:5]).all()
    assert np.isfinite(found.statistic[[0, 1, 2]]).all()
    if interaction:
        rows = ~np.isnan(x[:, 0])
        alone = max_t(x[rows, 0], time[rows], event[rows], arm[rows], rng=np.random.default_rng(3))
        assert found.statistic[0] == pytest.approx(alone.statistic[0], abs=1e-4)


def test_no_event():
    x, time, _, arm = study(40)
    for treatment in (None, arm):
        found = max_t(x, time, np.zeros(40), treatment, rng=np.random.default_rng(0))
        assert found.status == "not_estimable"
        assert np.isnan(found.global_p)


def test_impossible_input_is_refused():
    x, time, event, arm = study(40)
    with pytest.raises(InvalidInputError, match="n_permutations"):
        max_t(x, time, event, rng=np.random.default_rng(0), n_permutations=0)
    with pytest.raises(InvalidInputError, match="treatment"):
        max_t(x, time, event, arm + 1, rng=np.random.default_rng(0))
