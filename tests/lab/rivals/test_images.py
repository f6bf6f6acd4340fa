"""One contract over every baseline of images, and what each of them computes against a plain way to compute it."""

import json

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from sklearn.covariance import EmpiricalCovariance

from oddwave.errors import CheckpointError, ConfigError, DataError, NotFittedError, ShapeError
from oddwave.lab.rivals import IMAGE_BASELINES, ImageBaseline, PaDiM, PatchKNN

SIDE = 64
PLAIN = [name for name in IMAGE_BASELINES if not hasattr(IMAGE_BASELINES[name], "method")]
LEARNING = ("patch_knn", "padim")


def draw_parts(num, channels=1, seed=0, side=SIDE):
    """Draw discs with a rim at nearly the same place on a lit background, (num, channels, side, side)."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side]
    images = []
    for row, column in rng.normal(side / 2, 1.0, (num, 2)):
        radius = np.hypot(y - row, x - column)
        disc = 0.2 + 0.6 * (radius < 0.3 * side) - 0.5 * (np.abs(radius - 0.3 * side) < 2)
        images.append(np.stack([disc + 0.02 * rng.normal(size=(side, side)) for _ in range(channels)]))
    return np.clip(np.array(images, np.float32), -1, 1)


class Lazy:
    """A sequence that draws each image when it is asked for, and counts how many it has given."""

    def __init__(self, images):
        self.images, self.given = images, 0

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        self.given += 1
        return self.images[index]


@pytest.fixture(scope="module")
def parts():
    return draw_parts(20)


@pytest.fixture(scope="module")
def tests_with_defect():
    """Twenty further parts, a dark spot of 8 px planted in one at rows 36 to 43, columns 28 to 35."""
    images = draw_parts(20, seed=1)
    images[7, :, 36:44, 28:36] = -0.9
    return images


@pytest.fixture(scope="module")
def fitted(parts):
    return {name: baseline().fit(parts) for name, baseline in IMAGE_BASELINES.items() if name in PLAIN}


@pytest.fixture(params=PLAIN)
def name(request):
    return request.param


def test_the_dict_names_each_class_by_its_own_name(name):
    assert IMAGE_BASELINES[name].name == name
    assert issubclass(IMAGE_BASELINES[name], ImageBaseline)


def test_one_finite_score_and_map_per_image_and_the_same_twice(name, fitted, parts):
    scores, maps = fitted[name].score_and_maps(parts[:5])
    assert (scores.shape, maps.shape) == ((5,), (5, SIDE, SIDE))
    assert (scores.dtype, maps.dtype) == (np.float64, np.float32)
    assert np.isfinite(scores).all()
    assert np.isfinite(maps).all()
    np.testing.assert_array_equal(fitted[name].decision_function(parts[:5]), scores)
    np.testing.assert_array_equal(fitted[name].score_and_maps(parts[:5])[1], maps)
    again = IMAGE_BASELINES[name]().fit(parts).decision_function(parts[:5])
    np.testing.assert_array_equal(again, scores)


@pytest.mark.parametrize("name", LEARNING)
def test_a_planted_defect_scores_highest_and_the_map_points_at_it(name, fitted, tests_with_defect):
    scores, maps = fitted[name].score_and_maps(tests_with_defect)
    assert int(np.argmax(scores)) == 7
    row, column = np.unravel_index(int(maps[7].argmax()), (SIDE, SIDE))
    assert 32 <= row < 48
    assert 24 <= column < 40
    assert maps[7, 36:44, 28:36].mean() > 1.5 * np.delete(maps, 7, axis=0)[:, 36:44, 28:36].mean()


def test_a_image_scores_the_same_in_any_order_and_alone(name, fitted, tests_with_defect):
    scores, maps = fitted[name].score_and_maps(tests_with_defect)
    order = np.random.default_rng(0).permutation(len(tests_with_defect))
    shuffled, shuffled_maps = fitted[name].score_and_maps(tests_with_defect[order])
    np.testing.assert_allclose(shuffled, scores[order], rtol=1e-4)
    np.testing.assert_allclose(shuffled_maps, maps[order], rtol=1e-3, atol=1e-3 * float(maps.max()))
    alone = [fitted[name].decision_function(tests_with_defect[i : i + 1])[0] for i in (3, 7)]
    np.testing.assert_allclose(alone, scores[[3, 7]], rtol=1e-4)


def test_a_lazy_sequence_is_as_good_as_an_array(name, fitted, parts):
    lazy = Lazy(parts)
    baseline = IMAGE_BASELINES[name]().fit(lazy)
    assert lazy.given <= 2 * len(parts)  # one pass, and a look at the shape
    np.testing.assert_array_equal(
        baseline.decision_function(Lazy(parts[:6])), fitted[name].decision_function(parts[:6])
    )


def test_save_and_load_give_exactly_the_same_scores(name, fitted, parts, tmp_path):
    folder = fitted[name].save(tmp_path / "deep" / "model")
    assert sorted(path.name for path in folder.iterdir()) == ["arrays.safetensors", "baseline.json"]
    assert json.loads((folder / "baseline.json").read_text())["item_shape"] == [1, SIDE, SIDE]
    loaded = IMAGE_BASELINES[name].load(folder)
    for ours, theirs in zip(loaded.score_and_maps(parts[:4]), fitted[name].score_and_maps(parts[:4]), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_settings_survive_saving(parts, tmp_path):
    PatchKNN(coreset_share=0.1, reweighting=False, seed=3).fit(parts[:2]).save(tmp_path)
    loaded = PatchKNN.load(tmp_path)
    assert (loaded.coreset_share, loaded.reweighting, loaded.seed) == (0.1, False, 3)


@pytest.mark.parametrize("channels", [1, 3, 5])
def test_little_data_and_any_number_of_channels(name, channels):
    one = draw_parts(1, channels)
    assert np.isfinite(IMAGE_BASELINES[name]().fit(one).decision_function(draw_parts(2, channels, seed=1))).all()
    flat = np.zeros((3, channels, 32, 32), np.float32)
    scores, maps = IMAGE_BASELINES[name]().fit(flat).score_and_maps(flat)
    assert np.isfinite(scores).all()
    assert np.isfinite(maps).all()


def test_refuses_bad_items(name, fitted, parts):
    baseline = IMAGE_BASELINES[name]()
    with pytest.raises(NotFittedError, match=f"'{name}' has no fitted state: call fit"):
        baseline.score_and_maps(parts)
    with pytest.raises(NotFittedError, match="to save"):
        baseline.save("nowhere")
    for value in (np.nan, np.inf, 1.5):
        bad = parts[:3].copy()
        bad[1, 0, 4, 4] = value
        with pytest.raises(DataError, match=r"image 1 has values that are not within \[-1, 1\]"):
            baseline.fit(bad)
    with pytest.raises(NotFittedError):
        baseline.decision_function(parts)  # a fit that failed leaves nothing behind
    with pytest.raises(DataError, match="dtype uint8: give floats"):
        baseline.fit((parts[:2] * 100).astype(np.uint8))
    with pytest.raises(ShapeError, match=r"x\[None\] for one image"):
        baseline.fit(parts[0])
    with pytest.raises(ShapeError, match="no image was given"):
        baseline.fit(parts[:0])
    with pytest.raises(ShapeError, match="expected channels, side, side"):
        baseline.fit(parts[:, :, :, :40])
    with pytest.raises(ShapeError, match="image 1 has shape"):
        baseline.fit([parts[0], parts[1, :, :32, :32]])
    with pytest.raises(DataError, match="of type generator"):
        baseline.fit(image for image in parts)
    with pytest.raises(ShapeError, match="give the same"):
        fitted[name].decision_function(draw_parts(2, channels=3))


def test_settings_that_cannot_work_are_refused():
    with pytest.raises(ConfigError, match="coreset_share is 0"):
        PatchKNN(coreset_share=0.0)
    with pytest.raises(ConfigError, match="num_dimensions"):
        PaDiM(num_dimensions=0)


@pytest.mark.parametrize("name", LEARNING)
def test_damage_to_the_arrays_is_noticed(name, fitted, tmp_path):
    folder = fitted[name].save(tmp_path)
    content = (folder / "arrays.safetensors").read_bytes()
    (folder / "arrays.safetensors").write_bytes(content[: len(content) // 2])
    with pytest.raises(CheckpointError, match="not a saved baseline"):
        IMAGE_BASELINES[name].load(folder)
    with pytest.raises(CheckpointError, match=f"holds baseline '{name}'"):
        IMAGE_BASELINES["random"].load(folder)


@pytest.mark.parametrize("name", LEARNING)
def test_progress_of_each_stage_reaches_its_end(name, parts):
    heard = []
    baseline = IMAGE_BASELINES[name]()
    baseline.on_progress = lambda stage, done, total: heard.append((stage, done, total))
    baseline.fit(parts)
    stages = {stage: [(done, total) for s, done, total in heard if s == stage] for stage, _, _ in heard}
    assert list(stages) == ["features", "coreset" if name == "patch_knn" else "covariances"]
    assert stages["features"] == [(16, 20), (20, 20)]
    assert all(steps[-1][0] == steps[-1][1] for steps in stages.values())
    heard.clear()
    baseline.decision_function(parts)
    assert heard == []


def grids(baseline, images, taps, neighbourhood):
    return baseline._grid(images, taps, neighbourhood).astype(np.float64)


def test_neighbours_beyond_the_border_are_zeros_that_count(parts):
    baseline = PatchKNN()
    alone, averaged = (baseline._grid(parts[:1], (1,), side)[0].reshape(8, 8, 40) for side in (1, 3))
    np.testing.assert_allclose(averaged[0, 0], alone[:2, :2].sum(axis=(0, 1)) / 9, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(averaged[3, 4], alone[2:5, 3:6].mean(axis=(0, 1)), rtol=1e-4, atol=1e-5)


def test_patch_knn_with_all_patches_is_the_distance_to_the_nearest_one(parts, tests_with_defect):
    baseline = PatchKNN(coreset_share=1.0, reweighting=False).fit(parts[:4])
    memory = grids(baseline, parts[:4], (1, 2), 3).reshape(-1, 152)
    queries = grids(baseline, tests_with_defect[5:9], (1, 2), 3)
    nearest = np.array([cdist(query, memory).min(axis=1).max() for query in queries])
    np.testing.assert_allclose(baseline.decision_function(tests_with_defect[5:9]), nearest, rtol=1e-4)


def test_patch_knn_reweights_as_its_equation_says(parts, tests_with_defect):
    baseline = PatchKNN(coreset_share=0.3).fit(parts[:4])
    memory = baseline._memory.astype(np.float64)
    (query,) = grids(baseline, tests_with_defect[7:8], (1, 2), 3)
    distance = cdist(query, memory)
    at = distance.min(axis=1).argmax()
    own = distance[at].argmin()
    around = np.argsort(cdist(memory[own : own + 1], memory)[0])[:9]
    exponents = np.exp(distance[at, around])
    expected = (1 - np.exp(distance[at, own]) / exponents.sum()) * distance[at, own]
    assert baseline.decision_function(tests_with_defect[7:8])[0] == pytest.approx(expected, rel=1e-4)


def test_padim_is_the_mahalanobis_distance_at_each_place(parts, tests_with_defect):
    baseline = PaDiM(num_dimensions=12, seed=1).fit(parts)
    train = grids(baseline, parts, (0, 1, 2), 1)[..., baseline._kept]
    unit = train.reshape(-1, 12).std(axis=0)
    (query,) = grids(baseline, tests_with_defect[7:8], (0, 1, 2), 1)[..., baseline._kept]
    for place in (0, 27, 44):
        values = train[:, place] / unit
        covariance = np.cov(values.T) + 0.01 * np.eye(12)
        oracle = EmpiricalCovariance(store_precision=True)
        oracle.location_, oracle.precision_ = values.mean(axis=0), np.linalg.inv(covariance)
        expected = oracle.mahalanobis(query[place : place + 1] / unit)[0]
        white = baseline._whitening[place].T @ (query[place] - baseline._mean[place])
        assert white @ white == pytest.approx(expected, rel=1e-3)


def test_padim_scores_by_the_largest_value_of_its_map(fitted, parts):
    scores, maps = fitted["padim"].score_and_maps(parts[:3])
    np.testing.assert_allclose(scores, maps.max(axis=(1, 2)))


def test_random_draws_differ_between_seeds_and_images(parts):
    one, other = (IMAGE_BASELINES["random"](seed=seed).fit(parts).decision_function(parts) for seed in (0, 1))
    assert len({*one, *other}) == 2 * len(parts)
