"""Compiled one-marker Cox models for screening thousands of markers on the same presorted rows.

Rows are sorted by time with deaths first; Efron's ties; no strata, weights or delayed entry. Newton's method is
sharpened by the third derivative (Chebyshev's step), which saves one pass over the rows in most markers. Memory for
intermediate values is handed in, once for a block of markers.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from trialstrat.stats.kernels.cox_cells import MONOTONE, NO_INFORMATION, NOT_CONVERGED, OK
from trialstrat.stats.kernels.linear import solve_positive

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


@njit(cache=True, nogil=True, error_model="numpy")
def three_pass(
    x: np.ndarray,
    arm: np.ndarray,
    risk: np.ndarray,
    first: np.ndarray,
    deaths: np.ndarray,
    mean: np.ndarray,
    curvature: np.ndarray,
) -> None:
    """Sums over the steps of the mean (3,) and the covariance (3, 3) of ``arm``, ``x`` and ``arm * x``.

    Written in one piece: the running sums stay in registers, which sharing the two loops over rows would undo.
    """
    s0 = sa = sg = sh = sq = sk = 0.0
    ma = mg = mh = 0.0
    vaa = vag = vah = vgg = vgh = vhh = 0.0
    reached = x.shape[0]
    for g in range(first.shape[0] - 1, -1, -1):
        start = first[g]
        d = deaths[g]
        for i in range(start + d, reached):
            r = risk[i]
            rx = r * x[i]
            rxx = rx * x[i]
            s0 += r
            sg += rx
            sq += rxx
            sa += r * arm[i]
            sh += rx * arm[i]
            sk += rxx * arm[i]
        d0 = da = dg = dh = dq = dk = 0.0
        for i in range(start, start + d):
            r = risk[i]
            rx = r * x[i]
            rxx = rx * x[i]
            d0 += r
            dg += rx
            dq += rxx
            da += r * arm[i]
            dh += rx * arm[i]
            dk += rxx * arm[i]
        part = 1.0 / d
        for k in range(d):
            share = 1.0 - k * part
            scale = 1.0 / (s0 + share * d0)
            a = (sa + share * da) * scale
            b = (sg + share * dg) * scale
            h = (sh + share * dh) * scale
            kk = (sk + share * dk) * scale
            ma += a
            mg += b
            mh += h
            vaa += a - a * a
            vag += h - a * b
            vah += h - a * h
            vgg += (sq + share * dq) * scale - b * b
            vgh += kk - b * h
            vhh += kk - h * h
        s0 += d0
        sa += da
        sg += dg
        sh += dh
        sq += dq
        sk += dk
        reached = start
    mean[0], mean[1], mean[2] = ma, mg, mh
    curvature[0, 0], curvature[1, 1], curvature[2, 2] = vaa, vgg, vhh
    curvature[0, 1] = curvature[1, 0] = vag
    curvature[0, 2] = curvature[2, 0] = vah
    curvature[1, 2] = curvature[2, 1] = vgh


@njit(cache=True, nogil=True, error_model="numpy")
def three_risks(
    x: np.ndarray, arm: np.ndarray, coef: np.ndarray, eta: np.ndarray, risk: np.ndarray, bits: np.ndarray
) -> None:
    """``exp(coef[0] arm + coef[1] x + coef[2] arm x)``."""
    treatment, marker, product = coef[0], coef[1], coef[2]
    for i in range(x.shape[0]):
        eta[i] = treatment * arm[i] + x[i] * (marker + product * arm[i])
    exponentials(eta, 1.0, risk, bits)


@njit(cache=True, nogil=True, error_model="numpy")
def _gradient(
    x: np.ndarray,
    arm: np.ndarray,
    first: np.ndarray,
    deaths: np.ndarray,
    coef: np.ndarray,
    observed: np.ndarray,
    gradient: np.ndarray,
    curvature: np.ndarray,
    scratch: np.ndarray,
) -> None:
    """Score (3, 1) and information (3, 3) of ``arm + x + arm * x`` at ``coef``."""
    n = x.shape[0]
    mean = np.empty(3)
    three_risks(x, arm, coef, scratch[0, :n], scratch[1, :n], scratch[2, :n])
    three_pass(x, arm, scratch[1, :n], first, deaths, mean, curvature)
    gradient[:, 0] = observed - mean


@njit(cache=True, nogil=True)
def _largest(coef: np.ndarray, unit: float) -> float:
    """Largest log hazard ratio, per unit of what counts as one change of the marker."""
    return max(abs(coef[0]), unit * abs(coef[1]), unit * abs(coef[2]))


@njit(cache=True, nogil=True, error_model="numpy")
def fit_interaction(
    x: np.ndarray,
    arm: np.ndarray,
    first: np.ndarray,
    deaths: np.ndarray,
    unit: float,
    coef: np.ndarray,
    inverse: np.ndarray,
    scratch: np.ndarray,
) -> int:
    """Cox model ``arm + x + arm * x``, ``x`` standardised; returns the outcome.

    ``coef`` (3,) is the start and is overwritten, ``inverse`` (3, 3) gets the inverse information, ``scratch``
    (3, n) is work space. A full Newton step is halved while it overshoots: while the slope along it has turned
    to more than half of its size in the other direction.
    """
    observed, curvature = np.zeros(3), np.zeros((3, 3))
    for g in range(first.shape[0]):
        for i in range(first[g], first[g] + deaths[g]):
            observed[0] += arm[i]
            observed[1] += x[i]
            observed[2] += arm[i] * x[i]
    step, gradient = np.zeros((3, 1)), np.zeros((3, 1))
    _gradient(x, arm, first, deaths, coef, observed, gradient, curvature, scratch)
    if not min(curvature[0, 0], curvature[1, 1]) > 1e-11 * deaths.sum():
        return NO_INFORMATION
    for round_ in range(60):
        if not solve_positive(curvature, gradient, step):
            return NO_INFORMATION if round_ == 0 else MONOTONE
        gain = (gradient * step).sum()
        longest = np.max(np.abs(step))
        if gain < 1e-11 and longest * unit > 1e-2:
            return MONOTONE
        start = coef.copy()
        scale = 1.0
        while scale > 1e-4:
            coef[:] = start + scale * step[:, 0]
            _gradient(x, arm, first, deaths, coef, observed, gradient, curvature, scratch)
            if (gradient * step).sum() >= -0.5 * gain or gain < 1e-9:
                break
            scale *= 0.5
        if _largest(coef, unit) > 3.0 * LARGEST:
            return MONOTONE
        if longest < 1e-5 and scale == 1.0:
            if not solve_positive(curvature, np.eye(3), inverse):
                return NO_INFORMATION
            solve_positive(curvature, gradient, step)
            coef += step[:, 0]
            return OK if _largest(coef, unit) < LARGEST else MONOTONE
    return NOT_CONVERGED


@njit(cache=True, nogil=True)
def compress(
    values: np.ndarray, event: np.ndarray, tie: np.ndarray, rows: np.ndarray, first: np.ndarray, deaths: np.ndarray
) -> tuple[int, int]:
    """Rows with a value, and their event times: first row and number of deaths. Returns rows and times used."""
    n = groups = 0
    last = -1
    for i in range(values.shape[0]):
        if np.isnan(values[i]):
            continue
        if event[i]:
            if tie[i] != last:
                first[groups] = n
                deaths[groups] = 0
                last = tie[i]
                groups += 1
            deaths[groups - 1] += 1
        rows[n] = i
        n += 1
    return n, groups


@njit(cache=True, nogil=True)
def _has_gaps(values: np.ndarray) -> bool:
    """Whether a value is missing."""
    total = 0.0
    for i in range(values.shape[0]):
        total += values[i]
    return np.isnan(total)


@njit(cache=True, nogil=True, error_model="numpy")
def standardise(x: np.ndarray) -> tuple[float, float, float]:
    """Centre and scale in place; returns mean, SD and the unit: 1, or the scaled range of a two-valued marker."""
    n = x.shape[0]
    low, high, total = x[0], x[0], 0.0
    for i in range(n):
        total += x[i]
        low = min(low, x[i])
        high = max(high, x[i])
    mean = total / n
    square = 0.0
    two = True
    for i in range(n):
        two = two and (x[i] == low or x[i] == high)
        x[i] -= mean
        square += x[i] * x[i]
    sd = np.sqrt(square / n)
    if not sd > 1e-13 * abs(mean):
        return mean, 0.0, 1.0
    for i in range(n):
        x[i] /= sd
    return mean, sd, (high - low) / sd if two else 1.0


@njit(cache=True, nogil=True)
def gather(markers: np.ndarray, order: np.ndarray, low: int, high: int, block: np.ndarray) -> None:
    """Copy columns ``low`` to ``high`` of ``markers`` (n, p) into rows of ``block``, in sorted order, as float64."""
    for i in range(order.shape[0]):
        row = order[i]
        for j in range(low, high):
            block[j - low, i] = markers[row, j]


@njit(cache=True, nogil=True, error_model="numpy")
def _fit_marker(
    x: np.ndarray,
    arm: np.ndarray,
    first: np.ndarray,
    deaths: np.ndarray,
    start: float,
    scratch: np.ndarray,
    estimate: np.ndarray,
) -> int:
    """Fit one marker, alone when ``arm`` is empty; overwrites ``x``, writes ``estimate`` (6,), returns the outcome."""
    n = x.shape[0]
    if first.shape[0] == 0:
        return NO_INFORMATION
    _mean, sd, unit = standardise(x)
    if sd == 0.0:
        return NO_INFORMATION
    if arm.shape[0] == 0:
        slope, information, outcome = fit_one(x, first, deaths, unit, scratch[0, :n], scratch[1, :n])
        estimate[0] = slope / sd
        estimate[1] = 1.0 / np.sqrt(information) / sd
        return outcome
    coef, inverse = np.array([start, 0.0, 0.0]), np.zeros((3, 3))
    outcome = fit_interaction(x, arm[:n], first, deaths, unit, coef, inverse, scratch)
    if outcome == OK:
        estimate[0] = coef[2] / sd
        estimate[1] = np.sqrt(inverse[2, 2]) / sd
        estimate[2] = coef[1] / sd
        estimate[3] = np.sqrt(inverse[1, 1]) / sd
        estimate[4] = (coef[1] + coef[2]) / sd
        estimate[5] = np.sqrt(inverse[1, 1] + inverse[2, 2] + 2.0 * inverse[1, 2]) / sd
    return outcome


@njit(cache=True, nogil=True, error_model="numpy")
def screen_columns(
    markers: np.ndarray,
    order: np.ndarray,
    event: np.ndarray,
    tie: np.ndarray,
    arm: np.ndarray,
    start: float,
    low: int,
    high: int,
    estimates: np.ndarray,
    counts: np.ndarray,
) -> None:
    """Fit one model per column ``low`` to ``high`` of ``markers``.

    ``event``, ``tie`` and ``arm`` are sorted by ``order``; an empty ``arm`` asks for the marker alone. ``start`` is
    the log hazard ratio of the treatment alone. ``estimates`` (p, 6) gets effect and standard error of: the marker
    alone, or the interaction, the marker in arm 0, the marker in arm 1. ``counts`` (p, 3) gets rows, events, outcome.
    """
    n = order.shape[0]
    width = 16
    block, scratch = np.empty((width, n)), np.empty((3, n))
    rows, first, deaths = np.empty(n, np.int64), np.empty(n, np.int64), np.empty(n, np.int64)
    own_arm = np.empty(arm.shape[0])
    used, groups = -1, 0
    for j in range(low, high):
        at = (j - low) % width
        if at == 0:
            gather(markers, order, j, min(j + width, high), block)
        values = block[at]
        # complete markers share their event times: they are found again only after a marker with gaps
        if used != n or _has_gaps(values):
            used, groups = compress(values, event, tie, rows, first, deaths)
            for i in range(used):
                values[i] = values[rows[i]]
            for i in range(min(used, arm.shape[0])):
                own_arm[i] = arm[rows[i]]
        estimates[j, :] = np.nan
        counts[j, 0] = used
        counts[j, 1] = deaths[:groups].sum()
        counts[j, 2] = _fit_marker(
            values[:used], own_arm, first[:groups], deaths[:groups], start, scratch, estimates[j]
        )
