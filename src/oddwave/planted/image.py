"""Defects planted in images of good parts: labels to choose settings by, where no real label may be looked at.

One defect per image, small or large, faint or plain, put where the image shows something rather than on flat
background. Amounts are relative to the image's own contrast. A defect that would not show is drawn again, so a mask
is never empty. Legend: N images, C channels, H x W pixels, h x w the crop around a defect.
Read `image_changes.py` next for what each kind does, `series.py` for the same idea in one dimension.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from scipy import ndimage

from oddwave.errors import ConfigError, DataError, ShapeError
from oddwave.planted.image_changes import (
    Crop,
    Spot,
    blur,
    cut_paste,
    deformation,
    dent,
    missing_patch,
    perlin_blend,
    plain_mark,
    scar,
)

__all__ = ["IMAGE_ANOMALIES", "MIN_CONTRAST", "ImageAnomaly", "SyntheticImages", "make_synthetic_images"]

MIN_CONTRAST = 0.15  # contrasts of the image: the largest change that a defect makes must reach this
_VISIBLE = 0.05  # contrasts: a pixel that changes less, with those around it, counts as unchanged and is put back
_AREA_SHARES = (0.0005, 0.04)  # of the image; drawn on a log scale, so half of the defects cover less than 0.45 %
_MIN_AREA_PX = 4.0
_MIN_SIDE_PX = 8
_MIN_UNIT = 0.2  # a constant image has no contrast of its own
_MAX_DRAWS = 10
_GRID = 32  # cells per side in which places are weighed
_FLAT_WEIGHT = 0.01  # background can have defects too
_TOLERANCE = 1e-3


@dataclass(frozen=True, eq=False)
class SyntheticImages:
    """Images with one defect each, exactly which pixels were changed, and the kind of each defect."""

    images: Float[np.ndarray, "N C H W"]
    masks: Bool[np.ndarray, "N H W"]
    kinds: tuple[str, ...]


@dataclass(frozen=True)
class ImageAnomaly:
    """One kind of defect: what it does to a crop, how far it reaches, and whether it shows in the grain alone."""

    change: Callable[[Spot], Crop]
    reach: float = 1.6  # half the crop's side in square roots of the area
    of_grain: bool = False  # a lost grain shows although the mean over a few pixels stays

    def plant(
        self,
        image: Float[np.ndarray, "C H W"],
        donor: Float[np.ndarray, "C H W"],
        weights: Float[np.ndarray, "..."],
        area: float,
        rng: np.random.Generator,
        allowed: Bool[np.ndarray, "H W"] | None = None,
    ) -> tuple[Float[np.ndarray, "C H W"], Bool[np.ndarray, "H W"], bool]:
        """Plant one defect of about `area` pixels at a place drawn by `weights`, a grid of any size over the image.

        Returns the new image, the mask of its changed pixels, which are `allowed`, and whether the change shows.
        """
        height, width = image.shape[1:]
        unit = _contrast(image)
        reach = int(np.ceil(self.reach * np.sqrt(area))) + 3
        row, column = _place(weights, (height, width), rng)
        top, left = max(row - reach, 0), max(column - reach, 0)
        here = (slice(None), slice(top, min(row + reach + 1, height)), slice(left, min(column + reach + 1, width)))
        values = image[here].astype(np.float64)
        y, x = (np.arange(size, dtype=np.float64) for size in values.shape[1:])
        there = _donor_crop(donor, values.shape[1:], rng)
        spot = Spot(
            values, there, (y + top - row)[:, None], (x + left - column)[None], area, min(height, width), unit, rng
        )
        changed = np.clip(self.change(spot), -1.0, 1.0).astype(image.dtype)
        size = np.abs(changed - values).max(axis=0)
        seen = (ndimage.uniform_filter(size, 3) >= _VISIBLE * unit) & (size > 0)
        if allowed is not None:
            seen &= allowed[here[1:]]
        mask, whole = np.zeros((height, width), dtype=bool), image.copy()
        mask[here[1:]] = seen
        whole[here] = np.where(seen, changed, values)
        return whole, mask, self._shows((changed - values) * seen, seen, area, unit)

    def _shows(self, change: Crop, seen: Bool[np.ndarray, "h w"], area: float, unit: float) -> bool:
        if not self.of_grain:  # pixels of the same texture from another place differ, but nobody could see it
            change = ndimage.uniform_filter(change, (0, 3, 3))
        return bool(np.abs(change).max() >= MIN_CONTRAST * unit and seen.sum() >= area / 4)


IMAGE_ANOMALIES: Mapping[str, ImageAnomaly] = {
    "cut_paste": ImageAnomaly(cut_paste),
    "scar": ImageAnomaly(scar, reach=2.3),
    "perlin_blend": ImageAnomaly(perlin_blend),
    "blur": ImageAnomaly(blur, of_grain=True),
    "missing_patch": ImageAnomaly(missing_patch),
    "deformation": ImageAnomaly(deformation),
    "dent": ImageAnomaly(dent),
}
_FALLBACK = ImageAnomaly(plain_mark)


def make_synthetic_images(
    images: Float[np.ndarray, "N C H W"],
    rng: np.random.Generator,
    kinds: Sequence[str] | None = None,
    focus: Float[np.ndarray, "N H W"] | None = None,
) -> SyntheticImages:
    """Plant one defect in each normal image (values in [-1, 1]), the kinds in random order; donors are the others.

    `focus` weighs the places where the middle of a defect may lie, and nothing changes where it is 0; without it,
    places of local contrast are preferred. Where a kind shows nowhere (a warp of a constant image), a dent takes its
    place, in `kinds` too.
    Raises: ConfigError for an unknown kind; ShapeError for another form or images below 8 x 8; DataError for values
    that are not finite or lie outside [-1, 1], or a focus without a positive weight in every image.
    """
    _check_images(images)
    focus = _checked_focus(focus, images)
    chosen = _checked_kinds(kinds)
    num, _, height, width = images.shape
    smallest, largest = _AREA_SHARES
    areas = height * width * smallest * (largest / smallest) ** rng.random(num)
    planted = []
    for index, place in enumerate(rng.permutation(num)):
        donor = images[int(rng.integers(num))]
        area = max(float(areas[index]), _MIN_AREA_PX)
        weights = None if focus is None else focus[index]
        planted.append(_plant(chosen[place % len(chosen)], images[index], donor, weights, area, rng))
    changed, masks, names = zip(*planted, strict=True)
    return SyntheticImages(np.stack(changed), np.stack(masks), tuple(names))


def _plant(
    kind: str,
    image: Float[np.ndarray, "C H W"],
    donor: Float[np.ndarray, "C H W"],
    focus: Float[np.ndarray, "H W"] | None,
    area: float,
    rng: np.random.Generator,
) -> tuple[Float[np.ndarray, "C H W"], Bool[np.ndarray, "H W"], str]:
    weights, allowed = (_interest(image), None) if focus is None else (focus, focus > 0)
    for _ in range(_MAX_DRAWS):
        changed, mask, shows = IMAGE_ANOMALIES[kind].plant(image, donor, weights, area, rng, allowed)
        if shows:
            return changed, mask, kind
    changed, mask, _ = _FALLBACK.plant(image, donor, weights, area, rng, allowed)
    return changed, mask, "dent"


def _contrast(image: Float[np.ndarray, "C H W"]) -> float:
    """Return one unit of change: half the range of the values without the outermost half percent on both sides."""
    thin = max(image.shape[1] // 64, 1), max(image.shape[2] // 64, 1)
    low, high = np.quantile(image[:, :: thin[0], :: thin[1]], [0.005, 0.995])
    return max(float(high - low) / 2, _MIN_UNIT)


def _interest(image: Float[np.ndarray, "C H W"]) -> Float[np.ndarray, "rows columns"]:
    """Weigh the cells of a grid over the image by the contrast within and around them, up to what is usual there."""
    cells = image.astype(np.float64)
    squares = cells**2
    for axis in (1, 2):
        edges = _cell_edges(image.shape[axis], min(_GRID, image.shape[axis]))
        shape = [-1 if a == axis else 1 for a in range(3)]
        cells, squares = (
            np.add.reduceat(sums, edges[:-1], axis=axis) / np.diff(edges).reshape(shape) for sums in (cells, squares)
        )
    mean, power = (ndimage.uniform_filter(part, (0, 3, 3)) for part in (cells, squares))
    variance = np.clip(power - mean**2, 0.0, None).mean(axis=0)
    usual = variance.mean() + np.finfo(np.float64).tiny
    weights: np.ndarray = np.minimum(variance / usual, 1.0) + _FLAT_WEIGHT
    return weights


def _cell_edges(size: int, num_cells: int) -> np.ndarray:
    edges: np.ndarray = np.linspace(0, size, num_cells + 1).astype(int)
    return edges


def _place(
    weights: Float[np.ndarray, "rows columns"], shape: tuple[int, int], rng: np.random.Generator
) -> tuple[int, int]:
    """Draw a cell by its weight and a pixel in it."""
    heights = np.cumsum(weights, axis=None, dtype=np.float64)
    cell = int(np.searchsorted(heights, rng.random() * heights[-1], side="right"))
    at = np.unravel_index(min(cell, heights.size - 1), weights.shape)
    edges = [_cell_edges(size, num) for size, num in zip(shape, weights.shape, strict=True)]
    row, column = (int(rng.integers(e[i], e[i + 1])) for e, i in zip(edges, at, strict=True))
    return row, column


def _donor_crop(donor: Float[np.ndarray, "C H W"], shape: tuple[int, ...], rng: np.random.Generator) -> Crop:
    """Cut a crop from the donor, half the time where it shows something, half the time anywhere, mirrored at random."""
    size = donor.shape[1:]
    weights = _interest(donor) if rng.random() < 0.5 else np.ones((1, 1))
    middle = _place(weights, (size[0], size[1]), rng)
    top, left = (min(max(m - c // 2, 0), n - c) for m, c, n in zip(middle, shape, size, strict=True))
    crop = donor[:, top : top + shape[0], left : left + shape[1]]
    crop = crop[:, :: rng.choice([1, -1]), :: rng.choice([1, -1])]
    return crop.astype(np.float64)


def _check_images(images: Float[np.ndarray, "N C H W"]) -> None:
    if images.ndim != 4 or not images.size or min(images.shape[2:]) < _MIN_SIDE_PX:
        raise ShapeError(
            f"images have shape {images.shape}: expected (images, channels, height, width), one or more of each "
            f"and sides of {_MIN_SIDE_PX} pixels or more"
        )
    low, high = float(images.min()), float(images.max())
    if not (low >= -1.0 - _TOLERANCE and high <= 1.0 + _TOLERANCE):
        raise DataError(f"images have values from {low:g} to {high:g}: scale them to [-1, 1] first")


def _checked_focus(
    focus: Float[np.ndarray, "N H W"] | None, images: Float[np.ndarray, "N C H W"]
) -> Float[np.ndarray, "N H W"] | None:
    if focus is None:
        return None
    expected = (len(images), *images.shape[2:])
    if focus.shape != expected:
        raise ShapeError(f"focus has shape {focus.shape}: expected {expected}, one weight per pixel")
    total = focus.sum(axis=(1, 2), dtype=np.float64)
    if not (np.isfinite(total).all() and focus.min() >= 0 and total.min() > 0):
        raise DataError("focus has negative or missing weights, or none above 0 in some image: give weights >= 0")
    return focus


def _checked_kinds(kinds: Sequence[str] | None) -> tuple[str, ...]:
    chosen = tuple(IMAGE_ANOMALIES) if kinds is None else tuple(kinds)
    unknown = [kind for kind in chosen if kind not in IMAGE_ANOMALIES]
    if unknown or not chosen:
        raise ConfigError(f"kinds is {list(chosen)}: give one or more of {', '.join(IMAGE_ANOMALIES)}")
    return chosen
