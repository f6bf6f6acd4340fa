"""Which images are learnt from and which are held back, and what has to be said of the training images as such.

Copies on both sides, or images that all look the same, are no reason to stop: they are noted among the model's
warnings, because they make its threshold doubtful. (That there are copies is noted when images are read.) Read
`detector.py` for what becomes of the two parts.

Legend: H x W pixels, C channels.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from oddwave.config import DetectorConfig
from oddwave.errors import DataError
from oddwave.sources.image.items import ImageFailure, ImageItem, common_channels
from oddwave.tensors.image_frame import ImageFrame

__all__ = ["FEWEST_IMAGES", "depth_note", "split_images", "usable_images"]

FEWEST_IMAGES = 10
_SEEN_PX = 32  # fine enough for parts that lie elsewhere, too coarse for a camera's noise
_SAME_OF_CONTRAST, _SAME_OF_RANGE = 0.01, 0.001  # of the image's own contrast, and of black to white
_DEEP_BITS, _MOST_BITS_USED = 16, 14
_OTHER_DEPTH = 2.5  # times as bright as any image learnt from
_SO_WHAT = (
    "how good parts differ cannot be learnt from them, and any other image will seem abnormal; give images of "
    "different good parts"
)


def split_images(
    items: Sequence[ImageItem], config: DetectorConfig, *, stop_on_error: bool = False
) -> tuple[list[ImageItem], list[ImageItem], list[str]]:
    """Return the images to learn from, a random share held back, and notes on both.

    Of more than `image.max_images` to learn from, an even selection is kept.

    Raises:
        DataError: fewer than 10 images can be decoded, or one cannot and `stop_on_error` is set.
        ShapeError: images with different numbers of channels.
    """
    readable, spread, notes = _decoded(items)
    if notes and stop_on_error:
        raise DataError(notes[0].removesuffix("; left out"))
    if len(readable) < FEWEST_IMAGES:
        first = f"; the first that is not: {notes[0].removesuffix('; left out')}" if notes else ""
        raise DataError(f"{len(readable)} readable image(s) given: give at least {FEWEST_IMAGES} good ones{first}")
    order = np.random.default_rng([config.seed, 1]).permutation(len(readable))
    num_held = max(2, round(config.calibration.calibration_share * len(readable)))
    held = [readable[i] for i in np.sort(order[:num_held])]
    train = [readable[i] for i in np.sort(order[num_held:])]
    most = config.image.max_images
    if len(train) > most:
        notes.append(f"{most} of {len(train)} training images kept, evenly spread (image.max_images)")
        train = [train[i] for i in np.linspace(0, len(train) - 1, most).round().astype(int)]
    return train, held, [*_likeness_notes(train, held, spread), *spread.depth_notes(), *notes]


def usable_images(
    items: Sequence[ImageItem], config: DetectorConfig, *, stop_on_error: bool = False
) -> tuple[list[ImageItem], list[str]]:
    """Return all images that can be decoded, at most `image.max_images`, and notes on them.

    Nothing is held back: each is judged by the others. Of fewer than 10 the notes warn. Raises: DataError, ShapeError.
    """
    readable, spread, notes = _decoded(items)
    if notes and stop_on_error:
        raise DataError(notes[0].removesuffix("; left out"))
    if not readable:
        raise DataError(f"none of the images can be read, the first: {notes[0].removesuffix('; left out')}")
    if len(readable) < FEWEST_IMAGES:
        notes.append(
            f"{len(readable)} good image(s) are few: turned and mirrored copies are learnt from too, verdicts are "
            f"rough, and no p-value lies below 1/{len(readable) + 1}; give {FEWEST_IMAGES} or more"
        )
    most = config.image.max_images
    if len(readable) > most:
        notes.append(f"{most} of {len(readable)} training images kept, evenly spread (image.max_images)")
        readable = [readable[i] for i in np.linspace(0, len(readable) - 1, most).round().astype(int)]
    alike = [f"all training images look the same, or nearly so: {_SO_WHAT}"] if spread.is_nothing else []
    return readable, [*alike, *spread.depth_notes(), *notes]


def depth_note(item: ImageItem, brightest: float, usual: float | None) -> str | None:
    """Return where an image seems to be stored with other bits than those learnt from, which reach up to `usual`.

    A dark image of 8 bits is a dark image; one of 16 may hold 12.
    """
    if usual is None or brightest <= 0:
        return None
    if brightest > _OTHER_DEPTH * usual or (item.bits == 16 and _OTHER_DEPTH * brightest < usual):
        return (
            f"reaches {brightest:.2g} of white, the images learnt from {usual:.2g}: one or the other may hold 10 or "
            "12 bits in 16; store all alike"
        )
    return None


class _Spread:
    """The lowest and highest value that images, seen coarsely, have at each place."""

    def __init__(self, channels: int) -> None:
        self._frame = ImageFrame(_SEEN_PX, "stretch", channels)
        self._low = np.full((channels, _SEEN_PX, _SEEN_PX), np.inf, np.float32)
        self._high = -self._low
        self._brightest = {True: 0.0, False: 0.0}  # of images of 16 bits, and of others

    def see(self, pixels: Float[np.ndarray, "H W C"], bits: int) -> None:
        deep = bits == _DEEP_BITS
        self._brightest[deep] = max(self._brightest[deep], float(pixels.max()))
        small = self._frame.prepare(pixels) / 2  # black to white is 1
        self._low, self._high = np.minimum(self._low, small), np.maximum(self._high, small)

    def depth_notes(self) -> list[str]:
        """Return where all images of 16 bits use fewer of them."""
        deep, others = self._brightest[True], self._brightest[False]
        used = int(np.ceil(np.log2(round(65535 * deep) + 1)))
        if not 0 < used <= _MOST_BITS_USED:
            return []
        beside = f"; those of 8 bits beside them reach {others / deep:.0f} times as high" if others else ""
        return [f"the images of 16 bits use {used} of them and are seen as they are{beside}: store all alike"]

    @property
    def is_nothing(self) -> bool:
        """Whether all images look the same, but for less than an eye would see."""
        contrast = float(np.ptp(self._low + self._high)) / 2
        return float((self._high - self._low).max()) <= max(_SAME_OF_CONTRAST * contrast, _SAME_OF_RANGE)


def _decoded(items: Sequence[ImageItem]) -> tuple[list[ImageItem], _Spread, list[str]]:
    """Decode every image once: what cannot be is left out with a note, the rest is compared."""
    readable, notes, spread = [], [], _Spread(common_channels(items))
    for item in items:
        pixels = item.try_pixels()
        if isinstance(pixels, ImageFailure):
            notes.append(f"{pixels.message}; left out")
            continue
        readable.append(item)
        spread.see(pixels, item.bits)
    return readable, spread, notes


def _likeness_notes(train: Sequence[ImageItem], held: Sequence[ImageItem], spread: _Spread) -> list[str]:
    if spread.is_nothing:
        return [f"all training images look the same, or nearly so: {_SO_WHAT}"]
    learnt = {item.digest: item.id for item in train}
    copies = [item for item in held if item.digest in learnt]
    if not copies:
        return []
    return [
        f"{len(copies)} of the {len(held)} images held back are copies of images learnt from, such as "
        f"'{copies[0].id}' of '{learnt[copies[0].digest]}': they score too low, and the threshold with them; leave "
        "copies out"
    ]
