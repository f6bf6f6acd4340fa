"""How items enter and leave the U-Net: the modality-shared adapter, or ordinary first and last convolutions.

A *port* is a named kind of input (image, audio, ...) with its own channel count. With the shared adapter all ports use
one bank of filters and differ in a 1x1 convolution only; without it each port has its own 3 (or 3x3) convolution.
Legend: B batch, C channels of the port, F features, *grid = L or H, W. Read `unet.py` next.
"""

from collections.abc import Mapping

from jaxtyping import Float
from torch import Tensor, nn

from oddwave.nets.blocks import conv, zeroed

__all__ = ["PortedConv", "SharedInput", "SharedOutput", "input_layer", "of_port", "output_layer"]

_KEY = "port_"


class PortedConv(nn.Module):
    """One convolution per port, into (`entering`) or out of the width that all ports share."""

    def __init__(
        self,
        ports: Mapping[str, int],
        width: int,
        *,
        grid_dims: int,
        kernel_size: int,
        entering: bool,
        zero: bool = False,
    ) -> None:
        super().__init__()
        self.convs = nn.ModuleDict()
        for port, channels in ports.items():
            widths = (channels, width) if entering else (width, channels)
            layer = conv(grid_dims, *widths, kernel_size=kernel_size)
            self.convs[_key(port)] = zeroed(layer) if zero else layer

    def forward(self, x: Float[Tensor, "B I *grid"], port: str) -> Float[Tensor, "B O *grid"]:
        """Apply the port's own convolution."""
        out: Tensor = self.convs[_key(port)](x)
        return out


class SharedInput(nn.Module):
    """The port's 1x1 convolution to a fixed width, then one filter bank (Conv_shared) that all ports share."""

    def __init__(self, ports: Mapping[str, int], port_width: int, out_width: int, *, grid_dims: int) -> None:
        super().__init__()
        self.port = PortedConv(ports, port_width, grid_dims=grid_dims, kernel_size=1, entering=True)
        self.shared = conv(grid_dims, port_width, out_width)

    def forward(self, x: Float[Tensor, "B C *grid"], port: str) -> Float[Tensor, "B F *grid"]:
        """Return the features that enter the first stage."""
        out: Tensor = self.shared(self.port(x, port))
        return out


class SharedOutput(nn.Module):
    """The mirror of `SharedInput`: the shared filter bank, then the port's 1x1 convolution, which starts at zero."""

    def __init__(self, ports: Mapping[str, int], port_width: int, in_width: int, *, grid_dims: int) -> None:
        super().__init__()
        self.shared = conv(grid_dims, in_width, port_width)
        self.port = PortedConv(ports, port_width, grid_dims=grid_dims, kernel_size=1, entering=False, zero=True)

    def forward(self, x: Float[Tensor, "B F *grid"], port: str) -> Float[Tensor, "B C *grid"]:
        """Return the prediction in the port's own channels."""
        out: Tensor = self.port(self.shared(x), port)
        return out


def input_layer(ports: Mapping[str, int], port_width: int, width: int, *, grid_dims: int, shared: bool) -> nn.Module:
    """Return the layer from C channels to `width` features, called with (x, port)."""
    if shared:
        return SharedInput(ports, port_width, width, grid_dims=grid_dims)
    return PortedConv(ports, width, grid_dims=grid_dims, kernel_size=3, entering=True)


def output_layer(ports: Mapping[str, int], port_width: int, width: int, *, grid_dims: int, shared: bool) -> nn.Module:
    """Return the layer from `width` features to C channels, called with (x, port); it predicts zero at first."""
    if shared:
        return SharedOutput(ports, port_width, width, grid_dims=grid_dims)
    return PortedConv(ports, width, grid_dims=grid_dims, kernel_size=3, entering=False, zero=True)


def of_port(state: Mapping[str, Tensor], port: str, name: str) -> dict[str, Tensor]:
    """Return the weights of a network with several ports that one of them uses, its own under another port's `name`."""
    mine, other = f".{_key(port)}.", f".{_KEY}"
    return {
        key.replace(mine, f".{_key(name)}."): weight for key, weight in state.items() if mine in key or other not in key
    }


def _key(port: str) -> str:
    """Name of a port's layer; the prefix keeps ports called "keys" or "type" from hiding a module's own attributes."""
    return f"{_KEY}{port}"
