"""A model's channels are found by their names: other columns change nothing, missing ones are refused."""

import numpy as np
import pandas as pd
import pytest

from oddwave.config import DetectorConfig, preset
from oddwave.detector import Detector
from oddwave.errors import DataError, ShapeError
from oddwave.sources.series.reader import read_series

TINY = [
    *("training.num_steps=2", "training.batch_size=8", "training.num_validation_draws=8", "network.base_channels=8"),
    *("series.max_windows=32", "series.window_sizes=[8]"),
]


def config() -> DetectorConfig:
    return preset("fast").with_overrides(TINY)


def plant(num_rows: int = 160, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    wave = np.sin(np.arange(num_rows) / 4)
    return pd.DataFrame(
        {
            "time": pd.date_range("2024-01-01", periods=num_rows, freq="10min"),
            "temp": 20 + wave + rng.normal(0, 0.1, num_rows),
            "pressure": 5 + rng.normal(0, 0.1, num_rows),
        }
    )


@pytest.fixture(scope="module")
def model() -> Detector:
    return Detector(config()).fit(plant())


@pytest.fixture(scope="module")
def expected(model: Detector) -> np.ndarray:
    return model.decision_function(plant(seed=1))


def with_text(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(operator="Jo", label=(np.arange(len(frame)) % 7 == 0).astype(int))


@pytest.mark.parametrize(
    "change",
    [
        lambda f: f[["pressure", "time", "temp"]],
        lambda f: f.assign(humidity=50.0)[["humidity", "pressure", "temp", "time"]],
        with_text,
        lambda f: f.rename(columns={"temp": " Temp", "pressure": "PRESSURE"}),
    ],
    ids=["another order", "a new sensor", "a label and a text column", "another case"],
)
@pytest.mark.parametrize("form", ["frame", "csv", "parquet"])
def test_other_columns_change_no_score(model, expected, tmp_path, change, form) -> None:
    frame = change(plant(seed=1))
    source = {"frame": lambda: frame, "csv": lambda: tmp_path / "x.csv", "parquet": lambda: tmp_path / "x.parquet"}[
        form
    ]()
    if form == "csv":
        frame.to_csv(source, index=False)
    elif form == "parquet":
        frame.to_parquet(source, index=False)
    np.testing.assert_allclose(model.decision_function(source), expected, rtol=1e-12)


def test_what_is_left_out_is_named(model) -> None:
    (item,) = model.score(with_text(plant(seed=1)), alpha=0.1).items
    assert item.channel_names == ("temp", "pressure")
    assert any("left out" in note and "label" in note for note in item.notes)


@pytest.mark.parametrize(
    ("names", "missing"),
    [
        (("pressure_bar", "temp"), "pressure"),
        (("temp_2", "pressure_2"), "temp, pressure"),
        (("a", "b"), "temp, pressure"),
    ],
)
def test_a_missing_channel_is_refused_with_both_lists(model, names, missing) -> None:
    frame = plant().rename(columns=dict(zip(("temp", "pressure"), names, strict=True)))
    with pytest.raises(ShapeError) as caught:
        model.score(frame)
    assert f"has no channel {missing}: it has {', '.join(names)}, expected temp, pressure" in str(caught.value)


def test_named_and_nameless_channels_are_not_matched(model) -> None:
    with pytest.raises(ShapeError, match=r"has no channel temp, pressure: it has channel_0, channel_1"):
        model.score(plant()[["temp", "pressure"]].to_numpy())


def test_nameless_channels_go_by_their_position(tmp_path) -> None:
    values = plant()[["temp", "pressure"]].to_numpy()
    nameless = Detector(config()).fit(values)
    scores = nameless.decision_function(values)
    np.savetxt(tmp_path / "plain.csv", values, delimiter=",", fmt="%.17g")
    np.testing.assert_array_equal(nameless.decision_function(tmp_path / "plain.csv"), scores)
    np.testing.assert_array_equal(nameless.decision_function(pd.DataFrame(values)), scores)
    with pytest.raises(ShapeError, match="has 3 channel"):
        nameless.score(np.column_stack([values, values[:, 0]]))


def test_files_to_learn_from_must_have_the_same_columns_whatever_their_order(tmp_path) -> None:
    plant().to_csv(tmp_path / "b.csv", index=False)
    for name in ("a", "c"):
        plant().assign(extra=np.arange(160) % 3).to_csv(tmp_path / f"{name}.csv", index=False)
        with pytest.raises(ShapeError, match="extra"):
            read_series(tmp_path)
        assert read_series(tmp_path, columns=["pressure", "temp"]).channel_names == ("pressure", "temp")
        (tmp_path / f"{name}.csv").unlink()


def test_a_column_of_the_model_that_turned_to_text_is_refused(model) -> None:
    frame = plant().assign(pressure="broken")
    with pytest.raises(DataError, match="pressure"):
        model.score(frame)
