"""AnnData, DuckDB, annotated VCF as variants, and folders of tables."""

from __future__ import annotations

import io
import sys

import numpy as np
import pytest

from trialstrat.cohort.readers.registry import read_assay, read_matrix, read_source
from trialstrat.cohort.rules import RefusedError
from trialstrat.protocol.model import Source

VALUES = np.array([[1.0, 0.0, 2.5], [0.0, 3.0, 0.0]])


def h5ad(kind: str = "dense", genes=("TP53", "EGFR", "KRAS")) -> bytes:
    h5py = pytest.importorskip("h5py")
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        for name, index in (("obs", [b"s1", b"s2"]), ("var", [gene.encode() for gene in genes])):
            group = file.create_group(name)
            group.attrs["_index"] = "names"
            group.create_dataset("names", data=index)
        if kind == "dense":
            file.create_dataset("X", data=VALUES)
        else:
            matrix = VALUES if kind == "csr_matrix" else VALUES.T
            group = file.create_group("X")
            group.attrs["encoding-type"] = kind
            group.create_dataset("data", data=matrix[matrix != 0])
            group.create_dataset("indices", data=np.nonzero(matrix)[1])
            group.create_dataset("indptr", data=np.concatenate([[0], np.cumsum((matrix != 0).sum(axis=1))]))
    return buffer.getvalue()


@pytest.mark.parametrize("kind", ["dense", "csr_matrix", "csc_matrix"])
def test_anndata_dense_and_sparse(tmp_path, kind):
    (tmp_path / "x.h5ad").write_bytes(h5ad(kind))
    found = read_matrix(Source(name="x", file="x.h5ad", layout="matrix"), tmp_path)
    assert (found.samples, found.genes) == (("s1", "s2"), ("TP53", "EGFR", "KRAS"))
    np.testing.assert_array_equal(found.values, VALUES)


def test_a_damaged_anndata_and_impossible_counts_are_refused(tmp_path):
    source = Source(name="x", file="x.h5ad", layout="matrix")
    (tmp_path / "x.h5ad").write_bytes(h5ad()[:300])
    with pytest.raises(RefusedError, match="E-FILE-DAMAGED"):
        read_matrix(source, tmp_path)
    (tmp_path / "x.h5ad").write_bytes(h5ad(genes=("1-Mar", "EGFR", "KRAS")))
    with pytest.raises(RefusedError, match="E-GENE-DATE"):
        read_matrix(source, tmp_path)
    (tmp_path / "x.h5ad").write_bytes(h5ad())
    with pytest.raises(RefusedError, match="layout: matrix"):
        read_source(Source(name="x", file="x.h5ad", id="ID"), tmp_path)


@pytest.mark.parametrize(("module", "file"), [("h5py", "x.h5ad"), ("duckdb", "x.duckdb")])
def test_a_package_that_is_not_installed_is_named_with_its_extra(tmp_path, monkeypatch, module, file):
    data = b"\x89HDF\r\n\x1a\n" if module == "h5py" else b"\0" * 8 + b"DUCK" + b"\0" * 50
    (tmp_path / file).write_bytes(data)
    monkeypatch.setitem(sys.modules, module, None)
    matrix = Source(name="x", file=file, layout="matrix")
    table = Source(name="x", file=file, table="person", id="person_id")
    read = (lambda: read_matrix(matrix, tmp_path)) if module == "h5py" else (lambda: read_source(table, tmp_path))
    with pytest.raises(RefusedError, match=f"E-FORMAT-EXTRA {file}.*{module}"):
        read()


def test_a_table_of_a_duckdb_database_as_text(tmp_path):
    duckdb = pytest.importorskip("duckdb")
    with duckdb.connect(str(tmp_path / "omop.duckdb")) as database:
        database.execute('create table person (person_id integer, birth date, "odd ""name" varchar)')
        database.execute("insert into person values (2, date '1970-01-02', 'x'), (1, null, '007')")
        database.execute("create schema vocabulary")
        database.execute("create table vocabulary.concept (concept_id integer)")
    source = Source(name="p", file="omop.duckdb", table="PERSON", id="person_id")
    found = read_source(source, tmp_path)
    rows = found.frame.to_numpy(dtype=object, na_value=None).tolist()
    assert rows == [["1", None, "007"], ["2", "1970-01-02", "x"]]
    with pytest.raises(RefusedError, match=r"it has main\.person, vocabulary\.concept"):
        read_source(source.model_copy(update={"table": None}), tmp_path)
    with pytest.raises(RefusedError, match="E-ROWS-NONE"):
        read_source(source.model_copy(update={"table": "concept"}), tmp_path)
    (tmp_path / "omop.duckdb").write_bytes((tmp_path / "omop.duckdb").read_bytes()[:5000])
    with pytest.raises(RefusedError, match="E-FILE-DAMAGED"):
        read_source(source, tmp_path)


VCF = (
    "##fileformat=VCFv4.2\n"
    '##INFO=<ID=CSQ,Number=.,Type=String,Description="x. Format: Allele|Consequence|IMPACT|SYMBOL|HGVSp">\n'
    "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\ts1\ts2\n"
    "7\t140753336\t.\tA\tT\t.\tPASS\tCSQ=T|missense_variant|MODERATE|BRAF|ENSP1:p.Val600Glu\tGT:AD:DP\t0/1:60,40:100\t0/0:90,0:90\n"
    "17\t100\t.\tAG\tA\t.\tPASS\tCSQ=-|frameshift_variant|HIGH|TP53|\tGT\t0/0\t0/1\n"
    "17\t200\t.\tA\tG\t.\tlowq\tCSQ=G|splice_region_variant&intron_variant|LOW|TP53|\tGT\t0/1\t0/0\n"
)


def test_an_annotated_vcf_as_variants(tmp_path):
    (tmp_path / "x.vcf").write_text(VCF)
    found = read_assay(Source(name="v", file="x.vcf", layout="variants"), tmp_path)
    columns = {name: cells.to_pylist() for name, cells in found.variants.columns.items()}
    assert columns["gene"] == ["BRAF", "TP53"]
    assert columns["classification"] == ["Missense_Mutation", "Frame_Shift_Del"]
    assert found.listed == {"s1", "s2"}
    np.testing.assert_array_equal(found.variants.vaf, [0.4, np.nan])
    assert [(e.code, e.bad) for e in found.variants.findings if e.code == "I-VARIANT-FILTER"] == [
        ("I-VARIANT-FILTER", 1)
    ]


def test_a_vcf_without_annotation_is_refused(tmp_path):
    (tmp_path / "x.vcf").write_text(VCF.replace("CSQ=", "OTHER="))
    with pytest.raises(RefusedError, match="E-VARIANT-GENE"):
        read_assay(Source(name="v", file="x.vcf", layout="variants"), tmp_path)


def test_structural_variants_and_a_panel(tmp_path):
    (tmp_path / "sv.tsv").write_text("Sample_Id\tSite1_Hugo_Symbol\tSite2_Hugo_Symbol\nS1\tEML4\tALK\nS2\tROS1\tNA\n")
    (tmp_path / "panel.txt").write_text("ALK\nROS1\n")
    found = read_assay(Source(name="v", file="sv.tsv", layout="variants", panel="panel.txt"), tmp_path)
    assert sorted(found.variants.columns["gene"].to_pylist()) == ["ALK", "EML4", "ROS1"]
    assert found.panels == {"panel": frozenset({"ALK", "ROS1"})}
    (tmp_path / "sv.tsv").write_text("A\tB\n1\t2\n")
    with pytest.raises(RefusedError, match="E-SOURCE-LAYOUT"):
        read_assay(Source(name="v", file="sv.tsv", layout="variants"), tmp_path)


def test_what_is_declared_of_a_molecular_file_is_compared(tmp_path):
    (tmp_path / "x.vcf").write_text(VCF)
    with pytest.raises(RefusedError, match="X-FILE-HASH"):
        read_assay(Source(name="v", file="x.vcf", layout="variants", sha256="0" * 64), tmp_path)
    with pytest.raises(RefusedError, match="2 rows, 5 declared"):
        read_assay(Source(name="v", file="x.vcf", layout="variants", rows=5), tmp_path)
