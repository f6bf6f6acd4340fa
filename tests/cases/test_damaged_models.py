"""A damaged model never scores: whatever is wrong with it, it is refused in one line, before its data are believed."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from typer.testing import CliRunner

from oddwave import load
from oddwave.cli import app
from oddwave.config import preset
from oddwave.detection.saved import read_saved
from oddwave.detector import Detector
from oddwave.errors import CheckpointError

FILES = ("model.safetensors", "config.json", "calibration.json", "meta.json")


@pytest.fixture(scope="module")
def intact(tiny_models):
    """Give a saved model of a kind; each kind is fitted once."""
    return tiny_models.saved


@pytest.fixture
def model(intact, tmp_path):
    """Give a copy of a saved model, to be damaged."""

    def get(kind):
        return Path(shutil.copytree(intact(kind), tmp_path / kind))

    return get


def refused(model, expected="", **options):
    with pytest.raises(CheckpointError) as caught:
        load(model, **options)
    line = str(caught.value)
    assert "\n" not in line
    assert len(line) < 900
    assert expected in line
    return line


def with_tensors(saved_files, model, change):
    path = saved_files.place_of(model, "model.safetensors")
    tensors = load_file(path)
    changed = change(tensors)
    save_file({name: own.contiguous() for name, own in (tensors if changed is None else changed).items()}, path)
    saved_files.signed_again(model)


def set_in(*way_and_value):
    *way, key, value = way_and_value

    def change(content):
        for step in way:
            content = content[step]
        content[key] = value

    return change


# What disks and copies do


@pytest.mark.parametrize(
    "kind", ["stream", pytest.param("images", marks=pytest.mark.slow), pytest.param("sound", marks=pytest.mark.slow)]
)
def test_one_turned_bit_in_any_file_is_noticed(model, kind, saved_files):
    damaged = model(kind)
    for name in FILES:
        path = saved_files.place_of(damaged, name)
        whole = path.read_bytes()
        for spot in (0, len(whole) // 3, len(whole) - 20):
            path.write_bytes(whole[:spot] + bytes([whole[spot] ^ 4]) + whole[spot + 1 :])
            refused(damaged)
        path.write_bytes(whole)
    load(damaged)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("how", ["cut", "empty", "longer", "missing", "another model's"])
def test_a_file_that_is_not_the_one_saved_is_named(model, intact, saved_files, name, how):
    damaged = model("stream")
    path = saved_files.place_of(damaged, name)
    content = {
        "cut": path.read_bytes()[:-9],
        "empty": b"",
        "longer": path.read_bytes() + b"{}",
        "another model's": saved_files.place_of(intact("panel"), name).read_bytes(),
    }.get(how)
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    line = refused(damaged)
    if name != "meta.json" or how != "another model's":
        assert name in line


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("put", ["pipe", "folder", "/dev/zero", "/dev/null", "itself", "huge"])
def test_what_is_no_ordinary_file_is_not_opened(model, saved_files, name, put):
    damaged = model("panel")
    path = saved_files.place_of(damaged, name)
    path.unlink()
    if put == "pipe":
        os.mkfifo(path)
    elif put == "folder":
        path.mkdir()
    elif put == "huge":
        with path.open("wb") as file:
            file.truncate(2**42)
    else:
        path.symlink_to(path.name if put == "itself" else put)
    assert name in refused(damaged)


@pytest.mark.parametrize("content", [b'{"a":' * 100_000, b"[" * 100_000, b"{", b"\xff\xfe", b"[1, 2]", b"null"])
def test_meta_that_is_no_object_is_refused(model, content):
    damaged = model("panel")
    (damaged / "meta.json").write_bytes(content)
    assert "meta.json" in refused(damaged)


# What a stranger does: everything is signed again


@pytest.mark.parametrize(
    ("kind", "name", "change", "named"),
    [
        ("stream", "calibration.json", set_in("scores", 3, 1e9), "scores"),
        ("images", "calibration.json", set_in("scores", []), "scores"),
        ("panel", "calibration.json", set_in("blocks", [0.0]), "blocks"),
        ("stream", "calibration.json", set_in("block_size", 0), "block_size"),
        ("denoised_stream", "calibration.json", set_in("fusion", "memory_weight", -1.0), "memory_weight"),
        ("sound", "calibration.json", set_in("fusion", "memory_weight", 1e308), "memory_weight"),
        ("images", "calibration.json", set_in("fusion", "reconstruction_weight", "0.5"), "reconstruction_weight"),
        ("denoised_stream", "calibration.json", set_in("fusion", "memory_weight", 0.123), "memory_weight"),
        (
            "denoised_panel",
            "calibration.json",
            set_in("scorers", 0, "standardiser", "groups", "memory", 1, -1.0),
            "memory",
        ),
        ("denoised_panel", "calibration.json", set_in("scorers", 0, "standardiser", "score", [0.0, 0.0]), "score"),
        ("images", "calibration.json", set_in("standardiser", "terms", "memory.patch", [[0.0], []]), "memory.patch"),
        ("stream", "calibration.json", set_in("scale", "scale", 0, -1.0), "scale"),
        ("stream", "calibration.json", set_in("scale", "centre", 0, 1e308), "centre"),
        ("stream", "calibration.json", set_in("scale", "centre", [0.0]), "channels"),
        ("stream", "calibration.json", set_in("plan", "sizes", 0, 10**15), "sizes"),
        ("stream", "calibration.json", set_in("plan", "sizes", [17, 24]), "window sizes"),
        ("stream", "calibration.json", set_in("plan", "tensor_length", 32), "tensor length"),
        ("denoised_stream", "calibration.json", set_in("scorers", 1, "noise_levels", [0.3]), "noise levels"),
        ("denoised_panel", "calibration.json", set_in("scorers", 0, "num_neighbors", 1), "neighbours"),
        ("stream", "calibration.json", set_in("memories", 0, "basis", "residual", [[0.0, -1.0]]), "residual"),
        ("stream", "calibration.json", set_in("num_remembered", 0, 1), "remembered"),
        ("stream", "calibration.json", set_in("prior_sha256", "0" * 64), "prior"),
        ("panel", "calibration.json", set_in("unheard_of", 1), "unheard_of"),
        ("images", "calibration.json", set_in("top_share", 0.0), "top_share"),
        ("images", "calibration.json", set_in("terms", ["memory.patch"]), "terms"),
        ("images", "calibration.json", set_in("frame", "size_px", 64), "size"),
        ("images", "calibration.json", set_in("peaks", [1.0]), "peaks"),
        ("sound", "calibration.json", set_in("audio_map", "clip_samples", 2**40), "map of sounds"),
        ("sound", "calibration.json", set_in("row_scale", "deviation_db", 0, 1e-9), "deviation_db"),
        ("sound", "calibration.json", set_in("ratios", {}), "spaces of clips"),
        ("sound", "calibration.json", set_in("clip_weight", 0.1), "clip_weight"),
        ("stream", "config.json", set_in("seed", 2**63), "seed"),
        ("stream", "config.json", set_in("seed", 1), "seed"),
        ("stream", "config.json", set_in("network", "base_channels", 10**12), "base_channels"),
        ("denoised_stream", "config.json", set_in("network", "base_channels", 16), "net."),
        ("stream", "config.json", set_in("series", "tensor_length", 10**9), "tensor_length"),
        ("stream", "config.json", set_in("training", "num_steps", True), "num_steps"),
        ("sound", "config.json", set_in("audio", "sample_rate", "8000"), "sample_rate"),
        ("sound", "config.json", set_in("audio", "clip_s", 1e6), "clip_s"),
        ("images", "config.json", set_in("maps", "memory_grid", 8), "memory_grid"),
        ("retrieved", "config.json", set_in("maps", "memory_grid", 8), "grids"),
        ("retrieved", "calibration.json", set_in("peaks", [1.0]), "peaks"),
        ("retrieved", "calibration.json", set_in("num_squares", -1), "num_squares"),
        ("images", "config.json", set_in("scoring", "memory_size", 5), "memory"),
        ("images", "config.json", set_in("maps", "patch_memory", False), "terms"),
        ("stream", "config.json", set_in("more", {}), "more"),
        ("stream", "meta.json", set_in("kind", "panel"), "kind"),
        ("stream", "meta.json", set_in("channel_names", ["only"]), "channels"),
        ("images", "meta.json", set_in("num_channels", 3), "channels"),
        ("stream", "meta.json", set_in("modality", "image"), "meta.json"),
    ],
)
def test_values_that_no_fit_gives_are_refused_although_signed(model, saved_files, kind, name, change, named):
    damaged = model(kind)
    saved_files.rewritten(damaged, name, change)
    assert named in refused(damaged)


@pytest.mark.parametrize("name", ["config.json", "calibration.json"])
@pytest.mark.parametrize("value", ["NaN", "-Infinity", "1e999", "[" * 3000 + "]" * 3000, '{"a": 1, "a": 2}'])
def test_json_that_means_no_one_thing_is_refused_although_signed(model, saved_files, name, value):
    damaged = model("panel")
    path = saved_files.place_of(damaged, name)
    path.write_text(path.read_text().replace("{", f'{{"a": {value},', 1))
    saved_files.signed_again(damaged)
    assert name in refused(damaged)


def first(name):
    def of(tensors):
        return next(own for own in sorted(tensors) if own.startswith(name))

    return of


@pytest.mark.parametrize(("kind", "name"), [("stream", "memory.0.windows"), ("panel", "memory.0.energy.vectors"),
                                            ("denoised_stream", "memory.0.input.vectors"), ("denoised_stream", "net."),
                                            ("denoised_panel", "memory.0.feature.scale"), ("images", "memory.vectors"),
                                            ("images", "residuals"), ("images", "features.centre"),
                                            ("pixels", "statistics.whitening"), ("retrieved", "gaussian.mean"),
                                            ("sound", "ratio_texture.normals"),
                                            ("sound", "background_memory.weights")])  # fmt: skip
def test_tensors_that_are_not_what_the_settings_imply_are_refused_although_signed(model, saved_files, kind, name):
    damaged = model(kind)
    chosen = first(name)(load_file(saved_files.place_of(damaged, "model.safetensors")))

    def poked(value):
        def change(tensors):
            tensors[chosen].view(-1)[-1] = value

        return change

    other = {torch.float32: torch.float64, torch.float16: torch.float32}
    changes = {
        "nan": poked(float("nan")),
        "inf": poked(float("inf")),
        "shape": lambda t: {**t, chosen: t[chosen][None]},
        "type": lambda t: {**t, chosen: t[chosen].to(other[t[chosen].dtype])},
        "missing": lambda t: {n: own for n, own in t.items() if n != chosen},
        "more": lambda t: {**t, f"{chosen}.more": t[chosen].clone()},
        "renamed": lambda t: {(f"{n}x" if n == chosen else n): own for n, own in t.items()},
    }
    path = saved_files.place_of(damaged, "model.safetensors")
    whole = path.read_bytes()
    for change in changes.values():
        with_tensors(saved_files, damaged, change)
        assert chosen.rpartition(".")[0] in refused(damaged)
        path.write_bytes(whole)
    saved_files.signed_again(damaged)
    load(damaged)


@pytest.mark.parametrize(
    ("kind", "name", "value"),
    [
        ("denoised_stream", "memory.1.input.scale", 0.0),
        ("denoised_stream", "memory.1.input.weights", -1.0),
        ("denoised_stream", "memory.0.input.vectors", 3e38),
        ("denoised_stream", "memory.0.input.starts", -5),
        ("stream", "memory.1.windows", float("nan")),
        ("stream", "memory.0.own", -1.0),
        ("stream", "memory.0.starts", -5),
        ("images", "features.scale", 0.0),
        ("retrieved", "usual_position.unit", 0.0),
        ("pixels", "statistics.whitening", 0.5),  # above the diagonal once it is turned
        ("sound", "ratio_levels.scale", -1.0),
    ],
)
def test_values_of_tensors_that_no_fit_gives_are_refused(model, saved_files, kind, name, value):
    def change(tensors):
        if name.endswith("whitening"):
            tensors[name] = tensors[name].transpose(1, 2)
        else:
            tensors[name].view(-1)[0] = value

    damaged = model(kind)
    with_tensors(saved_files, damaged, change)
    refused(damaged)


@pytest.mark.parametrize("kind", ["stream", "denoised_stream", "images", "sound"])
def test_a_whole_space_or_network_that_is_missing_is_named(model, saved_files, kind):
    damaged = model(kind)
    part = {"stream": "memory.1.bank.", "denoised_stream": "memory.1.complex.", "images": "decoder.",
            "sound": "background_residuals"}[kind]  # fmt: skip
    with_tensors(saved_files, damaged, lambda t: {n: own for n, own in t.items() if not n.startswith(part)})
    assert f"tensor '{part}" in refused(damaged, "is missing")


@pytest.mark.parametrize("length", [0, 1, 2**20, 2**63, 2**64 - 1])
def test_a_table_of_tensors_that_cannot_be_is_refused(model, saved_files, length):
    damaged = model("panel")
    path = saved_files.place_of(damaged, "model.safetensors")
    path.write_bytes(length.to_bytes(8, "little") + path.read_bytes()[8:])
    saved_files.signed_again(damaged)
    refused(damaged, "model.safetensors is damaged")


@pytest.mark.parametrize("factor", [2**20, 2**45, 2**62, -1])
def test_shapes_without_bytes_take_no_memory(model, saved_files, factor):
    damaged = model("panel")
    path = saved_files.place_of(damaged, "model.safetensors")
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    table = json.loads(content[8 : 8 + length])
    table["memory.0.energy.vectors"]["shape"][0] = factor
    text = json.dumps(table).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + content[8 + length :])
    saved_files.signed_again(damaged)
    refused(damaged, "memory.0.energy.vectors")


# Networks from elsewhere


@pytest.mark.parametrize("kind", ["images", "sound"])
@pytest.mark.parametrize(
    ("perceptual", "path"),
    [("timm:resnet18", None), ("timm:hf-hub:someone/something", None), ("efficientnet_lite0", "/dev/zero"),
     ("mobilenet_v2", "weights.npz"), ("unheard_of", None)],
)  # fmt: skip
def test_a_model_does_not_fetch_or_open_what_nobody_allowed(model, saved_files, monkeypatch, kind, perceptual, path):
    damaged = model(kind)

    def change(config):
        config["maps"] |= {"perceptual": perceptual, "perceptual_path": path}

    saved_files.rewritten(damaged, "config.json", change)
    with monkeypatch.context() as patch:
        patch.setattr("oddwave.detection.image.terms.load_perceptual", lambda *_: pytest.fail("it was loaded"))
        line = refused(damaged, "--allow-external")
    assert perceptual in line
    assert path is None or path in line
    if path or perceptual != "timm:resnet18":  # allowed, and still no reason to read for ever, or to ask a stranger
        refused(damaged, allow_external=True)


def test_another_network_behind_the_same_name_is_noticed(model, monkeypatch):
    from oddwave.nets.perceptual import load_perceptual

    def other(*given):
        network = load_perceptual(*given)
        first = next(network.parameters())
        first.data = first.data + 1e-3  # the packaged weights themselves are shared
        return network

    monkeypatch.setattr("oddwave.detection.image.terms.load_perceptual", other)
    refused(model("images"), "not those that the model was fitted with")


# Saving, and the command line


def test_a_model_that_would_not_load_is_not_saved(panel_detector, tmp_path, monkeypatch):
    scores = panel_detector.calibration.scores.copy()
    scores[0] = 1e12
    monkeypatch.setattr(panel_detector.inner, "calibration", type(panel_detector.calibration)(scores, scores, 1, ""))
    with pytest.raises(CheckpointError, match=r"would not load again, and is not saved: .*'scores\.0'"):
        panel_detector.save(tmp_path / "model")
    assert not (tmp_path / "model").exists()


def test_verify_tells_file_by_file_and_its_exit_status_is_the_verdict(model, saved_files, tmp_path):
    whole = model("panel")
    done = CliRunner().invoke(app, ["verify", str(whole)])
    assert done.exit_code == 0
    *lines, last = done.stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["calibration.json", "config.json", "model.safetensors"]
    assert "is whole" in last
    path = saved_files.place_of(whole, "calibration.json")
    path.write_bytes(path.read_bytes().replace(b"1", b"2", 1))
    for command in (["verify"], ["info"]):
        done = CliRunner().invoke(app, [*command, str(whole)])
        assert done.exit_code == 2
        assert "calibration.json is damaged" in done.stderr
        assert done.stderr.count("\n") == 1


def test_a_healthy_model_scores_as_before_it_was_saved(intact, tiny_models):
    for kind in tiny_models.KINDS:
        loaded = Detector.load(intact(kind))
        scores = loaded.decision_function(tiny_models.new_data(kind))
        assert np.isfinite(scores).all()
        assert loaded.config.seed == preset("fast").seed


@pytest.mark.parametrize("kind", ["stream", "images", "sound"])
def test_what_is_saved_tells_what_the_detector_tells(intact, kind):
    detector, saved = Detector.load(intact(kind)), read_saved(intact(kind))
    assert saved.facts() == detector.inner.facts()
    assert saved.threshold == detector.threshold_
    assert saved.choices == detector.choices


# Baselines are models too


@pytest.mark.parametrize("name", ["baseline.json", "arrays.safetensors"])
@pytest.mark.parametrize("how", ["digit", "cut", "pipe", "/dev/zero", "deep", "missing"])
def test_a_damaged_baseline_is_refused(tmp_path, waves, name, how):
    from oddwave.lab.rivals import BASELINES

    baseline = BASELINES["knn"](window_size=16).fit(waves())
    path = baseline.save(tmp_path / "knn") / name
    content = path.read_bytes()
    path.unlink()
    if how == "pipe":
        os.mkfifo(path)
    elif how == "/dev/zero":
        path.symlink_to(how)
    elif how != "missing":
        changed = {"digit": content[:-30] + bytes([content[-30] ^ 1]) + content[-29:], "cut": content[:-5]}
        path.write_bytes(changed.get(how, b"[" * 100_000))
    with pytest.raises(CheckpointError, match="is not a saved baseline 'knn'") as caught:
        type(baseline).load(tmp_path / "knn")
    assert "\n" not in str(caught.value)
