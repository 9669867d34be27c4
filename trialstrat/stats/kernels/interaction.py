"""Compiled Cox models of treatment, one marker and their product on presorted rows: Newton steps with halving."""

from __future__ import annotations

import numpy as np
from numba import njit

from trialstrat.stats.kernels.cox_cells import MONOTONE, NO_INFORMATION, NOT_CONVERGED, OK
from trialstrat.stats.kernels.linear import solve_positive
from trialstrat.stats.kernels.one_marker import LARGEST, exponentials


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
