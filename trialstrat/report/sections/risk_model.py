"""Risk model: held-out discrimination and calibration, net benefit, what molecular markers add, what drives it."""

from __future__ import annotations

from trialstrat.report import format as fmt
from trialstrat.report import tables
from trialstrat.report.context import Context
from trialstrat.report.figures.dots import Dot, Scale, dot_chart
from trialstrat.report.figures.performance import calibration_chart, net_benefit_chart
from trialstrat.report.page import Block, Figure, Head, Panel, Section, Stats, TableView
from trialstrat.report.sections.primary import stat
from trialstrat.results import Cell, Table

SETS = {"clinical": "Clinical", "molecular": "Molecular", "combined": "Combined"}
METRICS = (
    ("uno_c", "Uno's C", 3),
    ("auc", "AUC", 3),
    ("ibs", "Brier score, integrated", 3),
    ("ipa", "IPA", 3),
    ("ici", "ICI", 3),
    ("calibration_slope", "Calibration slope", 2),
)
STRATEGIES = {"treat_all": "Everybody", "treat_none": "Nobody"}
NARROW_PLOT = 230


def build(context: Context) -> Section | None:
    """The section."""
    if context.record.stage("models") is None:
        return None
    builders = (_stats, _discrimination, _scores, _comparison, _calibration, _net_benefit, _importance, _coefficients)
    blocks: list[Block] = [block for block in (builder(context) for builder in builders) if block is not None]
    groups = context.record.table("models.groups")
    if groups is not None:
        blocks.append(tables.view(groups, "left-out-groups"))
    tuning = context.record.table("models.tuning")
    if tuning is not None:
        blocks.append(tables.view(tuning, "tuning", folded="Tuning, fold by fold"))
    return Section(key="risk-model", title="Risk model", lead=_lead(context), blocks=tuple(blocks))


def model_label(context: Context, name: str) -> str:
    """``Random survival forest, combined`` for ``forest.combined``."""
    engine, _, feature_set = name.partition(".")
    scores = context.record.table("models.scores")
    found = next((str(r["engine_label"]) for r in scores.records() if r["engine"] == engine), "") if scores else ""
    label = found or engine.replace("_", " ").capitalize()
    return f"{label}, {SETS.get(feature_set, feature_set).lower()} features" if feature_set else label


def _chosen(context: Context) -> str:
    return context.record.fact("models", "chosen")


def _lead(context: Context) -> str:
    chosen = _chosen(context)
    found = context.ok(f"models.{chosen}.uno_c")
    if not chosen or found is None:
        reason = context.record.fact("models", "chosen_reason")
        return fmt.sentence(f"No model was chosen{': ' + reason if reason else ''}")
    text = fmt.interval(found.value, found.lower, found.upper, fmt.effect)
    slope = context.ok(f"models.{chosen}.calibration_slope")
    tail = f" and a calibration slope of {fmt.effect(slope.value)}" if slope else ""
    whole = context.ok("models.procedure.uno_c")
    honest = " 0.5 is no better than chance, 1 is a perfect ranking."
    if whole:
        value = fmt.interval(whole.value, whole.lower, whole.upper, fmt.effect)
        honest = f" With the choice among models included it is {value}."
    return f"{model_label(context, chosen)}: a held-out Uno's C of {text}{tail}.{honest}"


def _stats(context: Context) -> Stats | None:
    chosen = _chosen(context)
    if not chosen:
        return None

    def of(metric: str, label: str):
        return stat(context.record.estimate(f"models.{chosen}.{metric}"), label, fmt.effect)

    return Stats(
        items=(
            of("uno_c", "Uno's C, held out"),
            of("ipa", f"Gain in prediction accuracy (IPA) at {context.at_horizon}"),
            of("ici", "Mean calibration error (ICI)"),
        )
    )


def _rows(context: Context, metric: str) -> list[dict[str, Cell]]:
    scores = context.record.table("models.scores")
    return [row for row in scores.records() if row["metric"] == metric] if scores else []


def _discrimination(context: Context) -> Figure | None:
    """Every model's C with its interval, the chosen one solid."""
    rows = [row for row in _rows(context, "uno_c") if tables.number_of(row["value"]) is not None]
    if not rows:
        return None
    chosen = _chosen(context)
    dots = [_score_dot(row, chosen) for row in rows]
    ends = [v for dot in dots for v in (dot.lower, dot.upper, dot.value) if v is not None]
    domain = (min(0.5, *ends) - 0.01, max(0.75, *ends) + 0.01)
    scale = Scale(title="Uno's C, held out", domain=domain, reference=0.5)
    return Figure(
        key="discrimination",
        title=_comparison_title(context),
        subtitle="Held-out Uno's C of every engine and feature set with 95% intervals; filled: the chosen model",
        description=fmt.sentence("; ".join(f"{dot.label}: {dot.written}" for dot in dots)),
        panels=(Panel(chart=dot_chart(dots, scale, width=250), narrow=dot_chart(_short(dots), scale, width=90)),),
        caption=fmt.sentence(_folds(context)),
        numbers=_discrimination_numbers(context),
    )


def _discrimination_numbers(context: Context) -> tuple[TableView, ...]:
    table = context.record.table("models.scores")
    if table is None:
        return ()
    at = table.index("metric")
    kept = table.with_rows([row for row in table.rows if row[at] == "uno_c"])
    hidden = ("model", "engine", "metric", "time")
    return (tables.view(kept, "discrimination-numbers", caption="The numbers of this figure", drop=hidden),)


def _score_dot(row: dict[str, Cell], chosen: str) -> Dot:
    value, lower, upper = (tables.number_of(row[key]) for key in ("value", "lower", "upper"))
    sets = list(SETS)
    style = sets.index(str(row["feature_set"])) if row["feature_set"] in sets else 0
    return Dot(
        label=f"{row['engine_label']}, {row['feature_set']}",
        value=value,
        lower=lower,
        upper=upper,
        written=fmt.interval(value, lower, upper, fmt.effect),
        style=style,
        hollow=row["model"] != chosen,
        size=0.6 if row["model"] == chosen else 0.35,
    )


def _short(dots: list[Dot]) -> list[Dot]:
    """Shorter labels and no intervals in words, for a narrow screen."""
    from dataclasses import replace

    return [replace(dot, written=fmt.effect(dot.value)) for dot in dots]


def _comparison_title(context: Context) -> str:
    table = context.record.table("models.comparison")
    row = next((r for r in table.records() if r["comparison"] == "combined-clinical"), None) if table else None
    difference = tables.number_of(row["difference"]) if row else None
    if row is None or difference is None:
        return "Held-out discrimination of every model"
    ends = [tables.number_of(row[key]) for key in ("lower", "upper")]
    text = fmt.interval(difference, ends[0], ends[1], lambda v: fmt.fixed(v, 3))
    return f"Molecular markers change the held-out concordance by {text} over clinical features alone"


def _folds(context: Context) -> str:
    folds, inner, trials = (context.record.fact("models", key) for key in ("folds", "inner_folds", "trials"))
    if not folds:
        return ""
    inside = f", tuned in {inner} inner folds with {trials} trials each" if inner and trials else ""
    outer = "groups, each left out in turn" if context.record.fact("models", "outer") == "groups" else "outer folds"
    return f"{folds} {outer}{inside}; everything learned is learned inside the folds"


def _scores(context: Context) -> TableView | None:
    """One row per model, one column per metric."""
    scores = context.record.table("models.scores")
    if scores is None:
        return None
    records, notes = scores.records(), tables.Footnotes()
    keys = [(m, label, places, t) for m, label, places in METRICS for t in _times(records, m)]
    rows = []
    for model in dict.fromkeys(str(row["model"]) for row in records):
        mine = {(row["metric"], row["time"]): row for row in records if row["model"] == model}
        first = next(iter(mine.values()))
        label = f"{first['engine_label'] or first['engine']}, {first['feature_set']}"
        cells = [_score(mine.get((m, t)), places, notes) for m, _, places, t in keys]
        mark = " (chosen)" if model == _chosen(context) else ""
        rows.append(tables.row(tables.text(label + mark, header=True), *cells))
    heads = [Head(text="Model")]
    heads += [
        tables.numeric(
            label, f"{fmt.number(tables.number_of(t))} {context.unit}" if len(_times(records, m)) > 1 else ""
        )
        for m, label, _, t in keys
    ]
    note = f"{scores.note} Higher is better: C, AUC, IPA. Lower is better: Brier score, ICI. Best slope: 1.".strip()
    return TableView(
        key="scores",
        caption="Held-out performance of every model, with 95% intervals",
        heads=(tuple(heads),),
        rows=tuple(rows),
        note=note,
        footnotes=notes.entries(),
        folded="All scores of all models",
    )


def _times(records: list[dict[str, Cell]], metric: str) -> list[Cell]:
    return list(dict.fromkeys(row["time"] for row in records if row["metric"] == metric))


def _score(row: dict[str, Cell] | None, places: int, notes: tables.Footnotes):
    if row is None:
        return tables.missing("not computed for this model", notes)
    why = "the engine failed or the score is not defined in these folds"
    return tables.ranged(row, ("value", "lower", "upper"), lambda v: fmt.fixed(v, places), why, notes)


def _comparison(context: Context) -> TableView | None:
    table = context.record.table("models.comparison")
    if table is None:
        return None
    notes, names = tables.Footnotes(), {m: label for m, label, _ in METRICS}
    rows = []
    for row in table.records():
        cell = tables.ranged(row, ("difference", "lower", "upper"), lambda v: fmt.fixed(v, 3), "not estimable", notes)
        metric = names.get(str(row["metric"]), str(row["metric"]))
        rows.append(tables.row(tables.text(row["label"] or row["comparison"], header=True), tables.text(metric), cell))
    head = tables.heads("Comparison", "Metric", tables.numeric("Difference (95% interval)"))
    return TableView(
        key="comparison",
        caption="What is gained, on the same held-out patients",
        heads=head,
        rows=tuple(rows),
        note=table.note,
        footnotes=notes.entries(),
    )


def _first_time(table: Table, model: str, key: str = "model") -> list[dict[str, Cell]]:
    """Rows of one model at the last time they were computed for."""
    rows = [row for row in table.records() if row[key] == model] or table.records()
    time = rows[-1]["time"]
    return [row for row in rows if row["time"] == time and row[key] == rows[-1][key]]


def _calibration(context: Context) -> Figure | None:
    table = context.record.table("models.calibration")
    if table is None:
        return None
    rows = [row for row in _first_time(table, _chosen(context)) if tables.number_of(row["observed"]) is not None]
    bars = context.record.table("models.calibration_histogram")
    histogram = _first_time(bars, _chosen(context)) if bars else []
    histogram = [row for row in histogram if tables.number_of(row["count"]) is not None]
    if not rows:
        return None
    words = {"x_title": f"Predicted risk by {context.at_horizon}", "y_title": f"Observed by {context.at_horizon}"}
    clean = [
        {
            "predicted": tables.number_of(row["predicted"]),
            "observed": tables.number_of(row["observed"]),
            "lower": tables.number_of(row["lower"]) if row["lower"] is not None else tables.number_of(row["observed"]),
            "upper": tables.number_of(row["upper"]) if row["upper"] is not None else tables.number_of(row["observed"]),
        }
        for row in rows
    ]
    ici = context.ok(f"models.{_chosen(context)}.ici")
    size = f" by {fmt.interval(ici.value, ici.lower, ici.upper, fmt.percent)}" if ici else ""
    return Figure(
        key="calibration",
        title=f"Predicted and observed risk differ on average{size}" if ici else "Predicted against observed risk",
        subtitle=f"{model_label(context, _chosen(context))}: smooth curve with 95% band over out-of-fold predictions",
        description=_calibration_words(rows),
        panels=(
            Panel(
                chart=calibration_chart(clean, histogram, width=430, **words),
                narrow=calibration_chart(clean, histogram, width=NARROW_PLOT, **words),
            ),
        ),
        caption="Dotted line: perfect agreement. Below: how many patients have which predicted risk.",
        numbers=(
            tables.view(table.with_rows(_thinned(table)), "calibration-numbers", caption="The numbers of this figure"),
        ),
    )


def _calibration_words(rows: list[dict[str, Cell]]) -> str:
    picks = [rows[0], rows[len(rows) // 2], rows[-1]]
    parts = [
        f"predicted {fmt.percent(tables.number_of(row['predicted']), 0)}, "
        f"observed {fmt.percent(tables.number_of(row['observed']), 0)}"
        for row in picks
    ]
    return fmt.sentence("; ".join(parts))


def _thinned(table: Table, most: int = 20) -> list[tuple[Cell, ...]]:
    """Every k-th row, so that a table behind a smooth curve stays readable."""
    step = max(1, -(-len(table.rows) // most))
    return list(table.rows[::step])


def _net_benefit(context: Context) -> Figure | None:
    table = context.record.table("models.net_benefit")
    if table is None:
        return None
    chosen = _chosen(context)
    time = table.records()[-1]["time"]
    lines = []
    for strategy in (chosen, "treat_all", "treat_none"):
        rows = [r for r in table.records() if r["strategy"] == strategy and r["time"] == time]
        clean = [
            {"threshold": tables.number_of(r["threshold"]), "net_benefit": tables.number_of(r["net_benefit"])}
            for r in rows
            if tables.number_of(r["net_benefit"]) is not None
        ]
        if clean:
            lines.append((STRATEGIES.get(strategy, "Model"), len(lines), clean))
    if len(lines) < 2:
        return None
    axis = f"Risk by {context.at_horizon} above which one would act"
    return Figure(
        key="net-benefit",
        title=_net_benefit_title(lines),
        subtitle="Net benefit of acting on the model, on everybody and on nobody, over the threshold of risk",
        description=_net_benefit_title(lines) + ".",
        panels=(
            Panel(
                chart=net_benefit_chart(lines, x_title=axis, width=470),
                narrow=net_benefit_chart(lines, x_title=axis, width=NARROW_PLOT + 10),
            ),
        ),
        caption="Net benefit: true positives less false positives weighted by the odds of the threshold, per patient.",
        numbers=(
            tables.view(
                table.with_rows(_thinned(table, 60)), "net-benefit-numbers", caption="The numbers of this figure"
            ),
        ),
    )


def _net_benefit_title(lines: list[tuple[str, int, list[dict[str, float | None]]]]) -> str:
    """Where the model beats both trivial strategies: the longest run of thresholds."""
    model = {float(row["threshold"] or 0): float(row["net_benefit"] or 0) for row in lines[0][2]}
    others = [{float(r["threshold"] or 0): float(r["net_benefit"] or 0) for r in rows} for _, _, rows in lines[1:]]
    runs: list[list[float]] = [[]]
    for threshold, value in model.items():
        if all(value > other.get(threshold, 0.0) + 1e-4 for other in others):
            runs[-1].append(threshold)
        elif runs[-1]:
            runs.append([])
    best = max(runs, key=len)
    if not best:
        return "Acting on the model gains nothing over acting on everybody or nobody"
    return (
        "Acting on the model is better than acting on everybody or nobody for thresholds from "
        f"{fmt.percent(best[0], 0)} to {fmt.percent(best[-1], 0)}"
    )


def _importance(context: Context) -> Figure | None:
    table = context.record.table("models.importance")
    if table is None:
        return None
    rows = [row for row in table.records() if tables.number_of(row["importance"]) is not None]
    rows = sorted(rows, key=lambda row: -float(row["importance"] or 0))[:20]
    if not rows:
        return None
    dots = []
    for row in rows:
        value, lower, upper = (tables.number_of(row[key]) for key in ("importance", "lower", "upper"))
        written = fmt.interval(value, lower, upper, lambda v: fmt.fixed(v, 3))
        dots.append(
            Dot(label=str(row["label"] or row["feature"]), value=value, lower=lower, upper=upper, written=written)
        )
    ends = [v for dot in dots for v in (dot.lower, dot.upper, dot.value) if v is not None]
    low, high = min(0.0, *ends), max(0.0, *ends)
    pad = 0.06 * (high - low) or 0.01  # a model of the mean alone loses nothing by any permutation
    scale = Scale(title="Drop in Uno's C", domain=(low - pad, high + pad), reference=0.0)
    matter = [fmt.lower_first(dot.label) for dot in dots[:2] if dot.value is not None and dot.value > 0]
    short = [
        Dot(label=d.label, value=d.value, lower=d.lower, upper=d.upper, written=fmt.fixed(d.value, 3)) for d in dots
    ]
    return Figure(
        key="importance",
        title=f"The model leans most on {fmt.listing(matter)}" if matter else "The model leans on no single feature",
        subtitle="Permutation importance of the chosen model, out of fold, with 95% intervals",
        description=fmt.sentence("; ".join(f"{dot.label}: {dot.written}" for dot in dots)),
        panels=(Panel(chart=dot_chart(dots, scale, width=290), narrow=dot_chart(short, scale, width=110)),),
        numbers=(tables.view(table, "importance-numbers", caption="The numbers of this figure", drop=("feature",)),),
    )


def _coefficients(context: Context) -> TableView | None:
    table = context.record.table("models.coefficients")
    if table is None:
        return None
    notes = tables.Footnotes()
    rows = []
    for row in table.records():
        cell = tables.ratio(row, "not estimable", notes)
        rows.append(tables.row(tables.text(row["label"] or row["feature"], header=True), cell))
    known = any(value is not None for value in table.column("lower"))
    head = tables.heads("Feature", tables.numeric("Hazard ratio (95% interval)" if known else "Hazard ratio"))
    caption = table.title or "Coefficients of the final model"
    return TableView(
        key="coefficients", caption=caption, heads=head, rows=tuple(rows), note=table.note, footnotes=notes.entries()
    )
