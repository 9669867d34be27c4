"""How long ``trialstrat --help`` takes, as a ratio to ``python -c "import typer"`` in the same run.

Run: python -m tests.benchmarks.bench_start
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

RUNS = 15


def seconds(command: list[str]) -> float:
    """Wall time of one run of a command."""
    begin = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - begin


def main() -> None:
    """Alternate the two commands and print the median of the paired ratios."""
    ours = [sys.executable, "-m", "trialstrat", "--help"]
    peer = [sys.executable, "-c", "import typer"]
    pairs = [(seconds(ours), seconds(peer)) for _ in range(RUNS + 1)][1:]
    ratio = statistics.median(a / b for a, b in pairs)
    print(
        f"trialstrat --help {statistics.median(a for a, _ in pairs):.3f} s, import typer "
        f"{statistics.median(b for _, b in pairs):.3f} s, ratio {ratio:.2f} (bar: 3)"
    )


if __name__ == "__main__":
    main()
