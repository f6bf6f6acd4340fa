"""From a method's scores and maps to the figures of a cell: over images and over pixels.

Pixels are judged at the image's own size, or, where its longer side exceeds 256 px, at that size: a data set of
1,024 px would otherwise need gigabytes to sort its pixels. Maps are brought to that size by Pillow's triangle filter
(bilinear where they grow), masks by the share of each pixel that they cover. Read `runner.py` next.

Legend: n test images, h x w pixels of a map.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from PIL import Image

from oddwave.errors import DataError
from oddwave.lab.bench.protocol import ImageTask
from oddwave.lab.metrics.aupro import aupro, pixel_auroc
from oddwave.lab.metrics.auroc import auprc, auroc
from oddwave.lab.metrics.f1 import f1_max
from oddwave.sources.image.reader import read_images

__all__ = ["image_metrics"]

_LONGEST_PX = 256
_MAX_FPR = 0.3


def image_metrics(
    task: ImageTask, scores: Float[np.ndarray, " n"], maps: Sequence[Float[np.ndarray, "h w"]]
) -> dict[str, float]:
    """Compute AUROC, AUPR and best F1 over images, and pixel AUROC and AUPRO (FPR <= 0.3) where there are masks.

    Raises: DataError for another number of scores or maps than images.
    """
    label = task.gt_label
    if len(scores) != len(label) or (len(maps) and len(maps) != len(label)):
        raise DataError(f"{len(scores)} scores and {len(maps)} maps for {len(label)} images")
    if len(np.unique(label)) < 2:
        return {}
    result = {"auroc": auroc(label, scores), "auprc": auprc(label, scores), "f1_max": f1_max(label, scores).value}
    if len(maps) and task.split.has_masks:
        masks, resized = [], []
        for index, (own, size) in enumerate(zip(maps, _judged_sizes(task), strict=True)):
            masks.append(task.split.gt_mask(index, *size))
            resized.append(_at_size(own, *size))
        result |= {"pixel_auroc": pixel_auroc(masks, resized), "aupro": aupro(masks, resized, _MAX_FPR)}
    return result


def _judged_sizes(task: ImageTask) -> list[tuple[int, int]]:
    sizes = read_images(list(task.split.test_paths), on_error="stop").sizes
    shares = [min(1.0, _LONGEST_PX / max(size)) for size in sizes]
    return [
        (max(1, round(height * share)), max(1, round(width * share)))
        for (height, width), share in zip(sizes, shares, strict=True)
    ]


def _at_size(own: Float[np.ndarray, "h w"], height: int, width: int) -> Float[np.ndarray, "height width"]:
    values = np.ascontiguousarray(own, np.float32)
    if values.shape == (height, width):
        return values
    return np.asarray(Image.fromarray(values).resize((width, height), Image.Resampling.BILINEAR))
