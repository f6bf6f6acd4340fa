"""Several senses on one machine: results that were written are read, brought together by name or time, and fused.

Read `read.py` first, then `match.py`, then `outputs.py`; `oddwave/fused.py` does so with results that are at hand.
"""

__all__: list[str] = []
