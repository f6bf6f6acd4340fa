"""Five hundred damaged models: each is refused in one line, or scores exactly as the intact one does.

A mutation that gives another model, which a fit could have given as well (a weight of 0.4 for one of 0.5, signed
again), may give other scores; nobody could tell. The table of what came of all of them is printed with `-s`.
"""

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

HERE = Path(__file__).parent
NUMBER = int(os.environ.get("ODDWAVE_FAULTS_MODELS", "500"))
GOOD = {"refused", "same", "other model"}


def run(*arguments: object) -> "subprocess.Popen[str]":
    command = [sys.executable, str(HERE / "mutated_models.py"), *map(str, arguments)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)


@pytest.mark.faults
def test_no_damaged_model_crashes_hangs_or_scores_otherwise_in_silence(tmp_path: Path) -> None:
    fitting = run(tmp_path, "fit")
    fitting.communicate(timeout=600)
    assert fitting.returncode == 0
    workers = [run(tmp_path, first, NUMBER, 2) for first in range(2)]
    lines = [line for worker in workers for line in worker.communicate()[0].splitlines()]
    assert [worker.returncode for worker in workers] == [0, 0]
    found = sorted((json.loads(line) for line in lines), key=lambda told: told["number"])
    assert len(found) == NUMBER
    table = Counter((told["family"], told["outcome"]) for told in found)
    print()
    for (family, outcome), count in sorted(table.items()):
        print(f"{family:<16} {outcome:<12} {count:>4}")
    bad = [told for told in found if told["outcome"] not in GOOD]
    assert not bad, "\n".join(map(json.dumps, bad[:20]))
    assert sum(told["outcome"] == "refused" for told in found) > 0.5 * NUMBER
    assert max(told["cpu_s"] for told in found) < 20
