"""Compiled Cox model of one marker on presorted rows.

Newton's method is sharpened by the third derivative (Chebyshev's step), which saves one pass over the rows in most
markers.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from trialstrat.stats.kernels.cox_cells import MONOTONE, NO_INFORMATION, OK

#: A log hazard ratio beyond this, per standard deviation or between two values, is a symptom and not an estimate.
LARGEST = 10.0
#: Newton step (per SD) below which one sharpened step leaves an error far below 1e-9.
SMALL_STEP = 1e-5
_LOG2E = 1.4426950408889634
_LN2_HIGH = 6.93147180369123816490e-01
_LN2_LOW = 1.90821492927058770002e-10
#: 1.5 * 2^52: adding it rounds to an integer that then stands in the low bits of the sum.
_ROUND = 6755399441055744.0


@njit(cache=True, nogil=True)
def exponentials(x: np.ndarray, coef: float, out: np.ndarray, bits: np.ndarray) -> None:
    """``exp(coef * x)`` to within a few units in the last place, in a loop the compiler can vectorise.

    ``bits`` is scratch of the same length. The argument is limited to +-600.
    """
    n = x.shape[0]
    out_bits = out.view(np.int64)
    for i in range(n):
        z = min(max(coef * x[i], -600.0), 600.0)
        t = z * _LOG2E + _ROUND
        bits[i] = t
        k = t - _ROUND
        f = (z - k * _LN2_HIGH) - k * _LN2_LOW
        y = 1.0 / 6227020800.0
        y = y * f + 1.0 / 479001600.0
        y = y * f + 1.0 / 39916800.0
        y = y * f + 1.0 / 3628800.0
        y = y * f + 1.0 / 362880.0
        y = y * f + 1.0 / 40320.0
        y = y * f + 1.0 / 5040.0
        y = y * f + 1.0 / 720.0
        y = y * f + 1.0 / 120.0
        y = y * f + 1.0 / 24.0
        y = y * f + 1.0 / 6.0
        y = y * f + 0.5
        y = y * f + 1.0
        out[i] = y * f + 1.0
    whole = bits.view(np.int64)
    for i in range(n):
        out_bits[i] += whole[i] << 52


@njit(cache=True, nogil=True, error_model="numpy")
def one_pass(x: np.ndarray, risk: np.ndarray, first: np.ndarray, deaths: np.ndarray) -> tuple[float, float, float]:
    """Sums over the steps of mean, variance and third central moment of ``x`` in the risk set."""
    s0 = s1 = s2 = s3 = 0.0
    mean_sum = variance = third = 0.0
    reached = x.shape[0]
    for g in range(first.shape[0] - 1, -1, -1):
        start = first[g]
        d = deaths[g]
        for i in range(start + d, reached):
            a = risk[i]
            b = a * x[i]
            c = b * x[i]
            s0 += a
            s1 += b
            s2 += c
            s3 += c * x[i]
        d0 = d1 = d2 = d3 = 0.0
        for i in range(start, start + d):
            a = risk[i]
            b = a * x[i]
            c = b * x[i]
            d0 += a
            d1 += b
            d2 += c
            d3 += c * x[i]
        part = 1.0 / d
        for k in range(d):
            share = 1.0 - k * part
            scale = 1.0 / (s0 + share * d0)
            m1 = (s1 + share * d1) * scale
            m2 = (s2 + share * d2) * scale
            m3 = (s3 + share * d3) * scale
            square = m1 * m1
            mean_sum += m1
            variance += m2 - square
            third += m3 - m1 * (3.0 * m2 - 2.0 * square)
        s0 += d0
        s1 += d1
        s2 += d2
        s3 += d3
        reached = start
    return mean_sum, variance, third


@njit(cache=True, nogil=True, error_model="numpy")
def fit_one(
    x: np.ndarray,
    first: np.ndarray,
    deaths: np.ndarray,
    unit: float,
    risk: np.ndarray,
    bits: np.ndarray,
) -> tuple[float, float, int]:
    """Cox model with the one covariate ``x``, standardised: coefficient, information there, outcome.

    ``unit`` is the largest change of ``x`` that counts as one (its SD, or its range when two-valued). The score
    falls in the coefficient, so that its sign brackets the maximum whatever the steps do.
    """
    observed = 0.0
    for g in range(first.shape[0]):
        for i in range(first[g], first[g] + deaths[g]):
            observed += x[i]
    risk[:] = 1.0
    mean, variance, third = one_pass(x, risk, first, deaths)
    coef, low, high = 0.0, -LARGEST / unit, LARGEST / unit
    if not variance > 1e-11 * deaths.sum():
        return np.nan, np.nan, NO_INFORMATION
    for _ in range(60):
        score = observed - mean
        if score > 0.0:
            low = coef
        else:
            high = coef
        newton = score / variance
        bend = -0.5 * third / variance * newton
        step = newton * (1.0 + bend) if abs(bend) < 0.5 else newton
        if abs(newton) < SMALL_STEP:
            return coef + step, variance + third * step, OK
        if high - low < 1e-3 * LARGEST / unit or (score * newton < 1e-11 and abs(newton) * unit > 0.05):
            break
        coef = coef + step if low < coef + step < high else 0.5 * (low + high)
        exponentials(x, coef, risk, bits)
        mean, variance, third = one_pass(x, risk, first, deaths)
        if not variance > 0.0:
            break
    return np.nan, np.nan, MONOTONE
