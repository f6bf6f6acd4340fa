"""The demonstration's part: a gear as a signed distance field, negative in the metal, positive outside it.

Lengths are in nominal pixels, those of an image 256 pixels wide; `Pose` says where the part lies in a real one. Teeth
are one rounded trapezoid, folded around the middle; the body is a disc, joined to them with a fillet; bore, keyway and
holes are taken away. Read `gear_image.py` next: it turns the field into a photograph.

Legend: H x W pixels.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

__all__ = [
    "HOLE_CIRCLE",
    "HUB_RADIUS",
    "NOMINAL_SIDE",
    "NUM_HOLES",
    "NUM_TEETH",
    "RIM_RADIUS",
    "ROOT_RADIUS",
    "TIP_RADIUS",
    "Field",
    "Frame",
    "Pose",
    "gear_distance",
    "tooth_angle",
]

Field = Float[np.ndarray, "H W"]

NOMINAL_SIDE = 256
TIP_RADIUS, ROOT_RADIUS = 93.0, 78.0
RIM_RADIUS, HUB_RADIUS = 68.0, 31.0  # between the two the part is turned down
NUM_TEETH = 20
NUM_HOLES = 5
HOLE_CIRCLE = 49.5
_HOLE_RADIUS = 9.5
_BORE_RADIUS = 15.0
_KEYWAY_HALF_WIDTH, _KEYWAY_DEPTH = 4.0, 20.5  # depth counts from the middle
_TIP_HALF_WIDTH, _FLANK_SLOPE, _TIP_ROUNDING = 3.6, 0.22, 1.6
_FILLET = 3.0


@dataclass(frozen=True, slots=True)
class Pose:
    """Where a part lies in an image: its middle in pixels, its turn, and pixels per nominal pixel."""

    x_px: float
    y_px: float
    angle: float
    px_per_unit: float


@dataclass(frozen=True, eq=False)
class Frame:
    """The part's own coordinates of every pixel of an image, in nominal pixels; `angle` is that of (x, y)."""

    x: Field
    y: Field
    radius: Field
    angle: Field

    @classmethod
    def of(cls, pose: Pose, size_px: int) -> "Frame":
        """Lay the part's coordinates over a square image."""
        steps = np.arange(size_px, dtype=np.float32)
        dx, dy = (steps - pose.x_px)[None], (steps - pose.y_px)[:, None]
        cos, sin = np.cos(pose.angle) / pose.px_per_unit, np.sin(pose.angle) / pose.px_per_unit
        x = np.float32(cos) * dx + np.float32(sin) * dy
        y = np.float32(cos) * dy - np.float32(sin) * dx
        return cls(x, y, np.sqrt(x * x + y * y), np.arctan2(y, x))


def tooth_angle(tooth: int) -> float:
    """Return the direction of a tooth's middle line in the part's own coordinates."""
    return 2.0 * np.pi * tooth / NUM_TEETH


def gear_distance(
    frame: Frame, lost_tooth: int | None = None, stub: float = 0.0, lost_hole: int | None = None
) -> Field:
    """Return each pixel's distance to the gear's edge in nominal pixels.

    `lost_tooth` is broken off but for a stub of `stub` nominal pixels, `lost_hole` was never drilled.
    """
    step = 2.0 * np.pi / NUM_TEETH
    number = np.rint(frame.angle / step)
    folded = frame.angle - number * np.float32(step)
    along, across = frame.radius * np.cos(folded), np.abs(frame.radius * np.sin(folded))
    tip: float | Field = TIP_RADIUS
    if lost_tooth is not None:
        ragged = stub + 0.8 * np.sin(1.1 * frame.radius * folded) + 0.5 * np.sin(2.7 * frame.radius * folded + 1.0)
        tip = np.where(number % NUM_TEETH == lost_tooth, ROOT_RADIUS + ragged, TIP_RADIUS).astype(np.float32)
    body = _joined(frame.radius - ROOT_RADIUS, _tooth(along, across, tip))
    distance: Field = np.maximum(body, -_openings(frame, lost_hole))
    return distance


def _tooth(along: Field, across: Field, tip: float | Field) -> Field:
    """A trapezoid on the x axis that ends at `tip`, symmetric, with its two outer corners rounded."""
    normal = float(np.hypot(1.0, _FLANK_SLOPE))
    flank = (across - _TIP_HALF_WIDTH + _FLANK_SLOPE * (along - TIP_RADIUS)) / normal + _TIP_ROUNDING
    end = along - tip + _TIP_ROUNDING
    outside = np.sqrt(np.maximum(flank, 0.0) ** 2 + np.maximum(end, 0.0) ** 2)
    distance: Field = np.minimum(np.maximum(flank, end), 0.0) + outside - _TIP_ROUNDING
    return distance


def _joined(one: Field, other: Field) -> Field:
    """The union of two shapes, with a fillet where they meet."""
    near = np.maximum(_FILLET - np.abs(one - other), 0.0) / _FILLET
    distance: Field = np.minimum(one, other) - near * near * (_FILLET / 4.0)
    return distance


def _openings(frame: Frame, lost_hole: int | None) -> Field:
    """The distance to the bore with its keyway, and to the holes around it."""
    keyway = np.maximum(np.abs(frame.y) - _KEYWAY_HALF_WIDTH, np.abs(frame.x - _KEYWAY_DEPTH / 2) - _KEYWAY_DEPTH / 2)
    distance: Field = np.minimum(frame.radius - _BORE_RADIUS, keyway)
    nearest = np.full_like(frame.x, -np.inf)  # the nearest hole's middle lies furthest along the pixel's own direction
    for hole in range(NUM_HOLES):
        if hole != lost_hole:
            angle = 2.0 * np.pi * (hole + 0.5) / NUM_HOLES
            np.maximum(nearest, np.float32(np.cos(angle)) * frame.x + np.float32(np.sin(angle)) * frame.y, out=nearest)
    squared = frame.radius**2 + np.float32(HOLE_CIRCLE**2) - 2.0 * HOLE_CIRCLE * nearest
    np.minimum(distance, np.sqrt(np.maximum(squared, 0.0)) - _HOLE_RADIUS, out=distance)
    return distance
