"""Labels and code lists of a submission from its define.xml (Define-XML 1.0, 2.0 and 2.1).

A document type declaration is refused before anything of it is expanded: the format needs none, attacks do.

References
----------
CDISC. Define-XML Specification, version 2.1, 2019.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import NoReturn
from xml.parsers import expat

from trialstrat.cohort.readers.delimited import utf8_bytes
from trialstrat.cohort.readers.table import Payload, RawTable
from trialstrat.cohort.rules import RefusedError, finding

MOST_BYTES = 1 << 27


@dataclass(frozen=True, slots=True, kw_only=True)
class DefinedDataset:
    """What define.xml says about one data set: its label, the labels of its columns, decodes of codes by column."""

    label: str
    labels: Mapping[str, str]
    levels: Mapping[str, Mapping[str, str]]


def is_xml(data: bytes) -> bool:
    """Whether the bytes start as an XML document or its root element."""
    start = data[:400].lstrip(b"\xef\xbb\xbf \t\r\n")
    return start.startswith((b"<?xml", b"<ODM", b"\xff\xfe<\0", b"\xfe\xff\0<"))


def read_define(payload: Payload) -> Mapping[str, DefinedDataset]:
    """The data sets that a define.xml describes, by name.

    Raises
    ------
    RefusedError
        When it has a document type declaration, is damaged, too large, or describes no data set.
    """
    file = payload.name
    if len(payload.data) > MOST_BYTES:
        raise RefusedError(finding("E-FILE-SIZE", source=file, detail=f"{len(payload.data)} bytes of XML"))
    # decoded once and parsed as UTF-8 whatever the document declares, so that no encoding can hide a declaration
    data = utf8_bytes(payload.data, "utf-8", file)[0].removeprefix(b"\xef\xbb\xbf")
    _refuse_doctype(data, file)
    root = ET.fromstring(data.decode())  # no type declaration, hence no entities
    items = {_attribute(entry, "OID"): entry for entry in _all(root, "ItemDef")}
    lists = {_attribute(entry, "OID"): _decodes(entry) for entry in _all(root, "CodeList")}
    found = {
        _attribute(group, "Name"): _dataset(group, items, lists)
        for group in _all(root, "ItemGroupDef")
        if _attribute(group, "Name")
    }
    if not found:
        raise RefusedError(finding("E-FILE-FORMAT", source=file, detail="XML that describes no data set"))
    return found


def with_define(table: RawTable, defined: Mapping[str, DefinedDataset], name: str) -> RawTable:
    """The table with the labels and decodes of data set ``name``; those that the file itself has come first."""
    entry = next((value for key, value in defined.items() if key.casefold() == name.casefold()), None)
    if entry is None:
        return table
    columns = {str(column).casefold(): str(column) for column in table.frame.columns}
    labels = {columns[key.casefold()]: text for key, text in entry.labels.items() if key.casefold() in columns}
    levels = {columns[key.casefold()]: codes for key, codes in entry.levels.items() if key.casefold() in columns}
    return replace(table, labels={**labels, **table.labels}, levels={**levels, **table.levels})


class _DoctypeError(Exception):
    """A document type declaration was met."""


def _refuse_doctype(data: bytes, file: str) -> None:
    """Parse without building anything, and stop at the first word of a document type declaration."""

    def stop(*_: object) -> NoReturn:
        raise _DoctypeError

    parser = expat.ParserCreate("utf-8")
    parser.StartDoctypeDeclHandler = stop
    parser.EntityDeclHandler = stop
    try:
        parser.Parse(data, True)
    except _DoctypeError:
        line = parser.CurrentLineNumber
        raise RefusedError(finding("E-XML-DOCTYPE", source=file, lines=[line])) from None
    except expat.ExpatError as fault:
        detail = f"XML: {expat.ErrorString(fault.code)}"
        raise RefusedError(finding("E-FILE-DAMAGED", source=file, detail=detail, lines=[fault.lineno])) from None


def _local(tag: str) -> str:
    """A name without its namespace: versions of the standard differ in it and in nothing that is read here."""
    return tag.rsplit("}", 1)[-1]


def _all(root: ET.Element, name: str) -> list[ET.Element]:
    return [entry for entry in root.iter() if _local(entry.tag) == name]


def _attribute(entry: ET.Element, name: str) -> str:
    return next((value for key, value in entry.attrib.items() if _local(key) == name), "").strip()


def _text(entry: ET.Element, holder: str) -> str:
    """The text of ``holder``/TranslatedText (versions 2.x), else the Label attribute (version 1.0)."""
    for child in entry:
        if _local(child.tag) == holder:
            texts = [" ".join("".join(text.itertext()).split()) for text in _all(child, "TranslatedText")]
            if texts and texts[0]:
                return texts[0]
    return _attribute(entry, "Label")


def _decodes(entry: ET.Element) -> dict[str, str]:
    """Meanings by code; a list without meanings (enumerated items) has the codes themselves."""
    items = [item for item in entry if _local(item.tag) in ("CodeListItem", "EnumeratedItem")]
    codes = [(_attribute(item, "CodedValue"), _text(item, "Decode")) for item in items]
    return {code: meaning or code for code, meaning in codes}


def _dataset(
    group: ET.Element, items: Mapping[str, ET.Element], lists: Mapping[str, Mapping[str, str]]
) -> DefinedDataset:
    labels: dict[str, str] = {}
    levels: dict[str, Mapping[str, str]] = {}
    for reference in _all(group, "ItemRef"):
        item = items.get(_attribute(reference, "ItemOID"))
        if item is None:
            continue
        name = _attribute(item, "Name")
        if label := _text(item, "Description"):
            labels[name] = label
        codes = next((lists.get(_attribute(entry, "CodeListOID")) for entry in _all(item, "CodeListRef")), None)
        if codes:
            levels[name] = codes
    return DefinedDataset(label=_text(group, "Description"), labels=labels, levels=levels)
