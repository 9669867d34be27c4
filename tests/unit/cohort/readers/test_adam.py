"""ADaM: subjects and times to event recognised and described; what cannot be known is asked."""

from __future__ import annotations

from pathlib import Path

import pytest

from trialstrat.cohort.readers.adam import describe_adam, is_adsl, is_adtte
from trialstrat.cohort.readers.registry import read_file
from trialstrat.protocol.model import Source

PILOT = Path(__file__).parents[4].parent / "shared" / "data" / "cdisc_pilot" / "adam_xpt"

ADSL = (
    "USUBJID,TRT01P,TRT01PN,TRT01A,STRATA1,STRAT2V,ITTFL,SAFFL,NOTFL,AGE\n"
    "a,Drug,1,Drug,EU,x,Y,Y,2,60\nb,Placebo,0,Drug,US,x,Y,,2,61\nc,Drug,1,Drug,US,x,Y,Y,1,61\n"
)
ADTTE = (
    "USUBJID,PARAMCD,PARAM,AVAL,AVALU,CNSR\n"
    "a,OS,Overall survival,10,MONTHS,0\nb,OS,Overall survival,12,MONTHS,1\nc,OS,Overall survival,9,MONTHS,2\n"
)


def test_a_submission_is_described(read):
    adsl, adtte = read(ADSL, "adsl.csv"), read(ADTTE, "adtte.csv")
    assert is_adsl(adsl)
    assert not is_adtte(adsl)
    assert is_adtte(adtte)
    assert not is_adsl(adtte)
    found = describe_adam([adtte, adsl])
    assert found is not None
    assert (found.adsl, found.adtte, found.id, found.arm) == ("adsl.csv", "adtte.csv", "USUBJID", "TRT01P")
    assert found.arm_levels == ("Placebo", "Drug")  # in the order of TRT01PN
    assert found.strata == ("STRATA1", "STRAT2V")
    assert [(flag.column, flag.yes, flag.rows) for flag in found.flags] == [("ITTFL", 3, 3), ("SAFFL", 2, 3)]
    (entry,) = found.parameters
    assert (entry.code, entry.label, entry.events, entry.censored) == ("OS", "Overall survival", 1, 2)
    assert (entry.unit, entry.unit_evidence) == ("months", "AVALU says months")
    assert found.questions == ("Which population is analysed? SAFFL (2 of 3)",)


def test_what_cannot_be_known_is_asked(read):
    text = "USUBJID,PARAMCD,AVAL,CNSR\na,OS,10,0\na,OS,11,1\nb,PFS,3,\nz,PFS,3,0\n"
    found = describe_adam([read(text, "adtte.csv")])
    assert found is not None
    assert found.arm == ""
    asked = " ".join(found.questions)
    for part in (
        "No ADSL",
        "No planned treatment",
        "OS, PFS: which is the primary",
        "OS has 2 rows for 1 patients",
        "OS: in which unit",
        "PFS: 1 rows without CNSR",
    ):
        assert part in asked


def test_patients_of_adtte_that_adsl_does_not_have(read):
    found = describe_adam([read(ADSL, "adsl.csv"), read(ADTTE.replace("\nc,", "\nz,"), "adtte.csv")])
    assert found is not None
    assert "1 patients of ADTTE are not in ADSL: why?" in found.questions


@pytest.mark.parametrize(("first", "unit"), [("2", "days"), ("1", "days"), ("0.03", None)])
def test_days_are_recognised_from_the_dates(read, first, unit):
    text = f"USUBJID,PARAMCD,AVAL,CNSR,STARTDT,ADT\na,OS,{first},0,2014-01-02,2014-01-03\n"
    found = describe_adam([read(text, "adtte.csv")])
    assert found is not None
    assert found.parameters[0].unit == unit


def test_other_tables_are_no_submission(read):
    assert describe_adam([read("ID,time,event\na,1,0\n")]) is None


@pytest.mark.skipif(not PILOT.exists(), reason="shared data are not here")
def test_the_pilot_submission():
    tables = [read_file(PILOT / name, Source(name="t", file=name)) for name in ("adsl.xpt", "adtte.xpt")]
    found = describe_adam(tables)
    assert found is not None
    assert found.arm_levels == ("Placebo", "Xanomeline Low Dose", "Xanomeline High Dose")
    (entry,) = found.parameters
    assert (entry.code, entry.patients, entry.events) == ("TTDE", 254, 152)
    assert (entry.unit, entry.unit_evidence) == ("days", "AVAL = ADT - STARTDT + 1 in every row")
    assert found.questions == ("Which population is analysed? EFFFL (234 of 254)",)
