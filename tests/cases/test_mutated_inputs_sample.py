"""A quick sample of `make test-faults`: some of its damaged and odd inputs, the slow ones left out."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "faults"))
from input_cases import case_names
from workers import judge_cases

QUICK = ("series text", "series arrays", "images", "audio", "places")
SLOW = ("bomb", "pages", "repeated", "size", "deep", "crowd", "pipe", "pixels", "extras", "many")


@pytest.mark.skipif(sys.platform != "linux", reason="measures memory by /proc")
def test_a_sample_of_mutated_inputs_is_read_or_refused(tmp_path: Path) -> None:
    names = [name for suite in QUICK for name in case_names(suite, 16) if not any(word in name for word in SLOW)]
    outcomes = judge_cases(names, 0, tmp_path)
    assert len(outcomes) > 60
    assert [f"{outcome.name}: {outcome.detail}" for outcome in outcomes if outcome.kind == "FAULT"] == []
