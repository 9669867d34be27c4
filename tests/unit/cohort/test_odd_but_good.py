"""Seventy files that look odd and are sound: none may be refused, and none warned about unless the case says so."""

from __future__ import annotations

import gzip
from typing import Any

import pytest

from tests.unit.cohort.conftest import SMALL, merged, table
from trialstrat.cohort.build import read_cohort
from trialstrat.protocol.load import LoadedProtocol
from trialstrat.protocol.model import Protocol

PLAIN = table(X=[1.5, 2.5, 4, 8], G=["a", "b", "a", "b"])
BOTH = [{"column": "X", "kind": "continuous"}, {"column": "G", "kind": "categorical"}]
SOURCE = SMALL["sources"][0]
END = SMALL["endpoints"][0]


def col(name: str, kind: str = "continuous", **rest: Any) -> dict[str, Any]:
    return {"covariates": [{"column": name, "kind": kind, **rest}]}


def src(**rest: Any) -> dict[str, Any]:
    return {"sources": [{**SOURCE, **rest}]}


def end(**rest: Any) -> dict[str, Any]:
    return {"endpoints": [{**END, **rest}]}


def dated() -> dict[str, Any]:
    """Times from START to END."""
    return end(time=None, start="START", end="END", unit="days")


#: name -> file content, changes of the study, patients
CASES: dict[str, tuple[str | bytes, dict[str, Any], int]] = {
    "byte order mark": ("\ufeff" + PLAIN, {"covariates": BOTH}, 4),
    "carriage returns only": (PLAIN.replace("\n", "\r"), {"covariates": BOTH}, 4),
    "mixed line ends": (PLAIN.replace("\n", "\r\n", 2), {"covariates": BOTH}, 4),
    "no last line end": (PLAIN.rstrip("\n"), {"covariates": BOTH}, 4),
    "blank lines between": (PLAIN.replace("\n", "\n\n"), {"covariates": BOTH}, 4),
    "utf-16": (PLAIN.encode("utf-16"), {"covariates": BOTH}, 4),
    "every field quoted": (PLAIN, {"covariates": BOTH}, 4),
    "delimiter inside quotes": (table(G=["a,b", "c;d", "a,b", "c;d"]), col("G", "categorical"), 4),
    "line end inside quotes": (table(G=["a\nb", "c", "a\nb", "c"]), col("G", "categorical"), 4),
    "doubled quotes": ('ID,T,E,G\na,1,1,"say ""x"""\nb,2,1,y\nc,3,0,y\n', col("G", "categorical"), 3),
    "inches": ('ID,T,E,G\na,1,1,5" tube\nb,2,1,6" tube\nc,3,0,6" tube\n', col("G", "categorical"), 3),
    "apostrophes": (table(G=["Crohn's", "coeliac", "Crohn's", "coeliac"]), col("G", "categorical"), 4),
    "leading zeros": (table(ID=["001", "01", "1", "0001"], X=[1, 2, 3, 5]), col("X"), 4),
    "ids of twenty digits": (table(ID=[f"9999999999999999999{at}" for at in range(4)], X=[1, 2, 3, 5]), col("X"), 4),
    "ids in exponent form": (table(ID=["1E1", "10", "1E2", "100"], X=[1, 2, 3, 5]), col("X"), 4),
    "ids that are words for missing": (table(ID=["NA", "None", "null", "nan"], X=[1, 2, 3, 5]), col("X"), 4),
    "column named like an operator": (table(**{"a + b": [1, 2, 3, 5]}), col("a + b"), 4),
    "column named like code": (table(**{"__import__('os')": [1, 2, 3, 5]}), col("__import__('os')"), 4),
    "column named like html": (table(**{"<b>x</b>": [1, 2, 3, 5]}), col("<b>x</b>"), 4),
    "columns that differ from ours by a suffix": (table(time_=[1, 2, 3, 5], id2=[5, 4, 3, 9]), col("time_"), 4),
    "column named in another script": (table(возраст=[40, 50, 60, 61]), col("возраст"), 4),
    "column named by an emoji": (table(**{"🧬": [1, 2, 3, 5]}), col("🧬"), 4),
    "level in another script": (table(G=["男", "女", "男", "女"]), col("G", "categorical"), 4),
    "right-to-left level": (table(G=["ذكر", "أنثى", "ذكر", "أنثى"]), col("G", "categorical"), 4),
    "level that is a formula": (table(G=["=1+1", "@SUM", "=1+1", "@SUM"]), col("G", "categorical"), 4),
    "level of ten thousand letters": (table(G=["a" * 10_000, "b", "a" * 10_000, "b"]), col("G", "categorical"), 4),
    "country code of Namibia": (table(G=["NA", "DE", "NA", "DE"]), col("G", "categorical", levels=["NA", "DE"]), 4),
    "a level called None": (
        table(G=["None", "Mild", "None", "Mild"]),
        col("G", "categorical", levels=["None", "Mild"]),
        4,
    ),
    "comparison signs as levels": (table(G=["<=50", ">50", "<=50", ">50"]), col("G", "categorical"), 4),
    "numbers in scientific form": (table(X=["1e-3", "2.5E2", "+3", ".5"]), col("X"), 4),
    "numbers with blanks around": (table(X=[" 1", "2 ", " 3 ", "5"]), col("X"), 4),
    "whole numbers as floats": (table(G=["1.0", "2.0", "1.0", "2.0"]), col("G", "categorical", levels=[1, 2]), 4),
    "negative laboratory values": (table(X=[-1.2, 0, 3.4, -0.5]), col("X"), 4),
    "a marker that is mostly zero": (table(X=[0] * 18 + [5, 90], T=[*range(1, 21)]), col("X"), 20),
    "decimal comma": ("ID;T;E;X\na;1,5;1;0,25\nb;2,5;1;1,75\nc;3,5;0;2\n", col("X"), 3),
    "a column nobody asked for is all missing": (table(X=[1, 2, 3, 5], junk=[""] * 4), col("X"), 4),
    "a column nobody asked for holds nonsense": (
        table(X=[1, 2, 3, 5], junk=["?", "12", "2021-13-45", ""]),
        col("X"),
        4,
    ),
    "trailing empty columns": ("ID,T,E,X,,\na,1,1,2,,\nb,2,0,3,,\nc,3,1,5,,\n", col("X"), 3),
    "rows of nothing at the end": (table(X=[1, 2, 3, 5]) + ",,,\n,,,\n", col("X"), 4),
    "everybody followed to the same day": (
        table(T=[365] * 20, X=[at * at for at in range(20)]),
        end(unit="days") | col("X"),
        20,
    ),
    "long follow-up in days": (table(T=[9000, 10_000, 12_000, 9500], X=[1, 2, 3, 5]), end(unit="days") | col("X"), 4),
    "very short times": (table(T=[0.001, 0.002, 0.01, 0.5], X=[1, 2, 5, 3]), end(unit="years") | col("X"), 4),
    "heavily tied times": (table(T=[6, 12, 6, 12] * 5, X=[at % 7 for at in range(20)]), col("X"), 20),
    "late event among early ones": (table(T=[1, 2, 3, 60], X=[1, 3, 2, 5]), col("X"), 4),
    "events as words": (
        table(E=["deceased", "alive", "deceased", "alive"], X=[1, 2, 3, 5]),
        end(event={"column": "E", "events": ["deceased"], "censored": ["alive"]}) | col("X"),
        4,
    ),
    "events as floats": (table(E=["1.0", "0.0", "1.0", "0.0"], X=[1, 2, 3, 5]), col("X"), 4),
    "reasons for censoring": (
        table(E=[0, 1, 2, 3], X=[1, 2, 3, 5]),
        end(event={"column": "E", "style": "cnsr"}) | col("X"),
        4,
    ),
    "missing codes of three kinds": (
        table(X=[1, "NA", "-99", "."], G=["a", "b", "a", "b"]),
        src(missing=["NA", "-99", "."]) | {"covariates": [{**BOTH[0], "missing_limit": 1}, BOTH[1]]},
        4,
    ),
    "bars between fields": (PLAIN.replace('"', "").replace(",", "|"), {"covariates": BOTH}, 4),
    "tabs between fields": (PLAIN.replace('"', "").replace(",", "\t"), {"covariates": BOTH}, 4),
    "blanks after the commas": ("ID, T, E, X\na, 1, 1, 2\nb, 2, 0, 3\nc, 3, 1, 5\n", col("X"), 3),
    "gzip with the name of a table": (gzip.compress(PLAIN.encode(), mtime=0), {"covariates": BOTH}, 4),
    "cp1252 as declared": (
        table(G=["weiß", "grün", "weiß", "grün"]).encode("cp1252"), src(encoding="cp1252") | col("G", "categorical"), 4,
    ),
    "a group sign that is declared": ("ID;T;E;X\na;1;1;1000,5\nb;2;0;20,25\nc;3;1;3\n", src(decimal=",") | col("X"), 3),
    "ids of ten digits like telephones": (
        table(ID=[f"{2025550100 + at}" for at in range(4)], X=[1, 2, 3, 5]), col("X"), 4,
    ),
    "ids with blanks inside": (table(ID=["A 1", "A 2", "B 1", "B 2"], X=[1, 2, 3, 5]), col("X"), 4),
    "ids with umlauts": (table(ID=["Ä1", "Ö2", "Ü3", "ß4"], X=[1, 2, 3, 5]), col("X"), 4),
    "ids of a hash": (table(ID=[f"{at:032x}" for at in range(4)], X=[1, 2, 3, 5]), col("X"), 4),
    "dates as a German registry writes them": (
        table(START=["01.02.2015"] * 4, END=["3.4.2015", "01.12.2016", "28.02.2017", "05.05.2018"], X=[1, 2, 3, 5]),
        src(dates={"START": "DD.MM.YYYY", "END": "DD.MM.YYYY"}) | dated(), 4,
    ),
    "dates as SAS prints them": (
        table(START=["01FEB2015"] * 4, END=["3APR2015", "01DEC2016", "28feb2017", "05May2018"], X=[1, 2, 3, 5]),
        src(dates={"START": "DDMMMYYYY", "END": "DDMMMYYYY"}) | dated(), 4,
    ),
    "dates with a time of day": (
        table(START=["2015-02-01T08:30:00"] * 4, END=["2015-04-03 00:00:00", "2016-12-01", "2017-02-28", "2018-05-05"]),
        dated(), 4,
    ),
    "a leap day": (
        table(START=["2016-02-29"] * 4, END=["2017-02-28", "2020-02-29", "2018-01-01", "2019-01-01"]), dated(), 4,
    ),
    "ages of ninety and more": (table(AGE=[91, 95, 60, 70], X=[1, 2, 3, 5]), col("AGE", unit="years"), 4),
    "a drug called name": (table(name=["Aspirin", "Placebo", "Aspirin", "Placebo"]), col("name", "categorical"), 4),
    "a ratio called zip": (table(zip=[0.12, 0.35, 0.5, 0.77]), col("zip"), 4),
    "a score of one decimal that ends in zero": (table(X=["1.0", "2.50", "3.10", "4"]), col("X"), 4),
    "levels that are signs": (table(G=["+", "-", "+", "-"]), col("G", "categorical", levels=["+", "-"]), 4),
    "blood groups": (table(G=["0", "A", "AB", "B"]), col("G", "categorical", levels=["0", "A", "AB", "B"]), 4),
    "percents as numbers": (table(X=[0, 12.5, 99, 100]), col("X", minimum=0, maximum=100), 4),
    "times of half days": (table(T=[0.5, 1.5, 2, 3], X=[1, 2, 5, 3]), end(unit="days") | col("X"), 4),
}  # fmt: skip


def test_there_are_sixty():
    assert len(CASES) >= 60


@pytest.mark.parametrize("name", CASES)
def test_not_refused(name, tmp_path):
    content, changes, patients = CASES[name]
    (tmp_path / "cohort.csv").write_bytes(content.encode() if isinstance(content, str) else content)
    loaded = LoadedProtocol(
        protocol=Protocol.model_validate(merged(SMALL, changes)),
        path=tmp_path / "small.yaml",
        sha256="0" * 64,
        lines={},
    )
    cohort = read_cohort(loaded)
    assert cohort.n == patients
    warned = [entry.text() for entry in cohort.findings if entry.severity == "warning"]
    # one known value makes a column constant: that is said, and is no fault of the file
    assert [text for text in warned if not text.startswith("W-CONSTANT")] == []
