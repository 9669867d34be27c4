"""Time of a log-rank test inside a candidate subgroup: our kernel, plain numpy, our public function, R's survdiff.

Run as ``python -m tests.benchmarks.bench_logrank``. Only the ratios mean anything on another machine.
"""

import shutil
import subprocess
import tempfile
import timeit
from pathlib import Path

import numpy as np

from trialstrat.stats.kernels.km import milestone_sorted, rmst_sorted
from trialstrat.stats.kernels.logrank import logrank_two_groups_sorted
from trialstrat.stats.logrank import logrank
from trialstrat.stats.maxcombo import maxcombo

R_SCRIPT = """
suppressMessages(library(survival))
d <- read.csv(commandArgs(TRUE)[1]); s <- d$member == 1
invisible(survdiff(Surv(time, event) ~ group, data = d[s, ]))
k <- 200
cat(system.time(for (i in 1:k) survdiff(Surv(time, event) ~ group, data = d[s, ]))[["elapsed"]] / k)
"""


def trial(n, seed=0):
    rng = np.random.default_rng(seed)
    time = np.sort(np.round(rng.exponential(10.0, n), 1))
    event = (rng.random(n) < 0.6).astype(np.int64)
    return time, event, rng.integers(0, 2, n), rng.random(n) < 0.5


def plain_numpy(time, event, group, member):
    """The usual vectorised log-rank statistic, made from scratch for the members."""
    time, event, group = time[member], event[member], group[member]
    distinct, at = np.unique(time, return_inverse=True)
    n = np.bincount(at)[::-1].cumsum()[::-1]
    n_1 = np.bincount(at, weights=group)[::-1].cumsum()[::-1]
    d = np.bincount(at, weights=event, minlength=distinct.shape[0])
    d_1 = np.bincount(at, weights=event * group, minlength=distinct.shape[0])
    share = n_1 / n
    variance = d * share * (1 - share) * (n - d) / np.maximum(n - 1, 1)
    return (d_1 - d * share).sum() ** 2 / variance.sum()


def seconds(call, number):
    call()
    return min(timeit.repeat(call, number=number, repeat=5)) / number


def r_seconds(time, event, group, member):
    """Seconds per survdiff, or None without R and its survival package."""
    program = shutil.which("Rscript")
    if program is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder) / "trial.csv"
        columns = np.column_stack((time, event, group, member))
        np.savetxt(table, columns, delimiter=",", header="time,event,group,member", comments="")
        script = Path(folder) / "speed.R"
        script.write_text(R_SCRIPT)
        done = subprocess.run([program, script, table], capture_output=True, text=True, check=False)
    return float(done.stdout) if done.returncode == 0 else None


def main():
    for n in (300, 1000, 5000):
        time, event, group, member = trial(n)
        starts = np.array([0, n])
        observed, expected, variance, _ = logrank_two_groups_sorted(time, event, group, member, starts)
        statistic = (observed - expected) ** 2 / variance
        np.testing.assert_allclose(statistic, plain_numpy(time, event, group, member), rtol=1e-9)
        kernel = seconds(lambda: logrank_two_groups_sorted(time, event, group, member, starts), 2000)  # noqa: B023
        rows = {
            "logrank kernel": kernel,
            "rmst kernel": seconds(lambda: rmst_sorted(time, event, member, 10.0), 2000),  # noqa: B023
            "milestone kernel": seconds(lambda: milestone_sorted(time, event, member, 10.0), 2000),  # noqa: B023
            "plain numpy log-rank": seconds(lambda: plain_numpy(time, event, group, member), 200),  # noqa: B023
            "logrank()": seconds(lambda: logrank(time[member], event[member], group[member]), 100),  # noqa: B023
            "maxcombo()": seconds(lambda: maxcombo(time[member], event[member], group[member]), 5),  # noqa: B023
            "R survdiff": r_seconds(time, event, group, member),
        }
        print(f"n = {n}, half of them members")
        for name, value in rows.items():
            shown = "not available" if value is None else f"{value * 1e3:9.4f} ms {value / kernel:9.1f} x the kernel"
            print(f"  {name:<22}{shown}")


if __name__ == "__main__":
    main()
