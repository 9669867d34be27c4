"""Which values of one column a condition leaves: enough set arithmetic to see contradictions and tautologies."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from trialstrat.protocol.base import Value
from trialstrat.protocol.language.model import AnyOf, Condition
from trialstrat.protocol.language.values import same

#: A stretch of numbers: low end, whether it belongs, high end, whether it belongs.
Stretch = tuple[float, bool, float, bool]
_LINE: Stretch = (-math.inf, False, math.inf, False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowed:
    """Values left of a column in a unit: within the stretches, among ``only`` (where given), and none of ``never``."""

    column: str
    unit: str = ""
    stretches: tuple[Stretch, ...] = (_LINE,)
    only: tuple[Value, ...] | None = None
    never: tuple[Value, ...] = ()

    @property
    def empty(self) -> bool:
        """Whether no value is left."""
        if self.only is None:
            return not self.stretches
        return not any(self._holds(value) for value in self.only)

    def _holds(self, value: Value) -> bool:
        if any(same(other, str(value)) for other in self.never):
            return False
        if self.stretches == (_LINE,):
            return True
        return not isinstance(value, str) and any(_inside(float(value), stretch) for stretch in self.stretches)

    def both(self, other: Allowed) -> Allowed:
        """What two conditions on the same column, in the same unit, leave together."""
        met = [_overlap(mine, theirs) for mine in self.stretches for theirs in other.stretches]
        if self.only is None or other.only is None:
            only = other.only if self.only is None else self.only
        else:
            only = tuple(value for value in self.only if any(same(entry, str(value)) for entry in other.only))
        return replace(
            self,
            stretches=tuple(stretch for stretch in met if stretch is not None),
            only=only,
            never=(*self.never, *other.never),
        )

    def complement(self) -> Allowed:
        """What the condition does not leave; of a single condition, which is a range or a list."""
        if self.only is not None:
            return replace(self, only=None, never=self.only)
        if self.never:
            return replace(self, only=self.never, never=())
        ((low, low_in, high, high_in),) = self.stretches or ((0.0, False, 0.0, False),)
        below: Stretch = (-math.inf, False, low, not low_in)
        above: Stretch = (high, not high_in, math.inf, False)
        kept = tuple(part for part, end in ((below, low), (above, high)) if math.isfinite(end))
        return replace(self, stretches=kept)


def allowed_by(node: Condition) -> Allowed:
    """What one condition leaves; whether a value is known leaves every value."""
    if node.present is not None:
        return Allowed(column=node.column, unit=node.unit)
    if node.equals is not None or node.one_of:
        only = node.one_of if node.equals is None else (node.equals,)
        return Allowed(column=node.column, unit=node.unit, only=only)
    if node.none_of:
        return Allowed(column=node.column, unit=node.unit, never=node.none_of)
    low, low_in = (node.above, False) if node.at_least is None else (node.at_least, True)
    high, high_in = (node.below, False) if node.at_most is None else (node.at_most, True)
    stretch = (
        -math.inf if low is None else low,
        low_in and low is not None,
        math.inf if high is None else high,
        high_in and high is not None,
    )
    return Allowed(column=node.column, unit=node.unit, stretches=(stretch,) if _some(stretch) else ())


def always(node: AnyOf) -> str:
    """The column of which every known value meets an alternative; empty when there is none."""
    first, *others = node.any
    if not isinstance(first, Condition) or first.present is not None:
        return ""
    left = allowed_by(first).complement()
    for part in others:
        if not isinstance(part, Condition) or part.present is not None:
            return ""
        if (part.column, part.unit) != (first.column, first.unit):
            return ""
        left = left.both(allowed_by(part).complement())
    return first.column if left.empty else ""


def _some(stretch: Stretch) -> bool:
    low, low_in, high, high_in = stretch
    return low < high or (low == high and low_in and high_in)


def _inside(value: float, stretch: Stretch) -> bool:
    low, low_in, high, high_in = stretch
    return (value > low or (low_in and value == low)) and (value < high or (high_in and value == high))


def _overlap(first: Stretch, second: Stretch) -> Stretch | None:
    low, low_in = max((first[0], not first[1]), (second[0], not second[1]))
    high, high_in = min((first[2], first[3]), (second[2], second[3]))
    stretch = (low, not low_in, high, high_in)
    return stretch if _some(stretch) else None
