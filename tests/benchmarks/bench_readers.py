"""Time and memory of the readers of molecular data and of the check, against pyarrow's own CSV reader.

Run as ``python -m tests.benchmarks.bench_readers [genes samples variants patients]``; by default 20,000 genes, 2,000
patients, 1,000,000 variants and 1,000,000 patients of a clinical table. Each part runs in a process of its own, so
that peaks do not add up; seconds are those of the processors (all threads) and of the clock.
"""

import multiprocessing
import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv

CLASSES = ("Missense_Mutation", "Silent", "Nonsense_Mutation", "Frame_Shift_Del", "Intron", "Splice_Site")
HEADER = (
    "Hugo_Symbol\tEntrez_Gene_Id\tCenter\tNCBI_Build\tChromosome\tStart_Position\tEnd_Position\tStrand"
    "\tVariant_Classification\tVariant_Type\tReference_Allele\tTumor_Seq_Allele1\tTumor_Seq_Allele2"
    "\tTumor_Sample_Barcode\tMutation_Status\tHGVSp_Short\tt_depth\tt_ref_count\tt_alt_count\n"
)


def write_matrix(path, genes, samples):
    """Genes in rows; samples in no order, as sequencing centres deliver them."""
    rng = np.random.default_rng(0)
    with path.open("w") as stream:
        stream.write("gene\t" + "\t".join(f"P{at:05d}" for at in rng.permutation(samples)) + "\n")
        for at in range(genes):
            cells = np.char.mod("%.4f", rng.normal(5, 2, samples))
            stream.write(f"GENE{at}\t" + "\t".join(cells) + "\n")


def write_maf(path, variants):
    rng = np.random.default_rng(1)
    gene, sample = rng.integers(0, 20_000, variants), rng.integers(0, 2_000, variants)
    kind, alt, ref = (
        rng.integers(0, len(CLASSES), variants),
        rng.integers(1, 60, variants),
        rng.integers(1, 200, variants),
    )
    with path.open("w") as stream:
        stream.write("#version 2.4\n" + HEADER)
        for g, s, k, a, r in zip(gene, sample, kind, alt, ref, strict=True):
            stream.write(
                f"GENE{g}\t{g}\tcentre\tGRCh38\tchr{g % 22 + 1}\t{g * 1000 + s}\t{g * 1000 + s}\t+\t{CLASSES[k]}\tSNP"
                f"\tA\tA\tG\tP{s:05d}\tSomatic\tp.A{s}G\t{a + r}\t{r}\t{a}\n"
            )


def expression(path):
    from trialstrat.cohort.readers.expression import read_expression
    from trialstrat.cohort.readers.locate import read_payload

    return read_expression(read_payload(path, path.name)).values.shape


def arrow(path):
    table = pacsv.read_csv(path, parse_options=pacsv.ParseOptions(delimiter="\t"))
    return table.num_rows, table.num_columns


def maf(path):
    from trialstrat.cohort.readers.locate import read_payload
    from trialstrat.cohort.readers.maf import gene_matrix, read_variants

    return gene_matrix(read_variants(read_payload(path, path.name))).altered.shape


def joined(path):
    """The same matrix as a source of a protocol, brought to patients and every gene made a marker."""
    from trialstrat.cohort.build import read_cohort
    from trialstrat.protocol.load import load_protocol

    cohort = read_cohort(load_protocol(path))
    return cohort.markers.shape


def checked(path):
    from trialstrat.pipeline.check import check

    return check(path).summary()


STUDY = """trialstrat: 1
id: bench
title: bench
question: q
sources:
  - {name: clinical, file: clinical.csv, id: ID}
SOURCES
arms: {column: ARM, levels: [{name: A, value: A, control: true}, {name: B, value: B}]}
endpoints:
  - {name: os, label: OS, time: T, unit: months, event: {column: E, events: [1], censored: [0]}}
estimand: {population: everybody, treatment: A against B, endpoint: os}
covariates:
  - {column: AGE, kind: continuous}
  - {column: SEX, kind: categorical}
  - {column: LAB, kind: continuous}
BLOCKS
"""


def write_clinical(path, patients, sources="", blocks=""):
    """A clinical table of patients P00000 ... and a protocol for it beside it."""
    rng = np.random.default_rng(2)
    columns = (
        np.char.mod("P%05d", np.arange(patients)),
        np.where(rng.random(patients) < 0.5, "A", "B"),
        np.char.mod("%.2f", rng.exponential(20, patients) + 0.1),
        np.char.mod("%d", rng.integers(0, 2, patients)),
        np.char.mod("%d", rng.integers(18, 90, patients)),
        np.where(rng.random(patients) < 0.5, "F", "M"),
        np.char.mod("%.3f", rng.normal(5, 1, patients)),
    )
    with path.open("w") as stream:
        stream.write("ID,ARM,T,E,AGE,SEX,LAB\n")
        stream.writelines(",".join(row) + "\n" for row in zip(*columns, strict=True))
    study = path.with_name("study.yaml")
    study.write_text(STUDY.replace("SOURCES", sources).replace("BLOCKS", blocks))
    return study


def _child(work, path, out):
    import trialstrat.cohort.build
    import trialstrat.cohort.readers.expression
    import trialstrat.cohort.readers.maf  # noqa: F401

    start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began, used = time.perf_counter(), time.process_time()
    shape = work(path)
    used, seconds = time.process_time() - used, time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - start
    out.put((shape, used, seconds, peak / 1024))


def measured(work, path):
    """Shape, seconds of processor and clock, megabytes of peak memory above the start, in a fresh process."""
    context = multiprocessing.get_context("spawn")
    out = context.Queue()
    process = context.Process(target=_child, args=(work, path, out))
    process.start()
    result = out.get()
    process.join()
    return result


def main():
    genes, samples, variants, patients = (int(entry) for entry in sys.argv[1:] or (20_000, 2_000, 1_000_000, 1_000_000))
    with tempfile.TemporaryDirectory() as folder:
        matrix, mutations = Path(folder) / "e.tsv", Path(folder) / "m.maf"
        write_matrix(matrix, genes, samples)
        write_maf(mutations, variants)
        size = genes * samples * 8 / 2**20
        _, baseline, clock, _ = measured(arrow, matrix)
        print(f"pyarrow alone: {baseline:.1f} s of processor, {clock:.1f} s")
        blocks = "marker_blocks: [{source: expression}]"
        study = write_clinical(
            Path(folder) / "clinical.csv", samples, "  - {name: expression, file: e.tsv, layout: matrix}", blocks
        )
        for name, work, path in (("expression read", expression, matrix), ("as a source, joined", joined, study)):
            shape, used, seconds, peak = measured(work, path)
            print(f"{name} {shape}: {used:.1f} s, ratio {used / baseline:.2f} (clock {seconds / clock:.2f})")
            print(f"  peak {peak:.0f} MB = {peak / size:.1f} x the matrix of {size:.0f} MB")
        shape, used, seconds, peak = measured(maf, mutations)
        print(f"MAF of {variants} rows to {shape}: {used:.1f} s of processor, {seconds:.1f} s, peak {peak:.0f} MB")
        study = write_clinical(Path(folder) / "clinical.csv", patients)
        found, used, seconds, peak = measured(checked, study)
        print(f"check of {patients} patients: {used:.1f} s of processor, {seconds:.1f} s, peak {peak:.0f} MB; {found}")
    print(f"pyarrow {pa.__version__}")


if __name__ == "__main__":
    main()
