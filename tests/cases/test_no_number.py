"""What is no number never passes for a score, a neighbour, a weight or a rate; loose rates and large seeds work."""

import math
from decimal import Decimal

import numpy as np
import pytest
import torch

from oddwave.calibration.conformal import Calibration, conformal_p_values
from oddwave.calibration.rule import Rule, valid_alpha
from oddwave.config import preset
from oddwave.detection.density_ratio import DensityRatio, RatioDistance
from oddwave.detection.series.events import find_events
from oddwave.errors import ConfigError, DataError
from oddwave.scoring.fusion import Fusion, Standardiser
from oddwave.scoring.memory import Memory
from oddwave.scoring.position_gaussian import PositionGaussian
from oddwave.scoring.selection import separation

NOT_FINITE = (math.nan, math.inf, -math.inf)


def memory(**changes):
    parts = {
        "vectors": np.arange(12, dtype=np.float32).reshape(6, 2),
        "groups": np.zeros(6, int),
        "starts": np.arange(6),
        "center": np.zeros(2, np.float32),
        "scale": np.ones(2, np.float32),
        "weights": np.ones(6, np.float32),
        "num_neighbors": 2,
    }
    return Memory(**{**parts, **changes})


def with_one(values, value):
    changed = np.array(values, np.float32)
    changed.flat[-1] = value
    return changed


# Memories and ratios


@pytest.mark.parametrize("part", ["vectors", "center", "scale", "weights"])
@pytest.mark.parametrize("value", NOT_FINITE)
def test_a_memory_with_a_hole_finds_nothing_at_all(part, value):
    with pytest.raises(DataError, match="finite vectors"):
        memory(**{part: with_one(getattr(memory(), part), value)})


@pytest.mark.parametrize("part", ["scale", "weights"])
@pytest.mark.parametrize("value", [0.0, -1.0])
def test_scales_and_weights_of_a_memory_are_positive(part, value):
    with pytest.raises(DataError, match="positive"):
        memory(**{part: with_one(getattr(memory(), part), value)})


@pytest.mark.parametrize("num_neighbors", [1, 2])
@pytest.mark.parametrize("value", [math.nan, math.inf, 3e38])
def test_a_query_without_a_distance_has_none_while_one_without_neighbours_gets_the_largest(num_neighbors, value):
    queries = np.array([[0, 1], [value, 1], [50, 50]], np.float32)
    with np.errstate(all="ignore"):
        found = memory(num_neighbors=num_neighbors).distance(queries)
    assert np.isnan(found).tolist() == [False, True, False]
    alone = memory(num_neighbors=num_neighbors).distance(
        queries[[0, 2]], groups=np.array([0, 1]), starts=np.array([0, 0]), exclusion=100
    )
    assert alone[0] == alone[1] > 0  # the first may be compared with none of its own group


def test_a_density_ratio_refuses_holes_on_both_sides():
    items = np.random.default_rng(0).normal(size=(20, 3)).astype(np.float32)
    ratio = DensityRatio.fit(items, items + 1)
    for part in ("normals", "background", "centre", "scale"):
        arrays = ratio.arrays()
        with pytest.raises(DataError, match="all finite"):
            DensityRatio.from_arrays({**arrays, part: with_one(arrays[part], math.nan)})
    holed = RatioDistance(ratio)(torch.from_numpy(with_one(items, math.nan)))
    assert np.isnan(holed.numpy()).sum() == 1  # and an item whose score is no number is not judged


def test_a_gaussian_refuses_what_is_no_factor_of_a_covariance():
    gaussian = PositionGaussian.fit(torch.randn(9, 3, 2, 2, generator=torch.Generator().manual_seed(0)))
    arrays = gaussian.arrays()
    lower = arrays["whitening"].float()
    broken = [lower.clone() for _ in range(4)]
    broken[0][0, 0, 0], broken[1][0, 0, 0], broken[2][0, 0, 2], broken[3][0, 2, 0] = -1.0, 0.0, 1.0, math.nan
    for own in broken:
        with pytest.raises(DataError, match="Gaussians"):
            PositionGaussian(gaussian.mean, own)


# Standardising, fusing, choosing


@pytest.mark.parametrize("deviation", [0.0, -1.0, math.nan, math.inf])
def test_deviations_are_positive_and_finite(deviation):
    for terms, groups, score in (
        ({"recon": ([0.0], [deviation])}, {"recon": (0.0, 1.0)}, (0.0, 1.0)),
        ({"recon": ([0.0], [1.0])}, {"recon": (0.0, deviation)}, (0.0, 1.0)),
        ({"recon": ([0.0], [1.0])}, {"recon": (0.0, 1.0)}, (0.0, deviation)),
    ):
        with pytest.raises(DataError, match="positive deviations"):
            Standardiser(terms, groups, score)


@pytest.mark.parametrize("value", NOT_FINITE)
def test_a_term_that_is_no_number_stops_the_score(value):
    standardiser = Standardiser.fit({"recon": np.arange(5.0), "memory.input": np.arange(5.0)})
    with pytest.raises(DataError, match="'memory' is not finite"):
        standardiser.transform({"recon": np.arange(3.0), "memory.input": np.array([0.0, value, 1.0])})


@pytest.mark.parametrize("weight", [-1.0, 1.5, math.nan, 1e308])
def test_fusion_weights_lie_within_0_and_1(weight):
    for weights in ((weight, 0.5), (0.5, weight)):
        with pytest.raises(DataError, match="from 0 to 1"):
            Fusion(*weights)


def test_nothing_is_chosen_by_scores_that_are_no_numbers():
    with pytest.raises(DataError, match="not finite"):
        separation(np.array([0.0, math.nan]), np.array([1.0]))


# Calibration


@pytest.mark.parametrize("value", NOT_FINITE)
def test_calibration_scores_are_finite(value):
    good, bad = np.arange(5.0), with_one(np.arange(5.0), value)
    for scores, blocks in ((bad, good), (good, bad), (np.zeros(0), good), (good, np.zeros(0))):
        with pytest.raises(DataError, match="fit again"):
            Calibration(scores, blocks, 1, "")


def test_a_calibration_with_nan_hides_no_anomaly():
    with pytest.raises(DataError, match="NaN"):
        conformal_p_values(np.array([9.0]), np.array([1.0, math.nan]))


def test_unmonitored_points_do_not_calibrate_but_infinite_scores_are_an_error():
    assert len(Calibration.fit([np.array([1.0, math.nan, 2.0])], 1, "").scores) == 2
    with pytest.raises(DataError, match="fit again"):
        Calibration.fit([np.array([1.0, math.inf])], 1, "")


# Rates


@pytest.mark.parametrize(
    "alpha", ["0.01", "", b"0.01", True, np.bool_(True), None, [0.01], {}, 1j, Decimal("0.01"), np.array([0.1, 0.2])]
)
def test_a_rate_that_is_no_number_is_refused(alpha):
    with pytest.raises(ConfigError, match="expected a number between 0 and 1"):
        valid_alpha(alpha)


@pytest.mark.parametrize(
    "alpha",
    [0, 1, -0.1, 1.0, 2, math.nan, math.inf, -math.inf, 10**400, 10**5000],
    ids=lambda alpha: type(alpha).__name__,
)
def test_a_rate_outside_0_and_1_is_refused(alpha):
    with pytest.raises(ConfigError, match="expected a false-alarm rate between 0 and 1"):
        valid_alpha(alpha)


@pytest.mark.parametrize("alpha", [0.1, np.float32(0.1), np.float64(0.1), np.array(0.1), np.array([0.1])])
def test_numbers_of_all_kinds_are_rates(alpha):
    assert valid_alpha(alpha) == pytest.approx(0.1)
    assert type(valid_alpha(alpha)) is float


@pytest.mark.parametrize(
    ("call", "alpha"),
    [
        *((call, alpha) for call in ("score", "predict", "detect") for alpha in ("0.01", True, math.nan)),
        *((call, 1e-300) for call in ("score", "predict")),  # what the data support is known only after a fit
    ],
)
def test_every_door_refuses_such_rates_in_one_line(stream_detector, waves, tiny_config, call, alpha):
    from oddwave.detector import Detector

    detector = Detector(tiny_config()) if call == "detect" else stream_detector
    with pytest.raises(ConfigError, match="alpha") as caught:
        getattr(detector, call)(waves(60, channels=2), alpha=alpha)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("alpha", [0.5, 0.9, 0.999, 1 - 1e-12, np.nextafter(1.0, 0.0)])
def test_loose_rates_flag_more_and_never_fail(stream_detector, waves, alpha):
    data = waves(80, channels=2, seed=5)
    tight, loose = stream_detector.score(data, alpha=0.05), stream_detector.score(data, alpha=alpha)
    assert loose.labels.sum() >= tight.labels.sum()
    for event in loose.events:
        assert event.start <= event.peak <= event.end


def test_an_event_below_the_usual_score_still_has_its_place():
    calibration = Calibration(np.full(9, 10.0), np.array([0.0, *[10.0] * 8]), 1, "")
    scores = np.array([0.0, 1.0, 2.0, 1.0, 0.0])
    (event,) = find_events("x", scores, np.ones(5, int), calibration, Rule(0.95))
    assert (event.start, event.peak, event.end) == (0, 2, 4)  # what normal blocks reach is told no finer


# Settings


@pytest.mark.parametrize(
    "setting",
    ["seed=9223372036854775808", "seed=-1", "training.seed=18446744073709551616", "training.learning_rate=NaN",
     "training.learning_rate=Infinity", "training.num_steps=1e30", "scoring.memory_size=99999999999999999999",
     "network.base_channels=100000000", "network.channel_mult=[]", "network.channel_mult=[0]",
     "series.window_sizes=[99999999999]", "series.tensor_length=1000000000", "image.size_px=1000000",
     "maps.memory_grid=100000", "audio.clip_s=1e9", "audio.num_rows=3200000", "calibration.alpha=NaN",
     f"seed={'9' * 5000}", f"maps.perceptual={'x' * 5000}", f"seed={'[' * 100_000}"],
    ids=lambda setting: setting[:30],
)  # fmt: skip
def test_settings_that_cannot_work_are_refused_in_one_short_line(setting):
    with pytest.raises(ConfigError) as caught:
        preset("fast").with_overrides([setting])
    line = str(caught.value)
    assert "\n" not in line
    assert len(line) < 400
    assert setting.partition("=")[0].rpartition(".")[2] in line


def test_the_largest_seed_fits_and_scores(tiny_config, waves):
    from oddwave.detector import Detector

    detector = Detector(tiny_config(f"seed={2**63 - 1}")).fit(waves())
    assert np.isfinite(detector.score(waves(60)).scores).all()
