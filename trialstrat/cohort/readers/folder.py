"""A folder of tables (CSV, XPT, Dataset-JSON ...), one of them named by ``table:``; and lists of genes."""

from __future__ import annotations

from pathlib import Path

from trialstrat.cohort.readers.define_xml import DefinedDataset, read_define
from trialstrat.cohort.readers.delimited import utf8_bytes
from trialstrat.cohort.readers.locate import locate, read_payload
from trialstrat.cohort.readers.table import Payload
from trialstrat.cohort.rules import RefusedError, finding, visible

_DEFINE = "define.xml"
#: Endings of names that are no part of what a table is called.
_ENDINGS = (".gz", ".zip", ".zst")


def table_name(path: Path) -> str:
    """What a file's table is called: its name without endings, in lower case."""
    name = path.name.casefold()
    for ending in _ENDINGS:
        name = name.removesuffix(ending)
    return name.rsplit(".", 1)[0] if "." in name else name


def payload_in(folder: Path, declared: str, table: str | None) -> Payload:
    """The file of a folder whose name, without its ending and in any case, is ``table``.

    Raises
    ------
    RefusedError
        When no table is declared, or none or several files have its name; the message lists what there is.
    """
    files = sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
    there = ", ".join(visible(name) for name in sorted({table_name(path) for path in files}))
    if table is None:
        raise RefusedError(finding("E-SOURCE-TABLE", source=declared, detail=f"it has {there or 'none'}"))
    found = [path for path in files if table_name(path) == table.casefold() or path.name == table]
    if len(found) != 1:
        detail = f"{len(found)} files are called {visible(table)}; it has {there or 'none'}"
        raise RefusedError(finding("E-SOURCE-TABLE", source=declared, detail=detail))
    return read_payload(locate(found[0].name, folder), f"{declared.rstrip('/')}/{found[0].name}")


def defined_in(folder: Path, declared: str) -> dict[str, DefinedDataset]:
    """What a define.xml of the folder says about its data sets; nothing without one."""
    if not (folder / _DEFINE).is_file():
        return {}
    return dict(read_define(read_payload(locate(_DEFINE, folder), f"{declared.rstrip('/')}/{_DEFINE}")))


def gene_list(payload: Payload) -> tuple[str, ...]:
    """The genes of a list in its order: one a line, or the ``gene_list:`` of a cBioPortal panel.

    Raises
    ------
    RefusedError
        When it names no gene.
    """
    lines = utf8_bytes(payload.data, "utf-8", payload.name)[0].decode("utf-8-sig").split("\n")
    listed = [line.partition(":")[2].split() for line in lines if line.startswith("gene_list:")]
    genes = listed[0] if listed else [line.split("\t")[0].strip().strip('"') for line in lines]
    found = tuple(dict.fromkeys(gene for gene in genes if gene and not gene.startswith("#")))
    if not found:
        raise RefusedError(finding("E-ROWS-NONE", source=payload.name, detail="no gene"))
    return found
