"""Transformer-AD: two-phase reconstruction of a window by one encoder and two decoders, in the manner of TranAD.

    F_1 = 0,                O_1 = D_1(E(W, F_1))          first phase: without focus
    F_2 = (O_1 - W)^2,      O_2 = D_2(E(W, F_2))          second phase: the error of the first is the focus score
    loss   = mean of (O_1 - W)^2 + mean of (O_2 - W)^2
    map(W) = mean over C of ((O_1 - W)^2 + (O_2 - W)^2) / 2

Source: Tuli, Casale and Jennings 2022, TranAD: deep transformer networks for anomaly detection in multivariate time
series data (arXiv 2201.07284): self-conditioning on the focus score (section 3.3), and the score of its equation 13.

Departures. The second decoder is not trained to enlarge its own error (TranAD's adversarial term), and the two losses
keep equal weights. TranAD's decoders see the window and are asked for its last point; here the whole window is
reconstructed, so the decoders see learned positions and a narrow code of the window alone, or they would copy. Windows
are cut into patches, at most 128 tokens. Read `method.py` first.

Legend: B batch, C channels, L points, N tokens, V numbers of a token (its points of all channels), D width.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from oddwave.errors import ShapeError
from oddwave.lab.rivals.learned.method import LearnedMethod

__all__ = ["PatchTokens", "TransformerAD", "window_length"]

_MAX_TOKENS, _PATCH, _FEWEST_TOKENS = 128, 4, 8
_MEMORY_TOKENS = 8
_NUM_HEADS = 4


@dataclass(kw_only=True, eq=False)
class TransformerAD(LearnedMethod):
    """Error of the two reconstructions by a transformer whose code has `code_size` numbers; for windows only."""

    name: ClassVar[str] = "transformer"
    num_steps: int = 600
    batch_size: int = 32
    learning_rate: float = 2e-3
    width: int = 32
    num_layers: int = 2
    code_size: int = 16

    def error_maps(self, items: Float[Tensor, "B C L"]) -> Float[Tensor, "B L"]:
        """Return the squared error at each point, mean over channels and phases."""
        with torch.inference_mode():
            first, second = self.network(items)
            maps: Tensor = ((first - items).square() + (second - items).square()).mean(1) / 2
            return maps

    def _build(self, channels: int, grid: tuple[int, ...]) -> nn.Module:
        return _TwoPhases(channels, window_length(self.name, grid), self.width, self.num_layers, self.code_size)

    def _loss(self, network: nn.Module, batch: Float[Tensor, "B C L"]) -> Float[Tensor, ""]:
        first, second = network(batch)
        loss: Tensor = (first - batch).square().mean() + (second - batch).square().mean()
        return loss


class PatchTokens(nn.Module):
    """Windows as at most 128 tokens, each a patch of neighbouring points of all channels, and back."""

    def __init__(self, channels: int, length: int) -> None:
        super().__init__()
        self.channels, self.length = channels, length
        self.patch = max(-(-length // _MAX_TOKENS), min(_PATCH, max(1, length // _FEWEST_TOKENS)))
        self.num_tokens = -(-length // self.patch)
        self.size = channels * self.patch  # numbers of a token

    def cut(self, windows: Float[Tensor, "B C L"]) -> Float[Tensor, "B N V"]:
        """Return the patches; the last one is filled up with the last point."""
        whole = F.pad(windows, (0, self.num_tokens * self.patch - self.length), mode="replicate")
        return whole.reshape(len(windows), self.channels, self.num_tokens, self.patch).transpose(1, 2).flatten(2)

    def join(self, tokens: Float[Tensor, "B N V"]) -> Float[Tensor, "B C L"]:
        """Return the windows that the patches came from."""
        patches = tokens.reshape(len(tokens), self.num_tokens, self.channels, self.patch)
        whole = patches.transpose(1, 2).flatten(2)
        return whole[..., : self.length]


class _TwoPhases(nn.Module):
    """One encoder of window and focus to a code; two decoders from the code to the window."""

    def __init__(self, channels: int, length: int, width: int, num_layers: int, code_size: int) -> None:
        super().__init__()
        self.windows, self.with_focus = PatchTokens(channels, length), PatchTokens(2 * channels, length)
        num_tokens = self.windows.num_tokens
        self.embed = nn.Linear(self.with_focus.size, width)
        self.position = nn.Parameter(0.1 * torch.randn(num_tokens, width))
        layer = nn.TransformerEncoderLayer(width, _NUM_HEADS, 2 * width, 0.0, "gelu", batch_first=True, norm_first=True)
        self.encoder = nn.TransformerEncoder(layer, num_layers, nn.LayerNorm(width), enable_nested_tensor=False)
        self.to_code = nn.Linear(num_tokens * width, code_size)
        self.from_code = nn.Linear(code_size, _MEMORY_TOKENS * width)
        self.decoders = nn.ModuleList(_Decoder(num_tokens, width, self.windows.size) for _ in range(2))

    def forward(self, windows: Float[Tensor, "B C L"]) -> tuple[Float[Tensor, "B C L"], Float[Tensor, "B C L"]]:
        first = self._reconstructed(windows, torch.zeros_like(windows), phase=0)
        return first, self._reconstructed(windows, (first - windows).square(), phase=1)

    def _reconstructed(
        self, windows: Float[Tensor, "B C L"], focus: Float[Tensor, "B C L"], phase: int
    ) -> Float[Tensor, "B C L"]:
        tokens = self.embed(self.with_focus.cut(torch.cat([windows, focus], dim=1))) + self.position
        code = self.to_code(self.encoder(tokens).flatten(1))  # the encoder's last norm keeps what is far off bounded
        memory = self.from_code(code).reshape(len(windows), _MEMORY_TOKENS, -1)
        return self.windows.join(self.decoders[phase](memory))


class _Decoder(nn.Module):
    """Learned positions that attend to each other and to the memory."""

    def __init__(self, num_tokens: int, width: int, token_size: int) -> None:
        super().__init__()
        self.position = nn.Parameter(0.1 * torch.randn(num_tokens, width))
        layer = nn.TransformerDecoderLayer(width, _NUM_HEADS, 2 * width, 0.0, "gelu", batch_first=True, norm_first=True)
        self.layers = nn.TransformerDecoder(layer, 1, nn.LayerNorm(width))
        self.out = nn.Linear(width, token_size)

    def forward(self, memory: Float[Tensor, "B _ D"]) -> Float[Tensor, "B N _"]:
        shown: Tensor = self.out(self.layers(self.position.expand(len(memory), -1, -1), memory))
        return shown


def window_length(name: str, grid: tuple[int, ...]) -> int:
    """Return the length of windows. Raises: ShapeError for another grid than a window's."""
    if len(grid) != 1:
        raise ShapeError(f"'{name}' was given items on a grid {grid}: it takes windows of series, one grid dimension")
    return grid[0]
