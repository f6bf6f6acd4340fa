"""The ground of all rivals that are diffusion models: oddwave's own U-Net, schedule and forward process.

All of them share one plain network (none of the four additions), the linear schedule and noise prediction, so that they
differ in how they train and score alone. `_denoise` is the one call that turns a noised item into an estimate. Read
`plain_ddpm.py` for the simplest of them.

Legend: B batch, C channels, ... the grid, a = sqrt(abar_t), s = sqrt(1 - abar_t).
"""

from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from oddwave.diffusion import NoiseSchedule, diffusion_loss, make_schedule, predict_x0
from oddwave.lab.rivals.learned.method import LearnedMethod
from oddwave.nets.unet import UNet

__all__ = ["DenoiserMethod"]


@dataclass(kw_only=True, eq=False)
class DenoiserMethod(LearnedMethod):
    """A method over a plain U-Net trained to predict noise; a subclass writes `error_maps` at least."""

    num_steps: int = 400
    base_channels: int = 16

    @cached_property
    def schedule(self) -> NoiseSchedule:
        """The linear schedule of 1,000 time steps."""
        return make_schedule("linear", 1000)

    def _build(self, channels: int, grid: tuple[int, ...]) -> nn.Module:
        return self._unet(channels, len(grid))

    def _unet(self, channels: int, grid_dims: int) -> UNet:
        """Return a plain U-Net, for `channels` in and out."""
        return UNet(
            channels,
            grid_dims=grid_dims,
            base_channels=self.base_channels,
            wavelet_pyramid=False,
            attention=False,
            shared_adapter=False,
            hybrid_embedding=False,
        )

    def _loss(self, network: nn.Module, batch: Float[Tensor, "B C ..."]) -> Float[Tensor, ""]:
        loss, _ = diffusion_loss(network, batch, self._random_t(len(batch)), torch.randn_like(batch), self.schedule)
        return loss.mean()

    def _random_t(self, count: int, share: float = 1.0) -> Int[Tensor, " B"]:
        """Draw time steps from the lowest `share` of the table."""
        return torch.randint(max(1, round(share * self.schedule.num_train_timesteps)), (count,))

    def _at(self, noise_level: float, items: Float[Tensor, "B C ..."]) -> Int[Tensor, " B"]:
        """Return the time step of a noise level in (0, 1], once for each item."""
        return torch.full((len(items),), self.schedule.timestep_at(noise_level), dtype=torch.long)

    def _noised(
        self, items: Float[Tensor, "B C ..."], t: Int[Tensor, " B"], noise: Float[Tensor, "B C ..."]
    ) -> Float[Tensor, "B C ..."]:
        a, s = self.schedule.scales(t, items)
        return a * items + s * noise

    def _denoise(
        self, x_t: Float[Tensor, "B C ..."], t: Int[Tensor, " B"]
    ) -> tuple[Float[Tensor, "B C ..."], Float[Tensor, "B C ..."]]:
        """Return the one-step estimate of x_0 and the predicted noise."""
        noise: Tensor = self.network(x_t, t).float()
        return predict_x0(x_t, noise, t, self.schedule), noise
