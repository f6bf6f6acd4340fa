"""What Pillow can read, to pixels in the type they were stored in: pages, orientation, transparency, 16-bit colours.

What is transparent is laid on black, in proportion: what nobody sees must not decide, and any tool may leave anything
under it. Opaque pixels stay as they are to the bit.

Pillow reads 16-bit grey exactly but keeps only the upper byte of 16-bit colours. It knows both byte orders, though, so
such a file is decoded twice: in its own order for the upper bytes, in the opposite one for the lower (`_LOWER_BYTES`).
Functions here raise whatever Pillow raises; `decode.py`, which calls them, turns that into a `DataError`.
Legend: H x W pixels, C channels.
"""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from io import SEEK_END, BufferedReader
from typing import Any

import numpy as np
from PIL import Image, ImageFile, ImageOps

from oddwave.errors import DataError

__all__ = [
    "FORMATS",
    "ImageHeader",
    "check_size",
    "image_header",
    "image_values",
    "laid_on_black",
    "opened_header",
    "opened_values",
]

FORMATS = ("PNG", "JPEG", "BMP", "TIFF", "WEBP", "GIF")
_GREY_MODES = {"1", "L", "LA", "La", "I", "I;16", "I;16B", "I;16L", "I;16N", "F"}
_COLOUR_MODES = {"P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr"}
_ALPHA_MODES = {"LA", "La", "PA", "RGBA", "RGBa"}
# libtiff hands bytes over in the machine's own order ("N"): there the opposite order picks the lower byte.
_AGAINST_NATIVE = "B" if sys.byteorder == "little" else "L"
_LOWER_BYTES = {
    f"{bands};16{order}": f"{bands};16{opposite}"
    for bands in ("RGB", "RGBA", "RGBX")
    for order, opposite in (("B", "L"), ("L", "B"), ("N", _AGAINST_NATIVE))
}
_GREY_ALPHA = "LA;16B"  # opened as (grey, grey, grey, alpha), upper bytes only
_LOWER_BYTES[_GREY_ALPHA] = "RGBA"  # its four bytes as they are: the second one is the lower byte of grey
_ROTATING = (5, 6, 7, 8)  # EXIF orientations that swap height and width
_EXIF_ORIENTATION, _TIFF_BITS, _TIFF_SUBFILE_TYPE, _TIFF_PLANAR = 0x0112, 258, 254, 284
_TIFF_SUB_IFDS, _DNG_VERSION = 330, 50706
_MOST_PAGES = 1000
_LARGE_SHARE = 8  # of max_pixels: below an eighth of it, an image may be packed as tightly as it likes
_MOST_PIXELS_PER_BYTE = 200  # above: flat images and bombs; photographs have ten


@dataclass(frozen=True)
class ImageHeader:
    """What a file says about its image, its orientation already taken into account; `bits` are those of a value."""

    height: int
    width: int
    channels: int
    notes: tuple[str, ...] = ()
    bits: int = 8


def opened_header(file: BufferedReader, max_pixels: int) -> ImageHeader:
    """Read size, channels and notes of a file without decoding its pixels; TIFF pages are channels."""
    num_bytes = file.seek(0, SEEK_END)
    with _opened(file) as image:
        check_size(image.height, image.width, 1, max_pixels, num_bytes)  # before any other page is looked at
        pages = _pages(image)
        headers = [image_header(_at(image, page)) for page in pages]
    if len(set(headers)) > 1:
        other = next(header for header in headers if header != headers[0])
        raise DataError(
            f"has pages that differ ({_form(headers[0])}, {_form(other)}): pages of one file are taken as channels "
            "and must be alike, so save images in files of their own"
        )
    first = headers[0]
    check_size(first.height, first.width, len(pages), max_pixels, num_bytes)
    return replace(first, channels=first.channels * len(pages))


def opened_values(file: BufferedReader) -> np.ndarray:
    """Decode all pages of a file, one after the other along the channels."""
    with _opened(file) as image:
        pages = _pages(image)
        layers = [_upper_layers(_at(image, page)) for page in pages]
    if any(own.rawmode in _LOWER_BYTES for own in layers):
        with _opened(file) as image:
            layers = [_with_lower_bytes(own, _at(image, page)) for own, page in zip(layers, pages, strict=True)]
    return np.ascontiguousarray(np.concatenate([own.seen() for own in layers], axis=2))


def image_header(image: Image.Image) -> ImageHeader:
    """Read size, channels and notes of an open image, of the page it stands at."""
    rawmode = _rawmode(image)
    if image.mode not in _GREY_MODES | _COLOUR_MODES:
        raise DataError(f"has pixels in mode {image.mode}: convert it to grey or RGB")
    grey = image.mode in _GREY_MODES or rawmode == _GREY_ALPHA
    alpha = image.mode in _ALPHA_MODES or "transparency" in image.info
    reduced = not grey and ";16" in rawmode and rawmode not in _LOWER_BYTES
    notes = (
        *(["what is transparent is laid on black"] if alpha else []),
        *(["CMYK turned to RGB without a colour profile"] if image.mode == "CMYK" else []),
        *([f"only 8 of its 16 bits read ({rawmode})"] if reduced else []),
    )
    deep = image.mode.startswith("I") or ";16" in rawmode
    bits = 16 if deep and not reduced else 32 if image.mode == "F" else 8
    return ImageHeader(*_upright_size(image), 1 if grey else 3, notes, bits)


def image_values(image: Image.Image) -> np.ndarray:
    """Decode an open image, which stays as it is: (H, W, C) of bool, uint8, uint16 or float32, upright, no alpha."""
    if image.format != "MPO" and getattr(image, "is_animated", False):
        raise DataError("is an open file of several pages or frames: give its path, or a copy() of one page")
    return _upper_layers(image).seen()


def laid_on_black(values: np.ndarray, *, premultiplied: bool = False) -> np.ndarray:
    """Return the colours of (H, W, C + alpha) laid on black; opaque ones are the same to the bit."""
    colours, alpha = values[:, :, :-1], values[:, :, -1:].astype(np.uint32)
    if premultiplied:  # that is what they are already
        return colours
    white = int(np.iinfo(colours.dtype).max)
    laid: np.ndarray = ((colours * alpha + white // 2) // white).astype(colours.dtype)
    return laid


def check_size(height: int, width: int, layers: int, max_pixels: int, num_bytes: int | None = None) -> None:
    """Refuse an image of more than `max_pixels` pixels in all its layers, before it is unpacked into memory.

    A large one is refused too where its `num_bytes` cannot hold a photograph of that size. Raises: DataError.
    """
    num_pixels = height * width * layers
    size = f"{width} x {height} px" + (f" x {layers}" if layers > 1 else "")
    if num_pixels > max_pixels:
        raise DataError(f"is {size}, more than {max_pixels} pixels: cut it into pieces, or raise max_pixels")
    large = num_pixels > max_pixels // _LARGE_SHARE
    if large and num_bytes is not None and num_pixels > _MOST_PIXELS_PER_BYTE * num_bytes:
        raise DataError(
            f"claims {size} in {num_bytes} bytes, as bombs do and no photograph does: save it again, or raise "
            f"max_pixels above {_LARGE_SHARE * num_pixels} if it is right"
        )


def _opened(file: BufferedReader) -> ImageFile.ImageFile:
    file.seek(0)
    return Image.open(file, formats=FORMATS)


def _at(image: Image.Image, page: int) -> Image.Image:
    image.seek(page)
    return image


def _pages(image: Image.Image) -> list[int]:
    """Return the pages to read: those of a TIFF file but its thumbnails, else the only one. Refuse animations."""
    if image.format == "TIFF":
        if _DNG_VERSION in getattr(image, "tag_v2", {}):
            raise DataError("is a camera's raw file (DNG), which cannot be read: develop it and save it as PNG or TIFF")
        pages = [page for page in _every_page(image) if not _tiff_tag(image, _TIFF_SUBFILE_TYPE, 0) & 1]
        if not pages and _tiff_tag(_at(image, 0), _TIFF_SUB_IFDS, None) is not None:
            raise DataError(
                "holds a thumbnail and nothing else that can be read (a camera's raw file?): develop it and save it as "
                "PNG or TIFF"
            )
        return pages or [0]
    # A camera's MPO file is one JPEG with previews behind it, and no animation.
    if image.format != "MPO" and getattr(image, "is_animated", False):
        raise DataError(f"is animated ({image.format} of several frames): save the frame to be judged as a still")
    return [0]


def _every_page(image: Image.Image) -> Iterator[int]:
    """Stand at one page after another: to ask for their number would walk through all of them unseen."""
    for page in range(_MOST_PAGES):
        try:
            image.seek(page)
        except EOFError:
            return
        yield page
    raise DataError(f"has {_MOST_PAGES} pages or more, which are taken as channels: save images in files of their own")


@dataclass(frozen=True, eq=False)
class _Layers:
    """The pixels of one page as they are stored: the last channel is alpha, or `key` the colour that is transparent."""

    values: np.ndarray
    has_alpha: bool
    key: Any
    rawmode: str

    def seen(self) -> np.ndarray:
        """Return the colours laid on black; opaque ones are the same to the bit."""
        if self.has_alpha:
            return laid_on_black(self.values)
        if isinstance(self.key, int | tuple) and np.size(self.key) == self.values.shape[2]:
            return np.where(
                (self.values == self.key).all(axis=2, keepdims=True), self.values.dtype.type(0), self.values
            )
        return self.values


def _upper_layers(image: Image.Image) -> _Layers:
    """Decode the page that an open image stands at; 16-bit colours come with their upper bytes only."""
    planar = _tiff_tag(image, _TIFF_PLANAR, 1) == 2
    if planar and image.mode in _COLOUR_MODES and max(_tiff_tag(image, _TIFF_BITS, (8,))) > 8:
        raise DataError("has 16-bit colours in separate planes: save it with interleaved colours")
    rawmode, key = _rawmode(image), image.info.get("transparency")
    values, has_alpha = _stored(image)
    return _Layers(values, has_alpha, None if image.mode == "P" else key, rawmode)


def _with_lower_bytes(upper: _Layers, image: Image.Image) -> _Layers:
    """Decode the page a second time where one pass gives only one of the two bytes of its colours."""
    if upper.rawmode not in _LOWER_BYTES:
        return upper
    image.tile = [_with_rawmode(tile, _LOWER_BYTES[upper.rawmode]) for tile in _tiles(image)]  # type: ignore[attr-defined]
    lower, _ = _stored(image)
    values = upper.values
    if upper.rawmode == _GREY_ALPHA:
        values, lower = values[:, :, [0, 3]], lower[:, :, [1, 3]]
    return replace(upper, values=values.astype(np.uint16) << 8 | lower)


def _stored(image: Image.Image) -> tuple[np.ndarray, bool]:
    """Decode the page that an open image stands at, upright; say whether its last channel is alpha."""
    twelve_bit = _rawmode(image) == "I;12"
    source_format = image.format
    upright = ImageOps.exif_transpose(image)  # a copy
    if upright.mode in _ALPHA_MODES or (upright.mode == "P" and "transparency" in upright.info):
        # of La and RGBa, colours multiplied by alpha are divided again
        upright = upright.convert("LA" if upright.mode in ("LA", "La") else "RGBA")
        return np.asarray(upright), True
    if upright.mode in _COLOUR_MODES:
        upright = upright.convert("RGB")
    values = np.asarray(upright)
    if upright.mode == "I":
        if source_format != "PNG":  # some versions of Pillow open 16-bit PNG so
            raise DataError("has signed or 32-bit integer pixels, whose white is unknown: save it with 8 or 16 bits")
        values = values.astype(np.uint16)
    if twelve_bit:
        values = (values.astype(np.uint32) * 65535 // 4095).astype(np.uint16)
    values = values.astype(values.dtype.newbyteorder("="), copy=False)
    return (values if values.ndim == 3 else values[:, :, None]), False


def _upright_size(image: Image.Image) -> tuple[int, int]:
    width, height = image.size
    # Pillow gives the upright size of TIFF files, and the stored one of all others.
    if image.format != "TIFF" and image.getexif().get(_EXIF_ORIENTATION) in _ROTATING:
        return width, height
    return height, width


def _tiles(image: Image.Image) -> Sequence[Any]:
    """Return Pillow's plan of what lies where in the file; images that were loaded or made have none."""
    tiles: Sequence[Any] = getattr(image, "tile", None) or ()
    return tiles


def _rawmode(image: Image.Image) -> str:
    """Return how pixels lie in the file, such as "RGB;16B"; empty where the decoder does not say."""
    args = next((tile[3] for tile in _tiles(image)), "")
    first = args[0] if isinstance(args, tuple) and args else args
    return first if isinstance(first, str) else ""


def _with_rawmode(tile: Any, rawmode: str) -> Any:
    args = (rawmode, *tile.args[1:]) if isinstance(tile.args, tuple) else rawmode
    return tile._replace(args=args)


def _tiff_tag(image: Image.Image, tag: int, default: Any) -> Any:
    return getattr(image, "tag_v2", {}).get(tag, default)


def _form(header: ImageHeader) -> str:
    return f"{header.width} x {header.height} px with {header.channels} channel(s)"
