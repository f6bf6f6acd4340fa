"""What must hold for every image: no file crashes the reader, and geometry is undone."""

import io

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from oddwave.errors import DataError
from oddwave.sources.image.reader import read_images
from oddwave.tensors.image_frame import ImageFrame
from oddwave.tensors.image_tiles import blend_tiles, tile_boxes

SIDES = st.integers(1, 70)
FRAMES = st.builds(ImageFrame, st.integers(1, 48), st.sampled_from(["letterbox", "stretch"]), st.just(1))
FEW = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
_FORMATS = {"png": "PNG", "jpg": "JPEG", "bmp": "BMP", "webp": "WEBP", "gif": "GIF", "tif": "TIFF"}


def _valid_files():
    values = np.random.default_rng(0).integers(0, 256, (12, 10, 3), dtype=np.uint8)
    files = {}
    for ending, form in _FORMATS.items():
        options = {"compression": "tiff_lzw"} if form == "TIFF" else {}
        Image.fromarray(values).save(buffer := io.BytesIO(), form, **options)
        files[ending] = buffer.getvalue()
    np.save(buffer := io.BytesIO(), values)
    files["npy"] = buffer.getvalue()
    return files


FILES = _valid_files()


@pytest.mark.parametrize("ending", FILES)
@FEW
@given(data=st.data())
def test_damaged_files_are_read_or_refused_in_one_line(tmp_path, ending, data):
    content = bytearray(FILES[ending])
    for at, byte in data.draw(st.lists(st.tuples(st.integers(0, len(content) - 1), st.integers(0, 255)), max_size=4)):
        content[at] = byte
    path = tmp_path / f"a.{ending}"
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    try:
        (item,) = read_images(path, max_pixels=100_000).items
        pixels = item.pixels()
    except DataError as error:
        message = str(error)
    else:
        message = ""
        assert pixels.shape == (*item.size, item.channels)
        assert pixels.min() >= 0
        assert pixels.max() <= 1
    assert "\n" not in message


@FEW
@given(SIDES, SIDES, st.integers(1, 40), st.floats(0, 0.9))
def test_tiles_cover_the_image_and_never_leave_it(height, width, tile_px, overlap):
    boxes = tile_boxes(height, width, tile_px, overlap)
    constant = blend_tiles([np.full((b.height, b.width), 3.0, np.float32) for b in boxes], boxes, height, width)
    np.testing.assert_allclose(constant, 3.0, rtol=1e-5)
    assert all(b.top + b.height <= height and b.left + b.width <= width for b in boxes)
    assert len(set(boxes)) == len(boxes)


@FEW
@given(FRAMES, SIDES, SIDES)
def test_images_fill_their_place_and_maps_their_range(frame, height, width):
    box = frame.placement(height, width)
    assert box.top >= 0 <= box.left
    assert box.top + box.height <= frame.size_px >= box.left + box.width
    image = np.random.default_rng(height).random((height, width, 1), dtype=np.float32)
    x0 = frame.prepare(image)
    assert np.abs(x0).max() <= 1
    returned = frame.to_image(x0[0], height, width)
    assert returned.shape == (height, width)
    assert x0.min() - 1e-5 <= returned.min() <= returned.max() <= x0.max() + 1e-5


@FEW
@given(FRAMES, SIDES, SIDES, st.integers(1, 60), st.integers(1, 60))
def test_maps_of_any_resolution_return(frame, height, width, rows, columns):
    grid_map = np.random.default_rng(rows).random((rows, columns), dtype=np.float32)
    returned = frame.to_image(grid_map, height, width)
    assert returned.shape == (height, width)
    assert grid_map.min() - 1e-5 <= returned.min() <= returned.max() <= grid_map.max() + 1e-5
