"""One million patients through twenty criteria: CPU time and peak memory of the evaluation.

Run: ``python -m tests.benchmarks.bench_screening``. Asserts nothing about time.
"""

from __future__ import annotations

import resource
import time

import numpy as np
import pandas as pd

from trialstrat.cohort.language.tables import Tables
from trialstrat.criteria.screening import screen
from trialstrat.protocol.language.criterion import Criterion
from trialstrat.protocol.language.schema import PATIENTS, ColumnSchema, Schema, TableSchema

N = 1_000_000


def main() -> None:
    rng = np.random.default_rng(1)
    columns: dict[str, object] = {
        f"x{at}": np.where(rng.random(N) < 0.05, np.nan, rng.normal(size=N)) for at in range(15)
    }
    columns |= {f"s{at}": pd.array(rng.choice(["a", "b", "c"], N), dtype="string[pyarrow]") for at in range(5)}
    kinds = {name: ColumnSchema(kind="number" if name.startswith("x") else "text") for name in columns}
    tables = Tables(patients=pd.DataFrame(columns), schema=Schema(tables={PATIENTS: TableSchema(columns=kinds)}))
    criteria = [Criterion(id=f"I{at}", kind="inclusion", when=f"x{at} >= -2") for at in range(15)]
    criteria += [Criterion(id=f"E{at}", kind="exclusion", when=f's{at} in ("c")') for at in range(5)]
    start = time.process_time()
    screening = screen(criteria, tables)
    spent = time.process_time() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{N} patients, {len(criteria)} criteria: {spent:.2f} s CPU, peak {peak:.0f} MiB, {screening.counts()}")


if __name__ == "__main__":
    main()
