"""PatchSVDD: codes of patches that know what lies around them, and the distance to the nearest code of training.

    f_s(p)    a code in (-1, 1)^D of a small patch; f_l(p) = g(f_s of its four quarters), of a patch twice as wide
    position  cross-entropy of h(f(p) - f(p')) against which of the 8 neighbours of p the patch p' is
    loss      sum over both sizes of  position + w ||f(p) - f(p'')||^2,  p'' a patch one place beside p
    A_s(x)    at each place the mean, over the small patches that hold it, of min_m ||V (f_s(p) - m)||
    map(x)    A_s(x) A_l(x),   m a code of training, V what whitens them

Source: Yi and Yoon 2020, Patch SVDD: patch-level SVDD for anomaly detection and segmentation (arXiv 2006.16067),
equations 2 to 7.

Departures. The paper's patches of 64 and 32 px on images of 256 px are a quarter and an eighth of the side here, both
at strides of a quarter of the patch (the paper's small ones: an eighth), and training is hundreds of steps, not many
thousands. So short a training leaves most of the spread of codes in a few directions, which would drown the others:
hence V. The nearest code is sought among `num_codes` of each size, spread over all of training, not among all. The
distance in the loss is squared: it lets go of codes as they meet. Read `method.py` first.

Legend: N images, B of a batch, C channels, H x W the grid, P side of a patch, D numbers of a code, M codes kept,
Q codes asked about.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from oddwave.errors import ShapeError
from oddwave.lab.rivals.learned.method import LearnedMethod
from oddwave.lab.rivals.whitening import inverse_root
from oddwave.scoring.neighbours import nearest

__all__ = ["PatchEncoder", "PatchSVDD", "Size", "neighbouring_patches", "spread_codes", "whitening_of"]

Size = Literal["small", "large"]

_SIZES: tuple[Size, Size] = ("small", "large")
_LEAST_SIDE = 16
_PATCHES_PER_SIDE = 8
_NEIGHBOURS = ((-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 0), (1, 1))  # rows down, columns right
_SHADE_JITTER = 0.02  # so that no position can be read from how the light falls
_LEAK = 0.1
_WIDTH, _HIDDEN = 64, 128
_AT_ONCE = 16
_ROUNDS = 4
_LEAST_VARIANCE = 1e-3  # of the largest: what has less is noise


class PatchEncoder(nn.Module):
    """Codes of small and large patches, the position classifiers, and codes kept of training, white, as buffers."""

    def __init__(self, channels: int, grid: tuple[int, ...], code_size: int) -> None:
        super().__init__()
        if len(grid) != 2 or min(grid) < _LEAST_SIDE:
            raise ShapeError(f"items have the grid {grid}: give images of {_LEAST_SIDE} px or more a side")
        self.small_side = min(grid) // _PATCHES_PER_SIDE
        self.of_small = _small_encoder(channels, self.small_side, code_size)
        self.join = nn.Conv2d(code_size, 2 * code_size, 2)  # of four quarters
        self.of_joined = nn.Sequential(nn.LeakyReLU(_LEAK), nn.Conv2d(2 * code_size, code_size, 1), nn.Tanh())
        self.classify = nn.ModuleDict({size: _classifier(code_size) for size in _SIZES})
        for size in _SIZES:
            self.register_buffer(f"codes_{size}", torch.zeros(0, code_size))
            self.register_buffer(f"whitening_{size}", torch.eye(code_size))

    def side(self, size: Size) -> int:
        """Return the side of a patch."""
        return self.small_side if size == "small" else 2 * self.small_side

    def encode(self, patches: Float[Tensor, "B C P P"], size: Size) -> Float[Tensor, "B D"]:
        """Return the codes of single patches."""
        if size == "small":
            codes: Tensor = self.of_small(patches)
        else:
            half = self.small_side
            quarters = patches.unfold(2, half, half).unfold(3, half, half).permute(0, 2, 3, 1, 4, 5)
            of_quarters = self.of_small(quarters.flatten(0, 2)).reshape(len(patches), 2, 2, -1)
            codes = self.of_joined(self.join(of_quarters.permute(0, 3, 1, 2)))
        return codes.flatten(1).float()

    def encode_all(self, items: Float[Tensor, "B C H W"], size: Size, stride: int) -> Float[Tensor, "B D h w"]:
        """Return the codes of all patches at a stride: convolutions without a border see each patch by itself."""
        codes: Tensor = self.of_small(items)
        if size == "large":  # the quarters of a patch lie a small patch apart
            joined = F.conv2d(codes, self.join.weight, self.join.bias, dilation=self.small_side)
            codes = self.of_joined(joined)
        return codes[:, :, ::stride, ::stride]

    def position_loss(
        self, first: Float[Tensor, "B D"], second: Float[Tensor, "B D"], label: Int[Tensor, " B"], size: Size
    ) -> Float[Tensor, ""]:
        """Return how badly it is told which neighbour of the first patch the second is."""
        return F.cross_entropy(self.classify[size](first - second).float(), label)


def _small_encoder(channels: int, side: int, code_size: int) -> nn.Module:
    """Narrow a patch by convolutions of 3 without a border until one of 4 or less takes the rest of it."""
    layers: list[nn.Module] = []
    width = channels
    while side > 4:
        wider = _WIDTH if layers else _WIDTH // 2
        layers += [nn.Conv2d(width, wider, 3), nn.LeakyReLU(_LEAK)]
        width, side = wider, side - 2
    layers += [nn.Conv2d(width, _WIDTH, side), nn.LeakyReLU(_LEAK), nn.Conv2d(_WIDTH, code_size, 1), nn.Tanh()]
    return nn.Sequential(*layers)


def _classifier(code_size: int) -> nn.Module:
    hidden = [nn.Linear(code_size, _HIDDEN), nn.LeakyReLU(_LEAK), nn.Linear(_HIDDEN, _HIDDEN), nn.LeakyReLU(_LEAK)]
    return nn.Sequential(*hidden, nn.Linear(_HIDDEN, len(_NEIGHBOURS)))


@dataclass(kw_only=True, eq=False)
class PatchSVDD(LearnedMethod):
    """Distance of patches to the nearest patches of training, in codes learnt from where patches lie."""

    name: ClassVar[str] = "patch_svdd"
    num_steps: int = 500
    batch_size: int = 128
    learning_rate: float = 3e-3
    code_size: int = 64
    closeness_weight: float = 0.01
    num_codes: int = 16384

    def error_maps(self, items: Float[Tensor, "B C H W"]) -> Float[Tensor, "B H W"]:
        """Return the product of both sizes' distances at each place."""
        with torch.inference_mode():
            return self._distance_map(items, "small") * self._distance_map(items, "large")

    @property
    def _encoder(self) -> PatchEncoder:
        network = self.network
        assert isinstance(network, PatchEncoder)
        return network

    def _build(self, channels: int, grid: tuple[int, ...]) -> nn.Module:
        return PatchEncoder(channels, grid, self.code_size)

    def _loss(self, network: nn.Module, batch: Float[Tensor, "B C H W"]) -> Float[Tensor, ""]:
        assert isinstance(network, PatchEncoder)
        loss = torch.zeros(())
        for size in _SIZES:
            patches, label = neighbouring_patches(batch, network.side(size))
            shades = _SHADE_JITTER * torch.randn(*patches.shape[:3], 1, 1)
            first, second, beside = network.encode((patches + shades).flatten(0, 1), size).chunk(3)
            closeness = (first - beside).square().sum(1).mean()
            loss = loss + network.position_loss(first, second, label, size) + self.closeness_weight * closeness
        return loss

    def _finish(self, network: nn.Module, items: Float[Tensor, "N C H W"]) -> None:
        for size in _SIZES:
            found = [self._codes(batch, size).movedim(1, -1).flatten(0, 2) for batch in torch.split(items, _AT_ONCE)]
            codes = torch.cat(found)
            whitening = whitening_of(codes)
            network.register_buffer(f"codes_{size}", spread_codes(codes @ whitening.T, self.num_codes))
            network.register_buffer(f"whitening_{size}", whitening)

    def _codes(self, items: Float[Tensor, "B C H W"], size: Size) -> Float[Tensor, "B D h w"]:
        """Return the codes of patches that cover the items, whose last rows and columns are repeated where need be."""
        side, stride = self._encoder.side(size), self._stride(size)
        below, right = (-(length - side) % stride for length in items.shape[2:])
        return self._encoder.encode_all(F.pad(items, (0, right, 0, below), mode="replicate"), size, stride)

    def _stride(self, size: Size) -> int:
        return max(1, self._encoder.side(size) // 4)

    def _distance_map(self, items: Float[Tensor, "B C H W"], size: Size) -> Float[Tensor, "B H W"]:
        found = self._codes(items, size)
        kept, whitening = (self._encoder.get_buffer(f"{what}_{size}") for what in ("codes", "whitening"))
        distances = torch.stack([_nearest_distance(own.flatten(1).T @ whitening.T, kept) for own in found])
        spread = _patch_means(distances.reshape(-1, *found.shape[2:]), self._encoder.side(size), self._stride(size))
        return spread[:, : items.shape[2], : items.shape[3]]


def neighbouring_patches(
    items: Float[Tensor, "B C H W"], side: int
) -> tuple[Float[Tensor, "3 B C P P"], Int[Tensor, " B"]]:
    """Cut a patch, one of its 8 neighbours and the patch a place beside it from each item, and tell which neighbour.

    A neighbour begins between three quarters of a patch and a whole one away, so that no edge goes through both alike.
    """
    num = len(items)
    label = torch.randint(len(_NEIGHBOURS), (num,))
    reach = torch.randint(3 * side // 4, side + 1, (num, 2)).clamp(min=1)
    offset = torch.tensor(_NEIGHBOURS)[label] * reach
    last = torch.tensor(items.shape[2:]) - side
    low, high = (-offset).clamp(min=0), last - offset.clamp(min=0)
    corner = low + (torch.rand(num, 2) * (high - low + 1)).long()
    beside = (corner + torch.randint(-1, 2, (num, 2))).clamp(min=0).minimum(last)
    windows, which = items.unfold(2, side, 1).unfold(3, side, 1), torch.arange(num)
    return torch.stack([windows[which, :, at[:, 0], at[:, 1]] for at in (corner, corner + offset, beside)]), label


def whitening_of(codes: Float[Tensor, "N D"]) -> Float[Tensor, "D D"]:
    """Return the matrix that gives codes unit variance in each direction that holds more than noise."""
    covariance = torch.cov(codes.T.double(), correction=0)
    least = max(_LEAST_VARIANCE * float(torch.linalg.matrix_norm(covariance, 2)), torch.finfo(torch.float32).tiny)
    return inverse_root(covariance, floor=least).float()


def spread_codes(codes: Float[Tensor, "N D"], num: int) -> Float[Tensor, "M D"]:
    """Keep at most `num` codes: a quarter at random, then in rounds by squared distance to those kept so far.

    Most patches are alike, and a sample by chance alone would leave out what is rare and normal all the same.
    Source: Bahmani et al. 2012, Scalable k-means++ (arXiv 1203.6402), algorithm 2, with rounds of a set size.
    """
    if len(codes) <= num:
        return codes
    size = -(-num // _ROUNDS)
    kept = new = torch.randperm(len(codes))[:size]
    squares = torch.full((len(codes),), torch.inf)
    while len(kept) < num:
        squares = squares.minimum(_nearest_distance(codes, codes[new]).square())
        chance = squares + torch.finfo(torch.float32).tiny  # twins of what is kept come last, but can come
        chance[kept] = 0.0
        new = torch.multinomial(chance, min(size, num - len(kept)))
        kept = torch.cat([kept, new])
    return codes[kept]


def _nearest_distance(queries: Float[Tensor, "Q D"], kept: Float[Tensor, "M D"]) -> Float[Tensor, " Q"]:
    """Return the distance to the nearest code."""
    centre = kept.mean(0)  # far from the origin, all would be rounded away
    found = nearest((queries - centre).numpy(), (kept - centre).numpy(), 1, exact=True)
    return torch.from_numpy(found.distance[:, 0])


def _patch_means(values: Float[Tensor, "B h w"], side: int, stride: int) -> Float[Tensor, "B H W"]:
    """Return at each place the mean over the patches that hold it."""
    one = values.new_ones(1, 1, side, side)
    total, count = (F.conv_transpose2d(of[:, None], one, stride=stride) for of in (values, torch.ones_like(values)))
    return (total / count)[:, 0]
