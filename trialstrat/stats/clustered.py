"""Sums within clusters: rows that belong together (the eyes of a patient) count as one independent contribution."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import chdtrc

from trialstrat.results import NAN, TestResult
from trialstrat.stats.checks import check_groups
from trialstrat.stats.cox_data import CoxData, cox_data
from trialstrat.stats.partial_likelihood import score_residuals, sweep

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

METHOD = "log-rank test, robust variance by cluster"
NULL_HYPOTHESIS = "the hazards of all groups are equal (within every stratum, when there are strata)"
#: Fewest clusters for a sum of their squares to say anything about a variance.
FEWEST_CLUSTERS = 10


def cluster_sums(values: Floats, cluster: Ints | None) -> Floats:
    """Sums of ``values`` (n, ...) within the codes ``cluster`` (n,): (clusters, ...); the rows themselves without."""
    if cluster is None:
        return values
    _, code = np.unique(cluster, return_inverse=True)
    total = np.zeros((int(code.max(initial=-1)) + 1, *values.shape[1:]))
    np.add.at(total, code, values)
    return total


def clustered_logrank(
    time: ArrayLike,
    event: ArrayLike,
    group: ArrayLike,
    cluster: ArrayLike,
    *,
    strata: ArrayLike | None = None,
    entry: ArrayLike | None = None,
) -> TestResult:
    """Log-rank test of two or more groups whose rows are correlated within clusters.

    The numerators are observed minus expected events, as in the log-rank test; their variance is the sum over
    clusters of the outer products of what the cluster contributes to them. A cluster may lie in one group or in
    several. Tied events count as in the log-rank test (Breslow).

    Parameters
    ----------
    time, event : array of shape (n,)
        Follow-up and 0 or 1.
    group, cluster : array of shape (n,)
        Labels.
    strata, entry : array of shape (n,), optional
        Each stratum has a baseline hazard of its own; delayed entry.

    Returns
    -------
    TestResult
        Chi-square with one degree of freedom less than groups; not estimable with fewer than 10 clusters or a
        group without information.

    Raises
    ------
    InvalidInputError
        Impossible times or events, missing labels, unequal lengths.

    References
    ----------
    Lee EW, Wei LJ, Amato DA (1992), in Survival Analysis: State of the Art, 237-247. Lin DY, Wei LJ (1989), JASA
    84:1074.
    """
    labels = check_groups(group, np.size(group), name="group").codes
    x = (labels[:, None] == np.arange(1, int(labels.max(initial=0)) + 1)).astype(np.float64)
    data = cox_data(time, event, x, entry=entry, strata=strata, cluster=cluster, ties="breslow")
    if data.events == 0:
        return _result(data, NAN, "there is no event")
    if x.shape[1] == 0:
        return _result(data, NAN, "there is one group only")
    if data.cluster is None or len(np.unique(data.cluster)) < FEWEST_CLUSTERS:
        return _result(data, NAN, f"at least {FEWEST_CLUSTERS} clusters are needed")
    sorted_x = np.ascontiguousarray(x[data.sets.order])
    at = sweep(data.sets, sorted_x, np.zeros(data.n))
    total = cluster_sums(score_residuals(data.sets, sorted_x, at), data.cluster[data.sets.order])
    score, variance = total.sum(axis=0), total.T @ total
    if np.linalg.matrix_rank(variance) < len(score):
        return _result(data, NAN, "a group has no events among patients of other groups at risk")
    return _result(data, float(score @ np.linalg.solve(variance, score)), "")


def _result(data: CoxData, statistic: float, reason: str) -> TestResult:
    df = data.x.shape[1]
    return TestResult(
        statistic=statistic,
        df=df,
        p=NAN if reason else float(chdtrc(df, statistic)),
        null_hypothesis=NULL_HYPOTHESIS,
        method=METHOD,
        n=data.n,
        events=data.events,
        status="not_estimable" if reason else "ok",
        reason=reason,
    )
