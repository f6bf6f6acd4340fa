"""What the loaders of image data sets return: paths, labels and masks; pixels are read when they are asked for.

Legend: M test images, k training and m test images kept. Read `mvtec.py` and `visa.py` next: one layout each.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import numpy as np
from jaxtyping import Bool, Int
from PIL import Image

from oddwave.errors import DataError
from oddwave.lab.datasets.split import Split

__all__ = ["GOOD", "ImageSplit"]

GOOD = "good"  # the kind of a test image without a defect


@dataclass(frozen=True, eq=False)
class ImageSplit(Split):
    """One category: normal images to train on, test images with their labels, kinds of defect and masks.

    `mask_paths` holds None for good images, and for defective ones where the data set comes without masks.
    """

    mask_paths: tuple[Path | None, ...]

    def only(self, train: Int[np.ndarray, " k"], test: Int[np.ndarray, " m"]) -> Self:
        """Return the split of these training and these test images alone, by their positions."""
        return replace(super().only(train, test), mask_paths=tuple(self.mask_paths[i] for i in test))

    @property
    def has_masks(self) -> bool:
        """Whether every defective test image has a mask, so that pixels can be judged too."""
        return all(path is not None for path, label in zip(self.mask_paths, self.gt_label, strict=True) if label)

    def gt_mask(self, index: int, height: int, width: int) -> Bool[np.ndarray, "height width"]:
        """Read the mask of a test image at the given size: every value but 0 is anomalous.

        A pixel of the new size is anomalous where half of its area is. A defect too small for that keeps the pixels
        that hold most of it, so no mask is emptied.
        Raises: DataError for a mask that cannot be read, or a defective image without one.
        """
        path = self.mask_paths[index]
        if path is not None:
            return _resized(_read_mask(path), height, width)
        if self.gt_label[index]:
            raise DataError(f"'{self.test_paths[index]}' is defective but has no mask: pixels of it cannot be judged")
        return np.zeros((height, width), dtype=bool)


def _read_mask(path: Path) -> Bool[np.ndarray, "H W"]:
    try:
        with Image.open(path) as image:
            values = np.asarray(image)
            has_alpha = image.mode.endswith("A")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise DataError(f"'{path}' is not a mask image ({error}): fetch it again") from error
    if values.ndim == 3:
        values = values[..., : values.shape[2] - has_alpha].max(axis=2)
    return np.asarray(values != 0)


def _resized(mask: Bool[np.ndarray, "H W"], height: int, width: int) -> Bool[np.ndarray, "height width"]:
    if mask.shape == (height, width):
        return mask
    image = Image.fromarray(mask.astype(np.float32))
    share = np.asarray(image.resize((width, height), Image.Resampling.BOX))
    at_least = min(0.5, float(share.max())) if mask.any() else 0.5
    resized: np.ndarray = share >= at_least
    return resized
