"""Names of the spaces that windows are compared in; no torch, so that a model's JSON is checked without it."""

__all__ = ["CONVOLUTION_SPACES"]

CONVOLUTION_SPACES = ("convolution", "energy")
