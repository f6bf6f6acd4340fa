"""Drift in words: the headline where most of the data are unlike what was learnt, a sentence otherwise."""

from dataclasses import replace

import numpy as np
import pytest

from oddwave.records import CalibrationSummary, Drift, ImageResult, SeriesResult
from oddwave.report.verdict import verdict_sentences
from oddwave.results import DetectionResult

NAN = float("nan")


def result_of(kind, items, *drift):
    calibration = CalibrationSummary(0.05, 2.0, 100, 100, 1, "images held back", np.linspace(0, 1, 100))
    modality = "series" if kind == "stream" else kind
    return DetectionResult(modality, kind, tuple(items), calibration, drift=drift)


def image(number, score):
    scores = np.array([score])
    label = (scores > 2).astype(int)
    return ImageResult(f"{number}.png", scores, np.array([0.01]), label, (4, 4), np.zeros((2, 2)))


def stream(name="pump"):
    zeros, seen = np.zeros(50), np.ones((50, 1), bool)
    return SeriesResult(name, zeros, zeros + 0.5, zeros.astype(int), np.zeros((50, 1)), seen, ("flow",))


DARKER = Drift("4.png", 4, "brightness", -6.25, 0.6, 1.0, 900.0, 1e-5)
IMAGES = [image(number, 1.0 if number < 4 else 5.0) for number in range(10)]


def test_most_images_under_other_light_get_the_headline():
    tone, headline, detail = verdict_sentences(result_of("image", IMAGES, DARKER))
    assert tone == "found"
    assert headline == (
        "These data do not resemble what was learned (drift since 4.png: brightness lies 6.2 usual deviations lower)"
    )
    assert detail.startswith("From 4.png on, about 100 % of the images are unlike normal ones: brightness lies")
    assert "6 of 10 images are anomalous" in detail


@pytest.mark.parametrize(
    ("drift", "told"),
    [
        (replace(DARKER, share=0.4), "From 4.png on, about 100 % of the images are unlike normal ones: brightness"),
        (replace(DARKER, moved="", shift=NAN), "as many anomalies, or, if these images were expected to be normal"),
    ],
)
def test_otherwise_the_anomalies_are_counted_and_a_sentence_is_added(drift, told):
    _, headline, detail = verdict_sentences(result_of("image", IMAGES, drift))
    assert headline == "6 of 10 images are anomalous"
    assert told in detail
    assert detail.startswith("The most abnormal is ")


def test_a_stream_has_its_point_and_channel_and_is_not_all_clear():
    drift = Drift("pump", 0, "level of flow", 4.0, 0.9, 0.9, 300.0, 0.01)
    tone, headline, _ = verdict_sentences(result_of("stream", [stream()], drift))
    assert tone == "partial"
    assert headline == (
        "These data do not resemble what was learned (from the beginning: level of flow lies 4 usual deviations higher)"
    )
    later = result_of("stream", [stream()], replace(drift, since=30, share=0.3))
    assert "From point 30 on, about 90 % of the points are" in verdict_sentences(later)[2]


def test_one_of_several_streams_is_a_sentence_that_names_it():
    drift = Drift("b", 0, "level of flow", 4.0, 0.9, 0.9, 300.0, 0.01)
    items = [stream("a"), stream("b"), stream("c")]
    tone, headline, detail = verdict_sentences(result_of("stream", items, drift))
    assert (tone, headline) == ("clear", "Nothing above the threshold")
    assert "about 90 % of the points of b are unlike normal ones: level of flow lies 4 usual" in detail
