"""How large an error is for its channel and place: residuals in units of what normal items leave there.

    u_cp = (r_cp - mean_cp) / deviation_cp             channel c at place p, r the item minus its normal version
    d_p  = u_p^T (Corr + 0.01 I)^-1 u_p / C            one correlation matrix of the channels for all places

A denoiser is far better in some channels and at some places than at others, so a plain squared error says where items
are hard to reconstruct, not where they are odd. `ResidualScale` is measured on training items after training and lives
in the network, a part without weights; `StandardisedReconstruction` is the ground of the methods whose answer is a
normal version of the item. d takes the place of the plain difference in all of them.
Read `diffusionad.py` for one of them.

Legend: N items, B of a batch, C channels, ... the grid, P its places.
"""

from abc import abstractmethod
from dataclasses import dataclass
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from oddwave.diffusion import reconstruct
from oddwave.lab.rivals.learned.denoiser_method import DenoiserMethod
from oddwave.scoring.gaussian import inverse_factor

__all__ = ["ResidualScale", "StandardisedReconstruction", "training_batches"]

_RIDGE = 0.01
_PRIOR_ITEMS = 20.0  # seen in so many items, a place's own statistics weigh as much as its channel's
_LEAST_SHARE = 0.05  # of the deviation over all channels: one that never moved in training may twitch a little
_MOST_ITEMS, _AT_ONCE = 256, 32


class ResidualScale(nn.Module):
    """Mean, deviation and whitening of the residuals of normal items, as buffers; no change before `measure`."""

    mean: Tensor
    deviation: Tensor
    whitening: Tensor

    def __init__(self, channels: int, grid_dims: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(channels, *(1,) * grid_dims))
        self.register_buffer("deviation", torch.ones(channels, *(1,) * grid_dims))
        self.register_buffer("whitening", torch.eye(channels))

    def measure(self, residuals: Float[Tensor, "N C ..."]) -> None:
        """Learn what residuals normal items leave."""
        flat = residuals.flatten(2)
        num, _, places = flat.shape
        trust = num / (num + _PRIOR_ITEMS)
        mean = torch.lerp(flat.mean((0, 2))[:, None], flat.mean(0), trust)
        away = flat - mean
        usual = away.square().mean((0, 2))[:, None]
        deviation = torch.lerp(usual, away.square().mean(0), trust).sqrt()
        deviation = deviation.clamp(min=_LEAST_SHARE * float(usual.mean().sqrt()) + 1e-6)
        unit = (away / deviation).transpose(0, 1).flatten(1)
        correlation = (unit @ unit.T).double() / (num * places)
        correlation.diagonal().clamp_(min=1.0).add_(_RIDGE)  # what never moved is no small share of a unit, but one
        self.whitening = torch.from_numpy(inverse_factor(correlation.numpy()).T.copy()).float()
        self.mean, self.deviation = (of.reshape(residuals.shape[1:]) for of in (mean, deviation))

    def forward(self, residuals: Float[Tensor, "B C ..."]) -> Float[Tensor, "B ..."]:
        """Return the mean square, at each place, of what is white and of unit size in normal items."""
        unit = ((residuals - self.mean) / self.deviation).flatten(2)
        return (self.whitening @ unit).square().mean(1).reshape(len(residuals), *residuals.shape[2:])


def training_batches(
    items: Float[Tensor, "N C ..."], at_most: int = _MOST_ITEMS
) -> tuple[Float[Tensor, "B C ..."], ...]:
    """Return evenly chosen training items, in batches, to measure residuals on."""
    return torch.split(items[torch.linspace(0, len(items) - 1, min(len(items), at_most)).long()], _AT_ONCE)


@dataclass(kw_only=True, eq=False)
class StandardisedReconstruction(DenoiserMethod):
    """A method that compares an item with its normal version; a subclass writes `_normal_version` at least."""

    @final
    @property
    def scale(self) -> ResidualScale:
        """What normal residuals look like. Raises: NotFittedError."""
        return self._scale_named("scale")

    @final
    def _scale_named(self, name: str) -> ResidualScale:
        found = self.network.get_submodule(name)
        assert isinstance(found, ResidualScale)
        return found

    def error_maps(self, items: Float[Tensor, "B C ..."]) -> Float[Tensor, "B ..."]:
        """Return how far the item lies from its normal version at each place, 1 for a usual normal item."""
        with torch.inference_mode():
            return self.scale(items - self._normal_version(items))  # type: ignore[no-any-return]

    @abstractmethod
    def _normal_version(self, items: Float[Tensor, "B C ..."]) -> Float[Tensor, "B C ..."]:
        """Return what the items would look like if they were normal, in the same noise for every item."""

    @final
    def _reconstructed(
        self,
        items: Float[Tensor, "B C ..."],
        *,
        noise_level: float,
        num_inference_steps: int,
        num_draws: int,
        guidance_weight: float = 0.0,
    ) -> Float[Tensor, "B C ..."]:
        """Return the mean, over draws of noise, of what DDIM makes of the items from a noise level on."""
        total = torch.zeros_like(items)
        for draw in range(num_draws):
            total += reconstruct(
                self.network,
                items,
                self.schedule,
                noise_level=noise_level,
                num_inference_steps=num_inference_steps,
                guidance_weight=guidance_weight,
                noise=self._fixed_noise(items, draw),
            )
        return total / num_draws

    def _build(self, channels: int, grid: tuple[int, ...]) -> nn.Module:
        network = self._unet(channels, len(grid))
        network.add_module("scale", ResidualScale(channels, len(grid)))
        return network

    def _finish(self, network: nn.Module, items: Float[Tensor, "N C ..."]) -> None:
        self.scale.measure(torch.cat([batch - self._normal_version(batch) for batch in training_batches(items)]))
