"""Images by retrieval: every image calibrates, compared with the others and not with its near-copies."""

import numpy as np
import pytest
import torch

from oddwave.config import preset
from oddwave.detection.image.near_copies import near_copy_groups
from oddwave.detection.image.normal_copies import NormalCopies, small_copy
from oddwave.detection.image.retrieval_scorer import Usual
from oddwave.detector import Detector

TINY = ("scoring.memory_size=200", "image.size_px=64", "maps.memory_grid=8", "maps.denoiser_grid=8")


def bar(seed, width=0.25):
    """A bar at a place of its own, on a ground with grain."""
    rng = np.random.default_rng(seed)
    column = np.arange(64) / 64
    light = 0.3 + 0.4 * ((column > (start := rng.uniform(0.2, 0.5))) & (column < start + width))
    return np.clip(light + rng.normal(0, 0.03, (64, 64)), 0, 1)


def fitted(images, *settings):
    return Detector(preset("fast", "image").with_overrides([*TINY, *settings])).fit(images)


@pytest.fixture(scope="module")
def detector():
    return fitted([bar(seed) for seed in range(30)])


def test_every_image_calibrates_and_new_ones_score_alike(detector):
    calibration = detector.calibration
    assert (len(calibration.scores), detector.inner.meta["num_calibration_images"]) == (30, 30)
    new = detector.decision_function([bar(seed) for seed in range(100, 130)])
    assert abs(np.median(calibration.scores) - np.median(new)) < 2 * np.std(new)
    own = detector.decision_function([bar(seed) for seed in range(30)])
    assert np.median(calibration.scores) > np.median(own)  # compared with the others, not with itself


def test_copies_do_not_lower_the_threshold():
    rng, images = np.random.default_rng(0), [bar(seed) for seed in range(12)]
    doubled = [np.clip(image + rng.normal(0, 0.001, image.shape), 0, 1) for image in images for _ in range(2)]
    model = fitted(doubled)
    assert model.choices["training"]["num_groups"] == 12
    assert any("nearly copies" in note for note in model.meta["warnings"])
    assert np.median(model.calibration.scores) > np.median(model.decision_function(doubled)) + 1


def test_near_copies_are_found_among_scattered_images_only():
    rng = np.random.default_rng(0)
    scattered = rng.normal(size=(60, 40))
    assert len(np.unique(near_copy_groups(scattered))) == 60
    copied = np.concatenate([scattered, scattered[:5] + 0.01 * rng.normal(size=(5, 40))])
    groups = near_copy_groups(copied)
    np.testing.assert_array_equal(groups[:5], groups[60:])
    assert len(np.unique(groups)) == 60
    chain = 0.01 * np.arange(50)[:, None] * np.ones(3)
    assert np.bincount(near_copy_groups(np.concatenate([chain, scattered[:, :3] * 9]))).max() <= 22


def test_what_is_usual_at_a_place_counts_the_more_images_there_are():
    rng = np.random.default_rng(0)
    restless = np.ones((64, 64))
    restless[:32] = 5.0
    units = []
    for num in (4, 400):
        maps = rng.normal(size=(num, 64, 64)) * restless
        own = Usual.of(num, maps.sum(0), np.square(maps).sum(0), by_place=True)
        units.append(own.unit[:28].mean() / own.unit[36:].mean())
    assert 1.0 < units[0] < 2.0 < units[1]


def test_the_normal_version_is_the_kept_image_that_is_nearest_elsewhere():
    squares = torch.from_numpy(np.stack([bar(seed) for seed in range(6)])[:, None].astype(np.float32) * 2 - 1)
    copies = NormalCopies.of([small_copy(squares)])
    odd = squares[3:4].clone() + 0.1  # as the fourth, in brighter light
    odd[..., 20:40, 20:40] = 1.0
    mask = torch.zeros(1, 64, 64)
    mask[:, 18:42, 18:42] = 1.0
    shown = odd + torch.from_numpy(copies.changes(odd, mask))
    inner = (..., slice(20, 40), slice(20, 40))
    assert float((shown - squares[3:4] - 0.1)[inner].abs().mean()) < 0.02
    assert torch.equal(shown[..., :15, :], odd[..., :15, :])


def test_images_are_judged_among_themselves():
    images = [bar(seed) for seed in range(20)]
    images[7][20:40, 20:40] = 0.95
    result = Detector(preset("fast", "image").with_overrides(TINY)).detect(images, alpha=0.06)
    assert (len(result.images), int(np.argmax(result.scores))) == (20, 7)
    assert result.images[7].flagged
    assert result.images[7].events
    assert result.images[7].reconstruction is not None
    assert result.calibration.num_points < 20  # the odd one does not calibrate


def test_an_unreadable_image_keeps_its_place_among_themselves(tmp_path):
    from PIL import Image

    for seed in range(14):
        Image.fromarray(np.uint8(255 * bar(seed))).save(tmp_path / f"{seed:02d}.png")
    (tmp_path / "03.png").write_bytes((tmp_path / "03.png").read_bytes()[:2000])
    (tmp_path / "05.png").write_bytes(b"nothing")
    result = Detector(preset("fast", "image").with_overrides(TINY)).detect(tmp_path, alpha=0.1)
    assert [image.label == -1 for image in result.images] == [number in (3, 5) for number in range(14)]
    assert all(result.images[number].error for number in (3, 5))


@pytest.mark.parametrize("num", [1, 4])
def test_a_few_images_give_a_warned_answer(num):
    model = fitted([bar(seed) for seed in range(num)])
    assert any(f"no p-value lies below 1/{num + 1}" in note for note in model.meta["warnings"])
    odd = bar(50)
    odd[20:44, 8:32] = np.indices((24, 24)).sum(0) % 2
    with pytest.warns(UserWarning, match="alpha raised"):
        result = model.score([bar(60), odd])
    assert result.scores[1] > result.scores[0]
    assert min(image.p_value for image in result.images) >= 1 / (num + 1) - 1e-9
    assert len(model.calibration.scores) == num
