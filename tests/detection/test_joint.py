"""Joint models: one network for several modalities, each of which scores as a model of its own with that network."""

import json
import re
import shutil

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

import oddwave
from oddwave.cli import app
from oddwave.config import foreign_sections, preset
from oddwave.detection.joint_which import modalities_of
from oddwave.errors import CheckpointError, ConfigError, DataError, NotFittedError
from oddwave.training import TrainingInterrupted

TINY = (
    "training.num_steps=3",
    "training.batch_size=4",
    "training.num_validation_draws=4",
    "network.base_channels=4",
    "network.channel_mult=[1, 2]",
    "network.num_heads=2",
    "network.max_tokens=16",
    "scoring.estimate=one_step",
    "maps.pixel_size_px=16",
    "maps.taps=[0]",
    "maps.memory_grid=8",
    "maps.denoiser_grid=8",
    "image.size_px=32",
    "audio.clip_s=0.5",
    "audio.sample_rate=4000",
    "series.max_windows=30",
    "series.tensor_length=16",
    "series.window_sizes=[16]",
    "calibration.alpha=0.4",
)


def tiny(modality, *overrides):
    own = [text for text in TINY if text.partition(".")[0] not in foreign_sections(modality)]
    return preset("paper", modality).with_overrides([*own, *overrides])


def images(num=12, seed=0):
    rng = np.random.default_rng(seed)
    wave = np.sin(np.arange(32) / 2)
    return [(120 + 60 * wave[None] + rng.normal(0, 5, (32, 32))).clip(0, 255).astype(np.uint8) for _ in range(num)]


def stream(seed=0):
    return np.sin(np.arange(260) * 2 * np.pi / 16) + 0.1 * np.random.default_rng(seed).normal(size=260)


def recording(seed=0, seconds=8):
    rng, time = np.random.default_rng(seed), np.arange(seconds * 4000) / 4000
    return (0.3 * np.sin(2 * np.pi * 440 * time) + 0.05 * rng.normal(size=len(time))).astype(np.float32)


DATA = {"image": images(), "series": stream()}
NEW = {"image": images(3, 1), "series": stream(1)}


def fitted(**options):
    return oddwave.JointDetector({name: tiny(name) for name in DATA}).fit(DATA, **options)


@pytest.fixture(scope="module")
def joint():
    return fitted()


@pytest.fixture(scope="module")
def folder(joint, tmp_path_factory):
    return joint.save(tmp_path_factory.mktemp("joint") / "model")


def weights(detector):
    (network, *_) = detector.inner.networks()
    return network.state_dict()


def test_the_modalities_share_all_weights_but_their_ports(joint):
    image, series = (weights(joint.detector(name)) for name in DATA)
    own = {name for name in image if ".port_" in name}
    assert own
    assert image.keys() == series.keys()
    assert all(image[name].equal(series[name]) for name in image.keys() - own)
    ports = {"input.port.convs.port_default.weight": (1, 2)}  # channels of an image, and of one channel's scalogram
    for name, channels in ports.items():
        assert (image[name].shape[1], series[name].shape[1]) == channels
    shared = sum(image[name].numel() for name in image.keys() - own)
    assert joint.num_parameters == shared + sum(state[name].numel() for state in (image, series) for name in own)
    assert repr(joint) == "JointDetector(image, series)"


def test_each_modality_has_had_its_own_number_of_steps(joint):
    trained = joint.detector("image").choices["training"]["pixel"], joint.detector("series").choices["training"]
    assert [own["num_steps"] for own in trained] == [6, 6]  # 3 of each
    assert trained[0]["val_loss"] != trained[1]["val_loss"]


@pytest.mark.parametrize("modality", DATA)
def test_a_part_scores_to_the_bit_as_an_ordinary_model_with_that_network(modality, joint, folder, tmp_path):
    part = joint.detector(modality)
    ordinary = oddwave.load(part.save(tmp_path / "ordinary"))
    restored = oddwave.JointDetector.load(folder).detector(modality)
    one_part = oddwave.load(folder, modality=modality)
    scores = part.decision_function(NEW[modality])
    assert np.isfinite(scores).any()
    for other in (ordinary, restored, one_part):
        np.testing.assert_array_equal(other.decision_function(NEW[modality]), scores)
        assert other.threshold_ == part.threshold_
        assert other.config == part.config


def test_the_network_is_stored_once(folder):
    names = {path.name: path.stat().st_size for path in folder.glob("data-*/*")}
    assert names["network.safetensors"] > 10 * names["image.model.safetensors"]
    about = json.loads((folder / "meta.json").read_text())
    assert about["ports"] == {
        "image": {"channels": 1, "network": "pixel_net"},
        "series": {"channels": 2, "network": "net"},
    }


def test_a_saved_joint_model_can_be_saved_again_and_is_the_same(folder, tmp_path):
    again = oddwave.JointDetector.load(folder).save(tmp_path / "again")
    one, two = ({path.name: path.read_bytes() for path in root.glob("data-*/*")} for root in (folder, again))
    assert one == two


def test_the_modality_follows_from_the_files_and_else_is_asked_for(joint, tmp_path):
    from PIL import Image

    Image.fromarray(NEW["image"][0]).save(tmp_path / "part.png")
    np.savetxt(tmp_path / "today.csv", NEW["series"], header="channel_0", comments="")
    assert modalities_of(tmp_path) == {"image", "series"}
    assert modalities_of(str(tmp_path / "*.png")) == {"image"}
    assert joint.score(tmp_path / "part.png", explain="none").modality == "image"
    assert joint.score([tmp_path / "part.png"] * 2, explain="none").modality == "image"
    assert joint.score(tmp_path / "today.csv", explain="none").modality == "series"
    with pytest.raises(DataError, match="image and series; what was given holds files of image and series: give modal"):
        joint.score(tmp_path)
    assert joint.score(tmp_path, modality="image", explain="none").modality == "image"
    with pytest.raises(DataError, match="none of them: give modality=image, for example"):
        joint.score(NEW["series"])
    with pytest.raises(DataError, match="no such file or folder"):
        joint.score(tmp_path / "nowhere")
    with pytest.raises(ConfigError, match="modality is 'audio', expected one that was learnt: image, series"):
        joint.score(NEW["series"], modality="audio")


@pytest.mark.slow
def test_a_stopped_joint_training_goes_on_bit_for_bit(joint, tmp_path, monkeypatch):
    from oddwave.training.run import TrainingRun

    advance = TrainingRun.advance

    def stops(run):
        if run.step == 3:
            raise KeyboardInterrupt
        advance(run)

    monkeypatch.setattr(TrainingRun, "advance", stops)
    with pytest.raises(TrainingInterrupted, match="stopped at step 3 of 6"):
        fitted(checkpoint_dir=tmp_path)
    monkeypatch.undo()
    resumed = fitted(checkpoint_dir=tmp_path, resume=True)
    for name in DATA:
        straight, other = weights(joint.detector(name)), weights(resumed.detector(name))
        assert all(straight[key].equal(other[key]) for key in straight)


def test_a_part_that_was_fitted_again_is_not_saved_with_the_others(folder, tmp_path):
    joint = oddwave.JointDetector.load(folder)
    with torch.no_grad():
        next(joint.detector("series").inner.networks()[0].parameters()).add_(1.0)
    with pytest.raises(CheckpointError, match="the detector of series was fitted again on its own"):
        joint.save(tmp_path / "model")


REFUSED = {
    "one modality": (["image"], {}, "needs two modalities or more, image was given: .* `oddwave fit image`"),
    "none": ([], {}, "needs two modalities or more, none was given"),
    "another space": (["image", "series"], {"image": "maps.space=feature"}, "maps.space is feature for image"),
    "by retrieval": (["image", "series"], {"image": "image.method=retrieval"}, "set image.method=denoiser"),
    "windows": (["image", "series"], {"series": "series.representation=window"}, "series.representation is window"),
    "unequal steps": (
        ["image", "series"],
        {"series": "training.num_steps=5"},
        "num_steps is 3 for image and 5",
    ),
    "unequal batches": (
        ["image", "audio"],
        {"audio": "training.batch_size=9"},
        "batch_size is 4 for image and 9",
    ),
    "unequal networks": (
        ["image", "audio"],
        {"audio": "network.base_channels=8"},
        "channels is 4 for image and 8",
    ),
    "unequal seeds": (["image", "audio"], {"audio": "seed=1"}, "seed is 0 for image and 1 for audio"),
    "unequal gammas": (
        ["image", "audio"],
        {"audio": "training.feature_loss_weight=2"},
        "weight is 1.0 for image and",
    ),
    "unequal gammas behind one without": (
        ["series", "image", "audio"],
        {"audio": "training.feature_loss_weight=2"},
        "feature_loss_weight is 1.0 for image and 2.0 for audio",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_one_network_cannot_serve_is_refused_before_anything_is_read(case):
    modalities, changes, message = REFUSED[case]
    configs = {name: tiny(name, *([changes[name]] if name in changes else [])) for name in modalities}
    with pytest.raises(ConfigError, match=message):
        oddwave.JointDetector(configs).fit(dict.fromkeys(modalities, "nowhere"))


def test_wrong_names_data_and_order_are_told():
    with pytest.raises(ConfigError, match="modality is 'smell', expected one of series, image, audio"):
        oddwave.JointDetector().fit({"smell": [1.0], "image": DATA["image"]})
    with pytest.raises(ConfigError, match="the settings for image are of modality series"):
        oddwave.JointDetector({"image": tiny("series")})
    with pytest.raises(NotFittedError, match="this joint detector has learnt nothing yet"):
        oddwave.JointDetector().score("x.png")
    configs = {name: tiny(name) for name in DATA}
    with pytest.raises(DataError, match="no such file or folder"):
        oddwave.JointDetector(configs).fit({**DATA, "image": "nowhere"})
    with pytest.raises(DataError) as few:
        oddwave.JointDetector(configs).fit({**DATA, "image": DATA["image"][:3]})
    assert few.value.__notes__ == ["this is of the images"]


def test_data_that_change_meanwhile_are_told(monkeypatch):
    from oddwave.training.draws import TensorSource

    numbers = iter(range(100))
    monkeypatch.setattr(TensorSource, "fingerprint", lambda source: str(next(numbers)))
    with pytest.raises(DataError, match="the data of image changed while they were learnt from"):
        fitted()


def test_a_fit_that_fails_leaves_the_detector_as_it_was(folder):
    joint = oddwave.JointDetector.load(folder)
    before = joint.detector("series").decision_function(NEW["series"])
    with pytest.raises(ConfigError):
        joint.fit({"series": DATA["series"]})
    np.testing.assert_array_equal(joint.detector("series").decision_function(NEW["series"]), before)


def test_loading_a_part_asks_which_one_and_an_ordinary_model_has_none(joint, folder, tmp_path):
    with pytest.raises(CheckpointError, match="joint model of image and series: say which of them by modality=ima"):
        oddwave.load(folder)
    with pytest.raises(CheckpointError, match="image and series, not 'audio'"):
        oddwave.load(folder, modality="audio")
    ordinary = joint.detector("series").save(tmp_path / "ordinary")
    assert oddwave.load(ordinary, modality="series").config.modality == "series"
    with pytest.raises(CheckpointError, match="is a model for 'series', not for 'image'"):
        oddwave.load(ordinary, modality="image")
    with pytest.raises(CheckpointError, match="holds a model for 'series', expected a joint one"):
        oddwave.JointDetector.load(ordinary)


def resealed(root, change):
    """Change meta.json and seal it again, as one would who means harm."""
    from oddwave.detection.model_json import digest_of

    about = json.loads((root / "meta.json").read_text())
    change(about)
    pointer = ("format", "format_version", "folder", "files", "facts_sha256")
    about["facts_sha256"] = digest_of({key: value for key, value in about.items() if key not in pointer})
    (root / "meta.json").write_text(json.dumps(about))


DAMAGES = {
    "another channel count": (
        lambda about: about["ports"]["image"].update(channels=3),
        "network.safetensors is da",
    ),
    "a port without a model": (
        lambda about: about["ports"].update(audio=about["ports"]["image"]),
        "audio.calibration.json is missing",
    ),
    "one port": (lambda about: about["ports"].pop("image"), "ports"),
    "an unknown port": (lambda about: about["ports"].update(smell=about["ports"].pop("image")), "a model for 'smell'"),
    "another network's name": (
        lambda about: about["ports"]["image"].update(network="net"),
        "belongs to no model",
    ),
    "an unknown network": (lambda about: about["ports"]["image"].update(network="x"), "ports.image.network"),
    "text for channels": (lambda about: about["ports"]["image"].update(channels="1"), "ports.image.channels"),
    "parts swapped": (
        lambda about: about["files"].update(
            {f"image.{name}": about["files"][f"series.{name}"] for name in ("meta.json", "config.json")}
        ),
        "damaged",
    ),
}


@pytest.mark.parametrize("case", DAMAGES)
def test_a_damaged_joint_model_is_refused_in_one_line(case, folder, tmp_path):
    change, message = DAMAGES[case]
    root = tmp_path / "model"
    shutil.copytree(folder, root)
    resealed(root, change)
    with pytest.raises(CheckpointError, match=message) as caught:
        oddwave.load(root, modality="image")
    assert "\n" not in str(caught.value)


def test_a_changed_meta_and_a_missing_file_are_seen(folder, tmp_path):
    root = tmp_path / "model"
    shutil.copytree(folder, root)
    text = (root / "meta.json").read_text()
    (root / "meta.json").write_text(text.replace('"channels": 2', '"channels": 4'))
    with pytest.raises(CheckpointError, match=r"meta.json is damaged: not what was saved"):
        oddwave.load(root, modality="image")
    (root / "meta.json").write_text(text)
    resealed(root, lambda about: None)
    oddwave.load(root, modality="series")  # sealed again without a change, it is taken
    next(root.glob("data-*/series.config.json")).unlink()
    with pytest.raises(CheckpointError, match=r"series\.config\.json"):
        oddwave.load(root, modality="image")


# On the command line


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    from PIL import Image

    root = tmp_path_factory.mktemp("files")
    (root / "good").mkdir()
    for number, own in enumerate(DATA["image"]):
        Image.fromarray(own).save(root / "good" / f"{number:02d}.png")
    np.savetxt(root / "healthy.csv", DATA["series"], header="flow", comments="")
    return root


SETTINGS = [f"--set={text}" for text in TINY if not text.startswith("audio.")]


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def refused(*arguments):
    result = run(*arguments)
    assert (result.exit_code, result.stdout) == (2, ""), result.output
    assert result.stderr.count("\n") == 1
    return result.stderr


@pytest.mark.slow
def test_from_fit_to_score_on_the_command_line(files, tmp_path):
    model = tmp_path / "model"
    given = ("--image", files / "good", "--series", files / "healthy.csv")
    done = run("fit", "joint", *given, "-o", model, *SETTINGS, "-q")
    assert done.exit_code == 0, (done.output, done.exception)
    assert re.search(r"Learnt images\. .*\n.*\nLearnt time series\. channels: flow", done.stdout)
    shown = run("info", model).stdout
    assert f"{model} (image)" in shown
    assert f"{model} (series, stream)" in shown
    verified = run("verify", model)
    assert verified.stdout.endswith("is whole: image and series, made with oddwave " + oddwave.__version__ + "\n")

    done = run("score", model, files / "healthy.csv", "-o", tmp_path / "out", "-q")
    assert done.exit_code == 0, (done.output, done.exception)
    assert json.loads((tmp_path / "out" / "summary.json").read_text())["modality"] == "series"
    assert "holds files of image and series: give --modality image" in refused("score", model, files, "-o", "out")
    assert "'smell'" in refused("score", model, files, "-o", "out", "--modality=smell")

    np.savetxt(tmp_path / "june.csv", NEW["series"], header="flow", comments="")
    added = run("add", model, tmp_path / "june.csv", "-o", tmp_path / "more", "--allow-flagged", "-q")
    assert added.exit_code == 0, (added.output, added.exception)
    assert oddwave.JointDetector.load(tmp_path / "more").modalities == ("image", "series")


def test_what_cannot_be_fitted_jointly_is_refused_in_one_line(files, tmp_path):
    out = ("-o", tmp_path / "model")
    good, healthy = ("--image", files / "good"), ("--series", files / "healthy.csv")
    assert "two modalities or more, image was given" in refused("fit", "joint", *good, *out)
    assert "none was given" in refused("fit", "joint", *out)
    assert "no such file" in refused("fit", "joint", *healthy, "--image", files / "nowhere", *out)
    assert "audio.clip_s" in refused("fit", "joint", *good, *healthy, *out, "--set=audio.clip_s=1")
    assert "take preset paper" in refused("fit", "joint", *good, *healthy, *out, "--preset=balanced")
    assert "--columns" in refused("fit", "joint", *good, "--audio", files, *out, "--columns=flow")
    assert "there is no stopped training" in refused("fit", "joint", *good, *healthy, *out, "--resume")
    assert not (tmp_path / "model").exists()


def test_a_settings_file_counts_for_each_modality_that_a_section_is_of(tmp_path):
    from oddwave.cli.joint import _configured

    path = tmp_path / "own.toml"
    path.write_text("seed = 4\n[training]\nnum_steps = 7\n[maps]\npixel_size_px = 32\n[series]\ntensor_length = 32\n")
    image, series = (_configured(name, ["image", "series"], None, None, None, path, None) for name in DATA)
    assert (image.preset, image.seed, image.training.num_steps, image.maps.pixel_size_px) == ("paper", 4, 7, 32)
    assert (series.preset, series.training.num_steps, series.series.tensor_length) == ("paper", 7, 32)


@pytest.mark.slow
def test_sound_joins_images_and_series(tmp_path):
    soundfile = pytest.importorskip("soundfile")
    soundfile.write(tmp_path / "pump.wav", recording(), 4000)
    data = {**DATA, "audio": str(tmp_path / "pump.wav")}
    joint = oddwave.JointDetector({name: tiny(name) for name in data}).fit(data)
    back = oddwave.JointDetector.load(joint.save(tmp_path / "model"))
    for name in data:
        own = joint.detector(name).decision_function(data[name])
        np.testing.assert_array_equal(back.detector(name).decision_function(data[name]), own)
    assert back.score(tmp_path / "pump.wav", explain="none").modality == "audio"
