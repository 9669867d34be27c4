"""Stage "screen": the prognostic effect of every candidate marker and its interaction, paid for as a whole."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from trialstrat.cohort.cohort import Cohort
from trialstrat.cohort.shown import ShownOutcome, said_horizon
from trialstrat.results import Cell, Column, Estimate, Finding, StageResult, Table
from trialstrat.stats.cox import cox
from trialstrat.stats.max_t import max_t
from trialstrat.stats.multiplicity import p_adjust
from trialstrat.stats.screen import cox_screen
from trialstrat.subgroups.candidates import Candidates
from trialstrat.subgroups.comparison import Comparison
from trialstrat.subgroups.interactions import (
    Effects,
    absolute_outcome,
    linear_interactions,
    logistic_interactions,
    random_signs,
    weighted_cox_interactions,
)
from trialstrat.subgroups.scales import p_estimate

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

#: Undeclared markers shown, those with the strongest interaction.
SHOWN = 50
#: Draws from the null distribution of the largest statistic for few and for many markers.
DRAWS, DRAWS_MANY, MANY = 5000, 1000, 2000
#: Above this number of markers, strata and confounders are left out of the single models (a finding says so).
MOST_ADJUSTED = 1000
#: A volcano is drawn from this many markers on.
VOLCANO = 100
#: Power is asked for an interaction that doubles the hazard ratio per standard deviation.
WORTHWHILE, POWER = math.log(2.0), 0.8


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Screened:
    """All markers of one comparison: prognostic, relative interaction, absolute interaction, and adjusted p (p,)."""

    comparison: Comparison
    prognostic: Effects
    relative: Effects
    absolute: Effects
    n: NDArray[np.int64]
    events: NDArray[np.int64]
    p_maxt: Floats
    draws: int
    absolute_reason: str = ""

    @property
    def leading(self) -> Effects:
        """The interaction whose p is adjusted: on the relative scale, or the absolute one where there is no other."""
        return self.relative if np.isfinite(self.relative.effect).any() else self.absolute


def screen_markers(
    cohort: Cohort,
    outcome: ShownOutcome,
    compared: Sequence[Comparison],
    found: Candidates,
    *,
    weights: Sequence[Floats | None],
    rng: np.random.Generator,
    jobs: int,
) -> StageResult:
    """Screen every candidate marker against every comparison.

    The adjusted p of an interaction is that of the largest statistic among all markers (max-T); the
    false discovery rate (BH) is given beside it as a screen. With more than two arms each treatment is screened
    against the control.

    ``weights`` holds balancing weights (n,) per comparison, None where arms were randomised.
    """
    screened = [
        screen_one(cohort, outcome, comparison, found, weights=weight, rng=rng, jobs=jobs)
        for comparison, weight in zip(compared, weights, strict=True)
    ]
    tables = [_markers_table(outcome, found, screened)]
    if len(found.columns) >= VOLCANO:
        tables.append(_volcano(found, screened))
    estimates, findings = [], list(found.findings)
    for one in screened:
        estimates.append(_smallest(cohort, found, one))
        findings += _too_many(found, one)
        findings += _unadjusted(cohort, one, len(found.columns))
    return StageResult(
        stage="screen",
        estimates=tuple(estimates),
        tables=tuple(tables),
        findings=tuple(findings),
        facts=_facts(outcome, found, screened),
    )


def screen_one(
    cohort: Cohort,
    outcome: ShownOutcome,
    comparison: Comparison,
    found: Candidates,
    *,
    weights: Floats | None,
    rng: np.random.Generator,
    jobs: int,
) -> Screened:
    """Every marker in the patients of one comparison."""
    rows = comparison.rows if weights is None else comparison.rows & (weights > 0)
    arm = comparison.treated[rows]
    markers = found.values[rows]
    mass = None if weights is None else weights[rows]
    draws = DRAWS if markers.shape[1] <= MANY else DRAWS_MANY
    nothing = Effects(effect=np.full(markers.shape[1], np.nan), std_error=np.full(markers.shape[1], np.nan))
    value, reason = absolute_outcome(outcome, arm, rows)
    cluster = None if outcome.cluster is None else outcome.cluster[rows]
    absolute = nothing if reason else linear_interactions(markers, value, arm, mass, cluster=cluster)
    event = outcome.of_interest[rows]
    if outcome.timed:
        prognostic, relative, adjusted = _cox(cohort, outcome, comparison, rows, markers, mass, draws, rng, jobs)
    elif outcome.kind == "binary":
        relative, prognostic = logistic_interactions(markers, event, arm, mass, random_signs(len(arm), draws, rng))
        adjusted = relative.adjusted_p
    else:
        relative = nothing
        absolute = linear_interactions(markers, value, arm, mass, random_signs(len(arm), draws, rng))
        prognostic = linear_interactions(markers, value, np.ones(len(arm), dtype=np.int64), mass)
        adjusted = absolute.adjusted_p
    known = np.isfinite(markers)
    return Screened(
        comparison=comparison,
        prognostic=prognostic,
        relative=relative,
        absolute=absolute,
        n=known.sum(axis=0),
        events=(known & (event == 1)[:, None]).sum(axis=0),
        p_maxt=adjusted,
        draws=draws,
        absolute_reason=reason,
    )


def _cox(
    cohort: Cohort,
    outcome: ShownOutcome,
    comparison: Comparison,
    rows: Mask,
    markers: NDArray[np.floating],
    weights: Floats | None,
    draws: int,
    rng: np.random.Generator,
    jobs: int,
) -> tuple[Effects, Effects, Floats]:
    """Prognostic effect, interaction and its adjusted p, log hazard ratio scale; other causes are censored."""
    if outcome.time is None:
        raise ValueError("this endpoint is not a time")
    time, event, arm = outcome.time[rows], outcome.of_interest[rows], comparison.treated[rows]
    few = markers.shape[1] <= MOST_ADJUSTED
    strata = cohort.strata[rows] if few and cohort.strata is not None else None
    threads = max(1, jobs)
    if outcome.cluster is not None:
        return _clustered_cox(outcome, rows, arm, markers, weights, strata, draws, rng)
    own = cox_screen(markers, time, event, strata=strata, threads=threads)
    prognostic = Effects(effect=own.effect, std_error=own.std_error)
    late = outcome.entry is not None
    if few and (weights is not None or late):
        mass = np.ones(len(arm)) if weights is None else weights
        signs = random_signs(len(arm), draws, rng)
        found = weighted_cox_interactions(outcome, rows, arm, markers, mass, strata, signs)
        return prognostic, found, found.adjusted_p
    both = cox_screen(markers, time, event, arm, strata=strata, threads=threads)
    tested = max_t(markers, time, event, arm, rng=rng, n_permutations=draws, threads=threads)
    # the search is paid for with score statistics; an adjusted p below the plain Wald p would confuse more than help
    adjusted = np.maximum(tested.adjusted_p, both.p)
    return prognostic, Effects(effect=both.effect, std_error=both.std_error), adjusted


def _clustered_cox(
    outcome: ShownOutcome,
    rows: Mask,
    arm: NDArray[np.int64],
    markers: NDArray[np.floating],
    weights: Floats | None,
    strata: NDArray[np.object_] | None,
    draws: int,
    rng: np.random.Generator,
) -> tuple[Effects, Effects, Floats]:
    """The same with variances summed within clusters, and one random sign per cluster."""
    if outcome.time is None or outcome.cluster is None:
        raise ValueError("clusters of times are needed")
    own = outcome.cluster[rows]
    mass = np.ones(len(arm)) if weights is None else weights
    found = weighted_cox_interactions(
        outcome, rows, arm, markers, mass, strata, random_signs(len(np.unique(own)), draws, rng)
    )
    late = None if outcome.entry is None else outcome.entry[rows]
    effect, error = np.full((2, markers.shape[1]), np.nan)
    for at in range(markers.shape[1]):
        x = markers[:, at].astype(np.float64)
        known = np.isfinite(x)
        fit = cox(
            outcome.time[rows][known],
            outcome.of_interest[rows][known],
            x[known],
            strata=None if strata is None else strata[known],
            entry=None if late is None else late[known],
            cluster=own[known],
        )
        effect[at], error[at] = float(fit.coef[0]), float(np.sqrt(fit.covariance[0, 0]))
    return Effects(effect=effect, std_error=error), found, found.adjusted_p


# -- what is stored ------------------------------------------------------------------------------------------------


def _words(outcome: ShownOutcome) -> tuple[str, str]:
    """Names of the two scales."""
    absolute = {
        "time_to_event": "RMST",
        "competing": "cumulative incidence",
        "binary": "risk",
        "continuous": "mean",
    }[outcome.kind]
    relative = {"competing": "Cause-specific hazard ratio", "binary": "Odds ratio"}.get(outcome.kind, "Hazard ratio")
    return relative, absolute


def _columns(outcome: ShownOutcome) -> tuple[Column, ...]:
    ratio, absolute = _words(outcome)
    unit = outcome.unit if outcome.kind == "time_to_event" else ""
    own = "number" if outcome.kind == "continuous" else "effect"
    return (
        Column(key="comparison", label="Comparison"),
        Column(key="marker", label="Marker"),
        Column(key="label", label="Marker"),
        Column(key="role", label="Role"),
        Column(key="per", label="Per"),
        Column(key="n", label="Known", kind="count"),
        Column(key="events", label="Events", kind="count"),
        Column(key="hr_prognostic", label="Slope" if own == "number" else f"{ratio}, prognostic", kind=own),
        Column(key="prognostic_lower", label="Lower limit", kind=own),
        Column(key="prognostic_upper", label="Upper limit", kind=own),
        Column(key="prognostic_p", label="p", kind="p"),
        Column(key="prognostic_p_bh", label="p, false discovery rate", kind="p"),
        Column(key="hr_interaction", label=f"Ratio of {ratio.lower()}s, treated to control", kind="effect"),
        Column(key="lower", label="Lower limit", kind="effect"),
        Column(key="upper", label="Upper limit", kind="effect"),
        Column(key="p", label="p", kind="p"),
        Column(key="p_maxt", label="p, adjusted", kind="p"),
        Column(key="p_bh", label="p, false discovery rate", kind="p"),
        Column(key="rmst_interaction", label=f"Change of the {absolute} difference", kind="number", unit=unit),
        Column(key="rmst_lower", label="Lower limit", kind="number", unit=unit),
        Column(key="rmst_upper", label="Upper limit", kind="number", unit=unit),
        Column(key="rmst_p", label="p", kind="p"),
    )


def _markers_table(outcome: ShownOutcome, found: Candidates, screened: Sequence[Screened]) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for one in screened:
        rows += _rows(found, one, ratio=outcome.kind != "continuous")
    first = screened[0]
    leading = "relative" if first.leading is first.relative else "absolute"
    absolute = f" Absolute scale not available: {first.absolute_reason}." if first.absolute_reason else ""
    until = f" up to {said_horizon(outcome)}" if outcome.horizon and outcome.timed else ""
    note = (
        f"Population: {outcome.population()}. One model per marker with treatment, marker and their product; all "
        f"{len(found.columns)} candidate columns were screened{_shown(found)}. Adjusted p: largest statistic among all "
        f"of them, {first.draws} draws from its null distribution, on the {leading} scale. Absolute scale: "
        f"{_words(outcome)[1]}{until}, robust variance.{absolute}"
    )
    return Table(
        name="screen.markers", title="Candidate markers", columns=_columns(outcome), rows=tuple(rows), note=note
    )


def _shown(found: Candidates) -> str:
    wide = sum(not column.declared for column in found.columns)
    return f", the {SHOWN} undeclared ones with the smallest p are shown" if wide > SHOWN else ""


def _rows(found: Candidates, one: Screened, *, ratio: bool) -> list[tuple[Cell, ...]]:
    """Declared markers and the strongest of the others, by the p of the leading interaction."""
    p_own, p_main = one.prognostic.p, one.leading.p
    adjusted_own, adjusted_main = p_adjust(p_own, "BH"), p_adjust(p_main, "BH")
    order = np.argsort(np.where(np.isfinite(p_main), p_main, 2.0), kind="stable")
    wide = [j for j in order if not found.columns[j].declared][:SHOWN]
    chosen = {*wide, *(j for j in order if found.columns[j].declared)}
    rows: list[tuple[Cell, ...]] = []
    for j in order:
        if j not in chosen:
            continue
        column = found.columns[j]
        numbers = (
            *_limits(one.prognostic, j, ratio=ratio), p_own[j], adjusted_own[j],
            *_limits(one.relative, j, ratio=True), p_main[j], one.p_maxt[j], adjusted_main[j],
            *_limits(one.absolute, j, ratio=False), one.absolute.p[j],
        )  # fmt: skip
        rows.append(
            (
                one.comparison.pair, column.name, column.label, column.role, column.per, int(one.n[j]),
                int(one.events[j]), *(float(x) if np.isfinite(x) else None for x in numbers),
            )
        )  # fmt: skip
    return rows


def _limits(effects: Effects, j: int, *, ratio: bool) -> tuple[float, float, float]:
    """Value and 95% limits of one marker."""
    half = float(ndtri(0.975)) * effects.std_error[j]
    values = np.array([effects.effect[j], effects.effect[j] - half, effects.effect[j] + half])
    with np.errstate(over="ignore"):
        shown = np.exp(values) if ratio else values
    return float(shown[0]), float(shown[1]), float(shown[2])


def _volcano(found: Candidates, screened: Sequence[Screened]) -> Table:
    """Interactions of all markers on a grid; only those that pass the adjusted test keep their name."""
    rows: list[tuple[Cell, ...]] = []
    for one in screened:
        effect, p = one.leading.effect, np.maximum(one.leading.p, 1e-300)
        for j in np.flatnonzero(one.p_maxt < 0.05):
            name = found.columns[j].label
            rows.append((one.comparison.pair, name, float(effect[j]), float(-np.log10(p[j])), 1.0))
        rest = np.isfinite(effect) & ~(one.p_maxt < 0.05)
        if not rest.any():
            continue
        spread = float(np.quantile(np.abs(effect[rest]), 0.995)) or 1.0
        x = np.round(np.clip(effect[rest], -1.5 * spread, 1.5 * spread) / spread * 20) * spread / 20
        y = np.round(-np.log10(p[rest]) * 5) / 5
        cells, counts = np.unique(np.column_stack([x, y]), axis=0, return_counts=True)
        rows += [
            (one.comparison.pair, "", float(a), float(b), float(k)) for (a, b), k in zip(cells, counts, strict=True)
        ]
    columns = (
        Column(key="comparison", label="Comparison"),
        Column(key="label", label="Marker"),
        Column(key="effect", label="Log ratio per unit", kind="number"),
        Column(key="evidence", label="-log10 p", kind="number"),
        Column(key="markers", label="Markers", kind="number"),
    )
    note = "Markers counted on a grid; those with an adjusted p below 0.05 stand alone with their name."
    return Table(
        name="screen.volcano", title="All interactions", columns=columns, rows=tuple(rows), note=note, protection="none"
    )


def _smallest(cohort: Cohort, found: Candidates, one: Screened) -> Estimate:
    """The adjusted p of the strongest marker."""
    del cohort
    rest = {
        "method": f"max-T, {one.draws} draws",
        "population": one.comparison.label,
        "evidence": "exploratory",
    }
    name = f"screen.interaction.smallest_p.{one.comparison.pair}"
    if not np.isfinite(one.p_maxt).any():
        return p_estimate(
            name, "Strongest interaction", np.nan, "not_estimable", "no interaction could be estimated", "", rest
        )
    best = int(np.nanargmin(np.where(np.isfinite(one.leading.p), one.leading.p, np.nan)))
    label = f"Strongest interaction ({found.columns[best].label}), adjusted for all markers, {one.comparison.label}"
    null = "no candidate marker changes the effect of treatment"
    rest |= {"n": int(one.n[best]), "events": int(one.events[best])}
    return p_estimate(name, label, float(one.p_maxt[best]), "ok", "", null, rest)


def events_needed(markers: int, treated: float, *, alpha: float = 0.05) -> int:
    """Events with which an interaction worth having is found among so many markers with a power of 80%.

    Per standard deviation of the marker the hazard ratio doubles; the critical value is Bonferroni's; the information
    of D events is D q (1 - q) with q the share treated.

    References
    ----------
    Schoenfeld DA (1983). Biometrics 39, 499-503. Schmoor C, Sauerbrei W, Schumacher M (2000). Stat Med 19, 441-452.
    """
    z = float(ndtri(1 - alpha / (2 * max(markers, 1))) + ndtri(POWER))
    return math.ceil((z / WORTHWHILE) ** 2 / (treated * (1 - treated)))


def _too_many(found: Candidates, one: Screened) -> list[Finding]:
    """A finding where the data are too small for this many markers, with the number that would do or suffice."""
    treated = float(one.comparison.treated[one.comparison.rows].mean())
    events = int(one.events.max(initial=0))
    count = len(found.columns)
    needed = events_needed(count, treated)
    if events >= needed or not one.events.any():
        return []
    affordable = next((m for m in range(count, 0, -1) if events_needed(m, treated) <= events), 0)
    able = f"{affordable} markers" if affordable else "not even one marker"
    return [
        Finding(
            code="W-SCREEN-LARGE",
            severity="warning",
            message=(
                f"{one.comparison.label}: {count} candidate markers are searched; {needed} events would be needed to "
                f"find with 80% power a marker that doubles the hazard ratio per unit, the events suffice for {able}"
            ),
            remedy="Declare fewer markers, or read a silent screen as undecided",
        )
    ]


def _unadjusted(cohort: Cohort, one: Screened, markers: int) -> list[Finding]:
    arms = cohort.protocol.arms
    balanced = arms is not None and arms.allocation == "observational"
    if markers <= MOST_ADJUSTED or not (balanced or cohort.strata is not None):
        return []
    what = "balancing weights" if balanced else "randomisation strata"
    return [
        Finding(
            code="W-SCREEN-PLAIN",
            severity="note",
            message=f"{one.comparison.label}: with more than {MOST_ADJUSTED} markers the models leave out the {what}",
        )
    ]


def _facts(outcome: ShownOutcome, found: Candidates, screened: Sequence[Screened]) -> dict[str, str]:
    first = screened[0]
    p = first.leading.p
    treated = float(first.comparison.treated[first.comparison.rows].mean())
    return {
        "markers": str(len(found.columns)),
        "estimated": str(int(np.isfinite(p).sum())),
        "nominal": str(int((p < 0.05).sum())),
        "expected_by_chance": f"{0.05 * np.isfinite(p).sum():.1f}",
        "passed_adjusted": str(int((first.p_maxt < 0.05).sum())),
        "passed_bh": str(int((p_adjust(p, "BH") < 0.05).sum())) if np.isfinite(p).any() else "0",
        "draws": str(first.draws),
        "events_needed": str(events_needed(len(found.columns), treated)),
        "ratio": _words(outcome)[0],
        "absolute": _words(outcome)[1],
        "comparison": first.comparison.pair,
        "comparison_label": first.comparison.label,
    }
