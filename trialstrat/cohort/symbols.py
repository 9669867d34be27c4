"""Gene symbols of different years and habits as the current symbol; what may mean two genes is never guessed.

References
----------
Seal RL, et al. Genenames.org: the HGNC resources in 2023. Nucleic Acids Res 2023;51:D1003-D1009 (current symbols,
previous symbols and aliases; the shipped table holds those of genes that cancer trials ask about).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from trialstrat.cohort.readers.delimited import utf8_bytes
from trialstrat.cohort.readers.table import Payload
from trialstrat.cohort.rules import RefusedError, finding, visible
from trialstrat.protocol.features_model import GeneSymbols
from trialstrat.results import Finding

_SHIPPED = "gene_aliases.tsv"
_SHOWN = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Symbols:
    """``approved`` symbols stay as they are; ``meanings`` are the current symbols by alias in upper case."""

    approved: frozenset[str]
    meanings: Mapping[str, tuple[str, ...]]
    resolve: Mapping[str, str]

    def current(self, name: str) -> tuple[str, ...]:
        """The current symbols that a name may mean; more than one where it is ambiguous."""
        if name in self.resolve:
            return (self.resolve[name],)
        if name in self.approved:
            return (name,)
        return self.meanings.get(name.upper(), (name,))


def load_symbols(declared: GeneSymbols, hgnc: Payload | None) -> Symbols:
    """The table that a protocol declares: the shipped aliases, a file of HGNC, or none at all.

    Raises
    ------
    RefusedError
        When the file is not the complete set of HGNC.
    """
    if not declared.use_aliases:
        return Symbols(approved=frozenset(), meanings={}, resolve=declared.resolve)
    approved, meanings = _shipped() if hgnc is None else _hgnc(hgnc)
    return Symbols(approved=approved, meanings=meanings, resolve=declared.resolve)


def renamed(names: Sequence[str], symbols: Symbols, file: str) -> tuple[list[str], list[Finding]]:
    """Each name as the current symbol, ambiguous ones as written; what was changed and what is ambiguous is said."""
    out, changed, unclear = [], [], []
    for name in names:
        found = symbols.current(name)
        new = found[0] if len(found) == 1 else name
        out.append(new)
        if len(found) > 1:
            unclear.append(f"{visible(name)} ({' or '.join(found)})")
        elif new != name:
            changed.append(f"{visible(name)} = {new}")
    findings = []
    for code, which in (("I-GENE-ALIAS", changed), ("W-GENE-AMBIGUOUS", unclear)):
        if which:
            more = f" and {len(which) - _SHOWN} more" if len(which) > _SHOWN else ""
            detail = ", ".join(which[:_SHOWN]) + more
            findings.append(finding(code, source=file, detail=detail, bad=len(which), total=len(names)))
    return out, findings


def clashes(before: Sequence[str], after: Sequence[str], file: str) -> list[Finding]:
    """Columns of a matrix that are one gene under two names."""
    names: dict[str, list[str]] = {}
    for old, new in zip(before, after, strict=True):
        names.setdefault(new, []).append(old)
    return [
        finding("E-GENE-ALIAS", source=file, column=new, detail=" and ".join(visible(name) for name in both))
        for new, both in names.items()
        if len(both) > 1
    ]


def wanted_genes(genes: Sequence[str], symbols: Symbols, feature: str) -> tuple[tuple[str, ...], list[Finding]]:
    """The genes that a feature asks for as current symbols; ambiguous ones are faults with what they may mean."""
    out: list[str] = []
    unclear: list[str] = []
    for gene in genes:
        found = symbols.current(gene)
        out.append(found[0])
        if len(found) > 1:
            unclear.append(f"{visible(gene)} ({' or '.join(found)})")
    faults = [finding("E-GENE-AMBIGUOUS", column=feature, detail=", ".join(unclear))] if unclear else []
    return tuple(dict.fromkeys(out)), faults


def ambiguous_in(
    names: Collection[str], genes: Collection[str], symbols: Symbols, file: str, feature: str
) -> list[Finding]:
    """Names in the data that may mean one of the genes that a feature asks for, and may mean another."""
    wanted = set(genes)
    unclear = [
        f"{visible(name)} ({' or '.join(found)})"
        for name in sorted(names)
        if len(found := symbols.current(name)) > 1 and wanted & set(found)
    ]
    return [finding("E-GENE-AMBIGUOUS", source=file, column=feature, detail=", ".join(unclear))] if unclear else []


@cache
def _shipped() -> tuple[frozenset[str], dict[str, tuple[str, ...]]]:
    text = (files("trialstrat.cohort") / _SHIPPED).read_text(encoding="utf-8")
    rows = [line.split("\t") for line in text.splitlines()[1:]]
    meanings = {alias.upper(): tuple(symbol.split("|")) for alias, symbol in rows}
    return frozenset(symbol for found in meanings.values() for symbol in found), meanings


def _hgnc(payload: Payload) -> tuple[frozenset[str], dict[str, tuple[str, ...]]]:
    """Approved symbols with their previous symbols and aliases from hgnc_complete_set.txt."""
    text = utf8_bytes(payload.data, "utf-8", payload.name)[0].decode("utf-8-sig")
    rows = [line.split("\t") for line in text.split("\n") if line.strip()]
    header = [name.strip() for name in rows[0]] if rows else []
    absent = [name for name in ("symbol", "alias_symbol", "prev_symbol") if name not in header]
    if absent:
        raise RefusedError(*(finding("E-FORMAT-COLUMN", source=payload.name, column=name) for name in absent))
    at = {name: header.index(name) for name in ("symbol", "alias_symbol", "prev_symbol")}
    approved = {row[at["symbol"]].strip() for row in rows[1:] if len(row) > at["symbol"]}
    meanings: dict[str, list[str]] = {}
    for row in rows[1:]:
        for name in ("alias_symbol", "prev_symbol"):
            cell = row[at[name]].strip().strip('"') if len(row) > at[name] else ""
            for alias in filter(None, cell.split("|")):
                meanings.setdefault(alias.upper(), []).append(row[at["symbol"]].strip())
    return frozenset(approved), {alias: tuple(dict.fromkeys(found)) for alias, found in meanings.items()}
