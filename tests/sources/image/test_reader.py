"""Every kind of source of images, every format, and everything that can be wrong with a file."""

import os
import shutil
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from oddwave.errors import ConfigError, DataError, ShapeError
from oddwave.sources.base import Item, ItemSet
from oddwave.sources.image.folder import IMAGE_ENDINGS
from oddwave.sources.image.items import ImageFailure, ImageItem, common_channels
from oddwave.sources.image.reader import read_images
from oddwave.sources.image.roi import read_roi, roi_for

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (9, 14), dtype=np.uint8)
RGB = RNG.integers(0, 256, (9, 14, 3), dtype=np.uint8)
DEEP_GREY = RNG.integers(0, 65536, (9, 14), dtype=np.uint16)
DEEP_RGB = RNG.integers(0, 65536, (9, 14, 3), dtype=np.uint16)


def one(source, **options):
    (item,) = read_images(source, on_error="stop", **options).items
    return item


def reason(source, **options):
    """Say why the only image of a source cannot be read."""
    with pytest.raises(DataError) as caught:
        one(source, **options).pixels()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def save(path, values=GREY, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(path, **options)
    return path


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_bytes(values, colour_type, size=None):
    """Write a 16-bit PNG, whose rows use the filters none, sub and up in turn; Pillow writes no such colours."""
    height, width = values.shape[:2]
    raw = values.astype(">u2").reshape(height, -1).view(np.uint8)
    step = raw.shape[1] // width
    rows = b""
    for i, row in enumerate(raw):
        left = np.concatenate([np.zeros(step, np.uint8), row[:-step]])
        above = raw[i - 1] if i else np.zeros_like(row)
        rows += bytes([i % 3]) + (row - [0 * row, left, above][i % 3]).tobytes()
    header = struct.pack(">IIBBBBB", *(size or (width, height)), 16, colour_type, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def tiff_bytes(values, order, compression, planar=1):
    """Write a 16-bit RGB TIFF: Pillow writes none. `order` is "<" or ">", compression 1 (none) or 8 (deflate)."""
    height, width = values.shape[:2]
    data = values.astype(f"{order}u2").tobytes()
    data = zlib.compress(data) if compression == 8 else data
    tags = [(256, 3, width), (257, 3, height), (258, 3, None), (259, 3, compression), (262, 3, 2), (273, 4, 8),
            (277, 3, 3), (278, 3, height), (279, 4, len(data)), (284, 3, planar)]  # fmt: skip
    start = 8 + len(data) + len(data) % 2
    bits_at = start + 2 + 12 * len(tags) + 4
    ifd = struct.pack(f"{order}H", len(tags))
    for tag, kind, value in tags:
        if value is None:
            ifd += struct.pack(f"{order}HHII", tag, kind, 3, bits_at)
        else:
            ifd += struct.pack(f"{order}HHI", tag, kind, 1) + struct.pack(
                f"{order}HH" if kind == 3 else f"{order}I", *((value, 0) if kind == 3 else (value,))
            )
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}I", start)
    return head + data.ljust(start - 8, b"\0") + ifd + bytes(4) + struct.pack(f"{order}HHH", 16, 16, 16)


# ---- what can be read


@pytest.mark.parametrize("ending", ["png", "bmp", "tif", "webp"])
@pytest.mark.parametrize("values", [GREY, RGB], ids=["grey", "rgb"])
def test_lossless_formats_give_the_stored_values(tmp_path, ending, values):
    if ending == "webp" and values.ndim == 2:
        pytest.skip("WebP has no grey")
    item = one(save(tmp_path / f"a.{ending}", values, **({"lossless": True} if ending == "webp" else {})))
    assert (item.id, item.size, item.channels) == (f"a.{ending}", (9, 14), 1 if values.ndim == 2 else 3)
    pixels = item.pixels()
    assert pixels.dtype == np.float32
    np.testing.assert_array_equal(np.rint(pixels * 255), values.reshape(9, 14, -1))
    assert isinstance(item, Item)


def test_jpeg_and_gif(tmp_path):
    smooth = np.add.outer(np.arange(32), np.arange(48)).astype(np.uint8) * 3
    for name in ("a.jpg", "a.gif"):
        item = one(save(tmp_path / name, smooth, **({"quality": 95} if name == "a.jpg" else {})))
        assert item.size == (32, 48)
        assert np.abs(item.pixels() * 255 - smooth[:, :, None]).max() < 8


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_sixteen_bit_grey_keeps_its_precision(tmp_path, name):
    pixels = one(save(tmp_path / name, DEEP_GREY)).pixels()
    np.testing.assert_array_equal(np.rint(pixels.astype(np.float64) * 65535)[:, :, 0], DEEP_GREY)


def test_sixteen_bit_colours_keep_their_precision(tmp_path):
    alpha = np.full((9, 14, 1), 65535, np.uint16)
    (tmp_path / "rgb.png").write_bytes(png_bytes(DEEP_RGB, 2))
    (tmp_path / "rgba.png").write_bytes(png_bytes(np.concatenate([DEEP_RGB, alpha], axis=2), 6))
    for order, name in (("<", "little"), (">", "big")):
        for compression in (1, 8):
            (tmp_path / f"{name}{compression}.tif").write_bytes(tiff_bytes(DEEP_RGB, order, compression))
    items = read_images(tmp_path, on_error="stop").items
    assert len(items) == 6
    for item in items:
        np.testing.assert_array_equal(np.rint(item.pixels().astype(np.float64) * 65535), DEEP_RGB, err_msg=item.id)


def test_sixteen_bit_grey_with_alpha_is_grey(tmp_path):
    (tmp_path / "la.png").write_bytes(png_bytes(np.stack([DEEP_GREY, DEEP_GREY[::-1]], axis=2), 4))
    item = one(tmp_path / "la.png")
    assert item.channels == 1
    laid = DEEP_GREY / 65535 * DEEP_GREY[::-1]
    np.testing.assert_array_equal(np.rint(item.pixels().astype(np.float64) * 65535)[:, :, 0], np.rint(laid))


def test_sixteen_bit_colours_in_planes_are_refused_not_garbled(tmp_path):
    (tmp_path / "a.tif").write_bytes(tiff_bytes(DEEP_RGB, "<", 1, planar=2))
    assert "in separate planes" in reason(tmp_path / "a.tif")


def test_what_is_transparent_is_laid_on_black_with_a_note(tmp_path):
    rgba = np.dstack([RGB, GREY])
    save(tmp_path / "rgba.png", rgba)
    Image.fromarray(np.dstack([GREY, GREY[::-1]]), "LA").save(tmp_path / "la.png")
    images = read_images(tmp_path)
    la, with_alpha = images.items
    np.testing.assert_array_equal(np.rint(with_alpha.pixels() * 255), np.rint(RGB / 255 * GREY[:, :, None]))
    np.testing.assert_array_equal(np.rint(la.pixels() * 255)[:, :, 0], np.rint(GREY / 255 * GREY[::-1]))
    assert "2 image(s): what is transparent is laid on black" in images.notes


def test_palette_one_bit_and_cmyk(tmp_path):
    coloured = Image.fromarray(RGB // 64 * 64)
    coloured.quantize(64).save(tmp_path / "palette.png", transparency=0)
    Image.fromarray(GREY > 127).save(tmp_path / "bits.png")
    coloured.convert("CMYK").save(tmp_path / "cmyk.tif")
    bits, cmyk, palette = read_images(tmp_path, on_error="stop").items
    assert (bits.channels, cmyk.channels, palette.channels) == (1, 3, 3)
    np.testing.assert_array_equal(bits.pixels()[:, :, 0], GREY > 127)
    np.testing.assert_array_equal(np.rint(cmyk.pixels() * 255), RGB // 64 * 64)
    hidden = np.array(coloured.quantize(64)) == 0
    assert hidden.any()
    assert np.abs(palette.pixels() * 255 - np.where(hidden[:, :, None], 0, RGB // 64 * 64)).max() <= 1
    assert "CMYK" in cmyk.notes[0]
    assert "transparent" in palette.notes[0]


@pytest.mark.parametrize("ending", ["jpg", "png", "tif", "webp"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_applied_once(tmp_path, ending, orientation):
    bright_corner = np.zeros((16, 32, 3), np.uint8)
    bright_corner[:8, :16] = 255
    exif = Image.Exif()
    exif[0x0112] = orientation
    item = one(save(tmp_path / f"a.{ending}", bright_corner, exif=exif))
    pixels = item.pixels()
    assert item.size == pixels.shape[:2] == ((32, 16) if orientation >= 5 else (16, 32))
    bottom, right = orientation in (3, 4, 7, 8), orientation in (2, 3, 6, 7)
    rows, columns = pixels.shape[0] // 2, pixels.shape[1] // 2
    corner = pixels[rows * bottom : rows * (bottom + 1), columns * right : columns * (right + 1)]
    assert corner.mean() > 0.9
    assert pixels.mean() < 0.3


def test_pages_of_a_tiff_are_channels(tmp_path):
    lights = RNG.integers(0, 65536, (5, 9, 14), dtype=np.uint16)
    first, *others = [Image.fromarray(light) for light in lights]
    first.save(tmp_path / "stack.tif", save_all=True, append_images=others)
    item = one(tmp_path / "stack.tif")
    assert (item.size, item.channels) == ((9, 14), 5)
    np.testing.assert_array_equal(np.rint(item.pixels().astype(np.float64) * 65535), np.moveaxis(lights, 0, 2))


def test_pages_that_differ_are_refused_and_thumbnails_passed_over(tmp_path):
    page, small = Image.fromarray(GREY), Image.fromarray(GREY[:4, :5])
    page.save(tmp_path / "differ.tif", save_all=True, append_images=[small])
    assert "pages that differ (14 x 9 px with 1 channel(s), 5 x 4 px" in reason(tmp_path / "differ.tif")
    small.encoderinfo = {"tiffinfo": {254: 1}}
    page.save(tmp_path / "thumb.tif", save_all=True, append_images=[small])
    assert one(tmp_path / "thumb.tif").channels == 1


@pytest.mark.parametrize("shape", [(9, 14), (9, 14, 5), (5, 9, 14)])
def test_npy_stacks_of_any_number_of_lights(tmp_path, shape):
    values = RNG.random(shape, dtype=np.float32)
    np.save(tmp_path / "stack.npy", values)
    item = one(tmp_path / "stack.npy")
    expected = np.moveaxis(values, 0, 2) if shape[0] == 5 else values.reshape(9, 14, -1)
    assert (item.size, item.channels) == ((9, 14), expected.shape[2])
    np.testing.assert_array_equal(item.pixels(), expected)
    assert bool(item.notes) == (shape[0] == 5)  # what was guessed is said


def test_arrays_of_every_type_hold_the_same_image():
    for values in (GREY, GREY.astype(np.uint16) * 257, GREY / 255, (GREY / 255).astype(np.float32)):
        np.testing.assert_allclose(one([values]).pixels()[:, :, 0], GREY / 255, atol=1e-7)
    assert one([GREY > 9]).pixels().max() == 1
    assert one([np.ones((2, 3, 7), np.uint8)]).channels == 7
    many = read_images(np.stack([GREY, GREY[::-1]]))
    assert [item.id for item in many.items] == ["image_0000", "image_0001"]
    assert read_images(np.stack([RGB, RGB])).items[0].size == (9, 14)
    assert read_images(GREY).items[0].size == (9, 14)
    assert isinstance(many, ItemSet)


def test_pillow_images(tmp_path):
    opened = Image.open(save(tmp_path / "a.png", RGB))
    made, one_bit = Image.fromarray(GREY), Image.fromarray(GREY > 127)
    first, second, third = (item.pixels() for item in read_images([opened, made, one_bit]).items)
    np.testing.assert_array_equal(np.rint(first * 255), RGB)
    np.testing.assert_array_equal(np.rint(second * 255)[:, :, 0], GREY)
    np.testing.assert_array_equal(third[:, :, 0], GREY > 127)
    assert read_images(made).items[0].channels == 1


# ---- where images are found, and what they are called


def test_folder_ids_stay_unique_and_hidden_files_out(tmp_path):
    for name in ("b/x.png", "b/x.bmp", "a y/Ä日本.png", "top.PNG", ".hidden.png", ".git/x.png", "__MACOSX/x.png"):
        save(tmp_path / name)
    (tmp_path / "notes.txt").write_text("no image")
    images = read_images(tmp_path)
    assert [item.id for item in images.items] == ["a y/Ä日本.png", "b/x.bmp", "b/x.png", "top.PNG"]
    assert images.notes[0] == "1 file(s) that are no images ignored: notes.txt"
    assert [item.id for item in read_images(tmp_path, recursive=False).items] == ["top.PNG"]


def mvtec(root):
    for i, name in enumerate(("train/good/0", "train/good/1", "test/good/0", "test/hole/0", "ground_truth/hole/0")):
        save(root / f"{name}.png", GREY // (i + 1))


@pytest.mark.parametrize("inside", [False, True], ids=["one_category", "folder_of_categories"])
def test_mvtec_parts(tmp_path, inside):
    mvtec(tmp_path / "screw" if inside else tmp_path)
    expected = {"train": ["train/good/0.png", "train/good/1.png"], "test": ["test/good/0.png", "test/hole/0.png"]}
    expected["all"] = sorted(expected["train"] + expected["test"])
    for part, ids in expected.items():
        images = read_images(tmp_path, part=part)
        assert [item.id.removeprefix("screw/") for item in images.items] == ids
        assert images.notes[0].startswith(f"MVTec layout: {len(ids)} image(s) taken from")


def test_part_means_nothing_for_other_folders_and_masks_are_never_images(tmp_path):
    save(tmp_path / "good" / "a.png")
    save(tmp_path / "ground_truth" / "a.png")
    assert [item.id for item in read_images(tmp_path, part="test").items] == ["good/a.png"]
    shutil.rmtree(tmp_path / "good")
    mvtec(tmp_path)
    shutil.rmtree(tmp_path / "test")
    with pytest.raises(DataError, match="no images in test"):
        read_images(tmp_path, part="test")


def test_globs_and_lists(tmp_path, monkeypatch):
    for name in ("run 1/a.png", "run 1/b.png", "run 2/a.png"):
        save(tmp_path / name)
    (tmp_path / "run 1" / "log.txt").write_text("no image")
    every = ["run 1/a.png", "run 1/b.png", "run 2/a.png"]
    assert [item.id for item in read_images(str(tmp_path / "run*" / "*")).items] == every
    monkeypatch.chdir(tmp_path)
    assert [item.id for item in read_images("**/a.*").items] == ["run 1/a.png", "run 2/a.png"]
    listed = read_images(["run 1/b.png", tmp_path / "run 1" / "a.png", "run 1/b.png"])
    assert [item.id for item in listed.items] == ["b.png", "a.png", "b.png (2)"]
    with pytest.raises(DataError, match="no image matches"):
        read_images("*.jpg")
    save(tmp_path / "x[1].png")
    assert one("x[1].png").id == "x[1].png"


def test_subset_is_spread_evenly(tmp_path):
    images = read_images(list(np.arange(100, dtype=np.uint8)[:, None, None]), subset=4)
    assert [item.id for item in images.items] == [f"image_{i:04d}" for i in (0, 33, 66, 99)]
    assert images.notes[0].startswith("subset: 4 of 100")


def test_links(tmp_path):
    save(tmp_path / "elsewhere" / "a.png")
    folder = tmp_path / "folder"
    save(folder / "b.png", RGB)
    (folder / "linked").symlink_to(tmp_path / "elsewhere")
    (folder / "c.png").symlink_to(folder / "b.png")
    (folder / "gone.png").symlink_to(tmp_path / "nowhere.png")
    (folder / "loop").symlink_to(folder)
    images = read_images(folder)
    assert [item.id for item in images.items] == ["b.png", "c.png", "linked/a.png"]
    assert [failure.id for failure in images.failures] == ["gone.png"]
    assert any("'loop' leads back" in note for note in images.notes)
    assert any("1 image(s) are copies of others, such as 'c.png' of 'b.png'" in note for note in images.notes)


def test_fingerprint_follows_ids_and_contents(tmp_path):
    save(tmp_path / "a" / "x.png")
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    before = read_images(tmp_path / "a")
    assert read_images(tmp_path / "b").fingerprint == before.fingerprint
    assert before.known_in([item.digest for item in read_images(tmp_path / "b").items]) == ("x.png",)
    (tmp_path / "b" / "x.png").rename(tmp_path / "b" / "y.png")
    assert read_images(tmp_path / "b").fingerprint != before.fingerprint
    save(tmp_path / "a" / "x.png", 255 - GREY)
    after = read_images(tmp_path / "a")
    assert after.fingerprint != before.fingerprint
    assert after.known_in([before.items[0].digest]) == ()


# ---- what is wrong


def truncated(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])


def test_broken_files_are_skipped_with_a_reason_or_stop(tmp_path):
    big = RNG.integers(0, 256, (64, 64, 3), dtype=np.uint8)
    save(tmp_path / "good.png", big)
    for name in ("cut.png", "cut.jpg", "cut.tif", "cut.bmp", "cut.webp"):
        truncated(save(tmp_path / name, big))
    np.save(tmp_path / "cut.npy", big)
    truncated(tmp_path / "cut.npy")
    (tmp_path / "empty.png").write_bytes(b"")
    (tmp_path / "text.png").write_text("hello, I am no image")
    (tmp_path / "object.npy").write_bytes(b"\x93NUMPY")
    images = read_images(tmp_path)
    outcomes = [item.try_pixels() for item in images.items]
    failures = [*images.failures, *(o for o in outcomes if isinstance(o, ImageFailure))]
    reasons = {failure.path.name: failure.reason for failure in failures}
    assert set(reasons) == {path.name for path in tmp_path.iterdir()} - {"good.png"}
    assert reasons["empty.png"].startswith("is empty (0 bytes)")
    assert reasons["text.png"].startswith("is no image in a format")
    assert all(text.startswith("is damaged or cut off") for name, text in reasons.items() if name.startswith("cut"))
    with pytest.raises(DataError, match=r"empty\.png' is empty"):
        read_images(tmp_path / "empty.png", on_error="stop")
    with pytest.raises(DataError, match=r"no image that can be read, the first: .*empty\.png"):
        read_images([tmp_path / "empty.png", tmp_path / "text.png"])


@pytest.mark.parametrize("name", ["a.gif", "a.webp", "a.png"])
def test_animations_are_refused(tmp_path, name):
    frames = [Image.fromarray(RGB), Image.fromarray(255 - RGB)]
    frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:])
    assert "is animated" in reason(tmp_path / name)


def test_bombs_are_refused_before_they_are_unpacked(tmp_path):
    bomb = png_bytes(DEEP_RGB, 2, size=(60_000, 60_000))
    (tmp_path / "bomb.png").write_bytes(bomb)
    assert "is too large" in reason(tmp_path / "bomb.png")
    (tmp_path / "large.png").write_bytes(png_bytes(DEEP_RGB, 2, size=(13_000, 13_000)))  # Pillow only warns
    assert "13000 x 13000 px, more than 150000000" in reason(tmp_path / "large.png")
    save(tmp_path / "a.png")
    assert "raise max_pixels" in reason(tmp_path / "a.png", max_pixels=9 * 14 - 1)
    assert one(tmp_path / "a.png", max_pixels=9 * 14).size == (9, 14)
    np.save(tmp_path / "a.npy", np.zeros((9, 14, 5), np.uint8))
    assert "14 x 9 px x 5" in reason(tmp_path / "a.npy", max_pixels=9 * 14)


def test_files_that_change_or_vanish_are_noticed(tmp_path, monkeypatch):
    first, second = read_images([save(tmp_path / "a.png"), save(tmp_path / "b.png", RGB)]).items
    save(tmp_path / "a.png", 255 - GREY)
    (tmp_path / "b.png").unlink()
    assert "has changed since it was read" in first.try_pixels().reason
    with pytest.raises(DataError, match=r"b\.png' does not exist"):
        second.pixels()
    save(tmp_path / "b.png")
    real = ImageItem.from_file

    def slow(identifier, path, max_pixels):
        (tmp_path / "b.png").unlink(missing_ok=True)  # somebody tidies up while we read
        return real(identifier, path, max_pixels)

    monkeypatch.setattr(ImageItem, "from_file", slow)
    images = read_images(tmp_path)
    assert [item.id for item in images.items] == ["a.png"]
    assert [failure.id for failure in images.failures] == ["b.png"]


def test_sources_without_images(tmp_path):
    with pytest.raises(DataError, match="holds no images") as caught:
        read_images(tmp_path)
    assert ", ".join(IMAGE_ENDINGS) in str(caught.value)
    save(tmp_path / "below" / "a.png")
    with pytest.raises(DataError, match="no images of its own"):
        read_images(tmp_path, recursive=False)
    for source in ([], {}, 3, tmp_path / "nothing.png"):
        with pytest.raises(DataError):
            read_images(source)
    assert "is a folder" in reason([tmp_path / "below"])


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.zeros((3, 4), np.int64), "type int64"),
        (np.full((3, 4), 255.0), "divide by the value of white"),
        (np.full((3, 4), np.nan), "from nan"),
        (np.full((3, 4), -1.0), "from -1"),
        (np.zeros((0, 4)), "shape"),
        (np.zeros((1, 2, 3, 4)), "shape"),
        (np.array([["a"]]), "type <U1"),
        ("text", "does not exist"),
        (object(), "type object"),
    ],
)
def test_images_without_meaning_are_refused(values, message):
    assert message in reason([values])


def test_an_array_that_may_be_two_things_is_refused():
    with pytest.raises(ShapeError, match=r"pass \[array\]"):
        read_images(RGB)
    with pytest.raises(ShapeError, match="expected"):
        read_images(np.zeros(3))


def test_integers_of_unknown_white_are_refused(tmp_path):
    save(tmp_path / "a.tif", np.full((3, 4), 70_000, np.int32))
    assert "white is unknown" in reason(tmp_path / "a.tif")


def test_one_pixel_is_a_image(tmp_path):
    assert one(save(tmp_path / "a.png", GREY[:1, :1])).pixels().shape == (1, 1, 1)


def test_pipes_do_not_block(tmp_path):
    os.mkfifo(tmp_path / "a.png")
    assert "no ordinary file" in reason(tmp_path / "a.png")


@pytest.mark.parametrize("options", [{"on_error": "ignore"}, {"part": "valid"}, {"subset": 0}, {"max_pixels": 0}])
def test_options_are_checked(options):
    with pytest.raises(ConfigError):
        read_images(GREY, **options)


def test_common_channels():
    grey, colour, stack = (one([np.zeros((2, 3, c), np.uint8)]) for c in (1, 3, 5))
    assert common_channels([grey]) == 1
    assert common_channels([grey, colour]) == 3
    assert common_channels([stack, stack]) == 5
    with pytest.raises(ShapeError, match=r"has 1 channel\(s\).* 5"):
        common_channels([stack, grey])


# ---- region of interest


def test_region_of_interest(tmp_path):
    roi = np.zeros((4, 6), bool)
    roi[1:3, 2:5] = True
    save(tmp_path / "roi.png", np.dstack([0 * roi, roi, 0 * roi]).astype(np.uint8))
    np.testing.assert_array_equal(read_roi(tmp_path / "roi.png"), roi)
    np.testing.assert_array_equal(read_roi(roi.astype(float) * 7), roi)
    np.testing.assert_array_equal(roi_for(roi, 8, 12), np.kron(roi, np.ones((2, 2), bool)))
    np.testing.assert_array_equal(roi_for(np.kron(roi, np.ones((3, 3), bool)), 4, 6), roi)
    with pytest.raises(DataError, match="zero everywhere"):
        read_roi(roi & False)
    with pytest.raises(DataError, match="JPEG"):
        read_roi(save(tmp_path / "roi.jpg"))
    with pytest.raises(DataError, match=r"region of interest '.*' does not exist"):
        read_roi(tmp_path / "none.png")
