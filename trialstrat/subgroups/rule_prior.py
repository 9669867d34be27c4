"""Where a difference of effects is looked for first: weights of candidate rules that relabelling cannot move."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trialstrat.stats.kernels.rule_scores import log_bayes_factors
from trialstrat.subgroups.conjunctions import Conjunctions
from trialstrat.subgroups.null_model import NullFit

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

# These four were chosen for power in simulated trials (tests/simulation); the error rate does not depend on them.
#: How much more often a marker that is prognostic beyond doubt, alone and beside the others, is expected to change the
#: effect of treatment.
PROGNOSTIC = 20.0
#: Odds, before any outcome is seen, that a marker is prognostic.
ODDS = 0.1
#: Share of what a marker says beside all others in the weight, against what it says alone.
BESIDE = 0.4
#: How much more often one value alone against all others at an end of a marker, as "not detected", is expected to do
#: so than another cut.
ALONE = 3.0
#: A marker with so few cuts has none that is special.
FEW = 4
#: Log Bayes factors are cut here: beyond there is no doubt left, and their exponentials stay finite.
_LARGEST = 50.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Prior:
    """Log weights of the rules (r,), that add to 1 in each number of conditions, and of the numeric markers (m,).

    ``markers`` (all markers,) are the weights they were made of: 1, up to :data:`PROGNOSTIC` for prognostic markers.
    """

    rules: Floats
    numeric: Floats
    markers: Floats


def prognostic_prior(
    rules: Conjunctions, numeric: Ints, alone: NullFit, fit: NullFit, owner: Ints, *, size: float, slope: float
) -> Prior:
    """More weight for markers with a prognosis, by what they say alone and by what they add to all others.

    A marker that others stand for is prognostic alone, as the oestrogen receptor is beside the progesterone receptor;
    the one that carries the prognosis is so beside the others too. Within a marker a value alone at its end weighs
    more than other cuts, whose number is an accident of the grid.

    Main effect and interaction are independent where allocation is, and the weights depend on patients and outcomes
    but not on how labels of treatment are exchanged: the error rate of the search is that of equal weights.

    Parameters
    ----------
    numeric : (m,)
        Numbers of the numeric markers.
    alone, fit : NullFit
        The outcome without any main effect, and with the ``columns`` of all markers.
    owner : (p,)
        Number of the marker of every column in ``fit``.
    size, slope : float
        Standard deviation of main effects where there are any: of a split, and of a standardised column.

    References
    ----------
    Genovese, Roeder & Wasserman (2006), Biometrika 93:509 (weighted tests). Dai, Kooperberg, LeBlanc & Prentice
    (2012), Biometrika 99:929 (main effects as filters of interactions). Chipman (1996), Can J Stat 24:17 (interactions
    are likelier where main effects are). Wakefield (2009), Genet Epidemiol 33:79.
    """
    count = len(rules.splits.markers)
    by_itself, added = _probability(_alone(rules, alone, size)), _probability(_beside(fit, owner, count, slope))
    markers = 1.0 + (PROGNOSTIC - 1.0) * ((1.0 - BESIDE) * by_itself + BESIDE * added)
    split = np.log(markers[rules.splits.marker] * _cut_weights(rules))
    factors = np.where(rules.members_of >= 0, split[rules.members_of], 0.0).sum(axis=1)
    for depth in np.unique(rules.depth):
        own = rules.depth == depth
        factors[own] -= np.log(np.exp(factors[own]).sum())
    weight = markers[numeric]
    return Prior(rules=factors, numeric=np.log(weight / weight.sum()) if len(weight) else weight, markers=markers)


def _probability(factor: Floats) -> Floats:
    """Posterior probability of a main effect, for its log Bayes factor."""
    odds = ODDS * np.exp(np.minimum(factor, _LARGEST))
    return odds / (1.0 + odds)


def _alone(rules: Conjunctions, fit: NullFit, size: float) -> Floats:
    """Log Bayes factor of a main effect of each marker by itself (m,): the mean over its splits."""
    single = np.flatnonzero(rules.depth == 1)
    own, mass = rules.sums(fit.residual)[single], rules.sums(fit.expected)[single]
    total = float(fit.expected.sum())
    rest = np.maximum(total - mass, 0.0)
    variance = np.where((mass > 0) & (rest > 0), 1.0 / np.maximum(mass, 1e-12) + 1.0 / np.maximum(rest, 1e-12), 0.0)
    centred = own - fit.residual.sum() * mass / total
    factor = np.exp(np.minimum(log_bayes_factors(centred * np.sqrt(variance), variance, size), _LARGEST))
    marker = rules.splits.marker[rules.members_of[single, 0]]
    count = np.bincount(marker, minlength=len(rules.splits.markers))
    mean = np.bincount(marker, weights=factor, minlength=len(count)) / np.maximum(count, 1)
    return np.asarray(np.log(np.maximum(mean, 1e-300)))


def _beside(fit: NullFit, owner: Ints, markers: int, slope: float) -> Floats:
    """Log Bayes factor of the main effects N(0, slope^2) of each marker, given those of all others (m,)."""
    out = np.full(markers, -np.inf)
    for marker in np.unique(owner):
        own = np.flatnonzero(owner == marker)
        precision = np.linalg.inv(fit.covariance[np.ix_(own, own)])
        posterior = precision + np.eye(len(own)) / slope**2
        pull = precision @ fit.coef[own]
        spread = np.linalg.slogdet(posterior)[1] + len(own) * np.log(slope**2)
        out[marker] = 0.5 * (pull @ np.linalg.solve(posterior, pull) - spread)
    return out


def _cut_weights(rules: Conjunctions) -> Floats:
    """Weight of every split (s,) among those of its marker; 1 on average."""
    owner = rules.splits.marker
    alone = [one.equals is not None and not rules.splits.markers[k].levels
             for one, k in zip(rules.splits.low, owner, strict=True)]  # fmt: skip
    count = np.bincount(owner)[owner]
    cut = np.where(np.array(alone) & (count > FEW), ALONE, 1.0)
    return np.asarray(cut * count / np.bincount(owner, weights=cut)[owner])
