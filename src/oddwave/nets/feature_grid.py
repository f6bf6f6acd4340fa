"""The feature grid: what a frozen network sees at each place of an image, all taps brought to one grid.

This is x_0 of the feature space, and what nearest-neighbour and Gaussian scorers look at. Every tap is averaged over
3 x 3 neighbours (a patch then speaks of its surroundings as well), pooled or interpolated to the grid, and the
channels of all taps are joined. Source: Roth et al. 2022 (PatchCore, locally aware patch features).

Legend: B batch, C channels, S side of the square image, D channels of the grid, G its side. Read `perceptual.py` for
the network behind it.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from oddwave.errors import ConfigError
from oddwave.nets.perceptual import PerceptualNetwork

__all__ = ["FeatureGrid"]


class FeatureGrid(nn.Module):
    """Images in [-1, 1] to grids of `size` x `size` places with `width` channels, in float32, without gradients.

    `taps` names the network's taps by position (0 is the finest); `neighbourhood` is the side of the averaged patch.
    With `zero_border` what lies beyond the border counts as 0 in that average, as in PatchCore, else it does not count:
    at the border, where a network that pads with zeros sees less, features are then smaller instead of noisier.
    """

    def __init__(
        self,
        network: PerceptualNetwork,
        size: int,
        taps: Sequence[int] = (0, 1, 2),
        neighbourhood: int = 3,
        *,
        zero_border: bool = False,
    ) -> None:
        """Build the grid; raises ConfigError for taps that the network does not have or an even neighbourhood."""
        super().__init__()
        if not taps or not set(taps) <= set(range(len(network.widths))):
            raise ConfigError(f"taps {list(taps)} of {network.name}: give some of 0 to {len(network.widths) - 1}")
        if size < 1 or neighbourhood < 1 or neighbourhood % 2 == 0:
            raise ConfigError(f"grid {size} with neighbourhood {neighbourhood}: give 1 or more, and an odd number")
        self.network, self.size, self.taps, self.neighbourhood = network, size, tuple(taps), neighbourhood
        self.zero_border = zero_border

    @property
    def width(self) -> int:
        """D, the channels of all taps together."""
        return int(sum(self.network.widths[tap] for tap in self.taps))

    @torch.no_grad()
    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B D G G"]:
        """Return the grid of each image."""
        found = self.network(x)
        return torch.cat([self._on_grid(found[tap].float()) for tap in self.taps], dim=1)

    def _on_grid(self, tap: Tensor) -> Tensor:
        size = self.neighbourhood
        tap = F.avg_pool2d(tap, size, stride=1, padding=size // 2, count_include_pad=self.zero_border)
        if min(tap.shape[2:]) >= self.size:
            return F.adaptive_avg_pool2d(tap, self.size)
        return F.interpolate(tap, size=(self.size, self.size), mode="bilinear", align_corners=False)
