"""Evidence and best rule of every relabelling: the inner loop of the rule search.

A rule's sum over its patients is a signed sum of rows of a product ``base @ columns``: with ``low`` and ``known`` the
masks of a split, the high side is ``known - low``, and a conjunction of sides multiplies out into products of those.
"""

from __future__ import annotations

import numpy as np
from numba import njit

#: Statistics below this are taken from the score: there it and the likelihood ratio agree, and carry no evidence.
_SMALL = 1.0
#: Largest exponent that is taken as it is; the sum over rules stays finite.
_LARGEST = 600.0


@njit(cache=True, nogil=True, error_model="numpy", inline="always")
def _arms(tm, m, tl, ls, counts):
    """One-step effect of one side of a rule and its information (0 when an arm has nothing expected)."""
    if tl <= 0.0 or ls - tl <= 0.0:
        return 0.0, 0.0, 0.0
    share = tl / ls
    # given the number of events, those of the treated are binomial: the information is that of the events seen
    seen = m + ls if counts else ls
    info = seen * share * (1.0 - share)
    if info <= 0.0:
        return 0.0, 0.0, 0.0
    return (tm - share * m) / info, info, share


@njit(cache=True, nogil=True, error_model="numpy", inline="always")
def _difference(tm, m, tl, ls, tm_all, m_all, tl_all, ls_all, counts):
    """One-step effect inside less outside the rule, and its variance (0 when an arm has nothing expected)."""
    inside, info_in, _ = _arms(tm, m, tl, ls, counts)
    outside, info_out, _ = _arms(tm_all - tm, m_all - m, tl_all - tl, ls_all - ls, counts)
    if info_in <= 0.0 or info_out <= 0.0:
        return 0.0, 0.0
    return inside - outside, 1.0 / info_in + 1.0 / info_out


@njit(cache=True, nogil=True, error_model="numpy", inline="always")
def _deviance(treated, seen, share, effect):
    """Twice the log-likelihood ratio of ``treated`` of ``seen`` events against the common ``effect``."""
    odds = np.exp(effect)
    p = share * odds / (1.0 - share + share * odds)
    treated = min(max(treated, 0.0), seen)
    rest = seen - treated
    out = 0.0
    if treated > 0.0:
        out += treated * np.log(treated / (seen * p))
    if rest > 0.0:
        out += rest * np.log(rest / (seen * (1.0 - p)))
    return 2.0 * out


@njit(cache=True, nogil=True, error_model="numpy", inline="always")
def _square(tm, m, tl, ls, tm_all, m_all, tl_all, ls_all, counts):
    """Statistic of a rule, squared and with the sign of the difference, and the variance of the difference.

    For counts of events the likelihood ratio of two binomials (events of the treated among all, inside and outside)
    against one effect; else the squared standardised difference.
    """
    inside, info_in, share_in = _arms(tm, m, tl, ls, counts)
    outside, info_out, share_out = _arms(tm_all - tm, m_all - m, tl_all - tl, ls_all - ls, counts)
    if info_in <= 0.0 or info_out <= 0.0:
        return 0.0, 0.0
    variance = 1.0 / info_in + 1.0 / info_out
    value = inside - outside
    square = value * value / variance
    if counts and square > _SMALL * _SMALL:
        common = (inside * info_in + outside * info_out) / (info_in + info_out)
        square = _deviance(tm + tl, m + ls, share_in, common) + _deviance(
            tm_all - tm + tl_all - tl, m_all - m + ls_all - ls, share_out, common
        )
        square = max(square, 0.0)
    return (square if value > 0.0 else -square), variance


@njit(cache=True, nogil=True, error_model="numpy", inline="always")
def _log_evidence(square, variance, size):
    """Log Bayes factor of an effect N(0, size^2) against none, for a squared statistic; see ``log_bayes_factors``."""
    spread = size * size
    return 0.5 * (square * spread / (spread + variance) + np.log(variance / (spread + variance)))


@njit(cache=True, nogil=True, error_model="numpy")
def log_bayes_factors(z, variance, size):
    """Log Bayes factors (k,) of effects N(0, size^2) against no effect, for statistics z and variances (k,)."""
    out = np.zeros(len(z))
    for k in range(len(z)):
        if variance[k] > 0.0:
            out[k] = _log_evidence(z[k] * z[k], variance[k], size)
    return out


@njit(cache=True, nogil=True, error_model="numpy")
def rule_evidence(tm, m, tl, ls, terms, signs, width, group, direction, prior, groups, size, counts):
    """Evidence for a difference of effects over each group of rules, and the best rule of each, per relabelling.

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
        0 where either sign counts, else the sign that does.
    prior : (rules,)
        Log of the weight of a rule in its group.
    size : float
        Standard deviation of differences where there are any.
    counts : bool
        Whether score + expectation is a number of events.

    Returns
    -------
    evidence (groups, b), top (groups, b), at (groups, b)
        Log of the weighted sum of Bayes factors, log of the largest part in it, and the number of the rule it is of.
    """
    count, columns = terms.shape[0], tm.shape[1]
    total = np.zeros((groups, columns))
    top = np.full((groups, columns), -np.inf)
    at = np.zeros((groups, columns), dtype=np.int64)
    several_m, several_l = m.shape[1] > 1, ls.shape[1] > 1
    for r in range(count):
        g, way, k, weight = group[r], direction[r], width[r], prior[r]
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
            square, variance = _square(a, b, c, d, tm[0, j], m[0, jm], tl[0, j], ls[0, jl], counts)
            if variance <= 0.0 or way * square < 0.0:
                continue
            value = weight + _log_evidence(abs(square), variance, size)
            total[g, j] += np.exp(min(value, _LARGEST))
            if value > top[g, j]:
                top[g, j] = value
                at[g, j] = r
    return np.log(np.maximum(total, 1e-300)), top, at


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
        value[j], variance[j] = _difference(a, b, c, d, tm[0, jt], m[0, jm], tl[0, jt], ls[0, jl], False)
    return value, variance
