"""Small dense linear algebra in a fixed order of operations.

The results of a threaded BLAS depend on the number of its threads, and its threads wait for each other on a busy
machine; regression matrices are small enough to do without.
"""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def weighted_cross(x: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """``x.T @ diag(weight) @ x`` for x (n, p)."""
    n, p = x.shape
    out = np.zeros((p, p))
    for i in range(n):
        for j in range(p):
            value = weight[i] * x[i, j]
            for k in range(j + 1):
                out[j, k] += value * x[i, k]
    for j in range(p):
        for k in range(j):
            out[k, j] = out[j, k]
    return out


@njit(cache=True, nogil=True)
def weighted_total(x: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """``x.T @ weight`` for x (n, p)."""
    n, p = x.shape
    out = np.zeros(p)
    for i in range(n):
        for j in range(p):
            out[j] += weight[i] * x[i, j]
    return out


@njit(cache=True, nogil=True)
def row_products(x: np.ndarray, coef: np.ndarray) -> np.ndarray:
    """``x @ coef``, every row summed in the same order, so that equal rows give equal values."""
    n, p = x.shape
    out = np.zeros(n)
    for i in range(n):
        value = 0.0
        for j in range(p):
            value += x[i, j] * coef[j]
        out[i] = value
    return out


@njit(cache=True, nogil=True, error_model="numpy")
def _factorise(matrix: np.ndarray, scale: np.ndarray, factor: np.ndarray) -> bool:
    """Lower Cholesky factor of ``matrix / outer(scale, scale)``; False when it is not positive definite."""
    for j in range(matrix.shape[0]):
        for k in range(j + 1):
            value = matrix[j, k] / (scale[j] * scale[k])
            for m in range(k):
                value -= factor[j, m] * factor[k, m]
            if k < j:
                factor[j, k] = value / factor[k, k]
            elif value > 0.0:
                factor[j, j] = np.sqrt(value)
            else:
                return False
    return True


@njit(cache=True, nogil=True, error_model="numpy")
def solve_positive(matrix: np.ndarray, right: np.ndarray, out: np.ndarray) -> bool:
    """Solve ``matrix @ out = right`` (p, q) for a positive definite matrix; False when it is not.

    Cholesky factorisation of the matrix scaled to unit diagonal.
    """
    p = matrix.shape[0]
    factor = np.zeros((p, p))
    scale = np.zeros(p)
    for j in range(p):
        if not (matrix[j, j] > 0.0 and np.isfinite(matrix[j, j])):
            return False
        scale[j] = np.sqrt(matrix[j, j])
    if not _factorise(matrix, scale, factor):
        return False
    for c in range(right.shape[1]):
        for j in range(p):
            value = right[j, c] / scale[j]
            for m in range(j):
                value -= factor[j, m] * out[m, c]
            out[j, c] = value / factor[j, j]
        for j in range(p - 1, -1, -1):
            value = out[j, c]
            for m in range(j + 1, p):
                value -= factor[m, j] * out[m, c]
            out[j, c] = value / factor[j, j]
        for j in range(p):
            out[j, c] /= scale[j]
    return True
