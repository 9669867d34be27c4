"""The Cox model written out from its definition: loops over risk sets, no sorting, no sharing of sums."""

import numpy as np


def log_likelihood(beta, time, event, x, *, entry=None, strata=None, weights=None, offset=None, ties="efron"):
    n = time.size
    entry = np.full(n, -np.inf) if entry is None else entry
    strata = np.zeros(n) if strata is None else strata
    weights = np.ones(n) if weights is None else weights
    eta = x @ np.atleast_1d(beta) + (0 if offset is None else offset)
    total = 0.0
    for s in np.unique(strata):
        own = strata == s
        for t in np.unique(time[own & (event == 1) & (weights > 0)]):
            dead = own & (event == 1) & (time == t) & (weights > 0)
            at_risk = own & (entry < t) & (time >= t)
            size, dying = (np.sum((weights * np.exp(eta))[rows]) for rows in (at_risk, dead))
            d, w = dead.sum(), weights[dead]
            total += np.sum(w * eta[dead])
            if ties == "breslow":
                total -= w.sum() * np.log(size)
            else:
                total -= w.mean() * sum(np.log(size - k / d * dying) for k in range(d))
    return total


def derivative(function, at, step=1e-5):
    at = np.asarray(at, dtype=float)
    shifts = np.eye(at.size) * step
    return np.array([(function(at + h) - function(at - h)) / (2 * step) for h in shifts])


def trial(n=60, p=2, seed=0, *, ties=True, late=False):
    """Censored data with ties, two covariates, three strata, weights over two orders of magnitude."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, p))
    x[:, -1] = rng.integers(0, 2, n)
    time = rng.exponential(np.exp(-0.5 * x[:, 0]))
    time = np.ceil(time * 6) if ties else time
    entry = time - rng.exponential(1.5, n) if late else None
    return {
        "time": time,
        "event": (rng.random(n) < 0.7).astype(int),
        "x": x,
        "entry": entry,
        "strata": rng.integers(0, 3, n),
        "weights": 10 ** rng.uniform(-1, 1, n),
        "offset": rng.normal(size=n) * 0.3,
    }
