"""A saved detector: readable files, whole or not at all; what is damaged: `cases/test_damaged_models.py`."""

import json
from dataclasses import replace

import numpy as np
import pytest

from oddwave.detection.saved import MODEL_FILES, read_saved
from oddwave.detector import Detector
from oddwave.errors import CheckpointError, NotFittedError


@pytest.fixture
def saved(stream_detector, tmp_path):
    return stream_detector.save(tmp_path / "models" / "pump")


@pytest.fixture
def place(saved_files):
    return saved_files.place_of


def test_a_model_is_four_files_without_pickle(saved, place):
    files = [path for path in saved.rglob("*") if path.is_file()]
    assert sorted(path.name for path in files) == sorted([*MODEL_FILES, "meta.json"])
    for name in ("config.json", "calibration.json", "meta.json"):
        assert isinstance(json.loads(place(saved, name).read_text()), dict)
    assert not any(b"\x80\x04" in path.read_bytes()[:8] for path in files)


def test_everything_comes_back(saved, stream_detector):
    loaded = Detector.load(saved)
    assert loaded.config == stream_detector.config
    assert (loaded.inner.kind, loaded.inner.channel_names) == (
        stream_detector.inner.kind,
        stream_detector.inner.channel_names,
    )
    assert loaded.inner.scaler == stream_detector.inner.scaler
    plan = stream_detector.inner.model.plan
    assert loaded.inner.model.plan == replace(plan, evidence={})
    assert loaded.choices == json.loads(json.dumps(stream_detector.choices))  # numbers that were keys become texts
    assert loaded.threshold_ == stream_detector.threshold_
    np.testing.assert_array_equal(loaded.calibration.scores, stream_detector.calibration.scores)
    np.testing.assert_array_equal(loaded.calibration.blocks, stream_detector.calibration.blocks)
    for old, new in zip(stream_detector.inner.model.sizes, loaded.inner.model.sizes, strict=True):
        assert (new.window_size, new.stride, new.basis) == (old.window_size, old.stride, old.basis)
        assert new.memory.reach == old.memory.reach
        assert new.resolution.equal(old.resolution)
        for name, part in old.memory.state_dict().items():
            assert new.memory.state_dict()[name].equal(part), name
        for name, part in old.bank.arrays().items():
            np.testing.assert_array_equal(new.bank.arrays()[name], part)


@pytest.fixture(scope="module")
def denoiser(tiny_config, waves):
    config = tiny_config("series.method=denoiser", "series.window_sizes=[16, 24]", "scoring.noise_levels=[0.15, 0.5]")
    return Detector(config).fit(waves(400, channels=2))


def test_everything_of_a_denoisers_model_comes_back(denoiser, tmp_path):
    loaded, model = Detector.load(denoiser.save(tmp_path / "model")), denoiser.inner.model
    assert loaded.inner.model.fusion == model.fusion
    assert loaded.inner.model.ranges == model.ranges
    for old, new in zip(model.scorers, loaded.inner.model.scorers, strict=True):
        assert list(new.memories) == list(old.memories)
        assert new.noise_levels == old.noise_levels
        assert new.standardiser.to_dict() == old.standardiser.to_dict()
        assert new.point_statistics == old.point_statistics


def test_what_is_saved_again_is_the_same(saved, place, tmp_path):
    again = Detector.load(saved).save(tmp_path / "again")
    for name in MODEL_FILES:
        assert place(again, name).read_bytes() == place(saved, name).read_bytes(), name
    assert read_saved(again).meta == read_saved(saved).meta


def test_facts_say_where_the_model_came_from(saved, stream_detector):
    facts = read_saved(saved).meta
    assert facts["modality"] == "series"
    assert facts["kind"] == "stream"
    assert facts["seed"] == 0
    assert facts["num_train_points"] == 500
    assert facts["data_fingerprint"] == stream_detector.meta["data_fingerprint"]


def test_every_automatic_choice_stands_beside_the_settings_and_nowhere_else(
    saved, place, stream_detector, denoiser, tmp_path
):
    content = json.loads(place(saved, "config.json").read_text())
    choices = content.pop("choices")
    assert content == stream_detector.config.model_dump(mode="json")
    assert choices["windows"]["sizes"] == [16, 24]
    constants = json.loads(place(saved, "calibration.json").read_text())
    assert constants["num_remembered"] == [485, 477]  # at every point
    assert [memory["channels"] for memory in constants["memories"][::2]] == [[0, 1], [0], [1]]
    trained = denoiser.save(tmp_path / "trained")
    chosen = json.loads(place(trained, "config.json").read_text())["choices"]
    assert {"windows", "training", "noise_levels", "weights"} <= set(chosen)
    assert set(chosen["noise_levels"]["synthetic_auroc"]) == {"0.15", "0.5"}
    for model in (saved, trained):
        for name in ("meta.json", "calibration.json"):
            text = place(model, name).read_text()
            assert "auroc" not in text, name
            assert "evidence" not in text, name


def test_alpha_is_not_baked_in(saved, place, waves):
    constants = json.loads(place(saved, "calibration.json").read_text())
    assert not {"alpha", "threshold"} & set(constants)
    loaded = Detector.load(saved)
    strict, loose = (loaded.score(waves(80, channels=2, seed=1), alpha=alpha) for alpha in (0.02, 0.5))
    assert strict.calibration.threshold > loose.calibration.threshold


def test_saving_replaces_a_model_but_never_other_files(saved, panel_detector, stream_detector, tmp_path):
    (saved / "notes.txt").write_text("mine")
    panel_detector.save(saved)
    assert Detector.load(saved).inner.kind == "panel"
    assert (saved / "notes.txt").read_text() == "mine"
    (tmp_path / "file").write_text("")
    with pytest.raises(CheckpointError, match="is a file"):
        stream_detector.save(tmp_path / "file")


def test_an_unfitted_detector_is_not_saved(tmp_path):
    with pytest.raises(NotFittedError, match="call fit"):
        Detector().save(tmp_path / "model")
    assert not (tmp_path / "model").exists()


def test_folders_that_hold_no_model_or_another_kind_are_refused(saved, tmp_path, saved_files):
    with pytest.raises(CheckpointError, match="does not exist: give the folder that `oddwave fit` wrote"):
        Detector.load(tmp_path / "absent")
    saved_files.rewritten(saved, "meta.json", lambda meta: meta.update(modality="smell"))
    with pytest.raises(CheckpointError, match="model for 'smell', expected one for series or image"):
        Detector.load(saved)
    saved_files.rewritten(saved, "meta.json", lambda meta: meta.update(format_version=99, package_version="9.9"))
    with pytest.raises(CheckpointError, match=r"format 99, this oddwave reads 4: use the version .*9\.9"):
        Detector.load(saved)
    saved_files.rewritten(saved, "meta.json", lambda meta: meta.update(format="something"))
    with pytest.raises(CheckpointError, match="does not describe an oddwave model"):
        Detector.load(saved)


def test_a_model_of_format_3_is_refused_with_the_reason(tmp_path):
    (tmp_path / "old").mkdir()
    about = {"format": "oddwave model", "format_version": 3, "package_version": "0.1.0"}
    (tmp_path / "old" / "meta.json").write_text(json.dumps(about))
    with pytest.raises(CheckpointError, match=r"has model format 3, this oddwave reads 4: use the version .*0\.1\.0"):
        Detector.load(tmp_path / "old")
