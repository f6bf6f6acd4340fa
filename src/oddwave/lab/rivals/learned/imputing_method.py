"""The ground of the rivals that impute: a network fills the masked places of an item, given the others, step by step.

    input  : M x_t + (1 - M) c, and M          M = 1 at the places to fill, c the condition: x_0 unless said otherwise
    loss   = min(1 / s^2, 20) |x_0 - x^|^2     over the places where M = 1, x^ what the network says of x_0
    map(x) = sum_k w_k d_k                     d_k distance of x_0 and its imputation at time step t_k

The network says x_0, not the noise as in the other diffusion methods: from pure noise, where an imputation begins, the
noise tells nothing of x_0 but its own error over a. The weight is that of v-prediction, limited where hardly anything
was noised. d_k is standardised by what normal items leave at that step (`residual_scale.py`). Read `imdiffusion.py`
and `diffad.py` next: where the masks lie, and how the time steps follow each other.

Legend: N items, B of a batch, C channels, ... the grid, a = sqrt(abar_t), s = sqrt(1 - abar_t).
"""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from oddwave.lab.rivals.learned.denoiser_method import DenoiserMethod
from oddwave.lab.rivals.learned.residual_scale import ResidualScale, training_batches

__all__ = ["ImputingMethod"]

_MOST_WEIGHT = 20.0
_MOST_ITEMS = 512


@dataclass(kw_only=True, eq=False)
class ImputingMethod(DenoiserMethod):
    """A method over a network that fills masked places; what a subclass must write stands last."""

    num_steps: int = 500
    batch_size: int = 32
    learning_rate: float = 2e-3

    def error_maps(self, items: Float[Tensor, "B C ..."]) -> Float[Tensor, "B ..."]:
        """Return the weighted distance of each place to its imputations, about 1 for a normal item."""
        with torch.inference_mode():
            distances = zip(self._step_weights(), self._scales(), self._imputations(items), strict=True)
            maps: Tensor = sum((weight * scale(items - filled) for weight, scale, filled in distances), torch.zeros(()))
            return maps

    def _build(self, channels: int, grid: tuple[int, ...]) -> nn.Module:
        network = self._unet(channels + 1, len(grid))
        scales = nn.ModuleList(ResidualScale(channels, len(grid)) for _ in self._step_weights())
        network.add_module("scales", scales)
        return network

    def _loss(self, network: nn.Module, batch: Float[Tensor, "B C ..."]) -> Float[Tensor, ""]:
        t = self._random_t(len(batch))
        masks = self._random_masks(batch)
        x_t = self._noised(batch, t, torch.randn_like(batch))
        away = batch - self._filled(batch, x_t, masks, t)
        weight = masks * self.schedule.scales(t, batch)[1].pow(-2).clamp(max=_MOST_WEIGHT)
        return (weight * away.square()).sum() / (weight.sum() * batch.shape[1]).clamp(min=1.0)

    def _finish(self, network: nn.Module, items: Float[Tensor, "N C ..."]) -> None:
        batches = training_batches(items, _MOST_ITEMS)
        parts = [[some - filled for filled in self._imputations(some)] for some in batches]
        for scale, residuals in zip(self._scales(), zip(*parts, strict=True), strict=True):
            scale.measure(torch.cat(residuals))

    def _scales(self) -> list[ResidualScale]:
        return [scale for scale in self.network.get_submodule("scales").children() if isinstance(scale, ResidualScale)]

    def _filled(
        self,
        items: Float[Tensor, "B C ..."],
        x_t: Float[Tensor, "B C ..."],
        masks: Float[Tensor, "B 1 ..."],
        t: Int[Tensor, " B"],
    ) -> Float[Tensor, "B C ..."]:
        """Return the network's estimate of x_0 from x_t at the masked places and the condition at the others."""
        shown = masks * x_t + (1.0 - masks) * self._condition(items, x_t, t)
        estimate: Tensor = self.network(torch.cat([shown, masks], dim=1), t).float()
        return estimate[:, : items.shape[1]]

    def _condition(
        self, items: Float[Tensor, "B C ..."], x_t: Float[Tensor, "B C ..."], t: Int[Tensor, " B"]
    ) -> Float[Tensor, "B C ..."]:
        """Return what the network sees of the places that are not masked: the item as it is."""
        return items

    @abstractmethod
    def _step_weights(self) -> Sequence[float]:
        """Return how much the imputation of each time step counts, first step first, in all 1."""

    @abstractmethod
    def _random_masks(self, batch: Float[Tensor, "B C ..."]) -> Float[Tensor, "B 1 ..."]:
        """Draw the masks to train on."""

    @abstractmethod
    def _imputations(self, items: Float[Tensor, "B C ..."]) -> list[Float[Tensor, "B C ..."]]:
        """Return, for each time step, the item with every place imputed."""
