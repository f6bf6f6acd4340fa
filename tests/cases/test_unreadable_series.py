"""A series that cannot be read keeps its place and is never called normal; results of oddwave are no data."""

import gzip
import shutil
from pathlib import Path

import numpy as np
import pytest

from oddwave.config import preset
from oddwave.detector import Detector
from oddwave.errors import ConfigError, DataError
from oddwave.files import RESULT_FILES
from oddwave.report import outputs
from oddwave.report.kinds import KINDS
from oddwave.sources.series.reader import read_series

TINY = [
    *("training.num_steps=2", "training.batch_size=8", "training.num_validation_draws=8", "network.base_channels=8"),
    *("series.max_windows=32", "series.window_sizes=[8]"),
]
BAD = {
    "empty.csv": b"",
    "text.csv": b"a,b\nx,y\nz,w\n",
    "cut.csv.gz": gzip.compress(b"v\n" + b"1\n2\n" * 500)[:-9],
    "no.npy": b"\x93NUMPY\x01",
    "other.csv": b"w\n1\n2\n3\n4\n5\n6\n7\n8\n9\n",
    "short.csv": b"v\n1\n2\n3\n",
    "missing.csv": None,
}


def write(path: Path, seed: int) -> Path:
    values = np.sin(np.arange(160) / 4) + np.random.default_rng(seed).normal(0, 0.1, 160)
    path.write_text("v\n" + "\n".join(f"{value:.6f}" for value in values))
    return path


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Detector:
    healthy = write(tmp_path_factory.mktemp("fit") / "healthy.csv", 0)
    return Detector(preset("fast").with_overrides(TINY)).fit(healthy)


@pytest.fixture(scope="module")
def good(model, tmp_path_factory) -> dict[Path, np.ndarray]:
    """Two series that can be read, and the scores that each has alone."""
    folder = tmp_path_factory.mktemp("good")
    paths = [write(folder / f"good{i}.csv", i + 1) for i in range(2)]
    return {path: model.score(path, alpha=0.1).items[0].scores for path in paths}


ORDERS = {"between": lambda bad, a, b: [a, bad, b], "first": lambda bad, a, b: [bad, a, b], "last, twice": lambda bad,
          a, b: [a, b, bad, bad]}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "order"), [*((name, "between") for name in BAD), ("text.csv", "first"), ("short.csv", "last, twice")]
)
def test_it_keeps_its_place_among_others(model, good, name, order) -> None:
    bad = next(iter(good)).with_name(name)
    num_rows = 3 if name == "short.csv" else 1  # what was read has all its rows
    if BAD[name] is not None:
        bad.write_bytes(BAD[name])
    paths = ORDERS[order](bad, *good)
    result = model.score(paths, alpha=0.1)
    names = [path.name for path in paths]
    assert [item.id for item in result.items] == [*names[:3], *(f"{name} (2)" for name in names[3:])]
    for path, item in zip(paths, result.items, strict=True):
        if path != bad:
            np.testing.assert_array_equal(item.scores, good[path])
            assert set(item.labels) <= {0, 1} or np.isnan(item.scores).any()
            continue
        assert np.isnan(item.scores).all()
        assert np.isnan(item.p_values).all()
        assert item.labels.tolist() == [-1] * num_rows
        assert item.error
        assert "\n" not in item.error
    rows = model.decision_function(paths)
    assert len(rows) == sum(num_rows if path == bad else 160 for path in paths)
    labels = model.predict(paths, alpha=0.1)
    assert len(labels) == len(rows)
    assert (np.ma.filled(labels, -1)[np.isnan(rows)] == -1).all()


def test_alone_or_where_told_to_stop_it_is_refused(model, tmp_path) -> None:
    good, bad = write(tmp_path / "good.csv", 1), tmp_path / "bad.csv"
    bad.write_bytes(b"")
    for source in (bad, [bad], [bad, bad]):
        with pytest.raises(DataError, match="is empty"):
            model.score(source)
    with pytest.raises(DataError, match="is empty"):
        Detector(model.config).fit([good, bad])
    with pytest.raises(DataError, match="is empty"):
        read_series([good, bad])
    skipped = read_series([good, bad], on_error="skip")
    assert [(failure.id, failure.place) for failure in skipped.failures] == [("bad.csv", 1)]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"column": ["a"]}, "did you mean 'columns'"),
        ({"on_eror": "skip"}, "did you mean 'on_error'"),
        ({"xyz": 1}, "there are: timestamp"),
    ],
)
def test_a_misspelt_reading_option_is_refused_at_the_door(options, expected) -> None:
    with pytest.raises(ConfigError, match=expected):
        Detector(preset("fast"), read_options=options)


@pytest.mark.parametrize(
    "header",
    [
        ("item", "index", "timestamp", "score", "p_value", "label"),
        ("item", "score", "p_value", "label"),
        KINDS["recording"].tables["clips.csv"].columns,
        *(kind.event_columns for kind in KINDS.values()),
    ],
)
@pytest.mark.parametrize("more", [(), ("status", "reason")])
def test_a_lone_table_of_results_is_no_data(tmp_path, header, more) -> None:
    data = write(tmp_path / "data.csv", 1)
    for name in ("renamed.csv", "packed.csv.gz"):
        raw = (",".join((*header, *more)) + "\r\n" + ",".join("1" for _ in (*header, *more)) + "\r\n").encode()
        copied = tmp_path / name
        copied.write_bytes(gzip.compress(raw) if name.endswith("gz") else raw)
        with pytest.raises(DataError, match="results that oddwave wrote"):
            read_series(copied)
    series = read_series(tmp_path)
    assert [item.id for item in series.items] == [data.name]
    assert sum("results that oddwave wrote" in note for note in series.notes) == 2


def test_results_within_the_data_change_nothing(model, tmp_path) -> None:
    (tmp_path / "deep").mkdir()
    write(tmp_path / "deep" / "a.csv", 1)
    write(tmp_path / "b.csv", 2)
    before = model.score(tmp_path, alpha=0.1)
    outputs.write_outputs(before, tmp_path / "deep" / "results")
    again = model.score(tmp_path, alpha=0.1)
    assert [item.id for item in again.items] == [item.id for item in before.items] == ["b.csv", "deep/a.csv"]
    np.testing.assert_array_equal(again.scores, before.scores)
    shutil.copy(tmp_path / "deep" / "results" / RESULT_FILES[0], tmp_path / "deep" / "copy.csv")
    assert [item.id for item in model.score(tmp_path, alpha=0.1).items] == ["b.csv", "deep/a.csv"]


def test_an_instance_without_any_value_is_not_judged_and_the_others_are() -> None:
    wave = np.sin(np.arange(24) / 3) + np.random.default_rng(0).normal(0, 0.1, (30, 1, 24))
    model = Detector(preset("fast").with_overrides(TINY[:3])).fit(wave)
    holed = wave[:5].copy()
    holed[2] = np.nan
    result = model.score(holed, alpha=0.3)
    assert [item.id for item in result.items] == ["0", "1", "2", "3", "4"]
    assert [item.status for item in result.items] == ["judged", "judged", "not judged", "judged", "judged"]
    assert "no number at all" in result.items[2].reason
    np.testing.assert_array_equal(result.scores[[0, 1, 3, 4]], model.score(wave[[0, 1, 3, 4]], alpha=0.3).scores)
    assert model.predict(holed, alpha=0.3).mask.tolist() == [False, False, True, False, False]
