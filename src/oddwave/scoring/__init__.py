"""Scores: terms, memories, fusion, calibration, events. Read `fusion.py` next."""

__all__: list[str] = []
