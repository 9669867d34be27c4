"""The shared nasty files: each refused, warned about or accepted as the catalogue says, with its counts and lines."""

from __future__ import annotations

import re
from typing import Any

import pytest

from trialstrat.cohort.build import check, read_cohort
from trialstrat.errors import DataError, IntegrityError, NotEstimableError, TrialstratError

ERRORS = {3: DataError, 5: NotEstimableError, 8: IntegrityError}
ENDPOINT = {
    "name": "os",
    "label": "Overall survival",
    "time": "OS_MONTHS",
    "unit": "months",
    "event": {"column": "OS_EVENT", "events": [1], "censored": [0]},
}


def endpoint(**changes: Any) -> dict[str, Any]:
    """The base endpoint with changes, as the only one of a study."""
    return {"endpoints": [{**ENDPOINT, **changes}]}


def event(**coding: Any) -> dict[str, Any]:
    return endpoint(event={"column": "OS_EVENT", **coding})


# -- refused ---------------------------------------------------------------------------------------------------------

#: file, changes, exit code, then per finding: code, column, bad, total, first lines
REFUSED: list[tuple[str, dict[str, Any], int, list[tuple[str, str, int | None, int | None, tuple[int, ...]]]]] = [
    ("01_dup_ids.csv", {}, 3, [("E-ID-TWICE", "USUBJID", 40, 240, (2, 202, 3))]),
    ("01b_dup_rows.csv", {}, 3, [("E-ID-TWICE", "USUBJID", 480, 480, (2, 242, 3))]),
    ("02_time_negative.csv", {}, 3, [("E-TIME-NEG", "OS_MONTHS", 5, 240, (7, 8, 9))]),
    ("03_time_zero.csv", {}, 3, [("E-TIME-ZERO", "OS_MONTHS", 9, 240, (7, 8, 9))]),
    ("04_time_nan.csv", {}, 3, [("E-TIME-MISSING", "OS_MONTHS", 10, 240, (7, 8, 9))]),
    ("05_time_inf.csv", {}, 3, [("E-TIME-INF", "OS_MONTHS", 2, 240, (7, 11))]),
    ("06_event_12.csv", {}, 3, [("E-EVENT-UNKNOWN", "OS_EVENT", 176, 240, (4, 6, 7))]),
    ("07_event_true_false.csv", {}, 3, [("E-EVENT-UNKNOWN", "OS_EVENT", 240, 240, (2, 3, 4))]),
    ("07b_event_yes_no.csv", {}, 3, [("E-EVENT-UNKNOWN", "OS_EVENT", 240, 240, (2, 3, 4))]),
    ("07c_event_cbioportal.csv", {}, 3, [("E-EVENT-UNKNOWN", "OS_EVENT", 240, 240, (2, 3, 4))]),
    ("07d_event_text01_U.csv", {}, 3, [("E-EVENT-UNKNOWN", "OS_EVENT", 1, 240, (5,))]),
    ("07e_event_nan.csv", {}, 3, [("E-EVENT-MISSING", "OS_EVENT", 10, 240, (5, 6, 7))]),
    ("08_cnsr.csv", {}, 3, [("E-COLUMN-MISSING", "OS_EVENT", None, None, ())]),
    (
        "09_all_censored.csv",
        {},
        5,
        [("N-EVENTS", "OS_EVENT", None, None, ()), ("N-EVENTS", "OS_EVENT", None, None, ())],
    ),
    ("10_one_event.csv", {"arms": None}, 5, [("N-EVENTS", "OS_EVENT", None, None, ())]),
    ("14_one_arm.csv", {}, 5, [("N-ARM-EMPTY", "ARM", None, None, ())]),
    ("14b_arm_of_one.csv", {}, 5, [("N-ARM-ONE", "ARM", None, None, ())]),
    ("15_mixed_dtype.csv", {}, 3, [("E-VALUE-TEXT", "AGE", 2, 240, (5, 32))]),
    ("16f_latin1.csv", {}, 3, [("E-FILE-ENCODING", "", None, None, ())]),
    ("16g_nfc_nfd.csv", {}, 3, [("E-LEVEL-TWINS", "ARM", 60, 240, (4, 5, 6))]),
    ("17_dates_as_times.csv", {}, 3, [("E-TIME-DATE", "OS_MONTHS", 240, 240, (2, 3, 4))]),
    ("17b_sas_dates.csv", {}, 3, [("E-TIME-UNIT", "OS_MONTHS", 240, 240, ())]),
    ("21_dup_columns.csv", {}, 3, [("E-COLUMN-TWICE", "AGE", None, None, ())]),
    ("22b_long_int_ids.csv", {}, 3, [("E-ID-MISSING", "USUBJID", 1, 240, (241,))]),
    ("22c_sci_ids.csv", {}, 3, [("E-ID-TWICE", "USUBJID", 2, 240, (2, 11))]),
    ("24_nan_arm.csv", {}, 3, [("E-ARM-MISSING", "ARM", 20, 240, (12, 13, 14))]),
    ("25_ws_levels.csv", {}, 3, [("E-LEVEL-TWINS", "ARM", 35, 240, (2, 3, 4))]),
    ("26_molecular_two_samples.csv", {}, 3, [("E-ID-SAMPLES", "USUBJID", 480, 480, (2, 3, 4))]),
    (
        "28_followup_negative.csv",
        endpoint(time=None, start="RFSTDT", end="LASTDT"),
        3,
        [("E-DATE-ORDER", "LASTDT", 5, 240, (6, 7, 8)), ("E-TIME-MAX", "LASTDT", 1, 240, (11,))],
    ),
    (
        "29_outliers.csv",
        {"covariates": [{"column": "AGE", "kind": "continuous", "maximum": 120}]},
        3,
        [
            ("E-TIME-MAX", "OS_MONTHS", 1, 240, (2,)),
            ("E-VALUE-RANGE", "AGE", 1, 240, (4,)),
            ("E-VALUE-INF", "TMB", 1, 240, (3,)),
        ],
    ),
    ("30_validation_unseen_level.csv", {}, 3, [("E-LEVEL-UNKNOWN", "ECOG", 6, 80, (2, 3, 4))]),
    ("33b_cut_in_row.csv", {}, 3, [("E-ROW-CUT", "", None, None, (171,))]),
    ("34_nul_bytes.csv", {}, 3, [("E-FILE-NUL", "", None, None, (4,))]),
    ("35_open_quote.csv", {}, 3, [("E-ROW-QUOTE", "", None, None, (51,))]),
    ("36_ragged.csv", {}, 3, [("E-ROW-LONG", "", 1, 240, (61,)), ("E-ROW-SHORT", "", 1, 240, (91,))]),
    ("36b_trailing_comma.csv", {}, 3, [("E-ROW-TRAILING", "", 240, 240, (2, 3, 4))]),
    ("37_thousands.csv", {}, 3, [("E-VALUE-TEXT", "TMB", 234, 240, (2, 3, 4))]),
    ("38_empty.csv", {}, 3, [("E-FILE-EMPTY", "", None, None, ())]),
    ("38b_header_only.csv", {}, 3, [("E-ROWS-NONE", "", None, None, ())]),
    ("38c_one_row.csv", {}, 5, [("N-PATIENTS", "", None, None, ())]),
    ("47_entry_after_exit.csv", endpoint(entry="ENTRY"), 3, [("E-ENTRY-EXIT", "ENTRY", 5, 240, (7, 8, 9))]),
    (
        "52_codes_no_labels.csv",
        {},
        3,
        [("E-ARM-UNKNOWN", "ARM", 240, 240, (2, 3, 4)), ("E-LEVEL-UNKNOWN", "ECOG", 102, 240, (2, 4, 5))],
    ),
    ("55_no_events_in_arm.csv", {}, 5, [("N-EVENTS", "OS_EVENT", None, None, ())]),
    ("60_adtte.xpt", {}, 3, [("E-ID-TWICE", "USUBJID", 480, 480, (1, 241, 2))]),
    ("60b_truncated.xpt", {}, 3, [("E-FILE-DAMAGED", "", None, None, ())]),
    ("60d_not_xpt.xpt", {}, 3, [("E-FILE-FORMAT", "", None, None, ())]),
    ("61b_truncated.parquet", {}, 3, [("E-FILE-DAMAGED", "", None, None, ())]),
    ("61c_flipped.parquet", {}, 3, [("E-FILE-DAMAGED", "", None, None, ())]),
    ("62_bomb.parquet", {}, 3, [("E-FILE-BOMB", "", None, None, ())]),
    ("62b_bomb.zip", {}, 3, [("E-FILE-BOMB", "", None, None, ())]),
    ("62c_bomb.csv.gz", {}, 3, [("E-FILE-BOMB", "", None, None, ())]),
    ("63_zip_slip.zip", {}, 3, [("E-FILE-MEMBERS", "", None, None, ())]),
    ("64_define_xxe.xml", {}, 3, [("E-FILE-FORMAT", "", None, None, ())]),
    ("64b_define_laughs.xml", {}, 3, [("E-FILE-FORMAT", "", None, None, ())]),
    ("no_such_file.csv", {}, 3, [("E-FILE-MISSING", "", None, None, ())]),
]


@pytest.mark.parametrize(("file", "changes", "exit_code", "expected"), REFUSED, ids=[row[0] for row in REFUSED])
def test_refused(declared, nasty, file, changes, exit_code, expected):
    loaded = declared(file, **changes)
    errors = [entry for entry in check(loaded, nasty) if entry.severity == "error"]
    seen = [(entry.code, entry.column, entry.bad, entry.total, entry.lines) for entry in errors]
    # these two lack the study's other columns as well
    shown = seen[: len(expected)] if file in ("26_molecular_two_samples.csv", "60_adtte.xpt") else seen
    assert shown == expected
    with pytest.raises(ERRORS[exit_code]) as raised:
        read_cohort(loaded, nasty)
    assert isinstance(raised.value, TrialstratError)
    assert raised.value.exit_code == exit_code
    assert len(raised.value.messages) == len(errors)
    for message in raised.value.messages:
        assert re.match(r"[ENX]-[A-Z-]+ ", message)
        assert file in message
        assert message.endswith("Nothing written.")
        assert "TS-0" not in message  # no patient id


# -- accepted, with the same table -----------------------------------------------------------------------------------

SAME: list[tuple[str, dict[str, Any]]] = [
    ("16_bom.csv", {}),
    ("16b_crlf.csv", {}),
    ("16c_cr_only.csv", {}),
    ("16d_semicolon_decimalcomma.csv", {}),
    ("16e_utf16.csv", {}),
    ("61_ok.parquet", {}),
    ("07_event_true_false.csv", event(events=[True], censored=[False])),
    ("07b_event_yes_no.csv", event(events=["Yes"], censored=["No"])),
    ("07c_event_cbioportal.csv", event(style="cbioportal")),
    ("07c_event_cbioportal.csv", event(events=["1:DECEASED"], censored=["0:LIVING"])),
    ("06_event_12.csv", event(events=[2], censored=[1])),
    ("08_cnsr.csv", endpoint(event={"column": "CNSR", "style": "cnsr"})),
    ("08_cnsr.csv", endpoint(event={"column": "CNSR", "events": [0], "censored": [1]})),
    (
        "32_arm_named_NA.csv",
        {"arms": {"levels": [{"name": "CTRL", "value": "NA", "control": True}, {"name": "EXP", "value": "EXP"}]}},
    ),
    (
        "32b_arm_named_None.csv",
        {"arms": {"levels": [{"name": "CTRL", "value": "None", "control": True}, {"name": "EXP", "value": "Drug"}]}},
    ),
    (
        "40_injection_levels.csv",
        {
            "arms": {
                "levels": [
                    {"name": "CTRL", "value": "CTRL", "control": True},
                    {"name": "EXP", "value": "<script>document.title='x'</script>"},
                ]
            },
            "covariates": [
                {"column": "AGE", "kind": "continuous"},
                {"column": "ECOG", "kind": "ordinal", "levels": [0, 1, 2]},
            ],
        },
    ),
]


@pytest.mark.parametrize(("file", "changes"), SAME, ids=[f"{at}-{row[0]}" for at, row in enumerate(SAME)])
def test_accepted_with_the_same_table(declared, nasty, file, changes):
    clean = {key: value for key, value in changes.items() if key == "covariates"}
    expected = read_cohort(declared(**clean), nasty)
    cohort = read_cohort(declared(file, **changes), nasty)
    assert cohort.data_hash == expected.data_hash
    assert (cohort.n, int((cohort.outcome.event == 1).sum())) == (240, 176)


def test_missing_codes_do_not_touch_an_arm_of_that_name(declared, nasty):
    levels = [{"name": "CTRL", "value": "NA", "control": True}, {"name": "EXP", "value": "EXP"}]
    loaded = declared("32_arm_named_NA.csv", arms={"levels": levels}, source={"missing": ["NA"]})
    cohort = read_cohort(loaded, nasty)
    assert (cohort.arm == "CTRL").sum() == 120


def test_latin1_is_read_when_declared(declared, nasty):
    levels = [{"name": "CTRL", "value": "CTRL", "control": True}, {"name": "EXP", "value": "EXPÉ"}]
    cohort = read_cohort(declared("16f_latin1.csv", arms={"levels": levels}, source={"encoding": "latin-1"}), nasty)
    assert cohort.data_hash == read_cohort(declared(), nasty).data_hash


def test_normalise_unifies_levels_and_says_so(declared, nasty):
    cohort = read_cohort(declared("25_ws_levels.csv", source={"normalise": True}), nasty)
    assert cohort.data_hash == read_cohort(declared(), nasty).data_hash
    notes = [entry for entry in cohort.findings if entry.code == "I-NORMALISED"]
    assert [(entry.column, entry.bad, entry.total) for entry in notes] == [("ARM", 35, 240)]


def test_unicode_forms_are_unified_on_request(declared, nasty):
    levels = [{"name": "CTRL", "value": "CTRL", "control": True}, {"name": "EXP", "value": "EXP\u00c9"}]
    loaded = declared("16g_nfc_nfd.csv", arms={"levels": levels}, source={"normalise": True})
    assert read_cohort(loaded, nasty).data_hash == read_cohort(declared(), nasty).data_hash


# -- accepted with warnings ------------------------------------------------------------------------------------------

WARNED: list[tuple[str, dict[str, Any], str, str, int | None, str]] = [
    ("11_constant_cov.csv", {}, "W-CONSTANT", "ECOG", 240, ""),
    ("12_separation.csv", {}, "W-LEAK", "TP53", None, "AUC 1.00 for the event"),
    ("13_collinear.csv", {}, "W-COLLINEAR", "TMB", None, "AGE"),
    ("18_unit_mix.csv", {}, "W-TIME-UNIT", "OS_MONTHS", 19, "about 30.44 times"),
    ("31_sentinels.csv", {}, "W-SENTINEL", "TMB", 24, "999"),
    ("31_sentinels.csv", {}, "W-SENTINEL", "AGE", 7, "-99"),
    (
        "53_leak.csv",
        {"covariates": [{"column": "OS_COPY", "kind": "continuous"}]},
        "W-LEAK",
        "OS_COPY",
        None,
        "rank correlation -1.00 with the time",
    ),
    (
        "57_id_like_category.csv",
        {"covariates": [{"column": "SITE", "kind": "categorical"}]},
        "W-ID-LIKE",
        "SITE",
        None,
        "240 levels",
    ),
]


@pytest.mark.parametrize(
    ("file", "changes", "code", "column", "bad", "words"), WARNED, ids=[f"{row[0]}-{row[3]}" for row in WARNED]
)
def test_warned(declared, nasty, file, changes, code, column, bad, words):
    cohort = read_cohort(declared(file, **changes), nasty)
    found = [entry for entry in cohort.findings if (entry.code, entry.column) == (code, column)]
    assert [(entry.severity, entry.bad) for entry in found] == [("warning", bad)]
    assert words in found[0].text()
    assert file in found[0].text()
    dropped = code in ("W-CONSTANT", "W-COLLINEAR", "W-ID-LIKE")
    if column != "OS_MONTHS":
        assert (column in cohort.frame.columns) is not dropped
        assert (column in [entry.column for entry in cohort.protocol.variables]) is not dropped


def test_what_is_dropped_leaves_the_others_untouched(declared, nasty):
    clean, constant = read_cohort(declared(), nasty), read_cohort(declared("11_constant_cov.csv"), nasty)
    for name in constant.frame.columns:
        assert constant.frame[name].equals(clean.frame[name])


# -- ids, joins, odd names -------------------------------------------------------------------------------------------


def test_leading_zeros_make_different_patients(declared, nasty):
    cohort = read_cohort(declared("22_leading_zero_ids.csv"), nasty)
    assert cohort.n == 240
    assert {"001", "0001"} <= set(cohort.frame.index)


def test_odd_column_names_change_nothing(declared, nasty):
    names = {"ECOG": "1st:line", "TMB": "HLA-A", "TP53": "TP53 p.R175H"}
    loaded = declared(
        "39_odd_column_names.csv",
        covariates=[
            {"column": "AGE", "kind": "continuous"},
            {"column": "SEX", "kind": "categorical"},
            {"column": names["ECOG"], "kind": "ordinal", "levels": [0, 1, 2]},
        ],
        biomarkers=[
            {"column": names["TMB"], "kind": "continuous", "role": "prognostic"},
            {"column": names["TP53"], "kind": "categorical", "role": "prognostic"},
        ],
        eligibility=[{"id": "I1", "kind": "inclusion", "text": "x", "when": [{"column": "HLA-A", "above": 0}]}],
    )
    plain, odd = read_cohort(declared(), nasty), read_cohort(loaded, nasty)
    for name, other in names.items():
        assert odd.frame[other].tolist() == plain.frame[name].tolist()
    assert odd.attrition.column("remaining")[-1] == 240


def test_column_names_that_are_code_are_names(declared, nasty):
    code, html = "__import__('os').system('true')", "<b onmouseover=alert(1)>AGE</b>"
    loaded = declared(
        "40b_injection_columns.csv",
        covariates=[{"column": html, "kind": "continuous"}],
        biomarkers=[{"column": code, "kind": "continuous", "role": "prognostic"}],
        eligibility=[{"id": "I1", "kind": "inclusion", "text": "x", "when": [{"column": code, "above": 5}]}],
    )
    cohort = read_cohort(loaded, nasty)
    plain = read_cohort(
        declared(eligibility=[{"id": "I1", "kind": "inclusion", "text": "x", "when": [{"column": "TMB", "above": 5}]}]),
        nasty,
    )
    assert cohort.n == plain.n < 240
    assert cohort.frame[code].tolist() == plain.frame["TMB"].tolist()


def test_a_marker_table_that_misses_patients_never_becomes_zero(declared, nasty):
    loaded = declared(
        sources=[
            {"name": "cohort", "file": "00_clean.csv", "id": "USUBJID"},
            {"name": "markers", "file": "27_molecular_mismatch.csv", "id": "USUBJID"},
        ],
        biomarkers=[{"column": "KRAS", "kind": "categorical", "levels": [0, 1], "role": "prognostic"}],
    )
    cohort = read_cohort(loaded, nasty)
    assert cohort.n == 240
    assert int(cohort.frame["KRAS"].isna().sum()) == 60
    step = next(row for row in cohort.attrition.records() if row["step"] == "join.markers")
    assert (step["kind"], step["before"], step["removed"], step["unknown"], step["remaining"]) == (
        "join",
        240,
        0,
        60,
        240,
    )
    assert cohort.sources is not None
    source = cohort.sources.records()[1]
    assert (source["rows"], source["patients"], source["matched"], source["unmatched"]) == (210, 210, 180, 30)
    counts = {entry.code: (entry.bad, entry.total) for entry in cohort.findings if entry.code.startswith("W-JOIN")}
    assert counts == {"W-JOIN-UNKNOWN": (30, 210), "W-JOIN-ABSENT": (60, 240)}


def test_two_samples_per_patient_are_refused_in_a_join(declared, nasty):
    loaded = declared(
        sources=[
            {"name": "cohort", "file": "00_clean.csv", "id": "USUBJID"},
            {"name": "markers", "file": "26_molecular_two_samples.csv", "id": "USUBJID"},
        ],
        biomarkers=[{"column": "KRAS", "kind": "categorical", "levels": [0, 1], "role": "prognostic"}],
    )
    with pytest.raises(DataError, match="480 of 480 rows share their patient") as raised:
        read_cohort(loaded, nasty)
    assert "differ by SAMPLE_ID" in str(raised.value)


def test_genes_that_became_dates_are_listed(declared, nasty):
    loaded = declared("23_genes_excel.csv", source={"layout": "markers", "id": None})
    errors = {entry.code: entry for entry in check(loaded, nasty) if entry.severity == "error"}
    assert (errors["E-GENE-DATE"].bad, errors["E-GENE-DATE"].total) == (4, 6)
    assert "2-Sep, 1-Mar, 1-Dec" in errors["E-GENE-DATE"].message
    assert errors["E-COLUMN-TWICE"].column == "1-Mar"


def test_one_parameter_of_a_transport_file_is_selected(declared, nasty):
    loaded = declared(
        "60_adtte.xpt",
        source={"where": {"PARAMCD": "OS"}},
        **endpoint(time="AVAL", event={"column": "CNSR", "style": "cnsr"}),
    )
    cohort = read_cohort(loaded, nasty)
    assert cohort.data_hash == read_cohort(declared(), nasty).data_hash
    assert {"I-EVENT-CNSR", "W-FILE-CHECKSUM"} <= {entry.code for entry in cohort.findings}
    steps = [(row["step"], row["before"], row["removed"]) for row in cohort.attrition.records()]
    assert steps == [("source.cohort", 480, 0), ("where.cohort.PARAMCD", 480, 240)]


@pytest.mark.parametrize("file", ["60c_flipped.xpt", "61c_flipped.parquet", "33_truncated.csv"])
def test_a_declared_hash_shows_any_change(declared, nasty, file):
    with pytest.raises(IntegrityError, match="X-FILE-HASH") as raised:
        read_cohort(declared(file, source={"sha256": "0" * 64}), nasty)
    assert raised.value.exit_code == 8


def test_lost_rows_are_seen_when_their_number_is_declared(declared, nasty):
    assert read_cohort(declared("33_truncated.csv"), nasty).n == 170
    with pytest.raises(DataError, match=r"E-ROWS-COUNT 33_truncated.csv: .*170 rows, 240 declared"):
        read_cohort(declared("33_truncated.csv", source={"rows": 240}), nasty)


def test_the_outcome_of_codes_without_labels_depends_on_the_declared_control(declared, nasty):
    def arms(control: int) -> dict[str, Any]:
        levels = [{"name": f"arm{value}", "value": value, "control": value == control} for value in (1, 2)]
        covariates = [{"column": "ECOG", "kind": "ordinal", "levels": [3, 1, 2]}]
        return {"arms": {"levels": levels}, "covariates": covariates}

    first = read_cohort(declared("52_codes_no_labels.csv", **arms(1)), nasty)
    second = read_cohort(declared("52_codes_no_labels.csv", **arms(2)), nasty)
    assert (first.treated() + second.treated() == 1).all()
    assert list(first.frame["ECOG"].cat.categories) == ["3", "1", "2"]


# -- declared rules about times --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("file", "rule", "n", "step"),
    [
        ("02_time_negative.csv", {"negative_time": "drop"}, 235, "os.negative_time"),
        ("03_time_zero.csv", {"zero_time": "drop"}, 230, "os.zero_time"),
        ("04_time_nan.csv", {"missing_outcome": "drop"}, 230, "os.missing"),
        ("07e_event_nan.csv", {"missing_outcome": "drop"}, 230, "os.missing"),
    ],
)
def test_declared_drops_are_counted_steps(declared, nasty, file, rule, n, step):
    cohort = read_cohort(declared(file, **endpoint(**rule)), nasty)
    assert cohort.n == n
    row = cohort.attrition.records()[-1]
    assert (row["step"], row["kind"], row["before"], row["remaining"]) == (step, "outcome", 240, n)
    assert any(entry.code == "W-TIME-DROPPED" and entry.bad == 240 - n for entry in cohort.findings)


def test_half_a_day_replaces_zero(declared, nasty):
    cohort = read_cohort(declared("03_time_zero.csv", **endpoint(zero_time="half_day")), nasty)
    assert cohort.n == 240
    assert cohort.outcome.time is not None
    assert (cohort.outcome.time == 0.5 / 30.4375).sum() == 10


def test_two_event_columns_must_agree(declared, nasty, tmp_path):
    lines = (nasty / "00_clean.csv").read_text().splitlines()
    rows = [line + f",{1 - int(line[-1])}" for line in lines[1:]]
    rows[4] = rows[4][:-1] + str(1 - int(rows[4][-1]))
    (tmp_path / "both.csv").write_text("\n".join([lines[0] + ",CNSR", *rows]) + "\n")
    with pytest.raises(DataError, match=r"E-EVENT-CNSR both.csv: OS_EVENT: 1 of 240 rows .*\(line 6\)"):
        read_cohort(declared("both.csv"), tmp_path)
