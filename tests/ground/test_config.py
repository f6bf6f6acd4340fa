"""Settings: presets, overrides from the command line, files, and one-line refusals."""

import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from oddwave.config import PRESETS, DetectorConfig, config_from_dict, preset
from oddwave.errors import ConfigError
from oddwave.overrides import parse_override, read_toml


def test_windows_that_judge_a_point_say_how_far_apart_they_begin():
    assert [preset(name).series.query_stride(44) for name in ("fast", "balanced", "accurate")] == [11, 5, 5]
    assert preset("balanced").series.query_stride(7) == 1
    with pytest.raises(ConfigError, match="windows_per_point"):
        preset("fast").with_overrides(["series.windows_per_point=0"])


def test_presets_grow_in_cost():
    names = ("fast", "balanced", "accurate")
    remembered = [(preset(name).scoring.memory_size, preset(name).series.num_window_sizes) for name in names]
    assert remembered == [(2048, 2), (4096, 3), (16384, 4)]  # of series; nothing is trained
    for modality in ("image", "audio"):
        steps = [preset(name, modality).training.num_steps for name in names]
        assert steps == sorted(set(steps))
    assert [preset(name).preset for name in PRESETS["series"]] == list(PRESETS["series"])
    assert preset("balanced") == DetectorConfig()


def test_a_preset_takes_whole_sections():
    config = preset("fast", seed=3, training={"num_steps": 7})
    assert (config.seed, config.training.num_steps, config.training.batch_size) == (3, 7, 32)
    assert config.scoring.memory_size == 2048
    with pytest.raises(ConfigError, match="preset 'quick' does not exist; choose one of fast, balanced, accurate"):
        preset("quick")


def test_settings_are_frozen():
    with pytest.raises(ValidationError, match="frozen"):
        preset("fast").seed = 1
    with pytest.raises(ValidationError, match="frozen"):
        preset("fast").training.num_steps = 1


@pytest.mark.parametrize("name", PRESETS["series"])
def test_settings_survive_json(name):
    config = preset(name)
    assert config_from_dict(json.loads(json.dumps(config.model_dump(mode="json")))) == config


@pytest.mark.parametrize(
    ("text", "path", "value"),
    [
        ("training.num_steps=500", ["training", "num_steps"], 500),
        ("seed=2", ["seed"], 2),
        ("scoring.aggregate=blend", ["scoring", "aggregate"], "blend"),
        ('scoring.aggregate="blend"', ["scoring", "aggregate"], "blend"),
        ("series.window_sizes=[16, 32]", ["series", "window_sizes"], [16, 32]),
        ("network.attention=false", ["network", "attention"], False),
        (" a.b = x=y ", ["a", "b"], "x=y"),
    ],
)
def test_an_override_is_a_path_and_a_json_or_plain_value(text, path, value):
    assert parse_override(text) == (path, value)


def test_overrides_change_what_they_name_and_nothing_else():
    config = preset("fast").with_overrides(["training.num_steps=500", "series.window_sizes=[16, 32]", "seed=2"])
    assert (config.training.num_steps, config.series.window_sizes, config.seed) == (500, (16, 32), 2)
    assert config.network == preset("fast").network
    assert preset("fast").with_overrides([]) == preset("fast")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("num_steps", r"--set 'num_steps' is not of the form key=value"),
        ("=5", r"not of the form"),
        ("training.steps=5", r"setting 'training.steps' does not exist; there are: num_steps, "),
        ("trainng.num_steps=5", r"setting 'trainng' does not exist; there are: modality, preset, "),
        ("seed.x=5", r"setting 'seed' does not exist"),
        ("training.num_steps=many", r"setting 'training.num_steps': .*integer.*'many'"),
        ("training.num_steps=0", r"setting 'training.num_steps': .*greater than or equal to 1.*given: 0"),
        ("scoring.aggregate=median", r"setting 'scoring.aggregate': .*'window', 'point' or 'blend'.*'median'"),
        ("scoring.noise_levels=[0.5, 1.5]", r"setting 'scoring.noise_levels.1': .*less than or equal to 1"),
        ("scoring.noise_levels=[]", r"setting 'scoring.noise_levels'.*at least 1 item"),
        ("series.window_sizes=[]", r"setting 'series.window_sizes.*at least 1 item"),
        ("series.window_sizes=[2]", r"setting 'series.window_sizes.*greater than or equal to 4"),
        ("scoring.reconstruction_weight=1.5", r"setting 'scoring.reconstruction_weight"),
        ('scoring.memory_spaces=["inputs"]', r"setting 'scoring.memory_spaces"),
        ("reconstruction.sampler=euler", r"setting 'reconstruction.sampler': .*'ddim', 'ddpm' or 'dpmsolver\+\+'"),
        ("calibration.alpha=1", r"setting 'calibration.alpha': .*less than 1"),
        ("training.min_t=1", r"setting 'training.min_t'"),
        ("training=5", r"setting 'training'"),
    ],
)
def test_what_cannot_work_is_refused_in_one_line(text, message):
    with pytest.raises(ConfigError, match=message) as caught:
        preset("balanced").with_overrides([text])
    assert "\n" not in str(caught.value)


def test_bounds_of_the_training_noise_must_leave_room():
    with pytest.raises(ConfigError, match=r"min_t=0.6 must lie below max_t=0.5"):
        preset("fast").with_overrides(["training.min_t=0.6", "training.max_t=0.5"])


def test_unknown_names_are_refused_wherever_they_stand():
    with pytest.raises(ConfigError, match="setting 'epochs'"):
        config_from_dict({"epochs": 3})
    with pytest.raises(ConfigError, match=r"setting 'network.depth'"):
        config_from_dict({"network": {"depth": 3}})


def test_settings_from_a_file(tmp_path):
    path = tmp_path / "settings.toml"
    path.write_text('seed = 4\n[series]\nwindow_sizes = [16, 48]\n[scoring]\naggregate = "point"\n')
    config = config_from_dict(read_toml(path))
    assert (config.seed, config.series.window_sizes, config.scoring.aggregate) == (4, (16, 48), "point")
    path.write_text("seed = = 4")
    with pytest.raises(ConfigError, match=r"settings.toml' cannot be read as TOML"):
        read_toml(path)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="cannot be read as TOML"):
        read_toml(path)
    with pytest.raises(ConfigError, match="cannot be read as TOML"):
        read_toml(tmp_path / "absent.toml")
    with pytest.raises(ConfigError, match="no ordinary file"):
        read_toml(Path("/dev/zero"))


def test_training_takes_the_detectors_seed_unless_it_has_its_own():
    assert preset("fast", seed=5).training_settings.seed == 5
    assert preset("fast", seed=5, training={"seed": 9}).training_settings.seed == 9


def test_memory_spaces_by_kind_by_scale_or_as_set():
    config = preset("balanced")
    assert "input" in config.memory_spaces(panel=False)
    assert set(config.memory_spaces(panel=True)) & {"complex", "mexican_hat", "log_magnitude"}
    by_window = config.with_overrides(["series.scaling=window"])
    assert by_window.memory_spaces(panel=False) == (*config.memory_spaces(panel=False), "statistics")
    assert by_window.memory_spaces(panel=True) == config.memory_spaces(panel=True)
    assert config.with_overrides(['scoring.memory_spaces=["input"]']).memory_spaces(panel=True) == ("input",)
