"""Autoformer: reconstruction of a window by series decomposition and auto-correlation.

    trend(x) = moving average of x,   seasonal(x) = x - trend(x)
    R(d)     = sum over i of q_i . k_(i-d), by the Wiener-Khinchin theorem: irfft(rfft(q) conj(rfft(k)))
    AC(q, k, v)_i = sum over the c log N delays d with the largest R of softmax(R(d)) v_(i-d)
    encoder  s = seasonal(AC(s) + s),  s = seasonal(FF(s) + s)
    decoder  s_1, t_1 = Decomp(AC(s) + s);  s_2, t_2 = Decomp(AC(s_1, memory) + s_1);  s_3, t_3 = Decomp(FF(s_2) + s_2)
             trend <- trend + W (t_1 + t_2 + t_3)
    map(x)   = mean over C of (x - (seasonal + trend))^2;   loss = its mean

Source: Wu, Xu, Wang and Long 2021, Autoformer: decomposition transformers with auto-correlation for long-term series
forecasting (arXiv 2106.13008), equations 1 to 7. It forecasts; reconstruction with its error as the score is how later
work uses it for anomalies (Wu et al. 2023, TimesNet, arXiv 2210.02186).

Departures. Trend and seasonal part of the window reach the decoder through one narrow code, not directly as when the
past is continued: auto-correlation with delay 0 would copy the window, anomaly and all. Values are shifted by -d, the
shift at which R(d) compares them to the queries; the authors' code shifts by +d, which is the same where a series
repeats itself. Auto-correlation has one head, as its delays are chosen from the mean over all heads anyway. Windows are
cut into patches, at most 128 tokens, and the moving average spans 25 of them at most. Read `transformer.py` first,
whose patches these are.

Legend: B batch, C channels, L points, N tokens, D width, K delays.
"""

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from oddwave.lab.rivals.learned.method import LearnedMethod
from oddwave.lab.rivals.learned.transformer import PatchTokens, window_length

__all__ = ["AutoCorrelation", "Autoformer", "Decomposition"]

_WIDEST_AVERAGE = 25
_DELAY_FACTOR = 2.0  # c in c log N; the paper takes 1 to 3


@dataclass(kw_only=True, eq=False)
class Autoformer(LearnedMethod):
    """Error of the reconstruction by an Autoformer whose code has `code_size` numbers; for windows only."""

    name: ClassVar[str] = "autoformer"
    num_steps: int = 600
    batch_size: int = 32
    learning_rate: float = 2e-3
    width: int = 32
    num_layers: int = 2
    code_size: int = 16

    def error_maps(self, items: Float[Tensor, "B C L"]) -> Float[Tensor, "B L"]:
        """Return the squared error at each point, mean over channels."""
        with torch.inference_mode():
            reconstructed: Tensor = self.network(items)
            return (items - reconstructed).square().mean(1)

    def _build(self, channels: int, grid: tuple[int, ...]) -> nn.Module:
        return _Network(channels, window_length(self.name, grid), self.width, self.num_layers, self.code_size)

    def _loss(self, network: nn.Module, batch: Float[Tensor, "B C L"]) -> Float[Tensor, ""]:
        reconstructed: Tensor = network(batch)
        return (batch - reconstructed).square().mean()


class _Network(nn.Module):
    """Encoder, code, decoder."""

    def __init__(self, channels: int, length: int, width: int, num_layers: int, code_size: int) -> None:
        super().__init__()
        self.windows = PatchTokens(channels, length)
        num_tokens, size = self.windows.num_tokens, self.windows.size
        self.decompose = Decomposition(num_tokens)
        self.embed, self.embed_trend = nn.Linear(size, width), nn.Linear(size, width)
        self.position = nn.Parameter(0.1 * torch.randn(num_tokens, width))
        self.encoder = nn.ModuleList(_EncoderLayer(num_tokens, width) for _ in range(num_layers))
        self.norm = nn.LayerNorm(width)  # keeps what is far off bounded, so that it cannot be reconstructed
        self.to_code = nn.Linear(num_tokens * width, code_size)
        self.from_code = nn.Linear(code_size, num_tokens * width)
        self.decoder = _DecoderLayer(num_tokens, width, size)
        self.out, self.out_trend = nn.Linear(width, size), nn.Linear(width, size)

    def forward(self, windows: Float[Tensor, "B C L"]) -> Float[Tensor, "B C L"]:
        patches = self.windows.cut(windows)
        seasonal = self.embed(patches) + self.position
        for layer in self.encoder:
            seasonal = layer(seasonal)
        encoded = self.norm(seasonal + self.embed_trend(self.decompose(patches)[1]))
        memory = self.from_code(self.to_code(encoded.flatten(1))).reshape(len(windows), self.windows.num_tokens, -1)
        start, level = self.decompose(memory)
        seasonal, trend = self.decoder(start, memory)
        return self.windows.join(self.out(seasonal) + self.out_trend(level) + trend)


class Decomposition(nn.Module):
    """Splits tokens into what a moving average leaves and the moving average (equation 1)."""

    def __init__(self, num_tokens: int) -> None:
        super().__init__()
        self.reach = max(1, (min(_WIDEST_AVERAGE, num_tokens // 2) - 1) // 2)  # tokens to either side

    def forward(self, tokens: Float[Tensor, "B N D"]) -> tuple[Float[Tensor, "B N D"], Float[Tensor, "B N D"]]:
        """Return the seasonal part and the trend; they sum to the tokens."""
        ends = F.pad(tokens.transpose(1, 2), (self.reach, self.reach), mode="replicate")
        trend = F.avg_pool1d(ends, 2 * self.reach + 1, stride=1).transpose(1, 2)
        return tokens - trend, trend


class AutoCorrelation(nn.Module):
    """Mixes values shifted by the delays at which queries and keys correlate most (equations 5 and 6)."""

    def __init__(self, num_tokens: int, width: int) -> None:
        super().__init__()
        self.num_delays = max(1, min(num_tokens, int(_DELAY_FACTOR * math.log(num_tokens))))
        self.query, self.key, self.value = (nn.Linear(width, width) for _ in range(3))
        self.out = nn.Linear(width, width)

    def forward(self, tokens: Float[Tensor, "B N D"], memory: Float[Tensor, "B N D"]) -> Float[Tensor, "B N D"]:
        """Return the mixture for each token; every item chooses its own delays."""
        value = self.value(memory)
        strength, delays = self.correlation(self.query(tokens), self.key(memory)).topk(self.num_delays, dim=1)
        num_tokens = tokens.shape[1]
        source = (torch.arange(num_tokens) - delays[:, :, None]) % num_tokens  # (B, K, N)
        shifted = value.gather(1, source.flatten(1)[..., None].expand(-1, -1, value.shape[2]))
        mixed = (strength.softmax(1)[..., None, None] * shifted.reshape(*source.shape, -1)).sum(1)
        out: Tensor = self.out(mixed)
        return out

    @staticmethod
    def correlation(query: Float[Tensor, "B N D"], key: Float[Tensor, "B N D"]) -> Float[Tensor, "B N"]:
        """Return the circular correlation at each delay, mean over the width."""
        spectrum = torch.fft.rfft(query, dim=1) * torch.fft.rfft(key, dim=1).conj()
        strength: Tensor = torch.fft.irfft(spectrum, n=query.shape[1], dim=1).mean(2)
        return strength


class _EncoderLayer(nn.Module):
    def __init__(self, num_tokens: int, width: int) -> None:
        super().__init__()
        self.mix, self.decompose = AutoCorrelation(num_tokens, width), Decomposition(num_tokens)
        self.feed = _feed_forward(width)

    def forward(self, tokens: Float[Tensor, "B N D"]) -> Float[Tensor, "B N D"]:
        middle: Tensor = self.decompose(tokens + self.mix(tokens, tokens))[0]
        seasonal: Tensor = self.decompose(middle + self.feed(middle))[0]
        return seasonal


class _DecoderLayer(nn.Module):
    def __init__(self, num_tokens: int, width: int, token_size: int) -> None:
        super().__init__()
        self.own, self.cross = AutoCorrelation(num_tokens, width), AutoCorrelation(num_tokens, width)
        self.feed, self.decompose = _feed_forward(width), Decomposition(num_tokens)
        self.trend = nn.Linear(width, token_size, bias=False)

    def forward(
        self, tokens: Float[Tensor, "B N D"], memory: Float[Tensor, "B N D"]
    ) -> tuple[Float[Tensor, "B N D"], Float[Tensor, "B N _"]]:
        seasonal, first = self.decompose(tokens + self.own(tokens, tokens))
        seasonal, second = self.decompose(seasonal + self.cross(seasonal, memory))
        seasonal, third = self.decompose(seasonal + self.feed(seasonal))
        return seasonal, self.trend(first + second + third)


def _feed_forward(width: int) -> nn.Module:
    return nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))
