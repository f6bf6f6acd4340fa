"""Where in an image the part lies, if it lies on a background: learnt from normal images, without labels.

The features of part and background differ, mostly along one of the first principal components of all places. A
threshold on it (Otsu 1979) parts the two; the side that the border of the images lies on is the background. What was
found is taken for a part only where it looks like one in nearly all normal images: two kinds of places, away from the
border, in few pieces, of a like area. Textures show nothing of that kind and get none. A network that pads with zeros
sees the border of every image as another kind of place: what is learnt from is padded with its own mirror image.

Measured: of the variance along the component, 0.79 lie between part and background on screws and pills, 0.88 on drawn
gears; 0.63 to 0.73 between the sides of textures, also under a vignette (a normal distribution has 0.64).
Legend: N squares, D channels of the feature grid, G its side, M side of a map, h x w of what covers a whole image.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from scipy import ndimage
from torch import Tensor

from oddwave.detection.image.retrieval_scorer import RetrievalScorer
from oddwave.detection.image.scored_image import Cutter
from oddwave.detection.image.seen import Seen
from oddwave.nets.feature_grid import FeatureGrid
from oddwave.records import ImageResult
from oddwave.scoring.maps import MAP_SIZE
from oddwave.scoring.scorer import PartScores
from oddwave.sources.image.items import ImageFailure, ImageItem
from oddwave.tensors.image_frame import ImageFrame

__all__ = ["Foreground", "OnPart", "found_part", "learn_foreground", "marked", "on_part"]

_MOST_IMAGES = 24
_FEWEST_IMAGES = 4
_NUM_DIRECTIONS = 3
_MARGIN = 3 / 32  # of the side, in which padding shows
_PADDING = 1 / 8  # of the side
_FINEST_PX = 128
_SMALLEST_SCALE = 1e-4
_AREA = (0.02, 0.85)  # of what is left, that a part takes
_MOST_BORDER = 0.2  # of the places around what is left, that a part touches
_LEAST_SEPARATION = 0.75  # of the variance along a direction, between part and background
_LEAST_WHOLE = 0.8  # of a part's area, in its largest piece
_MOST_SPREAD = 0.35  # of the area over images, relative to its mean
_SMALLEST_PIECE = 0.25  # of the largest, that counts as part too
_REACH = 2  # places around a part that still belong to it: half of a feature's neighbourhood


@dataclass(frozen=True, eq=False)
class Foreground:
    """A weighted sum of features, from `threshold` on a place belongs to the part."""

    weights: Float[Tensor, " D"]
    threshold: float

    def of(self, features: Float[Tensor, "N D G G"]) -> Bool[np.ndarray, "N G G"]:
        """Return the places of the part in each square: its large pieces, without holes, and what is close to them."""
        margin = _margin(features.shape[-1])
        along = torch.einsum("ndgh,d->ngh", features.float(), self.weights.to(features.device))
        return np.stack([_grown(_pieces(_inwards(own, margin))) for own in (along > self.threshold).cpu().numpy()])


@dataclass(frozen=True, eq=False)
class OnPart:
    """A scorer for which only the part counts; all of an image does where none is seen in it."""

    scorer: RetrievalScorer
    foreground: Foreground

    def __call__(self, x: Float[Tensor, "B C S S"], monitored: Bool[Tensor, "B M M"]) -> PartScores:
        """Return one score and one map per square."""
        return self.of_features(self.scorer.features(x), monitored)

    def of_features(self, features: Float[Tensor, "B D G G"], monitored: Bool[Tensor, "B M M"]) -> PartScores:
        """Score squares whose features are at hand."""
        part = torch.from_numpy(_on_maps(self.foreground.of(features), monitored.cpu().numpy())).to(monitored.device)
        return self.scorer.of_distances(self.scorer.distances(features), part)


def on_part(seen: Seen, foreground: Foreground) -> Seen:
    """Return what was seen of images, of which only the part is monitored."""
    squares = []
    for number, own in enumerate(seen.squares):
        first = int(np.flatnonzero(seen.image == number)[0])
        part = foreground.of(seen.features[first : first + 1])
        squares.append(replace(own, monitored=_on_maps(part, own.monitored)))
    return replace(seen, squares=squares)


def _on_maps(part: Bool[np.ndarray, "N G G"], monitored: Bool[np.ndarray, "N M M"]) -> Bool[np.ndarray, "N M M"]:
    side = np.arange(MAP_SIZE) * part.shape[-1] // MAP_SIZE
    both = monitored & part[:, side][:, :, side]
    return np.where(both.any((1, 2), keepdims=True), both, monitored)


@torch.inference_mode()
def found_part(
    items: Sequence[ImageItem], cutter: Cutter, grid: FeatureGrid, device: torch.device
) -> tuple[Foreground | None, dict[str, Any]]:
    """Look for a part in some of the normal images; tiles, and fewer than four images, do not tell."""
    if cutter.image.foreground == "off" or cutter.image.tile_px is not None or len(items) < _FEWEST_IMAGES:
        return None, {}
    spread = np.linspace(0, len(items) - 1, min(len(items), _MOST_IMAGES)).round().astype(int)
    pad = round(_PADDING * cutter.frame.size_px)
    sides = round(grid.size * (1 + 2 * pad / cutter.frame.size_px))
    wide = FeatureGrid(grid.network, sides, grid.taps, grid.neighbourhood, zero_border=grid.zero_border)
    crop = (sides - grid.size) // 2
    features = []
    for number in np.unique(spread):
        squares = cutter.try_cut(items[number])
        if not isinstance(squares, ImageFailure):
            x = F.pad(torch.from_numpy(squares.tensors).to(device), (pad,) * 4, mode="reflect")
            features.append(wide(x)[:, :, crop : crop + grid.size, crop : crop + grid.size].cpu())
    return learn_foreground(torch.cat(features))


def learn_foreground(features: Float[Tensor, "N D G G"]) -> tuple[Foreground | None, dict[str, Any]]:
    """Return what tells the part in normal images from their background, if anything does, and the evidence."""
    centre, scale = features.mean((0, 2, 3)), features.std((0, 2, 3))
    scale = torch.where(scale > _SMALLEST_SCALE, scale, 1.0)
    margin = _margin(features.shape[-1])
    x = ((features - centre[:, None, None]) / scale[:, None, None])[:, :, margin:-margin, margin:-margin]
    places = x.permute(0, 2, 3, 1).reshape(-1, x.shape[1])
    places = places - places.mean(0)
    _, directions = torch.linalg.eigh(places.T @ places / len(places))
    border = np.ones(x.shape[2:], bool)
    border[1:-1, 1:-1] = False
    best: tuple[Foreground, dict[str, Any]] | None = None
    why = ""
    for direction in directions.T.flip(0)[:_NUM_DIRECTIONS]:
        along = torch.einsum("ndgh,d->ngh", x, direction).numpy()
        threshold, separation = _otsu(along)
        sign = 1.0 if np.mean(along[:, border] > threshold) < 0.5 else -1.0
        masks = np.stack([_pieces(own) for own in (sign * along > sign * threshold)])
        told = _told(masks, border, separation)
        doubt = _doubt(told)
        why = why or doubt
        if not doubt and (best is None or separation > best[1]["separation"]):
            weights = sign * direction / scale
            best = Foreground(weights, sign * threshold + float(weights @ centre)), told
    if best is None:
        return None, {"chosen": "none", "why": f"no part on a background was found: {why}"}
    return best[0], {"chosen": "found", "why": "the images show a part on a background", **best[1]}


def marked(result: ImageResult, part: Bool[np.ndarray, "G G"], frame: ImageFrame) -> ImageResult:
    """Return a result with the part's place in the image, and with regions that are told to lie on it or off it."""
    height, width = result.size
    scale = min(1.0, _FINEST_PX / max(height, width))
    rows, columns = max(1, round(height * scale)), max(1, round(width * scale))
    own = frame.to_image(part.astype(np.float32), rows, columns) >= 0.5
    if not own.any():
        return result
    regions = []
    for region in result.events:
        top, bottom = region.top_px * rows // height, -(-region.bottom_px * rows // height)
        left, right = region.left_px * columns // width, -(-region.right_px * columns // width)
        regions.append(replace(region, on_part=bool(own[top:bottom, left:right].any())))
    return replace(result, events=tuple(regions), part=own)


def _margin(side: int) -> int:
    return max(1, round(_MARGIN * side))


def _inwards(mask: Bool[np.ndarray, "G G"], margin: int) -> Bool[np.ndarray, "G G"]:
    """Take near the border only what reaches there from within: padding makes parts of nothing there."""
    inner = np.zeros_like(mask)
    inner[margin:-margin, margin:-margin] = mask[margin:-margin, margin:-margin]
    reached: np.ndarray = ndimage.binary_propagation(inner, mask=mask)
    return reached


def _told(masks: Bool[np.ndarray, "N G G"], border: Bool[np.ndarray, "G G"], separation: float) -> dict[str, float]:
    areas = masks.mean((1, 2))
    largest = [max(ndimage.sum_labels(own, *_labelled(own)), default=0.0) / max(1, own.sum()) for own in masks]
    return {
        "area": round(float(areas.mean()), 3),
        "area_spread": round(float(areas.std() / max(areas.mean(), 1e-9)), 3),
        "at_border": round(float(masks[:, border].mean()), 3),
        "in_largest_piece": round(float(np.median(largest)), 3),
        "separation": round(separation, 3),
    }


def _doubt(told: dict[str, float]) -> str:
    """Return why what was found is no part; empty where it looks like one."""
    if told["separation"] < _LEAST_SEPARATION:
        return "the features of the images are not of two kinds"
    if not _AREA[0] <= told["area"] <= _AREA[1]:
        return "it would take nearly nothing or nearly all of the image"
    if told["at_border"] > _MOST_BORDER:
        return "it would reach beyond the border"
    if told["in_largest_piece"] < _LEAST_WHOLE:
        return "it would be in many pieces"
    if told["area_spread"] > _MOST_SPREAD:
        return "its area would differ much from image to image"
    return ""


def _otsu(values: np.ndarray) -> tuple[float, float]:
    """Return the threshold with the largest variance between both sides, and its share of the whole variance."""
    ordered = np.sort(values.ravel().astype(np.float64))
    num = np.arange(1, len(ordered))
    below = np.cumsum(ordered)[:-1]
    means = below / num - (ordered.sum() - below) / (len(ordered) - num)
    between = num * (len(ordered) - num) / len(ordered) ** 2 * means**2
    at = int(between.argmax())
    variance = float(ordered.var())
    return float((ordered[at] + ordered[at + 1]) / 2), float(between[at] / variance) if variance > 0 else 0.0


def _labelled(mask: Bool[np.ndarray, "G G"]) -> tuple[np.ndarray, np.ndarray]:
    labels, count = ndimage.label(mask)
    return labels, np.arange(1, count + 1)


def _pieces(mask: Bool[np.ndarray, "G G"]) -> Bool[np.ndarray, "G G"]:
    """Return the pieces of a mask that are not much smaller than the largest, without holes."""
    labels, numbers = _labelled(mask)
    if not len(numbers):
        return mask
    areas = np.asarray(ndimage.sum_labels(mask, labels, numbers))
    kept = np.isin(labels, numbers[areas >= _SMALLEST_PIECE * areas.max()])
    filled: np.ndarray = ndimage.binary_fill_holes(kept)
    return filled


def _grown(mask: Bool[np.ndarray, "G G"]) -> Bool[np.ndarray, "G G"]:
    grown: np.ndarray = ndimage.binary_dilation(mask, iterations=_REACH)
    return grown
