"""One contract over every baseline: shapes, repeatability, saving, independence, refusals."""

import json

import numpy as np
import pytest

from oddwave.errors import CheckpointError, DataError, NotFittedError, ShapeError
from oddwave.lab.rivals import BASELINES, Baseline

PLAIN = [
    name for name, baseline in BASELINES.items() if not hasattr(baseline, "method")
]  # the learned: test_baseline_contract.py
WINDOWED = [name for name in PLAIN if hasattr(BASELINES[name], "window_size")]


def _stream(n=240, channels=2, seed=0):
    rng, time = np.random.default_rng(seed), np.arange(n)
    return np.stack([np.sin(time / 5 + c) + 0.05 * rng.normal(size=n) for c in range(channels)], axis=1) * 3 + 10


def _panel(num=30, channels=2, length=24, seed=0):
    rng = np.random.default_rng(seed)
    wave = np.sin(np.arange(length) / 3 + rng.uniform(0, 0.4, size=(num, channels, 1)))
    return wave + 0.05 * rng.normal(size=(num, channels, length))


def _make(name, **settings):
    extra = {"window_size": 16} if name in WINDOWED else {}
    return BASELINES[name](**extra, **settings)


@pytest.fixture(params=PLAIN)
def name(request):
    return request.param


def test_the_dict_names_each_class_by_its_own_name(name):
    assert BASELINES[name].name == name
    assert issubclass(BASELINES[name], Baseline)


@pytest.mark.parametrize(
    "items", [_stream(), _stream(channels=1), _panel(), _panel(channels=1)], ids=["s2", "s1", "p2", "p1"]
)
def test_one_finite_score_per_item_and_the_same_twice(name, items):
    baseline = _make(name).fit(items)
    scores = baseline.decision_function(items)
    assert scores.shape == (len(items),)
    assert scores.dtype == np.float64
    assert np.isfinite(scores).all()
    np.testing.assert_array_equal(scores, baseline.decision_function(items))
    np.testing.assert_array_equal(scores, _make(name).fit(items).decision_function(items))
    assert baseline.fit_predict(items).shape == (len(items),)


@pytest.mark.parametrize("items", [_stream(), _panel()], ids=["stream", "panel"])
def test_save_and_load_give_exactly_the_same_scores(name, items, tmp_path):
    baseline = _make(name).fit(items)
    folder = baseline.save(tmp_path / "deep" / "model")
    assert sorted(path.name for path in folder.iterdir()) == ["arrays.safetensors", "baseline.json"]
    assert json.loads((folder / "baseline.json").read_text())["name"] == name
    loaded = BASELINES[name].load(folder)
    np.testing.assert_array_equal(loaded.decision_function(items[:100]), baseline.decision_function(items[:100]))


def test_settings_survive_saving(tmp_path):
    BASELINES["knn"](window_size=20, stride=3, num_neighbors=2).fit(_stream()).save(tmp_path)
    loaded = BASELINES["knn"].load(tmp_path)
    assert (loaded.window_size, loaded.stride, loaded.num_neighbors) == (20, 3, 2)


@pytest.mark.parametrize("name", [*WINDOWED, "zscore"])
def test_an_instance_scores_the_same_alone_and_in_company(name):
    panel = _panel()
    baseline = _make(name).fit(panel)
    together = baseline.decision_function(panel)
    alone = np.concatenate([baseline.decision_function(panel[i : i + 1]) for i in range(len(panel))])
    np.testing.assert_allclose(alone, together, rtol=1e-10)


@pytest.mark.parametrize("name", [*WINDOWED, "zscore"])
@pytest.mark.parametrize("protocol", ["semi", "unsupervised"])
def test_a_burst_scores_highest(name, protocol):
    train, test = _stream(600), _stream(600, seed=1)
    test[300:316] += np.random.default_rng(2).normal(0, 6, size=(16, 2))
    baseline = _make(name)
    scores = baseline.fit(train).decision_function(test) if protocol == "semi" else baseline.fit_predict(test)
    assert 290 <= int(np.argmax(scores)) <= 326


@pytest.mark.parametrize("name", [*WINDOWED, "zscore"])
def test_scale_and_offset_of_the_data_do_not_matter(name):
    train, test = _stream(), _stream(seed=1)
    plain = _make(name).fit(train).decision_function(test)
    moved = _make(name).fit(train * 1000 - 7).decision_function(test * 1000 - 7)
    np.testing.assert_allclose(moved, plain, rtol=1e-6, atol=1e-9)


def test_a_constant_channel_is_no_division_by_zero(name):
    x = _stream()
    x[:, 1] = 4.2
    assert np.isfinite(_make(name).fit(x).decision_function(x)).all()
    flat = np.full((100, 1), 7.0)
    assert np.isfinite(_make(name).fit(flat).decision_function(flat)).all()
    assert np.isfinite(_make(name).fit_predict(flat)).all()


def test_refuses_bad_items(name):
    baseline = _make(name)
    with pytest.raises(NotFittedError, match=f"'{name}' has no fitted state: call fit"):
        baseline.decision_function(_stream())
    for bad in (np.nan, np.inf):
        x = _stream()
        x[3, 1] = bad
        with pytest.raises(DataError, match="1 of 480 values NaN or infinite"):
            baseline.fit(x)
    with pytest.raises(ShapeError, match=r"x\[:, None\] for \(n,\)"):
        baseline.fit(np.arange(50.0))
    with pytest.raises(ShapeError, match="shape"):
        baseline.fit(np.zeros((0, 2)))
    with pytest.raises(DataError, match="dtype"):
        baseline.fit(np.array([["a"], ["b"]]))
    baseline.fit(_stream())
    with pytest.raises(ShapeError, match="give the same"):
        baseline.decision_function(_stream(channels=3))
    with pytest.raises(ShapeError, match="give the same"):
        baseline.decision_function(_panel())


def test_integers_are_numbers(name):
    x = np.arange(200).reshape(100, 2) % 17
    np.testing.assert_array_equal(_make(name).fit_predict(x), _make(name).fit_predict(x.astype(float)))


def test_unfitted_is_not_saved_and_damage_is_noticed(name, tmp_path):
    baseline = _make(name)
    with pytest.raises(NotFittedError, match="to save"):
        baseline.save(tmp_path)
    with pytest.raises(CheckpointError, match="not a saved baseline"):
        BASELINES[name].load(tmp_path / "absent")
    baseline.fit(_stream()).save(tmp_path)
    other = "zscore" if name != "zscore" else "random"
    with pytest.raises(CheckpointError, match=f"holds baseline '{name}'"):
        BASELINES[other].load(tmp_path)
    arrays = (tmp_path / "arrays.safetensors").read_bytes()
    for damaged in (b"", arrays[: len(arrays) // 2], b"nothing of the kind"):
        (tmp_path / "arrays.safetensors").write_bytes(damaged)
        with pytest.raises(CheckpointError, match="not a saved baseline"):
            BASELINES[name].load(tmp_path)
    (tmp_path / "arrays.safetensors").write_bytes(arrays)
    (tmp_path / "baseline.json").write_text('{"format_version": 1')
    with pytest.raises(CheckpointError, match="not a saved baseline"):
        BASELINES[name].load(tmp_path)
    (tmp_path / "baseline.json").write_text(json.dumps({"format_version": 99, "name": name, "settings": {}}))
    with pytest.raises(CheckpointError, match="in format 99"):
        BASELINES[name].load(tmp_path)
