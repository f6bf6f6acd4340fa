"""The noise predictor: a U-Net for 1-D and 2-D grids with four additions, each one switchable.

One pass: pad the grid -> adapter -> encoder stages (each gets its level of the wavelet pyramid) -> bottleneck ->
decoder stages (each gets its stage's skip through attention) -> adapter back -> crop.
Legend: B batch, C channels, *grid = L or H, W, D width of the pooled features, E width of the time embedding.
Read next `pyramid.py`, `attention.py`, `adapter.py`, `embedding.py`: the additions; `blocks.py`: the plain parts.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from oddwave.errors import ConfigError, ShapeError
from oddwave.nets.adapter import input_layer, of_port, output_layer
from oddwave.nets.attention import GridAttention
from oddwave.nets.blocks import (
    Downsample,
    ResidualStack,
    Upsample,
    channels_last,
    group_norm,
    reflect_pad,
    separate_draws,
)
from oddwave.nets.embedding import TimeEmbedding
from oddwave.nets.pyramid import WaveletPyramid
from oddwave.wavelets.pyramid import check_wavelet

__all__ = ["UNet", "UNetConfig"]


@dataclass(frozen=True)
class UNetConfig:
    """All settings of a U-Net; `UNet(**config.to_dict())` builds the same net again, also from its JSON."""

    in_channels: int  # channels of x_t, and of the prediction
    grid_dims: int  # 1: (B, C, L), 2: (B, C, H, W)
    base_channels: int = 32  # width of the first stage is base_channels * channel_mult[0]
    channel_mult: Sequence[int] = (1, 2, 4)  # one stage each, at full, half, quarter size ...
    num_res_blocks: int = 1  # per stage, in the encoder and in the decoder
    num_heads: int = 4  # K of every attention
    norm_groups: int = 8  # GroupNorm groups, at most
    wavelet: str = "db2"  # of the pyramid: haar, db2, db4
    wavelet_pyramid: bool = True  # addition 1: bands of the noisy input at stages 1..n
    attention: bool = True  # addition 2: on every skip connection and at the bottleneck
    shared_adapter: bool = True  # addition 3: 1x1 port and a filter bank that all ports share
    hybrid_embedding: bool = True  # addition 4: the sinusoids of t are convolved
    max_tokens: int = 1024  # keys of an attention, pooled above
    ports: Mapping[str, int] | None = None  # name -> channels of a joint model; None: one port of in_channels
    dropout: float = 0.0  # in the residual blocks

    def __post_init__(self) -> None:
        """Check every setting, and store sequences as tuples (JSON has lists only).

        Raises:
            ConfigError: a setting that cannot work.
        """
        object.__setattr__(self, "channel_mult", tuple(self.channel_mult))
        object.__setattr__(self, "ports", None if self.ports is None else dict(self.ports))
        check_wavelet(self.wavelet, self.grid_dims)
        for name in ("in_channels", "base_channels", "num_res_blocks", "num_heads", "norm_groups", "max_tokens"):
            _require(getattr(self, name) >= 1, name, getattr(self, name), "at least 1")
        _require(
            all(m >= 1 for m in self.channel_mult) and self.channel_mult, "channel_mult", self.channel_mult, "1s up"
        )
        _require(
            min(self.stage_widths) >= 2, "base_channels", self.base_channels, "a width of at least 2 in each stage"
        )
        _require(0.0 <= self.dropout < 1.0, "dropout", self.dropout, "a share in [0, 1)")
        if self.attention:
            divides = all(width % self.num_heads == 0 for width in self.stage_widths)
            _require(divides, "num_heads", self.num_heads, f"a divisor of the stage widths {self.stage_widths}")
        if self.ports is not None:
            _check_ports(self.ports, self.in_channels)

    @property
    def stage_widths(self) -> tuple[int, ...]:
        """Features of each stage, finest first."""
        return tuple(self.base_channels * m for m in self.channel_mult)

    @property
    def port_channels(self) -> dict[str, int]:
        """Name -> channels of every port; the first is used where none is named."""
        return {"default": self.in_channels} if self.ports is None else dict(self.ports)

    def to_dict(self) -> dict[str, Any]:
        """Return the settings as plain values that JSON can hold."""
        return {**asdict(self), "channel_mult": list(self.channel_mult)}


def _require(holds: object, name: str, value: object, expected: str) -> None:
    if not holds:
        raise ConfigError(f"{name} is {value!r}, expected {expected}; change {name}")


def _check_ports(ports: Mapping[str, int], in_channels: int) -> None:
    _require(ports, "ports", ports, "at least one port, or None")
    for name, channels in ports.items():
        _require(name and "." not in name, "a port's name", name, "a name without dots")
        _require(channels >= 1, f"ports[{name!r}]", channels, "at least 1 channel")
    first = next(iter(ports.values()))
    _require(first == in_channels, "in_channels", in_channels, f"{first}, the channels of the first port")


class UNet(nn.Module):
    """Predict the noise (or v, or x_0) from x_t and t: `net(x_t, t) -> prediction`, any grid size from 1 up.

    Sizes that the stages cannot halve are mirrored at the end and cropped again. The output convolution starts at zero,
    so a new net predicts zero. With the same seed, the plain part has the same initial weights whichever additions are
    on; the pyramid and the attention start as no change at all.

    Source: Ho et al. 2020 (U-Net as noise predictor); Chen 2025 (the four additions).
    """

    def __init__(self, in_channels: int, *, grid_dims: int, **options: Any) -> None:
        """Build the net; `options` are the other fields of `UNetConfig`.

        Raises:
            ConfigError: a setting that cannot work.
        """
        super().__init__()
        self._config = config = UNetConfig(in_channels, grid_dims, **options)
        widths, ports = config.stage_widths, config.port_channels
        self._ports = ports
        self._multiple = 2 ** (len(widths) - 1)
        time_width = 4 * config.base_channels
        self.embedding = TimeEmbedding(time_width, hybrid=config.hybrid_embedding)
        stack: dict[str, Any] = {
            "grid_dims": grid_dims,
            "time_width": time_width,
            "norm_groups": config.norm_groups,
            "dropout": config.dropout,
        }
        num_blocks = config.num_res_blocks
        self.encoder = nn.ModuleList(ResidualStack(w, w, num_blocks=num_blocks, **stack) for w in widths)
        self.downs = nn.ModuleList(Downsample(fine, coarse, grid_dims=grid_dims) for fine, coarse in pairwise(widths))
        self.bottleneck_in = ResidualStack(widths[-1], widths[-1], num_blocks=1, **stack)
        self.bottleneck_out = ResidualStack(widths[-1], widths[-1], num_blocks=1, **stack)
        self.decoder = nn.ModuleList(ResidualStack(2 * w, w, num_blocks=num_blocks, **stack) for w in widths)
        self.ups = nn.ModuleList(Upsample(coarse, fine, grid_dims=grid_dims) for fine, coarse in pairwise(widths))
        self.output_norm = group_norm(widths[0], config.norm_groups)
        self._build_switchable(config)

    def _build_switchable(self, config: UNetConfig) -> None:
        """Build what the four switches change (the embedding's is in `TimeEmbedding`)."""
        widths, ports = config.stage_widths, config.port_channels
        ends: dict[str, Any] = {"grid_dims": config.grid_dims, "shared": config.shared_adapter}
        with separate_draws("adapter"):
            self.input = input_layer(ports, config.base_channels, widths[0], **ends)
            self.output = output_layer(ports, config.base_channels, widths[0], **ends)
        with separate_draws("attention"):
            self.skip_attention = nn.ModuleList(_attention(width, config) for width in widths)
            self.bottleneck_attention = _attention(widths[-1], config)
        self.pyramid: WaveletPyramid | None = None
        if config.wavelet_pyramid and len(widths) > 1:
            with separate_draws("wavelet_pyramid"):
                self.pyramid = WaveletPyramid(ports, widths[1:], grid_dims=config.grid_dims, wavelet=config.wavelet)

    @property
    def config(self) -> UNetConfig:
        """The settings that this net was built from."""
        return self._config

    def port_state(self, port: str) -> dict[str, Tensor]:
        """Return what a net of the same settings and this port alone must load to compute what this one does there.

        Raises:
            ConfigError: an unknown port.
        """
        self._check_port(port)
        (name,) = replace(self._config, in_channels=self._ports[port], ports=None).port_channels
        return of_port(self.state_dict(), port, name)

    @property
    def feature_width(self) -> int:
        """D, the width of the features that `forward_with_features` returns."""
        return self._config.stage_widths[-1] + sum(self._config.stage_widths)

    def forward(
        self, x_t: Float[Tensor, "B C *grid"], t: Float[Tensor, " B"] | Int[Tensor, " B"], port: str | None = None
    ) -> Float[Tensor, "B C *grid"]:
        """Return the prediction for each item at its own t; `port` names the input's kind in a joint model.

        Raises:
            ShapeError: x_t or t does not fit this net.
            ConfigError: an unknown port.
        """
        return self._run(x_t, t, port)[0]

    def forward_with_features(
        self, x_t: Float[Tensor, "B C *grid"], t: Float[Tensor, " B"] | Int[Tensor, " B"], port: str | None = None
    ) -> tuple[Float[Tensor, "B C *grid"], Float[Tensor, "B D"]]:
        """Return the same prediction, and the denoiser's own features of each item.

        The features are the activations of the bottleneck and of each decoder stage (coarse to fine), averaged over the
        grid and joined.

        Raises:
            ShapeError: x_t or t does not fit this net.
            ConfigError: an unknown port.
        """
        prediction, stages = self._run(x_t, t, port)
        return prediction, torch.cat([stage.flatten(2).mean(dim=2) for stage in stages], dim=1)

    def _run(self, x_t: Tensor, t: Tensor, port: str | None) -> tuple[Tensor, list[Tensor]]:
        name = next(iter(self._ports)) if port is None else port
        self._check(x_t, t, name)
        grid = x_t.shape[2:]
        x = channels_last(reflect_pad(x_t, [(0, -size % self._multiple) for size in grid]))
        time = self.embedding(t)
        stages = self._decode(self._encode(x, time, name), time)
        out: Tensor = self.output(F.silu(self.output_norm(stages[-1])), name)
        for axis, size in enumerate(grid, start=2):
            out = out.narrow(axis, 0, size)
        return out, stages

    def _encode(self, x: Tensor, time: Tensor, port: str) -> list[Tensor]:
        """Return each stage's output, finest first."""
        added = [] if self.pyramid is None else self.pyramid(x, port)
        outputs: list[Tensor] = [self.encoder[0](self.input(x, port), time)]
        for index, down in enumerate(self.downs):
            h = down(outputs[-1])
            if added:
                h = h + added[index]
            outputs.append(self.encoder[index + 1](h, time))
        return outputs

    def _decode(self, skips: list[Tensor], time: Tensor) -> list[Tensor]:
        """Return the activations of the bottleneck and of each decoder stage, coarse to fine."""
        h = self.bottleneck_out(self.bottleneck_attention(self.bottleneck_in(skips[-1], time)), time)
        outputs = [h]
        for index in reversed(range(len(skips))):
            if index < len(self.ups):
                h = self.ups[index](h)
            beside = torch.cat([part.movedim(1, -1) for part in (h, self.skip_attention[index](skips[index]))], dim=-1)
            h = self.decoder[index](beside.movedim(-1, 1), time)
            outputs.append(h)
        return outputs

    def _check(self, x_t: Tensor, t: Tensor, port: str) -> None:
        self._check_port(port)
        channels, dims = self._ports[port], self._config.grid_dims
        if x_t.ndim != dims + 2 or x_t.shape[1] != channels or 0 in x_t.shape[2:]:
            axes = ("L",) if dims == 1 else ("H", "W")
            expected = ", ".join(("B", str(channels), *axes))
            raise ShapeError(
                f"x_t has shape {tuple(x_t.shape)}, expected ({expected}); reshape it or build another net"
            )
        if t.shape != x_t.shape[:1]:
            raise ShapeError(
                f"t has shape {tuple(t.shape)}, expected ({x_t.shape[0]},); give one t for each item of x_t"
            )

    def _check_port(self, port: str) -> None:
        if port not in self._ports:
            raise ConfigError(
                f"port is {port!r}, expected one of {', '.join(self._ports)}; name one of the net's ports"
            )


def _attention(width: int, config: UNetConfig) -> nn.Module:
    if not config.attention:
        return nn.Identity()
    return GridAttention(
        width,
        grid_dims=config.grid_dims,
        num_heads=config.num_heads,
        norm_groups=config.norm_groups,
        max_tokens=config.max_tokens,
    )
