"""Metrics over the pixels of images: area under the per-region-overlap curve (AUPRO), and pixel AUROC.

A region is an 8-connected component of a mask. At a threshold, all pixels that score at or above it are flagged, and

    PRO = mean over all regions of all images of (flagged pixels of the region / its size)
    FPR = flagged normal pixels of all images / normal pixels of all images
    AUPRO = 1 / max_fpr * integral of PRO over FPR from 0 to max_fpr

so a small defect counts as much as a large one, which pixel AUROC does not grant it. 1 is perfect; a random map gets
max_fpr / 2.

Exactness. Every distinct score is a threshold: each pixel of a region adds 1 / (size * number of regions) to PRO and
each normal pixel 1 / their number to FPR, so one sort and two cumulative sums give the whole curve. Equal scores are
flagged together. The curve is linear between thresholds, from (0, 0), also where max_fpr cuts it.

Source: Bergmann et al. 2020, Uninformed Students (CVPR). Legend: N images of H x W pixels, which may differ in size;
n pixels in all. Read `auroc.py` for metrics over items.
"""

from collections.abc import Iterable

import numpy as np
from jaxtyping import Bool, Float
from numpy.typing import ArrayLike
from scipy import ndimage

from oddwave.errors import ConfigError, DataError, ShapeError
from oddwave.lab.metrics.auroc import auroc

__all__ = ["aupro", "pixel_auroc"]

_EIGHT_NEIGHBOURS = np.ones((3, 3), dtype=np.int64)


def aupro(masks: Iterable[ArrayLike], maps: Iterable[ArrayLike], max_fpr: float = 0.3) -> float:
    """Compute the area under PRO over FPR up to `max_fpr`, divided by `max_fpr`: in [0, 1], higher is better.

    `masks` are true or 1 where an image is defective, `maps` hold a score per pixel, higher where more anomalous;
    both are (N, H, W) or N arrays (H, W). Good images belong in it, with empty masks.
    Raises: ConfigError for max_fpr outside (0, 1]; ShapeError for masks and maps that do not match; DataError for other
    mask values, scores that are not finite, or no region or no normal pixel at all.
    """
    if not 0.0 < max_fpr <= 1.0:
        raise ConfigError(f"max_fpr is {max_fpr}: give a false-positive rate above 0 and up to 1, such as 0.3")
    checked, score = _checked(masks, maps)
    overlap = _overlap_shares(checked)
    anomalous = np.concatenate([mask.ravel() for mask in checked])
    order = np.argsort(-score)
    # the last position of each group of equal scores, so that a whole group is flagged at once
    group_end = np.append(np.flatnonzero(np.diff(score[order])), score.size - 1)
    pro = np.cumsum(overlap[order])[group_end]
    false_alarms = np.cumsum(~anomalous[order])[group_end]
    return _area(false_alarms / false_alarms[-1], pro, max_fpr) / max_fpr


def pixel_auroc(masks: Iterable[ArrayLike], maps: Iterable[ArrayLike]) -> float:
    """Compute the AUROC over all pixels of all images: 0.5 is chance, 1 perfect.

    Arguments and Raises: as `aupro`. Few large defects outweigh many small ones; `aupro` weighs them alike.
    """
    checked, score = _checked(masks, maps)
    return auroc(np.concatenate([mask.ravel() for mask in checked]), score)


def _checked(
    masks: Iterable[ArrayLike], maps: Iterable[ArrayLike]
) -> tuple[list[Bool[np.ndarray, "_ _"]], Float[np.ndarray, " n"]]:
    arrays, values = [np.asarray(mask) for mask in masks], [np.asarray(values) for values in maps]
    if len(arrays) != len(values) or not arrays:
        raise ShapeError(f"{len(arrays)} masks and {len(values)} maps are given: give one of each per image")
    for index, (mask, scores) in enumerate(zip(arrays, values, strict=True)):
        if mask.ndim != 2 or mask.shape != scores.shape:
            raise ShapeError(
                f"image {index}: the mask has shape {mask.shape} and the map {scores.shape}: give both as (H, W)"
            )
        if mask.dtype != bool and not np.isin(mask, (0, 1)).all():
            raise DataError(f"image {index}: the mask holds values besides 0 and 1: give 1 where it is defective")
    score = np.concatenate([scores.ravel() for scores in values])
    if not np.issubdtype(score.dtype, np.floating):
        score = score.astype(np.float64)
    bad = int(np.count_nonzero(~np.isfinite(score)))
    if bad:
        raise DataError(f"maps have {bad} of {score.size} values NaN or infinite: give finite scores")
    num_anomalous = sum(int(np.count_nonzero(mask)) for mask in arrays)
    if not 0 < num_anomalous < score.size:
        raise DataError(f"masks mark {num_anomalous} of {score.size} pixels: both defective and normal ones are needed")
    return [mask.astype(bool) for mask in arrays], score


def _overlap_shares(masks: list[Bool[np.ndarray, "_ _"]]) -> Float[np.ndarray, " n"]:
    """Return what flagging each pixel adds to PRO: 1 / (size of its region * number of regions), 0 for normal ones."""
    shares, num_regions = [], 0
    for mask in masks:
        regions, count = ndimage.label(mask, structure=_EIGHT_NEIGHBOURS)
        share = 1.0 / np.maximum(np.bincount(regions.ravel(), minlength=count + 1), 1)
        share[0] = 0.0
        shares.append(share[regions.ravel()])
        num_regions += count
    whole: np.ndarray = np.concatenate(shares) / num_regions
    return whole


def _area(fpr: Float[np.ndarray, " g"], pro: Float[np.ndarray, " g"], max_fpr: float) -> float:
    """Integrate PRO over FPR from (0, 0) to `max_fpr`; FPR rises to 1."""
    inside = int(np.searchsorted(fpr, max_fpr, side="right"))
    x, y = np.append(0.0, fpr[:inside]), np.append(0.0, pro[:inside])
    if x[-1] < max_fpr:
        share = (max_fpr - x[-1]) / (fpr[inside] - x[-1])
        y = np.append(y, y[-1] + share * (pro[inside] - y[-1]))
        x = np.append(x, max_fpr)
    return float(np.dot(np.diff(x), (y[1:] + y[:-1]) / 2.0))
