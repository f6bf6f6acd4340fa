"""One verdict for several senses: matched by name, what is missing told, each sense's share."""

from dataclasses import replace

import numpy as np
import pytest

import oddwave
from oddwave.calibration.conformal import Calibration
from oddwave.calibration.rule import Rule
from oddwave.errors import ConfigError, DataError
from oddwave.results import DetectionResult, ImageResult


def result(modality, summary, **p_values):
    items = tuple(
        ImageResult(
            id=name.replace("_png", ".png").replace("_wav", ".wav"),
            scores=np.array([1.0]),
            p_values=np.array([p]),
            labels=np.array([-1 if np.isnan(p) else int(p <= 0.01)]),
            size=(8, 8),
            anomaly_map=np.zeros((4, 4), np.float32),
            error="cannot be read" if np.isnan(p) else "",
        )
        for name, p in p_values.items()
    )
    return DetectionResult(modality, "image", items, summary)


@pytest.fixture(scope="module")
def summary():
    scores = np.linspace(0.0, 1.0, 99)
    return Calibration(scores, scores, 1, "made up").summary(Rule(0.01))


def test_things_are_matched_by_name(summary):
    eye = result("image", summary, a_png=0.3, b_png=0.004, c_png=float("nan"))
    ear = result("audio", summary, b_wav=0.004, a_wav=0.9, d_wav=0.2)
    a, b, c, d = oddwave.fuse([eye, ear], alpha=0.01)
    assert [own.id for own in (a, b, c, d)] == ["a", "b", "c", "d"]
    assert (b.label, b.p_value) == (1, pytest.approx(0.004))
    assert b.shares == {"image": pytest.approx(0.5), "audio": pytest.approx(0.5)}
    assert (a.label, a.strongest) == (0, "image")
    assert (c.label, c.missing) == (-1, {"image": "cannot be read", "audio": "has no item of this name"})
    assert np.isnan(c.p_value)
    assert (d.p_value, d.missing) == (0.2, {"image": "has no item of this name"})


def test_two_weak_signs_are_one_strong_by_fisher_alone(summary):
    both = {"eye": result("image", summary, x=0.02), "ear": result("audio", summary, x=0.03)}
    assert oddwave.fuse(both, method="fisher")[0].label == 1
    assert oddwave.fuse(both, method="cauchy")[0].label == 0


def test_refusals(summary):
    one = result("image", summary, x=0.02)
    with pytest.raises(DataError, match="two or more"):
        oddwave.fuse([one])
    twice = result("image", summary, x_png=0.02, x_wav=0.03)
    with pytest.raises(DataError, match=r"more than one item for 'x'.*name_of"):
        oddwave.fuse([one, twice])
    assert len(oddwave.fuse([one, twice], name_of=str)) == 3
    with pytest.raises(ConfigError):
        oddwave.fuse([one, one], method="median")
    with pytest.raises(ConfigError):
        oddwave.fuse([one, replace(one)], alpha=2)
