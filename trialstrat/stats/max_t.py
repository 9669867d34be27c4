"""Max-T adjusted p-values of thousands of score statistics, by permutation or by random signs."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trialstrat.errors import InvalidInputError
from trialstrat.results import Status
from trialstrat.stats.checks import SurvivalData, check_survival, check_two_groups
from trialstrat.stats.kernels.cox_cells import cox_binary_sorted
from trialstrat.stats.kernels.max_t import interaction_contributions, marker_contributions, step_down
from trialstrat.stats.risk_sets import risk_sets
from trialstrat.stats.screen import available_threads, check_markers

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
#: Markers per matrix product.
BLOCK = 1024
#: Statistics this close (relatively) count as equal: the products are made in single precision.
CLOSE = 2e-5

PROGNOSTIC_NULL = "the markers, all together, are independent of time and event"
INTERACTION_NULL = (
    "the marker does not change the log hazard ratio of the treatment (its own effect on the hazard is allowed)"
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MaxT:
    """Score statistics of p markers with p-values adjusted for all of them.

    Attributes
    ----------
    statistic : (p,)
        Standardised score statistics (about standard normal under the null); nan where not estimable.
    adjusted_p : (p,)
        Step-down max-T adjusted p: familywise error is controlled when a marker is called at ``adjusted_p <= alpha``.
    maxima : (draws,)
        Largest absolute statistic of all markers in every draw from the null distribution.
    global_p : float
        p of the largest statistic: of the hypothesis that no marker has an effect.
    """

    kind: str
    statistic: Floats
    adjusted_p: Floats
    maxima: Floats
    global_p: float
    draws: int
    null_hypothesis: str
    method: str
    n: int
    events: int
    status: Status
    reason: str


def max_t(
    markers: ArrayLike,
    time: ArrayLike,
    event: ArrayLike,
    treatment: ArrayLike | None = None,
    *,
    rng: np.random.Generator,
    n_permutations: int = 1000,
    threads: int | None = None,
) -> MaxT:
    """Test many markers at once, with the correlation among them taken into account.

    **Prognostic** (without ``treatment``): the statistic of a marker is the sum of martingale residuals times marker
    values, standardised by its permutation variance (Efron's ties). The residuals are permuted against the rows of
    markers. Null hypothesis: the markers, all together, are independent of time and event; under it the permutation
    distribution is exact for the largest statistic. A missing value counts as the mean of its marker.

    **Interaction** (with ``treatment``): for every marker the Cox model with treatment and marker is fitted (Efron's
    ties), and the statistic is the efficient score of treatment x marker there, divided by the root of the sum of
    squares of the patients' contributions. Permuting marker rows would destroy the marker's own effect, and permuting
    treatment that of the treatment; instead, every patient's contribution to all markers is multiplied by one random
    sign. Null hypothesis, marker by marker: the marker does not change the log hazard ratio of the treatment, whatever
    their own effects. The distribution is that of Lin's Monte Carlo procedure, valid for large samples and without
    assuming that the other markers are null, so that the familywise error is controlled strongly; signs in place of
    normal multipliers keep the sum of squares and with it the standardisation. A patient without a marker's value
    contributes nothing to it. The model judged is that of treatment and one marker: hazard ratios are not collapsible,
    and a very strong prognostic factor left out can itself make an interaction in it.

    Parameters
    ----------
    markers : array of shape (n, p)
        nan is missing.
    time, event : array of shape (n,)
        Follow-up and 1 event / 0 censored.
    treatment : array of shape (n,), optional
        1 treated, 0 control.
    rng : numpy.random.Generator
        Source of permutations or signs.
    n_permutations : int
        Draws B from the null distribution; the smallest possible p is 1 / (B + 1).
    threads : int, optional
        Threads for the models; the numbers do not depend on it beyond single precision.

    Raises
    ------
    InvalidInputError
        Impossible times, events, treatment or markers; no permutation.

    References
    ----------
    Westfall & Young (1993), Resampling-Based Multiple Testing, algorithm 2.8 (step-down).
    Lin (2005), Bioinformatics 21:781 (random multiples of score contributions).
    """
    if n_permutations < 1:
        raise InvalidInputError("n_permutations: at least one is needed")
    data = check_survival(time, event)
    values = check_markers(markers, data.n)
    order = np.lexsort((data.event == 0, data.time))
    p = values.shape[1]
    rows = np.zeros((p, data.n), dtype=np.float32)
    statistic = np.full(p, np.nan)
    workers = max(1, min(threads or available_threads(), p // 64 or 1))
    events = int(data.event.sum())
    if treatment is None:
        residual = _martingale(data)[order] if events else np.zeros(data.n)
        _share_out(lambda low, high: marker_contributions(values, order, low, high, rows), p, workers)
        residual *= np.sqrt((data.n - 1) / max(float(residual @ residual), 1e-300))
        varies = np.any(rows != 0, axis=1) if events else np.zeros(p, dtype=bool)
        right = rng.permuted(np.repeat(residual.astype(np.float32)[:, None], n_permutations, axis=1), axis=0)
        statistic[varies] = (rows @ residual.astype(np.float32))[varies]
    else:
        arm = check_two_groups(treatment, data.n, name="treatment")[order]
        _interaction(values, data, order, arm, workers, rows, statistic)
        right = rng.integers(0, 2, size=(data.n, n_permutations), dtype=np.int8).astype(np.float32) * 2 - 1
    adjusted, maxima = _adjust(rows, statistic, np.ascontiguousarray(right))
    known = np.isfinite(statistic)
    return MaxT(
        kind="prognostic" if treatment is None else "interaction", statistic=statistic, adjusted_p=adjusted,
        maxima=maxima, global_p=float(np.min(adjusted[known])) if known.any() else np.nan, draws=n_permutations,
        null_hypothesis=PROGNOSTIC_NULL if treatment is None else INTERACTION_NULL,
        method=f"step-down max-T, {'permuted residuals' if treatment is None else 'random signs of contributions'}",
        n=data.n, events=events, status="ok" if known.any() else "not_estimable",
        reason="" if known.any() else "no marker has a score statistic",
    )  # fmt: skip


def _martingale(data: SurvivalData) -> Floats:
    """Martingale residuals of the model without covariates, Efron's ties, in the caller's order; they sum to 0."""
    sets = risk_sets(
        data.time,
        data.event,
        entry=None,
        strata=np.zeros(data.n, dtype=np.int64),
        weights=np.ones(data.n),
        ties="efron",
    )
    denominator, _ = sets.means(np.zeros((data.n, 0)), np.ones(data.n))
    return sets.unsort(sets.dies - sets.exposure(sets.mass / denominator))


def _interaction(
    values: NDArray, data: SurvivalData, order: Ints, arm: Ints, workers: int, rows: NDArray, statistic: Floats
) -> None:
    """Fill contributions (p, n) and statistics (p,) of the interactions."""
    tie = np.unique(data.time[order], return_inverse=True)[1].ravel()
    event = data.event[order] == 1
    start = float(np.nan_to_num(cox_binary_sorted(arm, event, tie)[0]))
    group = arm.astype(np.float64)
    _share_out(
        lambda low, high: interaction_contributions(
            values, order, event, tie, group, start, low, high, rows, statistic
        ),
        values.shape[1],
        workers,
    )


def _share_out(work: Callable[[int, int], None], p: int, workers: int) -> None:
    """Call ``work(low, high)`` over all markers, shared out among threads."""
    if workers == 1:
        work(0, p)
        return
    bounds = np.linspace(0, p, workers * 4 + 1).astype(np.int64)
    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(lambda at: work(int(bounds[at]), int(bounds[at + 1])), range(workers * 4)))


def _adjust(rows: NDArray, statistic: Floats, right: NDArray) -> tuple[Floats, Floats]:
    """Step-down adjusted p and maxima: draws are ``rows @ right``, gone through from the smallest statistic up."""
    size = np.abs(statistic)
    known = np.flatnonzero(np.isfinite(size))
    ascending = known[np.argsort(size[known], kind="stable")]
    draws = right.shape[1]
    running = np.zeros(draws, dtype=np.float32)
    counts = np.zeros(ascending.size, dtype=np.int64)
    threshold = (size[ascending] * (1.0 - CLOSE)).astype(np.float32)
    for low in range(0, ascending.size, BLOCK):
        block = slice(low, low + BLOCK)
        step_down(rows[ascending[block]] @ right, threshold[block], running, counts[block])
    adjusted = np.full(statistic.size, np.nan)
    # from the largest statistic down, a p-value is never below that of a larger one
    falling = np.maximum.accumulate(((counts + 1.0) / (draws + 1.0))[::-1])[::-1]
    adjusted[ascending] = falling
    return adjusted, running.astype(np.float64)
