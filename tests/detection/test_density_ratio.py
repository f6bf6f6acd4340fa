"""The ratio of two nearest-neighbour densities."""

import numpy as np
import pytest
import torch

from oddwave.detection.density_ratio import DensityRatio, RatioDistance
from oddwave.errors import DataError, ShapeError


def score(ratio: DensityRatio, queries: np.ndarray) -> np.ndarray:
    return RatioDistance(ratio)(torch.from_numpy(queries.astype(np.float32))).numpy()


@pytest.fixture
def clouds() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    normals = rng.normal(size=(200, 4)) * 0.3 + [2.0, 0.0, 0.0, 0.0]
    return normals, rng.normal(size=(400, 4)) * 3.0


def test_it_equals_the_distances_of_the_definition(clouds: tuple[np.ndarray, np.ndarray]) -> None:
    normals, background = clouds
    query = np.array([[1.0, -1.0, 0.5, 2.0]])
    spread = background.std(0)

    def mean_distance(items: np.ndarray) -> float:
        return float(np.sort(np.linalg.norm((items - query) / spread, axis=1))[:5].mean())

    expected = np.log(mean_distance(normals)) - np.log(mean_distance(background))
    assert score(DensityRatio.fit(normals, background), query)[0] == pytest.approx(expected, abs=1e-3)


def test_what_is_rare_everywhere_is_not_odd_for_that(clouds: tuple[np.ndarray, np.ndarray]) -> None:
    """A far-off point is as far from the normals as from all else; one in the midst of all else is not."""
    normals, background = clouds
    ratio = DensityRatio.fit(normals, background)
    usual, elsewhere, far_off = score(ratio, np.array([[2.0, 0, 0, 0], [-2.0, 2, -2, 2], [60.0, 60, 60, 60]]))
    assert usual < far_off < elsewhere


def test_units_do_not_matter(clouds: tuple[np.ndarray, np.ndarray]) -> None:
    normals, background = clouds
    units = np.array([0.5, 1.0, 5.0, 3.0])
    queries = background[:20] + 0.5
    plain = score(DensityRatio.fit(normals, background), queries)
    scaled = score(DensityRatio.fit(normals * units, background * units), queries * units)
    np.testing.assert_allclose(plain, scaled, atol=1e-3)


def test_saved_and_restored(clouds: tuple[np.ndarray, np.ndarray]) -> None:
    ratio = DensityRatio.fit(*clouds)
    np.testing.assert_array_equal(
        score(DensityRatio.from_arrays(ratio.arrays()), clouds[1][:9]), score(ratio, clouds[1][:9])
    )


def test_bad_input_is_refused(clouds: tuple[np.ndarray, np.ndarray]) -> None:
    normals, background = clouds
    with pytest.raises(ShapeError, match="same vector space"):
        DensityRatio.fit(normals, background[:, :3])
    with pytest.raises(DataError, match="0 normals"):
        DensityRatio.fit(normals[:0], background)
    with pytest.raises(DataError, match="all finite"):
        DensityRatio.fit(np.where(normals > 2.5, np.nan, normals), background)


def test_near_vectors_far_from_all_else_keep_their_distances() -> None:
    rng = np.random.default_rng(0)
    background = rng.normal(size=(50, 6))
    normals = (500 + 0.01 * rng.normal(size=(60, 6))).astype(np.float32).astype(float)
    query = normals[:1] + 0.005

    def mean_distance(items: np.ndarray) -> float:
        return float(np.sort(np.linalg.norm((items - query) / background.std(0), axis=1))[:5].mean())

    expected = np.log(mean_distance(normals)) - np.log(mean_distance(background))
    assert score(DensityRatio.fit(normals, background), query)[0] == pytest.approx(expected, abs=0.02)
