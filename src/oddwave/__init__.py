"""oddwave learns what normal looks like, from normal data alone, and finds what does not belong."""

__version__ = "0.1.0"
