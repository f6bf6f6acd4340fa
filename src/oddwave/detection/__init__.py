"""A detector of each modality, and what all of them share. Read `base.py` next."""

__all__: list[str] = []
