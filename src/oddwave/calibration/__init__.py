"""How sure a verdict is: conformal p-values, the tail beyond them, and thresholds with a stated false-alarm rate."""

__all__: list[str] = []
