"""Trials with known truth: covariates and prognosis of GBSG2, Weibull outcomes, about 40% censored, effects declared.

Patients are drawn with replacement from the 686 of GBSG2 (as scikit-survival ships it); noise markers are added; the
hazard is that of a Weibull regression fitted to the real trial, times the declared hazard ratio of a treatment given
at random. The censoring scale is fixed per scenario on a very large sample before any method sees a trial.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache, lru_cache

import numpy as np
import pandas as pd

CENSORED = 0.40
POPULATION = 200_000


@dataclass(frozen=True)
class Scenario:
    """``n`` patients, noise markers beside the seven real ones, and log hazard ratios by patient."""

    name: str
    n: int
    noise: int
    effect: Callable[[pd.DataFrame], np.ndarray]
    prognosis: float = 1.0
    columns: int = 12
    inflation: float = 1.0


@dataclass(frozen=True)
class Trial:
    frame: pd.DataFrame
    treated: np.ndarray
    time: np.ndarray
    event: np.ndarray
    effect: np.ndarray = field(repr=False)


@lru_cache(maxsize=1)
def base() -> tuple[pd.DataFrame, np.ndarray, float, float]:
    """Covariates, standardised linear predictor of the log time, intercept and shape of the Weibull regression."""
    from lifelines import WeibullAFTFitter
    from sksurv.datasets import load_gbsg2

    X, y = load_gbsg2()
    frame = pd.DataFrame(
        {
            "age": X.age.astype(float),
            "size": X.tsize.astype(float),
            "nodes": X.pnodes.astype(float),
            "pgr": X.progrec.astype(float),
            "er": X.estrec.astype(float),
            "grade": X.tgrade.map({"I": 1, "II": 2, "III": 3}).astype(float),
            "menopause": (X.menostat == "Post").astype(float),
        }
    )
    coded = frame.copy()
    for name in ("nodes", "pgr", "er"):
        coded[name] = np.log1p(coded[name])
    Z = (coded - coded.mean()) / coded.std()
    fit = WeibullAFTFitter().fit(Z.assign(t=y["time"], e=y["cens"].astype(int)), "t", "e")
    coef = fit.params_["lambda_"].drop("Intercept").reindex(Z.columns).to_numpy()
    return (
        frame,
        Z.to_numpy() @ coef,
        float(fit.params_[("lambda_", "Intercept")]),
        float(np.exp(fit.params_[("rho_", "Intercept")])),
    )


def quantile(name: str, q: float) -> float:
    return float(base()[0][name].quantile(q))


def _two(frame: pd.DataFrame) -> np.ndarray:
    harmed = (frame.age > quantile("age", 0.55)) & (frame.pgr <= quantile("pgr", 0.45))
    return np.where(harmed, np.log(2.0), np.log(0.65))


SCENARIOS = {
    entry.name: entry
    for entry in (
        Scenario("null07", 600, 5, lambda d: np.full(len(d), np.log(0.7)), prognosis=1.3),
        Scenario("null1", 300, 3, lambda d: np.zeros(len(d)), columns=10),
        # 13% of the patients have no progesterone receptor, 12% no oestrogen receptor
        Scenario("spike", 700, 5, lambda d: np.where(d.pgr == 0, np.log(2.0), np.log(0.6)), inflation=1.15),
        Scenario("spike12", 700, 5, lambda d: np.where(d.er == 0, np.log(2.0), np.log(0.6)), inflation=1.15),
        Scenario("two", 700, 5, _two, inflation=1.15),
        Scenario("pgr40", 500, 5, lambda d: np.where(d.pgr > quantile("pgr", 0.6), np.log(0.5), 0.0), inflation=1.25),
        Scenario("smooth", 600, 5, lambda d: 0.7 * np.tanh((d.age.to_numpy() - 54.0) / 8.0) - 0.15),
    )
}


def _draw(
    rng: np.random.Generator, scenario: Scenario, n: int
) -> tuple[pd.DataFrame, np.ndarray, np.ndarray, np.ndarray]:
    frame, score, intercept, shape = base()
    rows = rng.integers(0, len(frame), n)
    made = frame.iloc[rows].reset_index(drop=True)
    for j in range(scenario.noise):
        made[f"x{j}"] = rng.normal(size=n) if j % 2 == 0 else (rng.random(n) < 0.4).astype(float)
    treated = rng.permutation(np.arange(n) % 2)
    effect = scenario.inflation * np.asarray(scenario.effect(made), dtype=float)
    log_hazard = -shape * (intercept + scenario.prognosis * score[rows]) + effect * treated
    time = (rng.exponential(size=n) / np.exp(log_hazard)) ** (1 / shape)
    return made, treated, time, effect


@cache
def censoring_scale(name: str) -> float:
    """Upper end of uniform censoring (from a third of it) that leaves ``CENSORED`` of the patients without event."""
    rng = np.random.default_rng(20260101)
    _, _, time, _ = _draw(rng, SCENARIOS[name], 50_000)
    uniform = rng.uniform(1 / 3, 1.0, len(time))
    low, high = 1.0, 1e6
    for _ in range(60):
        scale = np.sqrt(low * high)
        if (time > scale * uniform).mean() > CENSORED:
            low = scale
        else:
            high = scale
    return float(scale)


def trial(rng: np.random.Generator, name: str, n: int | None = None) -> Trial:
    """One trial of a scenario (of its own size, or of ``n`` patients)."""
    scenario = SCENARIOS[name]
    n = scenario.n if n is None else n
    frame, treated, time, effect = _draw(rng, scenario, n)
    censored = rng.uniform(1 / 3, 1.0, n) * censoring_scale(name)
    return Trial(
        frame=frame.iloc[:, : scenario.columns],
        treated=treated,
        time=np.minimum(time, censored),
        event=(time <= censored).astype(int),
        effect=effect,
    )
