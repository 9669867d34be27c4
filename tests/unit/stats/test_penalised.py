"""The elastic-net Cox path: objective and optimality recomputed from their definition."""

import numpy as np
import pytest

from tests.unit.stats.cox_by_hand import derivative, log_likelihood, trial
from trialstrat.errors import InvalidInputError
from trialstrat.stats.cox import cox
from trialstrat.stats.penalised import penalised_cox


def wide(n=120, p=30, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, p)) * rng.uniform(0.2, 5, p)
    time = np.ceil(8 * rng.exponential(np.exp(-x[:, 0] / x[:, 0].std() + 0.5 * x[:, 1] / x[:, 1].std())))
    return time, (rng.random(n) < 0.7).astype(int), x


@pytest.mark.parametrize("alpha", [1.0, 0.5, 0.0])
@pytest.mark.parametrize("standardize", [True, False])
@pytest.mark.parametrize("late", [False, True])
def test_optimality_from_the_definition(alpha, standardize, late):
    data = trial(n=60, p=4, seed=2, late=late)
    factor = np.array([1.0, 0.0, 2.0, 1.0])
    options = {key: data[key] for key in ("entry", "strata", "weights", "offset")}
    lambdas = [0.03, 0.3, 0.1]
    path = penalised_cox(
        data["time"], data["event"], data["x"], lambdas=lambdas, alpha=alpha, standardize=standardize,
        penalty_factor=factor, **options,
    )  # fmt: skip
    total = data["weights"].sum()
    centre = np.average(data["x"], axis=0, weights=data["weights"])
    sd = np.sqrt(np.average((data["x"] - centre) ** 2, axis=0, weights=data["weights"])) if standardize else np.ones(4)
    v = factor * 4 / factor.sum()
    for k, lam in enumerate(lambdas):
        b = path.coef[k]

        def loglik(beta):
            return log_likelihood(beta, data["time"], data["event"], data["x"], ties="breslow", **options)

        penalty = lam * np.sum(v * ((1 - alpha) / 2 * (sd * b) ** 2 + alpha * sd * np.abs(b)))
        assert path.objective[k] == pytest.approx(-loglik(b) / total + penalty, rel=1e-10)
        g = (derivative(loglik, b) / total - lam * v * (1 - alpha) * sd**2 * b) / sd
        gap = np.where(b != 0, np.abs(g - lam * v * alpha * np.sign(b)), np.maximum(0, np.abs(g) - lam * v * alpha))
        assert gap.max() < 1e-6
    assert path.converged.all()


def test_without_penalty_it_is_breslow_cox():
    time, event, x = wide(p=5)
    path = penalised_cox(time, event, x, lambdas=[0.0])
    fit = cox(time, event, x, ties="breslow")
    assert path.coef[0] == pytest.approx(fit.coef, abs=1e-6)
    assert path.loglik[0] == pytest.approx(fit.loglik, abs=1e-8)


def test_automatic_path():
    time, event, x = wide()
    path = penalised_cox(time, event, x)
    assert path.selected[0] == 0
    assert path.selected[1:].max() > 5
    assert np.all(np.diff(path.lambdas) < 0)
    assert np.allclose(np.diff(np.log(path.lambdas)), np.log(1e-4) / 99)
    assert path.converged.all()
    assert np.all(np.diff(path.loglik) > -1e-6)
    # a hair below the largest penalty something enters, a hair above nothing does
    above, below = (penalised_cox(time, event, x, lambdas=[path.lambdas[0] * f]).selected[0] for f in (1.001, 0.999))
    assert (above, below) == (0, 1)
    tight = penalised_cox(time, event, x, lambdas=path.lambdas)
    assert path.coef == pytest.approx(tight.coef, abs=1e-3)


def test_more_columns_than_rows():
    time, event, x = wide(n=60, p=300)
    path = penalised_cox(time, event, x)
    assert path.converged.all()
    assert path.lambdas[-1] >= 0.01 * path.lambdas[0] * (1 - 1e-9)
    assert 0 < path.selected[-1] <= 60


def test_order_of_penalties_and_other_solutions_do_not_matter():
    time, event, x = wide()
    one = penalised_cox(time, event, x, lambdas=[0.02, 0.2, 0.05])
    for k, lam in enumerate([0.02, 0.2, 0.05]):
        alone = penalised_cox(time, event, x, lambdas=[lam])
        assert one.coef[k] == pytest.approx(alone.coef[0], abs=1e-5)


def test_unpenalised_column_is_always_in():
    time, event, x = wide()
    path = penalised_cox(time, event, x, penalty_factor=[0.0] + [1.0] * 29)
    alone = cox(time, event, x[:, 0], ties="breslow")
    assert path.selected[0] == 1
    assert path.coef[0, 0] == pytest.approx(alone.coef[0], abs=1e-4)


def test_constant_and_separated_columns():
    time, event, x = wide(p=4)
    x[:, 2] = 5.0
    path = penalised_cox(time, event, x)
    assert np.all(path.coef[:, 2] == 0)
    marker = np.arange(120) % 2
    separated = penalised_cox(time, np.where(marker, 0, event), np.column_stack([x[:, 0], marker]), lambdas=[0.01, 0])
    assert separated.converged.tolist() == [True, False]


def test_deterministic():
    time, event, x = wide()
    one, two = (penalised_cox(time, event, x, alpha=0.7) for _ in range(2))
    assert np.array_equal(one.coef, two.coef)


def test_no_event():
    assert penalised_cox([1, 2, 3], [0, 0, 0], np.eye(3), lambdas=[0.1]).status == "not_estimable"
    assert penalised_cox([1, 2, 3], [0, 0, 0], np.eye(3)).lambdas.size == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"lambdas": [-0.1]}, "lambdas"),
        ({"lambdas": []}, "lambdas"),
        ({"alpha": 1.5}, "alpha"),
        ({"penalty_factor": [1.0, -1.0]}, "1 of 2 factors"),
        ({"penalty_factor": [1.0]}, "penalty_factor"),
        ({"min_ratio": 2.0}, "min_ratio"),
        ({"n_lambdas": 0}, "n_lambdas"),
        ({"X": np.zeros((3, 0))}, "X"),
        ({"event": [1, 0, 2]}, "event"),
    ],
)
def test_impossible_input_is_refused(change, message):
    arguments = {"time": [1, 2, 3], "event": [1, 0, 1], "X": np.array([[1.0, 2], [0, 1], [3, 1]]), **change}
    with pytest.raises(InvalidInputError, match=message):
        penalised_cox(**arguments)
