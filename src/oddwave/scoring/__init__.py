"""Scores: terms, memories, fusion. Read `fusion.py` next."""

__all__: list[str] = []
