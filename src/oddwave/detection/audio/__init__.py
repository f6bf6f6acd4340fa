"""What the detector does with audio. Read `detector.py` next."""

__all__: list[str] = []
