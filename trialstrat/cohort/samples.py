"""From several samples of a patient to one, by the declared rule and never by chance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from trialstrat.cohort.columns import as_text, column, is_missing, match, numbers, rows
from trialstrat.cohort.ids import normalised, sample_rules
from trialstrat.cohort.readers.table import number_text, text_frame
from trialstrat.cohort.rules import finding, rows_finding
from trialstrat.protocol.model import Source
from trialstrat.protocol.source_model import SampleRule
from trialstrat.results import Finding

Together = Literal["one", "mean", "any"]
_DATE = r"\d{4}-\d{2}-\d{2}"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SampleMap:
    """Whose each sample is, and which samples count.

    ``patient_of`` maps every known sample to its patient; ``counted`` are the samples that the rule keeps: one of
    each patient, or all of them where numbers are averaged (``mean``) or any alteration counts (``any``).
    """

    patient_of: Mapping[str, str]
    counted: frozenset[str]
    together: Together = "one"


def together_of(rule: SampleRule | None) -> Together:
    """How the samples that a rule keeps are used together."""
    return "mean" if rule and rule.choose == "mean" else "any" if rule and rule.choose == "any" else "one"


def one_per_patient(
    owners: Sequence[str | None], rule: SampleRule | None, lines: NDArray[np.int64], file: str, name: str
) -> tuple[NDArray[np.bool_], tuple[Finding, ...]]:
    """Which samples (n,) count where nothing but their patients (None: unknown) is known, and what is wrong."""
    series = pd.Series(list(owners), dtype=object)
    several = (series.duplicated(keep=False) & series.notna()).to_numpy()
    keep = np.ones(len(series), dtype=bool)
    if not several.any() or (rule is not None and rule.choose in ("mean", "any")):
        return keep, ()
    if rule is None or rule.choose == "refuse":
        return keep, rows_finding("E-ID-SAMPLES", several, lines, source=file, column=name)
    return ~(series.duplicated(keep="first") & series.notna()).to_numpy(), ()


def chosen_rows(
    source: Source, frame: pd.DataFrame, lines: NDArray[np.int64], file: str
) -> tuple[pd.DataFrame, NDArray[np.int64], SampleMap, tuple[Finding, ...]]:
    """One row per patient of a table of samples, with the map of all its samples.

    ``frame`` has the columns ``source.id`` and ``source.sample``. Several samples of a patient that the rule cannot
    tell apart (a tie, or nothing to compare) are a fault; those rows stay.
    """
    samples = normalised(_texts(frame, source.sample or ""), sample_rules(source.id_rules))
    owners = normalised(_texts(frame, source.id or ""), source.id_rules)
    findings = _sample_faults(samples, lines, source, file)
    rule = source.sample_rule
    together = together_of(rule)
    several = (pd.Series(owners).duplicated(keep=False) & pd.Series(owners).notna()).to_numpy()
    if rule is None or rule.choose in ("refuse", "first", "mean", "any"):
        keep, found = one_per_patient(list(owners), rule, lines, file, source.id or "")
    else:
        keep, found = _by_column(rule, frame, owners, several, lines, file)
    findings += found
    known = [at for at, (s, p) in enumerate(zip(samples, owners, strict=True)) if s is not None and p is not None]
    mapping = SampleMap(
        patient_of={str(samples[at]): str(owners[at]) for at in known},
        counted=frozenset(str(samples[at]) for at in known if keep[at]),
        together=together,
    )
    if together != "one":
        frame, lines, found = _averaged(frame, owners, lines, file, source)
        return frame, lines, mapping, (*findings, *found)
    return rows(frame, keep), lines[keep], mapping, findings


def _texts(frame: pd.DataFrame, name: str) -> list[str | None]:
    series = column(frame, name)
    absent = is_missing(series)
    return [None if gone else str(cell) for cell, gone in zip(as_text(series), absent, strict=True)]


def _sample_faults(
    samples: NDArray[np.object_], lines: NDArray[np.int64], source: Source, file: str
) -> tuple[Finding, ...]:
    name = source.sample or ""
    series = pd.Series(samples, dtype=object)
    missing = series.isna().to_numpy()
    twice = (series.duplicated(keep=False) & series.notna()).to_numpy()
    return (
        *rows_finding("E-SAMPLE-MISSING", missing, lines, source=file, column=name),
        *rows_finding("E-SAMPLE-TWICE", twice, lines, source=file, column=name),
    )


def _by_column(
    rule: SampleRule,
    frame: pd.DataFrame,
    owners: NDArray[np.object_],
    several: NDArray[np.bool_],
    lines: NDArray[np.int64],
    file: str,
) -> tuple[NDArray[np.bool_], tuple[Finding, ...]]:
    """The best sample of each patient by the deciding column; ties and patients without any value are faults."""
    name = rule.by or ""
    if name not in frame.columns:
        return np.ones(len(frame), dtype=bool), (finding("E-COLUMN-MISSING", source=file, column=name),)
    rank, findings = _ranks(rule, frame, several, lines, file)
    table = pd.DataFrame({"owner": owners, "rank": rank})
    best = table.groupby("owner", sort=False)["rank"].transform("min").to_numpy(dtype=float)
    is_best = np.asarray(rank == best) & ~np.isnan(rank)
    alone = ~several
    ties = pd.Series(owners).where(is_best).duplicated(keep=False).to_numpy() & is_best & several
    unknown = several & np.isnan(best)
    tied = rows_finding("E-SAMPLE-TIE", ties | unknown, lines, source=file, column=name)
    return alone | is_best, (*findings, *tied)


def _ranks(
    rule: SampleRule, frame: pd.DataFrame, several: NDArray[np.bool_], lines: NDArray[np.int64], file: str
) -> tuple[NDArray[np.float64], tuple[Finding, ...]]:
    """(n,) smaller is better, nan where the sample has no value."""
    series = column(frame, rule.by or "")
    if rule.choose == "prefer":
        at = match(series, rule.prefer).astype(np.float64)
        return np.where(at < 0, np.nan, at), ()
    absent = is_missing(series)
    values, bad = numbers(series)
    if bad.any() and rule.choose in ("earliest", "latest"):
        text = as_text(series).where(~pd.Series(absent), None)
        iso = text.fillna("").astype(str).str.fullmatch(_DATE).to_numpy(dtype=bool)
        values = np.full(len(text), np.nan)
        if iso.any():
            parsed = pd.to_datetime(pd.Series(text)[iso], format="%Y-%m-%d", errors="coerce")
            values[iso] = parsed.to_numpy().astype("datetime64[D]").astype(np.float64)
        bad = ~absent & np.isnan(values)
    found = rows_finding("E-VALUE-TEXT", bad & several, lines, source=file, column=rule.by or "")
    return (-values if rule.choose in ("latest", "highest") else values), found


def _averaged(
    frame: pd.DataFrame, owners: NDArray[np.object_], lines: NDArray[np.int64], file: str, source: Source
) -> tuple[pd.DataFrame, NDArray[np.int64], tuple[Finding, ...]]:
    """Means of numeric columns by patient; text stays where all samples agree and is missing elsewhere."""
    order = pd.Series(owners, dtype=object)
    first = ~order.duplicated().to_numpy() | order.isna().to_numpy()
    place = pd.factorize(order)[0]
    found: list[Finding] = []
    columns: list[list[str | None]] = []
    for name in (str(entry) for entry in frame.columns):
        values, bad = numbers(column(frame, name))
        if name not in (source.id, source.sample) and not bad.any() and not np.isnan(values).all():
            means = pd.Series(values).groupby(place).transform("mean").to_numpy()
            columns.append([number_text(cell) for cell in means[first]])
            continue
        text = pd.Series(_texts(frame, name), dtype=object)
        kinds = text.groupby(place).transform("nunique").to_numpy()
        discordant = (kinds > 1) & first
        if discordant.any() and name != source.sample:
            found.append(
                finding("W-SAMPLE-DISCORDANT", source=file, column=name, bad=int(discordant.sum()), total=sum(first))
            )
        agreed = text.groupby(place).transform("first")
        out = agreed.where(kinds <= 1, None)
        columns.append([None if cell is None or cell != cell else str(cell) for cell in out[first]])
    return text_frame([str(name) for name in frame.columns], columns), lines[first], tuple(found)
