"""Tensors, masked arrays, and axes in another order: the same image or sound, or one clear line."""

import numpy as np
import pytest
import torch

from oddwave.errors import DataError, ShapeError
from oddwave.sources.audio.reader import read_audio
from oddwave.sources.image.reader import read_images

RNG = np.random.default_rng(0)
RGB = RNG.integers(0, 256, (40, 50, 3), dtype=np.uint8)
UNIT = (RGB / 255).astype(np.float32)
NOISE = (0.1 * RNG.normal(size=4000)).astype(np.float32)


def pixels(source):
    (item,) = read_images(source, on_error="stop").items
    return item.pixels()


def samples(source):
    (item,) = read_audio(source, on_error="stop").items
    return item.samples(8000)


@pytest.mark.parametrize(
    ("make", "tolerance"),
    [
        (lambda v: torch.tensor(v, requires_grad=True), 0),
        (lambda v: torch.tensor(v).double(), 0),
        (lambda v: torch.tensor(v).bfloat16(), 5e-3),
        (lambda v: torch.tensor(v).half(), 1e-3),
        (lambda v: np.ma.masked_array(v, np.zeros(v.shape, bool)), 0),
        (lambda v: v.astype(v.dtype.newbyteorder(">")), 0),
        (lambda v: v[::-1][::-1], 0),
    ],
    ids=["requires_grad", "double", "bfloat16", "half", "nothing masked", "big-endian", "strided"],
)
def test_arrays_of_other_libraries_hold_the_same(make, tolerance):
    np.testing.assert_allclose(pixels([make(UNIT)]), UNIT, atol=tolerance)
    np.testing.assert_allclose(samples((make(NOISE), 8000)), NOISE, atol=tolerance)


@pytest.mark.parametrize("make", [lambda v: torch.tensor(v).to_sparse(), lambda v: torch.tensor(v, device="meta")])
def test_tensors_without_plain_numbers_are_refused(make):
    with pytest.raises(DataError):
        pixels([make(UNIT)])
    with pytest.raises(DataError):
        samples((make(NOISE), 8000))


def test_masked_values_are_no_data():
    mask = np.zeros(UNIT.shape, bool)
    mask[3, 4] = True
    with pytest.raises(DataError, match="masked array, 3 of whose 6000 values are missing"):
        pixels([np.ma.masked_array(UNIT, mask)])
    found = read_images(np.ma.masked_array(np.stack([RGB, RGB]), np.stack([mask, ~mask & False])))
    assert [hasattr(entry, "reason") for entry in found.entries] == [True, False]
    with pytest.raises(DataError, match="masked array, 400 of whose 4000"):
        samples((np.ma.masked_array(NOISE, np.arange(4000) % 10 == 0), 8000))


def test_channels_may_come_first():
    first = np.moveaxis(RGB, 2, 0)
    for source in ([first], [torch.tensor(first.copy())], first[None], torch.tensor(first[None].copy())):
        np.testing.assert_array_equal(pixels(source), UNIT)
        assert "read as (channels, height, width)" in " ".join(read_images(source).notes)
    np.testing.assert_array_equal(pixels([RGB]), UNIT)
    np.testing.assert_array_equal(pixels(RGB[None]), UNIT)
    grey = torch.tensor(RGB[None, None, :, :, 0])
    np.testing.assert_array_equal(pixels(grey), UNIT[:, :, :1])
    lights = RNG.integers(0, 256, (7, 40, 50), dtype=np.uint8)
    np.testing.assert_array_equal(pixels([lights]), pixels([np.moveaxis(lights, 0, 2)]))
    line_scan = RGB[:1]  # one row of three colours, and no channel of 50 x 3 pixels
    np.testing.assert_array_equal(pixels([line_scan]), UNIT[:1])


def test_what_may_be_one_image_or_several_is_refused_or_said():
    first = np.moveaxis(RGB, 2, 0).copy()
    with pytest.raises(ShapeError, match=r"pass \[tensor\] for one"):
        read_images(torch.tensor(first))
    found = read_images(first)
    assert len(found.items) == 3
    assert "read as 3 grey images" in found.notes[0]
