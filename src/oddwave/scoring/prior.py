"""The prior of series: a denoiser that sees a window and what was retrieved for it, and knows what is normal beside it.

    p(x_0 | x_t, neighbours): per point the mean and log variance of the clean window, and the log-odds that the point
    was changed

A nearest-neighbour distance says how far a window lies from others; it does not say how far *this* stretch may lie from
*these* neighbours. The network has learnt that, once, on synthetic streams (`lab/prior/train.py`; `make prior`), and
is trained on nothing of the user's. Points are told in the evidence's units, through arsinh: z = arsinh((x - m) / s).

Read `retrieval.py` first. Legend: N windows, C channels, L points, F channels of evidence.
"""

import hashlib
from functools import cache
from importlib.resources import files
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from oddwave.nets.unet import UNet
from oddwave.scoring.retrieval import NUM_EVIDENCE, Evidence

__all__ = ["Prior", "PriorSays", "load_prior", "normal_windows", "prior_sha256"]

_LOG_VARIANCE = 8.0
_NETWORK = {"base_channels": 24, "channel_mult": (1, 2, 4), "max_tokens": 64}
_BATCH = 256  # its maps stay near the processor


class PriorSays(NamedTuple):
    """What the prior says of each point: the mean and log variance of its clean z, and the log-odds of a change."""

    mean: Float[Tensor, "N C L"]
    log_variance: Float[Tensor, "N C L"]
    log_odds: Float[Tensor, "N C L"]


class Prior(nn.Module):
    """The network, channel by channel; channels tell each other of themselves through the evidence."""

    def __init__(self) -> None:
        super().__init__()
        self.net = UNet(NUM_EVIDENCE, grid_dims=1, **_NETWORK)

    def forward(self, x: Float[Tensor, "N C F L"], t: Int[Tensor, " N"] | None = None) -> PriorSays:
        """Return what is said of each point; `t` is the noise level of the window in `x`, none by default."""
        num, channels, _, length = x.shape
        flat = x.flatten(0, 1)
        steps = x.new_zeros(num, dtype=torch.long) if t is None else t
        levels = steps.repeat_interleave(channels)
        out = [
            self.net(flat[first : first + _BATCH], levels[first : first + _BATCH])[:, :3]
            for first in range(0, len(flat), _BATCH)
        ]
        mean, log_variance, log_odds = torch.cat(out).view(num, channels, 3, length).unbind(2)
        return PriorSays(mean, log_variance.clamp(-_LOG_VARIANCE, _LOG_VARIANCE), log_odds)


def normal_windows(says: PriorSays, seen: Evidence) -> Float[Tensor, "N C L"]:
    """Return what the windows would have been, in their own units."""
    return seen.centre + seen.unit * says.mean.sinh()


@cache
def load_prior() -> Prior:
    """Return the shipped prior, ready to score; it is read once per process."""
    from safetensors.torch import load

    prior = Prior()
    prior.load_state_dict({name: weight.float() for name, weight in load(_weights()).items()})
    return prior.eval().requires_grad_(requires_grad=False)


def prior_sha256() -> str:
    """Return the digest of the shipped weights, by which a saved model knows them again."""
    return hashlib.sha256(_weights()).hexdigest()


@cache
def _weights() -> bytes:
    return files("oddwave.scoring").joinpath("weights/series_prior.safetensors").read_bytes()
