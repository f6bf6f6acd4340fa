"""Label-free anomalies planted into normal data: what choices are made by, instead of labels. Read `series.py` next."""

__all__: list[str] = []
