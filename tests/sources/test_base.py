"""The contract of a modality, kept by the series: what a reader returns, and the way through all of them and back."""

import subprocess
import sys

import numpy as np
import pytest

from oddwave.sources.base import Item, ItemSet
from oddwave.sources.series.reader import read_series
from oddwave.tensors.representation import Representation
from oddwave.tensors.series_scale import SeriesScaler
from oddwave.tensors.series_windows import join_windows, sliding_windows


def stream(n=200):
    rng = np.random.default_rng(0)
    return np.sin(np.arange(n)[:, None] / 5) * [3, 50] + rng.normal(size=(n, 2)) + 100


def test_the_parts_of_the_series_keep_the_contract():
    data = read_series(stream())
    assert isinstance(data, ItemSet)
    assert all(isinstance(item, Item) for item in data.items)
    assert not isinstance(object(), Item)


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
