"""Two thousand damaged or odd inputs: every reader reads or refuses each of them, quickly, and in little memory.

`input_cases.py` lists them, `workers.py` says what a fault is and shows a single case. ODDWAVE_FAULTS_SEED makes others.
"""

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from input_cases import COUNTS
from workers import judge_suite, summary_row

pytestmark = [
    pytest.mark.faults,
    pytest.mark.skipif(sys.platform != "linux", reason="measures memory by /proc"),
]
SEED = int(os.environ.get("ODDWAVE_FAULTS_SEED", "0"))


def test_there_are_two_thousand_cases() -> None:
    assert sum(COUNTS.values()) == 2000


@pytest.mark.parametrize("suite", COUNTS)
def test_a_reader_reads_or_refuses(suite: str, tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    outcomes = judge_suite(suite, COUNTS[suite], SEED, tmp_path)
    record_property("faults", summary_row(suite, outcomes))
    faults = [f"{outcome.name}: {outcome.detail}" for outcome in outcomes if outcome.kind == "FAULT"]
    assert not faults, f"{len(faults)} of {len(outcomes)}:\n" + "\n".join(faults)
    assert any(outcome.kind == "read" for outcome in outcomes)
    assert any(outcome.kind == "refused" for outcome in outcomes)
