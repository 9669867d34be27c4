"""The effect inside a rule, outside it, and their difference: naive, corrected for selection, and shrunken."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from trialstrat.cohort.shown import ShownOutcome
from trialstrat.results import NAN, Status
from trialstrat.subgroups.correction import Correction
from trialstrat.subgroups.effect import outcome_effect
from trialstrat.subgroups.scales import Effect, EffectOptions, ScaleEffect
from trialstrat.subgroups.shrinkage import Shrinkage, shrink

Bools = NDArray[np.bool_]
Set = Literal["rule", "complement", "interaction"]
Kind = Literal["naive", "corrected", "shrunken"]
SETS: tuple[Set, ...] = ("rule", "complement", "interaction")
KINDS: tuple[Kind, ...] = ("naive", "corrected", "shrunken")


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleEffect:
    """One effect of treatment: in which patients, how selection was treated, on which scale; counts of those patients.

    For the interaction, ratios are inside over outside and differences inside less outside.
    """

    set: Set
    kind: Kind
    scale: str
    measure: str
    value: float
    lower: float
    upper: float
    level: float
    n: int
    events: int
    n_control: int
    n_treated: int
    status: Status = "ok"
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    value: float
    error: float


def rule_effects(
    outcome: ShownOutcome,
    treated: NDArray[np.int64],
    members: Bools,
    others: Bools,
    options: EffectOptions,
    *,
    correction: Correction | None,
    shrinkage: Shrinkage | None,
    **how: Any,
) -> tuple[RuleEffect, ...]:
    """Every effect of a rule on both scales of the endpoint.

    Only the difference between inside and outside is corrected or shrunken; the information-weighted average of both
    is kept, because selection hardly touches it; the two are independent, so their variances add.
    ``how`` are the strata and weights of :func:`~trialstrat.subgroups.effect.outcome_effect`.
    """
    inside = outcome_effect(outcome, treated, members, options, **how)
    outside = outcome_effect(outcome, treated, others, options, **how)
    out: list[RuleEffect] = []
    for scale in ("relative", "absolute"):
        pair: tuple[ScaleEffect, ScaleEffect] = (getattr(inside, scale), getattr(outside, scale))
        out += _of_scale(pair, (inside, outside), correction, shrinkage, options.level)
    return tuple(out)


def scale_name(measure: str) -> str:
    """The name of a scale in tables and ids: ``hazard_ratio``, ``rmst_difference``, ``risk_difference``..."""
    return measure.lower().replace("cause-specific ", "").replace(" ", "_")


def _of_scale(
    pair: tuple[ScaleEffect, ScaleEffect],
    whole: tuple[Effect, Effect],
    correction: Correction | None,
    shrinkage: Shrinkage | None,
    level: float,
) -> Iterator[RuleEffect]:
    measure, ratio = pair[0].measure, pair[0].ratio
    reason = pair[0].reason or pair[1].reason
    parts = [_part(one) for one in pair]
    usable = all(np.isfinite(part.value) and part.error > 0 for part in parts)
    z = float(-ndtri((1 - level) / 2))
    for kind in KINDS:
        values: list[tuple[float, float, float]] | None = None
        if usable:
            values = _values(parts, kind, correction, shrinkage, z)
        for at, name in enumerate(SETS):
            counts = _counts(whole, at)
            words: dict[str, Any] = {
                "set": name,
                "kind": kind,
                "scale": scale_name(measure),
                "measure": measure,
                "level": level,
            }
            if values is None:
                why = reason or ("not computed" if usable else "an effect inside or outside cannot be estimated")
                yield RuleEffect(**words, value=NAN, lower=NAN, upper=NAN, **counts, status="not_estimable", reason=why)
                continue
            shown = [float(np.exp(x)) if ratio else float(x) for x in values[at]]
            yield RuleEffect(**words, value=shown[0], lower=shown[1], upper=shown[2], **counts)


def _part(effect: ScaleEffect) -> _Part:
    value = float(np.log(effect.value)) if effect.ratio and effect.value > 0 else effect.value
    return _Part(value=value, error=effect.std_error)


def _counts(whole: tuple[Effect, Effect], at: int) -> dict[str, Any]:
    chosen = whole if at == 2 else (whole[at],)
    return {
        "n": sum(e.n for e in chosen),
        "events": sum(e.events for e in chosen),
        "n_control": sum(e.n_control for e in chosen),
        "n_treated": sum(e.n_treated for e in chosen),
    }


def _values(
    parts: list[_Part], kind: Kind, correction: Correction | None, shrinkage: Shrinkage | None, z: float
) -> list[tuple[float, float, float]] | None:
    """Value and limits inside, outside and of the difference; None when this kind was not asked for."""
    inside, outside = parts
    difference, variance = inside.value - outside.value, inside.error**2 + outside.error**2
    if kind == "naive":
        half = z * float(np.sqrt(variance))
        return [
            *((p.value, p.value - z * p.error, p.value + z * p.error) for p in parts),
            (difference, difference - half, difference + half),
        ]
    if kind == "corrected":
        if correction is None:
            return None
        middle, error = correction.apply(difference, float(np.sqrt(variance)))
    else:
        if shrinkage is None:
            return None
        middle, posterior = shrink(difference, variance, shrinkage)
        error = float(np.sqrt(posterior))
    return _spread(inside, outside, middle, error, z)


def _spread(inside: _Part, outside: _Part, middle: float, error: float, z: float) -> list[tuple[float, float, float]]:
    """Effects on both sides from their average and a difference with its standard error."""
    one, two = 1.0 / inside.error**2, 1.0 / outside.error**2
    share = one / (one + two)
    average = share * inside.value + (1.0 - share) * outside.value
    rows: list[tuple[float, float, float]] = []
    for weight in (1.0 - share, -share):
        value = average + weight * middle
        half = z * float(np.sqrt(1.0 / (one + two) + (weight * error) ** 2))
        rows.append((value, value - half, value + half))
    rows.append((middle, middle - z * error, middle + z * error))
    return rows
