"""`ImageFrame`: how an image of any size becomes the square a network sees, and how maps find back to its pixels.

Training, scoring, service and export all resize through this one file, and a frame is saved with its model, so an
image can never be resized in two ways. All of it is arithmetic on float32, one channel at a time (Pillow's mode F):
16-bit images keep their steps.

- Shrinking and growing use Pillow's cubic filter, which averages over all pixels that fall on a new one: nothing
  aliases, and thin defects keep more contrast than under the triangle filter. Its slight overshoot is clipped.
- A letterbox repeats the image's edge pixels in its bars. A constant colour would put a step along the border, which
  a network trained on such squares must learn to call normal; bars are cut off every map on the way back.
- Maps return by the triangle filter, which never exceeds the values it was given: a peak stays the peak.

Legend: H x W pixels of an image, S the square's side, C channels, h x w cells of a map over the square. Read
`image_tiles.py` for images too large for one square.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool, Float
from PIL import Image

from oddwave.errors import ConfigError, ShapeError
from oddwave.sources.image.boxes import Box

__all__ = ["Fit", "ImageFrame"]

Fit = Literal["letterbox", "stretch"]
_SAME_SHAPE = 1.1  # largest ratio between aspect ratios that count as nearly the same
_GREY_SPREAD = 0.02  # largest difference between the colours of a grey image that was saved as RGB


@dataclass(frozen=True)
class ImageFrame:
    """A square of `size_px`, filled by `fit`: "stretch" distorts an image, "letterbox" keeps its shape and adds bars.

    `channels` is what the network sees: grey images are repeated to 3. `aspect` is width / height of the training
    images (their median).
    """

    size_px: int
    fit: Fit
    channels: int
    aspect: float = 1.0

    def __post_init__(self) -> None:
        """Raises: ConfigError."""
        if self.fit not in ("letterbox", "stretch"):
            raise ConfigError(f"fit is {self.fit!r}: give 'letterbox' or 'stretch'")
        if self.size_px < 1 or self.channels < 1:
            raise ConfigError(f"size_px is {self.size_px} and channels {self.channels}: both must be 1 or more")

    @classmethod
    def choose(
        cls, sizes: Sequence[tuple[int, int]], channels: int, size_px: int, fit: Literal["auto"] | Fit = "auto"
    ) -> tuple["ImageFrame", str]:
        """Choose a frame for images of the given (height, width); return it and why, for the record.

        "auto" stretches where aspect ratios differ by 10 % at most: all images are then distorted alike, and no
        pixel of the square is wasted on bars. Raises: ConfigError.
        """
        if not sizes:
            raise ConfigError("no image sizes were given: expected one or more")
        aspects = np.array([width / height for height, width in sizes])
        spread, aspect = float(aspects.max() / aspects.min()), float(np.median(aspects))
        if fit != "auto":
            return cls(size_px, fit, channels, aspect), f"{fit}: as asked for"
        if spread <= _SAME_SHAPE:
            reason = f"stretch: all aspect ratios lie within {spread - 1:.1%} of each other"
            return cls(size_px, "stretch", channels, aspect), reason
        reason = f"letterbox: aspect ratios (width / height) reach from {aspects.min():.2f} to {aspects.max():.2f}"
        return cls(size_px, "letterbox", channels, aspect), reason

    def placement(self, height: int, width: int) -> Box:
        """Return the part of the square that an image fills."""
        size = self.size_px
        if self.fit == "stretch":
            return Box(0, 0, size, size)
        longest = max(height, width)
        rows, columns = (max(1, round(side * size / longest)) for side in (height, width))
        return Box((size - rows) // 2, (size - columns) // 2, rows, columns)

    def note(self, height: int, width: int) -> str | None:
        """Return where an image would be distorted otherwise than the training images were; None where not."""
        aspect = width / height
        if self.fit == "letterbox" or max(aspect, self.aspect) / min(aspect, self.aspect) <= _SAME_SHAPE:
            return None
        return f"aspect ratio {aspect:.2f}, training images have {self.aspect:.2f}: it is stretched differently"

    def prepare(self, pixels: Float[np.ndarray, "H W C_in"]) -> Float[np.ndarray, "C S S"]:
        """Return the network's input in [-1, 1]; an image of S x S pixels comes through unchanged.

        Raises: ShapeError for a number of channels that cannot be brought to the frame's.
        """
        matched = self._match_channels(pixels)
        box = self.placement(*pixels.shape[:2])
        resized = np.stack(
            [_resize(matched[:, :, c], box.height, box.width, Image.Resampling.BICUBIC) for c in range(self.channels)]
        )
        bars = (box.top, self.size_px - box.top - box.height), (box.left, self.size_px - box.left - box.width)
        filled = np.pad(np.clip(resized, 0, 1), ((0, 0), *bars), mode="edge")
        x0: np.ndarray = filled * np.float32(2) - np.float32(1)
        return x0

    def to_image(self, grid_map: Float[np.ndarray, "h w"], height: int, width: int) -> Float[np.ndarray, "H W"]:
        """Return a map over the square, of any resolution, in the pixels of an image of the given size; bars cut off.

        Values lie between the smallest and the largest of the map.
        """
        box = self.placement(height, width)
        rows, columns = grid_map.shape
        left, right = (x * columns / self.size_px for x in (box.left, box.left + box.width))
        top, bottom = (y * rows / self.size_px for y in (box.top, box.top + box.height))
        return _resize(grid_map, height, width, Image.Resampling.BILINEAR, (left, top, right, bottom))

    def restore(self, square: Float[np.ndarray, "C S S"], height: int, width: int) -> Float[np.ndarray, "H W C"]:
        """Return a square of [-1, 1], such as a reconstruction, as an image of the given size in [0, 1]."""
        channels = [self.to_image(channel, height, width) for channel in square]
        image: np.ndarray = np.clip((np.stack(channels, axis=2) + 1) / 2, 0, 1)
        return image

    def from_image_mask(
        self, mask: Bool[np.ndarray, "H W"], grid: tuple[int, int] | None = None
    ) -> Float[np.ndarray, "h w"]:
        """Return the share of each cell that a mask covers, in [0, 1]; bars are not covered.

        `grid` is (h, w), S x S by default. Take `> 0` for cells touched, `>= 0.5` for cells mostly covered.
        """
        box = self.placement(*mask.shape)
        square = np.zeros((self.size_px, self.size_px), np.float32)
        square[box.slices] = _resize(mask.astype(np.float32), box.height, box.width, Image.Resampling.BOX)
        return _resize(square, *(grid or square.shape), Image.Resampling.BOX)

    def to_dict(self) -> dict[str, Any]:
        """Return the frame as plain JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, state: Mapping[str, Any]) -> "ImageFrame":
        """Return the frame that `to_dict` described."""
        return cls(**state)

    def _match_channels(self, pixels: Float[np.ndarray, "H W C_in"]) -> Float[np.ndarray, "H W C"]:
        given = pixels.shape[2]
        if given == self.channels:
            return pixels
        if given == 1 and self.channels == 3:
            return np.repeat(pixels, 3, axis=2)
        if given == 3 and self.channels == 1 and np.ptp(pixels, axis=2).max() <= _GREY_SPREAD:
            return np.asarray(pixels.mean(axis=2, keepdims=True))
        expected = "grey images" if self.channels == 1 else f"images of {self.channels} channels"
        raise ShapeError(f"the image has {given} channel(s), the model was trained on {expected}: convert it first")


def _resize(
    plane: Float[np.ndarray, "H W"],
    height: int,
    width: int,
    resampling: Image.Resampling,
    inside: tuple[float, float, float, float] | None = None,
) -> Float[np.ndarray, "h w"]:
    """Resize one channel, or the part `inside` of it (left, top, right, bottom), averaging where it shrinks."""
    values = np.ascontiguousarray(plane, dtype=np.float32)
    whole = (0.0, 0.0, float(values.shape[1]), float(values.shape[0]))
    if values.shape == (height, width) and inside in (None, whole):
        return values  # the filters would reproduce it, but for rounding
    return np.asarray(Image.fromarray(values).resize((width, height), resampling, inside))
