"""``find_rule``: who benefits, from a plain frame, without a protocol."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from trialstrat.cohort.columns import column
from trialstrat.cohort.shown import FOLLOWED_TO_HORIZON, ShownOutcome
from trialstrat.errors import InvalidInputError, NotEstimableError
from trialstrat.pipeline.seeds import generator
from trialstrat.protocol.model import Condition
from trialstrat.subgroups.literals import markers_of
from trialstrat.subgroups.rule_effects import KINDS, SETS, RuleEffect
from trialstrat.subgroups.rule_search import Direction, RuleFound, RuleOptions, SearchInput, search_rule
from trialstrat.subgroups.scales import EffectOptions

if TYPE_CHECKING:
    from trialstrat.subgroups.stability import Stability

Floats = NDArray[np.float64]

#: Confounders are coded like main effects; overlap weights need every one of them known.
NO_RULE = "No rule is supported: treat the patients as one population. The best rule is shown as an exploration."
RULE = "The effect of treatment differs between patients, and this rule describes how best."


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyColumns:
    """What else the frame holds. ``treated`` is the value of the treatment to compare (needed with several arms).

    ``horizon`` restricts the mean survival time, in the unit of the times; by default the time that a quarter of the
    patients were followed to. ``strata`` are columns the randomisation was stratified by, ``confounders`` those that
    decided treatment where it was not randomised: the analysis is then weighted to the overlap population.
    """

    treated: Any = None
    horizon: float | None = None
    entry: str | None = None
    strata: tuple[str, ...] = ()
    confounders: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RuleSearch:
    """Whether the effect of treatment differs between patients, and the rule that tells them apart.

    Attributes
    ----------
    p : float
        Global test, null hypothesis: the effect of treatment is the same in everybody.
    component_p : dict
        Its components, each by itself.
    claimed : bool
        Whether the null hypothesis is rejected at alpha; without it the rule is an exploration.
    conditions, rule
        The best rule, as conditions and as text.
    members : (n,) bool
        Who meets the rule, in the order of the frame; an unknown value does not meet it.
    effects : tuple of RuleEffect
        Naive, corrected and shrunken effect of the rule, its complement and the interaction, on both scales.
    """

    p: float
    component_p: dict[str, float]
    claimed: bool
    alpha: float
    conditions: tuple[Condition, ...]
    rule: str
    members: NDArray[np.bool_] = field(repr=False)
    effects: tuple[RuleEffect, ...] = field(repr=False)
    stability: Stability | None = field(repr=False)
    candidates: tuple[int, ...]
    found: RuleFound = field(repr=False)

    def effect(self, of: str = "rule", kind: str = "corrected", scale: str = "hazard_ratio") -> RuleEffect:
        """One effect: of rule, complement or interaction; naive, corrected or shrunken; on one scale."""
        for entry in self.effects:
            if (entry.set, entry.kind, entry.scale) == (of, kind, scale):
                return entry
        raise KeyError(f"no effect of {of}, {kind}, on the scale {scale}")

    @property
    def verdict(self) -> str:
        """The conclusion as a sentence."""
        return RULE if self.claimed else NO_RULE

    def to_frame(self) -> pd.DataFrame:
        """All effects, one row each."""
        return pd.DataFrame([_row(entry) for entry in self.effects])

    def _repr_html_(self) -> str:
        head = "".join(f"<th>{escape(title)}</th>" for title in ("", "Scale", *(kind.capitalize() for kind in KINDS)))
        scales = list(dict.fromkeys(entry.scale for entry in self.effects))
        rows = []
        for of in SETS:
            for scale in scales:
                cells = "".join(f"<td>{escape(_shown(self.effect(of, kind, scale)))}</td>" for kind in KINDS)
                counts = self.effect(of, "naive", scale)
                name = f"{of.capitalize()} (n {counts.n}, events {counts.events})"
                rows.append(f"<tr><th>{escape(name)}</th><td>{escape(scale.replace('_', ' '))}</td>{cells}</tr>")
        return (
            f"<p><b>{escape(self.rule)}</b></p><p>{escape(self.verdict)} Global test of heterogeneity: "
            f"p = {self.p:.3g}.</p><table><tr>{head}</tr>{''.join(rows)}</table>"
        )


def _row(entry: RuleEffect) -> dict[str, Any]:
    return {name: getattr(entry, name) for name in entry.__slots__}


def _shown(entry: RuleEffect) -> str:
    if entry.status != "ok":
        return "not estimable"
    return f"{entry.value:.2f} ({entry.lower:.2f} to {entry.upper:.2f})"


def find_rule(
    frame: pd.DataFrame,
    *,
    time: str,
    event: str,
    treatment: str,
    control: Any,
    markers: Sequence[str],
    direction: Direction = "either",
    seed: int = 0,
    options: RuleOptions | None = None,
    study: StudyColumns | None = None,
) -> RuleSearch:
    """Search for the patients in whom a treatment works differently, and say honestly how much.

    Parameters
    ----------
    frame : DataFrame
        One row per patient.
    time, event : str
        Columns with follow-up time and event (0 censored, 1 event, 2.. competing causes).
    treatment : str
        Column with the arm; ``control`` is the value of the control.
    markers : sequence of str
        Columns measured before time zero that may define the rule: numbers, or categories.
    direction : {"either", "benefit", "harm"}
        Whether the rule should find patients whose effect differs either way, who benefit more, or who are harmed.
    seed : int
        The same seed gives the same result.
    options, study
        How hard is searched, and what else the frame holds.

    Returns
    -------
    RuleSearch
        With a rule whether or not it is ``claimed``.

    Raises
    ------
    InvalidInputError
        Columns that are missing, outcomes or arms that cannot be read.
    NotEstimableError
        An arm with too few events; says how many would suffice.

    References
    ----------
    Lipkovich, Dmitrienko & D'Agostino (2017), Stat Med 36:136 (principles). Guo & He (2021), JASA 116:1498.
    """
    options = replace(options or RuleOptions(), direction=_direction(direction))
    study = study or StudyColumns()
    rows, data, horizon = _input(frame, (time, event, treatment), control, markers, study)
    rng = generator(np.random.SeedSequence(seed))
    found = search_rule(data, EffectOptions(tau=horizon, level=options.level, minimum_events=1), options, rng=rng)
    members = np.zeros(len(frame), dtype=np.bool_)
    members[rows] = found.members
    return RuleSearch(
        p=found.search.p,
        component_p=dict(zip(found.search.names, map(float, found.search.component_p), strict=True)),
        claimed=found.claimed,
        alpha=options.alpha,
        conditions=found.conditions,
        rule=found.text,
        members=members,
        effects=found.effects,
        stability=found.stability,
        candidates=found.tested,
        found=found,
    )


def _direction(direction: str) -> Direction:
    if direction not in ("either", "benefit", "harm"):
        raise InvalidInputError(f"direction is {direction!r}; it must be 'either', 'benefit' or 'harm'")
    return direction


def _input(
    frame: pd.DataFrame, columns: tuple[str, str, str], control: Any, markers: Sequence[str], study: StudyColumns
) -> tuple[NDArray[np.int64], SearchInput, float]:
    time, event, treatment = columns
    needed = [*columns, *study.strata, *study.confounders, *([study.entry] if study.entry else [])]
    absent = sorted({name for name in needed if name not in frame.columns})
    if absent:
        raise InvalidInputError(f"find_rule: there is no column {', '.join(map(repr, absent))}; correct the names")
    clash = sorted(set(markers) & set(columns))
    if clash:
        raise InvalidInputError(f"markers: {', '.join(clash)} is the outcome or the treatment; name other columns")
    treated = _arm(column(frame, treatment), control, study.treated)
    rows = np.flatnonzero(treated >= 0)
    part = frame.iloc[rows]
    times, events = _outcome(part, time, event)
    outcome = ShownOutcome(
        label=event, kind="competing" if (events > 1).any() else "time_to_event", unit="", time=times, event=events,
        entry=None if study.entry is None else part[study.entry].to_numpy(dtype=np.float64), value=None,
        horizon=None, horizon_declared=study.horizon is not None,
    )  # fmt: skip
    horizon = study.horizon
    if horizon is None:
        last = min(float(times[treated[rows] == arm].max()) for arm in (0, 1))
        horizon = min(float(np.quantile(times, 1.0 - FOLLOWED_TO_HORIZON)), last)
    strata = None
    if study.strata:
        strata = part[list(study.strata)].astype(str).agg("/".join, axis=1).to_numpy(dtype=object)
    data = SearchInput(
        frame=part.reset_index(drop=True),
        markers=markers_of(part, list(markers)),
        outcome=outcome,
        treated=treated[rows],
        strata=strata,
        propensity=_propensity(part, treated[rows], study.confounders),
    )
    return rows, data, horizon


def _arm(values: pd.Series, control: Any, treated: Any) -> NDArray[np.int64]:
    """1 treated, 0 control, -1 another arm."""
    if values.isna().any():
        raise InvalidInputError(f"{values.name}: {int(values.isna().sum())} of {len(values)} patients have no arm")
    text = values.astype(str).to_numpy()
    others = sorted(set(text) - {str(control)})
    if str(control) not in set(text):
        raise InvalidInputError(f"{values.name}: no patient has the control's value {control!r}")
    if not others:
        raise InvalidInputError(
            f"{values.name}: there is a single arm; what a treatment does differently cannot be asked without a control"
        )
    if treated is None and len(others) > 1:
        raise InvalidInputError(
            f"{values.name}: {len(others)} treatments beside the control; name one as study.treated"
        )
    chosen = others[0] if treated is None else str(treated)
    if chosen not in others:
        raise InvalidInputError(f"{values.name}: no patient has the treatment's value {treated!r}")
    return np.where(text == chosen, 1, np.where(text == str(control), 0, -1)).astype(np.int64)


def _outcome(frame: pd.DataFrame, time: str, event: str) -> tuple[Floats, NDArray[np.int64]]:
    times, codes = _numbers(frame, time), _numbers(frame, event)
    bad = int((~np.isfinite(times) | (times <= 0)).sum())
    if bad:
        raise InvalidInputError(f"{time}: {bad} of {len(times)} times are missing, not numeric or not positive")
    bad = int((~np.isfinite(codes) | (codes < 0) | (codes != np.floor(codes))).sum())
    if bad:
        raise InvalidInputError(f"{event}: {bad} of {len(codes)} values are no event codes (0 censored, 1 event)")
    if not (codes == 1).any():
        raise NotEstimableError(f"{event}: there is no event; at least 20 per arm are needed to search for a rule")
    return times, codes.astype(np.int64)


def _numbers(frame: pd.DataFrame, name: str) -> Floats:
    """A column as numbers, nan where it is none."""
    return np.asarray(pd.to_numeric(column(frame, name), errors="coerce"), dtype=np.float64)


def _propensity(frame: pd.DataFrame, treated: NDArray[np.int64], confounders: Sequence[str]) -> Floats | None:
    if not confounders:
        return None
    from trialstrat.stats.propensity import propensity
    from trialstrat.subgroups.null_model import main_effects

    unknown = int(np.any([column(frame, name).isna() for name in confounders], axis=0).sum())
    if unknown:
        raise InvalidInputError(f"confounders: {unknown} of {len(frame)} patients have an unknown one; complete them")
    model = propensity(treated, main_effects(frame, markers_of(frame, confounders)).columns)
    if model.status != "ok":
        raise NotEstimableError(f"confounders: {model.reason}")
    return np.asarray(model.score, dtype=np.float64)
