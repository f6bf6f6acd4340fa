"""The levels of a clip's wavelet map as a fixed graph of real matrix products: what `AudioMap.levels_db` computes.

    clip -> cosine spectrum -> per block of rows: bins, responses, Fourier transform -> power per column -> dB

Graph formats know no complex numbers, and their Fourier transforms differ in what they support. A transform of n = p q
points is two of p and of q with a rotation between (Cooley and Tukey 1965), each a matrix product.

Legend: n samples, R rows and T columns of the map, r rows of a block, M intervals of a block, p x q = points.
"""

import math

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from oddwave.errors import ConfigError
from oddwave.tensors.audio_map import AudioMap

__all__ = ["Levels"]


class _RealFourier(nn.Module):
    """The first half (and one) of the Fourier transform of real signals: real and imaginary parts."""

    def __init__(self, points: int) -> None:
        super().__init__()
        self.points = points
        self.p = max(k for k in range(1, math.isqrt(points) + 1) if points % k == 0)
        self.q = points // self.p
        k1, a = np.arange(self.p)[:, None], np.arange(self.p)
        b, k2 = np.arange(self.q), np.arange(self.q // 2 + 1)
        tables = {
            "first": np.exp(-2j * np.pi * k1 * a / self.p),
            "turn": np.exp(-2j * np.pi * k1 * b / points),
            "second": np.exp(-2j * np.pi * b[:, None] * k2 / self.q),
        }
        for name, table in tables.items():
            for part, values in (("real", table.real), ("imag", table.imag)):
                self.register_buffer(f"{name}_{part}", torch.from_numpy(values.astype(np.float32)))

    def forward(self, x: Float[Tensor, "r n"]) -> tuple[Float[Tensor, "r _"], Float[Tensor, "r _"]]:
        """Return bins 0 to points / 2."""
        table = self.get_buffer
        folded = x.reshape(-1, self.p, self.q)
        real, imag = table("first_real") @ folded, table("first_imag") @ folded
        turned = (
            real * table("turn_real") - imag * table("turn_imag"),
            real * table("turn_imag") + imag * table("turn_real"),
        )
        c, s = table("second_real"), table("second_imag")
        found = turned[0] @ c - turned[1] @ s, turned[0] @ s + turned[1] @ c
        kept = self.points // 2 + 1
        real, imag = (own.transpose(1, 2).reshape(len(x), -1)[:, :kept] for own in found)
        return real, imag


class Levels(nn.Module):
    """One clip to the levels of its map. Raises: ConfigError for a map that is no wavelet map."""

    def __init__(self, audio_map: AudioMap) -> None:
        super().__init__()
        if audio_map.transform != "cwt":
            raise ConfigError(
                f"audio.transform={audio_map.transform!r} is not exported: fit with audio.transform=cwt, the default"
            )
        self.n, self.columns = audio_map.clip_samples, audio_map.columns
        self.floor_db = audio_map.floor_db
        self.spectrum = _RealFourier(self.n)
        angle = np.arange(self.n // 2 + 1) * (-np.pi / (2 * self.n))
        weight = np.full(self.n, math.sqrt(2 / self.n))
        weight[0] = math.sqrt(1 / self.n)
        for name, values in (
            ("turn_real", np.cos(angle)),
            ("turn_imag", np.sin(angle)),
            ("weight", weight / math.sqrt(self.n)),
        ):
            self.register_buffer(name, torch.from_numpy(values.astype(np.float32)))
        frame = audio_map.frame
        self.blocks = nn.ModuleList()
        for number, block in enumerate(frame.block_tables(torch.zeros(0))):
            self.blocks.append(_RealFourier(2 * block.num_intervals))
            self.register_buffer(f"bins_{number}", block.bins)
            self.register_buffer(f"responses_{number}", block.responses)
        order = np.argsort(np.concatenate(frame.block_rows))
        self.register_buffer("order", torch.from_numpy(order))

    def forward(self, clips: Float[Tensor, "1 n"]) -> Float[Tensor, "1 R T"]:
        """Return the levels of a clip in dB."""
        table = self.get_buffer
        real, imag = self.spectrum(torch.cat((clips[:, ::2], clips[:, 1::2].flip(1)), 1))
        upper = -(real * table("turn_imag") + imag * table("turn_real"))[:, 1 : (self.n + 1) // 2].flip(1)
        half = real * table("turn_real") - imag * table("turn_imag")
        spectrum = torch.cat((half, upper), 1)[0] * table("weight")
        pooled = []
        for number, fourier in enumerate(self.blocks):
            responses = table(f"responses_{number}")
            placed = spectrum[table(f"bins_{number}")].reshape(responses.shape) * responses
            real, imag = fourier(placed)
            power = real.square() + imag.square()
            spans = (power.shape[1] - 1) // self.columns
            inner = power[:, :-1].reshape(len(power), self.columns, spans).sum(2)
            edges = power[:, ::spans]
            pooled.append((inner + (edges[:, 1:] - edges[:, :-1]) / 2) / spans)
        # in units of the floor: to add it to the power is to add nothing, where a converter simplifies x + 4e-11
        floor = 10 ** (self.floor_db / 10)
        return 10 * torch.log10(torch.cat(pooled)[table("order")] / floor + 1.0)[None] + self.floor_db
