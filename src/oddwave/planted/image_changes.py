"""What each kind of defect does to the crop of an image in which it is planted.

A change takes a `Spot` and returns the changed crop; amounts are in units of the image's own contrast, drawn at
random. Legend: C channels, h x w the crop around a defect. Read `image.py` next: it plants them.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy import ndimage

__all__ = [
    "Crop",
    "Shape",
    "Spot",
    "blur",
    "cut_paste",
    "deformation",
    "dent",
    "missing_patch",
    "perlin_blend",
    "plain_mark",
    "scar",
]

Crop = Float[np.ndarray, "C h w"]
Shape = Float[np.ndarray, "h w"]


@dataclass(frozen=True, eq=False)
class Spot:
    """What a change sees: the crop, as large a crop of a donor, pixel offsets from the middle, one unit of change.

    `side` is the image's shorter side in pixels, `area` the size that the defect should have.
    """

    values: Crop
    donor: Crop
    y: Float[np.ndarray, "h 1"]
    x: Float[np.ndarray, "1 w"]
    area: float
    side: int
    unit: float
    rng: np.random.Generator

    @property
    def radius(self) -> float:
        return float(np.sqrt(self.area / np.pi))

    def turned(self) -> tuple[Shape, Shape]:
        """Pixel offsets along two axes at right angles, turned at random."""
        angle = self.rng.uniform(0.0, 2.0 * np.pi)
        along: Shape = np.cos(angle) * self.x + np.sin(angle) * self.y
        across: Shape = np.cos(angle) * self.y - np.sin(angle) * self.x
        return along, across

    def blend(self, changed: Float[np.ndarray, "C #h #w"], opacity: Shape) -> Crop:
        """Lay `changed`, a crop or one level per channel, over the crop."""
        return self.add(changed - self.values, opacity)

    def add(self, change: Float[np.ndarray, "C #h #w"], opacity: Shape) -> Crop:
        """Change the crop's brightness by `change` where `opacity` is 1."""
        changed: Crop = self.values + change * opacity
        return changed


def _blob(s: Spot, edge: float) -> Shape:
    """An uneven, elongated spot: 1 inside, 0 outside, with an edge `edge` radii wide, at least a pixel."""
    along, across = s.turned()
    stretch = np.exp(s.rng.uniform(0.0, np.log(3.0)) / 2)
    along, across = along / (s.radius * stretch), across / (s.radius / stretch)
    angle, wobble = np.arctan2(across, along), 1.0
    for waves in (2, 3, 5):
        wobble = wobble + s.rng.uniform(0.0, 0.3 / waves) * np.cos(waves * angle + s.rng.uniform(0.0, 2.0 * np.pi))
    return _ramp((1.0 - np.hypot(along, across) / wobble) / max(edge, 1.0 / s.radius))


def _box(s: Spot) -> Shape:
    """A rectangle at a random angle, with an edge one pixel wide."""
    along, across = s.turned()
    half, stretch = np.sqrt(s.area) / 2, np.exp(s.rng.uniform(0.0, np.log(4.0)) / 2)
    return _ramp(np.minimum(half * stretch - np.abs(along), half / stretch - np.abs(across)))


def _ramp(depth: Shape) -> Shape:
    """From 0 to 1 without a kink, half way at depth 0."""
    t = np.clip(depth + 0.5, 0.0, 1.0)
    return t * t * (3.0 - 2.0 * t)


def _patch(s: Spot) -> Shape:
    return _box(s) if s.rng.random() < 0.5 else _blob(s, 0.1)


def _jittered(s: Spot, amount: float) -> Crop:
    """The donor's crop with its brightness (by `amount` units at most) and its contrast slightly changed."""
    mean = s.donor.mean(axis=(1, 2), keepdims=True)
    shift = s.unit * amount * s.rng.uniform(-1.0, 1.0) * _per_channel(s)
    crop: Crop = mean + (s.donor - mean) * s.rng.uniform(0.85, 1.15) + shift
    return crop


def _per_channel(s: Spot) -> Float[np.ndarray, "C 1 1"]:
    """A defect need not be as strong under every light or in every colour."""
    return s.rng.uniform(0.5, 1.0, size=(len(s.values), 1, 1))


def _amount(s: Spot, low: float, high: float) -> Float[np.ndarray, "C 1 1"]:
    """Return a change of brightness in units, more often towards the side where there is room for it."""
    upwards = s.rng.random() > 0.5 + 0.5 * s.values[:, len(s.y) // 2, s.x.size // 2].mean()
    size: np.ndarray = s.unit * s.rng.uniform(low, high) * _per_channel(s)
    return size if upwards else -size


def cut_paste(s: Spot) -> Crop:
    """A patch that belongs elsewhere."""
    return s.blend(_jittered(s, 0.15), _patch(s))


def scar(s: Spot) -> Crop:
    """A long thin strip, slightly bent, with pixels from elsewhere, or darker, or lighter."""
    along, across = s.turned()
    length = np.sqrt(s.area * s.rng.uniform(6.0, 20.0))
    width = min(max(s.area / length, 1.0), max(0.025 * s.side, 1.0))
    length = min(length, 0.5 * s.side)
    across = across + s.rng.uniform(-0.4, 0.4) / length * along**2
    taper = 1.0 - 0.5 * s.rng.random() * np.abs(2.0 * along / length) ** 2
    strip = _ramp(np.minimum(width / 2 * taper - np.abs(across), length / 2 - np.abs(along)))
    if s.rng.random() < 0.3:
        return s.blend(_jittered(s, 0.15), strip)
    return s.add(_amount(s, 0.25, 1.2), strip)


def perlin_blend(s: Spot) -> Crop:
    """A ragged stain: Perlin noise cut off at a height, filled with another texture at an opacity of 0.2 to 1."""
    cell = max(s.radius * s.rng.uniform(0.5, 1.5), 2.0)
    height = _perlin(s.values.shape[1:], cell, s.rng) + 0.5 * _perlin(s.values.shape[1:], cell / 2, s.rng)
    height = height - 0.8 * (s.y**2 + s.x**2) / s.area  # it stays together, near the middle
    keep = min(int(s.area), height.size - 1)
    cut = np.partition(height, -keep - 1, axis=None)[-keep - 1]
    stain = ndimage.gaussian_filter((height > cut).astype(np.float64), 0.6)
    return s.blend(_jittered(s, 0.5), s.rng.uniform(0.2, 1.0) * stain)


def blur(s: Spot) -> Crop:
    """Details are washed out."""
    sigma = 0.8 + s.rng.uniform(0.1, 0.4) * s.radius
    return s.blend(ndimage.gaussian_filter(s.values, (0.0, sigma, sigma)), _blob(s, 0.4))


def missing_patch(s: Spot) -> Crop:
    """A piece is gone: what is around it closes over it, or one level does, such as the background's."""
    gone = _patch(s)
    near = np.clip(ndimage.grey_dilation(gone, size=(7, 7)) - gone, 0.0, None)
    if s.rng.random() < 0.5:
        return s.blend(_filled(s.values, 1.0 - gone, s.radius), gone)
    ring = s.values[:, near > 0.5]
    if not ring.size:
        ring = s.values.reshape(len(s.values), -1)
    level = s.rng.choice([0.1, 0.5, 0.9])
    flat = ring.mean(axis=1) if level == 0.5 else np.quantile(ring, level, axis=1)
    return s.blend(flat[:, None, None], gone)


def _filled(values: Crop, known: Shape, radius: float) -> Crop:
    """Spread what is known over what is not, from coarse to fine."""
    filled: Crop = np.broadcast_to(values.mean(axis=(1, 2), keepdims=True), values.shape)
    for sigma in (radius, radius / 2, radius / 4):
        weight = ndimage.gaussian_filter(known, sigma)
        spread = ndimage.gaussian_filter(values * known, (0.0, sigma, sigma))
        filled = (spread + 0.02 * filled) / (weight + 0.02)
    return filled


def deformation(s: Spot) -> Crop:
    """The part is bent: pixels are pushed aside, twisted or spread within a soft-edged spot."""
    bump = _blob(s, 0.9)
    size = max(s.rng.uniform(0.25, 0.6) * s.radius, 1.0) * s.rng.choice([-1.0, 1.0])
    way = s.rng.integers(3)
    if way == 0:
        angle = s.rng.uniform(0.0, 2.0 * np.pi)
        dy, dx = np.sin(angle) * bump, np.cos(angle) * bump
    elif way == 1:
        dy, dx = bump * s.x / s.radius * 1.5, -bump * s.y / s.radius * 1.5
    else:
        dy, dx = bump * s.y / s.radius, bump * s.x / s.radius
    rows, columns = np.indices(bump.shape, dtype=np.float64)
    at = (rows + size * dy, columns + size * dx)
    return np.stack([ndimage.map_coordinates(channel, at, order=1, mode="nearest") for channel in s.values])


def dent(s: Spot) -> Crop:
    """A change of brightness that fades out, or a light and a shaded flank."""
    bump = _blob(s, 1.0)
    if s.rng.random() < 0.4:
        along, _ = s.turned()
        bump = 2.0 * bump * np.clip(along / s.radius, -1.0, 1.0)
    return s.add(_amount(s, 0.2, 0.9), bump)


def plain_mark(s: Spot) -> Crop:
    """The dent that always shows: its middle moves away from the nearer end of the range."""
    middle = s.values[:, (s.y == 0)[:, 0]][:, :, (s.x == 0)[0]]
    away = np.where(middle > 0, -1.0, 1.0) * s.unit
    return s.add(away * s.rng.uniform(0.4, 0.9), _blob(s, 0.9))


def _perlin(shape: tuple[int, ...], cell: float, rng: np.random.Generator) -> Shape:
    """Gradient noise (Perlin 1985) on a lattice of `cell` pixels: random slopes at its corners, smoothly mixed."""
    y, x = (np.arange(size) / cell + rng.random() for size in shape)
    row, column = y.astype(int), x.astype(int)
    angle = rng.uniform(0.0, 2.0 * np.pi, size=(row[-1] + 2, column[-1] + 2))
    y, x = (y - row)[:, None], (x - column)[None]
    rise, run = (t**3 * (t * (6.0 * t - 15.0) + 10.0) for t in (y, x))
    noise = np.zeros(shape)
    for dy, weight_y in ((0, 1.0 - rise), (1, rise)):
        for dx, weight_x in ((0, 1.0 - run), (1, run)):
            slope = angle[np.ix_(row + dy, column + dx)]
            noise += weight_y * weight_x * (np.cos(slope) * (x - dx) + np.sin(slope) * (y - dy))
    return noise
