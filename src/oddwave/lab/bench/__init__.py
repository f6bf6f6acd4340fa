"""The benchmark: detectors and rivals on public data. Read `protocol.py` first, then `runner.py`."""

__all__: list[str] = []
