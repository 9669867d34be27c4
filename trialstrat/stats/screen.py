"""One Cox model per marker, for thousands of markers: prognostic effects, or interactions with treatment."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr

from trialstrat.errors import InvalidInputError
from trialstrat.stats.checks import SurvivalData, check_matrix, check_strata, check_survival, check_two_groups
from trialstrat.stats.cox_data import CoxData, cox_data
from trialstrat.stats.cox_solution import solve
from trialstrat.stats.kernels.cox_cells import MONOTONE, NO_INFORMATION, NOT_CONVERGED, OK, cox_binary_sorted
from trialstrat.stats.kernels.screen import screen_columns

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

#: What the codes of ``Screen.outcome`` mean.
OUTCOMES = {
    OK: "",
    NO_INFORMATION: "the marker is constant, or has no events to tell its values apart",
    MONOTONE: "the likelihood has no finite maximum (separation)",
    NOT_CONVERGED: "Newton's method did not converge",
}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MarkerEffects:
    """Log hazard ratios per unit of each marker, (p,), nan where not estimable; p two-sided from the Wald statistic."""

    effect: Floats
    std_error: Floats

    @property
    def statistic(self) -> Floats:
        """Wald statistic, effect over standard error."""
        return self.effect / self.std_error

    @property
    def p(self) -> Floats:
        """Two-sided p; null hypothesis: this effect is 0."""
        return 2.0 * ndtr(-np.abs(self.statistic))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Screen:
    """One model per marker. Arrays have one entry per marker.

    Attributes
    ----------
    kind : str
        ``prognostic`` (the marker alone, or with ``adjust``) or ``interaction`` (treatment x marker).
    effect, std_error, statistic, p : (p,)
        The effect asked for: log hazard ratio per unit of the marker, or its difference between the arms
        (treated minus control). Null hypothesis: it is 0.
    prognostic : MarkerEffects
        The marker's own effect: the same numbers for a prognostic screen; for an interaction screen the effect in
        the control arm (the marker's main effect in the model with the interaction).
    treated : MarkerEffects or None
        The marker's effect in the treated arm (interaction screens).
    n, events : (p,)
        Rows and events with a value of the marker.
    outcome : (p,)
        Code into ``OUTCOMES``; estimates are nan unless 0.
    """

    kind: str
    effect: Floats
    std_error: Floats
    statistic: Floats
    p: Floats
    prognostic: MarkerEffects
    treated: MarkerEffects | None
    n: Ints
    events: Ints
    outcome: Ints

    def reason(self, marker: int) -> str:
        """Why the estimate of a marker is missing; empty when it is not."""
        return OUTCOMES[int(self.outcome[marker])]


def cox_screen(
    markers: ArrayLike,
    time: ArrayLike,
    event: ArrayLike,
    treatment: ArrayLike | None = None,
    *,
    adjust: ArrayLike | None = None,
    strata: ArrayLike | None = None,
    threads: int | None = None,
) -> Screen:
    """Fit a Cox model for every marker by Newton's method to convergence, Efron's ties.

    Without ``treatment`` the model holds the marker alone; with it, treatment, marker and their product.

    Parameters
    ----------
    markers : array of shape (n, p)
        Numeric, in any memory layout; nan is missing: each marker uses the rows where it is present.
    time, event : array of shape (n,)
        Follow-up and 1 event / 0 censored.
    treatment : array of shape (n,), optional
        1 treated, 0 control.
    adjust : array of shape (n, q), optional
        Complete covariates added to every model.
    strata : array of shape (n,), optional
        Stratifies the baseline hazard of every model.
    threads : int, optional
        Threads to use; by default the processors available. The numbers do not depend on it.

    Returns
    -------
    Screen

    Raises
    ------
    InvalidInputError
        Impossible times, events or treatment; infinite markers; unequal lengths.

    Notes
    -----
    p-values are not adjusted for the number of markers: see :func:`~trialstrat.stats.max_t.max_t` and
    :mod:`~trialstrat.stats.multiplicity`. ``adjust`` or ``strata`` use the general model, about thirty times slower.

    References
    ----------
    Cox (1972), JRSS B 34:187. Efron (1977), JASA 72:557.
    """
    data = check_survival(time, event)
    values = check_markers(markers, data.n)
    arm = None if treatment is None else check_two_groups(treatment, data.n, name="treatment")
    p = values.shape[1]
    estimates, counts = np.full((p, 6), np.nan), np.zeros((p, 3), dtype=np.int64)
    if adjust is None and strata is None:
        _fast(values, data, arm, threads, estimates, counts)
    else:
        more = np.zeros((data.n, 0)) if adjust is None else check_matrix(adjust, data.n, name="adjust")
        _general(values, data, arm, more, check_strata(strata, data.n), estimates, counts)
    main, own, treated = (MarkerEffects(effect=estimates[:, k], std_error=estimates[:, k + 1]) for k in (0, 2, 4))
    return Screen(
        kind="prognostic" if arm is None else "interaction",
        effect=main.effect, std_error=main.std_error, statistic=main.statistic, p=main.p,
        prognostic=main if arm is None else own, treated=None if arm is None else treated,
        n=counts[:, 0], events=counts[:, 1], outcome=counts[:, 2],
    )  # fmt: skip


def check_markers(markers: ArrayLike, n: int) -> NDArray[Any]:
    """A real matrix of ``n`` rows, float32 or float64 as given; nan allowed, infinities refused."""
    values = np.asarray(markers)
    if values.ndim == 1:
        values = values[:, None]
    if values.ndim != 2 or values.shape[0] != n:
        raise InvalidInputError(f"markers: a matrix with {n} rows is needed, this array has shape {values.shape}")
    if values.dtype not in (np.float32, np.float64):
        try:
            values = values.astype(np.float64)
        except (TypeError, ValueError) as error:
            raise InvalidInputError("markers: numbers are needed, some values are text or of another kind") from error
    # the sum is nan or infinite when a value is; only then is it worth looking for infinities
    with np.errstate(over="ignore", invalid="ignore"):
        suspicious = ~np.isfinite(values.sum(axis=0, dtype=np.float64))
    infinite = int(np.count_nonzero(np.isinf(values[:, suspicious]).any(axis=0)))
    if infinite:
        raise InvalidInputError(
            f"markers: {infinite} of {values.shape[1]} columns hold infinite values; mend or drop them"
        )
    return values


def _fast(
    values: NDArray[Any], data: SurvivalData, arm: Ints | None, threads: int | None, estimates: Floats, counts: Ints
) -> None:
    """Compiled models on rows sorted once, the columns shared out among threads."""
    order = np.lexsort((data.event == 0, data.time))
    tie = np.unique(data.time[order], return_inverse=True)[1].ravel()
    event = data.event[order] == 1
    group = np.zeros(0) if arm is None else arm[order].astype(np.float64)
    start = 0.0
    if arm is not None:
        start = float(np.nan_to_num(cox_binary_sorted(arm[order], event, tie)[0]))
    p = values.shape[1]
    workers = max(1, min(threads or available_threads(), p // 64 or 1))
    bounds = np.linspace(0, p, workers * 4 + 1).astype(np.int64)

    def work(at: int) -> None:
        low, high = int(bounds[at]), int(bounds[at + 1])
        screen_columns(values, order, event, tie, group, start, low, high, estimates, counts)

    if workers == 1:
        screen_columns(values, order, event, tie, group, start, 0, p, estimates, counts)
        return
    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(work, range(workers * 4)))


def available_threads() -> int:
    """Processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _general(
    values: NDArray[Any],
    data: SurvivalData,
    arm: Ints | None,
    more: Floats,
    strata: Ints,
    estimates: Floats,
    counts: Ints,
) -> None:
    """One general Cox model per marker, with covariates and strata."""
    everyone = cox_data(data.time, data.event, more, strata=strata)
    for j in range(values.shape[1]):
        x = values[:, j].astype(np.float64)
        rows = ~np.isnan(x)
        if not rows.any():
            counts[j] = 0, 0, NO_INFORMATION
            continue
        use = everyone
        if not rows.all():
            use = cox_data(data.time[rows], data.event[rows], more[rows], strata=strata[rows])
        # centred before the product is made: far from 0 the product would be the treatment all over again
        own = x[rows] - x[rows].mean()
        columns = [own] if arm is None else [arm[rows].astype(np.float64), own, arm[rows] * own]
        design = np.column_stack([use.x, *columns])
        counts[j] = use.n, use.events, _general_fit(replace(use, x=design), arm is not None, estimates[j])


def _general_fit(data: CoxData, interaction: bool, estimate: Floats) -> int:
    """Fit one marker's model, the marker's column last or before its product; writes the estimates."""
    if data.events == 0:
        return NO_INFORMATION
    found = solve(data)
    own = slice(-2, None) if interaction else slice(-1, None)
    if found.collinear[own].any():
        return NO_INFORMATION
    if not found.top.converged or found.monotone.any():
        return NOT_CONVERGED if not found.top.converged else MONOTONE
    variance = found.covariance
    if not interaction:
        estimate[:2] = found.coef[-1], found.std_error[-1]
        return OK
    treated = np.sqrt(variance[-1, -1] + variance[-2, -2] + 2.0 * variance[-1, -2])
    estimate[:] = (
        found.coef[-1], found.std_error[-1], found.coef[-2], found.std_error[-2],
        found.coef[-1] + found.coef[-2], treated,
    )  # fmt: skip
    return OK
