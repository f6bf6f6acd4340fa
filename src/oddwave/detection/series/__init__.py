"""What the detector does with series. Read `detector.py` next."""

__all__: list[str] = []
