"""Comparison of an answer with the expected numbers of a reference case.

Two numbers agree when |a - e| <= atol + rtol |e|. The deviation is |a - e| as a share of that: 1 is the limit.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

#: Methods whose "NA" means "must be missing"; elsewhere "NA" means "nothing to compare at this place".
MISSING_IS_A_RESULT = frozenset(
    (
        "kaplan_meier",
        "reverse_kaplan_meier",
        "nelson_aalen",
        "rmst",
        "milestone",
        "logrank",
        "logrank_trend",
        "logrank_pairwise",
        "maxcombo",
        "cox",
        "cox_compare",
        "cox_ph_test",
        "cox_residuals",
        "cox_baseline",
        "cox_survival",
        "cox_firth",
        "cumulative_incidence",
        "gray_test",
        "fine_gray",
        "cause_specific",
        "p_adjust",
    )
)
#: Expected values that are upper bounds and not values to be met.
BOUNDS = frozenset({"kkt_violation_max"})
_WORDS = {"Inf": math.inf, "-Inf": -math.inf}


@dataclass(slots=True)
class Comparison:
    """Running outcome of one comparison: places that differ, the largest deviation, how many values were compared."""

    rtol: float
    atol: float
    tolerances: Mapping[str, Sequence[float]]
    missing_is_result: bool
    faults: list[str] = field(default_factory=list)
    deviation: float = 0.0
    compared: int = 0

    def check(self, found: Any, expected: Any, path: tuple[str, ...] = ()) -> None:
        """Compare ``found`` with ``expected`` at ``path``; only what is expected is looked at."""
        if isinstance(expected, Mapping):
            self._mapping(found, expected, path)
        elif isinstance(expected, (list, tuple)):
            self._sequence(found, expected, path)
        elif expected == "NA" and not self.missing_is_result:
            return
        else:
            self._value(found, expected, path)

    def _mapping(self, found: Any, expected: Mapping[str, Any], path: tuple[str, ...]) -> None:
        if not isinstance(found, Mapping):
            self._fault(path, "is not an object with keys")
            return
        for key, value in expected.items():
            if key in found:
                self.check(found[key], value, (*path, key))
            else:
                self._fault((*path, key), "is absent")

    def _sequence(self, found: Any, expected: Sequence[Any], path: tuple[str, ...]) -> None:
        if isinstance(found, (str, Mapping)) or not hasattr(found, "__len__"):
            self._fault(path, "is not a list")
        elif len(found) != len(expected):
            self._fault(path, f"has {len(found)} entries, {len(expected)} expected")
        else:
            for at, (one, other) in enumerate(zip(found, expected, strict=True)):
                self.check(one, other, (*path, str(at)))

    def _value(self, found: Any, expected: Any, path: tuple[str, ...]) -> None:
        self.compared += 1
        if expected == "NA":
            if not _is_missing(found):
                self._fault(path, f"is {found}, a missing value expected")
        elif isinstance(expected, bool) or (isinstance(expected, str) and expected not in _WORDS):
            if str(found) != str(expected):
                self._fault(path, f"is {found}, expected {expected}")
        else:
            self._number(found, float(_WORDS.get(expected, expected)), path)

    def _number(self, found: Any, expected: float, path: tuple[str, ...]) -> None:
        try:
            value = float(found)
        except (TypeError, ValueError):
            value = math.nan
        if path and path[-1] in BOUNDS:
            share = value / expected
        elif math.isinf(expected) or math.isinf(value):
            share = 0.0 if value == expected else math.inf
        else:
            share = abs(value - expected) / self._allowance(expected, path) if value != expected else 0.0
        if math.isnan(share):
            share = math.inf
        if share > 1.0:
            self._fault(path, f"is {value!r}, expected {expected!r}", share=share)
        self.deviation = max(self.deviation, share)

    def _allowance(self, expected: float, path: tuple[str, ...]) -> float:
        rtol, atol = self.rtol, self.atol
        for key in path:
            if key in self.tolerances:
                rtol, atol = self.tolerances[key]
        allowed = atol + rtol * abs(expected)
        return allowed if allowed > 0.0 else math.ulp(abs(expected))

    def _fault(self, path: tuple[str, ...], text: str, *, share: float = math.inf) -> None:
        self.deviation = max(self.deviation, share)
        self.faults.append(f"{'.'.join(path) or 'answer'} {text}")


def _is_missing(value: Any) -> bool:
    if value is None:
        return True
    try:
        return math.isnan(float(value))
    except (TypeError, ValueError):
        return False
