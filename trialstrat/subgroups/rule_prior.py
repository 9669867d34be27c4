"""Where a difference of effects is looked for first: weights of candidate rules that relabelling cannot move."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trialstrat.stats.kernels.rule_scores import log_bayes_factors
from trialstrat.subgroups.conjunctions import Conjunctions

Floats = NDArray[np.float64]

#: How much more often a marker that is prognostic beyond doubt is expected to change the effect of treatment.
PROGNOSTIC = 10.0
#: And one value alone against all others at an end of a marker, as "not detected", against its other cuts.
ALONE = 3.0
#: A marker with so few cuts has none that is special.
FEW = 4


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Prior:
    """Log weights of the rules (r,), that add to 1 in each number of conditions, and of the numeric markers (m,).

    ``markers`` (all markers,) are the weights they were made of: 1, up to :data:`PROGNOSTIC` for prognostic markers.
    """

    rules: Floats
    numeric: Floats
    markers: Floats


def prognostic_prior(
    rules: Conjunctions, numeric: NDArray[np.int64], residual: Floats, expected: Floats, size: float
) -> Prior:
    """More weight for markers with a prognosis, by the posterior probability that a split of them has one.

    Within a marker a value alone at its end weighs more than other cuts, whose number is an accident of the grid.

    Main effect and interaction are independent where allocation is, and the weights depend on patients and outcomes
    but not on how labels of treatment are exchanged: the error rate of the search is that of equal weights.

    Parameters
    ----------
    numeric : (m,)
        Numbers of the numeric markers.
    residual, expected : (n,)
        Contributions to scores of a model with treatment alone (:func:`~trialstrat.subgroups.null_model.null_fit`).
    size : float
        Standard deviation of main effects, where there are any.

    References
    ----------
    Genovese, Roeder & Wasserman (2006), Biometrika 93:509 (weighted tests). Dai, Kooperberg, LeBlanc & Prentice
    (2012), Biometrika 99:929 (main effects as filters of interactions). Wakefield (2009), Genet Epidemiol 33:79.
    """
    single = np.flatnonzero(rules.depth == 1)
    own, mass = rules.sums(residual)[single], rules.sums(expected)[single]
    total = float(expected.sum())
    rest = np.maximum(total - mass, 0.0)
    variance = np.where((mass > 0) & (rest > 0), 1.0 / np.maximum(mass, 1e-12) + 1.0 / np.maximum(rest, 1e-12), 0.0)
    centred = own - residual.sum() * mass / total
    z = centred * np.sqrt(variance)
    factor = np.exp(np.minimum(log_bayes_factors(z, variance, size), 50.0))
    marker = rules.splits.marker[rules.members_of[single, 0]]
    count = np.bincount(marker, minlength=len(rules.splits.markers))
    mean = np.bincount(marker, weights=factor, minlength=len(count)) / np.maximum(count, 1)
    markers = 1.0 + (PROGNOSTIC - 1.0) * mean / (1.0 + mean)
    owner = rules.splits.marker
    alone = [one.equals is not None and not rules.splits.markers[k].levels
             for one, k in zip(rules.splits.low, owner, strict=True)]  # fmt: skip
    count = np.bincount(owner)[owner]
    cut = np.where(np.array(alone) & (count > FEW), ALONE, 1.0)
    cut *= count / np.bincount(owner, weights=cut)[owner]
    split = np.log(markers[owner] * cut)
    factors = np.where(rules.members_of >= 0, split[rules.members_of], 0.0).sum(axis=1)
    for depth in np.unique(rules.depth):
        own = rules.depth == depth
        factors[own] -= np.log(np.exp(factors[own]).sum())
    weight = markers[numeric]
    return Prior(rules=factors, numeric=np.log(weight / weight.sum()) if len(weight) else weight, markers=markers)
