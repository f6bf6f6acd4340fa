"""Streams that are still being measured: points settle, events open, change and close. Read `session.py` first."""

__all__: list[str] = []
