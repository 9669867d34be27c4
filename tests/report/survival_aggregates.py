"""Plain Kaplan-Meier aggregates for the fixture: twenty readable lines that share nothing with the package."""

from __future__ import annotations

import numpy as np


def kaplan_meier(time: np.ndarray, event: np.ndarray) -> list[tuple[float, float, float, float]]:
    """(time, survival, lower, upper) at 0 and at every event time; Greenwood variance, log-log interval."""
    rows = [(0.0, 1.0, 1.0, 1.0)]
    survival, variance = 1.0, 0.0
    for t in np.unique(time[event]):
        at_risk = int((time >= t).sum())
        deaths = int(((time == t) & event).sum())
        survival *= 1 - deaths / at_risk
        if survival <= 0:
            rows.append((float(t), 0.0, 0.0, 0.0))
            break
        variance += deaths / (at_risk * (at_risk - deaths))
        width = 1.959964 * np.sqrt(variance) / abs(np.log(survival))
        rows.append((float(t), survival, survival ** np.exp(width), survival ** np.exp(-width)))
    return rows


def at_risk_rows(time: np.ndarray, event: np.ndarray, ticks: list[float]) -> list[tuple[float, int, int, int]]:
    """(tick, at risk, cumulative events, cumulative censored)."""
    return [
        (t, int((time >= t).sum()), int((event & (time <= t)).sum()), int((~event & (time < t)).sum())) for t in ticks
    ]


def survival_at(rows: list[tuple[float, float, float, float]], t: float) -> tuple[float, float, float]:
    """Survival and interval at one time."""
    last = [row for row in rows if row[0] <= t][-1]
    return last[1], last[2], last[3]


def median_time(rows: list[tuple[float, float, float, float]]) -> float | None:
    """First time at which survival is at most one half."""
    return next((row[0] for row in rows if row[1] <= 0.5), None)


def rmst(rows: list[tuple[float, float, float, float]], horizon: float) -> float:
    """Area under the curve up to the horizon."""
    times = [row[0] for row in rows if row[0] < horizon] + [horizon]
    return float(sum(rows[i][1] * (times[i + 1] - times[i]) for i in range(len(times) - 1)))
