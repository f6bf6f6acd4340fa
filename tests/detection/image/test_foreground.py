"""The part on a background: found without labels where there is one, and never in a texture."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy import ndimage

from oddwave.config import preset
from oddwave.detection.image.foreground import Foreground, OnPart, found_part, learn_foreground, marked
from oddwave.detection.image.retrieval_model import RetrievalModel, frozen_grid
from oddwave.detector import Detector
from oddwave.records import ImageRegion, ImageResult
from oddwave.sources.image.reader import read_images
from oddwave.tensors.image_frame import ImageFrame

SIDE = 96
DOWN, ACROSS = np.mgrid[:SIDE, :SIDE]


def part(rng: np.random.Generator) -> np.ndarray:
    """A bright disc with rings somewhere on a dark, rough ground."""
    row, column = rng.uniform(40, 56, 2)
    away = np.hypot(DOWN - row, ACROSS - column)
    ground = 0.2 + 0.03 * rng.normal(size=(SIDE, SIDE))
    return np.where(away < 22, 0.7 + 0.1 * np.sin(away), ground)


def noise(rng: np.random.Generator) -> np.ndarray:
    return rng.uniform(0.2, 0.8, (SIDE, SIDE))


def shaded_texture(rng: np.random.Generator) -> np.ndarray:
    shade = np.exp(-((DOWN - 48) ** 2 + (ACROSS - 48) ** 2) / 2 / 50**2)
    return shade * (0.6 + ndimage.gaussian_filter(rng.normal(size=(SIDE, SIDE)), 2))


def stripes(rng: np.random.Generator) -> np.ndarray:
    return 0.5 + 0.4 * np.sin((ACROSS + rng.uniform(0, 50)) / 3)


def flat(rng: np.random.Generator) -> np.ndarray:
    return np.full((SIDE, SIDE), 0.5)


def images(make: Callable[[np.random.Generator], np.ndarray], num: int = 12) -> np.ndarray:
    made = [np.clip(make(np.random.default_rng(seed)), 0, 1) for seed in range(num)]
    return np.stack(made).astype(np.float32)[..., None]


def found(make: Callable[[np.random.Generator], np.ndarray], *settings: str) -> tuple[RetrievalModel, np.ndarray]:
    config = preset("fast", "image").with_overrides([f"image.size_px={SIDE}", "maps.memory_grid=32", *settings])
    values = images(make)
    model = RetrievalModel(config, frozen_grid(config), ImageFrame(SIDE, "stretch", 1))
    items = read_images(list(values)).items
    model.foreground, evidence = found_part(items, model.cutter, model.grid, torch.device("cpu"))
    model.evidence["foreground"] = evidence
    return model, values


def test_a_part_is_found_wherever_it_lies() -> None:
    model, values = found(part)
    assert model.evidence["foreground"]["chosen"] == "found"
    for value in values[:4]:
        own = model.part_in(model.frame.prepare(value)[None])
        assert own is not None
        disc = np.kron(own, np.ones((3, 3), bool))
        truth = ndimage.binary_opening(value[..., 0] > 0.5, iterations=2)
        assert disc[truth].mean() > 0.95
        assert disc[~ndimage.binary_dilation(truth, iterations=20)].mean() < 0.05


@pytest.mark.parametrize("make", [noise, shaded_texture, stripes, flat])
def test_textures_have_none(make: Callable[[np.random.Generator], np.ndarray]) -> None:
    model, values = found(make)
    assert model.foreground is None
    assert model.evidence["foreground"]["chosen"] == "none"
    assert "no part on a background was found: " in model.evidence["foreground"]["why"]
    assert model.part_in(model.frame.prepare(values[0])[None]) is None


@pytest.mark.parametrize("settings", [["image.foreground=off"], ["image.tile_px=48"]])
def test_it_is_not_looked_for_where_it_is_not_wanted_or_cannot_be(settings: list[str]) -> None:
    model, _ = found(part, *settings)
    assert model.foreground is None
    assert model.evidence["foreground"] == {}


def test_features_of_two_kinds_part_at_their_threshold() -> None:
    rng = np.random.default_rng(0)
    features = torch.from_numpy(rng.normal(size=(6, 5, 32, 32)).astype(np.float32)) + 100
    features[:, 2, 10:20, 12:24] += 50
    foreground, told = learn_foreground(features)
    assert foreground is not None
    assert told["separation"] > 0.9
    assert foreground.weights.abs().argmax() == 2
    own = foreground.of(features[:1])[0]
    assert own[10:20, 12:24].all()
    assert own.sum() < 16 * 18  # two more places around it, and corners left out
    features[0, 2, 4, 4] += 50  # dust
    assert not foreground.of(features[:1])[0][4, 4]
    features[0, 2, :2] += 50  # a border that padding makes another kind of place
    assert not foreground.of(features[:1])[0][:2].any()


def region(left: int, top: int) -> ImageRegion:
    return ImageRegion("a", left, top, left + 20, top + 10, left, top, 100, 5.0, 0.01)


def test_regions_are_told_to_lie_on_the_part_or_off_it() -> None:
    score, heat = np.array([5.0]), np.zeros((64, 64), np.float32)
    result = ImageResult(
        "a", score, score / 500, np.array([1]), (200, 400), heat, events=(region(0, 0), region(190, 90))
    )
    own = np.zeros((32, 32), bool)
    own[12:20, 12:20] = True
    told = marked(result, own, ImageFrame(64, "stretch", 1))
    assert [each.on_part for each in told.events] == [False, True]
    assert told.part is not None
    assert told.part.shape == (64, 128)
    assert marked(result, np.zeros((32, 32), bool), ImageFrame(64, "stretch", 1)) == result


class Seeing(torch.nn.Module):
    """A scorer that hands on what is monitored."""

    def features(self, x: torch.Tensor) -> torch.Tensor:
        return x

    def distances(self, features: torch.Tensor) -> torch.Tensor:
        return features

    def of_distances(self, distances: torch.Tensor, monitored: torch.Tensor) -> torch.Tensor:
        return monitored


def test_where_nothing_else_counts_an_image_without_the_part_counts_as_a_whole() -> None:
    x = torch.zeros(2, 1, 32, 32)
    x[0, 0, 10:20, 10:20] = 1.0
    seen = torch.ones(2, 64, 64, dtype=torch.bool)
    seen[:, :, 40:] = False
    monitored = OnPart(Seeing(), Foreground(torch.ones(1), 0.5))(x, seen)  # type: ignore[arg-type]
    assert monitored[0, 20:40, 20:40].all()
    assert not monitored[0, :14].any()
    assert not monitored[0, :, 40:].any()
    assert torch.equal(monitored[1], seen[1])


@pytest.fixture(scope="module")
def scored() -> dict[str, list[ImageResult]]:
    """Parts, one with a scratch and one with dust beside it, as models with all settings see them, saved and loaded."""
    new = images(lambda rng: part(rng), 14)[12:]
    new[0, 44:50, 40:56] = 0.1
    new[1, 3:9, 3:9] = 0.9
    results = {}
    for setting in ("auto", "on", "off"):
        settings = [f"image.size_px={SIDE}", f"image.foreground={setting}"]
        detector = Detector(preset("fast", "image").with_overrides(settings)).fit(images(part, 12))
        results[setting] = list(detector.score(list(new), alpha=0.1).images)
    return results


@pytest.mark.slow
def test_what_lies_off_the_part_is_marked_or_does_not_count(scored: dict[str, list[ImageResult]]) -> None:
    scratch, dust = scored["auto"]
    assert scratch.flagged
    assert scratch.events[0].on_part is True
    assert dust.flagged
    assert dust.events[0].on_part is False
    assert [item.score for item in scored["off"]] == [scratch.score, dust.score]
    assert [event.on_part for item in scored["off"] for event in item.events] == [None] * len(
        [event for item in scored["auto"] for event in item.events]
    )
    scratch, dust = scored["on"]
    assert scratch.flagged
    assert dust.score < scored["auto"][1].score / 2


@pytest.mark.slow
def test_the_part_is_saved_with_the_model(tmp_path) -> None:
    detector = Detector(preset("fast", "image").with_overrides([f"image.size_px={SIDE}"])).fit(images(part, 12))
    loaded = Detector.load(detector.save(tmp_path / "model"))
    one, other = (each.inner.model.foreground for each in (detector, loaded))
    assert torch.equal(one.weights, other.weights)
    assert one.threshold == other.threshold
