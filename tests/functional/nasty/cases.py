"""The catalogue's cases 1 to 63 that the door judges: what is changed, how it must end, and what must be found.

A row is (number in the catalogue, test id, file or builder of one, changes of the base study, exit code, codes found).
Codes are those of errors where the exit code is 3, 5 or 8, those of warnings otherwise. ``same`` marks inputs whose
analysis table must be the clean one's, to the bit. The whole text of every answer is kept in ``texts.txt``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
import pyarrow as pa

from tests.functional.nasty import inputs
from tests.functional.nasty.inputs import Build, cells, columns, dated, packed, text, typed, xport

ENDPOINT: dict[str, Any] = {
    "name": "os",
    "label": "Overall survival",
    "time": "OS_MONTHS",
    "unit": "months",
    "event": {"column": "OS_EVENT", "events": [1], "censored": [0]},
}
CTRL = {"name": "CTRL", "value": "CTRL", "control": True}
AGE = {"column": "AGE", "kind": "continuous"}
DATES = {"time": None, "start": "FIRST", "end": "LAST"}
KRAS = {"column": "KRAS", "kind": "categorical", "levels": [0, 1], "role": "prognostic"}
CLEAN = {"name": "cohort", "file": "00_clean.csv", "id": "USUBJID"}


@dataclass(frozen=True, slots=True)
class Case:
    """One input and what must happen."""

    number: int
    name: str
    made: str | Build
    exit_code: int
    codes: tuple[str, ...] = ()
    source: Mapping[str, Any] = field(default_factory=dict)
    changes: Mapping[str, Any] = field(default_factory=dict)
    same: bool = False
    strict: bool = False


def endpoint(**changes: Any) -> dict[str, Any]:
    return {"endpoints": [{**ENDPOINT, **changes}]}


def events(**coding: Any) -> dict[str, Any]:
    return endpoint(event={"column": "OS_EVENT", **coding})


def arms(value: Any, other: Any = "EXP") -> dict[str, Any]:
    levels = [{**CTRL, "value": value}, {"name": "EXP", "value": other}]
    return {"arms": {"column": "ARM", "levels": levels}}


def joined(file: str, **source: Any) -> dict[str, Any]:
    markers = {"name": "markers", "file": file, "id": "USUBJID", **source}
    return {"sources": [CLEAN, markers], "biomarkers": [KRAS]}


def criterion(**condition: Any) -> dict[str, Any]:
    return {"eligibility": [{"id": "I1", "kind": "inclusion", "text": "As declared", "when": [condition]}]}


def older_than(years: int) -> dict[str, Any]:
    return criterion(column="AGE", above=years, unit="years")


def second_age(table: pd.DataFrame) -> None:
    table.insert(3, " age ", table["SEX"])


def kinds(values: list[Any]) -> dict[int, str]:
    return dict(enumerate(values))


CASES: tuple[Case, ...] = (
    # -- A. readers
    Case(1, "01-bom", "16_bom.csv", 0, same=True),
    Case(1, "01-crlf", "16b_crlf.csv", 0, same=True),
    Case(1, "01-cr-only", "16c_cr_only.csv", 0, same=True),
    Case(1, "01-no-last-newline", text(lambda clean: clean.rstrip("\n")), 0, same=True),
    Case(2, "02-semicolon-decimal-comma", "16d_semicolon_decimalcomma.csv", 0, same=True),
    Case(
        2,
        "02-ambiguous-commas",
        columns(lambda t: t.__setitem__("TMB", [f"{1 + at % 9},{100 + at}" for at in range(len(t))])),
        3,
        ("E-VALUE-TEXT",),
    ),
    Case(
        2,
        "02-ambiguous-commas-semicolon",
        text(lambda clean: _semicolons(clean)),
        3,
        ("E-DECIMAL",),
    ),
    Case(3, "03-utf16", "16e_utf16.csv", 0, same=True),
    Case(3, "03-latin1", "16f_latin1.csv", 3, ("E-FILE-ENCODING",)),
    Case(
        3, "03-latin1-declared", "16f_latin1.csv", 0, source={"encoding": "latin-1"}, changes=arms("CTRL", "EXPÉ"),
        same=True,
    ),
    Case(4, "04-empty", "38_empty.csv", 3, ("E-FILE-EMPTY",)),
    Case(4, "04-header-only", "38b_header_only.csv", 3, ("E-ROWS-NONE",)),
    Case(4, "04-one-patient", "38c_one_row.csv", 5, ("N-PATIENTS",)),
    Case(5, "05-ragged", "36_ragged.csv", 3, ("E-ROW-LONG", "E-ROW-SHORT")),
    Case(6, "06-trailing-comma", "36b_trailing_comma.csv", 3, ("E-ROW-TRAILING",)),
    Case(7, "07-open-quote", "35_open_quote.csv", 3, ("E-ROW-QUOTE",)),
    Case(8, "08-nul", "34_nul_bytes.csv", 3, ("E-FILE-NUL",)),
    Case(9, "09-cut-in-row", "33b_cut_in_row.csv", 3, ("E-ROW-CUT",)),
    Case(9, "09-rows-lost", "33_truncated.csv", 0),
    Case(9, "09-rows-lost-counted", "33_truncated.csv", 3, ("E-ROWS-COUNT",), source={"rows": 240}),
    Case(9, "09-rows-lost-hashed", "33_truncated.csv", 8, ("X-FILE-HASH",), source={"sha256": "0" * 64}),
    Case(10, "10-columns-twice", "21_dup_columns.csv", 3, ("E-COLUMN-TWICE",)),
    Case(10, "10-columns-twice-but-for-blanks-and-case", columns(second_age), 3, ("E-COLUMN-TWICE",)),
    Case(
        11,
        "11-odd-names",
        "39_odd_column_names.csv",
        0,
        changes={
            "covariates": [
                AGE,
                {"column": "SEX", "kind": "categorical"},
                {"column": "1st:line", "kind": "ordinal", "levels": [0, 1, 2]},
            ],
            "biomarkers": [
                {"column": "HLA-A", "kind": "continuous", "role": "prognostic"},
                {"column": "TP53 p.R175H", "kind": "categorical", "role": "prognostic"},
            ],
        },
    ),
    Case(
        11,
        "11-code-as-names",
        "40b_injection_columns.csv",
        0,
        changes={
            "covariates": [{"column": "<b onmouseover=alert(1)>AGE</b>", "kind": "continuous"}],
            "biomarkers": [{"column": "__import__('os').system('true')", "kind": "continuous", "role": "prognostic"}],
        },
    ),
    Case(12, "12-thousands", "37_thousands.csv", 3, ("E-VALUE-TEXT",)),
    Case(12, "12-text-and-limits", "15_mixed_dtype.csv", 3, ("E-VALUE-TEXT",)),
    Case(12, "12-units-and-limits", cells("AGE", {0: "67 yr", 9: "<1", 20: ">89"}), 3, ("E-VALUE-TEXT",)),
    Case(13, "13-arm-NA", "32_arm_named_NA.csv", 0, changes=arms("NA"), same=True),
    Case(13, "13-arm-None", "32b_arm_named_None.csv", 0, changes=arms("None", "Drug"), same=True),
    Case(
        13,
        "13-undeclared-code",
        cells("SEX", dict.fromkeys(range(12), "NULL")),
        0,
        ("W-CODE-UNDECLARED",),
    ),
    Case(14, "14-sentinels", "31_sentinels.csv", 0, ("W-SENTINEL", "W-SENTINEL")),
    Case(14, "14-sentinels-strict", "31_sentinels.csv", 4, ("W-SENTINEL", "W-SENTINEL"), strict=True),
    Case(
        14, "14-huge-repeated", cells("TMB", dict.fromkeys(range(0, 60, 3), "1e30")), 3, ("E-VALUE-INF",)
    ),
    Case(15, "15-unicode-twins", "16g_nfc_nfd.csv", 3, ("E-LEVEL-TWINS",)),
    Case(15, "15-blank-and-case-twins", "25_ws_levels.csv", 3, ("E-LEVEL-TWINS",)),
    Case(15, "15-normalised", "25_ws_levels.csv", 0, source={"normalise": True}, same=True),
    Case(
        16,
        "16-mixed-levels",
        cells("TP53", kinds(["true", "yes", "1", "no", "false"] * 3)),
        3,
        ("E-LEVEL-MIXED",),
    ),
    Case(17, "17-dates-as-times", "17_dates_as_times.csv", 3, ("E-TIME-DATE",)),
    Case(17, "17-sas-dates", "17b_sas_dates.csv", 3, ("E-TIME-UNIT",)),
    Case(17, "17-partial-date", dated("2020-01-15", "2021-03"), 3, ("E-DATE-FORMAT",), changes=endpoint(**DATES)),
    Case(17, "17-no-such-day", dated("2020-01-15", "2021-02-31"), 3, ("E-DATE-FORMAT",), changes=endpoint(**DATES)),
    Case(17, "17-ambiguous-date", dated("2020-01-15", "03/04/2021"), 3, ("E-DATE-FORMAT",), changes=endpoint(**DATES)),
    Case(
        18, "18-xpt-zero", "60_adtte.xpt", 0, ("W-FILE-CHECKSUM",), source={"where": {"PARAMCD": "OS"}},
        changes=endpoint(time="AVAL", event={"column": "CNSR", "style": "cnsr"}), same=True,
    ),
    Case(18, "18-special-missing", inputs.special_missing, 3, ("E-VALUE-TEXT",), changes=endpoint(time="AVAL")),
    Case(
        18, "18-special-missing-declared", inputs.special_missing, 0, ("W-FILE-CHECKSUM",),
        source={"missing": [".A"]}, changes=endpoint(time="AVAL"),
    ),
    Case(18, "18-xpt-v8", xport(8), 0, ("W-FILE-CHECKSUM",), same=True),
    Case(18, "18-csv-named-xpt", "60d_not_xpt.xpt", 3, ("E-FILE-FORMAT",)),
    Case(19, "19-xpt-cut", "60b_truncated.xpt", 3, ("E-FILE-DAMAGED",)),
    Case(19, "19-xpt-flipped-hashed", "60c_flipped.xpt", 8, ("X-FILE-HASH",), source={"sha256": "0" * 64}),
    Case(20, "20-parquet", "61_ok.parquet", 0, same=True),
    Case(20, "20-parquet-cut", "61b_truncated.parquet", 3, ("E-FILE-DAMAGED",)),
    Case(20, "20-parquet-flipped", "61c_flipped.parquet", 3, ("E-FILE-DAMAGED",)),
    Case(20, "20-parquet-bomb", "62_bomb.parquet", 3, ("E-FILE-BOMB",)),
    Case(20, "20-list", typed("TMB", lambda v: pa.array([[x] for x in v])), 3, ("E-FILE-FORMAT",)),
    Case(20, "20-nested", typed("TMB", lambda v: pa.array([{"x": x} for x in v])), 3, ("E-FILE-FORMAT",)),
    Case(20, "20-dictionary", typed("ARM", lambda v: pa.array(v).dictionary_encode()), 0, same=True),
    Case(
        20,
        "20-decimal",
        typed("TMB", lambda v: pa.array([f"{x:.2f}" for x in v]).cast(pa.decimal128(8, 2))),
        0,
        same=True,
    ),
    Case(
        20,
        "20-timestamp-with-zone",
        typed("OS_MONTHS", lambda v: pa.array([int(x * 1e6) for x in v], pa.timestamp("us", tz="UTC"))),
        3,
        ("E-TIME-DATE",),
    ),
    Case(22, "22-missing", inputs.nothing, 3, ("E-FILE-MISSING",)),
    Case(22, "22-directory", inputs.directory, 3, ("E-SOURCE-TABLE",)),
    Case(22, "22-pipe", inputs.pipe, 3, ("E-FILE-KIND",)),
    Case(22, "22-device", inputs.device, 3, ("E-FILE-PATH",)),
    Case(22, "22-dangling-link", inputs.dangling, 3, ("E-FILE-MISSING",)),
    Case(22, "22-long-path", inputs.nothing, 3, ("E-FILE-READ",), source={"file": "x" * 4096}),
    Case(23, "23-gzip", packed(inputs.gz), 0, same=True),
    Case(23, "23-zip", packed(inputs.zipped("cohort.csv")), 0, same=True),
    Case(23, "23-zstandard", packed(inputs.zstd), 0, same=True),
    Case(23, "23-two-members", packed(inputs.zipped("a.csv", "b.csv")), 3, ("E-FILE-MEMBERS",)),
    Case(23, "23-zip-slip", "63_zip_slip.zip", 3, ("E-FILE-MEMBERS",)),
    Case(23, "23-zip-bomb", "62b_bomb.zip", 3, ("E-FILE-BOMB",)),
    Case(23, "23-gzip-bomb", "62c_bomb.csv.gz", 3, ("E-FILE-BOMB",)),
    Case(23, "23-xml-entity", "64_define_xxe.xml", 3, ("E-FILE-FORMAT",)),
    Case(23, "23-xml-laughs", "64b_define_laughs.xml", 3, ("E-FILE-FORMAT",)),
    # -- B. time and event
    Case(24, "24-negative", "02_time_negative.csv", 3, ("E-TIME-NEG",)),
    Case(24, "24-missing", "04_time_nan.csv", 3, ("E-TIME-MISSING",)),
    Case(24, "24-infinite", "05_time_inf.csv", 3, ("E-TIME-INF",)),
    Case(
        24, "24-negative-dropped", "02_time_negative.csv", 0, ("W-TIME-DROPPED",),
        changes=endpoint(negative_time="drop"),
    ),
    Case(25, "25-zero-events", "03_time_zero.csv", 3, ("E-TIME-ZERO",)),
    Case(25, "25-zero-kept", "03_time_zero.csv", 0, changes=endpoint(zero_time="keep")),
    Case(25, "25-zero-half-day", "03_time_zero.csv", 0, changes=endpoint(zero_time="half_day")),
    Case(
        25, "25-zero-dropped", "03_time_zero.csv", 0, ("W-TIME-DROPPED",), changes=endpoint(zero_time="drop")
    ),
    Case(
        26, "26-true-false", "07_event_true_false.csv", 0, changes=events(events=[True], censored=[False]), same=True
    ),
    Case(26, "26-true-false-undeclared", "07_event_true_false.csv", 3, ("E-EVENT-UNKNOWN",)),
    Case(26, "26-yes-no", "07b_event_yes_no.csv", 0, changes=events(events=["Yes"], censored=["No"]), same=True),
    Case(26, "26-yes-no-undeclared", "07b_event_yes_no.csv", 3, ("E-EVENT-UNKNOWN",)),
    Case(26, "26-cbioportal", "07c_event_cbioportal.csv", 0, changes=events(style="cbioportal"), same=True),
    Case(26, "26-cbioportal-undeclared", "07c_event_cbioportal.csv", 3, ("E-EVENT-UNKNOWN",)),
    Case(27, "27-one-two", "06_event_12.csv", 3, ("E-EVENT-UNKNOWN",)),
    Case(27, "27-one-two-declared", "06_event_12.csv", 0, changes=events(events=[2], censored=[1]), same=True),
    Case(27, "27-one-U", "07d_event_text01_U.csv", 3, ("E-EVENT-UNKNOWN",)),
    Case(27, "27-missing", "07e_event_nan.csv", 3, ("E-EVENT-MISSING",)),
    Case(27, "27-competing", cells("OS_EVENT", dict.fromkeys(range(0, 60, 4), "2")), 3, ("E-EVENT-UNKNOWN",)),
    Case(
        28, "28-cnsr", "08_cnsr.csv", 0, changes=endpoint(event={"column": "CNSR", "style": "cnsr"}), same=True
    ),
    Case(28, "28-cnsr-instead", "08_cnsr.csv", 3, ("E-COLUMN-MISSING",)),
    Case(
        28, "28-cnsr-disagrees", columns(lambda t: t.__setitem__("CNSR", _disagreeing(t))), 3, ("E-EVENT-CNSR",)
    ),
    Case(
        29, "29-parameters", "60_adtte.xpt", 3, ("E-ID-TWICE",),
        changes=endpoint(time="AVAL", event={"column": "CNSR", "style": "cnsr"}),
    ),
    Case(30, "30-entry-after-exit", "47_entry_after_exit.csv", 3, ("E-ENTRY-EXIT",), changes=endpoint(entry="ENTRY")),
    Case(
        30, "30-marker-after-time-zero", "00_clean.csv", 3, ("P-POST-BASELINE",),
        changes={"covariates": [{**AGE, "measured": "after_time_zero"}]},
    ),
    Case(
        31, "31-follow-up", "28_followup_negative.csv", 3, ("E-DATE-ORDER", "E-TIME-MAX"),
        changes=endpoint(time=None, start="RFSTDT", end="LASTDT"),
    ),
    Case(
        31, "31-after-the-data-cut", "28_followup_negative.csv", 3, ("E-DATE-CUT", "E-DATE-ORDER", "E-TIME-MAX"),
        changes={**endpoint(time=None, start="RFSTDT", end="LASTDT"), "data_cut": "2024-12-31"},
    ),
    Case(32, "32-unit-mix", "18_unit_mix.csv", 0, ("W-TIME-UNIT",)),
    Case(32, "32-no-unit", "00_clean.csv", 3, ("study.yaml:1",), changes=endpoint(unit=None)),
    Case(33, "33-no-event", "09_all_censored.csv", 5, ("N-EVENTS", "N-EVENTS")),
    Case(33, "33-one-event", "10_one_event.csv", 5, ("N-EVENTS", "N-EVENTS")),
    Case(33, "33-no-event-in-an-arm", "55_no_events_in_arm.csv", 5, ("N-EVENTS",)),
    Case(34, "34-heavy-ties", "56_heavy_ties.csv", 0),
    Case(35, "35-outliers", "29_outliers.csv", 3, ("E-TIME-MAX", "E-VALUE-INF")),
    # -- C. arms, covariates, levels
    Case(37, "37-empty-arm", "14_one_arm.csv", 5, ("N-ARM-EMPTY",)),
    Case(37, "37-arm-of-one", "14b_arm_of_one.csv", 5, ("N-ARM-ONE",)),
    Case(37, "37-undeclared-arm", cells("ARM", dict.fromkeys(range(0, 60, 3), "THIRD")), 3, ("E-ARM-UNKNOWN",)),
    Case(38, "38-missing-arm", "24_nan_arm.csv", 3, ("E-ARM-MISSING",)),
    Case(39, "39-codes", "52_codes_no_labels.csv", 3, ("E-ARM-UNKNOWN", "E-LEVEL-UNKNOWN")),
    Case(
        39, "39-no-control", "00_clean.csv", 3, ("study.yaml:1",),
        changes={"arms": {"column": "ARM", "levels": [{**CTRL, "control": False}, {"name": "EXP", "value": "EXP"}]}},
    ),
    Case(40, "40-constant", "11_constant_cov.csv", 0, ("W-CONSTANT",)),
    Case(40, "40-collinear", "13_collinear.csv", 0, ("W-COLLINEAR",)),
    Case(
        40, "40-id-like", "57_id_like_category.csv", 0, ("W-ID-LIKE",),
        changes={"covariates": [AGE, {"column": "SITE", "kind": "categorical"}]},
    ),
    Case(41, "41-separation", "12_separation.csv", 0, ("W-LEAK",)),
    Case(
        42, "42-leak", "53_leak.csv", 0, ("W-LEAK",),
        changes={"covariates": [AGE, {"column": "OS_COPY", "kind": "continuous"}]},
    ),
    Case(
        42, "42-leak-strict", "53_leak.csv", 4, ("W-LEAK",), strict=True,
        changes={"covariates": [AGE, {"column": "OS_COPY", "kind": "continuous"}]},
    ),
    Case(43, "43-unseen-level", "30_validation_unseen_level.csv", 3, ("E-LEVEL-UNKNOWN",)),
    Case(44, "44-column-absent", columns(lambda t: t.drop(columns="TMB")), 3, ("E-COLUMN-MISSING",)),
    Case(47, "47-too-wide", inputs.wide, 3, ("E-COLUMNS-MANY",)),
    Case(48, "48-missing-share", cells("TMB", dict.fromkeys(range(130), "")), 3, ("E-MISSING-LIMIT",)),
    Case(49, "49-shuffled", inputs.shuffled, 0, same=True),
    Case(48, "48-all-missing", cells("TMB", dict.fromkeys(range(240), "")), 3, ("E-MISSING-LIMIT",)),
    Case(50, "50-empty-column", columns(lambda t: t.__setitem__("JUNK", "")), 0, same=True),
    Case(
        50, "50-empty-column-declared", cells("TMB", dict.fromkeys(range(240), "")), 0, ("W-EMPTY",),
        changes={"biomarkers": [{"column": "TMB", "kind": "continuous", "role": "prognostic", "missing_limit": 1}]},
    ),
    Case(
        50, "50-odd-levels", cells("SEX", {**dict.fromkeys(range(0, 40, 2), "🧬\u202eF"), 1: "L" * 10_000}), 0
    ),
    Case(
        50, "50-internal-names", columns(lambda t: t.rename(columns={"TMB": "event", "SEX": "id", "TP53": "_row"})), 0,
        changes={
            "covariates": [AGE, {"column": "id", "kind": "categorical"}],
            "biomarkers": [
                {"column": "event", "kind": "continuous", "role": "prognostic"},
                {"column": "_row", "kind": "categorical", "role": "prognostic"},
            ],
        },
    ),
    Case(
        50, "50-markup-as-levels", "40_injection_levels.csv", 0,
        changes={**arms("CTRL", "<script>document.title='x'</script>"), "covariates": [AGE]},
    ),
    # -- D. ids, joins, molecular
    Case(51, "51-ids-twice", "01_dup_ids.csv", 3, ("E-ID-TWICE",)),
    Case(51, "51-file-twice", "01b_dup_rows.csv", 3, ("E-ID-TWICE",)),
    Case(52, "52-leading-zeros", "22_leading_zero_ids.csv", 0),
    Case(52, "52-long-ids", "22b_long_int_ids.csv", 3, ("E-ID-MISSING",)),
    Case(52, "52-exponent-ids", "22c_sci_ids.csv", 3, ("E-ID-TWICE",)),
    Case(53, "53-id-twins", cells("USUBJID", {1: "ts-01-0001 "}), 3, ("E-ID-TWINS",)),
    Case(54, "54-two-samples", "00_clean.csv", 3, ("E-ID-SAMPLES",), changes=joined("26_molecular_two_samples.csv")),
    Case(
        55, "55-unmatched", "00_clean.csv", 0, ("W-JOIN-ABSENT", "W-JOIN-UNKNOWN"),
        changes=joined("27_molecular_mismatch.csv"),
    ),
    Case(
        56, "56-genes-as-dates", "23_genes_excel.csv", 3, ("E-COLUMN-TWICE", "E-GENE-DATE"),
        source={"layout": "markers", "id": None},
    ),
    # -- E. criteria (what a run does with them is tested where it runs)
    Case(61, "61-selects-nobody", "00_clean.csv", 5, ("N-CRITERION-NONE",), changes=older_than(150)),
    Case(61, "61-selects-everybody", "00_clean.csv", 0, changes=older_than(1), same=True),
    Case(
        61, "61-selects-one-arm", "00_clean.csv", 5, ("N-ARM-EMPTY",), changes=criterion(column="ARM", equals="EXP")
    ),
    Case(
        61, "61-selects-too-few", "00_clean.csv", 5, ("N-EVENTS", "N-EVENTS"), changes=older_than(75)
    ),
    Case(
        62, "62-unknown-column", "00_clean.csv", 3, ("E-COLUMN-MISSING",), changes=criterion(column="AGEE", at_least=18)
    ),
    Case(
        62, "62-number-of-text", "00_clean.csv", 3, ("E-CRIT-TYPE", "E-VALUE-TEXT"),
        changes=criterion(column="SEX", at_least=1),
    ),
    Case(62, "62-undeclared-text", "00_clean.csv", 3, ("E-VALUE-TEXT",), changes=criterion(column="ARM", at_least=1)),
    Case(62, "62-the-time", "00_clean.csv", 3, ("E-CRIT-OUTCOME",), changes=criterion(column="OS_MONTHS", at_least=6)),
    Case(62, "62-the-event", "00_clean.csv", 3, ("E-CRIT-OUTCOME",), changes=criterion(column="OS_EVENT", equals=0)),
    Case(
        62, "62-hidden-in-not", "00_clean.csv", 3, ("E-CRIT-OUTCOME",),
        changes={"eligibility": [{"id": "I1", "kind": "exclusion", "when": "not (OS_MONTHS >= 6 or AGE >= 18)"}]},
    ),
    Case(
        63, "63-contradiction", "00_clean.csv", 3, ("E-CRIT-CONTRADICTION",),
        changes={"eligibility": [{"id": "I1", "kind": "inclusion", "when": "AGE > 70 and AGE < 60"}]},
    ),
    Case(
        63, "63-contradicting-each-other", "00_clean.csv", 3, ("E-CRIT-CONTRADICTION",),
        changes={"eligibility": [{"id": "I1", "kind": "inclusion", "when": "AGE > 70"},
                                 {"id": "E1", "kind": "exclusion", "when": "AGE >= 60"}]},
    ),
    Case(
        63, "63-twice", "00_clean.csv", 0, ("W-CRIT-TWICE",),
        changes={"eligibility": [{"id": "I1", "kind": "inclusion", "when": 'AGE >= 18 "a"'},
                                 {"id": "I2", "kind": "inclusion", "when": 'AGE >= 18 "a"'}]},
    ),
)  # fmt: skip


def _semicolons(clean: str) -> str:
    """Semicolons between fields and three digits after every comma: decimals or thousands?"""
    rows = [line.split(",") for line in clean.splitlines()]
    at = rows[0].index("TMB")
    for number, row in enumerate(rows[1:]):
        row[at] = f"{1 + number % 9},{100 + number}"
        row[7] = row[7].split(".")[0] or "1"
    return "\n".join(";".join(row) for row in rows) + "\n"


def _disagreeing(table: pd.DataFrame) -> list[str]:
    """CNSR, upside down, with one patient for whom it says the same as the event."""
    cnsr = [str(1 - int(value)) for value in table["OS_EVENT"]]
    return [str(1 - int(cnsr[0])), *cnsr[1:]]
