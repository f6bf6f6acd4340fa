"""What every detector does alike: streams results, explains on request, and lets neither change a score."""

import numpy as np
import pytest

from oddwave import Detector, preset
from oddwave.calibration.rule import Rule
from oddwave.errors import ConfigError, DataError, NotFittedError

RATE = 8000
FEW = (
    *("training.batch_size=8", "training.num_validation_draws=8", "network.base_channels=8"),
    *("scoring.memory_size=100", "reconstruction.num_inference_steps=4"),
)
TINY = (*FEW, "training.num_steps=4", "calibration.alpha=0.3")
NUM_NORMAL = {"series": 4, "image": 16, "audio": 14}
GRIDS = ("maps.memory_grid=8", "maps.denoiser_grid=8", "maps.pixel_size_px=32", "maps.taps=[0]")


def series(rng, odd=0.0):
    values = np.sin(np.arange(300) / 3)[:, None] + 0.1 * rng.normal(size=(300, 1))
    values[150:160] += odd
    return values


def image(rng, odd=0.0):
    values = np.clip(0.5 + 0.2 * np.sin(2 * np.pi * np.mgrid[:64, :64][1] / 8) + rng.normal(0, 0.02, (64, 64)), 0, 1)
    values[20:30, 20:30] = np.clip(values[20:30, 20:30] + odd, 0, 1)
    return values


def recording(rng, odd=0.0):
    time = np.arange(2 * RATE) / RATE
    return (0.05 * rng.normal(size=len(time)) + odd * np.sin(2000 * time)).astype(np.float32), RATE


MAKERS = {"series": series, "image": image, "audio": recording}
SETTINGS = {
    "series": ("series.window_sizes=[16]", "series.max_windows=100"),
    "image": (*GRIDS, "image.size_px=64"),
    "audio": (
        *(*GRIDS, f"audio.sample_rate={RATE}", "audio.clip_s=1.0", "audio.columns=128", "audio.num_rows=64"),
        "audio.num_background=12",
    ),
}
EXPLANATION = {"series": "reconstruction", "image": "reconstruction", "audio": "excerpt"}


def items(modality, strengths, seed):
    rng = np.random.default_rng(seed)
    made = [MAKERS[modality](rng, odd) for odd in strengths]
    return made if modality == "image" else {f"item_{n:02d}": own for n, own in enumerate(made)}


@pytest.fixture(scope="module", params=MAKERS)
def fitted(request):
    config = preset("fast", request.param).with_overrides([*TINY, *SETTINGS[request.param]])
    return Detector(config).fit(items(request.param, [0.0] * NUM_NORMAL[request.param], seed=0))


def explained(record, modality):
    return getattr(record, EXPLANATION[modality]) is not None


def test_records_are_streamed_and_explained_on_request_alone(fitted):
    modality = fitted.config.modality
    given = items(modality, [0.0, 0.5, 0.0], seed=1)
    by_choice = {choice: fitted.score(given, alpha=0.3, explain=choice) for choice in ("flagged", "all", "none")}
    for result in by_choice.values():
        np.testing.assert_array_equal(result.scores, by_choice["none"].scores)
        np.testing.assert_array_equal(result.labels, by_choice["none"].labels)
    assert by_choice["none"].items[1].flagged
    assert not any(explained(record, modality) for record in by_choice["none"].items)
    assert all(explained(record, modality) for record in by_choice["all"].items)
    assert [explained(r, modality) for r in by_choice["flagged"].items] == [r.flagged for r in by_choice["none"].items]
    streamed = fitted.iter_scores(given, alpha=0.3)
    assert next(streamed).id == by_choice["none"].items[0].id
    assert [record.score for record in streamed] == [record.score for record in by_choice["none"].items[1:]]


def test_an_items_explanation_is_the_same_alone_and_among_others(fitted):
    modality = fitted.config.modality
    given = items(modality, [0.0, 0.5, 0.0], seed=2)
    among = fitted.score(given, alpha=0.3, explain="all").items[1]
    alone = fitted.explain(given[1:2] if modality == "image" else {"item_01": given["item_01"]}, alpha=0.3)
    assert among.score == pytest.approx(alone.score, rel=1e-5)
    assert len(among.events) == len(alone.events)
    one, other = (getattr(record, EXPLANATION[modality]) for record in (among, alone))
    one, other = (own.normal if modality == "audio" else own for own in (one, other))
    np.testing.assert_allclose(one, other, atol=1e-4)


def test_labels_follow_from_scores_and_nothing_is_explained_for_them(fitted, monkeypatch):
    monkeypatch.setattr(type(fitted.inner), "_explain", lambda *_: pytest.fail("it explains"))
    given = items(fitted.config.modality, [0.0, 0.5], seed=3)
    labels = fitted.inner.calibration.labels(fitted.decision_function(given), Rule(0.3))
    if fitted.config.modality == "series":  # points within events, which are rarer than single points
        labels = np.concatenate([item.labels for item in fitted.score(given, alpha=0.3, explain="none").items])
    np.testing.assert_array_equal(fitted.predict(given, alpha=0.3), labels)


ITEM = {"series": "points", "image": "images", "audio": "recordings"}


def test_what_is_asked_for_instead_of_a_rate_decides_alike_and_is_told(fitted):
    modality = fitted.config.modality
    given = items(modality, [0.0, 0.9, 0.4], seed=5)

    def asked(**wish):
        result = fitted.score(given, explain="none", **wish)
        labels = np.concatenate([np.atleast_1d(item.label) for item in result.items])
        if modality != "series":  # of streams, predict has a row per point
            np.testing.assert_array_equal(fitted.predict(given, **wish), labels)
        return result

    strongest = asked(flag=1)
    assert [item.flagged for item in strongest.items] == [False, True, False]
    assert strongest.calibration.asked == "the 1 strongest findings were asked for"
    found = max((event.score for event in strongest.events), default=strongest.items[1].score)
    at = asked(threshold=strongest.calibration.threshold)
    assert [item.flagged for item in at.items] == [False, True, False]
    assert at.calibration.threshold == strongest.calibration.threshold <= found
    assert not asked(threshold=1e9).flagged
    budget = asked(false_alarms=f"3 per 10 {ITEM[modality]}" if modality != "series" else "3 per 160 points")
    assert budget.calibration.alpha == pytest.approx(0.3)
    assert "was asked for, which is alpha 0.3" in budget.calibration.asked
    with pytest.raises(ConfigError, match="what is judged here are" if modality != "image" else "have no times"):
        asked(false_alarms="1 per week" if modality == "image" else "1 per 100 parsecs")


def test_every_finding_says_how_far_beyond_normal_it_is(fitted):
    weak, strong = fitted.score(items(fitted.config.modality, [0.2, 0.9], seed=6), alpha=0.3, explain="none").items
    for item in (weak, strong):
        assert item.strength.num_normals > 0
    assert strong.strength.deviations > weak.strength.deviations
    if strong.strength.num_normals >= 6:  # fewer have no tail
        assert strong.strength.p_tail <= weak.strength.p_tail
        assert strong.strength.p_tail <= strong.p_value + 1e-9


def test_wishes_that_cannot_be_met_are_refused_before_the_work(fitted):
    given = items(fitted.config.modality, [0.0, 0.0], seed=4)
    with pytest.raises(ConfigError, match=r"explain is 'some': expected one of 'flagged', 'all', 'none'"):
        fitted.iter_scores(given, explain="some")
    with pytest.raises(DataError, match="were given to explain"):
        fitted.explain(given, alpha=0.3)
    with pytest.raises(NotFittedError):
        Detector(fitted.config).iter_scores(given)


@pytest.mark.parametrize(
    ("modality", "setting", "owner"),
    [
        ("series", "image.size_px=64", "of image, this detector is of series"),
        ("series", "maps.space=pixel", "of image and audio, this detector is of series"),
        ("image", "audio.clip_s=1.0", "of audio, this detector is of image"),
        ("audio", "series.max_windows=100", "of series, this detector is of audio"),
    ],
)
def test_settings_of_another_modality_are_refused_by_name(modality, setting, owner):
    with pytest.raises(ConfigError, match=owner):
        preset("fast", modality).with_overrides([setting])
    name, _, value = setting.partition("=")
    section, _, key = name.partition(".")
    with pytest.raises(ConfigError, match=owner):
        preset("fast", modality, **{section: {key: value}})


def test_settings_of_version_0_1_are_taken_with_a_warning():
    with pytest.warns(DeprecationWarning, match=r"'image.memory_grid' is 'maps.memory_grid' since 0.2"):
        config = preset("fast", "image").with_overrides(["image.memory_grid=8"])
    assert config.maps.memory_grid == 8
    with pytest.warns(DeprecationWarning, match="max_images"):
        assert preset("fast", "image", image={"max_pictures": 12}).image.max_images == 12


@pytest.mark.parametrize(
    "modality", ["image", *(pytest.param(name, marks=pytest.mark.slow) for name in ("series", "audio"))]
)
def test_the_papers_method_has_one_name(modality):
    config = preset("paper", modality)
    assert config.scoring.estimate == "reverse"
    assert config.training.prediction_type == "epsilon"
    additions = ("wavelet_pyramid", "attention", "shared_adapter", "hybrid_embedding")
    assert all(getattr(config.network, name) for name in additions)
    assert config.reconstruction.sampler == "ddpm"
    quick = ["diffusion.num_train_timesteps=8", "training.num_steps=3", *FEW]
    own = {
        "series": ("series.window_sizes=[16]", "series.max_windows=60"),
        "image": ("image.size_px=64", "maps.pixel_size_px=16"),
        "audio": (*SETTINGS["audio"][4:8], "maps.pixel_size_px=16"),
    }[modality]
    detector = Detector(config.with_overrides([*quick, *own, "calibration.alpha=0.3"]))
    detector.fit(items(modality, [0.0] * (1 if modality == "series" else 14), seed=0))
    result = detector.score(items(modality, [0.0, 0.5], seed=1), alpha=0.3)
    assert np.isfinite([record.score for record in result.items]).all()
    weights = result.model["reconstruction_weight"], result.model["memory_weight"]
    assert weights == (0.5, 0.0)


def test_the_detector_of_a_modality_is_found_under_its_old_name(fitted):
    with pytest.warns(DeprecationWarning, match="inner since"):
        assert fitted.work is fitted.inner
