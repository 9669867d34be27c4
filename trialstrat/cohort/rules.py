"""The rule table of data checks: every code with its severity, exit code, meaning and mend.

A check is a row here and a few vectorised lines elsewhere. Codes are stable: ``E-`` refuses the data (exit 3),
``N-`` says that the question cannot be answered from them (exit 5), ``X-`` that a file is not the declared one
(exit 8), ``W-`` warns, ``I-`` tells what was done.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from trialstrat.errors import DataError, IntegrityError, NotEstimableError
from trialstrat.results import Finding, Severity

LONGEST_NAME = 80
MOST_ALIKE = 10


@dataclass(frozen=True, slots=True)
class Rule:
    """One check: its code, what it found in words, and what to do about it."""

    code: str
    message: str
    remedy: str

    @property
    def severity(self) -> Severity:
        """Decided by the first letter of the code."""
        return {"W": "warning", "I": "note"}.get(self.code[0], "error")  # type: ignore[return-value]


RULES: dict[str, Rule] = {
    code: Rule(code, message, remedy)
    for code, message, remedy in (
        # files
        ("E-FILE-PATH", "path refused", "Name a file inside the data folder, or choose the folder with --data"),
        ("E-FILE-MISSING", "no such file", "Check the path, or choose the folder with --data"),
        ("E-FILE-KIND", "not a plain file", "Name a file"),
        ("E-FILE-READ", "cannot be read", "Check the file's permissions"),
        ("E-FILE-CHANGED", "changed while it was read", "Wait until it is written, then start again"),
        ("E-FILE-EMPTY", "the file is empty", "Export it again"),
        ("E-FILE-SIZE", "too large", "Keep the needed columns, or convert the file to Parquet"),
        ("E-FILE-BOMB", "expands far beyond its size on disk", "Unpack and check it yourself, then name the result"),
        ("E-FILE-FORMAT", "format not recognised", "Use CSV, TSV, Parquet, Excel, SAS XPT or sas7bdat"),
        ("E-FILE-DAMAGED", "the file is damaged", "Copy or export it again"),
        ("E-FILE-MEMBERS", "an archive must hold one plain file", "Unpack it and name the file"),
        ("E-FILE-ENCODING", "text encoding", "Set encoding: latin-1 (or cp1252) for this source, or save as UTF-8"),
        ("E-FILE-NUL", "NUL bytes", "The file is damaged or not text; export it again"),
        ("E-DATASET", "no such packaged data set", "Use one of the named data sets"),
        ("X-FILE-HASH", "the file is not the declared one (sha256 differs)", "Restore the file or declare its hash"),
        ("W-FILE-CHECKSUM", "this format has no checksum: a damaged value cannot be seen", "Declare sha256:"),
        ("I-FILE-FORMAT", "read as", ""),
        # rows and columns
        ("E-ROWS-NONE", "no rows below the header", "Export the file again"),
        ("E-ROWS-COUNT", "another number of rows than declared", "Restore the file or correct rows:"),
        ("E-ROW-LONG", "with more fields than the header", "Quote fields that hold the delimiter"),
        ("E-ROW-SHORT", "with fewer fields than the header", "Complete or remove the rows"),
        ("E-ROW-TRAILING", "have one field more than the header", "Remove the trailing delimiter or name the column"),
        ("E-ROW-CUT", "the last row is incomplete and has no line end: the file was cut", "Copy the file again"),
        ("E-ROW-QUOTE", "a quote is opened and never closed", "Close the quote, or double it inside a field"),
        ("E-FIELD-LONG", "a field is longer than 65,536 characters", "Check the quotes; shorten the field"),
        ("E-COLUMNS-MANY", "more columns than can be read", "Split the file by marker"),
        ("E-COLUMN-TWICE", "column named twice", "Rename one of them in the file"),
        ("E-COLUMN-MISSING", "the declared column is not in the data", "Correct the name in the protocol"),
        (
            "E-COLUMN-AMBIGUOUS",
            "the column is in several sources",
            "Rename one with rename:, or list columns: of a source",
        ),
        ("E-DECIMAL", "commas may be decimal or thousands signs", 'Declare decimal: "," or "." for this source'),
        (
            "E-GENE-DATE",
            "are gene symbols that a spreadsheet turned into dates",
            "Restore the symbols from the source file",
        ),
        ("E-GENE-ALIAS", "old and new symbol of one gene", "Keep one of the two columns"),
        # formats of studies, submissions and molecular data
        ("E-FORMAT-COLUMN", "a column that this format requires is missing", "Export the file again with this column"),
        ("E-FORMAT-WAY", "cannot tell whether genes are in rows or in columns", "Declare which of the two"),
        ("E-FORMAT-EXTRA", "this format needs a package that is not installed", "Install it with trialstrat's extra"),
        ("E-SOURCE-TABLE", "which part of it is meant", "Declare table: with one of those named"),
        ("E-SOURCE-LAYOUT", "not what layout: says", "Correct layout: of the source"),
        ("E-VARIANT-GENE", "alleles without a gene: not annotated", "Annotate the file with VEP or SnpEff"),
        ("I-VARIANT-FILTER", "alleles that did not pass the file's own filters: left out", ""),
        ("E-XML-DOCTYPE", "XML with a document type or entities is refused", "Remove the DOCTYPE from the file"),
        ("E-STUDY-META", "meta file of the study folder", "Add or correct the meta_*.txt file"),
        (
            "E-STUDY-HEADER",
            "clinical files start with four lines marked # (names, descriptions, types, priorities)",
            "Complete the header lines",
        ),
        ("E-STUDY-ID", "name a patient or sample that the clinical files do not have", "Correct the ids or add them"),
        ("E-STUDY-STATUS", "with a status that does not start with 0: or 1:", "Write 1:DECEASED, 0:LIVING or the like"),
        ("E-VALUE-VAF", "with an allele fraction outside 0 to 1, or more reads than the depth", "Correct the reads"),
        ("W-VARIANT-STATUS", "no Mutation_Status: germline and somatic variants are not told apart", "Add the column"),
        ("I-STUDY-SKIPPED", "of the study folder, not read", ""),
        ("W-ASSAY-UNKNOWN", "no gene panel or list of sequenced samples: every sample counts as assayed", "Add one"),
        ("I-ROWS-EMPTY", "without any value: ignored", ""),
        ("I-NORMALISED", "with text levels unified (blanks, Unicode form, case)", ""),
        # privacy
        (
            "E-IDENTIFIER",
            "hold direct identifiers",
            "Remove the column, name it under privacy.drop:, or under privacy.allow: if it identifies nobody",
        ),
        ("I-IDENTIFIER-DROPPED", "columns taken out as privacy.drop: declares", ""),
        ("E-AGE-YEARS", "above any age in years", "Declare the unit: they are in, or convert them"),
        ("I-AGE-CAPPED", "aged above 89 years: held as 90", ""),
        # a frozen model on other patients
        (
            "E-VALID-COLUMN",
            "column absent",
            "Declare it as covariate or biomarker, with rename: where it has another name",
        ),
        ("E-VALID-KIND", "of another kind", "Declare kind: as in the study that made the model"),
        ("E-VALID-UNIT", "in another unit", "Convert it with units: of its source"),
        (
            "E-VALID-LEVEL",
            "have levels unknown to the model",
            "Rename them, or declare them under missing: to take them as unknown",
        ),
        ("E-VALID-ENDPOINT", "endpoint of another kind", "Validate on the kind of endpoint that the model predicts"),
        ("E-VALID-OVERLAP", "patients of the study that made the model", "Leave them out"),
        ("E-VALID-TRAINING", "another protocol", "Name the protocol of the run"),
        ("W-VALID-OVERLAP", "not compared with the patients of the run", "Name its protocol with --training"),
        # ids and joins
        ("E-ID-UNDECLARED", "no patient id declared", "Declare id: (the column), or id: row"),
        ("E-ID-MISSING", "without a patient id", "Complete the ids or remove the rows"),
        ("E-ID-TWICE", "share a patient id with another row", "Keep one row per patient, or select with where:"),
        (
            "E-ID-SAMPLES",
            "share their patient with another row",
            "Declare sample_rule:, or keep one per patient",
        ),
        ("E-SAMPLE-MISSING", "without a sample id", "Complete the ids or remove the rows"),
        ("E-SAMPLE-TWICE", "share a sample id with another row", "Keep one row per sample"),
        ("E-SAMPLE-TIE", "are samples that the rule cannot choose between", "Declare another sample_rule:"),
        ("W-SAMPLE-DISCORDANT", "whose samples disagree: missing", "Check the samples, or choose one of each patient"),
        ("I-ID-NORMALISED", "ids written in another form by id_rules:", ""),
        (
            "E-ID-TWINS",
            "have an id that differs from another only by blanks or case",
            "Write each patient's id in one way",
        ),
        ("E-JOIN-NONE", "are of patients that the first source does not have", "Check the id columns of both sources"),
        ("W-JOIN-UNKNOWN", "are of patients that the first source does not have", "Check the id columns"),
        ("W-JOIN-ABSENT", "of the first source have no patient here", "Their values are missing, never zero"),
        # units, genes and derived columns
        ("E-UNIT-UNKNOWN", "with a unit that cannot be converted", "Declare codes: for it, or correct the rows"),
        ("I-UNIT-CONVERTED", "converted", ""),
        ("E-GENE-AMBIGUOUS", "the symbol may mean several genes", "Say which in gene_symbols.resolve:"),
        ("W-GENE-AMBIGUOUS", "symbols that may mean several genes: kept as written", "See gene_symbols.resolve:"),
        ("I-GENE-ALIAS", "old symbols or aliases read as the current symbol", ""),
        ("E-GENE-ABSENT", "the gene was not looked at in anybody", "Correct the gene or the source"),
        ("W-GENE-UNSEEN", "genes without any variant in the file", "Check the symbols"),
        ("E-FEATURE-READS", "no read counts: the allele fraction is unknown", "Use a file with t_alt_count and depth"),
        ("E-FEATURE-VALUE", "cannot be computed", "Correct the feature or its source"),
        ("W-FEATURE-GENES", "genes of the signature are absent", "Check the symbols"),
        ("W-FEATURE-PANEL", "looked at with a panel of unknown size: missing", "Add it to panel_megabases:"),
        ("W-FEATURE-UNDATED", "records without a time: left out", ""),
        ("W-FEATURE-DISCORDANT", "whose samples disagree", "The declared sample_rule: decides"),
        # times and events
        ("E-TIME-DATE", "are dates, not times", "Declare start: and end: for date columns, or compute the time"),
        ("E-TIME-TEXT", "are not numbers", "Correct them or declare missing: codes"),
        ("E-TIME-NEG", "< 0", "Correct them or set negative_time: drop"),
        ("E-TIME-INF", "are infinite", "Correct them"),
        ("E-TIME-MISSING", "without a time", "Complete them or set missing_outcome: drop"),
        ("E-TIME-ZERO", "are events at time 0", "Correct them or set zero_time: half_day, keep or drop"),
        ("E-TIME-MAX", "beyond the largest possible time", "Correct them, or the declared unit: or maximum:"),
        (
            "E-TIME-UNIT",
            "with times whose median is impossible in the declared unit",
            "Correct unit:, or compute times",
        ),
        ("W-TIME-ZERO", "are censored at time 0: they contribute nothing", "Correct them or set zero_time:"),
        ("W-TIME-UNIT", "look as if given in another unit than the rest", "Convert them to one unit"),
        ("W-TIME-DROPPED", "dropped by the declared rule", ""),
        ("I-TIME-HALF-DAY", "at time 0 set to half a day", ""),
        ("E-DATE-FORMAT", "without an ISO date (2021-03-31)", "Write full dates; complete or remove partial ones"),
        ("E-DATE-ORDER", "end before they start", "Correct the dates"),
        ("E-DATE-CUT", "with a date after the data cut", "Correct the dates or data_cut:"),
        ("E-ENTRY-EXIT", "enter at or after their exit", "Correct entry or exit"),
        ("E-ENTRY-TEXT", "with an entry time that is no number", "Correct them"),
        ("E-EVENT-UNKNOWN", "with an event code that is not declared", "List it under events: or censored:"),
        ("E-EVENT-MISSING", "without an event code", "Complete them or set missing_outcome: drop"),
        ("E-EVENT-CNSR", "disagree between the event column and CNSR (0 is the event)", "Correct one of the two"),
        ("I-EVENT-CNSR", "CNSR inverted: 0 is the event", ""),
        ("E-OUTCOME-UNKNOWN", "with an outcome that is not declared", "List it under positive: or negative_values:"),
        ("E-OUTCOME-TEXT", "with an outcome that is no number", "Correct them or declare missing: codes"),
        ("E-OUTCOME-MISSING", "without an outcome", "Complete them or set missing_outcome: drop"),
        ("N-EVENTS", "too few events to estimate anything", "Wait for more events, or lower analysis.minimum_events"),
        ("N-PATIENTS", "too few patients to estimate anything", "Check the eligibility and the joins"),
        # arms
        ("E-ARM-MISSING", "without an arm", "Complete the arms or set arms.missing: drop"),
        ("W-ARM-DROPPED", "without an arm dropped by the declared rule", ""),
        ("E-ARM-UNKNOWN", "with an arm that is not declared", "Declare it under arms.levels or remove the rows"),
        ("N-ARM-EMPTY", "no patient in a declared arm", "Check the arm's value: in the protocol"),
        ("N-ARM-ONE", "a single patient in an arm", "Check the arm's value: in the protocol"),
        # covariates and markers
        ("E-VALUE-TEXT", "not numeric", "Correct them, declare missing: codes, or kind: categorical"),
        ("E-VALUE-INF", "are infinite or beyond 1e30", "Correct them or declare missing: codes"),
        ("E-VALUE-RANGE", "outside minimum: and maximum:", "Correct them or the declared range"),
        ("E-LEVEL-UNKNOWN", "with a level that is not declared", "Add it to levels: or correct the rows"),
        (
            "E-LEVEL-TWINS",
            "with a level that differs from another only in its spelling",
            "Correct them, or set normalise: true",
        ),
        ("E-LEVEL-MIXED", "with text in a column of numbers", "Declare levels: or missing: codes"),
        ("E-MISSING-LIMIT", "without a value, more than accepted", "Remove the column or raise missing_limit:"),
        ("E-STRATUM-MISSING", "without a randomisation stratum", "Complete the stratum"),
        (
            "E-BATCH-SINGLE",
            "molecular, and in no marker block: its batches would not be corrected",
            "Leave it to marker_blocks:, or say correct: none and adjust_for: the batch",
        ),
        ("E-BATCH-MISSING", "without a batch", "Complete the column or remove batch_effects:"),
        ("E-TERM-RANGE", "outside the range of a published model's term", "Declare minimum: or missing: of the term"),
        ("I-CLUSTER", "rows are not independent; where patients are counted, rows are meant", ""),
        ("E-CLUSTER-MISSING", "without a cluster", "Complete the column or remove analysis.cluster"),
        ("E-CLUSTER-SPLIT", "in a cluster that lies in several groups", "Declare models.group_by: that holds clusters"),
        ("E-GROUP-MISSING", "without a group for the folds", "Complete the column or remove models.group_by"),
        (
            "W-CODE-UNDECLARED",
            "with what looks like an undeclared missing code",
            "Declare missing: or levels: for the column",
        ),
        ("W-SENTINEL", "hold one value far outside the rest (a missing code?)", "Declare it under missing:"),
        ("W-OUTLIER", "far outside the rest", "Correct them or declare minimum: and maximum:"),
        ("W-CONSTANT", "hold one and the same value: dropped", "Remove the column from the protocol"),
        ("W-EMPTY", "without a value: dropped", "Remove the column from the protocol"),
        ("W-COLLINEAR", "dropped, a linear function of another column", "Remove one of the two from the protocol"),
        ("W-ID-LIKE", "almost one level per patient: dropped", "Remove the column from the protocol"),
        ("W-LEAK", "nearly determines the outcome", "Remove it unless it was measured before time zero"),
        ("W-MARKERS-DROPPED", "markers dropped (constant or too often missing)", ""),
        ("E-MARKERS-NONE", "no numeric marker in this block", "Correct source: or prefix: of the block"),
        # criteria
        ("W-CRIT-EMPTY", "no patient passes this criterion", "Correct the threshold, the level or the unit"),
        (
            "W-CRIT-UNKNOWN",
            "no patient has the values that this criterion needs: its missing policy decides all",
            "Check the column and its missing codes, or drop the criterion",
        ),
        (
            "I-CRIT-ALWAYS",
            "this criterion removes nobody of these data",
            "Nothing to do where all of them were enrolled under it; else correct its threshold or unit",
        ),
        ("E-CRIT-CLASS", "no variant of this class is in the file, nor is it a class of MAF", "Correct the class"),
        ("N-CRITERION-NONE", "no patient is left after this criterion", "Check its conditions and units"),
    )
}


class RefusedError(DataError):
    """Data refused while reading; keeps the findings so that a check can list them with others."""

    def __init__(self, *findings: Finding) -> None:
        self.findings = findings
        super().__init__(*(_line(finding) for finding in findings))


def finding(
    code: str,
    *,
    source: str = "",
    column: str = "",
    detail: str = "",
    bad: int | None = None,
    total: int | None = None,
    lines: Sequence[int] | NDArray[np.int64] = (),
) -> Finding:
    """A finding of a rule of the table; ``detail`` continues its message, the first three ``lines`` are kept."""
    rule = RULES[code]
    return Finding(
        code=code,
        severity=rule.severity,
        message=f"{rule.message}: {detail}" if detail else rule.message,
        remedy=f"{rule.remedy}." if rule.remedy else "",
        source=visible(source),
        column=visible(column),
        bad=bad,
        total=total,
        lines=tuple(int(line) for line in lines[:3]),
    )


def without_names(fault: RefusedError, names: Collection[str], what: str) -> RefusedError:
    """The same fault where the names of columns are ids of patients: their place is said, never the name."""
    place = {name.strip(): at for at, name in reversed(list(enumerate(names, start=1)))}
    return RefusedError(
        *(
            replace(entry, column=f"{what}, column {place[entry.column]}") if entry.column in place else entry
            for entry in fault.findings
        )
    )


def rows_finding(
    code: str, mask: NDArray[np.bool_], lines: NDArray[np.int64], *, source: str, column: str, detail: str = ""
) -> tuple[Finding, ...]:
    """The finding of the rows in ``mask`` (one per row of a table), or none when no row is bad."""
    bad = int(mask.sum())
    if not bad:
        return ()
    at = np.sort(lines[mask])
    at = at[at > 0]
    return (finding(code, source=source, column=column, detail=detail, bad=bad, total=len(mask), lines=at[:3]),)


def summarised(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """At most ``MOST_ALIKE`` findings of one code and file by name; the number of the others is in a last one.

    A table of twenty thousand markers can have the same fault in every column.
    """
    counts = Counter((entry.code, entry.source) for entry in findings)
    seen: Counter[tuple[str, str]] = Counter()
    out: list[Finding] = []
    for entry in findings:
        key = (entry.code, entry.source)
        seen[key] += 1
        if seen[key] <= MOST_ALIKE:
            out.append(entry)
        elif seen[key] == counts[key]:
            more = counts[key] - MOST_ALIKE
            out.append(finding(entry.code, source=entry.source, detail=f"and {more} more columns like those named"))
    return tuple(out)


def errors(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """The findings that stop a run."""
    return tuple(entry for entry in findings if entry.severity == "error")


def raise_for(findings: Iterable[Finding]) -> None:
    """Raise when any finding is an error: every error of every file in one exception.

    Raises
    ------
    IntegrityError
        When a file is not the declared one.
    DataError
        When the data are refused.
    NotEstimableError
        When the data are sound but cannot answer the question.
    """
    stop = errors(findings)
    if stop:
        _raise(stop)


def _raise(stop: tuple[Finding, ...]) -> NoReturn:
    lines = [_line(entry) for entry in stop]
    kinds = {entry.code[0] for entry in stop}
    if "X" in kinds:
        raise IntegrityError(*lines)
    if kinds == {"N"}:
        raise NotEstimableError(*lines)
    raise DataError(*lines)


def _line(entry: Finding) -> str:
    return f"{entry.text()} Nothing written."


def visible(text: str) -> str:
    """A name from a file made safe to print: control and direction marks escaped, long names shortened."""
    shown = "".join(
        char if unicodedata.category(char) not in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp") else f"\\u{ord(char):04x}"
        for char in text[: LONGEST_NAME + 1]
    )
    return shown if len(text) <= LONGEST_NAME else shown[: LONGEST_NAME - 1] + "…"
