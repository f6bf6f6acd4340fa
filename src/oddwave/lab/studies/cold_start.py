"""What a command costs before it does anything: CPU seconds from a cold start, beside a bare `import torch`.

    python -m oddwave.lab.studies.cold_start [--runs 5]

Each command runs in an interpreter of its own with one thread; user and system time of the child are added up and the
median is shown. A figure is worth something only beside the `import torch` of the same run: machines differ, and a busy
one counts more CPU time for the same work.
"""

import argparse
import os
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

__all__ = ["main"]

_ONE_THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}
_NUM_POINTS = 1_000


def cpu_s(command: Sequence[str], runs: int) -> float:
    """Return the median CPU time of a command over several runs. Raises: RuntimeError when it does not end well."""
    spent = []
    for _ in range(runs):
        quiet = [(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
        child = os.posix_spawn(command[0], list(command), os.environ | _ONE_THREAD, file_actions=quiet)
        _, status, used = os.wait4(child, 0)
        if status:
            raise RuntimeError(f"{' '.join(command)} ended with status {os.waitstatus_to_exitcode(status)}")
        spent.append(used.ru_utime + used.ru_stime)
    return statistics.median(spent)


def main(arguments: list[str] | None = None) -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5)
    runs = parser.parse_args(arguments).runs
    oddwave = [sys.executable, "-m", "oddwave"]
    with TemporaryDirectory() as name:
        data, model, out = (str(Path(name) / part) for part in ("data.csv", "model", "out"))
        wave = np.sin(np.arange(_NUM_POINTS) / 8) + 0.05 * np.random.default_rng(0).normal(size=_NUM_POINTS)
        Path(data).write_text("\n".join(["value", *(f"{value:.5f}" for value in wave)]), encoding="utf-8")
        cpu_s([*oddwave, "fit", "series", data, "-o", model, "--preset", "fast", "-q"], 1)
        commands = {
            "import torch": [sys.executable, "-c", "import torch"],
            "import oddwave": [sys.executable, "-c", "import oddwave"],
            "oddwave --help": [*oddwave, "--help"],
            "oddwave info MODEL": [*oddwave, "info", model],
            "oddwave score MODEL DATA": [*oddwave, "score", model, data, "-o", out, "-q"],
        }
        seconds = {label: cpu_s(command, runs) for label, command in commands.items()}
    print(f"CPU seconds, median of {runs}; and as a share of `import torch`")
    for label, own in seconds.items():
        print(f"{label:<26} {own:7.2f} s {own / seconds['import torch']:8.2f}")


if __name__ == "__main__":
    main()
