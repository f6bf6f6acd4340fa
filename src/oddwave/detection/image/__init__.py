"""What the detector does with images. Read `detector.py` next."""

__all__: list[str] = []
