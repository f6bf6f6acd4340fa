"""Places of maps that are like a marked false alarm: what images and the maps of sound have in common.

A false alarm is remembered as the feature vectors v of its places, each with its distance from the remembered normal
ones. Another place is known where it is nearer to one of them than either of both is to what is normal:

    q = |x - v| / min(distance of x from normal, distance of v from normal)
    known share of a place = (1 - q) / 0.2, within 0..1;     map - known share x (map - usual level)

A part of the map that stands out, three quarters of which lie nearly as near (1.3 - q, over 0.3), is known as a whole.

So the like of a false alarm is known wherever in the picture it appears, and what differs from it as much as it does
from normal is not. Read `image/known_alarms.py` and `audio/known_alarms.py` next.

Legend: B maps, D channels of the feature grid, G x H its places, P places of all marks, M side of the common map.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from scipy import ndimage
from torch import Tensor, nn

from oddwave.detection.model_tensors import Expected
from oddwave.scoring.maps import MAP_SIZE, common_map
from oddwave.scoring.neighbours import coreset

__all__ = [
    "MOST_PLACES",
    "Distance",
    "KnownPlaces",
    "Places",
    "less_known",
    "nearest_distance",
    "remembered_places",
    "tensors_of_places",
]

_SURE = (0.8, 1.0)  # q, up to which a place by itself is known altogether, and from which on not at all
_ALIKE = (1.0, 1.3)  # likewise, of a place among others that are alike
_MOSTLY, _STANDS_OUT, _AROUND = 0.75, 0.4, 2.5  # share of a part; height of one in the map; cells around it
_USUAL, _MOST_COMPARED = 0.9, 10_000  # share of other places; how many of them
MOST_PLACES = 512  # of one mark
_TINY = 1e-9

Distance = Callable[[Tensor], Tensor]


class Places(NamedTuple):
    """The vectors of marked places, and how far each of them lies from what is normal."""

    vectors: Float[np.ndarray, "P D"]
    reach: Float[np.ndarray, " P"]

    def arrays(self) -> dict[str, np.ndarray]:
        """Return what a saved model holds."""
        return {"places": self.vectors, "reach": self.reach}

    @classmethod
    def joined(cls, parts: Sequence["Places"]) -> "Places":
        """Return the places of several marks."""
        return cls(np.concatenate([own.vectors for own in parts]), np.concatenate([own.reach for own in parts]))


@torch.inference_mode()
def remembered_places(
    features: Float[Tensor, "B D G H"], marked: Bool[np.ndarray, "B G H"], distance: Distance | None
) -> Places:
    """Return the marked places of maps; `distance` is that of vectors from normal ones, in their root mean square.

    Where a model remembers no places, the distance is from the places of the same maps that are not marked.
    """
    vectors = features.movedim(1, -1).reshape(-1, features.shape[1]).float()
    own = torch.from_numpy(marked.reshape(-1)).to(vectors.device)
    odd, others = vectors[own], vectors[~own]
    reach = distance(odd) if distance is not None else nearest_distance(odd, others)
    if len(others) and distance is not None:  # what lies as near to normal as other places do says nothing of a kind
        clear = reach > torch.quantile(distance(others[:_MOST_COMPARED]).to(reach.dtype), _USUAL)
        odd, reach = (odd[clear], reach[clear]) if clear.any() else (odd, reach)
    kept = coreset(odd.cpu().numpy(), MOST_PLACES)
    return Places(odd.cpu().numpy()[kept], reach.float().cpu().numpy()[kept])


class KnownPlaces(nn.Module):
    """How much of each place of a map is known from false alarms; `distance` is that from normal ones, if there is."""

    vectors: Tensor
    reach: Tensor

    def __init__(self, places: Places, distance: Distance | None) -> None:
        super().__init__()
        self.distance = distance
        self.register_buffer("vectors", torch.from_numpy(places.vectors))
        self.register_buffer("reach", torch.from_numpy(places.reach))

    def forward(self, features: Float[Tensor, "B D G H"], maps: Float[Tensor, "B M M"]) -> Float[Tensor, "B M M"]:
        """Return the known share of each place of the common map, given the maps themselves.

        A connected part of a map that stands out is known altogether where most of it is alike; where some of it is
        like a false alarm by chance, no more than that is known.
        """
        num, width, rows, columns = features.shape
        ratio = self.ratio(features.movedim(1, -1).reshape(-1, width)).reshape(num, 1, rows, columns)
        sure, alike = (common_map(_grown(_share(ratio, *ends))).clamp(0.0, 1.0) for ends in (_SURE, _ALIKE))
        if not bool((alike > 0.0).any()):
            return alike
        around = round(_AROUND * MAP_SIZE / min(rows, columns))
        whole = [_whole_parts(*own, around) for own in zip(maps.cpu().numpy(), alike.cpu().numpy(), strict=True)]
        return torch.maximum(sure, torch.from_numpy(np.stack(whole)).to(sure))

    def share(self, vectors: Float[Tensor, "N D"]) -> Float[Tensor, " N"]:
        """Return the known share of vectors by themselves."""
        return _share(self.ratio(vectors), *_SURE)

    def ratio(self, vectors: Float[Tensor, "N D"]) -> Float[Tensor, " N"]:
        """Return q for vectors: see the module's formula."""
        away = torch.cdist(vectors.float(), self.vectors) / self.vectors.shape[1] ** 0.5
        least = self.reach.expand_as(away)
        if self.distance is not None:
            least = torch.minimum(least, self.distance(vectors)[:, None].to(least.dtype))
        smallest: Tensor = (away / least.clamp(min=_TINY)).amin(1)
        return smallest


def _share(ratio: Tensor, full: float, none: float) -> Tensor:
    return ((none - ratio) / (none - full)).clamp(0.0, 1.0)


def _grown(share: Float[Tensor, "B 1 G H"]) -> Float[Tensor, "B G H"]:
    return F.max_pool2d(share, 3, stride=1, padding=1)[:, 0]


def _whole_parts(
    own: Float[np.ndarray, "M M"], alike: Float[np.ndarray, "M M"], around: int
) -> Float[np.ndarray, "M M"]:
    """Return 1 in the connected parts of a map that stand out and are mostly alike, and around them; else 0."""
    usual = float(np.median(own))
    parts, count = ndimage.label(own >= usual + _STANDS_OUT * (own.max() - usual), np.ones((3, 3), int))
    numbers, above = np.arange(1, count + 1), own - usual
    known = ndimage.sum(above * alike, parts, numbers) / np.maximum(ndimage.sum(above, parts, numbers), _TINY)
    inside = np.isin(parts, numbers[known >= _MOSTLY])
    grown: np.ndarray = ndimage.binary_dilation(inside, np.ones((3, 3), bool), iterations=around).astype(own.dtype)
    return grown


def tensors_of_places(rows: str, width: int) -> dict[str, Expected]:
    """Return what a saved model holds of places that `width` numbers describe."""
    places = Expected("F32", (rows, width), most=MOST_PLACES)
    return {"places": places, "reach": Expected("F32", (rows,), 0.0, most=MOST_PLACES)}


def less_known(
    maps: Float[Tensor, "B M M"], share: Float[Tensor, "B M M"], usual: float = 0.0
) -> Float[Tensor, "B M M"]:
    """Return maps in which what is known is taken back to the usual level; those without any are what they were."""
    return torch.where(share > 0.0, maps - share * (maps - usual).clamp(min=0.0), maps)


def nearest_distance(queries: Float[Tensor, "N D"], items: Float[Tensor, "M D"]) -> Float[Tensor, " N"]:
    """Return the distance of each vector from the nearest item, in the root mean square; 1 where there is none."""
    if not len(items):
        return queries.new_ones(len(queries))
    blocks = [torch.cdist(block, items).amin(1) for block in torch.split(queries, 256)]
    return torch.cat(blocks) / queries.shape[1] ** 0.5 if blocks else queries.new_zeros(0)
