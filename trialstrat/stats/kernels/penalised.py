"""Compiled coordinate descent for the elastic-net Cox model.

Columns are rows of ``z`` (p, n), standardised and in sorted order. Around the current coefficients the log partial
likelihood is approximated to second order with its full information matrix, never formed: its product with a column
takes one sweep over the risk sets and is kept as long as the approximation is.
"""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def dot(a: np.ndarray, b: np.ndarray) -> float:
    """Inner product in eight fixed partial sums, so that the compiler may use wide registers."""
    n = a.shape[0]
    s0 = s1 = s2 = s3 = s4 = s5 = s6 = s7 = 0.0
    whole = n - n % 8
    for i in range(0, whole, 8):
        s0 += a[i] * b[i]
        s1 += a[i + 1] * b[i + 1]
        s2 += a[i + 2] * b[i + 2]
        s3 += a[i + 3] * b[i + 3]
        s4 += a[i + 4] * b[i + 4]
        s5 += a[i + 5] * b[i + 5]
        s6 += a[i + 6] * b[i + 6]
        s7 += a[i + 7] * b[i + 7]
    rest = 0.0
    for i in range(whole, n):
        rest += a[i] * b[i]
    return ((s0 + s1) + (s2 + s3)) + ((s4 + s5) + (s6 + s7)) + rest


@njit(cache=True, nogil=True)
def gradients(z: np.ndarray, residual: np.ndarray, out: np.ndarray) -> None:
    """``z @ residual`` into ``out``."""
    for j in range(z.shape[0]):
        out[j] = dot(z[j], residual)


@njit(cache=True, nogil=True)
def linear_predictor(z: np.ndarray, coef: np.ndarray, out: np.ndarray) -> None:
    """``coef @ z`` into ``out``, by its nonzero coefficients."""
    out[:] = 0.0
    for j in range(coef.shape[0]):
        value = coef[j]
        if value != 0.0:
            row = z[j]
            for i in range(out.shape[0]):
                out[i] += value * row[i]


@njit(cache=True, nogil=True, error_model="numpy")
def curvature_product(
    v: np.ndarray,
    risk: np.ndarray,
    hazard: np.ndarray,
    step: np.ndarray,
    first: np.ndarray,
    last: np.ndarray,
    opens: np.ndarray,
    leaving: np.ndarray,
    by_entry: np.ndarray,
    begin: np.ndarray,
    end: np.ndarray,
    total: np.ndarray,
    out: np.ndarray,
) -> None:
    """Information of the linear predictors times ``v``, into ``out`` (n,); Breslow's ties.

    ``risk`` is weight times exp(eta), ``hazard`` the increments each row lives through, ``step`` (g,) the increment
    divided by the risk-set sum; the index arrays are those of the risk sets; ``total`` (g,) is scratch.
    """
    running = 0.0
    reached = 0
    groups = first.shape[0]
    for g in range(groups - 1, -1, -1):
        if g == groups - 1 or last[g] != last[g + 1]:
            reached = last[g]
            running = 0.0
        for i in range(first[g], reached):
            running += risk[i] * v[i]
        for at in range(leaving[g, 0], leaving[g, 1]):
            running -= risk[by_entry[at]] * v[by_entry[at]]
        reached = first[g]
        total[g] = running * step[g]
    for g in range(groups):
        if not opens[g]:
            total[g] += total[g - 1]
    for i in range(v.shape[0]):
        seen = 0.0
        if end[i] > begin[i]:
            seen = total[end[i] - 1]
            if not opens[begin[i]]:
                seen -= total[begin[i] - 1]
        out[i] = risk[i] * (hazard[i] * v[i] - seen)


@njit(cache=True, nogil=True, error_model="numpy")
def sweep_coordinates(
    z: np.ndarray,
    columns: np.ndarray,
    residual: np.ndarray,
    products: np.ndarray,
    diagonal: np.ndarray,
    lasso: np.ndarray,
    ridge: np.ndarray,
    unit: np.ndarray,
    coef: np.ndarray,
    risk: np.ndarray,
    hazard: np.ndarray,
    step: np.ndarray,
    first: np.ndarray,
    last: np.ndarray,
    opens: np.ndarray,
    leaving: np.ndarray,
    by_entry: np.ndarray,
    begin: np.ndarray,
    end: np.ndarray,
    total: np.ndarray,
) -> float:
    """One pass of coordinate descent over ``columns``; returns the largest gradient mismatch it mended.

    ``residual`` (n,) is the gradient by linear predictor of the quadratic approximation, kept up to date.
    ``products[at]`` holds the curvature times ``z[columns[at]]`` and ``diagonal[at]`` its curvature, both made when
    first needed (``diagonal`` negative: not yet). ``lasso`` and ``ridge`` (p,) are the penalties times the total
    weight; ``unit`` (p,) turns a gradient mismatch into the caller's units. Other arrays: :func:`curvature_product`.
    """
    worst = 0.0
    for at in range(columns.shape[0]):
        j = columns[at]
        slope = dot(z[j], residual)
        if coef[j] == 0.0 and abs(slope) <= lasso[j]:
            continue
        if diagonal[at] < 0.0:
            curvature_product(
                z[j], risk, hazard, step, first, last, opens, leaving, by_entry, begin, end, total, products[at]
            )
            diagonal[at] = max(dot(z[j], products[at]), 0.0)
        bend = diagonal[at] + ridge[j]
        if not bend > 0.0:
            continue
        slope += diagonal[at] * coef[j]
        new = 0.0
        if abs(slope) > lasso[j]:
            new = (slope - lasso[j] if slope > 0.0 else slope + lasso[j]) / bend
        change = new - coef[j]
        if change != 0.0:
            coef[j] = new
            product = products[at]
            for i in range(residual.shape[0]):
                residual[i] -= change * product[i]
            worst = max(worst, abs(change) * bend * unit[j])
    return worst
