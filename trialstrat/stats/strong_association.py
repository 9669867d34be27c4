"""Which of many markers may be tied so closely to the outcome that they must be looked at one by one.

Ranking every marker of a transcriptome costs more than reading it. Two bounds that need no ranks rule nearly all of
them out; what they cannot rule out is for the exact statistic to judge, so that nothing is missed.

With centred ranks u of a marker and v of the target, both of length one, the squared distance of u and v is 2 - 2 rho.
A pair of patients whose target rises by g while the marker does not rise adds at least g^2 / 2 to it; over disjoint
pairs these add up (Spearman C. Am J Psychol 1904;15:72-101, for rho). For the AUC, every event below a cut and every
non-event above it form a discordant pair (Hanley JA, McNeil BJ. Radiology 1982;143:29-36).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from trialstrat.errors import InvalidInputError
from trialstrat.stats.kernels.strong_association import may_be_strong

#: Markers that are brought into the order of the target at a time.
_BLOCK = 256


def strong_candidates(
    markers: NDArray[np.float64],
    target: NDArray[np.float64] | None,
    event: NDArray[np.bool_] | None,
    *,
    rho: float,
    auc: float,
) -> NDArray[np.bool_]:
    """Markers whose rank correlation with the target or AUC for the event may lie beyond a limit, of either sign.

    Parameters
    ----------
    markers : (n, p) float
        nan where not known; each marker is judged on its known patients.
    target : (n,) float, optional
        Times or values.
    event : (n,) bool, optional
        Who had the event.
    rho, auc : float
        Limits in (0, 1): |rank correlation| > rho, or AUC > auc or < 1 - auc.

    Returns
    -------
    (p,) bool
        False only where both are proven to lie within the limits. True proves nothing.

    Raises
    ------
    InvalidInputError
        When lengths differ or a limit is not between 0 and 1.
    """
    n, p = markers.shape
    if not (0 < rho < 1 and 0 < auc < 1):
        raise InvalidInputError("rho and auc must lie between 0 and 1")
    if any(entry is not None and len(entry) != n for entry in (target, event)):
        raise InvalidInputError("target and event must have one entry per row of markers")
    order = np.arange(n) if target is None else np.argsort(target, kind="stable")
    by_time = np.zeros(n) if target is None else np.asarray(target, dtype=np.float64)[order]
    by_event = np.zeros(n, dtype=np.bool_) if event is None else np.asarray(event, dtype=np.bool_)[order]
    out = np.ones(p, dtype=np.bool_)
    for start in range(0, p, _BLOCK):
        part = np.ascontiguousarray(markers[:, start : start + _BLOCK][order].T, dtype=np.float64)
        into = out[start : start + _BLOCK]
        may_be_strong(part, by_time, by_event, target is not None, event is not None, rho, auc, into)
    return out
