"""Prometheus samples as rows: `__name__`, the labels, timestamp and value, as query_range results are saved.

Every column but the clock and the value is a label, also one that holds numbers (cpu, code, le).
"""

from collections.abc import Sequence

__all__ = ["metric_labels"]

_CLOCK_OR_VALUE = frozenset({"timestamp", "time", "date", "datetime", "ts", "value", "values", "val", "sample"})


def metric_labels(names: Sequence[str]) -> tuple[str, ...]:
    """Return the label columns of a table of Prometheus samples; none for any other table."""
    lowered = [name.strip().lower() for name in names]
    if "__name__" not in lowered or not any(name in ("value", "values", "val", "sample") for name in lowered):
        return ()
    return tuple(name for name, low in zip(names, lowered, strict=True) if low and low not in _CLOCK_OR_VALUE)
