"""Images through the public door: fit, score, explain, save; on small gratings with planted blots."""

import json
import warnings

import numpy as np
import pytest
from PIL import Image

from oddwave.config import preset
from oddwave.detection.image.grid_choice import choose_grids
from oddwave.detection.image.model import ImageModel
from oddwave.detection.image.terms import new_terms
from oddwave.detector import Detector
from oddwave.errors import ConfigError, DataError, NotFittedError
from oddwave.report.outputs import write_outputs
from oddwave.sources.image.reader import read_images
from oddwave.tensors.image_frame import ImageFrame

TINY = (
    "training.num_steps=8",
    "training.batch_size=8",
    "training.num_validation_draws=4",
    "network.base_channels=8",
    "scoring.memory_size=200",
    "image.size_px=64",
    "maps.memory_grid=8",
    "maps.denoiser_grid=8",
    "maps.pixel_size_px=32",
)
DENOISER = "image.method=denoiser"
SMALLEST = (
    DENOISER,
    "training.num_steps=3",
    "training.batch_size=4",
    "training.num_validation_draws=2",
    "scoring.noise_levels=[0.3]",
)


def tiny(*more):
    return preset("fast", "image").with_overrides([*TINY, *more])


def grating(seed, height=64, width=64):
    rng = np.random.default_rng(seed)
    x = np.mgrid[:height, :width][1]
    wave = 0.5 + 0.2 * np.sin(2 * np.pi * (x + rng.uniform(0, 2)) / 8)
    return np.clip(wave + rng.normal(0, 0.02, (height, width)), 0, 1)


def blotted(seed, top=24, left=24, size=14, height=64, width=64):
    image = grating(seed, height, width)
    image[top : top + size, left : left + size] = 0.95
    return image


@pytest.fixture(scope="module")
def good():
    return [grating(seed) for seed in range(30)]


@pytest.fixture(scope="module", params=["retrieval", pytest.param("denoiser", marks=pytest.mark.slow)])
def detector(request, good):
    return Detector(tiny(f"image.method={request.param}")).fit(good)


@pytest.fixture(scope="module")
def denoiser(good):
    return Detector(tiny(DENOISER)).fit(good)


@pytest.fixture(scope="module")
def new():
    return [grating(100), blotted(101), grating(102), blotted(103)]


def test_defects_score_higher_and_are_outlined_where_they_are(detector, new):
    result = detector.score(new, alpha=0.15)
    scores = [image.scores[0] for image in result.images]
    assert min(scores[1], scores[3]) > max(scores[0], scores[2])
    assert [int(image.labels[0]) for image in result.images][1::2] == [1, 1]
    region = result.images[1].events[0]
    assert region.left_px <= region.peak_x_px < region.right_px
    assert 16 <= region.peak_x_px < 48
    assert 16 <= region.peak_y_px < 48
    assert region.area_px < 64 * 64 / 2
    assert result.calibration.num_points == (6 if detector.config.image.method == "denoiser" else 30)


def test_a_score_is_the_same_whatever_lies_beside_it(detector, new):
    together = detector.decision_function(new)
    apart = np.concatenate([detector.decision_function([image]) for image in new])
    np.testing.assert_allclose(together, apart, rtol=1e-6)
    np.testing.assert_allclose(detector.decision_function(new[::-1])[::-1], together, rtol=1e-6)


def test_everything_comes_back_from_a_saved_model(detector, new, tmp_path):
    loaded = Detector.load(detector.save(tmp_path / "model"))
    np.testing.assert_allclose(loaded.decision_function(new), detector.decision_function(new), rtol=1e-3)
    assert loaded.inner.facts() == detector.inner.facts()
    assert loaded.threshold_ == detector.threshold_
    assert loaded.predict(new, alpha=0.15).tolist() == detector.predict(new, alpha=0.15).tolist()


def test_the_same_seed_gives_the_same_model(good, detector, new):
    again = Detector(detector.config).fit(good)
    np.testing.assert_allclose(again.decision_function(new), detector.decision_function(new), rtol=1e-3)


def test_a_normal_version_differs_where_the_defect_is(detector, new):
    image = detector.score(new, alpha=0.15).images[1]
    assert image.reconstruction is not None
    small = np.asarray(Image.fromarray(new[1].astype(np.float32)).resize(image.reconstruction.shape[1::-1]))
    change = np.abs(image.reconstruction[..., 0] - small)
    third = len(change) // 3
    assert change[third:-third, third:-third].mean() > 2 * change[: third // 2, : third // 2].mean()
    assert sum(band.share for band in image.bands) == pytest.approx(1.0)


@pytest.mark.parametrize("space", [pytest.param("pixel", marks=pytest.mark.slow), "both"])
def test_the_diffusion_may_run_on_pixels(good, new, space, tmp_path):
    config = tiny(f"maps.space={space}", "training.feature_loss_weight=0.5", *SMALLEST)
    fitted = Detector(config).fit(good[:12])
    assert any(term.startswith("recon.") for term in fitted.inner.model.term_names)
    result = fitted.score(new, alpha=0.4)
    assert result.images[1].reconstruction is not None
    loaded = Detector.load(fitted.save(tmp_path / "model"))
    np.testing.assert_allclose(loaded.decision_function(new), result.scores, rtol=1e-3)


def test_the_error_may_be_the_place_of_arrival_of_an_inversion(good, new):
    fitted = Detector(tiny(DENOISER, "maps.error=inversion", "scoring.noise_levels=[0.5]")).fit(good)
    terms = fitted.inner.model.score(fitted.inner.read(new).items)
    parts = [own.parts["recon"] for own in terms]
    assert min(parts[1], parts[3]) > max(parts[0], parts[2])


@pytest.mark.slow
def test_grids_left_open_are_chosen_on_synthetic_defects_and_stay_chosen(good, new, tmp_path):
    detector = Detector(tiny(*SMALLEST, "maps.memory_grid=auto", "maps.denoiser_grid=auto")).fit(good[:12])
    detector.save(tmp_path / "model")
    grids = json.loads(next((tmp_path / "model").glob("*/config.json")).read_text())["choices"]["grids"]
    sides = {f"{name}_grid {side}" for name in ("memory", "denoiser") for side in (16, 32)}
    assert grids["synthetic_auroc"].keys() == sides
    assert all(0.0 <= value <= 1.0 for value in grids["synthetic_auroc"].values())
    again = Detector.load(tmp_path / "model")
    np.testing.assert_allclose(again.decision_function(new), detector.decision_function(new), rtol=1e-3)


def test_no_grid_is_tried_that_no_term_looks_at(good):
    paper = ("maps.memory_grid=auto", "maps.denoiser_grid=auto", "maps.space=pixel", "maps.patch_memory=false")
    assert "grids" not in Detector(tiny(*SMALLEST, *paper)).fit(good[:12]).inner.choices


@pytest.mark.parametrize(("fine", "chosen"), [(0.9, 32), (0.51, 16)])
def test_another_grid_is_taken_only_where_it_is_clearly_better(good, monkeypatch, fine, chosen):
    found = {16: {"recon.feature": 0.5, "memory.patch": 0.5}, 32: {"recon.feature": fine, "memory.patch": 0.5}}

    def fit(engine, *_, **__):
        engine.evidence["terms"] = {"synthetic_auroc": found[engine.config.maps.memory_grid]}

    monkeypatch.setattr(ImageModel, "fit", fit)
    config = tiny(DENOISER, "maps.memory_grid=auto", "maps.denoiser_grid=auto")
    items = read_images(good).items
    settled, _ = choose_grids(config, ImageFrame(64, "stretch", 1), None, items, items[:20], new_terms, False)
    assert settled.maps.grids == (32, chosen)


@pytest.mark.parametrize("method", ["retrieval", pytest.param("denoiser", marks=pytest.mark.slow)])
def test_large_images_are_cut_in_tiles(good, method):
    wide = [np.concatenate([grating(seed), grating(seed + 50)], axis=1) for seed in range(12)]
    tiled = Detector(tiny("image.tile_px=64", f"image.method={method}")).fit(wide)
    odd = np.concatenate([grating(1), blotted(2)], axis=1)
    result = tiled.score([odd, wide[0]], alpha=0.5)
    odd_map = result.images[0].anomaly_map
    assert odd_map.shape[1] > 1.5 * odd_map.shape[0]
    assert np.unravel_index(odd_map.argmax(), odd_map.shape)[1] > odd_map.shape[1] / 2
    normal = result.images[0].reconstruction
    assert normal.shape == (64, 128, 1)
    change = np.abs(normal[..., 0] - odd)
    assert change[24:38, 88:102].mean() > 5 * change[:, :48].mean()
    assert sum(band.share for band in result.images[0].bands) == pytest.approx(1.0)


@pytest.mark.parametrize("method", ["retrieval", pytest.param("denoiser", marks=pytest.mark.slow)])
def test_only_the_region_of_interest_is_monitored(good, tmp_path, method):
    roi = np.zeros((64, 64), np.uint8)
    roi[:32] = 255
    Image.fromarray(roi).save(tmp_path / "roi.png")
    masked = Detector(tiny(f"image.method={method}"), read_options={"roi": str(tmp_path / "roi.png")}).fit(good)
    outside, inside = masked.decision_function([blotted(7, top=48), blotted(7, top=8)])
    assert inside > outside
    assert Detector.load(masked.save(tmp_path / "model")).inner.model.roi[:32].all()


def test_unreadable_images_become_rows_that_say_so(detector, new, tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    Image.fromarray((255 * new[0]).astype(np.uint8)).save(folder / "fine.png")
    (folder / "bröken one.png").write_bytes(b"no image at all")
    result = detector.score(folder, alpha=0.15)
    assert [image.id for image in result.images] == ["bröken one.png", "fine.png"]
    failed = [image for image in result.images if image.error]
    assert [image.id for image in failed] == ["bröken one.png"]
    assert np.isnan(failed[0].scores[0])
    assert failed[0].labels[0] == -1
    files = write_outputs(result, tmp_path / "out")
    assert {path.name for path in files} == {"scores.csv", "events.csv", "summary.json", "report.html"}


def test_images_that_were_trained_on_are_named(detector, good):
    result = detector.score(good[:2], alpha=0.15)
    assert any("trained on" in note for note in result.images[0].notes)


def test_what_cannot_be_learnt_from_is_refused(good):
    with pytest.raises(DataError, match="give at least 10 good ones"):
        Detector(tiny(DENOISER)).fit(good[:5])
    with pytest.raises(DataError, match="denoiser of images needs good ones"):
        Detector(tiny(DENOISER)).detect(good)
    with pytest.raises(NotFittedError):
        Detector(tiny()).score(good)
    with pytest.raises(ConfigError, match="num_noise_draws=0 is for images"):
        preset("fast").with_overrides(["scoring.num_noise_draws=0"])


@pytest.mark.parametrize(
    ("same", "settings"),
    [
        pytest.param(np.full((64, 64), 0.5), (*SMALLEST, "image.tile_px=48"), marks=pytest.mark.slow),
        (grating(1), (*SMALLEST, "maps.statistics=true")),
        (np.full((64, 64), 0.5), ("image.tile_px=48",)),
        pytest.param(grating(1), (), marks=pytest.mark.slow),
    ],
    ids=["blank tiles, denoiser", "grating, denoiser", "blank tiles", "grating"],
)
def test_identical_images_are_learnt_with_a_warning_and_without_a_number_going_wrong(same, settings, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fitted = Detector(tiny(*settings)).fit([same] * 12)
        result = fitted.score([same, blotted(1)], alpha=0.5)
    assert np.isfinite(result.scores).all()
    assert result.scores[1] > result.scores[0]
    if fitted.config.image.method == "retrieval":
        assert result.labels.tolist() == [0, 1]  # features differ by rounding: the very same image is normal
    assert any("all training images look the same" in note for note in fitted.meta["warnings"])
    write_outputs(result, tmp_path / "out")
    assert "all training images look the same" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")


@pytest.mark.slow
def test_training_goes_on_where_it_stopped(good, denoiser, new, tmp_path, monkeypatch):
    from oddwave.training.run import TrainingRun

    advance, count = TrainingRun.advance, iter(range(100))

    def interrupted(run):
        if next(count) == 5:
            raise KeyboardInterrupt
        advance(run)

    monkeypatch.setattr(TrainingRun, "advance", interrupted)
    with pytest.raises(KeyboardInterrupt):
        Detector(tiny(DENOISER)).fit(good, checkpoint_dir=tmp_path)
    monkeypatch.setattr(TrainingRun, "advance", advance)
    resumed = Detector(tiny(DENOISER)).fit(good, checkpoint_dir=tmp_path, resume=True)
    np.testing.assert_allclose(resumed.decision_function(new), denoiser.decision_function(new), rtol=1e-4)


def test_images_under_another_light_are_a_drift_and_not_as_many_anomalies(detector):
    dark = detector.score([0.4 * grating(seed) for seed in range(100, 112)], alpha=0.15, explain="none")
    (found,) = dark.drift
    assert (found.since, found.share) == (0, 1.0)
    assert found.moved in ("brightness", "contrast")  # less light has less of both
    assert found.shift < -3
    good = detector.score([grating(seed) for seed in range(100, 112)], alpha=0.15, explain="none")
    assert good.drift == ()
