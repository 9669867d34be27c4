"""Batch effects: seen where they are, taken away by what training rows teach, as the paper's formulas say."""

from __future__ import annotations

import numpy as np
import pytest

from trialstrat.errors import InvalidInputError
from trialstrat.stats.batch import component_association, fit_location_scale


def drawn(shift: float, n: int = 60, p: int = 80) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    batch = np.array(["a", "b", "c"], dtype=object)[np.arange(n) % 3]
    values = rng.normal(5, 1, (n, p)) * rng.uniform(0.5, 2, p)
    values[batch == "b"] += shift * rng.uniform(0.5, 1.5, p)
    values[batch == "c"] *= 1.5
    return values, batch


def test_components_of_shifted_batches_are_those_of_batch() -> None:
    values, batch = drawn(3.0)
    first = component_association(values, batch)[0]
    assert first.explained > 0.8
    assert first.p < 1e-10
    assert sum(entry.variance for entry in component_association(values, batch, 60)) == pytest.approx(1)


def test_f_and_share_are_those_of_the_analysis_of_variance() -> None:
    from scipy.stats import f_oneway

    values, batch = drawn(0.5)
    found = component_association(values, batch, 3)
    scaled = (values - values.mean(axis=0)) / values.std(axis=0)
    left, _, _ = np.linalg.svd(scaled, full_matrices=False)
    for entry, column in zip(found, left.T, strict=False):
        groups = [column[batch == name] for name in "abc"]
        assert entry.p == pytest.approx(f_oneway(*groups).pvalue, rel=1e-6)


def by_the_paper(values: np.ndarray, batch: np.ndarray) -> np.ndarray:
    """Marker by marker, as the formulas stand in Johnson 2007 (and in the package sva without covariates)."""
    out = np.empty_like(values)
    names = sorted(set(batch))
    n, p = values.shape
    grand = sum((batch == name).sum() / n * values[batch == name].mean(axis=0) for name in names)
    residual = np.concatenate([values[batch == name] - values[batch == name].mean(axis=0) for name in names])
    sigma = np.sqrt((residual**2).sum(axis=0) / n)
    for name in names:
        z = (values[batch == name] - grand) / sigma
        size = len(z)
        hat, var = z.mean(axis=0), z.var(axis=0, ddof=1)
        bar, t2 = hat.mean(), hat.var(ddof=1)
        m, s2 = var.mean(), var.var(ddof=1)
        shape, rate = (2 * s2 + m**2) / s2, (m * s2 + m**3) / s2
        for g in range(p):
            gamma, delta = hat[g], var[g]
            for _ in range(300):
                gamma = (t2 * size * hat[g] + delta * bar) / (t2 * size + delta)
                delta = (rate + 0.5 * ((z[:, g] - gamma) ** 2).sum()) / (size / 2 + shape - 1)
            out[batch == name, g] = sigma[g] * (z[:, g] - gamma) / np.sqrt(delta) + grand[g]
    return out


def test_location_and_scale_are_the_empirical_bayes_ones_of_the_paper() -> None:
    values, batch = drawn(2.0)
    fitted = fit_location_scale(values, batch).apply(values, batch)
    np.testing.assert_allclose(fitted, by_the_paper(values, batch), rtol=1e-6)
    assert component_association(fitted, batch)[0].explained < 0.2


def test_what_is_new_stays_as_it_is() -> None:
    values, batch = drawn(2.0)
    fitted = fit_location_scale(values, batch)
    new = values[:4] + 1
    np.testing.assert_array_equal(fitted.apply(new, np.array(["z"] * 4, dtype=object)), new)
    single = fit_location_scale(values, np.array(["a"] * len(values), dtype=object))
    np.testing.assert_array_equal(single.apply(values, np.array(["a"] * len(values), dtype=object)), values)


def test_gaps_constants_and_lone_patients_do_no_harm() -> None:
    values, batch = drawn(2.0)
    values[3, 5], values[:, 7] = np.nan, 4.0
    batch = batch.copy()
    batch[0] = "alone"
    fitted = fit_location_scale(values, batch).apply(values, batch)
    assert np.isnan(fitted).sum() == 1
    np.testing.assert_array_equal(fitted[:, 7], 4.0)


def test_lengths_must_agree() -> None:
    with pytest.raises(InvalidInputError, match="batch labels"):
        component_association(np.zeros((3, 2)), np.array(["a"], dtype=object))


def test_batches_without_inner_variance_have_no_test() -> None:
    values = np.repeat(np.eye(3), 4, axis=0)
    found = component_association(values, np.repeat(np.array(["a", "b", "c"], dtype=object), 4))
    assert found[0].explained == pytest.approx(1)
    assert np.isnan(found[0].p)
    rounded = component_association(
        values + 1e-15 * np.random.default_rng(0).normal(size=values.shape),
        np.repeat(np.array(["a", "b", "c"], dtype=object), 4),
    )
    assert np.isnan(rounded[0].p)
