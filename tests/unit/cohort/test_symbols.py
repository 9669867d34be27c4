"""Gene symbols and protein changes: one spelling, and no guess where there are two meanings."""

from __future__ import annotations

import pytest

from trialstrat.cohort.protein import protein_change
from trialstrat.cohort.readers.table import Payload
from trialstrat.cohort.rules import RefusedError
from trialstrat.cohort.symbols import load_symbols, renamed, wanted_genes
from trialstrat.protocol.features_model import GeneSymbols

SHIPPED = load_symbols(GeneSymbols(), None)


def hgnc(text: str) -> Payload:
    return Payload(name="hgnc_complete_set.txt", data=text.encode(), sha256="0" * 64)


@pytest.mark.parametrize(
    ("alias", "current"),
    [
        ("HER2", "ERBB2"),
        ("PD-L1", "CD274"),
        ("SEPT2", "SEPTIN2"),
        ("MLL", "KMT2A"),
        ("erk1", "MAPK3"),
        ("TP53", "TP53"),
    ],
)
def test_aliases_of_cancer_genes(alias, current):
    assert SHIPPED.current(alias) == (current,)


def test_there_are_as_many_as_promised_and_none_is_a_current_symbol():
    assert len(SHIPPED.meanings) >= 150
    assert not set(SHIPPED.meanings) & SHIPPED.approved


def test_ambiguous_names_stay_and_are_listed():
    names, findings = renamed(["MLL2", "HER2", "XYZ"], SHIPPED, "m.tsv")
    assert names == ["MLL2", "ERBB2", "XYZ"]
    assert {entry.code: entry.bad for entry in findings} == {"I-GENE-ALIAS": 1, "W-GENE-AMBIGUOUS": 1}
    faults = wanted_genes(["MLL2"], SHIPPED, "f")[1]
    assert faults[0].message.endswith("MLL2 (KMT2B or KMT2D)")
    solved = load_symbols(GeneSymbols(resolve={"MLL2": "KMT2D"}), None)
    assert wanted_genes(["MLL2"], solved, "f") == (("KMT2D",), [])


def test_the_users_own_table_replaces_the_shipped_one():
    text = 'symbol\talias_symbol\tprev_symbol\nNEW1\t"OLD|OLDER"\tFIRST\nNEW2\t"OLD"\t\n'
    symbols = load_symbols(GeneSymbols(), hgnc(text))
    assert symbols.current("OLDER") == ("NEW1",)
    assert symbols.current("first") == ("NEW1",)
    assert symbols.current("OLD") == ("NEW1", "NEW2")
    assert symbols.current("HER2") == ("HER2",)
    with pytest.raises(RefusedError, match="alias_symbol"):
        load_symbols(GeneSymbols(), hgnc("symbol\tname\nA\tb\n"))


def test_no_aliases_where_none_are_wanted():
    assert load_symbols(GeneSymbols(use_aliases=False), None).current("HER2") == ("HER2",)


@pytest.mark.parametrize(
    ("written", "short"),
    [
        ("p.Val600Glu", "p.V600E"),
        ("V600E", "p.V600E"),
        ("ENSP00000288602:p.Val600Glu", "p.V600E"),
        ("p.(Arg213Ter)", "p.R213*"),
        ("p.R213X", "p.R213*"),
        ("p.Glu746_Ala750del", "p.E746_A750del"),
        ("p.E746_A750delinsSERT", "p.E746_A750delinsSERT"),
        ("p.Leu858fsTer4", "p.L858fs*4"),
        ("", ""),
    ],
)
def test_one_spelling_of_a_protein_change(written, short):
    assert protein_change(written) == short
