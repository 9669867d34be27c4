"""How far a selection moves away from the patients it was selected from.

References
----------
Stuart, Cole, Bradshaw & Leaf 2011, J R Stat Soc A 174, 369-386 (standardised differences between a trial's sample and
its target population). Yang & Dalton 2012, SAS Global Forum 335 (several categories).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from trialstrat.errors import InvalidInputError
from trialstrat.stats.checks import FloatArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Population:
    """One variable in everybody, scaled so that a mean of the scores is a distance.

    ``scores`` (n, q) have mean 0 and unit covariance among the ``known`` (n,) and are 0 elsewhere.
    """

    scores: FloatArray
    known: npt.NDArray[np.bool_]

    def shift(self, member: npt.ArrayLike) -> FloatArray:
        """Distance of the mean of each selection from that of everybody, in standard deviations.

        Parameters
        ----------
        member : array of shape (s, n)
            Who is selected, 0 or 1 (or weights).

        Returns
        -------
        array of shape (s,)
            Absolute standardised difference (of a category: the Mahalanobis distance of its shares); nan where nobody
            with a known value is selected.
        """
        chosen = np.atleast_2d(np.asarray(member, dtype=np.float64)) * self.known
        size = chosen.sum(axis=1)
        with np.errstate(invalid="ignore", divide="ignore"):
            mean = (chosen @ self.scores) / size[:, None]
        return np.where(size > 0, np.sqrt((mean**2).sum(axis=1)), np.nan)


def population(value: npt.ArrayLike) -> Population:
    """Scale a variable by everybody.

    Parameters
    ----------
    value : array of shape (n,)
        Floats of a continuous variable, nan where missing; or integer codes of a category, -1 where missing.

    Raises
    ------
    InvalidInputError
        Not one column of numbers or codes.
    """
    raw = np.asarray(value)
    if raw.ndim != 1 or raw.dtype.kind not in "fiu":
        raise InvalidInputError("value: one column of numbers (continuous) or of integer codes (a category) is needed")
    if raw.dtype.kind == "f":
        known = np.isfinite(raw)
        columns = np.where(known, raw, 0.0)[:, None]
    else:
        known = raw >= 0
        levels = np.unique(raw[known])
        columns = (raw[:, None] == levels[None, 1:]).astype(np.float64)
    inside = columns[known]
    if not len(inside):
        return Population(scores=np.zeros((raw.size, 0)), known=known)
    mean = inside.mean(axis=0)
    values, vectors = np.linalg.eigh(np.atleast_2d(np.cov(inside, rowvar=False, bias=True)))
    varied = values > 1e-12 * max(float(values.max(initial=0.0)), 1e-300)
    scores = (columns - mean) @ (vectors[:, varied] / np.sqrt(values[varied]))
    scores[~known] = 0.0
    return Population(scores=scores, known=known)
