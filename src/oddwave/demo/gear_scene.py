"""One photograph of the demonstration's gear: what differs from image to image, and how it is lit.

Free turn, +-4 % of the side in position, +-2 % in size, +-10 % in light, dust, the grain of plate and metal, and the
sensor's noise are normal: `draw_scene` draws them. `render` lights a scene, with or without a `Change` to the part.
Brightness is that of the finished image, 0 black and 1 white. Read `gear_defects.py` next: it makes the changes.

Legend: H x W pixels.
"""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, UInt8
from scipy import ndimage

from oddwave.demo.gear_shape import (
    HUB_RADIUS,
    NOMINAL_SIDE,
    RIM_RADIUS,
    ROOT_RADIUS,
    TIP_RADIUS,
    Field,
    Frame,
    Pose,
    gear_distance,
)

__all__ = ["Change", "Scene", "draw_scene", "part_distance_px", "render", "with_noise"]

Planes = Float[np.ndarray, "3 H W"]  # red, green, blue

_PLATE_TINT = (0.95, 1.0, 1.06)
_METAL_TINT = (1.03, 1.0, 0.94)
_STAIN_TINT = (0.62, 0.50, 0.36)  # old oil: what is left of each colour under it
_LIGHT_DIRECTION = -2.25  # radians in the image, y downwards: the lamp hangs at the upper left
_RING_STEPS = 256  # of the metal's turning marks, around the part
_RINGS_PER_UNIT = 1.6


@dataclass(frozen=True, eq=False)
class Change:
    """What a defect does to the part; lengths in nominal pixels.

    `bite` is the distance to a piece that broke away, `relief` brightness added to the metal, `stain` an opacity.
    """

    lost_tooth: int | None = None
    stub: float = 0.0
    lost_hole: int | None = None
    bite: Field | None = None
    relief: Field | None = None
    stain: Field | None = None


@dataclass(frozen=True, eq=False)
class Scene:
    """All that is drawn at random for one image of a part without defects; the light's direction is (x, y)."""

    pose: Pose
    frame: Frame
    light: tuple[float, float]
    lamp: Field  # brightness of the light on a flat white surface
    plate_grain: Field
    metal_grain: Field
    dust: Field
    noise: Field
    colour_noise: Field

    @property
    def size_px(self) -> int:
        """The image's side in pixels."""
        return len(self.lamp)


def draw_scene(rng: np.random.Generator, size_px: int) -> Scene:
    """Draw one image's share of what varies among good parts."""
    unit = size_px / NOMINAL_SIDE
    x_px, y_px = size_px * (0.5 + rng.uniform(-0.04, 0.04, size=2)) - 0.5
    pose = Pose(float(x_px), float(y_px), rng.uniform(0.0, 2.0 * np.pi), unit * rng.uniform(0.98, 1.02))
    frame = Frame.of(pose, size_px)
    angle = _LIGHT_DIRECTION + rng.normal(0.0, 0.03)
    noise = rng.standard_normal((2, size_px, size_px), dtype=np.float32)
    return Scene(
        pose,
        frame,
        (float(np.cos(angle)), float(np.sin(angle))),
        _lamp(rng, size_px),
        _brushed(rng, size_px, unit),
        _turned(rng, frame),
        _dust(rng, size_px, unit),
        noise[0],
        noise[1],
    )


def _lamp(rng: np.random.Generator, size_px: int) -> Field:
    """Light that falls off away from the lamp, with a lobe where the plate mirrors it."""
    steps = np.linspace(-1.0, 1.0, size_px, dtype=np.float32)
    x, y = steps[None], steps[:, None]
    strength = np.float32(rng.uniform(0.9, 1.1))
    lobe = np.exp(-((x + 0.45) ** 2) / 0.5) * np.exp(-((y + 0.55) ** 2) / 0.4)
    lamp: Field = strength * (0.97 - 0.09 * x - 0.11 * y - 0.07 * (x * x + y * y) + 0.16 * lobe)
    return lamp


def _brushed(rng: np.random.Generator, size_px: int, unit: float) -> Field:
    """Grain of a plate brushed from left to right: long fine streaks, short ones among them."""
    white = rng.standard_normal((size_px, size_px), dtype=np.float32)
    long, short = round(70 * unit) | 1, round(14 * unit) | 1
    streaks = ndimage.uniform_filter1d(white, long, axis=1, mode="wrap") * math.sqrt(long)
    fine = ndimage.uniform_filter1d(white, short, axis=1, mode="wrap") * math.sqrt(short)
    grain: Field = 0.020 * streaks + 0.010 * fine
    return grain


def _turned(rng: np.random.Generator, frame: Frame) -> Field:
    """Grain of turned metal: streaks along circles, each as long as the tool kept its edge."""
    num_rings = int(TIP_RADIUS * 1.6 * _RINGS_PER_UNIT) + 2
    white = rng.standard_normal((num_rings, _RING_STEPS), dtype=np.float32)
    streaks = ndimage.uniform_filter1d(white, 25, axis=1, mode="wrap") * 5.0
    rings = 0.017 * streaks + 0.013 * rng.standard_normal((num_rings, 1), dtype=np.float32)
    ring = np.minimum(frame.radius * _RINGS_PER_UNIT, num_rings - 1).astype(np.intp)
    step = (frame.angle * np.float32(_RING_STEPS / (2.0 * np.pi))).astype(np.intp) % _RING_STEPS
    grain: Field = rings.ravel()[ring * _RING_STEPS + step]
    return grain


def _dust(rng: np.random.Generator, size_px: int, unit: float) -> Field:
    """A few specks, lighter or darker than what they lie on; every part has some."""
    dust = np.zeros((size_px, size_px), dtype=np.float32)
    steps = np.arange(size_px, dtype=np.float32)
    for _ in range(int(rng.integers(3, 9))):
        x, y = rng.uniform(0, size_px, size=2)
        radius = unit * rng.uniform(0.6, 1.1)
        reach = int(3 * radius) + 1
        rows, columns = (slice(max(int(at) - reach, 0), int(at) + reach + 1) for at in (y, x))
        speck = np.exp(-((steps[rows, None] - y) ** 2 + (steps[columns] - x) ** 2) / (2.0 * radius**2))
        dust[rows, columns] += rng.uniform(0.04, 0.11) * rng.choice([-1.0, 1.0]) * speck
    return dust


def part_distance_px(scene: Scene, change: Change) -> Field:
    """Return each pixel's distance to the edge of the part as it is, in pixels, negative in the metal."""
    distance = gear_distance(scene.frame, change.lost_tooth, change.stub, change.lost_hole)
    if change.bite is not None:
        distance = np.maximum(distance, -change.bite)
    in_px: Field = distance * np.float32(scene.pose.px_per_unit)
    return in_px


def render(scene: Scene, change: Change, distance: Field) -> Planes:
    """Light the scene, given what `part_distance_px` says of it; no noise yet."""
    cover = np.clip(0.5 - distance, 0.0, 1.0)
    plate = scene.lamp * (0.40 + scene.plate_grain) * _shading_of_plate(scene, distance)
    metal = scene.lamp * (_surface(scene) + _edges(scene, distance))
    if change.relief is not None:
        metal = metal + change.relief
    plate, metal = plate + scene.dust, metal + scene.dust
    lit = np.empty((3, *cover.shape), dtype=np.float32)
    for plane, of_plate, of_metal, of_stain in zip(lit, _PLATE_TINT, _METAL_TINT, _STAIN_TINT, strict=True):
        face = metal * of_metal
        if change.stain is not None:
            face *= 1.0 - change.stain * (1.0 - of_stain)
        plane[:] = plate * of_plate
        plane += cover * (face - plane)
    return np.clip(lit, 0.0, 1.0, out=lit)


def _shading_of_plate(scene: Scene, distance: Field) -> Field:
    """The part's soft shadow, away from the lamp, and the dark line where it touches the plate."""
    unit = scene.size_px / NOMINAL_SIDE
    shift = [round(-7.0 * unit * way) for way in scene.light]
    depth = np.clip(0.5 - np.roll(distance, (shift[1], shift[0]), axis=(0, 1)) / np.float32(9.0 * unit), 0.0, 1.0)
    contact = np.clip(1.0 - distance / np.float32(7.0 * unit), 0.0, 1.0)
    shade: Field = (1.0 - 0.50 * depth * depth * (3.0 - 2.0 * depth)) * (1.0 - 0.30 * contact * contact)
    return shade


def _surface(scene: Scene) -> Field:
    """The face of the part: turned metal that shines in a fan towards and away from the lamp, a duller web."""
    steps, radius = np.arange(scene.size_px, dtype=np.float32), scene.frame.radius
    toward = (steps - scene.pose.x_px)[None] * scene.light[0] + (steps - scene.pose.y_px)[:, None] * scene.light[1]
    cosine = toward / (radius * np.float32(scene.pose.px_per_unit) + 1e-3)
    fan = cosine**2
    fan = fan * fan * fan
    web = np.clip(radius - HUB_RADIUS, 0.0, 1.0) * np.clip(RIM_RADIUS - radius, 0.0, 1.0)
    walls = _bump(radius - HUB_RADIUS, 1.8) - _bump(radius - RIM_RADIUS, 1.8)
    # the wall of the rim on the lamp's side lies in shade, and so does a strip of the web below it
    shaded = web * np.clip(1.0 - (RIM_RADIUS - radius) / 9.0, 0.0, 1.0) * np.clip(cosine, 0.0, 1.0)
    groove = _bump(radius - (ROOT_RADIUS - 4.0), 0.9)
    face = 0.54 + 0.24 * fan + scene.metal_grain * (1.0 + 0.6 * fan)
    surface: Field = face - web * (0.11 + 0.14 * fan) + 0.16 * cosine * walls - 0.16 * shaded - 0.10 * groove
    return surface


def _edges(scene: Scene, distance: Field) -> Field:
    """The chamfer along all edges: bright where it faces the lamp, dark where it faces away."""
    slope_y, slope_x = np.gradient(distance)
    facing = slope_x * scene.light[0] + slope_y * scene.light[1]
    width = 1.7 * scene.size_px / NOMINAL_SIDE
    edges: Field = _bump(distance + np.float32(0.8 * width), width) * (0.26 * facing - 0.05)
    return edges


def _bump(distance: Field, width: float) -> Field:
    bump: Field = np.maximum(1.0 - np.abs(distance) / np.float32(width), 0.0)
    return bump


def with_noise(scene: Scene, lit: Planes) -> UInt8[np.ndarray, "H W 3"]:
    """Add what the sensor adds, more of it where there is more light, and round to 8 bits."""
    size = 0.006 + 0.012 * np.sqrt(lit[1])
    grey, colour = size * scene.noise, 0.5 * size * scene.colour_noise
    image = np.empty((*grey.shape, 3), dtype=np.uint8)
    for channel, plane in enumerate(lit):
        noisy = (plane + grey + (1 - channel) * colour) * 255.0 + 0.5
        image[..., channel] = np.clip(noisy, 0.0, 255.0, out=noisy)
    return image
