"""Six defects of the demonstration's gear, as changes to a scene. Amounts are drawn at random.

They are drawn by rules of their own and share nothing with `planted/image.py`, whose defects a detector
chooses its settings by: a demonstration on those would flatter it. Read `gear_image.py` next: it draws the images.

Legend: H x W pixels. Lengths are in nominal pixels unless their name ends in `_px`.
"""

from collections.abc import Callable, Mapping
from itertools import pairwise

import numpy as np
from jaxtyping import Float

from oddwave.demo.gear_scene import Change, Scene, part_distance_px
from oddwave.demo.gear_shape import NUM_HOLES, NUM_TEETH, TIP_RADIUS, Field, tooth_angle

__all__ = ["GEAR_DEFECTS"]


def _missing_tooth(scene: Scene, rng: np.random.Generator) -> Change:
    """A tooth is broken off, close to its root."""
    return Change(lost_tooth=int(rng.integers(NUM_TEETH)), stub=rng.uniform(0.0, 3.0))


def _chipped_edge(scene: Scene, rng: np.random.Generator) -> Change:
    """A corner of a tooth is gone, with an uneven break."""
    angle = tooth_angle(int(rng.integers(NUM_TEETH))) + rng.choice([-1.0, 1.0]) * 0.05
    reach, radius = TIP_RADIUS - rng.uniform(0.0, 3.0), rng.uniform(5.5, 8.5)
    dx, dy = scene.frame.x - reach * np.cos(angle), scene.frame.y - reach * np.sin(angle)
    turn = np.arctan2(dy, dx)
    uneven = sum(rng.uniform(0.3, 0.9) * np.cos(n * turn + rng.uniform(0.0, 2.0 * np.pi)) for n in (3, 5, 8))
    bite: Field = (np.hypot(dx, dy) - radius - uneven).astype(np.float32)
    return Change(bite=bite)


def _missing_hole(scene: Scene, rng: np.random.Generator) -> Change:
    """One of the holes was never drilled."""
    return Change(lost_hole=int(rng.integers(NUM_HOLES)))


def _scratch(scene: Scene, rng: np.random.Generator) -> Change:
    """A scratch one or two pixels wide that wanders a little: its flank towards the lamp dark, the other one bright."""
    unit = scene.pose.px_per_unit
    start, num_steps = _somewhere_in_metal(scene, rng, margin=4.0), int(rng.integers(9, 18))
    heading = rng.uniform(0.0, 2.0 * np.pi) + np.cumsum(rng.normal(0.0, 0.16, num_steps))
    walk = np.cumsum(np.stack([np.cos(heading), np.sin(heading)], axis=1) * 3.2 * unit, axis=0)
    points = np.vstack([start, start + walk])
    distance, side = _along(points, scene.size_px)
    half = unit * rng.uniform(0.55, 1.0)
    depth, facing = rng.uniform(0.16, 0.34), side * np.float32(1.0 / (half + 0.4))
    groove = np.maximum(1.0 - distance / (half + 0.5), 0.0) * (-0.55 + 0.9 * np.clip(facing, -1.0, 1.0))
    lip = 0.35 * np.maximum(1.0 - np.abs(distance - half - 0.7 * unit) / (0.8 * unit), 0.0)
    return Change(relief=(depth * (groove + lip)).astype(np.float32))


def _along(points: Float[np.ndarray, "P 2"], size_px: int) -> tuple[Field, Field]:
    """Return each pixel's distance to a polyline, in pixels, and how far it lies on the left of it."""
    steps = np.arange(size_px, dtype=np.float32)
    x, y = steps[None], steps[:, None]
    distance = np.full((size_px, size_px), np.inf, dtype=np.float32)
    side = np.zeros_like(distance)
    for (x0, y0), (x1, y1) in pairwise(points):
        dx, dy = x1 - x0, y1 - y0
        share = np.clip(((x - x0) * dx + (y - y0) * dy) / (dx * dx + dy * dy), 0.0, 1.0)
        away = np.hypot(x - x0 - share * dx, y - y0 - share * dy)
        left = (dx * (y - y0) - dy * (x - x0)) / np.hypot(dx, dy)
        side = np.where(away < distance, left, side)
        distance = np.minimum(distance, away)
    return distance, side


def _dent(scene: Scene, rng: np.random.Generator) -> Change:
    """A shallow hollow: shaded on the side of the lamp, bright on the other, its rim pushed up a little."""
    x0, y0 = _somewhere_in_metal(scene, rng, margin=6.0)
    radius = scene.pose.px_per_unit * rng.uniform(3.5, 6.5)
    steps = np.arange(scene.size_px, dtype=np.float32)
    dx, dy = (steps - x0)[None] / radius, (steps - y0)[:, None] / (radius * rng.uniform(0.8, 1.2))
    away = dx * dx + dy * dy
    slope = (dx * scene.light[0] + dy * scene.light[1]) * np.exp(-away)
    relief = rng.uniform(0.30, 0.50) * (-slope + 0.10 * np.exp(-((np.sqrt(away) - 1.7) ** 2) / 0.08))
    return Change(relief=(relief - 0.05 * np.exp(-away)).astype(np.float32))


def _stain(scene: Scene, rng: np.random.Generator) -> Change:
    """A drop of old oil that dried: brown, uneven, darkest along its edge."""
    x0, y0 = _somewhere_in_metal(scene, rng, margin=3.0)
    radius = scene.pose.px_per_unit * rng.uniform(7.0, 13.0)
    steps = np.arange(scene.size_px, dtype=np.float32)
    dx, dy = (steps - x0)[None] / radius, (steps - y0)[:, None] / radius
    turn = np.arctan2(dy, dx)
    reach = 1.0 + sum(rng.uniform(0.03, 0.16) * np.cos(n * turn + rng.uniform(0.0, 2.0 * np.pi)) for n in (2, 3, 5))
    depth = np.clip((1.0 - np.hypot(dx, dy) / reach) * radius / 2.0, 0.0, 1.0)
    edge = np.exp(-(((1.0 - np.hypot(dx, dy) / reach) / 0.12) ** 2))
    return Change(stain=(rng.uniform(0.35, 0.65) * depth * (0.75 + 0.5 * edge)).astype(np.float32))


def _somewhere_in_metal(scene: Scene, rng: np.random.Generator, margin: float) -> Float[np.ndarray, " 2"]:
    """Draw a pixel (x, y) of the part that lies `margin` nominal pixels from any edge."""
    inside = np.flatnonzero(part_distance_px(scene, Change()) < -margin * scene.pose.px_per_unit)
    row, column = divmod(int(rng.choice(inside)), scene.size_px)
    return np.array([column, row], dtype=np.float64)


GEAR_DEFECTS: Mapping[str, Callable[[Scene, np.random.Generator], Change]] = {
    "missing_tooth": _missing_tooth,
    "chipped_edge": _chipped_edge,
    "scratch": _scratch,
    "dent": _dent,
    "stain": _stain,
    "missing_hole": _missing_hole,
}
