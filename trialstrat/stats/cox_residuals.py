"""Residuals of a fitted Cox model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from trialstrat.errors import InvalidInputError
from trialstrat.results import Status
from trialstrat.stats.cox import CoxFit
from trialstrat.stats.partial_likelihood import Sweep, information, inverse, score_residuals, sweep

Floats = NDArray[np.float64]
ResidualKind = Literal["martingale", "deviance", "score", "dfbeta", "schoenfeld", "scaled_schoenfeld"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CoxResiduals:
    """Residuals of one kind.

    ``values`` is (n,) for martingale and deviance, (n, p) for score and dfbeta, (events, p) for the Schoenfeld kinds;
    columns that are not estimable are nan. ``rows`` are the caller's row numbers: all of them in their own order,
    for the Schoenfeld kinds the events in time order (within a tied time in the caller's order).
    """

    kind: ResidualKind
    values: Floats
    rows: NDArray[np.int64]
    status: Status = "ok"
    reason: str = ""


def cox_residuals(fit: CoxFit, kind: ResidualKind) -> CoxResiduals:
    """Residuals of a Cox fit.

    ``martingale``: event minus cumulative hazard (a death with Efron's ties takes the steps of its own time in part).
    ``deviance``: its signed square-root transform. ``score``: contribution to the score, not multiplied by the weight.
    ``dfbeta``: weight times score residual times inverse information, the approximate change of the coefficients when
    the row is left out. ``schoenfeld``: covariate minus its mean in the risk set, per event. ``scaled_schoenfeld``:
    times inverse information times number of events, plus the coefficient: estimates the coefficient over time.

    Raises
    ------
    InvalidInputError
        For an unknown kind.

    References
    ----------
    Therneau, Grambsch & Fleming (1990), Biometrika 77:147. Schoenfeld (1982), Biometrika 69:239.
    Grambsch & Therneau (1994), Biometrika 81:515.
    """
    if kind not in get_args(ResidualKind):
        raise InvalidInputError(f"kind: choose one of {', '.join(get_args(ResidualKind))}")
    data, sets = fit.data, fit.data.sets
    per_event = kind in ("schoenfeld", "scaled_schoenfeld")
    rows = _event_rows(fit) if per_event else np.arange(data.time.shape[0])
    columns = () if kind in ("martingale", "deviance") else (len(fit.names),)
    if fit.events == 0 or not fit.converged:
        return CoxResiduals(
            kind=kind,
            values=np.full((rows.size, *columns), np.nan),
            rows=rows,
            status="not_estimable",
            reason=fit.reason,
        )
    x, at = sweep_at_fit(fit)
    if not columns:
        values = sets.unsort(sets.dies - at.risk * at.hazard)
        return CoxResiduals(
            kind=kind, values=_deviance(values, data.event) if kind == "deviance" else values, rows=rows
        )
    used = fit.estimable
    values = np.full((rows.size, used.size), np.nan)
    if per_event:
        values[:, used] = _schoenfeld(fit, x, at, rows)
    else:
        values[:, used] = sets.unsort(score_residuals(sets, x, at))
    if kind in ("dfbeta", "scaled_schoenfeld"):
        model = inverse(information(sets, x, at))
        scale = data.weights[:, None] if kind == "dfbeta" else float(fit.events)
        values[:, used] = scale * (values[:, used] @ model)
    if kind == "scaled_schoenfeld":
        values += fit.coef
    return CoxResiduals(kind=kind, values=values, rows=rows)


def sweep_at_fit(fit: CoxFit) -> tuple[Floats, Sweep]:
    """Centred estimable covariates (sorted rows) and the risk-set sweep at the fitted coefficients."""
    data, used = fit.data, fit.estimable
    x = data.x[:, used] - np.average(data.x[:, used], axis=0, weights=data.weights)
    x = np.ascontiguousarray(x[data.sets.order])
    return x, sweep(data.sets, x, x @ fit.coef[used] + data.offset[data.sets.order])


def _deviance(martingale: Floats, event: NDArray[np.int64]) -> Floats:
    dead = event == 1
    inner = martingale.copy()
    # a death's hazard event - m is positive by construction; the guard is for a hazard that underflows to 0
    inner[dead] += np.log(np.maximum(1.0 - martingale[dead], np.finfo(float).tiny))
    return np.sign(martingale) * np.sqrt(np.maximum(-2.0 * inner, 0.0))


def _event_rows(fit: CoxFit) -> NDArray[np.int64]:
    """Rows of counted deaths by time, in the caller's order within a tied time, whatever the stratum."""
    sets = fit.data.sets
    rows = sets.order[sets.dies]
    return rows[np.lexsort((rows, fit.data.time[rows]))]


def _schoenfeld(fit: CoxFit, x: Floats, at: Sweep, rows: NDArray[np.int64]) -> Floats:
    """Covariates of each death minus the risk-set mean of its time, averaged over the steps of that time."""
    sets = fit.data.sets
    mean = np.add.reduceat(at.mean, sets.step[:-1], axis=0) / np.diff(sets.step)[:, None]
    values = np.zeros(x.shape)
    values[sets.dies] = x[sets.dies] - mean[sets.end[sets.dies] - 1]
    return sets.unsort(values)[rows]
