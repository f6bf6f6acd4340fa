"""`Box`: a rectangle of whole pixels, the way tiles, placements and crops are named throughout the image modality."""

from typing import NamedTuple

__all__ = ["Box"]


class Box(NamedTuple):
    """A rectangle in pixels, counted from the image's upper left corner; its last row is `top + height - 1`."""

    top: int
    left: int
    height: int
    width: int

    @property
    def slices(self) -> tuple[slice, slice]:
        """Rows and columns: `image[box.slices]` is what lies inside."""
        return slice(self.top, self.top + self.height), slice(self.left, self.left + self.width)
