"""Scores, maps, p-values, labels and events stand where the golden files have them; see `measure.py`.

On the machine that wrote the files (same processor, same torch) they hold to 1e-5, which is what lets code move without
moving numbers; elsewhere a training of a few steps rounds otherwise, and a hundredth is what is asked for.
"""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

SPEC = importlib.util.spec_from_file_location("golden_measure", Path(__file__).with_name("measure.py"))
measure = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(measure)


def compare(file: str, name: str, case) -> None:
    with np.load(Path(__file__).with_name(file)) as golden:
        expected = {key.partition(".")[2]: golden[key] for key in golden.files if key.startswith(f"{name}.")}
        tolerance = 1e-5 if str(golden["machine"]) == measure.machine() else 1e-2
    assert expected
    found = case()
    assert found.keys() == expected.keys()
    if tolerance > 1e-3:  # a label or an event may tip over by rounding
        expected = {key: expected[key] for key in ("scores", "decision", "maps") if key in expected}
    for key, array in expected.items():
        np.testing.assert_allclose(found[key], array, rtol=tolerance, atol=tolerance, err_msg=f"{name}: {key}")


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] * (name == "stream")) for name in measure.GENERATED]
)  # of streams, test_detector_scores.py holds the scores by default
def test_generated_data(name: str) -> None:
    compare("golden.npz", name, measure.GENERATED[name])


@pytest.mark.real
@pytest.mark.parametrize("name", measure.REAL)
def test_real_data(name: str) -> None:
    if not (measure.DATA / "nab").is_dir():
        pytest.skip("set ODDWAVE_DATA to the folder of the data sets")
    compare("golden_real.npz", name, measure.REAL[name])
