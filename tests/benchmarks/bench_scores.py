"""Speed of scores and cut search against other tools: ``python -m tests.benchmarks.bench_scores``.

Only the ratios travel between machines. Peers that are not installed are left out.
"""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable

import numpy as np

from trialstrat.stats.brier import brier
from trialstrat.stats.competing import cumulative_incidence, gray_test
from trialstrat.stats.cutpoint import maxstat_screen
from trialstrat.stats.fine_gray import fine_gray
from trialstrat.stats.scores import harrell_c, time_dependent_auc, uno_c

N = 20_000
GENES = 20_000
PATIENTS = 2_000
THREADS = 2


def best_of(task: Callable[[], object], repeats: int = 3) -> float:
    """Shortest wall time in seconds, after one warm-up call."""
    task()
    times = []
    for _ in range(repeats):
        begin = time.perf_counter()
        task()
        times.append(time.perf_counter() - begin)
    return min(times)


def show(name: str, ours: float, peers: dict[str, float]) -> None:
    ratios = ", ".join(f"{peer} {seconds * 1e3:.1f} ms ({seconds / ours:.0f}x)" for peer, seconds in peers.items())
    print(f"{name:<48} {ours * 1e3:9.2f} ms   {ratios}")


def r_seconds(code: str) -> float | None:
    """Seconds printed by an R script, None where R or the package is missing."""
    if shutil.which("Rscript") is None:
        return None
    done = subprocess.run(["Rscript", "-e", code], capture_output=True, text=True, check=False)
    return float(done.stdout.split()[-1]) if done.returncode == 0 and done.stdout.split() else None


def bench_concordance() -> None:
    from lifelines.utils import concordance_index
    from sksurv.metrics import brier_score, concordance_index_censored, concordance_index_ipcw, cumulative_dynamic_auc
    from sksurv.util import Surv

    rng = np.random.default_rng(1)
    risk = rng.normal(size=N)
    death, end = rng.exponential(np.exp(-0.5 * risk)), rng.uniform(0.1, 3, N)
    follow_up, event = np.minimum(death, end), (death <= end).astype(int)
    table = Surv.from_arrays(event == 1, follow_up)
    r_code = (
        "suppressMessages(library(survival)); set.seed(1); n <- 20000; r <- rnorm(n); t <- rexp(n, exp(.5 * r)); "
        "c <- runif(n, .1, 3); y <- Surv(pmin(t, c), t <= c); s <- min(replicate(3, system.time("
        "concordance(y ~ r, reverse = TRUE{}))[3])); cat(s)"
    )
    peers = {
        "scikit-survival": best_of(lambda: concordance_index_censored(event == 1, follow_up, risk), 1),
        "lifelines": best_of(lambda: concordance_index(follow_up, -risk, event), 1),
    }
    in_r = r_seconds(r_code.format(""))
    show(f"Harrell C with SE, n {N}", best_of(lambda: harrell_c(follow_up, event, risk)), peers | maybe("R", in_r))
    peers = {"scikit-survival": best_of(lambda: concordance_index_ipcw(table, table, risk, tau=2.0), 1)}
    in_r = r_seconds(r_code.format(", timewt = 'n/G2', ymax = 2"))
    show(f"Uno C with SE, n {N}", best_of(lambda: uno_c(follow_up, event, risk, tau=2.0)), peers | maybe("R", in_r))
    times = np.linspace(0.2, 2.0, 20)
    survival = np.exp(-np.outer(np.exp(0.5 * risk), times))
    peers = {"scikit-survival": best_of(lambda: cumulative_dynamic_auc(table, table, risk, times), 1)}
    show(f"AUC at 20 times with SE, n {N}", best_of(lambda: time_dependent_auc(follow_up, event, risk, times)), peers)
    peers = {"scikit-survival": best_of(lambda: brier_score(table, table, survival, times), 1)}
    show(f"Brier at 20 times with SE, n {N}", best_of(lambda: brier(follow_up, event, survival, times)), peers)


def bench_competing() -> None:
    rng = np.random.default_rng(2)
    n = 5_000
    follow_up, event, group = rng.exponential(size=n), rng.integers(0, 3, n), rng.integers(0, 2, n)
    covariates = rng.normal(size=(n, 4))
    setup = (
        "suppressMessages(library(cmprsk)); set.seed(1); n <- 5000; t <- rexp(n); e <- sample(0:2, n, TRUE); "
        "g <- sample(0:1, n, TRUE); x <- matrix(rnorm(4 * n), n); "
    )
    in_r = r_seconds(setup + "cat(system.time(cuminc(t, e, g))[3])")
    ours = best_of(lambda: (gray_test(follow_up, event, 1, group), cumulative_incidence(follow_up, event, 1)))
    show(f"cumulative incidence and Gray's test, n {n}", ours, maybe("R cmprsk", in_r))
    in_r = r_seconds(setup + "cat(system.time(crr(t, e, x))[3])")
    show(
        f"Fine-Gray, 4 covariates, n {n}",
        best_of(lambda: fine_gray(follow_up, event, 1, covariates)),
        maybe("R cmprsk", in_r),
    )


def bench_maxstat() -> None:
    rng = np.random.default_rng(3)
    markers = rng.normal(size=(PATIENTS, GENES))
    follow_up, event = rng.exponential(size=PATIENTS), (rng.random(PATIENTS) < 0.6).astype(int)
    ours = best_of(lambda: maxstat_screen(markers, follow_up, event, threads=THREADS), 2) / GENES
    in_r = r_seconds(
        "suppressMessages({library(maxstat); library(survival)}); set.seed(1); n <- 2000; t <- rexp(n); "
        "e <- rbinom(n, 1, .6); X <- matrix(rnorm(n * 100), n); cat(system.time(for (j in 1:100) maxstat.test("
        "Surv(t, e) ~ x, data = data.frame(t, e, x = X[, j]), smethod = 'LogRank', pmethod = 'Lau92', "
        "minprop = .1, maxprop = .9))[3] / 100)"
    )
    show(f"best cut per gene, n {PATIENTS}, {THREADS} threads", ours, maybe("R maxstat", in_r))


def maybe(name: str, seconds: float | None) -> dict[str, float]:
    return {} if seconds is None else {name: seconds}


if __name__ == "__main__":
    bench_concordance()
    bench_competing()
    bench_maxstat()
