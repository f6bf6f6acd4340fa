"""Wavelet transforms in torch: `dwt`/`idwt` and their multi-level forms. Read `pyramid.py` next."""

from oddwave.wavelets.pyramid import WAVELETS, WaveletCoefficients, dwt, idwt, max_level, wavedec, waverec

__all__ = ["WAVELETS", "WaveletCoefficients", "dwt", "idwt", "max_level", "wavedec", "waverec"]
