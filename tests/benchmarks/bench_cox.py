"""Time of Cox models by the thousand: screen, max-T, penalised path, beside R, lifelines and scikit-survival.

Run as ``python -m tests.benchmarks.bench_cox [--peers]``. Only the ratios mean anything on another machine.
"""

import argparse
import shutil
import subprocess
import tempfile
import timeit
from pathlib import Path

import numpy as np

from trialstrat.stats.cox import cox
from trialstrat.stats.kernels.cox_cells import cox_binary_sorted, interaction_lr_sorted
from trialstrat.stats.max_t import max_t
from trialstrat.stats.penalised import penalised_cox
from trialstrat.stats.screen import cox_screen

R_SCRIPT = """
suppressMessages(library(survival))
d <- as.matrix(read.csv(commandArgs(TRUE)[1])); y <- Surv(d[, 1], d[, 2]); k <- ncol(d) - 3
control <- coxph.control()
fit <- function(x) coxph.fit(x, y, NULL, NULL, NULL, control, NULL, "efron", NULL)
alone <- system.time(for (j in 1:k) fit(d[, 3 + j, drop = FALSE]))[["elapsed"]] / k
both <- system.time(for (j in 1:k) { g <- d[, 3 + j]; fit(cbind(d[, 3], g, d[, 3] * g)) })[["elapsed"]] / k
b <- sapply(1:k, function(j) fit(d[, 3 + j, drop = FALSE])$coefficients)
cat(alone, both, b)
"""


def study(n, p, seed=0):
    """About 60 % events, several hundred distinct times."""
    rng = np.random.default_rng(seed)
    markers, treatment = rng.normal(size=(n, p)), rng.integers(0, 2, n)
    time = np.ceil(300 * rng.exponential(np.exp(-0.3 * treatment)))
    return markers, time, (rng.random(n) < 0.6).astype(int), treatment


def seconds(call, repeat=3):
    call()
    return min(timeit.repeat(call, number=1, repeat=repeat))


def r_coxph_fit(markers, time, event, treatment):
    """Seconds per gene alone and with treatment, and the coefficients; None without R and its survival package."""
    program = shutil.which("Rscript")
    if program is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        table, script = Path(folder) / "d.csv", Path(folder) / "speed.R"
        values = np.column_stack((time, event, treatment, markers))
        np.savetxt(table, values, delimiter=",", header=",".join(f"v{k}" for k in range(values.shape[1])), comments="")
        script.write_text(R_SCRIPT)
        done = subprocess.run([program, script, table], capture_output=True, text=True, check=False)
    return np.array(done.stdout.split(), float) if done.returncode == 0 else None


def python_peers(markers, time, event):
    """Seconds per gene of lifelines and scikit-survival, on a few genes."""
    import pandas as pd
    from lifelines import CoxPHFitter
    from sksurv.linear_model import CoxPHSurvivalAnalysis
    from sksurv.util import Surv

    few = 5
    frames = [pd.DataFrame({"t": time, "e": event, "g": markers[:, j]}) for j in range(few)]
    outcome = Surv.from_arrays(event == 1, time)
    one = seconds(lambda: [CoxPHFitter().fit(frame, "t", "e") for frame in frames], 2) / few
    two = seconds(lambda: [CoxPHSurvivalAnalysis(ties="efron").fit(markers[:, [j]], outcome) for j in range(few)], 2)
    return {"lifelines": one, "scikit-survival": two / few}


def screen(peers):
    markers, time, event, treatment = study(2000, 20_000)
    p = markers.shape[1]
    print(f"screen, n = 2000, {p} genes ({event.sum()} events, {np.unique(time[event == 1]).size} distinct times)")
    ours = {}
    for threads in (1, 2):
        for name, arm in (("gene alone", None), ("treatment, gene, product", treatment)):
            took = seconds(lambda: cox_screen(markers, time, event, arm, threads=threads))  # noqa: B023
            ours[name, threads] = took / p
            print(f"  {name:<28}{threads} thread(s) {took:8.3f} s {took / p * 1e3:9.4f} ms a gene")
    few = r_coxph_fit(markers[:, :300], time, event, treatment)
    if few is not None:
        found = cox_screen(markers[:, :300], time, event).effect
        print(f"  largest difference from R's coefficients {np.abs(found - few[2:]).max():.1e}")
        for name, took in zip(("gene alone", "treatment, gene, product"), few[:2], strict=True):
            ratios = ", ".join(f"{took / ours[name, k]:.1f} x with {k} thread(s)" for k in (1, 2))
            print(f"  R coxph.fit, {name:<28}{took * 1e3:9.4f} ms: ours faster {ratios}")
    if peers:
        for name, took in python_peers(markers, time, event).items():
            print(f"  {name:<20}{took * 1e3:9.2f} ms: ours faster {took / ours['gene alone', 2]:.0f} x with 2 threads")


def permutations():
    markers, time, event, treatment = study(1000, 20_000)
    right = np.random.default_rng(0).normal(size=(1000, 1000)).astype(np.float32)
    left = np.ascontiguousarray(markers.T.astype(np.float32))
    bare = seconds(lambda: left @ right)
    print(f"max-T, 1000 draws, 20000 genes, n = 1000: bare product {bare:.3f} s")
    for name, arm in (("prognostic", None), ("interaction", treatment)):
        took = seconds(lambda: max_t(markers, time, event, arm, rng=np.random.default_rng(1)))  # noqa: B023
        print(f"  {name:<14}{took:8.3f} s {took / bare:6.2f} x the product")


def paths():
    rng = np.random.default_rng(0)
    for n, p in ((2000, 1000), (600, 50), (300, 5000)):
        x = rng.normal(size=(n, p))
        time = rng.exponential(np.exp(-x[:, :20] @ rng.normal(size=20) * 0.3))
        event = (rng.random(n) < 0.6).astype(int)
        for tolerance in (None, 1e-4):
            took = seconds(lambda: penalised_cox(time, event, x, tolerance=tolerance), 1)  # noqa: B023
            path = penalised_cox(time, event, x, tolerance=tolerance)
            print(
                f"penalised path, n = {n}, p = {p}, tolerance {tolerance or 1e-5:.0e}: {took:7.2f} s,"
                f" {path.lambdas.size} penalties, {path.selected[-1]} selected at the last,"
                f" largest violation {path.kkt_violation.max():.0e}"
            )


def small_models():
    markers, time, event, treatment = study(1000, 2)
    order = np.argsort(time, kind="stable")
    tie, arm, dead = np.unique(time[order], return_inverse=True)[1], treatment[order], event[order] == 1
    high = (markers[order, 0] > 0).astype(np.int64)
    cell = np.where(high == 1, arm, -1)
    rows = {
        "cox_binary_sorted, half of them": seconds(lambda: [cox_binary_sorted(cell, dead, tie) for _ in range(500)])
        / 500,
        "interaction_lr_sorted": seconds(lambda: [interaction_lr_sorted(arm, high, dead, tie) for _ in range(50)]) / 50,
        "cox(), two covariates": seconds(lambda: [cox(time, event, markers) for _ in range(20)]) / 20,
    }
    print("small models, n = 1000")
    for name, took in rows.items():
        print(f"  {name:<34}{took * 1e3:9.4f} ms")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peers", action="store_true", help="also time lifelines and scikit-survival")
    peers = parser.parse_args().peers
    screen(peers)
    permutations()
    small_models()
    paths()


if __name__ == "__main__":
    main()
