"""Measurements that run one at a time, each in a process of its own, and are lines of a file as soon as they end.

A job is a mapping that JSON can hold. The child reads it from its standard input and prints what it found as the last
line of its output; what it needs to import and compile lies within its process, and so does its peak of memory. Read
`speed.py` next, which plans such jobs.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from oddwave.errors import CheckpointError
from oddwave.files import cannot

__all__ = ["THREAD_VARIABLES", "Measured", "answer", "append_row", "read_rows", "run_job"]

Measured = dict[str, Any]

THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")


def read_rows(path: Path) -> list[Measured]:
    """Return the rows of a file that `append_row` wrote; none where there is no file. A torn last line is passed over.

    Raises: CheckpointError for a line before the last one that is no row.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    except (OSError, ValueError) as error:
        cannot("read", path, error)
    rows: list[Measured] = []
    for number, line in enumerate(lines, 1):
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            row = None
        if isinstance(row, dict):
            rows.append(row)
        elif number < len(lines) and line.strip():
            raise CheckpointError(f"{path}, line {number}: expected a row of a measurement; move the file away")
    return rows


def append_row(path: Path, row: Mapping[str, Any]) -> None:
    """Add a row to a file, on the disk before this returns. Raises: CheckpointError if it cannot be written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        torn = path.exists() and path.stat().st_size > 0 and path.read_bytes()[-1:] != b"\n"
        with path.open("a", encoding="utf-8") as file:
            file.write("\n" * torn + json.dumps(row) + "\n")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        cannot("write", path, error)


def run_job(module: str, job: Mapping[str, Any], *, num_threads: int = 1) -> Measured:
    """Run a job in a fresh interpreter and return what it found, or its "error": the last line that it complained of.

    An interruption ends the child too.
    """
    surroundings = {**os.environ, **dict.fromkeys(THREAD_VARIABLES, str(num_threads))}
    with subprocess.Popen(
        [sys.executable, "-W", "ignore", "-m", module],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=surroundings,
    ) as child:
        try:
            told, complained = child.communicate(json.dumps(job))
        except BaseException:
            child.kill()
            raise
    lines = told.strip().splitlines()
    try:
        found = json.loads(lines[-1]) if lines and not child.returncode else None
    except ValueError:
        found = None
    if isinstance(found, dict):
        return found
    last = complained.strip().splitlines()[-1:] or [f"the process ended with status {child.returncode}"]
    return {"error": last[0][:500]}


def answer(measure: Callable[[Measured], Mapping[str, Any]]) -> None:
    """Be the child: read the job, measure, print what was found as one line."""
    found = measure(json.load(sys.stdin))
    print(json.dumps(found), flush=True)
