"""InvAD: carry the item up to noise in a few deterministic steps, and score how unlike noise it arrives.

    x_next = a_next x0_hat(x_t, t) + s_next eps(x_t, t),  from t = 0 to the last, in three steps    (DDIM inversion)
    map(x) = z^T S^-1 z / C,  z = x_T - mean;  for a perfect network S = I and the map is ||x_T||^2 / C

Nothing is reconstructed: normal items arrive as what the network was trained to start from, standard normal noise,
others arrive elsewhere.

Source: Sakai et al. 2025, Reconstruction-free anomaly detection with diffusion models (arXiv 2504.05662).

Departures. The paper's network is trained until x_T of normals is standard normal; after a few hundred steps it is not,
so its mean and covariance are measured on training items (`residual_scale.py`) and take the place of 0 and I, and T is
a noise level of 0.3: further up what such a network says of pure noise hides the item, gross defects included. The
paper's score of a whole image joins the map's maximum and the norm's distance from that of typical noise, both scaled
by extremes of the test set; here an item's score depends on no other item, and is that of all methods (`items.py`).
Read `denoiser_method.py` first.

Legend: N items, B of a batch, C channels, ... the grid, a = sqrt(abar_t), s = sqrt(1 - abar_t).
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from oddwave.diffusion import invert
from oddwave.lab.rivals.learned.denoiser_method import DenoiserMethod
from oddwave.lab.rivals.learned.residual_scale import ResidualScale, training_batches

__all__ = ["InvAD"]

_MOST_ITEMS = 512


@dataclass(kw_only=True, eq=False)
class InvAD(DenoiserMethod):
    """Deviation from noise of the place where an item arrives by inversion."""

    name: ClassVar[str] = "invad"
    noise_level: float = 0.3
    num_inversion_steps: int = 3

    def error_maps(self, items: Float[Tensor, "B C ..."]) -> Float[Tensor, "B ..."]:
        """Return the squared deviation of x_T at each place, 1 for a usual normal item."""
        scale = self.network.get_submodule("scale")
        with torch.inference_mode():
            deviation: Tensor = scale(self._arrival(items))
            return deviation

    def _build(self, channels: int, grid: tuple[int, ...]) -> nn.Module:
        network = self._unet(channels, len(grid))
        network.add_module("scale", ResidualScale(channels, len(grid)))
        return network

    def _finish(self, network: nn.Module, items: Float[Tensor, "N C ..."]) -> None:
        scale = network.get_submodule("scale")
        assert isinstance(scale, ResidualScale)
        scale.measure(torch.cat([self._arrival(batch) for batch in training_batches(items, _MOST_ITEMS)]))

    def _arrival(self, items: Float[Tensor, "B C ..."]) -> Float[Tensor, "B C ..."]:
        """Return x_T."""
        last, count = self.schedule.timestep_at(self.noise_level), self.num_inversion_steps
        return invert(self.network, items, self.schedule, [last * step // count for step in range(count + 1)])
