"""define.xml: labels and code lists of every version; document types are refused before they are expanded."""

from __future__ import annotations

from pathlib import Path

import pytest

from trialstrat.cohort.readers.define_xml import is_xml, read_define, with_define
from trialstrat.cohort.readers.locate import read_payload
from trialstrat.cohort.readers.table import Payload
from trialstrat.cohort.rules import RefusedError

SHARED = Path(__file__).parents[4].parent / "shared"
NASTY = SHARED / "nasty" / "files"
PILOT = SHARED / "data" / "cdisc_pilot"

TWO = """<?xml version="1.0" encoding="UTF-8"?>
<ODM xmlns="http://www.cdisc.org/ns/odm/v1.3" xmlns:def="http://www.cdisc.org/ns/def/v2.1"><Study OID="S"><MetaDataVersion OID="M">
<ItemGroupDef OID="IG.ADSL" Name="ADSL"><Description><TranslatedText>Subject-Level</TranslatedText></Description>
<ItemRef ItemOID="IT.SEX"/><ItemRef ItemOID="IT.AGE"/><ItemRef ItemOID="IT.GONE"/></ItemGroupDef>
<ItemDef OID="IT.SEX" Name="SEX"><Description><TranslatedText xml:lang="en"> Sex &amp;
  gender </TranslatedText></Description><CodeListRef CodeListOID="CL.SEX"/></ItemDef>
<ItemDef OID="IT.AGE" Name="AGE"><Description><TranslatedText>Age</TranslatedText></Description><CodeListRef CodeListOID="CL.E"/></ItemDef>
<CodeList OID="CL.SEX"><CodeListItem CodedValue="F"><Decode><TranslatedText>Female</TranslatedText></Decode></CodeListItem>
<CodeListItem CodedValue="M"><Decode><TranslatedText>Male</TranslatedText></Decode></CodeListItem></CodeList>
<CodeList OID="CL.E"><EnumeratedItem CodedValue="65+"/></CodeList>
</MetaDataVersion></Study></ODM>"""  # noqa: E501


def define(text: str | bytes):
    data = text.encode() if isinstance(text, str) else text
    return read_define(Payload(name="define.xml", data=data, sha256=""))


def codes(text: str | bytes) -> list[tuple[str, tuple[int, ...]]]:
    with pytest.raises(RefusedError) as raised:
        define(text)
    return [(entry.code, entry.lines) for entry in raised.value.findings]


def test_labels_and_codes():
    adsl = define(TWO)["ADSL"]
    assert adsl.label == "Subject-Level"
    assert adsl.labels == {"SEX": "Sex & gender", "AGE": "Age"}
    assert adsl.levels == {"SEX": {"F": "Female", "M": "Male"}, "AGE": {"65+": "65+"}}


def test_labels_in_the_data_come_first(read):
    table = read("USUBJID,sex,AGE\n1,F,65\n")
    known = with_define(table, define(TWO), "adsl")
    assert known.labels == {"sex": "Sex & gender", "AGE": "Age"}
    assert known.levels["sex"] == {"F": "Female", "M": "Male"}
    assert with_define(known, define(TWO), "ADAE") is known
    own = with_define(known, define(TWO.replace(">Age<", ">Other<")), "ADSL")
    assert own.labels["AGE"] == "Age"


def test_utf16_is_read():
    assert define(TWO.replace("UTF-8", "UTF-16").encode("utf-16"))["ADSL"].labels["AGE"] == "Age"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_a_document_type_is_refused_in_any_encoding(encoding):
    text = TWO.replace("<ODM", "<!DOCTYPE ODM>\n<ODM", 1).replace("UTF-8", encoding)
    assert codes(text.encode(encoding)) == [("E-XML-DOCTYPE", (2,))]


def test_damaged_and_other_xml():
    assert codes(TWO[:-30])[0][0] == "E-FILE-DAMAGED"
    assert codes("<?xml version='1.0'?><a/>") == [("E-FILE-FORMAT", ())]
    assert codes(TWO.replace("&amp;", "&unknown;"))[0][0] == "E-FILE-DAMAGED"


@pytest.mark.skipif(not NASTY.exists(), reason="shared data are not here")
@pytest.mark.parametrize("name", ["64_define_xxe.xml", "64b_define_laughs.xml"])
def test_attacks_are_refused_at_the_document_type(name):
    payload = read_payload(NASTY / name, name)
    assert is_xml(payload.data)
    assert codes(payload.data) == [("E-XML-DOCTYPE", (1,))]


@pytest.mark.skipif(not PILOT.exists(), reason="shared data are not here")
def test_the_pilot_submission():
    adam = define((PILOT / "adam_xpt" / "define.xml").read_bytes())
    assert adam["ADSL"].labels["TRT01P"] == "Planned Treatment for Period 01"
    assert set(adam["ADSL"].levels["SEX"]) == {"F", "M", "U"}
    sdtm = define((PILOT / "sdtm_xpt" / "define.xml").read_bytes())  # version 1.0: labels are attributes
    assert sdtm["DM"].labels["USUBJID"] == "Unique Subject Identifier"
