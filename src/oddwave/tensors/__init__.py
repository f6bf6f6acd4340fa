"""What an item becomes before a network sees it, and how it comes back. Read `representation.py` next.

Series: scale, windows, representation. Images: frame, tiles. Audio: the wavelet map and its way back to samples.
"""

__all__: list[str] = []
