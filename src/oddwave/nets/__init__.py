"""The noise predictor: one U-Net for 1-D and 2-D grids with four switchable additions. Read `unet.py` next."""

from oddwave.nets.unet import UNet, UNetConfig

__all__ = ["UNet", "UNetConfig"]
