"""Wavelet transforms in torch: `dwt`/`idwt` and their multi-level forms, the exactly invertible frame, maps of windows.

Read `pyramid.py` next, then `frame.py` (CWT with its inverse) and `scalogram.py` (short windows, for series).
"""

from oddwave.wavelets.frame import WaveletFrame
from oddwave.wavelets.pyramid import WAVELETS, WaveletCoefficients, dwt, idwt, max_level, wavedec, waverec
from oddwave.wavelets.scalogram import SeriesScalogram

__all__ = [
    "WAVELETS",
    "SeriesScalogram",
    "WaveletCoefficients",
    "WaveletFrame",
    "dwt",
    "idwt",
    "max_level",
    "wavedec",
    "waverec",
]
