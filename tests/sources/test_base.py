"""The reader loop and the set that it fills; a series' way to its tensors and back."""

import subprocess
import sys

import numpy as np
import pytest

from oddwave.errors import DataError, ShapeError
from oddwave.sources.base import Candidate, Failure, Item, ItemSet, copies_note, read_entries
from oddwave.sources.files import unique_names
from oddwave.sources.image.reader import read_images
from oddwave.sources.series.reader import read_series
from oddwave.tensors.representation import Representation
from oddwave.tensors.series_scale import SeriesScaler
from oddwave.tensors.series_windows import join_windows, sliding_windows


def stream(n=200):
    rng = np.random.default_rng(0)
    return np.sin(np.arange(n)[:, None] / 5) * [3, 50] + rng.normal(size=(n, 2)) + 100


def candidate(name, outcome):
    def read():
        if isinstance(outcome, DataError):
            raise outcome
        return outcome

    return Candidate(name, None, read)


def test_what_cannot_be_read_keeps_its_place_or_stops_the_reading():
    candidates = [candidate("a", 1), candidate("b", ShapeError("is\nodd")), candidate("c", 3)]
    assert list(read_entries(candidates, "skip")) == [1, Failure("b", None, "is\\nodd"), 3]
    reading = read_entries(candidates, "stop")
    assert next(reading) == 1
    with pytest.raises(ShapeError, match="'b' is"):
        next(reading)


def test_a_set_knows_its_items_failures_and_contents():
    made = read_images({name: np.full((8, 8), value) for name, value in (("a", 0.1), ("b", 0.1), ("c", 0.2))}).items
    both = ItemSet((made[0], Failure("x", None, "is odd"), *made[1:]))
    assert [item.id for item in both.items] == ["a", "b", "c"]
    assert [failure.message for failure in both.failures] == ["'x' is odd"]
    assert both.known_in([made[0].digest]) == ("a", "b")
    assert copies_note(both.items, "image") == ["1 image(s) are copies of others, such as 'b' of 'a'"]
    assert both.fingerprint == ItemSet(tuple(made)).fingerprint != ItemSet(tuple(made[:2])).fingerprint
    assert all(isinstance(item, Item) for item in (*made, *read_series(stream()).items))


def test_no_two_items_have_one_name():
    assert unique_names(["a", "b", "a", "a (2)", "a"]) == ["a", "b", "a (3)", "a (2)", "a (4)"]
    assert unique_names(["a (2)", "a", "a"]) == ["a (2)", "a", "a (3)"]
    found = read_images({1: np.zeros((8, 8)), "1": np.ones((8, 8))})
    assert [item.id for item in found.items] == ["1", "1 (2)"]


@pytest.mark.parametrize("scaling", ["global", "window"])
def test_a_source_comes_back_from_its_tensors(scaling):
    (item,) = read_series(stream()).items
    scale = SeriesScaler.fit([item.values])
    form = Representation("window", 32, 2, 32, scaling)
    windows, starts = sliding_windows(scale.transform(item.values).astype(np.float32), 32, 8)
    x0 = form.encode(windows)
    assert tuple(x0.shape) == (len(starts), form.in_channels, 32)
    assert float(x0.abs().max()) < 3
    restored = scale.inverse(join_windows(form.decode(x0, windows), starts, len(item.values)))
    np.testing.assert_allclose(restored, item.values, rtol=1e-5)


def test_the_contract_and_the_readers_do_without_torch():
    code = "import sys, oddwave.sources; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
