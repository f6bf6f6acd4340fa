"""What an image hides under its transparency must not decide: images that look alike are alike."""

import numpy as np
import pytest
from PIL import Image

from oddwave.sources.image.reader import read_images

RNG = np.random.default_rng(0)
RGB = RNG.integers(1, 256, (12, 16, 3), dtype=np.uint8)
HIDDEN = np.zeros((12, 16), bool)
HIDDEN[3:7, 4:9] = True
ALPHA = np.where(HIDDEN, 0, 255).astype(np.uint8)


def pixels(path):
    (item,) = read_images(path, on_error="stop").items
    return item.pixels()


def with_garbage(colours, fill):
    return np.where(HIDDEN.reshape(HIDDEN.shape + (1,) * (colours.ndim - 2)), fill, colours).astype(np.uint8)


@pytest.mark.parametrize(
    ("mode", "ending"), [("RGBA", "png"), ("RGBA", "tif"), ("RGBA", "webp"), ("LA", "png"), ("LA", "tif")]
)
def test_hidden_colours_do_not_decide(tmp_path, ending, mode):
    colours = RGB if mode == "RGBA" else RGB[:, :, 0]
    seen = []
    for number, fill in enumerate((0, 7, 255)):
        path = tmp_path / f"{number}.{ending}"
        options = {"lossless": True, "exact": True} if ending == "webp" else {}
        Image.fromarray(np.dstack([with_garbage(colours, fill), ALPHA]), mode).save(path, **options)
        seen.append(pixels(path))
    np.testing.assert_array_equal(seen[0], seen[1])
    np.testing.assert_array_equal(seen[0], seen[2])
    np.testing.assert_array_equal(seen[0][~HIDDEN] * 255, np.atleast_3d(colours)[~HIDDEN])


def test_a_transparent_entry_of_the_palette_and_a_transparent_colour(tmp_path):
    indexed = (RGB[:, :, 0] // 64 + 1).astype(np.uint8)
    indexed[HIDDEN] = 0
    for number, colour in enumerate(((0, 0, 0), (200, 30, 90))):
        image = Image.fromarray(indexed, "P")
        image.putpalette([*colour, *(20 * i for i in range(1, 13))])
        image.save(tmp_path / f"p{number}.png", transparency=0)
        image.save(tmp_path / f"g{number}.gif", transparency=0)
        keyed = np.where(HIDDEN[:, :, None], np.array(colour), RGB // 2 * 2 + 1 - (RGB == 255)).astype(np.uint8)
        Image.fromarray(keyed).save(tmp_path / f"k{number}.png", transparency=colour)
    for name in ("p{}.png", "g{}.gif", "k{}.png"):
        one, other = (pixels(tmp_path / name.format(number)) for number in (0, 1))
        np.testing.assert_array_equal(one, other, err_msg=name)
        assert (one[HIDDEN] == 0).all()


def test_a_transparent_grey(tmp_path):
    grey = np.maximum(RGB[:, :, 0], 10)
    grey[HIDDEN] = 3
    Image.fromarray(grey).save(tmp_path / "grey.png", transparency=3)
    deep = grey.astype(np.uint16) * 257
    Image.fromarray(deep).save(tmp_path / "deep.png", transparency=3 * 257)
    for name in ("grey.png", "deep.png"):
        seen = pixels(tmp_path / name)[:, :, 0]
        np.testing.assert_allclose(seen * 255, np.where(HIDDEN, 0, grey), atol=1e-4)


def test_opaque_images_stay_the_same_to_the_bit(tmp_path):
    Image.fromarray(RGB).save(tmp_path / "plain.png")
    for name in ("alpha.png", "alpha.tif"):
        Image.fromarray(np.dstack([RGB, np.full((12, 16), 255, np.uint8)])).save(tmp_path / name)
        np.testing.assert_array_equal(pixels(tmp_path / name), pixels(tmp_path / "plain.png"))


def test_half_transparent_is_half_as_bright():
    image = Image.fromarray(np.dstack([np.full((4, 4, 3), 200, np.uint8), np.full((4, 4), 51, np.uint8)]))
    (item,) = read_images(image).items
    np.testing.assert_allclose(item.pixels(), 40 / 255)
    assert item.notes == ("what is transparent is laid on black",)
