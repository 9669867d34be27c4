"""Best rule of every relabelling: the inner loop of the rule search.

A rule's sum over its patients is a signed sum of rows of a product ``base @ columns``: with ``low`` and ``known`` the
masks of a split, the high side is ``known - low``, and a conjunction of sides multiplies out into products of those.
"""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True, error_model="numpy", inline="always")
def _difference(tm, m, tl, ls, tm_all, m_all, tl_all, ls_all):
    """One-step effect inside less outside the rule, and its variance (0 when an arm has nothing expected)."""
    free = ls - tl
    out_tl, out_free = tl_all - tl, ls_all - ls - (tl_all - tl)
    if tl <= 0.0 or free <= 0.0 or out_tl <= 0.0 or out_free <= 0.0:
        return 0.0, 0.0
    share = tl / ls
    info_in = tl * (1.0 - share)
    out_share = out_tl / (ls_all - ls)
    info_out = out_tl * (1.0 - out_share)
    inside = (tm - share * m) / info_in
    outside = (tm_all - tm - out_share * (m_all - m)) / info_out
    return inside - outside, 1.0 / info_in + 1.0 / info_out


@njit(cache=True, nogil=True, error_model="numpy")
def best_rules(tm, m, tl, ls, terms, signs, width, group, direction, groups):
    """Largest statistic of each group of rules for every relabelling.

    Parameters
    ----------
    tm, tl : (rows, b) float32
        Sums over each base row of treated score and treated expectation; row 0 is everybody.
    m, ls : (rows, 1 or b) float32
        The same over both arms.
    terms, signs, width : (rules, k), (rules, k), (rules,)
        Base rows of a rule, their signs, and how many there are.
    group : (rules,)
        Group of a rule, 0 to ``groups - 1``.
    direction : (rules,)
        0 for the absolute statistic, else its sign.

    Returns
    -------
    top (groups, b), at (groups, b)
        The statistic (0 where no rule has one) and the number of the rule.
    """
    count, columns = terms.shape[0], tm.shape[1]
    top = np.zeros((groups, columns))
    at = np.zeros((groups, columns), dtype=np.int64)
    several_m, several_l = m.shape[1] > 1, ls.shape[1] > 1
    for r in range(count):
        g, way, k = group[r], direction[r], width[r]
        for j in range(columns):
            jm = j if several_m else 0
            jl = j if several_l else 0
            a, b, c, d = 0.0, 0.0, 0.0, 0.0
            for q in range(k):
                row, sign = terms[r, q], signs[r, q]
                a += sign * tm[row, j]
                b += sign * m[row, jm]
                c += sign * tl[row, j]
                d += sign * ls[row, jl]
            value, variance = _difference(a, b, c, d, tm[0, j], m[0, jm], tl[0, j], ls[0, jl])
            if variance <= 0.0:
                continue
            z = value / np.sqrt(variance)
            z = abs(z) if way == 0 else way * z
            if z > top[g, j]:
                top[g, j] = z
                at[g, j] = r
    return top, at


@njit(cache=True, nogil=True, error_model="numpy")
def differences(tm, m, tl, ls, terms, signs, width, rules):
    """Difference of effects and its variance of the rules (k,), one per labelling or all of a single one: two (k,)."""
    value, variance = np.zeros(len(rules)), np.zeros(len(rules))
    several, several_m, several_l = tm.shape[1] > 1, m.shape[1] > 1, ls.shape[1] > 1
    for j in range(len(rules)):
        jt = j if several else 0
        jm = j if several_m else 0
        jl = j if several_l else 0
        r = rules[j]
        a, b, c, d = 0.0, 0.0, 0.0, 0.0
        for q in range(width[r]):
            row, sign = terms[r, q], signs[r, q]
            a += sign * tm[row, jt]
            b += sign * m[row, jm]
            c += sign * tl[row, jt]
            d += sign * ls[row, jl]
        value[j], variance[j] = _difference(a, b, c, d, tm[0, jt], m[0, jm], tl[0, jt], ls[0, jl])
    return value, variance
