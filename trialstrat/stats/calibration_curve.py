"""Smooth calibration curve of predicted event probabilities, and the distance between curve and predictions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trialstrat.errors import InvalidInputError
from trialstrat.results import NAN, Status
from trialstrat.stats.calibration import inside_unit_interval, log_cumulative_hazard
from trialstrat.stats.censoring import slack
from trialstrat.stats.checks import check_horizon, check_level, check_probabilities, check_survival
from trialstrat.stats.cox import cox
from trialstrat.stats.cox_prediction import predict_survival
from trialstrat.stats.spline import KNOT_QUANTILES, restricted_cubic_spline, spline_knots

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CalibrationCurve:
    """Smooth observed probability of an event along the predicted one, and how far the two are apart.

    ``grid``, ``observed``, ``lower``, ``upper`` have shape (k,). ``ici`` is the mean of |observed - predicted| over
    the patients (integrated calibration index), ``e50``, ``e90`` and ``emax`` its median, 90th percentile and maximum.
    ``knots`` of the spline are on the scale log(-log(1 - predicted)); with too few distinct
    predictions the relation is linear on that scale and ``knots`` is empty.
    """

    at: float
    grid: Floats
    observed: Floats
    lower: Floats
    upper: Floats
    level: float
    ici: float
    e50: float
    e90: float
    emax: float
    knots: Floats
    n: int
    events: int
    moved: int
    status: Status = "ok"
    reason: str = ""


def calibration_curve(
    time: ArrayLike,
    event: ArrayLike,
    predicted: ArrayLike,
    at: float,
    grid: ArrayLike | None = None,
    *,
    knots: int = 3,
    level: float = 0.95,
) -> CalibrationCurve:
    """Observed probability of an event by ``at`` as a smooth function of the predicted one.

    Cox regression of the outcome on a restricted cubic spline of log(-log(1 - predicted)); the curve is the model's
    probability of an event by ``at``.

    Parameters
    ----------
    time, event : array of shape (n,)
        Follow-up time; 1 event, 0 censored.
    predicted : array of shape (n,)
        Predicted probability of an event by ``at``.
    at : float
        Horizon.
    grid : array of shape (k,), optional
        Predicted probabilities in (0, 1) at which the curve is given; by default 50 equidistant ones from the 1st to
        the 99th percentile of the predictions.
    knots : {3, 4, 5}
        Number of knots of the spline.
    level : float
        Of the pointwise confidence limits, which take the predictions as given.

    Returns
    -------
    CalibrationCurve
        ``not_estimable`` without enough events, with constant predictions, or when nobody is followed up to ``at``.

    Raises
    ------
    InvalidInputError
        Probabilities out of range, impossible times, events, horizon or number of knots.

    References
    ----------
    Austin, Harrell & van Klaveren (2020), Statistics in Medicine 39:2714 (curve, ICI, E50, E90).
    Harrell (2015), Regression Modeling Strategies, section 2.4 (spline and knots).
    """
    rows = check_survival(time, event)
    risk = check_probabilities(predicted, rows.n)[:, 0]
    horizon, level = check_horizon(at, name="at"), check_level(level)
    if knots not in KNOT_QUANTILES:
        raise InvalidInputError("knots: choose 3, 4 or 5")
    points = _grid(risk, grid)
    moved_risk, moved = inside_unit_interval(risk)
    tolerance, events = slack(np.unique(rows.time)), int(rows.event.sum())
    if horizon > rows.time.max() + tolerance:
        return _nothing(horizon, points, level, rows.n, events, "the horizon lies beyond the last follow-up")
    if np.isnan(moved_risk).any() or np.ptp(moved_risk) == 0:
        return _nothing(horizon, points, level, rows.n, events, "the predictions do not vary inside (0, 1)")
    predictor = log_cumulative_hazard(moved_risk)
    places = spline_knots(predictor, knots)
    fit = cox(rows.time, rows.event, restricted_cubic_spline(predictor, places))
    if fit.status != "ok" or not fit.estimable.all():
        return _nothing(horizon, points, level, rows.n, events, fit.reason)
    # forecasts are tied when predictions are coarse: every distinct one is evaluated once
    distinct, index = np.unique(predictor, return_inverse=True)
    own = (
        1.0 - predict_survival(fit, restricted_cubic_spline(distinct, places), [horizon + tolerance]).survival[index, 0]
    )
    shown = predict_survival(
        fit,
        restricted_cubic_spline(log_cumulative_hazard(points), places),
        [horizon + tolerance],
        conf_type="log-log",
        level=level,
    )
    distance = np.abs(own - risk)
    return CalibrationCurve(
        at=horizon,
        grid=points,
        observed=1.0 - shown.survival[:, 0],
        lower=1.0 - shown.upper[:, 0],
        upper=1.0 - shown.lower[:, 0],
        level=level,
        ici=float(distance.mean()),
        e50=float(np.median(distance)),
        e90=float(np.quantile(distance, 0.9)),
        emax=float(distance.max()),
        knots=places,
        n=rows.n,
        events=events,
        moved=moved,
    )


def _grid(risk: Floats, grid: ArrayLike | None) -> Floats:
    if grid is None:
        inner = risk[(risk > 0) & (risk < 1)]
        if inner.size == 0:
            return np.empty(0)
        lowest, highest = np.quantile(inner, [0.01, 0.99])
        return np.linspace(lowest, highest, 50)
    points = np.atleast_1d(np.asarray(grid, dtype=np.float64))
    if points.ndim != 1 or not ((points > 0) & (points < 1)).all():
        raise InvalidInputError("grid: probabilities strictly between 0 and 1 are needed")
    return points


def _nothing(at: float, grid: Floats, level: float, n: int, events: int, reason: str) -> CalibrationCurve:
    missing = np.full(grid.shape, NAN)
    return CalibrationCurve(
        at=at,
        grid=grid,
        observed=missing,
        lower=missing,
        upper=missing,
        level=level,
        ici=NAN,
        e50=NAN,
        e90=NAN,
        emax=NAN,
        knots=np.empty(0),
        n=n,
        events=events,
        moved=0,
        status="not_estimable",
        reason=reason,
    )
