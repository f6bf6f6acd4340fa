"""HEIC and HEIF: read where pillow-heif is installed, named with the extra that reads them where it is not."""

import io
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from oddwave.errors import DataError
from oddwave.sources.image.folder import HEIF_ENDINGS
from oddwave.sources.image.reader import read_images

pillow_heif = pytest.importorskip("pillow_heif")
RAMP = np.add.outer(np.arange(48), 2 * np.arange(64)).astype(np.uint8)
COLOURS = np.stack([RAMP, RAMP[::-1], 255 - RAMP], axis=2)


def heic(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    pillow_heif.from_pillow(image).save(buffer, quality=95, chroma=444)
    return buffer.getvalue()


def only(path: Path) -> np.ndarray:
    (item,) = read_images(path).items
    pixels = item.pixels()
    assert pixels.shape == (*item.size, item.channels)
    return pixels


@pytest.mark.parametrize("name", [*(f"a{ending}" for ending in HEIF_ENDINGS), "a.HEIC", "a.jpg"])
def test_every_ending_is_read_by_its_first_bytes(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(heic(Image.fromarray(COLOURS)))
    assert [item.id for item in read_images(tmp_path).items] == [name]
    assert np.abs(only(tmp_path) - COLOURS / 255).mean() < 0.01


def test_grey_stays_grey(tmp_path: Path) -> None:
    (tmp_path / "a.heic").write_bytes(heic(Image.fromarray(RAMP)))
    pixels = only(tmp_path / "a.heic")
    assert pixels.shape == (48, 64, 1)
    assert np.abs(pixels[..., 0] - RAMP / 255).mean() < 0.01


def test_the_orientation_is_applied_once(tmp_path: Path) -> None:
    image = Image.fromarray(COLOURS)
    exif = Image.Exif()
    exif[0x0112] = 6  # stored lying, to be seen standing
    file = pillow_heif.from_pillow(image)
    file[0].info["exif"] = exif.tobytes()
    file.save(tmp_path / "a.heic", quality=95, chroma=444)  # writes both the format's own rotation and the tag
    image.save(tmp_path / "b.png", exif=exif)
    one, other = only(tmp_path / "a.heic"), only(tmp_path / "b.png")
    assert one.shape == (64, 48, 3)
    assert np.abs(one - other).mean() < 0.01


def test_what_is_transparent_is_laid_on_black(tmp_path: Path) -> None:
    alpha = np.full((48, 64, 1), 255, np.uint8)
    alpha[:, :32] = 0
    (tmp_path / "a.heic").write_bytes(heic(Image.fromarray(np.concatenate([COLOURS, alpha], axis=2))))
    (item,) = read_images(tmp_path).items
    assert item.notes == ("what is transparent is laid on black",)
    assert item.pixels()[:, :28].max() < 0.02
    assert np.abs(item.pixels()[:, 36:] - COLOURS[:, 36:] / 255).mean() < 0.02


def test_ten_bits_are_kept(tmp_path: Path) -> None:
    values = np.linspace(0, 65535, 48 * 64).astype(np.uint16).reshape(48, 64)
    deep = pillow_heif.from_bytes("L;16", (64, 48), values.tobytes())
    deep.save(tmp_path / "a.heic", quality=-1)
    (item,) = read_images(tmp_path).items
    assert item.bits == 16
    pixels = item.pixels()
    assert (pixels.min(), pixels.max()) == (0.0, 1.0)
    assert len(np.unique(pixels)) > 500
    assert np.abs(pixels[..., 0] - values / 65535).max() < 2 / 1023


def test_damaged_files_and_bombs_are_refused_in_a_line(tmp_path: Path) -> None:
    good = heic(Image.fromarray(COLOURS))
    (tmp_path / "a.heic").write_bytes(good[:300])
    (tmp_path / "b.png").write_bytes(b"")
    Image.fromarray(RAMP).save(tmp_path / "c.png")
    first, _ = read_images(tmp_path).failures
    assert "is a HEIC image that is damaged or cut off" in first.message
    (tmp_path / "a.heic").write_bytes(good)
    with pytest.raises(DataError, match="more than 3071 pixels"):
        read_images(tmp_path / "a.heic", max_pixels=48 * 64 - 1)


def test_of_a_shot_written_twice_the_plain_one_is_taken(tmp_path: Path) -> None:
    (tmp_path / "a.heic").write_bytes(heic(Image.fromarray(COLOURS)))
    Image.fromarray(COLOURS).save(tmp_path / "a.jpg")
    found = read_images(tmp_path)
    assert [item.id for item in found.items] == ["a.jpg"]
    assert any("a.heic" in note for note in found.notes)


def test_without_the_extra_the_failure_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.heic").write_bytes(heic(Image.fromarray(COLOURS)))
    Image.fromarray(RAMP).save(tmp_path / "b.png")
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    (failed,) = read_images(tmp_path).failures
    assert failed.id == "a.heic"
    assert "needs the extra 'heif': pip install 'oddwave[heif]'" in failed.message
    with pytest.raises(DataError, match=r"oddwave\[heif\]"):
        read_images(tmp_path / "a.heic")
