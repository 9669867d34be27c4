"""Chained equations: against R's mice on a stored trial, and what must hold whatever the data."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trialstrat.errors import InvalidInputError
from trialstrat.stats.cox import cox
from trialstrat.stats.imputation import Incomplete, chained_imputations, hazard_predictors
from trialstrat.stats.rubin import pool
from trialstrat.stats.survival import nelson_aalen

#: R 4.2, mice 3.15: m = 400, 10 cycles, pmm / polyreg / logreg, with status and nelsonaalen(): coefficient, SE, fmi.
MICE = {
    "trt": (-0.25120, 0.11597, 0.119),
    "x": (0.47918, 0.08943, 0.467),
    "g1": (0.34005, 0.15602, 0.252),
    "g2": (0.62169, 0.15465, 0.272),
    "b": (-0.45520, 0.12979, 0.244),
    "z": (0.33966, 0.08475, 0.224),
}
#: Complete cases of the same trial (R's coxph): far from both, so that agreement means something.
COMPLETE = {"trt": -0.33874, "x": 0.61921, "g1": 0.51983, "g2": 0.45140, "b": -0.65980, "z": 0.23277}


def trial() -> dict[str, np.ndarray]:
    with (Path(__file__).parent / "imputation_case.csv").open() as handle:
        rows = list(csv.DictReader(handle))
    return {name: np.array([float(row[name] or "nan") for row in rows]) for name in rows[0]}


def test_agrees_with_mice() -> None:
    data = trial()
    status = data["status"].astype(int)
    fixed = np.column_stack([hazard_predictors(data["time"], status), data["trt"], data["z"]])
    variables = [Incomplete(values=data["x"]), Incomplete(values=data["g"], levels=3)]
    variables.append(Incomplete(values=data["b"], levels=2))
    copies = chained_imputations(variables, fixed, imputations=100, rng=np.random.default_rng(20))
    fits = []
    for x, g, b in (copy.T for copy in copies):
        design = np.column_stack([data["trt"], x, g == 1, g == 2, b, data["z"]])
        fits.append(cox(data["time"], status, design))
    for at, (name, (coef, error, fmi)) in enumerate(MICE.items()):
        found = pool([f.coef[at] for f in fits], [f.covariance[at, at] for f in fits], complete_df=fits[0].events - 6)
        assert found.value == pytest.approx(coef, abs=0.03), name  # Monte-Carlo error of both: about 0.01
        assert found.std_error == pytest.approx(error, rel=0.12), name
        assert found.fmi == pytest.approx(fmi, abs=0.13), name
    away = [abs(COMPLETE[name] - MICE[name][0]) for name in MICE]
    assert min(away) > 0.03


def test_hazard_predictors_are_event_and_nelson_aalen() -> None:
    time, event = np.array([1.0, 2, 2, 3, 4]), np.array([1, 1, 0, 0, 1])
    found = hazard_predictors(time, event)
    curve = nelson_aalen(time, event)
    height = dict(zip(curve.time, curve.cumulative_hazard, strict=True))
    assert found[:, 0] == pytest.approx(event)
    assert found[:, 1] == pytest.approx([height[1], height[2], height[2], height[2], height[4]])


def test_hazard_predictors_by_cause_group_and_entry() -> None:
    time, event = np.array([1.0, 2, 3, 1, 2, 3]), np.array([1, 2, 0, 2, 1, 1])
    group = np.array([0, 0, 0, 1, 1, 1])
    found = hazard_predictors(time, event, groups=group)
    assert found.shape == (6, 4)
    assert found[:3, 1] == pytest.approx([1 / 3, 1 / 3, 1 / 3])
    assert found[3:, 1] == pytest.approx([0, 1 / 2, 3 / 2])
    late = hazard_predictors(time[:3], np.array([1, 1, 1]), entry=np.array([0.0, 1.5, 0]))
    assert late[1, 1] == pytest.approx(1 / 2)  # at risk from 1.5: only the second step counts


def _study(seed: int, n: int = 60) -> tuple[list[Incomplete], np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    z, arm = rng.normal(size=n), rng.integers(0, 2, n)
    x, g = z + rng.normal(size=n), rng.integers(0, 3, n).astype(float)
    x[rng.random(n) < 0.3] = np.nan
    g[rng.random(n) < 0.2] = np.nan
    return [Incomplete(values=x), Incomplete(values=g, levels=3)], z[:, None], arm


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6))
def test_known_values_stay_and_gaps_get_values_of_the_own_group(seed: int) -> None:
    variables, fixed, arm = _study(seed)
    copies = chained_imputations(variables, fixed, imputations=3, rng=np.random.default_rng(seed), groups=arm)
    again = chained_imputations(variables, fixed, imputations=3, rng=np.random.default_rng(seed), groups=arm)
    assert copies.tobytes() == again.tobytes()
    assert np.isfinite(copies).all()
    for at, variable in enumerate(variables):
        known = np.isfinite(variable.values)
        assert (copies[:, known, at] == variable.values[known]).all()
        for label in (0, 1):
            own = set(variable.values[known & (arm == label)])
            assert set(copies[:, arm == label, at].ravel()) <= own


def test_an_interaction_with_treatment_is_kept_when_arms_are_imputed_apart() -> None:
    rng = np.random.default_rng(4)
    n = 4000
    arm, x = rng.integers(0, 2, n), rng.normal(size=n)
    y = np.where(arm == 1, x, -x) + rng.normal(size=n)
    gaps = x.copy()
    gaps[rng.random(n) < 0.5] = np.nan

    def interaction(groups: np.ndarray | None) -> float:
        fixed = np.column_stack([y, arm])
        filled = chained_imputations([Incomplete(values=gaps)], fixed, imputations=1, rng=rng, groups=groups)[0, :, 0]
        return float(np.polyfit(filled[arm == 1], y[arm == 1], 1)[0] - np.polyfit(filled[arm == 0], y[arm == 0], 1)[0])

    assert interaction(arm) == pytest.approx(2.0, abs=0.15)
    assert interaction(None) < 1.6


def test_perfect_prediction_and_rare_levels_stay_finite() -> None:
    rng = np.random.default_rng(5)
    z = rng.normal(size=80)
    g = (z > 0).astype(float)  # z predicts g without error
    g[::7] = np.nan
    rare = np.zeros(80)
    rare[3] = 1
    rare[::9] = np.nan
    variables = [Incomplete(values=g, levels=2), Incomplete(values=rare, levels=2)]
    copies = chained_imputations(variables, z[:, None], imputations=20, rng=rng)
    assert np.isin(copies, (0, 1)).all()
    imputed = copies[:, ::7, 0]
    assert (imputed == (z[::7] > 0)).mean() > 0.85


def test_collinear_and_constant_predictors_do_no_harm() -> None:
    variables, fixed, _ = _study(3)
    wide = np.column_stack([fixed, 2 * fixed, np.ones(len(fixed))])
    assert np.isfinite(chained_imputations(variables, wide, imputations=2, rng=np.random.default_rng(1))).all()


def test_what_cannot_be_imputed_is_refused() -> None:
    rng = np.random.default_rng(1)
    never = [Incomplete(values=np.full(4, np.nan))]
    with pytest.raises(InvalidInputError, match="never known"):
        chained_imputations(never, np.zeros((4, 0)), imputations=1, rng=rng)
    with pytest.raises(InvalidInputError, match="missing values"):
        chained_imputations([], np.full((4, 1), np.nan), imputations=1, rng=rng)
    with pytest.raises(InvalidInputError, match="1 or more"):
        chained_imputations([], np.zeros((4, 1)), imputations=0, rng=rng)
    with pytest.raises(InvalidInputError, match="one value per row"):
        chained_imputations([Incomplete(values=np.zeros(3))], np.zeros((4, 1)), imputations=1, rng=rng)
