"""A rule of few conditions on measured columns that selects the patients a model calls high risk.

The search sees predicted risk and measured columns, never an outcome: what the rule is worth is judged elsewhere, on
patients whose outcome took no part in the model or in the rule.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import rankdata

from trialstrat.cohort.language.states import MET, conjunction, evaluate_condition
from trialstrat.errors import InvalidInputError
from trialstrat.protocol.model import Condition, Variable

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

#: Quantiles of the training values offered as cut points, before rounding.
CUT_QUANTILES = tuple(k / 10 for k in range(1, 10))
#: How far the share of selected patients may be from the target; the next is tried when no rule fits.
TOLERANCES = (0.05, 0.1, 0.2, 1.0)
#: What one more condition must add to the capture for it to be kept.
CONDITION_COST = 0.02
#: Most pairs of conditions that are extended by a third.
BEAM = 2000
#: Most levels of a categorical column for which all groupings are tried.
ALL_GROUPINGS = 4
_CHUNK = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleOptions:
    """What is asked of a rule: shares are of all patients, unknown values count as not selected."""

    max_conditions: int
    target_share: float
    minimum_share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class DistilledRule:
    """Conditions that must all hold; empty when no rule fits.

    ``share`` is that of the training patients selected; ``capture`` is the separation in predicted risk that the rule
    reaches, as a share of what selecting the same number of patients by the risk itself would reach (1 at most).
    """

    conditions: tuple[Condition, ...]
    share: float
    capture: float


def distil(frame: pd.DataFrame, variables: Sequence[Variable], risk: Floats, options: RuleOptions) -> DistilledRule:
    """The rule that best captures high predicted risk.

    Cut points are deciles of the values in ``frame``, rounded to two digits (more where values lie closer together).
    All single conditions and pairs are tried, and the ``BEAM`` best pairs with every third condition; two conditions
    never share a column. Among rules that select about ``target_share`` of the patients the largest capture wins, less
    ``CONDITION_COST`` per condition after the first; ties go to the earlier candidate. Nothing is random.

    Parameters
    ----------
    frame : DataFrame
        Training patients with the columns of ``variables``.
    variables
        What may be asked of a patient, in order.
    risk : array of shape (n,)
        Predicted risk of the training patients, higher is worse; only its ranks matter.
    options
        Number of conditions and shares.

    Raises
    ------
    InvalidInputError
        Missing risks, or another number of risks than of patients.
    """
    if len(risk) != len(frame) or not np.isfinite(risk).all():
        raise InvalidInputError(f"risk: {len(frame)} finite values are needed, one per patient")
    candidates = list(itertools.chain.from_iterable(conditions_of(variable, frame) for variable in variables))
    if not candidates:
        return DistilledRule(conditions=(), share=math.nan, capture=math.nan)
    masks = np.array([evaluate_condition(condition, frame) == MET for condition in candidates], dtype=np.float64)
    columns = np.unique([condition.column for condition in candidates], return_inverse=True)[1]
    found = _Search(masks=masks, columns=columns, rank=2 * rankdata(risk), options=options).best()
    if found is None:
        return DistilledRule(conditions=(), share=math.nan, capture=math.nan)
    members, share, capture = found
    return DistilledRule(conditions=tuple(candidates[at] for at in members), share=share, capture=capture)


def selected(rule: Sequence[Condition], frame: pd.DataFrame) -> Mask:
    """Who meets every condition (n,); an unknown value is not met."""
    return conjunction([evaluate_condition(condition, frame) for condition in rule]) == MET


# -- candidates ------------------------------------------------------------------------------------------------------


def conditions_of(variable: Variable, frame: pd.DataFrame) -> Iterator[Condition]:
    """Every condition that may be asked of one column."""
    if variable.measured == "after_time_zero":
        return
    values = frame[variable.column]
    if variable.kind == "continuous":
        numbers = values.to_numpy(dtype=np.float64)
        for cut in natural_cuts(numbers[np.isfinite(numbers)]):
            yield Condition(column=variable.column, at_least=cut, unit=variable.unit)
            yield Condition(column=variable.column, below=cut, unit=variable.unit)
        return
    present = [str(level) for level in values.cat.categories if (values == level).any()]
    if variable.kind == "ordinal":
        groupings = [present[:k] for k in range(1, len(present))] + [present[k:] for k in range(1, len(present))]
    elif len(present) <= ALL_GROUPINGS:
        sizes = range(1, len(present))
        groupings = [list(part) for size in sizes for part in itertools.combinations(present, size)]
    else:
        groupings = [[level] for level in present] + [[x for x in present if x != level] for level in present]
    for levels in groupings:
        yield Condition(column=variable.column, one_of=tuple(levels))


def natural_cuts(values: Floats) -> list[float]:
    """Deciles of the values rounded so that people can use them, each once and with values on both sides."""
    if len(values) == 0:
        return []
    # values that occur, so that whole numbers stay whole
    quantiles = np.quantile(values, (0.25, 0.75, *CUT_QUANTILES), method="inverted_cdf")
    spread = float(quantiles[1] - quantiles[0]) or float(np.ptp(values))
    cuts = {_rounded(float(cut), spread) for cut in quantiles[2:]}
    return sorted(cut for cut in cuts if (values >= cut).any() and (values < cut).any())


def _rounded(value: float, spread: float) -> float:
    """Two significant digits, or as many as it takes for the rounding to be small against the spread."""
    if value == 0 or spread <= 0:
        return value
    for digits in range(2, 15):
        decimals = digits - 1 - math.floor(math.log10(abs(value)))
        if 10.0**-decimals <= spread / 10:
            break
    else:
        decimals = 15
    shown = round(value, decimals)
    return float(shown) if decimals > 0 else float(int(shown))


# -- search ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Search:
    """Candidate ``masks`` (m, n) of 0 and 1, the column of each (m,), and doubled mid-ranks of the risk (n,).

    Counts and rank sums are sums of whole numbers, exact in floating point: the winner does not depend on the order
    in which a machine adds.
    """

    masks: Floats
    columns: NDArray[np.int64]
    rank: Floats
    options: RuleOptions

    def best(self) -> tuple[tuple[int, ...], float, float] | None:
        """Members, share and capture of the winning rule within the first tolerance that has one."""
        found = list(self._levels())
        n = len(self.rank)
        for tolerance in TOLERANCES:
            winner: tuple[float, tuple[int, ...], float, float] | None = None
            for members, count, capture in found:
                share = count / n
                fits = (np.abs(share - self.options.target_share) <= tolerance + 1e-12) & (capture > 0)
                fits &= share >= self.options.minimum_share - 1e-12
                value = np.where(fits, capture - CONDITION_COST * (members.shape[1] - 1), -np.inf)
                top = float(value.max(initial=-np.inf))
                if top == -np.inf or (winner is not None and top <= winner[0] + 1e-12):
                    continue
                tied = np.flatnonzero(value >= top - 1e-12)
                at = min(tied, key=lambda k: tuple(sorted(members[k])))
                winner = (top, tuple(int(x) for x in sorted(members[at])), float(share[at]), float(capture[at]))
            if winner is not None:
                return winner[1:]
        return None

    def _levels(self) -> Iterator[tuple[NDArray[np.int64], Floats, Floats]]:
        """Rules of one, two and three conditions with their counts and captures."""
        count = self.masks.sum(axis=1)
        yield np.arange(len(count))[:, None], count, self._capture(count, self.masks @ self.rank)
        if self.options.max_conditions == 1:
            return
        counts = self.masks @ self.masks.T
        capture = self._capture(counts, (self.masks * self.rank) @ self.masks.T)
        first, second = np.nonzero(np.triu(self.columns[:, None] != self.columns))
        pairs = np.column_stack([first, second])
        yield pairs, counts[first, second], capture[first, second]
        if self.options.max_conditions > 2:
            yield from self._triples(pairs, counts[first, second], capture[first, second])

    def _triples(
        self, pairs: NDArray[np.int64], count: Floats, capture: Floats
    ) -> Iterator[tuple[NDArray[np.int64], Floats, Floats]]:
        """The best pairs that are not too small already, with every third condition."""
        smallest = max(self.options.minimum_share, self.options.target_share - TOLERANCES[-2])
        large = np.flatnonzero(count >= smallest * len(self.rank))
        order = large[np.argsort(-capture[large], kind="stable")][:BEAM]
        for start in range(0, len(order), _CHUNK):
            part = pairs[order[start : start + _CHUNK]]
            both = self.masks[part[:, 0]] * self.masks[part[:, 1]]
            counts = both @ self.masks.T
            captures = self._capture(counts, (both * self.rank) @ self.masks.T)
            other = (self.columns != self.columns[part[:, [0]]]) & (self.columns != self.columns[part[:, [1]]])
            row, third = np.nonzero(other)
            yield np.column_stack([part[row], third]), counts[row, third], captures[row, third]

    def _capture(self, count: Floats, total: Floats) -> Floats:
        """Mean rank of the selected above the average, over that of as many patients with the highest ranks."""
        n = len(self.rank)
        with np.errstate(divide="ignore", invalid="ignore"):
            mean = total / count / 2  # ranks are doubled
            out = (mean - (n + 1) / 2) / ((n - count) / 2)
        return np.where((count > 0) & (count < n), out, -np.inf)
