"""How far beyond normal a finding lies, in words: weak and strong ones look different, and too few normals say less."""

from dataclasses import dataclass
from math import nan

import numpy as np
import pytest

from oddwave.calibration.conformal import Calibration
from oddwave.records import UNKNOWN, Strength
from oddwave.report.wording import finding_text, rarity_sentence, severity_text, severity_word

BLOCKS = np.random.default_rng(0).gumbel(size=36)
NORMAL = Calibration(BLOCKS, BLOCKS, 10, "tests")


@dataclass
class Found:
    strength: Strength
    score: float = 9.0
    p_value: float = 1 / 37


@pytest.mark.parametrize(
    ("away", "word", "beside"),
    [(0.1, "weak", "above all of 36 normal blocks"), (12.0, "clear", "none of 36 normal blocks came near"),
     (60.0, "extreme", "none of 36 normal blocks came near")],
)  # fmt: skip
def test_stronger_findings_have_stronger_words(away, word, beside):
    strength = NORMAL.strength(float(BLOCKS.max()) + away)
    text = severity_text(strength, "block")
    assert severity_word(strength) == word
    assert text.startswith(f"{word}: ")
    assert "times the usual deviation" in text
    assert beside in text
    assert "by extrapolation about 1 in" in text


def test_what_some_normals_reach_is_told_as_such():
    text = severity_text(NORMAL.strength(float(np.sort(BLOCKS)[-3]) - 1e-6), "block")
    assert text.endswith("3 of 36 normal blocks reach it")
    assert "extrapolation" not in text


def test_few_normals_say_how_far_and_no_more():
    few = Calibration(np.array([1.0, 1.5, 2.0]), np.array([1.0, 1.5, 2.0]), 1, "tests").strength(9.0)
    assert severity_text(few, "image") == "10 times the usual deviation, none of 3 normal images came near"
    assert severity_text(UNKNOWN, "image") == ""
    assert finding_text(Found(UNKNOWN)) == "score 9.00  p 0.027"
    assert rarity_sentence(Found(UNKNOWN), 36, "images", "score this high").startswith("None of the 36 normal images")
    assert severity_word(Strength(p_tail=nan)) == ""
