"""AnoGAN: the nearest image that a generator trained on normal images can draw, and how far it is from the item.

    map(x) = (1 - l) |x - G(z*)| + l |f(x) - f(G(z*))|, sums over channels, the second spread over the grid, over C
    z*     = argmin_z of the map's sum,   f an inner layer of the discriminator

Source: Schlegl et al. 2017, Unsupervised anomaly detection with generative adversarial networks to guide marker
discovery (arXiv 1703.05921), equations 3 to 6; the generator G is that of `gan.py`.

Departures. The search takes 50 steps, not 500, so that an image takes a tenth of a second. It starts at the best of
`num_starts` codes, not at one random code, and its rate falls to nought along a cosine: fewer steps do, and where it
ends does not hang on the last bits of the arithmetic. Read `gan.py` first, `fast_anogan.py` next.

Legend: B batch, C channels, H x W the grid, D numbers of a code z, F channels of f on its grid h x w.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from oddwave.diffusion.noise import common_noise
from oddwave.errors import ConfigError
from oddwave.lab.rivals.learned.gan import Adam, GanMethod
from oddwave.training.minimise import minimise, warm_cosine

__all__ = ["AnoGAN"]

_SEARCHED_AT_ONCE = 4


@dataclass(kw_only=True, eq=False)
class AnoGAN(GanMethod):
    """Distance to the nearest image that a generator can draw, found by gradient search over its codes."""

    name: ClassVar[str] = "anogan"
    num_search_steps: int = 50
    search_rate: float = 0.1
    num_starts: int = 256
    feature_weight: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.num_search_steps < 0 or self.num_starts < 1 or not 0.0 <= self.feature_weight <= 1.0:
            raise ConfigError(
                f"num_search_steps {self.num_search_steps}, num_starts {self.num_starts}, feature_weight "
                f"{self.feature_weight}: give 0 or more, 1 or more, and a share from 0 to 1"
            )

    def error_maps(self, items: Float[Tensor, "B C H W"]) -> Float[Tensor, "B H W"]:
        """Return how far the nearest drawn image is at each place, mean over channels."""
        num = len(items)
        with torch.inference_mode(False), torch.enable_grad():
            items = torch.cat([items, items[-1:].expand(-num % _SEARCHED_AT_ONCE, *items.shape[1:])])
            blocks = [torch.split(of, _SEARCHED_AT_ONCE) for of in (items, self._starts(items))]
            return torch.cat([self._nearest_maps(*block) for block in zip(*blocks, strict=True)])[:num]

    @torch.no_grad()
    def _starts(self, items: Float[Tensor, "B C H W"]) -> Float[Tensor, "B D"]:
        """Return, of codes that are the same for all items, the one whose image is nearest."""
        codes = common_noise((self.num_starts, self.code_size), self.seed)
        drawn = self.gan.generator(codes)
        return codes[torch.stack([(drawn - item).abs().mean((1, 2, 3)).argmin() for item in items])]

    def _nearest_maps(self, items: Float[Tensor, "B C H W"], starts: Float[Tensor, "B D"]) -> Float[Tensor, "B H W"]:
        """Return the maps of the nearest images; losses add up and Adam is by number, so no item sees another.

        All blocks have one size: sums round otherwise in blocks of another size, and a search makes much of it.
        """
        codes = starts.clone().requires_grad_()
        with torch.no_grad():
            features = self.gan.inner(items)
        steps = minimise(
            lambda _: self._distances(items, features, codes).sum(),
            [codes],
            warm_cosine(self.search_rate, self.num_search_steps, 0),
            clip=None,
            optimizer=Adam,
        )
        for _ in steps:
            pass
        return self._distances(items, features, codes).detach()

    def _distances(
        self, items: Float[Tensor, "B C H W"], features: Float[Tensor, "B F h w"], codes: Float[Tensor, "B D"]
    ) -> Float[Tensor, "B H W"]:
        """Return the map for given codes; each place of f hands its difference to the places that it covers."""
        drawn: Tensor = self.gan.generator(codes)
        residual = (items - drawn).abs().mean(1)
        apart = (features - self.gan.inner(drawn)).abs().sum(1, keepdim=True) / items.shape[1]
        share = apart[0].numel() / residual[0].numel()
        spread: Tensor = F.interpolate(apart * share, size=items.shape[2:], mode="bilinear")[:, 0]
        return (1.0 - self.feature_weight) * residual + self.feature_weight * spread
