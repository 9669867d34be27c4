"""Every measure of the effect that a run holds, with the test that belongs to it."""

from __future__ import annotations

from collections.abc import Sequence

from trialstrat.report import format as fmt
from trialstrat.report import tables
from trialstrat.report.context import Context
from trialstrat.report.page import Cell, Row, TableView
from trialstrat.results import Estimate

#: Stem of an estimate (between ``primary.`` and the comparison) -> stems of its test, the first that exists counts.
TESTS: dict[str, tuple[str, ...]] = {
    "cox.hazard_ratio": ("logrank.p", "cox.p"),
    "fine_gray.hazard_ratio": ("gray.p",),
    # the test that stands beside it in its family is that of the unadjusted effect; its own is in the table of terms
    "cox.adjusted_hazard_ratio": (),
}
LABELS = {
    "cox.hazard_ratio": "Hazard ratio",
    "cox.adjusted_hazard_ratio": "Hazard ratio, adjusted",
    "weighted.hazard_ratio": "Hazard ratio, weighted",
    "fine_gray.hazard_ratio": "Subdistribution hazard ratio",
    "milestone.difference": "Difference in share {free} at {horizon}, percentage points",
    "weighted.milestone.difference": "Difference in share {free} at {horizon}, percentage points, weighted",
    "cif.difference": "Difference in cumulative incidence at {horizon}, percentage points",
    "rmst.difference": "Mean {unit} gained up to {horizon} (RMST)",
    "weighted.rmst.difference": "Mean {unit} gained up to {horizon} (RMST), weighted",
    "risk_difference": "Risk difference, percentage points",
    "odds_ratio": "Odds ratio",
    "mean_difference": "Difference in means",
    "weighted.e_value": "E-value of the weighted hazard ratio",
    "weighted.e_value_limit": "E-value of its limit nearer to 1",
    "logrank.adjusted_p": "Log-rank test, adjusted for several comparisons",
    "maxcombo.p": "MaxCombo test",
    "ph.p": "Test of proportional hazards",
}
WIDTH = 4


def points(value: float) -> str:
    """A difference of proportions in percentage points."""
    return fmt.fixed(100 * value, 1)


def formatter(found: Estimate) -> tables.Formatter:
    """How an effect is written: proportions as percentage points, everything else as an effect."""
    return points if found.unit == "probability" else fmt.effect


def effects(context: Context) -> TableView:
    """One row per measure; with several comparisons one block each."""
    notes = tables.Footnotes()
    rows: list[Row] = []
    for suffix, _, _ in context.pairs:
        if len(context.pairs) > 1:
            rows.append(tables.divider(context.pair_label(suffix), WIDTH))
        rows += _block(context, suffix, notes)
    head = tables.heads("Measure", tables.numeric("Estimate (95% interval)"), tables.numeric("p"), "Method")
    return TableView(
        key="effects",
        caption="The effect of treatment",
        heads=head,
        rows=tuple(rows),
        note=_note(context),
        footnotes=notes.entries(),
    )


def _note(context: Context) -> str:
    ties = context.record.fact("primary", "ties")
    nulls = [e.null_hypothesis for e in context.record.stages["primary"].estimates if e.null_hypothesis]
    timed = context.endpoint.get("kind") not in ("binary", "continuous")
    parts = [f"Population: {context.population()}.", f"Ties: {ties}." if ties and timed else ""]
    parts += [f"Null hypothesis of the first test: {fmt.lower_first(nulls[0]).rstrip('.')}." if nulls else ""]
    cluster, clusters = (context.record.fact("primary", key) for key in ("cluster", "clusters"))
    if cluster:
        parts.append(f"Rows lie in {clusters} clusters ({cluster}); intervals and tests take those together.")
    if any("weighted" in name for name in _stems(context, context.pairs[0][0])):
        parts.append("Weighted: every patient counts by the propensity of having been in the other arm.")
    return " ".join(part for part in parts if part)


def _stems(context: Context, suffix: str) -> dict[str, Estimate]:
    """Estimates of one comparison by the part of their name between the stage and the comparison."""
    return {
        entry.name.removeprefix("primary.").removesuffix(f".{suffix}"): entry
        for entry in context.record.stages["primary"].estimates
        if entry.name.endswith(f".{suffix}")
    }


def _block(context: Context, suffix: str, notes: tables.Footnotes) -> list[Row]:
    """Effects with their tests first, tests that stand alone after them."""
    stems = _stems(context, suffix)
    tests = {stem for stem in stems if stem.rsplit(".", 1)[-1] in ("p", "adjusted_p")}
    rows, used = [], set[str]()
    for stem, found in stems.items():
        if stem in tests:
            continue
        own = [name for name in _test_names(stem) if name in tests]
        used.update(own)
        test = stems[own[0]] if own else None
        cells = (tables.estimate(found, formatter(found), notes), p_cell(test, notes))
        rows.append(_row(context, stem, found, cells, (found, test)))
    for stem in stems:
        if stem in tests and stem not in used:
            found = stems[stem]
            rows.append(_row(context, stem, found, (Cell(text="", numeric=True), p_cell(found, notes)), (found,)))
    return rows


def _test_names(stem: str) -> tuple[str, ...]:
    """Where the p of an effect may stand: ``cox.hazard_ratio`` -> ``cox.p``; ``risk_difference`` -> itself + ``.p``."""
    parent = stem.rpartition(".")[0]
    return (*TESTS.get(stem, ()), f"{stem}.p", f"{parent}.p" if parent and stem not in TESTS else "")


def _row(
    context: Context, stem: str, found: Estimate, cells: tuple[Cell, Cell], sources: Sequence[Estimate | None]
) -> Row:
    label = LABELS.get(stem)
    text = (
        label.format(horizon=context.at_horizon, unit=context.unit, free=context.free)
        if label
        else found.label.rpartition(", ")[0]
    )
    methods = dict.fromkeys(source.method for source in sources if source is not None and source.method)
    return tables.row(
        tables.text(text or found.label, header=True), *cells, tables.text("; ".join(methods) or "see Methods in words")
    )


def p_cell(found: Estimate | None, notes: tables.Footnotes) -> Cell:
    """A p, an empty cell where there is no test, a dash with its reason where the test could not be done."""
    if found is None:
        return Cell(text="", numeric=True)
    if found.status != "ok":
        return tables.missing(found.reason, notes)
    return Cell(text=fmt.p_value(found.value), numeric=True, title=found.method)
